/* Queries over a view: what the tables hold, as C structs. Any thread with a view of its own. */
#include "store/records.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/certificate_tables.h"

#define CERTIFICATE_FIELDS 12

enum status certificate_record_encode(const struct certificate_record *c, struct buf *out)
{
    struct msgpack_writer w;

    if (c->address_count > CERT_ADDRESSES_MAX)
        return STATUS_TOO_LARGE;
    msgpack_writer_init(&w, out);
    write_array(&w, CERTIFICATE_FIELDS);
    write_bytes(&w, slice_of(c->thumbprint, THUMBPRINT_SIZE));
    write_bytes(&w, c->der);
    write_array(&w, c->address_count);
    for (size_t i = 0; i < c->address_count; i++)
        write_text(&w, c->addresses[i]);
    write_text(&w, c->subject);
    write_text(&w, c->issuer);
    write_text(&w, c->serial);
    write_u64(&w, c->not_before_ms);
    write_u64(&w, c->not_after_ms);
    write_u64(&w, c->uses);
    write_u64(&w, c->capabilities);
    write_u64(&w, c->added_ms);
    write_text(&w, c->source);
    return msgpack_writer_status(&w);
}

enum status certificate_record_decode(struct slice in, struct certificate_record *c)
{
    struct msgpack_reader r;
    struct slice thumbprint;
    char normal[ADDRESS_MAX + 1];

    memset(c, 0, sizeof(*c));
    msgpack_reader_init(&r, in);
    if (read_array(&r, CERTIFICATE_FIELDS) != CERTIFICATE_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    thumbprint = read_bytes(&r, THUMBPRINT_SIZE);
    c->der = read_bytes(&r, 128 << 10);
    c->address_count = read_array(&r, CERT_ADDRESSES_MAX);
    for (size_t i = 0; i < c->address_count; i++)
        c->addresses[i] = read_text(&r, ADDRESS_MAX);
    c->subject = read_text(&r, 4096);
    c->issuer = read_text(&r, 4096);
    c->serial = read_text(&r, 256);
    c->not_before_ms = read_u64(&r);
    c->not_after_ms = read_u64(&r);
    c->uses = read_u64(&r);
    c->capabilities = read_u64(&r);
    c->added_ms = read_u64(&r);
    c->source = read_text(&r, 64);
    if (msgpack_reader_status(&r, true) != STATUS_OK || thumbprint.len != THUMBPRINT_SIZE || c->der.len == 0)
        return STATUS_MALFORMED;
    if (!slice_is_text(c->subject) || !slice_is_text(c->issuer) || !slice_is_text(c->serial) ||
        !slice_is_text(c->source))
        return STATUS_MALFORMED;
    memcpy(c->thumbprint, thumbprint.data, THUMBPRINT_SIZE);
    for (size_t i = 0; i < c->address_count; i++)
        if (address_normalise(c->addresses[i], normal, NULL) != STATUS_OK ||
            !slice_equal(slice_of_text(normal), c->addresses[i]))
            return STATUS_MALFORMED;
    return STATUS_OK;
}

static enum status view_get(struct store_view *v, enum table table, struct slice key, struct slice *value)
{
    return table_get(v->store, v->txn, table, key, value);
}

enum status store_certificate_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                  struct certificate_record *out)
{
    struct slice value;
    enum status status = view_get(v, TABLE_CERTS, slice_of(thumbprint, THUMBPRINT_SIZE), &value);

    return status != STATUS_OK ? status : certificate_load(v, value, out);
}

struct certificate_walk {
    struct store_view *view;
    certificate_visit_cb visit;
    void *context;
    struct slice prefix;
    enum status status;
};

/* Of a table whose keys are a beginning and a thumbprint. */
static bool visit_by_key(void *context, struct slice key, struct slice value)
{
    struct certificate_walk *walk = context;
    struct certificate_record record;

    (void)value;
    if (!slice_starts_with(key, walk->prefix) || key.len != walk->prefix.len + THUMBPRINT_SIZE)
        return false;
    walk->status = store_certificate_get(walk->view, key.data + walk->prefix.len, &record);
    if (walk->status == STATUS_NOT_FOUND)
        walk->status = STATUS_CORRUPT; /* an index entry without its record */
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_certificates_for(struct store_view *v, struct slice address, certificate_visit_cb cb,
                                   void *context)
{
    char normal[ADDRESS_MAX + 2];
    size_t len;
    struct certificate_walk walk = {.view = v, .visit = cb, .context = context};
    enum status status;

    if (address_normalise(address, normal, NULL) != STATUS_OK)
        return STATUS_OK;     /* no certificate names it */
    len = strlen(normal) + 1; /* with the NUL that ends it in the key */
    walk.prefix = slice_of(normal, len);
    status = table_walk(v->store, v->txn, TABLE_CERT_ADDRESS, walk.prefix, visit_by_key, &walk);
    return status != STATUS_OK ? status : walk.status;
}

static bool visit_certificate(void *context, struct slice key, struct slice value)
{
    struct certificate_walk *walk = context;
    struct certificate_record record;

    (void)key;
    walk->status = certificate_load(walk->view, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_certificates_all(struct store_view *v, certificate_visit_cb cb, void *context)
{
    struct certificate_walk walk = {.view = v, .visit = cb, .context = context};
    enum status status =
        table_walk(v->store, v->txn, TABLE_CERTS, (struct slice){0}, visit_certificate, &walk);

    return status != STATUS_OK ? status : walk.status;
}

enum status store_ca_certificates_all(struct store_view *v, certificate_visit_cb cb, void *context)
{
    struct certificate_walk walk = {.view = v, .visit = cb, .context = context};
    uint8_t key[INDEX_KEY_MAX];
    enum status status;

    walk.prefix = slice_of(key, index_ca_key(NULL, key));
    status = table_walk(v->store, v->txn, TABLE_CERT_INDEX, walk.prefix, visit_by_key, &walk);
    return status != STATUS_OK ? status : walk.status;
}

/* Of a table whose keys are thumbprints of stored certificates. */
static bool visit_of_table(void *context, struct slice key, struct slice value)
{
    struct certificate_walk *walk = context;
    struct certificate_record record;

    (void)value;
    walk->status =
        key.len == THUMBPRINT_SIZE ? store_certificate_get(walk->view, key.data, &record) : STATUS_CORRUPT;
    if (walk->status == STATUS_NOT_FOUND)
        walk->status = STATUS_CORRUPT;
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_keys_all(struct store_view *v, certificate_visit_cb cb, void *context)
{
    struct certificate_walk walk = {.view = v, .visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_KEYS, (struct slice){0}, visit_of_table, &walk);

    return status != STATUS_OK ? status : walk.status;
}

bool store_has_key(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct slice sealed;

    return store_key_get(v, thumbprint, &sealed) == STATUS_OK;
}

enum status store_key_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                          struct slice *sealed)
{
    return view_get(v, TABLE_KEYS, slice_of(thumbprint, THUMBPRINT_SIZE), sealed);
}

bool store_is_trusted(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct slice value;

    return view_get(v, TABLE_TRUST, slice_of(thumbprint, THUMBPRINT_SIZE), &value) == STATUS_OK;
}

enum status store_anchors_all(struct store_view *v, certificate_visit_cb cb, void *context)
{
    struct certificate_walk walk = {.view = v, .visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_TRUST, (struct slice){0}, visit_of_table, &walk);

    return status != STATUS_OK ? status : walk.status;
}

static uint64_t meta_number(struct store_view *v, struct slice name)
{
    struct slice value;
    uint64_t number;

    if (view_get(v, TABLE_META, name, &value) != STATUS_OK || !key_u64_read(value, &number))
        return 0;
    return number;
}

uint64_t store_trust_generation(struct store_view *v)
{
    return meta_number(v, SLICE_LITERAL("trust_generation"));
}

uint64_t store_policy_generation(struct store_view *v)
{
    return meta_number(v, SLICE_LITERAL("policy_generation"));
}
