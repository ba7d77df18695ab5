/*
 * The header section of a message or part, by byte range (RFC 5322 section 2.2, RFC 2045), before any other
 * parser sees it.
 *
 * When all goes well: entity_read() finds the end of the header, cuts it into fields, and everything else is
 * a look-up. A header ends only at an empty line. A line in it that is no field does not end it, though some
 * programs think so: a field behind such a line must be seen by us as well, since others may believe it (a
 * second From, a forged verdict); the entity is then marked as malformed. Too much of anything is TOO_LARGE;
 * there is no other error. Lines end with CRLF, and a bare LF is taken for one too, since decrypted content
 * has them. Pure; any thread. Parts are cut in entity_split.c.
 */
#include "mail/entity.h"

#include "mail/mime_text.h"

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Name and value of the field in `whole`; the name stays empty when it is no field. */
static void field_parse(struct slice whole, struct header_field *field)
{
    *field = (struct header_field){.whole = whole};
    size_t colon = slice_find_byte(whole, ':');
    size_t end = colon;
    if (colon == whole.len) {
        return;
    }
    while (end > 0 && is_blank(whole.data[end - 1])) { /* obsolete syntax: blanks before the colon */
        end--;
    }
    for (size_t i = 0; i < end; i++) {
        if (whole.data[i] < 0x21 || whole.data[i] > 0x7e) {
            return;
        }
    }
    size_t stop = whole.len;
    if (stop > colon + 1 && whole.data[stop - 1] == '\n') {
        stop--;
        if (stop > colon + 1 && whole.data[stop - 1] == '\r') {
            stop--;
        }
    }
    field->name = slice_of(whole.data, end);
    field->value = slice_of(whole.data + colon + 1, stop - colon - 1);
}

/* Where the header ends, counting fields. `at` moves behind the empty line. */
static enum status header_measure(struct slice bytes, size_t *header_len, size_t *body_start, size_t *count,
                                  struct failure *f)
{
    struct slice at = bytes, line;
    size_t start = 0, field_start = 0;
    *count = 0;
    while (mime_line(&at, &line)) {
        size_t next = bytes.len - at.len;
        if (line.len == 0) {
            *header_len = start;
            *body_start = next;
            return STATUS_OK;
        }
        if (start == 0 || !is_blank(line.data[0])) {
            field_start = start;
            ++*count;
        }
        if (next - field_start > ENTITY_FIELD_MAX) {
            return failure_set(f, STATUS_TOO_LARGE, "a header field is longer than %zu bytes",
                               ENTITY_FIELD_MAX);
        }
        if (next > ENTITY_HEADER_MAX) {
            return failure_set(f, STATUS_TOO_LARGE, "the header is longer than %zu bytes", ENTITY_HEADER_MAX);
        }
        if (*count > ENTITY_FIELDS_MAX) {
            return failure_set(f, STATUS_TOO_LARGE, "the header has more than %d fields", ENTITY_FIELDS_MAX);
        }
        start = next;
    }
    *header_len = bytes.len;
    *body_start = bytes.len;
    return STATUS_OK;
}

enum status entity_read(struct slice bytes, struct arena *a, struct entity *e, struct failure *f)
{
    size_t header_len = 0, body_start = 0, count = 0;
    *e = (struct entity){.bytes = bytes};
    enum status status = header_measure(bytes, &header_len, &body_start, &count, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (bytes.len > 0) {
        e->header = slice_of(bytes.data, header_len);
        e->body = slice_of(bytes.data + body_start, bytes.len - body_start);
    }
    e->fields = arena_alloc_array(a, count + 1, sizeof e->fields[0]);
    if (e->fields == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the fields of a header");
    }
    struct slice at = e->header, line;
    size_t start = 0;
    while (mime_line(&at, &line)) {
        size_t next = e->header.len - at.len;
        if (start > 0 && is_blank(line.data[0])) {
            e->fields[e->field_count - 1].whole.len += next - start;
        } else {
            e->fields[e->field_count++].whole = slice_of(e->header.data + start, next - start);
        }
        start = next;
    }
    for (size_t i = 0; i < e->field_count; i++) {
        field_parse(e->fields[i].whole, &e->fields[i]);
        e->malformed = e->malformed || e->fields[i].name.len == 0;
    }
    return STATUS_OK;
}

const struct header_field *entity_field(const struct entity *e, const char *name)
{
    for (size_t i = 0; i < e->field_count; i++) {
        if (slice_equal_nocase(e->fields[i].name, slice_of_text(name))) {
            return &e->fields[i];
        }
    }
    return NULL;
}

size_t entity_field_count(const struct entity *e, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < e->field_count; i++) {
        count += slice_equal_nocase(e->fields[i].name, slice_of_text(name));
    }
    return count;
}

bool field_is_of_content(const struct header_field *field)
{
    return slice_starts_with_nocase(field->name, SLICE_LITERAL("Content-")) ||
           slice_equal_nocase(field->name, SLICE_LITERAL("MIME-Version"));
}

bool field_is_ours(const struct header_field *field)
{
    struct slice text = field->name.len > 0 ? field->name : slice_trim(field->whole);
    return slice_starts_with_nocase(text, SLICE_LITERAL("X-Sealpost-"));
}

bool field_stays_behind(const struct header_field *field)
{
    return field_is_ours(field) || slice_equal_nocase(field->name, SLICE_LITERAL("Bcc")) ||
           slice_equal_nocase(field->name, SLICE_LITERAL("Resent-Bcc"));
}

struct content_type entity_content_type(const struct entity *e)
{
    struct content_type unclear = {.type = SLICE_LITERAL("application"),
                                   .subtype = SLICE_LITERAL("octet-stream"),
                                   .present = true,
                                   .unclear = true};
    size_t count = entity_field_count(e, "Content-Type");
    if (count == 0) {
        return (struct content_type){.type = SLICE_LITERAL("text"), .subtype = SLICE_LITERAL("plain")};
    }
    struct slice at = entity_field(e, "Content-Type")->value;
    struct content_type t = {.present = true};
    t.type = mime_token(&at);
    mime_skip_blank(&at);
    if (count > 1 || t.type.len == 0 || at.len == 0 || at.data[0] != '/') {
        return unclear;
    }
    at = slice_of(at.data + 1, at.len - 1);
    t.subtype = mime_token(&at);
    t.parameters = at;
    return t.subtype.len > 0 ? t : unclear;
}

bool content_type_is(const struct content_type *t, const char *type, const char *subtype)
{
    return slice_equal_nocase(t->type, slice_of_text(type)) &&
           (subtype == NULL || slice_equal_nocase(t->subtype, slice_of_text(subtype)));
}

/* A quoted string at *at (which stands on the quote) without quotes and quoted pairs. */
static bool quoted_string(struct slice *at, struct arena *a, struct slice *value)
{
    uint8_t *to = arena_alloc(a, at->len);
    size_t len = 0, i = 1;
    if (to == NULL) {
        return false;
    }
    while (i < at->len && at->data[i] != '"') {
        if (at->data[i] == '\\' && i + 1 < at->len) {
            i++;
        }
        if (at->data[i] != '\r' && at->data[i] != '\n') { /* folded */
            to[len++] = at->data[i];
        }
        i++;
    }
    i = i < at->len ? i + 1 : i;
    *at = slice_of(at->data + i, at->len - i);
    *value = slice_of(to, len);
    return true;
}

bool content_type_parameter(const struct content_type *t, const char *name, struct arena *a,
                            struct slice *value)
{
    struct slice at = t->parameters;
    for (;;) {
        size_t semicolon = 0;
        mime_skip_blank(&at);
        while (semicolon < at.len && at.data[semicolon] != ';') { /* junk between parameters */
            semicolon++;
        }
        if (semicolon >= at.len) {
            return false;
        }
        at = slice_of(at.data + semicolon + 1, at.len - semicolon - 1);
        struct slice key = mime_token(&at);
        mime_skip_blank(&at);
        if (key.len == 0 || at.len == 0 || at.data[0] != '=') {
            continue;
        }
        at = slice_of(at.data + 1, at.len - 1);
        mime_skip_blank(&at);
        struct slice found;
        bool wanted = slice_equal_nocase(key, slice_of_text(name));
        if (at.len > 0 && at.data[0] == '"') {
            if (!quoted_string(&at, a, &found)) {
                return false;
            }
        } else {
            found = mime_token(&at);
            /* Boundaries and file names come unquoted with bytes that no token may have: up to blank or
             * semicolon. */
            size_t more = 0;
            while (more < at.len && at.data[more] > 0x20 && at.data[more] != ';' && at.data[more] != '"') {
                more++;
            }
            found = slice_of(found.data, found.len + more);
            at = slice_of(at.data + more, at.len - more);
        }
        if (wanted) {
            *value = found;
            return true;
        }
    }
}

enum transfer_encoding entity_transfer_encoding(const struct entity *e)
{
    const struct header_field *field = entity_field(e, "Content-Transfer-Encoding");
    return field == NULL ? TRANSFER_7BIT : transfer_encoding_of(field->value);
}
