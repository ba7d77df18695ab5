/*
 * See policy_question.h. Without a message, From is the envelope's sender; with `headers`, a message of these
 * fields and no content is made, of which the parts are not known.
 */
#include "api/policy_question.h"

#include "api/json_out.h"
#include "base/clock.h"
#include "mail/shape.h"

static void fail_field(struct exchange *x, struct failure *f, const char *field)
{
    failure_wrap(f, f->status, "%s", field);
    exchange_fail_field(x, f, field);
}

static bool recipients_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    const json_t *to = json_object_get(body, "to");
    struct failure f = {.status = STATUS_OK};
    size_t i;
    json_t *entry;
    q->recipients = arena_alloc_array(&x->arena, json_array_size(to) + 1, sizeof(*q->recipients));
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

/* --- the message --- */

/* The fields of the request as the header of a message. */
static bool header_compose(struct exchange *x, const json_t *headers, struct buf *content)
{
    struct failure f = {.status = STATUS_OK};
    enum status status = STATUS_OK;
    size_t i;
    json_t *entry;
    json_array_foreach(headers, i, entry)
    {
        struct slice text = slice_of(json_string_value(entry), json_string_length(entry));
        size_t colon = slice_find_byte(text, ':');
        if (colon == 0 || colon == text.len || !slice_is_text(text)) {
            failure_set(&f, STATUS_INVALID, "header %zu: a field looks like \"Sensitivity: private\"", i + 1);
            exchange_fail_field(x, &f, "headers");
            return false;
        }
        status = buf_append_slice(content, text);
        status = status == STATUS_OK ? buf_append_text(content, "\r\n") : status;
    }
    if (status != STATUS_OK || buf_append_text(content, "\r\n") != STATUS_OK) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the header");
        return false;
    }
    return true;
}

static bool content_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    struct failure f = {.status = STATUS_OK};
    if (json_object_get(body, "message") == NULL) {
        return header_compose(x, json_object_get(body, "headers"), &q->content);
    }
    if (json_object_get(body, "headers") != NULL) {
        failure_set(&f, STATUS_INVALID, "headers: a message has its own; give one or the other");
        exchange_fail_field(x, &f, "headers");
        return false;
    }
    if (base64_text_decode(api_body_text(body, "message"), &q->content) != STATUS_OK) {
        failure_set(&f, STATUS_MALFORMED, "message: must be base64");
        exchange_fail_field(x, &f, "message");
        return false;
    }
    return true;
}

static bool message_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    struct failure f = {.status = STATUS_OK};
    struct shape shape = {0};
    bool whole = json_object_get(body, "message") != NULL;
    if (!whole && json_object_get(body, "headers") == NULL) {
        return true;
    }
    if (!content_read(x, body, q)) {
        return false;
    }
    enum status status = entity_read(buf_slice(&q->content), &x->arena, &q->message, &f);
    if (status == STATUS_OK) {
        status = shape_of(&q->message, &x->arena, &shape, &f);
    }
    if (status == STATUS_OK) {
        status = message_facts_read(&q->message, &shape, &x->arena, &q->message_facts, &f);
    }
    shape_release(&shape);
    if (status != STATUS_OK) {
        exchange_fail_field(x, &f, whole ? "message" : "headers");
        return false;
    }
    if (!whole) { /* nobody said that it is empty */
        q->message_facts.kinds &= ~(unsigned)MESSAGE_EMPTY;
    }
    if (whole || entity_field(&q->message, "From") != NULL) {
        q->facts.from = slice_of_text(q->message_facts.from);
    }
    if (q->facts.subject.len == 0) {
        q->facts.subject = q->message_facts.subject;
    }
    q->facts.message = &q->message_facts;
    return true;
}

/* --- supposed settings --- */

/* [SCOPE:]NAME=VALUE. A setting's name has no colon, an address or domain has no equals sign before one. */
static bool proposal_read(struct exchange *x, struct slice text, struct policy_proposal *p, struct failure *f)
{
    size_t equals = slice_find_byte(text, '='), colon = 0;
    struct slice name = slice_of(text.data, equals), scope = {0};
    char normal[SETTING_SCOPE_MAX + 1];
    struct buf canonical = BUF_INIT(SETTING_VALUE_MAX);
    if (equals == text.len) {
        failure_set(f, STATUS_INVALID,
                    "a supposed setting looks like partner.example:encrypt.mode=mandatory");
        return false;
    }
    while (colon < name.len && name.data[colon] != ':') {
        colon++;
    }
    if (colon < name.len) {
        scope = slice_trim(slice_of(name.data, colon));
        name = slice_of(name.data + colon + 1, name.len - colon - 1);
    }
    p->level = scope.len == 0                            ? SETTING_GLOBAL
               : slice_find_byte(scope, '@') < scope.len ? SETTING_USER
                                                         : SETTING_DOMAIN;
    p->setting = setting_named(slice_trim(name), f);
    bool good = p->setting != NULL && setting_scope(p->setting, p->level, scope, normal, f) == STATUS_OK &&
                setting_canonical(p->setting, slice_of(text.data + equals + 1, text.len - equals - 1),
                                  &canonical, f) == STATUS_OK;
    if (good && (!arena_copy(&x->arena, slice_of_text(normal), &p->scope) ||
                 !arena_copy(&x->arena, buf_slice(&canonical), &p->text))) {
        failure_set(f, STATUS_NO_MEMORY, "there is no memory for a setting");
        good = false;
    }
    buf_release(&canonical);
    return good;
}

static bool proposals_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    const json_t *with = json_object_get(body, "with");
    struct failure f = {.status = STATUS_OK};
    size_t i;
    json_t *entry;
    struct policy_proposal *list = arena_alloc_array(&x->arena, json_array_size(with) + 1, sizeof list[0]);
    if (list == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the settings");
        return false;
    }
    json_array_foreach(with, i, entry)
    {
        struct slice text = slice_of(json_string_value(entry), json_string_length(entry));
        if (!proposal_read(x, text, &list[i], &f)) {
            fail_field(x, &f, "with");
            return false;
        }
    }
    q->facts.proposals = list;
    q->facts.proposal_count = i;
    return true;
}

/* --- all of it --- */

static bool time_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    struct failure f = {.status = STATUS_OK};
    q->facts.now_ms = clock_wall_ms();
    if (json_object_get(body, "at") == NULL ||
        time_parse_rfc3339(api_body_text(body, "at"), &q->facts.now_ms)) {
        return true;
    }
    failure_set(&f, STATUS_INVALID, "at: a time looks like 2026-11-24T10:05:04Z or 2026-11-24");
    exchange_fail_field(x, &f, "at");
    return false;
}

static bool sender_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    struct failure f = {.status = STATUS_OK};
    struct slice from = api_body_text(body, "from");
    char sender[ADDRESS_MAX + 1] = "";
    if (from.len > 0 && address_normalise(from, sender, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "from");
        return false;
    }
    if (!arena_copy(&x->arena, slice_of_text(sender), &q->facts.envelope_sender)) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the sender");
        return false;
    }
    q->facts.from = q->facts.envelope_sender;
    return true;
}

bool policy_question_read(struct exchange *x, const json_t *body, struct policy_question *q)
{
    *q = (struct policy_question){.content = {.max = API_BODY_MAX, .wipe = true}};
    q->facts.subject = api_body_text(body, "subject");
    q->facts.client_ip = api_body_text(body, "client");
    q->facts.listener = api_body_text(body, "listener");
    q->facts.flags = POLICY_TELL_ALL | (api_body_bool(body, "tls") ? (unsigned)POLICY_TLS : 0) |
                     (api_body_bool(body, "auth") ? (unsigned)POLICY_AUTH : 0);
    return sender_read(x, body, q) && time_read(x, body, q) && recipients_read(x, body, q) &&
           proposals_read(x, body, q) && message_read(x, body, q);
}

void policy_question_release(struct policy_question *q)
{
    buf_release(&q->content);
}
