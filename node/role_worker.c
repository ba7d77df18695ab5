/*
 * The worker role: one message at a time from smtp, decided and transformed by mail/, on one thread with
 * poll(2).
 *
 * When all goes well: core says that the store may be opened (raft/core_protocol.h), the worker opens it for
 * reading, loads the data key and the trust anchors, connects to smtp's run/jobs.sock, says READY, and
 * answers each job with sealed memory files. Anchors and key are loaded anew only when the store says that
 * they changed. Each job sees one consistent view.
 *
 * What can go wrong: core goes away: the open map stays readable, so work goes on. smtp goes away: connect
 * again, with a pause. The store or the keys cannot be read: the job is answered with "not ready", never with
 * plain text. A job that is not well formed is answered, or, when it names no number, ends the connection. A
 * message that makes the parser crash, hang or outgrow its memory takes this process with it; the supervisor
 * starts another and smtp counts the message's victims. It opens no network connection and holds no state of
 * a message between jobs. What must be asked of others, the fetch role asks (node/worker_lookup.h).
 */
#include "base/channel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/msgpack_read.h"
#include "crypto/smime.h"
#include "mail/flow.h"
#include "node/role.h"
#include "node/worker_harvest.h"
#include "node/worker_issue.h"
#include "node/worker_lookup.h"
#include "raft/core_protocol.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WORKER_BOUNDED 0
#else
#define WORKER_BOUNDED 1
#endif

/* Bytes of private memory: many times what a message of smtp.max_size takes (bench/README.md). */
#define WORKER_MEMORY_MAX ((size_t)3 << 30)
/* Bytes of a message: what smtp.max_size allows at most, and the Received field. */
#define WORKER_MESSAGE_MAX ((size_t)1025 << 20)
#define WORKER_ARENA_MAX   ((size_t)128 << 20)
/* Bytes of a message after which what malloc keeps for the next one goes back to the system. */
#define WORKER_KEPT_MESSAGE ((size_t)16 << 20)
#define STORE_FOLDER        "state"
#define POLL_MS             200
#define POLL_STARTING_MS    20 /* until it has work: a node is to be ready within a second */
#define CONNECT_PAUSE_MS    40
#define ANSWER_TIMEOUT_MS   30000
/* A message that hangs the parser ends this process; smtp gives up waiting before that (JOB_HUNG_MS). */
#define JOB_SECONDS_MAX 75

struct worker {
    struct role_context *context;
    struct core_client *core;
    struct store *store; /* NULL until core allows it */
    struct keyring keyring;
    struct trust *trust;
    struct issuers *issuers;
    struct known *known;
    struct worker_harvest *harvest;
    struct ruleset *rules;
    uint64_t trust_generation;  /* of trust and issuers */
    uint64_t policy_generation; /* of rules */
    int jobs_fd;                /* -1 while smtp is away */
    uint64_t next_connect_ms;
    struct worker_lookup lookup;
    struct store_view *view; /* of the job; a look-up may put a newer one in its place */
    struct arena arena;      /* of the job */
};

static void random_cb(void *context, void *out, size_t len)
{
    (void)context;
    random_bytes(out, len);
}

static void core_event_cb_ignore(void *context, const struct core_event *event)
{
    (void)context;
    (void)event; /* the open map stays readable, whatever core does */
}

static void limit_memory(void)
{
#if WORKER_BOUNDED
    /* RLIMIT_DATA and not RLIMIT_AS: the store's map takes gigabytes of address space and no memory of ours.
     */
    struct rlimit limit = {.rlim_cur = WORKER_MEMORY_MAX, .rlim_max = WORKER_MEMORY_MAX};
    if (setrlimit(RLIMIT_DATA, &limit) != 0) {
        log_event(LOG_WARN, "the worker's memory could not be limited", LOG_NUMBER("errno", errno));
    }
#endif
}

/* --- what the jobs need from the store --- */

static enum status keys_refresh(struct worker *w, struct store_view *view, struct failure *f)
{
    struct cluster_record cluster;
    enum status status = store_cluster_get(view, &cluster);
    if (status != STATUS_OK) {
        return failure_set(f, STATUS_UNAVAILABLE, "the cluster's record cannot be read yet");
    }
    if (w->keyring.has_data_key &&
        slice_equal(cluster.data_key_id, slice_of(w->keyring.data_key_id, sizeof w->keyring.data_key_id))) {
        return STATUS_OK;
    }
    known_forget(w->known);
    return keyring_load(&w->keyring, cluster.data_key_id, cluster.data_key, f);
}

static enum status trust_refresh(struct worker *w, struct store_view *view, struct failure *f)
{
    uint64_t generation = store_trust_generation(view);
    struct trust *trust = NULL;
    struct issuers *issuers = NULL;
    if (w->trust != NULL && generation == w->trust_generation) {
        trust_look_in(w->trust, view);
        return STATUS_OK;
    }
    enum status status = trust_load(view, &trust, f);
    if (status != STATUS_OK) {
        return status;
    }
    if ((status = issuers_load(view, &issuers, f)) != STATUS_OK) {
        trust_free(trust);
        return status;
    }
    trust_free(w->trust);
    issuers_free(w->issuers);
    w->trust = trust;
    w->issuers = issuers;
    w->trust_generation = generation;
    known_forget(w->known);
    return STATUS_OK;
}

static enum status rules_refresh(struct worker *w, struct store_view *view, struct failure *f)
{
    uint64_t generation = store_policy_generation(view);
    struct ruleset *rules = NULL;
    if (w->rules != NULL && generation == w->policy_generation) {
        return STATUS_OK;
    }
    enum status status = ruleset_load(view, &rules, f);
    if (status == STATUS_OK) {
        ruleset_free(w->rules);
        w->rules = rules;
        w->policy_generation = generation;
    }
    return status;
}

static void store_open_if_ready(struct worker *w)
{
    struct failure f = {.status = STATUS_OK};
    if (w->store != NULL || !core_client_ready(w->core)) {
        return;
    }
    if (store_open_reader(STORE_FOLDER, &w->store, &f) != STATUS_OK) {
        w->store = NULL;
        log_event(LOG_ERROR, "the store could not be opened", LOG_TEXT("reason", f.text));
    }
}

/* --- answering --- */

static void disconnect(struct worker *w)
{
    if (w->jobs_fd >= 0) {
        close(w->jobs_fd);
    }
    w->jobs_fd = -1;
    w->next_connect_ms = clock_monotonic_ms() + CONNECT_PAUSE_MS;
}

static enum status send_all(struct worker *w, struct slice payload, const int *fds, size_t count)
{
    for (;;) {
        enum status status = channel_send(w->jobs_fd, payload, fds, count);
        if (status != STATUS_BUSY) {
            return status;
        }
        if ((status = channel_wait_writable(w->jobs_fd, ANSWER_TIMEOUT_MS)) != STATUS_OK) {
            return status;
        }
    }
}

/* Each variant's content becomes a sealed memory file; an unchanged one is the input's own. */
static enum status variants_to_files(struct mail_output *out, int input, int *fds, struct failure *f)
{
    for (size_t i = 0; i < out->result.variant_count; i++) {
        fds[i] = input;
        if (out->result.variants[i].unchanged) {
            continue;
        }
        enum status status = memory_file_of("variant", buf_slice(&out->contents[i]), &fds[i], f);
        if (status != STATUS_OK) {
            fds[i] = input;
            return status;
        }
        buf_release(&out->contents[i]);
    }
    return STATUS_OK;
}

static void answer(struct worker *w, struct mail_output *out, int input)
{
    int fds[JOB_VARIANTS_MAX];
    struct buf payload = BUF_INIT(CHANNEL_PAYLOAD_MAX);
    struct failure f = {.status = STATUS_OK};
    for (size_t i = 0; i < JOB_VARIANTS_MAX; i++) {
        fds[i] = input;
    }
    size_t count = out->result.variant_count;
    enum status status = variants_to_files(out, input, fds, &f);
    if (status != STATUS_OK) {
        out->result = (struct job_result){
            .job = out->result.job, .status = status, .text = slice_of_text(status_text(status))};
    }
    status = job_result_encode(&out->result, &payload);
    if (status == STATUS_OK) {
        status = send_all(w, buf_slice(&payload), fds, out->result.variant_count);
    }
    for (size_t i = 0; i < count; i++) {
        if (fds[i] != input) {
            close(fds[i]);
        }
    }
    buf_release(&payload);
    if (status != STATUS_OK) {
        log_event(LOG_WARN, "an answer could not be sent to smtp", LOG_TEXT("reason", status_text(status)));
        disconnect(w);
    }
}

static void answer_failure(struct worker *w, uint64_t job, enum status status, const char *text)
{
    struct mail_output out = {.result = {.job = job, .status = status, .text = slice_of_text(text)}};
    answer(w, &out, -1);
}

/* --- jobs --- */

/* For a look-up: the newest state in place of the job's view. */
static bool view_renew(void *context, struct mail_environment *env)
{
    struct worker *w = context;
    struct store_view *newer = NULL;
    struct failure f = {.status = STATUS_OK};
    if (store_view_begin(w->store, &newer, &f) != STATUS_OK) {
        return false;
    }
    bool fresh = keys_refresh(w, newer, &f) == STATUS_OK && trust_refresh(w, newer, &f) == STATUS_OK &&
                 rules_refresh(w, newer, &f) == STATUS_OK;
    if (fresh) {
        store_view_end(w->view);
        w->view = newer;
    } else {
        trust_look_in(w->trust, w->view);
        store_view_end(newer);
    }
    env->view = w->view; /* what was made anew took the place of what is gone, also when the rest was not */
    env->trust = w->trust;
    env->issuers = w->issuers;
    env->rules = w->rules;
    return true;
}

static void process(struct worker *w, const struct job_message *job, struct slice message, int input)
{
    struct failure f = {.status = STATUS_OK};
    struct mail_output out;
    uint64_t start = clock_monotonic_ms();
    w->view = NULL;
    enum status status = w->store == NULL ? failure_set(&f, STATUS_UNAVAILABLE, "the store is not open yet")
                                          : store_view_begin(w->store, &w->view, &f);
    if (status == STATUS_OK) {
        status = keys_refresh(w, w->view, &f);
    }
    if (status == STATUS_OK) {
        status = trust_refresh(w, w->view, &f);
    }
    if (status == STATUS_OK) {
        status = rules_refresh(w, w->view, &f);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a message cannot be decided", LOG_TEXT("id", job->message_id),
                  LOG_TEXT("reason", f.text));
        trust_look_in(w->trust, NULL);
        store_view_end(w->view);
        answer_failure(w, job->job, STATUS_UNAVAILABLE, "the mail gateway is not ready");
        return;
    }
    struct mail_environment env = {.view = w->view,
                                   .trust = w->trust,
                                   .keys = &w->keyring,
                                   .issuers = w->issuers,
                                   .known = w->known,
                                   .rules = w->rules,
                                   .random = random_cb,
                                   .signature = worker_harvest_note,
                                   .signature_context = w->harvest};
    worker_lookup_offer(&w->lookup, &env);
    struct worker_issue issue = {.core = w->core, .keys = &w->keyring, .renew = view_renew, .context = w};
    worker_issue_offer(&issue, &env);
    mail_process(&env, job, message, &w->arena, &out);
    log_event(
        LOG_DEBUG, "message decided", LOG_TEXT("id", job->message_id), LOG_NUMBER("bytes", message.len),
        LOG_NUMBER("recipients", job->recipient_count), LOG_NUMBER("variants", out.result.variant_count),
        LOG_TEXT("status", status_name(out.result.status)), LOG_NUMBER("ms", clock_monotonic_ms() - start));
    answer(w, &out, input);
    mail_output_release(&out);
    worker_harvest_run(w->harvest, w->view, w->trust, job->now_ms); /* the mail waits no longer */
    trust_look_in(w->trust, NULL);
    store_view_end(w->view); /* texts of the result may point into the view until it was sent */
}

/* Our DKIM signatures are of the message before: they are made anew. */
static void sign_anew(struct worker *w, struct slice own, struct mail_output *out)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = NULL;
    enum status status = w->store == NULL ? failure_set(&f, STATUS_UNAVAILABLE, "the store is not open yet")
                                          : store_view_begin(w->store, &view, &f);
    if (status == STATUS_OK) {
        status = keys_refresh(w, view, &f);
    }
    struct mail_environment env = {.view = view, .keys = &w->keyring, .known = w->known};
    if (status == STATUS_OK) {
        status = dkim_renew(&env, clock_wall_ms(), own, &w->arena, &out->contents[0], &f);
    }
    store_view_end(view);
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a converted message cannot be signed by DKIM", LOG_TEXT("reason", f.text));
        mail_output_release(out);
        out->result.status = STATUS_UNAVAILABLE;
        out->result.text = SLICE_LITERAL("the mail gateway is not ready");
    }
}

static void convert(struct worker *w, uint64_t job, struct slice message, int input)
{
    struct mail_output out;
    struct slice own = dkim_own_fields(message);
    mail_to_7bit(job, slice_of(message.data + own.len, message.len - own.len), &w->arena, &out);
    if (own.len > 0 && out.result.status == STATUS_OK && !out.result.variants[0].unchanged) {
        sign_anew(w, own, &out);
    }
    answer(w, &out, input);
    mail_output_release(&out);
}

/* The number of a job whose frame is otherwise not well formed: it can still be answered. */
static bool job_number(struct slice frame, uint64_t *job)
{
    struct msgpack_reader r;
    msgpack_reader_init(&r, frame);
    (void)read_array(&r, 10);
    (void)read_u64(&r);
    *job = read_u64(&r);
    return msgpack_reader_status(&r, false) == STATUS_OK;
}

static void do_job(struct worker *w, struct channel_frame *frame)
{
    struct slice payload = buf_slice(&frame->payload);
    struct job_message message;
    struct mapping input = {0};
    enum job_type type = job_frame_type(payload);
    uint64_t job = 0;
    enum status status = STATUS_MALFORMED;
    if (type == JOB_MESSAGE) {
        status = job_message_decode(payload, &w->arena, &message);
        job = message.job;
    } else if (type == JOB_TO_7BIT) {
        status = job_to_7bit_decode(payload, &job);
    }
    if (status == STATUS_OK && frame->fd_count != 1) {
        status = STATUS_MALFORMED;
    }
    if (status == STATUS_OK) {
        status = mapping_open(frame->fds[0], WORKER_MESSAGE_MAX, &input);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a job cannot be read", LOG_TEXT("reason", status_text(status)));
        if (job_number(payload, &job)) {
            answer_failure(w, job, status,
                           status == STATUS_TOO_LARGE ? "the message is too large"
                                                      : "the job could not be read");
        } else {
            disconnect(w);
        }
        return;
    }
    if (type == JOB_MESSAGE) {
        process(w, &message, mapping_slice(&input), frame->fds[0]);
    } else {
        convert(w, job, mapping_slice(&input), frame->fds[0]);
    }
    bool large = mapping_slice(&input).len > WORKER_KEPT_MESSAGE;
    mapping_close(&input);
    if (large) {
        (void)malloc_trim(0);
    }
}

static enum status say_ready(struct worker *w)
{
    struct buf ready = BUF_INIT(64);
    enum status status = job_ready_encode((uint64_t)getpid(), &ready);
    if (status == STATUS_OK) {
        status = send_all(w, buf_slice(&ready), NULL, 0);
    }
    buf_release(&ready);
    return status;
}

static void connect_if_due(struct worker *w)
{
    struct failure f = {.status = STATUS_OK};
    if (w->jobs_fd >= 0 || w->store == NULL || clock_monotonic_ms() < w->next_connect_ms) {
        return;
    }
    if (channel_connect(JOB_SOCKET, &w->jobs_fd, &f) != STATUS_OK) {
        w->jobs_fd = -1;
        w->next_connect_ms = clock_monotonic_ms() + CONNECT_PAUSE_MS;
        return;
    }
    if (say_ready(w) != STATUS_OK) {
        disconnect(w);
        return;
    }
    log_event(LOG_INFO, "ready for messages");
}

static void serve_jobs(struct worker *w)
{
    struct channel_frame frame;
    channel_frame_init(&frame);
    enum status status = channel_receive(w->jobs_fd, &frame);
    if (status == STATUS_OK) {
        alarm(JOB_SECONDS_MAX);
        do_job(w, &frame);
        alarm(0);
        arena_release(&w->arena);
    } else if (status != STATUS_BUSY) {
        log_event(LOG_INFO, "the connection to smtp ended", LOG_TEXT("reason", status_text(status)));
        disconnect(w);
    }
    channel_frame_release(&frame);
}

/* --- the loop --- */

static void run(struct worker *w)
{
    for (;;) {
        struct pollfd fds[3] = {
            {.fd = w->context->stop_fd, .events = POLLIN},
            {.fd = core_client_fd(w->core), .events = POLLIN},
            {.fd = w->jobs_fd, .events = POLLIN}, /* poll ignores -1 */
        };
        int n = poll(fds, 3, w->jobs_fd < 0 ? POLL_STARTING_MS : POLL_MS);
        if (n < 0 && errno != EINTR) {
            log_event(LOG_ERROR, "poll failed", LOG_NUMBER("errno", errno));
            return;
        }
        if (n > 0 && (fds[0].revents & POLLIN) != 0) {
            return;
        }
        if (n > 0 && fds[2].revents != 0 && w->jobs_fd >= 0) {
            serve_jobs(w);
        }
        core_client_read(w->core);
        store_open_if_ready(w);
        connect_if_due(w);
    }
}

int role_worker_run(struct role_context *c)
{
    struct worker w = {.context = c, .jobs_fd = -1};
    struct failure f = {.status = STATUS_OK};
    int result = 1;
    arena_init(&w.arena, WORKER_ARENA_MAX);
    worker_lookup_init(&w.lookup, view_renew, &w);
    limit_memory();
    enum status status = smime_start(&f);
    if (status == STATUS_OK) {
        status = secret_copy(&w.keyring.kek, secret_slice(&c->kek));
    }
    if (status == STATUS_OK) {
        status = known_new(&w.known);
    }
    if (status == STATUS_OK) {
        status = core_client_new("worker", CORE_SOCKET, core_event_cb_ignore, NULL, &w.core);
    }
    if (status == STATUS_OK) {
        status = worker_harvest_new(w.core, &w.harvest);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "the worker cannot start",
                  LOG_TEXT("reason", f.text[0] != '\0' ? f.text : status_text(status)));
    } else {
        run(&w);
        result = 0;
    }
    disconnect(&w);
    worker_lookup_release(&w.lookup);
    if (w.core != NULL) {
        core_client_free(w.core);
    }
    worker_harvest_free(w.harvest);
    if (w.store != NULL) {
        store_close(w.store);
    }
    trust_free(w.trust);
    issuers_free(w.issuers);
    known_free(w.known);
    ruleset_free(w.rules);
    keyring_release(&w.keyring);
    arena_release(&w.arena);
    return result;
}
