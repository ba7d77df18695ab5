/*
 * Exporting certificates: one, or all of an address, with their chains if asked; PEM, DER or PKCS#7. Never a
 * private key.
 */
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/resources.h"
#include "base/hex.h"
#include "crypto/certificate_bulk.h"

#define EXPORT_MAX  256 /* certificates */
#define EXPORT_SIZE ((size_t)4 << 20)

static const struct api_field query_fields[] = {
    {.name = "address", .type = API_TEXT, .min = 3, .max = ADDRESS_MAX, .help = "all of this mail address"},
    {.name = "format",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "pem|der|pkcs7",
     .help = "pem if not given"},
    {.name = "chain",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "true",
     .help = "with stored CA certificates above"},
};
const struct api_object export_query = {.name = "ExportQuery", API_FIELDS(query_fields)};

static const struct api_field export_fields[] = {
    {.name = "format",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = 16,
     .choices = "pem|der|pkcs7"},
    {.name = "count", .type = API_NUMBER, .flags = API_REQUIRED, .help = "certificates in it"},
    {.name = "data", .type = API_BASE64, .flags = API_REQUIRED, .help = "the file's bytes"},
};
const struct api_object export_object = {.name = "ExportedCertificates", API_FIELDS(export_fields)};

struct export
{
    struct exchange *x;
    struct slice der[EXPORT_MAX];
    struct slice subjects[EXPORT_MAX], issuers[EXPORT_MAX];
    size_t count;
};

static bool add(void *context, const struct certificate_record *record)
{
    struct export *e = context;
    for (size_t i = 0; i < e->count; i++) {
        if (slice_equal(e->der[i], record->der)) {
            return true;
        }
    }
    if (e->count < EXPORT_MAX) {
        e->der[e->count] = record->der;
        e->subjects[e->count] = record->subject;
        e->issuers[e->count++] = record->issuer;
    }
    return e->count < EXPORT_MAX;
}

struct above {
    struct export *export;
    struct slice issuer;
};

static bool add_issuer(void *context, const struct certificate_record *record)
{
    struct above *above = context;
    if (slice_equal(record->subject, above->issuer)) {
        (void)add(above->export, record);
    }
    return true;
}

/* By names, upwards, until nothing new comes. */
static enum status add_chains(struct export *e, struct store_view *view)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < e->count && status == STATUS_OK; i++) {
        struct above above = {.export = e, .issuer = e->issuers[i]};
        if (!slice_equal(e->subjects[i], e->issuers[i])) {
            status = store_ca_certificates_all(view, add_issuer, &above);
        }
    }
    return status;
}

static void answer(struct export *e, const char *format)
{
    struct exchange *x = e->x;
    struct failure f = {.status = STATUS_OK};
    struct buf file = BUF_INIT(EXPORT_SIZE), text = BUF_INIT(2 * EXPORT_SIZE);
    enum status status = certificate_file_write(e->der, e->count, format, &file, &f);
    if (status == STATUS_OK) {
        status = base64_encode(buf_slice(&file), &text);
    }
    if (status != STATUS_OK) {
        exchange_failf(x, status, "%s", f.text[0] != '\0' ? f.text : status_text(status));
    } else {
        json_t *object = json_object();
        json_put(object, "format", json_string(format));
        json_put(object, "count", json_of_number(e->count));
        json_put(object, "data", json_of_slice(buf_slice(&text)));
        exchange_answer(x, object);
    }
    buf_release(&file);
    buf_release(&text);
}

static void export_run(struct exchange *x, struct store_view *view, struct export *e)
{
    const char *format = query_get(&x->query, "format");
    enum status status = query_get(&x->query, "chain") != NULL ? add_chains(e, view) : STATUS_OK;
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the certificates cannot be read");
        return;
    }
    answer(e, format != NULL ? format : "pem");
}

static struct export *export_new(struct exchange *x)
{
    struct export *e = arena_alloc(&x->arena, sizeof(*e));
    if (e == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificates");
    } else {
        e->x = x;
    }
    return e;
}

void certificate_export(struct exchange *x)
{
    struct certificate_record record;
    struct store_view *view = exchange_view(x);
    struct export *e = view != NULL ? export_new(x) : NULL;
    if (e != NULL && certificate_of_path(x, view, &record)) {
        (void)add(e, &record);
        export_run(x, view, e);
    }
}

void certificates_export(struct exchange *x)
{
    const char *address = query_get(&x->query, "address");
    struct failure f = {.status = STATUS_OK};
    char normal[ADDRESS_MAX + 1];
    struct store_view *view = exchange_view(x);
    struct export *e = view != NULL ? export_new(x) : NULL;
    if (e == NULL) {
        return;
    }
    if (address == NULL) {
        exchange_failf(x, STATUS_INVALID, "address: whose certificates?");
    } else if (address_normalise(slice_of_text(address), normal, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "address");
    } else if (store_certificates_for(view, slice_of_text(normal), add, e) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "the certificates cannot be read");
    } else if (e->count == 0) {
        exchange_failf(x, STATUS_NOT_FOUND, "there is no certificate for %s", normal);
    } else {
        export_run(x, view, e);
    }
}
