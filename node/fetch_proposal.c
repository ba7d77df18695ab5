/*
 * Certificates that were found go into the store as anything does: as commands, by way of core. They are
 * proposed in the name of this node; whether they are trusted is not decided here.
 */
#include "node/fetch_internal.h"

#include "base/log.h"
#include "store/command.h"

#define PROPOSAL_TIMEOUT_MS 5000
#define DESCRIBE_MAX        ((size_t)1 << 20)

struct proposals {
    struct fetch *fetch;
    const char *source;
    size_t open, stored;
    fetch_stored_cb cb;
    void *context;
};

static void one_done(struct proposals *p)
{
    if (--p->open > 0) {
        return;
    }
    if (p->cb != NULL) {
        p->cb(p->fetch, p->context, p->stored);
    }
    free(p);
}

static void proposed_cb(void *context, const struct core_answer *answer)
{
    struct proposals *p = context;
    if (answer->status == STATUS_OK || answer->status == STATUS_EXISTS) {
        p->stored++;
    } else {
        p->fetch->counts.proposals_failed++;
        log_event(LOG_WARN, "a certificate that was found could not be stored", LOG_TEXT("source", p->source),
                  LOG_TEXT("reason", answer->text[0] != '\0' ? answer->text : status_text(answer->status)));
    }
    one_done(p);
}

static void propose_one(struct proposals *p, struct slice der)
{
    struct fetch *r = p->fetch;
    struct arena a;
    struct certificate_record record;
    struct command c;
    struct buf value = BUF_INIT(COMMAND_MAX), encoded = BUF_INIT(COMMAND_MAX);
    struct failure f = {.status = STATUS_OK};
    char actor[COMMAND_ACTOR_MAX];
    uint64_t now = clock_wall_ms();
    int n = snprintf(actor, sizeof actor, "node:%s", core_client_node_name(r->core));
    arena_init(&a, DESCRIBE_MAX);
    enum status status = n < 0 || (size_t)n >= sizeof actor
                             ? STATUS_INTERNAL
                             : certificate_describe(der, slice_of_text(p->source), now, &a, &record, &f);
    if (status == STATUS_OK) {
        status = certificate_record_encode(&record, &value);
    }
    if (status == STATUS_OK) {
        command_init(&c, COMMAND_CERT_ADD, now, slice_of_text(actor));
        c.values[0].bytes = buf_slice(&value);
        status = command_encode(&c, &encoded);
    }
    if (status == STATUS_OK) {
        log_event(LOG_INFO, "a certificate was found", LOG_TEXT("source", p->source),
                  LOG_SLICE("subject", record.subject), LOG_SLICE("serial", record.serial));
        p->open++;
        core_client_propose(r->core, buf_slice(&encoded), PROPOSAL_TIMEOUT_MS, proposed_cb, p);
    }
    buf_release(&value);
    buf_release(&encoded);
    arena_release(&a);
}

void fetch_propose_certificates(struct fetch *r, const struct slice *der, size_t count, const char *source,
                                fetch_stored_cb cb, void *context)
{
    struct proposals *p = calloc(1, sizeof *p);
    if (p == NULL) {
        if (cb != NULL) {
            cb(r, context, 0);
        }
        return;
    }
    *p = (struct proposals){.fetch = r, .source = source, .open = 1, .cb = cb, .context = context};
    for (size_t i = 0; i < count; i++) {
        propose_one(p, der[i]);
    }
    one_done(p);
}
