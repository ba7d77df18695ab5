/* See certificate_import.h. */
#include "api/certificate_import.h"

#include "api/certificate_json.h"
#include "api/json_out.h"
#include "base/clock.h"

static const struct api_field import_entry_fields[] = {
    {.name = "thumbprint", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of the certificate"},
    {.name = "result", .type = API_TEXT, .flags = API_REQUIRED, .choices = "added|exists"},
    {.name = "subject", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "addresses", .type = API_TEXTS, .flags = API_REQUIRED, .help = "mail addresses that it is for"},
    {.name = "not_after", .type = API_TIME, .flags = API_REQUIRED},
};
const struct api_object import_entry_object = {
    .name = "ImportedCertificate", .help = "A certificate of an import.", API_FIELDS(import_entry_fields)};

bool import_file_of_body(struct exchange *x, const char *field, struct buf *out)
{
    struct failure f;
    enum status status = file_text_decode(api_body_text(x->body, field), out);
    if (status == STATUS_OK && out->len == 0) {
        status = STATUS_MALFORMED;
    }
    if (status != STATUS_OK) {
        failure_set(&f, status, "%s: %s", field,
                    status == STATUS_MALFORMED ? "must be PEM, or the file's bytes in base64"
                                               : status_text(status));
        exchange_fail_field(x, &f, field);
    }
    return status == STATUS_OK;
}

static bool certificate_write(struct exchange *x, const struct certificate_record *record, struct failure *f)
{
    struct command c;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    exchange_command(x, &c, COMMAND_CERT_ADD);
    enum status status = certificate_record_encode(record, &encoded);
    if (status == STATUS_OK) {
        c.values[0].bytes = buf_slice(&encoded);
        status = exchange_write_add(x, &c, f);
    } else {
        failure_set(f, status, "it cannot be stored: %s", status_text(status));
    }
    buf_release(&encoded);
    return status == STATUS_OK;
}

bool import_certificates(struct exchange *x, const struct certificate_file *file,
                         struct certificate_import *out)
{
    struct failure f = {.status = STATUS_OK};
    *out = (struct certificate_import){
        .records = arena_alloc_array(&x->arena, file->count, sizeof(*out->records)),
        .writes = arena_alloc_array(&x->arena, file->count, sizeof(*out->writes)),
        .count = file->count,
    };
    if (out->records == NULL || out->writes == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificates");
        return false;
    }
    for (size_t i = 0; i < file->count; i++) {
        enum status status = certificate_describe(file->der[i], SLICE_LITERAL("import"), clock_wall_ms(),
                                                  &x->arena, &out->records[i], &f);
        out->writes[i] = x->write_count;
        if (status != STATUS_OK || !certificate_write(x, &out->records[i], &f)) {
            failure_wrap(&f, f.status, "certificate %zu of %zu", i + 1, file->count);
            exchange_fail(x, &f);
            return false;
        }
    }
    return true;
}

bool import_results(struct exchange *x, const struct certificate_import *import, json_t **items)
{
    json_t *list = json_array();
    for (size_t i = 0; i < import->count; i++) {
        const struct exchange_write *w = &x->writes[import->writes[i]];
        if (w->status != STATUS_OK && w->status != STATUS_EXISTS) {
            json_decref(list);
            exchange_failf(x, w->status, "certificate %zu of %zu: %s", i + 1, import->count,
                           w->text[0] != '\0' ? w->text : status_text(w->status));
            return false;
        }
        json_t *described = certificate_to_json(NULL, &import->records[i]), *entry = json_object();
        json_object_set(entry, "thumbprint", json_object_get(described, "thumbprint"));
        json_put(entry, "result", json_string(w->status == STATUS_OK ? "added" : "exists"));
        json_object_set(entry, "subject", json_object_get(described, "subject"));
        json_object_set(entry, "addresses", json_object_get(described, "addresses"));
        json_object_set(entry, "not_after", json_object_get(described, "not_after"));
        json_decref(described);
        json_array_append_new(list, entry);
    }
    *items = list;
    return true;
}
