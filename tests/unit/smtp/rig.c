/* The rig (tests/unit/smtp/rig.h). */
#include "rig.h"

#include "base/channel.h"
#include "base/log.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                 \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

static int listen_on(uint16_t *port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(*port)};
    socklen_t len = sizeof address;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    CHECK(bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(fd, 512) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

/* --- the worker --- */

/* A variant for each recipient; "refused@" has none but a refusal, "held@" is quarantined, "routed@" has the
 * next hop of the rig's `route`. */
static void worker_exceptions(struct rig *r, const struct job_message *m, const struct channel_frame *frame,
                              struct arena *a, struct job_result *result, int *fds)
{
    result->variants = arena_alloc_array(a, m->recipient_count, sizeof *result->variants);
    result->refusals = arena_alloc_array(a, m->recipient_count, sizeof *result->refusals);
    size_t *all = arena_alloc_array(a, m->recipient_count, sizeof *all);
    CHECK(result->variants != NULL && result->refusals != NULL && all != NULL);
    bool released = (m->flags & JOB_RELEASED) != 0;
    bool aside = slice_find_nocase(m->recipients[0], SLICE_LITERAL("aside")) < m->recipients[0].len;
    result->notice = slice_starts_with(m->recipients[0], SLICE_LITERAL("told"));
    if (aside && !released) {
        result->put_aside = true;
        result->text = SLICE_LITERAL("aside@b.test: no usable certificate");
        return;
    }
    if (released) {
        (void)!snprintf(r->released, sizeof r->released, "%.*s %" PRIu64, SLICE_ARGS(m->listener), m->flags);
    }
    if (aside && atomic_load(&r->still_aside)) {
        result->status = STATUS_NO_KEY;
        result->text = SLICE_LITERAL("still no certificate");
        return;
    }
    for (size_t i = 0; i < m->recipient_count; i++) {
        all[i] = i;
        if (slice_starts_with(m->recipients[i], SLICE_LITERAL("refused"))) {
            char *text = arena_printf(a, "<%.*s>: no usable certificate", SLICE_ARGS(m->recipients[i]));
            result->refusals[result->refusal_count++] =
                (struct job_refusal){.recipient = i, .status = STATUS_NO_KEY, .reason = slice_of_text(text)};
            continue;
        }
        bool held = slice_starts_with(m->recipients[i], SLICE_LITERAL("held"));
        bool routed = slice_starts_with(m->recipients[i], SLICE_LITERAL("routed"));
        fds[result->variant_count] = frame->fds[0];
        result->variants[result->variant_count++] = (struct job_variant){
            .recipients = &all[i],
            .recipient_count = 1,
            .unchanged = true,
            .protection = SLICE_LITERAL("none"),
            .quarantine = held,
            .quarantine_reason = held ? SLICE_LITERAL("a rule says so") : (struct slice){0},
            .next_hop = routed ? slice_of_text(r->route) : (struct slice){0}};
    }
    if (result->variant_count == 0) {
        result->status = STATUS_NO_KEY;
    }
}

static void worker_answer(struct rig *r, int fd, struct channel_frame *frame)
{
    struct arena a;
    struct job_message m = {0};
    struct job_result result = {0};
    struct buf out = BUF_INIT((size_t)8 << 20);
    size_t all[JOB_RECIPIENTS_MAX > 1000 ? 1000 : JOB_RECIPIENTS_MAX];
    struct job_variant variants[100] = {0};
    int fds[100];
    enum rig_worker_mode mode = atomic_load(&r->mode);
    arena_init(&a, (size_t)16 << 20);
    if (job_frame_type(buf_slice(&frame->payload)) == JOB_TO_7BIT) {
        struct failure f;
        CHECK(job_to_7bit_decode(buf_slice(&frame->payload), &result.job) == STATUS_OK);
        CHECK(memory_file_of("7bit", SLICE_LITERAL("Subject: 7-bit form\r\n\r\n=E4\r\n"), &fds[0], &f) ==
              STATUS_OK);
        result.variants = variants;
        result.variant_count = 1;
        variants[0].recipients = all;
        variants[0].protection = SLICE_LITERAL("none");
        CHECK(job_result_encode(&result, &out) == STATUS_OK);
        CHECK(channel_send(fd, buf_slice(&out), fds, 1) == STATUS_OK);
        (void)close(fds[0]);
        goto end;
    }
    CHECK(job_message_decode(buf_slice(&frame->payload), &a, &m) == STATUS_OK);
    CHECK(frame->fd_count == 1);
    result.job = m.job;
    for (size_t i = 0; i < m.recipient_count && i < sizeof all / sizeof all[0]; i++) {
        all[i] = i;
    }
    if (mode == RIG_EXCEPTIONS) {
        worker_exceptions(r, &m, frame, &a, &result, fds);
    } else if (mode == RIG_REFUSE) {
        result.status = STATUS_NO_KEY;
        result.refusals = arena_alloc_array(&a, m.recipient_count, sizeof *result.refusals);
        result.refusal_count = m.recipient_count;
        for (size_t i = 0; i < m.recipient_count; i++) {
            char *text = arena_printf(&a, "<%.*s>: no usable certificate", SLICE_ARGS(m.recipients[i]));
            result.refusals[i] =
                (struct job_refusal){.recipient = i, .status = STATUS_NO_KEY, .reason = slice_of_text(text)};
        }
    } else {
        size_t count = mode == RIG_SPLIT ? m.recipient_count : 1;
        for (size_t i = 0; i < count; i++) {
            variants[i] = (struct job_variant){.recipients = mode == RIG_SPLIT ? &all[i] : all,
                                               .recipient_count = mode == RIG_SPLIT ? 1 : m.recipient_count,
                                               .unchanged = true,
                                               .needs_8bit = mode == RIG_EIGHT_BIT,
                                               .protection = SLICE_LITERAL("none")};
            fds[i] = frame->fds[0];
        }
        result.variants = variants;
        result.variant_count = count;
    }
    result.trace = SLICE_LITERAL("{}");
    CHECK(job_result_encode(&result, &out) == STATUS_OK);
    CHECK(channel_send(fd, buf_slice(&out), fds, result.variant_count) == STATUS_OK);
end:
    buf_release(&out);
    arena_release(&a);
}

static void *worker_main(void *context)
{
    struct rig *r = context;
    char path[108];
    int fd = -1;
    struct channel_frame frame;
    (void)!snprintf(path, sizeof path, "%s/jobs.sock", r->dir);
    channel_frame_init(&frame);
    while (!atomic_load(&r->workers_stop)) {
        if (fd < 0) {
            struct buf ready = BUF_INIT(64);
            if (channel_connect(path, &fd, NULL) != STATUS_OK) {
                fd = -1;
                (void)usleep(10000);
                continue;
            }
            CHECK(job_ready_encode((uint64_t)getpid(), &ready) == STATUS_OK);
            (void)!channel_send(fd, buf_slice(&ready), NULL, 0);
            buf_release(&ready);
        }
        if (channel_wait_readable(fd, 50) != STATUS_OK) {
            continue;
        }
        enum status status = channel_receive(fd, &frame);
        if (status == STATUS_BUSY) {
            continue;
        }
        bool die = status != STATUS_OK;
        if (!die) {
            atomic_fetch_add(&r->jobs, 1);
            enum rig_worker_mode mode = atomic_load(&r->mode);
            die = mode == RIG_DIE || (mode == RIG_DIE_ONCE && !atomic_exchange(&r->died_once, true));
        }
        if (die) {
            (void)close(fd);
            fd = -1;
            continue;
        }
        worker_answer(r, fd, &frame);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    channel_frame_release(&frame);
    return NULL;
}

/* --- settings --- */

static bool settings_begin(void *context)
{
    struct rig *r = context;
    pthread_mutex_lock(&r->setting_lock);
    return true;
}

static void settings_end(void *context)
{
    struct rig *r = context;
    pthread_mutex_unlock(&r->setting_lock);
}

static uint64_t settings_index(void *context)
{
    struct rig *r = context;
    return atomic_load(&r->setting_index);
}

static enum status settings_get(void *context, const char *name, struct slice address,
                                struct setting_value *out)
{
    struct rig *r = context;
    *out = (struct setting_value){.setting = setting_find(slice_of_text(name))};
    if (out->setting == NULL) {
        return STATUS_NOT_FOUND;
    }
    out->text = slice_of_text(out->setting->default_text);
    bool mailbox = slice_find_byte(address, '@') < address.len;
    struct slice domain = mailbox ? address_domain(address) : address;
    for (size_t i = 0; i < r->setting_count; i++) {
        struct slice whole = slice_of_text(r->settings[i].name);
        size_t at = slice_find_byte(whole, '@');
        struct slice scope =
            at < whole.len ? slice_of(whole.data + at + 1, whole.len - at - 1) : slice_of(NULL, 0);
        if (slice_equal(slice_of(whole.data, at), slice_of_text(name)) &&
            (at == whole.len || slice_equal(scope, domain))) {
            out->level = at < whole.len ? SETTING_DOMAIN : SETTING_GLOBAL;
            out->text = slice_of_text(r->settings[i].text); /* a domain's own is set after the global one */
        }
    }
    return STATUS_OK;
}

static struct rig_listener *listener_named(struct rig *r, struct slice name)
{
    for (size_t i = 0; i < r->listener_count; i++) {
        if (slice_equal(name, slice_of_text(r->listeners[i].name))) {
            return &r->listeners[i];
        }
    }
    return NULL;
}

static enum status listener_get(void *context, struct slice name, struct listener_record *out)
{
    const struct rig_listener *l = listener_named(context, name);
    if (l == NULL || l->text[0] == '\0') {
        return STATUS_NOT_FOUND;
    }
    *out = (struct listener_record){.name = name};
    return listener_text_read(slice_of_text(l->text), out, NULL);
}

void rig_listener_set(struct rig *r, const char *name, const char *text)
{
    struct listener_record record = {0};
    struct rig_listener *l = listener_named(r, slice_of_text(name));
    CHECK(listener_text_read(slice_of_text(text), &record, NULL) == STATUS_OK);
    if (r->thread != 0) {
        pthread_mutex_lock(&r->setting_lock);
    }
    if (l == NULL) {
        CHECK(r->listener_count < RIG_LISTENERS);
        l = &r->listeners[r->listener_count++];
        (void)!snprintf(l->name, sizeof l->name, "%s", name);
    }
    (void)!snprintf(l->text, sizeof l->text, "%s", text);
    atomic_fetch_add(&r->setting_index, 1);
    if (r->thread != 0) {
        pthread_mutex_unlock(&r->setting_lock);
    }
}

void rig_set(struct rig *r, const char *name, const char *text)
{
    const struct setting *setting = setting_find(slice_of(name, strcspn(name, "@")));
    struct buf canonical = BUF_INIT(256);
    struct failure f = {0};
    CHECK(setting != NULL);
    if (setting_canonical(setting, slice_of_text(text), &canonical, &f) != STATUS_OK) {
        (void)fprintf(stderr, "%s: %s\n", name, f.text);
        abort();
    }
    if (r->thread != 0) {
        pthread_mutex_lock(&r->setting_lock);
    }
    size_t i = 0;
    while (i < r->setting_count && strcmp(r->settings[i].name, name) != 0) {
        i++;
    }
    CHECK(i < sizeof r->settings / sizeof r->settings[0]);
    (void)!snprintf(r->settings[i].name, sizeof r->settings[i].name, "%s", name);
    (void)!snprintf(r->settings[i].text, sizeof r->settings[i].text, "%.*s",
                    SLICE_ARGS(buf_slice(&canonical)));
    r->setting_count = i == r->setting_count ? i + 1 : r->setting_count;
    atomic_fetch_add(&r->setting_index, 1);
    if (r->thread != 0) {
        pthread_mutex_unlock(&r->setting_lock);
    }
    buf_release(&canonical);
}

/* --- the service --- */

static void on_stopped(void *context)
{
    struct rig *r = context;
    uv_close((uv_handle_t *)&r->stop, NULL);
    uv_close((uv_handle_t *)&r->poke, NULL);
}

static void on_stop(uv_async_t *async)
{
    struct rig *r = async->data;
    smtp_service_stop(r->service, r->grace_ms, on_stopped, r);
}

static void on_poke(uv_async_t *async)
{
    struct rig *r = async->data;
    smtp_service_cluster(r->service, atomic_load(&r->contact_ms), atomic_load(&r->voters));
}

static void *service_main(void *context)
{
    struct rig *r = context;
    (void)uv_run(&r->loop, UV_RUN_DEFAULT);
    return NULL;
}

void rig_start(struct rig *r)
{
    static const uint8_t key[32] = "0123456789abcdef0123456789abcde";
    char path[128];
    struct failure f = {0};
    (void)signal(SIGPIPE, SIG_IGN);
    log_open("test", getenv("RIG_LOG") != NULL ? LOG_DEBUG : LOG_ERROR);
    if (!r->keep_dir) {
        (void)!snprintf(r->dir, sizeof r->dir, "/tmp/sealpost-smtp-XXXXXX");
        CHECK(mkdtemp(r->dir) != NULL);
    }
    CHECK(pthread_mutex_init(&r->setting_lock, NULL) == 0);
    CHECK(uv_loop_init(&r->loop) == 0);
    r->stop.data = r;
    r->poke.data = r;
    CHECK(uv_async_init(&r->loop, &r->stop, on_stop) == 0);
    CHECK(uv_async_init(&r->loop, &r->poke, on_poke) == 0);
    char spool[96], log[96];
    (void)!snprintf(spool, sizeof spool, "%s/spool", r->dir);
    (void)!snprintf(log, sizeof log, "%s/messages", r->dir);
    struct smtp_service_options options = {.loop = &r->loop,
                                           .hostname = "mx.test.example",
                                           .spool_dir = spool,
                                           .log_dir = r->without_log ? NULL : log,
                                           .node_name = "node1",
                                           .spool_key = slice_of(key, sizeof key),
                                           .tls = r->tls,
                                           .listener_count = 2,
                                           .spool_segment_size = r->segment_size};
    options.listeners[0].name = "relay";
    options.listeners[0].fd = listen_on(&r->port);
    options.listeners[1].name = "lmtp";
    options.listeners[1].fd = listen_on(&r->lmtp_port);
    for (size_t i = 0; i < r->listener_count; i++) {
        options.listeners[options.listener_count].name = r->listeners[i].name;
        options.listeners[options.listener_count++].fd = listen_on(&r->listeners[i].port);
    }
    (void)!snprintf(path, sizeof path, "%s/jobs.sock", r->dir);
    CHECK(channel_listen(path, &options.jobs_listener, &f) == STATUS_OK);
    (void)!snprintf(path, sizeof path, "%s/queue.sock", r->dir);
    CHECK(channel_listen(path, &options.queue_listener, &f) == STATUS_OK);
    CHECK(smtp_service_new(&options, &r->service, &f) == STATUS_OK);
    struct settings_source source = {.begin = settings_begin,
                                     .end = settings_end,
                                     .index = settings_index,
                                     .get = settings_get,
                                     .listener = listener_get,
                                     .context = r};
    if (r->cluster_id != NULL) {
        smtp_service_set_mark(r->service, r->cluster_id);
    }
    if (smtp_service_store_ready(r->service, &source, 1, &f) != STATUS_OK) {
        (void)fprintf(stderr, "%s\n", f.text);
        abort();
    }
    atomic_store(&r->workers_stop, false);
    CHECK(pthread_create(&r->thread, NULL, service_main, r) == 0);
    r->worker_count = r->worker_count == 0 ? 1 : r->worker_count;
    for (size_t i = 0; i < r->worker_count; i++) {
        CHECK(pthread_create(&r->workers[i], NULL, worker_main, r) == 0);
    }
}

void rig_stop(struct rig *r)
{
    CHECK(uv_async_send(&r->stop) == 0);
    CHECK(pthread_join(r->thread, NULL) == 0);
    r->thread = 0;
    atomic_store(&r->workers_stop, true);
    for (size_t i = 0; i < r->worker_count; i++) {
        CHECK(pthread_join(r->workers[i], NULL) == 0);
    }
    smtp_service_free(r->service);
    r->service = NULL;
    CHECK(uv_loop_close(&r->loop) == 0);
    (void)pthread_mutex_destroy(&r->setting_lock);
}

void rig_remove(struct rig *r)
{
    char command[128];
    (void)!snprintf(command, sizeof command, "rm -rf %s", r->dir);
    CHECK(system(command) == 0);
}

/* --- the client --- */

int rig_connect(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    CHECK(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    struct timeval limit = {.tv_sec = 5};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

void client_send(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the server has had enough: its reply tells */
        }
        text += n;
        len -= (size_t)n;
    }
}

int client_reply(int fd, char *out, size_t size)
{
    size_t n = 0, line = 0;
    char *text = malloc(1 << 20);
    CHECK(text != NULL);
    for (;;) {
        CHECK(n < (1 << 20) - 1);
        ssize_t got = recv(fd, text + n, 1, 0); /* one by one: nothing of the next reply is taken */
        if (got <= 0) {
            text[n] = '\0';
            if (out != NULL) {
                (void)!snprintf(out, size, "%.*s", (int)(size - 1), text);
            }
            free(text);
            return got == 0 ? 0 : -1;
        }
        n++;
        if (text[n - 1] == '\n') {
            if (n - line >= 4 && text[line + 3] == ' ') {
                break;
            }
            line = n;
        }
    }
    text[n] = '\0';
    int code = (text[line] - '0') * 100 + (text[line + 1] - '0') * 10 + (text[line + 2] - '0');
    if (out != NULL) {
        (void)!snprintf(out, size, "%.*s", (int)(size - 1), text);
    }
    free(text);
    return code;
}

int client_command(int fd, const char *line)
{
    client_send(fd, line);
    client_send(fd, "\r\n");
    return client_reply(fd, NULL, 0);
}

int client_deliver(uint16_t port, const char *from, const char *to, const char *body, char *reply,
                   size_t size)
{
    int fd = rig_connect(port);
    char line[1024];
    int code = client_reply(fd, reply, size);
    if (code != 220) {
        goto out;
    }
    code = client_command(fd, "EHLO client.test");
    (void)!snprintf(line, sizeof line, "MAIL FROM:<%s>\r\n", from);
    client_send(fd, line);
    code = client_reply(fd, reply, size);
    if (code != 250) {
        goto out;
    }
    for (const char *at = to; *at != '\0';) {
        size_t len = strcspn(at, ",");
        (void)!snprintf(line, sizeof line, "RCPT TO:<%.*s>\r\n", (int)len, at);
        client_send(fd, line);
        code = client_reply(fd, reply, size);
        if (code != 250) {
            goto out;
        }
        at += len + (at[len] == ',');
    }
    code = client_command(fd, "DATA");
    if (code != 354) {
        goto out;
    }
    client_send(fd, body);
    client_send(fd, ".\r\n");
    code = client_reply(fd, reply, size);
out:
    (void)close(fd);
    return code;
}

bool client_closed(int fd)
{
    char byte;
    ssize_t n = recv(fd, &byte, 1, 0);
    return n == 0 || (n < 0 && errno == ECONNRESET);
}

/* --- the queue --- */

void rig_queue_question(struct rig *r, enum queue_request type, const struct buf *args, size_t count,
                        struct channel_frame *frame)
{
    char path[108];
    struct buf out = BUF_INIT(16384);
    struct msgpack_writer w;
    struct failure f = {0};
    int queue_fd = -1;
    (void)!snprintf(path, sizeof path, "%s/queue.sock", r->dir);
    CHECK(channel_connect(path, &queue_fd, &f) == STATUS_OK);
    msgpack_writer_init(&w, &out);
    write_array(&w, 2 + count);
    write_u64(&w, type);
    write_u64(&w, 7);
    CHECK(msgpack_writer_status(&w) == STATUS_OK);
    CHECK(args->len == 0 || buf_append_slice(&out, buf_slice(args)) == STATUS_OK);
    CHECK(channel_send(queue_fd, buf_slice(&out), NULL, 0) == STATUS_OK);
    buf_release(&out);
    CHECK(channel_wait_readable(queue_fd, 10000) == STATUS_OK);
    channel_frame_init(frame);
    CHECK(channel_receive(queue_fd, frame) == STATUS_OK);
    (void)close(queue_fd);
}

void rig_queue_ask(struct rig *r, const char *id, enum queue_request type, struct channel_frame *frame)
{
    struct buf args = BUF_INIT(256);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &args);
    if (type != QUEUE_STATS) {
        write_text(&w, slice_of_text(id));
    }
    CHECK(msgpack_writer_status(&w) == STATUS_OK);
    rig_queue_question(r, type, &args, type != QUEUE_STATS, frame);
    buf_release(&args);
}

uint64_t rig_operate(struct rig *r, const char *action, const struct queue_selection *selection)
{
    uint8_t id[ID_SIZE];
    char text[ID_TEXT_SIZE];
    struct buf args = BUF_INIT(16384);
    struct msgpack_writer w;
    struct channel_frame frame;
    struct queue_operation_told told = {0};
    uint64_t done = 0;
    random_bytes(id, sizeof id);
    id_format(id, text);
    CHECK(queue_selection_encode(selection, &args) == STATUS_OK);
    msgpack_writer_init(&w, &args);
    write_text(&w, slice_of_text(action));
    write_text(&w, slice_of_text(text));
    write_text(&w, SLICE_LITERAL("test"));
    write_bool(&w, true);
    CHECK(msgpack_writer_status(&w) == STATUS_OK);
    rig_queue_question(r, QUEUE_OPERATE, &args, 5, &frame);
    buf_release(&args);
    channel_frame_release(&frame);
    for (bool over = false; !over;) {
        struct msgpack_reader m;
        rig_queue_ask(r, text, QUEUE_OPERATIONS, &frame);
        msgpack_reader_init(&m, buf_slice(&frame.payload));
        CHECK(read_array(&m, 5) == 5);
        (void)read_u64(&m);
        (void)read_u64(&m);
        CHECK(read_u64(&m) == STATUS_OK);
        (void)read_text(&m, 100);
        CHECK(read_array(&m, 1) == 1);
        queue_operation_read(&m, &told);
        CHECK(msgpack_reader_status(&m, true) == STATUS_OK);
        over = slice_equal(told.state, SLICE_LITERAL("done"));
        done = told.done;
        CHECK(!over || told.looked <= told.messages);
        channel_frame_release(&frame);
        if (!over) {
            (void)usleep(5000);
        }
    }
    return done;
}

uint64_t rig_stat(struct rig *rig, const char *name)
{
    struct channel_frame frame;
    struct msgpack_reader r;
    uint64_t found = UINT64_MAX;
    rig_queue_ask(rig, "", QUEUE_STATS, &frame);
    msgpack_reader_init(&r, buf_slice(&frame.payload));
    CHECK(read_array(&r, 5) == 5);
    CHECK(read_u64(&r) == QUEUE_STATS);
    CHECK(read_u64(&r) == 7);
    CHECK(read_u64(&r) == STATUS_OK);
    (void)read_text(&r, 100);
    size_t count = read_map(&r, 100);
    for (size_t i = 0; i < count; i++) {
        struct slice key = read_text(&r, 100);
        uint64_t value = read_u64(&r);
        if (slice_equal(key, slice_of_text(name))) {
            found = value;
        }
    }
    CHECK(msgpack_reader_status(&r, true) == STATUS_OK);
    channel_frame_release(&frame);
    CHECK(found != UINT64_MAX);
    return found;
}
