/* Records of the spool as bytes (smtp/spool_format.h). Pure. */
#include "smtp/crc32c.h"
#include "smtp/spool_format.h"

static const uint8_t magic[4] = {'S', 'P', 'R', '1'};

uint32_t spool_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t spool_get_u64(const uint8_t *p)
{
    return (uint64_t)spool_get_u32(p) | (uint64_t)spool_get_u32(p + 4) << 32;
}

void spool_put_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(value >> (8 * i));
    }
}

void spool_put_u64(uint8_t *p, uint64_t value)
{
    spool_put_u32(p, (uint32_t)value);
    spool_put_u32(p + 4, (uint32_t)(value >> 32));
}

static void header_write(uint8_t *p, const struct spool_record *r, struct slice payload)
{
    memset(p, 0, SPOOL_RECORD_HEADER);
    memcpy(p, magic, sizeof magic);
    p[4] = (uint8_t)r->type;
    spool_put_u32(p + 8, (uint32_t)payload.len);
    spool_put_u32(p + 12, crc32c(0, payload));
    memcpy(p + 16, r->id, ID_SIZE);
    spool_put_u32(p + 32, r->variant);
    spool_put_u32(p + 36, r->chunk);
    spool_put_u32(p + 44, crc32c(0, slice_of(p, 44)));
}

enum status spool_record_begin(struct buf *out, size_t *at)
{
    static const uint8_t zeros[SPOOL_RECORD_HEADER];
    *at = out->len;
    return buf_append(out, zeros, sizeof zeros);
}

enum status spool_record_finish(struct buf *out, size_t at, const struct spool_record *record)
{
    static const uint8_t zeros[8];
    size_t payload_len = out->len - at - SPOOL_RECORD_HEADER;
    if (payload_len > SPOOL_PAYLOAD_MAX) {
        return STATUS_TOO_LARGE;
    }
    size_t padding = (size_t)spool_record_size(payload_len) - SPOOL_RECORD_HEADER - payload_len;
    enum status status = buf_append(out, zeros, padding);
    if (status == STATUS_OK) {
        header_write(out->data + at, record, slice_of(out->data + at + SPOOL_RECORD_HEADER, payload_len));
    }
    return status;
}

enum status spool_record_append(struct buf *out, const struct spool_record *record, struct slice payload)
{
    size_t at = 0;
    enum status status = spool_record_begin(out, &at);
    if (status == STATUS_OK) {
        status = buf_append_slice(out, payload);
    }
    if (status == STATUS_OK) {
        status = spool_record_finish(out, at, record);
    }
    return status;
}

enum status spool_record_read(const uint8_t *header, struct spool_record *out)
{
    if (memcmp(header, magic, sizeof magic) != 0 ||
        spool_get_u32(header + 44) != crc32c(0, slice_of(header, 44))) {
        return STATUS_CORRUPT;
    }
    uint8_t type = header[4];
    *out = (struct spool_record){
        .type = (enum spool_record_type)type,
        .payload_len = spool_get_u32(header + 8),
        .payload_crc = spool_get_u32(header + 12),
        .variant = spool_get_u32(header + 32),
        .chunk = spool_get_u32(header + 36),
    };
    memcpy(out->id, header + 16, ID_SIZE);
    return type == 0 || type >= SPOOL_RECORD_END || out->payload_len > SPOOL_PAYLOAD_MAX ? STATUS_CORRUPT
                                                                                         : STATUS_OK;
}

bool spool_record_payload_good(const struct spool_record *record, struct slice payload)
{
    return payload.len == record->payload_len && crc32c(0, payload) == record->payload_crc;
}
