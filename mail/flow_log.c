/*
 * The subject for the message log (mail/job.h), where the setting log.subjects allows it: decoded, in one
 * line of UTF-8, cut at a whole character. It has no part in the decision, and where it cannot be read there
 * is none. Pure; one thread.
 */
#include "mail/flow_internal.h"

static bool is_allowed(const struct flow *fl)
{
    struct setting_value value;
    return setting_get(fl->env->view, setting_at(SETTING_LOG_SUBJECTS), SLICE_LITERAL(""), &value) ==
               STATUS_OK &&
           setting_bool(&value);
}

void subject_keep(struct flow *fl)
{
    if (!is_allowed(fl)) {
        return;
    }
    struct slice whole = fl->facts.subject, subject = slice_of(whole.data, 0);
    for (;;) {
        struct slice rest = slice_of(whole.data + subject.len, whole.len - subject.len);
        size_t character = utf8_sequence(rest);
        if (rest.len == 0 || character == 0 || subject.len + character > JOB_SUBJECT_MAX) {
            break;
        }
        subject.len += character;
    }
    fl->out->result.subject = subject;
}
