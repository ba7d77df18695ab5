/*
 * The table of protected fields.
 *
 * RFC 9788 would protect every field that the composing program knows. A gateway sees what others added on
 * the way as well: trace fields, verdicts of filters, list fields. Those are neither put inside, nor believed
 * when they come from inside, where a spam filter before us could not remove a forged one. So the table names
 * what a person reads or answers to, and what a mail program threads by. Thread-Topic repeats the subject and
 * is hidden with it. Bcc is not in it: it never goes inside. Pure; any thread.
 */
#include "mail/protected_fields.h"

static const struct {
    const char *name;
    unsigned flags;
} table[] = {
    {"From", FIELD_ONCE | FIELD_STAYS_OUT},
    {"Sender", FIELD_ONCE},
    {"Reply-To", FIELD_ONCE},
    {"Followup-To", FIELD_ONCE},
    {"Mail-Followup-To", FIELD_ONCE},
    {"To", FIELD_ONCE},
    {"Cc", FIELD_ONCE},
    {"Date", FIELD_ONCE | FIELD_STAYS_OUT},
    {"Subject", FIELD_ONCE | FIELD_OBSCURED},
    {"Message-ID", FIELD_ONCE | FIELD_STAYS_OUT},
    {"In-Reply-To", FIELD_ONCE},
    {"References", FIELD_ONCE},
    {"Comments", FIELD_HIDDEN},
    {"Keywords", FIELD_HIDDEN},
    {"Thread-Topic", FIELD_ONCE | FIELD_HIDDEN},
    {"Organization", FIELD_ONCE},
    {"Importance", FIELD_ONCE},
    {"Priority", FIELD_ONCE},
    {"X-Priority", FIELD_ONCE},
    {"Sensitivity", FIELD_ONCE},
    {"User-Agent", FIELD_ONCE},
    {"X-Mailer", FIELD_ONCE},
    {"Disposition-Notification-To", FIELD_ONCE},
};

unsigned protected_field(const struct header_field *field)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (slice_equal_nocase(field->name, slice_of_text(table[i].name))) {
            return table[i].flags | FIELD_PROTECTED;
        }
    }
    return 0;
}

const char *protected_field_name(size_t i)
{
    return i < sizeof table / sizeof table[0] ? table[i].name : NULL;
}
