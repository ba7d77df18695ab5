/*
 * The built-in CA for users' S/MIME certificates: making CAs, certificates, revocation lists and requests for
 * other CAs. OpenSSL behind it. Certificates follow the S/MIME Baseline Requirements in their extensions:
 * keyUsage, emailProtection, rfc822Name or SmtpUTF8Mailbox (RFC 9598), key identifiers, where the list is,
 * SMIMECapabilities (RFC 8551 section 2.5.2) with AES-256-GCM. Serial numbers are random, 127 bits.
 *
 * Making a key may take a second (RSA), so an order goes three ways: it is read from a view (settings, the
 * CA's key), made (on a thread of its own if there is one; it needs no store), and becomes a command. The
 * cluster's own CA is another one (crypto/cluster_ca.c).
 */
#ifndef SEALPOST_CRYPTO_CA_H
#define SEALPOST_CRYPTO_CA_H

#include "crypto/seal.h"
#include "crypto/x509.h"
#include "store/command.h"
#include "store/records_ca.h"

enum key_kind { KEY_RSA3072, KEY_RSA4096, KEY_P256, KEY_P384, KEY_KIND_COUNT };
extern const char *const key_kind_names[KEY_KIND_COUNT]; /* "rsa3072", ... */
bool key_kind_named(struct slice name, enum key_kind *kind);
enum status key_generate(enum key_kind kind, EVP_PKEY **key) MUST_CHECK; /* caller frees */

/* A CA with its key, opened. Zeroed is empty. */
struct ca_signer {
    X509 *certificate;
    EVP_PKEY *key;
};
void ca_signer_release(struct ca_signer *s);
/* NOT_FOUND names the CA. The key leaves memory with ca_signer_release(). */
enum status ca_signer_open(struct store_view *view, const struct keyring *keys, struct slice name,
                           struct ca_signer *out, struct failure *f) MUST_CHECK;

/* --- CAs --- */

#define CA_SUBJECT_MAX 512
/* "CN=Example CA,O=Example,C=DE" (RFC 4514, with backslashes), or just a common name. `issuer` NULL: a root.
 * An intermediate cannot make another one. INVALID says what is wrong with the subject. */
enum status ca_make(struct slice subject, enum key_kind kind, unsigned days, const struct ca_signer *issuer,
                    const char *crl_url, uint64_t now_ms, struct ca_signer *out,
                    struct failure *f) MUST_CHECK;
/* May this certificate and key serve as a CA of ours now? INVALID or EXPIRED with the reason. */
enum status ca_usable(const struct ca_signer *s, uint64_t now_ms, struct failure *f) MUST_CHECK;
/* Where a CA's list is, from the setting ca.crl_url: {ca} becomes its name. `out` "" if `url` is empty. */
#define CA_CRL_URL_MAX 1100
void ca_crl_url(struct slice url, struct slice ca, char out[CA_CRL_URL_MAX]);

/* --- certificates of users --- */

struct ca_order {
    char ca[CA_NAME_MAX + 1];
    char address[ADDRESS_MAX + 1];
    char name[4 * CA_COMMON_NAME_MAX + 1]; /* common name; "": the address */
    enum ca_issue_how how;
    uint8_t replaces[THUMBPRINT_SIZE]; /* with CA_ISSUE_RENEW */
    uint64_t flags;                    /* enum ca_issued_flags */

    /* from settings, by ca_order_read() */
    struct ca_signer signer;
    enum key_kind kind;
    unsigned days;
    bool dual;
    char crl_url[CA_CRL_URL_MAX];

    /* by ca_order_make() */
    X509 *certificates[2];
    EVP_PKEY *keys[2];
    size_t count;
};
void ca_order_release(struct ca_order *o); /* a zeroed one is fine; wipes keys */
/* Takes `address`, `name`, `how`, `replaces`, `flags` as the caller has filled them (zeroed before), with
 * `ca` "" for the address's ca.default. Normalises the address. INVALID, or NOT_FOUND without such a CA. */
enum status ca_order_read(struct ca_order *o, struct store_view *view, const struct keyring *keys,
                          struct failure *f) MUST_CHECK;
/* The common name of an earlier certificate becomes that of the order, unless it was the address. */
void ca_order_name_of(struct ca_order *o, struct slice der);
/* Generates the keys and issues. Takes up to seconds; needs neither store nor keyring. */
enum status ca_order_make(struct ca_order *o, uint64_t now_ms, struct failure *f) MUST_CHECK;
/* Fills the values of a COMMAND_CA_ISSUE that command_init() has begun; bytes in the arena. `records`, if not
 * NULL, gets what the certificates say. */
enum status ca_order_fill(const struct ca_order *o, const struct keyring *keys, struct arena *a,
                          struct command *c, struct certificate_record records[2],
                          struct failure *f) MUST_CHECK;
/* One certificate, for tests and for ca_order_make(): `uses` of enum certificate_use. */
enum status ca_issue(const struct ca_signer *s, EVP_PKEY *key, struct slice address, struct slice name,
                     uint64_t uses, unsigned days, const char *crl_url, uint64_t now_ms, X509 **out,
                     struct failure *f) MUST_CHECK;

/* --- revocation lists (RFC 5280 section 5) --- */

struct ca_crl_entry {
    uint8_t serial[CA_SERIAL_MAX];
    size_t serial_len;
    uint64_t revoked_ms, reason;
};
/* Version 2, with number and authorityKeyIdentifier. TOO_LARGE beyond CA_CRL_MAX. */
enum status ca_crl_make(const struct ca_signer *s, uint64_t number, uint64_t this_ms, uint64_t next_ms,
                        const struct ca_crl_entry *entries, size_t count, struct buf *out,
                        struct failure *f) MUST_CHECK;
/* Those of a CA that its list must name at `now_ms`: one that has expired stays for a week. In the arena. */
enum status ca_crl_entries(struct store_view *view, struct slice ca, uint64_t now_ms, struct arena *a,
                           struct ca_crl_entry **entries, size_t *count, struct failure *f) MUST_CHECK;
/* What a CA that is imported has revoked so far, from its own last list (DER or PEM). */
struct ca_revoked_before {
    struct ca_crl_entry *entries; /* in the arena */
    size_t count;
    uint64_t number;   /* of the list; 0: it has none */
    struct slice rows; /* the same as rows (struct crl_row), in the arena */
};
/* INVALID, UNTRUSTED, TOO_LARGE (beyond CA_REVOKED_IMPORT_MAX) and so on with the reason. */
enum status ca_revoked_before_read(struct slice list, const struct ca_signer *s, uint64_t now_ms,
                                   struct arena *a, struct ca_revoked_before *out,
                                   struct failure *f) MUST_CHECK;
/* "keyCompromise", ... of RFC 5280; "unspecified" is 0. */
bool ca_reason_named(struct slice name, uint64_t *reason);
const char *ca_reason_name(uint64_t reason);
#define CA_REASON_CHOICES                                                                                    \
    "unspecified|keyCompromise|affiliationChanged|superseded|cessationOfOperation|privilegeWithdrawn"

/* --- requests to other CAs (RFC 2986) --- */

/* A new key and its request. Takes up to seconds; needs neither store nor keyring. Zeroed is empty. */
struct ca_request {
    EVP_PKEY *key;
    struct buf der;
    uint8_t id[32]; /* SHA-256 of the public key */
};
void ca_request_release(struct ca_request *r); /* wipes the key */
enum status ca_request_new(enum key_kind kind, struct slice address, struct slice name,
                           struct ca_request *out, struct failure *f) MUST_CHECK;
/* Fills the values of a COMMAND_CA_REQUEST_ADD or of its like; bytes are the request's and the arena's. */
enum status ca_request_fill(const struct ca_request *r, struct slice address, struct slice name,
                            const struct keyring *keys, struct arena *a, struct command *c,
                            struct failure *f) MUST_CHECK;
enum status ca_request_make(EVP_PKEY *key, struct slice address, struct slice name, struct buf *der,
                            struct failure *f) MUST_CHECK;
enum status ca_request_to_pem(struct slice der, struct buf *out) MUST_CHECK;

/* --- a user's key leaves --- */

/* PKCS#12 with AES-256-CBC, PBKDF2 with HMAC-SHA-256, and a SHA-256 MAC. `chain` may be empty. Takes about a
 * second. */
enum status key_file_write(EVP_PKEY *key, struct slice certificate, const struct slice *chain,
                           size_t chain_count, struct slice password, struct buf *out,
                           struct failure *f) MUST_CHECK;

#endif
