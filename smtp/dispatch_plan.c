/*
 * Who gets what, and where: the recipients of a message that still wait, in groups of those who share a
 * variant and a destination (smtp/delivery_internal.h).
 */
#include "smtp/delivery_internal.h"

#include "base/log.h"
#include "smtp/route.h"
#include "smtp/tls_settings.h"

static struct group *group_for(struct dispatch *x, struct group **groups, struct destination *t,
                               size_t variant)
{
    for (struct group *g = *groups; g != NULL; g = g->next) {
        if (g->destination == t && g->variant == variant && g->count < GROUP_RECIPIENTS_MAX) {
            return g;
        }
    }
    struct group *g = arena_alloc(&x->arena, sizeof *g);
    if (g == NULL) {
        return NULL;
    }
    g->dispatch = x;
    g->destination = t;
    g->variant = variant;
    g->seven_bit = -1;
    g->recipients = arena_alloc_array(&x->arena, GROUP_RECIPIENTS_MAX, sizeof(size_t));
    g->outcomes = arena_alloc_array(&x->arena, GROUP_RECIPIENTS_MAX, sizeof(struct recipient_outcome));
    if (g->recipients == NULL || g->outcomes == NULL) {
        return NULL;
    }
    g->next = *groups;
    *groups = g;
    x->outstanding++;
    return g;
}

static void defer_here(struct dispatch *x, size_t position, const char *enhanced, const char *text)
{
    struct recipient_outcome o = {.result = RESULT_DEFERRED, .text = slice_of_text(text)};
    (void)!snprintf(o.enhanced, sizeof o.enhanced, "%s", enhanced);
    dispatch_note_outcome(x, position, &o);
    dispatch_log_outcomes(x, &position, &o, 1);
    x->any_tried = true;
}

/* Those whom policy refused when the message was accepted: the sender hears of them with what else has
 * failed, once, unless the client has heard of each already. Until that notification is durable they are
 * found again here, in the envelope, after any crash. */
static void plan_refusals(struct dispatch *x)
{
    for (size_t i = 0; i < x->envelope->refusal_count; i++) {
        const struct spool_refusal *refusal = &x->envelope->refusals[i];
        struct spool_recipient *r = &x->state.recipients[refusal->recipient];
        if (r->state != RECIPIENT_WAITING) {
            continue;
        }
        r->reply = refusal->reason;
        r->enhanced = refusal->enhanced;
        if ((x->envelope->flags & SPOOL_REFUSALS_TOLD) != 0) {
            r->state = RECIPIENT_FAILED;
        } else {
            x->failing[refusal->recipient] = true;
        }
    }
}

/* By recipient: is its variant one that policy has put aside? */
static void plan_held(struct dispatch *x)
{
    for (size_t v = 0; v < x->envelope->variant_count; v++) {
        const struct spool_variant *variant = &x->envelope->variants[v];
        for (size_t i = 0; i < variant->recipient_count; i++) {
            x->held[variant->recipients[i]] = variant->quarantine;
        }
    }
}

static void plan_recipient(struct dispatch *x, struct group **groups, size_t variant, size_t position)
{
    struct delivery *d = x->delivery;
    struct delivery_settings settings;
    enum status status =
        route_choose(d->options.settings, x->envelope->sender, x->envelope->recipients[position],
                     x->envelope->variants[variant].next_hop, &x->arena, &settings);
    bool require_tls = (x->envelope->promises & SPOOL_REQUIRETLS) != 0 && x->envelope->sender.len > 0;
    if (status == STATUS_OK && require_tls) { /* RFC 8689; a notification is not lost for it (section 5) */
        status = tls_settings_require(settings.tls, &x->arena, &settings.tls);
    } else if (status == STATUS_OK && (x->envelope->promises & SPOOL_TLS_NOT_REQUIRED) != 0) {
        status = tls_settings_relax(settings.tls, &x->arena, &settings.tls);
    }
    if (status != STATUS_OK) {
        defer_here(x, position, "4.3.0", "the settings of this recipient could not be read");
        return;
    }
    if (settings.paused) {
        defer_here(x, position, "4.3.2", "delivery to this recipient's domain is paused (delivery.paused)");
        return;
    }
    struct destination *t = destination_find(d, &settings, &x->arena);
    struct group *g = t != NULL ? group_for(x, groups, t, variant) : NULL;
    if (g == NULL) {
        defer_here(x, position, "4.3.1", status_text(STATUS_NO_MEMORY));
        return;
    }
    g->recipients[g->count++] = position;
}

void dispatch_plan(struct dispatch *x)
{
    struct settings_source *s = x->delivery->options.settings;
    struct group *groups = NULL;
    x->failing = arena_alloc_array(&x->arena, x->state.recipient_count + 1, sizeof(bool));
    x->held = arena_alloc_array(&x->arena, x->state.recipient_count + 1, sizeof(bool));
    x->reporting = arena_alloc_array(&x->arena, x->state.recipient_count + 1, sizeof(bool));
    if (x->failing == NULL || x->held == NULL || x->reporting == NULL || !s->begin(s->context)) {
        struct delivery *d = x->delivery;
        log_event(LOG_WARN, "delivery cannot be planned: settings cannot be read");
        schedule_wait(&d->schedule, x->entry, clock_wall_ms() + BUSY_RETRY_MS);
        dispatch_over(x);
        return;
    }
    resolver_configure(neighbours_resolver(x->delivery->neighbours), s);
    plan_refusals(x);
    plan_held(x);
    if (x->entry->order == ORDER_BOUNCE) {
        s->end(s->context);
        order_fails_all(x);
        dispatch_settle(x);
        return;
    }
    for (size_t v = 0; v < x->envelope->variant_count; v++) {
        const struct spool_variant *variant = &x->envelope->variants[v];
        for (size_t i = 0; i < variant->recipient_count; i++) {
            size_t position = variant->recipients[i];
            if (x->state.recipients[position].state == RECIPIENT_WAITING && !dispatch_is_held(x, position)) {
                plan_recipient(x, &groups, v, position);
            }
        }
    }
    s->end(s->context);
    if (groups == NULL) {
        dispatch_settle(x);
        return;
    }
    /* A group may be over before the next is given away, and the last one takes the dispatch with it. */
    while (groups != NULL) {
        struct group *next = groups->next;
        destination_enqueue(groups->destination, groups);
        groups = next;
    }
}
