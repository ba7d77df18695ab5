/*
 * Header protection: any bytes as a Cryptographic Payload, read and written.
 *
 * What is taken from it into a header must be whole fields that end with CRLF and hold no NUL, no bare CR or
 * LF and no line of nothing but blanks; tags must be gone from a subject once they were removed; adding and
 * removing the legacy display must end; and what we write as a payload must be read as one.
 */
#include "mail/header_protection.h"
#include "mail/header_reading.h"
#include "mail/legacy_display.h"
#include "mail/protected_fields.h"
#include "mail/subject_tags.h"
#include "mail/words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

/* A header section that no program reads in another way. */
static void check_fields(struct slice text)
{
    size_t line = 0;
    bool blank = true;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        require(c != 0 && (c != '\n' || (i > 0 && text.data[i - 1] == '\r')));
        require(c != '\r' || (i + 1 < text.len && text.data[i + 1] == '\n'));
        if (c == '\n') {
            require(!blank && line > 0);
            line = 0;
            blank = true;
        } else if (c != '\r') {
            blank = blank && (c == ' ' || c == '\t');
            line++;
        }
    }
    require(text.len == 0 || text.data[text.len - 1] == '\n');
}

static void read_payload(const struct entity *outer, const struct entity *payload, struct arena *a)
{
    struct protected_header h;
    struct failure f;
    struct buf out = BUF_INIT((size_t)1 << 22);
    struct slice text, bare, again;
    if (protected_header_read(outer, payload, a, &h, &f) == STATUS_OK && h.scheme != SCHEME_NONE) {
        for (size_t i = 0; i < h.source.field_count; i++) {
            const struct header_field *field = &h.source.fields[i];
            if (protected_field(field) != 0 && protected_header_usable(field)) {
                size_t start = out.len;
                require(protected_field_append(field, a, &out) == STATUS_OK);
                check_fields(slice_of(out.data + start, out.len - start));
            }
        }
    }
    const struct header_field *subject = entity_field(payload, "Subject");
    if (subject != NULL && words_decode(subject->value, 8192, a, &text) == STATUS_OK) {
        require(subject_tags_remove(text, a, &bare) == STATUS_OK && bare.len <= text.len);
        require(subject_tags_remove(bare, a, &again) == STATUS_OK && slice_equal(bare, again));
    }
    buf_reset(&out);
    require(legacy_display_remove(payload, a, &out, &f) != STATUS_INTERNAL);
    buf_release(&out);
}

static void write_payload(const struct entity *message, struct arena *a)
{
    struct failure f;
    struct entity written;
    for (int form = HEADERS_CLEAR; form < HEADER_FORM_COUNT && header_protection_fits(message); form++) {
        struct buf out = BUF_INIT((size_t)1 << 24), outer = BUF_INIT((size_t)1 << 22);
        if (header_protection_payload(message, message, (enum header_form)form, a, &out, &f) == STATUS_OK) {
            require(entity_read(buf_slice(&out), a, &written, &f) != STATUS_OK ||
                    entity_field_count(&written, "Content-Type") == 1);
        }
        if (header_protection_outer(message, (enum header_form)form, &outer) == STATUS_OK && outer.len > 0 &&
            form >= HEADERS_HIDDEN && entity_read(buf_slice(&outer), a, &written, &f) == STATUS_OK) {
            require(entity_field_count(&written, "Subject") <= 1);
        }
        buf_release(&out);
        buf_release(&outer);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct entity outer, payload;
    struct failure f;
    arena_init(&a, (size_t)256 << 20);
    require(
        entity_read(SLICE_LITERAL("From: bob@partner.example\r\nSubject: [...]\r\nMessage-ID: <1@x>\r\n\r\n"),
                    &a, &outer, &f) == STATUS_OK);
    if (entity_read(slice_of(data, size), &a, &payload, &f) == STATUS_OK) {
        read_payload(&outer, &payload, &a);
        write_payload(&payload, &a);
    }
    arena_release(&a);
    return 0;
}
