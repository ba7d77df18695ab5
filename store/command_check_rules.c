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

enum status check_rule_set(const struct command *c, struct failure *f)
{
    enum status status = record_name_check(c->values[0].bytes, "a rule", f);

    if (status == STATUS_OK && c->values[1].number > 1)
        status = failure_set(f, STATUS_INVALID, "a rule is enabled (1) or not (0)");
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
    char normal[ADDRESS_MAX + 1];
    struct slice rest = c->values[1].bytes, member;
    enum status status = check_group_remove(c, f);

    while (status == STATUS_OK && group_member_next(&rest, &member))
        status = group_member_normalise(member, normal, f);
    return status;
}
