/*
 * The service alone under load, with a worker that passes messages on: how much the SMTP server, spool and
 * delivery cost by themselves. Not a test. With --serve it only runs: clients and next hop are other
 * programs.
 *
 *   service_load [SESSIONS [MESSAGES [BYTES]]]          clients and sink of its own; prints messages a
 * second, accepted and delivered service_load --serve PORT NEXT_HOP [WORKERS]        until standard input
 * ends
 */
#include "rig.h"

#include <stdio.h>
#include <unistd.h>

struct client {
    pthread_t thread;
    uint16_t port;
    size_t messages;
    const char *body;
    size_t refused;
};

static void *client_main(void *context)
{
    struct client *c = context;
    int fd = rig_connect(c->port);
    (void)client_reply(fd, NULL, 0);
    (void)client_command(fd, "EHLO load");
    for (size_t i = 0; i < c->messages; i++) {
        client_send(fd, "MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n");
        (void)client_reply(fd, NULL, 0);
        (void)client_reply(fd, NULL, 0);
        (void)client_reply(fd, NULL, 0);
        client_send(fd, c->body);
        c->refused += client_reply(fd, NULL, 0) != 250;
    }
    (void)close(fd);
    return NULL;
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static size_t number(const char *text, size_t otherwise)
{
    uint64_t n = 0;
    return text != NULL && slice_parse_u64(slice_of_text(text), &n) ? (size_t)n : otherwise;
}

static int serve(int argc, char **argv)
{
    static struct rig r;
    char byte;
    r.port = (uint16_t)number(argv[2], 0);
    r.worker_count = number(argc > 4 ? argv[4] : NULL, 2);
    r.grace_ms = 1000;
    rig_set(&r, "delivery.next_hop", argv[3]);
    rig_start(&r);
    (void)printf("listening on 127.0.0.1:%u\n", r.port);
    (void)fflush(stdout);
    while (read(STDIN_FILENO, &byte, 1) > 0) {
    }
    rig_stop(&r);
    rig_remove(&r);
    return 0;
}

int main(int argc, char **argv)
{
    static struct rig r;
    static struct sink s;
    static struct client clients[1000];
    if (argc > 3 && strcmp(argv[1], "--serve") == 0) {
        return serve(argc, argv);
    }
    r.without_log = getenv("WITHOUT_LOG") != NULL; /* what the message log costs */
    size_t sessions = number(argc > 1 ? argv[1] : NULL, 20),
           messages = number(argc > 2 ? argv[2] : NULL, 10000);
    size_t bytes = number(argc > 3 ? argv[3] : NULL, 10240);
    char text[64];
    char *body = malloc(bytes + 200);
    if (body == NULL || sessions == 0 || sessions > 1000 || messages > SINK_MESSAGES_MAX) {
        return 2;
    }
    size_t at = (size_t)snprintf(body, 100, "From: a@a.test\r\nSubject: load\r\n\r\n");
    while (at < bytes) {
        memset(body + at, 'x', 70);
        memcpy(body + at + 70, "\r\n", 3);
        at += 72;
    }
    memcpy(body + at, ".\r\n", 4);
    r.worker_count = 2;
    r.grace_ms = 1000;
    sink_start(&s);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", s.port);
    rig_set(&r, "delivery.next_hop", text);
    rig_set(&r, "smtp.max_messages_per_session", "100000");
    rig_start(&r);
    double begin = seconds();
    size_t refused = 0;
    for (size_t i = 0; i < sessions; i++) {
        clients[i] = (struct client){.port = r.port, .messages = messages / sessions, .body = body};
        if (pthread_create(&clients[i].thread, NULL, client_main, &clients[i]) != 0) {
            return 1;
        }
    }
    for (size_t i = 0; i < sessions; i++) {
        (void)pthread_join(clients[i].thread, NULL);
        refused += clients[i].refused;
    }
    double accepted = seconds() - begin;
    size_t total = messages / sessions * sessions;
    bool all = sink_wait(&s, total - refused, 60000);
    double delivered = seconds() - begin;
    (void)printf("%zu messages of %zu bytes, %zu sessions: accepted %.0f/s, accepted and delivered %.0f/s, "
                 "refused %zu%s\n",
                 total, at, sessions, (double)total / accepted, (double)total / delivered, refused,
                 all ? "" : ", NOT ALL DELIVERED");
    rig_stop(&r);
    sink_stop(&s);
    rig_remove(&r);
    free(body);
    return all ? 0 : 1;
}
