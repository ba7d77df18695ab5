/*
 * See crypto/ocsp.h. OpenSSL parses and verifies the signature; who may sign is judged here: its own check of
 * delegation builds paths to any anchor, and RFC 6960 section 4.2.2.2 wants the issuer itself above the
 * responder.
 */
#include "crypto/ocsp.h"

#include "crypto/certificate_internal.h"
#include "crypto/crl.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#define CLOCK_MARGIN_MS  ((uint64_t)10 * 60 * 1000)   /* an answer may be of a clock that is ahead of ours */
#define WITHOUT_END_MS   ((uint64_t)24 * 3600 * 1000) /* how old an answer may be that names no end */
#define SINGLES_MAX      1000
#define CERTIFICATES_MAX 10

size_t ocsp_urls(X509 *of, struct arena *a, struct slice urls[OCSP_URLS_MAX])
{
    AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(of, NID_info_access, NULL, NULL);
    size_t count = 0;

    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(info) && count < OCSP_URLS_MAX; i++) {
        const ACCESS_DESCRIPTION *access = sk_ACCESS_DESCRIPTION_value(info, i);
        struct slice url;

        if (OBJ_obj2nid(access->method) != NID_ad_OCSP || access->location->type != GEN_URI)
            continue;
        url = slice_of(ASN1_STRING_get0_data(access->location->d.uniformResourceIdentifier),
                       (size_t)ASN1_STRING_length(access->location->d.uniformResourceIdentifier));
        if (url.len > 0 && url.len <= OCSP_URL_MAX &&
            (slice_starts_with_nocase(url, SLICE_LITERAL("http://")) ||
             slice_starts_with_nocase(url, SLICE_LITERAL("https://"))) &&
            arena_copy(a, url, &urls[count]))
            count++;
    }
    AUTHORITY_INFO_ACCESS_free(info);
    ERR_clear_error();
    return count;
}

enum status ocsp_question(X509 *x, X509 *issuer, struct buf *out, struct failure *f)
{
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), x, issuer);
    unsigned char *der = NULL;
    int len = -1;
    enum status status = STATUS_CRYPTO;

    if (request != NULL && id != NULL && OCSP_request_add0_id(request, id) != NULL) {
        id = NULL; /* the request has it */
        len = i2d_OCSP_REQUEST(request, &der);
    }
    if (len > 0)
        status = buf_append(out, der, (size_t)len);
    OPENSSL_free(der);
    OCSP_CERTID_free(id);
    OCSP_REQUEST_free(request);
    ERR_clear_error();
    return status == STATUS_OK ? STATUS_OK : failure_set(f, status, "the question cannot be written");
}

/* --- who signed --- */

static bool digest_is_broken(int signature, bool sha1_too)
{
    int digest = NID_undef;

    (void)OBJ_find_sigid_algs(signature, &digest, NULL);
    return digest == NID_md5 || digest == NID_md4 || digest == NID_md2 || (sha1_too && digest == NID_sha1);
}

/* Is this the certificate that the answer names as its signer's? */
static bool is_named(const OCSP_BASICRESP *basic, X509 *x)
{
    const ASN1_OCTET_STRING *key = NULL;
    const X509_NAME *name = NULL;
    const ASN1_BIT_STRING *bits = X509_get0_pubkey_bitstr(x);
    uint8_t hash[SHA_DIGEST_LENGTH];

    if (OCSP_resp_get0_id(basic, &key, &name) != 1)
        return false;
    if (name != NULL)
        return X509_NAME_cmp(name, X509_get_subject_name(x)) == 0;
    if (key == NULL || bits == NULL || ASN1_STRING_length(key) != sizeof(hash))
        return false;
    SHA1(ASN1_STRING_get0_data(bits), (size_t)ASN1_STRING_length(bits), hash);
    return memcmp(hash, ASN1_STRING_get0_data(key), sizeof(hash)) == 0;
}

static bool in_time(X509 *x, uint64_t now_ms)
{
    time_t now = (time_t)(now_ms / 1000);

    return X509_cmp_time(X509_get0_notBefore(x), &now) < 0 && X509_cmp_time(X509_get0_notAfter(x), &now) > 0;
}

/* The rights of a responder that is not the issuer itself; NULL, or what it lacks. */
static const char *lacks(X509 *responder, X509 *issuer, uint64_t now_ms)
{
    uint32_t flags = X509_get_extension_flags(responder);

    if (X509_check_issued(issuer, responder) != X509_V_OK || X509_get0_pubkey(issuer) == NULL ||
        X509_verify(responder, X509_get0_pubkey(issuer)) != 1)
        return "it is not issued by the certificate's issuer";
    if (digest_is_broken(X509_get_signature_nid(responder), true))
        return "its certificate's signature uses a digest that can be forged";
    if ((flags & (EXFLAG_INVALID | EXFLAG_CRITICAL)) != 0)
        return "its certificate has extensions that are not well formed or not known";
    if ((flags & EXFLAG_XKUSAGE) == 0 || (X509_get_extended_key_usage(responder) & XKU_OCSP_SIGN) == 0)
        return "its certificate is not for signing such answers (id-kp-OCSPSigning)";
    if ((X509_get_key_usage(responder) & KU_DIGITAL_SIGNATURE) == 0)
        return "its key usage does not allow signatures";
    return in_time(responder, now_ms) ? NULL : "its certificate is not valid now";
}

static enum status not_revoked(X509 *responder, X509 *issuer, struct store_view *view, struct failure *f)
{
    uint8_t id[ISSUER_ID_SIZE];
    struct slice serial;
    struct revocation revocation;
    enum status status = issuer_id_of(issuer, id);

    if (status == STATUS_OK)
        status = serial_bytes(X509_get0_serialNumber(responder), &serial);
    if (status == STATUS_OK)
        status = store_revocation_get(view, id, serial, &revocation);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status == STATUS_OK)
        return failure_set(f, STATUS_UNTRUSTED, "the responder's certificate was revoked");
    return failure_set(f, status, "it cannot be found out whether the responder's certificate was revoked");
}

static enum status find_signer(const OCSP_BASICRESP *basic, X509 *issuer, struct store_view *view,
                               uint64_t now_ms, X509 **signer, struct failure *f)
{
    const STACK_OF(X509) *sent = OCSP_resp_get0_certs(basic);
    const char *why = "nobody that may sign for the issuer is named";

    *signer = NULL;
    if (is_named(basic, issuer)) {
        *signer = issuer;
        return STATUS_OK;
    }
    for (int i = 0; i < sk_X509_num(sent) && i < CERTIFICATES_MAX && *signer == NULL; i++) {
        if (!is_named(basic, sk_X509_value(sent, i)))
            continue;
        why = lacks(sk_X509_value(sent, i), issuer, now_ms);
        if (why == NULL)
            *signer = sk_X509_value(sent, i);
    }
    if (*signer == NULL)
        return failure_set(f, STATUS_UNTRUSTED, "the responder may not answer: %s", why);
    return not_revoked(*signer, issuer, view, f);
}

static enum status check_signature(OCSP_BASICRESP *basic, X509 *signer, struct failure *f)
{
    STACK_OF(X509) *only = sk_X509_new_null();
    const ASN1_OBJECT *algorithm = NULL;
    bool good;

    X509_ALGOR_get0(&algorithm, NULL, NULL, OCSP_resp_get0_tbs_sigalg(basic));
    good = !digest_is_broken(OBJ_obj2nid(algorithm), false) && only != NULL &&
           sk_X509_push(only, signer) > 0 &&
           OCSP_basic_verify(basic, only, NULL, OCSP_NOINTERN | OCSP_NOVERIFY) == 1;
    sk_X509_free(only);
    return good ? STATUS_OK : failure_set(f, STATUS_UNTRUSTED, "the answer's signature does not hold");
}

/* --- what it says --- */

static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, X509 *x, X509 *issuer)
{
    OCSP_SINGLERESP *found = NULL;

    for (int i = 0; i < OCSP_resp_count(basic) && i < SINGLES_MAX && found == NULL; i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        const OCSP_CERTID *theirs = OCSP_SINGLERESP_get0_id(single);
        OCSP_CERTID *copy = OCSP_CERTID_dup(theirs), *mine = NULL;
        ASN1_OBJECT *digest = NULL;

        if (copy != NULL && OCSP_id_get0_info(NULL, &digest, NULL, NULL, copy) == 1 &&
            EVP_get_digestbyobj(digest) != NULL)
            mine = OCSP_cert_to_id(EVP_get_digestbyobj(digest), x, issuer);
        if (mine != NULL && OCSP_id_cmp(mine, theirs) == 0)
            found = single;
        OCSP_CERTID_free(copy);
        OCSP_CERTID_free(mine);
    }
    return found;
}

static enum status check_times(const struct ocsp_record *r, uint64_t now_ms, struct failure *f)
{
    if (r->this_ms > now_ms + CLOCK_MARGIN_MS)
        return failure_set(f, STATUS_INVALID, "the answer's thisUpdate lies in the future");
    if (r->next_ms == 0 && r->status == OCSP_GOOD)
        return failure_set(f, STATUS_INVALID,
                           "the answer names no nextUpdate: it cannot be used ahead of time");
    if (r->next_ms != 0 && r->next_ms <= r->this_ms)
        return failure_set(f, STATUS_INVALID, "the answer's nextUpdate is not after its thisUpdate");
    if (r->next_ms != 0 ? r->next_ms < now_ms : r->this_ms + WITHOUT_END_MS < now_ms)
        return failure_set(f, STATUS_EXPIRED, "the answer is too old");
    return STATUS_OK;
}

static enum status read_single(OCSP_SINGLERESP *single, uint64_t now_ms, struct ocsp_record *out,
                               struct failure *f)
{
    ASN1_GENERALIZEDTIME *revoked = NULL, *from = NULL, *until = NULL;
    int reason = -1;
    int said = OCSP_single_get0_status(single, &reason, &revoked, &from, &until);

    *out = (struct ocsp_record){.status = said == V_OCSP_CERTSTATUS_REVOKED ? OCSP_REVOKED : OCSP_GOOD};
    if (said != V_OCSP_CERTSTATUS_GOOD && said != V_OCSP_CERTSTATUS_REVOKED)
        return failure_set(f, STATUS_NOT_FOUND, "the responder does not know the certificate");
    if (!asn1_time_ms(from, &out->this_ms) || (until != NULL && !asn1_time_ms(until, &out->next_ms)) ||
        (out->status == OCSP_REVOKED && !asn1_time_ms(revoked, &out->revoked_ms)))
        return failure_set(f, STATUS_MALFORMED, "the answer's times are not readable");
    if (out->status == OCSP_REVOKED && reason > 0 && reason <= CRL_REASON_MAX)
        out->reason = (unsigned)reason;
    return check_times(out, now_ms, f);
}

static enum status read_basic(OCSP_BASICRESP *basic, X509 *x, X509 *issuer, struct store_view *view,
                              uint64_t now_ms, struct ocsp_record *out, struct failure *f)
{
    X509 *signer;
    OCSP_SINGLERESP *single;
    enum status status = find_signer(basic, issuer, view, now_ms, &signer, f);

    if (status == STATUS_OK)
        status = check_signature(basic, signer, f);
    if (status != STATUS_OK)
        return status;
    single = find_single(basic, x, issuer);
    if (single == NULL)
        return failure_set(f, STATUS_NOT_FOUND, "the answer is about other certificates");
    return read_single(single, now_ms, out, f);
}

enum status ocsp_answer_read(struct slice content, X509 *x, X509 *issuer, struct store_view *view,
                             uint64_t now_ms, struct ocsp_record *out, struct failure *f)
{
    const unsigned char *at = content.data;
    OCSP_RESPONSE *response =
        content.len > OCSP_ANSWER_MAX ? NULL : d2i_OCSP_RESPONSE(NULL, &at, (long)content.len);
    OCSP_BASICRESP *basic = NULL;
    enum status status = STATUS_MALFORMED;
    int said = response == NULL ? -1 : OCSP_response_status(response);

    if (response == NULL || at != content.data + content.len) {
        (void)failure_set(f, status, "this is no answer of an OCSP responder");
    } else if (said != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        status =
            failure_set(f, STATUS_UNAVAILABLE, "the responder says \"%s\"", OCSP_response_status_str(said));
    } else if ((basic = OCSP_response_get1_basic(response)) == NULL) {
        (void)failure_set(f, status, "the answer is of a kind that is not known");
    } else {
        status = read_basic(basic, x, issuer, view, now_ms, out, f);
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return status;
}

/* --- what is stored of it --- */

static X509 *stored(struct store_view *view, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record;

    return store_certificate_get(view, thumbprint, &record) == STATUS_OK ? certificate_from_der(record.der)
                                                                         : NULL;
}

static enum status names_keep(X509 *x, X509 *issuer, struct ocsp_finding *out, struct failure *f)
{
    struct slice serial;
    enum status status = issuer_id_of(issuer, out->issuer);

    if (status == STATUS_OK)
        status = serial_bytes(X509_get0_serialNumber(x), &serial);
    if (status != STATUS_OK)
        return failure_set(f, status, "the certificate cannot be named");
    memcpy(out->serial, serial.data, serial.len);
    out->serial_len = serial.len;
    return STATUS_OK;
}

static enum status compare(const struct ocsp_finding *found, struct store_view *view, struct failure *f)
{
    const struct ocsp_record *now = &found->answer;
    struct ocsp_record before;
    enum status status =
        store_ocsp_get(view, found->issuer, slice_of(found->serial, found->serial_len), &before);

    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return failure_set(f, status, "the answer that is stored cannot be read");
    if (before.this_ms > now->this_ms)
        return failure_set(f, STATUS_CONFLICT, "an answer that is newer is stored");
    if (before.this_ms == now->this_ms && before.next_ms == now->next_ms && before.status == now->status)
        return failure_set(f, STATUS_EXISTS, "this answer is stored already");
    return STATUS_OK;
}

enum status ocsp_find(struct slice content, const uint8_t thumbprint[THUMBPRINT_SIZE],
                      const uint8_t issuer[THUMBPRINT_SIZE], struct store_view *view, uint64_t now_ms,
                      struct ocsp_finding *out, struct failure *f)
{
    X509 *x = stored(view, thumbprint), *above = stored(view, issuer);
    enum status status;

    *out = (struct ocsp_finding){.serial_len = 0};
    if (x == NULL || above == NULL)
        status = failure_set(f, STATUS_NO_KEY, "the certificate or its issuer's is stored no more");
    else if (!certificate_is_issued_by(x, above))
        status = failure_set(f, STATUS_UNTRUSTED, "the certificate is not of that issuer");
    else
        status = names_keep(x, above, out, f);
    if (status == STATUS_OK)
        status = ocsp_answer_read(content, x, above, view, now_ms, &out->answer, f);
    if (status == STATUS_OK)
        status = compare(out, view, f);
    X509_free(x);
    X509_free(above);
    ERR_clear_error();
    return status;
}

void ocsp_command(const struct ocsp_finding *finding, uint64_t now_ms, struct slice actor,
                  struct command *out)
{
    command_init(out, COMMAND_OCSP_PUT, now_ms, actor);
    out->values[0].bytes = slice_of(finding->issuer, sizeof(finding->issuer));
    out->values[1].bytes = slice_of(finding->serial, finding->serial_len);
    out->values[2].number = finding->answer.status;
    out->values[3].number = finding->answer.revoked_ms;
    out->values[4].number = finding->answer.reason;
    out->values[5].number = finding->answer.this_ms;
    out->values[6].number = finding->answer.next_ms;
}
