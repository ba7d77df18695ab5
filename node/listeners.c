/* See listeners.h. Blocking look-ups of host names happen here, at start only. */
#include "node/listeners.h"

#include "base/channel.h"
#include "node/service_names.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

static enum status tcp_listen(const struct addrinfo *ai, const char *address, const char *key, int *out,
                              struct failure *f)
{
    int one = 1, zero = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return failure_errno(f, errno, "cannot make a socket for %s (%s)", address, key);
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
        (ai->ai_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero)) != 0) ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        enum status status =
            errno == EADDRINUSE
                ? failure_set(f, STATUS_CONFLICT, "the address %s (%s) is in use by another program", address,
                              key)
                : failure_errno(f, errno, "cannot listen on %s (%s)", address, key);
        close(fd);
        return status;
    }
    *out = fd;
    return STATUS_OK;
}

static enum status address_listen(struct slice text, const char *key, int *fd, struct failure *f)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
                    *list = NULL;
    struct slice host_text = address_host(text);
    char address[80], host[80];
    int n = snprintf(address, sizeof(address), "%.*s", SLICE_ARGS(text));
    int m = snprintf(host, sizeof(host), "%.*s", SLICE_ARGS(host_text));
    if (n < 0 || m < 0 || (size_t)n >= sizeof(address)) {
        return failure_set(f, STATUS_TOO_LARGE, "an address of %s is too long", key);
    }
    const char *port = strrchr(address, ':');
    int e = port != NULL ? getaddrinfo(host, port + 1, &hints, &list) : EAI_NONAME;
    if (e != 0) {
        return failure_set(f, STATUS_INVALID, "cannot find the address %s (%s): %s", address, key,
                           gai_strerror(e));
    }
    enum status status = tcp_listen(list, address, key, fd, f);
    freeaddrinfo(list);
    return status;
}

static enum status put(struct listeners *l, const struct role_type *type, const char *name, int fd,
                       struct failure *f)
{
    if (l->count == LISTENERS_MAX) {
        close(fd);
        return failure_set(f, STATUS_TOO_LARGE, "more than %d listening sockets", LISTENERS_MAX);
    }
    struct listener *place = &l->list[l->count++];
    *place = (struct listener){.type = type, .fd = fd};
    (void)!snprintf(place->name, sizeof(place->name), "%s", name);
    return STATUS_OK;
}

static enum status tcp_open(const struct node_config *config, const struct role_type *type,
                            const struct role_listening *what, struct listeners *l, struct failure *f)
{
    struct slice rest = slice_of_text((const char *)config + what->address_offset);
    if (rest.len == 0) {
        return STATUS_OK; /* an address that need not be there */
    }
    for (;;) {
        int fd = -1;
        char name[ROLE_LISTENER_NAME];
        size_t comma = slice_find_byte(rest, ',');
        struct slice address = slice_trim(slice_of(rest.data, comma));
        size_t at = what->kind == ROLE_LISTENS_NAMED ? slice_find_byte(address, '@') : address.len;
        (void)!snprintf(name, sizeof(name), "%s%.*s", what->name, at < address.len ? (int)at : 0,
                        (const char *)address.data);
        if (at < address.len) {
            address = slice_of(address.data + at + 1, address.len - at - 1);
        }
        enum status status = address_listen(address, what->config_key, &fd, f);
        status = status == STATUS_OK ? put(l, type, name, fd, f) : status;
        if (status != STATUS_OK || comma == rest.len) {
            return status;
        }
        rest = slice_of(rest.data + comma + 1, rest.len - comma - 1);
    }
}

static enum status unix_open(const struct node_config *config, const struct role_type *type,
                             const struct role_listening *what, struct listeners *l, struct failure *f)
{
    int fd = -1;
    enum status status = channel_listen(what->path, &fd, f);
    if (status != STATUS_OK) {
        return status;
    }
    /* Connecting needs the right to write: the roles' common group has it. */
    if (geteuid() == 0 && config->group != 0 &&
        fchownat(AT_FDCWD, what->path, 0, config->group, AT_SYMLINK_NOFOLLOW) != 0) {
        status = failure_errno(f, errno, "cannot give %s to group %u", what->path, config->group);
        close(fd);
        return status;
    }
    return put(l, type, what->name, fd, f);
}

enum status listeners_open(const struct node_config *config, struct listeners *l, struct failure *f)
{
    const struct role_type *type;
    *l = (struct listeners){0};
    for (size_t i = 0; (type = role_type_at(i)) != NULL; i++) {
        for (size_t j = 0; j < ROLE_LISTENINGS_MAX && type->listens[j].name != NULL; j++) {
            const struct role_listening *what = &type->listens[j];
            enum status status = what->kind == ROLE_LISTENS_UNIX ? unix_open(config, type, what, l, f)
                                                                 : tcp_open(config, type, what, l, f);
            if (status != STATUS_OK) {
                listeners_close(l);
                return status;
            }
        }
    }
    return STATUS_OK;
}

void listeners_close(struct listeners *l)
{
    for (size_t i = 0; i < l->count; i++) {
        close(l->list[i].fd);
    }
    l->count = 0;
}
