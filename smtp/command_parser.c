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

static const char *const unimplemented[] = {"EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML", "AUTH", "BURL"};

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

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
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
    out->utf8 = !is_ascii(out->path);
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

/* RFC 3030 section 2: "BDAT size" or "BDAT size LAST". */
static enum smtp_reply chunk_parse(struct smtp_command *out)
{
    size_t end = slice_find_byte(out->argument, ' ');
    struct slice size = slice_of(out->argument.data, end), rest = {0};
    if (end < out->argument.len) {
        rest = slice_trim(rest_from(out->argument, end));
    }
    out->last = rest.len > 0;
    bool good = size.len > 0 && size.len <= 20 && slice_parse_u64(size, &out->chunk) &&
                (rest.len == 0 || slice_equal_nocase(rest, SLICE_LITERAL("LAST")));
    return good ? REPLY_NONE : REPLY_BDAT_SYNTAX;
}

/* RFC 6531 section 3.7.4.2: with SMTPUTF8 behind it the name may be beyond ASCII. */
static enum smtp_reply verify_parse(struct smtp_command *out)
{
    struct slice word = SLICE_LITERAL(" SMTPUTF8");
    struct slice *name = &out->argument;
    if (name->len > word.len && slice_equal_nocase(rest_from(*name, name->len - word.len), word)) {
        out->promises = SPOOL_SMTPUTF8;
        *name = slice_trim(slice_of(name->data, name->len - word.len));
    }
    out->utf8 = !is_ascii(*name);
    if (name->len == 0 || !slice_is_text(*name)) {
        return REPLY_SYNTAX;
    }
    return out->utf8 && out->promises == 0 ? REPLY_NOT_ASCII : REPLY_NONE;
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
    case VERB_BDAT:
        return chunk_parse(out);
    case VERB_VRFY:
        return verify_parse(out);
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
