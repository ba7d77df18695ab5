/*
 * The smtp service on loopback with everything around it made up: settings from a table, a worker that passes
 * messages on (or refuses, or dies), and a sink that takes mail (or does not). The service runs on its own
 * thread and loop; tests talk to it over sockets.
 */
#ifndef SEALPOST_TESTS_SMTP_RIG_H
#define SEALPOST_TESTS_SMTP_RIG_H

#include "base/buf.h"
#include "mail/job.h"
#include "smtp/queue_protocol.h"
#include "smtp/queue_selection.h"
#include "smtp/service.h"

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

enum rig_worker_mode {
    RIG_PASS,       /* one variant, unchanged */
    RIG_REFUSE,     /* NO_KEY for every recipient */
    RIG_DIE,        /* closes its channel on a job, and connects again */
    RIG_DIE_ONCE,   /* ... the first time */
    RIG_SPLIT,      /* a variant for each recipient */
    RIG_EXCEPTIONS, /* by the recipient's name: told... (a notice to the sender), refused@, held@
                       (quarantine), routed@ (to `route`), aside@ (put aside as it came; released: refused
                       while `still_aside`) */
    RIG_EIGHT_BIT,  /* passes on, says that the variant needs 8BITMIME; TO_7BIT gives "7-bit form" */
};

struct rig_setting {
    char name[64];
    char text[256];
};

#define SINK_MESSAGES_MAX 20000

struct sink {
    int listener;
    const char *address; /* where it listens; NULL: 127.0.0.1 */
    bool lmtp;           /* a reply for each recipient after the dot: 452 for "full@" */
    char hello[128];     /* the last one, behind the address that it came from */
    uint16_t port;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;                       /* messages taken */
    char *messages[SINK_MESSAGES_MAX];  /* as received, dots unstuffed, NUL-terminated */
    char *envelopes[SINK_MESSAGES_MAX]; /* "MAIL FROM:...|RCPT TO:...|" */
    size_t connections;
    /* behaviour */
    atomic_bool stopping, no_pipelining, no_8bitmime, starttls;
    _Atomic int mail_code, rcpt_code, dot_code; /* 0: accept */
    char *refuse_recipient;                     /* "bad@": those get 550 */
    const char *_Atomic offers;                 /* lines more of the reply to EHLO, "250-DSN\\r\\n" */
    atomic_size_t chunks;                       /* messages that came by BDAT */
    atomic_bool close_after_dot;
    SSL_CTX *tls;
};

void sink_start(struct sink *s);
void sink_stop(struct sink *s);
bool sink_wait(struct sink *s, size_t count, unsigned timeout_ms); /* until it has as many */

#define RIG_LISTENERS 4

/* A listener beside relay and lmtp; the name and what is set for it ("role=inbound\n") by the test. */
struct rig_listener {
    char name[32], text[256];
    uint16_t port;
};

struct rig {
    struct rig_listener listeners[RIG_LISTENERS];
    size_t listener_count;
    char dir[64];
    pthread_t thread, workers[4];
    size_t worker_count;
    uv_loop_t loop;
    uv_async_t stop;
    uv_async_t poke;
    struct smtp_service *service;
    uint16_t port, lmtp_port;
    struct rig_setting settings[32];
    size_t setting_count;
    atomic_uint_fast64_t setting_index;
    pthread_mutex_t setting_lock;
    _Atomic enum rig_worker_mode mode;
    atomic_bool workers_stop;
    atomic_size_t jobs;
    atomic_bool died_once;
    SSL_CTX *tls;
    uint64_t segment_size;
    unsigned grace_ms;
    _Atomic uint64_t contact_ms, voters;
    bool keep_dir; /* the spool of a former rig */
    int queue_fd;
    bool without_log;
    const uint8_t *cluster_id; /* for the mark in Received fields; NULL: none */
    char route[64];            /* next hop of RIG_EXCEPTIONS */
    atomic_bool still_aside;
    char released[64]; /* listener and flags of the last job that was released */
};

/* `rig` is zeroed but for what the test wants; settings have their defaults unless set before. */
void rig_start(struct rig *r);
/* "NAME" or "NAME@DOMAIN" */
void rig_set(struct rig *r, const char *name, const char *text);
/* What is set for the listener of this name, which may be relay or lmtp too, from now on. */
void rig_listener_set(struct rig *r, const char *name, const char *text);
void rig_stop(struct rig *r); /* in order; the folder stays */
void rig_remove(struct rig *r);

/* A blocking SMTP client. */
int rig_connect(uint16_t port);
void client_send(int fd, const char *text);
/* One whole reply; its code. Fails the test after five seconds. */
int client_reply(int fd, char *out, size_t size);
int client_command(int fd, const char *line); /* "NOOP" -> code */
/* A whole message in one session; the code of the last reply, its text in `reply` if not NULL. */
int client_deliver(uint16_t port, const char *from, const char *to, const char *body, char *reply,
                   size_t size);
/* One request to the queue and its answer; release the frame. With an id, or STATS without. */
void rig_queue_ask(struct rig *r, const char *id, enum queue_request type, struct channel_frame *frame);
/* The same with `count` arguments, raw MessagePack. */
void rig_queue_question(struct rig *r, enum queue_request type, const struct buf *args, size_t count,
                        struct channel_frame *frame);
/* An operation on all that are meant, until it is over; how many it was done to. */
uint64_t rig_operate(struct rig *r, const char *action, const struct queue_selection *selection);
uint64_t rig_stat(struct rig *rig, const char *name);

bool client_closed(int fd); /* the server has closed it (within five seconds) */

#endif
