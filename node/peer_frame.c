/* See peer_frame.h. */
#include "node/peer_frame.h"

int peer_frame_take(struct slice bytes, size_t max, struct slice *payload)
{
    if (bytes.len < PEER_FRAME_HEADER) {
        return 0;
    }
    size_t len = (size_t)bytes.data[0] << 24 | (size_t)bytes.data[1] << 16 | (size_t)bytes.data[2] << 8 |
                 bytes.data[3];
    if (len == 0 || len > max) {
        return -1;
    }
    if (bytes.len - PEER_FRAME_HEADER < len) {
        return 0;
    }
    *payload = slice_of(bytes.data + PEER_FRAME_HEADER, len);
    return 1;
}

enum status peer_frame_send(struct tls_stream *stream, struct slice payload)
{
    uint8_t header[PEER_FRAME_HEADER] = {(uint8_t)(payload.len >> 24), (uint8_t)(payload.len >> 16),
                                         (uint8_t)(payload.len >> 8), (uint8_t)payload.len};
    enum status status = tls_stream_write(stream, slice_of(header, sizeof(header)));
    return status == STATUS_OK ? tls_stream_write(stream, payload) : status;
}
