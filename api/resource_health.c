/*
 * /livez: this process serves. /readyz: this node can do its work: core is there and follows or is a leader,
 * the store is open, smtp answers. Both are open to everyone and say no more than that; load balancers ask
 * them.
 */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"
#include "store/setting.h"

#define QUEUE_SILENCE_MS   4000
#define CONTACT_SILENCE_MS 10000 /* when the store cannot say what cluster.stale_after is */

static const struct api_field livez_fields[] = {{.name = "live", .type = API_BOOL, .flags = API_REQUIRED}};
const struct api_object livez_object = {.name = "Live", API_FIELDS(livez_fields)};

static const struct api_field checks_fields[] = {
    {.name = "core", .type = API_TEXT, .flags = API_REQUIRED, .help = "ok, or what is wrong"},
    {.name = "leader", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "store", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "smtp", .type = API_TEXT, .flags = API_REQUIRED},
};
static const struct api_object checks_object = {.name = "ReadyChecks", API_FIELDS(checks_fields)};
static const struct api_field readyz_fields[] = {
    {.name = "ready", .type = API_BOOL, .flags = API_REQUIRED},
    {.name = "node", .type = API_TEXT, .flags = API_REQUIRED, .help = "empty until core has said it"},
    {.name = "checks", .type = API_OBJECT, .flags = API_REQUIRED, .object = &checks_object},
};
const struct api_object readyz_object = {.name = "Ready", API_FIELDS(readyz_fields)};

void livez_get(struct exchange *x)
{
    json_t *object = json_object();
    json_put(object, "live", json_true());
    exchange_answer(x, object);
}

/* cluster.stale_after: beyond it this node may not decide about mail, so it is not ready. */
static uint64_t stale_after(struct exchange *x)
{
    struct failure f;
    struct setting_value value;
    const struct setting *setting = setting_find(SLICE_LITERAL("cluster.stale_after"));
    if (setting == NULL || x->api->store == NULL) {
        return CONTACT_SILENCE_MS;
    }
    if (x->view == NULL && store_view_begin(x->api->store, &x->view, &f) != STATUS_OK) {
        x->view = NULL;
        return CONTACT_SILENCE_MS;
    }
    return setting_get(x->view, setting, slice_of(NULL, 0), &value) == STATUS_OK ? setting_number(&value)
                                                                                 : CONTACT_SILENCE_MS;
}

static bool check(json_t *checks, const char *name, bool ok, const char *otherwise)
{
    json_put(checks, name, json_string(ok ? "ok" : otherwise));
    return ok;
}

void readyz_get(struct exchange *x)
{
    struct bus_health h;
    uint64_t now = clock_monotonic_ms();
    json_t *object = json_object(), *checks = json_object();
    x->api->health(x->api, &h);
    bool ready = check(checks, "core", h.core_ready, "core is not there or still loads its state");
    ready &= check(checks, "leader",
                   h.leader[0] != '\0' && h.contact_ms != 0 && now - h.contact_ms < stale_after(x),
                   "no leader of the cluster is known");
    ready &= check(checks, "store", x->api->store != NULL, "the store is not open");
    ready &=
        check(checks, "smtp", h.queue_ms != 0 && now - h.queue_ms < QUEUE_SILENCE_MS, "smtp does not answer");
    json_put(object, "ready", json_boolean(ready));
    json_put(object, "node", json_of_slice(slice_of_text(h.node)));
    json_put(object, "checks", checks);
    exchange_answer(x, object);
    if (!ready) {
        x->http_status = 503;
    }
}

void openapi_get(struct exchange *x)
{
    static json_t *document; /* never changes while the process runs */
    if (document == NULL) {
        document = api_openapi();
    }
    exchange_answer(x, json_incref(document));
}
