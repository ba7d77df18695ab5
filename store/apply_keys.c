/* Commands about private keys and trust. See store/apply_internal.h for the rules. */
#include "store/apply_certificates_internal.h"

enum status apply_key_add(struct store_apply *a)
{
    enum status status = apply_need_certificate(a, apply_bytes(a, 0));

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

void apply_trust_put(struct store_apply *a, struct slice thumbprint, struct slice comment)
{
    struct buf value = BUF_INIT(512);
    struct msgpack_writer w;

    msgpack_writer_init(&w, &value);
    write_array(&w, 2);
    write_u64(&w, a->command->time_ms);
    write_text(&w, comment);
    if (msgpack_writer_status(&w) == STATUS_OK)
        apply_put(a, TABLE_TRUST, thumbprint, buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
    apply_trust_changed(a);
}

enum status apply_trust_add(struct store_apply *a)
{
    enum status status = apply_need_certificate(a, apply_bytes(a, 0));

    if (status != STATUS_OK)
        return status;
    if (apply_has(a, TABLE_TRUST, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_EXISTS, "this certificate is trusted already");
    status = apply_anchor_stands(a, apply_bytes(a, 0));
    if (status != STATUS_OK)
        return status;
    apply_trust_put(a, apply_bytes(a, 0), apply_bytes(a, 1));
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
