/*
 * The tables of the store: named LMDB databases, what their keys and values are byte by byte, and how they
 * are reached. Internal to store/.
 *
 * Values are MessagePack arrays unless said otherwise; "u64" as a key or a raw value is 8 bytes, big endian;
 * "ms" is milliseconds since 1970, from the command's own time.
 *
 *   meta: text -> u64, raw
 *     "format"            STORE_FORMAT_VERSION
 *     "applied"           index of the last applied command
 *     "next_node_id"      the number that the next node gets
 *     "trust_generation"  counts the changes of CA certificates, trust, ctl, lists, revocations,
 *                         smime.revocation
 *     "policy_generation" counts the changes of rules, and of which groups there are
 *   commands: command id (16 bytes) -> [index, status, text, result bin]
 *   command_index: u64 index -> command id (16 bytes, raw)
 *   settings: level (1 byte), scope, NUL, name -> canonical value, raw text
 *   domains: domain -> [added ms]
 *   users: address -> [added ms]
 *   certs: thumbprint (32 bytes) -> certificate record (store/records.h)
 *   cert_address: address, NUL, thumbprint -> nothing
 *   keys: thumbprint (32 bytes) -> private key, sealed, raw
 *   ctl: thumbprint (32 bytes) -> [verdict, expires ms, comment, added ms]
 *   crls: issuer (32 bytes), part (16) -> [generation, list record (store/records_trust.h) bin]: in force
 *   crl_imports: issuer, part, u64 generation -> [rows, begun ms]: lists that are coming in
 *   revoked: issuer, part, u64 generation, serial number -> [revoked ms, reason]
 *   ocsp: issuer (32 bytes), serial number -> [status, revoked ms, reason, this ms, next ms, added ms]
 *   trust: thumbprint (32 bytes) -> [added ms, comment]
 *   cert_state: thumbprint (32 bytes) -> [state, capabilities, capabilities seen ms, since ms]; see enum
 *     certificate_state. Not there: active, with the capabilities of the certificate alone
 *   bindings: domain or address, NUL, thumbprint -> [flags, added ms]; see enum binding_flags
 *   cert_index: a byte that says what follows, and in the end a thumbprint (32 bytes) -> nothing
 *     'w', word, NUL           a word of its addresses, subject, issuer or serial (store/certificate_words.h)
 *     'd', domain, NUL         the domain of an address with its labels turned round: "example.partner"
 *     'e', u64 not after ms    when it expires
 *     's', source, NUL         where it came from
 *     'c'                      it is a CA's
 *   cert_bindings: thumbprint (32 bytes), domain or address -> nothing: the bindings the other way
 *   domain_dns: domain -> [added ms, asked ms, checked ms, answer, changed ms, signed ms,
 *       fingerprints bin, note] (store/records_dns.h)
 *   sts: domain -> [id, mode, max_age s, mx, fetched ms, asked ms, failed ms, note] (store/records_sts.h)
 *   notices: a byte that says what follows (store/records_notice.h)
 *     'm', address             -> [id bin, node, state, claimed ms, ended ms, items, waiting, reason]: its
 * last mail 'o', address             -> nothing: that mail is under way 'i', address, NUL, topic -> as 't':
 * what the mail that is under way says 't', address, NUL, topic -> [id bin, told ms, until ms, before ms,
 * text]: what was told nodes: u64 node id -> [name, peer, api, smtp, SPKI hash bin, command set, added ms]
 *   removed_nodes: u64 node id -> [removed ms]
 *   node_tokens: SHA-256 of the token's secret -> [expires ms, node id that used it or 0]
 *   api_tokens: SHA-256 of the token -> [name, role, expires ms, added ms, who added it]; those of
 *     command 6 end after the third
 *   cas: CA name -> [thumbprint bin, key sealed bin, issuing CA's name or "", CRL number, thisUpdate ms,
 *       nextUpdate ms, added ms, issuer (32 bytes) of its lists in `crls` bin]
 *   ca_crl: CA name -> its CRL in force, DER, raw
 *   ca_issued: thumbprint (32 bytes) -> [CA name ("": a CA elsewhere answered a request), serial bin,
 * address, uses, issued ms, notAfter ms, flags, thumbprint of the certificate issued with it or "" bin,
 * thumbprint of its successor or "" bin] ca_revoked: CA name, NUL, serial -> [thumbprint ("": it came with an
 * imported CA) bin, revoked ms, reason, notAfter ms] ca_requests: SHA-256 of the public key -> [address,
 * name, PKCS#10 DER bin, key sealed bin, added ms] ca_request_address: address, NUL, SHA-256 of the public
 * key -> nothing: the requests of an address ca_allowance: domain, or "*" for all -> [hour since 1970,
 * certificates on demand in it] cluster: "cluster" -> [id bin, name, CA certificate bin, CA key sealed bin,
 * data key id bin, data key bin] rules: u64 position -> [name, enabled, when, then, comment, changed ms]
 *   groups: name -> [added ms]
 *   group_members: group, NUL, member (address, domain or *.domain) -> nothing
 *   member_groups: member, NUL, group -> nothing
 *   dkim_keys: domain, NUL, selector -> [algorithm, state, bits, id (32 bytes) bin, public key bin, key
 *     sealed bin, added ms, activated ms, ended ms] (store/records_dkim.h)
 *   rewrites: kind (1 byte), pattern -> [target, flags, added ms] (store/records_rewrite.h)
 *   listeners: name -> [changed ms, lines field=value bin] (store/records_listener.h)
 *   tls_certificates: name -> [added ms, notBefore ms, notAfter ms, names, chain (array of DER) bin, key
 *     sealed bin] (store/records_tls.h)
 */
#ifndef SEALPOST_STORE_TABLES_H
#define SEALPOST_STORE_TABLES_H

#include "store/store.h"

#include <lmdb.h>

enum table {
    TABLE_META,
    TABLE_COMMANDS,
    TABLE_COMMAND_INDEX,
    TABLE_SETTINGS,
    TABLE_DOMAINS,
    TABLE_USERS,
    TABLE_CERTS,
    TABLE_CERT_ADDRESS,
    TABLE_KEYS,
    TABLE_TRUST,
    TABLE_NODES,
    TABLE_REMOVED_NODES,
    TABLE_NODE_TOKENS,
    TABLE_API_TOKENS,
    TABLE_CLUSTER,
    TABLE_RULES,
    TABLE_GROUPS,
    TABLE_GROUP_MEMBERS,
    TABLE_MEMBER_GROUPS,
    TABLE_CTL,
    TABLE_CRLS,
    TABLE_CRL_IMPORTS,
    TABLE_REVOKED,
    TABLE_OCSP,
    TABLE_CERT_STATE,
    TABLE_BINDINGS,
    TABLE_CERT_INDEX,
    TABLE_CERT_BINDINGS,
    TABLE_CAS,
    TABLE_CA_CRL,
    TABLE_CA_ISSUED,
    TABLE_CA_REVOKED,
    TABLE_CA_REQUESTS,
    TABLE_CA_ALLOWANCE,
    TABLE_DOMAIN_DNS,
    TABLE_CA_REQUEST_ADDRESS,
    TABLE_NOTICES,
    TABLE_STS,
    TABLE_DKIM_KEYS,
    TABLE_REWRITES,
    TABLE_LISTENERS,
    TABLE_TLS_CERTIFICATES,
    TABLE_COUNT
};

extern const char *const table_names[TABLE_COUNT];

#define TABLE_ABSENT ((MDB_dbi)-1) /* of a snapshot that was made before there was such a table */

struct store {
    MDB_env *env;
    MDB_dbi tables[TABLE_COUNT];
    MDB_txn *batch;   /* writer: the open write transaction, or NULL */
    unsigned batches; /* writer: begun so far; now and then dead readers are looked for */
    bool writer;
    char *dir; /* owned */
};

#define RESTORE_FILE "restore.mdb" /* beside the map while a snapshot is restored */

struct store_view {
    struct store *store;
    MDB_txn *txn;
};

/* Open all tables within `txn`. */
enum tables_mode {
    TABLES_MAKE, /* a writer: those that are missing are made */
    TABLES_ALL,  /* a reader of the live map: a missing one is CORRUPT */
    TABLES_SOME  /* a snapshot, perhaps of an older release: a missing one is empty */
};
enum status tables_open(struct store *store, MDB_txn *txn, enum tables_mode mode,
                        struct failure *f) MUST_CHECK;
/* An LMDB error as a failure: MDB_MAP_FULL and ENOSPC become NO_SPACE, damage CORRUPT. */
enum status tables_failure(struct failure *f, int lmdb_error, const char *doing);

/* NOT_FOUND, or IO/CORRUPT with the LMDB error unsaid; `value` points into the map. */
enum status table_get(struct store *store, MDB_txn *txn, enum table table, struct slice key,
                      struct slice *value) MUST_CHECK;

/* The same; `key` becomes the key's copy in the map. */
enum status table_find(struct store *store, MDB_txn *txn, enum table table, struct slice *key,
                       struct slice *value) MUST_CHECK;

/* Walk in key order from the first key that is not below `from`; stop when visit returns false. */
typedef bool (*table_visit_cb)(void *context, struct slice key, struct slice value);
enum status table_walk(struct store *store, MDB_txn *txn, enum table table, struct slice from,
                       table_visit_cb visit, void *context) MUST_CHECK;

#define KEY_U64_SIZE 8
void key_u64_write(uint64_t number, uint8_t key[KEY_U64_SIZE]); /* big endian, so that keys sort by number */
bool key_u64_read(struct slice key, uint64_t *number);

#define SETTING_KEY_MAX (1 + 320 + 1 + 64)
/* level, scope, NUL, name; gives the length. */
size_t setting_key_write(unsigned level, struct slice scope, struct slice name, uint8_t key[SETTING_KEY_MAX]);

#endif
