/*
 * The trace: how a message was decided, as JSON, for `policy explain`, the message log and support. It names
 * every setting with the level that it came from and every certificate with why it was or was not used. It
 * holds addresses and certificate names, never content or keys. docs/policy.md describes it; other programs
 * read it, so fields are added, not renamed. Pure; any thread.
 */
#include "mail/policy_internal.h"

#include "base/hex.h"

#include <stdarg.h>

void trace_setting(struct json_writer *w, const struct setting_value *value, enum policy_side side)
{
    static const char *const sides[] = {"sender", "envelope-sender", "recipient"};
    struct json_member members[6] = {
        {SLICE_LITERAL("name"), slice_of_text(value->setting->name)},
        {SLICE_LITERAL("of"), slice_of_text(sides[side])},
        {SLICE_LITERAL("value"), value->text},
        {SLICE_LITERAL("level"), slice_of_text(setting_level_name(value->level))},
    };
    size_t count = 4;
    if (value->scope.len > 0) {
        members[count++] = (struct json_member){SLICE_LITERAL("scope"), value->scope};
    }
    if (!value->proposed) {
        json_put_texts(w, members, count);
        return;
    }
    json_open_object(w, NULL);
    for (size_t i = 0; i < count; i++) {
        json_put_member(w, &members[i]);
    }
    json_put_bool(w, "proposed", true);
    json_close_object(w);
}

void trace_kinds(struct json_writer *w, unsigned kinds)
{
    static const char *const names[] = {"encrypted", "signed", "calendar", "report",   "auto-reply",
                                        "empty",     "tnef",   "partial",  "malformed"};
    json_put_bool(w, "already_encrypted", (kinds & MESSAGE_ENCRYPTED) != 0);
    json_put_bool(w, "already_signed", (kinds & MESSAGE_SIGNED) != 0);
    json_open_array(w, "kinds");
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if ((kinds & (1U << i)) != 0) {
            json_put_text(w, NULL, slice_of_text(names[i]));
        }
    }
    json_close_array(w);
}

void trace_certificate(struct json_writer *w, const struct certificate_record *record, const char *use,
                       bool usable, const char *why)
{
    char thumbprint[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), thumbprint);
    json_open_object(w, NULL);
    json_put_text(w, "thumbprint", slice_of_text(thumbprint));
    json_put_text(w, "subject",
                  slice_of(record->subject.data, record->subject.len < 512 ? record->subject.len : 512));
    json_put_text(w, "use", slice_of_text(use));
    json_put_bool(w, "usable", usable);
    if (!usable) {
        json_put_text(w, "why", slice_of_text(why));
    }
    json_close_object(w);
}

/* What does not fit is cut off: a reply has room for so much. */
__attribute__((format(printf, 2, 0))) static void reason_format(char *text, const char *format, va_list args)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): its one caller starts it */
    if (vsnprintf(text, REASON_BYTES_MAX + 1, format, args) < 0) {
        text[0] = '\0';
    }
    for (char *at = text; *at != '\0'; at++) {
        if (*at < 0x20 || *at > 0x7e) {
            *at = '?';
        }
    }
}

enum status reason_set(struct arena *a, struct slice *reason, const char *format, ...)
{
    char *text = arena_alloc(a, REASON_BYTES_MAX + 1);
    va_list args;
    if (text == NULL) {
        *reason = SLICE_LITERAL("out of memory");
        return STATUS_NO_MEMORY;
    }
    va_start(args, format);
    reason_format(text, format, args);
    va_end(args);
    *reason = slice_of_text(text);
    return STATUS_OK;
}
