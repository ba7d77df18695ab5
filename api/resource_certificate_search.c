/*
 * GET /v1/certificates and /v1/certificates/expiring: pages of what is stored, found by
 * store/certificate_search.h. A page may be empty and have a next one: no request looks at more than a
 * bounded number of certificates.
 */
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"
#include "store/certificate_search.h"

#include <time.h>

#define DAY_MS      ((uint64_t)86400000)
#define USABLE_COST 20 /* a path costs as much as looking at so many certificates */

static const struct api_field query_fields[] = {
    {.name = "address",
     .type = API_TEXT,
     .min = 1,
     .max = ADDRESS_MAX,
     .help = "only those for this mail address"},
    {.name = "search",
     .type = API_TEXT,
     .min = 1,
     .max = CERT_SEARCH_TEXT_MAX,
     .help = "beginnings of words of address, subject, issuer or serial number; or of a thumbprint"},
    {.name = "domain", .type = API_TEXT, .min = 1, .max = DOMAIN_MAX, .help = "of an address, and all below"},
    {.name = "source",
     .type = API_TEXT,
     .min = 1,
     .max = 64,
     .help = "where it came from: import, harvest, ..."},
    {.name = "state",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "active|quarantine|replaced",
     .help = "only those"},
    {.name = "expires_before", .type = API_TEXT, .min = 10, .max = 10, .help = "a day, like 2027-01-31"},
    {.name = "usable",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "true",
     .help = "fit to encrypt to, now"},
    {.name = "with_key",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "true",
     .help = "whose private keys are stored"},
    {.name = "limit",
     .type = API_NUMBER,
     .min = 1,
     .max = API_LIST_LIMIT,
     .help = "entries of the answer at most"},
    {.name = "after", .type = API_TEXT, .max = CERT_SEARCH_CURSOR_MAX, .help = "\"next\" of the page before"},
};
const struct api_object certificates_query = {.name = "CertificatesQuery", API_FIELDS(query_fields)};

static const struct api_field expiring_fields[] = {
    {.name = "days",
     .type = API_NUMBER,
     .min = 1,
     .max = 4000,
     .help = "within so many days; 30 if not given"},
    {.name = "with_key",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "true",
     .help = "whose private keys are stored"},
    {.name = "limit",
     .type = API_NUMBER,
     .min = 1,
     .max = API_LIST_LIMIT,
     .help = "entries of the answer at most"},
    {.name = "after", .type = API_TEXT, .max = CERT_SEARCH_CURSOR_MAX, .help = "\"next\" of the page before"},
};
const struct api_object expiring_query = {.name = "ExpiringQuery", API_FIELDS(expiring_fields)};

struct search {
    struct exchange *x;
    struct store_view *view;
    struct certificate_query query;
    char address[ADDRESS_MAX + 1], domain[DOMAIN_MAX + 1];
    uint64_t now_ms;
    json_t *items;
};

static bool is_usable(void *context, const struct certificate_record *record)
{
    const struct search *s = context;
    return record->state == CERT_ACTIVE && trust_check(s->x->api->trust, record->der, NULL,
                                                       TRUST_FOR_ENCRYPTION, s->now_ms, NULL) == STATUS_OK;
}

static bool add(void *context, const struct certificate_record *record)
{
    struct search *s = context;
    json_array_append_new(s->items, certificate_to_json(s->view, record));
    return true;
}

static struct slice parameter(struct exchange *x, const char *name)
{
    const char *value = query_get(&x->query, name);
    return value != NULL ? slice_of_text(value) : SLICE_LITERAL("");
}

/* Midnight in UTC. */
static bool day_parse(struct slice text, uint64_t *ms)
{
    uint64_t year, month, day;
    if (text.len != 10 || text.data[4] != '-' || text.data[7] != '-' ||
        !slice_parse_u64(slice_of(text.data, 4), &year) ||
        !slice_parse_u64(slice_of(text.data + 5, 2), &month) ||
        !slice_parse_u64(slice_of(text.data + 8, 2), &day) || year < 1970 || month < 1 || month > 12 ||
        day < 1 || day > 31) {
        return false;
    }
    struct tm t = {.tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day};
    *ms = (uint64_t)timegm(&t) * 1000;
    return true;
}

static bool read_state(struct search *s, struct slice name)
{
    s->query.state = CERT_STATE_ANY;
    for (unsigned i = 0; i < CERT_STATE_COUNT && name.len > 0; i++) {
        if (slice_equal(name, slice_of_text(certificate_state_name((enum certificate_state)i)))) {
            s->query.state = (enum certificate_state)i;
        }
    }
    return true;
}

/* false: the exchange was failed. */
static bool read_query(struct search *s)
{
    struct exchange *x = s->x;
    struct certificate_query *q = &s->query;
    struct failure f = {.status = STATUS_OK};
    struct slice address = parameter(x, "address"), domain = parameter(x, "domain");
    struct slice before = parameter(x, "expires_before");
    q->text = parameter(x, "search");
    q->source = parameter(x, "source");
    (void)read_state(s, parameter(x, "state"));
    if (address.len > 0 && address_normalise(address, s->address, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "address");
        return false;
    }
    if (domain.len > 0 && domain_normalise(domain, s->domain, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "domain");
        return false;
    }
    if (before.len > 0 && !day_parse(before, &q->expires_before_ms)) {
        failure_set(&f, STATUS_INVALID, "expires_before: a day is written like 2027-01-31");
        exchange_fail_field(x, &f, "expires_before");
        return false;
    }
    q->address = slice_of_text(s->address);
    q->domain = slice_of_text(s->domain);
    if (parameter(x, "usable").len > 0) {
        q->wants = is_usable;
        q->wants_cost = USABLE_COST;
        if (api_trust_refresh(x->api, s->view, &f) != STATUS_OK) {
            exchange_fail(x, &f);
            return false;
        }
    }
    return true;
}

static void run(struct search *s)
{
    struct exchange *x = s->x;
    char next[CERT_SEARCH_CURSOR_MAX];
    struct failure f = {.status = STATUS_OK};
    uint64_t limit = API_LIST_LIMIT;
    (void)slice_parse_u64(parameter(x, "limit"), &limit);
    s->query.limit = limit < API_LIST_LIMIT ? (size_t)limit : API_LIST_LIMIT;
    s->query.with_key = parameter(x, "with_key").len > 0;
    s->query.after = parameter(x, "after");
    s->items = json_array();
    enum status status = store_certificates_search(s->view, &s->query, add, s, next, &f);
    if (status != STATUS_OK) {
        json_decref(s->items);
        exchange_fail(x, &f);
        return;
    }
    exchange_answer(x, json_page(s->items, next[0] != '\0' ? json_string(next) : NULL));
}

static struct search *search_new(struct exchange *x)
{
    struct search *s = arena_alloc(&x->arena, sizeof(*s));
    if (s == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the search");
        return NULL;
    }
    s->x = x;
    s->view = exchange_view(x);
    s->now_ms = clock_wall_ms();
    s->query.state = CERT_STATE_ANY;
    return s->view != NULL ? s : NULL;
}

void certificates_list(struct exchange *x)
{
    struct search *s = search_new(x);
    if (s != NULL && read_query(s)) {
        run(s);
    }
}

void certificates_expiring(struct exchange *x)
{
    struct search *s = search_new(x);
    uint64_t days = 30;
    if (s == NULL) {
        return;
    }
    (void)slice_parse_u64(parameter(x, "days"), &days);
    s->query.expires_after_ms = s->now_ms;
    s->query.expires_before_ms = s->now_ms + days * DAY_MS;
    run(s);
}
