/*
 * /v1/domains/{domain}/dkim: DKIM keys, from making to removing, and the DNS record of each (docs/dkim.md).
 *
 * Keys are made on the job thread (RSA takes its time), sealed here, and proposed sealed; a new key signs
 * nothing until it is activated. Rotating makes a prepared key beside each active one, of the same kind.
 */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "crypto/dkim_key.h"
#include "store/setting.h"

#define ROW_NAME_MAX (DOMAIN_MAX + 1 + DKIM_SELECTOR_MAX)
#define KEYS_AT_ONCE (DKIM_ALGORITHM_END - 1)

static const struct api_field request_fields[] = {
    {.name = "selector",
     .type = API_TEXT,
     .min = 1,
     .max = DKIM_SELECTOR_MAX,
     .help = "one that is free, beginning as dkim.selector says, if not given"},
    {.name = "type",
     .type = API_TEXT,
     .min = 1,
     .max = 8,
     .choices = "rsa|ed25519",
     .help = "kind of the key that is made; rsa if not given"},
    {.name = "bits", .type = API_NUMBER, .help = "of an RSA key, 2048 to 4096; 2048 if not given"},
    {.name = "key",
     .type = API_BASE64,
     .flags = API_SECRET,
     .min = 1,
     .max = 64 << 10,
     .help = "a private key in PEM to import, in place of making one"},
};
const struct api_object dkim_request_object = {.name = "DkimRequest", API_FIELDS(request_fields)};

static const struct api_field state_fields[] = {
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = 16,
     .choices = "active|resting|retired",
     .help = "active: signs, and what signed by the same algorithm rests; resting: signs no more; retired: "
             "its private key is gone for good"},
};
const struct api_object dkim_state_object = {.name = "DkimState", API_FIELDS(state_fields)};

static const struct api_field key_fields[] = {
    {.name = "domain", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "selector", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "prepared|active|resting|retired",
     .help = "prepared: its record is to be published"},
    {.name = "algorithm", .type = API_TEXT, .flags = API_REQUIRED, .choices = "rsa-sha256|ed25519-sha256"},
    {.name = "bits", .type = API_NUMBER, .flags = API_REQUIRED},
    {.name = "added", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "activated", .type = API_TIME, .help = "when it began to sign last; null: never"},
    {.name = "ended", .type = API_TIME, .help = "when it stopped signing; null: it has not"},
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "of the TXT record in DNS"},
    {.name = "record", .type = API_TEXT, .flags = API_REQUIRED, .help = "what it says"},
    {.name = "zone",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "the record as in a zone file, in strings of at most 255 bytes"},
};
const struct api_object dkim_key_object = {.name = "DkimKey", .help = "A DKIM key.", API_FIELDS(key_fields)};

static const struct api_field keys_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &dkim_key_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object dkim_keys_object = {.name = "DkimKeys", API_FIELDS(keys_fields)};

/* --- showing --- */

static enum status zone_append(const char *name, struct slice record, struct buf *out)
{
    enum status status = buf_printf(out, "%s. IN TXT (", name);
    for (size_t at = 0; at < record.len && status == STATUS_OK; at += DKIM_RECORD_PIECE_MAX) {
        size_t left = record.len - at;
        status =
            buf_printf(out, " \"%.*s\"", (int)(left < DKIM_RECORD_PIECE_MAX ? left : DKIM_RECORD_PIECE_MAX),
                       (const char *)record.data + at);
    }
    return status == STATUS_OK ? buf_append_text(out, " )") : status;
}

static void record_put(json_t *object, const struct dkim_key_record *key)
{
    char name[ROW_NAME_MAX + 16];
    struct buf record = BUF_INIT(DKIM_RECORD_MAX), zone = BUF_INIT(2 * DKIM_RECORD_MAX);
    int len = snprintf(name, sizeof name, "%.*s._domainkey.%.*s", SLICE_ARGS(key->selector),
                       SLICE_ARGS(key->domain));
    if (len > 0 && dkim_record_text(key, &record) == STATUS_OK &&
        zone_append(name, buf_slice(&record), &zone) == STATUS_OK) {
        json_put(object, "name", json_string(name));
        json_put(object, "record", json_of_slice(buf_slice(&record)));
        json_put(object, "zone", json_of_slice(buf_slice(&zone)));
    }
    buf_release(&record);
    buf_release(&zone);
}

static json_t *key_to_json(const struct dkim_key_record *key)
{
    json_t *object = json_object();
    json_put(object, "domain", json_of_slice(key->domain));
    json_put(object, "selector", json_of_slice(key->selector));
    json_put(object, "state", json_string(dkim_state_name(key->state)));
    json_put(object, "algorithm", json_string(dkim_algorithm_name(key->algorithm)));
    json_put(object, "bits", json_of_number(key->bits));
    json_put(object, "added", json_of_time(key->added_ms));
    json_put(object, "activated", json_of_time(key->activated_ms));
    json_put(object, "ended", json_of_time(key->ended_ms));
    record_put(object, key);
    return object;
}

static bool visit(void *context, const struct dkim_key_record *key)
{
    struct list_page *page = context;
    char name[ROW_NAME_MAX + 2];
    int len = snprintf(name, sizeof name, "%.*s/%.*s", SLICE_ARGS(key->domain), SLICE_ARGS(key->selector));
    struct slice row = slice_of(name, len > 0 ? strlen(name) : 0);
    if (list_page_wants(page, row)) {
        list_page_add(page, row, key_to_json(key));
    }
    return !page->more;
}

static void list_answer(struct exchange *x, struct slice domain)
{
    struct list_page page;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&page, x);
    enum status status = store_dkim_keys(view, domain, visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "the DKIM keys cannot be read");
        return;
    }
    list_page_answer(&page, x);
}

/* The domain and the selector (if the path has one) in their normal form, in x->arena; false: the exchange
 * was failed. */
static bool names_of_path(struct exchange *x, bool has_selector)
{
    char domain[DOMAIN_MAX + 1], selector[DKIM_SELECTOR_MAX + 1];
    struct failure f = {.status = STATUS_OK};
    enum status status = domain_normalise(slice_of_text(x->parameters[0]), domain, &f);
    if (status == STATUS_OK && (domain[0] == '*' || domain[0] == '[')) {
        status = failure_set(&f, STATUS_INVALID, "name one domain, without *");
    }
    if (status == STATUS_OK && has_selector) {
        status = dkim_selector_normalise(slice_of_text(x->parameters[1]), selector, &f);
    }
    if (status == STATUS_OK) {
        x->parameters[0] = arena_text(&x->arena, slice_of_text(domain));
        x->parameters[1] = has_selector ? arena_text(&x->arena, slice_of_text(selector)) : NULL;
        if (x->parameters[0] == NULL || (has_selector && x->parameters[1] == NULL)) {
            status = failure_set(&f, STATUS_NO_MEMORY, "there is no memory for the request");
        }
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
    }
    return status == STATUS_OK;
}

void dkim_list_all(struct exchange *x)
{
    list_answer(x, slice_of(NULL, 0));
}

void dkim_list(struct exchange *x)
{
    if (names_of_path(x, false)) {
        list_answer(x, slice_of_text(x->parameters[0]));
    }
}

static void key_answer(struct exchange *x, const struct bus_answer *written)
{
    struct dkim_key_record key;
    struct store_view *view = exchange_view(x);
    (void)written;
    if (view == NULL) {
        return;
    }
    enum status status =
        store_dkim_key_get(view, slice_of_text(x->parameters[0]), slice_of_text(x->parameters[1]), &key);
    if (status != STATUS_OK) {
        exchange_failf(x, status,
                       status == STATUS_NOT_FOUND ? "%s has no DKIM key with the selector %s"
                                                  : "the DKIM key of %s, %s, cannot be read",
                       x->parameters[0], x->parameters[1]);
        return;
    }
    exchange_answer(x, key_to_json(&key));
}

void dkim_get(struct exchange *x)
{
    if (names_of_path(x, true)) {
        key_answer(x, NULL);
    }
}

/* --- making --- */

struct dkim_job {
    struct api_job super;
    struct {
        char selector[DKIM_SELECTOR_MAX + 1];
        enum dkim_algorithm algorithm;
        uint64_t bits;
        EVP_PKEY *key;
    } keys[KEYS_AT_ONCE];
    size_t count;
    enum status status;
    struct failure failure;
};

static void dkim_job_free(struct api_job *job)
{
    struct dkim_job *j = (struct dkim_job *)job;
    for (size_t i = 0; i < j->count; i++) {
        EVP_PKEY_free(j->keys[i].key);
    }
    free(j);
}

static void dkim_job_run(struct api_job *job)
{
    struct dkim_job *j = (struct dkim_job *)job;
    for (size_t i = 0; i < j->count && j->status == STATUS_OK; i++) {
        if (j->keys[i].key == NULL) {
            j->status =
                dkim_key_generate(j->keys[i].algorithm, j->keys[i].bits, &j->keys[i].key, &j->failure);
        }
    }
}

static void made_answer(struct exchange *x, const struct bus_answer *written)
{
    if (x->parameters[1] != NULL) {
        key_answer(x, written);
    } else {
        list_answer(x, slice_of_text(x->parameters[0]));
    }
}

static enum status key_propose(struct exchange *x, EVP_PKEY *key, const char *selector, struct failure *f)
{
    struct command c;
    enum dkim_algorithm algorithm;
    uint8_t id[DKIM_KEY_ID_SIZE];
    struct buf public_key = BUF_INIT(DKIM_PUBLIC_KEY_MAX), sealed = BUF_INIT((size_t)64 << 10);
    exchange_command(x, &c, COMMAND_DKIM_ADD);
    enum status status = dkim_key_describe(key, &algorithm, &c.values[3].number, &public_key, id, f);
    if (status == STATUS_OK) {
        status = private_key_seal(&x->api->keyring, id, key, &sealed, f);
    }
    if (status == STATUS_OK) {
        c.values[0].bytes = slice_of_text(x->parameters[0]);
        c.values[1].bytes = slice_of_text(selector);
        c.values[2].number = algorithm;
        c.values[4].bytes = slice_of(id, sizeof id);
        c.values[5].bytes = buf_slice(&public_key);
        c.values[6].bytes = buf_slice(&sealed);
        status = exchange_write_add(x, &c, f);
    }
    buf_release(&public_key);
    buf_release(&sealed);
    return status;
}

static void keys_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct dkim_job *j = (const struct dkim_job *)x->done;
    struct failure f = j->failure;
    enum status status = j->status;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (status == STATUS_OK) {
        status = api_keys_refresh(x->api, view, &f);
    }
    for (size_t i = 0; i < j->count && status == STATUS_OK; i++) {
        status = key_propose(x, j->keys[i].key, j->keys[i].selector, &f);
    }
    if (status == STATUS_OK && j->count == 1) { /* else all are shown */
        x->parameters[1] = arena_text(&x->arena, slice_of_text(j->keys[0].selector));
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_write_run(x, true, made_answer);
}

/* A selector that is free: as dkim.selector says, with what tells kinds and keys apart behind it. */
static enum status selector_choose(struct exchange *x, struct store_view *view, enum dkim_algorithm algorithm,
                                   char out[DKIM_SELECTOR_MAX + 1], struct failure *f)
{
    struct slice domain = slice_of_text(x->parameters[0]);
    struct setting_value base;
    struct dkim_key_record taken;
    enum status status = setting_get(view, setting_at(SETTING_DKIM_SELECTOR), domain, &base);
    for (unsigned n = 1; n <= DKIM_DOMAIN_KEYS + 1 && status == STATUS_OK; n++) {
        char text[DKIM_SELECTOR_MAX + 32], number[16] = "";
        int len = n > 1 ? snprintf(number, sizeof number, "-%u", n) : 0;
        len = len < 0 ? len
                      : snprintf(text, sizeof text, "%.*s%s%s", SLICE_ARGS(base.text),
                                 algorithm == DKIM_ED25519_SHA256 ? "-ed25519" : "", number);
        status = dkim_selector_normalise(slice_of(text, len > 0 ? strlen(text) : 0), out, f);
        if (status != STATUS_OK) {
            return status;
        }
        status = store_dkim_key_get(view, domain, slice_of_text(out), &taken);
        if (status == STATUS_NOT_FOUND) {
            return STATUS_OK;
        }
    }
    return failure_set(f, status == STATUS_OK ? STATUS_TOO_LARGE : status,
                       "no free selector was found: name one with --selector");
}

static enum status job_fill(struct exchange *x, struct store_view *view, struct dkim_job *j,
                            struct failure *f)
{
    struct slice selector = api_body_text(x->body, "selector"), file = api_body_text(x->body, "key");
    struct buf public_key = BUF_INIT(DKIM_PUBLIC_KEY_MAX);
    struct buf pem = {.max = (size_t)64 << 10, .wipe = true};
    uint8_t id[DKIM_KEY_ID_SIZE];
    enum status status = STATUS_OK;
    j->count = 1;
    j->keys[0].algorithm = slice_equal(api_body_text(x->body, "type"), SLICE_LITERAL("ed25519"))
                               ? DKIM_ED25519_SHA256
                               : DKIM_RSA_SHA256;
    j->keys[0].bits = api_body_number(x->body, "bits", DKIM_RSA_BITS_MIN);
    if (file.len > 0) {
        status = file_text_decode(file, &pem);
        status = status == STATUS_OK ? dkim_key_read(buf_slice(&pem), &j->keys[0].key, f)
                                     : failure_set(f, status, "the key must be PEM, or that in base64");
        buf_release(&pem);
        if (status == STATUS_OK) {
            status = dkim_key_describe(j->keys[0].key, &j->keys[0].algorithm, &j->keys[0].bits, &public_key,
                                       id, f);
        }
        buf_release(&public_key);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return selector.len > 0 ? dkim_selector_normalise(selector, j->keys[0].selector, f)
                            : selector_choose(x, view, j->keys[0].algorithm, j->keys[0].selector, f);
}

static struct dkim_job *job_new(struct exchange *x)
{
    struct dkim_job *j = calloc(1, sizeof *j);
    if (j == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the key");
        return NULL;
    }
    j->super.run = dkim_job_run;
    j->super.free = dkim_job_free;
    return j;
}

void dkim_create(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = names_of_path(x, false) ? exchange_view(x) : NULL;
    struct dkim_job *j = view != NULL ? job_new(x) : NULL;
    if (j == NULL) {
        return;
    }
    if (job_fill(x, view, j, &f) != STATUS_OK) {
        dkim_job_free(&j->super);
        exchange_fail(x, &f);
        return;
    }
    exchange_run_job(x, &j->super, keys_made);
}

void dkim_rotate(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    struct dkim_key_record active[DKIM_ALGORITHM_END];
    size_t count = 0;
    struct store_view *view = names_of_path(x, false) ? exchange_view(x) : NULL;
    struct dkim_job *j = view != NULL ? job_new(x) : NULL;
    if (j == NULL) {
        return;
    }
    enum status status = store_dkim_active(view, slice_of_text(x->parameters[0]), active, &count);
    if (status == STATUS_OK && count == 0) {
        status = failure_set(&f, STATUS_NOT_FOUND, "%s has no active DKIM key: dkim create makes one",
                             x->parameters[0]);
    }
    for (size_t i = 0; i < count && i < KEYS_AT_ONCE && status == STATUS_OK; i++) {
        j->count = i + 1;
        j->keys[i].algorithm = active[i].algorithm;
        j->keys[i].bits = active[i].bits;
        status = selector_choose(x, view, active[i].algorithm, j->keys[i].selector, &f);
    }
    if (status != STATUS_OK) {
        dkim_job_free(&j->super);
        if (f.status == STATUS_OK) {
            (void)failure_set(&f, status, "the DKIM keys cannot be read");
        }
        exchange_fail(x, &f);
        return;
    }
    exchange_run_job(x, &j->super, keys_made);
}

/* --- from state to state --- */

void dkim_state_set(struct exchange *x)
{
    struct command c;
    struct slice state = api_body_text(x->body, "state");
    if (!names_of_path(x, true)) {
        return;
    }
    exchange_command(x, &c, COMMAND_DKIM_STATE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    c.values[1].bytes = slice_of_text(x->parameters[1]);
    for (int s = DKIM_ACTIVE; s < DKIM_STATE_END; s++) {
        if (slice_equal(state, slice_of_text(dkim_state_name((enum dkim_state)s)))) {
            c.values[2].number = (uint64_t)s;
        }
    }
    exchange_write_one(x, &c, key_answer);
}

static void removed(struct exchange *x, const struct bus_answer *written)
{
    json_t *gone = json_object();
    (void)written;
    json_put(gone, "removed", json_string(x->parameters[1]));
    exchange_answer(x, gone);
}

void dkim_remove(struct exchange *x)
{
    struct command c;
    if (!names_of_path(x, true)) {
        return;
    }
    exchange_command(x, &c, COMMAND_DKIM_REMOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    c.values[1].bytes = slice_of_text(x->parameters[1]);
    exchange_write_one(x, &c, removed);
}
