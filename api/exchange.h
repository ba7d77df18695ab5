/*
 * One request to the API and its answer, without a word of HTTP: the server (api/server.c), or a test, gives
 * it the route, the parameters and the checked body, and gets the answer through `struct api`.
 *
 * A request is served in steps, on the loop's thread. A step reads the store through exchange_view(), and
 * leaves one of four outcomes: an answer, a question to the bus, a run of writes, or a job; each of the last
 * three names the step that goes on. The driver in exchange.c acts on the outcome after the step has
 * returned, so that a step never touches an exchange that is gone. Views, slices of the store and of the
 * bus's answers end with the step; what must live longer goes into the arena.
 */
#ifndef SEALPOST_API_EXCHANGE_H
#define SEALPOST_API_EXCHANGE_H

#include "api/bus.h"
#include "api/job_thread.h"
#include "api/route.h"
#include "crypto/seal.h"
#include "crypto/x509.h"
#include "store/command.h"
#include "store/permission.h"

#define EXCHANGE_ARENA_MAX  ((size_t)24 << 20) /* bytes */
#define EXCHANGE_ANSWER_MAX ((size_t)32 << 20)
#define EXCHANGE_WRITES_MAX 300 /* a file of certificates, and what goes with it */
#define EXCHANGE_TIMEOUT_MS 20000
#define API_LIST_LIMIT      1000 /* entries of one answer, unless ?limit= says less */

struct api_counters {
    uint64_t requests, answers[6]; /* by the first digit of the HTTP status */
    uint64_t refused_heads, denied, connections, connections_open;
};

/* What all exchanges share. The server and the tests fill the functions. */
struct api {
    struct store *store; /* NULL until core allows to open it */
    struct keyring keyring;
    struct secret transport_key; /* crypto/transport_secret.h */
    struct trust *trust;         /* as of trust_generation */
    uint64_t trust_generation;
    struct ruleset *rules; /* as of policy_generation */
    uint64_t policy_generation;
    struct api_counters counters;
    uint64_t next_exchange;
    /* api/ca_rounds.c: when the round under way began (0: none), and how far the look at certificates is */
    uint64_t ca_round_since_ms;
    bool ca_round_begun;
    uint8_t ca_round_at[THUMBPRINT_SIZE];
    /* Both note x as one who waits, and take the request; the job only if OK. */
    void (*submit)(struct api *api, struct exchange *x, struct bus_request *request);
    enum status (*start_job)(struct api *api, struct exchange *x, struct api_job *job);
    void (*wait_for_index)(struct api *api, struct exchange *x); /* until the store holds x->index, or so */
    void (*answered)(struct api *api, struct exchange *x);       /* send x's answer and free x */
    void (*health)(struct api *api, struct bus_health *out);
    void (*stats)(struct api *api, enum bus_stats whose, struct buf *out); /* see bus_stats_get() */
};

typedef void (*exchange_step)(struct exchange *x, const struct bus_answer *answer);

struct exchange_write {
    struct buf command;
    enum status status;
    char text[FAILURE_TEXT_MAX];
    bool done;
};

enum exchange_outcome { EXCHANGE_NOTHING, EXCHANGE_ANSWER, EXCHANGE_ASK, EXCHANGE_WRITE, EXCHANGE_JOB };

struct exchange {
    uint64_t id;
    struct api *api; /* borrowed */
    const struct api_route *route;
    const char *parameters[PATH_PARAMETERS_MAX]; /* decoded, in the arena */
    struct query query;
    json_t *body; /* owned; NULL if there was none */
    char actor[COMMAND_ACTOR_MAX + 1];
    char role[ROLE_NAME_MAX + 1];   /* of the token that asks; "" for what is open to everyone */
    const char *missing_permission; /* why it is refused; NULL: not for that */
    struct arena arena;
    void *state; /* the resource's own, in the arena */
    uint64_t started_ms;

    /* the present step */
    struct store_view *view;
    enum exchange_outcome outcome;
    exchange_step next;
    bool needs_ok; /* exchange_need() asked */
    struct bus_request *question;
    struct api_job *job;    /* to be started */
    struct api_job *done;   /* in the step that exchange_run_job() named: the job, which ends with the step */
    uint64_t wait_until_ms; /* see wait_for_index */

    struct exchange_write *writes; /* owned, EXCHANGE_WRITES_MAX of them, or NULL */
    size_t write_count, write_at;
    bool stop_at_failure;

    /* the answer */
    int http_status;
    uint64_t index; /* of the last write; 0: none */
    const char *content_type;
    struct buf answer;
    unsigned allowed;  /* methods for the Allow field of a 405 */
    bool sign_in;      /* a 401 that names the scheme */
    int http_override; /* the next failure gets this HTTP status instead of its own; 0: none */
    void *server;      /* the server's own */
    struct exchange *next_waiting;
};

struct exchange *exchange_new(struct api *api, const struct api_route *route);
void exchange_free(struct exchange *x); /* wipes what may be secret */

/* --- driving, by the server --- */

/* Parse and check body and query, wait for a barrier if one is asked for, serve. `body` is borrowed. */
void exchange_start(struct exchange *x, struct slice body);
void exchange_resume(struct exchange *x, const struct bus_answer *answer); /* borrowed */
void exchange_job_done(struct exchange *x, struct api_job *job);           /* takes it */
void exchange_index_reached(struct exchange *x);
/* An answer without a step: before the route is known, say. */
void exchange_refuse(struct exchange *x, enum status status, const char *text);

/* --- what a step may do --- */

/* NULL: the exchange was failed, return at once. */
struct store_view *exchange_view(struct exchange *x);
void exchange_answer(struct exchange *x, json_t *body); /* takes it; the route's status */
void exchange_answer_text(struct exchange *x, const char *content_type,
                          struct buf *text); /* takes its content */
/* The answer that a job's own exchange came to: see resource_policy_test.c. */
void exchange_answer_of(struct exchange *x, struct exchange *inner);
void exchange_fail(struct exchange *x, const struct failure *f);
void exchange_failf(struct exchange *x, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void exchange_fail_field(struct exchange *x, const struct failure *f, const char *field);
/* Arguments are raw MessagePack values. The question belongs to the exchange: fill its arguments. */
struct bus_request *exchange_ask(struct exchange *x, enum bus_service service, unsigned type,
                                 exchange_step next);
/* As exchange_ask, but the step is called only when the answer's status is OK; else the exchange fails with
 * it. */
struct bus_request *exchange_need(struct exchange *x, enum bus_service service, unsigned type,
                                  exchange_step next);
void exchange_run_job(struct exchange *x, struct api_job *job, exchange_step next); /* takes it */

/* Writes: start each command with exchange_command(), add it, and run them all. When the last was answered
 * and this node's store holds it, `next` goes on (with a NULL answer) and finds each status in x->writes. */
void exchange_command(struct exchange *x, struct command *c, enum command_number number);
enum status exchange_write_add(struct exchange *x, const struct command *c, struct failure *f) MUST_CHECK;
void exchange_write_run(struct exchange *x, bool stop_at_failure, exchange_step next);
/* Forgets them, to propose anew on a fresh view what another change came in between of. */
void exchange_writes_clear(struct exchange *x);
/* One command, and its failure fails the exchange. */
void exchange_write_one(struct exchange *x, const struct command *c, exchange_step next);

/* --- the shared state, fresh --- */

enum status api_keys_refresh(struct api *api, struct store_view *view, struct failure *f) MUST_CHECK;
enum status api_trust_refresh(struct api *api, struct store_view *view, struct failure *f) MUST_CHECK;
enum status api_rules_refresh(struct api *api, struct store_view *view, struct failure *f) MUST_CHECK;

#endif
