/*
 * POST /v1/policy/explain: what would become of a message, by the very function that decides about mail
 * (mail/policy.h), on this node's present state. Without a message, From is the envelope's sender.
 */
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"
#include "mail/address_list.h"
#include "mail/policy.h"
#include "mail/shape.h"

#define MESSAGE_MAX ((uint32_t)2 << 20) /* bytes; the header and the outermost shape are what counts */

static const struct api_field request_fields[] = {
    {.name = "from",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .max = ADDRESS_MAX,
     .help = "the envelope's sender; empty: the null sender"},
    {.name = "to",
     .type = API_TEXTS,
     .flags = API_REQUIRED,
     .min = 1,
     .max = ADDRESS_MAX,
     .help = "recipients"},
    {.name = "subject", .type = API_TEXT, .max = 998},
    {.name = "message",
     .type = API_BASE64,
     .max = MESSAGE_MAX,
     .help = "in base64; its From, Subject and shape count then"},
};
const struct api_object explain_request_object = {.name = "ExplainRequest", API_FIELDS(request_fields)};

static const struct api_field recipient_fields[] = {
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "direction", .type = API_TEXT, .flags = API_REQUIRED, .choices = "outgoing|incoming"},
    {.name = "protection", .type = API_TEXTS, .flags = API_REQUIRED, .help = "sign, encrypt"},
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
    {.name = "signer",
     .type = API_TEXT,
     .help = "thumbprint of the certificate that would sign; absent if none"},
    {.name = "trace",
     .type = API_ANY,
     .flags = API_REQUIRED,
     .help = "each setting and rule: see docs/policy.md"},
};
const struct api_object explain_object = {.name = "Explanation", API_FIELDS(explain_fields)};

struct question {
    struct policy_facts facts;
    struct slice *recipients;
    size_t recipient_count;
    char sender[ADDRESS_MAX + 1], from[ADDRESS_MAX + 1];
};

static bool recipients_read(struct exchange *x, struct question *q)
{
    const json_t *to = json_object_get(x->body, "to");
    struct failure f = {.status = STATUS_OK};
    size_t i;
    json_t *entry;
    q->recipients = arena_alloc_array(&x->arena, json_array_size(to), sizeof(*q->recipients));
    if (q->recipients == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the recipients");
        return false;
    }
    json_array_foreach(to, i, entry)
    {
        char address[ADDRESS_MAX + 1];
        struct slice text = slice_of(json_string_value(entry), json_string_length(entry));
        if (address_normalise(text, address, &f) != STATUS_OK) {
            failure_wrap(&f, f.status, "recipient %zu", i + 1);
            exchange_fail_field(x, &f, "to");
            return false;
        }
        if (!arena_copy(&x->arena, slice_of_text(address), &q->recipients[i])) {
            exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the recipients");
            return false;
        }
    }
    q->recipient_count = i;
    return true;
}

/* What the message itself says. Its bytes live in `content`, which outlives the decision. */
static bool message_read(struct exchange *x, struct question *q, const struct buf *content)
{
    struct failure f = {.status = STATUS_OK};
    struct entity message;
    struct shape shape = {0};
    enum status status = entity_read(buf_slice(content), &x->arena, &message, &f);
    if (status == STATUS_OK) {
        status = shape_of(&message, &x->arena, &shape, &f);
    }
    if (status != STATUS_OK) {
        shape_release(&shape);
        exchange_fail_field(x, &f, "message");
        return false;
    }
    message_from(&message, q->from);
    q->facts.from = slice_of_text(q->from);
    q->facts.already_encrypted = shape_is_encrypted(&shape);
    q->facts.already_signed = shape_is_signed(&shape);
    shape_release(&shape);
    const struct header_field *subject = entity_field(&message, "Subject");
    if (subject != NULL && q->facts.subject.len == 0) {
        q->facts.subject = slice_trim(subject->value);
    }
    return true;
}

static bool question_read(struct exchange *x, struct question *q, struct buf *content)
{
    struct failure f = {.status = STATUS_OK};
    struct slice from = api_body_text(x->body, "from");
    if (from.len > 0 && address_normalise(from, q->sender, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "from");
        return false;
    }
    q->facts.envelope_sender = slice_of_text(q->sender);
    q->facts.from = q->facts.envelope_sender;
    q->facts.subject = api_body_text(x->body, "subject");
    q->facts.now_ms = clock_wall_ms();
    if (!recipients_read(x, q)) {
        return false;
    }
    if (json_object_get(x->body, "message") == NULL) {
        return true;
    }
    if (base64_text_decode(api_body_text(x->body, "message"), content) != STATUS_OK) {
        failure_set(&f, STATUS_MALFORMED, "message: must be base64");
        exchange_fail_field(x, &f, "message");
        return false;
    }
    return message_read(x, q, content);
}

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
    if (d->signer.certificate.len > 0) {
        json_put(object, "signer", json_of_hex(slice_of(d->signer.thumbprint, THUMBPRINT_SIZE)));
    }
    json_t *trace = json_loadb((const char *)d->trace.data, d->trace.len, 0, NULL);
    json_put(object, "trace", trace != NULL ? trace : json_null());
    return object;
}

void policy_explain(struct exchange *x)
{
    struct question q = {0};
    struct buf content = {.max = API_BODY_MAX, .wipe = true};
    struct policy_decision decision;
    struct failure f = {.status = STATUS_OK};
    struct store_view *view = exchange_view(x);
    if (view != NULL && question_read(x, &q, &content)) {
        enum status status = api_trust_refresh(x->api, view, &f);
        if (status == STATUS_OK) {
            status = policy_decide(view, x->api->trust, &q.facts, q.recipients, q.recipient_count, &x->arena,
                                   &decision, &f);
        }
        if (status == STATUS_OK) {
            exchange_answer(x, decision_to_json(&decision));
        } else {
            exchange_fail(x, &f);
        }
    }
    buf_release(&content);
}
