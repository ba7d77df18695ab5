/* SASL on both sides (RFC 4954, 4616, 5802, 7677): vectors of the RFCs, what must be refused, and each side
 * against the other. */
#include "base/base64.h"
#include "smtp/sasl_client.h"
#include "smtp/sasl_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static const struct sasl_binding no_binding;
static const struct sasl_binding binding = {
    .type = "tls-exporter", .data = "0123456789abcdef0123456789abcdef", .len = 32};
static const struct sasl_binding other_binding = {
    .type = "tls-exporter", .data = "fedcba9876543210fedcba9876543210", .len = 32};
static const uint8_t zeros[SCRAM_NONCE_SIZE];

/* RFC 7677 section 3 */
#define VECTOR_CLIENT_NONCE "rOprNGfwEbeRWgbNEkqO"
#define VECTOR_SERVER_NONCE "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
#define VECTOR_FIRST        "n,,n=user,r=" VECTOR_CLIENT_NONCE
#define VECTOR_SERVER_FIRST "r=" VECTOR_CLIENT_NONCE VECTOR_SERVER_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
#define VECTOR_FINAL                                                                                         \
    "c=biws,r=" VECTOR_CLIENT_NONCE VECTOR_SERVER_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
#define VECTOR_SERVER_FINAL "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="

/* Filled in by keys_of(): of user's password "pencil". */
static struct scram_verifier vector_verifier;

static int set_up(void **state)
{
    (void)state;
    static const uint8_t salt[] = {0x5b, 0x6d, 0x99, 0x68, 0x9d, 0x12, 0x35, 0x8e,
                                   0xec, 0xa0, 0x4b, 0x14, 0x12, 0x36, 0xfa, 0x81};
    struct scram_verifier made;
    uint8_t salted[SCRAM_KEY_SIZE];
    /* The verifier of 4096 iterations: made as one of more would be, since the keys are checked by the
     * vector. */
    assert_int_equal(scram_salted_password(SLICE_LITERAL("pencil"), slice_of(salt, 16), 4096, salted),
                     STATUS_OK);
    assert_int_equal(scram_verifier_of(salted, slice_of(salt, 16), 4096, &made), STATUS_OK);
    vector_verifier = made;
    return 0;
}

static const char *encoded(const char *text, size_t len)
{
    static char places[4][4096];
    static unsigned next;
    char *out = places[next++ % 4];
    struct buf b = BUF_INIT(4000);
    assert_int_equal(base64_encode(slice_of(text, len), &b), STATUS_OK);
    memcpy(out, b.data != NULL ? (const char *)b.data : "", b.len);
    out[b.len] = '\0';
    buf_release(&b);
    return out;
}

#define ENCODED(text) encoded(text, sizeof(text) - 1)

static void assert_says(struct buf *challenge, const char *plain)
{
    assert_int_equal(challenge->len, strlen(encoded(plain, strlen(plain))));
    assert_memory_equal(challenge->data, encoded(plain, strlen(plain)), challenge->len);
    buf_reset(challenge);
}

static void test_base64(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain; /* NULL: not base64 */
    } rows[] = {
        {"", ""},
        {"Zg==", "f"},
        {"Zm8=", "fo"},
        {"Zm9v", "foo"},
        {"Zm9vYg==", "foob"},
        {"Zm9vYmE=", "fooba"},
        {"Zm9vYmFy", "foobar"},
        {"+/+/", "\xfb\xff\xbf"},
        {"Zg=", NULL},
        {"Zg", NULL},
        {"Z===", NULL},
        {"====", NULL},
        {"Zh==", NULL},
        {"Zm9=", NULL},
        {"Zg==Zg==", NULL},
        {"Zm 9v", NULL},
        {"Zm9v\n", NULL},
        {"Zm-_", NULL},
        {"=Zm9", NULL},
        {"Z=g=", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct buf out = BUF_INIT(100);
        assert_int_equal(buf_append_text(&out, "x"), STATUS_OK);
        enum status status = base64_decode(slice_of_text(rows[i].text), &out);
        assert_int_equal(status, rows[i].plain != NULL ? STATUS_OK : STATUS_MALFORMED);
        assert_int_equal(out.len, 1 + (rows[i].plain != NULL ? strlen(rows[i].plain) : 0));
        if (rows[i].plain != NULL) {
            assert_memory_equal(out.data + 1, rows[i].plain, out.len - 1);
            assert_string_equal(encoded(rows[i].plain, strlen(rows[i].plain)), rows[i].text);
        }
        buf_release(&out);
    }
}

static void test_server_vector(void **state)
{
    (void)state;
    struct sasl_server s;
    struct buf challenge = BUF_INIT(65536);
    sasl_server_start(&s, SASL_SCRAM, false, &no_binding, zeros);
    memcpy(s.nonce, VECTOR_SERVER_NONCE, sizeof VECTOR_SERVER_NONCE);
    assert_int_equal(sasl_server_begin(&s, slice_of_text(ENCODED(VECTOR_FIRST)), &challenge), SASL_ACCOUNT);
    assert_true(slice_equal(sasl_server_name(&s), SLICE_LITERAL("user")));
    assert_int_equal(challenge.len, 0);
    assert_int_equal(sasl_server_account(&s, &vector_verifier, &challenge), SASL_CHALLENGE);
    assert_says(&challenge, VECTOR_SERVER_FIRST);
    assert_int_equal(sasl_server_line(&s, slice_of_text(ENCODED(VECTOR_FINAL)), &challenge), SASL_CHALLENGE);
    assert_says(&challenge, VECTOR_SERVER_FINAL);
    assert_int_equal(sasl_server_line(&s, SLICE_LITERAL(""), &challenge), SASL_GOOD);
    sasl_server_release(&s);
    buf_release(&challenge);
}

static void test_client_vector(void **state)
{
    (void)state;
    struct sasl_client c;
    struct buf out = BUF_INIT(65536);
    uint8_t salted[SCRAM_KEY_SIZE];
    assert_int_equal(sasl_client_start(&c, SASL_SCRAM, 1u << SASL_SCRAM, SLICE_LITERAL("user"),
                                       SLICE_LITERAL("pencil"), &no_binding, zeros),
                     STATUS_OK);
    memcpy(c.nonce, VECTOR_CLIENT_NONCE, sizeof VECTOR_CLIENT_NONCE);
    assert_int_equal(sasl_client_initial(&c, &out), SASL_SEND);
    assert_says(&out, VECTOR_FIRST);
    assert_false(sasl_client_over(&c));
    assert_int_equal(sasl_client_challenge(&c, slice_of_text(ENCODED(VECTOR_SERVER_FIRST)), &out), SASL_SALT);
    assert_int_equal(scram_salted_password(buf_slice(&c.password), slice_of(c.first.salt, c.first.salt_len),
                                           c.first.iterations, salted),
                     STATUS_OK);
    assert_int_equal(sasl_client_salted(&c, salted, &out), SASL_SEND);
    assert_says(&out, VECTOR_FINAL);
    assert_false(sasl_client_over(&c)); /* a server that says 235 now has proven nothing */
    assert_int_equal(sasl_client_challenge(&c, slice_of_text(ENCODED(VECTOR_SERVER_FINAL)), &out), SASL_SEND);
    assert_int_equal(out.len, 0);
    assert_true(sasl_client_over(&c));
    sasl_client_release(&c);
    buf_release(&out);
}

/* A server that does not know the password, shortens the nonce or asks for too little or too much work. */
static void test_lying_servers(void **state)
{
    (void)state;
    static const struct {
        const char *first, *final;
    } rows[] = {
        {"r=" VECTOR_CLIENT_NONCE ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", NULL},
        {"r=x" VECTOR_CLIENT_NONCE "y,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", NULL},
        {"r=" VECTOR_CLIENT_NONCE "y,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095", NULL},
        {"r=" VECTOR_CLIENT_NONCE "y,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000001", NULL},
        {"r=" VECTOR_CLIENT_NONCE "y,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999999999", NULL},
        {"r=" VECTOR_CLIENT_NONCE "y,s=,i=4096", NULL},
        {"r=" VECTOR_CLIENT_NONCE "y,i=4096", NULL},
        {"e=other-error", NULL},
        {"", NULL},
        {VECTOR_SERVER_FIRST, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G8="},
        {VECTOR_SERVER_FIRST, "v=AAAA"},
        {VECTOR_SERVER_FIRST, "e=invalid-proof"},
        {VECTOR_SERVER_FIRST, ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sasl_client c;
        struct buf out = BUF_INIT(65536);
        uint8_t salted[SCRAM_KEY_SIZE];
        assert_int_equal(sasl_client_start(&c, SASL_SCRAM, 0, SLICE_LITERAL("user"), SLICE_LITERAL("pencil"),
                                           &no_binding, zeros),
                         STATUS_OK);
        memcpy(c.nonce, VECTOR_CLIENT_NONCE, sizeof VECTOR_CLIENT_NONCE);
        assert_int_equal(sasl_client_initial(&c, &out), SASL_SEND);
        enum sasl_client_step step =
            sasl_client_challenge(&c, slice_of_text(encoded(rows[i].first, strlen(rows[i].first))), &out);
        if (rows[i].final == NULL) {
            assert_int_equal(step, SASL_LIES);
        } else {
            assert_int_equal(step, SASL_SALT);
            assert_int_equal(scram_salted_password(buf_slice(&c.password),
                                                   slice_of(c.first.salt, c.first.salt_len), 4096, salted),
                             STATUS_OK);
            assert_int_equal(sasl_client_salted(&c, salted, &out), SASL_SEND);
            assert_int_equal(
                sasl_client_challenge(&c, slice_of_text(encoded(rows[i].final, strlen(rows[i].final))), &out),
                SASL_LIES);
        }
        assert_false(sasl_client_over(&c));
        sasl_client_release(&c);
        buf_release(&out);
    }
}

/* One line, or two, and how it must end. */
static void test_server_refusals(void **state)
{
    (void)state;
    static const char long_name[] =
        "\0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0pw";
#define T(text) (text), sizeof(text) - 1
    static const struct {
        enum sasl_mechanism mechanism;
        bool plus;
        const char *message;
        size_t len;
        enum sasl_step step;
    } rows[] = {
        {SASL_PLAIN, false, T("\0user\0pencil"), SASL_ACCOUNT},
        {SASL_PLAIN, false, T("user\0user\0pencil"), SASL_ACCOUNT},
        {SASL_PLAIN, false, T("User\0user\0pencil"), SASL_ACCOUNT},
        {SASL_PLAIN, false, T("admin\0user\0pencil"), SASL_REFUSED},
        {SASL_PLAIN, false, T("\0user\0"), SASL_MALFORMED},
        {SASL_PLAIN, false, T("\0\0pencil"), SASL_MALFORMED},
        {SASL_PLAIN, false, T("\0user\0pen\0cil"), SASL_MALFORMED},
        {SASL_PLAIN, false, T("user\0pencil"), SASL_MALFORMED},
        {SASL_PLAIN, false, T("user"), SASL_MALFORMED},
        {SASL_PLAIN, false, T(""), SASL_MALFORMED},
        {SASL_PLAIN, false, T(long_name), SASL_REFUSED},
        {SASL_LOGIN, false, T("user"), SASL_CHALLENGE},
        {SASL_LOGIN, false, T(""), SASL_MALFORMED},
        {SASL_LOGIN, false, T("us\0er"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=user,r=abc"), SASL_ACCOUNT},
        {SASL_SCRAM, false, T("n,a=user,n=user,r=abc"), SASL_ACCOUNT},
        {SASL_SCRAM, false, T("n,a=admin,n=user,r=abc"), SASL_REFUSED},
        {SASL_SCRAM, false, T("n,,n=us=2Cer=3D,r=abc"), SASL_ACCOUNT},
        {SASL_SCRAM, false, T("n,,n=us=2cer,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=us=,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,m=x,n=user,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=user,r="), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=user"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,n=user,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("x,,n=user,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=user,r=abc,x"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("n,,n=user,r=abc,x=1"), SASL_ACCOUNT},
        {SASL_SCRAM, false, T("n,,n=us\0er,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM, false, T("y,,n=user,r=abc"), SASL_ACCOUNT},
        {SASL_SCRAM, true, T("y,,n=user,r=abc"), SASL_REFUSED}, /* somebody took our offer away */
        {SASL_SCRAM, true, T("n,,n=user,r=abc"), SASL_ACCOUNT},
        {SASL_SCRAM, true, T("p=tls-exporter,,n=user,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM_PLUS, true, T("p=tls-exporter,,n=user,r=abc"), SASL_ACCOUNT},
        {SASL_SCRAM_PLUS, true, T("p=tls-unique,,n=user,r=abc"), SASL_REFUSED},
        {SASL_SCRAM_PLUS, true, T("p=,,n=user,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM_PLUS, true, T("n,,n=user,r=abc"), SASL_MALFORMED},
        {SASL_SCRAM_PLUS, true, T("y,,n=user,r=abc"), SASL_MALFORMED},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sasl_server s;
        struct buf challenge = BUF_INIT(65536);
        sasl_server_start(&s, rows[i].mechanism, rows[i].plus, rows[i].plus ? &binding : &no_binding, zeros);
        const char *line = encoded(rows[i].message, rows[i].len);
        enum sasl_step step = sasl_server_line(&s, slice_of_text(line), &challenge);
        if (step != rows[i].step) {
            fail_msg("row %zu: %d instead of %d", i, (int)step, (int)rows[i].step);
        }
        sasl_server_release(&s);
        buf_release(&challenge);
    }
}

static void test_server_finals(void **state)
{
    (void)state;
#define R VECTOR_CLIENT_NONCE VECTOR_SERVER_NONCE
    static const struct {
        const char *message;
        enum sasl_step step;
    } rows[] = {
        {"c=biws,r=" R ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SASL_CHALLENGE},
        {"c=biws,r=" R ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVA=", SASL_REFUSED},
        {"c=biws,r=" R "x,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SASL_REFUSED},
        {"c=biws,r=" VECTOR_CLIENT_NONCE ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SASL_REFUSED},
        {"c=eSws,r=" R ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SASL_REFUSED},
        {"c=biws,r=" R ",p=dHzbZapWIk4jUhN+", SASL_MALFORMED},
        {"c=biws,r=" R ",p=", SASL_MALFORMED},
        {"c=biws,r=" R, SASL_MALFORMED},
        {"c=biws,r=" R ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=,x=1", SASL_MALFORMED},
        {"r=" R ",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", SASL_MALFORMED},
        {"", SASL_MALFORMED},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct sasl_server s;
        struct buf challenge = BUF_INIT(65536);
        sasl_server_start(&s, SASL_SCRAM, false, &no_binding, zeros);
        memcpy(s.nonce, VECTOR_SERVER_NONCE, sizeof VECTOR_SERVER_NONCE);
        assert_int_equal(sasl_server_begin(&s, slice_of_text(ENCODED(VECTOR_FIRST)), &challenge),
                         SASL_ACCOUNT);
        assert_int_equal(sasl_server_account(&s, &vector_verifier, &challenge), SASL_CHALLENGE);
        const char *line = encoded(rows[i].message, strlen(rows[i].message));
        enum sasl_step step = sasl_server_line(&s, slice_of_text(line), &challenge);
        if (step != rows[i].step) {
            fail_msg("row %zu: %d instead of %d", i, (int)step, (int)rows[i].step);
        }
        if (step != SASL_CHALLENGE) { /* what ended does not begin again */
            assert_int_equal(sasl_server_line(&s, slice_of_text(ENCODED(VECTOR_FINAL)), &challenge),
                             SASL_MALFORMED);
        }
        sasl_server_release(&s);
        buf_release(&challenge);
    }
}

static void test_login_and_plain(void **state)
{
    (void)state;
    struct sasl_server s;
    struct buf challenge = BUF_INIT(1000);
    sasl_server_start(&s, SASL_LOGIN, false, &no_binding, zeros);
    assert_int_equal(sasl_server_begin(&s, (struct slice){0}, &challenge), SASL_CHALLENGE);
    assert_says(&challenge, "Username:");
    assert_int_equal(sasl_server_line(&s, SLICE_LITERAL("dXNlcg=="), &challenge), SASL_CHALLENGE);
    assert_says(&challenge, "Password:");
    assert_int_equal(sasl_server_line(&s, SLICE_LITERAL("cGVuY2ls"), &challenge), SASL_ACCOUNT);
    assert_int_equal(sasl_server_account(&s, &vector_verifier, &challenge), SASL_PASSWORD);
    assert_int_equal(scram_verifier_check(&s.verifier, buf_slice(&s.password)), STATUS_OK);
    assert_int_equal(scram_verifier_check(&s.verifier, SLICE_LITERAL("pencil ")), STATUS_DENIED);
    sasl_server_release(&s);

    sasl_server_start(&s, SASL_PLAIN, false, &no_binding, zeros);
    assert_int_equal(sasl_server_begin(&s, (struct slice){0}, &challenge), SASL_CHALLENGE);
    assert_int_equal(challenge.len, 0);
    assert_int_equal(sasl_server_line(&s, SLICE_LITERAL("*"), &challenge), SASL_CANCELLED);
    assert_int_equal(sasl_server_line(&s, slice_of_text(ENCODED("\0user\0pencil")), &challenge),
                     SASL_MALFORMED);
    sasl_server_release(&s);

    sasl_server_start(&s, SASL_PLAIN, false, &no_binding, zeros);
    assert_int_equal(sasl_server_begin(&s, SLICE_LITERAL("="), &challenge), SASL_MALFORMED);
    sasl_server_release(&s);
    sasl_server_start(&s, SASL_PLAIN, false, &no_binding, zeros);
    assert_int_equal(sasl_server_begin(&s, SLICE_LITERAL("AHVzZXIAcGVuY2ls!"), &challenge), SASL_MALFORMED);
    sasl_server_release(&s);
    buf_release(&challenge);
}

/* Both sides; gives how it ended for the server, and whether the client is content. */
static enum sasl_step talk(enum sasl_mechanism m, const char *user, const char *password,
                           const struct sasl_binding *ours, const struct sasl_binding *theirs, bool *content)
{
    struct sasl_server s;
    struct sasl_client c;
    struct buf line = BUF_INIT(65536), challenge = BUF_INIT(65536);
    bool plus = theirs->type != NULL;
    uint8_t salted[SCRAM_KEY_SIZE];
    sasl_server_start(&s, m, plus, theirs, zeros);
    assert_int_equal(
        sasl_client_start(&c, m, plus ? 15 : 14, slice_of_text(user), slice_of_text(password), ours, zeros),
        STATUS_OK);
    assert_int_equal(sasl_client_initial(&c, &line), SASL_SEND);
    enum sasl_step step =
        sasl_server_begin(&s, line.len > 0 ? buf_slice(&line) : (struct slice){0}, &challenge);
    while (step == SASL_CHALLENGE || step == SASL_ACCOUNT) {
        if (step == SASL_ACCOUNT) {
            step = sasl_server_account(&s, &vector_verifier, &challenge);
            if (step == SASL_PASSWORD) {
                step = scram_verifier_check(&s.verifier, buf_slice(&s.password)) == STATUS_OK ? SASL_GOOD
                                                                                              : SASL_REFUSED;
            }
            continue;
        }
        buf_reset(&line);
        enum sasl_client_step said = sasl_client_challenge(&c, buf_slice(&challenge), &line);
        buf_reset(&challenge);
        if (said == SASL_SALT) {
            assert_int_equal(scram_salted_password(buf_slice(&c.password),
                                                   slice_of(c.first.salt, c.first.salt_len),
                                                   c.first.iterations, salted),
                             STATUS_OK);
            said = sasl_client_salted(&c, salted, &line);
        }
        assert_int_equal(said, SASL_SEND);
        step = sasl_server_line(&s, buf_slice(&line), &challenge);
    }
    *content = step == SASL_GOOD && sasl_client_over(&c);
    sasl_server_release(&s);
    sasl_client_release(&c);
    buf_release(&line);
    buf_release(&challenge);
    return step;
}

static void test_both_sides(void **state)
{
    (void)state;
    bool content = false;
    for (int m = 0; m < SASL_MECHANISM_COUNT; m++) {
        const struct sasl_binding *b = m == SASL_SCRAM_PLUS ? &binding : &no_binding;
        assert_int_equal(talk((enum sasl_mechanism)m, "user", "pencil", b, b, &content), SASL_GOOD);
        assert_true(content);
        assert_int_equal(talk((enum sasl_mechanism)m, "us,er=", "pencil", b, b, &content), SASL_GOOD);
        assert_int_equal(talk((enum sasl_mechanism)m, "user", "pencils", b, b, &content), SASL_REFUSED);
        assert_false(content);
    }
    /* Somebody in between has two TLS connections. */
    assert_int_equal(talk(SASL_SCRAM_PLUS, "user", "pencil", &binding, &other_binding, &content),
                     SASL_REFUSED);
    assert_false(content);
}

static void test_choice(void **state)
{
    (void)state;
    static const struct {
        const char *offer;
        bool bound;
        enum sasl_mechanism choice;
    } rows[] = {
        {"PLAIN LOGIN", false, SASL_PLAIN},
        {"login", false, SASL_LOGIN},
        {"LOGIN PLAIN SCRAM-SHA-256", false, SASL_SCRAM},
        {"SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", false, SASL_SCRAM},
        {"SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", true, SASL_SCRAM_PLUS},
        {"SCRAM-SHA-256-PLUS", false, SASL_MECHANISM_COUNT},
        {"CRAM-MD5 NTLM GSSAPI", true, SASL_MECHANISM_COUNT},
        {"", true, SASL_MECHANISM_COUNT},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        assert_int_equal(sasl_choose(sasl_offers_read(slice_of_text(rows[i].offer)),
                                     rows[i].bound ? &binding : &no_binding),
                         rows[i].choice);
    }
}

static void test_verifiers(void **state)
{
    (void)state;
    struct scram_verifier v, again, other;
    uint8_t text[SCRAM_ENCODED_MAX];
    struct slice key = SLICE_LITERAL("0123456789abcdef0123456789abcdef");
    size_t len = scram_verifier_encode(&vector_verifier, text);
    assert_int_equal(scram_verifier_decode(slice_of(text, len), &v), STATUS_OK);
    assert_memory_equal(&v, &vector_verifier, sizeof v);
    for (size_t cut = 0; cut < len; cut++) {
        assert_int_equal(scram_verifier_decode(slice_of(text, cut), &v), STATUS_CORRUPT);
    }
    /* Nobody's account: always the same, and of the strength that a new one has. */
    assert_int_equal(scram_verifier_fake(key, SLICE_LITERAL("nobody"), &v), STATUS_OK);
    assert_int_equal(scram_verifier_fake(key, SLICE_LITERAL("nobody"), &again), STATUS_OK);
    assert_int_equal(scram_verifier_fake(key, SLICE_LITERAL("nobodies"), &other), STATUS_OK);
    assert_memory_equal(&v, &again, sizeof v);
    assert_memory_not_equal(v.salt, other.salt, SCRAM_SALT_SIZE);
    assert_int_equal(v.iterations, SCRAM_ITERATIONS);
    assert_int_equal(v.salt_len, SCRAM_SALT_SIZE);
    assert_int_equal(scram_verifier_check(&v, SLICE_LITERAL("pencil")), STATUS_DENIED);

    struct failure f;
    assert_int_equal(password_check(SLICE_LITERAL("correct horse ~ !"), &f), STATUS_OK);
    assert_int_equal(password_check(SLICE_LITERAL(""), &f), STATUS_INVALID);
    assert_int_equal(password_check(SLICE_LITERAL("caf\xc3\xa9"), &f), STATUS_INVALID);
    assert_int_equal(password_check(SLICE_LITERAL("tab\t"), &f), STATUS_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base64),          cmocka_unit_test(test_server_vector),
        cmocka_unit_test(test_client_vector),   cmocka_unit_test(test_lying_servers),
        cmocka_unit_test(test_server_refusals), cmocka_unit_test(test_server_finals),
        cmocka_unit_test(test_login_and_plain), cmocka_unit_test(test_both_sides),
        cmocka_unit_test(test_choice),          cmocka_unit_test(test_verifiers),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
