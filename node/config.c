/*
 * Reading the node's configuration: an INI file, then the environment, then the defaults, then what must fit
 * together.
 *
 * The way when all goes well: the whole file (at most 256 KiB) is read, each line is a comment, a [section]
 * or key = value; each key is looked up in the table (node/config_table.c) and its value checked there.
 * SEALPOST_SECTION_KEY wins over the file. The first thing that is wrong ends it with "FILE:LINE: what, and
 * what would be right". Nothing is guessed.
 */
#include "node/config.h"

#include "node/config_table.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define CONFIG_FILE_MAX ((size_t)256 << 10) /* bytes */
#define KEYS_MAX        64

struct reading {
    struct node_config *config;
    unsigned seen[KEYS_MAX]; /* line on which the key with this position came; 0: not yet */
    struct slice section;
    unsigned line;
};

static size_t key_position(const struct config_key *k)
{
    return (size_t)(k - config_key_at(0));
}

static enum status section_read(struct reading *r, struct slice line, struct failure *f)
{
    if (line.data[line.len - 1] != ']') {
        return failure_set(f, STATUS_INVALID, "a section ends with ']'");
    }
    struct slice name = slice_trim(slice_of(line.data + 1, line.len - 2));
    if (!config_section_known(name)) {
        const char *nearest = config_nearest(SLICE_LITERAL(""), name);
        return failure_set(f, STATUS_UNKNOWN_FIELD, "unknown section [%.*s]%s%s%s", SLICE_ARGS(name),
                           nearest != NULL ? "; did you mean [" : "", nearest != NULL ? nearest : "",
                           nearest != NULL ? "]?" : "");
    }
    r->section = name;
    return STATUS_OK;
}

static enum status line_read(struct reading *r, struct slice line, struct failure *f)
{
    if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';') {
        return STATUS_OK;
    }
    for (size_t i = 0; i < line.len; i++) {
        if (line.data[i] != '\t' && (line.data[i] < 0x20 || line.data[i] == 0x7f)) {
            return failure_set(f, STATUS_MALFORMED, "a control character does not belong here");
        }
    }
    if (line.data[0] == '[') {
        return section_read(r, line, f);
    }
    size_t equals = slice_find_byte(line, '=');
    if (equals == line.len) {
        return failure_set(f, STATUS_MALFORMED, "neither a [section] nor key = value");
    }
    struct slice key = slice_trim(slice_of(line.data, equals));
    struct slice value = slice_trim(slice_of(line.data + equals + 1, line.len - equals - 1));
    if (r->section.len == 0) {
        return failure_set(f, STATUS_MALFORMED, "key '%.*s' stands before the first [section]",
                           SLICE_ARGS(key));
    }
    const struct config_key *k = config_key_find(r->section, key);
    if (k == NULL) {
        const char *nearest = config_nearest(r->section, key);
        return failure_set(f, STATUS_UNKNOWN_FIELD, "unknown key '%.*s' in [%.*s]%s%s%s", SLICE_ARGS(key),
                           SLICE_ARGS(r->section), nearest != NULL ? "; did you mean '" : "",
                           nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
    }
    unsigned *seen = &r->seen[key_position(k)];
    if (*seen != 0) {
        return failure_set(f, STATUS_INVALID, "key '%s' in [%s] was given already in line %u", k->key,
                           k->section, *seen);
    }
    *seen = r->line;
    return config_key_set(k, value, r->config, f);
}

/* SEALPOST_SECTION_KEY in capitals. */
static const char *environment_value(const struct config_key *k, char name[64])
{
    int n = snprintf(name, 64, "SEALPOST_%s_%s", k->section, k->key);
    if (n < 0 || n >= 64) {
        return NULL;
    }
    for (char *p = name; *p != '\0'; p++) {
        *p = (char)toupper((unsigned char)*p);
    }
    return getenv(name);
}

static enum status environment_read(struct node_config *config, struct failure *f)
{
    const struct config_key *k;
    char name[64];
    for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
        const char *value = environment_value(k, name);
        if (value == NULL) {
            continue;
        }
        enum status status = config_key_set(k, slice_trim(slice_of_text(value)), config, f);
        if (status != STATUS_OK) {
            return failure_wrap(f, status, "environment %s", name);
        }
    }
    return STATUS_OK;
}

static bool wildcard(const char *address)
{
    return strncmp(address, "0.0.0.0:", 8) == 0 || strncmp(address, "[::]:", 5) == 0;
}

/* The first of `listen`, where nothing is advertised. */
static enum status advertise_default(char advertise[80], const char *listen, const char *hostname)
{
    if (advertise[0] != '\0') {
        return STATUS_OK;
    }
    struct slice first = slice_of(listen, slice_find_byte(slice_of_text(listen), ','));
    first = slice_trim(first);
    int n;
    if (wildcard(listen)) {
        const char *port = strrchr(listen, ':');
        n = snprintf(advertise, 80, "%.60s:%.*s", hostname, (int)strspn(port + 1, "0123456789"), port + 1);
    } else {
        n = snprintf(advertise, 80, "%.*s", SLICE_ARGS(first));
    }
    return n > 0 && n < 80 ? STATUS_OK : STATUS_TOO_LARGE;
}

static enum status whole_check(struct node_config *c, struct failure *f)
{
    if (c->name[0] == '\0') {
        return failure_set(f, STATUS_INVALID, "[node] name is missing");
    }
    if (c->hostname[0] == '\0' && gethostname(c->hostname, sizeof(c->hostname) - 1) != 0) {
        return failure_errno(f, errno, "cannot ask for the machine's name");
    }
    if (wildcard(c->cluster_listen) && c->cluster_advertise[0] == '\0') {
        return failure_set(f, STATUS_INVALID,
                           "[cluster] advertise is missing: the other nodes cannot connect to %s",
                           c->cluster_listen);
    }
    if (c->group == 0 && (c->core_user != 0 || c->smtp_user != 0 || c->worker_user != 0 || c->api_user != 0 ||
                          c->fetch_user != 0)) {
        return failure_set(f, STATUS_INVALID, "[users] group is missing: the roles need a group in common");
    }
    if (advertise_default(c->cluster_advertise, c->cluster_listen, c->hostname) != STATUS_OK ||
        advertise_default(c->api_advertise, c->api_listen, c->hostname) != STATUS_OK ||
        advertise_default(c->smtp_advertise, c->smtp_listen, c->hostname) != STATUS_OK) {
        return failure_set(f, STATUS_TOO_LARGE, "an address is longer than 79 bytes: set advertise");
    }
    return STATUS_OK;
}

static enum status content_read(int fd, struct buf *content, struct failure *f)
{
    for (;;) {
        enum status status = buf_reserve(content, 4096);
        if (status != STATUS_OK) {
            return failure_set(f, status, "longer than %zu bytes", CONFIG_FILE_MAX);
        }
        ssize_t n = pread(fd, content->data + content->len, 4096, (off_t)content->len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return failure_errno(f, errno, "cannot read");
        }
        if (n == 0) {
            return STATUS_OK;
        }
        content->len += (size_t)n;
    }
}

enum status node_config_read_fd(int fd, const char *name_for_errors, struct node_config *config,
                                struct failure *f)
{
    struct reading r = {.config = config};
    struct buf content = BUF_INIT(CONFIG_FILE_MAX);
    const struct config_key *k;

    *config = (struct node_config){0};
    enum status status = content_read(fd, &content, f);
    for (size_t i = 0; status == STATUS_OK && (k = config_key_at(i)) != NULL; i++) {
        if (k->default_text != NULL && k->default_text[0] != '\0') {
            status = config_key_set(k, slice_of_text(k->default_text), config, f);
        }
    }
    if (status != STATUS_OK) {
        status = failure_wrap(f, status, "%s", name_for_errors);
        goto out;
    }
    for (struct slice rest = buf_slice(&content); rest.len > 0;) {
        size_t end = slice_find_byte(rest, '\n');
        struct slice line = slice_of(rest.data, end);
        if (line.len > 0 && line.data[line.len - 1] == '\r') {
            line.len--;
        }
        r.line++;
        status = line_read(&r, slice_trim(line), f);
        if (status != STATUS_OK) {
            status = failure_wrap(f, status, "%s:%u", name_for_errors, r.line);
            goto out;
        }
        end = end < rest.len ? end + 1 : end;
        rest = slice_of(rest.data + end, rest.len - end);
    }
    status = environment_read(config, f);
    if (status != STATUS_OK) {
        goto out;
    }
    status = whole_check(config, f);
    if (status != STATUS_OK) {
        status = failure_wrap(f, status, "%s", name_for_errors);
    }
out:
    buf_release(&content);
    return status;
}

enum status node_config_read(const char *path, struct node_config *config, struct failure *f)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failure_errno(f, errno, "cannot open the configuration %s", path);
    }
    enum status status = node_config_read_fd(fd, path, config, f);
    close(fd);
    return status;
}

enum status node_config_write(const struct node_config *config, struct buf *out)
{
    const struct config_key *k;
    const char *section = "";
    enum status status = STATUS_OK;
    for (size_t i = 0; status == STATUS_OK && (k = config_key_at(i)) != NULL; i++) {
        if (strcmp(section, k->section) != 0) {
            section = k->section;
            status = buf_printf(out, "[%s]\n", section);
        }
        if (status == STATUS_OK) {
            status = buf_printf(out, "%s = ", k->key);
        }
        if (status == STATUS_OK) {
            status = config_key_text(k, config, out);
        }
        if (status == STATUS_OK) {
            status = buf_append_byte(out, '\n');
        }
    }
    return status;
}
