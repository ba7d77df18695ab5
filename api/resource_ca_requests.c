/*
 * /v1/ca/requests: keys that wait for a certificate of somebody else's CA. The key is made here and stored
 * sealed, the request (PKCS#10) is given out; the answer finds its key by the public key, also when it comes
 * by way of POST /v1/certificates.
 */
#include "api/ca_json.h"
#include "api/ca_requests.h"
#include "api/certificate_import.h"
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"

#define ID_SIZE_BYTES 32

static const struct api_field request_fields[] = {
    CA_OWNER_FIELDS,
    {.name = "key",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "rsa3072|rsa4096|p256|p384",
     .help = "that of ca.key_type if not given"},
};
const struct api_object csr_request_object = {.name = "CsrRequest", API_FIELDS(request_fields)};

static const struct api_field complete_fields[] = {
    CERTIFICATE_DATA_FIELD("the CA's answer: " CERTIFICATE_DATA_KINDS),
};
const struct api_object csr_complete_object = {.name = "CsrComplete", API_FIELDS(complete_fields)};

static const struct api_field csr_fields[] = {
    {.name = "id", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of the public key"},
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "added", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "pem", .type = API_TEXT, .flags = API_REQUIRED, .help = "the request, PKCS#10"},
};
const struct api_object csr_object = {
    .name = "Csr", .help = "A key that waits for its certificate.", API_FIELDS(csr_fields)};

static const struct api_field csrs_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &csr_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object csrs_object = {.name = "Csrs", API_FIELDS(csrs_fields)};

static json_t *csr_to_json(const struct ca_request_record *record)
{
    json_t *object = json_object();
    struct buf pem = BUF_INIT(64 << 10);
    json_put(object, "id", json_of_hex(slice_of(record->id, sizeof(record->id))));
    json_put(object, "address", json_of_slice(record->address));
    json_put(object, "name", json_of_slice(record->name));
    json_put(object, "added", json_of_time(record->added_ms));
    if (ca_request_to_pem(record->request, &pem) == STATUS_OK) {
        json_put(object, "pem", json_of_slice(buf_slice(&pem)));
    }
    buf_release(&pem);
    return object;
}

static bool csr_visit(void *context, const struct ca_request_record *record)
{
    struct list_page *page = context;
    char id[2 * ID_SIZE_BYTES + 1];
    hex_format(slice_of(record->id, sizeof(record->id)), id);
    if (list_page_wants(page, slice_of_text(id))) {
        list_page_add(page, slice_of_text(id), csr_to_json(record));
    }
    return !page->more;
}

void csrs_list(struct exchange *x)
{
    struct list_page page;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&page, x);
    enum status status = store_ca_requests_all(view, csr_visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "the requests cannot be read");
        return;
    }
    list_page_answer(&page, x);
}

/* --- making one --- */

struct csr_job {
    struct api_job super;
    char address[ADDRESS_MAX + 1], name[4 * CA_COMMON_NAME_MAX + 1];
    enum key_kind kind;
    struct ca_request request;
    enum status status;
    struct failure failure;
};

static void csr_job_free(struct api_job *job)
{
    struct csr_job *j = (struct csr_job *)job;
    ca_request_release(&j->request);
    free(j);
}

static void csr_job_run(struct api_job *job)
{
    struct csr_job *j = (struct csr_job *)job;
    j->status =
        ca_request_new(j->kind, slice_of_text(j->address), slice_of_text(j->name), &j->request, &j->failure);
}

static void csr_added(struct exchange *x, const struct bus_answer *answer)
{
    struct ca_request_record record;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    enum status status = store_ca_request_get(view, x->state, &record);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the request cannot be read");
        return;
    }
    exchange_answer(x, csr_to_json(&record));
}

static void csr_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct csr_job *j = (const struct csr_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct slice id;
    struct command c;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (j->status != STATUS_OK) {
        exchange_fail_field(x, &j->failure, j->status == STATUS_INVALID ? "name" : NULL);
        return;
    }
    exchange_command(x, &c, COMMAND_CA_REQUEST_ADD);
    enum status status = api_keys_refresh(x->api, view, &f);
    if (status == STATUS_OK) {
        status = ca_request_fill(&j->request, slice_of_text(j->address), slice_of_text(j->name),
                                 &x->api->keyring, &x->arena, &c, &f);
    }
    if (status == STATUS_OK && !arena_copy(&x->arena, c.values[0].bytes, &id)) {
        status = failure_set(&f, STATUS_NO_MEMORY, "there is no memory for the request");
    }
    if (status == STATUS_OK) {
        x->state = (void *)(uintptr_t)id.data;
        status = exchange_write_add(x, &c, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_write_run(x, true, csr_added);
}

void csr_create(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    struct slice kind = api_body_text(x->body, "key");
    struct setting_value usual;
    char address[ADDRESS_MAX + 1];
    struct store_view *view = exchange_view(x);
    if (view == NULL || !ca_setting(x, view, SETTING_CA_KEY_TYPE, (struct slice){0}, &usual)) {
        return;
    }
    if (address_normalise(api_body_text(x->body, "address"), address, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "address");
        return;
    }
    struct csr_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the request");
        return;
    }
    j->super.run = csr_job_run;
    j->super.free = csr_job_free;
    memcpy(j->address, address, sizeof(address));
    ca_text_copy(j->name, sizeof(j->name), api_body_text(x->body, "name"));
    if (!key_kind_named(kind.len > 0 ? kind : usual.text, &j->kind)) {
        j->kind = KEY_RSA3072;
    }
    exchange_run_job(x, &j->super, csr_made);
}

/* --- the answer --- */

static enum status answer_add(struct exchange *x, struct store_view *view,
                              const struct ca_request_record *request,
                              const struct certificate_record *record, struct failure *f)
{
    struct buf sealed = BUF_INIT(64 << 10);
    EVP_PKEY *key = NULL;
    struct command c;
    enum status status = api_keys_refresh(x->api, view, f);
    exchange_command(x, &c, COMMAND_CA_REQUEST_COMPLETE);
    if (status == STATUS_OK) {
        status = private_key_open(&x->api->keyring, request->id, request->sealed_key, &key, f);
    }
    if (status == STATUS_OK && !key_fits_certificate(key, record->der)) {
        status = failure_set(f, STATUS_CORRUPT, "the waiting key does not fit the certificate");
    }
    if (status == STATUS_OK) {
        status = private_key_seal(&x->api->keyring, record->thumbprint, key, &sealed, f);
    }
    if (status == STATUS_OK && (status = ca_record_encode(x, record, &c.values[1].bytes)) != STATUS_OK) {
        failure_set(f, status, "the certificate cannot be stored: %s", status_text(status));
    }
    if (status == STATUS_OK) {
        c.values[0].bytes = slice_of(request->id, sizeof(request->id));
        c.values[2].bytes = buf_slice(&sealed);
        status = exchange_write_add(x, &c, f);
    }
    EVP_PKEY_free(key);
    buf_release(&sealed);
    return status;
}

/* For each certificate whose key waits for it, adds the command that stores both; behind those of the import.
 * false: the exchange was failed. */
static bool answers_add(struct exchange *x, const struct certificate_import *import, size_t *found)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    *found = 0;
    if (view == NULL) {
        return false;
    }
    for (size_t i = 0; i < import->count; i++) {
        struct ca_request_record request;
        uint8_t id[ID_SIZE_BYTES];
        X509 *certificate = certificate_from_der(import->records[i].der);
        enum status status =
            certificate == NULL ? STATUS_MALFORMED : spki_hash_of_certificate(certificate, id);
        X509_free(certificate);
        if (status != STATUS_OK || store_ca_request_get(view, id, &request) != STATUS_OK) {
            continue;
        }
        (*found)++;
        if (answer_add(x, view, &request, &import->records[i], &f) != STATUS_OK) {
            exchange_fail(x, &f);
            return false;
        }
    }
    return true;
}

struct certificate_import *certificates_of_body(struct exchange *x, size_t *found)
{
    struct buf content = BUF_INIT(API_BODY_MAX);
    struct failure f = {.status = STATUS_OK};
    struct certificate_file *file = arena_alloc(&x->arena, sizeof(*file));
    struct certificate_import *import = arena_alloc(&x->arena, sizeof(*import));
    bool good = file != NULL && import != NULL;
    if (!good) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificates");
    }
    good = good && import_file_of_body(x, "data", &content);
    if (good && certificate_file_read(buf_slice(&content), &x->arena, file, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "data");
        good = false;
    }
    good = good && import_certificates(x, file, import) && answers_add(x, import, found);
    buf_release(&content);
    return good ? import : NULL;
}

/* Were they stored? false: the exchange was failed. */
static bool answers_stored(struct exchange *x, const struct certificate_import *import)
{
    for (size_t i = import->count > 0 ? import->writes[import->count - 1] + 1 : 0; i < x->write_count; i++) {
        const struct exchange_write *w = &x->writes[i];
        if (w->status != STATUS_OK) {
            exchange_failf(x, w->status, "the key of the certificate: %s",
                           w->text[0] != '\0' ? w->text : status_text(w->status));
            return false;
        }
    }
    return true;
}

static void imported(struct exchange *x, const struct bus_answer *answer)
{
    json_t *items;
    (void)answer;
    if (answers_stored(x, x->state) && import_results(x, x->state, &items)) {
        exchange_answer(x, json_page(items, NULL));
    }
}

void certificates_store(struct exchange *x, struct certificate_import *import)
{
    x->state = import;
    exchange_write_run(x, false, imported);
}

void csr_complete(struct exchange *x)
{
    size_t found;
    struct certificate_import *import = certificates_of_body(x, &found);
    if (import == NULL) {
        return;
    }
    if (found == 0) {
        exchange_failf(
            x, STATUS_NOT_FOUND,
            "no key waits for any of the certificates in the file; ca csr-list shows those that do");
        return;
    }
    certificates_store(x, import);
}

/* --- giving one up --- */

static void csr_removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

struct csr_search {
    char prefix[2 * ID_SIZE_BYTES + 1];
    uint8_t id[ID_SIZE_BYTES];
    size_t found;
};

static bool csr_has_prefix(void *context, const struct ca_request_record *record)
{
    struct csr_search *search = context;
    char id[2 * ID_SIZE_BYTES + 1];
    hex_format(slice_of(record->id, sizeof(record->id)), id);
    if (strncasecmp(id, search->prefix, strlen(search->prefix)) == 0) {
        memcpy(search->id, record->id, sizeof(search->id));
        search->found++;
    }
    return search->found < 2;
}

void csr_remove(struct exchange *x)
{
    struct csr_search search = {.found = 0};
    struct slice text = slice_of_text(x->parameters[0]);
    struct command c;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    if (text.len < 8 || text.len > 2 * ID_SIZE_BYTES) {
        exchange_failf(x, STATUS_INVALID,
                       "a request is named by its 64 hexadecimal digits, or the first 8 or more");
        return;
    }
    memcpy(search.prefix, text.data, text.len);
    if (store_ca_requests_all(view, csr_has_prefix, &search) != STATUS_OK || search.found != 1) {
        exchange_failf(x, search.found == 0 ? STATUS_NOT_FOUND : STATUS_CONFLICT, "%s",
                       search.found == 0 ? "there is no such request" : "several requests begin with that");
        return;
    }
    exchange_command(x, &c, COMMAND_CA_REQUEST_REMOVE);
    c.values[0].bytes = slice_of(search.id, sizeof(search.id));
    exchange_write_one(x, &c, csr_removed);
}
