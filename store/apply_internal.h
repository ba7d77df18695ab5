/*
 * Applying one command. An apply function first looks at all that it needs and decides; only then does it
 * write. What it returns is the command's status, the same on every node. An LMDB error is not a command's
 * status: table functions note it in `broken`, and the whole batch is given up. It reads no clock and no
 * random bytes: the command carries its time.
 */
#ifndef SEALPOST_STORE_APPLY_INTERNAL_H
#define SEALPOST_STORE_APPLY_INTERNAL_H

#include "base/msgpack_write.h"
#include "store/command.h"
#include "store/tables.h"

struct store_apply {
    struct store *store;
    MDB_txn *txn;
    const struct command *command;
    struct apply_result *result; /* failure text and value are filled by the apply function */
    enum status broken;          /* OK, or what LMDB said: the node cannot go on */
    struct failure broken_text;
};

/* Reading and writing a table within the command. Errors of LMDB set `broken`; then the return value is not
 * OK either. */
enum status apply_get(struct store_apply *a, enum table table, struct slice key,
                      struct slice *value) MUST_CHECK; /* OK or NOT_FOUND */
bool apply_has(struct store_apply *a, enum table table, struct slice key);
void apply_put(struct store_apply *a, enum table table, struct slice key, struct slice value);
void apply_delete(struct store_apply *a, enum table table, struct slice key); /* absent is fine */
/* Delete every key that begins with prefix. */
void apply_delete_prefix(struct store_apply *a, enum table table, struct slice prefix);
uint64_t apply_meta_number(struct store_apply *a, const char *name, uint64_t absent);
void apply_meta_set(struct store_apply *a, const char *name, uint64_t number);
/* The command's answer is no: status and text. */
enum status apply_refuse(struct store_apply *a, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The i-th value of the command. */
struct slice apply_bytes(const struct store_apply *a, size_t i);
uint64_t apply_number(const struct store_apply *a, size_t i);

/* What certificates are fit for has changed: workers forget what they remember. */
void apply_trust_changed(struct store_apply *a);

enum status apply_cluster_init(struct store_apply *a);
enum status apply_node_admit(struct store_apply *a);
enum status apply_node_update(struct store_apply *a);
enum status apply_node_remove(struct store_apply *a);
enum status apply_node_token_add(struct store_apply *a);
enum status apply_api_token_add(struct store_apply *a);
enum status apply_api_token_remove(struct store_apply *a);
enum status apply_api_token_grant(struct store_apply *a);
enum status apply_api_token_revoke(struct store_apply *a);
enum status apply_setting_set(struct store_apply *a);
enum status apply_setting_unset(struct store_apply *a);
enum status apply_domain_add(struct store_apply *a);
enum status apply_domain_remove(struct store_apply *a);
enum status apply_user_add(struct store_apply *a);
enum status apply_user_remove(struct store_apply *a);
enum status apply_cert_add(struct store_apply *a);
enum status apply_cert_remove(struct store_apply *a);
enum status apply_key_add(struct store_apply *a);
enum status apply_key_remove(struct store_apply *a);
enum status apply_trust_add(struct store_apply *a);
enum status apply_trust_remove(struct store_apply *a);
enum status apply_rule_set(struct store_apply *a);
enum status apply_rule_remove(struct store_apply *a);
enum status apply_rule_move(struct store_apply *a);
enum status apply_group_add(struct store_apply *a);
enum status apply_group_member_remove(struct store_apply *a);
enum status apply_group_remove(struct store_apply *a);
enum status apply_ctl_set(struct store_apply *a);
enum status apply_ctl_remove(struct store_apply *a);
enum status apply_crl_begin(struct store_apply *a);
enum status apply_crl_rows(struct store_apply *a);
enum status apply_crl_force(struct store_apply *a);
enum status apply_crl_sweep(struct store_apply *a);
enum status apply_crl_remove(struct store_apply *a);
enum status apply_ocsp_put(struct store_apply *a);
enum status apply_ocsp_remove(struct store_apply *a);
enum status apply_ocsp_sweep(struct store_apply *a);
enum status apply_cert_harvest(struct store_apply *a);
enum status apply_cert_state(struct store_apply *a);
enum status apply_cert_bind(struct store_apply *a);
enum status apply_cert_unbind(struct store_apply *a);
enum status apply_cert_add_many(struct store_apply *a);
enum status apply_sts_refresh(struct store_apply *a);
enum status apply_sts_put(struct store_apply *a);
enum status apply_sts_failed(struct store_apply *a);
enum status apply_sts_remove(struct store_apply *a);
enum status apply_domain_dns_watch(struct store_apply *a);
enum status apply_domain_dns_unwatch(struct store_apply *a);
enum status apply_domain_dns_seen(struct store_apply *a);
enum status apply_notice_claim(struct store_apply *a);
enum status apply_notice_end(struct store_apply *a);
enum status apply_notice_forget(struct store_apply *a);
enum status apply_dkim_add(struct store_apply *a);
enum status apply_dkim_state(struct store_apply *a);
enum status apply_dkim_remove(struct store_apply *a);
enum status apply_rewrite_set(struct store_apply *a);
enum status apply_rewrite_remove(struct store_apply *a);
enum status apply_listener_set(struct store_apply *a);
enum status apply_listener_unset(struct store_apply *a);
enum status apply_tls_put(struct store_apply *a);
enum status apply_tls_remove(struct store_apply *a);
enum status apply_checkpoint(struct store_apply *a);
enum status apply_ca_add(struct store_apply *a);
enum status apply_ca_remove(struct store_apply *a);
enum status apply_ca_issue(struct store_apply *a);
enum status apply_ca_auto_issue(struct store_apply *a);
enum status apply_ca_revoke(struct store_apply *a);
enum status apply_ca_crl(struct store_apply *a);
enum status apply_ca_request_add(struct store_apply *a);
enum status apply_ca_request_remove(struct store_apply *a);
enum status apply_ca_request_complete(struct store_apply *a);
enum status apply_ca_revoke_ca(struct store_apply *a);
enum status apply_ca_import(struct store_apply *a);
enum status apply_ca_request_auto(struct store_apply *a);
enum status apply_ca_request_renew(struct store_apply *a);

/* A trust anchor, which may be one already. */
void apply_trust_put(struct store_apply *a, struct slice thumbprint, struct slice comment);
struct ca_record;
/* The list of a CA of ours comes into force by the rows that lists of other CAs have (apply_ca_list.c), with
 * the rows that are new on it (struct crl_row, well formed; may be empty). */
void apply_own_list(struct store_apply *a, const struct ca_record *ca, struct slice rows);
/* OK; REVOKED: it is the certificate of a CA of ours that is revoked, or is below one. */
enum status apply_anchor_stands(struct store_apply *a, struct slice thumbprint) MUST_CHECK;
/* Is this the certificate of a CA of ours? */
bool apply_is_our_ca(struct store_apply *a, struct slice thumbprint);

#endif
