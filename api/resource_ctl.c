/*
 * /v1/ctl: the certificate trust list. An entry is about one certificate, by its thumbprint: deny means that
 * it is used for nothing, allow that it needs no path to a trust anchor. The certificate need not be stored:
 * one that only signs mail to us never is.
 */
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"
#include "store/records_trust.h"

static const struct api_field request_fields[] = {
    {.name = "comment", .type = API_TEXT, .max = CTL_COMMENT_MAX, .help = "why"},
    {.name = "expires",
     .type = API_TEXT,
     .min = 1,
     .max = 32,
     .help = "when the entry ends, as 2027-01-31 or 2027-01-31T12:00:00Z; never if it is not given"},
};
const struct api_object ctl_request_object = {.name = "CtlRequest", API_FIELDS(request_fields)};

static const struct api_field entry_fields[] = {
    {.name = "thumbprint", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of the certificate"},
    {.name = "verdict", .type = API_TEXT, .flags = API_REQUIRED, .choices = "allow|deny"},
    {.name = "in_force", .type = API_BOOL, .flags = API_REQUIRED, .help = "false: the entry has ended"},
    {.name = "comment", .type = API_TEXT, .help = "why"},
    {.name = "expires", .type = API_TIME, .help = "null: never"},
    {.name = "added", .type = API_TIME},
    {.name = "subject", .type = API_TEXT, .help = "of the certificate, if it is stored"},
};
const struct api_object ctl_object = {.name = "CtlEntry",
                                      .help = "What the certificate trust list says of a certificate.",
                                      API_FIELDS(entry_fields)};

static const struct api_field entries_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &ctl_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object ctls_object = {.name = "CtlEntries", API_FIELDS(entries_fields)};

json_t *ctl_to_json(struct store_view *view, const struct ctl_record *record)
{
    struct certificate_record certificate;
    json_t *object = json_object();
    json_put(object, "thumbprint", json_of_hex(slice_of(record->thumbprint, THUMBPRINT_SIZE)));
    json_put(object, "verdict", json_string(record->verdict == CTL_ALLOW ? "allow" : "deny"));
    json_put(object, "in_force", json_boolean(ctl_in_force(record, clock_wall_ms()) != CTL_NONE));
    json_put(object, "comment", json_of_slice(record->comment));
    json_put(object, "expires", json_of_time(record->expires_ms));
    json_put(object, "added", json_of_time(record->added_ms));
    if (store_certificate_get(view, record->thumbprint, &certificate) == STATUS_OK) {
        json_put(object, "subject", json_of_slice(certificate.subject));
    }
    return object;
}

struct ctl_walk {
    struct list_page page;
    struct store_view *view;
};

static bool ctl_visit(void *context, const struct ctl_record *record)
{
    struct ctl_walk *walk = context;
    char key[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), key);
    struct slice k = slice_of(key, sizeof(key) - 1);
    if (list_page_wants(&walk->page, k)) {
        list_page_add(&walk->page, k, ctl_to_json(walk->view, record));
    }
    return !walk->page.more;
}

void ctl_list(struct exchange *x)
{
    struct ctl_walk walk = {.view = exchange_view(x)};
    if (walk.view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    enum status status = store_ctl_all(walk.view, ctl_visit, &walk);
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status, "the certificate trust list cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

/* --- changes --- */

struct prefix_search {
    struct slice prefix; /* hexadecimal digits, lower case */
    size_t found;
    uint8_t thumbprint[THUMBPRINT_SIZE];
};

static bool prefix_visit(void *context, const struct ctl_record *record)
{
    struct prefix_search *search = context;
    char text[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), text);
    if (slice_starts_with_nocase(slice_of_text(text), search->prefix)) {
        memcpy(search->thumbprint, record->thumbprint, THUMBPRINT_SIZE);
        search->found++;
    }
    return search->found < 2;
}

/* An entry of the list that begins with the digits in the path. */
static bool entry_of_path(struct exchange *x, struct store_view *view, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct prefix_search search = {.prefix = slice_of_text(x->parameters[0])};
    if (search.prefix.len >= THUMBPRINT_DIGITS_MIN &&
        store_ctl_all(view, prefix_visit, &search) == STATUS_OK && search.found == 1) {
        memcpy(thumbprint, search.thumbprint, THUMBPRINT_SIZE);
        return true;
    }
    return false;
}

/* Any certificate's whole thumbprint, or the first digits of a stored one. false: the exchange was failed. */
static bool thumbprint_of_path(struct exchange *x, struct store_view *view,
                               uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record;
    if (hex_parse(slice_of_text(x->parameters[0]), thumbprint, THUMBPRINT_SIZE)) {
        return true;
    }
    if (!certificate_of_path(x, view, &record)) {
        return false;
    }
    memcpy(thumbprint, record.thumbprint, THUMBPRINT_SIZE);
    return true;
}

static void ctl_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct store_view *view = exchange_view(x);
    struct ctl_record record;
    (void)answer;
    if (view == NULL) {
        return;
    }
    enum status status = store_ctl_get(view, x->state, &record);
    if (status != STATUS_OK) { /* removed again by somebody else */
        exchange_failf(x, status, "the entry is not there");
        return;
    }
    exchange_answer(x, ctl_to_json(view, &record));
}

static void ctl_set(struct exchange *x, enum ctl_verdict verdict)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    struct slice expires = api_body_text(x->body, "expires");
    uint8_t *thumbprint = arena_alloc(&x->arena, THUMBPRINT_SIZE);
    uint64_t expires_ms = 0;
    struct command c;
    if (view == NULL) {
        return;
    }
    if (thumbprint == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the entry");
        return;
    }
    if (expires.len > 0 && (!time_parse_rfc3339(expires, &expires_ms) || expires_ms <= clock_wall_ms())) {
        char shown[API_SHOWN_MAX];
        failure_set(
            &f, STATUS_INVALID,
            "expires: \"%s\" is no time in the future; it looks like 2027-01-31 or 2027-01-31T12:00:00Z",
            api_shown(expires, shown));
        exchange_fail_field(x, &f, "expires");
        return;
    }
    if (!thumbprint_of_path(x, view, thumbprint)) {
        return;
    }
    x->state = thumbprint;
    exchange_command(x, &c, COMMAND_CTL_SET);
    c.values[0].bytes = slice_of(thumbprint, THUMBPRINT_SIZE);
    c.values[1].number = verdict;
    c.values[2].number = expires_ms;
    c.values[3].bytes = api_body_text(x->body, "comment");
    exchange_write_one(x, &c, ctl_answer);
}

void ctl_allow(struct exchange *x)
{
    ctl_set(x, CTL_ALLOW);
}

void ctl_deny(struct exchange *x)
{
    ctl_set(x, CTL_DENY);
}

static void ctl_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->state));
    exchange_answer(x, gone);
}

void ctl_remove(struct exchange *x)
{
    struct store_view *view = exchange_view(x);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    char text[2 * THUMBPRINT_SIZE + 1];
    struct command c;
    if (view == NULL || (!entry_of_path(x, view, thumbprint) && !thumbprint_of_path(x, view, thumbprint))) {
        return;
    }
    hex_format(slice_of(thumbprint, THUMBPRINT_SIZE), text);
    x->state = arena_text(&x->arena, slice_of_text(text));
    exchange_command(x, &c, COMMAND_CTL_REMOVE);
    c.values[0].bytes = slice_of(thumbprint, THUMBPRINT_SIZE);
    exchange_write_one(x, &c, ctl_removed);
}
