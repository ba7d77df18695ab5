/*
 * Decrypting. Only keys whose certificate is named in a recipient info are tried. What comes out goes into
 * memory that nobody reads before OpenSSL said yes: with CBC, a wrong key has already written garbage by
 * then. All ways to fail look the same to the caller, and OpenSSL goes on with a random key when the key
 * transport does not open (RFC 3218), so that neither the answer nor much of its time tells why. One thread a
 * process.
 */
#include "crypto/smime_internal.h"

#include "crypto/buf_sink.h"
#include "crypto/cms_scan.h"
#include "crypto/der.h"

#include <limits.h>
#include <openssl/err.h>

/* Bytes (RFC 5084 section 3.2): OpenSSL would believe a tag of four. */
#define TAG_LEN_MIN 12

static const struct {
    int nid;
    const char *name;
    bool gcm;
    bool weak;
} ciphers[] = {
    {NID_aes_256_gcm, "aes256-gcm", true, false},
    {NID_aes_192_gcm, "aes192-gcm", true, false},
    {NID_aes_128_gcm, "aes128-gcm", true, false},
    {NID_aes_256_cbc, "aes256-cbc", false, false},
    {NID_aes_192_cbc, "aes192-cbc", false, false},
    {NID_aes_128_cbc, "aes128-cbc", false, false},
    {NID_des_ede3_cbc, "3des", false, true},
    {NID_rc2_cbc, "rc2", false, true},
    {NID_des_cbc, "des", false, true},
};

/* Index into `ciphers`, or -1. */
static int cipher_index(struct slice oid)
{
    for (size_t i = 0; i < sizeof(ciphers) / sizeof(ciphers[0]); i++) {
        const ASN1_OBJECT *object = OBJ_nid2obj(ciphers[i].nid);

        if (slice_equal(oid, slice_of(OBJ_get0_data(object), OBJ_length(object))))
            return (int)i;
    }
    return -1;
}

static bool names_certificate(CMS_RecipientInfo *ri, X509 *x)
{
    STACK_OF(CMS_RecipientEncryptedKey) * keys;

    switch (CMS_RecipientInfo_type(ri)) {
    case CMS_RECIPINFO_TRANS:
        return CMS_RecipientInfo_ktri_cert_cmp(ri, x) == 0;
    case CMS_RECIPINFO_AGREE:
        keys = CMS_RecipientInfo_kari_get0_reks(ri);
        for (int i = 0; i < sk_CMS_RecipientEncryptedKey_num(keys); i++)
            if (CMS_RecipientEncryptedKey_cert_cmp(sk_CMS_RecipientEncryptedKey_value(keys, i), x) == 0)
                return true;
        return false;
    default:
        return false;
    }
}

static bool is_recipient(CMS_ContentInfo *cms, X509 *x)
{
    STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms);

    for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++)
        if (names_certificate(sk_CMS_RecipientInfo_value(infos, i), x))
            return true;
    return false;
}

/* AES or triple DES as RFC 5753 section 7.1.3 has them. With padding (RFC 5649), OpenSSL before 3.0.22 writes
 * eight zeros behind what it allocated when the key does not fit (CVE-2026-63072): anybody could write such
 * a message. */
static bool wrap_is_known(CMS_RecipientInfo *ri)
{
    X509_ALGOR *agreement = NULL, *wrap;
    const ASN1_OBJECT *oid = NULL;
    const void *parameter = NULL;
    int type = V_ASN1_UNDEF, nid = NID_undef;

    if (CMS_RecipientInfo_kari_get0_alg(ri, &agreement, NULL) != 1)
        return false;
    X509_ALGOR_get0(NULL, &type, &parameter, agreement);
    if (type != V_ASN1_SEQUENCE)
        return false;
    const unsigned char *at = ASN1_STRING_get0_data(parameter);
    wrap = d2i_X509_ALGOR(NULL, &at, ASN1_STRING_length(parameter));
    if (wrap != NULL) {
        X509_ALGOR_get0(&oid, NULL, NULL, wrap);
        nid = OBJ_obj2nid(oid);
    }
    X509_ALGOR_free(wrap);
    return nid == NID_id_aes256_wrap || nid == NID_id_aes192_wrap || nid == NID_id_aes128_wrap ||
           nid == NID_id_smime_alg_CMS3DESwrap;
}

/* false: OpenSSL would unwrap the key for this certificate with something that is better not run. */
static bool wraps_are_known(CMS_ContentInfo *cms, X509 *x)
{
    STACK_OF(CMS_RecipientInfo) *infos = CMS_get0_RecipientInfos(cms);

    for (int i = 0; i < sk_CMS_RecipientInfo_num(infos); i++) {
        CMS_RecipientInfo *ri = sk_CMS_RecipientInfo_value(infos, i);

        if (CMS_RecipientInfo_type(ri) == CMS_RECIPINFO_AGREE && names_certificate(ri, x) &&
            !wrap_is_known(ri))
            return false;
    }
    return true;
}

/* An encrypted object, as OpenSSL can read it. */
struct enveloped {
    struct cms_facts facts; /* borrows from what came */
    struct slice der;       /* what is parsed: what came, or `bare` */
    struct buf bare;        /* it without attributes, if it has some */
    struct buf
        attributes; /* DER of those that are authenticated, as they are (RFC 5083 section 2.2); empty: none */
    CMS_ContentInfo *parsed;
};

static enum status take_attributes(struct enveloped *e, struct slice cms)
{
    enum status status = smime_without_attributes(cms, &e->bare);

    e->der = buf_slice(&e->bare);
    if (status == STATUS_OK && e->facts.attributes.len > 0)
        status = der_put(&e->attributes, BER_SET, e->facts.attributes);
    return status;
}

/* OK, MALFORMED or NO_MEMORY; the caller calls enveloped_release() also then. */
static enum status enveloped_read(struct enveloped *e, struct slice cms)
{
    *e = (struct enveloped){.der = cms, .bare = BUF_INIT(CMS_MAX), .attributes = BUF_INIT(CMS_MAX)};
    if (cms_scan(cms, &e->facts) != STATUS_OK ||
        (e->facts.kind != CMS_KIND_ENVELOPED && e->facts.kind != CMS_KIND_AUTH_ENVELOPED))
        return STATUS_MALFORMED;
    enum status status = e->facts.has_attributes ? take_attributes(e, cms) : STATUS_OK;
    if (status == STATUS_OK) {
        e->parsed = smime_parse(e->der);
        status = e->parsed == NULL ? STATUS_MALFORMED : STATUS_OK;
    }
    return status == STATUS_NO_MEMORY ? status : status == STATUS_OK ? STATUS_OK : STATUS_MALFORMED;
}

static void enveloped_release(struct enveloped *e)
{
    CMS_ContentInfo_free(e->parsed);
    buf_release(&e->bare);
    buf_release(&e->attributes);
    ERR_clear_error();
}

enum status smime_recipients(struct slice cms, const struct slice *candidates, size_t count, bool *fits)
{
    struct enveloped e;
    enum status status = enveloped_read(&e, cms);

    for (size_t i = 0; i < count; i++) {
        X509 *x = status == STATUS_OK ? smime_certificate(candidates[i]) : NULL;

        fits[i] = x != NULL && is_recipient(e.parsed, x);
        X509_free(x);
    }
    enveloped_release(&e);
    return status;
}

/* As CMS_decrypt(), with attributes that are authenticated beside the content. */
static bool decrypt_beside(CMS_ContentInfo *cms, const struct smime_key *key, X509 *x,
                           struct slice attributes, BIO *sink)
{
    BIO *chain = CMS_decrypt_set1_pkey(cms, key->key, x) == 1 ? CMS_dataInit(cms, NULL) : NULL;
    EVP_CIPHER_CTX *context = NULL;
    uint8_t piece[4096];
    int n = 0;
    bool good = chain != NULL && attributes.len <= INT_MAX && BIO_method_type(chain) == BIO_TYPE_CIPHER &&
                BIO_get_cipher_ctx(chain, &context) == 1 &&
                EVP_DecryptUpdate(context, NULL, &n, attributes.data, (int)attributes.len) == 1;

    while (good && (n = BIO_read(chain, piece, sizeof(piece))) > 0)
        good = BIO_write(sink, piece, n) == n;
    good = good && n == 0 && BIO_get_cipher_status(chain) == 1;
    OPENSSL_cleanse(piece, sizeof(piece));
    BIO_free_all(chain);
    return good;
}

/* Appends the plain bytes, or gives CRYPTO and leaves nothing of what was written. */
static enum status decrypt_with(CMS_ContentInfo *cms, const struct smime_key *key, X509 *x,
                                struct slice attributes, struct buf *out)
{
    BIO *sink = buf_sink_new(out);
    enum status status = STATUS_NO_MEMORY;

    if (sink != NULL && attributes.len > 0)
        status = decrypt_beside(cms, key, x, attributes, sink) ? STATUS_OK : STATUS_CRYPTO;
    else if (sink != NULL)
        status = CMS_decrypt(cms, key->key, x, NULL, sink, CMS_BINARY) == 1 ? STATUS_OK : STATUS_CRYPTO;
    BIO_free(sink);
    ERR_clear_error();
    if (status != STATUS_OK)
        buf_reset(out);
    return status;
}

/* Each key whose certificate is named, until one opens it: OK, NO_KEY, CRYPTO, UNSUPPORTED, NO_MEMORY. */
static enum status try_keys(const struct enveloped *e, const struct smime_key *keys, size_t count,
                            struct buf *out)
{
    enum status status = buf_reserve(out, e->der.len); /* it gets no longer */
    CMS_ContentInfo *again = NULL;
    bool tried = false;

    if (status != STATUS_OK)
        return STATUS_NO_MEMORY;
    status = STATUS_NO_KEY;
    for (size_t i = 0; i < count && status != STATUS_OK && status != STATUS_NO_MEMORY; i++) {
        X509 *x = smime_certificate(keys[i].certificate);
        bool named = x != NULL && is_recipient(e->parsed, x);

        if (named && !wraps_are_known(e->parsed, x)) {
            status = STATUS_UNSUPPORTED;
        } else if (named) {
            if (tried) /* a failed try leaves the object unusable for the next one */
                again = smime_parse(e->der);
            status = tried && again == NULL ? STATUS_NO_MEMORY
                                            : decrypt_with(tried ? again : e->parsed, &keys[i], x,
                                                           buf_slice(&e->attributes), out);
            CMS_ContentInfo_free(again);
            again = NULL;
            tried = true;
        }
        X509_free(x);
    }
    return status;
}

/* What is told out of the message alone, before a key is used. `cipher`: see cipher_index(). */
static enum status check_form(const struct cms_facts *facts, int cipher, struct failure *f)
{
    bool authenticated = facts->kind == CMS_KIND_AUTH_ENVELOPED;

    if (cipher < 0)
        return failure_set(f, STATUS_UNSUPPORTED,
                           "the message is encrypted with a cipher that is not supported");
    if (!smime_attributes_fit(facts->attributes, facts->content_type))
        return failure_set(f, STATUS_UNSUPPORTED,
                           "the message's authenticated attributes do not go with its content");
    if (authenticated != ciphers[cipher].gcm) /* OpenSSL before 3.0.21 takes CBC for AuthEnvelopedData */
        return failure_set(f, STATUS_UNSUPPORTED, "the message's cipher and content type do not go together");
    return authenticated && facts->tag_len < TAG_LEN_MIN ? STATUS_CRYPTO : STATUS_OK;
}

enum status smime_decrypt(struct slice cms, const struct smime_key *keys, size_t count,
                          struct smime_decrypted *out, struct failure *f)
{
    struct enveloped e;
    enum status status = enveloped_read(&e, cms);
    int cipher = cipher_index(e.facts.cipher);

    memset(out, 0, sizeof(*out));
    out->entity = (struct buf){.max = CMS_MAX, .wipe = true};
    if (status == STATUS_MALFORMED)
        (void)failure_set(f, status, "this is no encrypted CMS object");
    else if (status == STATUS_OK)
        status = check_form(&e.facts, cipher, f);
    if (status == STATUS_OK) {
        status = try_keys(&e, keys, count, &out->entity);
        if (status == STATUS_UNSUPPORTED)
            (void)failure_set(f, status, "the message's key is wrapped in a way that is not supported");
    }
    enveloped_release(&e);
    switch (status) {
    case STATUS_OK:
        memcpy(out->cipher, ciphers[cipher].name, strlen(ciphers[cipher].name) + 1);
        out->weak = ciphers[cipher].weak;
        return STATUS_OK;
    case STATUS_MALFORMED:
    case STATUS_UNSUPPORTED: /* said above, out of the message alone */
        break;
    case STATUS_NO_KEY:
        (void)failure_set(f, status, "the message is encrypted to none of our keys");
        break;
    case STATUS_NO_MEMORY:
        (void)failure_set(f, status, "no memory to decrypt a message");
        break;
    default: /* whatever was wrong */
        status = failure_set(f, STATUS_CRYPTO, "the message does not decrypt");
        break;
    }
    buf_release(&out->entity);
    return status;
}

void smime_decrypted_release(struct smime_decrypted *d)
{
    buf_release(&d->entity);
}
