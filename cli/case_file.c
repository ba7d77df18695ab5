/* See case_file.h. */
#include "cli/case_file.h"

#include "base/hex.h"
#include "cli/request.h"

#define COLUMNS_MAX 32
#define CELL_MAX    65536

enum column_type { COLUMN_TEXT, COLUMN_LIST /* header */, COLUMN_WORDS /* to */, COLUMN_FILE, COLUMN_BOOL };

struct column {
    const char *name, *member;
    enum column_type type;
};

static const struct column known[] = {
    {"from", "from", COLUMN_TEXT},      {"to", "to", COLUMN_WORDS},
    {"expect", "expect", COLUMN_TEXT},  {"subject", "subject", COLUMN_TEXT},
    {"header", "headers", COLUMN_LIST}, {"message", "message", COLUMN_FILE},
    {"client", "client", COLUMN_TEXT},  {"listener", "listener", COLUMN_TEXT},
    {"tls", "tls", COLUMN_BOOL},        {"auth", "auth", COLUMN_BOOL},
    {"at", "at", COLUMN_TEXT},
};

struct reading {
    const char *path;
    struct slice rest;
    size_t line, next_line; /* of the row that is read; and of what follows */
    const struct column *columns[COLUMNS_MAX];
    size_t column_count;
    struct buf cells[COLUMNS_MAX]; /* of the present row */
    size_t cell_count;
    struct failure *f;
};

__attribute__((format(printf, 2, 3))) static enum status wrong(struct reading *r, const char *format, ...)
{
    char text[FAILURE_TEXT_MAX];
    va_list args;
    va_start(args, format);
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    va_end(args);
    return failure_set(r->f, STATUS_INVALID, "%s, line %zu: %s", r->path, r->line, text);
}

/* --- rows --- */

static uint8_t peek(const struct reading *r)
{
    return r->rest.len > 0 ? r->rest.data[0] : '\n';
}

static uint8_t take(struct reading *r)
{
    uint8_t c = r->rest.data[0];
    r->rest.data++;
    r->rest.len--;
    r->next_line += c == '\n';
    return c;
}

static enum status cell_quoted(struct reading *r, struct buf *cell)
{
    for (take(r); r->rest.len > 0;) {
        uint8_t c = take(r);
        if (c == '"' && peek(r) != '"') {
            return STATUS_OK;
        }
        if (c == '"') {
            take(r);
        }
        if (buf_append_byte(cell, c) != STATUS_OK) {
            return wrong(r, "a cell is too long");
        }
    }
    return wrong(r, "a closing quote is missing");
}

static enum status cell_read(struct reading *r)
{
    if (r->cell_count == COLUMNS_MAX) {
        return wrong(r, "there are more than %d columns", COLUMNS_MAX);
    }
    struct buf *cell = &r->cells[r->cell_count++];
    buf_reset(cell);
    enum status status = STATUS_OK;
    if (r->rest.len > 0 && peek(r) == '"') {
        status = cell_quoted(r, cell);
    }
    while (status == STATUS_OK && r->rest.len > 0 && peek(r) != ',' && peek(r) != '\n') {
        uint8_t c = take(r);
        if (c != '\r' && buf_append_byte(cell, c) != STATUS_OK) {
            status = wrong(r, "a cell is too long");
        }
    }
    return status;
}

static void skip_line(struct reading *r)
{
    while (r->rest.len > 0 && take(r) != '\n') {
    }
}

/* false with OK: the end. */
static enum status row_read(struct reading *r, bool *there)
{
    *there = false;
    r->cell_count = 0;
    while (r->rest.len > 0 && (peek(r) == '#' || peek(r) == '\n' || peek(r) == '\r')) {
        skip_line(r);
    }
    r->line = r->next_line;
    if (r->rest.len == 0) {
        return STATUS_OK;
    }
    *there = true;
    for (;;) {
        enum status status = cell_read(r);
        if (status != STATUS_OK) {
            return status;
        }
        if (r->rest.len == 0 || take(r) != ',') {
            return STATUS_OK;
        }
    }
}

static struct slice cell(const struct reading *r, size_t i)
{
    return slice_trim(buf_slice(&r->cells[i]));
}

/* --- columns --- */

static bool has_column(const struct reading *r, const char *name)
{
    for (size_t i = 0; i < r->column_count; i++) {
        if (strcmp(r->columns[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

static enum status columns_read(struct reading *r)
{
    static const char *const needed[] = {"from", "to", "expect"};
    bool there;
    enum status status = row_read(r, &there);
    if (status != STATUS_OK || !there) {
        return status != STATUS_OK ? status : wrong(r, "the table is empty");
    }
    for (size_t i = 0; i < r->cell_count; i++) {
        const struct column *found = NULL;
        for (size_t k = 0; k < sizeof known / sizeof known[0]; k++) {
            if (slice_equal_nocase(cell(r, i), slice_of_text(known[k].name))) {
                found = &known[k];
            }
        }
        if (found == NULL) {
            return wrong(
                r,
                "there is no column \"%.*s\"; there are from, to, expect, subject, header, message, client, "
                "listener, tls, auth, at",
                SLICE_ARGS(cell(r, i)));
        }
        if (found->type != COLUMN_LIST && has_column(r, found->name)) {
            return wrong(r, "the column %s is there twice", found->name);
        }
        r->columns[r->column_count++] = found;
    }
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (!has_column(r, needed[i])) {
            return wrong(r, "the column %s is missing: the first line names the columns", needed[i]);
        }
    }
    return STATUS_OK;
}

/* --- cases --- */

static enum status put_message(struct reading *r, json_t *one, struct slice name)
{
    struct buf path = BUF_INIT(4096), content = {.max = CLI_FILE_MAX}, text = {.max = 2 * CLI_FILE_MAX};
    const char *slash = strrchr(r->path, '/');
    enum status status = STATUS_OK;
    if (name.data[0] != '/' && slash != NULL) {
        status = buf_append(&path, r->path, (size_t)(slash - r->path) + 1);
    }
    status = status == STATUS_OK ? buf_append_slice(&path, name) : status;
    if (status != STATUS_OK || buf_text(&path) == NULL) {
        status = wrong(r, "the name of the message's file is too long");
    } else if ((status = cli_file_read(buf_text(&path), CLI_FILE_MAX, &content, r->f)) != STATUS_OK) {
        failure_wrap(r->f, status, "%s, line %zu", r->path, r->line);
    } else if (base64_encode(buf_slice(&content), &text) != STATUS_OK) {
        status = wrong(r, "there is no memory for the message");
    } else {
        json_object_set_new(one, "message",
                            json_stringn(text.len > 0 ? (const char *)text.data : "", text.len));
    }
    buf_release(&path);
    buf_release(&content);
    buf_release(&text);
    return status;
}

static enum status put_words(struct reading *r, json_t *list, struct slice words)
{
    while (words.len > 0) {
        size_t end = slice_find_byte(words, ' ');
        if (end > 0 && json_array_append_new(list, json_stringn((const char *)words.data, end)) != 0) {
            return wrong(r, "a cell is not UTF-8");
        }
        end += end < words.len;
        words = slice_of(words.data + end, words.len - end);
    }
    return STATUS_OK;
}

static enum status put_bool(struct reading *r, json_t *one, const struct column *c, struct slice value)
{
    bool yes = slice_equal_nocase(value, SLICE_LITERAL("yes"));
    if (!yes && !slice_equal_nocase(value, SLICE_LITERAL("no"))) {
        return wrong(r, "%s is yes or no, not \"%.*s\"", c->name, SLICE_ARGS(value));
    }
    json_object_set_new(one, c->member, json_boolean(yes));
    return STATUS_OK;
}

static json_t *list_of(json_t *one, const char *member)
{
    if (json_object_get(one, member) == NULL) {
        json_object_set_new(one, member, json_array());
    }
    return json_object_get(one, member);
}

static enum status put_cell(struct reading *r, json_t *one, const struct column *c, struct slice value)
{
    const char *data = value.len > 0 ? (const char *)value.data : "";
    int failed = 0;
    switch (c->type) {
    case COLUMN_WORDS:
        return put_words(r, list_of(one, c->member), value);
    case COLUMN_FILE:
        return put_message(r, one, value);
    case COLUMN_BOOL:
        return put_bool(r, one, c, value);
    case COLUMN_LIST:
        failed = json_array_append_new(list_of(one, c->member), json_stringn(data, value.len));
        break;
    case COLUMN_TEXT:
        failed = json_object_set_new(one, c->member, json_stringn(data, value.len));
        break;
    }
    return failed == 0 ? STATUS_OK : wrong(r, "a cell is not UTF-8");
}

static enum status case_make(struct reading *r, json_t *cases)
{
    json_t *one = json_object();
    enum status status = STATUS_OK;
    if (r->cell_count > r->column_count) {
        status = wrong(r, "it has %zu cells, and there are %zu columns", r->cell_count, r->column_count);
    }
    json_object_set_new(one, "line", json_integer((json_int_t)r->line));
    json_object_set_new(one, "from", json_string(""));
    for (size_t i = 0; i < r->cell_count && status == STATUS_OK; i++) {
        if (cell(r, i).len > 0) {
            status = put_cell(r, one, r->columns[i], cell(r, i));
        }
    }
    if (status == STATUS_OK &&
        (json_object_get(one, "to") == NULL || json_object_get(one, "expect") == NULL)) {
        status = wrong(r, "it needs to and expect");
    }
    if (status == STATUS_OK) {
        json_array_append(cases, one);
    }
    json_decref(one);
    return status;
}

enum status cli_case_file_read(const char *path, json_t **cases, struct failure *f)
{
    struct reading r = {.path = path, .line = 1, .next_line = 1, .f = f};
    struct buf content = {.max = CLI_FILE_MAX};
    *cases = json_array();
    for (size_t i = 0; i < COLUMNS_MAX; i++) {
        r.cells[i] = BUF_INIT(CELL_MAX);
    }
    enum status status = cli_file_read(path, CLI_FILE_MAX, &content, f);
    r.rest = buf_slice(&content);
    bool there = true;
    status = status == STATUS_OK ? columns_read(&r) : status;
    while (status == STATUS_OK && (status = row_read(&r, &there)) == STATUS_OK && there) {
        status = case_make(&r, *cases);
    }
    if (status == STATUS_OK && json_array_size(*cases) == 0) {
        status = failure_set(f, STATUS_INVALID, "%s has no case", path);
    }
    if (status != STATUS_OK) {
        json_decref(*cases);
        *cases = NULL;
    }
    for (size_t i = 0; i < COLUMNS_MAX; i++) {
        buf_release(&r.cells[i]);
    }
    buf_release(&content);
    return status;
}
