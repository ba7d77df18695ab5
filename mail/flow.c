/*
 * The way of a message through a worker (mail/flow.h): read, decide, group, make the variants.
 *
 * When all goes well: entity_read() checks the limits, policy_decide() says what is done for each recipient,
 * recipients of the same decision are grouped, and each group's variant is made by flow_outgoing.c or
 * flow_incoming.c. Encrypted variants are shared only by recipients whom To and Cc name: a blind recipient
 * gets a variant of his own, so that no recipient info tells of him.
 *
 * What can go wrong: policy refuses somebody, or a variant cannot be made. Then nothing goes to anybody (or,
 * by mail/flow_split.c, only to the others), and the answer names each recipient with the reason. There is no
 * way from a failure to plain text. Pure; one thread.
 */
#include "mail/flow_internal.h"

#include "mail/mime_text.h"
#include "mail/policy_internal.h"
#include "mail/seven_bit.h"

/* Refuse as a whole. */
static void fail(struct arena *a, struct mail_output *out, enum status status, const char *text)
{
    mail_output_release(out);
    out->result.refusal_count = 0; /* the text tells more */
    out->result.status = status == STATUS_OK ? STATUS_INTERNAL : status;
    if (reason_set(a, &out->result.text, "%s", text[0] != '\0' ? text : status_text(status)) != STATUS_OK) {
        out->result.text = SLICE_LITERAL("out of memory");
    }
}

/* A permanent refusal weighs more than one that may pass: else the message would be tried again for nothing.
 */
static void refuse(struct flow *fl, size_t recipient, enum status status, struct slice reason)
{
    struct job_result *r = &fl->out->result;
    if (r->status == STATUS_OK || (status_retryable(r->status) && !status_retryable(status))) {
        r->status = status;
        r->text = slice_of_text(status_text(status));
    }
    fl->is_refused[recipient] = true;
    r->refusals[r->refusal_count++] =
        (struct job_refusal){.recipient = recipient, .status = status, .reason = reason};
}

static void refuse_group(struct flow *fl, const struct flow_group *g, enum status status, const char *text)
{
    for (size_t i = 0; i < g->recipient_count; i++) {
        struct slice reason;
        if (reason_set(fl->arena, &reason, "%.*s: %s", SLICE_ARGS(fl->addresses[g->recipients[i]]),
                       text[0] != '\0' ? text : status_text(status)) != STATUS_OK) {
            reason = SLICE_LITERAL("out of memory");
        }
        refuse(fl, g->recipients[i], status, reason);
    }
}

/* --- reading --- */

static enum status normalise_recipients(struct flow *fl, struct failure *f)
{
    const struct job_message *job = fl->job;
    fl->addresses = arena_alloc_array(fl->arena, job->recipient_count, sizeof fl->addresses[0]);
    fl->group_of = arena_alloc_array(fl->arena, job->recipient_count, sizeof fl->group_of[0]);
    fl->outcome_of = arena_alloc_array(fl->arena, job->recipient_count, sizeof fl->outcome_of[0]);
    fl->options_of = arena_alloc_array(fl->arena, job->recipient_count, sizeof fl->options_of[0]);
    fl->headers_of = arena_alloc_array(fl->arena, job->recipient_count, sizeof fl->headers_of[0]);
    fl->out->result.refusals = arena_alloc_array(fl->arena, job->recipient_count, sizeof(struct job_refusal));
    fl->is_refused = arena_alloc_array(fl->arena, job->recipient_count, sizeof fl->is_refused[0]);
    if (fl->addresses == NULL || fl->group_of == NULL || fl->outcome_of == NULL || fl->headers_of == NULL ||
        fl->options_of == NULL || fl->is_refused == NULL || fl->out->result.refusals == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the recipients");
    }
    for (size_t i = 0; i < job->recipient_count; i++) {
        char address[ADDRESS_MAX + 1];
        struct failure why = {.status = STATUS_OK};
        if (address_normalise(job->recipients[i], address, &why) != STATUS_OK) {
            return failure_set(f, STATUS_NOT_FOUND, "%.*s: %s",
                               (int)(job->recipients[i].len < 100 ? job->recipients[i].len : 100),
                               (const char *)job->recipients[i].data, why.text);
        }
        if (!arena_copy(fl->arena, slice_of_text(address), &fl->addresses[i])) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for the recipients");
        }
    }
    return STATUS_OK;
}

static enum status read_message(struct flow *fl, struct slice message, struct failure *f)
{
    if (mime_has_bare_line_end(message)) {
        return failure_set(f, STATUS_MALFORMED, "the message has line ends other than CRLF");
    }
    enum status status = entity_read(message, fl->arena, &fl->message, f);
    if (status != STATUS_OK) {
        return status;
    }
    message_from(&fl->message, fl->from);
    if ((status = reply_read(fl, f)) != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < fl->message.field_count; i++) {
        fl->header_changes = fl->header_changes || field_stays_behind(&fl->message.fields[i]);
    }
    if ((status = shape_of(&fl->message, fl->arena, &fl->shape, f)) != STATUS_OK) {
        return status;
    }
    if ((status = message_facts_read(&fl->message, &fl->shape, fl->arena, &fl->facts, f)) != STATUS_OK) {
        return status;
    }
    status = named_addresses_read(&fl->message, fl->arena, &fl->named);
    return status == STATUS_OK ? STATUS_OK
                               : failure_set(f, status, "no memory for the addresses of the message");
}

/* Recipients for whom a certificate is wanted and none is stored: are there some elsewhere? What cannot be
 * found out goes into the facts. *again: there is more to decide on than before. */
static enum status look_up(struct flow *fl, struct policy_facts *facts, bool *again, struct failure *f)
{
    size_t count = 0, unanswered = 0;
    struct slice *wanted = arena_alloc_array(fl->arena, fl->job->recipient_count, sizeof wanted[0]);
    bool *failed = arena_alloc_array(fl->arena, fl->job->recipient_count, sizeof failed[0]);
    if (wanted == NULL || failed == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for what is looked up");
    }
    for (size_t i = 0; i < fl->decision.recipient_count; i++) {
        if (fl->decision.recipients[i].lacks_certificate) {
            failed[count] = false;
            wanted[count++] = fl->addresses[i];
        }
    }
    *again = count > 0 && fl->env->fetch_certificates != NULL &&
             fl->env->fetch_certificates(fl->env, wanted, count, failed);
    for (size_t i = 0; i < count; i++) {
        if (failed[i]) {
            wanted[unanswered++] = wanted[i];
        }
    }
    facts->unanswered = wanted;
    facts->unanswered_count = unanswered;
    *again = *again || unanswered > 0;
    return STATUS_OK;
}

static enum status decide(struct flow *fl, struct failure *f)
{
    char sender[ADDRESS_MAX + 1] = "";
    struct failure why = {.status = STATUS_OK};
    if (fl->job->sender.len > 0 && address_normalise(fl->job->sender, sender, &why) != STATUS_OK) {
        return failure_set(f, STATUS_INVALID, "the envelope's sender: %s", why.text);
    }
    struct policy_facts facts = {
        .from = slice_of_text(fl->from),
        .subject = fl->facts.subject,
        .message = &fl->facts,
        .flags = ((fl->job->flags & JOB_TLS) != 0 ? (unsigned)POLICY_TLS : 0u) |
                 ((fl->job->flags & JOB_RELEASED) != 0 ? (unsigned)POLICY_RELEASED : 0u) |
                 (fl->answers_encrypted ? (unsigned)POLICY_ANSWER : 0u),
        .listener = fl->job->listener,
        .client_ip = fl->job->client_ip,
        .now_ms = fl->job->now_ms,
        .known = fl->env->known,
        .rules = fl->env->rules,
    };
    if (!arena_copy(fl->arena, slice_of_text(sender), &facts.envelope_sender)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the sender");
    }
    enum status status = policy_decide(fl->env->view, fl->env->trust, &facts, fl->addresses,
                                       fl->job->recipient_count, fl->arena, &fl->decision, f);
    bool again = false;
    if (status == STATUS_OK) {
        status = look_up(fl, &facts, &again, f);
    }
    if (status == STATUS_OK && again) { /* what was decided may be of a view that is gone */
        facts.rules = fl->env->rules;
        status = policy_decide(fl->env->view, fl->env->trust, &facts, fl->addresses, fl->job->recipient_count,
                               fl->arena, &fl->decision, f);
    }
    return status == STATUS_OK && fl->decision.lacks_key ? flow_issue(fl, &facts, f) : status;
}

/* --- grouping --- */

static struct flow_group group_wanted(const struct flow *fl, size_t i)
{
    const struct policy_recipient *r = &fl->decision.recipients[i];
    struct flow_group g = {.direction = r->direction, .smime = r->smime, .first = r};
    if (r->direction == POLICY_INCOMING) {
        g.outcome = fl->outcome_of[i];
        g.options = fl->options_of[i];
        return g;
    }
    g.protection = r->protection;
    g.headers = fl->headers_of[i];
    g.opaque = r->opaque && (r->protection & PROTECT_SIGN) != 0;
    g.smime = false;
    if ((r->protection & PROTECT_ENCRYPT) != 0) {
        g.cipher = r->cipher;
        g.compress = r->compress;
        g.transport = r->transport;
        g.alone = !named_addresses_hold(&fl->named, r->address);
    }
    return g;
}

/* What rules ask for beside protection is the same. */
static bool extras_agree(const struct policy_recipient *a, const struct policy_recipient *b)
{
    bool agree = a->quarantine == b->quarantine && slice_equal(a->quarantine_reason, b->quarantine_reason) &&
                 slice_equal(a->next_hop, b->next_hop) && a->tag_count == b->tag_count;
    for (size_t i = 0; agree && i < a->tag_count; i++) {
        agree = slice_equal(a->tags[i], b->tags[i]);
    }
    return agree;
}

static bool groups_agree(const struct flow_group *a, const struct flow_group *b)
{
    return !a->alone && !b->alone && a->direction == b->direction && a->protection == b->protection &&
           a->opaque == b->opaque && a->headers == b->headers && a->smime == b->smime &&
           a->outcome == b->outcome && incoming_options_agree(&a->options, &b->options) &&
           slice_equal(a->cipher, b->cipher) && a->compress == b->compress && a->transport == b->transport &&
           extras_agree(a->first, b->first);
}

static enum status group_recipients(struct flow *fl, struct failure *f)
{
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        if (fl->is_refused[i]) {
            continue;
        }
        struct flow_group wanted = group_wanted(fl, i);
        size_t at = 0;
        while (at < fl->group_count && !groups_agree(&fl->groups[at], &wanted)) {
            at++;
        }
        if (at == JOB_VARIANTS_MAX) {
            return failure_set(
                f, STATUS_TOO_LARGE,
                "the message would need more than %d different forms: send it to fewer recipients at once",
                JOB_VARIANTS_MAX);
        }
        if (at == fl->group_count) {
            fl->groups[fl->group_count++] = wanted;
        }
        fl->groups[at].recipient_count++;
        fl->group_of[i] = at;
    }
    for (size_t g = 0; g < fl->group_count; g++) {
        fl->groups[g].recipients =
            arena_alloc_array(fl->arena, fl->groups[g].recipient_count, sizeof(size_t));
        if (fl->groups[g].recipients == NULL) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for the variants");
        }
        fl->groups[g].recipient_count = 0;
    }
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        if (!fl->is_refused[i]) {
            struct flow_group *g = &fl->groups[fl->group_of[i]];
            g->recipients[g->recipient_count++] = i;
        }
    }
    return STATUS_OK;
}

/* --- making --- */

/* The fields that rules add stand in front. */
static enum status tags_append(const struct policy_recipient *r, struct buf *content)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < r->tag_count && status == STATUS_OK; i++) {
        status = buf_append_slice(content, r->tags[i]);
        status = status == STATUS_OK ? buf_append_text(content, "\r\n") : status;
    }
    return status;
}

static enum status make_variant(struct flow *fl, const struct flow_group *g, struct job_variant *v,
                                struct buf *content, struct failure *f)
{
    *v = (struct job_variant){.recipients = g->recipients, .recipient_count = g->recipient_count};
    *content = BUF_INIT(fl->content_max);
    json_open_object(&fl->trace, NULL);
    json_put_number(&fl->trace, "recipients", g->recipient_count);
    json_put_text(&fl->trace, "first_recipient", fl->addresses[g->recipients[0]]);
    v->quarantine = g->first->quarantine;
    v->quarantine_reason = g->first->quarantine_reason;
    v->next_hop = g->first->next_hop;
    enum status status = tags_append(g->first, content);
    if (status == STATUS_OK) {
        status = g->direction == POLICY_OUTGOING ? outgoing_make(fl, g, v, content, f)
                                                 : incoming_make(fl, g, v, content, f);
    }
    if (status == STATUS_OK && g->direction == POLICY_OUTGOING) {
        status = dkim_variant(fl, v, content, f);
    }
    json_put_text(&fl->trace, "protection", v->protection);
    json_put_bool(&fl->trace, "unchanged", v->unchanged);
    json_close_object(&fl->trace);
    return status;
}

static void make_variants(struct flow *fl)
{
    struct job_result *r = &fl->out->result;
    r->variants = arena_alloc_array(fl->arena, fl->group_count + 1, sizeof r->variants[0]);
    if (r->variants == NULL) {
        fail(fl->arena, fl->out, STATUS_NO_MEMORY, "no memory for the variants");
        return;
    }
    json_open_array(&fl->trace, "variants");
    for (size_t i = 0; i < fl->group_count; i++) {
        struct failure f = {.status = STATUS_OK};
        size_t at = r->variant_count;
        enum status status = make_variant(fl, &fl->groups[i], &r->variants[at], &fl->out->contents[at], &f);
        if (status == STATUS_OK) {
            r->variant_count++;
        } else {
            buf_release(&fl->out->contents[at]); /* what was made of it goes nowhere */
            refuse_group(fl, &fl->groups[i], status, f.text);
        }
    }
    json_close_array(&fl->trace);
}

/* The decision's trace is one JSON object: what the flow did goes in before its end. */
static void finish_trace(struct flow *fl)
{
    struct slice decided = fl->decision.trace;
    struct buf whole = BUF_INIT(JOB_TRACE_MAX);
    if (decided.len == 0) {
        return;
    }
    bool done = json_writer_status(&fl->trace) == STATUS_OK && fl->trace_text.len > 0 &&
                buf_append(&whole, decided.data, decided.len - 1) == STATUS_OK &&
                buf_append_byte(&whole, ',') == STATUS_OK &&
                buf_append_slice(&whole, buf_slice(&fl->trace_text)) == STATUS_OK &&
                buf_append_byte(&whole, '}') == STATUS_OK &&
                arena_copy(fl->arena, buf_slice(&whole), &fl->out->result.trace);
    if (!done) {
        fl->out->result.trace = decided.len <= JOB_TRACE_MAX ? decided : SLICE_LITERAL("");
    }
    buf_release(&whole);
}

static void run(struct flow *fl, struct slice message)
{
    struct failure f = {.status = STATUS_OK};
    enum status status = normalise_recipients(fl, &f);
    if (status == STATUS_OK) {
        status = read_message(fl, message, &f);
    }
    if (status == STATUS_OK) {
        subject_keep(fl);
        status = decide(fl, &f);
    }
    if (status != STATUS_OK) {
        fail(fl->arena, fl->out, status, f.text);
        return;
    }
    for (size_t i = 0; i < fl->decision.recipient_count; i++) {
        const struct policy_recipient *r = &fl->decision.recipients[i];
        if (r->status != STATUS_OK) {
            refuse(fl, i, r->status, r->reason);
        }
    }
    bool aside = split_puts_aside(fl);
    if (fl->decision.refused && !aside) {
        status = split_decide(fl, &f);
    }
    if (status == STATUS_OK && !aside && (!fl->decision.refused || fl->split)) {
        status = fl->decision.subject_changes ? subject_replace(fl, &f) : STATUS_OK;
        if (status == STATUS_OK) {
            status = incoming_open(fl, &f);
        }
        if (status == STATUS_OK) {
            status = outgoing_headers(fl, &f);
        }
        if (status == STATUS_OK) {
            status = group_recipients(fl, &f);
        }
        if (status == STATUS_OK) {
            make_variants(fl);
        }
        if (status == STATUS_OK && !fl->decision.refused && fl->out->result.refusal_count > 0) {
            status = split_decide(fl, &f);
        }
    }
    if (status == STATUS_OK) {
        split_settle(fl);
        status = notice_decide(fl, &f);
    }
    if (status != STATUS_OK) {
        fl->out->result.put_aside = false;
        fail(fl->arena, fl->out, status, f.text);
    }
    finish_trace(fl);
}

void mail_process(const struct mail_environment *env, const struct job_message *job, struct slice message,
                  struct arena *a, struct mail_output *out)
{
    memset(out, 0, sizeof *out);
    out->result.job = job->job;
    struct flow *fl = arena_alloc(a, sizeof *fl);
    if (fl == NULL || job->recipient_count == 0) {
        fail(a, out, fl == NULL ? STATUS_NO_MEMORY : STATUS_INVALID,
             fl == NULL ? "" : "the message has no recipients");
        return;
    }
    fl->env = arena_alloc(a, sizeof *fl->env);
    if (fl->env == NULL) {
        fail(a, out, STATUS_NO_MEMORY, "");
        return;
    }
    *fl->env = *env;
    fl->job = job;
    fl->arena = a;
    fl->out = out;
    fl->content_max = message.len * 4 + ((size_t)16 << 20);
    fl->trace_text = BUF_INIT(FLOW_TRACE_MAX);
    json_writer_init(&fl->trace, &fl->trace_text);
    run(fl, message);
    incoming_release(fl);
    shape_release(&fl->shape);
    outgoing_release(fl);
    buf_release(&fl->rewritten);
    buf_release(&fl->without_token);
    buf_release(&fl->trace_text);
}
