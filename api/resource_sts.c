/* /v1/sts: the MTA-STS policies of recipients' domains (docs/mail-transport.md). fetch gets them by itself.
 */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "store/records_sts.h"

static const struct api_field fields[] = {
    {.name = "domain", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "waiting|in-force|ended",
     .help = "waiting: it was never fetched; ended: max_age is over, and it counts no longer"},
    {.name = "mode", .type = API_TEXT, .flags = API_REQUIRED, .choices = "none|testing|enforce"},
    {.name = "mx", .type = API_TEXTS, .flags = API_REQUIRED, .help = "the hosts that it names"},
    {.name = "id",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "of the TXT record under which it was fetched"},
    {.name = "max_age", .type = API_NUMBER, .flags = API_REQUIRED, .help = "seconds"},
    {.name = "fetched", .type = API_TIME, .help = "null: never"},
    {.name = "ends", .type = API_TIME, .help = "when it counts no longer; null: it was never fetched"},
    {.name = "failed", .type = API_TIME, .help = "when fetching it again failed; null: it did not"},
    {.name = "error", .type = API_TEXT, .flags = API_REQUIRED, .help = "why it failed"},
};
const struct api_object sts_object = {
    .name = "StsPolicy", .help = "The MTA-STS policy of a domain (RFC 8461).", API_FIELDS(fields)};

static const struct api_field list_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &sts_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object sts_list_object = {.name = "StsPolicies", API_FIELDS(list_fields)};

static json_t *to_json(const struct sts_record *r)
{
    json_t *object = json_object(), *mx = json_array();
    struct slice rest = r->mx;
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, ' ');
        json_array_append_new(mx, json_of_slice(slice_of(rest.data, end)));
        rest = end < rest.len ? slice_of(rest.data + end + 1, rest.len - end - 1) : slice_of(NULL, 0);
    }
    json_put(object, "domain", json_of_slice(r->domain));
    json_put(object, "state",
             json_string(r->fetched_ms == 0                 ? "waiting"
                         : sts_in_force(r, clock_wall_ms()) ? "in-force"
                                                            : "ended"));
    json_put(object, "mode", json_string(sts_mode_name(r->mode)));
    json_put(object, "mx", mx);
    json_put(object, "id", json_of_slice(r->id));
    json_put(object, "max_age", json_of_number(r->max_age_s));
    json_put(object, "fetched", json_of_time(r->fetched_ms));
    json_put(object, "ends", json_of_time(r->fetched_ms == 0 ? 0 : r->fetched_ms + r->max_age_s * 1000));
    json_put(object, "failed", json_of_time(r->failed_ms));
    json_put(object, "error", json_of_slice(r->note));
    return object;
}

static bool visit(void *context, const struct sts_record *record)
{
    struct list_page *page = context;
    if (list_page_wants(page, record->domain)) {
        list_page_add(page, record->domain, to_json(record));
    }
    return !page->more;
}

void sts_list(struct exchange *x)
{
    struct list_page page;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&page, x);
    enum status status = store_sts_all(view, visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "the MTA-STS policies cannot be read");
        return;
    }
    list_page_answer(&page, x);
}

/* The domain of the path in its normal form, in x->arena; NULL: the exchange was failed. */
static const char *domain_of_path(struct exchange *x)
{
    char domain[DOMAIN_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    if (domain_normalise(slice_of_text(x->parameters[0]), domain, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return NULL;
    }
    if (domain[0] == '*') {
        exchange_failf(x, STATUS_INVALID, "name one domain, without *");
        return NULL;
    }
    x->parameters[0] = arena_text(&x->arena, slice_of_text(domain));
    return x->parameters[0];
}

static void answer(struct exchange *x, const struct bus_answer *written)
{
    struct sts_record record;
    struct store_view *view = exchange_view(x);
    (void)written;
    if (view == NULL) {
        return;
    }
    enum status status = store_sts_get(view, slice_of_text(x->parameters[0]), &record);
    if (status != STATUS_OK) {
        exchange_failf(x, status,
                       status == STATUS_NOT_FOUND ? "no MTA-STS policy of %s is known"
                                                  : "the policy of %s cannot be read",
                       x->parameters[0]);
        return;
    }
    exchange_answer(x, to_json(&record));
}

void sts_get(struct exchange *x)
{
    if (domain_of_path(x) != NULL) {
        answer(x, NULL);
    }
}

void sts_refresh(struct exchange *x)
{
    struct command c;
    const char *domain = domain_of_path(x);
    if (domain != NULL) {
        exchange_command(x, &c, COMMAND_STS_REFRESH);
        c.values[0].bytes = slice_of_text(domain);
        exchange_write_one(x, &c, answer);
    }
}

static void removed(struct exchange *x, const struct bus_answer *written)
{
    json_t *gone = json_object();
    (void)written;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void sts_remove(struct exchange *x)
{
    struct command c;
    const char *domain = domain_of_path(x);
    if (domain != NULL) {
        exchange_command(x, &c, COMMAND_STS_REMOVE);
        c.values[0].bytes = slice_of_text(domain);
        exchange_write_one(x, &c, removed);
    }
}
