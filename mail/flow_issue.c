/*
 * A sender of ours who is to be signed for and has no usable key may get one on demand: the role's callback
 * makes it, and the message is decided anew on a view that holds it. Without one, or when the callback says
 * no, the decision stands: sign.on_missing_key. When nothing can be said now the message is deferred, for it
 * might have been signed. Pure; one thread.
 */
#include "mail/flow_internal.h"

enum status flow_issue(struct flow *fl, struct policy_facts *facts, struct failure *f)
{
    struct failure why = {.status = STATUS_OK};
    if (fl->env->issue_key == NULL || facts->from.len == 0) {
        return STATUS_OK;
    }
    enum status status = fl->env->issue_key(fl->env, facts->from, &why);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "a certificate for %.*s cannot be issued now: %s",
                           SLICE_ARGS(facts->from), why.text[0] != '\0' ? why.text : status_text(status));
    }
    facts->rules = fl->env->rules;
    return policy_decide(fl->env->view, fl->env->trust, facts, fl->addresses, fl->job->recipient_count,
                         fl->arena, &fl->decision, f);
}
