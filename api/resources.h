/* The steps that serve the routes, and the objects that they take and give: one file a resource. For
 * routes.c. */
#ifndef SEALPOST_API_RESOURCES_H
#define SEALPOST_API_RESOURCES_H

#include "api/exchange.h"
#include "store/setting.h"

/* resource_health.c, metrics.c */
extern const struct api_object livez_object, readyz_object;
void livez_get(struct exchange *x);
void readyz_get(struct exchange *x);
void metrics_get(struct exchange *x);
void openapi_get(struct exchange *x);

/* resource_cluster.c */
extern const struct api_object cluster_object, verify_object, transfer_request_object, transfer_object;
void cluster_get(struct exchange *x);
void cluster_verify(struct exchange *x);
void cluster_transfer(struct exchange *x);

/* resource_nodes.c */
extern const struct api_object node_object, nodes_object, node_token_request_object, node_token_object,
    removed_object;
void nodes_list(struct exchange *x);
void node_token_add(struct exchange *x);
void node_remove(struct exchange *x);
struct core_node_status;
json_t *node_to_json(const struct core_node_status *n);
/* The body of core's answer to STATUS; the result is in the exchange's arena, NULL: the exchange was failed.
 */
const struct core_status *core_status_of(struct exchange *x, const struct bus_answer *answer);

/* resource_settings.c */
extern const struct api_object settings_object, setting_object, setting_value_object, setting_request_object,
    setting_scope_query, settings_query;
/* What is set at exactly this level and scope. */
json_t *settings_set_for(struct store_view *view, enum setting_level level, struct slice scope);
void settings_list(struct exchange *x);
void setting_get_one(struct exchange *x);
void setting_put(struct exchange *x);
void setting_delete(struct exchange *x);

/* resource_domains.c, resource_users.c */
extern const struct api_object list_query;
extern const struct api_object domains_object, domain_object, domain_request_object;
void domains_list(struct exchange *x);
void domain_add(struct exchange *x);
void domain_get(struct exchange *x);
void domain_remove(struct exchange *x);
extern const struct api_object users_object, user_object, user_request_object;
void users_list(struct exchange *x);
void user_add(struct exchange *x);
void user_get(struct exchange *x);
void user_remove(struct exchange *x);

/* resource_certificates.c, certificate_json.c, certificate_import.c */
extern const struct api_object certificates_query, certificates_object, certificate_object,
    certificates_request_object, imported_object;
void certificates_list(struct exchange *x);
/* resource_certificate_search.c, _bulk.c, _use.c, _export.c */
extern const struct api_object expiring_query, bulk_request_object, bulk_object,
    certificate_state_request_object, certificate_bind_request_object, publication_object,
    domain_confirm_request_object, export_query, export_object;
void certificates_expiring(struct exchange *x);
void certificates_bulk(struct exchange *x);
void certificate_state_set(struct exchange *x);
void certificate_bind(struct exchange *x);
void certificate_unbind(struct exchange *x);
void domain_publication_get(struct exchange *x);
void domain_confirm(struct exchange *x);
/* resource_notices.c */
extern const struct api_object notices_object, notice_mails_object;
void notices_list(struct exchange *x);
void notice_mails_list(struct exchange *x);
/* resource_sts.c */
extern const struct api_object sts_object, sts_list_object;
void sts_list(struct exchange *x);
void sts_get(struct exchange *x);
void sts_refresh(struct exchange *x);
void sts_remove(struct exchange *x);

/* resource_dkim.c */
extern const struct api_object dkim_request_object, dkim_state_object, dkim_key_object, dkim_keys_object;
void dkim_list_all(struct exchange *x);
void dkim_list(struct exchange *x);
void dkim_get(struct exchange *x);
void dkim_create(struct exchange *x);
void dkim_rotate(struct exchange *x);
void dkim_state_set(struct exchange *x);
void dkim_remove(struct exchange *x);
/* resource_domain_dns.c */
extern const struct api_object domain_dns_object, domains_dns_object;
void domains_dns_list(struct exchange *x);
void domain_dns_get(struct exchange *x);
void domain_dns_watch(struct exchange *x);
void domain_dns_unwatch(struct exchange *x);
void certificate_export(struct exchange *x);
void certificates_export(struct exchange *x);
void certificates_import(struct exchange *x);
void certificate_get(struct exchange *x);
void certificate_remove(struct exchange *x);

/* resource_trust.c */
extern const struct api_object trust_request_object;
void trust_list(struct exchange *x);
void trust_add(struct exchange *x);
void trust_remove(struct exchange *x);

/* resource_ctl.c */
struct ctl_record;
extern const struct api_object ctl_request_object, ctl_object, ctls_object;
json_t *ctl_to_json(struct store_view *view, const struct ctl_record *record);
void ctl_list(struct exchange *x);
void ctl_allow(struct exchange *x);
void ctl_deny(struct exchange *x);
void ctl_remove(struct exchange *x);

/* resource_crls.c */
extern const struct api_object crl_request_object, crl_object, crls_object;
void crls_list(struct exchange *x);
void crl_import(struct exchange *x);
void crl_get(struct exchange *x);
void crl_remove(struct exchange *x);

/* resource_fetch.c, resource_ocsp.c */
extern const struct api_object fetch_object, fetch_now_request_object, fetch_due_object, ocsp_answers_object;
void fetch_get(struct exchange *x);
void fetch_now(struct exchange *x);
void ocsp_list(struct exchange *x);
void ocsp_remove(struct exchange *x);

/* resource_keys.c */
extern const struct api_object key_request_object;
void keys_list(struct exchange *x);
void key_import(struct exchange *x);
void key_remove(struct exchange *x);

/* resource_messages.c */
extern const struct api_object messages_query, messages_object, message_object;
void messages_list(struct exchange *x);
void messages_show(struct exchange *x);

/* resource_ca.c, resource_ca_issue.c, resource_ca_crl.c, ca_json.c */
extern const struct api_object ca_object, cas_object, ca_request_object, ca_import_object, ca_issue_object,
    ca_issued_query, ca_issued_object, ca_issued_list_object, ca_revoke_object, ca_revoke_ca_object;
void cas_list(struct exchange *x);
void ca_create(struct exchange *x);
void ca_import(struct exchange *x);
void ca_get(struct exchange *x);
void ca_remove(struct exchange *x);
void ca_issued_list(struct exchange *x);
void ca_issue_one(struct exchange *x);
void ca_revoke(struct exchange *x);
void ca_revoke_ca(struct exchange *x);
void ca_crl_get(struct exchange *x);

/* resource_ca_requests.c, resource_key_export.c */
extern const struct api_object csr_request_object, csr_complete_object, csr_object, csrs_object,
    key_export_request_object, key_export_object;
void csrs_list(struct exchange *x);
void csr_create(struct exchange *x);
void csr_complete(struct exchange *x);
void csr_remove(struct exchange *x);
void key_export(struct exchange *x);

/* resource_queue.c */
extern const struct api_object queue_query, queue_object, queue_entry_object, count_object;
void queue_list(struct exchange *x);
void queue_show(struct exchange *x);
void queue_hold(struct exchange *x);
void queue_release(struct exchange *x);
void queue_retry(struct exchange *x);
void queue_bounce(struct exchange *x);
void queue_delete(struct exchange *x);

/* resource_queue_operations.c */
extern const struct api_object queue_operation_request_object, queue_retry_request_object, queue_begun_object,
    queue_operation_object, queue_operations_object;
void queue_hold_many(struct exchange *x);
void queue_release_many(struct exchange *x);
void queue_retry_many(struct exchange *x);
void queue_bounce_many(struct exchange *x);
void queue_delete_many(struct exchange *x);
void queue_operations_list(struct exchange *x);
void queue_operation_get(struct exchange *x);
void queue_operation_cancel(struct exchange *x);

/* resource_queue_look.c */
extern const struct api_object queue_summary_query, queue_summary_object, queue_events_query,
    queue_events_object, queue_content_query, queue_headers_object, queue_body_object;
void queue_summary(struct exchange *x);
void queue_events(struct exchange *x);
void queue_headers(struct exchange *x);
void queue_body(struct exchange *x);

/* resource_policy.c */
extern const struct api_object explain_request_object, explain_object;
void policy_explain(struct exchange *x);

/* resource_policy_test.c */
extern const struct api_object policy_test_request_object, policy_test_object;
void policy_test(struct exchange *x);

/* resource_rules.c, resource_groups.c */
extern const struct api_object rule_request_object, rule_move_object, rule_object, rules_object;
void rules_list(struct exchange *x);
void rule_get(struct exchange *x);
void rule_put(struct exchange *x);
void rule_move(struct exchange *x);
void rule_remove(struct exchange *x);
extern const struct api_object group_request_object, group_object, groups_object, group_members_object;
void groups_list(struct exchange *x);
void group_get(struct exchange *x);
void group_members_list(struct exchange *x);
void group_add(struct exchange *x);
void group_member_remove(struct exchange *x);
void group_remove(struct exchange *x);

/* resource_tokens.c */
extern const struct api_object token_request_object, token_object, tokens_object;
void tokens_list(struct exchange *x);
void token_add(struct exchange *x);
void token_remove(struct exchange *x);

#endif
