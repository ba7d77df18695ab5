/*
 * POST /v1/keys/{thumbprint}/export: a user's key leaves the cluster, with its certificate and chain, as
 * PKCS#12 under the password that the request brings. A permission of its own (key.export), and a line in the
 * log each time. The key is opened here, the file is written on the job thread (its password derivation takes
 * about a second by intent); password, key and file are wiped with what holds them. The keys of CAs are no
 * users' keys: they are not found here.
 */
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/resources.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/ca.h"
#include "mail/issuers.h"

#define EXPORT_MAX      ((size_t)256 << 10) /* bytes of the file */
#define EXPORT_PASSWORD 1023

static const struct api_field request_fields[] = {
    {.name = "password",
     .type = API_TEXT,
     .flags = API_REQUIRED | API_SECRET,
     .min = 8,
     .max = EXPORT_PASSWORD,
     .help = "that the file gets"},
};
const struct api_object key_export_request_object = {.name = "KeyExportRequest", API_FIELDS(request_fields)};

static const struct api_field export_fields[] = {
    {.name = "thumbprint", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of the certificate"},
    {.name = "addresses", .type = API_TEXTS, .flags = API_REQUIRED, .help = "mail addresses that it is for"},
    {.name = "pkcs12", .type = API_BASE64, .flags = API_REQUIRED | API_SECRET, .help = "the file, in base64"},
};
const struct api_object key_export_object = {.name = "KeyExport", API_FIELDS(export_fields)};

struct export_job {
    struct api_job super;
    EVP_PKEY *key;
    struct buf certificate, chain[ISSUER_CHAIN_MAX];
    size_t chain_count;
    struct secret password;
    struct buf file;
    enum status status;
    struct failure failure;
};

static void export_job_free(struct api_job *job)
{
    struct export_job *j = (struct export_job *)job;
    EVP_PKEY_free(j->key);
    buf_release(&j->certificate);
    for (size_t i = 0; i < ISSUER_CHAIN_MAX; i++) {
        buf_release(&j->chain[i]);
    }
    secret_release(&j->password);
    buf_release(&j->file);
    free(j);
}

static void export_job_run(struct api_job *job)
{
    struct export_job *j = (struct export_job *)job;
    struct slice chain[ISSUER_CHAIN_MAX];
    for (size_t i = 0; i < j->chain_count; i++) {
        chain[i] = buf_slice(&j->chain[i]);
    }
    j->status = key_file_write(j->key, buf_slice(&j->certificate), chain, j->chain_count,
                               secret_slice(&j->password), &j->file, &j->failure);
    if (j->status != STATUS_OK && j->failure.status == STATUS_OK) {
        j->status = failure_set(&j->failure, j->status, "the file cannot be written");
    }
}

static void exported(struct exchange *x, const struct bus_answer *answer)
{
    const struct export_job *j = (const struct export_job *)x->done;
    struct buf text = {.max = 2 * EXPORT_MAX, .wipe = true};
    (void)answer;
    if (j->status != STATUS_OK) {
        exchange_fail_field(x, &j->failure, j->status == STATUS_INVALID ? "password" : NULL);
        return;
    }
    if (base64_encode(buf_slice(&j->file), &text) != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the file");
    } else {
        json_t *object = x->state;
        log_event(LOG_INFO, "a private key was exported", LOG_TEXT("actor", x->actor),
                  LOG_TEXT("thumbprint", json_string_value(json_object_get(object, "thumbprint"))));
        json_put(object, "pkcs12", json_of_slice(buf_slice(&text)));
        x->state = NULL;
        exchange_answer(x, object);
    }
    buf_release(&text);
}

static enum status chain_copy(struct store_view *view, const struct certificate_record *record,
                              struct export_job *j, struct failure *f)
{
    struct issuers *issuers = NULL;
    struct slice chain[ISSUER_CHAIN_MAX];
    enum status status = issuers_load(view, &issuers, f);
    if (status != STATUS_OK) {
        return status;
    }
    j->chain_count = issuers_chain(issuers, record, chain);
    for (size_t i = 0; i < j->chain_count && status == STATUS_OK; i++) {
        j->chain[i] = BUF_INIT(128 << 10);
        status = buf_append_slice(&j->chain[i], chain[i]);
    }
    issuers_free(issuers);
    return status == STATUS_OK ? status : failure_set(f, status, "the chain of the certificate is too large");
}

static enum status job_fill(struct exchange *x, struct store_view *view,
                            const struct certificate_record *record, struct export_job *j, struct failure *f)
{
    struct slice sealed;
    enum status status = store_key_get(view, record->thumbprint, &sealed);
    if (status != STATUS_OK) {
        return failure_set(f, status, "there is no private key for this certificate");
    }
    status = api_keys_refresh(x->api, view, f);
    if (status == STATUS_OK) {
        status = private_key_open(&x->api->keyring, record->thumbprint, sealed, &j->key, f);
    }
    if (status == STATUS_OK) {
        status = chain_copy(view, record, j, f);
    }
    if (status == STATUS_OK &&
        ((status = buf_append_slice(&j->certificate, record->der)) != STATUS_OK ||
         (status = secret_copy(&j->password, api_body_text(x->body, "password"))) != STATUS_OK)) {
        failure_set(f, status, "there is no memory for the file");
    }
    return status;
}

void key_export(struct exchange *x)
{
    struct certificate_record record;
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    if (view == NULL || !certificate_of_path(x, view, &record)) {
        return;
    }
    struct export_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the file");
        return;
    }
    j->super.run = export_job_run;
    j->super.free = export_job_free;
    j->certificate = BUF_INIT(128 << 10);
    j->file = (struct buf){.max = EXPORT_MAX, .wipe = true};
    if (job_fill(x, view, &record, j, &f) != STATUS_OK) {
        export_job_free(&j->super);
        exchange_fail(x, &f);
        return;
    }
    json_t *described = certificate_to_json(NULL, &record), *object = json_object();
    json_object_set(object, "thumbprint", json_object_get(described, "thumbprint"));
    json_object_set(object, "addresses", json_object_get(described, "addresses"));
    json_decref(described);
    x->state = object;
    exchange_run_job(x, &j->super, exported);
}
