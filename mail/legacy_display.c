/*
 * Adding and removing legacy display elements in the main body parts: text/plain and text/html at the root,
 * in multipart/alternative, and as first part of multipart/mixed and multipart/related (RFC 9788
 * section 1.2).
 *
 * When all goes well: the tree is walked by byte range; everything but the parts in question is copied as it
 * is; those are decoded, edited, and encoded as they were (8bit becomes quoted-printable only when it is
 * signed, elsewhere). In text the element is "Subject: ..." and an empty line; in HTML a div of the class
 * that RFC 9788 names, behind <body>. Text in a charset that cannot hold the subject gets "?" for what it
 * lacks.
 *
 * What cannot be edited surely (an unknown encoding, HTML without <body>, a part that is an attachment) is
 * left as it is and not marked. Depth is bounded. Pure.
 */
#include "mail/legacy_display.h"

#include "mail/content_type_edit.h"
#include "mail/json_write.h"
#include "mail/mime_text.h"

#include <iconv.h>

#define DEPTH_MAX     8
#define DISPLAY_CLASS "header-protection-legacy-display"

struct edit {
    bool add;
    struct slice subject;
    struct arena *arena;
    struct buf *out;
    struct failure *failure;
};

static enum status entity_edit(struct edit *x, struct slice bytes, size_t depth);

/* --- text/plain --- */

/* The subject in the charset of the part; appends. */
static enum status subject_append(struct slice subject, const char *charset, struct buf *out)
{
    iconv_t cd = iconv_open(charset, "UTF-8");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < subject.len && status == STATUS_OK;) {
        size_t n = utf8_sequence(slice_of(subject.data + i, subject.len - i));
        char one[16], *to = one, *from = (char *)(uintptr_t)(subject.data + i);
        size_t from_len = n == 0 ? 1 : n, to_len = sizeof one;
        bool good = n > 0 && (n == 1 ||
                              (cd != (iconv_t)-1 && iconv(cd, &from, &from_len, &to, &to_len) != (size_t)-1));
        if (n == 1) {
            status = buf_append_byte(out, subject.data[i]);
        } else {
            status = good ? buf_append(out, one, sizeof one - to_len) : buf_append_byte(out, '?');
        }
        i += n == 0 ? 1 : n;
    }
    if (cd != (iconv_t)-1) {
        (void)iconv_close(cd);
    }
    return status;
}

static bool charset_holds_ascii(const char *charset)
{
    return strncasecmp(charset, "utf-16", 6) != 0 && strncasecmp(charset, "utf-32", 6) != 0 &&
           strncasecmp(charset, "utf-7", 5) != 0 && strncasecmp(charset, "ucs-", 4) != 0;
}

static bool is_display_line(struct slice line)
{
    size_t colon = slice_find_byte(line, ':');
    if (colon == 0 || colon == line.len) {
        return false;
    }
    for (size_t i = 0; i < colon; i++) {
        if (line.data[i] <= 0x20 || line.data[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

/* Lines that look like fields (with folded ones behind them) up to an empty line; nothing if there is other
 * text before that. */
static struct slice without_display(struct slice text)
{
    struct slice at = text, line;
    bool any = false;
    while (mime_line(&at, &line)) {
        if (line.len == 0) {
            return any ? at : text;
        }
        bool folded = any && (line.data[0] == ' ' || line.data[0] == '\t');
        if (!folded && !is_display_line(line)) {
            return text;
        }
        any = true;
    }
    return text;
}

/* --- text/html --- */

static size_t find_nocase(struct slice text, size_t from, const char *word)
{
    if (from >= text.len) {
        return text.len;
    }
    return from + slice_find_nocase(slice_of(text.data + from, text.len - from), slice_of_text(word));
}

/* Behind the tag that begins at `at`, with no regard to ">" in quotes; html.len if it does not end. */
static size_t tag_end(struct slice html, size_t at)
{
    uint8_t quote = 0;
    for (; at < html.len; at++) {
        uint8_t c = html.data[at];
        if (quote != 0) {
            quote = c == quote ? 0 : quote;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '>') {
            return at + 1;
        }
    }
    return html.len;
}

/* Behind <body ...>, which is none within a comment; html.len if there is none. */
static size_t body_start(struct slice html)
{
    for (size_t at = 0; at < html.len; at++) {
        struct slice rest = slice_of(html.data + at, html.len - at);
        if (rest.data[0] != '<') {
            continue;
        }
        if (slice_starts_with(rest, SLICE_LITERAL("<!--"))) {
            at = find_nocase(html, at, "-->");
        } else if (rest.len > 5 && slice_starts_with_nocase(rest, SLICE_LITERAL("<body")) &&
                   strchr(" \t\r\n/>", (int)rest.data[5]) != NULL && rest.data[5] != 0) {
            return tag_end(html, at);
        }
    }
    return html.len;
}

/* Any character beyond ASCII as a numeric entity: right in every charset. */
static enum status html_escape(struct slice text, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < text.len && status == STATUS_OK;) {
        size_t n = utf8_sequence(slice_of(text.data + i, text.len - i));
        const uint8_t *c = text.data + i;
        uint32_t code = n <= 1 ? c[0] : n == 2 ? c[0] & 0x1fu : n == 3 ? c[0] & 0x0fu : c[0] & 0x07u;
        for (size_t k = 1; k < n; k++) {
            code = code << 6 | (c[k] & 0x3fu);
        }
        bool special = n == 1 && strchr("<>&\"'", (int)c[0]) != NULL;
        status =
            n == 1 && !special ? buf_append_byte(out, c[0]) : buf_printf(out, "&#%u;", n == 0 ? 63 : code);
        i += n == 0 ? 1 : n;
    }
    return status;
}

static enum status html_add(struct slice html, struct slice subject, struct buf *out)
{
    size_t at = body_start(html);
    enum status status = buf_append(out, html.data, at);
    if (status == STATUS_OK) {
        status = buf_append_text(out, "<div class=\"" DISPLAY_CLASS "\">\r\n<pre>Subject: ");
    }
    if (status == STATUS_OK) {
        status = html_escape(subject, out);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "</pre>\r\n</div>\r\n");
    }
    return status == STATUS_OK ? buf_append(out, html.data + at, html.len - at) : status;
}

/* Only a div that stands first in the body and holds no other element than <pre>. */
static enum status html_remove(struct slice html, struct buf *out)
{
    if (html.len == 0) {
        return STATUS_OK;
    }
    size_t start = body_start(html), at = start == html.len ? 0 : start;
    while (at < html.len && strchr(" \t\r\n", (int)html.data[at]) != NULL && html.data[at] != 0) {
        at++;
    }
    size_t open_end = find_nocase(html, at, ">"), close = find_nocase(html, at, "</div>");
    struct slice tag = slice_of(html.data + at, open_end - at);
    bool found = slice_starts_with_nocase(tag, SLICE_LITERAL("<div")) && close < html.len &&
                 open_end < close && find_nocase(tag, 0, DISPLAY_CLASS) < tag.len &&
                 find_nocase(slice_of(html.data, close), open_end, "<div") == close;
    if (!found) {
        return buf_append_slice(out, html);
    }
    size_t end = close + strlen("</div>");
    if (slice_starts_with(slice_of(html.data + end, html.len - end), SLICE_LITERAL("\r\n"))) {
        end += 2;
    }
    enum status status = buf_append(out, html.data, at);
    return status == STATUS_OK ? buf_append(out, html.data + end, html.len - end) : status;
}

/* --- a part --- */

static const char *charset_of(const struct content_type *type, struct arena *a)
{
    struct slice name;
    if (!content_type_parameter(type, "charset", a, &name) || name.len == 0 || name.len > 40) {
        return "us-ascii";
    }
    const char *text = arena_text(a, name);
    return text != NULL ? text : "us-ascii";
}

static bool is_attachment(const struct entity *e)
{
    const struct header_field *field = entity_field(e, "Content-Disposition");
    struct slice at = field != NULL ? field->value : SLICE_LITERAL("");
    return slice_equal_nocase(mime_token(&at), SLICE_LITERAL("attachment"));
}

static enum status edited_append(struct edit *x, const struct entity *e, const struct content_type *type,
                                 bool new_charset, struct slice content)
{
    static const char *const mark[] = {"hp-legacy-display", NULL};
    static const char *const mark_and_charset[] = {"hp-legacy-display", "charset", NULL};
    const char *added = !x->add       ? ""
                        : new_charset ? "; charset=utf-8; hp-legacy-display=\"1\""
                                      : "; hp-legacy-display=\"1\"";
    enum transfer_encoding encoding = entity_transfer_encoding(e);
    bool now_8bit = encoding == TRANSFER_7BIT && mime_has_8bit(content);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        if (slice_equal_nocase(field->name, SLICE_LITERAL("Content-Type"))) {
            status = content_type_field_append(type, new_charset ? mark_and_charset : mark, added, x->out);
        } else if (!now_8bit ||
                   !slice_equal_nocase(field->name, SLICE_LITERAL("Content-Transfer-Encoding"))) {
            status = buf_append_slice(x->out, field->whole);
        }
    }
    if (status == STATUS_OK && !type->present) {
        status = content_type_field_append(type, mark, added, x->out);
    }
    if (status == STATUS_OK && now_8bit) {
        status = buf_append_text(x->out, "Content-Transfer-Encoding: 8bit\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_text(x->out, "\r\n");
    }
    if (status != STATUS_OK) {
        return status;
    }
    return encoding == TRANSFER_BASE64             ? base64_lines_encode(content, x->out)
           : encoding == TRANSFER_QUOTED_PRINTABLE ? quoted_printable_encode(content, x->out)
                                                   : buf_append_slice(x->out, content);
}

static enum status leaf_edit(struct edit *x, const struct entity *e, const struct content_type *type)
{
    bool html = content_type_is(type, "text", "html");
    bool marked = content_type_has_parameter(type, "hp-legacy-display");
    const char *charset = charset_of(type, x->arena);
    if ((!html && !content_type_is(type, "text", "plain")) || is_attachment(e) || e->malformed ||
        entity_field_count(e, "Content-Type") > 1 || entity_transfer_encoding(e) == TRANSFER_UNKNOWN ||
        !charset_holds_ascii(charset) || (!x->add && !marked)) {
        return buf_append_slice(x->out, e->bytes);
    }
    struct buf text = BUF_INIT(e->body.len + 16), edited = BUF_INIT(e->body.len + x->subject.len * 10 + 1024);
    text.wipe = edited.wipe = true;
    bool ascii = strcasecmp(charset, "us-ascii") == 0 || strcasecmp(charset, "ascii") == 0;
    bool new_charset = x->add && !html && ascii && mime_has_8bit(x->subject);
    enum status status = transfer_decode(entity_transfer_encoding(e), e->body, &text);
    /* Text that says us-ascii and is not: to call it UTF-8 would be wrong, so the subject loses characters.
     */
    new_charset = new_charset && !mime_has_8bit(buf_slice(&text));
    if (status == STATUS_OK && x->add && html && body_start(buf_slice(&text)) == text.len) {
        status = buf_append_slice(x->out, e->bytes);
        goto out;
    }
    if (status == STATUS_OK && html) {
        status =
            x->add ? html_add(buf_slice(&text), x->subject, &edited) : html_remove(buf_slice(&text), &edited);
    } else if (status == STATUS_OK && x->add) {
        status = buf_append_text(&edited, "Subject: ");
        if (status == STATUS_OK) {
            status = subject_append(x->subject, new_charset ? "UTF-8" : charset, &edited);
        }
        if (status == STATUS_OK) {
            status = buf_append_text(&edited, "\r\n\r\n");
        }
        if (status == STATUS_OK) {
            status = buf_append_slice(&edited, buf_slice(&text));
        }
    } else if (status == STATUS_OK) {
        status = buf_append_slice(&edited, without_display(buf_slice(&text)));
    }
    if (status == STATUS_OK) {
        status = edited_append(x, e, type, new_charset, buf_slice(&edited));
    }
out:
    buf_release(&text);
    buf_release(&edited);
    return status;
}

static enum status multipart_edit(struct edit *x, const struct entity *e, const struct multipart *m,
                                  bool all_parts, size_t depth)
{
    const uint8_t *at = e->bytes.data, *end = e->bytes.data + e->bytes.len;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < m->part_count && status == STATUS_OK && (all_parts || i == 0); i++) {
        status = buf_append(x->out, at, (size_t)(m->parts[i].data - at));
        if (status == STATUS_OK) {
            status = entity_edit(x, m->parts[i], depth + 1);
        }
        at = m->parts[i].data + m->parts[i].len;
    }
    return status == STATUS_OK ? buf_append(x->out, at, (size_t)(end - at)) : status;
}

static enum status entity_edit(struct edit *x, struct slice bytes, size_t depth)
{
    struct entity e;
    struct multipart m;
    enum status status = entity_read(bytes, x->arena, &e, x->failure);
    if (status != STATUS_OK) {
        return status;
    }
    struct content_type type = entity_content_type(&e);
    bool all = content_type_is(&type, "multipart", "alternative");
    bool first =
        content_type_is(&type, "multipart", "mixed") || content_type_is(&type, "multipart", "related");
    if (!all && !first) {
        return leaf_edit(x, &e, &type);
    }
    status =
        depth >= DEPTH_MAX ? STATUS_NOT_FOUND : entity_split(&e, ENTITY_PARTS_MAX, x->arena, &m, x->failure);
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && m.part_count == 0)) {
        return buf_append_slice(x->out, bytes);
    }
    return status == STATUS_OK ? multipart_edit(x, &e, &m, all, depth) : status;
}

static enum status edit_whole(struct edit *x, const struct entity *content)
{
    enum status status = buf_reserve(x->out, content->bytes.len + 1024);
    return status == STATUS_OK ? entity_edit(x, content->bytes, 0) : status;
}

enum status legacy_display_add(const struct entity *content, struct slice subject, struct arena *a,
                               struct buf *out, struct failure *f)
{
    struct edit x = {.add = true, .subject = subject, .arena = a, .out = out, .failure = f};
    return edit_whole(&x, content);
}

enum status legacy_display_remove(const struct entity *content, struct arena *a, struct buf *out,
                                  struct failure *f)
{
    struct edit x = {.add = false, .subject = SLICE_LITERAL(""), .arena = a, .out = out, .failure = f};
    return edit_whole(&x, content);
}
