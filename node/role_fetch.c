/*
 * The fetch role: what must be asked of others. Workers ask it over run/fetch.sock for certificates that a
 * message lacks, and on the leader's node it fetches revocation lists on schedule.
 *
 * When all goes well: core says that the store may be opened; a loop with poll(2) takes questions, gives them
 * to threads that may wait for the network, sends the answers back, and proposes what was found through core,
 * as any change of the cluster is made.
 *
 * What can go wrong: core goes away: what is under way fails, and messages are decided without it. The
 * network does not answer: each task has its own limit of time and size. This process crashes on hostile
 * bytes: it holds no key and no mail, and the supervisor starts another; a worker that waited goes on without
 * an answer.
 *
 * It holds no key, opens the store for reading only, listens on no network, and goes only where
 * node/fetch_guard.h lets it.
 */
#include "node/fetch_internal.h"

#include "base/channel.h"
#include "base/log.h"
#include "node/fetch_directory.h"
#include "node/fetch_dns.h"
#include "node/fetch_http.h"
#include "node/fetch_lists.h"
#include "node/fetch_ocsp.h"
#include "node/fetch_sts.h"

#include <errno.h>
#include <poll.h>

#define STORE_FOLDER     "state"
#define POLL_MS          200
#define POLL_STARTING_MS 20
#define ASKERS           6
#define ASKERS_WAITING   40
#define LISTERS          2
#define LISTERS_WAITING  4
#define RESPONDERS       3
#define FIXED_POLLED     6
#define POLLED_MAX       320

static void core_event_cb_note(void *context, const struct core_event *event)
{
    struct fetch *r = context;
    if (event == NULL) {
        r->leader[0] = '\0'; /* without core nothing can be proposed */
    } else {
        memcpy(r->leader, event->leader, sizeof r->leader);
    }
}

static void store_open_if_ready(struct fetch *r)
{
    struct failure f = {.status = STATUS_OK};
    struct store *store = NULL;
    if (r->shared.store != NULL || !core_client_ready(r->core)) {
        return;
    }
    if (store_open_reader(STORE_FOLDER, &store, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the store could not be opened", LOG_TEXT("reason", f.text));
        return;
    }
    pthread_mutex_lock(&r->shared.lock);
    r->shared.store = store;
    pthread_mutex_unlock(&r->shared.lock);
    log_event(LOG_INFO, "ready to fetch");
}

/* stop, core, the listener, the threads of both kinds, then the sessions. */
static size_t poll_fill(struct fetch *r, int listener, struct pollfd fds[POLLED_MAX],
                        struct fetch_session *polled[POLLED_MAX])
{
    size_t count = FIXED_POLLED;
    fds[0] = (struct pollfd){.fd = r->context->stop_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = core_client_fd(r->core), .events = POLLIN};
    fds[2] = (struct pollfd){.fd = listener, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = fetch_threads_fd(r->askers), .events = POLLIN};
    fds[4] = (struct pollfd){.fd = fetch_threads_fd(r->listers), .events = POLLIN};
    fds[5] = (struct pollfd){.fd = fetch_threads_fd(r->responders), .events = POLLIN};
    for (struct fetch_session *s = r->sessions; s != NULL && count < POLLED_MAX; s = fetch_session_next(s)) {
        polled[count] = s;
        fds[count++] = (struct pollfd){.fd = fetch_session_fd(s), .events = POLLIN};
    }
    return count;
}

static void run(struct fetch *r, int listener)
{
    struct pollfd fds[POLLED_MAX];
    struct fetch_session *polled[POLLED_MAX];
    for (;;) {
        size_t count = poll_fill(r, listener, fds, polled);
        int n = poll(fds, count, r->shared.store == NULL ? POLL_STARTING_MS : POLL_MS);
        if (n < 0 && errno != EINTR) {
            log_event(LOG_ERROR, "poll failed", LOG_NUMBER("errno", errno));
            return;
        }
        if (n > 0 && (fds[0].revents & POLLIN) != 0) {
            return;
        }
        for (size_t i = FIXED_POLLED; n > 0 && i < count; i++) {
            if (fds[i].revents != 0) {
                fetch_session_read(r, polled[i]);
            }
        }
        if (n > 0 && fds[3].revents != 0) {
            fetch_threads_collect(r->askers);
        }
        if (n > 0 && fds[4].revents != 0) {
            fetch_threads_collect(r->listers);
        }
        if (n > 0 && fds[5].revents != 0) {
            fetch_threads_collect(r->responders);
        }
        if (n > 0 && fds[2].revents != 0) {
            fetch_sessions_accept(r, listener);
        }
        core_client_read(r->core);
        store_open_if_ready(r);
        fetch_lists_tick(r);
        fetch_ocsp_tick(r);
        fetch_dns_tick(r);
        fetch_sts_tick(r);
        fetch_sessions_sweep(r);
    }
}

int role_fetch_run(struct role_context *c)
{
    struct fetch *r = calloc(1, sizeof *r);
    int listener = role_listener_fd(c, "fetch", 0), result = 1;
    enum status status = r == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    if (status == STATUS_OK) {
        r->context = c;
        pthread_mutex_init(&r->shared.lock, NULL);
        fetch_once_init(&r->shared.once);
        directory_start();
        status = listener < 0 ? STATUS_INVALID : fetch_http_start();
    }
    if (status == STATUS_OK) {
        status = fetch_threads_start(ASKERS, ASKERS_WAITING, r, &r->askers);
    }
    if (status == STATUS_OK) {
        status = fetch_threads_start(LISTERS, LISTERS_WAITING, r, &r->listers);
    }
    if (status == STATUS_OK) {
        status = fetch_threads_start(RESPONDERS, LISTERS_WAITING, r, &r->responders);
    }
    if (status == STATUS_OK) {
        r->lists = fetch_lists_new();
        r->ocsp = fetch_ocsp_new();
        status = r->lists == NULL || r->ocsp == NULL ? STATUS_NO_MEMORY : STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = fetch_dns_new(r, &r->dns);
    }
    if (status == STATUS_OK) {
        status = fetch_sts_new(r, &r->sts);
    }
    if (status == STATUS_OK) {
        status = core_client_new("fetch", CORE_SOCKET, core_event_cb_note, r, &r->core);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "the fetch role cannot start", LOG_TEXT("reason", status_text(status)));
    } else {
        run(r, listener);
        result = 0;
    }
    if (r != NULL) {
        fetch_http_stop(); /* what is under way ends now */
        fetch_threads_stop(r->askers);
        fetch_threads_stop(r->listers);
        fetch_threads_stop(r->responders);
        fetch_dns_free(r->dns);
        fetch_sts_free(r->sts);
        core_client_free(r->core);
        fetch_lists_free(r->lists);
        fetch_ocsp_free(r->ocsp);
        fetch_sessions_free(r);
        if (r->shared.store != NULL) {
            store_close(r->shared.store);
        }
        trust_free(r->shared.trust);
        fetch_once_release(&r->shared.once);
        pthread_mutex_destroy(&r->shared.lock);
        free(r);
    }
    return result;
}
