/* Answers of OCSP responders: whom to believe, about what, and for how long. */
#include "revocation_fixture.h"

#include "crypto/ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>

struct answer {
    const struct made *about, *issuer; /* NULL: leaf, inter */
    const struct made *signer;         /* NULL: inter */
    int said;                          /* V_OCSP_CERTSTATUS_... */
    int64_t from_ms, to_ms;            /* beside NOW_MS; to 0: none */
    const EVP_MD *name;                /* digest of the certificate's name; NULL: SHA-1 */
    const EVP_MD *digest;              /* of the signature; NULL: SHA-256 */
    bool by_key;                       /* the signer is named by key */
    bool damaged;                      /* a bit of the signed part is not as it was signed */
};

static void answer_make(const struct answer *a, struct buf *out)
{
    const struct made *about = a->about != NULL ? a->about : &world.leaf;
    const struct made *issuer = a->issuer != NULL ? a->issuer : &world.inter;
    const struct made *signer = a->signer != NULL ? a->signer : &world.inter;
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(a->name != NULL ? a->name : EVP_sha1(), about->x, issuer->x);
    ASN1_TIME *from = ASN1_TIME_adj(NULL, (time_t)(((int64_t)NOW_MS + a->from_ms) / 1000), 0, 0);
    ASN1_TIME *to =
        a->to_ms == 0 ? NULL : ASN1_TIME_adj(NULL, (time_t)(((int64_t)NOW_MS + a->to_ms) / 1000), 0, 0);
    ASN1_TIME *revoked = ASN1_TIME_adj(NULL, (time_t)((NOW_MS - DAY_MS) / 1000), 0, 0);
    OCSP_RESPONSE *response;
    unsigned char *der = NULL;
    int len;

    assert_non_null(OCSP_basic_add1_status(basic, id, a->said, a->said == V_OCSP_CERTSTATUS_REVOKED ? 1 : 0,
                                           a->said == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL, from, to));
    assert_int_equal(OCSP_basic_sign(basic, signer->x, signer->key,
                                     a->digest != NULL ? a->digest : EVP_sha256(), NULL,
                                     a->by_key ? OCSP_RESPID_KEY : 0),
                     1);
    response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    len = i2d_OCSP_RESPONSE(response, &der);
    assert_true(len > 0);
    OK(buf_append(out, der, (size_t)len));
    if (a->damaged)
        out->data[out->len / 3] ^= 1;
    OPENSSL_free(der);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    ASN1_TIME_free(revoked);
}

static enum status answer_read(const struct answer *a, struct ocsp_record *record)
{
    struct buf der = BUF_INIT(65536);
    struct store_view *view;
    enum status status;

    answer_make(a, &der);
    OK(store_view_begin(world.store, &view, NULL));
    status = ocsp_answer_read(buf_slice(&der), world.leaf.x, world.inter.x, view, NOW_MS, record, &f);
    store_view_end(view);
    buf_release(&der);
    return status;
}

static void what_is_signed_by_the_issuer_counts(void **state)
{
    struct ocsp_record r;

    (void)state;
    OK(answer_read(&(struct answer){.from_ms = -5000, .to_ms = 86400000}, &r));
    assert_int_equal(r.status, OCSP_GOOD);
    assert_int_equal(r.this_ms, NOW_MS - 5000);
    assert_int_equal(r.next_ms, NOW_MS + 86400000);
    OK(answer_read(
        &(struct answer){.from_ms = -5000, .to_ms = 86400000, .by_key = true, .name = EVP_sha256()}, &r));
    OK(answer_read(&(struct answer){.said = V_OCSP_CERTSTATUS_REVOKED, .from_ms = -5000}, &r));
    assert_int_equal(r.status, OCSP_REVOKED);
    assert_int_equal(r.reason, 1);
    assert_int_equal(r.revoked_ms, NOW_MS - DAY_MS);
}

static void what_is_about_others_or_too_old_does_not(void **state)
{
    static const struct {
        struct answer answer;
        enum status status;
        const char *text;
    } table[] = {
        {{.about = &world.other, .from_ms = -5000, .to_ms = 5000}, STATUS_NOT_FOUND, "about other"},
        /* The same serial number of another issuer, and the right issuer's name with another key. */
        {{.issuer = &world.root, .from_ms = -5000, .to_ms = 5000}, STATUS_NOT_FOUND, "about other"},
        {{.said = V_OCSP_CERTSTATUS_UNKNOWN, .from_ms = -5000, .to_ms = 5000},
         STATUS_NOT_FOUND,
         "does not know"},
        {{.from_ms = -50000, .to_ms = -1000}, STATUS_EXPIRED, "too old"},
        {{.said = V_OCSP_CERTSTATUS_REVOKED, .from_ms = -50000, .to_ms = -1000}, STATUS_EXPIRED, "too old"},
        {{.said = V_OCSP_CERTSTATUS_REVOKED, .from_ms = -90000000}, STATUS_EXPIRED, "too old"},
        {{.from_ms = 3600000, .to_ms = 7200000}, STATUS_INVALID, "future"},
        {{.from_ms = -5000}, STATUS_INVALID, "nextUpdate"},
        {{.from_ms = -5000, .to_ms = -9000}, STATUS_INVALID, "nextUpdate"},
        {{.from_ms = -5000, .to_ms = 5000, .signer = &world.root}, STATUS_UNTRUSTED, "not issued by"},
        {{.from_ms = -5000, .to_ms = 5000, .signer = &world.other}, STATUS_UNTRUSTED, "OCSPSigning"},
    };
    struct ocsp_record r;

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        assert_int_equal(answer_read(&table[i].answer, &r), table[i].status);
        HOLDS(f.text, table[i].text);
    }
    assert_int_not_equal(answer_read(&(struct answer){.from_ms = -5000, .to_ms = 5000, .damaged = true}, &r),
                         STATUS_OK);
    assert_int_equal(answer_read(&(struct answer){.from_ms = -5000, .to_ms = 5000, .digest = EVP_md5()}, &r),
                     STATUS_UNTRUSTED);
}

static enum status found(const struct answer *a, const struct made *about, const struct made *issuer,
                         struct ocsp_finding *finding)
{
    struct buf der = BUF_INIT(65536);
    struct store_view *view;
    uint8_t thumbprint[THUMBPRINT_SIZE], above[THUMBPRINT_SIZE];
    enum status status;

    answer_make(a, &der);
    sha256(about->der, thumbprint);
    sha256(issuer->der, above);
    OK(store_view_begin(world.store, &view, NULL));
    status = ocsp_find(buf_slice(&der), thumbprint, above, view, NOW_MS, finding, &f);
    store_view_end(view);
    buf_release(&der);
    return status;
}

static void what_is_found_is_compared_with_what_is_stored(void **state)
{
    const struct answer good = {.from_ms = -5000, .to_ms = 86400000};
    const struct answer older = {.from_ms = -9000, .to_ms = 86400000};
    const struct answer longer = {.from_ms = -5000, .to_ms = 2 * 86400000};
    const struct answer at_once = {.said = V_OCSP_CERTSTATUS_REVOKED, .from_ms = -5000, .to_ms = 86400000};
    const struct answer revoked = {.said = V_OCSP_CERTSTATUS_REVOKED, .from_ms = -4000, .to_ms = 86400000};
    struct ocsp_finding finding;
    struct command c;

    (void)state;
    assert_int_equal(found(&good, &world.leaf, &world.inter, &finding), STATUS_NO_KEY);
    world_certificate(&world, &world.leaf, false);
    assert_int_equal(found(&good, &world.leaf, &world.root, &finding), STATUS_UNTRUSTED);
    HOLDS(f.text, "not of that issuer");
    OK(found(&good, &world.leaf, &world.inter, &finding));
    ocsp_command(&finding, NOW_MS, SLICE_LITERAL("test"), &c);
    OK(world_apply(&world, &c).status);
    assert_int_equal(found(&good, &world.leaf, &world.inter, &finding), STATUS_EXISTS);
    assert_int_equal(found(&older, &world.leaf, &world.inter, &finding), STATUS_CONFLICT);
    /* Whoever proposes it: the state itself goes forward only. */
    ocsp_command(&finding, NOW_MS, SLICE_LITERAL("test"), &c);
    assert_int_equal(world_apply(&world, &c).status, STATUS_CONFLICT);
    OK(found(&longer, &world.leaf, &world.inter, &finding));
    OK(found(&at_once, &world.leaf, &world.inter, &finding)); /* of the same second */
    OK(found(&revoked, &world.leaf, &world.inter, &finding));
    ocsp_command(&finding, NOW_MS, SLICE_LITERAL("test"), &c);
    OK(world_apply(&world, &c).status);
    assert_int_equal(world_judge(&world, &world.leaf, &f), STATUS_REVOKED);
    assert_int_equal(found(&good, &world.leaf, &world.inter, &finding), STATUS_CONFLICT);
}

static bool count_answer(void *context, const uint8_t *issuer, struct slice serial,
                         const struct ocsp_record *answer)
{
    size_t *counts = context;

    (void)issuer;
    (void)serial;
    counts[answer->status]++;
    return true;
}

static void what_has_ended_is_swept_and_what_is_revoked_stays(void **state)
{
    struct apply_result result;
    struct command c;
    size_t counts[2] = {0};
    struct store_view *view;

    (void)state;
    world_ocsp(&world, &world.leaf, &world.inter, OCSP_GOOD, NOW_MS - 5000);
    world_ocsp(&world, &world.other, &world.inter, OCSP_GOOD, NOW_MS + 5000);
    world_ocsp(&world, &world.inter, &world.root, OCSP_REVOKED, NOW_MS - 5000);
    command_init(&c, COMMAND_OCSP_SWEEP, NOW_MS, SLICE_LITERAL("core"));
    c.values[0].number = NOW_MS;
    result = world_apply(&world, &c);
    OK(result.status);
    assert_int_equal(result.value[result.value_len - 1], 1); /* one, as MessagePack */
    OK(store_view_begin(world.store, &view, NULL));
    OK(store_ocsp_all(view, count_answer, counts));
    store_view_end(view);
    assert_int_equal(counts[OCSP_GOOD], 1);
    assert_int_equal(counts[OCSP_REVOKED], 1);
}

static enum status by_delegate(const struct recipe *recipe, const struct made *issuer)
{
    struct made delegate = pki_make(recipe, issuer);
    struct ocsp_record r;
    enum status status =
        answer_read(&(struct answer){.from_ms = -5000, .to_ms = 5000, .signer = &delegate}, &r);

    pki_release(&delegate);
    return status;
}

/* RFC 6960 section 4.2.2.2: the right comes from the issuer itself. */
static void a_responder_needs_the_issuers_word(void **state)
{
    const struct recipe good = {
        .name = "ocsp", .key = 2, .usage = "digitalSignature", .extended = "OCSPSigning"};
    struct recipe recipe = good;
    struct made forger;

    (void)state;
    OK(by_delegate(&good, &world.inter));
    /* In the issuer's name, by another key: that gives no right. */
    forger = pki_make(&(struct recipe){.name = "inter", .ca = true, .usage = "keyCertSign", .key = 2}, NULL);
    assert_int_equal(by_delegate(&good, &forger), STATUS_UNTRUSTED);
    pki_release(&forger);
    assert_int_equal(by_delegate(&good, &world.root), STATUS_UNTRUSTED);
    assert_int_equal(by_delegate(&good, NULL), STATUS_UNTRUSTED);
    recipe.extended = "emailProtection";
    assert_int_equal(by_delegate(&recipe, &world.inter), STATUS_UNTRUSTED);
    recipe.extended = NULL; /* any purpose is not this one */
    assert_int_equal(by_delegate(&recipe, &world.inter), STATUS_UNTRUSTED);
    recipe = good;
    recipe.usage = "keyEncipherment";
    assert_int_equal(by_delegate(&recipe, &world.inter), STATUS_UNTRUSTED);
    recipe = good;
    recipe.from_ms = NOW_MS - 2 * DAY_MS;
    recipe.to_ms = NOW_MS - DAY_MS;
    assert_int_equal(by_delegate(&recipe, &world.inter), STATUS_UNTRUSTED);
    recipe = good;
    recipe.digest = EVP_sha1();
    assert_int_equal(by_delegate(&recipe, &world.inter), STATUS_UNTRUSTED);
    recipe = good;
    recipe.unknown = "critical";
    assert_int_equal(by_delegate(&recipe, &world.inter), STATUS_UNTRUSTED);
}

static void a_revoked_responder_says_nothing(void **state)
{
    const struct recipe recipe = {
        .name = "ocsp", .key = 2, .usage = "digitalSignature", .extended = "OCSPSigning"};
    struct made delegate = pki_make(&recipe, &world.inter);
    const struct answer answer = {.from_ms = -5000, .to_ms = 5000, .signer = &delegate};
    struct ocsp_record r;

    (void)state;
    OK(answer_read(&answer, &r));
    OK(answer_read(&(struct answer){.from_ms = -5000, .to_ms = 5000, .signer = &delegate, .by_key = true},
                   &r));
    world_ocsp(&world, &delegate, &world.inter, OCSP_REVOKED, NOW_MS + DAY_MS);
    assert_int_equal(answer_read(&answer, &r), STATUS_UNTRUSTED);
    HOLDS(f.text, "revoked");
    pki_release(&delegate);
}

static void what_is_no_answer_is_said(void **state)
{
    struct ocsp_record r;
    struct buf der = BUF_INIT(65536);

    (void)state;
    assert_int_equal(
        ocsp_answer_read(SLICE_LITERAL("<html>"), world.leaf.x, world.inter.x, NULL, NOW_MS, &r, &f),
        STATUS_MALFORMED);
    /* OCSPResponse with the status tryLater (3) alone */
    assert_int_equal(ocsp_answer_read(SLICE_LITERAL("\x30\x03\x0a\x01\x03"), world.leaf.x, world.inter.x,
                                      NULL, NOW_MS, &r, &f),
                     STATUS_UNAVAILABLE);
    HOLDS(f.text, "trylater");
    answer_make(&(struct answer){.from_ms = -5000, .to_ms = 5000}, &der);
    for (size_t cut = 0; cut < der.len; cut += 7)
        assert_int_not_equal(
            ocsp_answer_read(slice_of(der.data, cut), world.leaf.x, world.inter.x, NULL, NOW_MS, &r, &f),
            STATUS_OK);
    OK(buf_append_byte(&der, 0)); /* what follows is not signed */
    assert_int_equal(ocsp_answer_read(buf_slice(&der), world.leaf.x, world.inter.x, NULL, NOW_MS, &r, &f),
                     STATUS_MALFORMED);
    buf_release(&der);
}

static void the_question_names_the_certificate(void **state)
{
    struct buf der = BUF_INIT(4096);
    OCSP_CERTID *id = OCSP_cert_to_id(EVP_sha1(), world.leaf.x, world.inter.x);
    const unsigned char *at;
    OCSP_REQUEST *request;

    (void)state;
    OK(ocsp_question(world.leaf.x, world.inter.x, &der, &f));
    at = der.data;
    request = d2i_OCSP_REQUEST(NULL, &at, (long)der.len);
    assert_non_null(request);
    assert_int_equal(OCSP_request_onereq_count(request), 1);
    assert_int_equal(OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(request, 0)), id), 0);
    OCSP_REQUEST_free(request);
    OCSP_CERTID_free(id);
    buf_release(&der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_signed_by_the_issuer_counts, begin, end),
        cmocka_unit_test_setup_teardown(what_is_about_others_or_too_old_does_not, begin, end),
        cmocka_unit_test_setup_teardown(what_is_found_is_compared_with_what_is_stored, begin, end),
        cmocka_unit_test_setup_teardown(what_has_ended_is_swept_and_what_is_revoked_stays, begin, end),
        cmocka_unit_test_setup_teardown(a_responder_needs_the_issuers_word, begin, end),
        cmocka_unit_test_setup_teardown(a_revoked_responder_says_nothing, begin, end),
        cmocka_unit_test_setup_teardown(what_is_no_answer_is_said, begin, end),
        cmocka_unit_test_setup_teardown(the_question_names_the_certificate, begin, end),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    pki_forget_keys();
    return failed;
}
