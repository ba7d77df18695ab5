/* CompressedData (RFC 3274): both ways, out of hostile hands, and a bomb. */
#include "crypto_test.h"

#include "crypto/der.h"
#include "crypto/smime.h"

#include <zlib.h>

#define TEXT(s) slice_of_text(s)
#define MAX     ((size_t)32 << 20)
#define ENTITY  "Content-Type: text/plain\r\n\r\nHello hello hello hello hello hello\r\n"
#define OID_HEAD                                                                                             \
    "\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x09" /* id-ct-compressedData, with tag and length */

static void goes_round(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 65536, 1000003};
    uint8_t *bytes = test_calloc(1000003, 1);
    uint32_t random = 1;

    (void)state;
    for (size_t i = 0; i < 1000003; i++)
        bytes[i] = (uint8_t)((random = random * 1664525 + 1013904223) >> (i % 3 == 0 ? 24 : 30));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf cms = BUF_INIT(MAX), back = BUF_INIT(MAX);
        struct failure f = {0};

        OK(smime_compress(slice_of(bytes, sizes[i]), &cms, &f));
        assert_int_equal(smime_kind(buf_slice(&cms)), CMS_KIND_COMPRESSED);
        OK(smime_decompress(buf_slice(&cms), &back, &f));
        assert_true(slice_equal(buf_slice(&back), slice_of(bytes, sizes[i])));
        buf_release(&cms);
        buf_release(&back);
    }
    test_free(bytes);
}

/* What another program would write: BER with indefinite lengths, the content in two pieces. */
static void pieces_and_indefinite_lengths_are_read(void **state)
{
    uint8_t z[200];
    uLongf len = sizeof(z);
    struct buf cms = BUF_INIT(MAX), back = BUF_INIT(MAX);

    (void)state;
    assert_int_equal(compress(z, &len, (const uint8_t *)ENTITY, strlen(ENTITY)), Z_OK);
    OK(buf_append(&cms, "\x30\x80" OID_HEAD "\xa0\x80\x30\x80\x02\x01\x00", 22));
    OK(buf_append(&cms, "\x30\x0f\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08\x05\x00", 17));
    OK(buf_append(&cms, "\x30\x80\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x80\x24\x80", 17));
    OK(der_put(&cms, BER_OCTETS, slice_of(z, 10)));
    OK(der_put(&cms, BER_OCTETS, slice_of(z + 10, len - 10)));
    for (int i = 0; i < 6; i++)
        OK(buf_append(&cms, "\0\0", 2));
    OK(smime_decompress(buf_slice(&cms), &back, NULL));
    assert_same(buf_slice(&back), TEXT(ENTITY));
    /* cut short anywhere: refused, and nothing comes out */
    for (size_t cut = 0; cut < cms.len - 12; cut++) {
        uint8_t *exact = test_malloc(cut + 1);

        buf_reset(&back);
        memcpy(exact, cms.data, cut);
        assert_int_equal(smime_decompress(slice_of(exact, cut), &back, NULL), STATUS_MALFORMED);
        assert_int_equal(back.len, 0);
        test_free(exact);
    }
    /* any byte changed: an answer, and what comes out is checked by zlib's sum */
    for (size_t at = 0; at < cms.len; at++) {
        buf_reset(&back);
        cms.data[at] ^= 0x41;
        if (smime_decompress(buf_slice(&cms), &back, NULL) == STATUS_OK)
            assert_same(buf_slice(&back), TEXT(ENTITY));
        else
            assert_int_equal(back.len, 0);
        cms.data[at] ^= 0x41;
    }
    buf_release(&cms);
    buf_release(&back);
}

static void a_bomb_is_bounded(void **state)
{
    uint8_t *zeros = test_calloc((size_t)16 << 20, 1);
    struct buf cms = BUF_INIT(MAX), back = BUF_INIT((size_t)1 << 20);
    struct failure f = {0};

    (void)state;
    OK(smime_compress(slice_of(zeros, (size_t)16 << 20), &cms, &f));
    assert_true(cms.len < 20000); /* a thousand to one */
    OK(buf_append_text(&back, "before"));
    assert_int_equal(smime_decompress(buf_slice(&cms), &back, &f), STATUS_TOO_LARGE);
    HOLDS(f.text, "1048576");
    assert_same(buf_slice(&back), TEXT("before"));
    buf_release(&cms);
    buf_release(&back);
    test_free(zeros);
}

/* The DER is whole, and the stream within it ends too early. */
static void a_stream_cut_short_is_refused(void **state)
{
    uint8_t z[200];
    uLongf len = sizeof(z);

    (void)state;
    assert_int_equal(compress(z, &len, (const uint8_t *)ENTITY, strlen(ENTITY)), Z_OK);
    for (size_t cut = 0; cut <= len; cut++) {
        struct buf octets = BUF_INIT(MAX), inside = BUF_INIT(MAX), data = BUF_INIT(MAX), body = BUF_INIT(MAX),
                   cms = BUF_INIT(MAX), back = BUF_INIT(MAX);

        OK(der_put(&octets, BER_OCTETS, slice_of(z, cut)));
        OK(buf_append(&inside, "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01", 11));
        OK(der_put(&inside, BER_CONTEXT_0, buf_slice(&octets)));
        OK(buf_append(&data, "\x02\x01\x00\x30\x0d\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08", 18));
        OK(der_put(&data, BER_SEQUENCE, buf_slice(&inside)));
        buf_reset(&octets);
        OK(der_put(&octets, BER_SEQUENCE, buf_slice(&data)));
        OK(buf_append(&body, OID_HEAD, 13));
        OK(der_put(&body, BER_CONTEXT_0, buf_slice(&octets)));
        OK(der_put(&cms, BER_SEQUENCE, buf_slice(&body)));
        assert_int_equal(smime_decompress(buf_slice(&cms), &back, NULL),
                         cut < len ? STATUS_MALFORMED : STATUS_OK);
        assert_int_equal(back.len, cut < len ? 0 : strlen(ENTITY));
        struct buf *all[] = {&octets, &inside, &data, &body, &cms, &back};
        for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
            buf_release(all[i]);
    }
}

static void other_algorithms_and_contents_are_named(void **state)
{
    struct buf cms = BUF_INIT(MAX), back = BUF_INIT(MAX);
    struct failure f = {0};

    (void)state;
    OK(smime_compress(TEXT(ENTITY), &cms, &f));
    for (size_t i = 0; i + 11 < cms.len; i++)
        if (memcmp(cms.data + i, "\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08", 11) == 0)
            cms.data[i + 10] = 0x09;
    assert_int_equal(smime_decompress(buf_slice(&cms), &back, &f), STATUS_UNSUPPORTED);
    HOLDS(f.text, "zlib");
    assert_int_equal(smime_decompress(TEXT("no CMS"), &back, &f), STATUS_MALFORMED);
    assert_int_equal(smime_decompress(TEXT(""), &back, &f), STATUS_MALFORMED);
    assert_int_equal(back.len, 0);
    buf_release(&cms);
    buf_release(&back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_round),
        cmocka_unit_test(pieces_and_indefinite_lengths_are_read),
        cmocka_unit_test(a_stream_cut_short_is_refused),
        cmocka_unit_test(a_bomb_is_bounded),
        cmocka_unit_test(other_algorithms_and_contents_are_named),
    };

    return cmocka_run_group_tests_name("smime_compress", tests, NULL, NULL);
}
