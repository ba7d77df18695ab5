/*
 * The worker role as a process of its own: this test plays smtp on run/jobs.sock and core (the core_client_*
 * functions below say at once that the store may be opened). It is sent good jobs, bad jobs and garbage,
 * loses its connection, and is told to stop.
 */
#include "mail_world.h"

#include "base/channel.h"
#include "node/role.h"
#include "raft/core_protocol.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

static struct world w;
static int listener = -1, channel = -1, stop_fd = -1;
static pid_t worker;

/* --- core, as far as the worker sees it --- */

struct core_client {
    int unused;
};
static struct core_client only;

enum status core_client_new(const char *role, const char *path, core_event_cb event, void *context,
                            struct core_client **out)
{
    (void)role;
    (void)path;
    (void)event;
    (void)context;
    *out = &only;
    return STATUS_OK;
}
void core_client_free(struct core_client *c)
{
    (void)c;
}
int core_client_fd(const struct core_client *c)
{
    (void)c;
    return -1;
}
bool core_client_ready(const struct core_client *c)
{
    (void)c;
    return true;
}
void core_client_read(struct core_client *c)
{
    (void)c;
}

const char *core_client_node_name(const struct core_client *c)
{
    (void)c;
    return "node1";
}
/* Nothing is proposed with these settings; a proposal would go unanswered, as while core is away. */
void core_client_ask(struct core_client *c, enum core_request type, struct slice args, size_t arg_count,
                     unsigned timeout_ms, core_answer_cb cb, void *context)
{
    (void)c;
    (void)type;
    (void)args;
    (void)arg_count;
    (void)timeout_ms;
    (void)cb;
    (void)context;
}
void core_client_propose(struct core_client *c, struct slice command, unsigned timeout_ms, core_answer_cb cb,
                         void *context)
{
    (void)c;
    (void)command;
    (void)timeout_ms;
    (void)cb;
    (void)context;
}

/* --- smtp --- */

static struct slice receive(struct channel_frame *frame)
{
    OK(channel_wait_readable(channel, 20000));
    OK(channel_receive(channel, frame));
    return buf_slice(&frame->payload);
}

static void accept_worker(void)
{
    struct channel_frame frame;
    uint64_t pid = 0;
    if (channel >= 0) {
        close(channel);
    }
    OK(channel_wait_readable(listener, 20000));
    OK(channel_accept(listener, &channel));
    channel_frame_init(&frame);
    OK(job_ready_decode(receive(&frame), &pid));
    assert_int_equal(pid, worker);
    channel_frame_release(&frame);
}

static int set_up(void **state)
{
    char path[100];
    (void)state;
    world_make(&w);
    world_identity(&w, &(struct identity){.name = "alice",
                                          .address = "alice@ours.example",
                                          .days = 300,
                                          .key_type = "ec",
                                          .with_key = true});
    world_identity(&w, &(struct identity){
                           .name = "bob", .address = "bob@partner.example", .days = 300, .key_type = "ec"});
    world_shell(&w, "mkdir run");
    assert_true(snprintf(path, sizeof path, "%s", w.dir) > 0);
    assert_int_equal(chdir(path), 0);
    struct failure f;
    OK(channel_listen(JOB_SOCKET, &listener, &f));
    stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_true(stop_fd >= 0);
    uint8_t kek[KEY_SIZE]; /* secrets do not survive a fork */
    memcpy(kek, w.keyring.kek.data, sizeof kek);
    worker = fork();
    assert_true(worker >= 0);
    if (worker == 0) {
        struct role_context c = {.role = "worker", .worker = 1, .stop_fd = stop_fd};
        OK(secret_copy(&c.kek, slice_of(kek, sizeof kek)));
        _exit(role_worker_run(&c));
    }
    accept_worker();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    kill(worker, SIGKILL);
    close(channel);
    close(listener);
    close(stop_fd);
    assert_int_equal(chdir("/"), 0);
    world_end(&w);
    return 0;
}

static void send_job(const char *recipient, struct slice message, uint64_t number)
{
    struct slice recipients[1] = {slice_of_text(recipient)};
    struct job_message job = {.job = number,
                              .now_ms = w.now_ms,
                              .sender = SLICE_LITERAL("alice@ours.example"),
                              .recipients = recipients,
                              .recipient_count = 1};
    struct buf frame = BUF_INIT(65536);
    struct failure f;
    int fd = -1;
    OK(memory_file_of("message", message, &fd, &f));
    OK(job_message_encode(&job, &frame));
    OK(channel_send(channel, buf_slice(&frame), &fd, 1));
    close(fd);
    buf_release(&frame);
}

static struct job_result answer(struct channel_frame *frame, size_t recipients)
{
    struct job_result result;
    arena_release(&w.arena);
    struct slice payload = receive(frame);
    assert_int_equal(job_frame_type(payload), JOB_DONE);
    OK(job_result_decode(payload, recipients, frame->fd_count, &w.arena, &result));
    return result;
}

static const char plain[] =
    "From: alice@ours.example\r\nTo: bob@partner.example\r\nSubject: s\r\n\r\nwords\r\n";

static void jobs_are_done(void **state)
{
    (void)state;
    struct channel_frame frame;
    struct mapping m;
    channel_frame_init(&frame);
    send_job("bob@partner.example", slice_of_text(plain), 11);
    struct job_result r = answer(&frame, 1);
    OK(r.status);
    assert_int_equal(r.job, 11);
    assert_slice(r.variants[0].protection, "smime-signed-encrypted");
    OK(mapping_open(frame.fds[0], 1 << 20, &m)); /* fails if it is not sealed */
    world_file_write(&w, "msg", mapping_slice(&m));
    mapping_close(&m);
    world_shell(&w, "openssl cms -decrypt -in msg -inkey bob.key -recip bob.pem -out opened && "
                    "openssl cms -verify -in opened -CAfile ca.pem | grep words");
    channel_frame_release(&frame);

    channel_frame_init(&frame);
    send_job("nobody@partner.example", slice_of_text(plain), 12);
    r = answer(&frame, 1);
    OK(r.status);
    assert_true(r.variants[0].unchanged);
    OK(mapping_open(frame.fds[0], 1 << 20, &m));
    assert_slice(mapping_slice(&m), plain);
    mapping_close(&m);
    channel_frame_release(&frame);
}

static void changes_of_the_store_are_seen(void **state)
{
    (void)state;
    struct channel_frame frame;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    world_identity(&w, &(struct identity){
                           .name = "late", .address = "late@partner.example", .days = 300, .key_type = "ec"});
    channel_frame_init(&frame);
    send_job("nobody@partner.example", slice_of_text(plain), 13);
    struct job_result r = answer(&frame, 1);
    assert_int_equal(r.status, STATUS_NO_KEY);
    assert_true(slice_starts_with(r.refusals[0].reason, SLICE_LITERAL("nobody@partner.example: ")));
    channel_frame_release(&frame);
    channel_frame_init(&frame);
    send_job("late@partner.example", slice_of_text(plain), 14);
    r = answer(&frame, 1);
    OK(r.status);
    channel_frame_release(&frame);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
}

static void to_7bit_is_done(void **state)
{
    (void)state;
    struct channel_frame frame;
    struct buf request = BUF_INIT(64);
    struct failure f;
    struct mapping m;
    int fd = -1;
    OK(memory_file_of("message", SLICE_LITERAL("Subject: s\r\n\r\n\xc3\xbc and a few more words\r\n"), &fd,
                      &f));
    OK(job_to_7bit_encode(15, &request));
    OK(channel_send(channel, buf_slice(&request), &fd, 1));
    close(fd);
    buf_release(&request);
    channel_frame_init(&frame);
    struct job_result r = answer(&frame, 0);
    OK(r.status);
    assert_int_equal(r.job, 15);
    OK(mapping_open(frame.fds[0], 1 << 20, &m));
    assert_true(slice_holds(mapping_slice(&m), "=C3=BC and a few"));
    mapping_close(&m);
    channel_frame_release(&frame);
}

static void bad_jobs_are_answered(void **state)
{
    (void)state;
    struct channel_frame frame;
    struct failure f;
    int fd = -1;
    /* No descriptor. */
    OK(channel_send(channel, SLICE_LITERAL("\x92\x03\x10"), NULL, 0));
    channel_frame_init(&frame);
    struct job_result r = answer(&frame, 1);
    assert_int_equal(r.job, 16);
    assert_int_equal(r.status, STATUS_MALFORMED);
    channel_frame_release(&frame);
    /* One that somebody could still cut short while it is mapped. */
    OK(memory_file_create("open", &fd, &f));
    assert_int_equal(write(fd, "a: b\r\n\r\n", 8), 8);
    OK(channel_send(channel, SLICE_LITERAL("\x92\x03\x11"), &fd, 1));
    close(fd);
    channel_frame_init(&frame);
    r = answer(&frame, 1);
    assert_int_equal(r.job, 17);
    assert_int_not_equal(r.status, STATUS_OK);
    channel_frame_release(&frame);
    /* No number: the connection ends, and it comes again. */
    OK(channel_send(channel, SLICE_LITERAL("garbage"), NULL, 0));
    accept_worker();
    jobs_are_done(NULL);
}

static void smtp_goes_and_comes_back(void **state)
{
    (void)state;
    accept_worker(); /* closes this end first */
    jobs_are_done(NULL);
}

static void it_stops_in_order(void **state)
{
    (void)state;
    uint64_t one = 1;
    int status = -1;
    assert_int_equal(write(stop_fd, &one, sizeof one), sizeof one);
    assert_int_equal(waitpid(worker, &status, 0), worker);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jobs_are_done),
        cmocka_unit_test(changes_of_the_store_are_seen),
        cmocka_unit_test(to_7bit_is_done),
        cmocka_unit_test(bad_jobs_are_answered),
        cmocka_unit_test(smtp_goes_and_comes_back),
        cmocka_unit_test(it_stops_in_order),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
