/*
 * What the sender asks for by whom the mail is to: groups of recipients (trigger.group.*). Asked for each
 * recipient, on top of what the message asks for (mail/policy_trigger.c).
 *
 * The lists of From and of the envelope's sender both count: another From takes nobody out of a group. A
 * group that is not there would silently hold nobody: then the message is refused, as by a rule that names
 * one. Pure but for the store's groups; any thread.
 */
#include "mail/policy_internal.h"

struct membership {
    const struct setting_value *list;
    struct slice group; /* of the list, that holds the recipient; "": none */
};

static bool note_group(void *context, struct slice group)
{
    struct membership *m = context;
    struct slice item;
    for (size_t i = 0; m->group.len == 0 && setting_text_at(m->list, i, &item); i++) {
        if (slice_equal(item, group)) {
            m->group = item;
        }
    }
    return m->group.len == 0;
}

/* The value of a trigger.group setting: is each group there? */
static enum status groups_exist(struct store_view *view, const struct setting_value *list, struct failure *f)
{
    struct group_record record;
    struct slice item;
    for (size_t i = 0; setting_text_at(list, i, &item); i++) {
        enum status status = store_group_get(view, item, &record);
        if (status == STATUS_NOT_FOUND) {
            return failure_set(f, STATUS_INVALID, "%s: there is no group %.*s", list->setting->name,
                               SLICE_ARGS(item));
        }
        if (status != STATUS_OK) {
            return failure_set(f, status, "%s: the group %.*s could not be read", list->setting->name,
                               SLICE_ARGS(item));
        }
    }
    return STATUS_OK;
}

static enum status ask(struct policy_context *c, const struct policy_recipient *r,
                       const struct setting_value *list, const char **because, struct failure *f)
{
    struct membership m = {.list = list};
    if (list->text.len == 0 || *because != NULL) {
        return STATUS_OK;
    }
    enum status status = groups_exist(c->view, list, f);
    if (status != STATUS_OK) {
        return status == STATUS_INVALID ? STATUS_UNAVAILABLE : status; /* it may be there again soon */
    }
    status = store_groups_of(c->view, r->address, note_group, &m);
    if (status != STATUS_OK) {
        return failure_set(f, status, "%s: the groups of the recipient could not be read",
                           list->setting->name);
    }
    if (m.group.len > 0) {
        *because =
            arena_printf(c->arena, "the recipient is in the group %.*s (%s of %s)", SLICE_ARGS(m.group),
                         list->setting->name, policy_value_origin(list, c->arena));
    }
    return m.group.len > 0 && *because == NULL
               ? failure_set(f, STATUS_NO_MEMORY, "no memory for the decision")
               : STATUS_OK;
}

enum status policy_groups_ask(struct policy_context *c, const struct policy_recipient *r,
                              struct policy_triggers *asked, struct failure *f)
{
    const struct setting_values *sides[] = {c->of_sender, c->of_envelope};
    enum status status = STATUS_OK;
    *asked = c->triggers;
    for (size_t i = 0; i < 2 && sides[i] != NULL && status == STATUS_OK; i++) {
        status = ask(c, r, &sides[i]->of[SETTING_TRIGGER_GROUP_ENCRYPT], &asked->encrypt, f);
        if (status == STATUS_OK) {
            status = ask(c, r, &sides[i]->of[SETTING_TRIGGER_GROUP_SIGN], &asked->sign, f);
        }
    }
    return status;
}

bool policy_groups_may_sign(const struct policy_context *c)
{
    return c->of_sender->of[SETTING_TRIGGER_GROUP_SIGN].text.len > 0 ||
           (c->of_envelope != NULL && c->of_envelope->of[SETTING_TRIGGER_GROUP_SIGN].text.len > 0);
}

bool policy_setting_names_groups(const struct setting *setting)
{
    return setting == setting_at(SETTING_TRIGGER_GROUP_ENCRYPT) ||
           setting == setting_at(SETTING_TRIGGER_GROUP_SIGN);
}

bool policy_value_names_group(const struct setting_value *value, struct slice group)
{
    struct slice item;
    for (size_t i = 0; policy_setting_names_groups(value->setting) && setting_text_at(value, i, &item); i++) {
        if (slice_equal(item, group)) {
            return true;
        }
    }
    return false;
}

enum status policy_groups_check(struct store_view *view, const struct setting *setting, struct slice value,
                                struct failure *f)
{
    struct setting_value list = {.setting = setting, .text = value};
    return policy_setting_names_groups(setting) ? groups_exist(view, &list, f) : STATUS_OK;
}
