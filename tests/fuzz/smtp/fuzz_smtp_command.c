/*
 * Bytes of a client through the line reader, the command parser and the data reader, as a session would drive
 * them: first byte of the input chooses how it is cut into packets, the rest is what comes over the wire.
 * What must hold: nothing crashes, whole and cut input give the same, content never holds a bare CR, LF or
 * NUL, and stuffing what was read gives back the same content.
 */
#include "smtp/command_parser.h"
#include "smtp/data_reader.h"
#include "smtp/dot_stuffing.h"
#include "smtp/line_reader.h"
#include "smtp/reply_parser.h"

#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            __builtin_trap();                                                                                \
        }                                                                                                    \
    } while (0)

static const struct data_limits limits = {
    .max_size = 4000, .max_header = 1000, .max_line = 500, .max_received = 5};

static enum data_result read_cut(struct slice in, size_t step, struct buf *out, enum data_fault *fault)
{
    struct data_reader r;
    enum data_result result = DATA_MORE;
    data_reader_init(&r, &limits);
    for (size_t at = 0; at < in.len && result == DATA_MORE; at += step) {
        size_t used = 0;
        result = data_read(&r, slice_of(in.data + at, in.len - at < step ? in.len - at : step), out, &used);
    }
    *fault = r.fault;
    return result;
}

static void content_check(struct slice in, size_t step)
{
    struct buf whole = BUF_INIT(65536), cut = BUF_INIT(65536), wire = BUF_INIT(131072),
               back = BUF_INIT(65536);
    enum data_fault one = DATA_FINE, two = DATA_FINE;
    enum data_result result = read_cut(in, in.len + 1, &whole, &one);
    MUST(read_cut(in, step, &cut, &two) == result);
    /* which of two limits is met first may depend on the cut; that one is met does not */
    MUST(result == DATA_BAD || (one == DATA_FINE) == (two == DATA_FINE));
    if (result == DATA_END && one == DATA_FINE) {
        MUST(slice_equal(buf_slice(&whole), buf_slice(&cut)));
        for (size_t i = 0; i < whole.len; i++) {
            MUST(whole.data[i] != '\0');
            MUST(whole.data[i] != '\n' || (i > 0 && whole.data[i - 1] == '\r'));
            MUST(whole.data[i] != '\r' || (i + 1 < whole.len && whole.data[i + 1] == '\n'));
        }
        struct dot_stuffing d;
        dot_stuffing_init(&d);
        MUST(dot_stuff(&d, buf_slice(&whole), &wire) == STATUS_OK && dot_stuff_end(&d, &wire) == STATUS_OK);
        MUST(read_cut(buf_slice(&wire), step, &back, &two) == DATA_END);
        MUST(slice_equal(buf_slice(&whole), buf_slice(&back)));
    }
    buf_release(&whole);
    buf_release(&cut);
    buf_release(&wire);
    buf_release(&back);
}

static bool chunks_read(struct slice in, size_t step, struct buf *out, struct data_reader *r)
{
    bool good = true;
    data_reader_init(r, &limits);
    for (size_t at = 0; at < in.len && good; at += step) {
        good = chunk_read(r, slice_of(in.data + at, in.len - at < step ? in.len - at : step), out);
    }
    return good && chunk_end(r, out);
}

/* BDAT: what is good is what came, with a CRLF at its end, and holds no other line end. */
static void chunks_check(struct slice in, size_t step)
{
    struct buf whole = BUF_INIT(65536), cut = BUF_INIT(65536);
    struct data_reader one, two;
    bool good = chunks_read(in, in.len + 1, &whole, &one);
    MUST(chunks_read(in, step, &cut, &two) == good);
    if (good) {
        MUST((one.fault == DATA_FINE) == (two.fault == DATA_FINE));
        for (size_t i = 0; i < in.len; i++) {
            MUST(in.data[i] != '\0');
            MUST(in.data[i] != '\n' || (i > 0 && in.data[i - 1] == '\r'));
        }
    }
    if (good && one.fault == DATA_FINE) {
        MUST(slice_equal(buf_slice(&whole), buf_slice(&cut)) && slice_starts_with(buf_slice(&whole), in));
        MUST(whole.len == in.len || whole.len == in.len + 2);
    }
    buf_release(&whole);
    buf_release(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t step = 1 + data[0] % 64;
    struct slice in = slice_of(data + 1, size - 1);
    struct remote_reply reply;
    struct ehlo_offers offers;
    size_t used = 0;
    if (reply_parse(in, &reply, &used) == REPLY_PARSED) {
        MUST(used <= in.len);
        ehlo_offers_read(&reply, &offers);
    }
    for (;;) {
        struct slice line;
        enum line_result result = line_read(in, 512, &line, &used);
        if (result == LINE_MORE || result == LINE_BAD || result == LINE_TOO_LONG) {
            break;
        }
        MUST(used == line.len + 2 && used <= in.len);
        struct smtp_command c;
        enum smtp_reply parsed = command_parse(line, &c);
        if (parsed == REPLY_NONE && (c.verb == VERB_MAIL || c.verb == VERB_RCPT) && c.path.len > 0) {
            MUST(c.path.data >= line.data && c.path.data + c.path.len <= line.data + line.len);
            for (size_t i = 0; i < c.path.len; i++) { /* it goes into a command and a Received field */
                MUST(c.path.data[i] >= 0x20 && c.path.data[i] != 0x7f);
                MUST(c.utf8 || c.path.data[i] < 0x7f);
            }
            MUST(slice_is_text(c.path));
        }
        if (parsed == REPLY_NONE) { /* they go into a notification and to the next hop */
            MUST(c.envid.len <= SPOOL_ENVID_MAX && slice_is_text(c.envid));
            MUST(c.wish.orcpt.len <= SPOOL_ORCPT_MAX && slice_is_text(c.wish.orcpt));
            MUST((c.wish.notify & NOTIFY_NEVER) == 0 || c.wish.notify == NOTIFY_NEVER);
        }
        in = slice_of(in.data + used, in.len - used);
        if (parsed == REPLY_NONE && (c.verb == VERB_DATA || c.verb == VERB_BDAT)) {
            break;
        }
    }
    chunks_check(in, step);
    content_check(in, step);
    return 0;
}
