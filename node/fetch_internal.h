/*
 * The fetch role inside (node/role_fetch.c). One loop owns the sessions, core's client and the schedule;
 * threads do what waits for others (node/fetch_threads.h). What both touch is in struct fetch_shared, under
 * its lock.
 */
#ifndef SEALPOST_NODE_FETCH_INTERNAL_H
#define SEALPOST_NODE_FETCH_INTERNAL_H

#include "crypto/x509.h"
#include "mail/fetch_protocol.h"
#include "node/fetch_client.h"
#include "node/fetch_memory.h"
#include "node/fetch_once.h"
#include "node/fetch_threads.h"
#include "node/role.h"
#include "raft/core_protocol.h"
#include "store/setting.h"

#include <pthread.h>

#define FETCH_FAILURE_MS ((uint64_t)10 * 60 * 1000) /* how long a failed look-up is not tried again */
#define FETCH_SMALL_MAX  ((size_t)1 << 20)          /* bytes of an answer that is no CRL */

struct fetch_shared {
    pthread_mutex_t lock;
    struct store *store; /* NULL until core allows it; then never changed */
    struct fetch_memory memory;
    struct trust *trust;
    uint64_t trust_generation;
    struct fetch_once once; /* has a lock of its own */
};
/* trust_check() with the anchors of the newest state. Any thread. */
enum status fetch_trust_check(struct fetch_shared *s, struct slice der, STACK_OF(X509) * extra,
                              struct failure *f) MUST_CHECK;
/* The same as in fetch_memory.h, with the lock; hosts are given by name. */
bool fetch_has_failed(struct fetch_shared *s, const uint8_t key[FETCH_KEY_SIZE]);
void fetch_failed(struct fetch_shared *s, const uint8_t key[FETCH_KEY_SIZE], uint64_t for_ms);
bool fetch_may_ask(struct fetch_shared *s, const char *host);

struct fetch_counts {
    uint64_t issuers_asked, issuers_found, people_asked, people_found, people_failed, proposals_failed;
    uint64_t lists_fetched, lists_failed, ocsp_fetched, ocsp_failed;
};

struct fetch_session;
struct fetch {
    struct role_context *context;
    struct core_client *core;
    struct fetch_shared shared;
    struct fetch_threads *askers;     /* for messages that wait */
    struct fetch_threads *listers;    /* for revocation lists */
    struct fetch_threads *responders; /* for OCSP */
    struct fetch_lists *lists;        /* node/fetch_lists.h */
    struct fetch_ocsp *ocsp;          /* node/fetch_ocsp.h */
    struct fetch_dns *dns;            /* node/fetch_dns.h */
    struct fetch_sts *sts;            /* node/fetch_sts.h */
    struct fetch_session *sessions;
    size_t session_count;
    uint64_t next_session;
    char leader[NODE_NAME_MAX + 1]; /* "" while unknown */
    struct fetch_counts counts;
};
bool fetch_leads(const struct fetch *r);    /* is this the node that fetches lists? */
uint64_t fetch_refresh_ms(struct fetch *r); /* crl.refresh; as by default when it cannot be read */
/* A setting's canonical text, copied to `out` (its maximum holds it). A failure is the store's: ask nobody
 * then. */
enum status fetch_setting(struct store_view *view, enum setting_id id, struct slice address,
                          struct buf *out) MUST_CHECK;

/* --- node/fetch_sessions.c: who asks over run/fetch.sock --- */
/* A question that is worked on: by numbers, since the session may end before. */
struct fetch_asker {
    uint64_t session, number;
    enum fetch_request_type type;
};
void fetch_sessions_accept(struct fetch *r, int listener);
void fetch_session_read(struct fetch *r, struct fetch_session *s);
int fetch_session_fd(const struct fetch_session *s);
struct fetch_session *fetch_session_next(const struct fetch_session *s);
void fetch_sessions_sweep(struct fetch *r); /* frees those that ended */
void fetch_sessions_free(struct fetch *r);
/* Nothing happens if the session is gone. */
void fetch_reply(struct fetch *r, const struct fetch_asker *to, enum status status, const char *text,
                 struct slice results, size_t count);

/* --- node/fetch_state.c: what is told of the schedule --- */
void fetch_stats_reply(struct fetch *r, const struct fetch_asker *to);
void fetch_list_reply(struct fetch *r, const struct fetch_asker *to);
void fetch_now_reply(struct fetch *r, const struct fetch_asker *to, struct slice url);

/* --- node/fetch_proposal.c --- */
/* Called exactly once, on the loop; `stored`: how many of the certificates are in the store now. */
typedef void (*fetch_stored_cb)(struct fetch *r, void *context, size_t stored);
/* Proposes each as a certificate of this source. What cannot be read is left out. `cb` may be NULL. */
void fetch_propose_certificates(struct fetch *r, const struct slice *der, size_t count, const char *source,
                                fetch_stored_cb cb, void *context);

/* --- node/fetch_issuers.c, node/fetch_people.c: the questions; each answers in time --- */
void fetch_issuers(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q);
void fetch_people(struct fetch *r, const struct fetch_asker *from, const struct fetch_question *q);

#endif
