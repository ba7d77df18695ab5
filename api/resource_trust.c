/*
 * POST /v1/trust: certificates become trust anchors, and are stored if they are not yet. Only a CA's
 * certificate or a self-signed one may: trusting a partner's end-entity certificate by mistake would say
 * nothing about who issued it.
 */
#include "api/certificate_import.h"
#include "api/json_out.h"
#include "api/resources.h"

static const struct api_field request_fields[] = {
    CERTIFICATE_DATA_FIELD(CERTIFICATE_DATA_KINDS),
    {.name = "comment", .type = API_TEXT, .max = 200, .help = "why it is trusted"},
    {.name = "force", .type = API_BOOL, .help = "also a certificate that is neither a CA's nor self-signed"},
};
const struct api_object trust_request_object = {.name = "TrustRequest", API_FIELDS(request_fields)};

struct trust_state {
    struct certificate_import import;
    size_t first_trust_write;
};

static void trusted(struct exchange *x, const struct bus_answer *answer)
{
    struct trust_state *state = x->state;
    json_t *items;
    (void)answer;
    for (size_t i = 0; i < state->import.count; i++) {
        const struct exchange_write *w = &x->writes[state->first_trust_write + i];
        if (w->status != STATUS_OK && w->status != STATUS_EXISTS) {
            exchange_failf(x, w->status, "certificate %zu of %zu: %s", i + 1, state->import.count,
                           w->text[0] != '\0' ? w->text : status_text(w->status));
            return;
        }
    }
    if (!import_results(x, &state->import, &items)) {
        return;
    }
    for (size_t i = 0; i < state->import.count; i++) {
        const struct exchange_write *w = &x->writes[state->first_trust_write + i];
        json_t *entry = json_array_get(items, i);
        json_put(entry, "result", json_string(w->status == STATUS_OK ? "added" : "exists"));
    }
    exchange_answer(x, json_page(items, NULL));
}

static bool may_be_anchor(const struct certificate_record *record)
{
    return (record->uses & CERT_USE_CA) != 0 || slice_equal(record->subject, record->issuer);
}

static void anchors_add(struct exchange *x, struct trust_state *state)
{
    struct failure f = {.status = STATUS_OK};
    for (size_t i = 0; i < state->import.count; i++) {
        const struct certificate_record *record = &state->import.records[i];
        if (!may_be_anchor(record) && !api_body_bool(x->body, "force")) {
            exchange_failf(
                x, STATUS_INVALID,
                "certificate %zu of %zu is neither that of a CA nor self-signed; \"force\" trusts it anyway",
                i + 1, state->import.count);
            return;
        }
        struct command c;
        exchange_command(x, &c, COMMAND_TRUST_ADD);
        c.values[0].bytes = slice_of(record->thumbprint, THUMBPRINT_SIZE);
        c.values[1].bytes = api_body_text(x->body, "comment");
        if (exchange_write_add(x, &c, &f) != STATUS_OK) {
            exchange_fail(x, &f);
            return;
        }
    }
    x->state = state;
    exchange_write_run(x, false, trusted);
}

void trust_add(struct exchange *x)
{
    struct buf content = BUF_INIT(API_BODY_MAX);
    struct failure f = {.status = STATUS_OK};
    struct certificate_file *file = arena_alloc(&x->arena, sizeof(*file));
    struct trust_state *state = arena_alloc(&x->arena, sizeof(*state));
    if (file == NULL || state == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificates");
    } else if (import_file_of_body(x, "data", &content)) {
        if (certificate_file_read(buf_slice(&content), &x->arena, file, &f) != STATUS_OK) {
            exchange_fail_field(x, &f, "data");
        } else if (import_certificates(x, file, &state->import)) {
            state->first_trust_write = x->write_count;
            anchors_add(x, state);
        }
    }
    buf_release(&content);
}
