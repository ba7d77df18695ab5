/* The table of base/status.h as look-ups, and the bounded texts that go with a status. Pure, any thread. */
#include "base/status.h"

#include <errno.h>
#include <stdarg.h>

struct status_row {
    const char *name, *text, *enhanced;
    int smtp, http;
    bool retry;
};

static const struct status_row rows[] = {
#define X(name, text, smtp, enhanced, http, retry) {#name, text, enhanced, smtp, http, retry},
    STATUS_TABLE(X)
#undef X
};

static const struct status_row *row_of(enum status status)
{
    return (unsigned)status < STATUS_COUNT ? &rows[status] : &rows[STATUS_INTERNAL];
}

const char *status_name(enum status status)
{
    return row_of(status)->name;
}

const char *status_text(enum status status)
{
    return row_of(status)->text;
}

int status_smtp_code(enum status status)
{
    return row_of(status)->smtp;
}

const char *status_enhanced_code(enum status status)
{
    return row_of(status)->enhanced;
}

int status_http_code(enum status status)
{
    return row_of(status)->http;
}

bool status_retryable(enum status status)
{
    return row_of(status)->retry;
}

enum status status_from_number(unsigned long long number)
{
    return number < STATUS_COUNT ? (enum status)number : STATUS_INTERNAL;
}

/* vsnprintf whose cut is intended: failure texts are bounded. */
__attribute__((format(printf, 3, 0))) static void format_text(char *out, size_t size, const char *format,
                                                              va_list args)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): all callers start it */
    if (vsnprintf(out, size, format, args) < 0)
        out[0] = '\0';
}

enum status failure_set(struct failure *f, enum status status, const char *format, ...)
{
    va_list args;

    char text[FAILURE_TEXT_MAX]; /* the arguments may point into the text that is there */

    if (f == NULL)
        return status;
    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    f->status = status;
    memcpy(f->text, text, sizeof(text));
    return status;
}

enum status failure_wrap(struct failure *f, enum status status, const char *format, ...)
{
    char context[FAILURE_TEXT_MAX];
    char whole[FAILURE_TEXT_MAX];
    va_list args;

    if (f == NULL)
        return status;
    va_start(args, format);
    format_text(context, sizeof(context), format, args);
    va_end(args);
    if (f->status == STATUS_OK) { /* the callee said nothing: a failure must not come out as a success */
        f->status = status;
        memcpy(f->text, "", 1);
    }
    if (snprintf(whole, sizeof(whole), "%s: %s", context,
                 f->text[0] != '\0' ? f->text : status_text(f->status)) < 0)
        whole[0] = '\0';
    memcpy(f->text, whole, sizeof(whole));
    return f->status;
}

enum status failure_errno(struct failure *f, int errno_value, const char *format, ...)
{
    enum status status = STATUS_IO;
    char text[FAILURE_TEXT_MAX];
    char reason[128];
    va_list args;

    if (errno_value == ENOSPC || errno_value == EDQUOT)
        status = STATUS_NO_SPACE;
    else if (errno_value == ENOMEM)
        status = STATUS_NO_MEMORY;
    va_start(args, format);
    format_text(text, sizeof(text), format, args);
    va_end(args);
    return failure_set(f, status, "%s: %s", text, strerror_r(errno_value, reason, sizeof(reason)));
}
