/*
 * Decrypting. Only keys whose certificate is named in a recipient info are tried. What comes out goes into
 * memory that nobody reads before OpenSSL said yes: with CBC, a wrong key has already written garbage by
 * then. All ways to fail look the same to the caller, and OpenSSL goes on with a random key when the key
 * transport does not open (RFC 3218), so that neither the answer nor much of its time tells why. One thread a
 * process.
 */
#include "crypto/smime_internal.h"

#include <limits.h>
#include <openssl/asn1.h>
#include <openssl/err.h>

#define RECIPIENT_INFOS_MAX 20000

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

    for (int i = 0; i < sk_CMS_RecipientInfo_num(infos) && i < RECIPIENT_INFOS_MAX; i++)
        if (names_certificate(sk_CMS_RecipientInfo_value(infos, i), x))
            return true;
    return false;
}

static CMS_ContentInfo *parse_enveloped(struct slice cms)
{
    enum cms_kind kind = smime_kind(cms);

    if (kind != CMS_KIND_ENVELOPED && kind != CMS_KIND_AUTH_ENVELOPED)
        return NULL;
    return smime_parse(cms);
}

enum status smime_recipients(struct slice cms, const struct slice *candidates, size_t count, bool *fits)
{
    CMS_ContentInfo *parsed = parse_enveloped(cms);

    if (parsed == NULL)
        return STATUS_MALFORMED;
    for (size_t i = 0; i < count; i++) {
        X509 *x = certificate_from_der(candidates[i]);

        fits[i] = x != NULL && is_recipient(parsed, x);
        X509_free(x);
    }
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    return STATUS_OK;
}

/* Steps into or over one DER element; false if it is none. */
static bool element(struct slice *at, bool over, int *tag)
{
    const unsigned char *p = at->data;
    long len;
    int class, form = ASN1_get_object(&p, &len, tag, &class, at->len > LONG_MAX ? LONG_MAX : (long)at->len);
    size_t head;

    if ((form & 0x80) != 0 || (form & 1) != 0)
        return false;
    head = (size_t)(p - at->data);
    if (over)
        head += (size_t)len;
    *at = slice_of(at->data + head, at->len - head);
    return true;
}

/*
 * ContentInfo { OID, [0] { EnvelopedData { version, [0] originatorInfo OPTIONAL, SET recipientInfos,
 * EncryptedContentInfo { OID, AlgorithmIdentifier { OID ... (RFC 5652 section 6.1; RFC 5083 section 2.1 is
 * alike). OpenSSL gives no access to it, so the way is walked in the DER that it writes.
 */
static void read_cipher(CMS_ContentInfo *cms, struct smime_decrypted *out)
{
    static const struct {
        int nid;
        const char *name;
        bool weak;
    } known[] = {
        {NID_aes_256_gcm, "aes256-gcm", false},
        {NID_aes_192_gcm, "aes192-gcm", false},
        {NID_aes_128_gcm, "aes128-gcm", false},
        {NID_aes_256_cbc, "aes256-cbc", false},
        {NID_aes_192_cbc, "aes192-cbc", false},
        {NID_aes_128_cbc, "aes128-cbc", false},
        {NID_des_ede3_cbc, "3des", true},
        {NID_rc2_cbc, "rc2", true},
        {NID_des_cbc, "des", true},
    };
    unsigned char *der = NULL;
    int len = i2d_CMS_ContentInfo(cms, &der), tag = 0, nid = NID_undef;
    struct slice at = slice_of(der, len > 0 ? (size_t)len : 0);
    const unsigned char *p;
    ASN1_OBJECT *oid = NULL;
    bool good = element(&at, false, &tag) && element(&at, true, &tag) && element(&at, false, &tag) &&
                element(&at, false, &tag) && element(&at, true, &tag) && element(&at, true, &tag);

    if (good && tag == 0)
        good = element(&at, true, &tag);
    good = good && element(&at, false, &tag) && element(&at, true, &tag) && element(&at, false, &tag);
    p = at.data;
    if (good)
        oid = d2i_ASN1_OBJECT(NULL, &p, (long)at.len);
    if (oid != NULL)
        nid = OBJ_obj2nid(oid);
    ASN1_OBJECT_free(oid);
    OPENSSL_free(der);
    memcpy(out->cipher, "unknown", sizeof("unknown"));
    out->weak = true;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].nid == nid) {
            memcpy(out->cipher, known[i].name, strlen(known[i].name) + 1);
            out->weak = known[i].weak;
        }
}

/* The plain bytes, or CRYPTO. */
static enum status decrypt_with(CMS_ContentInfo *cms, const struct smime_key *key, X509 *x, size_t limit,
                                struct buf *out)
{
    BIO *memory = BIO_new(BIO_s_mem());
    char *plain = NULL;
    long len;
    enum status status = STATUS_CRYPTO;

    if (memory != NULL && CMS_decrypt(cms, key->key, x, NULL, memory, CMS_BINARY) == 1) {
        len = BIO_get_mem_data(memory, &plain);
        status = len < 0 || (size_t)len > limit ? STATUS_TOO_LARGE : buf_append(out, plain, (size_t)len);
    }
    if (memory != NULL && BIO_get_mem_data(memory, &plain) > 0)
        secret_wipe(plain, (size_t)BIO_get_mem_data(memory, &plain));
    BIO_free(memory);
    ERR_clear_error();
    return status;
}

enum status smime_decrypt(struct slice cms, const struct smime_key *keys, size_t count,
                          struct smime_decrypted *out, struct failure *f)
{
    CMS_ContentInfo *parsed = parse_enveloped(cms);
    enum status status = STATUS_NO_KEY;

    memset(out, 0, sizeof(*out));
    out->entity = (struct buf){.max = CMS_MAX, .wipe = true};
    if (parsed == NULL)
        return failure_set(f, STATUS_MALFORMED, "this is no encrypted CMS object");
    for (size_t i = 0; i < count && status != STATUS_OK; i++) {
        X509 *x = certificate_from_der(keys[i].certificate);

        if (x != NULL && is_recipient(parsed, x)) {
            buf_reset(&out->entity);
            status = decrypt_with(parsed, &keys[i], x, CMS_MAX, &out->entity);
            if (status != STATUS_OK &&
                i + 1 < count) { /* a failed try leaves the object unusable for the next one */
                CMS_ContentInfo_free(parsed);
                parsed = smime_parse(cms);
            }
        }
        X509_free(x);
        if (parsed == NULL)
            break;
    }
    if (status == STATUS_OK)
        read_cipher(parsed, out);
    else
        buf_release(&out->entity);
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    if (status == STATUS_NO_KEY)
        return failure_set(f, status, "the message is encrypted to none of our keys");
    return status == STATUS_OK ? status : failure_set(f, STATUS_CRYPTO, "the message does not decrypt");
}

void smime_decrypted_release(struct smime_decrypted *d)
{
    buf_release(&d->entity);
}
