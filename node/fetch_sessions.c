/*
 * Who asks over run/fetch.sock: workers, and api for the state (mail/fetch_protocol.h). A session is found by
 * its number, never by a pointer, since it may end while its question is worked on. An answer that does not
 * fit into the socket ends the session: the asker has given up. On the loop.
 */
#include "node/fetch_internal.h"

#include "base/channel.h"
#include "base/log.h"
#include "base/msgpack_write.h"
#include "node/fetch_lists.h"
#include "node/fetch_ocsp.h"

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

static void stats_reply(struct fetch *r, const struct fetch_asker *to)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"issuers_asked", r->counts.issuers_asked},       {"issuers_found", r->counts.issuers_found},
        {"people_asked", r->counts.people_asked},         {"people_found", r->counts.people_found},
        {"proposals_failed", r->counts.proposals_failed}, {"lists_fetched", r->counts.lists_fetched},
        {"lists_failed", r->counts.lists_failed},         {"people_failed", r->counts.people_failed},
        {"ocsp_fetched", r->counts.ocsp_fetched},         {"ocsp_failed", r->counts.ocsp_failed},
    };
    struct buf map = BUF_INIT(4096);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &map);
    write_map(&w, sizeof numbers / sizeof numbers[0]);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        write_text(&w, slice_of_text(numbers[i].name));
        write_u64(&w, numbers[i].value);
    }
    enum status status = msgpack_writer_status(&w);
    fetch_reply(r, to, status, status_text(status), buf_slice(&map), status == STATUS_OK ? 1 : 0);
    buf_release(&map);
}

static void source_write(struct msgpack_writer *w, const struct list_source *s)
{
    const char *state = s->busy               ? "fetching"
                        : s->error[0] != '\0' ? "failed"
                        : s->fetched_ms != 0  ? "ok"
                                              : "due";
    write_array(w, 8);
    write_text(w, slice_of_text(s->delta ? "delta-crl" : "crl"));
    write_text(w, slice_of_text(s->url));
    write_text(w, slice_of_text(s->issuer));
    write_text(w, slice_of_text(state));
    write_text(w, slice_of_text(s->error));
    write_u64(w, s->fetched_ms);
    write_u64(w, s->next_ms);
    write_u64(w, s->failures);
}

static void responder_write(struct msgpack_writer *w, const struct fetch_ocsp *o, size_t i)
{
    const struct ocsp_responder *p = fetch_ocsp_responder_at(o, i);
    const char *state = p->busy               ? "fetching"
                        : p->error[0] != '\0' ? "failed"
                        : p->answered_ms != 0 ? "ok"
                                              : "due";
    char about[40];
    int n = snprintf(about, sizeof about, "%zu certificates", p->certificates);
    write_array(w, 8);
    write_text(w, SLICE_LITERAL("ocsp"));
    write_text(w, slice_of_text(p->url));
    write_text(w, slice_of_text(n > 0 && (size_t)n < sizeof about ? about : ""));
    write_text(w, slice_of_text(state));
    write_text(w, slice_of_text(p->error));
    write_u64(w, p->answered_ms);
    write_u64(w, fetch_ocsp_next(o, i));
    write_u64(w, p->failures);
}

static void list_reply(struct fetch *r, const struct fetch_asker *to)
{
    struct buf results = BUF_INIT(ANSWER_MAX - 4096);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &results);
    write_text(&w, slice_of_text(core_client_node_name(r->core)));
    write_text(&w, slice_of_text(r->leader));
    write_array(&w, fetch_lists_count(r->lists) + fetch_ocsp_responders(r->ocsp));
    for (size_t i = 0; i < fetch_lists_count(r->lists); i++) {
        source_write(&w, fetch_lists_at(r->lists, i));
    }
    for (size_t i = 0; i < fetch_ocsp_responders(r->ocsp); i++) {
        responder_write(&w, r->ocsp, i);
    }
    enum status status = msgpack_writer_status(&w);
    fetch_reply(r, to, status, status_text(status), buf_slice(&results), status == STATUS_OK ? 3 : 0);
    buf_release(&results);
}

static void now_reply(struct fetch *r, const struct fetch_asker *to)
{
    struct buf result = BUF_INIT(16);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &result);
    if (!fetch_leads(r)) {
        struct failure f;
        (void)failure_set(&f, STATUS_NOT_LEADER, "lists are fetched by the leading node: ask %s",
                          r->leader[0] != '\0' ? r->leader : "again when there is one");
        fetch_reply(r, to, STATUS_NOT_LEADER, f.text, SLICE_LITERAL(""), 0);
        return;
    }
    write_u64(&w, fetch_lists_now(r) + fetch_ocsp_now(r));
    enum status status = msgpack_writer_status(&w);
    fetch_reply(r, to, status, status_text(status), buf_slice(&result), status == STATUS_OK ? 1 : 0);
    buf_release(&result);
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
        stats_reply(r, &from);
        return;
    case FETCH_LIST:
        list_reply(r, &from);
        return;
    case FETCH_NOW:
        now_reply(r, &from);
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
