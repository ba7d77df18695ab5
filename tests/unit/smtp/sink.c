/* A server that takes mail, one thread a connection, strict about CRLF. */
#include "rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct sink *sink;
    int fd;
    SSL *ssl;
    char in[65536];
    size_t in_at, in_len; /* not yet used: in[in_at .. in_len) */
    char envelope[8192];
};

static void put(struct connection *c, const char *text)
{
    if (c->ssl != NULL) {
        (void)SSL_write(c->ssl, text, (int)strlen(text));
    } else {
        (void)!send(c->fd, text, strlen(text), MSG_NOSIGNAL);
    }
}

static bool fill(struct connection *c)
{
    while (!atomic_load(&c->sink->stopping)) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        if ((c->ssl == NULL || SSL_pending(c->ssl) == 0) && poll(&p, 1, 50) <= 0) {
            continue;
        }
        if (c->in_at > 0) {
            memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
            c->in_len -= c->in_at;
            c->in_at = 0;
        }
        if (c->in_len == sizeof c->in) {
            return false;
        }
        ssize_t n = c->ssl != NULL ? SSL_read(c->ssl, c->in + c->in_len, (int)(sizeof c->in - c->in_len))
                                   : recv(c->fd, c->in + c->in_len, sizeof c->in - c->in_len, 0);
        if (n <= 0) {
            return false;
        }
        c->in_len += (size_t)n;
        return true;
    }
    return false;
}

/* One line without CRLF, NUL-terminated in place; NULL at the end. Valid until the next. */
static char *line_get(struct connection *c)
{
    for (;;) {
        char *end = memmem(c->in + c->in_at, c->in_len - c->in_at, "\r\n", 2);
        if (end != NULL) {
            char *line = c->in + c->in_at;
            *end = '\0';
            c->in_at = (size_t)(end + 2 - c->in);
            return line;
        }
        if (!fill(c)) {
            return NULL;
        }
    }
}

/* The bytes of "BDAT n LAST", which has to come at once. */
static bool chunk(struct connection *c, size_t size, struct buf *message)
{
    while (size > 0) {
        if (c->in_at == c->in_len && !fill(c)) {
            return false;
        }
        size_t n = c->in_len - c->in_at < size ? c->in_len - c->in_at : size;
        if (buf_append(message, c->in + c->in_at, n) != STATUS_OK) {
            abort();
        }
        c->in_at += n;
        size -= n;
    }
    atomic_fetch_add(&c->sink->chunks, 1);
    return true;
}

static bool lines(struct connection *c, struct buf *message)
{
    put(c, "354 go on\r\n");
    for (;;) {
        const char *line = line_get(c);
        if (line == NULL) {
            return false;
        }
        if (strcmp(line, ".") == 0) {
            return true;
        }
        const char *text = line[0] == '.' ? line + 1 : line;
        if (buf_append_text(message, text) != STATUS_OK || buf_append_text(message, "\r\n") != STATUS_OK) {
            abort();
        }
    }
}

/* `bdat`: what follows the word; NULL: DATA. */
static bool data(struct connection *c, const char *bdat)
{
    struct sink *s = c->sink;
    struct buf message = BUF_INIT((size_t)128 << 20);
    if (bdat != NULL ? !chunk(c, strtoul(bdat, NULL, 10), &message) : !lines(c, &message)) {
        buf_release(&message);
        return false;
    }
    int code = atomic_load(&s->dot_code);
    if (code == 0) {
        pthread_mutex_lock(&s->lock);
        const char *text = buf_text(&message);
        if (s->count < SINK_MESSAGES_MAX) {
            s->messages[s->count] = strdup(text != NULL ? text : "");
            s->envelopes[s->count] = strdup(c->envelope);
        }
        s->count++;
        pthread_cond_broadcast(&s->changed);
        pthread_mutex_unlock(&s->lock);
    }
    buf_release(&message);
    if (atomic_load(&s->close_after_dot)) {
        return false;
    }
    char reply[64];
    if (s->lmtp) {
        for (const char *to = strstr(c->envelope, "RCPT"); to != NULL; to = strstr(to + 1, "RCPT")) {
            put(c, strncmp(to, "RCPT TO:<full@", 14) == 0 ? "452 4.2.2 full\r\n" : "250 2.0.0 stored\r\n");
        }
        return true;
    }
    (void)!snprintf(reply, sizeof reply,
                    code == 0 ? "250 2.0.0 taken\r\n" : "%d %d.3.9 told so by the test\r\n", code,
                    code / 100);
    put(c, reply);
    return true;
}

static void note_hello(struct connection *c, const char *line)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } peer;
    socklen_t len = sizeof peer;
    char address[64] = "";
    if (getpeername(c->fd, &peer.any, &len) == 0) {
        (void)!inet_ntop(peer.any.sa_family,
                         peer.any.sa_family == AF_INET ? (void *)&peer.v4.sin_addr
                                                       : (void *)&peer.v6.sin6_addr,
                         address, sizeof address);
    }
    pthread_mutex_lock(&c->sink->lock);
    (void)!snprintf(c->sink->hello, sizeof c->sink->hello, "%s %s", address, line);
    pthread_mutex_unlock(&c->sink->lock);
}

static void session(struct connection *c)
{
    struct sink *s = c->sink;
    char reply[256];
    put(c, "220 sink\r\n");
    for (const char *line = line_get(c); line != NULL; line = line_get(c)) {
        if (strncasecmp(line, s->lmtp ? "LHLO" : "EHLO", 4) == 0) {
            c->envelope[0] = '\0';
            note_hello(c, line);
            put(c, "250-sink\r\n");
            put(c, atomic_load(&s->no_pipelining) ? "" : "250-PIPELINING\r\n");
            put(c, atomic_load(&s->no_8bitmime) ? "" : "250-8BITMIME\r\n");
            put(c, s->tls != NULL && c->ssl == NULL ? "250-STARTTLS\r\n" : "");
            const char *offers = atomic_load(&s->offers);
            put(c, offers != NULL ? offers : "");
            put(c, "250 SIZE 100000000\r\n");
        } else if (strncasecmp(line, "STARTTLS", 8) == 0 && s->tls != NULL) {
            put(c, "220 go\r\n");
            c->ssl = SSL_new(s->tls);
            SSL_set_fd(c->ssl, c->fd);
            if (SSL_accept(c->ssl) != 1) {
                return;
            }
        } else if (strncasecmp(line, "MAIL", 4) == 0 || strncasecmp(line, "RCPT", 4) == 0) {
            bool mail = strncasecmp(line, "MAIL", 4) == 0;
            int code = atomic_load(mail ? &s->mail_code : &s->rcpt_code);
            if (!mail && s->refuse_recipient != NULL && strstr(line, s->refuse_recipient) != NULL) {
                code = 550;
            }
            if (mail) {
                c->envelope[0] = '\0';
            } else if (c->envelope[0] == '\0') {
                put(c, "503 MAIL first\r\n");
                continue;
            }
            if (code != 0) {
                (void)!snprintf(reply, sizeof reply, "%d %d.1.1 told so by the test\r\n", code, code / 100);
                put(c, reply);
                continue;
            }
            size_t at = strlen(c->envelope);
            (void)!snprintf(c->envelope + at, sizeof c->envelope - at, "%s%s|", line,
                            c->ssl != NULL && mail ? " (TLS)" : "");
            put(c, "250 ok\r\n");
        } else if (strncasecmp(line, "DATA", 4) == 0) {
            if (strstr(c->envelope, "RCPT") == NULL) {
                put(c, "503 no recipients\r\n");
            } else if (!data(c, NULL)) {
                return;
            }
        } else if (strncasecmp(line, "BDAT ", 5) == 0) {
            if (!data(c, line + 5)) {
                return;
            }
        } else if (strncasecmp(line, "QUIT", 4) == 0) {
            put(c, "221 bye\r\n");
            return;
        } else {
            put(c, "250 ok\r\n");
        }
    }
}

static void *connection_main(void *context)
{
    struct connection *c = context;
    session(c);
    if (c->ssl != NULL) {
        SSL_free(c->ssl);
    }
    (void)close(c->fd);
    pthread_mutex_lock(&c->sink->lock);
    c->sink->connections--;
    pthread_cond_broadcast(&c->sink->changed);
    pthread_mutex_unlock(&c->sink->lock);
    free(c);
    return NULL;
}

static void *sink_main(void *context)
{
    struct sink *s = context;
    int one = 1;
    while (!atomic_load(&s->stopping)) {
        struct pollfd p = {.fd = s->listener, .events = POLLIN};
        if (poll(&p, 1, 50) <= 0) {
            continue;
        }
        struct connection *c = calloc(1, sizeof *c);
        c->fd = accept(s->listener, NULL, NULL);
        c->sink = s;
        (void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* it answers line by line */
        pthread_t thread;
        pthread_mutex_lock(&s->lock);
        s->connections++;
        pthread_mutex_unlock(&s->lock);
        if (c->fd < 0 || pthread_create(&thread, NULL, connection_main, c) != 0) {
            abort();
        }
        (void)pthread_detach(thread);
    }
    return NULL;
}

void sink_start(struct sink *s)
{
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t len = sizeof address;
    int one = 1;
    const char *at = s->address != NULL ? s->address : "127.0.0.1";
    memset(&address, 0, sizeof address);
    if (inet_pton(AF_INET, at, &address.v4.sin_addr) == 1) {
        address.v4.sin_family = AF_INET;
        address.v4.sin_port = htons(s->port);
    } else {
        address.v6.sin6_family = AF_INET6;
        address.v6.sin6_port = htons(s->port);
        (void)inet_pton(AF_INET6, at, &address.v6.sin6_addr);
    }
    s->listener = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s->listener, &address.any, len) != 0 || listen(s->listener, 512) != 0 ||
        getsockname(s->listener, &address.any, &len) != 0) {
        abort();
    }
    s->port = ntohs(address.v4.sin_port); /* at the same place in both */
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->changed, NULL);
    atomic_store(&s->stopping, false);
    if (pthread_create(&s->thread, NULL, sink_main, s) != 0) {
        abort();
    }
}

void sink_stop(struct sink *s)
{
    atomic_store(&s->stopping, true);
    (void)pthread_join(s->thread, NULL);
    pthread_mutex_lock(&s->lock);
    while (s->connections > 0) {
        (void)pthread_cond_wait(&s->changed, &s->lock);
    }
    for (size_t i = 0; i < s->count && i < SINK_MESSAGES_MAX; i++) {
        free(s->messages[i]);
        free(s->envelopes[i]);
    }
    s->count = 0;
    pthread_mutex_unlock(&s->lock);
    (void)close(s->listener);
}

bool sink_wait(struct sink *s, size_t count, unsigned timeout_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&s->lock);
    while (s->count < count && pthread_cond_timedwait(&s->changed, &s->lock, &until) != ETIMEDOUT) {
    }
    bool got = s->count >= count;
    pthread_mutex_unlock(&s->lock);
    return got;
}
