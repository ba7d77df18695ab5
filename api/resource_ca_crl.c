/*
 * Revoking what a CA of this cluster issued, and its lists. A revocation and the list that holds it are one
 * command; when another list came in between (CONFLICT), it is made anew on the state as it is then.
 *
 * GET /crl/{name}.crl needs no token: a list is for everybody, and tells serial numbers and dates alone.
 */
#include "api/ca_crl.h"
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"

#define TRIES_MAX 5

static const struct api_field revoke_fields[] = {
    {.name = "thumbprint",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 8,
     .max = 2 * THUMBPRINT_SIZE,
     .help = "SHA-256 of the certificate, or its first 8 digits or more"},
    {.name = "reason",
     .type = API_TEXT,
     .min = 1,
     .max = 32,
     .choices = CA_REASON_CHOICES,
     .help = "of RFC 5280; unspecified if not given"},
};
const struct api_object ca_revoke_object = {.name = "RevokeRequest", API_FIELDS(revoke_fields)};

enum status ca_next_crl(struct exchange *x, struct store_view *view, const struct ca_record *ca,
                        const struct ca_crl_entry *more, size_t field, struct command *c, struct failure *f)
{
    struct ca_signer signer = {0};
    struct ca_crl_entry *entries;
    struct setting_value validity;
    struct buf list = BUF_INIT(CA_CRL_MAX);
    size_t count;
    enum status status = setting_get(view, setting_at(SETTING_CA_CRL_VALIDITY), (struct slice){0}, &validity);
    if (status != STATUS_OK) {
        return failure_set(f, status, "the setting ca.crl_validity cannot be read");
    }
    status = api_keys_refresh(x->api, view, f);
    if (status == STATUS_OK) {
        status = ca_signer_open(view, &x->api->keyring, ca->name, &signer, f);
    }
    if (status == STATUS_OK) {
        status = ca_crl_entries(view, ca->name, c->time_ms, &x->arena, &entries, &count, f);
    }
    if (status == STATUS_OK) {
        if (more != NULL) {
            entries[count++] = *more;
        }
        c->values[field].number = ca->crl_number + 1;
        c->values[field + 2].number = c->time_ms;
        c->values[field + 3].number = c->time_ms + setting_number(&validity);
        status = ca_crl_make(&signer, ca->crl_number + 1, c->time_ms, c->values[field + 3].number, entries,
                             count, &list, f);
    }
    if (status == STATUS_OK && !arena_copy(&x->arena, buf_slice(&list), &c->values[field + 1].bytes)) {
        status = failure_set(f, STATUS_NO_MEMORY, "there is no memory for the revocation list");
    }
    buf_release(&list);
    ca_signer_release(&signer);
    return status;
}

/* --- revoking --- */

struct revoke_state {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    unsigned tries;
};

static void revoke(struct exchange *x);

static void revoke_again(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer;
    revoke(x);
}

static void revoked(struct exchange *x, const struct bus_answer *answer)
{
    struct revoke_state *state = x->state;
    const struct exchange_write *w = &x->writes[0];
    struct ca_issued_record issued;
    (void)answer;
    if (w->status == STATUS_CONFLICT && ++state->tries < TRIES_MAX) {
        exchange_writes_clear(x);
        (void)exchange_need(x, BUS_CORE, CORE_BARRIER, revoke_again); /* this node may not have seen it yet */
        return;
    }
    if (w->status != STATUS_OK) {
        exchange_failf(x, w->status, "%s", w->text[0] != '\0' ? w->text : status_text(w->status));
        return;
    }
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    if (store_ca_issued_get(view, state->thumbprint, &issued) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "the revoked certificate cannot be read");
        return;
    }
    exchange_answer(x, ca_issued_to_json(view, &issued));
}

static void revoke(struct exchange *x)
{
    struct revoke_state *state = x->state;
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    struct ca_issued_record issued;
    struct ca_record ca;
    struct command c;
    if (view == NULL) {
        return;
    }
    enum status status = store_ca_issued_get(view, state->thumbprint, &issued);
    if (status == STATUS_OK) {
        status = store_ca_get(view, issued.ca, &ca);
    }
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the CA of the certificate cannot be read");
        return;
    }
    exchange_command(x, &c, COMMAND_CA_REVOKE);
    c.values[0].bytes = issued.ca;
    c.values[1].bytes = slice_of(state->thumbprint, THUMBPRINT_SIZE);
    (void)ca_reason_named(api_body_text(x->body, "reason"), &c.values[2].number);
    struct ca_crl_entry entry = {
        .serial_len = issued.serial.len, .revoked_ms = c.time_ms, .reason = c.values[2].number};
    memcpy(entry.serial, issued.serial.data, issued.serial.len);
    status = ca_next_crl(x, view, &ca, &entry, 3, &c, &f);
    if (status == STATUS_OK) {
        status = exchange_write_add(x, &c, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_write_run(x, false, revoked);
}

void ca_revoke(struct exchange *x)
{
    struct revoke_state *state = arena_alloc(&x->arena, sizeof(*state));
    struct store_view *view = exchange_view(x);
    struct ca_issued_record issued;
    bool is_revoked = false;
    if (view == NULL) {
        return;
    }
    if (state == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the revocation");
        return;
    }
    if (!ca_issued_named(x, view, api_body_text(x->body, "thumbprint"), &issued)) {
        return;
    }
    if (store_ca_is_revoked(view, issued.thumbprint, &is_revoked) == STATUS_OK && is_revoked) {
        exchange_failf(x, STATUS_EXISTS, "the certificate is revoked already");
        return;
    }
    memcpy(state->thumbprint, issued.thumbprint, THUMBPRINT_SIZE);
    x->state = state;
    revoke(x);
}

/* --- the list, for everybody --- */

void ca_crl_get(struct exchange *x)
{
    struct slice name = slice_of_text(x->parameters[0]), end = SLICE_LITERAL(".crl"), der;
    struct buf content = BUF_INIT(CA_CRL_MAX);
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    if (name.len <= end.len || !slice_equal(slice_of(name.data + name.len - end.len, end.len), end)) {
        exchange_failf(x, STATUS_NOT_FOUND, "a revocation list is at /crl/NAME.crl, with the name of its CA");
        return;
    }
    name.len -= end.len;
    enum status status = store_ca_crl(view, name, &der);
    if (status == STATUS_OK) {
        status = buf_append_slice(&content, der);
    }
    if (status != STATUS_OK) {
        buf_release(&content);
        exchange_failf(x, status, "there is no CA of that name");
        return;
    }
    exchange_answer_text(x, "application/pkix-crl", &content);
}
