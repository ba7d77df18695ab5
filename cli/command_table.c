/* The table of sealpostctl's commands: see command.h. A new command is one row here. */
#include "cli/command.h"

#include "cli/views.h"

#include <string.h>

#define COUNT_OF(list)   (sizeof(list) / sizeof((list)[0]))
#define PARAMETERS(list) .parameters = (list), .parameter_count = COUNT_OF(list)

/* --- settings --- */

#define SCOPE_OPTIONS                                                                                        \
    {.name = "domain",                                                                                       \
     .kind = CLI_OPTION,                                                                                     \
     .place = PLACE_QUERY,                                                                                   \
     .field = "domain",                                                                                      \
     .value = "D",                                                                                           \
     .help = "for this domain (*.D: for all below)"},                                                        \
    {                                                                                                        \
        .name = "user", .kind = CLI_OPTION, .place = PLACE_QUERY, .field = "user", .value = "U",             \
        .help = "for this address"                                                                           \
    }

static const struct cli_parameter settings_list_parameters[] = {
    {.name = "set", .kind = CLI_FLAG, .place = PLACE_VIEW, .field = "set", .help = "only what was set"},
};
static const struct cli_parameter settings_get_parameters[] = {
    {.name = "NAME", .place = PLACE_PATH, .field = "name", .flags = CLI_REQUIRED, .help = "of the setting"},
    SCOPE_OPTIONS,
};
static const struct cli_parameter settings_set_parameters[] = {
    {.name = "NAME", .place = PLACE_PATH, .field = "name", .flags = CLI_REQUIRED, .help = "of the setting"},
    {.name = "VALUE", .place = PLACE_BODY, .field = "value", .flags = CLI_REQUIRED, .help = "the new value"},
    SCOPE_OPTIONS,
};

/* --- domains and users --- */

static const struct cli_parameter domain_add_parameters[] = {
    {.name = "DOMAIN", .place = PLACE_BODY, .field = "domain", .flags = CLI_REQUIRED, .help = "its name"},
    {.name = "locality",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "locality",
     .value = "L",
     .choices = "internal|external",
     .help = "internal: ours; external: a partner's"},
};
static const struct cli_parameter domain_parameters[] = {
    {.name = "DOMAIN", .place = PLACE_PATH, .field = "domain", .flags = CLI_REQUIRED, .help = "its name"},
};
static const struct cli_parameter user_add_parameters[] = {
    {.name = "ADDRESS",
     .place = PLACE_BODY,
     .field = "address",
     .flags = CLI_REQUIRED,
     .help = "mail address"},
};
static const struct cli_parameter user_parameters[] = {
    {.name = "ADDRESS",
     .place = PLACE_PATH,
     .field = "address",
     .flags = CLI_REQUIRED,
     .help = "mail address"},
};

/* --- certificates, keys, CAs --- */

static const struct cli_parameter cert_import_parameters[] = {
    {.name = "FILE",
     .place = PLACE_BODY_FILE,
     .field = "data",
     .flags = CLI_REQUIRED | CLI_REPEATED,
     .help = "PEM, DER or PKCS#7"},
};
static const struct cli_parameter cert_list_parameters[] = {
    {.name = "address",
     .kind = CLI_OPTION,
     .place = PLACE_QUERY,
     .field = "address",
     .value = "A",
     .help = "only those for this mail address"},
};
static const struct cli_parameter thumbprint_parameters[] = {
    {.name = "THUMBPRINT",
     .place = PLACE_PATH,
     .field = "thumbprint",
     .flags = CLI_REQUIRED,
     .help = "SHA-256 of the certificate, or its first 8 digits or more"},
};
static const struct cli_parameter key_import_parameters[] = {
    {.name = "FILE",
     .place = PLACE_BODY_FILE,
     .field = "data",
     .flags = CLI_REQUIRED,
     .help = "PKCS#12, or PEM with the key and its certificate"},
    {.name = "password-file",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_SECRET,
     .field = "password",
     .value = "F",
     .help = "its first line is the password of FILE; - is standard input"},
};
static const struct cli_parameter ca_trust_parameters[] = {
    {.name = "FILE",
     .place = PLACE_BODY_FILE,
     .field = "data",
     .flags = CLI_REQUIRED | CLI_REPEATED,
     .help = "certificate of the CA: PEM, DER or PKCS#7"},
    {.name = "comment",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "comment",
     .value = "C",
     .help = "why it is trusted"},
    {.name = "force",
     .kind = CLI_FLAG,
     .place = PLACE_BODY_TRUE,
     .field = "force",
     .help = "also a certificate that is neither a CA's nor self-signed"},
};

static const struct cli_parameter ctl_parameters[] = {
    {.name = "THUMBPRINT",
     .place = PLACE_PATH,
     .field = "thumbprint",
     .flags = CLI_REQUIRED,
     .help = "SHA-256 of the certificate; of a stored one the first 8 digits are enough"},
    {.name = "comment",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "comment",
     .value = "C",
     .help = "why"},
    {.name = "expires",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "expires",
     .value = "T",
     .help = "when the entry ends: 2027-01-31, 2027-01-31T12:00:00Z; never if not given"},
};
static const struct cli_parameter ctl_thumbprint_parameters[] = {
    {.name = "THUMBPRINT",
     .place = PLACE_PATH,
     .field = "thumbprint",
     .flags = CLI_REQUIRED,
     .help = "SHA-256 of the certificate, or its first 8 digits or more"},
};
static const struct cli_parameter crl_import_parameters[] = {
    {.name = "FILE",
     .place = PLACE_BODY_FILE,
     .field = "data",
     .flags = CLI_REQUIRED | CLI_REPEATED,
     .help = "a revocation list: PEM or DER"},
};
static const struct cli_parameter crl_parameters[] = {
    {.name = "ISSUER",
     .place = PLACE_PATH,
     .field = "issuer",
     .flags = CLI_REQUIRED,
     .help = "as `crl list` shows it, or its first 8 digits or more"},
};

/* --- policy, queue --- */

static const struct cli_parameter explain_parameters[] = {
    {.name = "from",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "from",
     .flags = CLI_REQUIRED,
     .value = "A",
     .help = "the envelope's sender"},
    {.name = "to",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_LIST,
     .field = "to",
     .flags = CLI_REQUIRED | CLI_REPEATED,
     .value = "B",
     .help = "a recipient"},
    {.name = "subject",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "subject",
     .value = "S",
     .help = "of the message"},
    {.name = "message",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_FILE,
     .field = "message",
     .value = "FILE",
     .help = "a message, whose From, Subject, fields and parts count"},
    {.name = "header",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_LIST,
     .field = "headers",
     .flags = CLI_REPEATED,
     .value = "FIELD",
     .help = "a header field of the message, like \"Sensitivity: private\""},
    {.name = "at",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "at",
     .value = "TIME",
     .help = "the time to ask for, like 2026-11-24 or 2026-11-24T10:05:04Z"},
    {.name = "with",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_LIST,
     .field = "with",
     .flags = CLI_REPEATED,
     .value = "SETTING",
     .help = "suppose a setting: NAME=VALUE, or SCOPE:NAME=VALUE for a domain or user"},
    {.name = "client",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "client",
     .value = "IP",
     .help = "address of the client that sends it"},
    {.name = "listener",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "listener",
     .value = "L",
     .help = "name of the listener that takes it"},
    {.name = "tls", .kind = CLI_FLAG, .place = PLACE_BODY_TRUE, .field = "tls", .help = "it comes over TLS"},
    {.name = "auth",
     .kind = CLI_FLAG,
     .place = PLACE_BODY_TRUE,
     .field = "auth",
     .help = "it comes from a client that signed in"},
};
#define RULE_NAME                                                                                            \
    {                                                                                                        \
        .name = "NAME", .place = PLACE_PATH, .field = "name", .flags = CLI_REQUIRED, .help = "of the rule"   \
    }
#define RULE_PLACES                                                                                          \
    {.name = "before",                                                                                       \
     .kind = CLI_OPTION,                                                                                     \
     .place = PLACE_BODY,                                                                                    \
     .field = "before",                                                                                      \
     .value = "RULE",                                                                                        \
     .help = "it goes right before this one"},                                                               \
        {.name = "after",                                                                                    \
         .kind = CLI_OPTION,                                                                                 \
         .place = PLACE_BODY,                                                                                \
         .field = "after",                                                                                   \
         .value = "RULE",                                                                                    \
         .help = "it goes right behind this one"},                                                           \
    {                                                                                                        \
        .name = "place", .kind = CLI_OPTION, .place = PLACE_BODY, .field = "place", .value = "P",            \
        .choices = "first|last", .help = "it goes before or behind all others"                               \
    }

static const struct cli_parameter rule_parameters[] = {RULE_NAME};
static const struct cli_parameter rule_move_parameters[] = {RULE_NAME, RULE_PLACES};
static const struct cli_parameter rule_set_parameters[] = {
    RULE_NAME,
    {.name = "when",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "when",
     .value = "EXPR",
     .help = "its condition; see docs/rules.md"},
    {.name = "then",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "then",
     .value = "ACTIONS",
     .help = "what follows"},
    {.name = "comment",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "comment",
     .value = "C",
     .help = "what it is for"},
    {.name = "enable",
     .kind = CLI_FLAG,
     .place = PLACE_BODY_TRUE,
     .field = "enabled",
     .help = "ask it (again)"},
    {.name = "disable",
     .kind = CLI_FLAG,
     .place = PLACE_BODY_FALSE,
     .field = "enabled",
     .help = "keep it, and do not ask it"},
    RULE_PLACES,
};

static const struct cli_parameter policy_test_parameters[] = {
    {.name = "FILE",
     .place = PLACE_BODY_CASES,
     .field = "cases",
     .flags = CLI_REQUIRED,
     .help = "table of what is expected; see docs/rules.md"},
    {.name = "with",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_LIST,
     .field = "with",
     .flags = CLI_REPEATED,
     .value = "SETTING",
     .help = "suppose a setting: NAME=VALUE, or SCOPE:NAME=VALUE for a domain or user"},
    {.name = "rules",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_JSON,
     .field = "rules",
     .value = "FILE",
     .help = "suppose these rules, and no others, as rule-list -o json gives them"},
};

static const struct cli_parameter group_add_parameters[] = {
    {.name = "GROUP", .place = PLACE_BODY, .field = "group", .flags = CLI_REQUIRED, .help = "its name"},
    {.name = "MEMBER",
     .place = PLACE_BODY_LIST,
     .field = "members",
     .flags = CLI_REPEATED,
     .help = "address, domain or *.domain"},
};
static const struct cli_parameter group_parameters[] = {
    {.name = "GROUP", .place = PLACE_PATH, .field = "group", .flags = CLI_REQUIRED, .help = "its name"},
};
static const struct cli_parameter group_remove_parameters[] = {
    {.name = "GROUP", .place = PLACE_PATH, .field = "group", .flags = CLI_REQUIRED, .help = "its name"},
    {.name = "MEMBER",
     .place = PLACE_PATH,
     .field = "member",
     .flags = CLI_REQUIRED | CLI_REPEATED,
     .help = "address, domain or *.domain"},
};

static const struct cli_parameter queue_id_parameters[] = {
    {.name = "ID",
     .place = PLACE_PATH,
     .field = "id",
     .flags = CLI_REQUIRED,
     .help = "as in the answer to DATA"},
};
static const struct cli_parameter queue_ids_parameters[] = {
    {.name = "ID",
     .place = PLACE_PATH,
     .field = "id",
     .flags = CLI_REQUIRED | CLI_REPEATED,
     .help = "as in the answer to DATA"},
};
static const struct cli_parameter queue_retry_parameters[] = {
    {.name = "ID", .place = PLACE_PATH, .field = "id", .flags = CLI_REPEATED, .help = "all if none is given"},
};

/* --- cluster, nodes, tokens --- */

static const struct cli_parameter transfer_parameters[] = {
    {.name = "to",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "to",
     .value = "NODE",
     .help = "any if not given"},
};
static const struct cli_parameter node_token_parameters[] = {
    {.name = "lifetime",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_SECONDS,
     .field = "lifetime_seconds",
     .value = "T",
     .help = "30m, 1h, 2d; an hour if not given"},
};
static const struct cli_parameter node_parameters[] = {
    {.name = "NAME", .place = PLACE_PATH, .field = "name", .flags = CLI_REQUIRED, .help = "of the node"},
};
static const struct cli_parameter token_add_parameters[] = {
    {.name = "NAME", .place = PLACE_BODY, .field = "name", .flags = CLI_REQUIRED, .help = "whose it is"},
    {.name = "role",
     .kind = CLI_OPTION,
     .place = PLACE_BODY,
     .field = "role",
     .value = "R",
     .choices = "admin",
     .help = "what it may do; admin if not given"},
    {.name = "days",
     .kind = CLI_OPTION,
     .place = PLACE_BODY_NUMBER,
     .field = "lifetime_days",
     .value = "N",
     .help = "for how long; for ever if not given"},
};
static const struct cli_parameter token_parameters[] = {
    {.name = "NAME", .place = PLACE_PATH, .field = "name", .flags = CLI_REQUIRED, .help = "of the token"},
};

static const struct cli_command commands[] = {
    {.noun = "cluster",
     .verb = "status",
     .method = "GET",
     .path = "/v1/cluster",
     .view = &view_cluster,
     .help = "Show who leads, and how far each node is."},
    {.noun = "cluster",
     .verb = "verify",
     .method = "POST",
     .path = "/v1/cluster/verify",
     .view = &view_verify,
     .failing_unless = "consistent",
     .help = "Compare a hash of every node's tables at the same index."},
    {.noun = "cluster",
     .verb = "transfer",
     .method = "POST",
     .path = "/v1/cluster/transfer",
     PARAMETERS(transfer_parameters),
     .view = &view_transfer,
     .help = "Give the leadership to another node."},

    {.noun = "node",
     .verb = "list",
     .method = "GET",
     .path = "/v1/nodes",
     .view = &view_nodes,
     .help = "List the nodes of the cluster."},
    {.noun = "node",
     .verb = "token",
     .method = "POST",
     .path = "/v1/nodes/token",
     PARAMETERS(node_token_parameters),
     .view = &view_node_token,
     .help = "Make a token with which one new node can join."},
    {.noun = "node",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/nodes/{name}",
     PARAMETERS(node_parameters),
     .view = &view_removed,
     .help = "Remove a node for good."},

    {.noun = "settings",
     .verb = "list",
     .method = "GET",
     .path = "/v1/settings",
     PARAMETERS(settings_list_parameters),
     .show = show_settings,
     .help = "List all settings and what they are set to."},
    {.noun = "settings",
     .verb = "get",
     .method = "GET",
     .path = "/v1/settings/{name}",
     PARAMETERS(settings_get_parameters),
     .view = &view_setting,
     .help = "Show the value that counts, and where it comes from."},
    {.noun = "settings",
     .verb = "set",
     .method = "PUT",
     .path = "/v1/settings/{name}",
     PARAMETERS(settings_set_parameters),
     .view = &view_setting,
     .help = "Set it globally, for a domain or for a user."},
    {.noun = "settings",
     .verb = "unset",
     .method = "DELETE",
     .path = "/v1/settings/{name}",
     PARAMETERS(settings_get_parameters),
     .view = &view_setting,
     .help = "Let it be inherited again."},

    {.noun = "domain",
     .verb = "list",
     .method = "GET",
     .path = "/v1/domains",
     .view = &view_domains,
     .help = "List the domains."},
    {.noun = "domain",
     .verb = "add",
     .method = "POST",
     .path = "/v1/domains",
     PARAMETERS(domain_add_parameters),
     .view = &view_domain,
     .help = "Add a domain."},
    {.noun = "domain",
     .verb = "show",
     .method = "GET",
     .path = "/v1/domains/{domain}",
     PARAMETERS(domain_parameters),
     .view = &view_domain,
     .help = "Show a domain and what is set for it."},
    {.noun = "domain",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/domains/{domain}",
     PARAMETERS(domain_parameters),
     .view = &view_removed,
     .help = "Remove a domain with its settings."},

    {.noun = "user",
     .verb = "list",
     .method = "GET",
     .path = "/v1/users",
     .view = &view_users,
     .help = "List the users."},
    {.noun = "user",
     .verb = "add",
     .method = "POST",
     .path = "/v1/users",
     PARAMETERS(user_add_parameters),
     .view = &view_user,
     .help = "Add a user."},
    {.noun = "user",
     .verb = "show",
     .method = "GET",
     .path = "/v1/users/{address}",
     PARAMETERS(user_parameters),
     .view = &view_user,
     .help = "Show a user and what is set for the address."},
    {.noun = "user",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/users/{address}",
     PARAMETERS(user_parameters),
     .view = &view_removed,
     .help = "Remove a user with the settings."},

    {.noun = "cert",
     .verb = "import",
     .method = "POST",
     .path = "/v1/certificates",
     PARAMETERS(cert_import_parameters),
     .view = &view_imported,
     .help = "Store the certificates of files; all of a file or, if one is bad, none."},
    {.noun = "cert",
     .verb = "list",
     .method = "GET",
     .path = "/v1/certificates",
     PARAMETERS(cert_list_parameters),
     .view = &view_certificates,
     .help = "List the certificates."},
    {.noun = "cert",
     .verb = "show",
     .method = "GET",
     .path = "/v1/certificates/{thumbprint}",
     PARAMETERS(thumbprint_parameters),
     .view = &view_certificate,
     .help = "Show a certificate, and what it can be used for now."},
    {.noun = "cert",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/certificates/{thumbprint}",
     PARAMETERS(thumbprint_parameters),
     .view = &view_removed,
     .help = "Remove a certificate, and its key."},

    {.noun = "key",
     .verb = "import",
     .method = "POST",
     .path = "/v1/keys",
     PARAMETERS(key_import_parameters),
     .view = &view_imported,
     .help = "Store a private key with its certificate and chain."},
    {.noun = "key",
     .verb = "list",
     .method = "GET",
     .path = "/v1/keys",
     .view = &view_certificates,
     .help = "List the certificates whose private keys are stored."},
    {.noun = "key",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/keys/{thumbprint}",
     PARAMETERS(thumbprint_parameters),
     .view = &view_removed,
     .help = "Remove a private key; its certificate stays."},

    {.noun = "ca",
     .verb = "trust",
     .method = "POST",
     .path = "/v1/trust",
     PARAMETERS(ca_trust_parameters),
     .view = &view_imported,
     .help = "Store a CA's certificate and trust it."},
    {.noun = "ca",
     .verb = "list",
     .method = "GET",
     .path = "/v1/trust",
     .view = &view_certificates,
     .help = "List the trust anchors."},
    {.noun = "ca",
     .verb = "untrust",
     .method = "DELETE",
     .path = "/v1/trust/{thumbprint}",
     PARAMETERS(thumbprint_parameters),
     .view = &view_removed,
     .help = "Trust it no longer; the certificate stays."},

    {.noun = "ctl",
     .verb = "list",
     .method = "GET",
     .path = "/v1/ctl",
     .view = &view_ctls,
     .help = "List the certificates that are allowed or denied by themselves."},
    {.noun = "ctl",
     .verb = "allow",
     .method = "POST",
     .path = "/v1/ctl/{thumbprint}/allow",
     PARAMETERS(ctl_parameters),
     .view = &view_ctl,
     .help = "Trust a certificate by itself, without a path to a trust anchor."},
    {.noun = "ctl",
     .verb = "deny",
     .method = "POST",
     .path = "/v1/ctl/{thumbprint}/deny",
     PARAMETERS(ctl_parameters),
     .view = &view_ctl,
     .help = "Use a certificate for nothing, whoever issued it."},
    {.noun = "ctl",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/ctl/{thumbprint}",
     PARAMETERS(ctl_thumbprint_parameters),
     .view = &view_removed,
     .help = "Neither allow nor deny a certificate any more."},

    {.noun = "crl",
     .verb = "import",
     .method = "POST",
     .path = "/v1/crls",
     PARAMETERS(crl_import_parameters),
     .view = &view_crl,
     .help = "Put revocation lists in force, whose issuers' certificates are stored."},
    {.noun = "crl",
     .verb = "list",
     .method = "GET",
     .path = "/v1/crls",
     .view = &view_crls,
     .help = "List the revocation lists in force."},
    {.noun = "crl",
     .verb = "show",
     .method = "GET",
     .path = "/v1/crls/{issuer}",
     PARAMETERS(crl_parameters),
     .view = &view_issuer_crls,
     .help = "Show the lists of an issuer."},
    {.noun = "crl",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/crls/{issuer}",
     PARAMETERS(crl_parameters),
     .view = &view_removed,
     .help = "Remove an issuer's lists; what they revoked is revoked no longer."},

    {.noun = "policy",
     .verb = "explain",
     .method = "POST",
     .path = "/v1/policy/explain",
     PARAMETERS(explain_parameters),
     .show = show_explanation,
     .help = "Tell what would become of a message, and why."},

    {.noun = "policy",
     .verb = "test",
     .method = "POST",
     .path = "/v1/policy/test",
     PARAMETERS(policy_test_parameters),
     .view = &view_policy_test,
     .failing_unless = "passed",
     .help = "Compare policy, as it is or as it is proposed, with what is expected."},
    {.noun = "policy",
     .verb = "rule-list",
     .method = "GET",
     .path = "/v1/policy/rules",
     .view = &view_rules,
     .help = "List the rules in the order in which they are asked."},
    {.noun = "policy",
     .verb = "rule-show",
     .method = "GET",
     .path = "/v1/policy/rules/{name}",
     PARAMETERS(rule_parameters),
     .view = &view_rule,
     .help = "Show a rule."},
    {.noun = "policy",
     .verb = "rule-set",
     .method = "PUT",
     .path = "/v1/policy/rules/{name}",
     PARAMETERS(rule_set_parameters),
     .view = &view_rule,
     .help = "Add a rule, or change what is given of it."},
    {.noun = "policy",
     .verb = "rule-move",
     .method = "POST",
     .path = "/v1/policy/rules/{name}/move",
     PARAMETERS(rule_move_parameters),
     .view = &view_rule,
     .help = "Give a rule another place."},
    {.noun = "policy",
     .verb = "rule-remove",
     .method = "DELETE",
     .path = "/v1/policy/rules/{name}",
     PARAMETERS(rule_parameters),
     .view = &view_removed,
     .help = "Remove a rule."},

    {.noun = "group",
     .verb = "list",
     .method = "GET",
     .path = "/v1/groups",
     .view = &view_groups,
     .help = "List the groups."},
    {.noun = "group",
     .verb = "add",
     .method = "POST",
     .path = "/v1/groups",
     PARAMETERS(group_add_parameters),
     .view = &view_group,
     .help = "Add a group, or members to it."},
    {.noun = "group",
     .verb = "members",
     .method = "GET",
     .path = "/v1/groups/{group}/members",
     PARAMETERS(group_parameters),
     .view = &view_group_members,
     .help = "List the members of a group."},
    {.noun = "group",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/groups/{group}/members/{member}",
     PARAMETERS(group_remove_parameters),
     .view = &view_removed,
     .help = "Remove members from a group."},
    {.noun = "group",
     .verb = "delete",
     .method = "DELETE",
     .path = "/v1/groups/{group}",
     PARAMETERS(group_parameters),
     .view = &view_removed,
     .help = "Delete a group that no rule names, with its members."},

    {.noun = "queue",
     .verb = "list",
     .method = "GET",
     .path = "/v1/queue",
     .view = &view_queue,
     .help = "List the messages that wait on the node that answers."},
    {.noun = "queue",
     .verb = "show",
     .method = "GET",
     .path = "/v1/queue/{id}",
     PARAMETERS(queue_id_parameters),
     .show = show_queue_entry,
     .help = "Show a message that waits, and how policy decided about it."},
    {.noun = "queue",
     .verb = "retry",
     .method = "POST",
     .path = "/v1/queue/{id}/retry",
     .path_without = "/v1/queue/retry",
     PARAMETERS(queue_retry_parameters),
     .view = &view_count,
     .help = "Try to deliver a message, or all, now."},
    {.noun = "queue",
     .verb = "release",
     .method = "POST",
     .path = "/v1/queue/{id}/release",
     PARAMETERS(queue_ids_parameters),
     .view = &view_count,
     .help = "Deliver messages that are in quarantine."},
    {.noun = "queue",
     .verb = "delete",
     .method = "DELETE",
     .path = "/v1/queue/{id}",
     PARAMETERS(queue_ids_parameters),
     .view = &view_count,
     .help = "Drop messages; nobody is told."},

    {.noun = "token",
     .verb = "add",
     .method = "POST",
     .path = "/v1/tokens",
     PARAMETERS(token_add_parameters),
     .view = &view_token,
     .help = "Make an API token; it is shown only now."},
    {.noun = "token",
     .verb = "remove",
     .method = "DELETE",
     .path = "/v1/tokens/{name}",
     PARAMETERS(token_parameters),
     .view = &view_removed,
     .help = "Make the token of that name worthless."},
};

static const struct cli_parameter globals[] = {
    {.name = "output",
     .kind = CLI_OPTION,
     .place = PLACE_VIEW,
     .value = "FORMAT",
     .choices = "table|json",
     .help = "how the answer is shown; also -o"},
    {.name = "endpoint",
     .kind = CLI_OPTION,
     .place = PLACE_VIEW,
     .value = "URL",
     .help = "the node to talk to; else SEALPOST_ENDPOINT, else https://127.0.0.1:2513"},
    {.name = "token-file",
     .kind = CLI_OPTION,
     .place = PLACE_VIEW,
     .value = "F",
     .help = "file with the API token; else the token in SEALPOST_TOKEN"},
    {.name = "cacert",
     .kind = CLI_OPTION,
     .place = PLACE_VIEW,
     .value = "F",
     .help = "certificate of the cluster's CA (PEM); else SEALPOST_CACERT"},
    {.name = "consistent",
     .kind = CLI_FLAG,
     .place = PLACE_VIEW,
     .help = "read what was acknowledged anywhere before, not just what the node has by now"},
    {.name = "help", .kind = CLI_FLAG, .place = PLACE_VIEW, .help = "about the command; also -h"},
};

static const struct {
    const char *noun, *help;
} nouns[] = {
    {"cluster", "the cluster as a whole"},
    {"node", "the nodes that it consists of"},
    {"settings", "what can be set, at which level"},
    {"domain", "domains, ours and partners'"},
    {"user", "addresses with settings of their own"},
    {"cert", "certificates"},
    {"key", "private keys"},
    {"ca", "trust anchors"},
    {"ctl", "certificates that are allowed or denied by themselves"},
    {"crl", "revocation lists"},
    {"policy", "what becomes of mail"},
    {"group", "sets of addresses and domains, for rules"},
    {"queue", "mail that waits to be delivered"},
    {"token", "what programs sign in with"},
};

const struct cli_command *cli_command_at(size_t i)
{
    return i < COUNT_OF(commands) ? &commands[i] : NULL;
}

const struct cli_parameter *cli_global_at(size_t i)
{
    return i < COUNT_OF(globals) ? &globals[i] : NULL;
}

const char *cli_noun_help(const char *noun)
{
    for (size_t i = 0; i < COUNT_OF(nouns); i++) {
        if (strcmp(nouns[i].noun, noun) == 0) {
            return nouns[i].help;
        }
    }
    return NULL;
}
