/*
 * /v1/ca: the CAs for users' certificates: made, imported, shown, removed. What they issue is in
 * resource_ca_issue.c, what they revoke in resource_ca_crl.c.
 *
 * When all goes well: the issuer's key (of an intermediate) is opened here, the new key is made on the job
 * thread with the certificate and a first, empty revocation list, sealed here, and one command brings all of
 * it. A CA that is made is trusted if it is a root; an imported one as well, or the root that came with it.
 */
#include "api/ca_json.h"
#include "api/certificate_import.h"
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/clock.h"
#include "crypto/crl.h"

#define CA_DAYS_MAX       36500
#define ROOT_DAYS         3650
#define INTERMEDIATE_DAYS 1825
#define CA_FILE_MAX       ((uint32_t)1 << 20)
#define CA_PASSWORD_MAX   1024
#define CA_ARENA_MAX      ((size_t)8 << 20)

static const struct api_field request_fields[] = {
    {.name = "name",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = CA_NAME_MAX,
     .help = "its name in this cluster: lower-case letters, digits, hyphens"},
    {.name = "subject",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = CA_SUBJECT_MAX,
     .help = "CN=Example CA,O=Example,C=DE, or a common name"},
    {.name = "key",
     .type = API_TEXT,
     .min = 1,
     .max = 16,
     .choices = "rsa3072|rsa4096|p256|p384",
     .help = "rsa4096 if not given"},
    {.name = "days",
     .type = API_NUMBER,
     .min = 1,
     .max = CA_DAYS_MAX,
     .help = "that it is valid; 3650, or 1825 below another CA, if not given"},
    {.name = "issuer",
     .type = API_TEXT,
     .max = CA_NAME_MAX,
     .help = "name of the CA of this cluster that issues it; a root if not given"},
};
const struct api_object ca_request_object = {.name = "CaRequest", API_FIELDS(request_fields)};

static const struct api_field import_fields[] = {
    {.name = "name",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = CA_NAME_MAX,
     .help = "its name in this cluster"},
    {.name = "data",
     .type = API_BASE64,
     .flags = API_REQUIRED | API_SECRET,
     .min = 1,
     .max = CA_FILE_MAX,
     .help = "PKCS#12 in base64, or PEM with the key and its certificate"},
    {.name = "password",
     .type = API_TEXT,
     .flags = API_SECRET,
     .max = CA_PASSWORD_MAX,
     .help = "of the file"},
    {.name = "crl",
     .type = API_BASE64,
     .min = 1,
     .max = CA_FILE_MAX,
     .help = "its last revocation list, PEM as it is or DER in base64, of at most 8,000 entries: they stay "
             "revoked, and the numbers of its lists go on above"},
};
const struct api_object ca_import_object = {.name = "CaImport", API_FIELDS(import_fields)};

/* --- showing --- */

struct cas_walk {
    struct list_page page;
    struct store_view *view;
};

static bool ca_visit(void *context, const struct ca_record *record)
{
    struct cas_walk *walk = context;
    if (list_page_wants(&walk->page, record->name)) {
        list_page_add(&walk->page, record->name, ca_to_json(walk->view, record));
    }
    return !walk->page.more;
}

void cas_list(struct exchange *x)
{
    struct cas_walk walk = {.view = exchange_view(x)};
    if (walk.view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    enum status status = store_cas_all(walk.view, ca_visit, &walk);
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status, "the CAs cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

static void ca_answer(struct exchange *x, struct slice name)
{
    struct ca_record ca;
    struct certificate_record record;
    struct buf pem = BUF_INIT(COMMAND_MAX);
    char shown[API_SHOWN_MAX];
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    enum status status = store_ca_get(view, name, &ca);
    if (status == STATUS_OK) {
        status = store_certificate_get(view, ca.thumbprint, &record);
    }
    if (status == STATUS_OK) {
        status = certificate_to_pem(record.der, &pem);
    }
    if (status != STATUS_OK) {
        exchange_failf(x, status,
                       status == STATUS_NOT_FOUND ? "there is no CA %s" : "the CA %s cannot be read",
                       api_shown(name, shown));
    } else {
        json_t *object = ca_to_json(view, &ca);
        json_put(object, "pem", json_of_slice(buf_slice(&pem)));
        exchange_answer(x, object);
    }
    buf_release(&pem);
}

void ca_get(struct exchange *x)
{
    ca_answer(x, slice_of_text(x->parameters[0]));
}

/* --- making and importing --- */

struct ca_job {
    struct api_job super;
    /* what is wanted */
    char name[CA_NAME_MAX + 1], issuer[CA_NAME_MAX + 1], subject[CA_SUBJECT_MAX + 1];
    enum key_kind kind;
    unsigned days;
    struct ca_signer above; /* of the issuer; empty: a root */
    char crl_url[CA_CRL_URL_MAX];
    uint64_t now_ms, crl_next_ms, crl_number;
    struct secret content, password; /* of a file that is imported; empty: make one */
    struct buf last_list;            /* of an import; empty: none */
    /* what was made or read */
    struct arena arena;
    struct certificate_file file; /* of an import */
    struct ca_revoked_before before;
    const char *wrong_field; /* of the request; NULL: the usual one */
    struct ca_signer made;
    struct buf crl;
    enum status status;
    struct failure failure;
};

static void ca_job_free(struct api_job *job)
{
    struct ca_job *j = (struct ca_job *)job;
    ca_signer_release(&j->above);
    ca_signer_release(&j->made);
    secret_release(&j->content);
    secret_release(&j->password);
    buf_release(&j->crl);
    buf_release(&j->last_list);
    arena_release(&j->arena);
    free(j);
}

static enum status file_read(struct ca_job *j)
{
    struct key_file file;
    enum status status =
        key_file_read(secret_slice(&j->content), secret_slice(&j->password), &j->arena, &file, &j->failure);
    if (status == STATUS_OK && file.key_count > 1) {
        status = failure_set(&j->failure, STATUS_INVALID,
                             "the file holds %zu private keys: which is the CA's? Give one with that alone",
                             file.key_count);
    }
    if (status == STATUS_OK && EVP_PKEY_up_ref(file.keys[0]) == 1) {
        j->made.key = file.keys[0];
    }
    j->file = file.certificates;
    key_file_release(&file);
    if (status != STATUS_OK) {
        return status;
    }
    if (j->made.key == NULL) {
        return failure_set(&j->failure, STATUS_NO_MEMORY, "there is no memory for the CA's key");
    }
    j->made.certificate = certificate_from_der(j->file.der[0]);
    if (j->made.certificate == NULL) {
        return failure_set(&j->failure, STATUS_MALFORMED, "the CA's certificate cannot be read");
    }
    return ca_usable(&j->made, j->now_ms, &j->failure);
}

/* The lists go on above the one that it had last, and with what is on it. */
static enum status last_list_read(struct ca_job *j)
{
    enum status status = ca_revoked_before_read(buf_slice(&j->last_list), &j->made, j->now_ms, &j->arena,
                                                &j->before, &j->failure);
    if (status == STATUS_OK && j->before.number >= j->crl_number) {
        j->crl_number = j->before.number + 1;
    }
    j->wrong_field = status == STATUS_OK ? NULL : "crl";
    return status;
}

static void ca_job_run(struct api_job *job)
{
    struct ca_job *j = (struct ca_job *)job;
    if (j->content.len > 0) {
        j->status = file_read(j);
        if (j->status == STATUS_OK && j->last_list.len > 0) {
            j->status = last_list_read(j);
        }
    } else {
        j->status = ca_make(slice_of_text(j->subject), j->kind, j->days,
                            j->above.certificate != NULL ? &j->above : NULL, j->crl_url, j->now_ms, &j->made,
                            &j->failure);
    }
    if (j->status == STATUS_OK) {
        j->status = ca_crl_make(&j->made, j->crl_number, j->now_ms, j->crl_next_ms, j->before.entries,
                                j->before.count, &j->crl, &j->failure);
    }
    if (j->status != STATUS_OK && j->failure.status == STATUS_OK) {
        j->status = failure_set(&j->failure, j->status, "the CA: %s", status_text(j->status));
    }
}

/* The name is free and good, and the times of its first list are known. NULL: the exchange was failed. */
static struct ca_job *ca_job_begin(struct exchange *x, struct store_view *view)
{
    struct slice name = api_body_text(x->body, "name");
    struct failure f = {.status = STATUS_OK};
    struct setting_value url, validity;
    struct ca_record there;
    if (ca_name_check(name, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "name");
        return NULL;
    }
    if (store_ca_get(view, name, &there) == STATUS_OK) {
        exchange_failf(x, STATUS_EXISTS, "there is a CA %.*s already", SLICE_ARGS(name));
        return NULL;
    }
    if (!ca_setting(x, view, SETTING_CA_CRL_URL, (struct slice){0}, &url) ||
        !ca_setting(x, view, SETTING_CA_CRL_VALIDITY, (struct slice){0}, &validity)) {
        return NULL;
    }
    struct ca_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the CA");
        return NULL;
    }
    j->super.run = ca_job_run;
    j->super.free = ca_job_free;
    j->crl = BUF_INIT(CA_CRL_MAX);
    arena_init(&j->arena, CA_ARENA_MAX);
    ca_text_copy(j->name, sizeof(j->name), name);
    ca_text_copy(j->issuer, sizeof(j->issuer), api_body_text(x->body, "issuer"));
    j->now_ms = clock_wall_ms();
    j->crl_number = 1;
    j->crl_next_ms = j->now_ms + setting_number(&validity);
    ca_crl_url(url.text, api_body_text(x->body, "issuer"), j->crl_url);
    return j;
}

static void ca_added(struct exchange *x, const struct bus_answer *answer)
{
    const char *name = x->state;
    (void)answer;
    const struct exchange_write *w = &x->writes[x->write_count - 1];
    if (w->status != STATUS_OK) {
        exchange_failf(x, w->status, "%s", w->text[0] != '\0' ? w->text : status_text(w->status));
        return;
    }
    ca_answer(x, slice_of_text(name));
}

static enum status ca_write_add(struct exchange *x, struct store_view *view, const struct ca_job *j,
                                struct slice der, bool anchor, struct failure *f)
{
    struct command c;
    struct certificate_record record;
    struct buf sealed = BUF_INIT(64 << 10);
    uint8_t issuer_id[ISSUER_ID_SIZE];
    enum status status = certificate_describe(der, SLICE_LITERAL("ca"), j->now_ms, &x->arena, &record, f);
    bool imported = j->content.len > 0;
    exchange_command(x, &c, imported ? COMMAND_CA_IMPORT : COMMAND_CA_ADD);
    if (status == STATUS_OK && (status = issuer_id_of(j->made.certificate, issuer_id)) != STATUS_OK) {
        failure_set(f, status, "the CA's certificate cannot be read");
    }
    if (status == STATUS_OK) {
        status = api_keys_refresh(x->api, view, f);
    }
    if (status == STATUS_OK) {
        status = private_key_seal(&x->api->keyring, record.thumbprint, j->made.key, &sealed, f);
    }
    if (status == STATUS_OK && (status = ca_record_encode(x, &record, &c.values[1].bytes)) != STATUS_OK) {
        failure_set(f, status, "the CA's certificate cannot be stored: %s", status_text(status));
    }
    if (status == STATUS_OK) {
        c.values[0].bytes = slice_of_text(j->name);
        c.values[2].bytes = buf_slice(&sealed);
        c.values[3].bytes = slice_of_text(j->issuer);
        c.values[4].number = anchor ? 1 : 0;
        c.values[5].bytes = buf_slice(&j->crl);
        c.values[6].number = j->now_ms;
        c.values[7].number = j->crl_next_ms;
        c.values[8].number = j->crl_number;
        c.values[9].bytes = slice_of(issuer_id, sizeof(issuer_id));
        if (imported) {
            c.values[10].bytes = j->before.rows;
        }
        status = exchange_write_add(x, &c, f);
    }
    buf_release(&sealed);
    return status;
}

static void ca_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct ca_job *j = (const struct ca_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct buf der = BUF_INIT(128 << 10);
    struct slice kept = {0};
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (j->status != STATUS_OK) {
        exchange_fail_field(x, &j->failure, j->status == STATUS_INVALID ? "subject" : NULL);
        return;
    }
    x->state = arena_text(&x->arena, slice_of_text(j->name));
    enum status status = certificate_to_der(j->made.certificate, &der);
    if (status == STATUS_OK && (x->state == NULL || !arena_copy(&x->arena, buf_slice(&der), &kept))) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&der);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the CA's certificate cannot be kept");
    } else if (ca_write_add(x, view, j, kept, j->issuer[0] == '\0', &f) != STATUS_OK) {
        exchange_fail(x, &f);
    } else {
        exchange_write_run(x, true, ca_added);
    }
}

void ca_create(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    struct slice kind = api_body_text(x->body, "key"), issuer = api_body_text(x->body, "issuer");
    struct store_view *view = exchange_view(x);
    struct ca_job *j = view == NULL ? NULL : ca_job_begin(x, view);
    if (j == NULL) {
        return;
    }
    if (kind.len == 0 || !key_kind_named(kind, &j->kind)) {
        j->kind = KEY_RSA4096;
    }
    j->days = (unsigned)api_body_number(x->body, "days", issuer.len > 0 ? INTERMEDIATE_DAYS : ROOT_DAYS);
    ca_text_copy(j->subject, sizeof(j->subject), api_body_text(x->body, "subject"));
    if (issuer.len > 0) {
        enum status status = api_keys_refresh(x->api, view, &f);
        if (status == STATUS_OK) {
            status = ca_signer_open(view, &x->api->keyring, issuer, &j->above, &f);
        }
        if (status != STATUS_OK) {
            ca_job_free(&j->super);
            exchange_fail_field(x, &f, "issuer");
            return;
        }
    }
    exchange_run_job(x, &j->super, ca_made);
}

/* --- importing --- */

static bool is_root(const struct certificate_record *record)
{
    return (record->uses & CERT_USE_CA) != 0 && slice_equal(record->subject, record->issuer);
}

/* The roots that came along become anchors; without any the CA itself does. */
static enum status anchors_add(struct exchange *x, const struct certificate_import *import, bool *own,
                               struct failure *f)
{
    enum status status = STATUS_OK;
    *own = true;
    for (size_t i = 1; i < import->count && status == STATUS_OK; i++) {
        struct command c;
        if (!is_root(&import->records[i]) || is_root(&import->records[0])) {
            continue;
        }
        *own = false;
        exchange_command(x, &c, COMMAND_TRUST_ADD);
        c.values[0].bytes = slice_of(import->records[i].thumbprint, THUMBPRINT_SIZE);
        c.values[1].bytes = SLICE_LITERAL("root of an imported CA");
        status = exchange_write_add(x, &c, f);
    }
    return status;
}

struct issuer_search {
    struct store_view *view;
    struct ca_job *job;
};

static bool is_issuer(void *context, const struct ca_record *ca)
{
    struct issuer_search *search = context;
    struct certificate_record record;
    X509 *above = store_certificate_get(search->view, ca->thumbprint, &record) == STATUS_OK
                      ? certificate_from_der(record.der)
                      : NULL;
    if (above != NULL && certificate_is_issued_by(search->job->made.certificate, above)) {
        ca_text_copy(search->job->issuer, sizeof(search->job->issuer), ca->name);
    }
    X509_free(above);
    return search->job->issuer[0] == '\0';
}

/* An imported CA may be below one of ours, which then can revoke it. */
static void issuer_find(struct store_view *view, struct ca_job *j)
{
    struct issuer_search search = {.view = view, .job = j};
    if (!certificate_is_issued_by(j->made.certificate, j->made.certificate) &&
        store_cas_all(view, is_issuer, &search) != STATUS_OK) {
        j->issuer[0] = '\0';
    }
}

static void ca_read(struct exchange *x, const struct bus_answer *answer)
{
    struct ca_job *j = (struct ca_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct certificate_import import;
    struct certificate_file *file = arena_alloc(&x->arena, sizeof(*file));
    struct store_view *view = exchange_view(x);
    bool own;
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (j->status != STATUS_OK) {
        exchange_fail_field(x, &j->failure,
                            j->wrong_field != NULL               ? j->wrong_field
                            : j->status == STATUS_WRONG_PASSWORD ? "password"
                                                                 : "data");
        return;
    }
    x->state = arena_text(&x->arena, slice_of_text(j->name));
    for (size_t i = 0; file != NULL && i < j->file.count; i++) { /* the job's arena ends with the job */
        if (!arena_copy(&x->arena, j->file.der[i], &file->der[file->count++])) {
            file = NULL;
        }
    }
    if (file == NULL || x->state == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the CA");
        return;
    }
    if (!import_certificates(x, file, &import)) {
        return;
    }
    enum status status = anchors_add(x, &import, &own, &f);
    if (status == STATUS_OK) {
        issuer_find(view, j);
        status = ca_write_add(x, view, j, file->der[0], own && j->issuer[0] == '\0', &f);
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_write_run(x, false, ca_added); /* certificates and anchors that are there already are fine */
}

void ca_import(struct exchange *x)
{
    struct buf content = {.max = API_BODY_MAX, .wipe = true};
    struct store_view *view = exchange_view(x);
    struct ca_job *j = view == NULL ? NULL : ca_job_begin(x, view);
    bool has_list = json_object_get(x->body, "crl") != NULL;
    if (j == NULL) {
        return;
    }
    j->crl_number = j->now_ms / 1000; /* beyond those of the lists that it has issued before it came here */
    j->last_list = BUF_INIT(API_BODY_MAX);
    if (!import_file_of_body(x, "data", &content) ||
        (has_list && !import_file_of_body(x, "crl", &j->last_list))) {
        ca_job_free(&j->super);
    } else if (secret_copy(&j->content, buf_slice(&content)) != STATUS_OK ||
               secret_copy(&j->password, api_body_text(x->body, "password")) != STATUS_OK) {
        ca_job_free(&j->super);
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the key file");
    } else {
        exchange_run_job(x, &j->super, ca_read);
    }
    buf_release(&content);
}

/* --- removal --- */

static void removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->parameters[0]));
    exchange_answer(x, gone);
}

void ca_remove(struct exchange *x)
{
    struct command c;
    exchange_command(x, &c, COMMAND_CA_REMOVE);
    c.values[0].bytes = slice_of_text(x->parameters[0]);
    exchange_write_one(x, &c, removed);
}
