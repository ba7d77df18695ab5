/*
 * Reading header protection (RFC 9788 section 4, and 4.10 for the older forms).
 *
 * When all goes well: the Content-Type of the payload's root, and of nothing else, says hp= (or, before RFC
 * 9788, protected-headers=v1), and the fields beside it are the message's. A payload that is message/rfc822
 * is the whole message wrapped, if it says forwarded=no, or has the Message-ID and the From of what is around
 * it; any other is a message that somebody passes on, and its fields are none of ours.
 *
 * What can go wrong: fields come from whoever made the payload, so they may hold anything. A field with NUL,
 * a bare CR or bytes above 127 is not written as it is, so nothing decrypted can end the header or forge a
 * field behind it; a From that is unclear is no From that a signature could be for. What is done with all
 * this is decided in mail/incoming_compose.c. Pure; any thread.
 */
#include "mail/header_reading.h"

#include "mail/address_list.h"
#include "mail/content_type_edit.h"
#include "mail/mime_text.h"
#include "mail/protected_fields.h"
#include "mail/words.h"
#include "mail/words_field.h"

#define TEXT_MAX ((size_t)8 << 10) /* bytes of a decoded field */

static bool parameter_is(const struct content_type *type, const char *name, const char *wanted,
                         struct arena *a)
{
    struct slice value;
    return content_type_parameter(type, name, a, &value) && slice_equal_nocase(value, slice_of_text(wanted));
}

static struct slice value_of(const struct entity *e, const char *name)
{
    const struct header_field *field = entity_field(e, name);
    return field == NULL || entity_field_count(e, name) != 1 ? slice_of(NULL, 0) : slice_trim(field->value);
}

static bool is_own_layer(const struct entity *e)
{
    struct content_type type = entity_content_type(e);
    return content_type_is(&type, "multipart", "signed") ||
           content_type_is(&type, "multipart", "encrypted") ||
           content_type_is(&type, "application", "pkcs7-mime") ||
           content_type_is(&type, "application", "x-pkcs7-mime");
}

/* The message that the payload holds as message/rfc822, if it is this one and not one that is passed on. */
static enum status read_wrapped(const struct entity *message, const struct entity *payload,
                                const struct content_type *type, struct arena *a,
                                struct protected_header *out, struct failure *f)
{
    char outer_from[ADDRESS_MAX + 1], inner_from[ADDRESS_MAX + 1];
    struct entity inner;
    enum transfer_encoding encoding = entity_transfer_encoding(payload);
    if (encoding != TRANSFER_7BIT && encoding != TRANSFER_8BIT && encoding != TRANSFER_BINARY) {
        return STATUS_OK; /* RFC 2046 section 5.2.1 allows no other */
    }
    enum status status = entity_read(payload->body, a, &inner, f);
    if (status != STATUS_OK || is_own_layer(&inner) || parameter_is(type, "forwarded", "yes", a)) {
        return status;
    }
    struct content_type inner_type = entity_content_type(&inner);
    if (content_type_has_parameter(&inner_type, "hp")) { /* RFC 9788 section 4.10.1: it is another's */
        return STATUS_OK;
    }
    struct slice outer_id = value_of(message, "Message-ID"), inner_id = value_of(&inner, "Message-ID");
    message_from(message, outer_from);
    message_from(&inner, inner_from);
    bool same = outer_id.len > 0 && slice_equal(outer_id, inner_id) && inner_from[0] != '\0' &&
                strcmp(inner_from, outer_from) == 0;
    if (same || parameter_is(type, "forwarded", "no", a)) {
        out->scheme = SCHEME_WRAPPED;
        out->source = inner;
    }
    return STATUS_OK;
}

static bool fields_are_clear(const struct entity *e)
{
    for (size_t i = 0; i < e->field_count; i++) {
        if ((protected_field(&e->fields[i]) & FIELD_ONCE) == 0) {
            continue;
        }
        for (size_t n = i + 1; n < e->field_count; n++) {
            if (slice_equal_nocase(e->fields[i].name, e->fields[n].name)) {
                return false;
            }
        }
    }
    return !e->malformed;
}

enum status protected_header_read(const struct entity *message, const struct entity *payload, struct arena *a,
                                  struct protected_header *out, struct failure *f)
{
    struct content_type type = entity_content_type(payload);
    enum status status = STATUS_OK;
    *out = (struct protected_header){.scheme = SCHEME_NONE, .source = *payload};
    if (!type.present || entity_field_count(payload, "Content-Type") != 1) {
        return STATUS_OK;
    }
    out->cipher = true;
    if (parameter_is(&type, "hp", "clear", a) || parameter_is(&type, "hp", "cipher", a)) {
        out->scheme = SCHEME_HP;
        out->cipher = parameter_is(&type, "hp", "cipher", a);
    } else if (content_type_has_parameter(&type, "hp")) {
        return STATUS_OK; /* a value that we do not know: no protection that we could read */
    } else if (parameter_is(&type, "protected-headers", "v1", a)) {
        out->scheme = SCHEME_V1;
    } else if (content_type_is(&type, "message", "rfc822") || content_type_is(&type, "message", "global")) {
        status = read_wrapped(message, payload, &type, a, out, f);
    }
    if (status == STATUS_OK && out->scheme != SCHEME_NONE) {
        out->clear = fields_are_clear(&out->source);
        out->has_from = entity_field(&out->source, "From") != NULL;
        message_from(&out->source, out->from);
    }
    return status;
}

bool protected_header_has(const struct protected_header *h, struct slice name)
{
    for (size_t i = 0; i < h->source.field_count; i++) {
        const struct header_field *field = &h->source.fields[i];
        if (slice_equal_nocase(field->name, name) && protected_field(field) != 0 &&
            protected_header_usable(field)) {
            return true;
        }
    }
    return false;
}

/* Equal but for where they are folded. */
static bool same_value(struct slice a, struct slice b)
{
    a = slice_trim(a);
    b = slice_trim(b);
    for (size_t i = 0, n = 0;; i++, n++) {
        while (i < a.len && (a.data[i] == '\r' || a.data[i] == '\n')) {
            i++;
        }
        while (n < b.len && (b.data[n] == '\r' || b.data[n] == '\n')) {
            n++;
        }
        if (i >= a.len || n >= b.len) {
            return i >= a.len && n >= b.len;
        }
        if (a.data[i] != b.data[n]) {
            return false;
        }
    }
}

/* The field that a HP-Outer records: "name: value". */
static struct header_field recorded(const struct header_field *outer)
{
    size_t colon = slice_find_byte(outer->value, ':');
    struct header_field field = {.whole = outer->whole};
    if (colon < outer->value.len) {
        field.name = slice_trim(slice_of(outer->value.data, colon));
        field.value = slice_of(outer->value.data + colon + 1, outer->value.len - colon - 1);
    }
    return field;
}

bool protected_header_hides(const struct protected_header *h, const struct entity *message, const char *name)
{
    const struct header_field *inner = entity_field(&h->source, name);
    const struct entity *e = h->scheme == SCHEME_HP ? &h->source : message;
    if (inner == NULL || !protected_header_usable(inner)) {
        return false;
    }
    for (size_t i = 0; i < e->field_count; i++) {
        struct header_field field = e->fields[i];
        if (h->scheme == SCHEME_HP) {
            if (!slice_equal_nocase(field.name, SLICE_LITERAL("HP-Outer"))) {
                continue;
            }
            field = recorded(&field);
        }
        if (slice_equal_nocase(field.name, slice_of_text(name)) && same_value(field.value, inner->value)) {
            return false;
        }
    }
    return true;
}

static bool is_unstructured(const struct header_field *field)
{
    static const char *const names[] = {"Subject", "Comments", "Keywords", "Thread-Topic", "Organization"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equal_nocase(field->name, slice_of_text(names[i]))) {
            return true;
        }
    }
    return false;
}

/* Lines that any program reads as we do: no control bytes, nothing above 127, none too long. */
static bool is_even(const struct header_field *field)
{
    struct slice at = field->whole, line;
    while (mime_line(&at, &line)) {
        if (line.len > MIME_LINE_MAX) {
            return false;
        }
        for (size_t i = 0; i < line.len; i++) {
            uint8_t c = line.data[i];
            if ((c < 0x20 && c != '\t') || c > 0x7e) {
                return false;
            }
        }
    }
    return true;
}

bool protected_header_usable(const struct header_field *field)
{
    return field->name.len > 0 && field->name.len < 64 && (is_even(field) || is_unstructured(field));
}

enum status protected_field_append(const struct header_field *field, struct arena *a, struct buf *out)
{
    char name[64];
    memcpy(name, field->name.data, field->name.len);
    name[field->name.len] = '\0';
    if (!is_even(field)) { /* only unstructured text comes here: decoded, cleaned and encoded anew */
        struct slice text;
        enum status status = words_decode(field->value, TEXT_MAX, a, &text);
        return status == STATUS_OK ? words_field_append(name, text, out) : status;
    }
    struct slice at = field->value, line;
    bool first = true;
    enum status status = buf_printf(out, "%s:", name);
    while (status == STATUS_OK && mime_line(&at, &line)) {
        /* A line of nothing but blanks ends the header for some programs. */
        if (slice_trim(line).len > 0) {
            status = buf_printf(out, "%s%.*s", first ? "" : "\r\n", SLICE_ARGS(line));
            first = false;
        }
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}
