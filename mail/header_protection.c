/*
 * Writing header protection (RFC 9788 sections 2.2, 3.2, 5.2).
 *
 * When all goes well: each protected field (mail/protected_fields.c) of the message is copied in front of the
 * Content-* fields of the payload, hp= goes into its Content-Type, and when it is to be encrypted each of
 * them is recorded as HP-Outer as it stands outside, so that a reader knows what was confidential. With a
 * legacy display the Subject is put into the text as well (mail/legacy_display.c).
 *
 * What does not fit into a signed part stays unprotected: a field that occurs twice though it may not, one
 * with bytes above 127 (no encoding is sure for it) or with lines that HP-Outer would make too long. But what
 * is to be hidden is hidden in any case: a raw Subject is encoded, of two the first goes inside and none
 * stays outside. Pure; any thread.
 */
#include "mail/header_protection.h"

#include "mail/content_type_edit.h"
#include "mail/flow_internal.h"
#include "mail/legacy_display.h"
#include "mail/mime_text.h"
#include "mail/protected_fields.h"
#include "mail/words.h"
#include "mail/words_field.h"

#define SUBJECT_MAX ((size_t)8 << 10) /* bytes of a decoded field */
#define LINE_ROOM   40 /* bytes that HP-Outer and what is around it may take of MIME_LINE_MAX */

static const char *const hp_parameters[] = {"hp", "hp-legacy-display", "protected-headers", NULL};

const char *header_form_name(enum header_form form)
{
    static const char *const names[HEADER_FORM_COUNT] = {"none", "clear", "cipher", "hidden",
                                                         "hidden-legacy"};
    return names[form];
}

static bool form_hides(enum header_form form)
{
    return form == HEADERS_HIDDEN || form == HEADERS_HIDDEN_LEGACY;
}

bool header_protection_fits(const struct entity *content)
{
    struct content_type type = entity_content_type(content);
    bool own_layer = content_type_is(&type, "multipart", "signed") ||
                     content_type_is(&type, "multipart", "encrypted") ||
                     content_type_is(&type, "application", "pkcs7-mime") ||
                     content_type_is(&type, "application", "x-pkcs7-mime");
    return entity_field_count(content, "Content-Type") == 1 && !content->malformed && !own_layer &&
           !type.unclear;
}

/* --- which fields --- */

static bool lines_fit(struct slice field)
{
    struct slice line;
    while (mime_line(&field, &line)) {
        if (line.len > MIME_LINE_MAX - LINE_ROOM) {
            return false;
        }
    }
    return true;
}

/* Is it the first of its name? */
static bool is_first(const struct entity *e, size_t i)
{
    char name[64];
    struct slice own = e->fields[i].name;
    if (own.len >= sizeof name) {
        return false;
    }
    memcpy(name, own.data, own.len);
    name[own.len] = '\0';
    return entity_field(e, name) == &e->fields[i];
}

static bool occurs_once(const struct entity *e, size_t i)
{
    size_t count = 0;
    for (size_t n = 0; n < e->field_count; n++) {
        count += slice_equal_nocase(e->fields[n].name, e->fields[i].name);
    }
    return count == 1;
}

enum disposition {
    FIELD_OUTSIDE,  /* as without header protection */
    FIELD_COPIED,   /* inside, and outside as it is */
    FIELD_REPLACED, /* inside, and "[...]" outside */
    FIELD_TAKEN,    /* inside only */
    FIELD_DROPPED,  /* nowhere: the second of what is hidden and may be there once */
};

static enum disposition disposition_of(const struct entity *e, size_t i, enum header_form form)
{
    unsigned flags = protected_field(&e->fields[i]);
    if (form == HEADERS_BARE || flags == 0) {
        return FIELD_OUTSIDE;
    }
    if (form_hides(form) && (flags & (FIELD_OBSCURED | FIELD_HIDDEN)) != 0) {
        if ((flags & FIELD_ONCE) != 0 && !is_first(e, i)) {
            return FIELD_DROPPED;
        }
        return (flags & FIELD_OBSCURED) != 0 ? FIELD_REPLACED : FIELD_TAKEN;
    }
    bool fits = ((flags & FIELD_ONCE) == 0 || occurs_once(e, i)) && !mime_has_8bit(e->fields[i].whole) &&
                lines_fit(e->fields[i].whole);
    return fits ? FIELD_COPIED : FIELD_OUTSIDE;
}

/* --- writing --- */

static enum status inside_append(const struct header_field *field, struct arena *a, struct buf *out)
{
    struct slice text;
    char name[64];
    if (!mime_has_8bit(field->whole) && field->name.len < sizeof name) {
        enum status status = buf_append_slice(out, field->whole);
        if (status == STATUS_OK && out->data[out->len - 1] != '\n') {
            status = buf_append_text(out, "\r\n");
        }
        return status;
    }
    enum status status = words_decode(field->value, SUBJECT_MAX, a, &text);
    memcpy(name, field->name.data, field->name.len);
    name[field->name.len] = '\0';
    return status == STATUS_OK ? words_field_append(name, text, out) : status;
}

static enum status fields_append(const struct entity *message, enum header_form form, struct arena *a,
                                 struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < message->field_count && status == STATUS_OK; i++) {
        enum disposition where = disposition_of(message, i, form);
        if (where != FIELD_OUTSIDE && where != FIELD_DROPPED) {
            status = inside_append(&message->fields[i], a, out);
        }
    }
    for (size_t i = 0; i < message->field_count && status == STATUS_OK && form != HEADERS_CLEAR; i++) {
        enum disposition where = disposition_of(message, i, form);
        if (where == FIELD_REPLACED) {
            status = buf_append_text(out, "HP-Outer: Subject: [...]\r\n");
        } else if (where == FIELD_COPIED) {
            status = buf_append_text(out, "HP-Outer: ");
            status = status == STATUS_OK ? inside_append(&message->fields[i], a, out) : status;
        }
    }
    return status;
}

static enum status content_append(const struct entity *content, enum header_form form, struct buf *out)
{
    struct content_type type = entity_content_type(content);
    bool legacy = content_type_has_parameter(&type, "hp-legacy-display");
    char added[64];
    if (snprintf(added, sizeof added, "; hp=\"%s\"%s", form == HEADERS_CLEAR ? "clear" : "cipher",
                 legacy && form == HEADERS_HIDDEN_LEGACY ? "; hp-legacy-display=\"1\"" : "") >=
        (int)sizeof added) {
        return STATUS_INTERNAL;
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < content->field_count && status == STATUS_OK; i++) {
        status = slice_equal_nocase(content->fields[i].name, SLICE_LITERAL("Content-Type"))
                     ? content_type_field_append(&type, hp_parameters, added, out)
                     : buf_append_slice(out, content->fields[i].whole);
    }
    return status;
}

enum status header_protection_payload(const struct entity *message, const struct entity *content,
                                      enum header_form form, struct arena *a, struct buf *out,
                                      struct failure *f)
{
    struct buf displayed = BUF_INIT((content->header.len + content->body.len) * 4 + 65536);
    struct entity with_display = *content;
    enum status status = STATUS_OK;
    const struct header_field *subject = entity_field(message, "Subject");
    displayed.wipe = true;
    if (form == HEADERS_HIDDEN_LEGACY && subject != NULL) {
        struct slice text;
        status = words_decode(subject->value, SUBJECT_MAX, a, &text);
        if (status == STATUS_OK) {
            status = legacy_display_add(content, text, a, &displayed, f);
        }
        if (status == STATUS_OK) {
            status = entity_read(buf_slice(&displayed), a, &with_display, f);
        }
    }
    if (status == STATUS_OK) {
        status = buf_reserve(out, message->header.len * 2 + with_display.header.len + with_display.body.len +
                                      1024);
    }
    if (status == STATUS_OK) {
        status = fields_append(message, form, a, out);
    }
    if (status == STATUS_OK) {
        status = content_append(&with_display, form, out);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, with_display.body);
    }
    buf_release(&displayed);
    return status == STATUS_OK ? status : failure_set(f, status, "the header could not be protected");
}

enum status header_protection_outer(const struct entity *message, enum header_form form, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < message->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &message->fields[i];
        if (field->name.len == 0 || field_stays_behind(field) || field_is_of_content(field)) {
            continue;
        }
        switch (disposition_of(message, i, form)) {
        case FIELD_OUTSIDE:
        case FIELD_COPIED:
            status = buf_append_slice(out, field->whole);
            break;
        case FIELD_REPLACED:
            status = buf_append_text(out, "Subject: [...]\r\n");
            break;
        case FIELD_TAKEN:
        case FIELD_DROPPED:
            break;
        }
    }
    if (status == STATUS_OK && out->len > 0 && out->data[out->len - 1] != '\n') {
        status = buf_append_text(out, "\r\n");
    }
    return status;
}
