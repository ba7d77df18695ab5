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
 *   LIST      -> [ leads bool, left out u64, [ source, ... ] ]: everything that is fetched on schedule; only
 *             the leader's node fetches, the others have no sources
 *   NOW       url str ("": all) -> count u64: so many sources are due now. NOT_LEADER; NOT_FOUND
 *   STATS     -> map of name str to u64, for /metrics
 *
 *   STS       domain str, id of its TXT record bin -> mode u64, max_age (s) u64, hosts str: the MTA-STS
 * policy, which is proposed as well. MALFORMED: it is none; UNTRUSTED: the server's certificate does not hold
 *   REPORT    https URL str, report bin: posted (RFC 8460 section 5.4). OK: it was taken
 *
 * Workers may ask ISSUERS and PEOPLE, smtp STS and REPORT, api LIST, NOW and STATS; fetch itself decides what
 * it asks of whom.
 */
#ifndef SEALPOST_MAIL_FETCH_PROTOCOL_H
#define SEALPOST_MAIL_FETCH_PROTOCOL_H

#include "base/buf.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/records.h"

#define FETCH_SOCKET "run/fetch.sock"

enum fetch_request_type {
    FETCH_ISSUERS = 1,
    FETCH_PEOPLE,
    FETCH_LIST,
    FETCH_NOW,
    FETCH_STATS,
    FETCH_STS,
    FETCH_REPORT,
    FETCH_TYPE_END
};

#define FETCH_CERTIFICATE_MAX  ((size_t)64 << 10) /* bytes of one */
#define FETCH_CERTIFICATES_MAX 16
#define FETCH_PEOPLE_MAX       50
#define FETCH_URL_MAX          1024
#define FETCH_SOURCES_MAX      1000 /* of LIST */
#define FETCH_REPORT_MAX       ((size_t)1 << 20)

struct fetch_question {
    enum fetch_request_type type;
    uint64_t number;
    struct slice signer;
    struct slice list[FETCH_PEOPLE_MAX]; /* ISSUERS: certificates; PEOPLE: addresses */
    size_t count;
    struct slice url;   /* NOW, REPORT; STS: the domain */
    struct slice bytes; /* STS: the id; REPORT: the report */
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

/* A source of LIST: [ kind, url, about, state, error, fetched ms, failed ms, next ms, failures ]. Times are
 * wall clock; 0: never. */
struct fetch_source {
    struct slice kind;  /* "crl", "delta-crl", "ocsp" */
    struct slice url;   /* of a list or a responder */
    struct slice about; /* the issuer's name; how many certificates name the responder */
    struct slice state; /* "due", "fetching", "ok", "failed" */
    struct slice error; /* of the last failure; "": there was none */
    uint64_t fetched_ms, failed_ms, next_ms;
    uint64_t failures; /* in a row */
};
void fetch_source_write(struct msgpack_writer *w, const struct fetch_source *s);
/* What is wrong is noted in the reader. Slices point into what is read. */
void fetch_source_read(struct msgpack_reader *r, struct fetch_source *s);

#endif
