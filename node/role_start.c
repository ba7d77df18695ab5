/*
 * The other side of node/role_process.c: a role's process begins here. It reads its command line,
 * configuration and keys, shuts its memory to others, turns SIGTERM into a descriptor, and runs the role.
 * Anything that does not fit is the supervisor's mistake: exit status 78.
 */
#include "node/role_table.h"

#include "base/log.h"
#include "base/msgpack_read.h"
#include "node/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define KEYS_MAX ((size_t)8 << 10)

struct role_arguments {
    const char *role;
    int config_fd, keys_fd;
};

int role_listener_fd(const struct role_context *c, const char *name, size_t i)
{
    for (size_t j = 0; j < c->listener_count; j++) {
        if (strcmp(c->listeners[j].name, name) == 0 && i-- == 0) {
            return c->listeners[j].fd;
        }
    }
    return -1;
}

static bool fd_parse(const char *text, int *fd)
{
    uint64_t number;
    if (!slice_parse_u64(slice_of_text(text), &number) || number > 1 << 20) {
        return false;
    }
    *fd = (int)number;
    return fcntl(*fd, F_SETFD, FD_CLOEXEC) == 0;
}

static bool listener_parse(struct role_context *c, const char *text)
{
    const char *equals = strchr(text, '=');
    if (equals == NULL || c->listener_count == ROLE_LISTENERS_MAX) {
        return false;
    }
    struct role_listener *l = &c->listeners[c->listener_count];
    int n = snprintf(l->name, sizeof(l->name), "%.*s", (int)(equals - text), text);
    if (n <= 0 || (size_t)n >= sizeof(l->name) || !fd_parse(equals + 1, &l->fd)) {
        return false;
    }
    c->listener_count++;
    return true;
}

static bool arguments_parse(int argc, char **argv, struct role_context *c, struct role_arguments *a)
{
    uint64_t number;
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *option = argv[i], *value = argv[i + 1];
        bool good = false;
        if (strcmp(option, "--role") == 0) {
            a->role = value;
            good = true;
        } else if (strcmp(option, "--config-fd") == 0) {
            good = fd_parse(value, &a->config_fd);
        } else if (strcmp(option, "--keys-fd") == 0) {
            good = fd_parse(value, &a->keys_fd);
        } else if (strcmp(option, "--listen-fd") == 0) {
            good = listener_parse(c, value);
        } else if (strcmp(option, "--worker") == 0 && slice_parse_u64(slice_of_text(value), &number) &&
                   number < 1000) {
            c->worker = (unsigned)number;
            good = true;
        }
        if (!good) {
            return false;
        }
    }
    return a->role != NULL && a->config_fd >= 0;
}

static enum status keys_take(struct role_context *c, struct slice map)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, map);
    size_t count = read_map(&r, 8);
    for (size_t i = 0; i < count; i++) {
        struct slice name = read_text(&r, 16);
        struct slice key = read_bytes(&r, KEYS_MAX);
        struct secret *place = slice_equal(name, SLICE_LITERAL("master"))      ? &c->master
                               : slice_equal(name, SLICE_LITERAL("kek"))       ? &c->kek
                               : slice_equal(name, SLICE_LITERAL("spool"))     ? &c->spool
                               : slice_equal(name, SLICE_LITERAL("transport")) ? &c->transport
                               : slice_equal(name, SLICE_LITERAL("tls-key"))   ? &c->tls_key
                                                                               : NULL;
        if (place == NULL || place->data != NULL || secret_copy(place, key) != STATUS_OK) {
            return STATUS_MALFORMED;
        }
    }
    return msgpack_reader_status(&r, true);
}

static enum status keys_read(struct role_context *c, int fd)
{
    struct secret bytes = {0};
    size_t used = 0;
    enum status status = secret_alloc(&bytes, KEYS_MAX);
    if (status != STATUS_OK) {
        return status;
    }
    for (;;) {
        ssize_t n = read(fd, bytes.data + used, KEYS_MAX - used);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        used += (size_t)n;
    }
    close(fd);
    status = keys_take(c, slice_of(bytes.data, used));
    secret_release(&bytes);
    return status;
}

/* SIGTERM becomes a descriptor. SIGINT of a terminal is the supervisor's alone: it decides on the order. */
static int stop_descriptor(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return -1;
    }
    signal(SIGPIPE, SIG_IGN);
    return fd;
}

int role_start(int argc, char **argv)
{
    static struct role_context c;
    static struct node_config config;
    struct role_arguments a = {.config_fd = -1, .keys_fd = -1};
    struct failure f = {0};
    char log_name[32];

    if (!SANITIZED && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
        return EXIT_FATAL;
    }
    /* What this role starts in its turn inherits nothing, the lock of the data folder least of all. */
    if (close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0 ||
        !arguments_parse(argc, argv, &c, &a)) {
        fprintf(stderr, "sealpostd: --role is for the supervisor's use: start a node with 'sealpostd run "
                        "--config FILE'\n");
        return EXIT_FATAL;
    }
    const struct role_type *type = role_type_find(a.role);
    if (type == NULL || type->run == NULL) {
        fprintf(stderr, "sealpostd: there is no role of this name\n");
        return EXIT_FATAL;
    }
    int n = c.worker > 0 ? snprintf(log_name, sizeof(log_name), "%s-%u", type->name, c.worker)
                         : snprintf(log_name, sizeof(log_name), "%s", type->name);
    if (n < 0 || node_config_read_fd(a.config_fd, "configuration of the node", &config, &f) != STATUS_OK) {
        fprintf(stderr, "sealpostd: %s\n", f.text);
        return EXIT_FATAL;
    }
    close(a.config_fd);
    log_open(log_name, config.log_level);
    c.role = type->name;
    c.config = &config;
    c.stop_fd = stop_descriptor();
    if (c.stop_fd < 0 || (a.keys_fd >= 0 && keys_read(&c, a.keys_fd) != STATUS_OK)) {
        log_event(LOG_ERROR, "role got no signals or no keys");
        return EXIT_FATAL;
    }
    int code = type->run(&c);
    secret_release(&c.master);
    secret_release(&c.kek);
    secret_release(&c.spool);
    secret_release(&c.transport);
    secret_release(&c.tls_key);
    return code;
}
