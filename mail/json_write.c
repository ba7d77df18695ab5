/*
 * A small JSON writer for traces. Texts come from messages and certificates, so they may hold anything: what
 * it writes is valid JSON in UTF-8 whatever goes in, and never breaks a line. Pure; any thread.
 */
#include "mail/json_write.h"

void json_writer_init(struct json_writer *w, struct buf *out)
{
    *w = (struct json_writer){.out = out, .status = STATUS_OK};
}

static void put(struct json_writer *w, struct slice s)
{
    if (w->status == STATUS_OK) {
        w->status = buf_append_slice(w->out, s);
    }
}

size_t utf8_sequence(struct slice s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (s.len == 0) {
        return 0;
    }
    uint8_t c = s.data[0];
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len < 2 || len > s.len) {
        return len == 1 ? 1 : 0;
    }
    uint32_t point = c & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((s.data[i] & 0xc0) != 0x80) {
            return 0;
        }
        point = point << 6 | (s.data[i] & 0x3f);
    }
    return point < least[len] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : len;
}

/* Is one of the eight bytes none that stands for itself: a control character, DEL, a quote, a backslash, or
 * above 127? "Less than N" and "is zero" are asked of all eight at once: the borrow goes into the top bit. */
static bool is_special(uint64_t eight)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    uint64_t quote = eight ^ (ones * '"'), backslash = eight ^ (ones * '\\'), del = eight ^ (ones * 0x7f);
    uint64_t below = (eight - ones * 0x20) | (quote - ones) | (backslash - ones) | (del - ones);
    return ((eight | below) & tops) != 0; /* also when a byte above 127 made a borrow: it is one itself */
}

/* Bytes at the start of the text that stand for themselves. */
static size_t plain_run(struct slice text)
{
    size_t i = 0;
    uint64_t eight = 0x2020202020202020u;
    for (; i + sizeof eight <= text.len; i += sizeof eight) {
        memcpy(&eight, text.data + i, sizeof eight);
        if (is_special(eight)) {
            break;
        }
    }
    if (text.len - i < sizeof eight && text.len > i) { /* the rest, or a text this short */
        eight = 0x2020202020202020u;
        memcpy(&eight, text.data + i, text.len - i);
        if (!is_special(eight)) {
            return text.len;
        }
    }
    while (i < text.len) {
        uint8_t c = text.data[i];
        size_t len = c < 0x80 ? 1 : utf8_sequence(slice_of(text.data + i, text.len - i));
        if (len == 0 || c < 0x20 || c == 0x7f || c == '"' || c == '\\') {
            break;
        }
        i += len;
    }
    return i;
}

static void put_escaped(struct json_writer *w, uint8_t c)
{
    char escape[8];
    if (c == '"' || c == '\\') {
        put(w, SLICE_LITERAL("\\"));
        put(w, slice_of(&c, 1));
    } else if (c < 0x20 || c == 0x7f) {
        int n = snprintf(escape, sizeof escape, "\\u%04x", c);
        put(w, slice_of(escape, (size_t)n));
    } else { /* no UTF-8 */
        put(w, SLICE_LITERAL("\xef\xbf\xbd"));
    }
}

static void put_string(struct json_writer *w, struct slice text)
{
    put(w, SLICE_LITERAL("\""));
    while (text.len > 0) {
        size_t run = plain_run(text);
        if (run > 0) {
            put(w, slice_of(text.data, run));
        } else {
            put_escaped(w, text.data[0]);
            run = 1;
        }
        text = slice_of(text.data + run, text.len - run);
    }
    put(w, SLICE_LITERAL("\""));
}

static uint8_t *copy_to(uint8_t *to, struct slice s)
{
    if (s.len > 0) {
        memcpy(to, s.data, s.len);
    }
    return to + s.len;
}

#define MEMBER_SIGNS 6 /* bytes around key and text: ,"":"" */

static uint8_t *member_to(uint8_t *to, bool comma, struct slice key, struct slice text)
{
    if (comma) {
        *to++ = ',';
    }
    if (key.data != NULL) {
        *to++ = '"';
        to = copy_to(to, key);
        *to++ = '"';
        *to++ = ':';
    }
    *to++ = '"';
    to = copy_to(to, text);
    *to++ = '"';
    return to;
}

/* Comma, key and a text that needs no escape: nearly all of what is written, in one piece. false: not so, and
 * nothing was written. */
static bool put_plain_member(struct json_writer *w, struct slice key, struct slice text)
{
    struct buf *out = w->out;
    if (w->status != STATUS_OK || plain_run(text) != text.len ||
        buf_reserve(out, key.len + text.len + MEMBER_SIGNS) != STATUS_OK) {
        return false;
    }
    out->len = (size_t)(member_to(out->data + out->len, w->comma, key, text) - out->data);
    w->comma = true;
    return true;
}

/* As put_plain_member(), for an object. */
static bool put_plain_object(struct json_writer *w, const struct json_member *members, size_t count)
{
    struct buf *out = w->out;
    size_t size = 3; /* ,{} */
    bool plain = w->status == STATUS_OK;
    for (size_t i = 0; i < count && plain; i++) {
        plain = plain_run(members[i].text) == members[i].text.len;
        size += members[i].key.len + members[i].text.len + MEMBER_SIGNS;
    }
    if (!plain || buf_reserve(out, size) != STATUS_OK) {
        return false;
    }
    uint8_t *to = out->data + out->len;
    if (w->comma) {
        *to++ = ',';
    }
    *to++ = '{';
    for (size_t i = 0; i < count; i++) {
        to = member_to(to, i > 0, members[i].key, members[i].text);
    }
    *to++ = '}';
    out->len = (size_t)(to - out->data);
    w->comma = true;
    return true;
}

static struct slice key_of(const char *key)
{
    return key != NULL ? slice_of_text(key) : (struct slice){0};
}

static void before_value(struct json_writer *w, struct slice key)
{
    if (w->comma) {
        put(w, SLICE_LITERAL(","));
    }
    if (key.data != NULL) {
        put_string(w, key);
        put(w, SLICE_LITERAL(":"));
    }
    w->comma = true;
}

void json_open_object(struct json_writer *w, const char *key)
{
    before_value(w, key_of(key));
    put(w, SLICE_LITERAL("{"));
    w->comma = false;
}

void json_close_object(struct json_writer *w)
{
    put(w, SLICE_LITERAL("}"));
    w->comma = true;
}

void json_open_array(struct json_writer *w, const char *key)
{
    before_value(w, key_of(key));
    put(w, SLICE_LITERAL("["));
    w->comma = false;
}

void json_close_array(struct json_writer *w)
{
    put(w, SLICE_LITERAL("]"));
    w->comma = true;
}

void json_put_member(struct json_writer *w, const struct json_member *member)
{
    if (!put_plain_member(w, member->key, member->text)) {
        before_value(w, member->key);
        put_string(w, member->text);
    }
}

void json_put_text(struct json_writer *w, const char *key, struct slice text)
{
    json_put_member(w, &(struct json_member){key_of(key), text});
}

void json_put_texts(struct json_writer *w, const struct json_member *members, size_t count)
{
    if (put_plain_object(w, members, count)) {
        return;
    }
    json_open_object(w, NULL);
    for (size_t i = 0; i < count; i++) {
        json_put_member(w, &members[i]);
    }
    json_close_object(w);
}

void json_put_bool(struct json_writer *w, const char *key, bool value)
{
    before_value(w, key_of(key));
    put(w, slice_of_text(value ? "true" : "false"));
}

void json_put_number(struct json_writer *w, const char *key, uint64_t value)
{
    char text[24];
    before_value(w, key_of(key));
    int n = snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put(w, slice_of(text, (size_t)n));
}

enum status json_writer_status(const struct json_writer *w)
{
    return w->status;
}
