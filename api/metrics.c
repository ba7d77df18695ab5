/*
 * /metrics in Prometheus' text format: what core's events say, smtp's and fetch's STATS (one gauge or counter
 * each), how long revocation lists are still in force, and counters of the API itself. Counts and the names
 * of nodes only, nothing about anybody's mail: so it needs no token, as Prometheus expects it. An issuer of
 * lists is told by a part of its hash.
 */
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"
#include "base/msgpack_read.h"
#include "store/certificate_search.h"
#include "store/records_trust.h"

#define EXPIRING_MS   ((uint64_t)30 * 86400 * 1000)
#define EXPIRING_MAX  1000000 /* more are not counted */
#define METRICS_MAX   ((size_t)256 << 10)
#define STATS_NUMBERS 512
#define LISTS_MAX     200 /* that are told one by one */

struct metrics {
    struct buf *out;
    enum status status; /* the first failure */
};

static void line(struct metrics *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(struct metrics *m, const char *format, ...)
{
    va_list args;
    if (m->status == STATUS_OK) {
        va_start(args, format);
        m->status = buf_vprintf(m->out, format, args);
        va_end(args);
    }
}

static void gauge(struct metrics *m, const char *name, const char *help, uint64_t value)
{
    line(m, "# HELP sealpost_%s %s\n# TYPE sealpost_%s gauge\nsealpost_%s %llu\n", name, help, name, name,
         (unsigned long long)value);
}

static void counter(struct metrics *m, const char *name, const char *help, uint64_t value)
{
    line(m, "# HELP sealpost_%s %s\n# TYPE sealpost_%s counter\nsealpost_%s %llu\n", name, help, name, name,
         (unsigned long long)value);
}

static void of_core(struct metrics *m, struct api *api)
{
    struct bus_health h;
    uint64_t now = clock_monotonic_ms();
    api->health(api, &h);
    gauge(m, "core_ready", "1 when core has loaded its state", h.core_ready);
    gauge(m, "raft_applied_index", "index of the last command that this node applied", h.applied_index);
    gauge(m, "raft_voters", "voting nodes of the cluster", h.voters);
    gauge(m, "raft_leader", "1 when this node leads", h.leader[0] != '\0' && strcmp(h.leader, h.node) == 0);
    gauge(m, "raft_leader_known", "1 when a leader is known", h.leader[0] != '\0');
    if (h.contact_ms != 0) {
        gauge(m, "raft_leader_contact_milliseconds", "time since the last proof of a leader",
              now > h.contact_ms ? now - h.contact_ms : 0);
    }
    gauge(m, "smtp_up", "1 when smtp answers", h.queue_ms != 0 && now - h.queue_ms < 4000);
    line(m, "# HELP sealpost_build_info the release that runs\n# TYPE sealpost_build_info gauge\n"
            "sealpost_build_info{version=\"" SEALPOST_VERSION "\"} 1\n");
}

static bool is_metric_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!((c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9'))) {
            return false;
        }
    }
    return name.len > 0 && name.len <= 80;
}

static bool ends_with(struct slice name, const char *end)
{
    size_t n = strlen(end);
    return name.len > n && memcmp(name.data + name.len - n, end, n) == 0;
}

/* Of the roles' own names: what is now. All others were counted since it started. */
static bool is_gauge(struct slice name)
{
    return slice_starts_with(name, SLICE_LITERAL("queue_")) || ends_with(name, "_open") ||
           ends_with(name, "_waiting") || ends_with(name, "_segments") || ends_with(name, "_bytes") ||
           ends_with(name, "_sources") || slice_equal(name, SLICE_LITERAL("workers"));
}

static void of_role(struct metrics *m, struct api *api, enum bus_stats whose, const char *role)
{
    struct buf stats = BUF_INIT(BUS_STATS_MAX);
    struct msgpack_reader r;
    api->stats(api, whose, &stats);
    if (stats.len > 0) {
        msgpack_reader_init(&r, buf_slice(&stats));
        size_t count = read_map(&r, STATS_NUMBERS);
        for (size_t i = 0; i < count; i++) {
            struct slice name = read_text(&r, 80);
            unsigned long long value = read_u64(&r);
            if (msgpack_reader_status(&r, false) != STATUS_OK) {
                break;
            }
            if (is_metric_name(name)) {
                const char *end = is_gauge(name) || ends_with(name, "_total") ? "" : "_total";
                line(m, "# TYPE sealpost_%s_%.*s%s %s\nsealpost_%s_%.*s%s %llu\n", role, SLICE_ARGS(name),
                     end, is_gauge(name) ? "gauge" : "counter", role, SLICE_ARGS(name), end, value);
            }
        }
    }
    buf_release(&stats);
}

struct lists_walk {
    struct metrics *metrics;
    uint64_t now_ms;
    size_t count, ended;
};

static bool list_visit(void *context, const struct crl_record *list)
{
    struct lists_walk *walk = context;
    char issuer[2 * 8 + 1], part[2 * 4 + 1];
    walk->ended += list->next_ms != 0 && list->next_ms < walk->now_ms;
    if (walk->count++ >= LISTS_MAX) {
        return true;
    }
    hex_format(slice_of(list->issuer, 8), issuer);
    hex_format(slice_of(list->part, 4), part);
    line(walk->metrics, "sealpost_crl_age_seconds{issuer=\"%s\",part=\"%s\"} %lld\n", issuer, part,
         ((long long)walk->now_ms - (long long)list->this_ms) / 1000);
    if (list->next_ms != 0) {
        line(walk->metrics, "sealpost_crl_ends_seconds{issuer=\"%s\",part=\"%s\"} %lld\n", issuer, part,
             ((long long)list->next_ms - (long long)walk->now_ms) / 1000);
    }
    return true;
}

static void of_lists(struct metrics *m, struct exchange *x)
{
    struct store_view *view = x->api->store != NULL ? exchange_view(x) : NULL;
    struct lists_walk walk = {.metrics = m, .now_ms = clock_wall_ms()};
    if (view == NULL) {
        return;
    }
    line(m, "# HELP sealpost_crl_age_seconds time since the thisUpdate of a revocation list\n"
            "# TYPE sealpost_crl_age_seconds gauge\n"
            "# HELP sealpost_crl_ends_seconds time until the nextUpdate of a revocation list; below 0: it is "
            "too old\n# TYPE sealpost_crl_ends_seconds gauge\n");
    if (store_crls_all(view, NULL, list_visit, &walk) == STATUS_OK) {
        gauge(m, "crls", "revocation lists in the store", walk.count);
        gauge(m, "crls_ended", "revocation lists whose nextUpdate has passed", walk.ended);
    }
}

static void of_api(struct metrics *m, const struct api_counters *c)
{
    counter(m, "api_requests_total", "requests to the API", c->requests);
    counter(m, "api_denied_total", "requests without a token that permits them", c->denied);
    counter(m, "api_refused_heads_total", "requests whose framing was ambiguous", c->refused_heads);
    counter(m, "api_connections_total", "connections to the API", c->connections);
    gauge(m, "api_connections", "open connections to the API", c->connections_open);
    line(m, "# HELP sealpost_api_answers_total answers by the first digit of their status\n"
            "# TYPE sealpost_api_answers_total counter\n");
    for (unsigned i = 2; i < 6; i++) {
        line(m, "sealpost_api_answers_total{code=\"%uxx\"} %llu\n", i, (unsigned long long)c->answers[i]);
    }
}

/* A gauge for whoever watches: the list itself is at /v1/certificates/expiring. */
static void of_certificates(struct metrics *m, struct exchange *x)
{
    struct store_view *view = x->api->store != NULL ? exchange_view(x) : NULL;
    uint64_t now = clock_wall_ms();
    size_t count = 0;
    if (view != NULL &&
        store_certificates_expiring(view, now, now + EXPIRING_MS, EXPIRING_MAX, &count) == STATUS_OK) {
        gauge(m, "certificates_expiring", "stored certificates that expire within 30 days", count);
    }
}

void metrics_get(struct exchange *x)
{
    struct buf text = BUF_INIT(METRICS_MAX);
    struct metrics m = {.out = &text};
    of_core(&m, x->api);
    of_role(&m, x->api, BUS_STATS_SMTP, "smtp");
    of_role(&m, x->api, BUS_STATS_FETCH, "fetch");
    of_api(&m, &x->api->counters);
    of_certificates(&m, x);
    of_lists(&m, x);
    if (m.status != STATUS_OK) {
        buf_release(&text);
        exchange_failf(x, m.status, "the metrics do not fit");
        return;
    }
    exchange_answer_text(x, "text/plain; version=0.0.4; charset=utf-8", &text);
}
