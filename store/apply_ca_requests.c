/*
 * Keys that wait for a certificate of a CA elsewhere. See store/apply_internal.h for the rules.
 *
 * A request that was made by itself (on demand, or ahead of a certificate's end) is made only while none
 * waits for the address, however many nodes see that one is due. The answer's certificate gets a row of
 * ca_issued without a CA, so that its end is seen to come like that of any other.
 */
#include "store/apply_ca_internal.h"

#include "base/hex.h"
#include "store/ca_allowance.h"

#define ADDRESS_ROW_MAX (ADDRESS_MAX + 1 + HASH_SIZE)
#define HASH_SIZE       32

static struct slice address_row(struct slice address, struct slice id, uint8_t key[ADDRESS_ROW_MAX])
{
    memcpy(key, address.data, address.len);
    key[address.len] = 0;
    memcpy(key + address.len + 1, id.data, HASH_SIZE);
    return slice_of(key, address.len + 1 + HASH_SIZE);
}

enum status apply_ca_request_add(struct store_apply *a)
{
    struct ca_request_record request = {.address = apply_bytes(a, 1),
                                        .name = apply_bytes(a, 2),
                                        .request = apply_bytes(a, 3),
                                        .sealed_key = apply_bytes(a, 4),
                                        .added_ms = a->command->time_ms};
    uint8_t key[ADDRESS_ROW_MAX];
    struct buf row = BUF_INIT(CA_ROW_MAX);

    if (apply_has(a, TABLE_CA_REQUESTS, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_EXISTS, "there is a request for this key already");
    apply_ca_row_put(a, TABLE_CA_REQUESTS, apply_bytes(a, 0), ca_request_row_write(&request, &row), &row);
    apply_put(a, TABLE_CA_REQUEST_ADDRESS, address_row(apply_bytes(a, 1), apply_bytes(a, 0), key),
              (struct slice){0});
    return STATUS_OK;
}

enum status apply_ca_request_renew(struct store_apply *a)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    bool waits = false;
    enum status status = store_ca_request_waits(&view, apply_bytes(a, 1), &waits);

    if (status != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "the requests of %.*s cannot be read",
                            SLICE_ARGS(apply_bytes(a, 1)));
    if (waits)
        return apply_refuse(a, STATUS_EXISTS, "a request of %.*s waits for its answer already",
                            SLICE_ARGS(apply_bytes(a, 1)));
    return apply_ca_request_add(a);
}

enum status apply_ca_request_auto(struct store_apply *a)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    enum status status = store_ca_allowance_check(&view, apply_bytes(a, 1), CA_HANDLER_CSR,
                                                  a->command->time_ms, &a->result->failure);

    if (status == STATUS_OK)
        status = apply_ca_request_renew(a);
    if (status == STATUS_OK)
        apply_allowance_count(a, apply_bytes(a, 1));
    return status;
}

/* OK, or the command's refusal. `address`: the owner's, copied, since the map moves. */
static enum status need_request(struct store_apply *a, char address[ADDRESS_MAX + 1])
{
    struct ca_request_record request;
    struct slice value;
    char hex[2 * HASH_SIZE + 1];

    hex_format(apply_bytes(a, 0), hex);
    if (apply_get(a, TABLE_CA_REQUESTS, apply_bytes(a, 0), &value) != STATUS_OK)
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no request %s", hex);
    if (ca_request_row_read(apply_bytes(a, 0), value, &request) != STATUS_OK ||
        request.address.len > ADDRESS_MAX)
        return apply_refuse(a, STATUS_CORRUPT, "the request %s cannot be read", hex);
    memcpy(address, request.address.data, request.address.len);
    address[request.address.len] = '\0';
    return STATUS_OK;
}

static void request_delete(struct store_apply *a, const char *address)
{
    uint8_t key[ADDRESS_ROW_MAX];

    apply_delete(a, TABLE_CA_REQUESTS, apply_bytes(a, 0));
    apply_delete(a, TABLE_CA_REQUEST_ADDRESS, address_row(slice_of_text(address), apply_bytes(a, 0), key));
}

enum status apply_ca_request_remove(struct store_apply *a)
{
    char address[ADDRESS_MAX + 1];
    enum status status = need_request(a, address);

    if (status == STATUS_OK)
        request_delete(a, address);
    return status;
}

/* As of a CA of ours, but none of them: only its end is looked at. */
static void issued_put(struct store_apply *a, const struct certificate_record *record, const char *address)
{
    uint8_t serial[CA_SERIAL_MAX];
    struct ca_issued_record issued = {.address = slice_of_text(address),
                                      .uses = record->uses,
                                      .issued_ms = a->command->time_ms,
                                      .not_after_ms = record->not_after_ms,
                                      .flags = CA_ISSUED_RENEWS};
    struct buf row = BUF_INIT(CA_ROW_MAX);
    size_t len = 0;

    if (ca_serial_read(record->serial, serial, &len)) /* else it is one that RFC 5280 does not allow */
        issued.serial = slice_of(serial, len);
    apply_ca_row_put(a, TABLE_CA_ISSUED, slice_of(record->thumbprint, THUMBPRINT_SIZE),
                     ca_issued_row_write(&issued, &row), &row);
}

enum status apply_ca_request_complete(struct store_apply *a)
{
    struct certificate_record record;
    struct slice thumbprint;
    char address[ADDRESS_MAX + 1];
    enum status status = need_request(a, address);

    if (status != STATUS_OK)
        return status;
    if (certificate_record_decode(apply_bytes(a, 1), &record) != STATUS_OK)
        return apply_refuse(a, STATUS_MALFORMED, "the certificate's record is not well formed");
    thumbprint = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    if (apply_has(a, TABLE_KEYS, thumbprint))
        return apply_refuse(a, STATUS_EXISTS, "the private key of this certificate is in the store already");
    if (!apply_has(a, TABLE_CERTS, thumbprint))
        apply_certificate_put(a, &record, apply_bytes(a, 1));
    apply_put(a, TABLE_KEYS, thumbprint, apply_bytes(a, 2));
    if (!apply_has(a, TABLE_CA_ISSUED, thumbprint))
        issued_put(a, &record, address);
    request_delete(a, address);
    return STATUS_OK;
}
