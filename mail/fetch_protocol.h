/*
 * What other roles ask of `fetch`, over the channel `run/fetch.sock` (base/channel.h). MessagePack arrays:
 *
 *   request:  [ type: u8, request: u64, ...arguments ]    answer: [ type, request, status: u16, text: str,
 * ...results ]
 *
 *   ISSUERS   signer's certificate bin, [ certificate that came along bin, ... ] -> [ certificate bin, ... ]
 *             The certificates that are missing on the way to a trust anchor, each issuer of the one before.
 *   PEOPLE    [ address str, ... ] -> count u64, [ position u64, ... ]. Asks the directories of
 *             `cert.lookup`; what is found is in this node's store when it answers OK with a count above 0.
 *             The positions are those of addresses of which it is not known, since a directory failed.
 *   LIST      -> node str, leader str, [ source, ... ]: everything that is fetched on schedule.
 *             source: [ kind str, url str, issuer str, state str, last error str, fetched ms u64,
 *             next ms u64, failures u64 ]; times are wall clock, 0: never
 *   NOW       -> count u64: every source is due now; only the leader's node fetches
 *   STATS     -> map of name str to u64, for /metrics
 *
 * Workers may ask ISSUERS and PEOPLE, api LIST, NOW and STATS; fetch itself decides what it asks of whom.
 */
#ifndef SEALPOST_MAIL_FETCH_PROTOCOL_H
#define SEALPOST_MAIL_FETCH_PROTOCOL_H

#include "base/buf.h"
#include "base/msgpack_read.h"
#include "store/records.h"

#define FETCH_SOCKET "run/fetch.sock"

enum fetch_request_type { FETCH_ISSUERS = 1, FETCH_PEOPLE, FETCH_LIST, FETCH_NOW, FETCH_STATS };

#define FETCH_CERTIFICATE_MAX  ((size_t)64 << 10) /* bytes of one */
#define FETCH_CERTIFICATES_MAX 16
#define FETCH_PEOPLE_MAX       50

struct fetch_question {
    enum fetch_request_type type;
    uint64_t number;
    struct slice signer;
    struct slice list[FETCH_PEOPLE_MAX]; /* ISSUERS: certificates; PEOPLE: addresses */
    size_t count;
};
/* TOO_LARGE when the list is longer than its kind allows. */
enum status fetch_question_encode(const struct fetch_question *q, struct buf *out) MUST_CHECK;
/* Any bytes are safe; slices point into `in`. */
enum status fetch_question_decode(struct slice in, struct fetch_question *q) MUST_CHECK;

/* The head of an answer; the reader is left at the results. */
struct fetch_answer {
    enum fetch_request_type type;
    uint64_t number;
    enum status status;
    struct slice text;
};
enum status fetch_answer_encode(const struct fetch_answer *a, struct slice results, size_t count,
                                struct buf *out) MUST_CHECK;
enum status fetch_answer_decode(struct slice in, struct fetch_answer *a,
                                struct msgpack_reader *results) MUST_CHECK;

#endif
