/*
 * A log line is built in a bounded buffer on the stack and goes out in one write(2), so that lines of several
 * threads and processes do not mix. What does not fit is cut, and the cut is shown. Any thread.
 */
#include "base/log.h"

#include "base/clock.h"

#include <unistd.h>

#define LOG_LINE_MAX 4096
#define LINE_END_MAX 8 /* bytes kept for a closing quote, " ..." and the line end */

static char log_role[32] = "sealpost";
static enum log_level log_threshold = LOG_INFO;

struct line {
    char text[LOG_LINE_MAX];
    size_t len;
    bool cut;
};

static const char *const level_names[] = {"error", "warn", "info", "debug"};

void log_open(const char *role, enum log_level level)
{
    size_t len = strlen(role);

    if (len >= sizeof(log_role))
        len = sizeof(log_role) - 1;
    memcpy(log_role, role, len);
    log_role[len] = '\0';
    log_threshold = level;
}

bool log_level_parse(struct slice text, enum log_level *level)
{
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++)
        if (slice_equal(text, slice_of_text(level_names[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    return false;
}

/* All or nothing; after the first thing that does not fit, nothing more. */
static void put(struct line *line, const char *data, size_t len)
{
    if (line->cut || len > sizeof(line->text) || line->len + len > sizeof(line->text) - LINE_END_MAX) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->len, data, len);
    line->len += len;
}

static void put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void put_number(struct line *line, long long number)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", number);

    if (len > 0)
        put(line, digits, (size_t)len);
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* Bare if it is made of plain characters only, else quoted with C-like escapes. What is too long is cut. */
static void put_value(struct line *line, struct slice value)
{
    static const char digits[] = "0123456789abcdef";
    bool plain = value.len > 0;

    for (size_t i = 0; i < value.len && plain; i++)
        plain = is_plain(value.data[i]);
    if (!plain)
        put(line, "\"", 1);
    if (line->cut)
        return;
    for (size_t i = 0; i < value.len && !line->cut; i++) {
        uint8_t c = value.data[i];

        if (c == '"' || c == '\\')
            put(line, (const char[]){'\\', (char)c}, 2);
        else if (c >= ' ' && c < 0x7f)
            put(line, (const char[]){(char)c}, 1);
        else
            put(line, (const char[]){'\\', 'x', digits[c >> 4], digits[c & 15]}, 4);
    }
    if (!plain)
        line->text[line->len++] = '"'; /* what is kept for the line's end has room for it */
}

/* Events are our own words; a status text among them must not end the line. */
static void put_event(struct line *line, const char *event)
{
    for (; *event != '\0' && !line->cut; event++)
        put(line, (unsigned char)*event < ' ' || *event == 0x7f ? "?" : event, 1);
}

void log_write(enum log_level level, const char *event, const struct log_field *fields)
{
    struct line line = {.len = 0};
    char when[TIME_RFC3339_SIZE];
    char fraction[8];
    uint64_t now = clock_wall_ms();
    ssize_t written;

    if (level > log_threshold)
        return;
    time_format_rfc3339(now, when);
    put(&line, when, TIME_RFC3339_SIZE - 2); /* without the Z */
    if (snprintf(fraction, sizeof(fraction), ".%03uZ ", (unsigned)(now % 1000)) > 0)
        put_text(&line, fraction);
    put_text(&line, level_names[level]);
    put_text(&line, " ");
    put_text(&line, log_role);
    put_text(&line, "[");
    put_number(&line, getpid());
    put_text(&line, "] ");
    put_event(&line, event);
    for (; fields->key != NULL && !line.cut; fields++) {
        put_text(&line, " ");
        put_text(&line, fields->key);
        put_text(&line, "=");
        if (fields->type == LOG_FIELD_NUMBER)
            put_number(&line, fields->number);
        else
            put_value(&line, fields->text);
    }
    if (line.cut) {
        memcpy(line.text + line.len, " ...", 4);
        line.len += 4;
    }
    line.text[line.len++] = '\n';
    written = write(STDERR_FILENO, line.text, line.len);
    (void)written; /* there is nowhere left to complain */
}
