/* See csv.h. Quoted values may hold commas, line ends and doubled quotes; a byte order mark is passed over.
 */
#include "cli/csv.h"

#include "base/buf.h"

#include <string.h>

#define VALUE_MAX 4096

struct reading {
    struct slice rest;
    size_t line;
    struct arena *arena;
    struct failure *f;
    struct buf value;
};

static bool next_byte_is(const struct reading *r, char c)
{
    return r->rest.len > 0 && r->rest.data[0] == (uint8_t)c;
}

static void step(struct reading *r)
{
    r->line += r->rest.data[0] == '\n';
    r->rest = slice_of(r->rest.data + 1, r->rest.len - 1);
}

static enum status quoted_read(struct reading *r)
{
    size_t began = r->line;
    enum status status = STATUS_OK;
    for (step(r); status == STATUS_OK; step(r)) {
        if (r->rest.len == 0) {
            return failure_set(r->f, STATUS_INVALID, "line %zu: a quote is not closed", began);
        }
        if (next_byte_is(r, '"')) {
            if (r->rest.len < 2 || r->rest.data[1] != '"') {
                step(r);
                return STATUS_OK;
            }
            step(r);
        }
        if (next_byte_is(r, '\0')) {
            return failure_set(r->f, STATUS_INVALID, "line %zu: there is a NUL in it", r->line);
        }
        status = buf_append_byte(&r->value, r->rest.data[0]);
    }
    return failure_set(r->f, STATUS_INVALID, "line %zu: a value is too long", began);
}

/* One value, up to the comma or line end behind it. */
static enum status value_read(struct reading *r, const char **out)
{
    enum status status = STATUS_OK;
    buf_reset(&r->value);
    if (next_byte_is(r, '"')) {
        if ((status = quoted_read(r)) != STATUS_OK) {
            return status;
        }
        if (r->rest.len > 0 && !next_byte_is(r, ',') && !next_byte_is(r, '\n') && !next_byte_is(r, '\r')) {
            return failure_set(r->f, STATUS_INVALID, "line %zu: something follows a closing quote", r->line);
        }
    }
    while (r->rest.len > 0 && !next_byte_is(r, ',') && !next_byte_is(r, '\n') && status == STATUS_OK) {
        if (r->rest.data[0] == 0) {
            return failure_set(r->f, STATUS_INVALID, "line %zu: there is a NUL in it", r->line);
        }
        if (!next_byte_is(r, '\r')) {
            status = buf_append_byte(&r->value, r->rest.data[0]);
        }
        step(r);
    }
    if (status != STATUS_OK) {
        return failure_set(r->f, STATUS_INVALID, "line %zu: a value is too long", r->line);
    }
    *out = arena_text(r->arena, slice_trim(buf_slice(&r->value)));
    return *out != NULL ? STATUS_OK : failure_set(r->f, STATUS_NO_MEMORY, "there is no memory for the rows");
}

static enum status row_read(struct reading *r, struct cli_row *row)
{
    size_t count = 0;
    *row = (struct cli_row){.line = r->line};
    for (;;) {
        const char *value = "";
        enum status status = value_read(r, &value);
        if (status != STATUS_OK) {
            return status;
        }
        if (count == CLI_COLUMNS_MAX) {
            return failure_set(r->f, STATUS_INVALID, "line %zu has more than %d values", row->line,
                               CLI_COLUMNS_MAX);
        }
        row->values[count++] = value[0] != '\0' ? value : NULL;
        if (!next_byte_is(r, ',')) {
            break;
        }
        step(r);
    }
    if (r->rest.len > 0) {
        step(r); /* the line end */
    }
    return STATUS_OK;
}

/* Where each of our columns stands in the rows; false: the row is no heading. */
static bool heading_read(const struct cli_row *row, const char *columns, size_t place[CLI_COLUMNS_MAX])
{
    size_t found = 0, column = 0;
    for (const char *c = columns; *c != '\0'; column++) {
        size_t n = strcspn(c, "|");
        place[column] = CLI_COLUMNS_MAX;
        for (size_t i = 0; i < CLI_COLUMNS_MAX; i++) {
            if (row->values[i] != NULL && slice_equal_nocase(slice_of_text(row->values[i]), slice_of(c, n))) {
                place[column] = i;
                found += column == 0;
            }
        }
        c += n + (c[n] == '|');
    }
    return found > 0;
}

enum status cli_csv_read(struct slice text, const char *columns, struct arena *a, struct cli_rows *out,
                         struct failure *f)
{
    static const char mark[] = "\xef\xbb\xbf";
    struct reading r = {.rest = text, .line = 1, .arena = a, .f = f, .value = BUF_INIT(VALUE_MAX)};
    size_t place[CLI_COLUMNS_MAX], lines = 1;
    enum status status = STATUS_OK;
    bool first = true, headed = false;
    if (slice_starts_with(text, slice_of_text(mark))) {
        r.rest = slice_of(text.data + 3, text.len - 3);
    }
    for (size_t i = 0; i < text.len; i++) {
        lines += text.data[i] == '\n';
    }
    *out = (struct cli_rows){.rows = lines > CLI_ROWS_MAX ? NULL
                                                          : arena_alloc_array(a, lines, sizeof(*out->rows))};
    if (out->rows == NULL) {
        return failure_set(f, STATUS_TOO_LARGE, "a file has at most %d rows", CLI_ROWS_MAX);
    }
    while (r.rest.len > 0 && status == STATUS_OK) {
        struct cli_row row, *kept = &out->rows[out->count];
        status = row_read(&r, &row);
        if (status != STATUS_OK || (row.values[0] == NULL && row.values[1] == NULL)) {
            continue;
        }
        if (first && (headed = heading_read(&row, columns, place))) {
            first = false;
            continue;
        }
        first = false;
        *kept = row;
        for (size_t i = 0; headed && i < CLI_COLUMNS_MAX; i++) {
            kept->values[i] = NULL;
        }
        size_t column = 0;
        for (const char *c = columns; headed && *c != '\0'; column++) {
            size_t n = strcspn(c, "|");
            kept->values[column] = place[column] < CLI_COLUMNS_MAX ? row.values[place[column]] : NULL;
            c += n + (c[n] == '|');
        }
        out->count++;
    }
    buf_release(&r.value);
    if (status == STATUS_OK && out->count == 0) {
        status = failure_set(f, STATUS_INVALID, "the file has no rows");
    }
    return status;
}
