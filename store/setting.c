/*
 * Looking a setting up: user, domain (exact, then wildcards from the longest), global, factory. Any thread
 * with a view of its own.
 */
#include "store/setting.h"

#include "base/nearest.h"
#include "store/records.h"
#include "store/tables.h"

#include <pthread.h>

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

static bool may_be_set_at(const struct setting *s, enum setting_level level)
{
    static const unsigned flags[] = {0, SETTING_AT_GLOBAL, SETTING_AT_DOMAIN, SETTING_AT_USER};

    return (unsigned)level < sizeof(flags) / sizeof(flags[0]) && (s->levels & flags[level]) != 0;
}

enum status setting_scope(const struct setting *s, uint64_t level, struct slice scope,
                          char out[SETTING_SCOPE_MAX + 1], struct failure *f)
{
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
    if (status == STATUS_OK && !may_be_set_at(s, (enum setting_level)level))
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

/* One level and scope that holds for an address; false to stop. */
typedef bool (*scope_visit_cb)(void *context, enum setting_level level, struct slice scope);

static void visit_domain_scopes(const char *domain, scope_visit_cb visit, void *context)
{
    char wildcard[DOMAIN_MAX + 3] = "*";
    const char *dot = domain;
    bool more = visit(context, SETTING_DOMAIN, slice_of_text(domain));

    while (more && (dot = strchr(dot, '.')) != NULL) {
        size_t len = strlen(dot);

        memcpy(wildcard + 1, dot, len + 1);
        more = visit(context, SETTING_DOMAIN, slice_of(wildcard, len + 1));
        dot++;
    }
    if (more)
        (void)visit(context, SETTING_GLOBAL, (struct slice){0});
}

/* The scopes of an address, the most specific first. A local part that has no normal form ("a b"@example.org)
 * has no settings of its own, but its domain's hold: else odd quoting would get round them. */
static void visit_scopes(struct slice address, scope_visit_cb visit, void *context)
{
    struct slice after_at = address_domain(address);
    char normal[ADDRESS_MAX + 1];

    if (address_normalise(address, normal, NULL) == STATUS_OK) {
        if (visit(context, SETTING_USER, slice_of_text(normal)))
            visit_domain_scopes(strrchr(normal, '@') + 1, visit, context);
    } else if (domain_normalise(after_at.len > 0 ? after_at : address, normal, NULL) == STATUS_OK) {
        visit_domain_scopes(normal, visit, context);
    } else {
        (void)visit(context, SETTING_GLOBAL, (struct slice){0});
    }
}

static struct setting_value factory_value(const struct setting *s)
{
    return (struct setting_value){
        .setting = s, .text = slice_of_text(s->default_text), .level = SETTING_FACTORY};
}

struct search {
    struct store_view *view;
    const struct setting *setting;
    struct setting_value *out;
    enum status status;
};

static bool search_scope(void *context, enum setting_level level, struct slice scope)
{
    struct search *search = context;

    if (may_be_set_at(search->setting, level))
        search->status = get_at(search->view, search->setting, level, scope, search->out);
    return search->status == STATUS_NOT_FOUND;
}

enum status setting_get(struct store_view *v, const struct setting *s, struct slice address,
                        struct setting_value *out)
{
    struct search search = {.view = v, .setting = s, .out = out, .status = STATUS_NOT_FOUND};

    visit_scopes(address, search_scope, &search);
    if (search.status == STATUS_NOT_FOUND) {
        *out = factory_value(s);
        search.status = STATUS_OK;
    }
    return search.status;
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

/* --- all settings of an address at once --- */

static struct setting_values factory; /* written once */
static pthread_once_t factory_once = PTHREAD_ONCE_INIT;

static void write_factory(void)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        factory.of[i] = factory_value(setting_at(i));
}

struct resolving {
    struct store_view *view;
    struct setting_values *out;
    uint64_t found[(SETTING_COUNT + 63) / 64]; /* in a scope; what is not is as the base says */
    const struct setting_values *base;         /* what holds globally, when it is known already */
    struct slice prefix;                       /* of the keys of the scope at hand */
    enum status status;
};

/* One that is set in the scope at hand. A more specific one was there before. */
static bool take_value(void *context, struct slice key, struct slice value)
{
    struct resolving *r = context;
    const struct setting *s;
    size_t i;

    if (!slice_starts_with(key, r->prefix))
        return false;
    s = setting_find(slice_of(key.data + r->prefix.len, key.len - r->prefix.len));
    i = s == NULL ? 0 : (size_t)(s - setting_at(0));
    if (s != NULL && (r->found[i / 64] >> i % 64 & 1) == 0 &&
        may_be_set_at(s, (enum setting_level)key.data[0])) {
        r->found[i / 64] |= UINT64_C(1) << i % 64;
        r->out->of[i] = (struct setting_value){.setting = s,
                                               .text = value,
                                               .level = (enum setting_level)key.data[0],
                                               .scope = slice_of(key.data + 1, r->prefix.len - 2)};
    }
    return true;
}

static bool resolve_scope(void *context, enum setting_level level, struct slice scope)
{
    struct resolving *r = context;
    uint8_t bytes[SETTING_KEY_MAX];

    if (level == SETTING_GLOBAL && r->base != NULL)
        return false;
    r->prefix = slice_of(bytes, setting_key_write(level, scope, (struct slice){0}, bytes));
    r->status = table_walk(r->view->store, r->view->txn, TABLE_SETTINGS, r->prefix, take_value, r);
    return r->status == STATUS_OK;
}

enum status settings_resolve(struct store_view *v, struct slice address, const struct setting_values *base,
                             struct setting_values *out)
{
    struct resolving r = {.view = v, .out = out, .base = base, .status = STATUS_OK};

    (void)pthread_once(&factory_once, write_factory);
    memcpy(out, base != NULL ? base : &factory, sizeof(*out)); /* padding as well: values are compared so */
    visit_scopes(address, resolve_scope, &r);
    return r.status;
}

enum status settings_all(struct store_view *v, setting_visit_cb cb, void *context)
{
    struct setting_walk walk = {.visit = cb, .context = context};

    return table_walk(v->store, v->txn, TABLE_SETTINGS, (struct slice){0}, visit_setting, &walk);
}
