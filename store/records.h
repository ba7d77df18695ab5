/*
 * What the tables hold, as C structs, and the queries over a view. Slices point into the map and end with the
 * view. Lists are visited in key order; a visitor that returns false stops the walk (the query still gives
 * OK). Domains are lower-case A-labels; addresses are stored with a lower-case domain and local part
 * (address_normalise()).
 */
#ifndef SEALPOST_STORE_RECORDS_H
#define SEALPOST_STORE_RECORDS_H

#include "store/store.h"

#define THUMBPRINT_SIZE    32 /* SHA-256 of a certificate's DER */
#define ADDRESS_MAX        320
#define DOMAIN_MAX         255
#define CERT_ADDRESSES_MAX 32

/* Lower-cases; checks that there is one @ with something on both sides, no control bytes, no spaces. "" and
 * bad forms: INVALID. */
enum status address_normalise(struct slice address, char out[ADDRESS_MAX + 1], struct failure *f) MUST_CHECK;
enum status domain_normalise(struct slice domain, char out[DOMAIN_MAX + 1],
                             struct failure *f) MUST_CHECK; /* also "*.x" */
struct slice address_domain(struct slice address);          /* what follows the last @ */
/* HOST, HOST:PORT, [v6] or [v6]:PORT. `host` has no brackets and points into `text`; port 0 if none is given.
 */
bool endpoint_parse(struct slice text, struct slice *host, uint16_t *port);

/* What it may be used for; kept beside the certificate. Append only: the numbers are stored. */
enum certificate_state {
    CERT_ACTIVE,
    CERT_QUARANTINE, /* waits for an administrator's `cert confirm`: never encrypted to, signs nothing */
    CERT_REPLACED,   /* a newer one took its place: for reading old mail, no longer encrypted to */
    CERT_STATE_COUNT
};
const char *certificate_state_name(enum certificate_state state); /* "active", ... */

/* Flags, as its extensions allow. */
enum certificate_use { CERT_USE_SIGN = 1, CERT_USE_ENCRYPT = 2, CERT_USE_CA = 4 };
/* Flags: what programs of its owner can read, out of the certificate's SMIMECapabilities extension and of
 * mail that was signed (crypto/capability.c has the algorithms). They are stored: append only. None at all:
 * nobody said anything. */
enum certificate_capability {
    CERT_CAP_AES256_GCM = 1 << 0,
    CERT_CAP_AES192_GCM = 1 << 1,
    CERT_CAP_AES128_GCM = 1 << 2,
    CERT_CAP_AES256_CBC = 1 << 3,
    CERT_CAP_AES192_CBC = 1 << 4,
    CERT_CAP_AES128_CBC = 1 << 5,
    CERT_CAP_3DES = 1 << 6,
    CERT_CAP_OAEP_SHA256 = 1 << 7, /* RSAES-OAEP with SHA-256 and MGF1 with SHA-256 */
    CERT_CAP_RSA_PKCS1 = 1 << 8,   /* key transport of PKCS #1 v1.5 */
    CERT_CAP_ECDH_SHA256 = 1 << 9, /* dhSinglePass-stdDH-sha256kdf-scheme, ... (RFC 5753) */
    CERT_CAP_ECDH_SHA384 = 1 << 10,
    CERT_CAP_ECDH_SHA512 = 1 << 11,
    CERT_CAP_RSA_PSS = 1 << 12,
    CERT_CAP_ECDSA_SHA256 = 1 << 13,
    CERT_CAP_ECDSA_SHA384 = 1 << 14,
    CERT_CAP_ECDSA_SHA512 = 1 << 15,
    CERT_CAP_ED25519 = 1 << 16,
    CERT_CAP_RSA_SHA256 = 1 << 17,
    CERT_CAP_RSA_SHA384 = 1 << 18,
    CERT_CAP_RSA_SHA512 = 1 << 19,
    CERT_CAP_ZLIB = 1 << 20, /* CompressedData (RFC 3274) */
};

struct certificate_record {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct slice der;
    struct slice addresses[CERT_ADDRESSES_MAX]; /* normalised */
    size_t address_count;
    struct slice subject, issuer; /* RFC 4514 text, escaped */
    struct slice serial;          /* hex text */
    uint64_t not_before_ms, not_after_ms;
    uint64_t uses; /* enum certificate_use */
    uint64_t
        capabilities; /* enum certificate_capability; of the store's queries: with those that mail told */
    uint64_t added_ms;
    struct slice source;          /* "import", "harvest", ... */
    enum certificate_state state; /* no part of the encoding: filled by the store's queries */
};
/* For COMMAND_CERT_ADD's field; certificate_record_decode checks everything that can be checked without
 * X.509. */
enum status certificate_record_encode(const struct certificate_record *r, struct buf *out) MUST_CHECK;
enum status certificate_record_decode(struct slice in, struct certificate_record *r) MUST_CHECK;

typedef bool (*certificate_visit_cb)(void *context, const struct certificate_record *record);
enum status store_certificate_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                  struct certificate_record *out) MUST_CHECK; /* NOT_FOUND */
enum status store_certificates_for(struct store_view *v, struct slice address, certificate_visit_cb cb,
                                   void *context) MUST_CHECK;
enum status store_certificates_all(struct store_view *v, certificate_visit_cb cb, void *context) MUST_CHECK;
/* Those of CAs alone, whatever their state; costs nothing for the others. */
enum status store_ca_certificates_all(struct store_view *v, certificate_visit_cb cb,
                                      void *context) MUST_CHECK;
bool store_has_key(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE]);
enum status store_keys_all(struct store_view *v, certificate_visit_cb cb,
                           void *context) MUST_CHECK; /* certificates whose keys are there */
enum status store_key_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                          struct slice *sealed) MUST_CHECK;
/* Trust anchors: thumbprints of stored certificates. */
bool store_is_trusted(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE]);
enum status store_anchors_all(struct store_view *v, certificate_visit_cb cb, void *context) MUST_CHECK;
/* Changes whenever a CA's certificate or trust changes: lets a worker keep its parsed anchors. */
uint64_t store_trust_generation(struct store_view *v);
/* Changes whenever rules do, or a group comes or goes: lets a worker keep its compiled rules (mail/rule.h).
 */
uint64_t store_policy_generation(struct store_view *v);

/* --- bindings: certificates for a domain or an address, by hand --- */
enum binding_flags {
    BINDING_PINNED = 1 /* an administrator vouches for it: no path to an anchor is needed */
};
typedef bool (*binding_visit_cb)(void *context, const struct certificate_record *record, uint64_t flags);
/* `scope`: domain, *.parent or address in its normal form; exactly this one. */
enum status store_bindings_for(struct store_view *v, struct slice scope, binding_visit_cb cb,
                               void *context) MUST_CHECK;
/* Those of a domain or, if it has none, of the nearest *.parent that has some. */
enum status store_domain_bindings(struct store_view *v, struct slice domain, binding_visit_cb cb,
                                  void *context) MUST_CHECK;
typedef bool (*binding_scope_cb)(void *context, struct slice scope, uint64_t flags);
enum status store_bindings_of(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                              binding_scope_cb cb, void *context) MUST_CHECK;
/* Domain or address in its normal form; INVALID. */
enum status binding_scope_normalise(struct slice scope, char out[ADDRESS_MAX + 1],
                                    struct failure *f) MUST_CHECK;

/* --- harvesting: COMMAND_CERT_HARVEST's numbers --- */
enum harvest_on_change { HARVEST_REVIEW, HARVEST_REPLACE, HARVEST_KEEP };
enum harvest_flags { HARVEST_SAME_KEY = 1, HARVEST_CAPABILITIES = 2 };

#define CERT_ADD_MANY_MAX 256 /* records of COMMAND_CERT_ADD_MANY that a node takes */
/* Records of one such command that are proposed: core's loop stands still while it applies one. */
#define CERT_ADD_AT_ONCE 16

struct node_record {
    uint64_t id;
    struct slice name, peer_address, api_address, smtp_address; /* HOST:PORT */
    uint8_t spki_hash[32]; /* SHA-256 of the public key in its peer certificate */
    uint64_t command_set;
    uint64_t added_ms;
};
typedef bool (*node_visit_cb)(void *context, const struct node_record *record);
enum status store_node_get(struct store_view *v, uint64_t id, struct node_record *out) MUST_CHECK;
enum status store_node_by_name(struct store_view *v, struct slice name, struct node_record *out) MUST_CHECK;
enum status store_nodes_all(struct store_view *v, node_visit_cb cb, void *context) MUST_CHECK;
bool store_node_was_removed(struct store_view *v, uint64_t id); /* ids are never given again */
uint64_t store_cluster_version(struct store_view *v);           /* lowest command_set of all nodes */

struct cluster_record {
    struct slice id; /* 16 bytes */
    struct slice name;
    struct slice ca_certificate; /* DER */
    struct slice ca_key;         /* sealed PKCS#8 */
    struct slice data_key_id;    /* 16 bytes */
    struct slice data_key;       /* wrapped */
};
enum status store_cluster_get(struct store_view *v,
                              struct cluster_record *out) MUST_CHECK; /* NOT_FOUND before init was applied */

#define API_TOKENS_MAX 1000
struct api_token_record {
    struct slice name, role;
    uint64_t expires_ms;   /* 0: never */
    uint64_t added_ms;     /* 0: by an older release, which did not note it */
    struct slice added_by; /* "token:NAME", "init"; "" likewise */
};
typedef bool (*api_token_visit_cb)(void *context, const struct api_token_record *record);
enum status store_api_token_get(struct store_view *v, const uint8_t hash[32],
                                struct api_token_record *out) MUST_CHECK;
enum status api_token_decode(struct slice value, struct api_token_record *out) MUST_CHECK; /* or CORRUPT */
/* In no order that means anything. */
enum status store_api_tokens_all(struct store_view *v, api_token_visit_cb cb, void *context) MUST_CHECK;

struct domain_record {
    struct slice name;
    uint64_t added_ms;
};
typedef bool (*domain_visit_cb)(void *context, const struct domain_record *record);
enum status store_domain_get(struct store_view *v, struct slice domain, struct domain_record *out) MUST_CHECK;
enum status store_domains_all(struct store_view *v, domain_visit_cb cb, void *context) MUST_CHECK;

struct user_record {
    struct slice address;
    uint64_t added_ms;
};
typedef bool (*user_visit_cb)(void *context, const struct user_record *record);
enum status store_user_get(struct store_view *v, struct slice address, struct user_record *out) MUST_CHECK;
enum status store_users_all(struct store_view *v, user_visit_cb cb, void *context) MUST_CHECK;

/* --- rules and groups (store/records_rules.c) --- */

#define RULE_NAME_MAX    63 /* bytes; of a group's, too */
#define RULE_WHEN_MAX    2048
#define RULE_THEN_MAX    1024
#define RULE_COMMENT_MAX 255
#define RULES_MAX        1000

/* Letters, digits, dot, hyphen and underscore, at most 63, the first a letter or digit. `what`: "a rule". */
enum status record_name_check(struct slice name, const char *what, struct failure *f) MUST_CHECK;

struct rule_record {
    uint64_t position; /* rules are asked in this order; the numbers have gaps */
    struct slice name;
    bool enabled;
    struct slice when, then; /* docs/rules.md; the store does not read them */
    struct slice comment;
    uint64_t changed_ms;
};
enum status rule_record_decode(struct slice key, struct slice value, struct rule_record *out) MUST_CHECK;
typedef bool (*rule_visit_cb)(void *context, const struct rule_record *record);
enum status store_rules_all(struct store_view *v, rule_visit_cb cb, void *context) MUST_CHECK; /* in order */
enum status store_rule_get(struct store_view *v, struct slice name, struct rule_record *out) MUST_CHECK;

struct group_record {
    struct slice name;
    uint64_t added_ms;
};
typedef bool (*group_visit_cb)(void *context, const struct group_record *record);
enum status store_group_get(struct store_view *v, struct slice name, struct group_record *out) MUST_CHECK;
enum status store_groups_all(struct store_view *v, group_visit_cb cb, void *context) MUST_CHECK;
/* Members are addresses, domains and "*.domain", in normal form; in key order from the first that is not
 * below `from`. */
typedef bool (*name_visit_cb)(void *context, struct slice name);
enum status store_group_members(struct store_view *v, struct slice group, struct slice from, name_visit_cb cb,
                                void *context) MUST_CHECK;
/* Groups that hold the address (normalised) itself, its domain, or one above it by "*.x". A group may be
 * visited several times. */
enum status store_groups_of(struct store_view *v, struct slice address, name_visit_cb cb,
                            void *context) MUST_CHECK;
enum status store_group_holds(struct store_view *v, struct slice group, struct slice address,
                              bool *holds) MUST_CHECK;
#define GROUP_ADD_MAX (512 << 10) /* bytes of the members in one command */
/* An address, a domain or "*.domain" in normal form. INVALID. */
enum status group_member_normalise(struct slice member, char out[ADDRESS_MAX + 1],
                                   struct failure *f) MUST_CHECK;
/* The next of the members of COMMAND_GROUP_ADD; false at the end. */
bool group_member_next(struct slice *members, struct slice *member);

#endif
