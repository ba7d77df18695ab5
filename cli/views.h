/* What the commands show: views for most, functions for those that tell a story. For command_table.c. */
#ifndef SEALPOST_CLI_VIEWS_H
#define SEALPOST_CLI_VIEWS_H

#include "cli/command.h"

extern const struct cli_view view_cluster, view_verify, view_transfer, view_nodes, view_node_token,
    view_removed, view_setting, view_setting_told, view_domains, view_domain, view_users, view_user,
    view_imported, view_certificates, view_certificate, view_queue, view_queue_operations, view_count,
    view_token, view_tokens, view_rules, view_rule, view_groups, view_group, view_group_members,
    view_policy_test;
extern const struct cli_view view_messages;
extern const struct cli_view view_fetch, view_fetch_due, view_ocsp_answers;
extern const struct cli_view view_ctls, view_ctl, view_crls, view_crl, view_issuer_crls;
extern const struct cli_view view_cas, view_ca, view_issued, view_revoked, view_csr, view_csrs, view_exported;
extern const struct cli_view view_certificate_use, view_publication, view_domain_dns, view_domains_dns;
extern const struct cli_view view_sts, view_sts_list;
extern const struct cli_view view_dkim, view_dkims;
extern const struct cli_view view_reminders, view_reminder_mails;

void show_settings(const json_t *answer, const struct cli_input *input);
void show_export(const json_t *answer, const struct cli_input *input);
void show_explanation(const json_t *answer, const struct cli_input *input);
void show_message(const json_t *answer, const struct cli_input *input);
void show_queue_entry(const json_t *answer, const struct cli_input *input);

#endif
