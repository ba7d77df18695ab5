/*
 * /v1/crls: revocation lists. A list that is sent is read on the job thread (it may have megabytes), its
 * signature is checked with the stored certificate of its issuer, and it is proposed as rows
 * (docs/decisions/0012): begin, rows, force, and sweeps that take away the rows of the list before. Nothing
 * of it is in force until the last row has come, and all of it is on every node when the answer is sent.
 *
 * An import that breaks off leaves the list in force as it was; the rows that have come are swept away by the
 * next one.
 */
#include "api/certificate_import.h"
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"
#include "crypto/crl.h"

#define CRL_DATA_MAX      ((uint32_t)5900 << 10) /* bytes: what fits into a body as base64 */
#define LISTS_REMOVED_MAX 64                     /* parts of one issuer's list that go in one request */

static const struct api_field request_fields[] = {
    {.name = "data",
     .type = API_BASE64,
     .flags = API_REQUIRED,
     .min = 1,
     .max = CRL_DATA_MAX,
     .help = "a certificate revocation list: PEM as it is, DER in base64"},
};
const struct api_object crl_request_object = {.name = "CrlRequest", API_FIELDS(request_fields)};

static const struct api_field crl_fields[] = {
    {.name = "issuer",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "SHA-256 that stands for the issuer's name and key"},
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "of the issuer, RFC 4514"},
    {.name = "part", .type = API_TEXT, .help = "which part of the issuer's certificates; absent: all"},
    {.name = "points", .type = API_TEXTS, .help = "where the part's list can be had"},
    {.name = "number", .type = API_TEXT, .help = "CRL number, hexadecimal"},
    {.name = "this_update", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "next_update", .type = API_TIME, .help = "null: none was named"},
    {.name = "in_force", .type = API_BOOL, .flags = API_REQUIRED, .help = "nextUpdate has not passed"},
    {.name = "entries", .type = API_NUMBER, .flags = API_REQUIRED, .help = "serial numbers on it"},
    {.name = "source", .type = API_TEXT, .help = "import or fetch"},
    {.name = "added", .type = API_TIME},
};
const struct api_object crl_object = {
    .name = "Crl", .help = "A revocation list in force.", API_FIELDS(crl_fields)};

static const struct api_field crls_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &crl_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object crls_object = {.name = "Crls", API_FIELDS(crls_fields)};

static json_t *points_to_json(struct slice points)
{
    json_t *list = json_array();
    while (points.len > 0) {
        size_t end = slice_find_byte(points, '\n');
        json_array_append_new(list, json_of_slice(slice_of(points.data, end)));
        size_t skip = end < points.len ? end + 1 : end;
        points = slice_of(points.data + skip, points.len - skip);
    }
    return list;
}

static json_t *crl_to_json(const struct crl_record *record)
{
    static const uint8_t whole[CRL_PART_SIZE] = {0};
    json_t *object = json_object();
    json_put(object, "issuer", json_of_hex(slice_of(record->issuer, ISSUER_ID_SIZE)));
    json_put(object, "name", json_of_slice(record->name));
    if (memcmp(record->part, whole, sizeof(whole)) != 0) {
        json_put(object, "part", json_of_hex(slice_of(record->part, CRL_PART_SIZE)));
        json_put(object, "points", points_to_json(record->points));
    }
    if (record->number.len > 0) {
        json_put(object, "number", json_of_hex(record->number));
    }
    json_put(object, "this_update", json_of_time(record->this_ms));
    json_put(object, "next_update", json_of_time(record->next_ms));
    json_put(object, "in_force", json_boolean(record->next_ms != 0 && clock_wall_ms() <= record->next_ms));
    json_put(object, "entries", json_of_number(record->entries));
    json_put(object, "source", json_of_slice(record->source));
    json_put(object, "added", json_of_time(record->added_ms));
    return object;
}

/* --- lists of lists --- */

struct crls_walk {
    struct list_page page;
    struct slice issuer; /* hexadecimal digits that it begins with; empty: all */
};

static bool crl_visit(void *context, const struct crl_record *record)
{
    struct crls_walk *walk = context;
    uint8_t key[ISSUER_ID_SIZE + CRL_PART_SIZE];
    char text[2 * sizeof(key) + 1];
    memcpy(key, record->issuer, ISSUER_ID_SIZE);
    memcpy(key + ISSUER_ID_SIZE, record->part, CRL_PART_SIZE);
    hex_format(slice_of(key, sizeof(key)), text);
    struct slice k = slice_of_text(text);
    if (slice_starts_with_nocase(k, walk->issuer) && list_page_wants(&walk->page, k)) {
        list_page_add(&walk->page, k, crl_to_json(record));
    }
    return !walk->page.more;
}

/* false: the exchange was failed. */
static bool issuer_is_named(struct exchange *x)
{
    size_t len = strlen(x->parameters[0]);
    if (len >= THUMBPRINT_DIGITS_MIN && len <= 2 * ISSUER_ID_SIZE &&
        strspn(x->parameters[0], "0123456789abcdefABCDEF") == len) {
        return true;
    }
    exchange_failf(x, STATUS_INVALID,
                   "an issuer is written as 64 hexadecimal digits, or the first %d or more",
                   THUMBPRINT_DIGITS_MIN);
    return false;
}

static void list(struct exchange *x, struct slice issuer)
{
    struct crls_walk walk = {.issuer = issuer};
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    enum status status = store_crls_all(view, NULL, crl_visit, &walk);
    if (status == STATUS_OK && issuer.len > 0 && json_array_size(walk.page.items) == 0) {
        status = STATUS_NOT_FOUND;
    }
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status,
                       status == STATUS_NOT_FOUND ? "there is no list of this issuer"
                                                  : "the revocation lists cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

void crls_list(struct exchange *x)
{
    list(x, (struct slice){0});
}

void crl_get(struct exchange *x)
{
    if (issuer_is_named(x)) {
        list(x, slice_of_text(x->parameters[0]));
    }
}

/* --- import --- */

struct crl_job {
    struct api_job super;
    struct buf content;
    struct crl *crl; /* NULL: status and failure say why */
    enum status status;
    struct failure failure;
};

static void crl_job_free(struct api_job *job)
{
    struct crl_job *j = (struct crl_job *)job;
    crl_free(j->crl);
    buf_release(&j->content);
    free(j);
}

static void crl_job_run(struct api_job *job)
{
    struct crl_job *j = (struct crl_job *)job;
    j->status = crl_read(buf_slice(&j->content), &j->crl, &j->failure);
}

struct crl_state {
    uint8_t issuer[ISSUER_ID_SIZE], part[CRL_PART_SIZE];
};

static void crl_answer(struct exchange *x, const struct bus_answer *answer)
{
    struct crl_state *state = x->state;
    struct store_view *view = exchange_view(x);
    struct crl_record record;
    (void)answer;
    if (view == NULL) {
        return;
    }
    enum status status = store_crl_get(view, state->issuer, state->part, &record);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the list is not there");
        return;
    }
    exchange_answer(x, crl_to_json(&record));
}

static enum status writes_add(struct exchange *x, struct crl *crl, struct failure *f)
{
    struct buf storage = BUF_INIT(COMMAND_MAX);
    uint64_t generation;
    enum status status = STATUS_OK;
    random_bytes(&generation, sizeof(generation));
    crl_prepare(crl, generation, "import", clock_wall_ms());
    for (size_t i = 0; i < crl_command_count(crl) && status == STATUS_OK; i++) {
        struct command c;
        status = crl_command(crl, i, clock_wall_ms(), slice_of_text(x->actor), &storage, &c, f);
        if (status == STATUS_OK) {
            status = exchange_write_add(x, &c, f);
        }
    }
    buf_release(&storage);
    return status;
}

static void crl_was_read(struct exchange *x, const struct bus_answer *answer)
{
    struct crl_job *j = (struct crl_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct crl_state *state = arena_alloc(&x->arena, sizeof(*state));
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (j->status != STATUS_OK || state == NULL) {
        failure_set(&f, STATUS_NO_MEMORY, "there is no memory for the list");
        exchange_fail_field(x, state == NULL ? &f : &j->failure, "data");
        return;
    }
    enum status status = crl_verify(j->crl, view, clock_wall_ms(), &f);
    if (status == STATUS_OK) {
        status = writes_add(x, j->crl, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail_field(x, &f, "data");
        return;
    }
    memcpy(state->issuer, crl_record_of(j->crl)->issuer, ISSUER_ID_SIZE);
    memcpy(state->part, crl_record_of(j->crl)->part, CRL_PART_SIZE);
    x->state = state;
    exchange_write_run(x, true, crl_answer);
}

void crl_import(struct exchange *x)
{
    struct crl_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the list");
        return;
    }
    j->super.run = crl_job_run;
    j->super.free = crl_job_free;
    j->content = BUF_INIT(API_BODY_MAX);
    if (import_file_of_body(x, "data", &j->content)) {
        exchange_run_job(x, &j->super, crl_was_read);
    } else {
        crl_job_free(&j->super);
    }
}

/* --- removal --- */

struct removal {
    struct slice issuer; /* hexadecimal digits */
    struct crl_record lists[LISTS_REMOVED_MAX];
    size_t count;
};

static bool note_list(void *context, const struct crl_record *record)
{
    struct removal *removal = context;
    char text[2 * ISSUER_ID_SIZE + 1];
    hex_format(slice_of(record->issuer, ISSUER_ID_SIZE), text);
    if (slice_starts_with_nocase(slice_of_text(text), removal->issuer)) {
        removal->lists[removal->count++] = *record;
    }
    return removal->count < LISTS_REMOVED_MAX;
}

static void crl_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->state));
    exchange_answer(x, gone);
}

/* Each list's record first, so that none is in force any more, then the sweeps. */
static enum status removals_add(struct exchange *x, const struct removal *removal, struct failure *f)
{
    enum status status = STATUS_OK;
    for (unsigned pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < removal->count && status == STATUS_OK; i++) {
            const struct crl_record *record = &removal->lists[i];
            size_t commands = pass == 0 ? 1 : (size_t)(record->entries / CRL_SWEEP_MAX) + 1;
            for (size_t n = 0; n < commands && status == STATUS_OK; n++) {
                struct command c;
                exchange_command(x, &c, pass == 0 ? COMMAND_CRL_REMOVE : COMMAND_CRL_SWEEP);
                c.values[0].bytes = slice_of(record->issuer, ISSUER_ID_SIZE);
                c.values[1].bytes = slice_of(record->part, CRL_PART_SIZE);
                status = exchange_write_add(x, &c, f);
            }
        }
    }
    return status;
}

void crl_remove(struct exchange *x)
{
    struct store_view *view = exchange_view(x);
    struct failure f = {.status = STATUS_OK};
    struct removal *removal = arena_alloc(&x->arena, sizeof(*removal));
    if (view == NULL || !issuer_is_named(x)) {
        return;
    }
    if (removal == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for this");
        return;
    }
    *removal = (struct removal){.issuer = slice_of_text(x->parameters[0])};
    enum status status = store_crls_all(view, NULL, note_list, removal);
    if (status == STATUS_OK && removal->count == 0) {
        status = STATUS_NOT_FOUND;
    }
    for (size_t i = 1; i < removal->count && status == STATUS_OK; i++) {
        if (memcmp(removal->lists[i].issuer, removal->lists[0].issuer, ISSUER_ID_SIZE) != 0) {
            status = STATUS_CONFLICT;
        }
    }
    if (status != STATUS_OK) {
        exchange_failf(x, status,
                       status == STATUS_NOT_FOUND  ? "there is no list of this issuer"
                       : status == STATUS_CONFLICT ? "several issuers begin with these digits"
                                                   : "the revocation lists cannot be read");
        return;
    }
    if (removals_add(x, removal, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    char text[2 * ISSUER_ID_SIZE + 1];
    hex_format(slice_of(removal->lists[0].issuer, ISSUER_ID_SIZE), text);
    x->state = arena_text(&x->arena, slice_of_text(text));
    exchange_write_run(x, true, crl_removed);
}
