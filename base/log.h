/*
 * The log: one line an event on standard error, logfmt (key=value), which systemd or the supervisor's own
 * file takes up. Values are escaped: nothing that comes from outside can start a new line or forge a field.
 * No secrets, no message content. Usable from any thread.
 *
 *   log_event(LOG_INFO, "message accepted", LOG_TEXT("id", id), LOG_NUMBER("bytes", size));
 *   -> 2026-11-24T10:05:04.123Z info smtp[812] message accepted id=... bytes=123
 */
#ifndef SEALPOST_BASE_LOG_H
#define SEALPOST_BASE_LOG_H

#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_field {
    const char *key; /* NULL ends the list */
    enum { LOG_FIELD_SLICE, LOG_FIELD_NUMBER } type;
    struct slice text;
    long long number;
};

#define LOG_SLICE(k, v)  ((struct log_field){.key = (k), .type = LOG_FIELD_SLICE, .text = (v)})
#define LOG_TEXT(k, v)   LOG_SLICE(k, slice_of_text(v))
#define LOG_NUMBER(k, v) ((struct log_field){.key = (k), .type = LOG_FIELD_NUMBER, .number = (long long)(v)})

/* `role` is copied (at most 31 bytes); what is below `level` is dropped. Call once at start. */
void log_open(const char *role, enum log_level level);
bool log_level_parse(struct slice text, enum log_level *level); /* error, warn, info, debug */
void log_write(enum log_level level, const char *event, const struct log_field *fields);

#define log_event(level, event, ...)                                                                         \
    log_write((level), (event), (const struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){.key = NULL}})

#endif
