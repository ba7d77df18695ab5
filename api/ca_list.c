/* See ca_list.h. */
#include "api/ca_list.h"

#include "base/clock.h"

#define ENTRIES_ARENA_MAX ((size_t)8 << 20)

struct ca_list_job {
    struct api_job super;
    /* what is wanted */
    struct store *store; /* borrowed: it is closed after the job threads have ended */
    char ca[CA_NAME_MAX + 1];
    struct ca_signer signer;
    struct ca_crl_entry more;
    bool has_more;
    uint64_t now_ms, validity_ms;
    /* what was made */
    uint64_t number;
    struct buf list;
    enum status status;
    struct failure failure;
};

static void list_job_free(struct api_job *job)
{
    struct ca_list_job *j = (struct ca_list_job *)job;
    ca_signer_release(&j->signer);
    buf_release(&j->list);
    free(j);
}

static enum status list_make(struct ca_list_job *j, struct store_view *view, struct arena *a)
{
    struct ca_crl_entry *entries;
    struct ca_record ca;
    size_t count;
    enum status status = store_ca_get(view, slice_of_text(j->ca), &ca);
    if (status != STATUS_OK) {
        return failure_set(&j->failure, status, "the CA %s cannot be read", j->ca);
    }
    j->number = ca.crl_number + 1;
    status = ca_crl_entries(view, ca.name, j->now_ms, a, &entries, &count, &j->failure);
    if (status != STATUS_OK) {
        return status;
    }
    if (j->has_more) {
        entries[count++] = j->more;
    }
    return ca_crl_make(&j->signer, j->number, j->now_ms, j->now_ms + j->validity_ms, entries, count, &j->list,
                       &j->failure);
}

static void list_job_run(struct api_job *job)
{
    struct ca_list_job *j = (struct ca_list_job *)job;
    struct store_view *view;
    struct arena a;
    j->status = store_view_begin(j->store, &view, &j->failure);
    if (j->status != STATUS_OK) {
        return;
    }
    arena_init(&a, ENTRIES_ARENA_MAX);
    j->status = list_make(j, view, &a);
    arena_release(&a);
    store_view_end(view);
    ca_signer_release(&j->signer); /* a key does not stay in memory for longer than it must */
}

enum status ca_list_run(struct exchange *x, struct store_view *view, struct slice ca,
                        const struct ca_crl_entry *more, exchange_step next, struct failure *f)
{
    struct setting_value validity;
    struct ca_list_job *j = calloc(1, sizeof(*j));
    if (j == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "there is no memory for the revocation list");
    }
    j->super.run = list_job_run;
    j->super.free = list_job_free;
    j->store = x->api->store;
    j->list = BUF_INIT(CA_CRL_MAX);
    j->now_ms = clock_wall_ms();
    j->has_more = more != NULL;
    if (more != NULL) {
        j->more = *more;
        j->more.revoked_ms = j->now_ms;
    }
    ca_text_copy(j->ca, sizeof(j->ca), ca);
    enum status status = setting_get(view, setting_at(SETTING_CA_CRL_VALIDITY), (struct slice){0}, &validity);
    if (status != STATUS_OK) {
        failure_set(f, status, "the setting ca.crl_validity cannot be read");
    } else {
        j->validity_ms = setting_number(&validity);
        status = api_keys_refresh(x->api, view, f);
    }
    if (status == STATUS_OK) {
        status = ca_signer_open(view, &x->api->keyring, ca, &j->signer, f);
    }
    if (status != STATUS_OK) {
        list_job_free(&j->super);
        return status;
    }
    exchange_run_job(x, &j->super, next);
    return STATUS_OK;
}

enum status ca_list_fill(const struct ca_list_job *j, size_t field, struct command *c, struct failure *f)
{
    if (j->status != STATUS_OK) {
        *f = j->failure;
        return j->status;
    }
    c->time_ms = j->now_ms;
    c->values[field].number = j->number;
    c->values[field + 1].bytes = buf_slice(&j->list);
    c->values[field + 2].number = j->now_ms;
    c->values[field + 3].number = j->now_ms + j->validity_ms;
    return STATUS_OK;
}
