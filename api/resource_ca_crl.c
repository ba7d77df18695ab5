/*
 * Revoking what a CA of this cluster issued: certificates of users, and CAs below it. A revocation and the
 * list that holds it are one command; the list is signed by a job (ca_list.h), and when another one came in
 * between (CONFLICT), it is made anew on the state as it is then.
 *
 * GET /crl/{name}.crl needs no token: a list is for everybody, and tells serial numbers and dates alone.
 */
#include "api/ca_list.h"
#include "api/json_out.h"
#include "api/resources.h"

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
static const struct api_field revoke_ca_fields[] = {
    {.name = "reason",
     .type = API_TEXT,
     .min = 1,
     .max = 32,
     .choices = CA_REASON_CHOICES "|cACompromise",
     .help = "of RFC 5280; unspecified if not given"},
};
const struct api_object ca_revoke_ca_object = {.name = "RevokeCaRequest", API_FIELDS(revoke_ca_fields)};

const struct api_object ca_revoke_object = {.name = "RevokeRequest", API_FIELDS(revoke_fields)};

/* What is revoked: a certificate that was issued, or, with a name, a CA of ours. */
struct revoke_state {
    char ca[CA_NAME_MAX + 1]; /* "": the certificate */
    uint8_t thumbprint[THUMBPRINT_SIZE];
    unsigned tries;
};

/* Who issued it, and its serial number there, on the present view. */
struct target {
    struct slice issuer;
    struct ca_crl_entry entry;
};

static void revoke(struct exchange *x);

static void revoke_again(struct exchange *x, const struct bus_answer *answer)
{
    (void)answer;
    revoke(x);
}

/* --- what is answered --- */

static void answer_certificate(struct exchange *x, struct store_view *view, const struct revoke_state *state)
{
    struct ca_issued_record issued;
    if (store_ca_issued_get(view, state->thumbprint, &issued) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "the revoked certificate cannot be read");
        return;
    }
    exchange_answer(x, ca_issued_to_json(view, &issued));
}

static void answer_ca(struct exchange *x, struct store_view *view, const struct revoke_state *state)
{
    struct ca_record ca;
    if (store_ca_get(view, slice_of_text(state->ca), &ca) != STATUS_OK) {
        exchange_failf(x, STATUS_INTERNAL, "the revoked CA cannot be read");
        return;
    }
    exchange_answer(x, ca_to_json(view, &ca));
}

static void revoked(struct exchange *x, const struct bus_answer *answer)
{
    struct revoke_state *state = x->state;
    const struct exchange_write *w = &x->writes[0];
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
    if (state->ca[0] != '\0') {
        answer_ca(x, view, state);
    } else {
        answer_certificate(x, view, state);
    }
}

/* --- the list, and the command --- */

static enum status target_of_ca(struct store_view *view, const struct revoke_state *state, struct target *t,
                                struct failure *f)
{
    struct ca_record ca;
    struct certificate_record record;
    enum status status = store_ca_get(view, slice_of_text(state->ca), &ca);
    if (status != STATUS_OK) {
        return failure_set(f, status,
                           status == STATUS_NOT_FOUND ? "there is no CA %s" : "the CA %s cannot be read",
                           state->ca);
    }
    if (ca.issuer.len == 0) {
        return failure_set(f, STATUS_INVALID,
                           "no CA of this cluster has issued the CA %s, so none can revoke it: who issued it "
                           "does; \"ca untrust\" takes away our trust in it",
                           state->ca);
    }
    status = store_certificate_get(view, ca.thumbprint, &record);
    if (status != STATUS_OK || !ca_serial_read(record.serial, t->entry.serial, &t->entry.serial_len)) {
        return failure_set(f, STATUS_CORRUPT, "the certificate of the CA %s cannot be read", state->ca);
    }
    t->issuer = ca.issuer;
    return STATUS_OK;
}

static enum status target_of_certificate(struct store_view *view, const struct revoke_state *state,
                                         struct target *t, struct failure *f)
{
    struct ca_issued_record issued;
    enum status status = store_ca_issued_get(view, state->thumbprint, &issued);
    if (status != STATUS_OK) {
        return failure_set(f, status, "the certificate's record cannot be read");
    }
    if (issued.ca.len == 0) {
        return failure_set(f, STATUS_INVALID,
                           "the certificate is of a CA elsewhere: who issued it revokes it; \"ctl deny\" "
                           "refuses it here");
    }
    memcpy(t->entry.serial, issued.serial.data, issued.serial.len);
    t->entry.serial_len = issued.serial.len;
    t->issuer = issued.ca;
    return STATUS_OK;
}

static enum status target_of(struct exchange *x, struct store_view *view, struct target *t, struct failure *f)
{
    const struct revoke_state *state = x->state;
    *t = (struct target){.entry.serial_len = 0};
    (void)ca_reason_named(api_body_text(x->body, "reason"), &t->entry.reason);
    return state->ca[0] != '\0' ? target_of_ca(view, state, t, f) : target_of_certificate(view, state, t, f);
}

static void list_made(struct exchange *x, const struct bus_answer *answer)
{
    const struct ca_list_job *j = (const struct ca_list_job *)x->done;
    const struct revoke_state *state = x->state;
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    struct target t;
    struct command c;
    (void)answer;
    if (view == NULL) {
        return;
    }
    bool is_ca = state->ca[0] != '\0';
    exchange_command(x, &c, is_ca ? COMMAND_CA_REVOKE_CA : COMMAND_CA_REVOKE);
    enum status status = target_of(x, view, &t, &f);
    if (status == STATUS_OK) {
        status = ca_list_fill(j, 3, &c, &f);
    }
    if (status == STATUS_OK) {
        c.values[0].bytes = t.issuer;
        c.values[1].bytes =
            is_ca ? slice_of_text(state->ca) : slice_of(state->thumbprint, sizeof(state->thumbprint));
        c.values[2].number = t.entry.reason;
        status = exchange_write_add(x, &c, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_write_run(x, false, revoked);
}

static void revoke(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    struct target t;
    if (view == NULL) {
        return;
    }
    enum status status = target_of(x, view, &t, &f);
    if (status == STATUS_OK) {
        status = ca_list_run(x, view, t.issuer, &t.entry, list_made, &f);
    }
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
    }
}

/* NULL: the exchange was failed. */
static struct revoke_state *revoke_begin(struct exchange *x)
{
    struct revoke_state *state = arena_alloc(&x->arena, sizeof(*state));
    if (exchange_view(x) == NULL) {
        return NULL;
    }
    if (state == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the revocation");
        return NULL;
    }
    *state = (struct revoke_state){.tries = 0};
    x->state = state;
    return state;
}

void ca_revoke(struct exchange *x)
{
    struct revoke_state *state = revoke_begin(x);
    struct ca_issued_record issued;
    struct ca_revoked_record revoked;
    if (state == NULL || !ca_issued_named(x, x->view, api_body_text(x->body, "thumbprint"), &issued)) {
        return;
    }
    if (store_ca_revoked_get(x->view, issued.ca, issued.serial, &revoked) == STATUS_OK) {
        exchange_failf(x, STATUS_EXISTS, "the certificate is revoked already");
        return;
    }
    memcpy(state->thumbprint, issued.thumbprint, THUMBPRINT_SIZE);
    revoke(x);
}

void ca_revoke_ca(struct exchange *x)
{
    struct revoke_state *state = revoke_begin(x);
    struct ca_revoked_record revoked;
    struct failure f = {.status = STATUS_OK};
    struct target t;
    if (state == NULL) {
        return;
    }
    ca_text_copy(state->ca, sizeof(state->ca), slice_of_text(x->parameters[0]));
    if (target_of(x, x->view, &t, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    if (store_ca_revoked_get(x->view, t.issuer, slice_of(t.entry.serial, t.entry.serial_len), &revoked) ==
        STATUS_OK) {
        exchange_failf(x, STATUS_EXISTS, "the CA %s is revoked already", state->ca);
        return;
    }
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
