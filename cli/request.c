/* See request.h. */
#include "cli/request.h"

#include "base/hex.h"
#include "base/secret.h"
#include "cli/case_file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

void cli_request_release(struct cli_request *r)
{
    buf_release(&r->target);
    json_decref(r->body);
    r->body = NULL;
}

enum status cli_file_read(const char *path, size_t max, struct buf *out, struct failure *f)
{
    uint8_t part[16384];
    bool standard = strcmp(path, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;
    enum status status = STATUS_OK;
    if (fd < 0) {
        return failure_errno(f, errno, "cannot open %s", path);
    }
    out->max = max;
    while ((n = read(fd, part, sizeof(part))) != 0 && status == STATUS_OK) {
        if (n > 0) {
            status = buf_append(out, part, (size_t)n);
        } else if (errno != EINTR) {
            status = failure_errno(f, errno, "cannot read %s", path);
        }
    }
    secret_wipe(part, sizeof(part));
    if (!standard) {
        close(fd);
    }
    return status == STATUS_TOO_LARGE
               ? failure_set(f, status, "%s is too large: at most %zu bytes", path, max)
               : status;
}

bool cli_seconds_parse(const char *text, uint64_t *seconds)
{
    struct slice number = slice_of_text(text);
    uint64_t unit = 1;
    if (number.len > 1) {
        switch (number.data[number.len - 1]) {
        case 's':
            break;
        case 'm':
            unit = 60;
            break;
        case 'h':
            unit = 3600;
            break;
        case 'd':
            unit = 86400;
            break;
        default:
            unit = 0;
        }
        number.len -= unit != 0;
        unit = unit == 0 ? 1 : unit;
    }
    return slice_parse_u64(number, seconds) && *seconds <= UINT32_MAX && (*seconds *= unit) > 0;
}

/* --- which values --- */

static bool makes_requests(const struct cli_parameter *p)
{
    return (p->flags & CLI_REPEATED) != 0 && p->place != PLACE_BODY_LIST;
}

size_t cli_request_count(const struct cli_input *input)
{
    if (input->rows.count > 0) {
        return input->rows.count;
    }
    for (size_t i = 0; i < input->command->parameter_count; i++) {
        const struct cli_parameter *p = &input->command->parameters[i];
        if (makes_requests(p)) {
            size_t n = 0;
            while (cli_value_of(input, p, n) != NULL) {
                n++;
            }
            return n > 0 ? n : 1;
        }
    }
    return 1;
}

static const char *value_for(const struct cli_input *input, const struct cli_parameter *p, size_t request)
{
    const char *value = cli_value_of(input, p, makes_requests(p) ? request : 0);
    return value != NULL ? value : p->otherwise;
}

/* --- the target --- */

static enum status append_encoded(struct buf *out, const char *text)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~@";
    enum status status = STATUS_OK;
    for (const char *c = text; *c != '\0' && status == STATUS_OK; c++) {
        status = strchr(plain, *c) != NULL ? buf_append_byte(out, (uint8_t)*c)
                                           : buf_printf(out, "%%%02X", (unsigned)(uint8_t)*c);
    }
    return status;
}

static const struct cli_parameter *path_parameter(const struct cli_command *c, struct slice field)
{
    for (size_t i = 0; i < c->parameter_count; i++) {
        if (c->parameters[i].place == PLACE_PATH &&
            slice_equal(field, slice_of_text(c->parameters[i].field))) {
            return &c->parameters[i];
        }
    }
    return NULL;
}

static bool has_path_value(const struct cli_input *input)
{
    for (size_t i = 0; i < input->value_count; i++) {
        if (input->values[i].parameter->place == PLACE_PATH) {
            return true;
        }
    }
    return false;
}

static enum status append_path(const struct cli_input *input, size_t request, struct buf *out)
{
    const struct cli_command *c = input->command;
    const char *path = c->path;
    enum status status = STATUS_OK;
    if (c->path_without != NULL && !has_path_value(input)) {
        path = c->path_without;
    }
    while (*path != '\0' && status == STATUS_OK) {
        size_t n = strcspn(path, "{");
        status = buf_append(out, path, n);
        path += n;
        if (*path == '{') {
            size_t len = strcspn(path, "}");
            const struct cli_parameter *p = path_parameter(c, slice_of(path + 1, len - 1));
            const char *value = p != NULL ? value_for(input, p, request) : NULL;
            if (status == STATUS_OK) {
                status = append_encoded(out, value != NULL ? value : "");
            }
            path += len + 1;
        }
    }
    return status;
}

static enum status append_query(struct buf *out, const char *name, const char *value)
{
    bool first = memchr(out->data, '?', out->len) == NULL;
    enum status status = buf_printf(out, "%c%s=", first ? '?' : '&', name);
    return status == STATUS_OK ? append_encoded(out, value) : status;
}

static enum status append_queries(const struct cli_input *input, const char *after, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < input->command->parameter_count && status == STATUS_OK; i++) {
        const struct cli_parameter *p = &input->command->parameters[i];
        const char *value = cli_value_of(input, p, 0);
        if (p->place == PLACE_QUERY && value != NULL) {
            status = append_query(out, p->field, p->kind == CLI_FLAG ? "true" : value);
        }
    }
    if (status == STATUS_OK && input->consistent) {
        status = append_query(out, "barrier", "true");
    }
    if (status == STATUS_OK && after != NULL) {
        status = append_query(out, "after", after);
    }
    return status;
}

/* --- the body --- */

static enum status put_file(json_t *body, const char *field, const char *path, struct failure *f)
{
    struct buf content = {.max = CLI_FILE_MAX, .wipe = true}, text = {.max = 2 * CLI_FILE_MAX, .wipe = true};
    enum status status = cli_file_read(path, CLI_FILE_MAX, &content, f);
    if (status == STATUS_OK && content.len == 0) {
        status = failure_set(f, STATUS_INVALID, "%s is empty", path);
    }
    if (status == STATUS_OK && (status = base64_encode(buf_slice(&content), &text)) != STATUS_OK) {
        failure_set(f, status, "there is no memory for %s", path);
    }
    if (status == STATUS_OK) {
        json_object_set_new(body, field, json_stringn((const char *)text.data, text.len));
    }
    buf_release(&content);
    buf_release(&text);
    return status;
}

static enum status put_cases(json_t *body, const char *field, const char *path, struct failure *f)
{
    json_t *cases = NULL;
    enum status status = cli_case_file_read(path, &cases, f);
    if (status == STATUS_OK) {
        json_object_set_new(body, field, cases);
    }
    return status;
}

/* As -o json gives a list. */
static enum status put_json(json_t *body, const char *field, const char *path, struct failure *f)
{
    struct buf content = {.max = CLI_FILE_MAX};
    json_error_t error;
    enum status status = cli_file_read(path, CLI_FILE_MAX, &content, f);
    if (status == STATUS_OK) {
        json_t *json = json_loadb(content.len > 0 ? (const char *)content.data : "", content.len, 0, &error);
        json_t *list = json_is_object(json) ? json_object_get(json, "items") : json;
        if (!json_is_array(list)) {
            status = failure_set(f, STATUS_INVALID,
                                 "%s is no list in JSON, as policy rule-list -o json makes it", path);
        } else {
            json_object_set(body, field, list);
        }
        json_decref(json);
    }
    buf_release(&content);
    return status;
}

static enum status put_secret(json_t *body, const char *field, const char *path, struct failure *f)
{
    struct buf content = {.max = 4096, .wipe = true};
    enum status status = cli_file_read(path, 4096, &content, f);
    if (status == STATUS_OK) {
        struct slice line = buf_slice(&content);
        line.len = slice_find_byte(line, '\n');
        line.len -= line.data != NULL && line.len > 0 && line.data[line.len - 1] == '\r';
        json_t *text = json_stringn(line.len > 0 ? (const char *)line.data : "", line.len);
        if (text == NULL) {
            status = failure_set(f, STATUS_INVALID, "the password in %s is not UTF-8", path);
        } else {
            json_object_set_new(body, field, text);
        }
    }
    buf_release(&content);
    return status;
}

static enum status put_text(json_t *body, const char *field, const char *value, struct failure *f)
{
    json_t *text = json_string(value);
    if (text == NULL) {
        return failure_set(f, STATUS_INVALID, "%s: is not UTF-8", field);
    }
    json_object_set_new(body, field, text);
    return STATUS_OK;
}

static enum status put_list(const struct cli_input *input, json_t *body, const struct cli_parameter *p,
                            struct failure *f)
{
    json_t *list = json_array();
    const char *value;
    for (size_t i = 0; (value = cli_value_of(input, p, i)) != NULL; i++) {
        json_t *text = json_string(value);
        if (text == NULL) {
            json_decref(list);
            return failure_set(f, STATUS_INVALID, "%s: is not UTF-8", p->field);
        }
        json_array_append_new(list, text);
    }
    json_object_set_new(body, p->field, list);
    return STATUS_OK;
}

static enum status put_row(const struct cli_row *row, json_t *body, const char *fields, struct failure *f)
{
    enum status status = STATUS_OK;
    size_t column = 0;
    for (const char *c = fields; *c != '\0' && column < CLI_COLUMNS_MAX && status == STATUS_OK; column++) {
        char field[64];
        size_t n = strcspn(c, "|");
        memccpy(field, c, '\0', sizeof(field) - 1);
        field[n < sizeof(field) - 1 ? n : sizeof(field) - 1] = '\0';
        if (row->values[column] != NULL) {
            status = put_text(body, field, row->values[column], f);
        }
        c += n + (c[n] == '|');
    }
    return status;
}

static enum status put_value(const struct cli_input *input, size_t request, json_t *body,
                             const struct cli_parameter *p, const char *value, struct failure *f)
{
    uint64_t number;
    switch (p->place) {
    case PLACE_BODY:
        return put_text(body, p->field, value, f);
    case PLACE_BODY_LIST:
        return put_list(input, body, p, f);
    case PLACE_BODY_TRUE:
        json_object_set_new(body, p->field, json_true());
        return STATUS_OK;
    case PLACE_BODY_FALSE:
        json_object_set_new(body, p->field, json_false());
        return STATUS_OK;
    case PLACE_BODY_NUMBER:
        if (!slice_parse_u64(slice_of_text(value), &number) || number > UINT32_MAX) {
            return failure_set(f, STATUS_INVALID, "--%s: must be a whole number, not \"%s\"", p->name, value);
        }
        json_object_set_new(body, p->field, json_integer((json_int_t)number));
        return STATUS_OK;
    case PLACE_BODY_SECONDS:
        if (!cli_seconds_parse(value, &number)) {
            return failure_set(f, STATUS_INVALID, "--%s: must be a time like 30m, 1h or 2d, not \"%s\"",
                               p->name, value);
        }
        json_object_set_new(body, p->field, json_integer((json_int_t)number));
        return STATUS_OK;
    case PLACE_BODY_FILE:
        return put_file(body, p->field, value, f);
    case PLACE_BODY_CASES:
        return put_cases(body, p->field, value, f);
    case PLACE_BODY_JSON:
        return put_json(body, p->field, value, f);
    case PLACE_BODY_SECRET:
        return put_secret(body, p->field, value, f);
    case PLACE_ROWS:
        return request < input->rows.count ? put_row(&input->rows.rows[request], body, p->field, f)
                                           : STATUS_OK;
    case PLACE_PATH:
    case PLACE_QUERY:
    case PLACE_SAVE:
    case PLACE_VIEW:
        break;
    }
    return STATUS_OK;
}

static enum status body_make(const struct cli_input *input, size_t request, json_t **out, struct failure *f)
{
    enum status status = STATUS_OK;
    json_t *body = input->command->body != NULL ? json_loads(input->command->body, 0, NULL) : json_object();
    for (size_t i = 0; i < input->command->parameter_count && status == STATUS_OK; i++) {
        const struct cli_parameter *p = &input->command->parameters[i];
        const char *value = value_for(input, p, request);
        if (value != NULL) {
            status = put_value(input, request, body, p, value, f);
        }
    }
    if (status != STATUS_OK || json_object_size(body) == 0) {
        json_decref(body);
        body = NULL;
    }
    *out = body;
    return status;
}

enum status cli_request_make(const struct cli_input *input, size_t i, const char *after,
                             struct cli_request *out, struct failure *f)
{
    *out = (struct cli_request){.method = input->command->method, .target = {.max = CLI_TARGET_MAX}};
    enum status status = append_path(input, i, &out->target);
    if (status == STATUS_OK) {
        status = append_queries(input, after, &out->target);
    }
    if (status == STATUS_OK && buf_text(&out->target) == NULL) {
        status = STATUS_TOO_LARGE;
    }
    if (status != STATUS_OK) {
        cli_request_release(out);
        return failure_set(f, status, "the arguments are too long");
    }
    if ((status = body_make(input, i, &out->body, f)) != STATUS_OK) {
        cli_request_release(out);
    }
    return status;
}
