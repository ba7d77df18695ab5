/*
 * What the fetch role tells of itself (mail/fetch_protocol.h: LIST, NOW, STATS): which lists and responders
 * are asked, when it went well last, when and why not, when they are asked next. On the loop.
 */
#include "node/fetch_internal.h"

#include "node/fetch_lists.h"
#include "node/fetch_ocsp.h"

#define SOURCES_BYTES_MAX ((size_t)700 << 10) /* it has to pass through core's frames */

void fetch_stats_reply(struct fetch *r, const struct fetch_asker *to)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {
        {"lists_fetched", r->counts.lists_fetched},
        {"lists_failed", r->counts.lists_failed},
        {"ocsp_fetched", r->counts.ocsp_fetched},
        {"ocsp_failed", r->counts.ocsp_failed},
        {"issuers_asked", r->counts.issuers_asked},
        {"issuers_found", r->counts.issuers_found},
        {"people_asked", r->counts.people_asked},
        {"people_found", r->counts.people_found},
        {"people_failed", r->counts.people_failed},
        {"proposals_failed", r->counts.proposals_failed},
        {"list_sources", fetch_lists_count(r->lists)},
        {"ocsp_responder_sources", fetch_ocsp_responders(r->ocsp)},
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

static struct slice state_of(bool busy, uint64_t good_ms, uint64_t failed_ms)
{
    return busy                  ? SLICE_LITERAL("fetching")
           : failed_ms > good_ms ? SLICE_LITERAL("failed")
           : good_ms != 0        ? SLICE_LITERAL("ok")
                                 : SLICE_LITERAL("due");
}

static void list_write(struct msgpack_writer *w, const struct list_source *s)
{
    const struct fetch_source source = {
        .kind = s->delta ? SLICE_LITERAL("delta-crl") : SLICE_LITERAL("crl"),
        .url = slice_of_text(s->url),
        .about = slice_of_text(s->issuer),
        .state = state_of(s->busy, s->fetched_ms, s->failed_ms),
        .error = slice_of_text(s->error),
        .fetched_ms = s->fetched_ms,
        .failed_ms = s->failed_ms,
        .next_ms = s->next_ms,
        .failures = s->failures,
    };
    fetch_source_write(w, &source);
}

static void responder_write(struct msgpack_writer *w, const struct fetch_ocsp *o, size_t i)
{
    const struct ocsp_responder *p = fetch_ocsp_responder_at(o, i);
    char about[40];
    int n = snprintf(about, sizeof about, "%zu certificates", p->certificates);
    const struct fetch_source source = {
        .kind = SLICE_LITERAL("ocsp"),
        .url = slice_of_text(p->url),
        .about = slice_of_text(n > 0 && (size_t)n < sizeof about ? about : ""),
        .state = state_of(p->busy, p->answered_ms, p->failed_ms),
        .error = slice_of_text(p->error),
        .fetched_ms = p->answered_ms,
        .failed_ms = p->failed_ms,
        .next_ms = fetch_ocsp_next(o, i),
        .failures = p->failures,
    };
    fetch_source_write(w, &source);
}

/* Those that fit into `sources`; how many there are of them. */
static uint64_t sources_write(const struct fetch *r, struct buf *sources)
{
    struct msgpack_writer w;
    uint64_t written = 0;
    size_t lists = fetch_lists_count(r->lists), responders = fetch_ocsp_responders(r->ocsp);
    msgpack_writer_init(&w, sources);
    for (size_t i = 0; i < lists + responders && sources->len < SOURCES_BYTES_MAX; i++) {
        if (i < lists) {
            list_write(&w, fetch_lists_at(r->lists, i));
        } else {
            responder_write(&w, r->ocsp, i - lists);
        }
        written++;
    }
    return msgpack_writer_status(&w) == STATUS_OK ? written : 0;
}

void fetch_list_reply(struct fetch *r, const struct fetch_asker *to)
{
    struct buf sources = BUF_INIT(SOURCES_BYTES_MAX + 8192), result = BUF_INIT(SOURCES_BYTES_MAX + 16384);
    struct msgpack_writer w;
    uint64_t written = fetch_leads(r) ? sources_write(r, &sources) : 0;
    uint64_t all = fetch_leads(r) ? fetch_lists_count(r->lists) + fetch_ocsp_responders(r->ocsp) : 0;
    msgpack_writer_init(&w, &result);
    write_array(&w, 3);
    write_bool(&w, fetch_leads(r));
    write_u64(&w, all - written);
    write_array(&w, (size_t)written);
    enum status status = msgpack_writer_status(&w);
    status = status == STATUS_OK && written > 0 ? buf_append_slice(&result, buf_slice(&sources)) : status;
    fetch_reply(r, to, status, status_text(status), buf_slice(&result), status == STATUS_OK ? 1 : 0);
    buf_release(&sources);
    buf_release(&result);
}

void fetch_now_reply(struct fetch *r, const struct fetch_asker *to, struct slice url)
{
    struct buf result = BUF_INIT(16);
    struct msgpack_writer w;
    struct failure f = {.status = STATUS_OK};
    uint64_t due = 0;
    enum status status = STATUS_OK;
    if (!fetch_leads(r)) {
        status = failure_set(&f, STATUS_NOT_LEADER, "lists are fetched by the leading node");
    } else {
        due = fetch_lists_now(r, url) + fetch_ocsp_now(r, url);
        if (due == 0 && url.len > 0) {
            status = failure_set(&f, STATUS_NOT_FOUND, "nothing is fetched from %.*s", SLICE_ARGS(url));
        }
    }
    msgpack_writer_init(&w, &result);
    write_u64(&w, due);
    status = status == STATUS_OK ? msgpack_writer_status(&w) : status;
    fetch_reply(r, to, status, f.text, buf_slice(&result), status == STATUS_OK ? 1 : 0);
    buf_release(&result);
}
