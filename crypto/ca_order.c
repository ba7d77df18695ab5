/* An order for a user's certificate, from settings to a command. See ca.h. */
#include "crypto/ca.h"

#include "store/setting.h"

#include <openssl/err.h>

void ca_order_release(struct ca_order *o)
{
    ca_signer_release(&o->signer);
    for (size_t i = 0; i < 2; i++) {
        X509_free(o->certificates[i]);
        EVP_PKEY_free(o->keys[i]);
        o->certificates[i] = NULL;
        o->keys[i] = NULL;
    }
    o->count = 0;
}

static enum status setting_of(struct store_view *view, enum setting_id id, struct slice address,
                              struct setting_value *out, struct failure *f)
{
    enum status status = setting_get(view, setting_at(id), address, out);

    return status == STATUS_OK
               ? status
               : failure_set(f, status, "the setting %s cannot be read", setting_at(id)->name);
}

/* The CA that the address's ca.default names, unless the order names one. */
static enum status ca_choose(struct ca_order *o, struct store_view *view, struct failure *f)
{
    struct setting_value value;
    enum status status;

    if (o->ca[0] != '\0')
        return STATUS_OK;
    status = setting_of(view, SETTING_CA_DEFAULT, slice_of_text(o->address), &value, f);
    if (status != STATUS_OK)
        return status;
    if (value.text.len == 0 || value.text.len > CA_NAME_MAX)
        return failure_set(f, STATUS_NOT_FOUND,
                           "no CA is named, and the setting ca.default names none for %s", o->address);
    memcpy(o->ca, value.text.data, value.text.len);
    o->ca[value.text.len] = '\0';
    return STATUS_OK;
}

/* Before a key is made for nothing; the command decides. */
static enum status ca_stands(struct store_view *view, const char *ca, struct failure *f)
{
    struct ca_revoked_record revoked;
    struct slice which;
    enum status status = store_ca_revocation(view, slice_of_text(ca), &which, &revoked);

    if (status == STATUS_NOT_FOUND) /* also of a CA that is not there: opening it says so */
        return STATUS_OK;
    if (status != STATUS_OK)
        return failure_set(f, status, "whether the CA %s is revoked cannot be read", ca);
    return failure_set(f, STATUS_REVOKED, "the CA %s is revoked%s", ca,
                       slice_equal(which, slice_of_text(ca)) ? "" : ": a CA above it is");
}

static enum status profile_read(struct ca_order *o, struct store_view *view, struct failure *f)
{
    struct slice address = slice_of_text(o->address);
    struct setting_value kind, days, profile, url;
    enum status status;

    if ((status = setting_of(view, SETTING_CA_KEY_TYPE, address, &kind, f)) != STATUS_OK ||
        (status = setting_of(view, SETTING_CA_VALIDITY, address, &days, f)) != STATUS_OK ||
        (status = setting_of(view, SETTING_CA_PROFILE, address, &profile, f)) != STATUS_OK ||
        (status = setting_of(view, SETTING_CA_CRL_URL, address, &url, f)) != STATUS_OK)
        return status;
    if (!key_kind_named(kind.text, &o->kind))
        return failure_set(f, STATUS_INTERNAL, "the setting ca.key_type has an unknown value");
    o->days = (unsigned)setting_number(&days);
    o->dual = slice_equal(profile.text, SLICE_LITERAL("dual"));
    ca_crl_url(url.text, slice_of_text(o->ca), o->crl_url);
    return STATUS_OK;
}

enum status ca_order_read(struct ca_order *o, struct store_view *view, const struct keyring *keys,
                          struct failure *f)
{
    char address[ADDRESS_MAX + 1];
    enum status status = address_normalise(slice_of_text(o->address), address, f);

    if (status != STATUS_OK)
        return status;
    /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an order is never NULL */
    memcpy(o->address, address, sizeof(address));
    status = ca_choose(o, view, f);
    if (status == STATUS_OK)
        status = ca_stands(view, o->ca, f);
    if (status == STATUS_OK)
        status = ca_signer_open(view, keys, slice_of_text(o->ca), &o->signer, f);
    if (status == STATUS_OK)
        status = profile_read(o, view, f);
    return status;
}

void ca_order_name_of(struct ca_order *o, struct slice der)
{
    X509 *x = certificate_from_der(der);
    X509_NAME *subject = x == NULL ? NULL : X509_get_subject_name(x);
    int at = subject == NULL ? -1 : X509_NAME_get_index_by_NID(subject, NID_commonName, -1), len = -1;
    unsigned char *text = NULL;

    if (at >= 0)
        len = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (len > 0 && (size_t)len < sizeof(o->name) && memchr(text, 0, (size_t)len) == NULL &&
        !slice_equal(slice_of(text, (size_t)len), slice_of_text(o->address))) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): an order is never NULL */
        memcpy(o->name, text, (size_t)len);
        o->name[len] = '\0';
    }
    OPENSSL_free(text);
    X509_free(x);
    ERR_clear_error();
}

enum status ca_order_make(struct ca_order *o, uint64_t now_ms, struct failure *f)
{
    static const uint64_t both = CERT_USE_SIGN | CERT_USE_ENCRYPT;
    enum status status = STATUS_OK;

    o->count = o->dual ? 2 : 1;
    for (size_t i = 0; i < o->count && status == STATUS_OK; i++) {
        uint64_t uses = !o->dual ? both : i == 0 ? CERT_USE_SIGN : CERT_USE_ENCRYPT;

        status = key_generate(o->kind, &o->keys[i]);
        if (status != STATUS_OK)
            return failure_set(f, status, "cannot make a key");
        status = ca_issue(&o->signer, o->keys[i], slice_of_text(o->address), slice_of_text(o->name), uses,
                          o->days, o->crl_url, now_ms, &o->certificates[i], f);
    }
    return status;
}

/* One certificate of the order as a record and a sealed key, in the arena. */
static enum status fill_one(const struct ca_order *o, size_t i, const struct keyring *keys, struct arena *a,
                            uint64_t now_ms, struct slice *record_out, struct slice *key_out,
                            struct certificate_record *record, struct failure *f)
{
    struct buf der = BUF_INIT(128 << 10), encoded = BUF_INIT(256 << 10), sealed = BUF_INIT(64 << 10);
    struct slice kept = {0};
    enum status status = certificate_to_der(o->certificates[i], &der);

    if (status == STATUS_OK && !arena_copy(a, buf_slice(&der), &kept))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = certificate_describe(kept, SLICE_LITERAL("ca"), now_ms, a, record, f);
    if (status == STATUS_OK)
        status = certificate_record_encode(record, &encoded);
    if (status == STATUS_OK)
        status = private_key_seal(keys, record->thumbprint, o->keys[i], &sealed, f);
    if (status == STATUS_OK &&
        (!arena_copy(a, buf_slice(&encoded), record_out) || !arena_copy(a, buf_slice(&sealed), key_out)))
        status = STATUS_NO_MEMORY;
    buf_release(&der);
    buf_release(&encoded);
    buf_release(&sealed);
    if (status != STATUS_OK && (f == NULL || f->status != status))
        return failure_set(f, status, "the new certificate cannot be stored: %s", status_text(status));
    return status;
}

enum status ca_order_fill(const struct ca_order *o, const struct keyring *keys, struct arena *a,
                          struct command *c, struct certificate_record records[2], struct failure *f)
{
    struct certificate_record own[2];
    enum status status = STATUS_OK;
    struct slice address = {0}, ca = {0}, replaces = {0};

    if (records == NULL)
        records = own;
    if (!arena_copy(a, slice_of_text(o->ca), &ca) || !arena_copy(a, slice_of_text(o->address), &address) ||
        !arena_copy(a, slice_of(o->replaces, THUMBPRINT_SIZE), &replaces))
        return failure_set(f, STATUS_NO_MEMORY, "there is no memory for the certificate");
    c->values[0].bytes = ca;
    c->values[1].bytes = address;
    c->values[2].number = o->how;
    c->values[3].bytes = o->how == CA_ISSUE_RENEW ? replaces : (struct slice){0};
    c->values[4].number = o->flags;
    for (size_t i = 0; i < o->count && status == STATUS_OK; i++)
        status = fill_one(o, i, keys, a, c->time_ms, &c->values[5 + 2 * i].bytes, &c->values[6 + 2 * i].bytes,
                          &records[i], f);
    return status;
}
