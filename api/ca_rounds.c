/*
 * See ca_rounds.h. Looking for certificates that end soon goes through the table in pieces of ROWS_A_ROUND,
 * so that a round costs little whatever the number of users.
 */
#include "api/ca_rounds.h"

#include "api/ca_list.h"
#include "api/json_out.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/ca_allowance.h"

#define DAY_MS       ((uint64_t)86400 * 1000)
#define ROWS_A_ROUND 500
#define GIVE_UP_MS   60000 /* a round that never ended */

static void round_serve(struct exchange *x);

static const struct api_route round_route = {.method = API_GET,
                                             .path = "/",
                                             .success = 200,
                                             .serve = round_serve,
                                             .operation = "caRound",
                                             .help = "What the CAs of this cluster need now."};

static void round_end(struct exchange *x)
{
    x->api->ca_round_since_ms = 0;
    exchange_answer(x, json_object());
}

static char list_renewed, request_waits; /* only their addresses count: what the round did */

static void proposed(struct exchange *x, const struct bus_answer *answer)
{
    const struct exchange_write *w = &x->writes[0];
    (void)answer;
    if (w->status == STATUS_OK) {
        log_event(LOG_INFO, x->state == &list_renewed ? "a revocation list was renewed"
                            : x->state == &request_waits
                                ? "a request for a new certificate waits for a CA elsewhere"
                                : "a certificate was renewed");
    } else if (w->status != STATUS_CONFLICT && w->status != STATUS_EXISTS) { /* else: somebody else did it */
        log_event(LOG_WARN, "a round for the CAs failed", LOG_TEXT("reason", w->text));
    }
    round_end(x);
}

/* --- revocation lists --- */

struct list_search {
    uint64_t now_ms;
    struct ca_record due;
    bool found;
};

static bool list_is_due(void *context, const struct ca_record *ca)
{
    struct list_search *search = context;
    search->found = search->now_ms >= ca->crl_this_ms + (ca->crl_next_ms - ca->crl_this_ms) / 2;
    if (search->found) {
        search->due = *ca;
    }
    return !search->found;
}

static void list_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct ca_list_job *j = (const struct ca_list_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct command c;
    (void)answer;
    exchange_command(x, &c, COMMAND_CA_CRL);
    c.values[0].bytes = slice_of_text(x->state);
    enum status status = ca_list_fill(j, 1, &c, &f);
    if (status == STATUS_OK) {
        status = exchange_write_add(x, &c, &f);
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a revocation list cannot be renewed", LOG_TEXT("reason", f.text));
        round_end(x);
        return;
    }
    x->state = &list_renewed;
    exchange_write_run(x, false, proposed);
}

/* True: the exchange goes on. */
static bool list_renew(struct exchange *x, struct store_view *view)
{
    struct list_search search = {.now_ms = clock_wall_ms()};
    struct failure f = {.status = STATUS_OK};
    if (store_cas_all(view, list_is_due, &search) != STATUS_OK || !search.found) {
        return false;
    }
    x->state = arena_text(&x->arena, search.due.name);
    if (x->state == NULL || ca_list_run(x, view, search.due.name, NULL, list_made, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "a revocation list cannot be renewed", LOG_TEXT("reason", f.text));
        return false;
    }
    return true;
}

/* --- certificates --- */

struct renewal_search {
    struct store_view *view;
    uint64_t now_ms;
    size_t rows;
    struct ca_issued_record due;
    bool found, more;
    bool by_request;             /* a CA elsewhere is asked (ca.handler) */
    uint8_t at[THUMBPRINT_SIZE]; /* the last that was looked at */
};

static uint64_t days_of(struct store_view *view, enum setting_id id, struct slice address)
{
    struct setting_value value;
    return setting_get(view, setting_at(id), address, &value) == STATUS_OK ? setting_number(&value) * DAY_MS
                                                                           : 0;
}

/* Soon at its end, in use, and not renewed yet. */
static bool ends_soon(const struct renewal_search *search, const struct ca_issued_record *row)
{
    bool revoked = true;
    return (row->flags & CA_ISSUED_RENEWS) != 0 && row->successor.len == 0 &&
           row->not_after_ms >= search->now_ms &&
           row->not_after_ms - search->now_ms <
               days_of(search->view, SETTING_CA_RENEW_BEFORE, row->address) &&
           store_has_key(search->view, row->thumbprint) &&
           store_ca_is_revoked(search->view, row->thumbprint, &revoked) == STATUS_OK && !revoked;
}

/* The new one would last longer by a day at least: a certificate that its CA's end cuts short is not issued
 * again and again. */
static bool would_last(const struct renewal_search *search, const struct ca_issued_record *row)
{
    struct ca_record ca;
    struct certificate_record issuer;
    if (store_ca_get(search->view, row->ca, &ca) != STATUS_OK ||
        store_certificate_get(search->view, ca.thumbprint, &issuer) != STATUS_OK) {
        return false;
    }
    uint64_t end = search->now_ms + days_of(search->view, SETTING_CA_VALIDITY, row->address);
    end = issuer.not_after_ms < end ? issuer.not_after_ms : end;
    return end > row->not_after_ms + DAY_MS;
}

struct longer_search {
    struct store_view *view;
    uint64_t beyond_ms;
    bool found;
};

static bool lasts_longer(void *context, const struct certificate_record *record)
{
    struct longer_search *search = context;
    search->found = (record->uses & CERT_USE_SIGN) != 0 && record->not_after_ms > search->beyond_ms &&
                    store_has_key(search->view, record->thumbprint);
    return !search->found;
}

/* No request waits, and no answer has come that the owner signs with from now on. */
static bool wants_request(const struct renewal_search *search, const struct ca_issued_record *row)
{
    struct longer_search longer = {.view = search->view,
                                   .beyond_ms = search->now_ms +
                                                days_of(search->view, SETTING_CA_RENEW_BEFORE, row->address)};
    bool waits = true;
    return store_ca_request_waits(search->view, row->address, &waits) == STATUS_OK && !waits &&
           store_certificates_for(search->view, row->address, lasts_longer, &longer) == STATUS_OK &&
           !longer.found;
}

static bool is_due(struct renewal_search *search, const struct ca_issued_record *row)
{
    enum ca_handler handler;
    if (!ends_soon(search, row) || store_ca_handler(search->view, row->address, &handler) != STATUS_OK) {
        return false;
    }
    search->by_request = handler == CA_HANDLER_CSR;
    return search->by_request ? wants_request(search, row) : row->ca.len > 0 && would_last(search, row);
}

static bool row_visit(void *context, const struct ca_issued_record *row)
{
    struct renewal_search *search = context;
    memcpy(search->at, row->thumbprint, THUMBPRINT_SIZE);
    if (is_due(search, row)) {
        search->due = *row;
        search->found = true;
    }
    search->more = search->found || ++search->rows == ROWS_A_ROUND;
    return !search->more;
}

struct renewal_job {
    struct api_job super;
    struct ca_order order; /* by_request: of it only address and name */
    bool by_request;
    enum key_kind kind; /* by_request */
    struct ca_request request;
    enum status status;
    struct failure failure;
};

static void renewal_free(struct api_job *job)
{
    struct renewal_job *j = (struct renewal_job *)job;
    ca_order_release(&j->order);
    ca_request_release(&j->request);
    free(j);
}

static void renewal_run(struct api_job *job)
{
    struct renewal_job *j = (struct renewal_job *)job;
    j->status = j->by_request ? ca_request_new(j->kind, slice_of_text(j->order.address),
                                               slice_of_text(j->order.name), &j->request, &j->failure)
                              : ca_order_make(&j->order, clock_wall_ms(), &j->failure);
}

static enum status renewal_fill(struct exchange *x, const struct renewal_job *j, struct command *c,
                                struct failure *f)
{
    return j->by_request ? ca_request_fill(&j->request, slice_of_text(j->order.address),
                                           slice_of_text(j->order.name), &x->api->keyring, &x->arena, c, f)
                         : ca_order_fill(&j->order, &x->api->keyring, &x->arena, c, NULL, f);
}

static void renewal_failed(const struct renewal_job *j, const struct failure *f)
{
    log_event(LOG_ERROR,
              j->by_request ? "no request for a new certificate was made" : "a certificate cannot be renewed",
              LOG_TEXT("address", j->order.address), LOG_TEXT("reason", f->text));
}

static void renewal_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct renewal_job *j = (const struct renewal_job *)x->done;
    struct failure f = j->failure;
    struct command c;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        x->api->ca_round_since_ms = 0;
        return;
    }
    enum status status = j->status;
    exchange_command(x, &c, j->by_request ? COMMAND_CA_REQUEST_RENEW : COMMAND_CA_ISSUE);
    if (status == STATUS_OK) {
        status = api_keys_refresh(x->api, view, &f);
    }
    if (status == STATUS_OK) {
        status = renewal_fill(x, j, &c, &f);
    }
    if (status == STATUS_OK) {
        status = exchange_write_add(x, &c, &f);
    }
    if (status != STATUS_OK) {
        renewal_failed(j, &f);
        round_end(x);
        return;
    }
    x->state = j->by_request ? &request_waits : NULL;
    exchange_write_run(x, false, proposed);
}

static enum status order_of(struct exchange *x, struct store_view *view, const struct ca_issued_record *row,
                            struct ca_order *o, struct failure *f)
{
    struct certificate_record old;
    ca_text_copy(o->ca, sizeof(o->ca), row->ca);
    ca_text_copy(o->address, sizeof(o->address), row->address);
    o->how = CA_ISSUE_RENEW;
    o->flags = row->flags;
    memcpy(o->replaces, row->thumbprint, THUMBPRINT_SIZE);
    if (store_certificate_get(view, row->thumbprint, &old) == STATUS_OK) {
        ca_order_name_of(o, old.der);
    }
    enum status status = api_keys_refresh(x->api, view, f);
    return status == STATUS_OK ? ca_order_read(o, view, &x->api->keyring, f) : status;
}

/* What a CA elsewhere is asked for. */
static void request_of(struct renewal_job *j, struct store_view *view, const struct ca_issued_record *row)
{
    struct certificate_record old;
    struct setting_value kind;
    ca_text_copy(j->order.address, sizeof(j->order.address), row->address);
    if (store_certificate_get(view, row->thumbprint, &old) == STATUS_OK) {
        ca_order_name_of(&j->order, old.der);
    }
    if (setting_get(view, setting_at(SETTING_CA_KEY_TYPE), row->address, &kind) != STATUS_OK ||
        !key_kind_named(kind.text, &j->kind)) {
        j->kind = KEY_RSA3072;
    }
}

/* True: the exchange goes on. */
static bool certificate_renew(struct exchange *x, struct store_view *view)
{
    struct renewal_search search = {.view = view, .now_ms = clock_wall_ms()};
    struct failure f = {.status = STATUS_OK};
    struct api *api = x->api;
    size_t from = api->ca_round_begun ? THUMBPRINT_SIZE : 0;
    if (store_ca_issued_all(view, slice_of(api->ca_round_at, from), row_visit, &search) != STATUS_OK) {
        return false;
    }
    /* The next round goes on with the last one, which is looked at twice; at the end it begins anew. */
    api->ca_round_begun = search.more && search.rows > 1;
    memcpy(api->ca_round_at, search.at, THUMBPRINT_SIZE);
    struct renewal_job *j = search.found ? calloc(1, sizeof(*j)) : NULL;
    if (j == NULL) {
        return false;
    }
    j->super.run = renewal_run;
    j->super.free = renewal_free;
    j->by_request = search.by_request;
    if (j->by_request) {
        request_of(j, view, &search.due);
    } else if (order_of(x, view, &search.due, &j->order, &f) != STATUS_OK) {
        renewal_failed(j, &f);
        renewal_free(&j->super);
        return false;
    }
    exchange_run_job(x, &j->super, renewal_made);
    return true;
}

static void round_serve(struct exchange *x)
{
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        x->api->ca_round_since_ms = 0; /* it was failed */
        return;
    }
    if (!list_renew(x, view) && !certificate_renew(x, view)) {
        round_end(x);
    }
}

void ca_round_begin(struct api *api)
{
    static const char actor[] = "node:ca";
    struct bus_health health;
    uint64_t now = clock_monotonic_ms();
    api->health(api, &health);
    if (api->store == NULL || health.leader[0] == '\0' || strcmp(health.leader, health.node) != 0 ||
        (api->ca_round_since_ms != 0 && now < api->ca_round_since_ms + GIVE_UP_MS)) {
        return;
    }
    struct exchange *x = exchange_new(api, &round_route);
    memcpy(x->actor, actor, sizeof(actor));
    api->ca_round_since_ms = now;
    exchange_start(x, (struct slice){0});
}
