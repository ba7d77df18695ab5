/* What a stranger may send to a member (the request), a member to a joining node (answer, peers), and an
 * administrator paste (token). */
#include "node/join_protocol.h"
#include "node/join_token.h"
#include "node/peer_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct join_request request;
    struct join_answer answer;
    struct join_token token;
    struct known_peer peers[CORE_NODES_MAX];
    struct slice payload, in = slice_of(data, size);
    struct failure f;
    size_t count;
    while (peer_frame_take(in, JOIN_FRAME_MAX, &payload) > 0) {
        (void)!join_request_decode(payload, &request);
        in = slice_of(payload.data + payload.len, (size_t)(data + size - payload.data) - payload.len);
    }
    in = slice_of(data, size);
    (void)!join_request_decode(in, &request);
    (void)!join_answer_decode(in, &answer);
    (void)!known_peers_decode(in, peers, &count);
    (void)!join_token_decode(in, &token, &f);
    return 0;
}
