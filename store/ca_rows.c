/* See ca_rows.h. Pure; any thread. */
#include "store/ca_rows.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

enum status ca_row_read(struct slice key, struct slice value, struct ca_record *out)
{
    struct msgpack_reader r;
    struct slice thumbprint, issuer_id;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, 8) != 8)
        read_fail(&r, STATUS_MALFORMED);
    out->name = key;
    thumbprint = read_bytes(&r, THUMBPRINT_SIZE);
    out->sealed_key = read_bytes(&r, 64 << 10);
    out->issuer = read_text(&r, CA_NAME_MAX);
    out->crl_number = read_u64(&r);
    out->crl_this_ms = read_u64(&r);
    out->crl_next_ms = read_u64(&r);
    out->added_ms = read_u64(&r);
    issuer_id = read_bytes(&r, ISSUER_ID_SIZE);
    if (msgpack_reader_status(&r, true) != STATUS_OK || thumbprint.len != THUMBPRINT_SIZE ||
        issuer_id.len != ISSUER_ID_SIZE)
        return STATUS_CORRUPT;
    memcpy(out->issuer_id, issuer_id.data, ISSUER_ID_SIZE);
    memcpy(out->thumbprint, thumbprint.data, THUMBPRINT_SIZE);
    return STATUS_OK;
}

enum status ca_row_write(const struct ca_record *c, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 8);
    write_bytes(&w, slice_of(c->thumbprint, THUMBPRINT_SIZE));
    write_bytes(&w, c->sealed_key);
    write_text(&w, c->issuer);
    write_u64(&w, c->crl_number);
    write_u64(&w, c->crl_this_ms);
    write_u64(&w, c->crl_next_ms);
    write_u64(&w, c->added_ms);
    write_bytes(&w, slice_of(c->issuer_id, ISSUER_ID_SIZE));
    return msgpack_writer_status(&w);
}

enum status ca_issued_row_read(struct slice key, struct slice value, struct ca_issued_record *out)
{
    struct msgpack_reader r;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, 9) != 9)
        read_fail(&r, STATUS_MALFORMED);
    out->ca = read_text(&r, CA_NAME_MAX);
    out->serial = read_bytes(&r, CA_SERIAL_MAX);
    out->address = read_text(&r, ADDRESS_MAX);
    out->uses = read_u64(&r);
    out->issued_ms = read_u64(&r);
    out->not_after_ms = read_u64(&r);
    out->flags = read_u64(&r);
    out->pair = read_bytes(&r, THUMBPRINT_SIZE);
    out->successor = read_bytes(&r, THUMBPRINT_SIZE);
    if (msgpack_reader_status(&r, true) != STATUS_OK || key.len != THUMBPRINT_SIZE ||
        (out->pair.len != 0 && out->pair.len != THUMBPRINT_SIZE) ||
        (out->successor.len != 0 && out->successor.len != THUMBPRINT_SIZE))
        return STATUS_CORRUPT;
    memcpy(out->thumbprint, key.data, THUMBPRINT_SIZE);
    return STATUS_OK;
}

enum status ca_issued_row_write(const struct ca_issued_record *c, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 9);
    write_text(&w, c->ca);
    write_bytes(&w, c->serial);
    write_text(&w, c->address);
    write_u64(&w, c->uses);
    write_u64(&w, c->issued_ms);
    write_u64(&w, c->not_after_ms);
    write_u64(&w, c->flags);
    write_bytes(&w, c->pair);
    write_bytes(&w, c->successor);
    return msgpack_writer_status(&w);
}

size_t ca_revoked_key(struct slice ca, struct slice serial, uint8_t key[CA_REVOKED_KEY_MAX])
{
    if (ca.len > CA_NAME_MAX || serial.len > CA_SERIAL_MAX)
        return 0;
    if (ca.len > 0)
        memcpy(key, ca.data, ca.len);
    key[ca.len] = 0;
    if (serial.len > 0)
        memcpy(key + ca.len + 1, serial.data, serial.len);
    return ca.len + 1 + serial.len;
}

enum status ca_revoked_row_read(struct slice key, struct slice value, struct ca_revoked_record *out)
{
    struct msgpack_reader r;
    size_t name = slice_find_byte(key, 0);

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, 4) != 4)
        read_fail(&r, STATUS_MALFORMED);
    out->thumbprint = read_bytes(&r, THUMBPRINT_SIZE);
    out->revoked_ms = read_u64(&r);
    out->reason = read_u64(&r);
    out->not_after_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK || name >= key.len ||
        (out->thumbprint.len != 0 && out->thumbprint.len != THUMBPRINT_SIZE))
        return STATUS_CORRUPT;
    out->serial = slice_of(key.data + name + 1, key.len - name - 1);
    return STATUS_OK;
}

enum status ca_revoked_row_write(const struct ca_revoked_record *c, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 4);
    write_bytes(&w, c->thumbprint);
    write_u64(&w, c->revoked_ms);
    write_u64(&w, c->reason);
    write_u64(&w, c->not_after_ms);
    return msgpack_writer_status(&w);
}

enum status ca_request_row_read(struct slice key, struct slice value, struct ca_request_record *out)
{
    struct msgpack_reader r;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, 5) != 5)
        read_fail(&r, STATUS_MALFORMED);
    out->address = read_text(&r, ADDRESS_MAX);
    out->name = read_text(&r, 4 * CA_COMMON_NAME_MAX);
    out->request = read_bytes(&r, 16 << 10);
    out->sealed_key = read_bytes(&r, 64 << 10);
    out->added_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK || key.len != sizeof(out->id))
        return STATUS_CORRUPT;
    memcpy(out->id, key.data, sizeof(out->id));
    return STATUS_OK;
}

enum status ca_request_row_write(const struct ca_request_record *c, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 5);
    write_text(&w, c->address);
    write_text(&w, c->name);
    write_bytes(&w, c->request);
    write_bytes(&w, c->sealed_key);
    write_u64(&w, c->added_ms);
    return msgpack_writer_status(&w);
}
