/* See run.h: reads the command line, makes the requests, shows the answers. */
#include "cli/run.h"

#include "base/hex.h"
#include "cli/bulk.h"
#include "cli/help.h"
#include "cli/http.h"
#include "cli/table.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void complain(const char *text)
{
    struct buf clean = BUF_INIT(FAILURE_TEXT_MAX * 4);
    if (cli_append_clean(&clean, text, false) == STATUS_OK) {
        fprintf(stderr, "sealpostctl: %.*s\n", SLICE_ARGS(buf_slice(&clean)));
    }
    buf_release(&clean);
}

/* --- help --- */

static int print(enum status status, struct buf *text, FILE *to)
{
    bool written =
        status == STATUS_OK && fwrite(text->data, 1, text->len, to) == text->len && fflush(to) == 0;
    buf_release(text);
    return written ? CLI_OK : CLI_LOCAL;
}

static int show_help(const struct cli_input *input, FILE *to)
{
    struct buf text = BUF_INIT(CLI_HELP_MAX);
    enum status status =
        input->man ? cli_man_format(&text) : cli_help_format(input->noun, input->command, &text);
    return print(status, &text, to);
}

/* --- answers --- */

static int exit_of_http(long http_status)
{
    switch (http_status) {
    case 404:
        return CLI_NOT_FOUND;
    case 401:
    case 403:
        return CLI_DENIED;
    default:
        return CLI_REMOTE;
    }
}

/* What a problem (RFC 9457) says. */
static int show_problem(const struct cli_answer *a, const struct cli_input *input, bool has_token)
{
    char text[FAILURE_TEXT_MAX + 64];
    const char *detail = json_string_value(json_object_get(a->json, "detail"));
    const char *title = json_string_value(json_object_get(a->json, "title"));
    if (input->json && a->json != NULL) {
        json_dumpf(a->json, stdout, JSON_INDENT(2));
        printf("\n");
    }
    if (a->http_status == 401 && !has_token) {
        complain("no token was given: set SEALPOST_TOKEN, or name a file with --token-file");
    } else if (detail != NULL) {
        complain(detail);
    } else if (title != NULL) {
        complain(title);
    } else if (snprintf(text, sizeof(text), "the node answered with HTTP status %ld", a->http_status) > 0) {
        complain(text);
    }
    return exit_of_http(a->http_status);
}

static bool is_error(const struct cli_answer *a)
{
    return a->http_status < 200 || a->http_status > 299;
}

static int show_answer(const json_t *answer, const struct cli_input *input)
{
    const struct cli_command *c = input->command;
    int result = CLI_OK;
    if (input->json) {
        if (json_dumpf(answer, stdout, JSON_INDENT(2)) != 0 || printf("\n") < 0) {
            result = CLI_LOCAL;
        }
    } else if (c->show != NULL) {
        c->show(answer, input);
    } else {
        struct buf text = BUF_INIT(CLI_SHOWN_MAX);
        result = print(cli_view_format(c->view, answer, &text), &text, stdout);
    }
    if (result == CLI_OK && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        complain("cannot write to standard output");
        result = CLI_LOCAL;
    }
    return result;
}

/* --- requests --- */

/* Pages of a list, and the answers of one command's several requests, become one answer. */
static void join_answer(json_t **all, json_t *part)
{
    json_t *count = json_object_get(part, "count");
    if (*all == NULL) {
        *all = json_incref(part);
    } else {
        json_array_extend(json_object_get(*all, "items"), json_object_get(part, "items"));
        if (count != NULL) {
            json_int_t sum = json_integer_value(json_object_get(*all, "count")) + json_integer_value(count);
            json_object_set_new(*all, "count", json_integer(sum));
        }
    }
}

/* One request, or as many as its pages take. */
static int request_run(struct cli_connection *c, const struct cli_input *input, size_t i, json_t **all)
{
    struct failure f = {.status = STATUS_OK};
    char after[1100] = "";
    for (;;) {
        struct cli_request r;
        struct cli_answer a;
        if (cli_request_make(input, i, after[0] != '\0' ? after : NULL, &r, &f) != STATUS_OK) {
            complain(f.text);
            return CLI_LOCAL;
        }
        enum status status = cli_send(c, &r, &a, &f);
        cli_request_release(&r);
        if (status != STATUS_OK) {
            complain(f.text);
            return status == STATUS_IO || status == STATUS_NO_MEMORY ? CLI_LOCAL : CLI_REMOTE;
        }
        if (is_error(&a)) {
            int result = show_problem(&a, input, c->has_token);
            cli_answer_release(&a);
            return result;
        }
        if (!json_is_object(a.json)) {
            complain("the node's answer is no JSON: is this the API of Sealpost?");
            cli_answer_release(&a);
            return CLI_REMOTE;
        }
        const char *next = json_string_value(json_object_get(a.json, "next"));
        bool more = next != NULL && strlen(next) < sizeof(after) && strcmp(next, after) != 0;
        memccpy(after, more ? next : "", '\0', sizeof(after));
        join_answer(all, a.json);
        cli_answer_release(&a);
        if (!more) {
            return CLI_OK;
        }
    }
}

/* The rows of a file that makes requests, if there is one. */
static enum status rows_read(struct cli_input *input, struct arena *a, struct failure *f)
{
    struct buf text = {.max = CLI_CSV_MAX};
    enum status status = STATUS_OK;
    for (size_t i = 0; i < input->value_count && status == STATUS_OK; i++) {
        const struct cli_parameter *p = input->values[i].parameter;
        if (p->place != PLACE_ROWS) {
            continue;
        }
        for (size_t k = 0; k < input->value_count; k++) {
            if (input->values[k].parameter->kind == CLI_ARGUMENT) {
                return failure_set(f, STATUS_INVALID, "give %s or --%s, not both",
                                   input->values[k].parameter->name, p->name);
            }
        }
        status = cli_file_read(input->values[i].text, CLI_CSV_MAX, &text, f);
        if (status == STATUS_OK) {
            status = cli_csv_read(buf_slice(&text), p->field, a, &input->rows, f);
        }
    }
    buf_release(&text);
    return status;
}

/* A member of the answer in base64 becomes a new file that only its owner can read; it leaves the answer. */
static enum status member_save(json_t *answer, const char *field, const char *path, struct failure *f)
{
    const char *text = json_string_value(json_object_get(answer, field));
    struct buf plain = {.max = CLI_FILE_MAX, .wipe = true}, url = {.max = 2 * CLI_FILE_MAX, .wipe = true};
    enum status status = text == NULL ? STATUS_MALFORMED : STATUS_OK;
    for (const char *c = text; status == STATUS_OK && *c != '\0' && *c != '='; c++) {
        status = buf_append_byte(&url, *c == '+' ? '-' : *c == '/' ? '_' : (uint8_t)*c);
    }
    if (status == STATUS_OK) {
        status = base64url_decode(buf_slice(&url), &plain);
    }
    if (status != STATUS_OK) {
        failure_set(f, status, "the node's answer has no file in it");
    } else {
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) {
            status = failure_errno(f, errno, "cannot make %s", path);
        } else if (write(fd, plain.data, plain.len) != (ssize_t)plain.len || fsync(fd) != 0) {
            status = failure_errno(f, errno, "cannot write %s", path);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    buf_release(&plain);
    buf_release(&url);
    json_object_del(answer, field);
    return status;
}

static enum status members_save(json_t *answer, const struct cli_input *input, struct failure *f)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < input->value_count && status == STATUS_OK; i++) {
        if (input->values[i].parameter->place == PLACE_SAVE) {
            status = member_save(answer, input->values[i].parameter->field, input->values[i].text, f);
        }
    }
    return status;
}

/* Which row went wrong, behind what went wrong with it. */
static void name_row(const struct cli_input *input, size_t i)
{
    char text[512];
    if (i < input->rows.count &&
        snprintf(text, sizeof(text), "  in line %zu: %.400s", input->rows.rows[i].line,
                 input->rows.rows[i].values[0] != NULL ? input->rows.rows[i].values[0] : "") > 0) {
        complain(text);
    }
}

static int command_run(struct cli_input *input, struct arena *a)
{
    struct cli_connection c;
    struct failure f = {.status = STATUS_OK};
    int result = CLI_OK;
    if (rows_read(input, a, &f) != STATUS_OK) {
        complain(f.text);
        return CLI_LOCAL;
    }
    if (cli_connect(input, &c, &f) != STATUS_OK) {
        complain(f.text);
        return CLI_LOCAL;
    }
    if (cli_bulk_wanted(input)) {
        result = cli_bulk_run(&c, input);
        cli_disconnect(&c);
        return result;
    }
    json_t *answer = NULL;
    for (size_t i = 0; i < cli_request_count(input); i++) {
        int one = request_run(&c, input, i, &answer);
        if (one != CLI_OK) {
            name_row(input, i);
            result = one;
        }
    }
    if (answer != NULL) { /* also what was done before one of several failed */
        json_object_del(answer, "next");
        if (members_save(answer, input, &f) != STATUS_OK) {
            complain(f.text);
            result = CLI_LOCAL;
        }
        int shown = show_answer(answer, input);
        result = result == CLI_OK ? shown : result;
        if (result == CLI_OK && input->command->failing_unless != NULL &&
            !json_is_true(json_object_get(answer, input->command->failing_unless))) {
            result = CLI_REMOTE;
        }
        json_decref(answer);
    }
    cli_disconnect(&c);
    return result;
}

int cli_run(int argc, char **argv)
{
    static struct cli_input input;
    struct failure f = {.status = STATUS_OK};
    if (cli_arguments_read(argc, argv, &input, &f) != STATUS_OK) {
        complain(f.text);
        if (input.help) { /* too few words: what could follow */
            (void)show_help(&input, stderr);
        }
        return CLI_LOCAL;
    }
    if (input.version) {
        printf("sealpostctl " SEALPOST_VERSION "\n");
        return CLI_OK;
    }
    if (input.help) {
        return show_help(&input, stdout);
    }
    struct arena arena;
    arena_init(&arena, 4 * CLI_CSV_MAX);
    int result = command_run(&input, &arena);
    arena_release(&arena);
    return result;
}
