/* Looking up MTA-STS policies and TLSA records (smtp/tls_search.h). */
#include "smtp/tls_search.h"

#include "base/clock.h"

#define FETCH_TIMEOUT_MS 12000 /* how long the first mail to a domain waits for its policy */

static void tlsa_begin(struct tls_search *s);

struct tls_search *tls_search_new(const struct tls_search_question *q, void (*found)(void *context),
                                  void *context)
{
    struct tls_search *s = calloc(1, sizeof *s);
    if (s != NULL) {
        s->question = *q;
        s->found = found;
        s->context = context;
        s->data.max = TLSA_RECORDS_MAX * (TLSA_DATA_MAX + 3);
        (void)!snprintf(s->host, sizeof s->host, "%s", q->host);
    }
    return s;
}

void tls_search_free(struct tls_search *s)
{
    if (s == NULL) {
        return;
    }
    if (s->question.resolver != NULL) {
        resolver_cancel(s->question.resolver, &s->request);
    }
    if (s->asked != 0) {
        fetch_line_cancel(s->question.fetch, s->asked);
    }
    buf_release(&s->data);
    free(s);
}

/* False: it cannot be asked now. */
static bool ask(struct tls_search *s, const char *name, enum dns_type type,
                void (*answered)(void *context, const struct resolved *answer))
{
    s->request.answered = answered;
    s->request.context = s;
    s->type = type;
    return resolver_ask(s->question.resolver, &s->request, name, type) == STATUS_OK;
}

/* --- MTA-STS --- */

static void keep_policy(struct tls_search *s, enum sts_mode mode, uint64_t max_age_s, struct slice mx)
{
    if (mx.len <= sizeof s->sts_mx) {
        if (mx.len > 0) {
            memcpy(s->sts_mx, mx.data, mx.len);
        }
        s->sts = (struct sts_policy){.mode = mode, .max_age_s = max_age_s, .mx = slice_of(s->sts_mx, mx.len)};
        s->has_sts = true;
    }
}

/* The policy that the cluster has. `same_id`: only that of `sts_id`. */
static bool stored(struct tls_search *s, bool same_id)
{
    struct store_view *view = NULL;
    struct sts_record record;
    if (s->question.store == NULL || store_view_begin(s->question.store, &view, NULL) != STATUS_OK) {
        return false;
    }
    bool good = store_sts_get(view, s->question.domain, &record) == STATUS_OK &&
                sts_in_force(&record, clock_wall_ms()) &&
                (!same_id || slice_equal(record.id, slice_of_text(s->sts_id)));
    if (good) {
        keep_policy(s, record.mode, record.max_age_s, record.mx);
    }
    store_view_end(view);
    return good;
}

static void on_policy(void *context, enum status status, struct slice why, struct msgpack_reader *results)
{
    struct tls_search *s = context;
    (void)why;
    s->asked = 0;
    if (status == STATUS_OK) {
        uint64_t mode = read_u64(results);
        uint64_t max_age = read_u64(results);
        struct slice mx = read_text(results, STS_MX_MAX);
        if (msgpack_reader_status(results, true) == STATUS_OK && mode < STS_MODE_END &&
            sts_patterns_are_valid(mx)) {
            keep_policy(s, (enum sts_mode)mode, max_age, mx);
        }
    } else {
        s->sts_problem = status == STATUS_MALFORMED   ? "sts-policy-invalid"
                         : status == STATUS_UNTRUSTED ? "sts-webpki-invalid"
                                                      : "sts-policy-fetch-error";
    }
    if (!s->has_sts) {
        (void)stored(s, false); /* an older one counts until its end */
    }
    tlsa_begin(s);
}

static void on_text(void *context, const struct resolved *answer)
{
    struct tls_search *s = context;
    size_t count = 0;
    bool malformed = false;
    for (size_t i = 0; answer->state == RESOLVED_FOUND && i < answer->count; i++) {
        char id[STS_ID_MAX + 1];
        enum sts_text text = sts_text_read(answer->records[i], id);
        count += text != STS_TEXT_OTHER;
        malformed = malformed || text == STS_TEXT_MALFORMED;
        if (text == STS_TEXT_GOOD) {
            memcpy(s->sts_id, id, sizeof id);
        }
    }
    /* RFC 8461 section 3.1: one good record, or nothing new is learned. */
    if (count != 1 || malformed) {
        (void)stored(s, false);
        tlsa_begin(s);
        return;
    }
    if (stored(s, true)) {
        tlsa_begin(s);
        return;
    }
    struct fetch_question q = {
        .type = FETCH_STS, .url = s->question.domain, .bytes = slice_of_text(s->sts_id)};
    if (s->question.fetch != NULL) {
        s->asked = fetch_line_ask(s->question.fetch, &q, FETCH_TIMEOUT_MS, on_policy, s);
    }
    if (s->asked == 0) {
        s->sts_problem = "sts-policy-fetch-error";
        (void)stored(s, false);
        tlsa_begin(s);
    }
}

void tls_search_start(struct tls_search *s)
{
    char name[DNS_NAME_MAX + 16];
    if (s->question.domain.len == 0 || s->question.resolver == NULL) {
        tlsa_begin(s);
        return;
    }
    int n = snprintf(name, sizeof name, "_mta-sts.%.*s", SLICE_ARGS(s->question.domain));
    if (n < 0 || (size_t)n >= sizeof name || !ask(s, name, DNS_TYPE_TXT, on_text)) {
        (void)stored(s, false);
        tlsa_begin(s);
    }
}

/* --- TLSA --- */

static void done(struct tls_search *s, enum tlsa_state state)
{
    s->tlsa = state;
    s->found(s->context);
}

static void on_tlsa(void *context, const struct resolved *answer);

static void ask_tlsa(struct tls_search *s)
{
    char name[DNS_NAME_MAX + 32];
    int n = snprintf(name, sizeof name, "_%u._tcp.%s", (unsigned)s->question.port, s->base);
    if (n < 0 || (size_t)n >= sizeof name || !ask(s, name, DNS_TYPE_TLSA, on_tlsa)) {
        done(s, TLSA_FAILED);
    }
}

/* Their data moves with `data`: offsets first, slices when it moves no more. */
static void keep_records(struct tls_search *s, const struct resolved *answer)
{
    s->record_count = 0;
    buf_reset(&s->data);
    if (buf_reserve(&s->data, s->data.max) != STATUS_OK) {
        return;
    }
    for (size_t i = 0; i < answer->count && s->record_count < TLSA_RECORDS_MAX; i++) {
        struct slice copy = slice_of(s->data.data + s->data.len, answer->records[i].len);
        if (copy.len <= TLSA_DATA_MAX + 3 && buf_append_slice(&s->data, answer->records[i]) == STATUS_OK &&
            tlsa_record_read(copy, &s->records[s->record_count])) {
            s->record_count++;
        }
    }
}

/* RFC 7672 section 2.2.2 and 2.2.3: not signed is none; no answer is a failure. */
static void on_tlsa(void *context, const struct resolved *answer)
{
    struct tls_search *s = context;
    if (resolved_state_is_temporary(answer->state)) {
        done(s, TLSA_FAILED);
        return;
    }
    if (answer->state == RESOLVED_FOUND && answer->secure) {
        keep_records(s, answer);
        done(s, TLSA_FOUND);
        return;
    }
    if (!s->second && strcmp(s->base, s->host) != 0) {
        s->second = true;
        memcpy(s->base, s->host, sizeof s->base);
        ask_tlsa(s);
        return;
    }
    done(s, TLSA_NONE);
}

static void on_address(void *context, const struct resolved *answer)
{
    struct tls_search *s = context;
    if (resolved_state_is_temporary(answer->state)) {
        /* A host of a setting may be one that DNS does not know: /etc/hosts, or a zone within the house. */
        done(s, s->question.named ? TLSA_NOT_ASKED : TLSA_FAILED);
        return;
    }
    if (!answer->secure) {
        done(s, TLSA_NOT_ASKED);
        return;
    }
    if (answer->state == RESOLVED_NO_DATA && s->type == DNS_TYPE_A) {
        if (!ask(s, s->host, DNS_TYPE_AAAA, on_address)) {
            done(s, TLSA_FAILED);
        }
        return;
    }
    if (answer->state != RESOLVED_FOUND) {
        done(s, TLSA_NOT_ASKED);
        return;
    }
    (void)!snprintf(s->base, sizeof s->base, "%s", answer->name);
    ask_tlsa(s);
}

static void tlsa_begin(struct tls_search *s)
{
    if (!s->question.tlsa || s->question.resolver == NULL) {
        done(s, TLSA_NOT_ASKED);
    } else if (!ask(s, s->host, DNS_TYPE_A, on_address)) {
        done(s, s->question.named ? TLSA_NOT_ASKED : TLSA_FAILED);
    }
}
