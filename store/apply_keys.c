/* Commands about certificates, private keys and trust. See store/apply_internal.h for the rules. */
#include "store/apply_internal.h"
#include "store/records.h"

#include "base/hex.h"

#define ADDRESS_KEY_MAX (ADDRESS_MAX + 1 + THUMBPRINT_SIZE)

void apply_trust_changed(struct store_apply *a)
{
    apply_meta_set(a, "trust_generation", apply_meta_number(a, "trust_generation", 0) + 1);
}

static size_t address_key(struct slice address, const uint8_t thumbprint[THUMBPRINT_SIZE],
                          uint8_t key[ADDRESS_KEY_MAX])
{
    memcpy(key, address.data, address.len);
    key[address.len] = 0;
    memcpy(key + address.len + 1, thumbprint, THUMBPRINT_SIZE);
    return address.len + 1 + THUMBPRINT_SIZE;
}

enum status apply_cert_add(struct store_apply *a)
{
    struct certificate_record record;
    uint8_t key[ADDRESS_KEY_MAX];
    enum status status = certificate_record_decode(apply_bytes(a, 0), &record);
    struct slice thumbprint = slice_of(record.thumbprint, THUMBPRINT_SIZE);

    if (status != STATUS_OK)
        return apply_refuse(a, status, "the certificate's record is not well formed");
    if (apply_has(a, TABLE_CERTS, thumbprint))
        return apply_refuse(a, STATUS_EXISTS, "this certificate is in the store already");
    apply_put(a, TABLE_CERTS, thumbprint, apply_bytes(a, 0));
    for (size_t i = 0; i < record.address_count; i++) {
        size_t len = address_key(record.addresses[i], record.thumbprint, key);

        apply_put(a, TABLE_CERT_ADDRESS, slice_of(key, len), (struct slice){0});
    }
    apply_trust_changed(a);
    return STATUS_OK;
}

static enum status need_certificate(struct store_apply *a, struct slice thumbprint)
{
    char hex[2 * THUMBPRINT_SIZE + 1];

    if (apply_has(a, TABLE_CERTS, thumbprint))
        return STATUS_OK;
    hex_format(thumbprint, hex);
    return apply_refuse(a, STATUS_NOT_FOUND, "there is no certificate %s", hex);
}

enum status apply_cert_remove(struct store_apply *a)
{
    struct slice thumbprint = apply_bytes(a, 0);
    struct slice value;
    struct certificate_record record;
    char addresses[CERT_ADDRESSES_MAX][ADDRESS_MAX + 1];
    size_t count;
    uint8_t key[ADDRESS_KEY_MAX];
    enum status status = need_certificate(a, thumbprint);

    if (status != STATUS_OK)
        return status;
    if (apply_get(a, TABLE_CERTS, thumbprint, &value) != STATUS_OK ||
        certificate_record_decode(value, &record) != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "the certificate's record cannot be read");
    count = record.address_count; /* the record lies in pages that the deletions may move */
    for (size_t i = 0; i < count; i++) {
        memcpy(addresses[i], record.addresses[i].data, record.addresses[i].len);
        addresses[i][record.addresses[i].len] = '\0';
    }
    for (size_t i = 0; i < count; i++) {
        size_t len = address_key(slice_of_text(addresses[i]), thumbprint.data, key);

        apply_delete(a, TABLE_CERT_ADDRESS, slice_of(key, len));
    }
    apply_delete(a, TABLE_CERTS, thumbprint);
    apply_delete(a, TABLE_KEYS, thumbprint);
    apply_delete(a, TABLE_TRUST, thumbprint);
    apply_trust_changed(a);
    return STATUS_OK;
}

enum status apply_key_add(struct store_apply *a)
{
    enum status status = need_certificate(a, apply_bytes(a, 0));

    if (status != STATUS_OK)
        return status;
    if (apply_has(a, TABLE_KEYS, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_EXISTS, "the private key of this certificate is in the store already");
    apply_put(a, TABLE_KEYS, apply_bytes(a, 0), apply_bytes(a, 1));
    return STATUS_OK;
}

enum status apply_key_remove(struct store_apply *a)
{
    if (!apply_has(a, TABLE_KEYS, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no private key for this certificate");
    apply_delete(a, TABLE_KEYS, apply_bytes(a, 0));
    return STATUS_OK;
}

enum status apply_trust_add(struct store_apply *a)
{
    struct buf value = BUF_INIT(512);
    struct msgpack_writer w;
    enum status status = need_certificate(a, apply_bytes(a, 0));

    if (status != STATUS_OK)
        return status;
    if (apply_has(a, TABLE_TRUST, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_EXISTS, "this certificate is trusted already");
    msgpack_writer_init(&w, &value);
    write_array(&w, 2);
    write_u64(&w, a->command->time_ms);
    write_text(&w, apply_bytes(a, 1));
    if (msgpack_writer_status(&w) == STATUS_OK)
        apply_put(a, TABLE_TRUST, apply_bytes(a, 0), buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
    apply_trust_changed(a);
    return STATUS_OK;
}

enum status apply_trust_remove(struct store_apply *a)
{
    if (!apply_has(a, TABLE_TRUST, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_NOT_FOUND, "this certificate is no trust anchor");
    apply_delete(a, TABLE_TRUST, apply_bytes(a, 0));
    apply_trust_changed(a);
    return STATUS_OK;
}
