/* See views.h: the views. */
#include "cli/views.h"

#define END                                                                                                  \
    {                                                                                                        \
        .title = NULL                                                                                        \
    }

static const struct cli_column node_columns[] = {{"NAME", "name", SHOW_TEXT},
                                                 {"ROLE", "role", SHOW_TEXT},
                                                 {"APPLIED", "applied_index", SHOW_TEXT},
                                                 {"LOG", "log_index", SHOW_TEXT},
                                                 {"API", "api_address", SHOW_TEXT},
                                                 {"SMTP", "smtp_address", SHOW_TEXT},
                                                 {"PEERS", "peer_address", SHOW_TEXT},
                                                 {"RELEASE", "release", SHOW_TEXT},
                                                 END};
static const struct cli_column cluster_fields[] = {{"cluster", "name", SHOW_TEXT},
                                                   {"id", "id", SHOW_TEXT},
                                                   {"leader", "leader", SHOW_TEXT},
                                                   {"answered by", "self", SHOW_TEXT},
                                                   {"term", "term", SHOW_TEXT},
                                                   {"commit index", "commit_index", SHOW_TEXT},
                                                   {"applied index", "applied_index", SHOW_TEXT},
                                                   END};
const struct cli_view view_cluster = {cluster_fields, "nodes", node_columns, "no nodes"};
const struct cli_view view_nodes = {NULL, "items", node_columns, "no nodes"};

static const struct cli_column verify_fields[] = {
    {"index", "index", SHOW_TEXT}, {"all nodes hold the same", "consistent", SHOW_TEXT}, END};
static const struct cli_column verify_columns[] = {
    {"NODE", "node", SHOW_TEXT}, {"STATUS", "status", SHOW_TEXT}, {"HASH", "hash", SHOW_TEXT}, END};
const struct cli_view view_verify = {verify_fields, "nodes", verify_columns, "no node answered"};

static const struct cli_column transfer_fields[] = {{"leader", "leader", SHOW_TEXT}, END};
const struct cli_view view_transfer = {transfer_fields, NULL, NULL, NULL};

static const struct cli_column node_token_fields[] = {
    {"token", "token", SHOW_TEXT}, {"seconds that it lasts", "lifetime_seconds", SHOW_TEXT}, END};
const struct cli_view view_node_token = {node_token_fields, NULL, NULL, NULL};

static const struct cli_column removed_fields[] = {{"removed", "removed", SHOW_TEXT}, END};
const struct cli_view view_removed = {removed_fields, NULL, NULL, NULL};

static const struct cli_column value_columns[] = {{"NAME", "name", SHOW_TEXT},
                                                  {"VALUE", "value", SHOW_TEXT},
                                                  {"LEVEL", "level", SHOW_TEXT},
                                                  {"SCOPE", "scope", SHOW_TEXT},
                                                  END};
const struct cli_view view_setting = {NULL, "values", value_columns, "nothing is set"};
static const struct cli_column setting_fields[] = {{"what", "help", SHOW_TEXT},
                                                   {"cost", "cost", SHOW_TEXT},
                                                   {"default", "default", SHOW_TEXT},
                                                   {"choices", "choices", SHOW_LIST},
                                                   {"levels", "levels", SHOW_LIST},
                                                   {"whose counts", "side", SHOW_TEXT},
                                                   {"to write it", "permission", SHOW_TEXT},
                                                   END};
const struct cli_view view_setting_told = {setting_fields, "values", value_columns, "nothing is set"};

static const struct cli_column domain_columns[] = {
    {"DOMAIN", "domain", SHOW_TEXT}, {"LOCALITY", "locality", SHOW_TEXT}, {"ADDED", "added", SHOW_TIME}, END};
static const struct cli_column domain_fields[] = {
    {"domain", "domain", SHOW_TEXT}, {"locality", "locality", SHOW_TEXT}, {"added", "added", SHOW_TIME}, END};
const struct cli_view view_domains = {NULL, "items", domain_columns, "there are no domains"};
const struct cli_view view_domain = {domain_fields, "settings", value_columns, "nothing is set for it"};

static const struct cli_column user_columns[] = {
    {"ADDRESS", "address", SHOW_TEXT}, {"ADDED", "added", SHOW_TIME}, END};
static const struct cli_column user_fields[] = {
    {"address", "address", SHOW_TEXT}, {"added", "added", SHOW_TIME}, END};
const struct cli_view view_users = {NULL, "items", user_columns, "there are no users"};
const struct cli_view view_user = {user_fields, "settings", value_columns, "nothing is set for it"};

static const struct cli_column imported_columns[] = {
    {"THUMBPRINT", "thumbprint", SHOW_SHORT}, {"RESULT", "result", SHOW_TEXT},
    {"SUBJECT", "subject", SHOW_TEXT},        {"ADDRESSES", "addresses", SHOW_LIST},
    {"UNTIL", "not_after", SHOW_TIME},        END};
const struct cli_view view_imported = {NULL, "items", imported_columns, "nothing was imported"};

static const struct cli_column certificate_columns[] = {{"THUMBPRINT", "thumbprint", SHOW_SHORT},
                                                        {"SUBJECT", "subject", SHOW_TEXT},
                                                        {"ADDRESSES", "addresses", SHOW_LIST},
                                                        {"USES", "uses", SHOW_LIST},
                                                        {"UNTIL", "not_after", SHOW_TIME},
                                                        {"STATE", "state", SHOW_TEXT},
                                                        {"KEY", "has_key", SHOW_YES},
                                                        {"ANCHOR", "trusted", SHOW_YES},
                                                        END};
const struct cli_view view_certificates = {NULL, "items", certificate_columns, "there are none"};

static const struct cli_column certificate_fields[] = {{"thumbprint", "thumbprint", SHOW_TEXT},
                                                       {"subject", "subject", SHOW_TEXT},
                                                       {"issuer", "issuer", SHOW_TEXT},
                                                       {"serial", "serial", SHOW_TEXT},
                                                       {"addresses", "addresses", SHOW_LIST},
                                                       {"from", "not_before", SHOW_TIME},
                                                       {"until", "not_after", SHOW_TIME},
                                                       {"uses", "uses", SHOW_LIST},
                                                       {"capabilities", "capabilities", SHOW_LIST},
                                                       {"trust anchor", "trusted", SHOW_YES},
                                                       {"private key", "has_key", SHOW_YES},
                                                       {"encryption", "encryption.status", SHOW_TEXT},
                                                       {"  because", "encryption.reason", SHOW_TEXT},
                                                       {"signature", "signature.status", SHOW_TEXT},
                                                       {"  because", "signature.reason", SHOW_TEXT},
                                                       {"revocation", "revocation.status", SHOW_TEXT},
                                                       {"  on", "revocation.revoked", SHOW_TIME},
                                                       {"  because", "revocation.reason", SHOW_TEXT},
                                                       {"  until", "revocation.until", SHOW_TIME},
                                                       {"trust list", "ctl.verdict", SHOW_TEXT},
                                                       {"  because", "ctl.comment", SHOW_TEXT},
                                                       {"  until", "ctl.expires", SHOW_TIME},
                                                       {"state", "state", SHOW_TEXT},
                                                       {"bound to", "bindings.scope", SHOW_LIST},
                                                       {"source", "source", SHOW_TEXT},
                                                       {"added", "added", SHOW_TIME},
                                                       {"", "pem", SHOW_BLOCK},
                                                       END};
const struct cli_view view_certificate = {certificate_fields, NULL, NULL, NULL};

static const struct cli_column ctl_columns[] = {{"THUMBPRINT", "thumbprint", SHOW_SHORT},
                                                {"VERDICT", "verdict", SHOW_TEXT},
                                                {"IN FORCE", "in_force", SHOW_YES},
                                                {"UNTIL", "expires", SHOW_TIME},
                                                {"SUBJECT", "subject", SHOW_TEXT},
                                                {"COMMENT", "comment", SHOW_TEXT},
                                                END};
static const struct cli_column ctl_fields[] = {
    {"thumbprint", "thumbprint", SHOW_TEXT}, {"verdict", "verdict", SHOW_TEXT},
    {"in force", "in_force", SHOW_YES},      {"until", "expires", SHOW_TIME},
    {"comment", "comment", SHOW_TEXT},       {"added", "added", SHOW_TIME},
    {"subject", "subject", SHOW_TEXT},       END};
const struct cli_view view_ctls = {NULL, "items", ctl_columns, "the certificate trust list is empty"};
const struct cli_view view_ctl = {ctl_fields, NULL, NULL, NULL};

static const struct cli_column crl_columns[] = {{"ISSUER", "issuer", SHOW_SHORT},
                                                {"ENTRIES", "entries", SHOW_TEXT},
                                                {"NUMBER", "number", SHOW_TEXT},
                                                {"FROM", "this_update", SHOW_TIME},
                                                {"UNTIL", "next_update", SHOW_TIME},
                                                {"IN FORCE", "in_force", SHOW_YES},
                                                {"NAME", "name", SHOW_TEXT},
                                                {"PART", "points", SHOW_LIST},
                                                END};
static const struct cli_column crl_fields[] = {{"issuer", "issuer", SHOW_TEXT},
                                               {"name", "name", SHOW_TEXT},
                                               {"part", "points", SHOW_LIST},
                                               {"number", "number", SHOW_TEXT},
                                               {"from", "this_update", SHOW_TIME},
                                               {"until", "next_update", SHOW_TIME},
                                               {"in force", "in_force", SHOW_YES},
                                               {"entries", "entries", SHOW_TEXT},
                                               {"source", "source", SHOW_TEXT},
                                               {"added", "added", SHOW_TIME},
                                               END};
static const struct cli_column issuer_crl_columns[] = {{"ISSUER", "issuer", SHOW_TEXT},
                                                       {"ENTRIES", "entries", SHOW_TEXT},
                                                       {"NUMBER", "number", SHOW_TEXT},
                                                       {"FROM", "this_update", SHOW_TIME},
                                                       {"UNTIL", "next_update", SHOW_TIME},
                                                       {"IN FORCE", "in_force", SHOW_YES},
                                                       {"SOURCE", "source", SHOW_TEXT},
                                                       {"ADDED", "added", SHOW_TIME},
                                                       {"NAME", "name", SHOW_TEXT},
                                                       {"PART", "points", SHOW_LIST},
                                                       END};
const struct cli_view view_crls = {NULL, "items", crl_columns, "there are no revocation lists"};
const struct cli_view view_crl = {crl_fields, NULL, NULL, NULL};
const struct cli_view view_issuer_crls = {NULL, "items", issuer_crl_columns, "there are none"};
static const struct cli_column fetch_fields[] = {{"fetched by", "node", SHOW_TEXT},
                                                 {"not shown", "left_out", SHOW_TEXT},
                                                 {"does not answer", "silent.node", SHOW_LIST},
                                                 END};
static const struct cli_column fetch_columns[] = {
    {"KIND", "kind", SHOW_TEXT},     {"STATE", "state", SHOW_TEXT}, {"SUCCEEDED", "succeeded", SHOW_TIME},
    {"FAILED", "failed", SHOW_TIME}, {"NEXT", "next", SHOW_TIME},   {"URL", "url", SHOW_TEXT},
    {"ABOUT", "about", SHOW_TEXT},   {"ERROR", "error", SHOW_TEXT}, END};
const struct cli_view view_fetch = {fetch_fields, "items", fetch_columns, "nothing is fetched on schedule"};
static const struct cli_column fetch_due_fields[] = {{"asked now", "due", SHOW_TEXT}, END};
const struct cli_view view_fetch_due = {fetch_due_fields, NULL, NULL, NULL};
static const struct cli_column ocsp_columns[] = {
    {"ISSUER", "issuer", SHOW_TEXT},    {"SERIAL", "serial", SHOW_TEXT},
    {"STATUS", "status", SHOW_TEXT},    {"REASON", "reason", SHOW_TEXT},
    {"FROM", "this_update", SHOW_TIME}, {"UNTIL", "next_update", SHOW_TIME},
    {"IN FORCE", "in_force", SHOW_YES}, END};
const struct cli_view view_ocsp_answers = {NULL, "items", ocsp_columns, "no OCSP answers are stored"};
static const struct cli_column ca_columns[] = {{"NAME", "name", SHOW_TEXT},
                                               {"SUBJECT", "subject", SHOW_TEXT},
                                               {"ISSUER", "issuer", SHOW_TEXT},
                                               {"UNTIL", "not_after", SHOW_TIME},
                                               {"ANCHOR", "trusted", SHOW_YES},
                                               {"REVOKED", "revoked", SHOW_TEXT},
                                               {"LIST UNTIL", "crl_next_update", SHOW_TIME},
                                               {"REVOKED SINCE", "revoked_since", SHOW_TIME},
                                               END};
const struct cli_view view_cas = {NULL, "items", ca_columns, "there are none; ca create makes one"};

static const struct cli_column ca_fields[] = {{"name", "name", SHOW_TEXT},
                                              {"subject", "subject", SHOW_TEXT},
                                              {"thumbprint", "thumbprint", SHOW_TEXT},
                                              {"issuer", "issuer", SHOW_TEXT},
                                              {"until", "not_after", SHOW_TIME},
                                              {"trust anchor", "trusted", SHOW_YES},
                                              {"revoked since", "revoked_since", SHOW_TIME},
                                              {"  reason", "reason", SHOW_TEXT},
                                              {"revoked certificates", "revoked", SHOW_TEXT},
                                              {"revocation list", "crl_number", SHOW_TEXT},
                                              {"  from", "crl_this_update", SHOW_TIME},
                                              {"  until", "crl_next_update", SHOW_TIME},
                                              {"added", "added", SHOW_TIME},
                                              {"", "pem", SHOW_BLOCK},
                                              END};
const struct cli_view view_ca = {ca_fields, NULL, NULL, NULL};

static const struct cli_column issued_columns[] = {{"THUMBPRINT", "thumbprint", SHOW_SHORT},
                                                   {"ADDRESS", "address", SHOW_TEXT},
                                                   {"USES", "uses", SHOW_LIST},
                                                   {"STATE", "state", SHOW_TEXT},
                                                   {"UNTIL", "not_after", SHOW_TIME},
                                                   {"RENEWED", "renews", SHOW_YES},
                                                   {"REVOKED", "revoked", SHOW_TIME},
                                                   {"REASON", "reason", SHOW_TEXT},
                                                   END};
const struct cli_view view_issued = {NULL, "items", issued_columns, "nothing was issued"};

static const struct cli_column csr_columns[] = {{"ID", "id", SHOW_SHORT},
                                                {"ADDRESS", "address", SHOW_TEXT},
                                                {"NAME", "name", SHOW_TEXT},
                                                {"ADDED", "added", SHOW_TIME},
                                                END};
static const struct cli_column csr_fields[] = {{"id", "id", SHOW_TEXT},     {"address", "address", SHOW_TEXT},
                                               {"name", "name", SHOW_TEXT}, {"added", "added", SHOW_TIME},
                                               {"", "pem", SHOW_BLOCK},     END};
const struct cli_view view_csrs = {NULL, "items", csr_columns, "no key waits for a certificate"};
const struct cli_view view_csr = {csr_fields, NULL, NULL, NULL};

static const struct cli_column exported_fields[] = {
    {"thumbprint", "thumbprint", SHOW_TEXT}, {"addresses", "addresses", SHOW_LIST}, END};
const struct cli_view view_exported = {exported_fields, NULL, NULL, NULL};

static const struct cli_column revoked_fields[] = {
    {"thumbprint", "thumbprint", SHOW_TEXT}, {"address", "address", SHOW_TEXT}, {"state", "state", SHOW_TEXT},
    {"revoked", "revoked", SHOW_TIME},       {"reason", "reason", SHOW_TEXT},   END};
const struct cli_view view_revoked = {revoked_fields, NULL, NULL, NULL};
static const struct cli_column use_fields[] = {
    {"thumbprint", "thumbprint", SHOW_TEXT},   {"subject", "subject", SHOW_TEXT},
    {"addresses", "addresses", SHOW_LIST},     {"state", "state", SHOW_TEXT},
    {"bound to", "bindings.scope", SHOW_LIST}, END};
const struct cli_view view_certificate_use = {use_fields, NULL, NULL, NULL};

static const struct cli_column publication_fields[] = {{"", "zone", SHOW_BLOCK}, END};
const struct cli_view view_publication = {publication_fields, NULL, NULL, NULL};

static const struct cli_column dkim_fields[] = {
    {"domain", "domain", SHOW_TEXT},       {"selector", "selector", SHOW_TEXT},
    {"state", "state", SHOW_TEXT},         {"algorithm", "algorithm", SHOW_TEXT},
    {"bits", "bits", SHOW_TEXT},           {"made", "added", SHOW_TIME},
    {"activated", "activated", SHOW_TIME}, {"stopped", "ended", SHOW_TIME},
    {"DNS record", "zone", SHOW_BLOCK},    END};
static const struct cli_column dkim_columns[] = {
    {"DOMAIN", "domain", SHOW_TEXT},       {"SELECTOR", "selector", SHOW_TEXT},
    {"STATE", "state", SHOW_TEXT},         {"ALGORITHM", "algorithm", SHOW_TEXT},
    {"BITS", "bits", SHOW_TEXT},           {"MADE", "added", SHOW_TIME},
    {"ACTIVATED", "activated", SHOW_TIME}, END};
const struct cli_view view_dkim = {dkim_fields, NULL, NULL, NULL};
const struct cli_view view_dkims = {NULL, "items", dkim_columns, "there is no DKIM key"};

static const struct cli_column domain_dns_fields[] = {{"domain", "domain", SHOW_TEXT},
                                                      {"state", "state", SHOW_TEXT},
                                                      {"to be reviewed", "review", SHOW_YES},
                                                      {"DNSSEC", "dnssec", SHOW_TEXT},
                                                      {"published", "published", SHOW_LIST},
                                                      {"confirmed", "confirmed", SHOW_LIST},
                                                      {"looked up", "checked", SHOW_TIME},
                                                      {"changed", "changed", SHOW_TIME},
                                                      {"note", "note", SHOW_TEXT},
                                                      END};
static const struct cli_column domain_dns_columns[] = {{"DOMAIN", "domain", SHOW_TEXT},
                                                       {"STATE", "state", SHOW_TEXT},
                                                       {"REVIEW", "review", SHOW_YES},
                                                       {"DNSSEC", "dnssec", SHOW_TEXT},
                                                       {"LOOKED UP", "checked", SHOW_TIME},
                                                       {"NOTE", "note", SHOW_TEXT},
                                                       END};
static const struct cli_column reminder_columns[] = {{"TO", "to", SHOW_TEXT},
                                                     {"TOLD", "told", SHOW_TIME},
                                                     {"KIND", "kind", SHOW_TEXT},
                                                     {"WHAT", "what", SHOW_TEXT},
                                                     {"UNTIL", "until", SHOW_TIME},
                                                     {"MESSAGE", "message", SHOW_TEXT},
                                                     END};
static const struct cli_column reminder_mail_columns[] = {
    {"TO", "to", SHOW_TEXT},           {"STATE", "state", SHOW_TEXT},
    {"ENDED", "ended", SHOW_TIME},     {"ITEMS", "items", SHOW_TEXT},
    {"WAITING", "waiting", SHOW_TEXT}, {"MESSAGE", "message", SHOW_TEXT},
    {"REASON", "reason", SHOW_TEXT},   END};
const struct cli_view view_reminders = {NULL, "items", reminder_columns, "nobody was told anything by mail"};
const struct cli_view view_reminder_mails = {NULL, "items", reminder_mail_columns, "no mail was sent"};
static const struct cli_column sts_fields[] = {
    {"domain", "domain", SHOW_TEXT}, {"state", "state", SHOW_TEXT},
    {"mode", "mode", SHOW_TEXT},     {"hosts", "mx", SHOW_LIST},
    {"id", "id", SHOW_TEXT},         {"fetched", "fetched", SHOW_TIME},
    {"ends", "ends", SHOW_TIME},     {"failed", "failed", SHOW_TIME},
    {"error", "error", SHOW_TEXT},   END};
static const struct cli_column sts_columns[] = {{"DOMAIN", "domain", SHOW_TEXT},
                                                {"STATE", "state", SHOW_TEXT},
                                                {"MODE", "mode", SHOW_TEXT},
                                                {"ENDS", "ends", SHOW_TIME},
                                                {"FAILED", "failed", SHOW_TIME},
                                                {"ERROR", "error", SHOW_TEXT},
                                                END};
const struct cli_view view_sts = {sts_fields, NULL, NULL, NULL};
const struct cli_view view_sts_list = {NULL, "items", sts_columns, "no MTA-STS policy is kept"};
const struct cli_view view_domain_dns = {domain_dns_fields, NULL, NULL, NULL};
const struct cli_view view_domains_dns = {NULL, "items", domain_dns_columns, "no domain is looked up in DNS"};

static const struct cli_column message_columns[] = {{"ID", "id", SHOW_TEXT},
                                                    {"ARRIVED", "arrived", SHOW_TIME},
                                                    {"STATE", "state", SHOW_TEXT},
                                                    {"NODE", "node", SHOW_TEXT},
                                                    {"SIZE", "size", SHOW_BYTES},
                                                    {"SENDER", "sender", SHOW_TEXT},
                                                    {"RECIPIENTS", "recipients.address", SHOW_LIST},
                                                    END};
static const struct cli_column message_fields[] = {
    {"without the messages of", "silent.node", SHOW_LIST}, {"older with --before", "older", SHOW_TEXT}, END};
const struct cli_view view_messages = {message_fields, "items", message_columns, "no message fits"};

static const struct cli_column queue_columns[] = {{"ID", "id", SHOW_TEXT},
                                                  {"NODE", "node", SHOW_TEXT},
                                                  {"STATE", "state", SHOW_TEXT},
                                                  {"SIZE", "size", SHOW_BYTES},
                                                  {"ARRIVED", "arrived", SHOW_TIME},
                                                  {"NEXT", "next_attempt", SHOW_TIME},
                                                  {"TRIES", "attempts", SHOW_TEXT},
                                                  {"SENDER", "sender", SHOW_TEXT},
                                                  {"RECIPIENTS", "recipients.address", SHOW_LIST},
                                                  END};
static const struct cli_column queue_fields[] = {{"without the messages of", "silent.node", SHOW_LIST}, END};
const struct cli_view view_queue = {queue_fields, "items", queue_columns, "the queue is empty"};

static const struct cli_column operation_columns[] = {{"OPERATION", "operation", SHOW_TEXT},
                                                      {"ACTION", "action", SHOW_TEXT},
                                                      {"STATE", "state", SHOW_TEXT},
                                                      {"STARTED", "started", SHOW_TIME},
                                                      {"LOOKED", "looked", SHOW_TEXT},
                                                      {"OF", "messages", SHOW_TEXT},
                                                      {"DONE", "done", SHOW_TEXT},
                                                      {"REFUSED", "refused", SHOW_TEXT},
                                                      {"BY", "by", SHOW_TEXT},
                                                      END};
const struct cli_view view_queue_operations = {queue_fields, "items", operation_columns,
                                               "there are no operations"};

static const struct cli_column count_fields[] = {
    {"messages", "count", SHOW_TEXT}, {"operation", "operation", SHOW_TEXT}, END};
const struct cli_view view_count = {count_fields, NULL, NULL, NULL};

static const struct cli_column token_columns[] = {{"NAME", "name", SHOW_TEXT},
                                                  {"ROLE", "role", SHOW_TEXT},
                                                  {"EXPIRES", "expires", SHOW_TIME},
                                                  {"EXPIRED", "expired", SHOW_YES},
                                                  {"ADDED", "added", SHOW_TIME},
                                                  {"BY", "added_by", SHOW_TEXT},
                                                  END};
const struct cli_view view_tokens = {NULL, "items", token_columns, "no tokens"};
static const struct cli_column token_fields[] = {{"name", "name", SHOW_TEXT},
                                                 {"role", "role", SHOW_TEXT},
                                                 {"token", "token", SHOW_TEXT},
                                                 {"expires", "expires", SHOW_TIME},
                                                 END};
const struct cli_view view_token = {token_fields, NULL, NULL, NULL};

static const struct cli_column rule_columns[] = {{"#", "number", SHOW_TEXT},
                                                 {"NAME", "name", SHOW_TEXT},
                                                 {"ON", "enabled", SHOW_YES},
                                                 {"WHEN", "when", SHOW_TEXT},
                                                 {"THEN", "then", SHOW_TEXT},
                                                 {"BROKEN", "broken", SHOW_TEXT},
                                                 END};
static const struct cli_column rule_fields[] = {
    {"number", "number", SHOW_TEXT},   {"name", "name", SHOW_TEXT},     {"enabled", "enabled", SHOW_TEXT},
    {"when", "when", SHOW_TEXT},       {"then", "then", SHOW_TEXT},     {"comment", "comment", SHOW_TEXT},
    {"changed", "changed", SHOW_TIME}, {"broken", "broken", SHOW_TEXT}, END};
const struct cli_view view_rules = {NULL, "items", rule_columns, "there are no rules"};
const struct cli_view view_rule = {rule_fields, NULL, NULL, NULL};

static const struct cli_column group_columns[] = {{"GROUP", "group", SHOW_TEXT},
                                                  {"MEMBERS", "members", SHOW_TEXT},
                                                  {"RULES", "rules", SHOW_LIST},
                                                  {"ADDED", "added", SHOW_TIME},
                                                  END};
static const struct cli_column group_fields[] = {
    {"group", "group", SHOW_TEXT}, {"members", "members", SHOW_TEXT}, {"rules", "rules", SHOW_LIST}, END};
static const struct cli_column member_columns[] = {{"MEMBER", "member", SHOW_TEXT}, END};
const struct cli_view view_groups = {NULL, "items", group_columns, "there are no groups"};
const struct cli_view view_group = {group_fields, NULL, NULL, NULL};
const struct cli_view view_group_members = {NULL, "items", member_columns, "nobody is in it"};

static const struct cli_column policy_test_fields[] = {
    {"cases", "cases", SHOW_TEXT}, {"failed", "failed", SHOW_TEXT}, END};
static const struct cli_column policy_test_columns[] = {
    {"LINE", "line", SHOW_TEXT},       {"RESULT", "result", SHOW_TEXT}, {"TO", "to", SHOW_TEXT},
    {"EXPECTED", "expect", SHOW_TEXT}, {"GOT", "got", SHOW_TEXT},       END};
const struct cli_view view_policy_test = {policy_test_fields, "items", policy_test_columns,
                                          "there are no cases"};
