/* See path.h. */
#include "api/path.h"

#include "base/hex.h"

/* The text up to the next '/', which is taken off `rest` too. */
static struct slice next_segment(struct slice *rest)
{
    size_t end = slice_find_byte(*rest, '/');
    struct slice segment = slice_of(rest->data, end);
    size_t step = end < rest->len ? end + 1 : end;
    *rest = slice_of(rest->data + step, rest->len - step);
    return segment;
}

static size_t segment_count(struct slice path)
{
    size_t n = 1;
    while (path.len > 0) {
        size_t end = slice_find_byte(path, '/');
        n += end < path.len;
        (void)next_segment(&path);
    }
    return n;
}

bool path_matches(const char *template, struct slice path, struct slice raw[PATH_PARAMETERS_MAX])
{
    struct slice pattern = slice_of_text(template);
    size_t segments = segment_count(pattern), parameters = 0;
    if (segments != segment_count(path)) {
        return false;
    }
    for (size_t i = 0; i < segments; i++) {
        struct slice want = next_segment(&pattern), have = next_segment(&path);
        if (want.data != NULL && want.len > 0 && want.data[0] == '{') {
            if (have.len == 0 || parameters == PATH_PARAMETERS_MAX) {
                return false;
            }
            raw[parameters++] = have;
        } else if (!slice_equal(want, have)) {
            return false;
        }
    }
    return true;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
static bool is_utf8(struct slice s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < s.len;) {
        uint8_t first = s.data[i];
        size_t n = first < 0x80             ? 1
                   : (first & 0xe0) == 0xc0 ? 2
                   : (first & 0xf0) == 0xe0 ? 3
                   : (first & 0xf8) == 0xf0 ? 4
                                            : 0;
        if (n == 0 || n > s.len - i) {
            return false;
        }
        uint32_t point = n == 1 ? first : first & (0xffu >> (n + 1));
        for (size_t j = 1; j < n; j++) {
            if ((s.data[i + j] & 0xc0) != 0x80) {
                return false;
            }
            point = point << 6 | (s.data[i + j] & 0x3fu);
        }
        if (point < least[n] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
            return false;
        }
        i += n;
    }
    return true;
}

enum status percent_decode(struct slice raw, bool form, struct arena *a, const char **out, struct failure *f)
{
    if (raw.len > 3 * (size_t)PATH_SEGMENT_MAX) {
        return failure_set(f, STATUS_INVALID, "a part of the address is too long");
    }
    uint8_t *text = arena_alloc(a, raw.len + 1);
    if (text == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "there is no memory for the address");
    }
    size_t n = 0;
    for (size_t i = 0; i < raw.len; i++) {
        uint8_t byte = raw.data[i];
        if (byte == '%') {
            if (raw.len - i < 3 || !hex_parse(slice_of(raw.data + i + 1, 2), &byte, 1)) {
                return failure_set(f, STATUS_INVALID, "the address holds a broken %%XX");
            }
            i += 2;
        } else if (form && byte == '+') {
            byte = ' ';
        }
        if (byte < 0x20 || byte == 0x7f) {
            return failure_set(f, STATUS_INVALID, "the address holds a control character");
        }
        text[n++] = byte;
    }
    if (n > PATH_SEGMENT_MAX || !is_utf8(slice_of(text, n))) {
        return failure_set(f, STATUS_INVALID, "a part of the address is too long or not UTF-8");
    }
    *out = (const char *)text;
    return STATUS_OK;
}

const char *query_get(const struct query *q, const char *name)
{
    for (size_t i = 0; i < q->count; i++) {
        if (strcmp(q->parameters[i].name, name) == 0) {
            return q->parameters[i].value;
        }
    }
    return NULL;
}

static enum status parameter_add(struct query *q, struct slice part, struct arena *a, struct failure *f)
{
    const char *name = "", *value = "";
    size_t equals = slice_find_byte(part, '=');
    size_t value_at = equals < part.len ? equals + 1 : equals;
    enum status status = percent_decode(slice_of(part.data, equals), true, a, &name, f);
    if (status == STATUS_OK) {
        status = percent_decode(slice_of(part.data + value_at, part.len - value_at), true, a, &value, f);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (query_get(q, name) != NULL) {
        return failure_set(f, STATUS_INVALID, "a query parameter is given twice");
    }
    if (q->count == QUERY_PARAMETERS_MAX) {
        return failure_set(f, STATUS_INVALID, "there are too many query parameters");
    }
    q->parameters[q->count++] = (struct query_parameter){name, value};
    return STATUS_OK;
}

enum status query_parse(struct slice text, struct arena *a, struct query *q, struct failure *f)
{
    q->count = 0;
    while (text.len > 0) {
        size_t end = slice_find_byte(text, '&');
        enum status status = end > 0 ? parameter_add(q, slice_of(text.data, end), a, f) : STATUS_OK;
        if (status != STATUS_OK) {
            return status;
        }
        size_t step = end < text.len ? end + 1 : end;
        text = slice_of(text.data + step, text.len - step);
    }
    return STATUS_OK;
}
