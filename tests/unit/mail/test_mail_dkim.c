/*
 * DKIM: the examples of RFC 8463 appendix A and RFC 6376 section 3.4.5, to the bit; and the field that is
 * made for a message.
 */
#include "mail_test.h"

#include "base/hex.h"
#include "mail/dkim.h"

#include <openssl/pem.h>

/* RFC 8463 appendix A.1 */
static const char rsa_pem[] = "-----BEGIN RSA PRIVATE KEY-----\n"
                              "MIICXQIBAAKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi\n"
                              "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqM\n"
                              "KrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB\n"
                              "AoGAH0cxOhFZDgzXWhDhnAJDw5s4roOXN4OhjiXa8W7Y3rhX3FJqmJSPuC8N9vQm\n"
                              "6SVbaLAE4SG5mLMueHlh4KXffEpuLEiNp9Ss3O4YfLiQpbRqE7Tm5SxKjvvQoZZe\n"
                              "zHorimOaChRL2it47iuWxzxSiRMv4c+j70GiWdxXnxe4UoECQQDzJB/0U58W7RZy\n"
                              "6enGVj2kWF732CoWFZWzi1FicudrBFoy63QwcowpoCazKtvZGMNlPWnC7x/6o8Gc\n"
                              "uSe0ga2xAkEA8C7PipPm1/1fTRQvj1o/dDmZp243044ZNyxjg+/OPN0oWCbXIGxy\n"
                              "WvmZbXriOWoSALJTjExEgraHEgnXssuk7QJBALl5ICsYMu6hMxO73gnfNayNgPxd\n"
                              "WFV6Z7ULnKyV7HSVYF0hgYOHjeYe9gaMtiJYoo0zGN+L3AAtNP9huqkWlzECQE1a\n"
                              "licIeVlo1e+qJ6Mgqr0Q7Aa7falZ448ccbSFYEPD6oFxiOl9Y9se9iYHZKKfIcst\n"
                              "o7DUw1/hz2Ck4N5JrgUCQQCyKveNvjzkkd8HjYs0SwM0fPjK16//5qDZ2UiDGnOe\n"
                              "uEzxBDAr518Z8VFbR41in3W4Y3yCDgQlLlcETrS+zYcL\n"
                              "-----END RSA PRIVATE KEY-----\n";
static const uint8_t ed25519_seed[32] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                         0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                         0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};

static const char message_text[] = "From: Joe SixPack <joe@football.example.com>\r\n"
                                   "To: Suzie Q <suzie@shopping.example.net>\r\n"
                                   "Subject: Is dinner ready?\r\n"
                                   "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
                                   "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
                                   "\r\n"
                                   "Hi.\r\n"
                                   "\r\n"
                                   "We lost the game.  Are you hungry yet?\r\n"
                                   "\r\n"
                                   "Joe.\r\n";

static EVP_PKEY *rsa_key(void)
{
    BIO *bio = BIO_new_mem_buf(rsa_pem, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(key);
    return key;
}

static EVP_PKEY *ed25519_key(void)
{
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, ed25519_seed, sizeof ed25519_seed);
    assert_non_null(key);
    return key;
}

static void read_entity(const char *text, struct arena *a, struct entity *e)
{
    struct failure f = {.status = STATUS_OK};
    arena_init(a, 1 << 20);
    assert_int_equal(entity_read(slice_of_text(text), a, e, &f), STATUS_OK);
}

static void the_examples_of_rfc_8463_come_out_to_the_bit(void **state)
{
    static const struct {
        enum dkim_algorithm algorithm;
        const char *unfinished, *signature;
    } table[] = {
        {DKIM_ED25519_SHA256,
         "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
         " d=football.example.com; i=@football.example.com;\r\n"
         " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
         " subject : date : message-id : from : subject : date;\r\n"
         " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
         " b=",
         "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="},
        {DKIM_RSA_SHA256,
         "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
         " d=football.example.com; i=@football.example.com;\r\n"
         " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
         " date : message-id : from : subject : date;\r\n"
         " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
         " b=",
         "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mP"
         "YQTnGdaSGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8="},
    };
    const struct slice names[] = {
        SLICE_LITERAL("from"),       SLICE_LITERAL("to"),   SLICE_LITERAL("subject"), SLICE_LITERAL("date"),
        SLICE_LITERAL("message-id"), SLICE_LITERAL("from"), SLICE_LITERAL("subject"), SLICE_LITERAL("date")};
    struct arena a;
    struct entity e;
    uint8_t hash[32];
    struct buf text = BUF_INIT(1000);
    (void)state;
    read_entity(message_text, &a, &e);
    assert_int_equal(dkim_body_hash(e.body, DKIM_RELAXED, hash), STATUS_OK);
    assert_int_equal(base64_encode(slice_of(hash, 32), &text), STATUS_OK);
    assert_string_equal(buf_text(&text), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
    for (size_t i = 0; i < 2; i++) {
        EVP_PKEY *key = table[i].algorithm == DKIM_RSA_SHA256 ? rsa_key() : ed25519_key();
        buf_reset(&text);
        assert_int_equal(dkim_signature(&e, names, sizeof names / sizeof names[0], DKIM_RELAXED,
                                        slice_of_text(table[i].unfinished), table[i].algorithm, key, &text),
                         STATUS_OK);
        assert_string_equal(buf_text(&text), table[i].signature);
        buf_reset(&text); /* a key of the other kind signs nothing */
        assert_int_equal(dkim_signature(&e, names, 1, DKIM_RELAXED, slice_of_text(table[i].unfinished),
                                        table[1 - i].algorithm, key, &text),
                         STATUS_CRYPTO);
        EVP_PKEY_free(key);
    }
    buf_release(&text);
    arena_release(&a);
}

/* --- canonical forms --- */

static void collect(void *context, struct slice bytes)
{
    assert_int_equal(buf_append_slice(context, bytes), STATUS_OK);
}

static void bodies_have_their_canonical_form(void **state)
{
    static const struct {
        const char *body, *relaxed, *simple;
    } table[] = {
        {" C \r\nD \t E\r\n\r\n\r\n", " C\r\nD E\r\n", " C \r\nD \t E\r\n"}, /* RFC 6376 section 3.4.5 */
        {"", "", "\r\n"},
        {"\r\n\r\n", "", "\r\n"},
        {" \t\r\n \r\n", "", " \t\r\n \r\n"},
        {"a", "a\r\n", "a\r\n"},
        {"a  b", "a b\r\n", "a  b\r\n"},
        {"a\tb\r\n", "a b\r\n", "a\tb\r\n"},
        {"a \t ", "a\r\n", "a \t \r\n"},
        {"\r\n\r\na\r\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
        {"a\r\n \r\n\t\r\nb", "a\r\n\r\n\r\nb\r\n", "a\r\n \r\n\t\r\nb\r\n"},
        {"\ta", " a\r\n", "\ta\r\n"},
        {"a\nb\rc\r\n", "a\nb\rc\r\n", "a\nb\rc\r\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out = BUF_INIT(1000);
        dkim_body_canonical(slice_of_text(table[i].body), DKIM_RELAXED, collect, &out);
        assert_string_equal(buf_text(&out), table[i].relaxed);
        buf_reset(&out);
        dkim_body_canonical(slice_of_text(table[i].body), DKIM_SIMPLE, collect, &out);
        assert_string_equal(buf_text(&out), table[i].simple);
        buf_release(&out);
    }
}

static void fields_have_their_canonical_form(void **state)
{
    static const struct {
        const char *field, *relaxed, *simple;
    } table[] = {
        {"A: X\r\n", "a:X", "A: X"}, /* RFC 6376 section 3.4.5 */
        {"B : Y\t\r\n\tZ  \r\n", "b:Y Z", "B : Y\t\r\n\tZ  "},
        {"Subject:\r\n", "subject:", "Subject:"},
        {"Subject: \t \r\n", "subject:", "Subject: \t "},
        {"Subject:a:b\r\n", "subject:a:b", "Subject:a:b"},
        {"X:\r\n a\r\n  b", "x:a b", "X:\r\n a\r\n  b"},
        {"X:\ta\r\n \r\n b\r\n", "x:a b", "X:\ta\r\n \r\n b"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf out = BUF_INIT(1000);
        dkim_field_canonical(slice_of_text(table[i].field), DKIM_RELAXED, collect, &out);
        assert_string_equal(buf_text(&out), table[i].relaxed);
        buf_reset(&out);
        dkim_field_canonical(slice_of_text(table[i].field), DKIM_SIMPLE, collect, &out);
        assert_string_equal(buf_text(&out), table[i].simple);
        buf_release(&out);
    }
}

/* --- the field --- */

static const char *sign(const char *message, const struct dkim_options *options, struct buf *out)
{
    struct arena a;
    struct entity e;
    struct failure f = {.status = STATUS_OK};
    EVP_PKEY *key = ed25519_key();
    struct dkim_signer signer = {.domain = SLICE_LITERAL("ours.example"),
                                 .selector = SLICE_LITERAL("s1"),
                                 .algorithm = DKIM_ED25519_SHA256,
                                 .key = key};
    read_entity(message, &a, &e);
    *out = BUF_INIT(100000);
    assert_int_equal(dkim_sign(&e, &signer, 1, options, out, &f), STATUS_OK);
    arena_release(&a);
    EVP_PKEY_free(key);
    return buf_text(out);
}

static void the_field_says_what_was_signed(void **state)
{
    const struct dkim_options plain = {.header = DKIM_SIMPLE, .body = DKIM_RELAXED};
    const struct dkim_options dated = {
        .header = DKIM_RELAXED, .body = DKIM_RELAXED, .time_s = 1700000000, .until_s = 1700086400};
    struct buf out;
    (void)state;
    const char *field =
        sign("Received: from a\r\nFrom: a@ours.example\r\nTo: b@x.example\r\nTo: c@x.example\r\n"
             "X-Other: 1\r\nDKIM-Signature: v=1\r\n\r\nbody\r\n",
             &plain, &out);
    assert_non_null(strstr(field, "DKIM-Signature: v=1; a=ed25519-sha256; c=simple/relaxed;\r\n"
                                  "\td=ours.example;\r\n\ts=s1;\r\n\th=from:from:to:to:to;\r\n\tbh="));
    assert_null(strstr(field, " t="));
    assert_null(strstr(field, "l="));
    assert_int_equal(strcmp(field + strlen(field) - 2, "\r\n"), 0);
    buf_release(&out);
    field = sign("From: a@ours.example\r\n\r\n", &dated, &out);
    assert_non_null(strstr(field, "\ts=s1; t=1700000000; x=1700086400;\r\n\th=from:from;"));
    for (const char *line = field; line != NULL && *line != '\0';) { /* none is too long */
        const char *end = strstr(line, "\r\n");
        assert_in_range(end - line, 1, 78);
        line = end + 2;
    }
    buf_release(&out);
}

static void a_message_with_too_many_fields_is_not_signed(void **state)
{
    struct buf text = BUF_INIT(1 << 20), out = BUF_INIT(1 << 20);
    struct arena a;
    struct entity e;
    struct failure f = {.status = STATUS_OK};
    EVP_PKEY *key = ed25519_key();
    struct dkim_signer signer = {.domain = SLICE_LITERAL("ours.example"),
                                 .selector = SLICE_LITERAL("s1"),
                                 .algorithm = DKIM_ED25519_SHA256,
                                 .key = key};
    const struct dkim_options options = {.header = DKIM_RELAXED};
    (void)state;
    for (int i = 0; i < DKIM_NAMES_MAX; i++) {
        assert_int_equal(buf_append_text(&text, "To: a@x.example\r\n"), STATUS_OK);
    }
    read_entity(buf_text(&text), &a, &e);
    assert_int_equal(dkim_sign(&e, &signer, 1, &options, &out, &f), STATUS_TOO_LARGE);
    assert_int_equal(out.len, 0);
    EVP_PKEY_free(key);
    buf_release(&text);
    buf_release(&out);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_examples_of_rfc_8463_come_out_to_the_bit),
        cmocka_unit_test(bodies_have_their_canonical_form),
        cmocka_unit_test(fields_have_their_canonical_form),
        cmocka_unit_test(the_field_says_what_was_signed),
        cmocka_unit_test(a_message_with_too_many_fields_is_not_signed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
