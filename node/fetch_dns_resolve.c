/*
 * One look-up of TXT records with libunbound, which validates DNSSEC itself: the resolvers that it asks need
 * not be trusted. Each look-up has a context of its own, so that nothing of another one, or of settings that
 * were changed, is remembered.
 *
 * A bogus answer has the code of a good one: that is looked at first, and nothing of it is used.
 */
#include "node/fetch_dns.h"

#include "smtp/dns_context.h"

#include <arpa/inet.h>
#include <poll.h>

#define TYPE_A        1
#define TYPE_TXT      16
#define TYPE_AAAA     28
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

/* OK: `out` is to be freed; nothing of it was judged. Else the text says why not. */
static enum status ask(const struct dns_question *q, int type, struct ub_result **out, struct failure *f)
{
    struct waiting w = {.done = false};
    struct ub_ctx *ctx = NULL;
    uint64_t until = clock_monotonic_ms() + q->timeout_ms;
    enum status status = dns_context_new(q->resolvers, q->anchors, &ctx, f);
    if (status != STATUS_OK) {
        return status;
    }
    int error = ub_resolve_async(ctx, q->name, type, CLASS_IN, &w, answered_cb, NULL);
    while (error == 0 && !w.done && left(until) > 0) {
        struct pollfd fd = {.fd = ub_fd(ctx), .events = POLLIN};
        if (poll(&fd, 1, (int)left(until)) > 0) {
            error = ub_process(ctx);
        }
    }
    if (error == 0) {
        error = w.error;
    }
    ub_ctx_delete(ctx);
    if (error != 0 || w.result == NULL) {
        ub_resolve_free(w.result);
        return failure_set(f, STATUS_UNAVAILABLE, "%s",
                           error != 0 ? ub_strerror(error) : "no answer in time");
    }
    *out = w.result;
    return STATUS_OK;
}

void dns_look_up(const struct dns_question *q, struct dns_result *r)
{
    struct ub_result *result = NULL;
    *r = (struct dns_result){.answer = DNS_FAILED};
    if (ask(q, TYPE_TXT, &result, &r->note) == STATUS_OK) {
        judge(result, r);
    }
    ub_resolve_free(result);
}

/* The records, or none; a bogus answer is a failure. */
static enum status ask_good(const struct dns_question *q, int type, struct ub_result **out, struct failure *f)
{
    enum status status = ask(q, type, out, f);
    if (status != STATUS_OK) {
        return status;
    }
    const struct ub_result *r = *out;
    if (r->bogus != 0) {
        return failure_set(f, STATUS_UNAVAILABLE, "%s",
                           r->why_bogus != NULL ? r->why_bogus : "DNSSEC validation failed");
    }
    if (r->rcode != RCODE_OK && r->rcode != RCODE_NO_NAME) {
        return failure_set(f, STATUS_UNAVAILABLE, "the resolver answers with the error code %d%s", r->rcode,
                           r->rcode == 2 ? " (SERVFAIL)" : "");
    }
    return STATUS_OK;
}

enum status dns_texts(const struct dns_question *q, void (*visit)(void *context, struct slice rdata),
                      void *context, struct failure *f)
{
    struct ub_result *result = NULL;
    enum status status = ask_good(q, TYPE_TXT, &result, f);
    for (size_t i = 0; status == STATUS_OK && result->havedata != 0 && result->data[i] != NULL; i++) {
        visit(context, slice_of(result->data[i], (size_t)result->len[i]));
    }
    ub_resolve_free(result);
    return status;
}

enum status dns_addresses(const struct dns_question *q, char *out, size_t size, struct failure *f)
{
    static const struct {
        int type, family, len;
    } kinds[] = {{TYPE_A, AF_INET, 4}, {TYPE_AAAA, AF_INET6, 16}};
    size_t len = 0, failed = 0;
    out[0] = '\0';
    for (size_t k = 0; k < 2; k++) {
        struct ub_result *result = NULL;
        bool good = ask_good(q, kinds[k].type, &result, f) == STATUS_OK;
        failed += !good;
        for (size_t i = 0; good && result->havedata != 0 && result->data[i] != NULL; i++) {
            char text[INET6_ADDRSTRLEN];
            if (result->len[i] != kinds[k].len ||
                inet_ntop(kinds[k].family, result->data[i], text, sizeof text) == NULL) {
                continue;
            }
            int n = snprintf(out + len, size - len, k == 0 ? "%s%s" : "%s[%s]", len > 0 ? "," : "", text);
            if (n < 0 || (size_t)n >= size - len) {
                out[len] = '\0';
                break;
            }
            len += (size_t)n;
        }
        ub_resolve_free(result);
    }
    if (len > 0) {
        return STATUS_OK;
    }
    return failed > 0 ? STATUS_UNAVAILABLE : failure_set(f, STATUS_NOT_FOUND, "%s has no address", q->name);
}
