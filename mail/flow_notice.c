/*
 * Whether the sender is sent a notice of how the message was protected, or that it is held
 * (encrypt.notify_sender). smtp makes it (smtp/notice.c).
 *
 * Who gets it is the envelope's sender, so it is the setting of that address that counts; and only one of our
 * own: nobody else is written to because of a forged sender. Never a null sender, never about mail that a
 * program wrote by itself (RFC 3834 section 2), and only about mail to the outside. Pure; one thread.
 */
#include "mail/flow_internal.h"

static bool anything_leaves(const struct flow *fl)
{
    for (size_t i = 0; i < fl->decision.recipient_count; i++) {
        if (fl->decision.recipients[i].direction == POLICY_OUTGOING) {
            return true;
        }
    }
    return false;
}

static bool is_automatic(const struct flow *fl)
{
    static const char *const fields[] = {"List-Id", "List-Unsubscribe", "Precedence"};
    bool automatic = (fl->facts.kinds & (MESSAGE_REPORT | MESSAGE_AUTO_REPLY)) != 0;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        automatic = automatic || entity_field(&fl->message, fields[i]) != NULL;
    }
    return automatic;
}

static enum status wanted(struct flow *fl, struct slice sender, bool *out, struct failure *f)
{
    struct setting_value locality, notify;
    enum status status = setting_get(fl->env->view, setting_at(SETTING_DOMAIN_LOCALITY), sender, &locality);
    if (status == STATUS_OK) {
        status = setting_get(fl->env->view, setting_at(SETTING_ENCRYPT_NOTIFY_SENDER), sender, &notify);
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "the setting encrypt.notify_sender could not be read");
    }
    *out = slice_equal(locality.text, SLICE_LITERAL("internal")) &&
           (slice_equal(notify.text, SLICE_LITERAL("always")) ||
            (slice_equal(notify.text, SLICE_LITERAL("failure")) && fl->out->result.put_aside));
    return STATUS_OK;
}

enum status notice_decide(struct flow *fl, struct failure *f)
{
    char text[ADDRESS_MAX + 1];
    struct slice sender;
    struct failure ignored = {.status = STATUS_OK};
    bool may = false;
    if (fl->out->result.status != STATUS_OK || fl->job->sender.len == 0 ||
        (fl->job->flags & JOB_NULL_SENDER_MADE_HERE) != 0 || !anything_leaves(fl) || is_automatic(fl) ||
        address_normalise(fl->job->sender, text, &ignored) != STATUS_OK) {
        return STATUS_OK;
    }
    if (!arena_copy(fl->arena, slice_of_text(text), &sender)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the sender");
    }
    enum status status = wanted(fl, sender, &may, f);
    if (status == STATUS_OK && may) {
        status = split_may_notify(fl, sender, &may, f);
    }
    fl->out->result.notice = status == STATUS_OK && may;
    if (fl->out->result.notice) {
        json_put_text(&fl->trace, "notice", SLICE_LITERAL("the sender is sent one: encrypt.notify_sender"));
    }
    return status;
}
