/*
 * The smtp role's whole service: server, jobs, spool, delivery, queue. node/role_smtp.c makes the loop, tells
 * it when the store may be read and what core says about the cluster, and stops it. On the loop's thread.
 *
 * Until smtp_service_store_ready() everything listens, SMTP clients get 421, and workers may connect.
 */
#ifndef SEALPOST_SMTP_SERVICE_H
#define SEALPOST_SMTP_SERVICE_H

#include "smtp/reminder.h"
#include "smtp/server.h"
#include "smtp/settings.h"

#include <openssl/ssl.h>
#include <uv.h>

struct smtp_service;

struct smtp_service_options {
    uv_loop_t *loop;
    const char *hostname; /* in banners, EHLO, Received */
    const char *spool_dir;
    const char *log_dir;        /* of the message log; NULL: none is kept */
    const char *tls_report_dir; /* of counts of TLS; NULL: nothing is counted */
    const char *node_name;      /* for the message log */
    struct slice spool_key;     /* 32 bytes, copied */
    SSL_CTX *tls;               /* for STARTTLS; NULL: not offered. Taken. */
    struct {
        const char *name; /* what holds for it: smtp/listener_policy.h; copied */
        int fd;           /* taken */
    } listeners[SERVER_LISTENERS_MAX];
    size_t listener_count;
    int jobs_listener, queue_listener; /* taken; queue may be -1 */
    uint64_t spool_segment_size;       /* 0: the default */
};

enum status smtp_service_new(const struct smtp_service_options *options, struct smtp_service **out,
                             struct failure *f) MUST_CHECK;
/* Settings can be read from now on: opens the spool (reads it all: blocks for as long) and begins to serve.
 * Once. */
enum status smtp_service_store_ready(struct smtp_service *s, const struct settings_source *settings,
                                     uint64_t node_id, struct failure *f) MUST_CHECK;
/* Our own Received fields carry this; copied. The same on all nodes of a cluster. */
void smtp_service_set_mark(struct smtp_service *s, const uint8_t cluster_id[ID_SIZE]);
/* What core last said: when this node last heard from a leader (clock_monotonic_ms; 0: never) and how many
 * voters there are. */
void smtp_service_cluster(struct smtp_service *s, uint64_t contact_ms, uint64_t voters);
/* In order: no new sessions, those in the middle of a message get `grace_ms`, deliveries are broken off, the
 * spool is synced. */
/* A mail of this node's own, under this id (smtp/reminder.h). UNAVAILABLE before the spool is open and while
 * the service stops. */
void smtp_service_reminder(struct smtp_service *s, const uint8_t id[ID_SIZE], struct slice to,
                           struct slice text, reminder_sent_cb cb, void *context);
void smtp_service_stop(struct smtp_service *s, uint64_t grace_ms, void (*stopped)(void *context),
                       void *context);
void smtp_service_free(struct smtp_service *s); /* after `stopped`, and after the loop has run out */

/* TLS for STARTTLS: PEM chain in a file, the key as PKCS#8 DER. TLS 1.2 and later. */
enum status smtp_server_tls(const char *chain_path, struct slice key_pkcs8, SSL_CTX **out,
                            struct failure *f) MUST_CHECK;

#endif
