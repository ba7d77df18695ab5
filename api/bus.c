/*
 * See bus.h. One thread with poll(2): the client of core, the queue's connection, and an eventfd that says
 * that the loop submitted something. It asks smtp for its STATS every second, which is also how the health
 * check learns that smtp answers, and fetch for its own every two. What can go wrong: core or smtp is away:
 * requests fail with a status and the clients connect again. It parses no HTTP and touches no exchange.
 */
#include "api/bus.h"

#include "api/queue_client.h"
#include "base/log.h"
#include "mail/fetch_protocol.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define POLL_MS          100
#define STATS_SOON_MS    50 /* while smtp is not ready */
#define STATS_EVERY_MS   1000
#define STATS_TIMEOUT_MS 2000
#define FETCH_EVERY_MS   2000

struct bus {
    pthread_t thread;
    int wake_fd;
    bus_deliver_cb deliver;
    void *context;
    struct core_client *core;              /* bus thread */
    struct queue_client *queue;            /* bus thread */
    struct queue_client *fetch;            /* bus thread; its frames are like the queue's */
    uint64_t next_stats_ms, next_fetch_ms; /* bus thread */
    pthread_mutex_t lock;                  /* what follows */
    bool stop;
    struct bus_request *submitted, **submitted_end;
    struct bus_health health;
    struct buf stats, fetch_stats;
};

/* A core request on its way: the client's callback gets it back. */
struct core_call {
    struct bus *bus;
    struct bus_request *request;
};

struct bus_request *bus_request_new(uint64_t exchange, enum bus_service service, unsigned type,
                                    unsigned timeout_ms)
{
    struct bus_request *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        abort();
    }
    *r = (struct bus_request){.exchange = exchange,
                              .service = service,
                              .type = type,
                              .timeout_ms = timeout_ms,
                              .arguments = {.max = BUS_ARGUMENTS_MAX, .wipe = true}};
    return r;
}

void bus_request_free(struct bus_request *r)
{
    if (r != NULL) {
        buf_release(&r->arguments);
        free(r);
    }
}

struct bus_answer *bus_answer_new(uint64_t exchange, enum status status, const char *text, struct slice body)
{
    struct bus_answer *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        abort();
    }
    *a = (struct bus_answer){
        .exchange = exchange, .status = status, .body = {.max = CHANNEL_PAYLOAD_MAX, .wipe = true}};
    memccpy(a->text, text, '\0', sizeof(a->text) - 1);
    if (buf_append_slice(&a->body, body) != STATUS_OK) {
        a->status = STATUS_NO_MEMORY;
    }
    return a;
}

void bus_answer_free(struct bus_answer *a)
{
    if (a != NULL) {
        buf_release(&a->body);
        free(a);
    }
}

/* --- answers (bus thread) --- */

static void answered_cb(void *context, const struct core_answer *answer)
{
    struct core_call *call = context;
    struct bus *b = call->bus;
    struct bus_answer *a =
        bus_answer_new(call->request->exchange, answer->status, answer->text, answer->body);
    a->index = answer->index;
    bus_request_free(call->request);
    free(call);
    b->deliver(b->context, a);
}

static void stats_note(struct bus *b, enum status status, struct slice body)
{
    pthread_mutex_lock(&b->lock);
    if (status == STATUS_OK) {
        b->health.queue_ms = clock_monotonic_ms();
        buf_reset(&b->stats);
        if (buf_append_slice(&b->stats, body) != STATUS_OK) {
            buf_reset(&b->stats);
        }
    } else {
        b->health.queue_ms = 0;
        b->next_stats_ms = clock_monotonic_ms() + STATS_SOON_MS;
    }
    pthread_mutex_unlock(&b->lock);
}

static void queue_answered_cb(void *context, struct bus_request *request, enum status status,
                              struct slice text, struct slice body)
{
    struct bus *b = context;
    char copy[FAILURE_TEXT_MAX] = "";
    if (request->exchange == 0) {
        stats_note(b, status, body);
        bus_request_free(request);
        return;
    }
    memcpy(copy, text.data, text.len < sizeof(copy) ? text.len : sizeof(copy) - 1);
    struct bus_answer *a = bus_answer_new(request->exchange, status, copy, body);
    bus_request_free(request);
    b->deliver(b->context, a);
}

/* The only questions there are asked for STATS. */
static void fetch_answered_cb(void *context, struct bus_request *request, enum status status,
                              struct slice text, struct slice body)
{
    struct bus *b = context;
    (void)text;
    pthread_mutex_lock(&b->lock);
    buf_reset(&b->fetch_stats);
    if (status != STATUS_OK || buf_append_slice(&b->fetch_stats, body) != STATUS_OK) {
        buf_reset(&b->fetch_stats);
    }
    pthread_mutex_unlock(&b->lock);
    bus_request_free(request);
}

static void event_cb(void *context, const struct core_event *event)
{
    struct bus *b = context;
    pthread_mutex_lock(&b->lock);
    if (event == NULL) {
        b->health.leader[0] = '\0';
        b->health.contact_ms = 0;
    } else {
        b->health.applied_index = event->applied_index;
        b->health.contact_ms = event->contact_ms;
        b->health.voters = event->voters;
        memcpy(b->health.leader, event->leader, sizeof(b->health.leader));
    }
    pthread_mutex_unlock(&b->lock);
}

/* --- the thread --- */

static void pass_on(struct bus *b, struct bus_request *r)
{
    if (r->service == BUS_QUEUE) {
        queue_client_ask(b->queue, r);
        return;
    }
    struct core_call *call = malloc(sizeof(*call));
    if (call == NULL) {
        abort();
    }
    *call = (struct core_call){b, r};
    if (r->service == BUS_PROPOSE) {
        core_client_propose(b->core, buf_slice(&r->arguments), r->timeout_ms, answered_cb, call);
    } else {
        core_client_ask(b->core, (enum core_request)r->type, buf_slice(&r->arguments), r->argument_count,
                        r->timeout_ms, answered_cb, call);
    }
}

static void pass_on_all(struct bus *b)
{
    pthread_mutex_lock(&b->lock);
    struct bus_request *r = b->submitted;
    b->submitted = NULL;
    b->submitted_end = &b->submitted;
    pthread_mutex_unlock(&b->lock);
    while (r != NULL) {
        struct bus_request *next = r->next;
        pass_on(b, r);
        r = next;
    }
}

static void ask_for_stats(struct bus *b)
{
    uint64_t now = clock_monotonic_ms();
    if (queue_client_fd(b->queue) < 0) {
        b->next_stats_ms = 0; /* at once when it is there again; until it has answered, /readyz says no */
        pthread_mutex_lock(&b->lock);
        b->health.queue_ms = 0;
        pthread_mutex_unlock(&b->lock);
    } else if (now >= b->next_stats_ms) {
        b->next_stats_ms = now + STATS_EVERY_MS;
        queue_client_ask(b->queue, bus_request_new(0, BUS_QUEUE, QUEUE_STATS, STATS_TIMEOUT_MS));
    }
}

static void ask_fetch_for_stats(struct bus *b)
{
    uint64_t now = clock_monotonic_ms();
    if (now >= b->next_fetch_ms) {
        b->next_fetch_ms = now + FETCH_EVERY_MS;
        queue_client_ask(b->fetch, bus_request_new(0, BUS_QUEUE, FETCH_STATS, STATS_TIMEOUT_MS));
    }
}

static void note_core(struct bus *b)
{
    bool ready = core_client_ready(b->core);
    pthread_mutex_lock(&b->lock);
    b->health.core_ready = ready;
    if (ready) {
        memccpy(b->health.node, core_client_node_name(b->core), '\0', sizeof(b->health.node) - 1);
    }
    pthread_mutex_unlock(&b->lock);
}

static bool told_to_stop(struct bus *b)
{
    pthread_mutex_lock(&b->lock);
    bool stop = b->stop;
    pthread_mutex_unlock(&b->lock);
    return stop;
}

static void *bus_thread(void *context)
{
    struct bus *b = context;
    while (!told_to_stop(b)) {
        struct pollfd fds[] = {
            {.fd = b->wake_fd, .events = POLLIN},
            {.fd = core_client_fd(b->core), .events = POLLIN},
            {.fd = queue_client_fd(b->queue), .events = POLLIN},
            {.fd = queue_client_fd(b->fetch), .events = POLLIN},
        };
        uint64_t count;
        if (poll(fds, 4, POLL_MS) > 0 && (fds[0].revents & POLLIN) != 0 &&
            read(b->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN) {
            log_event(LOG_ERROR, "the bus cannot be woken", LOG_NUMBER("errno", errno));
        }
        pass_on_all(b);
        core_client_read(b->core);
        queue_client_read(b->queue);
        queue_client_read(b->fetch);
        ask_for_stats(b);
        ask_fetch_for_stats(b);
        note_core(b);
    }
    return NULL;
}

/* --- from other threads --- */

static void wake(struct bus *b)
{
    uint64_t one = 1;
    ssize_t n;
    do {
        n = write(b->wake_fd, &one, sizeof(one));
    } while (n < 0 && errno == EINTR); /* EAGAIN: it is awake anyway */
}

void bus_submit(struct bus *b, struct bus_request *request)
{
    request->next = NULL;
    pthread_mutex_lock(&b->lock);
    *b->submitted_end = request;
    b->submitted_end = &request->next;
    pthread_mutex_unlock(&b->lock);
    wake(b);
}

void bus_health_get(struct bus *b, struct bus_health *out)
{
    pthread_mutex_lock(&b->lock);
    *out = b->health;
    pthread_mutex_unlock(&b->lock);
}

void bus_stats_get(struct bus *b, enum bus_stats whose, struct buf *out)
{
    pthread_mutex_lock(&b->lock);
    enum status status =
        buf_append_slice(out, buf_slice(whose == BUS_STATS_SMTP ? &b->stats : &b->fetch_stats));
    pthread_mutex_unlock(&b->lock);
    if (status != STATUS_OK) {
        buf_reset(out);
    }
}

/* Signals are for the loop's thread, which reads them from the signalfd. */
static int thread_start(struct bus *b)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&b->thread, NULL, bus_thread, b);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

enum status bus_start(const struct bus_sockets *sockets, bus_deliver_cb deliver, void *context,
                      struct bus **out, struct failure *f)
{
    struct bus *b = calloc(1, sizeof(*b));
    int error;
    if (b == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "there is no memory for the bus");
    }
    b->deliver = deliver;
    b->context = context;
    b->submitted_end = &b->submitted;
    b->stats.max = b->fetch_stats.max = BUS_STATS_MAX;
    pthread_mutex_init(&b->lock, NULL);
    b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (b->wake_fd < 0) {
        error = errno;
        goto err_after_alloc;
    }
    if (core_client_new("api", sockets->core, event_cb, b, &b->core) != STATUS_OK) {
        error = ENOMEM;
        goto err_after_eventfd;
    }
    b->queue = queue_client_new(sockets->queue, queue_answered_cb, b);
    b->fetch = queue_client_new(sockets->fetch, fetch_answered_cb, b);
    if ((error = thread_start(b)) != 0) {
        goto err_after_clients;
    }
    *out = b;
    return STATUS_OK;

err_after_clients:
    queue_client_free(b->queue);
    queue_client_free(b->fetch);
    core_client_free(b->core);
err_after_eventfd:
    close(b->wake_fd);
err_after_alloc:
    pthread_mutex_destroy(&b->lock);
    free(b);
    return failure_errno(f, error, "the bus cannot be started");
}

void bus_stop(struct bus *b)
{
    if (b == NULL) {
        return;
    }
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_mutex_unlock(&b->lock);
    wake(b);
    pthread_join(b->thread, NULL);
    pass_on_all(b);
    core_client_free(b->core);
    queue_client_free(b->queue);
    queue_client_free(b->fetch);
    buf_release(&b->stats);
    buf_release(&b->fetch_stats);
    close(b->wake_fd);
    pthread_mutex_destroy(&b->lock);
    free(b);
}
