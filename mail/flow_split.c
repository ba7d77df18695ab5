/*
 * When policy refuses some recipients of a message and not the others (setting partial.recipients).
 *
 * refuse-all: nothing goes to anybody, and the one reply names each refused recipient. split: the others are
 * served, and the sender is sent one notification about the refused (smtp makes it; mail/job.h). Over LMTP
 * the client gets a reply for each recipient: there it is always split, and no notification is needed.
 *
 * It is split only when nobody is left in the dark by it: there must be a sender who can be told (never the
 * null sender), policy must let a notification through to him, and each refusal must be for good. A refusal
 * that may pass by itself defers the whole message: it comes again, and is then served whole or split. When
 * From and the envelope's sender are two addresses, both must say split.
 *
 * What encrypt.on_failure puts aside is put aside for all recipients, as it came. Pure; one thread.
 */
#include "mail/flow_internal.h"

static bool for_each(const struct flow *fl)
{
    return (fl->job->flags & JOB_REPLY_FOR_EACH) != 0;
}

static bool is_temporary(enum status status)
{
    return status_smtp_code(status) < 500;
}

/* As a whole: some recipients' mail may not leave as it is, and what the others would get is decided when it
 * is released, from the same bytes. A refusal for good of another recipient goes before: it is told now. */
bool split_puts_aside(struct flow *fl)
{
    struct job_result *r = &fl->out->result;
    const struct policy_recipient *first = NULL;
    for (size_t i = 0; i < fl->decision.recipient_count; i++) {
        const struct policy_recipient *recipient = &fl->decision.recipients[i];
        if (recipient->put_aside) {
            first = first != NULL ? first : recipient;
        } else if (recipient->status != STATUS_OK && !is_temporary(recipient->status)) {
            return false;
        }
    }
    if (first == NULL) {
        return false;
    }
    r->status = STATUS_OK;
    r->put_aside = true;
    r->text = first->reason;
    r->refusal_count = 0;
    json_put_text(&fl->trace, "partial", SLICE_LITERAL("put aside as it came: encrypt.on_failure"));
    return true;
}

static enum status says_split(struct flow *fl, struct slice address, bool *says, struct failure *f)
{
    struct setting_value value;
    enum status status = setting_get(fl->env->view, setting_at(SETTING_PARTIAL_RECIPIENTS), address, &value);
    *says = status == STATUS_OK && slice_equal(value.text, SLICE_LITERAL("split"));
    return status == STATUS_OK ? status
                               : failure_set(f, status, "the setting partial.recipients could not be read");
}

/* What would become of a notification to the sender? */
enum status split_may_notify(struct flow *fl, struct slice sender, bool *may, struct failure *f)
{
    struct policy_facts facts = {.now_ms = fl->job->now_ms, .known = fl->env->known};
    struct policy_decision decision = {0};
    enum status status =
        policy_decide(fl->env->view, fl->env->trust, &facts, &sender, 1, fl->arena, &decision, f);
    *may = status == STATUS_OK && decision.recipient_count == 1 && decision.recipients[0].status == STATUS_OK;
    return status;
}

static enum status decide_by_setting(struct flow *fl, const char **why, struct failure *f)
{
    char text[ADDRESS_MAX + 1];
    struct slice sender;
    struct failure ignored = {.status = STATUS_OK};
    bool says = false;
    if (fl->job->sender.len == 0 || (fl->job->flags & JOB_NULL_SENDER_MADE_HERE) != 0) {
        *why = "refuse-all: the null sender cannot be told of a refusal later";
        return STATUS_OK;
    }
    if (address_normalise(fl->job->sender, text, &ignored) != STATUS_OK ||
        !arena_copy(fl->arena, slice_of_text(text), &sender)) {
        *why = "refuse-all: the sender's address cannot be used";
        return STATUS_OK;
    }
    enum status status = says_split(fl, sender, &says, f);
    if (status == STATUS_OK && says && fl->from[0] != '\0') {
        status = says_split(fl, slice_of_text(fl->from), &says, f);
    }
    if (status != STATUS_OK || !says) {
        *why = "refuse-all: partial.recipients";
        return status;
    }
    status = split_may_notify(fl, sender, &fl->split, f);
    *why = fl->split ? "split: partial.recipients"
                     : "refuse-all: policy lets no notification through to the sender";
    return status;
}

enum status split_decide(struct flow *fl, struct failure *f)
{
    const char *why = "split: each recipient has a reply of its own";
    enum status status = STATUS_OK;
    fl->split = for_each(fl);
    if (!fl->split) {
        status = decide_by_setting(fl, &why, f);
    }
    json_put_text(&fl->trace, "partial", slice_of_text(why));
    return status;
}

void split_settle(struct flow *fl)
{
    struct job_result *r = &fl->out->result;
    if (r->refusal_count == 0) {
        return;
    }
    bool split = fl->split && r->variant_count > 0;
    for (size_t i = 0; i < r->refusal_count && fl->split && !for_each(fl); i++) {
        if (is_temporary(r->refusals[i].status)) {
            split = false;
            r->status = r->refusals[i].status; /* 4xx for all, though another is refused for good */
            r->text = slice_of_text(status_text(r->status));
            break;
        }
    }
    if (split) {
        r->status = STATUS_OK;
        r->text = SLICE_LITERAL("");
    } else {
        mail_output_release(fl->out);
    }
}
