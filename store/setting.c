/*
 * Looking a setting up: user, domain (exact, then wildcards from the longest), global, factory. Any thread
 * with a view of its own.
 */
#include "store/setting.h"

#include "base/nearest.h"
#include "store/records.h"
#include "store/tables.h"

const char *setting_level_name(enum setting_level level)
{
    static const char *const names[] = {"factory", "global", "domain", "user"};

    return (unsigned)level < 4 ? names[level] : "unknown";
}

const char *setting_nearest(struct slice name)
{
    struct nearest nearest = {.name = name};
    const struct setting *s;

    for (size_t i = 0; (s = setting_at(i)) != NULL; i++)
        nearest_offer(&nearest, s->name);
    return nearest.best;
}

const struct setting *setting_named(struct slice name, struct failure *f)
{
    const struct setting *s = setting_find(name);
    const char *near = s == NULL ? setting_nearest(name) : NULL;

    if (s == NULL)
        (void)failure_set(f, STATUS_NOT_FOUND, "there is no setting %.*s%s%s%s", SLICE_ARGS(name),
                          near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                          near != NULL ? "?" : "");
    return s;
}

enum status setting_scope(const struct setting *s, uint64_t level, struct slice scope,
                          char out[SETTING_SCOPE_MAX + 1], struct failure *f)
{
    static const unsigned flags[] = {0, SETTING_AT_GLOBAL, SETTING_AT_DOMAIN, SETTING_AT_USER};
    enum status status = STATUS_OK;

    if (level < SETTING_GLOBAL || level > SETTING_USER)
        return failure_set(f, STATUS_INVALID, "there is no level %llu", (unsigned long long)level);
    out[0] = '\0';
    if (level == SETTING_DOMAIN)
        status = domain_normalise(scope, out, f);
    else if (level == SETTING_USER)
        status = address_normalise(scope, out, f);
    else if (scope.len > 0)
        status = failure_set(f, STATUS_INVALID, "a global setting has no domain or user");
    if (status == STATUS_OK && (s->levels & flags[level]) == 0)
        status = failure_set(f, STATUS_INVALID, "%s cannot be set for a %s", s->name,
                             level == SETTING_GLOBAL ? "whole cluster"
                                                     : setting_level_name((enum setting_level)level));
    return status;
}

/* `scope` is in its normal form; the one in `out` is the map's copy. */
static enum status get_at(struct store_view *v, const struct setting *s, enum setting_level level,
                          struct slice scope, struct setting_value *out)
{
    uint8_t bytes[SETTING_KEY_MAX];
    struct slice key = slice_of(bytes, setting_key_write(level, scope, slice_of_text(s->name), bytes));
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_SETTINGS, &key, &value);

    if (status == STATUS_OK)
        *out = (struct setting_value){
            .setting = s, .text = value, .level = level, .scope = slice_of(key.data + 1, scope.len)};
    return status;
}

enum status setting_get_exact(struct store_view *v, const struct setting *s, enum setting_level level,
                              struct slice scope, struct setting_value *out)
{
    char normal[SETTING_SCOPE_MAX + 1];

    if (setting_scope(s, level, scope, normal, NULL) != STATUS_OK)
        return STATUS_NOT_FOUND; /* nothing can be set there */
    return get_at(v, s, level, slice_of_text(normal), out);
}

static enum status get_for_domain(struct store_view *v, const struct setting *s, const char *domain,
                                  struct setting_value *out)
{
    char wildcard[DOMAIN_MAX + 3] = "*";
    const char *dot = domain;
    enum status status = get_at(v, s, SETTING_DOMAIN, slice_of_text(domain), out);

    while (status == STATUS_NOT_FOUND && (dot = strchr(dot, '.')) != NULL) {
        size_t len = strlen(dot);

        memcpy(wildcard + 1, dot, len + 1);
        status = get_at(v, s, SETTING_DOMAIN, slice_of(wildcard, len + 1), out);
        dot++;
    }
    return status;
}

enum status setting_get(struct store_view *v, const struct setting *s, struct slice address,
                        struct setting_value *out)
{
    struct slice after_at = address_domain(address);
    char normal[ADDRESS_MAX + 1];
    const char *domain = NULL;
    enum status status = STATUS_NOT_FOUND;

    /* A local part that has no normal form ("a b"@example.org) has no settings of its own, but its domain's
     * hold: else odd quoting would get round them. */
    if (address_normalise(address, normal, NULL) == STATUS_OK) {
        domain = strrchr(normal, '@') + 1;
        if ((s->levels & SETTING_AT_USER) != 0)
            status = get_at(v, s, SETTING_USER, slice_of_text(normal), out);
    } else if (domain_normalise(after_at.len > 0 ? after_at : address, normal, NULL) == STATUS_OK) {
        domain = normal;
    }
    if (status == STATUS_NOT_FOUND && domain != NULL && (s->levels & SETTING_AT_DOMAIN) != 0)
        status = get_for_domain(v, s, domain, out);
    if (status == STATUS_NOT_FOUND)
        status = get_at(v, s, SETTING_GLOBAL, (struct slice){0}, out);
    if (status != STATUS_NOT_FOUND)
        return status;
    *out = (struct setting_value){
        .setting = s, .text = slice_of_text(s->default_text), .level = SETTING_FACTORY};
    return STATUS_OK;
}

struct setting_walk {
    setting_visit_cb visit;
    void *context;
};

static bool visit_setting(void *context, struct slice key, struct slice value)
{
    struct setting_walk *walk = context;
    struct setting_value out = {.text = value};
    struct slice rest = slice_of(key.data + 1, key.len - 1);
    size_t nul = slice_find_byte(rest, 0);

    if (nul == rest.len)
        return true;
    out.level = (enum setting_level)key.data[0];
    out.scope = slice_of(rest.data, nul);
    out.setting = setting_find(slice_of(rest.data + nul + 1, rest.len - nul - 1));
    return out.setting == NULL || walk->visit(walk->context, &out); /* unknown: set by a newer release */
}

enum status settings_all(struct store_view *v, setting_visit_cb cb, void *context)
{
    struct setting_walk walk = {.visit = cb, .context = context};

    return table_walk(v->store, v->txn, TABLE_SETTINGS, (struct slice){0}, visit_setting, &walk);
}
