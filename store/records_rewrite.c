/* See store/records_rewrite.h. */
#include "store/records_rewrite.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/tables.h"

#define RECORD_FIELDS 3
#define LOCAL_MAX     64

static const char *const kind_names[REWRITE_KIND_END] = {
    [REWRITE_CANONICAL] = "canonical",
    [REWRITE_MASQUERADE] = "masquerade",
    [REWRITE_EXCEPTION] = "exception",
};

const char *rewrite_kind_name(enum rewrite_kind kind)
{
    return kind_names[kind];
}

bool rewrite_kind_find(struct slice name, enum rewrite_kind *out)
{
    for (int kind = REWRITE_CANONICAL; kind < REWRITE_KIND_END; kind++)
        if (slice_equal(name, slice_of_text(kind_names[kind]))) {
            *out = (enum rewrite_kind)kind;
            return true;
        }
    return false;
}

/* One domain by itself: no *.domain, no [address]. */
static enum status domain_alone(struct slice text, char out[DOMAIN_MAX + 1], struct failure *f)
{
    enum status status = domain_normalise(text, out, f);

    if (status == STATUS_OK && (out[0] == '*' || out[0] == '['))
        return failure_set(f, STATUS_INVALID, "\"%s\" is not one domain; it looks like example.org", out);
    return status;
}

static enum status at_domain(struct slice text, char out[ADDRESS_MAX + 2], struct failure *f)
{
    out[0] = '@';
    return domain_alone(slice_of(text.data + 1, text.len - 1), out + 1, f);
}

/* "root@" */
static enum status local_part(struct slice text, char out[ADDRESS_MAX + 2], struct failure *f)
{
    bool good = text.len > 1 && text.len <= LOCAL_MAX + 1;

    for (size_t i = 0; i < text.len && good; i++) {
        uint8_t c = text.data[i];

        good = c > ' ' && c != 0x7f && c != '"' && (c == '@') == (i + 1 == text.len);
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    if (!good)
        return failure_set(f, STATUS_INVALID, "a local part with @ behind it looks like root@");
    out[text.len] = '\0';
    return STATUS_OK;
}

enum status rewrite_pattern_normalise(enum rewrite_kind kind, struct slice text, char out[ADDRESS_MAX + 2],
                                      struct failure *f)
{
    bool has_at = slice_find_byte(text, '@') < text.len;

    switch (kind) {
    case REWRITE_CANONICAL:
        if (!has_at)
            return failure_set(f, STATUS_INVALID,
                               "a canonical pattern is an address (name@example.org) or all of a domain "
                               "(@example.org)");
        return text.data[0] == '@' ? at_domain(text, out, f) : address_normalise(text, out, f);
    case REWRITE_MASQUERADE:
        return domain_alone(text, out, f);
    case REWRITE_EXCEPTION:
        if (has_at && text.data[text.len - 1] == '@')
            return local_part(text, out, f);
        return has_at ? address_normalise(text, out, f) : domain_alone(text, out, f);
    case REWRITE_KIND_END:
        break;
    }
    return failure_set(f, STATUS_INVALID, "the kinds are canonical, masquerade and exception");
}

enum status rewrite_target_normalise(struct slice pattern, struct slice text, char out[ADDRESS_MAX + 2],
                                     struct failure *f)
{
    bool whole = pattern.len > 0 && pattern.data[0] == '@', keeps = text.len > 0 && text.data[0] == '@';
    enum status status;

    if (keeps && !whole)
        return failure_set(f, STATUS_INVALID,
                           "an address becomes an address; @domain, which keeps the local part, is for "
                           "patterns of a whole domain");
    status = keeps ? at_domain(text, out, f) : address_normalise(text, out, f);
    if (status == STATUS_OK && slice_equal(pattern, slice_of_text(out)))
        return failure_set(f, STATUS_INVALID, "%s would become itself", out);
    return status;
}

struct slice rewrite_row_key(enum rewrite_kind kind, struct slice pattern, uint8_t key[REWRITE_KEY_MAX])
{
    key[0] = (uint8_t)kind;
    memcpy(key + 1, pattern.data, pattern.len);
    return slice_of(key, 1 + pattern.len);
}

enum status rewrite_encode(const struct rewrite_record *r, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, RECORD_FIELDS);
    write_text(&w, r->target);
    write_u64(&w, r->flags);
    write_u64(&w, r->added_ms);
    return msgpack_writer_status(&w);
}

enum status rewrite_decode(struct slice key, struct slice value, struct rewrite_record *out)
{
    struct msgpack_reader r;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, RECORD_FIELDS) != RECORD_FIELDS || key.len < 2 || key.data[0] == 0 ||
        key.data[0] >= REWRITE_KIND_END)
        read_fail(&r, STATUS_MALFORMED);
    out->target = read_text(&r, ADDRESS_MAX + 1);
    out->flags = read_u64(&r);
    out->added_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK)
        return STATUS_CORRUPT;
    out->kind = (enum rewrite_kind)key.data[0];
    out->pattern = slice_of(key.data + 1, key.len - 1);
    return STATUS_OK;
}

enum status store_rewrite_get(struct store_view *v, enum rewrite_kind kind, struct slice pattern,
                              struct rewrite_record *out)
{
    uint8_t bytes[REWRITE_KEY_MAX];
    struct slice value, key;
    enum status status;

    if (pattern.len == 0 || pattern.len > ADDRESS_MAX + 1)
        return STATUS_NOT_FOUND;
    key = rewrite_row_key(kind, pattern, bytes);
    status = table_find(v->store, v->txn, TABLE_REWRITES, &key, &value);
    return status == STATUS_OK ? rewrite_decode(key, value, out) : status;
}

struct rewrite_walk {
    rewrite_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct rewrite_walk *walk = context;
    struct rewrite_record record;

    walk->status = rewrite_decode(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_rewrite_all(struct store_view *v, rewrite_visit_cb cb, void *context)
{
    struct rewrite_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_REWRITES, (struct slice){0}, visit_row, &walk);

    return status != STATUS_OK ? status : walk.status;
}

static bool note_any(void *context, const struct rewrite_record *record)
{
    (void)record;
    *(bool *)context = true;
    return false;
}

enum status store_rewrite_any(struct store_view *v, bool *any)
{
    *any = false;
    return store_rewrite_all(v, note_any, any);
}
