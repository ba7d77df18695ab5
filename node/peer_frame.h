/* Frames on a byte stream between nodes: a length of 4 bytes, big endian, then so many bytes. */
#ifndef SEALPOST_NODE_PEER_FRAME_H
#define SEALPOST_NODE_PEER_FRAME_H

#include "base/slice.h"
#include "raft/tls_stream.h"

/* Take one whole frame off the front: 1 and the payload, 0 if there is not one yet, -1 if its length is 0 or
 * above max. */
int peer_frame_take(struct slice bytes, size_t max, struct slice *payload);
#define PEER_FRAME_HEADER 4
enum status peer_frame_send(struct tls_stream *stream, struct slice payload) MUST_CHECK;

#endif
