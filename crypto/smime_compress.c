/*
 * CompressedData (RFC 3274) with zlib, which Debian's OpenSSL leaves out of its CMS:
 *
 *   ContentInfo { id-ct-compressedData, [0] { 0, { id-alg-zlibCompress }, { id-data, [0] OCTET STRING } } }
 *
 * What is read is hostile: it may be a bomb, so the caller's buffer bounds it, and nothing of a piece that is
 * broken or too large is given out. Pure; any thread.
 */
#include "crypto/smime_internal.h"

#include "crypto/der.h"

#include <zlib.h>

#define PIECE ((size_t)64 << 10) /* bytes inflated at a time */

static const struct slice id_data = SLICE_LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01");
static const struct slice id_zlib = SLICE_LITERAL("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08");
static const struct slice version_and_algorithm =
    SLICE_LITERAL("\x02\x01\x00\x30\x0d\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08");

static enum status deflate_all(struct slice in, struct buf *out)
{
    uLong room = compressBound(in.len);
    uLongf len = room;
    enum status status = buf_reserve(out, room);

    if (status != STATUS_OK)
        return status;
    if (compress2(out->data, &len, in.data, in.len, Z_DEFAULT_COMPRESSION) != Z_OK)
        return STATUS_NO_MEMORY;
    out->len = len;
    return STATUS_OK;
}

/* CompressedData's members around what is compressed. */
static enum status put_compressed(struct slice compressed, struct buf *out)
{
    struct buf octets = BUF_INIT(CMS_MAX), inside = BUF_INIT(CMS_MAX);
    enum status status = der_put(&octets, BER_OCTETS, compressed);

    if (status == STATUS_OK)
        status = der_put(&inside, BER_OID, id_data);
    if (status == STATUS_OK)
        status = der_put(&inside, BER_CONTEXT_0, buf_slice(&octets));
    if (status == STATUS_OK)
        status = buf_append_slice(out, version_and_algorithm);
    if (status == STATUS_OK)
        status = der_put(out, BER_SEQUENCE, buf_slice(&inside));
    buf_release(&octets);
    buf_release(&inside);
    return status;
}

enum status smime_compress(struct slice entity, struct buf *out, struct failure *f)
{
    struct buf compressed = {.max = CMS_MAX, .wipe = true}, data = {.max = CMS_MAX, .wipe = true};
    enum status status = deflate_all(entity, &compressed);

    if (status == STATUS_OK)
        status = put_compressed(buf_slice(&compressed), &data);
    if (status == STATUS_OK)
        status = smime_wrap(NID_id_smime_ct_compressedData, buf_slice(&data), out);
    buf_release(&compressed);
    buf_release(&data);
    return status == STATUS_OK ? STATUS_OK
                               : failure_set(f, status, "cannot compress: %s", status_text(status));
}

/* The OCTET STRING with what is compressed. */
static enum status find_compressed(struct slice cms, struct ber_element *octets)
{
    struct ber_element whole, oid, explicit, data, algorithm, zlib, inside, type, content;

    if (smime_kind(cms) != CMS_KIND_COMPRESSED || !ber_next_is(&cms, BER_SEQUENCE, &whole) ||
        !ber_next_is(&whole.content, BER_OID, &oid) ||
        !ber_next_is(&whole.content, BER_CONTEXT_0, &explicit) ||
        !ber_next_is(&explicit.content, BER_SEQUENCE, &data) ||
        !ber_next_is(&data.content, BER_INTEGER, &whole) ||
        !ber_next_is(&data.content, BER_SEQUENCE, &algorithm) ||
        !ber_next_is(&algorithm.content, BER_OID, &zlib) ||
        !ber_next_is(&data.content, BER_SEQUENCE, &inside) || !ber_next_is(&inside.content, BER_OID, &type))
        return STATUS_MALFORMED;
    if (!slice_equal(zlib.content, id_zlib) || !slice_equal(type.content, id_data))
        return STATUS_UNSUPPORTED;
    return ber_next_is(&inside.content, BER_CONTEXT_0, &content) && ber_next(&content.content, octets)
               ? STATUS_OK
               : STATUS_MALFORMED;
}

static enum status inflate_all(struct slice in, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)in.data, .avail_in = (uInt)in.len};
    uint8_t *piece;
    enum status status = STATUS_OK;
    int result = Z_OK;

    if (in.len > UINT32_MAX)
        return STATUS_TOO_LARGE;
    piece = malloc(PIECE);
    if (piece == NULL || inflateInit(&z) != Z_OK) {
        free(piece);
        return STATUS_NO_MEMORY;
    }
    while (status == STATUS_OK && result == Z_OK) {
        z.next_out = piece;
        z.avail_out = (uInt)PIECE;
        result = inflate(&z, Z_NO_FLUSH);
        if (result == Z_OK || result == Z_STREAM_END)
            status = buf_append(out, piece, PIECE - z.avail_out);
        else /* Z_BUF_ERROR: cut short */
            status = result == Z_MEM_ERROR ? STATUS_NO_MEMORY : STATUS_MALFORMED;
    }
    (void)inflateEnd(&z);
    OPENSSL_cleanse(piece, PIECE);
    free(piece);
    return status;
}

enum status smime_decompress(struct slice cms, struct buf *out, struct failure *f)
{
    struct buf compressed = {.max = CMS_MAX, .wipe = true};
    struct ber_element octets;
    size_t before = out->len;
    enum status status = find_compressed(cms, &octets);

    if (status == STATUS_OK)
        status = ber_octets(&octets, &compressed);
    if (status == STATUS_OK)
        status = inflate_all(buf_slice(&compressed), out);
    buf_release(&compressed);
    if (status == STATUS_OK)
        return STATUS_OK;
    out->len = before;
    switch (status) {
    case STATUS_UNSUPPORTED:
        return failure_set(f, status, "the message is compressed with something other than zlib");
    case STATUS_TOO_LARGE:
        return failure_set(f, status, "the message would become larger than %zu bytes when it is unpacked",
                           out->max);
    case STATUS_NO_MEMORY:
        return failure_set(f, status, "no memory to unpack a message");
    default:
        return failure_set(f, STATUS_MALFORMED, "the compressed message is broken");
    }
}
