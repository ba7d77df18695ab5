/*
 * The one table of commands. A new command is a row here, a number in store/command.h and a function in one
 * of the apply_*.c files. Fields are only ever added at the end, with a new version.
 */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_ca.h"
#include "store/records_dkim.h"
#include "store/records_dns.h"
#include "store/records_listener.h"
#include "store/records_notice.h"
#include "store/records_rewrite.h"
#include "store/records_sts.h"
#include "store/records_tls.h"
#include "store/records_trust.h"

#define HASH_SIZE 32

#define U64(n, h)                                                                                            \
    {                                                                                                        \
        .name = (n), .type = FIELD_U64, .help = (h)                                                          \
    }
#define BYTES(n, lo, hi, h)                                                                                  \
    {                                                                                                        \
        .name = (n), .type = FIELD_BYTES, .min = (lo), .max = (hi), .help = (h)                              \
    }
#define TEXT(n, lo, hi, h)                                                                                   \
    {                                                                                                        \
        .name = (n), .type = FIELD_TEXT, .min = (lo), .max = (hi), .help = (h)                               \
    }
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const struct command_field cluster_init_fields[] = {
    BYTES("cluster_id", 16, 16, "random identifier of the cluster"),
    TEXT("name", 1, 63, "name of the cluster"),
    BYTES("ca_certificate", 1, 8192, "the cluster CA, DER"),
    BYTES("ca_key", 1, 8192, "its private key, sealed"),
    BYTES("data_key_id", 16, 16, "identifier of the data key"),
    BYTES("data_key", 1, 256, "the data key, wrapped"),
};
static const struct command_field node_admit_fields[] = {
    BYTES("token_hash", HASH_SIZE, HASH_SIZE,
          "SHA-256 of the join token's secret; zeros for the founding node"),
    TEXT("name", 1, 63, "name of the node, a DNS label"),
    TEXT("peer_address", 1, 79, "HOST:PORT for the other nodes"),
    TEXT("api_address", 0, 79, "HOST:PORT of the REST API"),
    TEXT("smtp_address", 0, 79, "HOST:PORT of SMTP"),
    BYTES("spki_hash", HASH_SIZE, HASH_SIZE, "SHA-256 of the public key in its peer certificate"),
    U64("command_set", "newest command set that the node knows"),
};
static const struct command_field node_update_fields[] = {
    U64("node_id", "number of the node"),
    TEXT("name", 1, 63, "name of the node, a DNS label"),
    TEXT("peer_address", 1, 79, "HOST:PORT for the other nodes"),
    TEXT("api_address", 0, 79, "HOST:PORT of the REST API"),
    TEXT("smtp_address", 0, 79, "HOST:PORT of SMTP"),
    U64("command_set", "newest command set that the node knows"),
};
static const struct command_field node_remove_fields[] = {
    U64("node_id", "number of the node"),
};
static const struct command_field node_token_add_fields[] = {
    BYTES("token_hash", HASH_SIZE, HASH_SIZE, "SHA-256 of the join token's secret"),
    U64("expires_ms", "end of its life, ms since 1970"),
};
static const struct command_field api_token_add_fields[] = {
    BYTES("token_hash", HASH_SIZE, HASH_SIZE, "SHA-256 of the token"),
    TEXT("name", 1, 63, "name of the token"),
    TEXT("role", 1, 31, "role: admin"),
    U64("expires_ms", "end of its life, ms since 1970; 0: never"),
};
static const struct command_field name_fields[] = {
    TEXT("name", 1, 63, "name of the token"),
};
static const struct command_field setting_set_fields[] = {
    U64("level", "1 global, 2 domain, 3 user"),
    TEXT("scope", 0, ADDRESS_MAX, "domain or address; empty for global"),
    TEXT("name", 1, 63, "name of the setting"),
    TEXT("value", 0, 4096, "canonical value"),
};
static const struct command_field setting_unset_fields[] = {
    U64("level", "1 global, 2 domain, 3 user"),
    TEXT("scope", 0, ADDRESS_MAX, "domain or address; empty for global"),
    TEXT("name", 1, 63, "name of the setting"),
};
static const struct command_field domain_add_fields[] = {
    TEXT("domain", 1, DOMAIN_MAX, "domain, or *.parent"),
    TEXT("locality", 0, 8, "internal, external, or empty: as it is"),
};
static const struct command_field domain_fields[] = {
    TEXT("domain", 1, DOMAIN_MAX, "domain, or *.parent"),
};
static const struct command_field user_fields[] = {
    TEXT("address", 3, ADDRESS_MAX, "mail address"),
};
static const struct command_field cert_add_fields[] = {
    BYTES("certificate", 1, 256 << 10, "certificate record"),
};
static const struct command_field cert_add_many_fields[] = {
    BYTES("certificates", 1, COMMAND_MAX - 1024, "array of certificate records"),
};
static const struct command_field cert_harvest_fields[] = {
    BYTES("certificate", 1, 256 << 10, "certificate record"),
    TEXT("address", 0, ADDRESS_MAX, "of the signer; empty: a CA of the chain"),
    U64("state", "0 active, 1 quarantine"),
    U64("on_change", "0 review, 1 replace, 2 keep"),
    U64("flags", "1 same key as one that is there, 2 capabilities were announced"),
    U64("capabilities", "announced by the signed mail"),
    U64("seen_ms", "when the mail came, ms since 1970"),
};
static const struct command_field cert_state_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    U64("state", "0 active, 1 quarantine"),
};
static const struct command_field cert_bind_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    TEXT("scope", 1, ADDRESS_MAX, "domain, *.parent, or address"),
    U64("flags", "1 pinned: no path to a trust anchor is asked for"),
};
static const struct command_field cert_unbind_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    TEXT("scope", 1, ADDRESS_MAX, "domain, *.parent, or address"),
};
static const struct command_field domain_dns_fields[] = {
    TEXT("partner", 1, DOMAIN_MAX, "a domain"),
};
static const struct command_field domain_dns_seen_fields[] = {
    TEXT("partner", 1, DOMAIN_MAX, "a domain"),
    U64("answer", "1 signed, 2 unsigned, 3 absent, 4 bogus, 5 no answer"),
    BYTES("fingerprints", 0, DOMAIN_DNS_FINGERPRINTS_MAX *THUMBPRINT_SIZE, "SHA-256 each, ascending"),
    TEXT("note", 0, DOMAIN_DNS_NOTE_MAX, "about the look-up"),
};
static const struct command_field sts_fields[] = {
    TEXT("partner", 1, DOMAIN_MAX, "a domain"),
};
static const struct command_field sts_put_fields[] = {
    TEXT("partner", 1, DOMAIN_MAX, "a domain"),
    TEXT("policy_id", 0, STS_ID_MAX, "id of its TXT record"),
    U64("mode", "0 none, 1 testing, 2 enforce"),
    U64("max_age", "how long it counts, seconds"),
    TEXT("mx", 0, STS_MX_MAX, "hosts or *.hosts, with a space between them"),
};
static const struct command_field sts_failed_fields[] = {
    TEXT("partner", 1, DOMAIN_MAX, "a domain"),
    TEXT("note", 0, STS_NOTE_MAX, "why"),
};
static const struct command_field notice_claim_fields[] = {
    TEXT("to", 3, ADDRESS_MAX, "who is told"),
    BYTES("mail", ID_SIZE, ID_SIZE, "id of the mail"),
    U64("node", "the node that sends it"),
    U64("waiting", "what does not fit into it"),
    BYTES("items", 1, NOTICE_ITEMS_SIZE, "what it says, as MessagePack; none: take it over"),
};
static const struct command_field notice_end_fields[] = {
    TEXT("to", 3, ADDRESS_MAX, "who is told"),
    BYTES("mail", ID_SIZE, ID_SIZE, "id of the mail"),
    U64("outcome", "1 accepted, 2 refused"),
    TEXT("reason", 0, NOTICE_REASON_MAX, "why it was refused"),
};
static const struct command_field notice_forget_fields[] = {
    TEXT("to", 3, ADDRESS_MAX, "who was told"),
    BYTES("items", 1, NOTICE_ITEMS_SIZE, "what of, as MessagePack"),
};
static const struct command_field thumbprint_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
};
static const struct command_field key_add_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    BYTES("key", 1, 64 << 10, "private key, sealed"),
};
static const struct command_field trust_add_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    TEXT("comment", 0, 255, "why it is trusted"),
};
static const struct command_field rule_set_fields[] = {
    TEXT("name", 1, RULE_NAME_MAX, "name of the rule"),
    U64("enabled", "1: it is in force; 0: it is kept, and not asked"),
    TEXT("when", 1, RULE_WHEN_MAX, "expression"),
    TEXT("then", 1, RULE_THEN_MAX, "list of actions"),
    TEXT("comment", 0, RULE_COMMENT_MAX, "what it is for"),
    U64("place", "0 keep (a new one: last), 1 before, 2 after, 3 first, 4 last"),
    TEXT("other", 0, RULE_NAME_MAX, "the rule before or after which it goes"),
};
static const struct command_field rule_fields[] = {
    TEXT("name", 1, RULE_NAME_MAX, "name of the rule"),
};
static const struct command_field rule_move_fields[] = {
    TEXT("name", 1, RULE_NAME_MAX, "name of the rule"),
    U64("place", "1 before, 2 after, 3 first, 4 last"),
    TEXT("other", 0, RULE_NAME_MAX, "the rule before or after which it goes"),
};
static const struct command_field group_add_fields[] = {
    TEXT("group", 1, RULE_NAME_MAX, "name of the group"),
    TEXT("members", 0, GROUP_ADD_MAX, "addresses, domains or *.domain, with a space between them"),
};
static const struct command_field group_member_fields[] = {
    TEXT("group", 1, RULE_NAME_MAX, "name of the group"),
    TEXT("member", 1, ADDRESS_MAX, "address, domain or *.domain"),
};
static const struct command_field group_fields[] = {
    TEXT("group", 1, RULE_NAME_MAX, "name of the group"),
};

#define LIST_FIELDS                                                                                          \
    BYTES("issuer", ISSUER_ID_SIZE, ISSUER_ID_SIZE, "issuer of the list"),                                   \
        BYTES("part", CRL_PART_SIZE, CRL_PART_SIZE, "part of the issuer's certificates; zeros: all")
static const struct command_field ctl_set_fields[] = {
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    U64("verdict", "1 allow, 2 deny"),
    U64("expires_ms", "end of the entry, ms since 1970; 0: never"),
    TEXT("comment", 0, CTL_COMMENT_MAX, "why"),
};
static const struct command_field crl_begin_fields[] = {
    LIST_FIELDS,
    U64("generation", "number of the new rows"),
};
static const struct command_field crl_rows_fields[] = {
    LIST_FIELDS,
    U64("generation", "of a list that was begun, or in force"),
    BYTES("rows", 0, CRL_ROWS_BYTES, "serial numbers with time and reason"),
};
static const struct command_field crl_force_fields[] = {
    LIST_FIELDS,
    U64("generation", "of the list that was begun, or in force"),
    U64("rows", "rows that have come"),
    BYTES("list", 1, 16384 - 64, "list record"),
};
static const struct command_field crl_fields[] = {LIST_FIELDS};
static const struct command_field ocsp_put_fields[] = {
    BYTES("issuer", ISSUER_ID_SIZE, ISSUER_ID_SIZE, "issuer of the certificate"),
    BYTES("serial", 1, SERIAL_MAX, "serial number"),
    U64("status", "0 good, 1 revoked"),
    U64("revoked_ms", "when it was revoked"),
    U64("reason", "RFC 5280 section 5.3.1"),
    U64("this_ms", "thisUpdate"),
    U64("next_ms", "nextUpdate; 0: none"),
};
static const struct command_field ocsp_remove_fields[] = {
    BYTES("issuer", ISSUER_ID_SIZE, ISSUER_ID_SIZE, "issuer of the certificate"),
    BYTES("serial", 1, SERIAL_MAX, "serial number"),
};

static const struct command_field ocsp_sweep_fields[] = {
    U64("before_ms", "answers whose nextUpdate lies before then, ms since 1970"),
};

#define CA_ADD_FIELDS                                                                                        \
    TEXT("name", 1, CA_NAME_MAX, "name of the CA"),                                                          \
        BYTES("certificate", 1, 256 << 10, "certificate record of the CA"),                                  \
        BYTES("key", 1, 64 << 10, "its private key, sealed"),                                                \
        TEXT("issuer", 0, CA_NAME_MAX, "name of the CA that issued it; empty: none of ours"),                \
        U64("anchor", "1: it becomes a trust anchor"),                                                       \
        BYTES("crl", 1, CA_CRL_MAX, "its first revocation list, DER"),                                       \
        U64("crl_this_ms", "thisUpdate of the list, ms since 1970"),                                         \
        U64("crl_next_ms", "nextUpdate of the list, ms since 1970"),                                         \
        U64("crl_number", "number of the list"),                                                             \
        BYTES("issuer_id", ISSUER_ID_SIZE, ISSUER_ID_SIZE, "issuer of its lists")
static const struct command_field ca_add_fields[] = {CA_ADD_FIELDS};
static const struct command_field ca_import_fields[] = {
    CA_ADD_FIELDS,
    BYTES("revoked", 0, CRL_ROWS_BYTES, "what it has revoked so far, as rows"),
};
static const struct command_field ca_name_fields[] = {
    TEXT("name", 1, CA_NAME_MAX, "name of the CA"),
};
static const struct command_field ca_issue_fields[] = {
    TEXT("ca", 1, CA_NAME_MAX, "name of the CA"),
    TEXT("address", 3, ADDRESS_MAX, "mail address of the owner"),
    U64("how", "0: unless the address has one; 1: another one in any case; 2: in place of `replaces`"),
    BYTES("replaces", 0, THUMBPRINT_SIZE, "SHA-256 of the certificate that it renews; empty: none"),
    U64("flags", "1: renewed ahead of its end"),
    BYTES("certificate", 1, 256 << 10, "certificate record"),
    BYTES("key", 1, 64 << 10, "its private key, sealed"),
    BYTES("certificate2", 0, 256 << 10, "the one for the other use; empty: one for both"),
    BYTES("key2", 0, 64 << 10, "its private key, sealed"),
};
static const struct command_field ca_revoke_fields[] = {
    TEXT("ca", 1, CA_NAME_MAX, "name of the CA"),
    BYTES("thumbprint", THUMBPRINT_SIZE, THUMBPRINT_SIZE, "SHA-256 of the certificate"),
    U64("reason", "CRLReason of RFC 5280"),
    U64("crl_number", "number of the new list"),
    BYTES("crl", 1, CA_CRL_MAX, "the list that holds it, DER"),
    U64("crl_this_ms", "thisUpdate of the list, ms since 1970"),
    U64("crl_next_ms", "nextUpdate of the list, ms since 1970"),
};
static const struct command_field ca_revoke_ca_fields[] = {
    TEXT("ca", 1, CA_NAME_MAX, "name of the CA that issued it"),
    TEXT("name", 1, CA_NAME_MAX, "name of the CA that is revoked"),
    U64("reason", "CRLReason of RFC 5280"),
    U64("crl_number", "number of the new list"),
    BYTES("crl", 1, CA_CRL_MAX, "the issuer's list that holds it, DER"),
    U64("crl_this_ms", "thisUpdate of the list, ms since 1970"),
    U64("crl_next_ms", "nextUpdate of the list, ms since 1970"),
};
static const struct command_field ca_crl_fields[] = {
    TEXT("ca", 1, CA_NAME_MAX, "name of the CA"),
    U64("crl_number", "number of the new list"),
    BYTES("crl", 1, CA_CRL_MAX, "the list, DER"),
    U64("crl_this_ms", "thisUpdate of the list, ms since 1970"),
    U64("crl_next_ms", "nextUpdate of the list, ms since 1970"),
};
static const struct command_field ca_request_add_fields[] = {
    BYTES("id", HASH_SIZE, HASH_SIZE, "SHA-256 of the public key"),
    TEXT("address", 3, ADDRESS_MAX, "mail address of the owner"),
    TEXT("name", 0, CA_COMMON_NAME_MAX, "common name; empty: the address"),
    BYTES("request", 1, 16 << 10, "PKCS#10, DER"),
    BYTES("key", 1, 64 << 10, "private key, sealed for this id"),
};
static const struct command_field ca_request_fields[] = {
    BYTES("id", HASH_SIZE, HASH_SIZE, "SHA-256 of the public key"),
};
static const struct command_field ca_request_complete_fields[] = {
    BYTES("id", HASH_SIZE, HASH_SIZE, "SHA-256 of the public key"),
    BYTES("certificate", 1, 256 << 10, "certificate record"),
    BYTES("key", 1, 64 << 10, "private key, sealed for this certificate"),
};

#define DKIM_NAMES                                                                                           \
    TEXT("domain", 1, DOMAIN_MAX, "domain that is signed for"),                                              \
        TEXT("selector", 1, DKIM_SELECTOR_MAX, "name of the key below _domainkey")
static const struct command_field dkim_add_fields[] = {
    DKIM_NAMES,
    U64("algorithm", "1 rsa-sha256, 2 ed25519-sha256"),
    U64("bits", "of the public key"),
    BYTES("id", DKIM_KEY_ID_SIZE, DKIM_KEY_ID_SIZE, "SHA-256 of the public key"),
    BYTES("public_key", 1, DKIM_PUBLIC_KEY_MAX, "SubjectPublicKeyInfo, DER"),
    BYTES("key", 1, 64 << 10, "private key, sealed for this id"),
};
static const struct command_field dkim_state_fields[] = {
    DKIM_NAMES,
    U64("state", "2 active, 3 resting, 4 retired"),
};
static const struct command_field dkim_fields[] = {DKIM_NAMES};

#define REWRITE_NAMES                                                                                        \
    U64("kind", "1 canonical, 2 masquerade, 3 exception"),                                                   \
        TEXT("pattern", 1, ADDRESS_MAX + 1, "address, domain, @domain or local part@")
static const struct command_field rewrite_set_fields[] = {
    REWRITE_NAMES,
    TEXT("target", 0, ADDRESS_MAX + 1, "what a canonical pattern becomes"),
    U64("flags", "1 senders, 2 recipients, 4 envelope, 8 header"),
};
static const struct command_field rewrite_fields[] = {REWRITE_NAMES};

/* `v`: the command set that brought it. */
#define ROW_OF(v, n, t, p, f, c, a, h)                                                                       \
    {                                                                                                        \
        .number = (n), .name = (t), .version = (v), .permission = (p), .help = (h), .fields = (f),           \
        .field_count = COUNT_OF(f), .check = (c), .apply = (a)                                               \
    }
#define ROW(n, t, p, f, c, a, h) ROW_OF(1, n, t, p, f, c, a, h)

static const struct command_field listener_set_fields[] = {
    TEXT("name", 1, LISTENER_NAME_MAX, "name of the listener"),
    BYTES("changes", 0, LISTENER_TEXT_MAX, "a line field=value for each field that is changed"),
};
static const struct command_field listener_fields[] = {
    TEXT("name", 1, LISTENER_NAME_MAX, "name of the listener"),
};
static const struct command_field tls_put_fields[] = {
    TEXT("name", 1, LISTENER_NAME_MAX, "name of the TLS certificate"),
    BYTES("chain", 1, TLS_CHAIN_BYTES_MAX, "its chain, leaf first: array of DER"),
    BYTES("key", 1, TLS_KEY_SEALED_MAX, "its private key, sealed by the transport key"),
    TEXT("names", 0, TLS_NAMES_MAX, "what it is for"),
    U64("not_before", "beginning of its life, ms since 1970"),
    U64("not_after", "end of its life, ms since 1970"),
};
static const struct command_field tls_fields[] = {
    TEXT("name", 1, LISTENER_NAME_MAX, "name of the TLS certificate"),
};

static const struct command_type types[] = {
    ROW(COMMAND_CLUSTER_INIT, "cluster.init", "cluster.write", cluster_init_fields, NULL, apply_cluster_init,
        "found the cluster"),
    ROW(COMMAND_NODE_ADMIT, "node.admit", "node.write", node_admit_fields, check_node_admit, apply_node_admit,
        "admit a node by its join token"),
    ROW(COMMAND_NODE_UPDATE, "node.update", "node.write", node_update_fields, check_node_update,
        apply_node_update, "a node's addresses or release changed"),
    ROW(COMMAND_NODE_REMOVE, "node.remove", "node.write", node_remove_fields, NULL, apply_node_remove,
        "remove a node for good"),
    ROW(COMMAND_NODE_TOKEN_ADD, "node.token", "node.write", node_token_add_fields, NULL, apply_node_token_add,
        "make a join token"),
    ROW(COMMAND_API_TOKEN_ADD, "token.add", "token.write", api_token_add_fields, check_api_token_add,
        apply_api_token_add, "make an API token"),
    ROW(COMMAND_API_TOKEN_REMOVE, "token.remove", "token.write", name_fields, NULL, apply_api_token_remove,
        "remove an API token"),
    ROW(COMMAND_SETTING_SET, "setting.set", "setting.write", setting_set_fields, check_setting_set,
        apply_setting_set, "set a setting at a level"),
    ROW(COMMAND_SETTING_UNSET, "setting.unset", "setting.write", setting_unset_fields, check_setting_unset,
        apply_setting_unset, "let a setting be inherited again"),
    ROW(COMMAND_DOMAIN_ADD, "domain.add", "domain.write", domain_add_fields, check_domain_add,
        apply_domain_add, "add a domain"),
    ROW(COMMAND_DOMAIN_REMOVE, "domain.remove", "domain.write", domain_fields, check_domain_remove,
        apply_domain_remove, "remove a domain with its settings"),
    ROW(COMMAND_USER_ADD, "user.add", "user.write", user_fields, check_user, apply_user_add, "add a user"),
    ROW(COMMAND_USER_REMOVE, "user.remove", "user.write", user_fields, check_user, apply_user_remove,
        "remove a user with its settings"),
    ROW(COMMAND_CERT_ADD, "cert.add", "cert.write", cert_add_fields, check_cert_add, apply_cert_add,
        "add a certificate"),
    ROW(COMMAND_CERT_REMOVE, "cert.remove", "cert.write", thumbprint_fields, NULL, apply_cert_remove,
        "remove a certificate and its key"),
    ROW(COMMAND_KEY_ADD, "key.add", "key.write", key_add_fields, NULL, apply_key_add,
        "add the private key of a certificate"),
    ROW(COMMAND_KEY_REMOVE, "key.remove", "key.write", thumbprint_fields, NULL, apply_key_remove,
        "remove a private key"),
    ROW(COMMAND_TRUST_ADD, "trust.add", "ca.write", trust_add_fields, NULL, apply_trust_add,
        "make a certificate a trust anchor"),
    ROW(COMMAND_TRUST_REMOVE, "trust.remove", "ca.write", thumbprint_fields, NULL, apply_trust_remove,
        "no longer trust a certificate"),
    ROW_OF(2, COMMAND_CERT_HARVEST, "cert.harvest", "cert.write", cert_harvest_fields, check_cert_harvest,
           apply_cert_harvest, "note a certificate that came with signed mail"),
    ROW_OF(2, COMMAND_CERT_STATE, "cert.state", "cert.write", cert_state_fields, check_cert_state,
           apply_cert_state, "put a certificate into quarantine, or confirm it"),
    ROW_OF(2, COMMAND_CERT_BIND, "cert.bind", "cert.write", cert_bind_fields, check_cert_bind,
           apply_cert_bind, "use a certificate for a domain or an address that it need not name"),
    ROW_OF(2, COMMAND_CERT_UNBIND, "cert.unbind", "cert.write", cert_unbind_fields, check_cert_unbind,
           apply_cert_unbind, "no longer use it for that domain or address"),
    ROW_OF(2, COMMAND_CERT_ADD_MANY, "cert.add_many", "cert.write", cert_add_many_fields, check_cert_add_many,
           apply_cert_add_many, "add certificates"),
    ROW_OF(2, COMMAND_CA_ADD, "ca.add", "ca.write", ca_add_fields, check_ca_add, apply_ca_add,
           "a CA for users' certificates, with its key"),
    ROW_OF(2, COMMAND_CA_REMOVE, "ca.remove", "ca.write", ca_name_fields, NULL, apply_ca_remove,
           "remove a CA that has issued nothing"),
    ROW_OF(2, COMMAND_CA_ISSUE, "ca.issue", "ca.issue", ca_issue_fields, check_ca_issue, apply_ca_issue,
           "certificate and key for a user"),
    ROW_OF(2, COMMAND_CA_AUTO_ISSUE, "ca.auto_issue", "ca.issue", ca_issue_fields, check_ca_auto_issue,
           apply_ca_auto_issue, "the first certificate and key of a sender, on demand"),
    ROW_OF(2, COMMAND_CA_REVOKE, "ca.revoke", "ca.issue", ca_revoke_fields, check_ca_revoke, apply_ca_revoke,
           "revoke a certificate, with the list that says so"),
    ROW_OF(2, COMMAND_CA_CRL, "ca.crl", "ca.issue", ca_crl_fields, NULL, apply_ca_crl,
           "a new revocation list of a CA"),
    ROW_OF(2, COMMAND_CA_REQUEST_ADD, "ca.request.add", "key.write", ca_request_add_fields,
           check_ca_request_add, apply_ca_request_add, "a key that waits for its certificate"),
    ROW_OF(2, COMMAND_CA_REQUEST_REMOVE, "ca.request.remove", "key.write", ca_request_fields, NULL,
           apply_ca_request_remove, "give up a key that waits for its certificate"),
    ROW_OF(2, COMMAND_CA_REQUEST_COMPLETE, "ca.request.complete", "key.write", ca_request_complete_fields,
           check_ca_request_complete, apply_ca_request_complete, "the certificate of a key that waited"),
    ROW_OF(2, COMMAND_CA_REVOKE_CA, "ca.revoke_ca", "ca.write", ca_revoke_ca_fields, check_ca_revoke,
           apply_ca_revoke_ca, "revoke a CA of ours, with the list of its issuer that says so"),
    ROW_OF(2, COMMAND_CA_IMPORT, "ca.import", "ca.write", ca_import_fields, check_ca_import, apply_ca_import,
           "a CA that was there before, with its key and what it has revoked"),
    ROW_OF(2, COMMAND_CA_REQUEST_AUTO, "ca.request.auto", "key.write", ca_request_add_fields,
           check_ca_request_auto, apply_ca_request_auto, "a key of a sender that waits, on demand"),
    ROW_OF(2, COMMAND_CA_REQUEST_RENEW, "ca.request.renew", "key.write", ca_request_add_fields,
           check_ca_request_auto, apply_ca_request_renew, "a key that waits, ahead of a certificate's end"),
    {.number = COMMAND_CHECKPOINT,
     .name = "cluster.checkpoint",
     .version = 1,
     .permission = "cluster.read",
     .help = "hash the tables at this index",
     .apply = apply_checkpoint},
    ROW_OF(2, COMMAND_RULE_SET, "rule.set", "policy.write", rule_set_fields, check_rule_set, apply_rule_set,
           "add a rule, or change it"),
    ROW_OF(2, COMMAND_RULE_REMOVE, "rule.remove", "policy.write", rule_fields, check_rule_remove,
           apply_rule_remove, "remove a rule"),
    ROW_OF(2, COMMAND_RULE_MOVE, "rule.move", "policy.write", rule_move_fields, check_rule_move,
           apply_rule_move, "give a rule another place"),
    ROW_OF(2, COMMAND_GROUP_ADD, "group.add", "group.write", group_add_fields, check_group_add,
           apply_group_add, "add a group, or a member to it"),
    ROW_OF(2, COMMAND_GROUP_MEMBER_REMOVE, "group.member.remove", "group.write", group_member_fields,
           check_group_member_remove, apply_group_member_remove, "remove a member from a group"),
    ROW_OF(2, COMMAND_GROUP_REMOVE, "group.remove", "group.write", group_fields, check_group_remove,
           apply_group_remove, "remove a group with its members"),

    ROW_OF(2, COMMAND_DOMAIN_DNS_WATCH, "domain.dns.watch", "cert.write", domain_dns_fields, check_domain_dns,
           apply_domain_dns_watch, "look up in DNS what a partner's domain publishes"),
    ROW_OF(2, COMMAND_DOMAIN_DNS_UNWATCH, "domain.dns.unwatch", "cert.write", domain_dns_fields,
           check_domain_dns, apply_domain_dns_unwatch, "look it up no longer"),
    ROW_OF(2, COMMAND_DOMAIN_DNS_SEEN, "domain.dns.seen", "cert.write", domain_dns_seen_fields,
           check_domain_dns_seen, apply_domain_dns_seen, "what a partner's domain publishes in DNS"),
    ROW_OF(2, COMMAND_STS_REFRESH, "sts.refresh", "fetch.run", sts_fields, check_domain_dns,
           apply_sts_refresh, "fetch a domain's MTA-STS policy now"),
    ROW_OF(2, COMMAND_STS_PUT, "sts.put", "fetch.run", sts_put_fields, check_sts_put, apply_sts_put,
           "a domain's MTA-STS policy"),
    ROW_OF(2, COMMAND_STS_FAILED, "sts.failed", "fetch.run", sts_failed_fields, check_domain_dns,
           apply_sts_failed, "a domain's MTA-STS policy could not be fetched"),
    ROW_OF(2, COMMAND_STS_REMOVE, "sts.remove", "fetch.run", sts_fields, check_domain_dns, apply_sts_remove,
           "forget a domain's MTA-STS policy"),
    ROW_OF(2, COMMAND_API_TOKEN_GRANT, "token.grant", "token.write", api_token_add_fields,
           check_api_token_grant, apply_api_token_grant, "make an API token of a role"),
    ROW_OF(2, COMMAND_API_TOKEN_REVOKE, "token.revoke", "token.write", name_fields, NULL,
           apply_api_token_revoke, "remove an API token that is not the last of an administrator"),

    ROW_OF(2, COMMAND_NOTICE_CLAIM, "notice.claim", "cert.write", notice_claim_fields, check_notice_claim,
           apply_notice_claim, "one node is going to send a mail about what expires"),
    ROW_OF(2, COMMAND_NOTICE_END, "notice.end", "cert.write", notice_end_fields, check_notice_end,
           apply_notice_end, "it is in the spool, or was refused"),
    ROW_OF(2, COMMAND_NOTICE_FORGET, "notice.forget", "cert.write", notice_forget_fields, check_notice_forget,
           apply_notice_forget, "forget what was told and has long expired"),

    ROW_OF(2, COMMAND_LISTENER_SET, "listener.set", "listener.write", listener_set_fields, check_listener_set,
           apply_listener_set, "change what holds for a listener"),
    ROW_OF(2, COMMAND_LISTENER_UNSET, "listener.unset", "listener.write", listener_fields, check_listener,
           apply_listener_unset, "a listener has the defaults of its role again"),
    ROW_OF(2, COMMAND_TLS_PUT, "tls.put", "listener.write", tls_put_fields, check_tls_put, apply_tls_put,
           "add or replace a TLS certificate of the SMTP service"),
    ROW_OF(2, COMMAND_TLS_REMOVE, "tls.remove", "listener.write", tls_fields, check_tls, apply_tls_remove,
           "remove a TLS certificate of the SMTP service"),

    /* --- trust --- */
    ROW_OF(2, COMMAND_CTL_SET, "ctl.set", "ca.write", ctl_set_fields, check_ctl_set, apply_ctl_set,
           "allow or deny a certificate by its thumbprint"),
    ROW_OF(2, COMMAND_CTL_REMOVE, "ctl.remove", "ca.write", thumbprint_fields, NULL, apply_ctl_remove,
           "neither allow nor deny a certificate any more"),
    ROW_OF(2, COMMAND_CRL_BEGIN, "crl.begin", "ca.write", crl_begin_fields, NULL, apply_crl_begin,
           "rows of a revocation list are going to come"),
    ROW_OF(2, COMMAND_CRL_ROWS, "crl.rows", "ca.write", crl_rows_fields, check_crl_rows, apply_crl_rows,
           "rows of a revocation list"),
    ROW_OF(2, COMMAND_CRL_FORCE, "crl.force", "ca.write", crl_force_fields, check_crl_force, apply_crl_force,
           "put a revocation list in force"),
    ROW_OF(2, COMMAND_CRL_SWEEP, "crl.sweep", "ca.write", crl_fields, NULL, apply_crl_sweep,
           "take away rows that are not in force"),
    ROW_OF(2, COMMAND_CRL_REMOVE, "crl.remove", "ca.write", crl_fields, NULL, apply_crl_remove,
           "remove a revocation list"),
    ROW_OF(2, COMMAND_OCSP_PUT, "ocsp.put", "ca.write", ocsp_put_fields, check_ocsp_put, apply_ocsp_put,
           "what an OCSP responder answered"),
    ROW_OF(2, COMMAND_OCSP_REMOVE, "ocsp.remove", "ca.write", ocsp_remove_fields, NULL, apply_ocsp_remove,
           "forget an OCSP answer"),
    ROW_OF(2, COMMAND_OCSP_SWEEP, "ocsp.sweep", "ca.write", ocsp_sweep_fields, NULL, apply_ocsp_sweep,
           "take away OCSP answers that have ended"),
    ROW_OF(2, COMMAND_DKIM_ADD, "dkim.add", "dkim.write", dkim_add_fields, check_dkim_add, apply_dkim_add,
           "add a DKIM key, which signs nothing yet"),
    ROW_OF(2, COMMAND_DKIM_STATE, "dkim.state", "dkim.write", dkim_state_fields, check_dkim_state,
           apply_dkim_state, "let a DKIM key sign, rest or retire"),
    ROW_OF(2, COMMAND_DKIM_REMOVE, "dkim.remove", "dkim.write", dkim_fields, check_dkim_remove,
           apply_dkim_remove, "remove a DKIM key"),
    ROW_OF(2, COMMAND_REWRITE_SET, "rewrite.set", "rewrite.write", rewrite_set_fields, check_rewrite_set,
           apply_rewrite_set, "rewrite addresses"),
    ROW_OF(2, COMMAND_REWRITE_REMOVE, "rewrite.remove", "rewrite.write", rewrite_fields, check_rewrite_remove,
           apply_rewrite_remove, "rewrite them no longer"),
};

const struct command_type *command_type_of(enum command_number number)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].number == number)
            return &types[i];
    return NULL;
}

const struct command_type *command_type_at(size_t i)
{
    return i < COUNT_OF(types) ? &types[i] : NULL;
}
