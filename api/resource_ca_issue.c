/*
 * /v1/ca/{name}/certificates: what a CA of this cluster issued, and issuing. The order (crypto/ca.h) is read
 * from settings here, made on the job thread, and proposed as one command; whether the address may have
 * another certificate is decided when that is applied, so that two nodes at once end with one.
 */
#include "api/ca_json.h"
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"

static const struct api_field request_fields[] = {
    CA_OWNER_FIELDS,
    {.name = "another", .type = API_BOOL, .help = "also when the address has one already"},
    {.name = "once", .type = API_BOOL, .help = "it is not issued anew ahead of its end"},
};
const struct api_object ca_issue_object = {.name = "IssueRequest", API_FIELDS(request_fields)};

static const struct api_field query_fields[] = {
    {.name = "address",
     .type = API_TEXT,
     .min = 1,
     .max = ADDRESS_MAX,
     .help = "only those for this address"},
    {.name = "limit",
     .type = API_NUMBER,
     .min = 1,
     .max = API_LIST_LIMIT,
     .help = "entries of the answer at most"},
    {.name = "after", .type = API_TEXT, .max = 2 * THUMBPRINT_SIZE, .help = "\"next\" of the page before"},
};
const struct api_object ca_issued_query = {.name = "IssuedQuery", API_FIELDS(query_fields)};

/* --- listing --- */

struct issued_walk {
    struct list_page page;
    struct store_view *view;
    struct slice ca;
    const char *address; /* NULL: all */
};

static bool issued_visit(void *context, const struct ca_issued_record *record)
{
    struct issued_walk *walk = context;
    char key[2 * THUMBPRINT_SIZE + 1];
    if (!slice_equal(record->ca, walk->ca) ||
        (walk->address != NULL && !slice_equal(record->address, slice_of_text(walk->address)))) {
        return true;
    }
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), key);
    struct slice k = slice_of(key, sizeof(key) - 1);
    if (list_page_wants(&walk->page, k)) {
        list_page_add(&walk->page, k, ca_issued_to_json(walk->view, record));
    }
    return !walk->page.more;
}

void ca_issued_list(struct exchange *x)
{
    struct issued_walk walk = {.view = exchange_view(x), .ca = slice_of_text(x->parameters[0])};
    struct failure f = {.status = STATUS_OK};
    struct ca_record ca;
    const char *address = query_get(&x->query, "address");
    char normal[ADDRESS_MAX + 1], shown[API_SHOWN_MAX];
    if (walk.view == NULL) {
        return;
    }
    if (store_ca_get(walk.view, walk.ca, &ca) != STATUS_OK) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no CA %s", api_shown(walk.ca, shown));
        return;
    }
    if (address != NULL && address_normalise(slice_of_text(address), normal, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "address");
        return;
    }
    walk.address = address != NULL ? normal : NULL;
    list_page_begin(&walk.page, x);
    enum status status = store_ca_issued_all(walk.view, (struct slice){0}, issued_visit, &walk);
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status, "the issued certificates cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

/* --- issuing --- */

struct issue_job {
    struct api_job super;
    struct ca_order order;
    uint64_t now_ms;
    enum status status;
    struct failure failure;
};

struct issue_state {
    uint8_t thumbprints[2][THUMBPRINT_SIZE];
    size_t count;
};

static void issue_job_free(struct api_job *job)
{
    struct issue_job *j = (struct issue_job *)job;
    ca_order_release(&j->order);
    free(j);
}

static void issue_job_run(struct api_job *job)
{
    struct issue_job *j = (struct issue_job *)job;
    j->status = ca_order_make(&j->order, j->now_ms, &j->failure);
    if (j->status != STATUS_OK && j->failure.status == STATUS_OK) {
        j->status = failure_set(&j->failure, j->status, "the certificate: %s", status_text(j->status));
    }
}

static void issued(struct exchange *x, const struct bus_answer *answer)
{
    const struct issue_state *state = x->state;
    struct store_view *view = exchange_view(x);
    json_t *items;
    (void)answer;
    if (view == NULL) {
        return;
    }
    items = json_array();
    for (size_t i = 0; i < state->count; i++) {
        struct ca_issued_record record;
        if (store_ca_issued_get(view, state->thumbprints[i], &record) == STATUS_OK) {
            json_array_append_new(items, ca_issued_to_json(view, &record));
        }
    }
    exchange_answer(x, json_page(items, NULL));
}

static void order_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct issue_job *j = (const struct issue_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct certificate_record records[2];
    struct issue_state *state = arena_alloc(&x->arena, sizeof(*state));
    struct command c;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (state == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificate");
        return;
    }
    if (j->status != STATUS_OK) {
        exchange_fail_field(x, &j->failure, j->status == STATUS_INVALID ? "name" : NULL);
        return;
    }
    exchange_command(x, &c, COMMAND_CA_ISSUE);
    enum status status = api_keys_refresh(x->api, view, &f);
    if (status == STATUS_OK) {
        status = ca_order_fill(&j->order, &x->api->keyring, &x->arena, &c, records, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    state->count = j->order.count;
    for (size_t i = 0; i < state->count; i++) {
        memcpy(state->thumbprints[i], records[i].thumbprint, THUMBPRINT_SIZE);
    }
    x->state = state;
    exchange_write_one(x, &c, issued);
}

struct has_one {
    struct store_view *view;
    uint64_t now_ms;
    bool found;
};

static bool signs_now(void *context, const struct certificate_record *record)
{
    struct has_one *search = context;
    struct ca_issued_record row;
    bool revoked = true;
    search->found = (record->uses & CERT_USE_SIGN) != 0 && record->not_after_ms > search->now_ms &&
                    store_ca_issued_get(search->view, record->thumbprint, &row) == STATUS_OK &&
                    store_has_key(search->view, record->thumbprint) &&
                    store_ca_is_revoked(search->view, record->thumbprint, &revoked) == STATUS_OK && !revoked;
    return !search->found;
}

void ca_issue_one(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    struct issue_job *j = calloc(1, sizeof(*j));
    if (view == NULL || j == NULL) {
        free(j);
        if (view != NULL) {
            exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificate");
        }
        return;
    }
    j->super.run = issue_job_run;
    j->super.free = issue_job_free;
    j->now_ms = clock_wall_ms();
    if (strcmp(x->parameters[0], "default") != 0) {
        ca_text_copy(j->order.ca, sizeof(j->order.ca), slice_of_text(x->parameters[0]));
    }
    ca_text_copy(j->order.address, sizeof(j->order.address), api_body_text(x->body, "address"));
    ca_text_copy(j->order.name, sizeof(j->order.name), api_body_text(x->body, "name"));
    j->order.how = api_body_bool(x->body, "another") ? CA_ISSUE_ANOTHER : CA_ISSUE_IF_NONE;
    j->order.flags = api_body_bool(x->body, "once") ? 0 : CA_ISSUED_RENEWS;
    enum status status = api_keys_refresh(x->api, view, &f);
    if (status == STATUS_OK) {
        status = ca_order_read(&j->order, view, &x->api->keyring, &f);
    }
    struct has_one search = {.view = view, .now_ms = j->now_ms};
    if (status == STATUS_OK && j->order.how == CA_ISSUE_IF_NONE) {
        status = store_certificates_for(view, slice_of_text(j->order.address), signs_now, &search);
        if (status != STATUS_OK) {
            failure_set(&f, status, "the certificates of %s cannot be read", j->order.address);
        } else if (search.found) { /* before a key is made for nothing; the command decides */
            status = failure_set(&f, STATUS_EXISTS, "%s has a certificate already", j->order.address);
        }
    }
    if (status != STATUS_OK) {
        issue_job_free(&j->super);
        exchange_fail_field(x, &f, status == STATUS_INVALID ? "address" : NULL);
        return;
    }
    exchange_run_job(x, &j->super, order_made);
}
