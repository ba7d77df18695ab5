/*
 * See words.h. GMime is started once a process and never asked about a whole header, an address list or a
 * message: its parser of those recurses. What comes back is checked again, since charset tables of the system
 * decide what it is.
 */
#include "mail/words.h"

#include "mail/json_write.h"

#include <gmime/gmime.h>
#include <pthread.h>

static pthread_once_t started = PTHREAD_ONCE_INIT;

static void start(void)
{
    g_mime_init();
}

/* A NUL-terminated copy, unfolded (RFC 5322 section 2.2.3); NULs and tabs become blanks. */
static char *prepare(struct slice raw, struct arena *a)
{
    size_t len = raw.len < WORDS_RAW_MAX ? raw.len : WORDS_RAW_MAX, kept = 0;
    char *text = arena_alloc(a, len + 1);
    (void)pthread_once(&started, start);
    for (size_t i = 0; text != NULL && i < len; i++) {
        char c = (char)raw.data[i];
        if (c != '\r' && c != '\n') {
            text[kept++] = c;
            if (c == '\0' || c == '\t') {
                text[kept - 1] = ' ';
            }
        }
    }
    return text;
}

/* C0, DEL and C1 (as U+0080 to U+009F): nothing that a terminal or a field could act on. */
static bool is_control(const uint8_t *at, size_t len)
{
    return (len == 1 && (at[0] < 0x20 || at[0] == 0x7f)) || (len == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

/* The text with every broken sequence replaced and control characters as blanks, blanks trimmed. */
static enum status clean(const char *text, size_t max, struct arena *a, struct slice *out)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd};
    struct slice at = slice_of_text(text);
    uint8_t *to = arena_alloc(a, max + 1);
    size_t len = 0;
    if (to == NULL) {
        return STATUS_NO_MEMORY;
    }
    while (at.len > 0) {
        size_t n = utf8_sequence(at), step = n > 0 ? n : 1;
        const uint8_t *from = n > 0 ? at.data : replacement;
        size_t size = n > 0 ? n : sizeof replacement;
        if (n > 0 && is_control(at.data, n)) {
            from = (const uint8_t *)" ";
            size = 1;
        }
        if (len + size > max) {
            break;
        }
        memcpy(to + len, from, size);
        len += size;
        at = slice_of(at.data + step, at.len - step);
    }
    *out = slice_trim(slice_of(to, len));
    return STATUS_OK;
}

enum status words_decode(struct slice raw, size_t max, struct arena *a, struct slice *out)
{
    char *text = prepare(raw, a);
    *out = (struct slice){0};
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    char *decoded = g_mime_utils_header_decode_text(NULL, text);
    enum status status = decoded == NULL ? clean(text, max, a, out) : clean(decoded, max, a, out);
    g_free(decoded);
    return status;
}

enum status words_parameter(struct slice parameters, const char *name, size_t max, struct arena *a,
                            struct slice *out)
{
    enum status status = STATUS_OK;
    *out = (struct slice){0};
    size_t semicolon = slice_find_byte(parameters, ';');
    if (semicolon == parameters.len) {
        return STATUS_OK;
    }
    char *text = prepare(slice_of(parameters.data + semicolon + 1, parameters.len - semicolon - 1), a);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    GMimeParamList *list = g_mime_param_list_parse(NULL, text);
    GMimeParam *parameter = list == NULL ? NULL : g_mime_param_list_get_parameter(list, name);
    const char *value = parameter == NULL ? NULL : g_mime_param_get_value(parameter);
    if (value != NULL) {
        status = words_decode(slice_of_text(value), max, a, out);
    }
    if (list != NULL) {
        g_object_unref(list);
    }
    return status;
}

enum status words_encode(struct slice text, struct arena *a, struct slice *out)
{
    char *prepared = prepare(text, a);
    *out = (struct slice){0};
    if (prepared == NULL) {
        return STATUS_NO_MEMORY;
    }
    char *encoded = g_mime_utils_header_encode_text(NULL, prepared, "UTF-8");
    bool copied = encoded != NULL && arena_copy(a, slice_of_text(encoded), out);
    g_free(encoded);
    return copied ? STATUS_OK : STATUS_NO_MEMORY;
}
