/*
 * POST /v1/keys: private keys with their certificates, from PKCS#12 or PEM. The file is opened on the job
 * thread (the key derivation of a PKCS#12 may take long), each key is sealed under the cluster's data key
 * here, and only the sealed form enters a command. The password and the file are wiped with the body, and the
 * job's copies when it is freed.
 */
#include "api/certificate_import.h"
#include "api/json_out.h"
#include "api/resources.h"

#define KEY_DATA_MAX     ((uint32_t)1 << 20) /* bytes of the file */
#define KEY_PASSWORD_MAX 1024
#define KEY_ARENA_MAX    ((size_t)8 << 20)

static const struct api_field request_fields[] = {
    {.name = "data",
     .type = API_BASE64,
     .flags = API_REQUIRED | API_SECRET,
     .min = 1,
     .max = KEY_DATA_MAX,
     .help = "PKCS#12 in base64, or PEM with keys and their certificates"},
    {.name = "password",
     .type = API_TEXT,
     .flags = API_SECRET,
     .max = KEY_PASSWORD_MAX,
     .help = "of the file"},
};
const struct api_object key_request_object = {.name = "KeyRequest", API_FIELDS(request_fields)};

struct key_job {
    struct api_job super;
    struct secret content, password;
    struct arena arena;
    struct key_file file;
    enum status status;
    struct failure failure;
};

static void key_job_free(struct api_job *job)
{
    struct key_job *k = (struct key_job *)job;
    secret_release(&k->content);
    secret_release(&k->password);
    key_file_release(&k->file);
    arena_release(&k->arena);
    free(k);
}

static void key_job_run(struct api_job *job)
{
    struct key_job *k = (struct key_job *)job;
    k->status = key_file_read(secret_slice(&k->content), secret_slice(&k->password), &k->arena, &k->file,
                              &k->failure);
}

static struct key_job *key_job_new(struct slice content, struct slice password)
{
    struct key_job *k = calloc(1, sizeof(*k));
    if (k == NULL) {
        return NULL;
    }
    k->super.run = key_job_run;
    k->super.free = key_job_free;
    arena_init(&k->arena, KEY_ARENA_MAX);
    if (secret_copy(&k->content, content) != STATUS_OK || secret_copy(&k->password, password) != STATUS_OK) {
        key_job_free(&k->super);
        return NULL;
    }
    return k;
}

/* --- after the file was read --- */

struct key_state {
    struct certificate_import import;
    size_t first_key_write; /* position in x->writes; theirs are the last */
};

static void stored(struct exchange *x, const struct bus_answer *answer)
{
    struct key_state *state = x->state;
    json_t *items;
    (void)answer;
    if (!import_results(x, &state->import, &items)) {
        return;
    }
    for (size_t i = state->first_key_write; i < x->write_count; i++) {
        const struct exchange_write *w = &x->writes[i];
        if (w->status != STATUS_OK) {
            json_decref(items);
            exchange_failf(x, w->status, "the key: %s",
                           w->text[0] != '\0' ? w->text : status_text(w->status));
            return;
        }
    }
    exchange_answer(x, json_page(items, NULL));
}

static enum status key_write_add(struct exchange *x, EVP_PKEY *key, const struct certificate_record *record,
                                 struct failure *f)
{
    struct command c;
    struct buf sealed = BUF_INIT(64 << 10);
    enum status status = private_key_seal(&x->api->keyring, record->thumbprint, key, &sealed, f);
    if (status == STATUS_OK) {
        exchange_command(x, &c, COMMAND_KEY_ADD);
        c.values[0].bytes = slice_of(record->thumbprint, THUMBPRINT_SIZE);
        c.values[1].bytes = buf_slice(&sealed);
        status = exchange_write_add(x, &c, f);
    }
    buf_release(&sealed);
    return status;
}

/* Each certificate of the file whose key is in it gets that key. */
static enum status key_writes_add(struct exchange *x, struct store_view *view, const struct key_file *file,
                                  const struct certificate_import *import, struct failure *f)
{
    enum status status = api_keys_refresh(x->api, view, f);
    for (size_t i = 0; i < import->count && status == STATUS_OK; i++) {
        EVP_PKEY *key = key_file_key_of(file, file->certificates.der[i]);
        if (key != NULL) {
            status = key_write_add(x, key, &import->records[i], f);
        }
    }
    return status;
}

/* The job's certificates end with the job: what the records point to is copied. */
static bool file_copy(struct exchange *x, const struct certificate_file *from, struct certificate_file *to)
{
    for (size_t i = 0; i < from->count; i++) {
        if (!arena_copy(&x->arena, from->der[i], &to->der[i])) {
            exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificates");
            return false;
        }
    }
    to->count = from->count;
    return true;
}

static void key_read(struct exchange *x, const struct bus_answer *answer)
{
    struct key_job *k = (struct key_job *)x->done;
    struct failure f = {.status = STATUS_OK};
    struct key_state *state = arena_alloc(&x->arena, sizeof(*state));
    struct certificate_file *file = arena_alloc(&x->arena, sizeof(*file));
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (k->status != STATUS_OK) {
        exchange_fail_field(x, &k->failure, k->status == STATUS_WRONG_PASSWORD ? "password" : "data");
        return;
    }
    if (state == NULL || file == NULL || !file_copy(x, &k->file.certificates, file) ||
        !import_certificates(x, file, &state->import)) {
        return;
    }
    state->first_key_write = x->write_count;
    if (key_writes_add(x, view, &k->file, &state->import, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    x->state = state;
    exchange_write_run(x, false, stored);
}

void key_import(struct exchange *x)
{
    struct buf content = {.max = API_BODY_MAX, .wipe = true};
    if (import_file_of_body(x, "data", &content)) {
        struct key_job *k = key_job_new(buf_slice(&content), api_body_text(x->body, "password"));
        if (k == NULL) {
            exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the key file");
        } else {
            exchange_run_job(x, &k->super, key_read);
        }
    }
    buf_release(&content);
}
