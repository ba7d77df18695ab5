/*
 * Commands: the only way in which the replicated state changes. One table (store/command_table.c) declares
 * each: number, name, the version that brought it, its fields, the permission it asks for and the function
 * that applies it. Encoding, decoding, validation, the REST bodies and the docs come from that table.
 *
 * On the wire and in the log, MessagePack:
 *   [ number: u16, version: u16, id: bin 16, time: u64 wall ms, actor: str, [ field, ... ] ]
 * and, in a log entry, padded to a multiple of 8 bytes (DESIGN.md section 4, rule 2):
 *   bytes 0..3: length of the MessagePack, little endian; then the MessagePack; then zeros.
 *
 * A command carries its own time, random bytes and id, so that applying it is deterministic. Applying an id a
 * second time changes nothing and gives the first result. What a field says was checked by command_check()
 * before the command was proposed, and is checked again when it is applied: a command that does not fit the
 * state is answered with a status and changes nothing, on every node alike. Secrets in fields are sealed
 * before (crypto/seal.h).
 */
#ifndef SEALPOST_STORE_COMMAND_H
#define SEALPOST_STORE_COMMAND_H

#include "base/buf.h"
#include "base/clock.h"

#define COMMAND_MAX        ((size_t)1 << 20) /* bytes of one encoded command */
#define COMMAND_FIELDS_MAX 24
#define COMMAND_ACTOR_MAX  128
/* The newest version of the command set that this release knows; see store_cluster_version(). */
#define COMMAND_SET_VERSION 2

/* The fields of each, in order; their lengths are in store/command_table.c. Numbers are for ever: append
 * only. */
enum command_number {
    COMMAND_NONE = 0,
    /* cluster id (16 bytes), name, CA certificate (DER), CA key (sealed), data key id (16), data key
       (wrapped) */
    COMMAND_CLUSTER_INIT = 1,
    /* token hash (32; zeros: the founding node), name, peer, API and SMTP address, hash of the public key in
     * its certificate (32), command set. Uses the token up. Result: the node's id, u64 */
    COMMAND_NODE_ADMIT = 2,
    /* node id, name, peer, API and SMTP address, command set */
    COMMAND_NODE_UPDATE = 3,
    /* node id */
    COMMAND_NODE_REMOVE = 4,
    /* token hash (32), end of its life (ms) */
    COMMAND_NODE_TOKEN_ADD = 5,
    /* token hash (32), name, role ("admin"), end of its life (ms; 0: never). Of old logs: now 70 */
    COMMAND_API_TOKEN_ADD = 6,
    /* name. Of old logs: now 71 */
    COMMAND_API_TOKEN_REMOVE = 7,
    /* level (enum setting_level), scope (domain, address or ""), name, value */
    COMMAND_SETTING_SET = 8,
    /* level, scope, name */
    COMMAND_SETTING_UNSET = 9,
    /* domain, locality ("internal", "external", or "": as it is) */
    COMMAND_DOMAIN_ADD = 10,
    /* domain; its settings go with it */
    COMMAND_DOMAIN_REMOVE = 11,
    /* address */
    COMMAND_USER_ADD = 12,
    /* address; its settings go with it */
    COMMAND_USER_REMOVE = 13,
    /* certificate record (store/records.h), whose thumbprint is that of its DER */
    COMMAND_CERT_ADD = 14,
    /* thumbprint (32); its key and the trust in it go with it */
    COMMAND_CERT_REMOVE = 15,
    /* thumbprint (32) of a certificate that is there, private key (sealed) */
    COMMAND_KEY_ADD = 16,
    /* thumbprint (32) */
    COMMAND_KEY_REMOVE = 17,
    /* thumbprint (32) of a certificate that becomes a trust anchor, comment */
    COMMAND_TRUST_ADD = 18,
    /* thumbprint (32) */
    COMMAND_TRUST_REMOVE = 19,
    /* changes nothing; every node hashes its tables at this index (cluster verify) */
    COMMAND_CHECKPOINT = 20,
    /* name, enabled (0 or 1), when, then, comment, place (enum rule_place), name of the other rule. A rule of
     * that name is changed. */
    COMMAND_RULE_SET = 21,
    /* name */
    COMMAND_RULE_REMOVE = 22,
    /* name, place (enum rule_place but KEEP), name of the other rule */
    COMMAND_RULE_MOVE = 23,
    /* group, members (addresses, domains or *.domain, with a space between them; "": the group alone, which
     * must be new). A group that is not there is made; a member that is there already stays */
    COMMAND_GROUP_ADD = 24,
    /* group, member */
    COMMAND_GROUP_MEMBER_REMOVE = 25,
    /* group; its members go with it */
    COMMAND_GROUP_REMOVE = 26,
    /* --- 30 to 39: trust; see store/records_trust.h --- */
    /* thumbprint (32), verdict (enum ctl_verdict: allow, deny), end (ms; 0: never), comment. Replaces what
     * was said of it before */
    COMMAND_CTL_SET = 30,
    /* thumbprint (32) */
    COMMAND_CTL_REMOVE = 31,
    /* issuer (32), part (16), generation: rows of a new list are going to come. Nothing is in force by it */
    COMMAND_CRL_BEGIN = 32,
    /* issuer, part, generation, rows (bytes, see struct crl_row): of a list that was begun; or, as a delta,
     * of the generation in force, at once */
    COMMAND_CRL_ROWS = 33,
    /* issuer, part, generation, rows that must have come, list record (store/records_trust.h): put it in
     * force in place of the one before; with the generation in force, it is a delta that is now complete */
    COMMAND_CRL_FORCE = 34,
    /* issuer, part: take away some rows (CRL_SWEEP_MAX) that are no longer in force. Result: how many */
    COMMAND_CRL_SWEEP = 35,
    /* issuer, part: the list is in force no longer; its rows are swept away after it */
    COMMAND_CRL_REMOVE = 36,
    /* issuer (32), serial number, status (enum ocsp_status), revoked (ms), reason, thisUpdate, nextUpdate
     * (ms; 0: none). An answer that is older than the one that is there is a CONFLICT */
    COMMAND_OCSP_PUT = 37,
    /* issuer (32), serial number */
    COMMAND_OCSP_REMOVE = 38,
    /* --- 40 to 47: the CAs of this cluster; see store/records_ca.h --- */
    /* name, certificate record, key (sealed), name of the CA that issued it (or ""), 1: becomes a trust
       anchor, CRL (DER), its thisUpdate and nextUpdate (ms), its number, issuer of its lists
       (store/records_trust.h) */
    COMMAND_CA_ADD = 40,
    /* name; only a CA that has issued nothing */
    COMMAND_CA_REMOVE = 41,
    /* CA name, address, how (enum ca_issue_how), thumbprint that it replaces (or ""), flags (enum
       ca_issued_flags), certificate record, key (sealed), and a second certificate and key for the other use
       (or "") */
    COMMAND_CA_ISSUE = 42,
    /* CA name, thumbprint (32), reason (RFC 5280 section 5.3.1), and what COMMAND_CA_CRL has: the list that
       holds it */
    COMMAND_CA_REVOKE = 43,
    /* CA name, CRL number (one more than that in force), CRL (DER), thisUpdate, nextUpdate (ms) */
    COMMAND_CA_CRL = 44,
    /* SHA-256 of the public key (32), address, name (or ""), PKCS#10 (DER), key (sealed) */
    COMMAND_CA_REQUEST_ADD = 45,
    /* SHA-256 of the public key (32) */
    COMMAND_CA_REQUEST_REMOVE = 46,
    /* SHA-256 of the public key (32), certificate record, key (sealed anew for that certificate) */
    COMMAND_CA_REQUEST_COMPLETE = 47,
    /* A certificate that signed mail brought. Fields: certificate record; the signer's address ("": a CA of
     * its chain); state that it gets (enum certificate_state); what to do when the address has another (enum
     * harvest_on_change); flags (enum harvest_flags); capabilities that the mail announced; when it was seen
     * (ms). Of a certificate that is there only the capabilities are noted. */
    COMMAND_CERT_HARVEST = 50,
    /* thumbprint (32), state (enum certificate_state): quarantine, or confirm with ACTIVE */
    COMMAND_CERT_STATE = 51,
    /* thumbprint (32), domain or address, flags (enum binding_flags) */
    COMMAND_CERT_BIND = 52,
    /* thumbprint (32), domain or address */
    COMMAND_CERT_UNBIND = 53,
    /* array of certificate records; those that are there already are passed over */
    COMMAND_CERT_ADD_MANY = 54,
    /* --- 60 to 64: the CAs of this cluster, continued --- */
    /* as COMMAND_CA_ISSUE with CA_ISSUE_IF_NONE, on demand of a worker: within store/ca_allowance.h */
    COMMAND_CA_AUTO_ISSUE = 60,
    /* --- 65 to 67: what partner domains publish in DNS; see store/records_dns.h --- */
    /* domain: its fingerprints are looked up in DNS, now and then on schedule */
    COMMAND_DOMAIN_DNS_WATCH = 65,
    /* domain: they are looked up no longer, and what was seen is forgotten */
    COMMAND_DOMAIN_DNS_UNWATCH = 66,
    /* domain, answer (enum dns_answer), fingerprints (32 bytes each, ascending), note. Trusts nothing */
    COMMAND_DOMAIN_DNS_SEEN = 67,
    /* --- 70 to 71: API tokens with roles; see store/permission.h --- */
    /* as COMMAND_API_TOKEN_ADD, of any role; keeps when and by whom it was made */
    COMMAND_API_TOKEN_GRANT = 70,
    /* name; not the last token of the role admin */
    COMMAND_API_TOKEN_REVOKE = 71,
    /* --- 80 to 84: the CAs of this cluster, continued --- */
    /* name of the issuing CA, name of the CA that it revokes, reason, and what COMMAND_CA_CRL has: the
       issuer's list that holds it. Neither it nor a CA below it is a trust anchor any more */
    COMMAND_CA_REVOKE_CA = 80,
    /* as COMMAND_CA_ADD, of a CA that was there before; and what it has revoked so far (struct crl_row),
       which is on its list */
    COMMAND_CA_IMPORT = 81,
    /* as COMMAND_CA_REQUEST_ADD, on demand of a worker: within store/ca_allowance.h, and only while no
       request waits for the address */
    COMMAND_CA_REQUEST_AUTO = 82,
    /* as COMMAND_CA_REQUEST_ADD, ahead of a certificate's end: only while no request waits for the address */
    COMMAND_CA_REQUEST_RENEW = 83,
    /* --- 85 to 89: what is fetched --- */
    /* before (ms): take away some OCSP answers (OCSP_SWEEP_MAX) that said "good" until before then. Result:
     * how many. What is revoked stays known */
    COMMAND_OCSP_SWEEP = 85,
    /* --- 90 to 92: mails that tell people what expires; see store/records_notice.h --- */
    /* address, id of the mail (16), node id, how much more waits, what it says (struct notice_item, a list);
       without items: take over what another node left undone */
    COMMAND_NOTICE_CLAIM = 90,
    /* address, id of the mail (16), outcome (enum notice_state), reason: it is in the spool of its node, or
       was refused */
    COMMAND_NOTICE_END = 91,
    /* address, items (only their topics count): told, and expired long ago */
    COMMAND_NOTICE_FORGET = 92,
    /* --- 95 to 99: listeners of the SMTP service and their TLS certificates; see store/records_listener.h
       --- */
    /* listener's name, lines field=value: these fields are changed, an empty value takes one away */
    COMMAND_LISTENER_SET = 95,
    /* listener's name: all its fields have their defaults */
    COMMAND_LISTENER_UNSET = 96,
    /* name, chain (array of DER), private key (sealed by the transport key), names that it is for, notBefore,
     * notAfter (ms). Replaces what has the name */
    COMMAND_TLS_PUT = 97,
    /* name; no listener names it */
    COMMAND_TLS_REMOVE = 98,
    /* --- 110 to 113: MTA-STS policies; see store/records_sts.h --- */
    /* domain: its policy is fetched now by the leading node */
    COMMAND_STS_REFRESH = 110,
    /* domain, id of its TXT record, mode (enum sts_mode), max_age (s), patterns of its hosts */
    COMMAND_STS_PUT = 111,
    /* domain, why its policy could not be fetched; what is there stays in force until its end */
    COMMAND_STS_FAILED = 112,
    /* domain: its policy is forgotten */
    COMMAND_STS_REMOVE = 113,
    /* --- 120 to 124: DKIM keys; see store/records_dkim.h --- */
    /* domain, selector, algorithm (enum dkim_algorithm), bits, id (32: SHA-256 of the public key), public key
       (SubjectPublicKeyInfo), private key (sealed). It signs nothing yet */
    COMMAND_DKIM_ADD = 120,
    /* domain, selector, state (enum dkim_state) that it gets: active makes the active one of the same
       algorithm rest; retired takes the private key away */
    COMMAND_DKIM_STATE = 121,
    /* domain, selector; not an active one */
    COMMAND_DKIM_REMOVE = 122,
    /* --- 125 to 129: rewriting of addresses; see store/records_rewrite.h --- */
    /* kind (enum rewrite_kind), pattern, target (or ""), flags (enum rewrite_flags). Replaces what is there
     */
    COMMAND_REWRITE_SET = 125,
    /* kind, pattern */
    COMMAND_REWRITE_REMOVE = 126,
    COMMAND_NUMBER_END
};

/* Where a rule goes. The numbers are in commands: append only. */
enum rule_place {
    RULE_PLACE_KEEP, /* where it is; a new one goes to the end */
    RULE_PLACE_BEFORE,
    RULE_PLACE_AFTER,
    RULE_PLACE_FIRST,
    RULE_PLACE_LAST
};

enum field_type { FIELD_U64, FIELD_BYTES, FIELD_TEXT };

struct command_field {
    const char *name;
    enum field_type type;
    uint32_t min, max; /* length in bytes for BYTES and TEXT */
    const char *help;
};

struct command;
struct store_apply; /* one command being applied; store/apply_internal.h */

struct command_type {
    enum command_number number;
    const char *name; /* "setting.set" */
    uint16_t version; /* of the command set that brought it */
    const char *permission;
    const char *help;
    const struct command_field *fields;
    size_t field_count;
    /* What the fields say together, without the state (store/command_check.c); NULL: their lengths are all.
     */
    enum status (*check)(const struct command *c, struct failure *f);
    enum status (*apply)(struct store_apply *a); /* never fails half-way: see store/apply_internal.h */
};

struct command_value {
    uint64_t number;    /* FIELD_U64 */
    struct slice bytes; /* FIELD_BYTES, FIELD_TEXT: borrowed */
};

struct command {
    enum command_number number;
    uint16_t version;
    uint8_t id[ID_SIZE];
    uint64_t time_ms;
    struct slice actor; /* who asked: "token:NAME", "node:NAME", "init"; borrowed */
    struct command_value values[COMMAND_FIELDS_MAX]; /* in the order of the type's fields */
};

/* NULL if there is none. */
const struct command_type *command_type_of(enum command_number number);
const struct command_type *command_type_at(size_t i); /* for docs and tests: i from 0, NULL at the end */

/* May it enter the log of a cluster whose oldest node knows `cluster_set` (store_cluster_version())? That
 * node would refuse what the others take: a newer command, or a setting that it has never heard of.
 * UNSUPPORTED with a text that names what it is. Pure. */
enum status command_supported(const struct command *c, uint64_t cluster_set, struct failure *f) MUST_CHECK;

/* Start a command: id, time; all values zero. The caller fills the values by position. */
void command_init(struct command *c, enum command_number number, uint64_t now_ms, struct slice actor);
/* Field lengths, names, settings and so on by themselves, without the state. */
enum status command_check(const struct command *c, struct failure *f) MUST_CHECK;
enum status command_encode(const struct command *c, struct buf *out) MUST_CHECK; /* MessagePack, unpadded */
/* Bytes of a peer or a role: any bytes are safe. Slices point into `in`. Does command_check() too. */
enum status command_decode(struct slice in, struct command *c, struct failure *f) MUST_CHECK;
/* The log entry's padding. command_entry_size is the padded size for n bytes of MessagePack. */
size_t command_entry_size(size_t n);
void command_entry_write(struct slice encoded,
                         uint8_t *entry); /* entry holds command_entry_size(encoded.len) bytes */
enum status command_entry_read(struct slice entry, struct slice *encoded) MUST_CHECK;

#endif
