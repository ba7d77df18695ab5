/* What a process that does CMS needs once, and the small pieces that all files of S/MIME share. */
#include "crypto/smime_internal.h"

#include "crypto/certificate_cache.h"
#include "crypto/der.h"
#include "crypto/providers.h"

#include <limits.h>
#include <malloc.h>
#include <openssl/err.h>

enum status smime_start(struct failure *f)
{
    /* glibc gives freed megabytes back to the kernel and takes them again for each buffer that CMS grows: 55
     * ms instead of 5 for 5 MB. */
    (void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 128 << 20);
    return providers_load(f);
}

enum status smime_failure(struct failure *f, const char *doing)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    enum status status =
        failure_set(f, STATUS_CRYPTO, "%s: %s", doing, reason != NULL ? reason : "OpenSSL gave no reason");

    ERR_clear_error();
    return status;
}

X509 *smime_certificate(struct slice der)
{
    static struct certificate_cache *cache; /* for as long as the process lives */

    if (cache == NULL)
        cache = certificate_cache_new();
    return certificate_cache_get(cache, der);
}

BIO *smime_bio_of(struct slice bytes)
{
    return bytes.len > INT_MAX
               ? NULL
               : BIO_new_mem_buf(bytes.len == 0 ? "" : (const char *)bytes.data, (int)bytes.len);
}

CMS_ContentInfo *smime_parse(struct slice cms)
{
    const unsigned char *at = cms.data;
    CMS_ContentInfo *parsed =
        cms.len == 0 || cms.len > CMS_MAX ? NULL : d2i_CMS_ContentInfo(NULL, &at, (long)cms.len);

    ERR_clear_error();
    return parsed;
}

enum status smime_to_der(CMS_ContentInfo *cms, struct buf *out)
{
    int len = i2d_CMS_ContentInfo(cms, NULL);
    unsigned char *at;
    enum status status;

    if (len <= 0)
        return STATUS_CRYPTO;
    status = buf_reserve(out, (size_t)len);
    if (status != STATUS_OK)
        return status;
    at = out->data + out->len;
    if (i2d_CMS_ContentInfo(cms, &at) != len)
        return STATUS_CRYPTO;
    out->len += (size_t)len;
    return STATUS_OK;
}

/* For the content, encrypted or not, when the object is to hold it. Without memory it grows on its own. */
static void make_room(BIO *chain, size_t size)
{
    BIO *memory = BIO_find_type(chain, BIO_TYPE_MEM);
    BUF_MEM *room = NULL;

    if (memory != NULL && BIO_get_mem_ptr(memory, &room) == 1 && BUF_MEM_grow(room, size) != 0)
        room->length = 0;
}

bool smime_final(CMS_ContentInfo *cms, struct slice content)
{
    BIO *chain = content.len > CMS_MAX ? NULL : CMS_dataInit(cms, NULL);
    size_t written = 0;
    bool good = chain != NULL;

    if (good && content.len > 0) /* what is never written to never belongs to the object */
        make_room(chain, content.len + EVP_MAX_BLOCK_LENGTH);
    if (good && content.len > 0)
        good = BIO_write_ex(chain, content.data, content.len, &written) == 1 && written == content.len;
    good = good && BIO_flush(chain) == 1 && CMS_dataFinal(cms, chain) == 1;
    BIO_free_all(chain);
    return good;
}

enum status smime_wrap(int nid, struct slice content, struct buf *out)
{
    const ASN1_OBJECT *object = OBJ_nid2obj(nid);
    struct slice oid = slice_of(OBJ_get0_data(object), OBJ_length(object));
    struct buf inner = BUF_INIT(64), outer = BUF_INIT(64);
    size_t before = out->len;
    enum status status = der_put_head(&inner, BER_SEQUENCE, content.len);

    if (status == STATUS_OK)
        status = der_put(&outer, BER_OID, oid);
    if (status == STATUS_OK)
        status = der_put_head(&outer, BER_CONTEXT_0, inner.len + content.len);
    if (status == STATUS_OK)
        status = der_put_head(out, BER_SEQUENCE, outer.len + inner.len + content.len);
    if (status == STATUS_OK)
        status = buf_append_slice(out, buf_slice(&outer));
    if (status == STATUS_OK)
        status = buf_append_slice(out, buf_slice(&inner));
    if (status == STATUS_OK)
        status = buf_append_slice(out, content);
    if (status != STATUS_OK)
        out->len = before;
    buf_release(&inner);
    buf_release(&outer);
    return status;
}

static const struct {
    const char *name;
    bool gcm;
} ciphers[SMIME_CIPHERS] = {
    [SMIME_AES256_CBC] = {"aes256-cbc", false}, [SMIME_AES256_GCM] = {"aes256-gcm", true},
    [SMIME_AES128_CBC] = {"aes128-cbc", false}, [SMIME_AES192_CBC] = {"aes192-cbc", false},
    [SMIME_AES192_GCM] = {"aes192-gcm", true},  [SMIME_AES128_GCM] = {"aes128-gcm", true},
};

const char *smime_cipher_name(enum smime_cipher cipher)
{
    return (unsigned)cipher < SMIME_CIPHERS ? ciphers[cipher].name : "";
}

bool smime_cipher_is_gcm(enum smime_cipher cipher)
{
    return (unsigned)cipher < SMIME_CIPHERS && ciphers[cipher].gcm;
}

bool smime_cipher_find(struct slice name, enum smime_cipher *cipher)
{
    for (int i = 0; i < SMIME_CIPHERS; i++)
        if (slice_equal(name, slice_of_text(ciphers[i].name))) {
            *cipher = (enum smime_cipher)i;
            return true;
        }
    return false;
}

const char *smime_verdict_name(enum smime_verdict verdict)
{
    static const char *const names[] = {
        [SMIME_NONE] = "none",           [SMIME_VALID] = "valid",     [SMIME_INVALID] = "invalid",
        [SMIME_MISMATCH] = "mismatch",   [SMIME_EXPIRED] = "expired", [SMIME_REVOKED] = "revoked",
        [SMIME_UNTRUSTED] = "untrusted", [SMIME_UNKNOWN] = "unknown",
    };

    return (unsigned)verdict < sizeof(names) / sizeof(names[0]) ? names[verdict] : "unknown";
}

/*
 * ContentInfo ::= SEQUENCE { contentType OBJECT IDENTIFIER, ... } (RFC 5652 section 3). Only the first bytes
 * are looked at; no length is used but to step over it.
 */
enum cms_kind smime_kind(struct slice cms)
{
    static const struct {
        const char *oid; /* DER with tag and length */
        size_t len;
        enum cms_kind kind;
    } kinds[] = {
        {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02", 11, CMS_KIND_SIGNED},
        {"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x03", 11, CMS_KIND_ENVELOPED},
        {"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x17", 13, CMS_KIND_AUTH_ENVELOPED},
        {"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09", 13, CMS_KIND_COMPRESSED},
    };
    size_t at = 2;

    if (cms.len < 2 || cms.data[0] != 0x30)
        return CMS_KIND_OTHER;
    if (cms.data[1] > 0x80) /* long form: so many more bytes of length */
        at += cms.data[1] & 0x7f;
    if (at > cms.len)
        return CMS_KIND_OTHER;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (slice_starts_with(slice_of(cms.data + at, cms.len - at), slice_of(kinds[i].oid, kinds[i].len)))
            return kinds[i].kind;
    return CMS_KIND_OTHER;
}
