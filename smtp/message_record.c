/* One record of the message log: its key, compression, seal (smtp/message_log.h). Pure; any thread. */
#include "smtp/message_log_internal.h"

#include "base/hex.h"
#include "crypto/seal.h"
#include "smtp/spool_format.h"

#include <zlib.h>

#define CONTEXT      "message-log:"
#define COMPRESS_MIN 200 /* bytes from which it is worth while */

enum { FORM_PLAIN = 0, FORM_ZLIB = 1 };

void log_key_make(const uint8_t id[ID_SIZE], enum log_kind kind, uint64_t number, uint8_t key[LOG_KEY_SIZE])
{
    memcpy(key, id, ID_SIZE);
    key[ID_SIZE] = (uint8_t)kind;
    for (int i = 0; i < 8; i++) {
        key[ID_SIZE + 1 + i] = (uint8_t)(number >> (56 - 8 * i));
    }
}

static struct slice context_of(const uint8_t key[LOG_KEY_SIZE], char text[sizeof CONTEXT + 2 * LOG_KEY_SIZE])
{
    memcpy(text, CONTEXT, sizeof CONTEXT - 1);
    hex_format(slice_of(key, LOG_KEY_SIZE), text + sizeof CONTEXT - 1);
    return slice_of(text, sizeof CONTEXT - 1 + (size_t)2 * LOG_KEY_SIZE);
}

/* As much window and hash as the record can use: zlib's default takes and clears 256 KB for each. */
static int window_bits(size_t len)
{
    int bits = 9;
    while (bits < MAX_WBITS && (size_t)1 << bits < len) {
        bits++;
    }
    return bits;
}

static enum status compress_into(struct slice plain, struct buf *out)
{
    uint8_t head[5] = {FORM_ZLIB};
    int bits = window_bits(plain.len);
    z_stream z = {.next_in = (Bytef *)(uintptr_t)plain.data, .avail_in = (uInt)plain.len};
    if (deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, bits, bits - 7, Z_DEFAULT_STRATEGY) != Z_OK) {
        return STATUS_NO_MEMORY;
    }
    size_t room = deflateBound(&z, plain.len);
    spool_put_u32(head + 1, (uint32_t)plain.len);
    enum status status = buf_append(out, head, sizeof head);
    if (status == STATUS_OK) {
        status = buf_reserve(out, room);
    }
    if (status == STATUS_OK) {
        z.next_out = out->data + out->len;
        z.avail_out = (uInt)room;
        status = deflate(&z, Z_FINISH) == Z_STREAM_END ? STATUS_OK : STATUS_INTERNAL;
        out->len += status == STATUS_OK ? z.total_out : 0;
    }
    (void)deflateEnd(&z);
    return status;
}

enum status log_record_seal(const struct message_log *log, const uint8_t key[LOG_KEY_SIZE],
                            struct slice plain, struct buf *out)
{
    char context[sizeof CONTEXT + 2 * LOG_KEY_SIZE];
    struct buf form = BUF_INIT(2 * LOG_RECORD_MAX);
    form.wipe = true;
    enum status status;
    if (plain.len > LOG_RECORD_MAX) {
        return STATUS_TOO_LARGE;
    }
    if (plain.len >= COMPRESS_MIN) {
        status = compress_into(plain, &form);
    } else {
        status = buf_append_byte(&form, FORM_PLAIN);
        status = status == STATUS_OK ? buf_append_slice(&form, plain) : status;
    }
    if (status == STATUS_OK) {
        status = seal(secret_slice(&log->key), context_of(key, context), buf_slice(&form), out);
    }
    buf_release(&form);
    return status;
}

static enum status form_read(struct slice form, struct buf *plain)
{
    if (form.len >= 1 && form.data[0] == FORM_PLAIN) {
        return buf_append(plain, form.data + 1, form.len - 1);
    }
    if (form.len < 5 || form.data[0] != FORM_ZLIB) {
        return STATUS_CORRUPT;
    }
    uLongf len = spool_get_u32(form.data + 1);
    if (len > LOG_RECORD_MAX) {
        return STATUS_CORRUPT;
    }
    enum status status = buf_reserve(plain, len);
    if (status != STATUS_OK) {
        return status;
    }
    uLongf got = len;
    if (uncompress(plain->data + plain->len, &got, form.data + 5, form.len - 5) != Z_OK || got != len) {
        return STATUS_CORRUPT;
    }
    plain->len += len;
    return STATUS_OK;
}

enum status log_record_open(const struct message_log *log, struct slice key, struct slice sealed,
                            struct buf *plain, struct failure *f)
{
    char context[sizeof CONTEXT + 2 * LOG_KEY_SIZE];
    struct secret form;
    if (key.len != LOG_KEY_SIZE) {
        return failure_set(f, STATUS_CORRUPT, "a key of the message log has not its size");
    }
    enum status status = unseal(secret_slice(&log->key), context_of(key.data, context), sealed, &form, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = form_read(secret_slice(&form), plain);
    secret_release(&form);
    return status == STATUS_OK ? status
                               : failure_set(f, status, "a record of the message log cannot be read");
}
