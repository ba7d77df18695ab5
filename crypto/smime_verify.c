/*
 * Verifying a signature: the mathematics first, then each signer's path to an anchor, then whose signature it
 * is. Whatever is wrong is a verdict, not an error: the message is delivered with it. A signature counts for
 * the From address alone. One thread a process.
 */
#include "crypto/smime_attributes.h"

#include "crypto/buf_sink.h"
#include "crypto/certificate_internal.h"
#include "crypto/cms_scan.h"

#include <openssl/cmserr.h>
#include <openssl/err.h>

#define CERTIFICATE_MAX ((size_t)128 << 10) /* bytes */

struct verification {
    struct slice from;
    struct trust *trust;
    uint64_t now_ms;
    struct arena *arena;
    struct smime_verified *out;
    bool named, matched; /* `out` has a signer; it is `from` */
};

static void say(struct smime_verified *out, enum smime_verdict verdict, const char *reason)
{
    struct failure text;

    (void)failure_set(&text, STATUS_OK, "%s", reason);
    out->verdict = verdict;
    memcpy(out->reason, text.text, sizeof(out->reason));
}

static bool digest_is_strong(int nid)
{
    return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512 || nid == NID_sha224 ||
           nid == NID_sha512_256 || nid == NID_sha3_256 || nid == NID_sha3_384 || nid == NID_sha3_512;
}

/* VALID if OpenSSL can tell about it; else the verdict, with its reason in `out`. */
static enum smime_verdict check_algorithms(CMS_SignerInfo *si, struct smime_verified *out)
{
    X509_ALGOR *digest = NULL;
    X509 *x = NULL;
    EVP_PKEY *key;
    const ASN1_OBJECT *oid = NULL;
    int kind, nid;

    CMS_SignerInfo_get0_algs(si, NULL, &x, &digest, NULL);
    if (x == NULL) {
        say(out, SMIME_UNKNOWN, "the signer's certificate is not in the message");
        return out->verdict;
    }
    X509_ALGOR_get0(&oid, NULL, NULL, digest);
    nid = OBJ_obj2nid(oid);
    if (!digest_is_strong(nid)) {
        if (EVP_get_digestbynid(nid) != NULL)
            say(out, SMIME_INVALID, "the signature uses a digest that can be forged");
        else
            say(out, SMIME_UNKNOWN, "the signature uses a digest that is not supported");
        return out->verdict;
    }
    key = X509_get0_pubkey(x);
    kind = key == NULL ? NID_undef : EVP_PKEY_get_base_id(key);
    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_RSA_PSS && kind != EVP_PKEY_EC && kind != EVP_PKEY_ED25519) {
        say(out, SMIME_UNKNOWN, "the signer's kind of key is not supported");
        return out->verdict;
    }
    return SMIME_VALID;
}

static enum smime_verdict verdict_of(enum status status)
{
    switch (status) {
    case STATUS_OK:
        return SMIME_VALID;
    case STATUS_EXPIRED:
        return SMIME_EXPIRED;
    case STATUS_REVOKED:
        return SMIME_REVOKED;
    case STATUS_UNTRUSTED:
        return SMIME_UNTRUSTED;
    default:
        return SMIME_INVALID;
    }
}

/* The signer's name: the first one's first address, until one is found that is `from`. What else is told is
 * of the same signer. */
static void note_signer(struct verification *v, CMS_SignerInfo *si, X509 *x,
                        const struct certificate_record *record)
{
    struct smime_verified *out = v->out;
    bool first = !v->named, before = v->matched;

    for (size_t i = 0; i < record->address_count && !v->matched; i++) {
        v->matched = v->from.len > 0 && slice_equal_nocase(record->addresses[i], v->from);
        if (v->matched || (first && i == 0)) {
            memcpy(out->signer, record->addresses[i].data, record->addresses[i].len);
            out->signer[record->addresses[i].len] = '\0';
            out->signer_certificate = record->der;
        }
    }
    if (first && out->signer_certificate.len == 0)
        out->signer_certificate = record->der;
    if (first || (v->matched && !before))
        smime_facts(si, x, out);
    v->named = true;
}

/* One signer whose signature holds: its path. The first verdict that is not VALID stays. */
static enum status judge_signer(struct verification *v, CMS_SignerInfo *si, STACK_OF(X509) * extra)
{
    X509 *x = NULL;
    struct buf der = BUF_INIT(CERTIFICATE_MAX);
    struct certificate_record record;
    struct slice kept;
    struct failure why = {0};
    enum status status;

    CMS_SignerInfo_get0_algs(si, NULL, &x, NULL, NULL);
    status = certificate_to_der(x, &der);

    if (status == STATUS_TOO_LARGE)
        (void)failure_set(&why, STATUS_INVALID, "the signer's certificate is too large");
    else if (status == STATUS_OK && !arena_copy(v->arena, buf_slice(&der), &kept))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = certificate_describe_parsed(x, kept, (struct slice){0}, v->now_ms, v->arena, &record, &why);
    if (status == STATUS_OK) {
        note_signer(v, si, x, &record);
        status = trust_check(v->trust, kept, extra, TRUST_FOR_SIGNATURE, v->now_ms, &why);
    }
    buf_release(&der);
    if (status == STATUS_NO_MEMORY || status == STATUS_IO || status == STATUS_UNAVAILABLE)
        return status;
    if (status != STATUS_OK && v->out->verdict == SMIME_VALID)
        say(v->out, verdict_of(status), why.text);
    return STATUS_OK;
}

static enum status judge_signers(struct verification *v, CMS_ContentInfo *cms)
{
    STACK_OF(X509) *extra = CMS_get1_certs(cms);
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
    enum status status = STATUS_OK;

    v->out->verdict = SMIME_VALID;
    for (int i = 0; i < sk_CMS_SignerInfo_num(infos) && status == STATUS_OK; i++)
        status = judge_signer(v, sk_CMS_SignerInfo_value(infos, i), extra);
    if (status == STATUS_OK && v->out->verdict == SMIME_VALID && !v->matched)
        say(v->out, SMIME_MISMATCH,
            v->from.len == 0 ? "the message has no From address that a signature could be for"
                             : "no signer is the address in From");
    sk_X509_pop_free(extra, X509_free);
    return status;
}

/* The message's certificates by way of the cache, where their keys are decoded already: tells each signer its
 * own. */
static void set_signers(CMS_ContentInfo *cms)
{
    STACK_OF(X509) *sent = CMS_get1_certs(cms), *known = sk_X509_new_null();

    for (int i = 0; known != NULL && i < sk_X509_num(sent); i++) {
        struct buf der = BUF_INIT(CERTIFICATE_MAX);
        X509 *x = certificate_to_der(sk_X509_value(sent, i), &der) == STATUS_OK
                      ? smime_certificate(buf_slice(&der))
                      : NULL;

        if (x != NULL && sk_X509_push(known, x) <= 0)
            X509_free(x);
        buf_release(&der);
    }
    (void)CMS_set1_signers_certs(cms, known, 0); /* who has none is found out later */
    ERR_clear_error();
    sk_X509_pop_free(known, X509_free);
    sk_X509_pop_free(sent, X509_free);
}

static bool is_eddsa(CMS_SignerInfo *si, X509 **x)
{
    CMS_SignerInfo_get0_algs(si, NULL, x, NULL, NULL);
    return EVP_PKEY_get_base_id(X509_get0_pubkey(*x)) == EVP_PKEY_ED25519;
}

/* OpenSSL's CMS stops at an Ed25519 signer: then each signer by itself. */
static bool each_signature_holds(CMS_ContentInfo *cms, struct slice der, struct slice content)
{
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);

    for (int i = 0; i < sk_CMS_SignerInfo_num(infos); i++) {
        CMS_SignerInfo *si = sk_CMS_SignerInfo_value(infos, i);
        X509 *x;

        if (is_eddsa(si, &x) ? !smime_verify_eddsa(der, (size_t)i, si, x, content)
                             : !(smime_digest_fits(si, content) && CMS_SignerInfo_verify(si) == 1))
            return false;
    }
    return true;
}

/* CMS_verify() makes a copy of a memory BIO, and loses it when the digests of a hostile signature are
 * unknown; what is behind a filter it leaves alone. Takes `bio`. */
static BIO *passed_through(BIO *bio)
{
    BIO *filter = bio == NULL ? NULL : BIO_new(BIO_f_null());

    if (filter == NULL) {
        BIO_free(bio);
        return NULL;
    }
    return BIO_push(filter, bio);
}

static bool signatures_hold(CMS_ContentInfo *cms, struct slice der, bool eddsa, struct slice entity,
                            bool detached, struct smime_verified *out)
{
    BIO *in = NULL, *content = NULL;
    bool hold;

    if (eddsa) {
        ASN1_OCTET_STRING **inside = detached ? NULL : CMS_get0_content(cms);
        struct slice bytes = entity;

        if (!detached)
            bytes = inside == NULL || *inside == NULL
                        ? slice_of(NULL, 0)
                        : slice_of(ASN1_STRING_get0_data(*inside), (size_t)ASN1_STRING_length(*inside));
        return each_signature_holds(cms, der, bytes) &&
               (detached || buf_append_slice(&out->content, bytes) == STATUS_OK);
    }
    if (detached)
        in = passed_through(smime_bio_of(entity));
    else
        content = buf_sink_new(&out->content);
    hold = (in != NULL || content != NULL) &&
           CMS_verify(cms, NULL, NULL, in, content, CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) == 1;
    BIO_free_all(in);
    BIO_free(content);
    return hold;
}

/* Does the signature hold, with algorithms that mean something? VALID, or the verdict with its reason in
 * `out`. */
static enum smime_verdict check_signature(CMS_ContentInfo *cms, struct slice der, struct slice entity,
                                          bool detached, struct smime_verified *out)
{
    STACK_OF(CMS_SignerInfo) *infos = CMS_get0_SignerInfos(cms);
    enum smime_verdict verdict = SMIME_VALID;
    bool eddsa = false;
    X509 *x;

    set_signers(cms);
    for (int i = 0; i < sk_CMS_SignerInfo_num(infos) && verdict == SMIME_VALID; i++) {
        verdict = check_algorithms(sk_CMS_SignerInfo_value(infos, i), out);
        eddsa = eddsa || (verdict == SMIME_VALID && is_eddsa(sk_CMS_SignerInfo_value(infos, i), &x));
    }
    if (verdict == SMIME_VALID && !signatures_hold(cms, der, eddsa, entity, detached, out)) {
        say(out, SMIME_INVALID, "the message was changed after it was signed, or the signature is broken");
        verdict = out->verdict;
    }
    for (int i = 0; i < sk_CMS_SignerInfo_num(infos) && verdict == SMIME_VALID; i++) {
        CMS_SignerInfo_get0_algs(sk_CMS_SignerInfo_value(infos, i), NULL, &x, NULL, NULL);
        if (!smime_attributes_name(sk_CMS_SignerInfo_value(infos, i), x)) {
            say(out, SMIME_INVALID, "the signature was made for another certificate than the one with it");
            verdict = out->verdict;
        } else if (smime_attributes_as_content(sk_CMS_SignerInfo_value(infos, i),
                                               detached ? entity : buf_slice(&out->content))) {
            say(out, SMIME_INVALID, "what is signed is the attributes of another signature, not a message");
            verdict = out->verdict;
        }
    }
    if (verdict != SMIME_VALID)
        buf_reset(&out->content);
    return verdict;
}

static bool is_plain_data(struct slice oid)
{
    const ASN1_OBJECT *data = OBJ_nid2obj(NID_pkcs7_data);

    return slice_equal(oid, slice_of(OBJ_get0_data(data), OBJ_length(data)));
}

enum status smime_verify(struct slice cms, struct slice entity, bool detached, struct slice from,
                         struct trust *trust, uint64_t now_ms, struct arena *a, struct smime_verified *out)
{
    struct verification v = {.from = from, .trust = trust, .now_ms = now_ms, .arena = a, .out = out};
    struct cms_facts facts;
    enum status status = cms_scan(cms, &facts), judged = STATUS_OK;
    CMS_ContentInfo *parsed = NULL;

    memset(out, 0, sizeof(*out));
    out->content = BUF_INIT(CMS_MAX);
    if (status == STATUS_OK && facts.kind == CMS_KIND_SIGNED)
        parsed = smime_parse(cms);
    if (parsed == NULL)
        say(out, SMIME_INVALID,
            status == STATUS_TOO_LARGE ? "the signature has too many signers or certificates"
                                       : "the signature is no CMS object");
    else if (facts.signers == 0)
        say(out, SMIME_INVALID, "there is no signer");
    else if (!is_plain_data(facts.content_type))
        say(out, SMIME_INVALID, "what is signed is not a message");
    else if ((CMS_is_detached(parsed) == 1) != detached)
        say(out, SMIME_INVALID, "the signature does not have the form that the message says");
    else if (check_signature(parsed, cms, entity, detached, out) == SMIME_VALID)
        judged = judge_signers(&v, parsed);
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    return judged;
}

void smime_verified_release(struct smime_verified *v)
{
    buf_release(&v->content);
}
