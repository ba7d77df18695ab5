/*
 * Checks what a peer sends before c-raft sees it: libraft 0.15 takes lengths and counts from the wire as they
 * are (DESIGN.md section 4, rule 7), and its decoder of a batch pads each entry to 8 bytes although nobody
 * sends padding (rule 2). Pure; incremental; holds at most one header and one membership entry.
 *
 * The wire format of libraft 0.15 (numbers are little endian):
 *   message:   type u64, header length u64, header, payload
 *   1 AppendEntries        term, prev index, prev term, commit, n, n times { term u64, type u8, 3 unused,
 * length u32 }, perhaps 8 unused; payload: the entries' data one after the other 2 AppendEntriesResult  term,
 * rejected, last index 3 RequestVote          term, candidate, last index, last term, (flags) 4
 * RequestVoteResult    term, granted, (flags) 5 InstallSnapshot      term, last index, last term, conf index,
 * conf length, conf, data length, perhaps 8 unused; payload: the data 6 TimeoutNow           term, last
 * index, last term conf:      version u8 = 1, n u64, n times { id u64, address text with NUL, role u8 },
 * zeros to a multiple of 8 entries:   type 1 command, 2 barrier, 3 conf
 */
#ifndef SEALPOST_RAFT_FRAME_CHECK_H
#define SEALPOST_RAFT_FRAME_CHECK_H

#include "base/buf.h"

#define FRAME_ENTRIES_MAX  (1U << 17)
#define FRAME_PAYLOAD_MAX  ((size_t)1 << 30) /* bytes of entries in a message */
#define FRAME_SNAPSHOT_MAX ((size_t)2 << 30) /* bytes */
#define FRAME_SERVERS_MAX  64

struct frame_check {
    struct buf header;     /* of the present message, with its preamble */
    size_t header_need;    /* bytes; 16 until the preamble is there */
    size_t payload_left;   /* of the present message */
    size_t entry, entries; /* AppendEntries: the one whose data comes, and how many there are */
    size_t entry_left;     /* bytes of it */
    struct buf conf;       /* data of a membership entry, kept until it is whole */
    bool snapshot;         /* the payload is a snapshot's */
};

void frame_check_init(struct frame_check *c);
void frame_check_release(struct frame_check *c);
/* Look at the next bytes of the stream, cut anywhere. OK: they may be passed on. MALFORMED: close the
 * connection; nothing of them may be passed on. */
enum status frame_check_feed(struct frame_check *c, struct slice bytes, struct failure *f) MUST_CHECK;

#endif
