/* Queries about the built-in CA: see records_ca.h. Any thread with a view of its own. */
#include "store/records_ca.h"

#include "base/hex.h"
#include "store/ca_rows.h"
#include "store/tables.h"

#define CAS_ABOVE_MAX 16 /* no path is that long */

bool ca_serial_read(struct slice hex, uint8_t serial[CA_SERIAL_MAX], size_t *len)
{
    *len = hex.len / 2;
    return *len > 0 && *len <= CA_SERIAL_MAX && hex_parse(hex, serial, *len);
}

enum status ca_name_check(struct slice name, struct failure *f)
{
    static const char *const taken[] = {"default", "import", "requests", "revoke"}; /* words of the API */
    bool good =
        name.len > 0 && name.len <= CA_NAME_MAX && name.data[0] != '-' && name.data[name.len - 1] != '-';

    for (size_t i = 0; good && i < name.len; i++)
        good = (name.data[i] >= 'a' && name.data[i] <= 'z') || (name.data[i] >= '0' && name.data[i] <= '9') ||
               name.data[i] == '-';
    for (size_t i = 0; good && i < sizeof(taken) / sizeof(taken[0]); i++)
        if (slice_equal(name, slice_of_text(taken[i])))
            return failure_set(f, STATUS_INVALID,
                               "\"%s\" cannot be the name of a CA: it means something else", taken[i]);
    if (good)
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID,
                       "a CA's name has 1 to %d lower-case letters, digits and inner hyphens", CA_NAME_MAX);
}

enum status store_ca_get(struct store_view *v, struct slice name, struct ca_record *out)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_CAS, &name, &value);

    return status != STATUS_OK ? status : ca_row_read(name, value, out);
}

enum status store_ca_crl(struct store_view *v, struct slice name, struct slice *der)
{
    return table_get(v->store, v->txn, TABLE_CA_CRL, name, der);
}

struct walk {
    void *context;
    ca_visit_cb ca;
    ca_issued_visit_cb issued;
    ca_revoked_visit_cb revoked;
    ca_request_visit_cb request;
    struct slice prefix;
    enum status status;
};

static bool visit_ca(void *context, struct slice key, struct slice value)
{
    struct walk *walk = context;
    struct ca_record record;

    walk->status = ca_row_read(key, value, &record);
    return walk->status == STATUS_OK && walk->ca(walk->context, &record);
}

enum status store_cas_all(struct store_view *v, ca_visit_cb cb, void *context)
{
    struct walk walk = {.context = context, .ca = cb};
    enum status status = table_walk(v->store, v->txn, TABLE_CAS, (struct slice){0}, visit_ca, &walk);

    return status != STATUS_OK ? status : walk.status;
}

enum status store_ca_issued_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                struct ca_issued_record *out)
{
    struct slice key = slice_of(thumbprint, THUMBPRINT_SIZE), value;
    enum status status = table_get(v->store, v->txn, TABLE_CA_ISSUED, key, &value);

    return status != STATUS_OK ? status : ca_issued_row_read(key, value, out);
}

static bool visit_issued(void *context, struct slice key, struct slice value)
{
    struct walk *walk = context;
    struct ca_issued_record record;

    walk->status = ca_issued_row_read(key, value, &record);
    return walk->status == STATUS_OK && walk->issued(walk->context, &record);
}

enum status store_ca_issued_all(struct store_view *v, struct slice from, ca_issued_visit_cb cb, void *context)
{
    struct walk walk = {.context = context, .issued = cb};
    enum status status = table_walk(v->store, v->txn, TABLE_CA_ISSUED, from, visit_issued, &walk);

    return status != STATUS_OK ? status : walk.status;
}

enum status store_ca_revoked_get(struct store_view *v, struct slice ca, struct slice serial,
                                 struct ca_revoked_record *out)
{
    uint8_t key[CA_REVOKED_KEY_MAX];
    size_t len = ca_revoked_key(ca, serial, key);
    struct slice found = slice_of(key, len), value;
    enum status status =
        len == 0 ? STATUS_NOT_FOUND : table_find(v->store, v->txn, TABLE_CA_REVOKED, &found, &value);

    return status != STATUS_OK ? status : ca_revoked_row_read(found, value, out);
}

static bool visit_revoked(void *context, struct slice key, struct slice value)
{
    struct walk *walk = context;
    struct ca_revoked_record record;

    if (!slice_starts_with(key, walk->prefix))
        return false;
    walk->status = ca_revoked_row_read(key, value, &record);
    return walk->status == STATUS_OK && walk->revoked(walk->context, &record);
}

enum status store_ca_revoked_all(struct store_view *v, struct slice ca, ca_revoked_visit_cb cb, void *context)
{
    uint8_t key[CA_REVOKED_KEY_MAX];
    size_t len = ca_revoked_key(ca, (struct slice){0}, key);
    struct walk walk = {.context = context, .revoked = cb, .prefix = slice_of(key, len)};
    enum status status;

    if (len == 0)
        return STATUS_OK;
    status = table_walk(v->store, v->txn, TABLE_CA_REVOKED, walk.prefix, visit_revoked, &walk);
    return status != STATUS_OK ? status : walk.status;
}

enum status store_ca_revocation(struct store_view *v, struct slice name, struct slice *which,
                                struct ca_revoked_record *out)
{
    struct certificate_record certificate;
    struct ca_record ca;
    uint8_t serial[CA_SERIAL_MAX];
    size_t len = 0;
    enum status status;

    if (name.len == 0) /* a CA elsewhere */
        return STATUS_NOT_FOUND;
    for (unsigned i = 0; i < CAS_ABOVE_MAX; i++) {
        status = store_ca_get(v, name, &ca);
        if (status != STATUS_OK || ca.issuer.len == 0)
            return status == STATUS_OK ? STATUS_NOT_FOUND : status;
        status = store_certificate_get(v, ca.thumbprint, &certificate);
        if (status != STATUS_OK || !ca_serial_read(certificate.serial, serial, &len))
            return STATUS_CORRUPT;
        status = store_ca_revoked_get(v, ca.issuer, slice_of(serial, len), out);
        if (status != STATUS_NOT_FOUND) {
            *which = ca.name;
            return status;
        }
        name = ca.issuer;
    }
    return STATUS_CORRUPT;
}

enum status store_ca_is_revoked(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                bool *revoked)
{
    struct ca_issued_record issued;
    struct ca_revoked_record record;
    struct slice which;
    enum status status = store_ca_issued_get(v, thumbprint, &issued);

    *revoked = false;
    if (status == STATUS_OK) {
        status = store_ca_revoked_get(v, issued.ca, issued.serial, &record);
        if (status == STATUS_NOT_FOUND)
            status = store_ca_revocation(v, issued.ca, &which, &record);
    }
    *revoked = status == STATUS_OK;
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

enum status store_ca_request_get(struct store_view *v, const uint8_t id[32], struct ca_request_record *out)
{
    struct slice key = slice_of(id, sizeof(out->id)), value;
    enum status status = table_get(v->store, v->txn, TABLE_CA_REQUESTS, key, &value);

    return status != STATUS_OK ? status : ca_request_row_read(key, value, out);
}

static bool is_of_address(void *context, struct slice key, struct slice value)
{
    struct walk *walk = context;

    (void)value;
    walk->status = slice_starts_with(key, walk->prefix) ? STATUS_OK : STATUS_NOT_FOUND;
    return false;
}

enum status store_ca_request_waits(struct store_view *v, struct slice address, bool *waits)
{
    uint8_t prefix[ADDRESS_MAX + 1];
    struct walk walk = {.prefix = slice_of(prefix, address.len + 1), .status = STATUS_NOT_FOUND};
    enum status status;

    *waits = false;
    if (address.len == 0 || address.len > ADDRESS_MAX)
        return STATUS_OK;
    memcpy(prefix, address.data, address.len);
    prefix[address.len] = 0;
    status = table_walk(v->store, v->txn, TABLE_CA_REQUEST_ADDRESS, walk.prefix, is_of_address, &walk);
    *waits = status == STATUS_OK && walk.status == STATUS_OK;
    return status;
}

static bool visit_request(void *context, struct slice key, struct slice value)
{
    struct walk *walk = context;
    struct ca_request_record record;

    walk->status = ca_request_row_read(key, value, &record);
    return walk->status == STATUS_OK && walk->request(walk->context, &record);
}

enum status store_ca_requests_all(struct store_view *v, ca_request_visit_cb cb, void *context)
{
    struct walk walk = {.context = context, .request = cb};
    enum status status =
        table_walk(v->store, v->txn, TABLE_CA_REQUESTS, (struct slice){0}, visit_request, &walk);

    return status != STATUS_OK ? status : walk.status;
}
