/*
 * A body that is too large is answered while the client still sends it. Closing then makes the kernel answer
 * with a reset, and the client may never see the 413. So the connection's descriptor is duplicated, and what
 * still comes is read and dropped until the client closes, for a few seconds at most. h2o has stopped reading
 * by then.
 */
#include "api/server_internal.h"

#include <fcntl.h>

#define LINGER_MS          5000
#define LINGER_CONNECTIONS 32

struct lingering {
    h2o_socket_t *sock;
    h2o_timeout_entry_t timeout;
};

static unsigned lingering_count;

static void linger_end(struct lingering *l)
{
    h2o_timeout_unlink(&l->timeout);
    h2o_socket_close(l->sock);
    free(l);
    lingering_count--;
}

static void on_read(h2o_socket_t *sock, const char *error)
{
    if (error != NULL) {
        linger_end(sock->data);
        return;
    }
    h2o_buffer_consume(&sock->input, sock->input->size);
}

static void on_timeout(h2o_timeout_entry_t *entry)
{
    linger_end(H2O_STRUCT_FROM_MEMBER(struct lingering, timeout, entry));
}

void http_linger(h2o_req_t *req)
{
    static h2o_timeout_t timeout; /* of the one loop */
    h2o_loop_t *loop = req->conn->ctx->loop;
    h2o_socket_t *sock = req->conn->callbacks->get_socket(req->conn);
    int fd = lingering_count < LINGER_CONNECTIONS ? fcntl(h2o_socket_get_fd(sock), F_DUPFD_CLOEXEC, 0) : -1;
    if (fd < 0) {
        return;
    }
    if (timeout.timeout == 0) {
        h2o_timeout_init(loop, &timeout, LINGER_MS);
    }
    struct lingering *l = h2o_mem_alloc(sizeof(*l));
    memset(l, 0, sizeof(*l));
    l->sock = h2o_evloop_socket_create(loop, fd, 0);
    l->sock->data = l;
    l->timeout.cb = on_timeout;
    lingering_count++;
    h2o_timeout_link(loop, &timeout, &l->timeout);
    h2o_socket_read_start(l->sock, on_read);
}
