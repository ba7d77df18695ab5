/* The framing of a request's head: whatever two programs could read in two ways is refused. */
#include "api_test.h"

#include "api/request_head.h"

#define H "Host: x\r\n"

static const struct {
    const char *head;
    const char *says; /* NULL: it is clear */
} cases[] = {
    {"GET / HTTP/1.1\r\n" H "\r\n", NULL},
    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", NULL},
    {"GET / HTTP/1.0\r\n\r\n", NULL},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", NULL},
    {"POST / HTTP/1.1\r\n" H "transfer-encoding:  Chunked \r\n\r\n3\nx", NULL},
    {"GET / HTTP/1.1\r\n" H "X: a\tb\xc3\xa4\r\n\r\n", NULL},

    {"GET / HTTP/1.1\n" H "\r\n", "LF alone"},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n", "LF alone"},
    {"GET / HTTP/1.1\r\n" H "\n", "LF alone"},
    {"\nGET / HTTP/1.1\r\n" H "\r\n", "LF alone"},
    {"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", "control character"},
    {"GET / HTTP/1.1\r\n\r\n", "Host is missing"},
    {"GET / HTTP/1.1\r\n" H H "\r\n", "Host is given twice"},
    {"GET / HTTP/1.1\r\n" H "hOST: y\r\n\r\n", "Host is given twice"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
     "Content-Length is given twice"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3, 3\r\n\r\n", "not a number"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: +3\r\n\r\n", "not a number"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0x3\r\n\r\n", "not a number"},
    {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "not a number"},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "given both"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     "given twice"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", "must be chunked"},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", "must be chunked"},
    {"POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", "HTTP/1.0"},
    {"GET / HTTP/1.1\r\n" H "Content-Length : 3\r\n\r\n", "name of a header field"},
    {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "folded"},
    {"GET / HTTP/1.1\r\n" H "nothing\r\n\r\n", "no colon"},
    {"GET / HTTP/1.1\r\n" H ": x\r\n\r\n", "no name"},
    {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", "control character"},
    {"GET / a HTTP/1.1\r\n" H "\r\n", "request line"},
    {"GET  / HTTP/1.1\r\n" H "\r\n", "request line"},
    {"GET /\t HTTP/1.1\r\n" H "\r\n", "request line"},
    {"GET / HTTP/2.0\r\n" H "\r\n", "request line"},
    {"GET /\r\n" H "\r\n", "request line"},
    {"GET / HTTP/1.1\r\n" H, "no end"},
    {"", "no end"},
    {"\r\n", "no end"},
};

static void heads_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct failure f = {.status = STATUS_OK};
        enum status status = request_head_check(slice_of_text(cases[i].head), &f);
        if (status != (cases[i].says == NULL ? STATUS_OK : STATUS_MALFORMED)) {
            fail_msg("case %zu: %s", i, f.text);
        }
        if (cases[i].says != NULL && strstr(f.text, cases[i].says) == NULL) {
            fail_msg("case %zu: \"%s\" does not say \"%s\"", i, f.text, cases[i].says);
        }
    }
}

/* In memory of exactly its size, so that a look beyond its end is seen; and NUL bytes in it. */
static void any_bytes_are_safe(void **state)
{
    static const char head[] = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n";
    struct failure f;
    (void)state;
    for (size_t len = 0; len < sizeof(head) - 1; len++) {
        uint8_t *copy = malloc(len + 1);
        assert_non_null(copy);
        memcpy(copy, head, len);
        assert_int_equal(request_head_check(slice_of(copy, len), &f), STATUS_MALFORMED);
        free(copy);
        copy = malloc(sizeof(head) - 1);
        assert_non_null(copy);
        memcpy(copy, head, sizeof(head) - 1);
        copy[len] = '\0';
        assert_int_equal(request_head_check(slice_of(copy, sizeof(head) - 1), &f), STATUS_MALFORMED);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_checked),
        cmocka_unit_test(any_bytes_are_safe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
