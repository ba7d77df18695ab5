/*
 * The message log: what became of each message that this node was given, also when it was refused and long
 * after it left. An LMDB environment of its own in the folder `messages/`, everything in it sealed, for it
 * names people.
 *
 *   key     16 bytes message id; 1 byte kind (0 taken, 1 event, 2 trace); 8 bytes number, big endian, growing
 *   value   sealed (crypto/seal.h) under a key derived from the spool key, context "message-log:" + the key
 * in hex: 1 byte form (0 as it is, 1 zlib with 4 bytes length in front, little endian), then
 *           smtp/message_event.h, or for kind 2 the decision's trace in JSON
 *
 * Writing is behind and never in the way of mail: the loop's thread encodes and queues, a thread of its own
 * seals and commits what has gathered, about twice a second. A crash loses the last second of the log, never
 * mail. When the disk is full, or nearly, or the log cannot be opened, what comes is dropped from the log and
 * counted; mail goes on.
 *
 * Old messages go first: those that arrived more than `retention` ago, and the oldest when the log takes more
 * than its maximum. The file does not shrink; what is freed in it is used again.
 *
 * Threads: message_log_show() and message_log_list() are for any thread and block on the disk; all else is
 * for the loop's thread. Every function takes NULL for a log that could not be opened.
 */
#ifndef SEALPOST_SMTP_MESSAGE_LOG_H
#define SEALPOST_SMTP_MESSAGE_LOG_H

#include "smtp/message_event.h"

#define MESSAGE_LOG_FOLDER      "messages"
#define MESSAGE_LOG_PENDING_MAX ((size_t)32 << 20)    /* bytes that wait to be written */
#define MESSAGE_LOG_SPARE       ((uint64_t)512 << 20) /* free bytes of the disk that are left to mail */
#define MESSAGE_LOG_PAGE_MAX    200                   /* messages of one list */

struct message_log;

struct message_log_options {
    const char *dir;    /* made if missing */
    struct slice key;   /* the spool's, 32 bytes */
    const char *node;   /* whose log this is, for the entries; copied */
    uint64_t max_bytes; /* see message_log_limits() */
    uint64_t retention_ms;
    uint64_t spare_bytes; /* 0: MESSAGE_LOG_SPARE */
};

enum status message_log_open(const struct message_log_options *options, struct message_log **out,
                             struct failure *f) MUST_CHECK;
/* Writes what waits, ends the thread, frees. */
void message_log_close(struct message_log *log);
void message_log_limits(struct message_log *log, uint64_t max_bytes, uint64_t retention_ms);

/* Copied. `trace` is JSON; may be empty. */
void message_log_taken(struct message_log *log, const uint8_t id[ID_SIZE], const struct message_taken *t,
                       struct slice trace);
void message_log_event(struct message_log *log, const uint8_t id[ID_SIZE], const struct message_event *e);

struct message_log_counts {
    uint64_t written, dropped; /* records */
    uint64_t expired;          /* messages that were removed for their age or for room */
    uint64_t bytes;            /* in use, as of the last commit */
};
void message_log_counts_get(struct message_log *log, struct message_log_counts *out);

/* Everything that was queued until now is written when this returns, or it has taken too long (2 s). */
void message_log_flush(struct message_log *log);

/* The message as JSON (docs/messages.md) without its trace, and the trace. NOT_FOUND; UNAVAILABLE without a
 * log. */
enum status message_log_show(struct message_log *log, const uint8_t id[ID_SIZE], struct buf *entry,
                             struct buf *trace, struct failure *f) MUST_CHECK;

/* Does the log know that this node took the message, for anybody at all? */
bool message_log_took(struct message_log *log, const uint8_t id[ID_SIZE]);

struct message_query {
    size_t limit; /* at most MESSAGE_LOG_PAGE_MAX */
    bool has_before;
    uint8_t before[ID_SIZE];     /* only those older than this */
    struct slice from, to;       /* an address, or "@domain"; "" = any */
    struct slice status;         /* a state of the message; "" = any */
    uint64_t since_ms, until_ms; /* of arrival; until_ms 0: no end */
};
/* Newest first: one JSON text after the other in `out` as MessagePack str values, `*count` of them. `more`:
 * there may be older ones, from `next` (exclusive) on: the page was full, or the search has looked at enough.
 */
enum status message_log_list(struct message_log *log, const struct message_query *q, struct buf *out,
                             size_t *count, bool *more, uint8_t next[ID_SIZE], struct failure *f) MUST_CHECK;

#endif
