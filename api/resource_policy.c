/*
 * POST /v1/policy/explain: what would become of a message, by the very function that decides about mail
 * (mail/policy.h), on this node's present state, or as if some settings were other ones, or at another time.
 */
#include "api/json_out.h"
#include "api/policy_question.h"
#include "api/resources.h"

static const struct api_field request_fields[] = {POLICY_QUESTION_FIELDS};
const struct api_object explain_request_object = {.name = "ExplainRequest", API_FIELDS(request_fields)};

static const struct api_field recipient_fields[] = {
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "direction", .type = API_TEXT, .flags = API_REQUIRED, .choices = "outgoing|incoming"},
    {.name = "protection", .type = API_TEXTS, .flags = API_REQUIRED, .help = "sign, encrypt"},
    {.name = "method", .type = API_TEXT, .help = "by which it would be encrypted, as in encrypt.methods"},
    {.name = "quarantine", .type = API_TEXT, .help = "why it would be put aside; absent: it would not"},
    {.name = "next_hop", .type = API_TEXT, .help = "where a rule sends it"},
    {.name = "tags", .type = API_TEXTS, .help = "header fields that rules add"},
    {.name = "status", .type = API_TEXT, .flags = API_REQUIRED, .help = "OK, or why it would be refused"},
    {.name = "reason",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "as the SMTP reply says it; empty if OK"},
    {.name = "certificates",
     .type = API_TEXTS,
     .flags = API_REQUIRED,
     .help = "thumbprints of those that it would be encrypted to"},
};
static const struct api_object recipient_object = {.name = "ExplainRecipient", API_FIELDS(recipient_fields)};

static const struct api_field explain_fields[] = {
    {.name = "refused", .type = API_BOOL, .flags = API_REQUIRED, .help = "the message would go to nobody"},
    {.name = "recipients", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &recipient_object},
    {.name = "subject",
     .type = API_TEXT,
     .help = "without the words that asked for something; absent: as it is"},
    {.name = "signer",
     .type = API_TEXT,
     .help = "thumbprint of the certificate that would sign; absent if none"},
    {.name = "trace",
     .type = API_ANY,
     .flags = API_REQUIRED,
     .help = "each setting and rule: see docs/policy.md"},
};
const struct api_object explain_object = {.name = "Explanation", API_FIELDS(explain_fields)};

static json_t *recipient_to_json(const struct policy_recipient *r)
{
    json_t *object = json_object(), *protection = json_array(), *certificates = json_array();
    json_put(object, "address", json_of_slice(r->address));
    json_put(object, "direction", json_string(r->direction == POLICY_OUTGOING ? "outgoing" : "incoming"));
    if ((r->protection & PROTECT_SIGN) != 0) {
        json_array_append_new(protection, json_string("sign"));
    }
    if ((r->protection & PROTECT_ENCRYPT) != 0) {
        json_array_append_new(protection, json_string("encrypt"));
    }
    json_put(object, "protection", protection);
    json_put(object, "status", json_string(status_name(r->status)));
    json_put(object, "reason", json_of_slice(r->reason));
    for (size_t i = 0; i < r->certificate_count; i++) {
        uint8_t thumbprint[THUMBPRINT_SIZE];
        sha256(r->certificates[i], thumbprint);
        json_array_append_new(certificates, json_of_hex(slice_of(thumbprint, sizeof(thumbprint))));
    }
    json_put(object, "certificates", certificates);
    if (r->method != NULL && (r->protection & PROTECT_ENCRYPT) != 0) {
        json_put(object, "method", json_string(policy_method_name(r->method)));
    }
    if (r->quarantine) {
        json_put(object, "quarantine", json_of_slice(r->quarantine_reason));
    }
    if (r->next_hop.len > 0) {
        json_put(object, "next_hop", json_of_slice(r->next_hop));
    }
    if (r->tag_count > 0) {
        json_t *tags = json_array();
        for (size_t i = 0; i < r->tag_count; i++) {
            json_array_append_new(tags, json_of_slice(r->tags[i]));
        }
        json_put(object, "tags", tags);
    }
    return object;
}

static json_t *decision_to_json(const struct policy_decision *d)
{
    json_t *object = json_object(), *recipients = json_array();
    json_put(object, "refused", json_boolean(d->refused));
    for (size_t i = 0; i < d->recipient_count; i++) {
        json_array_append_new(recipients, recipient_to_json(&d->recipients[i]));
    }
    json_put(object, "recipients", recipients);
    if (d->subject_changes) {
        json_put(object, "subject", json_of_slice(d->subject));
    }
    if (d->signer.certificate.len > 0) {
        json_put(object, "signer", json_of_hex(slice_of(d->signer.thumbprint, THUMBPRINT_SIZE)));
    }
    json_t *trace = json_loadb((const char *)d->trace.data, d->trace.len, 0, NULL);
    json_put(object, "trace", trace != NULL ? trace : json_null());
    return object;
}

void policy_explain(struct exchange *x)
{
    struct policy_question q = {.recipients = NULL};
    struct policy_decision decision;
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    if (view != NULL && policy_question_read(x, x->body, &q)) {
        enum status status = api_trust_refresh(x->api, view, &f);
        if (status == STATUS_OK) {
            status = api_rules_refresh(x->api, view, &f);
        }
        if (status == STATUS_OK) {
            q.facts.rules = x->api->rules;
            status = policy_decide(view, x->api->trust, &q.facts, q.recipients, q.recipient_count, &x->arena,
                                   &decision, &f);
        }
        if (status == STATUS_OK) {
            exchange_answer(x, decision_to_json(&decision));
        } else {
            exchange_fail(x, &f);
        }
    }
    policy_question_release(&q);
}
