/* Revocation lists of the built-in CA (RFC 5280 section 5). See ca.h. Any thread. */
#include "crypto/ca.h"

#include "crypto/x509_build.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define WEEK_MS     ((uint64_t)7 * 86400 * 1000)
#define ENTRIES_MAX 30000 /* about what CA_CRL_MAX holds */

static const struct {
    uint64_t number;
    const char *name;
} reasons[] = {
    {0, "unspecified"},        {1, "keyCompromise"},        {2, "cACompromise"},    {3, "affiliationChanged"},
    {4, "superseded"},         {5, "cessationOfOperation"}, {6, "certificateHold"}, {8, "removeFromCRL"},
    {9, "privilegeWithdrawn"}, {10, "aACompromise"},
};

bool ca_reason_named(struct slice name, uint64_t *reason)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (slice_equal(name, slice_of_text(reasons[i].name))) {
            *reason = reasons[i].number;
            return true;
        }
    return false;
}

const char *ca_reason_name(uint64_t reason)
{
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
        if (reasons[i].number == reason)
            return reasons[i].name;
    return "unspecified";
}

static bool add_entry(X509_CRL *crl, const struct ca_crl_entry *e)
{
    X509_REVOKED *row = X509_REVOKED_new();
    BIGNUM *serial = BN_bin2bn(e->serial, (int)e->serial_len, NULL);
    ASN1_INTEGER *number = serial == NULL ? NULL : BN_to_ASN1_INTEGER(serial, NULL);
    ASN1_TIME *time = ASN1_TIME_set(NULL, (time_t)(e->revoked_ms / 1000));
    bool good = row != NULL && number != NULL && time != NULL &&
                X509_REVOKED_set_serialNumber(row, number) == 1 &&
                X509_REVOKED_set_revocationDate(row, time) == 1;

    if (good && e->reason != 0) { /* unspecified is left out (section 5.3.1) */
        ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

        good = reason != NULL && ASN1_ENUMERATED_set(reason, (long)e->reason) == 1 &&
               X509_REVOKED_add1_ext_i2d(row, NID_crl_reason, reason, 0, X509V3_ADD_DEFAULT) == 1;
        ASN1_ENUMERATED_free(reason);
    }
    good = good && X509_CRL_add0_revoked(crl, row) == 1;
    if (!good)
        X509_REVOKED_free(row);
    ASN1_TIME_free(time);
    ASN1_INTEGER_free(number);
    BN_free(serial);
    return good;
}

static bool set_times(X509_CRL *crl, uint64_t this_ms, uint64_t next_ms)
{
    ASN1_TIME *last = ASN1_TIME_set(NULL, (time_t)(this_ms / 1000));
    ASN1_TIME *next = ASN1_TIME_set(NULL, (time_t)(next_ms / 1000));
    bool good = last != NULL && next != NULL && X509_CRL_set1_lastUpdate(crl, last) == 1 &&
                X509_CRL_set1_nextUpdate(crl, next) == 1;

    ASN1_TIME_free(last);
    ASN1_TIME_free(next);
    return good;
}

static bool add_extensions(X509_CRL *crl, X509 *ca, uint64_t number)
{
    X509V3_CTX ctx;
    X509_EXTENSION *identifier;
    ASN1_INTEGER *value = ASN1_INTEGER_new();
    bool good;

    X509V3_set_ctx_nodb(&ctx);
    X509V3_set_ctx(&ctx, ca, NULL, NULL, crl, 0);
    identifier = X509V3_EXT_conf_nid(NULL, &ctx, NID_authority_key_identifier, "keyid,issuer");
    good = identifier != NULL && X509_CRL_add_ext(crl, identifier, -1) == 1 && value != NULL &&
           ASN1_INTEGER_set_uint64(value, number) == 1 &&
           X509_CRL_add1_ext_i2d(crl, NID_crl_number, value, 0, X509V3_ADD_DEFAULT) == 1;
    X509_EXTENSION_free(identifier);
    ASN1_INTEGER_free(value);
    return good;
}

enum status ca_crl_make(const struct ca_signer *s, uint64_t number, uint64_t this_ms, uint64_t next_ms,
                        const struct ca_crl_entry *entries, size_t count, struct buf *out, struct failure *f)
{
    X509_CRL *crl = X509_CRL_new();
    unsigned char *der = NULL;
    int len = 0;
    bool good = crl != NULL && X509_CRL_set_version(crl, X509_CRL_VERSION_2) == 1 &&
                X509_CRL_set_issuer_name(crl, X509_get_subject_name(s->certificate)) == 1 &&
                set_times(crl, this_ms, next_ms);
    enum status status = STATUS_OK;

    for (size_t i = 0; i < count && good; i++)
        good = add_entry(crl, &entries[i]);
    good = good && X509_CRL_sort(crl) == 1 && add_extensions(crl, s->certificate, number) &&
           X509_CRL_sign(crl, s->key, x509_digest_for(s->key)) > 0 && (len = i2d_X509_CRL(crl, &der)) > 0;
    if (!good)
        status = failure_set(f, STATUS_CRYPTO, "cannot make the revocation list");
    else if (len > CA_CRL_MAX)
        status =
            failure_set(f, STATUS_TOO_LARGE, "the revocation list would be larger than %d bytes", CA_CRL_MAX);
    else
        status = buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    X509_CRL_free(crl);
    ERR_clear_error();
    return status;
}

struct collected {
    struct ca_crl_entry *entries;
    size_t count;
    uint64_t now_ms;
    bool counting, broken;
};

static bool collect(void *context, const struct ca_revoked_record *record)
{
    struct collected *c = context;
    struct ca_crl_entry *e;

    if (record->not_after_ms + WEEK_MS < c->now_ms)
        return true; /* an expired certificate leaves the list after one that named it past its end */
    if (!c->counting) {
        e = &c->entries[c->count];
        c->broken = record->serial.len > sizeof(e->serial);
        if (c->broken)
            return false;
        memcpy(e->serial, record->serial.data, record->serial.len);
        e->serial_len = record->serial.len;
        e->revoked_ms = record->revoked_ms;
        e->reason = record->reason;
    }
    c->count++;
    return c->count <= ENTRIES_MAX;
}

enum status ca_crl_entries(struct store_view *view, struct slice ca, uint64_t now_ms, struct arena *a,
                           struct ca_crl_entry **entries, size_t *count, struct failure *f)
{
    struct collected c = {.now_ms = now_ms, .counting = true};
    enum status status = store_ca_revoked_all(view, ca, collect, &c);

    if (status == STATUS_OK && c.count > ENTRIES_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "the CA has revoked more than %d certificates", ENTRIES_MAX);
    if (status == STATUS_OK && (c.entries = arena_alloc_array(a, c.count + 2, sizeof(*c.entries))) == NULL)
        status = STATUS_NO_MEMORY; /* room for one more, which the caller adds */
    if (status == STATUS_OK) {
        c.counting = false;
        c.count = 0;
        status = store_ca_revoked_all(view, ca, collect, &c);
    }
    if (status == STATUS_OK && c.broken)
        status = STATUS_CORRUPT;
    *entries = c.entries;
    *count = c.count;
    return status == STATUS_OK ? status : failure_set(f, status, "what the CA revoked cannot be read");
}
