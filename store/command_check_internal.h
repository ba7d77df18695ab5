/*
 * What the fields of a command say together, as far as it can be judged without the state: run before a
 * command is proposed and again when it is decoded. `f` may be NULL. The table of commands names them.
 */
#ifndef SEALPOST_STORE_COMMAND_CHECK_INTERNAL_H
#define SEALPOST_STORE_COMMAND_CHECK_INTERNAL_H

#include "store/command.h"
#include "store/records.h"

enum status check_node_admit(const struct command *c, struct failure *f);
enum status check_node_update(const struct command *c, struct failure *f);
enum status check_api_token_add(const struct command *c, struct failure *f);
enum status check_api_token_grant(const struct command *c, struct failure *f);
enum status check_setting_set(const struct command *c, struct failure *f);
enum status check_setting_unset(const struct command *c, struct failure *f);
enum status check_domain_add(const struct command *c, struct failure *f);
enum status check_domain_remove(const struct command *c, struct failure *f);
enum status check_user(const struct command *c, struct failure *f);
enum status check_cert_add(const struct command *c, struct failure *f);
enum status check_rule_set(const struct command *c, struct failure *f);
enum status check_rule_remove(const struct command *c, struct failure *f);
enum status check_rule_move(const struct command *c, struct failure *f);
enum status check_group_add(const struct command *c, struct failure *f);
enum status check_group_member_remove(const struct command *c, struct failure *f);
enum status check_group_remove(const struct command *c, struct failure *f);
enum status check_ctl_set(const struct command *c, struct failure *f);
enum status check_crl_rows(const struct command *c, struct failure *f);
enum status check_crl_force(const struct command *c, struct failure *f);
enum status check_ocsp_put(const struct command *c, struct failure *f);
/* store/command_check_certificates.c */
enum status check_certificate_record(struct slice encoded, struct certificate_record *record,
                                     struct failure *f) MUST_CHECK;
enum status check_cert_harvest(const struct command *c, struct failure *f);
enum status check_cert_state(const struct command *c, struct failure *f);
enum status check_cert_bind(const struct command *c, struct failure *f);
enum status check_cert_unbind(const struct command *c, struct failure *f);
enum status check_cert_add_many(const struct command *c, struct failure *f);
/* store/apply_dns.c */
enum status check_sts_put(const struct command *c, struct failure *f);
enum status check_domain_dns(const struct command *c, struct failure *f);
enum status check_domain_dns_seen(const struct command *c, struct failure *f);
/* store/apply_notice.c */
enum status check_notice_claim(const struct command *c, struct failure *f);
enum status check_notice_end(const struct command *c, struct failure *f);
enum status check_notice_forget(const struct command *c, struct failure *f);
/* store/apply_dkim.c */
enum status check_dkim_add(const struct command *c, struct failure *f);
enum status check_dkim_state(const struct command *c, struct failure *f);
enum status check_dkim_remove(const struct command *c, struct failure *f);
/* store/apply_rewrite.c */
enum status check_rewrite_set(const struct command *c, struct failure *f);
enum status check_rewrite_remove(const struct command *c, struct failure *f);
/* store/apply_listener.c */
enum status check_listener(const struct command *c, struct failure *f);
enum status check_listener_set(const struct command *c, struct failure *f);
enum status check_tls(const struct command *c, struct failure *f);
enum status check_tls_put(const struct command *c, struct failure *f);
/* store/command_check_ca.c */
enum status check_ca_add(const struct command *c, struct failure *f);
enum status check_ca_issue(const struct command *c, struct failure *f);
enum status check_ca_auto_issue(const struct command *c, struct failure *f);
enum status check_ca_revoke(const struct command *c, struct failure *f);
enum status check_ca_import(const struct command *c, struct failure *f);
enum status check_ca_request_auto(const struct command *c, struct failure *f);
enum status check_ca_request_add(const struct command *c, struct failure *f);
enum status check_ca_request_complete(const struct command *c, struct failure *f);

#endif
