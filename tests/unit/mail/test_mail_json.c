/* What the trace's writer makes of any text: what stands for itself is copied, the rest escaped, wherever it
 * is in the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the ones above */

#include "mail/json_write.h"

#define LEN_MAX 20 /* more than two words of eight bytes */

static const char *escape_of(uint8_t c, char escape[8])
{
    if (c >= 0x80) {
        return "\xef\xbf\xbd";
    }
    if (c == '"' || c == '\\') {
        escape[0] = '\\';
        escape[1] = (char)c;
        escape[2] = '\0';
    } else if (c < 0x20 || c == 0x7f) {
        assert_int_equal(snprintf(escape, 8, "\\u%04x", c), 6);
    } else {
        escape[0] = (char)c;
        escape[1] = '\0';
    }
    return escape;
}

static void each_byte_is_right_at_each_place(void **state)
{
    (void)state;
    for (size_t len = 1; len <= LEN_MAX; len++) {
        for (size_t at = 0; at < len; at++) {
            for (unsigned c = 0; c < 256; c++) {
                struct buf out = BUF_INIT(256), wanted = BUF_INIT(256);
                struct json_writer w;
                uint8_t text[LEN_MAX];
                char escape[8];
                struct json_member members[2] = {{SLICE_LITERAL("a"), SLICE_LITERAL("b")},
                                                 {SLICE_LITERAL("key"), {0}}};
                memset(text, 'x', sizeof text);
                text[at] = (uint8_t)c;
                json_writer_init(&w, &out);
                json_open_object(&w, NULL);
                json_put_bool(&w, "before", true);
                json_put_text(&w, "key", slice_of(text, len));
                json_close_object(&w);
                json_open_array(&w, NULL);
                json_put_texts(&w, members, 0);
                members[1].text = slice_of(text, len);
                json_put_texts(&w, members, 2);
                json_close_array(&w);
                assert_int_equal(json_writer_status(&w), STATUS_OK);
                static const char before[] = "{\"before\":true,", members_before[] = ",[{},{\"a\":\"b\",";
                for (int i = 0; i < 2; i++) {
                    assert_int_equal(
                        buf_printf(&wanted, "%s\"key\":\"%.*s%s%.*s\"}%s", i == 0 ? before : members_before,
                                   (int)at, "xxxxxxxxxxxxxxxxxxxx", escape_of((uint8_t)c, escape),
                                   (int)(len - at - 1), "xxxxxxxxxxxxxxxxxxxx", i == 0 ? "" : "]"),
                        STATUS_OK);
                }
                assert_int_equal(out.len, wanted.len);
                assert_memory_equal(out.data, wanted.data, wanted.len);
                buf_release(&out);
                buf_release(&wanted);
            }
        }
    }
}

static void lists_and_utf8(void **state)
{
    static const char wanted[] = "[\"\",\"a\xc3\xa4\xe2\x82\xac\",\"b\",7]";
    struct buf out = BUF_INIT(64);
    struct json_writer w;
    (void)state;
    json_writer_init(&w, &out);
    json_open_array(&w, NULL);
    json_put_text(&w, NULL, (struct slice){0});
    json_put_text(&w, NULL, SLICE_LITERAL("a\xc3\xa4\xe2\x82\xac"));
    json_put_text(&w, NULL, SLICE_LITERAL("b"));
    json_put_number(&w, NULL, 7);
    json_close_array(&w);
    assert_int_equal(json_writer_status(&w), STATUS_OK);
    assert_int_equal(out.len, sizeof wanted - 1);
    assert_memory_equal(out.data, wanted, out.len);
    buf_release(&out);
}

static void a_full_buffer_is_told(void **state)
{
    (void)state;
    for (size_t max = 0; max < 16; max++) {
        struct buf out = BUF_INIT(max);
        struct json_writer w;
        json_writer_init(&w, &out);
        json_put_text(&w, NULL, SLICE_LITERAL("0123456789abcd")); /* 16 bytes with its quotes */
        assert_int_equal(json_writer_status(&w), STATUS_TOO_LARGE);
        assert_true(out.len <= max);
        buf_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_byte_is_right_at_each_place),
                                       cmocka_unit_test(lists_and_utf8),
                                       cmocka_unit_test(a_full_buffer_is_told)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
