/*
 * Settings: one table (store/setting_table.c) declares each with name, type, range, default, the levels at
 * which it may be set and its help. Values are kept as canonical text. A value is looked up for an address
 * from the most specific level to the least: user, domain (exact, then *.parent from the longest), global,
 * factory (the table's default).
 */
#ifndef SEALPOST_STORE_SETTING_H
#define SEALPOST_STORE_SETTING_H

#include "store/store.h"

#define SETTING_VALUE_MAX 4096 /* bytes of canonical text */
#define SETTING_SCOPE_MAX 320  /* bytes: the longest address */

/* The numbers are in commands and keys: append only. */
enum setting_level { SETTING_FACTORY, SETTING_GLOBAL, SETTING_DOMAIN, SETTING_USER };
enum setting_levels { SETTING_AT_GLOBAL = 1, SETTING_AT_DOMAIN = 2, SETTING_AT_USER = 4 };

enum setting_type {
    SETTING_BOOL,      /* yes | no */
    SETTING_INTEGER,   /* decimal within [min, max] */
    SETTING_BYTES,     /* 50M, 64K, 123; canonical: decimal bytes */
    SETTING_DURATION,  /* 500ms, 30s, 10m, 4h, 5d; canonical: as given; range in ms */
    SETTING_DURATIONS, /* a list of durations, for retry schedules: "1m,5m,30m,2h" */
    SETTING_CHOICE,    /* one of `choices`, separated by | */
    SETTING_NETWORKS, /* list of CIDR, v4 and v6, comma or space separated; canonical: comma separated; max 1:
                         single addresses only */
    SETTING_HOSTS,    /* next hops: list of HOST[:PORT]; [v6]:PORT; "" = none */
    SETTING_TEXT,
    SETTING_CHOICES, /* a list of `choices`, each at most once, in the order that counts; "" = none */
    SETTING_TEXTS, /* a list of texts separated by commas, or /expressions/ in which a comma counts as such */
    SETTING_THUMBPRINTS, /* list of SHA-256 thumbprints: 64 hexadecimal digits each; canonical: as given */
    SETTING_LOOKUPS,     /* directory URLs (RFC 4516) with %s in the filter, separated by spaces; "" = none */
    SETTING_ADDRESSES,   /* at most `max` mail addresses, comma separated, in their normal form; "" = none */
};

/* Whose value counts for a message: SENDER, RECIPIENT, BOTH (the stricter), NODE (no address: global). */
enum setting_side { SETTING_OF_NODE, SETTING_OF_SENDER, SETTING_OF_RECIPIENT, SETTING_OF_BOTH };

/* One for each row of the table, in its order. Only for use within a program: what is stored has the name. */
enum setting_id {
    SETTING_DOMAIN_LOCALITY,
    SETTING_ENCRYPT_MODE,
    SETTING_ENCRYPT_METHODS,
    SETTING_ENCRYPT_ON_FAILURE,
    SETTING_PARTIAL_RECIPIENTS,
    SETTING_ENCRYPT_CALENDAR,
    SETTING_ENCRYPT_REPORTS,
    SETTING_ENCRYPT_AUTO_REPLIES,
    SETTING_ENCRYPT_EMPTY,
    SETTING_ENCRYPT_TNEF,
    SETTING_MIME_MALFORMED,
    SETTING_TRIGGER_SUBJECT_ENCRYPT,
    SETTING_TRIGGER_SUBJECT_SIGN,
    SETTING_TRIGGER_SUBJECT_PLAIN,
    SETTING_TRIGGER_SUBJECT_REMOVE,
    SETTING_TRIGGER_HEADER_ENCRYPT,
    SETTING_TRIGGER_HEADER_SIGN,
    SETTING_TRIGGER_LABEL_ENCRYPT,
    SETTING_TRIGGER_LABEL_SIGN,
    SETTING_SIGN_MODE,
    SETTING_SIGN_ON_MISSING_KEY,
    SETTING_SIGN_ALREADY,
    SETTING_ENCRYPT_ALREADY,
    SETTING_SIGN_CALENDAR,
    SETTING_SMIME_ENABLED,
    SETTING_SMIME_CIPHER,
    SETTING_SMIME_OPAQUE,
    SETTING_SMIME_KEY_TRANSPORT,
    SETTING_SMIME_COMPRESS,
    SETTING_SMIME_DIGEST,
    SETTING_SMIME_PSS,
    SETTING_PROTECT_HEADERS,
    SETTING_PROTECT_LEGACY_DISPLAY,
    SETTING_SMIME_REVOCATION,
    SETTING_DECRYPT_ON_FAILURE,
    SETTING_DECRYPT_UNAUTHENTICATED,
    SETTING_VERIFY_ON_INVALID,
    SETTING_SMIME_REMOVE_SIGNATURE,
    SETTING_INCOMING_SUBJECT_TAGS,
    SETTING_INCOMING_BANNER,
    SETTING_CERT_SELECT,
    SETTING_ENCRYPT_MIN_TRUST,
    SETTING_ENCRYPT_ALSO_TO,
    SETTING_HARVEST_SMIME,
    SETTING_HARVEST_CONFIRM,
    SETTING_KEY_ON_CHANGE,
    SETTING_CERT_EXPIRY_WARN,
    SETTING_RELAY_NETWORKS,
    SETTING_SMTP_MAX_SIZE,
    SETTING_SMTP_MAX_RECIPIENTS,
    SETTING_SMTP_MAX_SESSIONS,
    SETTING_SMTP_MAX_SESSIONS_PER_CLIENT,
    SETTING_SMTP_MAX_MESSAGES_PER_SESSION,
    SETTING_SMTP_MAX_ERRORS,
    SETTING_SMTP_MAX_LINE_LENGTH,
    SETTING_SMTP_MAX_COMMAND_LENGTH,
    SETTING_SMTP_MAX_HEADER,
    SETTING_SMTP_MAX_MEMORY,
    SETTING_SMTP_COMMAND_TIMEOUT,
    SETTING_SMTP_DATA_TIMEOUT,
    SETTING_SMTP_TLS,
    SETTING_DELIVERY_NEXT_HOP,
    SETTING_DELIVERY_PROTOCOL,
    SETTING_DELIVERY_SOURCE_ADDRESS,
    SETTING_DELIVERY_HELO_NAME,
    SETTING_DELIVERY_PAUSED,
    SETTING_DELIVERY_MAX_RATE,
    SETTING_DELIVERY_MX_PORT,
    SETTING_SENDER_NEXT_HOP,
    SETTING_DELIVERY_TLS,
    SETTING_DELIVERY_TLS_TRUST,
    SETTING_DELIVERY_TLS_LOWEST,
    SETTING_DELIVERY_FINGERPRINT,
    SETTING_DELIVERY_MTA_STS,
    SETTING_DELIVERY_MAX_CONNECTIONS,
    SETTING_DELIVERY_MAX_MESSAGES_PER_CONNECTION,
    SETTING_DELIVERY_CONNECT_TIMEOUT,
    SETTING_DELIVERY_TIMEOUT,
    SETTING_DELIVERY_IDLE_TIMEOUT,
    SETTING_DELIVERY_RETRY,
    SETTING_DELIVERY_EXPIRE,
    SETTING_DELIVERY_DELAY_NOTICE,
    SETTING_BOUNCE_CONTENT,
    SETTING_TLSRPT_SEND,
    SETTING_TLSRPT_FROM,
    SETTING_TLSRPT_CONTACT,
    SETTING_LOG_SUBJECTS,
    SETTING_TRACE_RETENTION,
    SETTING_TRACE_MAX_SIZE,
    SETTING_CA_HANDLER,
    SETTING_CA_DEFAULT,
    SETTING_CA_AUTO_REQUEST,
    SETTING_CA_AUTO_REQUEST_LIMIT,
    SETTING_CA_PROFILE,
    SETTING_CA_KEY_TYPE,
    SETTING_CA_VALIDITY,
    SETTING_CA_RENEW_BEFORE,
    SETTING_CA_CRL_URL,
    SETTING_CA_CRL_VALIDITY,
    SETTING_CLUSTER_STALE_AFTER,
    SETTING_CLUSTER_WHEN_STALE,
    SETTING_SMIME_AIA,
    SETTING_CERT_LOOKUP,
    SETTING_CERT_LOOKUP_ON_FAILURE,
    SETTING_CRL_REFRESH,
    SETTING_OCSP_ENABLED,
    SETTING_FETCH_ALLOW_NETWORKS,
    SETTING_ENCRYPT_INTERNAL,
    SETTING_ENCRYPT_INTERNAL_FROM,
    SETTING_RELAY_UNKNOWN_SENDER,
    SETTING_DNS_RESOLVERS,
    SETTING_DNS_TRUST_ANCHORS,
    SETTING_DNS_REFRESH,
    SETTING_TRIGGER_GROUP_ENCRYPT,
    SETTING_TRIGGER_GROUP_SIGN,
    SETTING_ENCRYPT_NOTIFY_SENDER,
    SETTING_NOTIFY_TO,
    SETTING_NOTIFY_FROM,
    SETTING_NOTIFY_USERS,
    SETTING_NOTIFY_GATHER,
    SETTING_ENCRYPT_REPLIES,
    SETTING_SMTP_PROXY_NETWORKS,
    SETTING_SMTP_XCLIENT_NETWORKS,
    SETTING_SMTP_MAX_RECEIVED,
    SETTING_SMTP_MAX_PASSES,
    SETTING_SMTP_MIN_DATA_RATE,
    SETTING_SMTP_DISK_RESERVE,
    SETTING_SMTP_RATE_EXEMPT,
    SETTING_SMTP_CLIENT_RATE,
    SETTING_SMTP_CLIENT_RECIPIENT_RATE,
    SETTING_SMTP_CLIENT_CONNECTION_RATE,
    SETTING_SMTP_CLIENT_TLS_RATE,
    SETTING_SMTP_CLIENT_ERROR_RATE,
    SETTING_SMTP_SENDER_HOURLY_MESSAGES,
    SETTING_SMTP_SENDER_DAILY_MESSAGES,
    SETTING_SMTP_SENDER_HOURLY_RECIPIENTS,
    SETTING_SMTP_SENDER_DAILY_RECIPIENTS,
    SETTING_SMTP_ACCOUNT_HOURLY_MESSAGES,
    SETTING_SMTP_ACCOUNT_DAILY_MESSAGES,
    SETTING_SMTP_ACCOUNT_HOURLY_RECIPIENTS,
    SETTING_SMTP_ACCOUNT_DAILY_RECIPIENTS,
    SETTING_DKIM_SIGN,
    SETTING_DKIM_SELECTOR,
    SETTING_DKIM_SUBDOMAINS,
    SETTING_DKIM_CANONICALIZATION,
    SETTING_DKIM_TIMESTAMP,
    SETTING_DKIM_EXPIRE,
    SETTING_COUNT
};

struct setting {
    const char *name;
    enum setting_type type;
    const char *default_text;
    uint64_t min, max;   /* INTEGER, BYTES, DURATION (ms); TEXT: length */
    const char *choices; /* CHOICE, CHOICES: weakest first, where there is an order of strictness */
    unsigned levels;     /* enum setting_levels */
    enum setting_side side;
    unsigned since;         /* the command set that brought it: a cluster with an older node cannot set it */
    const char *permission; /* to write it */
    const char *help;
    const char *cost; /* what it costs when it is switched on or raised */
};

const struct setting *setting_find(struct slice name); /* NULL if unknown */
const struct setting *setting_at(size_t i);            /* by enum setting_id; NULL at the end */
const char *setting_nearest(struct slice name);        /* for "did you mean"; NULL if nothing is near */
/* As setting_find; NULL with a failure text that names the nearest. */
const struct setting *setting_named(struct slice name, struct failure *f);
/* Can `s` be set at this level (any number), and what is the normal form of the scope? INVALID with the
 * reason. */
enum status setting_scope(const struct setting *s, uint64_t level, struct slice scope,
                          char out[SETTING_SCOPE_MAX + 1], struct failure *f) MUST_CHECK;
/* Check a value and give its canonical text; the failure says what would be right. */
enum status setting_canonical(const struct setting *s, struct slice value, struct buf *out,
                              struct failure *f) MUST_CHECK;
const char *setting_level_name(enum setting_level level); /* "factory", "global", "domain", "user" */

struct setting_value {
    const struct setting *setting;
    struct slice text;        /* canonical; in the map or static */
    enum setting_level level; /* where it came from */
    struct slice scope;       /* domain ("*.x" if so) or address that it was set for; else empty */
    bool proposed;            /* not set: what policy explain was asked to suppose */
};
/* `address` may be empty (global), a bare domain, or a mailbox. Never fails for a setting of the table: a
 * store error gives the status, and the caller fails closed. */
enum status setting_get(struct store_view *v, const struct setting *s, struct slice address,
                        struct setting_value *out) MUST_CHECK;
/* All settings as they hold for an address, as setting_get() would find each: one seek a scope, however many
 * settings there are. `base`: what settings_resolve() gave for the empty address (the global values); NULL:
 * looked up as well. Slices live as long as the view. */
struct setting_values {
    struct setting_value of[SETTING_COUNT]; /* by enum setting_id */
};
enum status settings_resolve(struct store_view *v, struct slice address, const struct setting_values *base,
                             struct setting_values *out) MUST_CHECK;
/* What is set at exactly this level and scope (in any case of letters): NOT_FOUND if nothing. */
enum status setting_get_exact(struct store_view *v, const struct setting *s, enum setting_level level,
                              struct slice scope, struct setting_value *out) MUST_CHECK;
typedef bool (*setting_visit_cb)(void *context, const struct setting_value *value);
enum status settings_all(struct store_view *v, setting_visit_cb cb,
                         void *context) MUST_CHECK; /* those that were set */

/* Typed reading of a canonical text (which was checked when it was set). */
bool setting_bool(const struct setting_value *value);
uint64_t setting_number(const struct setting_value *value); /* INTEGER; BYTES in bytes; DURATION in ms */
size_t setting_choice(const struct setting_value *value);   /* position in `choices` */
/* DURATIONS: the i-th, the last one again for greater i. */
uint64_t setting_duration_at(const struct setting_value *value, size_t i);
/* NETWORKS: does the list hold this address (text form of v4 or v6; v4-mapped v6 counts as v4)? */
bool setting_networks_hold(const struct setting_value *value, struct slice ip);
/* Any list whose items have no commas or spaces in them: the i-th; false at the end. */
bool setting_item_at(const struct setting_value *value, size_t i, struct slice *item);
/* CHOICES, TEXTS and ADDRESSES: the i-th as it was written; false at the end. */
bool setting_text_at(const struct setting_value *value, size_t i, struct slice *text);
/* THUMBPRINTS: the i-th; false at the end. */
bool setting_thumbprint_at(const struct setting_value *value, size_t i, uint8_t thumbprint[32]);
/* HOSTS: the i-th; false at the end. port = 0 if none was given. Host without brackets. */
bool setting_host_at(const struct setting_value *value, size_t i, struct slice *host, uint16_t *port);

#endif
