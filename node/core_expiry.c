/*
 * Warnings before certificates expire: on the leader's node, once an hour, an event in the log for each
 * certificate that has come within one of the times of cert.expiry_warn since the last round.
 *
 * A round walks the index of expiry, a page a tick, so that core is never held up, whatever the number of
 * certificates. When the leader changes, the new one looks back a day: a warning may then come twice, but
 * none is left out while there is a leader at least once a day. Runs on core's loop; writes nothing.
 */
#include "node/core_internal.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "store/setting.h"

#define ROUND_MS      ((uint64_t)3600 * 1000)
#define DAY_MS        ((uint64_t)86400 * 1000)
#define LONGEST_MS    (401 * DAY_MS) /* what cert.expiry_warn may say, and a day */
#define PAGE_ENTRIES  1000
#define WARNINGS_MAX  200 /* single ones of a round; the rest is counted */
#define DURATIONS_MAX 256

struct expiry_page {
    struct core_expiry *expiry;
    struct store_view *view;
};

/* Did now pass `not_after - before` since the last round, for one of the times? */
static bool is_due(const struct core_expiry *e, const struct setting_value *times, uint64_t not_after_ms)
{
    uint64_t last = UINT64_MAX;
    for (size_t i = 0; i < DURATIONS_MAX; i++) {
        uint64_t before = setting_duration_at(times, i);
        if (before == last) { /* the last one again: the end of the list */
            return false;
        }
        last = before;
        if (before < not_after_ms && not_after_ms - before > e->from_ms &&
            not_after_ms - before <= e->to_ms) {
            return true;
        }
    }
    return false;
}

static bool look(void *context, const struct certificate_record *record)
{
    struct expiry_page *page = context;
    struct core_expiry *e = page->expiry;
    struct setting_value times;
    struct slice address = record->address_count > 0 ? record->addresses[0] : (struct slice){0};
    char thumbprint[2 * THUMBPRINT_SIZE + 1], until[TIME_RFC3339_SIZE], name[ADDRESS_MAX + 1] = "";
    if (setting_get(page->view, setting_at(SETTING_CERT_EXPIRY_WARN), address, &times) != STATUS_OK ||
        !is_due(e, &times, record->not_after_ms) || e->warnings++ >= WARNINGS_MAX) {
        return true;
    }
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), thumbprint);
    time_format_rfc3339(record->not_after_ms, until);
    if (address.len > 0 && address.len < sizeof name) {
        memcpy(name, address.data, address.len);
    }
    log_event(LOG_WARN, "a certificate expires soon", LOG_TEXT("thumbprint", thumbprint),
              LOG_TEXT("address", name), LOG_TEXT("until", until),
              LOG_NUMBER("key", store_has_key(page->view, record->thumbprint)));
    return true;
}

static void page(struct core *core, struct core_expiry *e)
{
    struct expiry_page context = {.expiry = e};
    struct certificate_query q = {.state = CERT_STATE_ANY,
                                  .limit = PAGE_ENTRIES,
                                  .work_max = PAGE_ENTRIES,
                                  .expires_after_ms = e->to_ms,
                                  .expires_before_ms = e->to_ms + LONGEST_MS,
                                  .after = slice_of_text(e->cursor)};
    char next[CERT_SEARCH_CURSOR_MAX] = "";
    struct failure f = {.status = STATUS_OK};
    if (store_view_begin(core->store, &context.view, &f) != STATUS_OK ||
        store_certificates_search(context.view, &q, look, &context, next, &f) != STATUS_OK) {
        log_event(LOG_WARN, "expiring certificates could not be looked for", LOG_TEXT("reason", f.text));
        next[0] = '\0';
    }
    store_view_end(context.view);
    memcpy(e->cursor, next, sizeof e->cursor);
    e->under_way = next[0] != '\0';
    if (!e->under_way && e->warnings > WARNINGS_MAX) {
        log_event(LOG_WARN, "more certificates expire soon", LOG_NUMBER("count", e->warnings - WARNINGS_MAX));
    }
}

void core_expiry_tick(struct core *core, uint64_t now_ms)
{
    struct core_expiry *e = &core->expiry;
    if (!core_is_leader(core)) {
        *e = (struct core_expiry){0};
        return;
    }
    if (!e->under_way) {
        if (now_ms < e->next_ms) {
            return;
        }
        uint64_t wall = clock_wall_ms();
        e->from_ms = e->to_ms != 0 ? e->to_ms : wall - DAY_MS;
        e->to_ms = wall;
        e->next_ms = now_ms + ROUND_MS;
        e->warnings = 0;
        e->cursor[0] = '\0';
    }
    page(core, e);
}
