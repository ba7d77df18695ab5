/*
 * What partner domains publish in DNS about their domain certificates, beside what was confirmed
 * (docs/domain-to-domain.md). Watching a domain trusts nothing: only cert domain-confirm and cert bind do.
 */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "store/records_dns.h"

static const struct api_field fields[] = {
    {.name = "domain", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "waiting|failed|absent|confirmed|unconfirmed|changed|removed|unsigned|bogus",
     .help = "what DNS says beside what was confirmed"},
    {.name = "review", .type = API_BOOL, .flags = API_REQUIRED, .help = "an administrator should look"},
    {.name = "dnssec",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "signed|unsigned|bogus|unknown",
     .help = "of the last look-up: signed alone cannot have been written by somebody on the way"},
    {.name = "published",
     .type = API_TEXTS,
     .flags = API_REQUIRED,
     .help = "fingerprints (SHA-256) in the last answer that was one"},
    {.name = "confirmed",
     .type = API_TEXTS,
     .flags = API_REQUIRED,
     .help = "fingerprints of the certificates that are pinned for the domain"},
    {.name = "checked", .type = API_TIME, .help = "when it was looked up last; null: not yet"},
    {.name = "changed", .type = API_TIME, .help = "when what is published changed last"},
    {.name = "note", .type = API_TEXT, .help = "about the last look-up"},
};
const struct api_object domain_dns_object = {
    .name = "DomainDns", .help = "What a partner's domain publishes in DNS.", API_FIELDS(fields)};

static const struct api_field list_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &domain_dns_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object domains_dns_object = {.name = "DomainsDns", API_FIELDS(list_fields)};

static json_t *thumbprints_to_json(const uint8_t *at, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(list, json_of_hex(slice_of(at + i * THUMBPRINT_SIZE, THUMBPRINT_SIZE)));
    }
    return list;
}

static const char *dnssec_name(enum dns_answer answer)
{
    return answer == DNS_SIGNED     ? "signed"
           : answer == DNS_UNSIGNED ? "unsigned"
           : answer == DNS_BOGUS    ? "bogus"
                                    : "unknown";
}

/* NULL: the store cannot be read. */
static json_t *to_json(struct store_view *view, const struct domain_dns_record *record)
{
    struct domain_dns_review review;
    if (store_domain_dns_review(view, record, &review) != STATUS_OK) {
        return NULL;
    }
    json_t *object = json_object();
    json_put(object, "domain", json_of_slice(record->domain));
    json_put(object, "state", json_string(domain_dns_state_name(review.state)));
    json_put(object, "review", json_boolean(domain_dns_needs_review(review.state)));
    json_put(object, "dnssec", json_string(dnssec_name(record->answer)));
    json_put(object, "published",
             thumbprints_to_json(record->fingerprints.data, record->fingerprints.len / THUMBPRINT_SIZE));
    json_put(object, "confirmed", thumbprints_to_json(review.confirmed[0], review.confirmed_count));
    json_put(object, "checked", json_of_time(record->checked_ms));
    json_put(object, "changed", json_of_time(record->changed_ms));
    json_put(object, "note", json_of_slice(record->note));
    return object;
}

struct dns_list {
    struct list_page page;
    struct store_view *view;
    bool failed;
};

static bool visit(void *context, const struct domain_dns_record *record)
{
    struct dns_list *list = context;
    if (list_page_wants(&list->page, record->domain)) {
        json_t *object = to_json(list->view, record);
        list->failed = object == NULL;
        if (object != NULL) {
            list_page_add(&list->page, record->domain, object);
        }
    }
    return !list->failed && !list->page.more;
}

void domains_dns_list(struct exchange *x)
{
    struct dns_list list = {.view = exchange_view(x)};
    if (list.view == NULL) {
        return;
    }
    list_page_begin(&list.page, x);
    enum status status = store_domain_dns_all(list.view, visit, &list);
    if (status != STATUS_OK || list.failed) {
        json_decref(list.page.items);
        exchange_failf(x, status != STATUS_OK ? status : STATUS_CORRUPT,
                       "what was seen in DNS cannot be read");
        return;
    }
    list_page_answer(&list.page, x);
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
    struct domain_dns_record record;
    struct store_view *view = exchange_view(x);
    (void)written;
    if (view == NULL) {
        return;
    }
    enum status status = store_domain_dns_get(view, slice_of_text(x->parameters[0]), &record);
    json_t *object = status == STATUS_OK ? to_json(view, &record) : NULL;
    if (object == NULL) {
        exchange_failf(x, status != STATUS_OK ? status : STATUS_CORRUPT, "%s %s", x->parameters[0],
                       status == STATUS_NOT_FOUND ? "is not looked up in DNS: domain dns-watch starts it"
                                                  : "was looked up, and what was seen cannot be read");
        return;
    }
    exchange_answer(x, object);
}

void domain_dns_get(struct exchange *x)
{
    if (domain_of_path(x) != NULL) {
        answer(x, NULL);
    }
}

void domain_dns_watch(struct exchange *x)
{
    struct command c;
    const char *domain = domain_of_path(x);
    if (domain != NULL) {
        exchange_command(x, &c, COMMAND_DOMAIN_DNS_WATCH);
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

void domain_dns_unwatch(struct exchange *x)
{
    struct command c;
    const char *domain = domain_of_path(x);
    if (domain != NULL) {
        exchange_command(x, &c, COMMAND_DOMAIN_DNS_UNWATCH);
        c.values[0].bytes = slice_of_text(domain);
        exchange_write_one(x, &c, removed);
    }
}
