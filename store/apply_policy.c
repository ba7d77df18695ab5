/* Commands about settings, domains and users. See store/apply_internal.h for the rules. */
#include "store/apply_internal.h"
#include "store/records.h"
#include "store/setting.h"

static void put_added(struct store_apply *a, enum table table, struct slice key)
{
    struct buf value = BUF_INIT(32);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 1);
    write_u64(&w, a->command->time_ms);
    if (msgpack_writer_status(&w) == STATUS_OK)
        apply_put(a, table, key, buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
}

static void put_setting(struct store_apply *a, enum setting_level level, struct slice scope, const char *name,
                        struct slice value)
{
    uint8_t key[SETTING_KEY_MAX];
    size_t len = setting_key_write(level, scope, slice_of_text(name), key);

    apply_put(a, TABLE_SETTINGS, slice_of(key, len), value);
}

/* What a certificate is fit for depends on one setting; the others are looked up for each message. */
static void setting_changed(struct store_apply *a, const struct setting *setting)
{
    if (setting == setting_at(SETTING_SMIME_REVOCATION))
        apply_trust_changed(a);
}

enum status apply_setting_set(struct store_apply *a)
{
    uint64_t level = apply_number(a, 0);
    struct failure *f = &a->result->failure;
    const struct setting *setting = setting_named(apply_bytes(a, 2), f);
    char scope[SETTING_SCOPE_MAX + 1];
    struct slice scope_slice;
    struct buf canonical = BUF_INIT(SETTING_VALUE_MAX);
    enum status status = STATUS_NOT_FOUND;

    if (setting != NULL)
        status = setting_scope(setting, level, apply_bytes(a, 1), scope, f);
    if (status == STATUS_OK)
        status = setting_canonical(setting, apply_bytes(a, 3), &canonical, f);
    if (status == STATUS_OK) {
        scope_slice = slice_of_text(scope);
        put_setting(a, (enum setting_level)level, scope_slice, setting->name, buf_slice(&canonical));
        setting_changed(a, setting);
        if (level == SETTING_DOMAIN && !apply_has(a, TABLE_DOMAINS, scope_slice))
            put_added(a, TABLE_DOMAINS, scope_slice);
        if (level == SETTING_USER && !apply_has(a, TABLE_USERS, scope_slice))
            put_added(a, TABLE_USERS, scope_slice);
    }
    buf_release(&canonical);
    return status;
}

enum status apply_setting_unset(struct store_apply *a)
{
    uint64_t level = apply_number(a, 0);
    const struct setting *setting = setting_named(apply_bytes(a, 2), &a->result->failure);
    char scope[SETTING_SCOPE_MAX + 1];
    uint8_t key[SETTING_KEY_MAX];
    size_t len;
    enum status status = STATUS_NOT_FOUND;

    if (setting != NULL)
        status = setting_scope(setting, level, apply_bytes(a, 1), scope, &a->result->failure);
    if (status != STATUS_OK)
        return status;
    len = setting_key_write((unsigned)level, slice_of_text(scope), slice_of_text(setting->name), key);
    if (!apply_has(a, TABLE_SETTINGS, slice_of(key, len)))
        return apply_refuse(a, STATUS_NOT_FOUND, "%s is not set there: it is inherited already",
                            setting->name);
    apply_delete(a, TABLE_SETTINGS, slice_of(key, len));
    setting_changed(a, setting);
    return STATUS_OK;
}

static void delete_settings(struct store_apply *a, enum setting_level level, const char *scope)
{
    uint8_t prefix[SETTING_KEY_MAX];
    size_t len = setting_key_write(level, slice_of_text(scope), (struct slice){0}, prefix);

    apply_delete_prefix(a, TABLE_SETTINGS, slice_of(prefix, len));
}

enum status apply_domain_add(struct store_apply *a)
{
    static const char locality[] = "domain.locality";
    char domain[DOMAIN_MAX + 1];
    struct buf canonical = BUF_INIT(SETTING_VALUE_MAX);
    enum status status = domain_normalise(apply_bytes(a, 0), domain, &a->result->failure);

    if (status == STATUS_OK && apply_bytes(a, 1).len > 0)
        status = setting_canonical(setting_find(slice_of_text(locality)), apply_bytes(a, 1), &canonical,
                                   &a->result->failure);
    if (status == STATUS_OK && apply_has(a, TABLE_DOMAINS, slice_of_text(domain)))
        status = apply_refuse(a, STATUS_EXISTS, "the domain %s exists already", domain);
    if (status == STATUS_OK) {
        put_added(a, TABLE_DOMAINS, slice_of_text(domain));
        if (canonical.len > 0)
            put_setting(a, SETTING_DOMAIN, slice_of_text(domain), locality, buf_slice(&canonical));
    }
    buf_release(&canonical);
    return status;
}

struct allowance_search {
    struct store_apply *a;
    struct slice suffix; /* ".example.org" of "*.example.org" */
    char domain[DOMAIN_MAX + 1];
    bool found;
};

static bool is_below(void *context, struct slice key, struct slice value)
{
    struct allowance_search *search = context;
    size_t rest = key.len - search->suffix.len;

    (void)value;
    search->found = key.len > search->suffix.len && key.len <= DOMAIN_MAX &&
                    slice_equal(slice_of(key.data + rest, search->suffix.len), search->suffix) &&
                    !apply_has(search->a, TABLE_DOMAINS, key); /* that one is a domain of its own */
    if (search->found) {
        memcpy(search->domain, key.data, key.len);
        search->domain[key.len] = '\0';
    }
    return !search->found;
}

/* The counts of certificates on demand (store/ca_allowance.h) go with the domain that they are of. */
static void delete_allowances(struct store_apply *a, const char *domain)
{
    struct allowance_search search = {.a = a, .suffix = slice_of_text(domain + 1), .found = domain[0] == '*'};

    apply_delete(a, TABLE_CA_ALLOWANCE, slice_of_text(domain));
    while (search.found && a->broken == STATUS_OK) {
        search.found = false;
        if (table_walk(a->store, a->txn, TABLE_CA_ALLOWANCE, (struct slice){0}, is_below, &search) !=
            STATUS_OK)
            a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot walk the store");
        else if (search.found)
            apply_delete(a, TABLE_CA_ALLOWANCE, slice_of_text(search.domain));
    }
}

enum status apply_domain_remove(struct store_apply *a)
{
    char domain[DOMAIN_MAX + 1];
    enum status status = domain_normalise(apply_bytes(a, 0), domain, &a->result->failure);

    if (status != STATUS_OK)
        return status;
    if (!apply_has(a, TABLE_DOMAINS, slice_of_text(domain)))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no domain %s", domain);
    apply_delete(a, TABLE_DOMAINS, slice_of_text(domain));
    delete_settings(a, SETTING_DOMAIN, domain);
    delete_allowances(a, domain);
    return STATUS_OK;
}

enum status apply_user_add(struct store_apply *a)
{
    char address[ADDRESS_MAX + 1];
    enum status status = address_normalise(apply_bytes(a, 0), address, &a->result->failure);

    if (status != STATUS_OK)
        return status;
    if (apply_has(a, TABLE_USERS, slice_of_text(address)))
        return apply_refuse(a, STATUS_EXISTS, "the user %s exists already", address);
    put_added(a, TABLE_USERS, slice_of_text(address));
    return STATUS_OK;
}

enum status apply_user_remove(struct store_apply *a)
{
    char address[ADDRESS_MAX + 1];
    enum status status = address_normalise(apply_bytes(a, 0), address, &a->result->failure);

    if (status != STATUS_OK)
        return status;
    if (!apply_has(a, TABLE_USERS, slice_of_text(address)))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no user %s", address);
    apply_delete(a, TABLE_USERS, slice_of_text(address));
    delete_settings(a, SETTING_USER, address);
    return STATUS_OK;
}
