/*
 * Looking a setting up: user, domain (exact, then wildcards from the longest), global, factory. Any thread
 * with a view of its own.
 */
#include "store/setting.h"

#include "store/records.h"
#include "store/tables.h"

#define NAME_MAX_LEN 64

const char *setting_level_name(enum setting_level level)
{
    static const char *const names[] = {"factory", "global", "domain", "user"};

    return (unsigned)level < 4 ? names[level] : "unknown";
}

static unsigned smallest(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;

    return least < c ? least : c;
}

/* Levenshtein's distance, one row at a time. */
static unsigned distance(struct slice a, struct slice b)
{
    unsigned row[NAME_MAX_LEN + 1];

    for (unsigned j = 0; j <= b.len; j++)
        row[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            unsigned above = row[j];

            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a.data[i - 1] != b.data[j - 1]));
            diagonal = above;
        }
    }
    return row[b.len];
}

const char *setting_nearest(struct slice name)
{
    const struct setting *s;
    const char *nearest = NULL;
    unsigned best = 4; /* what is farther is no slip of the finger */

    if (name.len > NAME_MAX_LEN)
        return NULL;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        unsigned d = distance(name, slice_of_text(s->name));

        if (d < best) {
            best = d;
            nearest = s->name;
        }
    }
    return nearest;
}

enum status setting_get_exact(struct store_view *v, const struct setting *s, enum setting_level level,
                              struct slice scope, struct setting_value *out)
{
    uint8_t key[SETTING_KEY_MAX];
    size_t len = setting_key_write(level, scope, slice_of_text(s->name), key);
    struct slice value;
    enum status status = table_get(v->store, v->txn, TABLE_SETTINGS, slice_of(key, len), &value);

    if (status == STATUS_OK)
        *out = (struct setting_value){.setting = s, .text = value, .level = level, .scope = scope};
    return status;
}

/* The scope must outlive the look-up: the key in the map is its copy. */
static enum status get_at(struct store_view *v, const struct setting *s, enum setting_level level,
                          struct slice scope, struct setting_value *out)
{
    uint8_t key[SETTING_KEY_MAX];
    size_t len = setting_key_write(level, scope, slice_of_text(s->name), key);
    MDB_cursor *cursor;
    MDB_val k = {.mv_size = len, .mv_data = key}, value;
    int rc = mdb_cursor_open(v->txn, v->store->tables[TABLE_SETTINGS], &cursor);

    if (rc != 0)
        return tables_failure(NULL, rc, "");
    rc = mdb_cursor_get(cursor, &k, &value, MDB_SET_KEY);
    mdb_cursor_close(cursor);
    if (rc == MDB_NOTFOUND)
        return STATUS_NOT_FOUND;
    if (rc != 0)
        return tables_failure(NULL, rc, "");
    *out = (struct setting_value){.setting = s,
                                  .text = slice_of(value.mv_data, value.mv_size),
                                  .level = level,
                                  .scope = slice_of((uint8_t *)k.mv_data + 1, scope.len)};
    return STATUS_OK;
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
    char normal[ADDRESS_MAX + 1];
    const char *domain = NULL;
    enum status status = STATUS_NOT_FOUND;

    if (address.len > 0 && address_normalise(address, normal, NULL) == STATUS_OK) {
        domain = strrchr(normal, '@') + 1;
        if ((s->levels & SETTING_AT_USER) != 0)
            status = get_at(v, s, SETTING_USER, slice_of_text(normal), out);
    } else if (address.len > 0 && domain_normalise(address, normal, NULL) == STATUS_OK) {
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
