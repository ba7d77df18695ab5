/*
 * Who asks over run/fetch.sock: workers, and api for the state (mail/fetch_protocol.h). A session is found by
 * its number, never by a pointer, since it may end while its question is worked on. An answer that does not
 * fit into the socket ends the session: the asker has given up. On the loop.
 */
#include "node/fetch_sts.h"

#include "base/channel.h"
#include "base/log.h"
#include "base/msgpack_write.h"

#include <unistd.h>

#define SESSIONS_MAX  300
#define FRAMES_A_TURN 16
#define ANSWER_MAX    ((size_t)4 << 20)

struct fetch_session {
    uint64_t number;
    int fd; /* -1: ended */
    struct fetch_session *next;
};

void fetch_sessions_accept(struct fetch *r, int listener)
{
    for (int fd; channel_accept(listener, &fd) == STATUS_OK;) {
        struct fetch_session *s = r->session_count < SESSIONS_MAX ? calloc(1, sizeof *s) : NULL;
        if (s == NULL) {
            log_event(LOG_WARN, "a connection is refused: there are too many");
            close(fd);
            continue;
        }
        *s = (struct fetch_session){.number = ++r->next_session, .fd = fd, .next = r->sessions};
        r->sessions = s;
        r->session_count++;
    }
}

int fetch_session_fd(const struct fetch_session *s)
{
    return s->fd;
}

struct fetch_session *fetch_session_next(const struct fetch_session *s)
{
    return s->next;
}

static void session_end(struct fetch_session *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    s->fd = -1;
}

void fetch_sessions_sweep(struct fetch *r)
{
    for (struct fetch_session **at = &r->sessions; *at != NULL;) {
        struct fetch_session *s = *at;
        if (s->fd < 0) {
            *at = s->next;
            r->session_count--;
            free(s);
        } else {
            at = &s->next;
        }
    }
}

void fetch_sessions_free(struct fetch *r)
{
    for (struct fetch_session *s = r->sessions; s != NULL; s = s->next) {
        session_end(s);
    }
    fetch_sessions_sweep(r);
}

void fetch_reply(struct fetch *r, const struct fetch_asker *to, enum status status, const char *text,
                 struct slice results, size_t count)
{
    struct fetch_answer answer = {
        .type = to->type, .number = to->number, .status = status, .text = slice_of_text(text)};
    struct buf frame = BUF_INIT(ANSWER_MAX);
    struct fetch_session *s = r->sessions;
    while (s != NULL && s->number != to->session) {
        s = s->next;
    }
    if (s != NULL && s->fd >= 0 &&
        (fetch_answer_encode(&answer, results, count, &frame) != STATUS_OK ||
         channel_send(s->fd, buf_slice(&frame), NULL, 0) != STATUS_OK)) {
        session_end(s);
    }
    buf_release(&frame);
}

static void serve(struct fetch *r, struct fetch_session *s, struct slice frame)
{
    struct fetch_question q;
    if (fetch_question_decode(frame, &q) != STATUS_OK) {
        log_event(LOG_WARN, "a role sends what is no question");
        session_end(s);
        return;
    }
    struct fetch_asker from = {.session = s->number, .number = q.number, .type = q.type};
    switch (q.type) {
    case FETCH_ISSUERS:
        fetch_issuers(r, &from, &q);
        return;
    case FETCH_PEOPLE:
        fetch_people(r, &from, &q);
        return;
    case FETCH_STATS:
        fetch_stats_reply(r, &from);
        return;
    case FETCH_LIST:
        fetch_list_reply(r, &from);
        return;
    case FETCH_NOW:
        fetch_now_reply(r, &from, q.url);
        return;
    case FETCH_STS:
        fetch_sts_ask(r, &from, &q);
        return;
    case FETCH_REPORT:
        fetch_report_ask(r, &from, &q);
        return;
    case FETCH_TYPE_END:
        return;
    }
}

void fetch_session_read(struct fetch *r, struct fetch_session *s)
{
    struct channel_frame frame;
    channel_frame_init(&frame);
    for (unsigned i = 0; s->fd >= 0 && i < FRAMES_A_TURN; i++) {
        enum status status = channel_receive(s->fd, &frame);
        if (status == STATUS_BUSY) {
            break;
        }
        if (status == STATUS_OK) {
            serve(r, s, buf_slice(&frame.payload));
        } else {
            session_end(s);
        }
    }
    channel_frame_release(&frame);
}
