/*
 * Settings as the policy decision reads them: always with where they came from, so that the trace and the
 * SMTP reply can name it.
 *
 * A failing store fails the look-up; nobody falls back to a default then. Pure; any thread.
 */
#include "mail/policy_internal.h"

enum status policy_setting(struct policy_context *c, const char *name, enum policy_side side,
                           struct slice address, struct policy_value *value, struct failure *f)
{
    const struct setting *setting = setting_find(slice_of_text(name));
    struct setting_value found;
    *value = (struct policy_value){.name = name, .side = side, .level = "factory"};
    if (setting == NULL) {
        return failure_set(f, STATUS_INTERNAL, "there is no setting %s", name);
    }
    enum status status = setting_get(c->view, setting, address, &found);
    if (status != STATUS_OK) {
        return failure_set(f, status, "the setting %s could not be read", name);
    }
    value->text = found.text;
    value->level = setting_level_name(found.level);
    value->scope = found.scope;
    return STATUS_OK;
}

bool policy_value_is(const struct policy_value *value, const char *text)
{
    return slice_equal(value->text, slice_of_text(text));
}

size_t policy_mode_rank(const struct policy_value *mode)
{
    static const char *const ranks[] = {"none", "opportunistic", "request"};
    for (size_t i = 0; i < sizeof ranks / sizeof ranks[0]; i++) {
        if (policy_value_is(mode, ranks[i])) {
            return i;
        }
    }
    return sizeof ranks / sizeof ranks[0];
}

const char *policy_value_origin(const struct policy_value *value, struct arena *a)
{
    const char *text;
    if (value->scope.len > 0) {
        text = arena_printf(a, "%s %.*s", value->level, SLICE_ARGS(value->scope));
    } else {
        text = strcmp(value->level, "factory") == 0 ? "factory default" : value->level;
    }
    return text != NULL ? text : value->level;
}
