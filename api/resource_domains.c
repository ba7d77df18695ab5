/* /v1/domains: the domains that were named, ours and partners'. What mail for a domain does is said by its
 * settings. */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "store/records.h"
#include "store/setting.h"

static const struct api_field domain_request_fields[] = {
    {.name = "domain",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = DOMAIN_MAX,
     .help = "its name; *.example.org stands for all below"},
    {.name = "locality",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "internal|external",
     .help = "internal: ours; external: a partner's"},
};
const struct api_object domain_request_object = {.name = "DomainRequest", API_FIELDS(domain_request_fields)};

static const struct api_field domain_fields[] = {
    {.name = "domain", .type = API_TEXT, .flags = API_REQUIRED, .help = "its name"},
    {.name = "locality", .type = API_TEXT, .flags = API_REQUIRED, .help = "internal or external"},
    {.name = "added", .type = API_TIME, .help = "when it was added"},
    {.name = "settings",
     .type = API_OBJECTS,
     .object = &setting_value_object,
     .help = "what is set for it (not in lists)"},
};
const struct api_object domain_object = {.name = "Domain", .help = "A domain.", API_FIELDS(domain_fields)};

static const struct api_field domains_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &domain_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object domains_object = {.name = "Domains", API_FIELDS(domains_fields)};

static json_t *domain_to_json(struct store_view *view, const struct domain_record *record)
{
    json_t *domain = json_object();
    struct setting_value locality = {0};
    const struct setting *setting = setting_find(SLICE_LITERAL("domain.locality"));
    json_put(domain, "domain", json_of_slice(record->name));
    if (setting != NULL && setting_get(view, setting, record->name, &locality) == STATUS_OK) {
        json_put(domain, "locality", json_of_slice(locality.text));
    } else {
        json_put(domain, "locality", json_string("unknown"));
    }
    json_put(domain, "added", json_of_time(record->added_ms));
    return domain;
}

struct domains_walk {
    struct list_page page;
    struct store_view *view;
};

static bool domain_visit(void *context, const struct domain_record *record)
{
    struct domains_walk *walk = context;
    if (list_page_wants(&walk->page, record->name)) {
        list_page_add(&walk->page, record->name, domain_to_json(walk->view, record));
    }
    return !walk->page.more;
}

void domains_list(struct exchange *x)
{
    struct domains_walk walk = {.view = exchange_view(x)};
    if (walk.view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    enum status status = store_domains_all(walk.view, domain_visit, &walk);
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status, "the domains cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

/* The one that x->parameters[0] names, with its settings. */
static void domain_answer(struct exchange *x, const struct bus_answer *answer)
{
    char name[DOMAIN_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct domain_record record;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (domain_normalise(slice_of_text(x->parameters[0]), name, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    enum status status = store_domain_get(view, slice_of_text(name), &record);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "there is no domain %s", name);
        return;
    }
    json_t *domain = domain_to_json(view, &record);
    json_put(domain, "settings", settings_set_for(view, SETTING_DOMAIN, record.name));
    exchange_answer(x, domain);
}

void domain_get(struct exchange *x)
{
    domain_answer(x, NULL);
}

void domain_add(struct exchange *x)
{
    char name[DOMAIN_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct command c;
    if (domain_normalise(api_body_text(x->body, "domain"), name, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "domain");
        return;
    }
    x->parameters[0] = arena_text(&x->arena, slice_of_text(name));
    exchange_command(x, &c, COMMAND_DOMAIN_ADD);
    c.values[0].bytes = slice_of_text(name);
    c.values[1].bytes = api_body_text(x->body, "locality");
    exchange_write_one(x, &c, domain_answer);
}

static void domain_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void domain_remove(struct exchange *x)
{
    char name[DOMAIN_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    struct command c;
    if (domain_normalise(slice_of_text(x->parameters[0]), name, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_command(x, &c, COMMAND_DOMAIN_REMOVE);
    c.values[0].bytes = slice_of_text(name);
    exchange_write_one(x, &c, domain_removed);
}
