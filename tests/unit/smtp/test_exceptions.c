/* What is not simply delivered: some recipients refused and the others served, quarantine, routes. */
#include "rig.h"

#include "base/msgpack_read.h"
#include "smtp/spool_envelope.h"
#include "smtp/spool_format.h"
#include "smtp/spool_state.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY                                                                                                 \
    "From: a@a.test\r\nTo: b@b.test\r\nSubject: secret subject\r\nX-Secret: very\r\n folded\r\nDate: "       \
    "now\r\n"                                                                                                \
    " and then\r\n\r\nsecret body\r\n"

static struct rig rig;
static struct sink sink;

static int begin(void **state)
{
    (void)state;
    char text[64];
    memset(&rig, 0, sizeof rig);
    memset(&sink, 0, sizeof sink);
    rig.grace_ms = 2000;
    sink_start(&sink);
    (void)!snprintf(text, sizeof text, "127.0.0.1:%u", sink.port);
    rig_set(&rig, "delivery.next_hop", text);
    rig_set(&rig, "delivery.retry", "200ms");
    atomic_store(&rig.mode, RIG_EXCEPTIONS);
    return 0;
}

static int finish(void **state)
{
    (void)state;
    if (rig.thread != 0) {
        rig_stop(&rig);
    }
    sink_stop(&sink);
    rig_remove(&rig);
    return 0;
}

static void wait_for_stat(const char *name, uint64_t value)
{
    for (int i = 0; i < 100 && rig_stat(&rig, name) != value; i++) {
        (void)usleep(50000);
    }
    assert_int_equal(rig_stat(&rig, name), value);
}

static void id_of_reply(const char *reply, char id[ID_TEXT_SIZE])
{
    assert_non_null(strstr(reply, "250 2.0.0 queued as "));
    memcpy(id, reply + strlen("250 2.0.0 queued as "), ID_TEXT_SIZE - 1);
    id[ID_TEXT_SIZE - 1] = '\0';
}

static void check_notification(void)
{
    size_t dsn = strstr(sink.envelopes[0], "MAIL FROM:<>") != NULL ? 0 : 1;
    assert_non_null(strstr(sink.envelopes[dsn], "MAIL FROM:<>"));
    assert_non_null(strstr(sink.envelopes[dsn], "RCPT TO:<a@a.test>"));
    assert_non_null(strstr(sink.messages[dsn], "Final-Recipient: rfc822; refused@b.test"));
    assert_non_null(strstr(sink.messages[dsn], "Status: 5.7.5"));
    assert_non_null(
        strstr(sink.messages[dsn], "Diagnostic-Code: x-sealpost; <refused@b.test>: no usable certificate"));
    assert_non_null(strstr(sink.messages[dsn], "Date: now\r\n and then"));
    assert_null(strstr(sink.messages[dsn], "secret"));
    assert_null(strstr(sink.messages[dsn], "X-Secret"));
    assert_null(strstr(sink.messages[dsn], "folded"));
    assert_non_null(strstr(sink.envelopes[1 - dsn], "RCPT TO:<good@b.test>"));
    assert_null(strstr(sink.envelopes[1 - dsn], "refused@"));
}

static void test_refused_are_told_of_once(void **state)
{
    (void)state;
    char reply[256];
    rig_start(&rig);
    assert_int_equal(
        client_deliver(rig.port, "a@a.test", "good@b.test,refused@b.test", BODY, reply, sizeof reply), 250);
    assert_non_null(strstr(reply, "1 of 2 recipients refused, a notification follows"));
    assert_true(sink_wait(&sink, 2, 5000));
    check_notification();
    wait_for_stat("queue_messages", 0);
    assert_int_equal(sink.count, 2);
}

/* The duty to tell the sender is as durable as the message. */
static void test_notification_survives_restart(void **state)
{
    (void)state;
    atomic_store(&sink.mail_code, 451);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "good@b.test,refused@b.test", BODY, NULL, 0), 250);
    rig_stop(&rig);
    atomic_store(&sink.mail_code, 0);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_true(sink_wait(&sink, 2, 10000));
    check_notification();
    wait_for_stat("queue_messages", 0);
    assert_int_equal(sink.count, 2);
}

/* A worker that would leave somebody in the dark is not believed. */
static void test_null_sender_is_not_split(void **state)
{
    (void)state;
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "", "good@b.test,refused@b.test", BODY, NULL, 0), 451);
    assert_false(sink_wait(&sink, 1, 300));
    assert_int_equal(rig_stat(&rig, "queue_messages"), 0);
}

static void show(const char *id, struct arena *a, struct queue_entry *e)
{
    struct channel_frame frame;
    struct msgpack_reader r;
    struct slice kept;
    rig_queue_ask(&rig, id, QUEUE_SHOW, &frame);
    assert_true(arena_copy(a, buf_slice(&frame.payload), &kept));
    channel_frame_release(&frame);
    msgpack_reader_init(&r, kept);
    (void)read_array(&r, 5);
    (void)read_u64(&r);
    (void)read_u64(&r);
    assert_int_equal(read_u64(&r), STATUS_OK);
    (void)read_text(&r, 100);
    queue_entry_read(&r, a, e);
    assert_int_equal(r.status, STATUS_OK);
}

static uint64_t change(const char *id, enum queue_request type)
{
    struct channel_frame frame;
    struct msgpack_reader r;
    rig_queue_ask(&rig, id, type, &frame);
    msgpack_reader_init(&r, buf_slice(&frame.payload));
    (void)read_array(&r, 5);
    (void)read_u64(&r);
    (void)read_u64(&r);
    uint64_t status = read_u64(&r);
    channel_frame_release(&frame);
    return status;
}

static void test_quarantine_by_policy(void **state)
{
    (void)state;
    char reply[256], id[ID_TEXT_SIZE];
    struct arena a;
    struct queue_entry e;
    arena_init(&a, 1 << 20);
    rig_start(&rig);
    assert_int_equal(
        client_deliver(rig.port, "a@a.test", "good@b.test,held@b.test", BODY, reply, sizeof reply), 250);
    id_of_reply(reply, id);
    assert_true(sink_wait(&sink, 1, 5000)); /* the other recipient does not wait */
    wait_for_stat("queue_quarantined", 1);
    show(id, &a, &e);
    assert_true(slice_equal(e.state, SLICE_LITERAL("quarantined")));
    assert_true(slice_equal(e.recipients[0].state, SLICE_LITERAL("delivered")));
    assert_true(slice_equal(e.recipients[1].state, SLICE_LITERAL("quarantined")));
    assert_true(slice_equal(e.recipients[1].last_reply, SLICE_LITERAL("a rule says so")));

    rig_stop(&rig); /* it stays there over a restart, whatever is retried, and when it is old */
    rig_set(&rig, "delivery.expire", "1s");
    rig.keep_dir = true;
    rig_start(&rig);
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    rig_operate(&rig, "retry", &(struct queue_selection){0});
    assert_int_equal(change(id, QUEUE_RETRY), STATUS_CONFLICT);
    (void)usleep(1100000);
    assert_int_equal(sink.count, 1);

    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_OK);
    assert_true(sink_wait(&sink, 2, 5000));
    assert_non_null(strstr(sink.envelopes[1], "RCPT TO:<held@b.test>"));
    wait_for_stat("queue_messages", 0);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_NOT_FOUND);
    arena_release(&a);
}

static void test_released_and_deferred_stays_released(void **state)
{
    (void)state;
    char reply[256], id[ID_TEXT_SIZE];
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "held@b.test", BODY, reply, sizeof reply), 250);
    id_of_reply(reply, id);
    wait_for_stat("queue_quarantined", 1);
    atomic_store(&sink.mail_code, 451);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_OK);
    wait_for_stat("deferred", 1);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_CONFLICT);
    rig_stop(&rig);
    atomic_store(&sink.mail_code, 0);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_true(sink_wait(&sink, 1, 5000));
}

static void test_quarantined_is_deleted(void **state)
{
    (void)state;
    char reply[256], id[ID_TEXT_SIZE];
    rig_start(&rig);
    assert_int_equal(
        client_deliver(rig.port, "a@a.test", "held@b.test,refused@b.test", BODY, reply, sizeof reply), 250);
    id_of_reply(reply, id);
    assert_true(sink_wait(&sink, 1, 5000)); /* the notification need not wait for a release */
    assert_non_null(strstr(sink.envelopes[0], "MAIL FROM:<>"));
    wait_for_stat("queue_quarantined", 1);
    assert_int_equal(change(id, QUEUE_DELETE), STATUS_OK);
    wait_for_stat("queue_messages", 0); /* the notification's end may come after the sink has it */
    assert_false(sink_wait(&sink, 2, 300));
}

static int lmtp_begin(const char *const *recipients)
{
    int fd = rig_connect(rig.lmtp_port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "EHLO x"), 500);
    assert_int_equal(client_command(fd, "HELO x"), 500);
    assert_int_equal(client_command(fd, "LHLO client.test"), 250);
    assert_int_equal(client_command(fd, "MAIL FROM:<a@a.test>"), 250);
    for (size_t i = 0; recipients[i] != NULL; i++) {
        char line[200];
        (void)!snprintf(line, sizeof line, "RCPT TO:<%s>", recipients[i]);
        assert_int_equal(client_command(fd, line), 250);
    }
    return fd;
}

/* Put aside as it came: nothing leaves before it is released and decided anew. */
static void test_put_aside_as_it_came(void **state)
{
    (void)state;
    char reply[256], id[ID_TEXT_SIZE];
    struct arena a;
    struct queue_entry e;
    arena_init(&a, 1 << 20);
    rig_start(&rig);
    assert_int_equal(
        client_deliver(rig.port, "a@a.test", "aside@b.test,good@b.test", BODY, reply, sizeof reply), 250);
    assert_non_null(strstr(reply, "; held until an administrator releases it\r\n"));
    id_of_reply(reply, id);
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    show(id, &a, &e);
    assert_true(slice_equal(e.state, SLICE_LITERAL("quarantined")));
    assert_int_equal(e.recipient_count, 2);
    assert_true(slice_equal(e.recipients[1].state, SLICE_LITERAL("quarantined")));
    assert_true(
        slice_equal(e.recipients[0].last_reply, SLICE_LITERAL("aside@b.test: no usable certificate")));
    assert_true(slice_equal(e.trace, SLICE_LITERAL("{}")));

    rig_stop(&rig); /* it lies there over a restart, whatever else is tried again */
    rig.keep_dir = true;
    rig_start(&rig);
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    rig_operate(&rig, "retry", &(struct queue_selection){0});
    atomic_store(&rig.still_aside, true);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_OK); /* refused anew: it stays */
    assert_false(sink_wait(&sink, 1, 300));
    wait_for_stat("queue_quarantined", 1);
    show(id, &a, &e);
    assert_true(slice_equal(e.state, SLICE_LITERAL("quarantined")));
    atomic_store(&rig.still_aside, false);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_OK);
    assert_true(sink_wait(&sink, 2, 5000));
    assert_string_equal(rig.released, "smtp 16"); /* JOB_RELEASED */
    wait_for_stat("queue_messages", 0);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_NOT_FOUND);
    arena_release(&a);
}

/* LMTP: taken for everybody; and it is decided anew as what came by LMTP. */
static void test_put_aside_by_lmtp(void **state)
{
    (void)state;
    char reply[300], id[ID_TEXT_SIZE];
    rig_start(&rig);
    int fd = lmtp_begin((const char *const[]){"aside@b.test", "good@b.test", NULL});
    assert_int_equal(client_command(fd, "DATA"), 354);
    client_send(fd, BODY ".\r\n");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(client_reply(fd, reply, sizeof reply), 250);
        id_of_reply(reply, id);
    }
    assert_int_equal(client_command(fd, "QUIT"), 221);
    (void)close(fd);
    assert_int_equal(change(id, QUEUE_RELEASE), STATUS_OK);
    assert_true(sink_wait(&sink, 2, 5000));
    assert_string_equal(rig.released, "lmtp 16");
}

/* The one message of the sink that is from the null sender. */
static const char *the_notice(void)
{
    const char *notice = NULL;
    for (size_t i = 0; i < sink.count; i++) {
        if (strstr(sink.envelopes[i], "MAIL FROM:<>") != NULL) {
            assert_null(notice);
            assert_non_null(strstr(sink.envelopes[i], "RCPT TO:<a@a.test>"));
            notice = sink.messages[i];
        }
    }
    assert_non_null(notice);
    assert_null(strstr(notice, "secret"));
    assert_null(strstr(notice, "X-Secret"));
    assert_non_null(strstr(notice, "\nAuto-Submitted: auto-replied"));
    return notice;
}

static void test_a_notice_is_sent_once(void **state)
{
    (void)state;
    rig_start(&rig);
    assert_int_equal(
        client_deliver(rig.port, "a@a.test", "told@b.test,held@b.test,refused@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 3, 5000)); /* a notice, a bounce, a message */
    wait_for_stat("queue_quarantined", 1);
    assert_int_equal(sink.count, 3);
    size_t notices = 0;
    for (size_t i = 0; i < 3; i++) {
        const char *m = sink.messages[i];
        if (strstr(m, "Subject: How your message was protected") != NULL) {
            notices++;
            assert_non_null(strstr(m, "<told@b.test>:\r\n    as you sent it: neither signed nor encrypted"));
            assert_non_null(strstr(m, "<held@b.test>:\r\n    held until an administrator releases it"));
            assert_non_null(strstr(m, "<refused@b.test>:\r\n    <refused@b.test>: no usable certificate"));
        }
    }
    assert_int_equal(notices, 1);
    /* Nobody can be told. */
    assert_int_equal(client_deliver(rig.port, "", "told@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 4, 5000));
    wait_for_stat("queue_messages", 1);
    assert_int_equal(sink.count, 4);
}

static void test_a_notice_of_what_is_put_aside(void **state)
{
    (void)state;
    char reply[256], id[ID_TEXT_SIZE];
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "told-aside@b.test", BODY, reply, sizeof reply),
                     250);
    id_of_reply(reply, id);
    assert_true(sink_wait(&sink, 1, 5000));
    const char *notice = the_notice();
    assert_non_null(strstr(notice, "Subject: Your message is held"));
    assert_non_null(strstr(notice, id));
    assert_non_null(strstr(notice, "<told-aside@b.test>:\r\n    aside@b.test: no usable certificate"));
    wait_for_stat("queue_messages", 1);
    wait_for_stat("queue_quarantined", 1);
    rig_stop(&rig);
    rig.keep_dir = true;
    rig_start(&rig);
    assert_int_equal(rig_stat(&rig, "queue_quarantined"), 1);
    assert_false(sink_wait(&sink, 2, 500)); /* not once more */
}

static size_t forget_in(const char *path)
{
    static uint8_t bytes[1 << 20];
    size_t forgotten = 0;
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    size_t len = fread(bytes, 1, sizeof bytes, file);
    for (size_t at = 0; at + SPOOL_RECORD_HEADER + SPOOL_STATE_FIXED < len; at += 8) {
        struct spool_record record;
        uint8_t *payload = bytes + at + SPOOL_RECORD_HEADER;
        if (spool_record_read(bytes + at, &record) != STATUS_OK || record.type != SPOOL_RECORD_STATE ||
            (payload[2] & SPOOL_STATE_NOTICED) == 0) {
            continue;
        }
        struct buf changed = BUF_INIT(1 << 20);
        forgotten++;
        payload[2] &= (uint8_t)~SPOOL_STATE_NOTICED;
        assert_int_equal(spool_record_append(&changed, &record, slice_of(payload, record.payload_len)),
                         STATUS_OK);
        memcpy(bytes + at, changed.data, changed.len);
        buf_release(&changed);
    }
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    return forgotten;
}

/* As if the node had gone down before it was written that notices were made. */
static void forget_notices(void)
{
    char pattern[96];
    glob_t found;
    size_t forgotten = 0;
    (void)!snprintf(pattern, sizeof pattern, "%s/spool/*.seg", rig.dir);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        forgotten += forget_in(found.gl_pathv[i]);
    }
    globfree(&found);
    assert_true(forgotten > 0);
}

static void test_a_notice_is_one_after_a_crash(void **state)
{
    (void)state;
    for (int aside = 0; aside < 2; aside++) {
        size_t before = sink.count;
        atomic_store(&sink.mail_code, 451);
        rig.keep_dir = aside == 1;
        rig_start(&rig);
        assert_int_equal(client_deliver(rig.port, "a@a.test",
                                        aside == 1 ? "told-aside@b.test" : "told@b.test", BODY, NULL, 0),
                         250);
        wait_for_stat("queue_messages", 2);
        wait_for_stat(aside == 1 ? "queue_quarantined" : "queue_messages", aside == 1 ? 1 : 2);
        rig_stop(&rig);
        forget_notices();
        rig.keep_dir = true;
        rig_start(&rig);
        /* Until each was tried again, nothing leaves: a notice that has left is not known to have been there.
         */
        for (int i = 0; i < 400 && rig_stat(&rig, "deferred") < 8; i++) {
            (void)usleep(50000);
        }
        assert_true(rig_stat(&rig, "deferred") >= 8);
        atomic_store(&sink.mail_code, 0);
        assert_true(sink_wait(&sink, before + 2 - (size_t)aside, 5000));
        wait_for_stat("queue_messages", (uint64_t)aside);
        assert_int_equal(sink.count, before + 2 - (size_t)aside);
        rig_stop(&rig);
        rig.keep_dir = true;
    }
}

static void test_route_overrides_next_hop(void **state)
{
    (void)state;
    static struct sink other;
    memset(&other, 0, sizeof other);
    sink_start(&other);
    (void)!snprintf(rig.route, sizeof rig.route, "127.0.0.1:%u", other.port);
    rig_start(&rig);
    assert_int_equal(client_deliver(rig.port, "a@a.test", "good@b.test,routed@b.test", BODY, NULL, 0), 250);
    assert_true(sink_wait(&sink, 1, 5000));
    assert_true(sink_wait(&other, 1, 5000));
    assert_non_null(strstr(other.envelopes[0], "RCPT TO:<routed@b.test>"));
    assert_non_null(strstr(sink.envelopes[0], "RCPT TO:<good@b.test>"));
    rig_stop(&rig);
    sink_stop(&other);
}

/* --- LMTP --- */

static void test_lmtp_answers_for_each(void **state)
{
    (void)state;
    char reply[300];
    rig_start(&rig);
    int fd = lmtp_begin((const char *const[]){"good@b.test", "refused@b.test", "good@b.test",
                                              "refused@c.test", "other@b.test", NULL});
    assert_int_equal(client_command(fd, "DATA"), 354);
    client_send(fd, BODY ".\r\n");
    static const int codes[] = {250, 550, 250, 550, 250};
    for (size_t i = 0; i < 5; i++) { /* the second good@b.test is the first one, and has its reply */
        assert_int_equal(client_reply(fd, reply, sizeof reply), codes[i]);
        assert_non_null(strstr(reply, codes[i] == 250 ? "250 2.0.0 queued as "
                                      : i == 1 ? "550 5.7.5 <refused@b.test>: no usable certificate\r\n"
                                               : "550 5.7.5 <refused@c.test>: no usable certificate\r\n"));
        assert_null(strstr(reply, "notification"));
    }
    assert_true(sink_wait(&sink, 2, 5000));
    assert_null(strstr(sink.messages[0], "MAILER-DAEMON"));
    assert_non_null(strstr(sink.messages[0], " with LMTP id "));
    wait_for_stat("queue_messages", 0);
    assert_int_equal(sink.count, 2); /* nobody is sent a notification: the client knows */

    /* refused for all, then fit for the next transaction */
    assert_int_equal(client_command(fd, "MAIL FROM:<>"), 250);
    assert_int_equal(client_command(fd, "DATA"), 503);
    assert_int_equal(client_command(fd, "RCPT TO:<refused@b.test>"), 250);
    assert_int_equal(client_command(fd, "RCPT TO:<refused@c.test>"), 250);
    assert_int_equal(client_command(fd, "DATA"), 354);
    client_send(fd, BODY ".\r\n");
    assert_int_equal(client_reply(fd, NULL, 0), 550);
    assert_int_equal(client_reply(fd, reply, sizeof reply), 550);
    assert_non_null(strstr(reply, "<refused@c.test>"));
    assert_int_equal(client_command(fd, "NOOP"), 250);
    (void)close(fd);
}

static void test_lmtp_fault_has_as_many_replies(void **state)
{
    (void)state;
    rig_set(&rig, "smtp.max_size", "1024");
    rig_start(&rig);
    int fd = lmtp_begin((const char *const[]){"b@b.test", "c@b.test", "d@b.test", NULL});
    assert_int_equal(client_command(fd, "DATA"), 354);
    client_send(fd, BODY);
    for (size_t i = 0; i < 30; i++) {
        client_send(fd, "a line that makes it greater than its limit\r\n");
    }
    client_send(fd, ".\r\n");
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(client_reply(fd, NULL, 0), 552);
    }
    assert_int_equal(client_command(fd, "NOOP"), 250);
    (void)close(fd);
    atomic_store(&rig.mode, RIG_DIE); /* put into quarantine as it came: taken, for everybody */
    rig_set(&rig, "smtp.max_size", "10000");
    fd = lmtp_begin((const char *const[]){"b@b.test", "c@b.test", NULL});
    assert_int_equal(client_command(fd, "DATA"), 354);
    client_send(fd, BODY ".\r\n");
    assert_int_equal(client_reply(fd, NULL, 0), 250);
    assert_int_equal(client_reply(fd, NULL, 0), 250);
    assert_int_equal(client_command(fd, "QUIT"), 221);
    (void)close(fd);
}

static void test_smtp_knows_no_lhlo(void **state)
{
    (void)state;
    rig_start(&rig);
    int fd = rig_connect(rig.port);
    assert_int_equal(client_reply(fd, NULL, 0), 220);
    assert_int_equal(client_command(fd, "LHLO x"), 500);
    assert_int_equal(client_command(fd, "EHLO x"), 250);
    (void)close(fd);
}

/* --- the envelope --- */

static void test_envelope_goes_round(void **state)
{
    (void)state;
    size_t first[] = {0}, second[] = {2};
    struct slice recipients[] = {SLICE_LITERAL("a@x.test"), SLICE_LITERAL("b@x.test"),
                                 SLICE_LITERAL("c@x.test")};
    struct spool_variant variants[] = {
        {.size = 10,
         .needs_8bit = true,
         .protection = SLICE_LITERAL("none"),
         .recipients = first,
         .recipient_count = 1},
        {.size = 20,
         .quarantine = true,
         .quarantine_reason = SLICE_LITERAL("why"),
         .next_hop = SLICE_LITERAL("h:25"),
         .protection = SLICE_LITERAL("none"),
         .recipients = second,
         .recipient_count = 1},
    };
    struct spool_refusal refusals[] = {
        {.recipient = 1, .enhanced = SLICE_LITERAL("5.7.1"), .reason = SLICE_LITERAL("no")}};
    struct spool_envelope e = {.recipients = recipients,
                               .recipient_count = 3,
                               .variants = variants,
                               .variant_count = 2,
                               .refusals = refusals,
                               .refusal_count = 1,
                               .trace = SLICE_LITERAL("{}")};
    struct spool_envelope got;
    struct buf out = BUF_INIT(65536);
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(spool_envelope_encode(&e, &out), STATUS_OK);
    assert_int_equal(spool_envelope_decode(buf_slice(&out), &a, &got), STATUS_OK);
    assert_true(got.variants[0].needs_8bit && !got.variants[0].quarantine);
    assert_true(got.variants[1].quarantine && !got.variants[1].needs_8bit);
    assert_true(slice_equal(got.variants[1].next_hop, SLICE_LITERAL("h:25")));
    assert_true(slice_equal(got.refusals[0].reason, SLICE_LITERAL("no")));
    refusals[0].recipient = 2; /* served and refused */
    buf_reset(&out);
    assert_int_equal(spool_envelope_encode(&e, &out), STATUS_OK);
    assert_int_equal(spool_envelope_decode(buf_slice(&out), &a, &got), STATUS_CORRUPT);
    e.refusal_count = 0; /* neither */
    buf_reset(&out);
    assert_int_equal(spool_envelope_encode(&e, &out), STATUS_OK);
    assert_int_equal(spool_envelope_decode(buf_slice(&out), &a, &got), STATUS_CORRUPT);
    buf_release(&out);
    arena_release(&a);
}

/* Written by release 0.1. */
static void test_envelope_of_version_1(void **state)
{
    (void)state;
    static const uint8_t bytes[] =
        "\x9c\x01\xc4\x10"
        "0123456789abcdef"
        "\x05\x01\x01\x00\xa1s\xa1i\xa1h\x91\xa1r\x91\x94\x0a\x01\xa4none\x91\x00\xa2{}";
    struct spool_envelope got;
    struct arena a;
    arena_init(&a, 1 << 20);
    assert_int_equal(spool_envelope_decode(slice_of(bytes, sizeof bytes - 1), &a, &got), STATUS_OK);
    assert_int_equal(got.variants[0].size, 10);
    assert_true(got.variants[0].needs_8bit);
    assert_int_equal(got.refusal_count, 0);
    arena_release(&a);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)
    const struct CMUnitTest tests[] = {
        CASE(test_refused_are_told_of_once),
        CASE(test_notification_survives_restart),
        CASE(test_null_sender_is_not_split),
        CASE(test_quarantine_by_policy),
        CASE(test_released_and_deferred_stays_released),
        CASE(test_quarantined_is_deleted),
        CASE(test_put_aside_as_it_came),
        CASE(test_put_aside_by_lmtp),
        CASE(test_a_notice_is_sent_once),
        CASE(test_a_notice_of_what_is_put_aside),
        CASE(test_a_notice_is_one_after_a_crash),
        CASE(test_route_overrides_next_hop),
        CASE(test_lmtp_answers_for_each),
        CASE(test_lmtp_fault_has_as_many_replies),
        CASE(test_smtp_knows_no_lhlo),
        cmocka_unit_test(test_envelope_goes_round),
        cmocka_unit_test(test_envelope_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
