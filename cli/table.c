/* See table.h. */
#include "cli/table.h"

#include "base/slice.h"

#include <string.h>

#define COLUMNS_MAX 16
#define GAP         2
#define CLIPPED_MAX ((size_t)60) /* bytes of UTF-8 */

size_t cli_width(struct slice text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += (text.data[i] & 0xc0) != 0x80;
    }
    return n;
}

enum status cli_append_clean(struct buf *out, const char *text, bool block)
{
    enum status status = STATUS_OK;
    for (const uint8_t *c = (const uint8_t *)text; *c != '\0' && status == STATUS_OK; c++) {
        if (*c == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f) { /* C1 in UTF-8 */
            status = buf_append_byte(out, '?');
            c++;
        } else if ((*c < 0x20 && !(block && *c == '\n')) || *c == 0x7f) {
            status = buf_append_byte(out, '?');
        } else {
            status = buf_append_byte(out, *c);
        }
    }
    return status;
}

static enum status append_bytes(struct buf *out, json_int_t bytes)
{
    static const char units[] = "KMGT";
    double value = (double)bytes;
    size_t unit = 0;
    if (bytes < 1024) {
        return buf_printf(out, "%lld", (long long)bytes);
    }
    for (value /= 1024; value >= 1024 && unit < sizeof(units) - 2; unit++) {
        value /= 1024;
    }
    return buf_printf(out, "%.1f%c", value, units[unit]);
}

static enum status append_clipped(struct buf *out, const char *text)
{
    char part[CLIPPED_MAX + 1];
    size_t n = strlen(text);
    if (n <= CLIPPED_MAX) {
        return cli_append_clean(out, text, false);
    }
    n = CLIPPED_MAX - 3;
    while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80) {
        n--; /* a character is shown whole or not at all */
    }
    (void)!snprintf(part, sizeof part, "%.*s...", (int)n, text);
    return cli_append_clean(out, part, false);
}

static enum status append_text(struct buf *out, const char *text, enum cli_format format)
{
    char part[24];
    if (format == SHOW_CLIPPED) {
        return append_clipped(out, text);
    }
    size_t keep = format == SHOW_SHORT || format == SHOW_TIME ? 16 : 0;
    if (keep == 0) {
        return cli_append_clean(out, text, format == SHOW_BLOCK);
    }
    size_t n = strlen(text) < keep ? strlen(text) : keep;
    memcpy(part, text, n);
    part[n] = '\0';
    if (format == SHOW_TIME && n == 16 && part[10] == 'T') {
        part[10] = ' '; /* 2026-11-24T10:05:04Z -> 2026-11-24 10:05 */
    }
    return cli_append_clean(out, part, false);
}

static enum status append_scalar(struct buf *out, const json_t *value, enum cli_format format)
{
    switch (json_typeof(value)) {
    case JSON_STRING:
        return append_text(out, json_string_value(value), format);
    case JSON_INTEGER:
        return format == SHOW_BYTES ? append_bytes(out, json_integer_value(value))
                                    : buf_printf(out, "%lld", (long long)json_integer_value(value));
    case JSON_REAL:
        return buf_printf(out, "%g", json_real_value(value));
    case JSON_TRUE:
        return buf_append_text(out, "yes");
    case JSON_FALSE:
        return buf_append_text(out, format == SHOW_YES ? "" : "no");
    case JSON_NULL:
    case JSON_ARRAY:
    case JSON_OBJECT:
        break;
    }
    return STATUS_OK;
}

enum status cli_value_format(const json_t *object, const char *field, enum cli_format format, struct buf *out)
{
    char name[64];
    size_t n = strcspn(field, "."), i;
    json_t *element;
    enum status status = STATUS_OK;
    size_t start = out->len;
    if (json_is_array(object)) {
        json_array_foreach(object, i, element)
        {
            if (status == STATUS_OK && out->len > start) {
                status = buf_append_text(out, ", ");
            }
            if (status == STATUS_OK) {
                status = cli_value_format(element, field, format, out);
            }
        }
        return status;
    }
    if (n >= sizeof(name)) {
        return STATUS_OK;
    }
    memcpy(name, field, n);
    name[n] = '\0';
    const json_t *value = json_object_get(object, name);
    if (value == NULL) {
        return STATUS_OK;
    }
    if (field[n] == '.') {
        return cli_value_format(value, field + n + 1, format, out);
    }
    if (!json_is_array(value)) {
        return append_scalar(out, value, format);
    }
    json_array_foreach(value, i, element)
    {
        if (status == STATUS_OK && i > 0) {
            status = buf_append_text(out, ", ");
        }
        if (status == STATUS_OK) {
            status = append_scalar(out, element, format);
        }
    }
    return status;
}

static enum status append_spaces(struct buf *out, size_t n)
{
    enum status status = STATUS_OK;
    while (n-- > 0 && status == STATUS_OK) {
        status = buf_append_byte(out, ' ');
    }
    return status;
}

/* Calls for every cell in turn: first to measure, then to print. */
static enum status rows(const json_t *list, const struct cli_column *columns, size_t count, size_t *widths,
                        struct buf *out)
{
    struct buf cell = BUF_INIT(CLI_SHOWN_MAX);
    enum status status = STATUS_OK;
    size_t i;
    json_t *row;
    json_array_foreach(list, i, row)
    {
        for (size_t c = 0; c < count && status == STATUS_OK; c++) {
            buf_reset(&cell);
            status = cli_value_format(row, columns[c].field, columns[c].format, &cell);
            size_t width = cli_width(buf_slice(&cell));
            if (out == NULL) {
                widths[c] = width > widths[c] ? width : widths[c];
                continue;
            }
            if (status == STATUS_OK) {
                status = buf_append_slice(out, buf_slice(&cell));
            }
            if (status == STATUS_OK && c + 1 < count) {
                status = append_spaces(out, widths[c] - width + GAP);
            }
        }
        if (out != NULL && status == STATUS_OK) {
            while (out->len > 0 && out->data[out->len - 1] == ' ') {
                out->len--;
            }
            status = buf_append_byte(out, '\n');
        }
    }
    buf_release(&cell);
    return status;
}

enum status cli_table_format(const json_t *list, const struct cli_column *columns, struct buf *out)
{
    size_t widths[COLUMNS_MAX] = {0}, count = 0;
    for (; count < COLUMNS_MAX && columns[count].title != NULL; count++) {
        widths[count] = strlen(columns[count].title);
    }
    enum status status = rows(list, columns, count, widths, NULL);
    for (size_t c = 0; c < count && status == STATUS_OK; c++) {
        status = buf_append_text(out, columns[c].title);
        if (status == STATUS_OK && c + 1 < count) {
            status = append_spaces(out, widths[c] - strlen(columns[c].title) + GAP);
        }
    }
    if (status == STATUS_OK) {
        status = buf_append_byte(out, '\n');
    }
    return status == STATUS_OK ? rows(list, columns, count, widths, out) : status;
}

static enum status fields_format(const struct cli_column *fields, const json_t *answer, struct buf *out)
{
    struct buf value = BUF_INIT(CLI_SHOWN_MAX);
    size_t width = 0;
    enum status status = STATUS_OK;
    for (size_t i = 0; fields[i].title != NULL; i++) {
        width = strlen(fields[i].title) > width ? strlen(fields[i].title) : width;
    }
    for (size_t i = 0; fields[i].title != NULL && status == STATUS_OK; i++) {
        buf_reset(&value);
        status = cli_value_format(answer, fields[i].field, fields[i].format, &value);
        if (status != STATUS_OK || value.len == 0) {
            continue;
        }
        if (fields[i].format == SHOW_BLOCK) {
            status = buf_printf(out, "\n%.*s\n", SLICE_ARGS(buf_slice(&value)));
        } else {
            status = buf_printf(out, "%s:", fields[i].title);
            status = status == STATUS_OK ? append_spaces(out, width - strlen(fields[i].title) + GAP) : status;
            status = status == STATUS_OK ? buf_append_slice(out, buf_slice(&value)) : status;
            status = status == STATUS_OK ? buf_append_byte(out, '\n') : status;
        }
    }
    buf_release(&value);
    return status;
}

enum status cli_view_format(const struct cli_view *view, const json_t *answer, struct buf *out)
{
    enum status status = view->fields != NULL ? fields_format(view->fields, answer, out) : STATUS_OK;
    if (status != STATUS_OK || view->list == NULL) {
        return status;
    }
    const json_t *list = json_object_get(answer, view->list);
    if (view->fields != NULL && out->len > 0) {
        status = buf_append_byte(out, '\n');
    }
    if (status != STATUS_OK) {
        return status;
    }
    return json_array_size(list) > 0 ? cli_table_format(list, view->columns, out)
                                     : buf_printf(out, "(%s)\n", view->empty);
}
