/* What the tests of mail/ share: cmocka in the order it wants, texts as slices, golden files. */
#ifndef SEALPOST_TESTS_MAIL_TEST_H
#define SEALPOST_TESTS_MAIL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/buf.h"

#define OK(call) assert_int_equal((call), STATUS_OK)

static inline void assert_slice(struct slice got, const char *want)
{
    struct slice wanted = slice_of_text(want);
    if (!slice_equal(got, wanted)) {
        print_error("got  [%.*s]\nwant [%s]\n", SLICE_ARGS(got), want);
        fail();
    }
}

static inline bool slice_holds(struct slice s, const char *text)
{
    return s.len > 0 && memmem(s.data, s.len, text, strlen(text)) != NULL;
}

static inline size_t slice_occurrences(struct slice s, const char *text)
{
    size_t count = 0, len = strlen(text);
    while (s.len >= len) {
        const uint8_t *at = memmem(s.data, s.len, text, len);
        if (at == NULL) {
            break;
        }
        count++;
        s = slice_of(at + len, s.len - (size_t)(at + len - s.data));
    }
    return count;
}

/* Reads a file whole into `out`; `lf_to_crlf` for golden files, which are kept with LF. */
static inline void file_read(const char *path, bool lf_to_crlf, struct buf *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        print_error("cannot open %s\n", path);
        fail();
        return;
    }
    for (int c = fgetc(file); c != EOF; c = fgetc(file)) {
        if (c == '\n' && lf_to_crlf) {
            OK(buf_append_byte(out, '\r'));
        }
        OK(buf_append_byte(out, (uint8_t)c));
    }
    fclose(file);
}

static inline void file_write(const char *path, struct slice content)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(content.data, 1, content.len, file), content.len);
    assert_int_equal(fclose(file), 0);
}

/* Compares with tests/unit/mail/golden/NAME. With SEALPOST_GOLDEN=write the file is written instead: look at
 * the difference then. */
static inline void assert_golden(struct slice got, const char *name)
{
    char path[4096];
    const char *mode = getenv("SEALPOST_GOLDEN");
    int n = snprintf(path, sizeof path, "%s/%s", GOLDEN_DIR, name);
    assert_true(n > 0 && (size_t)n < sizeof path);
    if (mode != NULL && strcmp(mode, "write") == 0) {
        struct buf lf = BUF_INIT((size_t)1 << 24);
        for (size_t i = 0; i < got.len; i++) {
            if (got.data[i] != '\r') {
                OK(buf_append_byte(&lf, got.data[i]));
            }
        }
        file_write(path, buf_slice(&lf));
        buf_release(&lf);
        return;
    }
    struct buf want = BUF_INIT((size_t)1 << 24);
    file_read(path, true, &want);
    if (!slice_equal(got, buf_slice(&want))) {
        print_error("differs from %s; got:\n%.*s\n", path, SLICE_ARGS(got));
        fail();
    }
    buf_release(&want);
}

#endif
