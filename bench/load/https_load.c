/*
 * A load of HTTP/1.1 requests over TLS, the same for us and for our rivals: each connection is kept alive,
 * has a thread of its own and sends the next request when the last was answered. It counts answers with
 * status 200 and their times; any other status is a failure.
 *
 *   https_load PORT CA.PEM CONNECTIONS SECONDS METHOD PATH BODY [HEADER]
 *
 * In PATH and BODY, `{n}` becomes a number of its own for each request (below 1000, counted up for each
 * connection). BODY may be empty. Prints: answers a second, p50 and p99 in milliseconds, failures, separated
 * by tabs.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define REQUEST_MAX     8192
#define ANSWER_MAX      65536
#define TIMES_MAX       ((size_t)1 << 20)
#define CONNECTIONS_MAX 1024

struct load {
    SSL_CTX *tls;
    uint16_t port;
    double until;
    const char *method, *path, *body, *header;
};

struct connection {
    pthread_t thread;
    const struct load *load;
    unsigned number;
    float *times; /* milliseconds, TIMES_MAX of them */
    size_t count, failures;
};

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Copies `text` with {n} replaced; false when it does not fit. */
static bool expand(char *out, size_t size, const char *text, unsigned n)
{
    const char *mark = strstr(text, "{n}");
    int length = mark == NULL ? snprintf(out, size, "%s", text)
                              : snprintf(out, size, "%.*s%03u%s", (int)(mark - text), text, n, mark + 3);
    return length >= 0 && (size_t)length < size;
}

static SSL *connect_tls(const struct load *l)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(l->port)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    SSL *s;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return NULL;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s = SSL_new(l->tls);
    if (s == NULL || SSL_set_fd(s, fd) != 1 || SSL_connect(s) != 1) {
        ERR_print_errors_fp(stderr);
        (void)close(fd);
        SSL_free(s);
        return NULL;
    }
    return s;
}

/* Reads one answer; its status, or 0 when the connection is of no more use. Knows Content-Length only, which
 * both rivals send. */
static int answer_read(SSL *s, char *buffer)
{
    size_t have = 0, want = 0;

    while (want == 0 || have < want) {
        int n = SSL_read(s, buffer + have, (int)(ANSWER_MAX - 1 - have));
        const char *end, *length;
        if (n <= 0) {
            return 0;
        }
        have += (size_t)n;
        buffer[have] = 0;
        end = strstr(buffer, "\r\n\r\n");
        if (want == 0 && end != NULL) {
            length = strcasestr(buffer, "\r\ncontent-length:");
            want = (size_t)(end - buffer) + 4 + (length != NULL ? strtoul(length + 17, NULL, 10) : 0);
            if (want >= ANSWER_MAX) {
                return 0;
            }
        }
    }
    return have > 12 ? (int)strtol(buffer + 9, NULL, 10) : 0;
}

static void *connection_main(void *context)
{
    struct connection *c = context;
    const struct load *l = c->load;
    char path[1024], body[2048], request[REQUEST_MAX];
    char *answer = malloc(ANSWER_MAX);
    SSL *s = NULL;

    while (answer != NULL && now() < l->until && c->count < TIMES_MAX) {
        double began;
        unsigned n = c->number++ % 1000;
        int length, status;
        if (s == NULL && (s = connect_tls(l)) == NULL) {
            c->failures++;
            (void)usleep(10000);
            continue;
        }
        if (!expand(path, sizeof path, l->path, n) || !expand(body, sizeof body, l->body, n)) {
            break;
        }
        length = snprintf(request, sizeof request,
                          "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s%sContent-Type: "
                          "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                          l->method, path, l->header, *l->header != 0 ? "\r\n" : "", strlen(body), body);
        if (length < 0 || (size_t)length >= sizeof request) {
            break;
        }
        began = now();
        status = SSL_write(s, request, length) == length ? answer_read(s, answer) : 0;
        if (status == 200) {
            c->times[c->count++] = (float)((now() - began) * 1e3);
            continue;
        }
        if (c->failures++ == 0) {
            (void)fprintf(stderr, "https_load: status %d: %.300s\n", status, status != 0 ? answer : "");
        }
        if (status == 0) {
            (void)close(SSL_get_fd(s));
            SSL_free(s);
            s = NULL;
        }
    }
    if (s != NULL) {
        (void)close(SSL_get_fd(s));
        SSL_free(s);
    }
    free(answer);
    return NULL;
}

static int by_time(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    static struct connection connections[CONNECTIONS_MAX];
    struct load l = {.tls = SSL_CTX_new(TLS_client_method())};
    size_t count, total = 0, failures = 0;
    double seconds, began;
    float *all;

    if (argc < 8) {
        (void)fprintf(stderr,
                      "usage: https_load PORT CA.PEM CONNECTIONS SECONDS METHOD PATH BODY [HEADER]\n");
        return 64;
    }
    l.port = (uint16_t)strtoul(argv[1], NULL, 10);
    count = strtoul(argv[3], NULL, 10);
    seconds = strtod(argv[4], NULL);
    l.method = argv[5], l.path = argv[6], l.body = argv[7], l.header = argc > 8 ? argv[8] : "";
    if (count == 0 || count > CONNECTIONS_MAX || l.tls == NULL ||
        SSL_CTX_load_verify_locations(l.tls, argv[2], NULL) != 1) {
        (void)fprintf(stderr, "https_load: cannot read %s, or the number of connections is out of range\n",
                      argv[2]);
        return 1;
    }
    SSL_CTX_set_verify(l.tls, SSL_VERIFY_PEER, NULL);
    began = now();
    l.until = began + seconds;
    for (size_t i = 0; i < count; i++) {
        connections[i] = (struct connection){.load = &l, .number = (unsigned)(i * 37)};
        connections[i].times = malloc(TIMES_MAX * sizeof *connections[i].times);
        if (connections[i].times == NULL ||
            pthread_create(&connections[i].thread, NULL, connection_main, &connections[i]) != 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < count; i++) {
        (void)pthread_join(connections[i].thread, NULL);
        total += connections[i].count;
        failures += connections[i].failures;
    }
    seconds = now() - began;
    all = malloc((total + 1) * sizeof *all);
    if (all == NULL || total == 0) {
        (void)printf("0\t0\t0\t%zu\n", failures);
        return 0;
    }
    total = 0;
    for (size_t i = 0; i < count; i++) {
        memcpy(all + total, connections[i].times, connections[i].count * sizeof *all);
        total += connections[i].count;
        free(connections[i].times);
    }
    qsort(all, total, sizeof *all, by_time);
    (void)printf("%.0f\t%.2f\t%.2f\t%zu\n", (double)total / seconds, (double)all[total / 2],
                 (double)all[total * 99 / 100], failures);
    free(all);
    SSL_CTX_free(l.tls);
    return 0;
}
