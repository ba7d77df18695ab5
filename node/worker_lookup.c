/* See worker_lookup.h. The settings say whether to ask; a setting that cannot be read means: do not ask. */
#include "node/worker_lookup.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/setting.h"

void worker_lookup_init(struct worker_lookup *l, bool (*renew)(void *context, struct mail_environment *env),
                        void *context)
{
    fetch_client_init(&l->client, clock_monotonic_ms());
    l->renew = renew;
    l->context = context;
}

void worker_lookup_release(struct worker_lookup *l)
{
    fetch_client_release(&l->client);
}

static bool ask(struct worker_lookup *l, struct fetch_question *q, unsigned wait_ms,
                struct msgpack_reader *results)
{
    struct fetch_answer answer;
    enum status status = fetch_client_ask(&l->client, q, wait_ms, &answer, results);
    if (status != STATUS_OK) {
        log_event(LOG_INFO, "fetch gave no answer", LOG_TEXT("reason", status_text(status)));
        return false;
    }
    return answer.status == STATUS_OK;
}

static bool fetch_issuers_cb(struct mail_environment *env, struct slice signer, const struct slice *sent,
                             size_t count)
{
    struct worker_lookup *l = env->fetch_context;
    struct fetch_question q = {.type = FETCH_ISSUERS, .signer = signer};
    struct msgpack_reader results;
    struct setting_value aia;
    size_t added = 0;
    if (setting_get(env->view, setting_at(SETTING_SMIME_AIA), SLICE_LITERAL(""), &aia) != STATUS_OK ||
        !setting_bool(&aia) || env->trust == NULL || signer.len > FETCH_CERTIFICATE_MAX) {
        return false;
    }
    for (size_t i = 0; i < count && q.count < FETCH_CERTIFICATES_MAX; i++) {
        if (sent[i].len <= FETCH_CERTIFICATE_MAX && !slice_equal(sent[i], signer)) {
            q.list[q.count++] = sent[i];
        }
    }
    if (!ask(l, &q, FETCH_ISSUERS_WAIT_MS, &results)) {
        return false;
    }
    size_t found = read_array(&results, FETCH_CERTIFICATES_MAX);
    for (size_t i = 0; i < found; i++) {
        struct slice der = read_bytes(&results, FETCH_CERTIFICATE_MAX);
        if (der.len > 0 && trust_add_intermediate(env->trust, der) == STATUS_OK) {
            added++;
        }
    }
    /* None: the path is whole with what is stored since this view began. Not of this message, then. */
    return msgpack_reader_status(&results, true) == STATUS_OK && added > 0;
}

/* Also when it cannot be told: fetch then says that it could not ask. */
static bool is_looked_up(struct mail_environment *env, struct slice address)
{
    struct setting_value lookup;
    return setting_get(env->view, setting_at(SETTING_CERT_LOOKUP), address, &lookup) != STATUS_OK ||
           lookup.text.len > 0;
}

/* One question; where: positions of its addresses in `unanswered`. The count of certificates that came. */
static uint64_t ask_for_people(struct worker_lookup *l, struct fetch_question *q, const size_t *where,
                               bool *unanswered)
{
    struct msgpack_reader results;
    bool answered = ask(l, q, FETCH_PEOPLE_WAIT_MS, &results);
    uint64_t stored = answered ? read_u64(&results) : 0;
    size_t failed = answered ? read_array(&results, FETCH_PEOPLE_MAX) : 0;
    for (size_t i = 0; i < failed; i++) {
        uint64_t at = read_u64(&results);
        if (at < q->count) {
            unanswered[where[at]] = true;
        }
    }
    if (!answered || msgpack_reader_status(&results, true) != STATUS_OK) {
        for (size_t i = 0; i < q->count; i++) {
            unanswered[where[i]] = true;
        }
        return 0;
    }
    return stored;
}

static bool fetch_certificates_cb(struct mail_environment *env, const struct slice *addresses, size_t count,
                                  bool *unanswered)
{
    struct worker_lookup *l = env->fetch_context;
    struct fetch_question q = {.type = FETCH_PEOPLE};
    size_t where[FETCH_PEOPLE_MAX] = {0};
    uint64_t stored = 0;
    for (size_t i = 0; i < count; i++) {
        if (is_looked_up(env, addresses[i])) {
            where[q.count] = i;
            q.list[q.count++] = addresses[i];
        }
        if (q.count == FETCH_PEOPLE_MAX || (i + 1 == count && q.count > 0)) {
            stored += ask_for_people(l, &q, where, unanswered);
            q.count = 0;
        }
    }
    if (stored > 0 && l->renew(l->context, env)) {
        return true;
    }
    for (size_t i = 0; i < count && stored > 0; i++) { /* what was found cannot be seen */
        unanswered[i] = true;
    }
    return false;
}

void worker_lookup_offer(struct worker_lookup *l, struct mail_environment *env)
{
    env->fetch_issuers = fetch_issuers_cb;
    env->fetch_certificates = fetch_certificates_cb;
    env->fetch_context = l;
}
