/*
 * A worker's line to the fetch role (mail/fetch_protocol.h): one question at a time, with a wait that is
 * bounded in each case and, over time, in sum: mail of strangers must not be able to keep the workers
 * waiting. When the sum is used up, the answer is "not now" at once, and the message is decided with what is
 * stored. One thread.
 */
#ifndef SEALPOST_NODE_FETCH_CLIENT_H
#define SEALPOST_NODE_FETCH_CLIENT_H

#include "base/channel.h"
#include "mail/fetch_protocol.h"

#define FETCH_WAITING_SHARE_MAX 5     /* of its time, a worker waits for fetch at most one part in so many */
#define FETCH_WAITING_SAVED_MS  20000 /* and so long at once, after a time without questions */

/* What a worker waits at most, from asking to the answer; fetch's own work ends a little before. */
#define FETCH_ISSUERS_WAIT_MS 2000
#define FETCH_PEOPLE_WAIT_MS  4000

struct fetch_client {
    int fd; /* -1 while not connected */
    uint64_t next_number;
    uint64_t counted_ms, saved_ms; /* when the sum was last counted, and what may be waited */
    struct channel_frame frame;    /* of the last answer */
};

void fetch_client_init(struct fetch_client *c, uint64_t now_ms);
void fetch_client_release(struct fetch_client *c);
/* Fills q->number. The answer's text and the results live until the next question. BUSY: the sum is used up;
 * TIMEOUT, UNAVAILABLE: there is no answer; else OK, and the answer has its own status. */
enum status fetch_client_ask(struct fetch_client *c, struct fetch_question *q, unsigned wait_ms,
                             struct fetch_answer *answer, struct msgpack_reader *results) MUST_CHECK;

#endif
