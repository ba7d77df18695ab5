/*
 * The SMTP command parser (smtp/command_parser.h). A line comes in whole, without CRLF, with no NUL, CR or LF
 * in it (smtp/line_reader.h has seen to that) and no longer than smtp.max_line_length. Pure; the fuzz target
 * tests/fuzz/smtp/fuzz_smtp_command.c runs exactly this.
 */
#include "smtp/command_parser.h"

#include "store/records.h"

static const char *const verb_names[VERB_COUNT] = {
#define X(name) [VERB_##name] = #name,
    SMTP_VERB_TABLE(X)
#undef X
        [VERB_FOREIGN] = "foreign",
    [VERB_UNIMPLEMENTED] = "unimplemented",
    [VERB_UNKNOWN] = "unknown",
};

static const char *const unimplemented[] = {"EXPN", "TURN", "ETRN", "SEND", "SOML",
                                            "SAML", "BDAT", "AUTH", "BURL"};

/* A browser or balancer that was led here: each further line of it could be meant as a command. */
static const char *const foreign[] = {"PROXY", "GET", "POST", "CONNECT"};

const char *smtp_verb_name(enum smtp_verb verb)
{
    return verb_names[verb];
}

static enum smtp_verb verb_find(struct slice word)
{
    for (int i = 0; i < VERB_FOREIGN; i++) {
        if (slice_equal_nocase(word, slice_of_text(verb_names[i]))) {
            return (enum smtp_verb)i;
        }
    }
    for (size_t i = 0; i < sizeof unimplemented / sizeof unimplemented[0]; i++) {
        if (slice_equal_nocase(word, slice_of_text(unimplemented[i]))) {
            return VERB_UNIMPLEMENTED;
        }
    }
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        if (slice_equal_nocase(word, slice_of_text(foreign[i]))) {
            return VERB_FOREIGN;
        }
    }
    return VERB_UNKNOWN;
}

static struct slice rest_from(struct slice s, size_t n)
{
    return slice_of(s.data + n, s.len - n);
}

static bool is_graphic(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] <= 0x20 || s.data[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* The name of EHLO: a domain or literal by the book; in practice whatever a host calls itself, so only what
 * could be mistaken in a Received field is kept out. */
bool client_name_valid(struct slice name)
{
    if (name.len == 0 || name.len > DOMAIN_MAX || !is_graphic(name)) {
        return false;
    }
    if (name.data[0] == '[') {
        return address_literal_valid(name);
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '.' && c != '-' && c != '_' && c != ':') {
            return false;
        }
    }
    return true;
}

/* "<path>" at the start of *rest; what follows the > stays in *rest. A > inside a quoted local part does not
 * end it. */
static bool take_bracketed(struct slice *rest, struct slice *path)
{
    if (rest->len == 0 || rest->data[0] != '<') {
        return false;
    }
    bool quoted = false;
    for (size_t i = 1; i < rest->len; i++) {
        uint8_t c = rest->data[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == '>' && !quoted) {
            *path = slice_of(rest->data + 1, i - 1);
            *rest = rest_from(*rest, i + 1);
            return true;
        }
    }
    return false;
}

static enum smtp_reply size_parameter(struct slice value, struct smtp_command *out)
{
    if (out->has_size) {
        return REPLY_REPEATED_PARAMETER;
    }
    if (value.len == 0 || value.len > 20 || !slice_parse_u64(value, &out->size)) {
        return REPLY_BAD_PARAMETER;
    }
    out->has_size = true;
    return REPLY_NONE;
}

/* " KEY=VALUE KEY=VALUE": RFC 5321 section 4.1.2, esmtp-param. RCPT has none that we know. */
static enum smtp_reply parameters_parse(struct slice rest, struct smtp_command *out)
{
    bool body_seen = false;
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
        if (!is_graphic(word)) {
            return REPLY_SYNTAX;
        }
        size_t equals = slice_find_byte(word, '=');
        struct slice key = slice_of(word.data, equals);
        struct slice value = equals < word.len ? rest_from(word, equals + 1) : slice_of(NULL, 0);
        if (out->verb != VERB_MAIL) {
            return REPLY_UNKNOWN_PARAMETER;
        }
        if (slice_equal_nocase(key, SLICE_LITERAL("SIZE"))) {
            enum smtp_reply reply = size_parameter(value, out);
            if (reply != REPLY_NONE) {
                return reply;
            }
        } else if (slice_equal_nocase(key, SLICE_LITERAL("BODY"))) {
            if (body_seen) {
                return REPLY_REPEATED_PARAMETER;
            }
            body_seen = true;
            if (slice_equal_nocase(value, SLICE_LITERAL("8BITMIME"))) {
                out->body = BODY_8BITMIME;
            } else if (!slice_equal_nocase(value, SLICE_LITERAL("7BIT"))) {
                return REPLY_BAD_PARAMETER;
            }
        } else {
            return REPLY_UNKNOWN_PARAMETER;
        }
    }
    return REPLY_NONE;
}

static enum smtp_reply path_parse(struct slice rest, struct slice keyword, struct smtp_command *out)
{
    bool mail = out->verb == VERB_MAIL;
    if (!slice_starts_with_nocase(rest, keyword)) {
        return mail ? REPLY_MAIL_SYNTAX : REPLY_RCPT_SYNTAX;
    }
    /* RFC 5321 section 3.3 allows no space after the colon; so many clients send one that refusing it helps
     * nobody. */
    rest = rest_from(rest, keyword.len);
    while (rest.len > 0 && rest.data[0] == ' ') {
        rest = rest_from(rest, 1);
    }
    if (!take_bracketed(&rest, &out->path)) {
        return mail ? REPLY_MAIL_SYNTAX : REPLY_RCPT_SYNTAX;
    }
    for (size_t i = 0; i < out->path.len; i++) {
        if (out->path.data[i] >= 0x80) {
            return REPLY_NOT_ASCII;
        }
    }
    if (out->path.len == 0) {
        if (!mail) {
            return REPLY_BAD_RECIPIENT;
        }
    } else if (out->path.data[0] == '@') {
        return REPLY_SOURCE_ROUTE;
    } else if (!mail && slice_equal_nocase(out->path, SLICE_LITERAL("postmaster"))) {
        out->domain = slice_of(NULL, 0); /* RFC 5321 section 4.5.1: the one mailbox without a domain */
    } else if (!mailbox_parse(out->path, &out->domain)) {
        return mail ? REPLY_BAD_SENDER : REPLY_BAD_RECIPIENT;
    }
    return parameters_parse(rest, out);
}

enum smtp_reply command_parse(struct slice line, struct smtp_command *out)
{
    *out = (struct smtp_command){.verb = VERB_UNKNOWN};
    size_t end = slice_find_byte(line, ' ');
    out->verb = verb_find(slice_of(line.data, end));
    struct slice rest = end < line.len ? rest_from(line, end + 1) : slice_of(NULL, 0);
    out->argument = slice_trim(rest);
    switch (out->verb) {
    case VERB_EHLO:
    case VERB_HELO:
    case VERB_LHLO:
        return client_name_valid(out->argument) ? REPLY_NONE : REPLY_BAD_NAME;
    case VERB_MAIL:
        return path_parse(rest, SLICE_LITERAL("FROM:"), out);
    case VERB_RCPT:
        return path_parse(rest, SLICE_LITERAL("TO:"), out);
    case VERB_DATA:
    case VERB_RSET:
    case VERB_QUIT:
    case VERB_STARTTLS:
        return out->argument.len == 0 ? REPLY_NONE : REPLY_NO_ARGUMENT_ALLOWED;
    case VERB_VRFY:
        return out->argument.len > 0 ? REPLY_NONE : REPLY_SYNTAX;
    case VERB_NOOP:
    case VERB_HELP:
    case VERB_XCLIENT: /* xclient_parse() takes its argument */
    case VERB_FOREIGN:
        return REPLY_NONE;
    case VERB_UNIMPLEMENTED:
        return REPLY_NOT_IMPLEMENTED;
    case VERB_UNKNOWN:
    case VERB_COUNT:
        break;
    }
    return REPLY_UNKNOWN_COMMAND;
}
