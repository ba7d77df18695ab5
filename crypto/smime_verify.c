/*
 * Verifying a signature: the mathematics first, then each signer's path to an anchor, then whose signature it
 * is. Whatever is wrong is a verdict, not an error: the message is delivered with it. A signature counts for
 * the From address alone. One thread a process.
 */
#include "crypto/smime_internal.h"

#include <limits.h>
#include <openssl/cmserr.h>
#include <openssl/err.h>

#define SIGNERS_MAX 16

static void say(struct smime_verified *out, enum smime_verdict verdict, const char *reason)
{
    struct failure text;

    (void)failure_set(&text, STATUS_OK, "%s", reason);
    out->verdict = verdict;
    memcpy(out->reason, text.text, sizeof(out->reason));
}

static bool digest_is_weak(CMS_SignerInfo *si)
{
    X509_ALGOR *digest = NULL;
    const ASN1_OBJECT *oid = NULL;
    int nid;

    CMS_SignerInfo_get0_algs(si, NULL, NULL, &digest, NULL);
    if (digest == NULL)
        return true;
    X509_ALGOR_get0(&oid, NULL, NULL, digest);
    nid = OBJ_obj2nid(oid);
    return nid != NID_sha256 && nid != NID_sha384 && nid != NID_sha512 && nid != NID_sha512_256 &&
           nid != NID_sha3_256 && nid != NID_sha3_384 && nid != NID_sha3_512;
}

static enum smime_verdict verdict_of(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return SMIME_VALID;
    case STATUS_EXPIRED:
        return SMIME_EXPIRED;
    case STATUS_UNTRUSTED:
        return SMIME_UNTRUSTED;
    default:
        return SMIME_INVALID;
    }
}

/* Is one of the certificate's addresses `from`? The matching one, else the first, becomes the signer's. */
static bool is_from(const struct certificate_record *record, struct slice from, char signer[ADDRESS_MAX + 1])
{
    for (size_t i = 0; i < record->address_count; i++) {
        bool match = from.len > 0 && slice_equal_nocase(record->addresses[i], from);

        if (match || i == 0) {
            memcpy(signer, record->addresses[i].data, record->addresses[i].len);
            signer[record->addresses[i].len] = '\0';
        }
        if (match)
            return true;
    }
    return false;
}

/* One signer whose signature holds: path, then name. The first verdict that is not VALID stays. */
static void judge_signer(X509 *x, STACK_OF(X509) * extra, struct slice from, struct trust *trust,
                         uint64_t now_ms, struct arena *a, bool first, struct smime_verified *out)
{
    struct buf der = BUF_INIT((size_t)128 << 10);
    struct certificate_record record;
    struct slice kept;
    struct failure why = {0};
    char signer[ADDRESS_MAX + 1] = "";
    enum status status = certificate_to_der(x, &der);

    if (status == STATUS_OK && !arena_copy(a, buf_slice(&der), &kept))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = certificate_describe(kept, (struct slice){0}, now_ms, a, &record, &why);
    if (status == STATUS_OK) {
        bool matches = is_from(&record, from, signer);

        status = trust_check(trust, kept, extra, TRUST_FOR_SIGNATURE, now_ms, &why);
        if (first) {
            out->signer_certificate = kept;
            memcpy(out->signer, signer, sizeof(out->signer));
        }
        if (status == STATUS_OK && !matches)
            say(out, SMIME_MISMATCH, "the signer is not the address in From");
    }
    if (status != STATUS_OK)
        say(out, verdict_of(status), why.text);
    buf_release(&der);
}

static bool keep_content(BIO *content, struct smime_verified *out)
{
    char *data = NULL;
    long len = BIO_get_mem_data(content, &data);

    return len >= 0 && buf_append(&out->content, data, (size_t)len) == STATUS_OK;
}

static void verify_parsed(CMS_ContentInfo *cms, struct slice entity, bool detached, struct slice from,
                          struct trust *trust, uint64_t now_ms, struct arena *a, struct smime_verified *out)
{
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
    STACK_OF(X509) *extra = CMS_get1_certs(cms);
    STACK_OF(X509) *signers = NULL;
    BIO *in = detached ? BIO_new_mem_buf(entity.data, (int)entity.len) : NULL;
    BIO *content = BIO_new(BIO_s_mem());
    int count = sk_CMS_SignerInfo_num(infos);

    if ((detached && in == NULL) || content == NULL) {
        say(out, SMIME_INVALID, "out of memory");
        goto out;
    }
    if (count <= 0 || count > SIGNERS_MAX) {
        say(out, SMIME_INVALID, count <= 0 ? "there is no signer" : "there are too many signers");
        goto out;
    }
    if ((CMS_is_detached(cms) == 1) != detached) {
        say(out, SMIME_INVALID, "the signature does not have the form that the message says");
        goto out;
    }
    if (CMS_verify(cms, NULL, NULL, in, content, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1) {
        if (ERR_GET_REASON(ERR_peek_last_error()) == CMS_R_SIGNER_CERTIFICATE_NOT_FOUND)
            say(out, SMIME_UNKNOWN, "the signer's certificate is not in the message");
        else
            say(out, SMIME_INVALID,
                "the message was changed after it was signed, or the signature is broken");
        goto out;
    }
    for (int i = 0; i < count; i++)
        if (digest_is_weak(sk_CMS_SignerInfo_value(infos, i))) {
            say(out, SMIME_INVALID, "the signature uses a digest that can be forged");
            goto out;
        }
    if (!detached && !keep_content(content, out)) {
        say(out, SMIME_INVALID, "the signed content is too large");
        goto out;
    }
    signers = CMS_get0_signers(cms);
    out->verdict = SMIME_VALID;
    for (int i = 0; i < sk_X509_num(signers) && out->verdict == SMIME_VALID; i++)
        judge_signer(sk_X509_value(signers, i), extra, from, trust, now_ms, a, i == 0, out);
    if (sk_X509_num(signers) <= 0)
        say(out, SMIME_UNKNOWN, "the signer's certificate is not in the message");
out:
    sk_X509_free(signers);
    sk_X509_pop_free(extra, X509_free);
    BIO_free(in);
    BIO_free(content);
}

enum status smime_verify(struct slice cms, struct slice entity, bool detached, struct slice from,
                         struct trust *trust, uint64_t now_ms, struct arena *a, struct smime_verified *out)
{
    CMS_ContentInfo *parsed =
        smime_kind(cms) == CMS_KIND_SIGNED && entity.len <= INT_MAX ? smime_parse(cms) : NULL;

    memset(out, 0, sizeof(*out));
    out->content = BUF_INIT(CMS_MAX);
    if (parsed == NULL)
        say(out, SMIME_INVALID, "the signature is no CMS object");
    else
        verify_parsed(parsed, entity, detached, from, trust, now_ms, a, out);
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    return STATUS_OK;
}

void smime_verified_release(struct smime_verified *v)
{
    buf_release(&v->content);
}
