/*
 * See bulk.h. Each file goes in pieces that one request can hold: PEM is cut between blocks, and what is in
 * one piece is asked for until all its entries are done. A file or an entry that is refused stops none of the
 * others; the exit status says that there was one.
 */
#include "cli/bulk.h"

#include "base/hex.h"
#include "cli/request.h"
#include "cli/run.h"
#include "cli/table.h"

#include <dirent.h>
#include <sys/stat.h>

#define BULK_FILE_MAX ((size_t)256 << 20)
#define PIECE_MAX     ((size_t)1 << 20) /* bytes of PEM in one request */
#define BLOCK_END     "-----END "

struct bulk_run {
    struct cli_connection *connection;
    json_t *items; /* of all files */
    json_int_t added, exists, refused;
    bool failed;
};

bool cli_bulk_wanted(const struct cli_input *input)
{
    return cli_given(input, "bulk");
}

static void complain(struct bulk_run *b, const char *file, const char *text)
{
    struct buf clean = BUF_INIT(16384);
    if (cli_append_clean(&clean, file, false) == STATUS_OK && buf_append_text(&clean, ": ") == STATUS_OK &&
        cli_append_clean(&clean, text, false) == STATUS_OK) {
        fprintf(stderr, "sealpostctl: %.*s\n", SLICE_ARGS(buf_slice(&clean)));
    }
    buf_release(&clean);
    b->failed = true;
}

static void count(struct bulk_run *b, const json_t *entry)
{
    const char *result = json_string_value(json_object_get(entry, "result"));
    if (result == NULL || strcmp(result, "refused") == 0) {
        b->refused++;
    } else if (strcmp(result, "added") == 0) {
        b->added++;
    } else {
        b->exists++;
    }
}

/* The answer's entries, with the file's name and their place in it. */
static void take_items(struct bulk_run *b, const char *file, json_int_t before, const json_t *items)
{
    size_t i;
    json_t *entry;
    json_array_foreach(items, i, entry)
    {
        json_t *name = json_string(file);
        json_int_t index = json_integer_value(json_object_get(entry, "index"));
        json_object_set_new(entry, "file", name != NULL ? name : json_string("?"));
        json_object_set_new(entry, "index", json_integer(before + index));
        count(b, entry);
        json_array_append(b->items, entry);
    }
}

/* One request: entries of the piece from `skip` on. false: nothing more can be done for this file. */
static bool send_once(struct bulk_run *b, const char *file, json_int_t before, json_t *data, json_int_t *skip,
                      json_int_t *total)
{
    struct failure f = {.status = STATUS_OK};
    struct cli_request r = {.method = "POST", .target = {.max = 256}};
    struct cli_answer a;
    bool good = false;
    r.body = json_object();
    json_object_set(r.body, "data", data);
    json_object_set_new(r.body, "skip", json_integer(*skip));
    if (buf_append_text(&r.target, "/v1/certificates/bulk") != STATUS_OK || buf_text(&r.target) == NULL) {
        complain(b, file, "out of memory");
    } else if (cli_send(b->connection, &r, &a, &f) != STATUS_OK) {
        complain(b, file, f.text);
    } else {
        const char *detail = json_string_value(json_object_get(a.json, "detail"));
        json_int_t done = json_integer_value(json_object_get(a.json, "done"));
        good = a.http_status == 200 && done > *skip;
        if (good) {
            *total = json_integer_value(json_object_get(a.json, "total"));
            *skip = done;
            take_items(b, file, before, json_object_get(a.json, "items"));
        } else {
            complain(b, file, detail != NULL ? detail : "the node did not take it");
        }
        cli_answer_release(&a);
    }
    cli_request_release(&r);
    return good;
}

static bool send_piece(struct bulk_run *b, const char *file, struct slice piece, json_int_t *before)
{
    struct buf text = {.max = 2 * (CLI_FILE_MAX + 64)};
    json_int_t skip = 0, total = 1;
    if (base64_encode(piece, &text) != STATUS_OK) {
        buf_release(&text);
        complain(b, file, "out of memory");
        return false;
    }
    json_t *data = json_stringn((const char *)text.data, text.len);
    bool good = data != NULL;
    buf_release(&text);
    while (good && skip < total) {
        good = send_once(b, file, *before, data, &skip, &total);
    }
    *before += total;
    json_decref(data);
    return good;
}

/* PEM up to the end of the last block that fits; anything else is not cut. */
static size_t piece_length(struct slice rest)
{
    size_t end = 0, at = 0;
    while (at < rest.len && at <= PIECE_MAX) {
        const uint8_t *mark = memmem(rest.data + at, rest.len - at, BLOCK_END, strlen(BLOCK_END));
        const uint8_t *line = mark == NULL ? NULL : memchr(mark, '\n', rest.len - (size_t)(mark - rest.data));
        if (mark == NULL) {
            return end > 0 ? end : rest.len;
        }
        at = line != NULL ? (size_t)(line - rest.data) + 1 : rest.len;
        if (at <= PIECE_MAX || end == 0) {
            end = at;
        }
    }
    return end;
}

static void send_file(struct bulk_run *b, const char *path)
{
    struct failure f = {.status = STATUS_OK};
    struct buf content = {.max = BULK_FILE_MAX};
    json_int_t before = 0;
    if (cli_file_read(path, BULK_FILE_MAX, &content, &f) != STATUS_OK) {
        complain(b, path, f.text);
    } else if (content.len == 0) {
        complain(b, path, "is empty");
    }
    struct slice rest = buf_slice(&content);
    while (rest.len > 0 && slice_trim(rest).len > 0) {
        size_t n = piece_length(rest);
        if (n > CLI_FILE_MAX) {
            complain(b, path,
                     "a file that is no PEM has at most 2 MB; openssl pkcs7 -print_certs makes PEM of it");
            break;
        }
        bool has_block = before == 0 || memmem(rest.data, n, "-----BEGIN ", 11) != NULL;
        if (has_block && !send_piece(b, path, slice_of(rest.data, n), &before)) {
            break;
        }
        rest = slice_of(rest.data + n, rest.len - n);
    }
    buf_release(&content);
}

static int is_visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void send_folder(struct bulk_run *b, const char *path)
{
    struct dirent **list = NULL;
    int n = scandir(path, &list, is_visible, alphasort);
    if (n < 0) {
        complain(b, path, "cannot be read");
    }
    for (int i = 0; i < n; i++) {
        char name[4096];
        struct stat info;
        if (snprintf(name, sizeof(name), "%s/%s", path, list[i]->d_name) < (int)sizeof(name) &&
            stat(name, &info) == 0 && S_ISREG(info.st_mode)) {
            send_file(b, name);
        }
        free(list[i]);
    }
    free(list);
}

static const struct cli_parameter *file_parameter(const struct cli_input *input)
{
    for (size_t i = 0; i < input->command->parameter_count; i++) {
        if (input->command->parameters[i].kind == CLI_ARGUMENT) {
            return &input->command->parameters[i];
        }
    }
    return NULL;
}

/* Those that were refused, and how many of each there were. */
static void show_report(const struct bulk_run *b)
{
    static const struct cli_column columns[] = {{"FILE", "file", SHOW_TEXT},
                                                {"INDEX", "index", SHOW_TEXT},
                                                {"RESULT", "result", SHOW_TEXT},
                                                {"REASON", "reason", SHOW_TEXT},
                                                {.title = NULL}};
    struct buf text = BUF_INIT(CLI_SHOWN_MAX);
    json_t *refused = json_array(), *entry;
    size_t i;
    json_array_foreach(b->items, i, entry)
    {
        if (json_object_get(entry, "reason") != NULL) {
            json_array_append(refused, entry);
        }
    }
    if (json_array_size(refused) > 0 && cli_table_format(refused, columns, &text) == STATUS_OK) {
        fwrite(text.data, 1, text.len, stdout);
    }
    printf("added %lld, there already %lld, refused %lld\n", (long long)b->added, (long long)b->exists,
           (long long)b->refused);
    json_decref(refused);
    buf_release(&text);
}

int cli_bulk_run(struct cli_connection *c, const struct cli_input *input)
{
    struct bulk_run b = {.connection = c, .items = json_array()};
    const struct cli_parameter *p = file_parameter(input);
    const char *path;
    for (size_t i = 0; p != NULL && (path = cli_value_of(input, p, i)) != NULL; i++) {
        struct stat info;
        if (strcmp(path, "-") != 0 && stat(path, &info) == 0 && S_ISDIR(info.st_mode)) {
            send_folder(&b, path);
        } else {
            send_file(&b, path);
        }
    }
    if (input->json) {
        json_t *whole = json_object();
        json_object_set(whole, "items", b.items);
        json_object_set_new(whole, "added", json_integer(b.added));
        json_object_set_new(whole, "exists", json_integer(b.exists));
        json_object_set_new(whole, "refused", json_integer(b.refused));
        json_dumpf(whole, stdout, JSON_INDENT(2));
        printf("\n");
        json_decref(whole);
    } else {
        show_report(&b);
    }
    json_decref(b.items);
    return b.failed || b.refused > 0 ? CLI_REMOTE : CLI_OK;
}
