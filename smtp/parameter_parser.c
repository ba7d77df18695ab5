/*
 * Parameters of MAIL and RCPT (smtp/command_parser.h): SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531),
 * RET, ENVID, NOTIFY and ORCPT (RFC 3461, and RFC 6533 for addresses beyond ASCII), REQUIRETLS (RFC 8689).
 * One table: a name, whose it is, and what reads its value. Each may be given once. Pure.
 */
#include "mail/mime_text.h"
#include "smtp/command_parser.h"

#define UTF8_ORCPT "utf-8"

static struct slice rest_from(struct slice s, size_t n)
{
    return slice_of(s.data + n, s.len - n);
}

/* --- xtext --- */

/* RFC 3461 section 4: upper case only */
static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The character at the start of xtext, which may take three bytes; -1 if there is none. */
static int xtext_character(struct slice s, size_t *len)
{
    uint8_t c = s.data[0];
    *len = 1;
    if (c != '+') {
        return c > 0x20 && c < 0x7f && c != '=' ? c : -1;
    }
    int high = s.len >= 3 ? hex_digit(s.data[1]) : -1, low = s.len >= 3 ? hex_digit(s.data[2]) : -1;
    *len = 3;
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

bool dsn_xtext_decode(struct slice xtext, struct buf *out)
{
    uint8_t text[SPOOL_ORCPT_MAX];
    size_t len = 0, count = 0;
    for (struct slice at = xtext; at.len > 0; at = rest_from(at, len)) {
        int c = xtext_character(at, &len);
        if (c < 0 || count == sizeof text) {
            return false;
        }
        text[count++] = (uint8_t)c;
    }
    struct slice decoded = slice_of(text, count);
    return slice_is_text(decoded) && (out == NULL || buf_append_slice(out, decoded) == STATUS_OK);
}

/* Decoded it is ASCII (RFC 3461 section 4.4). */
static bool is_envelope_id(struct slice xtext)
{
    struct buf text = BUF_INIT(SPOOL_ENVID_MAX);
    bool good = dsn_xtext_decode(xtext, &text) && !mime_has_8bit(buf_slice(&text));
    buf_release(&text);
    return good;
}

/* --- one function a parameter; `value` is NULL when there was no "=" --- */

static enum smtp_reply size_read(const struct slice *value, struct smtp_command *out)
{
    if (value == NULL || value->len == 0 || value->len > 20 || !slice_parse_u64(*value, &out->size)) {
        return REPLY_BAD_PARAMETER;
    }
    out->has_size = true;
    return REPLY_NONE;
}

static enum smtp_reply body_read(const struct slice *value, struct smtp_command *out)
{
    if (value != NULL && slice_equal_nocase(*value, SLICE_LITERAL("8BITMIME"))) {
        out->promises |= SPOOL_BODY_8BITMIME;
        return REPLY_NONE;
    }
    return value != NULL && slice_equal_nocase(*value, SLICE_LITERAL("7BIT")) ? REPLY_NONE : REPLY_BAD_BODY;
}

static enum smtp_reply utf8_read(const struct slice *value, struct smtp_command *out)
{
    out->promises |= SPOOL_SMTPUTF8;
    return value == NULL ? REPLY_NONE : REPLY_NO_VALUE_ALLOWED;
}

static enum smtp_reply require_tls_read(const struct slice *value, struct smtp_command *out)
{
    out->promises |= SPOOL_REQUIRETLS;
    return value == NULL ? REPLY_NONE : REPLY_NO_VALUE_ALLOWED;
}

static enum smtp_reply ret_read(const struct slice *value, struct smtp_command *out)
{
    bool full = value != NULL && slice_equal_nocase(*value, SLICE_LITERAL("FULL"));
    out->promises |= full ? SPOOL_RET_FULL : SPOOL_RET_HDRS;
    return full || (value != NULL && slice_equal_nocase(*value, SLICE_LITERAL("HDRS"))) ? REPLY_NONE
                                                                                        : REPLY_BAD_RET;
}

static enum smtp_reply envid_read(const struct slice *value, struct smtp_command *out)
{
    if (value == NULL || value->len == 0 || value->len > SPOOL_ENVID_MAX || !is_envelope_id(*value)) {
        return REPLY_BAD_ENVID;
    }
    out->envid = *value;
    return REPLY_NONE;
}

static uint64_t notify_word(struct slice word)
{
    static const struct {
        const char *name;
        uint64_t flag;
    } words[] = {{"NEVER", NOTIFY_NEVER},
                 {"SUCCESS", NOTIFY_SUCCESS},
                 {"FAILURE", NOTIFY_FAILURE},
                 {"DELAY", NOTIFY_DELAY}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (slice_equal_nocase(word, slice_of_text(words[i].name))) {
            return words[i].flag;
        }
    }
    return 0;
}

static enum smtp_reply notify_read(const struct slice *value, struct smtp_command *out)
{
    struct slice rest = value != NULL ? *value : slice_of(NULL, 0);
    uint64_t seen = 0;
    for (bool more = true; more;) {
        size_t end = slice_find_byte(rest, ',');
        uint64_t flag = notify_word(slice_of(rest.data, end));
        if (flag == 0 || (seen & flag) != 0) {
            return REPLY_BAD_NOTIFY;
        }
        seen |= flag;
        more = end < rest.len;
        rest = more ? rest_from(rest, end + 1) : rest;
    }
    if ((seen & NOTIFY_NEVER) != 0 && seen != NOTIFY_NEVER) {
        return REPLY_BAD_NOTIFY;
    }
    out->wish.notify = seen;
    return REPLY_NONE;
}

static bool is_type(struct slice type)
{
    for (size_t i = 0; i < type.len; i++) {
        uint8_t c = type.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return type.len > 0;
}

/* RFC 6533 section 3: UTF-8, or \x{HEX} for each character that is none of ASCII. */
static bool utf8_address_valid(struct slice address)
{
    return address.len > 0 && slice_is_text(address) && slice_find_byte(address, ' ') == address.len &&
           slice_find_byte(address, '=') == address.len && slice_find_byte(address, '+') == address.len;
}

static enum smtp_reply orcpt_read(const struct slice *value, struct smtp_command *out)
{
    if (value == NULL || value->len > SPOOL_ORCPT_MAX) {
        return REPLY_BAD_ORCPT;
    }
    size_t end = slice_find_byte(*value, ';');
    struct slice type = slice_of(value->data, end);
    struct slice address = end < value->len ? rest_from(*value, end + 1) : slice_of(NULL, 0);
    bool utf8 = slice_equal_nocase(type, SLICE_LITERAL(UTF8_ORCPT));
    if (!is_type(type) || address.len == 0 ||
        !(dsn_xtext_decode(address, NULL) || (utf8 && utf8_address_valid(address)))) {
        return REPLY_BAD_ORCPT;
    }
    out->wish.orcpt = *value;
    return REPLY_NONE;
}

static const struct parameter {
    const char *name;
    enum smtp_verb verb;
    enum smtp_reply (*read)(const struct slice *value, struct smtp_command *out);
} parameters[] = {
    {"SIZE", VERB_MAIL, size_read},     {"BODY", VERB_MAIL, body_read},
    {"SMTPUTF8", VERB_MAIL, utf8_read}, {"REQUIRETLS", VERB_MAIL, require_tls_read},
    {"RET", VERB_MAIL, ret_read},       {"ENVID", VERB_MAIL, envid_read},
    {"NOTIFY", VERB_RCPT, notify_read}, {"ORCPT", VERB_RCPT, orcpt_read},
};

#define PARAMETER_COUNT (sizeof parameters / sizeof parameters[0])

static enum smtp_reply parameter_parse(struct slice word, unsigned *seen, struct smtp_command *out)
{
    size_t equals = slice_find_byte(word, '=');
    struct slice key = slice_of(word.data, equals), value = {0};
    if (equals < word.len) {
        value = rest_from(word, equals + 1);
    }
    for (size_t i = 0; i < PARAMETER_COUNT; i++) {
        const struct parameter *p = &parameters[i];
        if (p->verb == out->verb && slice_equal_nocase(key, slice_of_text(p->name))) {
            if ((*seen & (1u << i)) != 0) {
                return REPLY_REPEATED_PARAMETER;
            }
            *seen |= 1u << i;
            return p->read(equals < word.len ? &value : NULL, out);
        }
    }
    return REPLY_UNKNOWN_PARAMETER;
}

enum smtp_reply parameters_parse(struct slice rest, struct smtp_command *out)
{
    unsigned seen = 0;
    while (rest.len > 0) {
        if (rest.data[0] != ' ') {
            return REPLY_SYNTAX;
        }
        while (rest.len > 0 && rest.data[0] == ' ') {
            rest = rest_from(rest, 1);
        }
        size_t end = slice_find_byte(rest, ' ');
        if (end == 0) {
            break;
        }
        struct slice word = slice_of(rest.data, end);
        rest = rest_from(rest, end);
        if (!slice_is_text(word)) {
            return REPLY_SYNTAX;
        }
        enum smtp_reply reply = parameter_parse(word, &seen, out);
        if (reply != REPLY_NONE) {
            return reply;
        }
    }
    return REPLY_NONE;
}
