/* Judging commands about rules and groups by themselves: see store/command_check_internal.h. What an
 * expression says is not judged here: see store/apply_rules.c. */
#include "store/command_check_internal.h"
#include "store/records.h"

static enum status check_place(uint64_t place, struct slice other, bool keep, struct failure *f)
{
    bool beside = place == RULE_PLACE_BEFORE || place == RULE_PLACE_AFTER;

    if (place > RULE_PLACE_LAST || (place == RULE_PLACE_KEEP && !keep))
        return failure_set(f, STATUS_INVALID,
                           "the place of a rule is before or after another one, first, or last");
    if (!beside && other.len > 0)
        return failure_set(f, STATUS_INVALID, "another rule is named, but not whether before or after it");
    return beside ? record_name_check(other, "a rule", f) : STATUS_OK;
}

static enum status check_text(struct slice text, const char *what, bool lines, struct failure *f)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];

        if ((c < ' ' && !(lines && (c == '\t' || c == '\n' || c == '\r'))) || c == 0x7f)
            return failure_set(f, STATUS_INVALID, "%s has a control character at position %zu", what, i + 1);
    }
    return STATUS_OK;
}

enum status check_rule_set(const struct command *c, struct failure *f)
{
    enum status status = record_name_check(c->values[0].bytes, "a rule", f);

    if (status == STATUS_OK && c->values[1].number > 1)
        status = failure_set(f, STATUS_INVALID, "a rule is enabled (1) or not (0)");
    if (status == STATUS_OK)
        status = check_text(c->values[2].bytes, "the expression", true, f);
    if (status == STATUS_OK)
        status = check_text(c->values[3].bytes, "the list of actions", true, f);
    if (status == STATUS_OK)
        status = check_text(c->values[4].bytes, "the comment", false, f);
    if (status == STATUS_OK)
        status = check_place(c->values[5].number, c->values[6].bytes, true, f);
    return status;
}

enum status check_rule_remove(const struct command *c, struct failure *f)
{
    return record_name_check(c->values[0].bytes, "a rule", f);
}

enum status check_rule_move(const struct command *c, struct failure *f)
{
    enum status status = record_name_check(c->values[0].bytes, "a rule", f);

    return status == STATUS_OK ? check_place(c->values[1].number, c->values[2].bytes, false, f) : status;
}

enum status check_group_remove(const struct command *c, struct failure *f)
{
    return record_name_check(c->values[0].bytes, "a group", f);
}

enum status check_group_member_remove(const struct command *c, struct failure *f)
{
    char normal[ADDRESS_MAX + 1];
    enum status status = check_group_remove(c, f);

    return status == STATUS_OK ? group_member_normalise(c->values[1].bytes, normal, f) : status;
}

enum status check_group_add(const struct command *c, struct failure *f)
{
    return c->values[1].bytes.len > 0 ? check_group_member_remove(c, f) : check_group_remove(c, f);
}
