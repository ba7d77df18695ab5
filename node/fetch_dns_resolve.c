/*
 * One look-up of TXT records with libunbound, which validates DNSSEC itself: the resolvers that it asks need
 * not be trusted. Each look-up has a context of its own, so that nothing of another one, or of settings that
 * were changed, is remembered.
 *
 * A bogus answer has the code of a good one: that is looked at first, and nothing of it is used.
 */
#include "node/fetch_dns.h"

#include "smtp/dns_context.h"

#include <poll.h>

#define TYPE_TXT      16
#define CLASS_IN      1
#define RCODE_OK      0
#define RCODE_NO_NAME 3

struct waiting {
    bool done;
    int error;
    struct ub_result *result;
};

static void answered_cb(void *context, int error, struct ub_result *result)
{
    struct waiting *w = context;
    w->done = true;
    w->error = error;
    w->result = result;
}

static void say(struct dns_result *r, enum dns_answer answer, const char *text)
{
    r->answer = answer;
    (void)failure_set(&r->note, STATUS_OK, "%s", text);
}

static void read_records(const struct ub_result *from, struct dns_result *r)
{
    for (size_t i = 0; from->data[i] != NULL; i++) {
        if (from->len[i] > 0) {
            (void)dns_text_read(slice_of(from->data[i], (size_t)from->len[i]), &r->found);
        }
    }
    if (r->found.count == 0) {
        say(r, DNS_ABSENT, "there are TXT records, and none is of the form v=sp1; sha256=...");
    } else {
        say(r, from->secure != 0 ? DNS_SIGNED : DNS_UNSIGNED,
            r->found.too_many ? "there are more fingerprints than are looked at" : "");
    }
}

static void judge(const struct ub_result *from, struct dns_result *r)
{
    if (from->bogus != 0) {
        say(r, DNS_BOGUS, from->why_bogus != NULL ? from->why_bogus : "DNSSEC validation failed");
    } else if (from->havedata != 0) {
        read_records(from, r);
    } else if (from->rcode == RCODE_OK || from->rcode == RCODE_NO_NAME) {
        say(r, DNS_ABSENT, from->secure != 0 ? "DNSSEC proves that there is no record" : "");
    } else {
        r->answer = DNS_FAILED;
        (void)failure_set(&r->note, STATUS_OK, "the resolver answers with the error code %d%s", from->rcode,
                          from->rcode == 2 ? " (SERVFAIL)" : "");
    }
}

static uint64_t left(uint64_t until_ms)
{
    uint64_t now = clock_monotonic_ms();
    return now < until_ms ? until_ms - now : 0;
}

void dns_look_up(const struct dns_question *q, struct dns_result *r)
{
    struct waiting w = {.done = false};
    struct ub_ctx *ctx = NULL;
    uint64_t until = clock_monotonic_ms() + q->timeout_ms;
    *r = (struct dns_result){.answer = DNS_FAILED};
    if (dns_context_new(q->resolvers, q->anchors, &ctx, &r->note) != STATUS_OK) {
        r->note.status = STATUS_OK;
        return;
    }
    int error = ub_resolve_async(ctx, q->name, TYPE_TXT, CLASS_IN, &w, answered_cb, NULL);
    while (error == 0 && !w.done && left(until) > 0) {
        struct pollfd fd = {.fd = ub_fd(ctx), .events = POLLIN};
        if (poll(&fd, 1, (int)left(until)) > 0) {
            error = ub_process(ctx);
        }
    }
    if (error == 0) {
        error = w.error;
    }
    if (error != 0) {
        say(r, DNS_FAILED, ub_strerror(error));
    } else if (w.result == NULL) {
        say(r, DNS_FAILED, "no answer in time");
    } else {
        judge(w.result, r);
    }
    ub_resolve_free(w.result);
    ub_ctx_delete(ctx);
}
