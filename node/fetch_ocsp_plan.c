/*
 * Which stored certificates are asked about: those that name a responder and whose issuer is stored, of CAs
 * first, then those that name no revocation list, then the rest. When the answer that is stored has to be
 * renewed follows from that answer, so that a new leader does not ask for everything anew. On a thread.
 */
#include "base/log.h"
#include "crypto/crl.h"
#include "crypto/distribution_points.h"
#include "node/fetch_guard.h"
#include "node/fetch_lists.h"
#include "node/fetch_ocsp.h"

#define PLAN_SCRATCH ((size_t)64 << 10)

enum { OF_CAS, WITHOUT_LISTS, THE_REST, PASSES };

struct ocsp_walk {
    struct ocsp_plan *plan;
    struct store_view *view;
    struct trust *trust;
    int pass;
};

static bool find_responder(struct ocsp_sources *s, struct slice url, size_t *out)
{
    char host[FETCH_HOST_MAX + 1];
    for (size_t i = 0; i < s->responder_count; i++) {
        if (slice_equal(slice_of_text(s->responders[i].url), url)) {
            *out = i;
            return true;
        }
    }
    if (s->responder_count == OCSP_RESPONDERS_MAX || fetch_guard_url(url, host, NULL) != STATUS_OK) {
        return false;
    }
    *out = s->responder_count++;
    memcpy(s->responders[*out].url, url.data, url.len);
    s->responders[*out].url[url.len] = '\0';
    return true;
}

/* From the stored answer; 0: there is none. The jitter is the certificate's own, the same in each plan. */
static uint64_t due_ms(struct ocsp_walk *walk, X509 *x, X509 *issuer, const uint8_t *thumbprint)
{
    uint8_t id[ISSUER_ID_SIZE];
    struct slice serial;
    struct ocsp_record answer;
    struct list_times times = {.refresh_ms = walk->plan->refresh_ms};
    if (issuer_id_of(issuer, id) != STATUS_OK ||
        serial_bytes(X509_get0_serialNumber(x), &serial) != STATUS_OK ||
        store_ocsp_get(walk->view, id, serial, &answer) != STATUS_OK) {
        return 0;
    }
    memcpy(&times.random, thumbprint, sizeof times.random);
    times.now_ms = answer.added_ms;
    times.list_this_ms = answer.this_ms;
    times.list_next_ms = answer.next_ms;
    return list_time_after_success(&times);
}

/* The responders of `urls` that there is room for. */
static void name_responders(struct ocsp_sources *s, struct ocsp_source *source, const struct slice *urls,
                            size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (find_responder(s, urls[i], &source->responders[source->responder_count])) {
            s->responders[source->responders[source->responder_count++]].certificates++;
        }
    }
}

static void add(struct ocsp_walk *walk, const struct certificate_record *record, X509 *x,
                const struct slice *urls, size_t count)
{
    struct ocsp_sources *s = walk->plan->sources;
    struct buf der = BUF_INIT(FETCH_SMALL_MAX);
    X509 *issuer = s->count < OCSP_SOURCES_MAX ? trust_issuer_of(walk->trust, x) : NULL;
    if (s->count == OCSP_SOURCES_MAX) {
        s->left_out++;
    } else if (issuer != NULL && certificate_to_der(issuer, &der) == STATUS_OK) {
        struct ocsp_source *source = &s->of[s->count];
        *source = (struct ocsp_source){.responder_count = 0};
        name_responders(s, source, urls, count);
        if (source->responder_count > 0) {
            memcpy(source->thumbprint, record->thumbprint, THUMBPRINT_SIZE);
            sha256(buf_slice(&der), source->issuer);
            source->next_ms = due_ms(walk, x, issuer, source->thumbprint);
            s->count++;
        } else {
            s->left_out++;
        }
    }
    buf_release(&der);
}

static bool visit(void *context, const struct certificate_record *record)
{
    struct ocsp_walk *walk = context;
    struct slice urls[OCSP_URLS_MAX], lists[DISTRIBUTION_URLS_MAX];
    struct arena scratch;
    bool is_ca = (record->uses & CERT_USE_CA) != 0;
    X509 *x;
    if (is_ca != (walk->pass == OF_CAS) || record->not_after_ms < clock_wall_ms() ||
        (x = certificate_from_der(record->der)) == NULL) {
        return true;
    }
    arena_init(&scratch, PLAN_SCRATCH);
    size_t count = ocsp_urls(x, &scratch, urls);
    if (count > 0) {
        bool listed = !is_ca && distribution_urls(record->der, DISTRIBUTION_FULL, &scratch, lists) > 0;
        if (is_ca || listed == (walk->pass == THE_REST)) {
            add(walk, record, x, urls, count);
        }
    }
    arena_release(&scratch);
    X509_free(x);
    return true;
}

static int by_thumbprint(const void *a, const void *b)
{
    return memcmp(((const struct ocsp_source *)a)->thumbprint, ((const struct ocsp_source *)b)->thumbprint,
                  THUMBPRINT_SIZE);
}

void ocsp_plan_run(struct fetch_task *task)
{
    struct ocsp_plan *p = (struct ocsp_plan *)((char *)task - offsetof(struct ocsp_plan, task));
    struct ocsp_walk walk = {.plan = p};
    struct failure f;
    uint64_t start = clock_monotonic_ms();
    p->sources = calloc(1, sizeof *p->sources);
    p->status = p->sources == NULL ? STATUS_NO_MEMORY : store_view_begin(p->shared->store, &walk.view, &f);
    if (p->status != STATUS_OK) {
        return;
    }
    p->index = store_view_index(walk.view);
    p->status = trust_load(walk.view, &walk.trust, &f);
    for (walk.pass = 0; walk.pass < PASSES && p->status == STATUS_OK; walk.pass++) {
        p->status = store_certificates_all(walk.view, visit, &walk);
    }
    trust_free(walk.trust);
    store_view_end(walk.view);
    qsort(p->sources->of, p->sources->count, sizeof p->sources->of[0], by_thumbprint);
    p->took_ms = clock_monotonic_ms() - start;
    if (p->sources->left_out > 0) {
        log_event(LOG_WARN, "there are more certificates with an OCSP responder than are asked about",
                  LOG_NUMBER("asked", p->sources->count), LOG_NUMBER("left_out", p->sources->left_out));
    }
}

void ocsp_plan_free(struct fetch_task *task)
{
    struct ocsp_plan *p = (struct ocsp_plan *)((char *)task - offsetof(struct ocsp_plan, task));
    free(p->sources);
    free(p);
}

void ocsp_sources_take_over(struct ocsp_sources *fresh, const struct ocsp_sources *old)
{
    for (size_t i = 0; i < fresh->responder_count; i++) {
        struct ocsp_responder *to = &fresh->responders[i];
        for (size_t k = 0; k < old->responder_count; k++) {
            if (strcmp(to->url, old->responders[k].url) == 0) {
                size_t certificates = to->certificates;
                *to = old->responders[k];
                to->certificates = certificates;
                break;
            }
        }
    }
    for (size_t i = 0; i < fresh->count; i++) {
        struct ocsp_source *to = &fresh->of[i];
        const struct ocsp_source *from =
            old->count == 0 ? NULL : bsearch(to, old->of, old->count, sizeof *to, by_thumbprint);
        /* An answer that is stored no more is asked for again, unless that was in vain a short while ago. */
        if (from != NULL && (to->next_ms != 0 || from->failures > 0)) {
            to->next_ms = from->next_ms;
            to->failures = from->failures;
        }
    }
}

bool ocsp_source_responder(const struct ocsp_sources *s, const struct ocsp_source *of, uint64_t now_ms,
                           size_t *out)
{
    for (size_t i = 0; i < of->responder_count; i++) {
        const struct ocsp_responder *p = &s->responders[of->responders[i]];
        if (p->next_ms <= now_ms) {
            *out = of->responders[i];
            return !p->busy;
        }
    }
    return false;
}
