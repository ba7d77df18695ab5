/*
 * The bytes after 354 (RFC 5321 section 4.1.1.4): finds <CRLF>.<CRLF>, takes away dot-stuffing
 * (section 4.5.2) and holds the limits. Line ends are strict: a bare CR, a bare LF or a NUL is DATA_BAD and
 * the session ends, wherever the borders of the packets fall. Pure: a small state machine; the content goes
 * to the caller's buffer, CRLF and all.
 *
 * Content in chunks (BDAT, RFC 3030) is the same without dots: where it ends its size says. What does not end
 * with CRLF gets one, since what goes on by DATA needs it.
 *
 * After a limit was passed the reader goes on to the final dot and gives nothing out any more, so that the
 * refusal stands where the client expects it; the first fault is kept.
 */
#ifndef SEALPOST_SMTP_DATA_READER_H
#define SEALPOST_SMTP_DATA_READER_H

#include "base/buf.h"

enum data_result { DATA_MORE, DATA_END, DATA_BAD };
enum data_fault {
    DATA_FINE,
    DATA_TOO_LARGE,
    DATA_HEADER_TOO_LARGE,
    DATA_LINE_TOO_LONG,
    DATA_LOOP,
    DATA_NO_MEMORY
};

struct data_limits {
    uint64_t max_size;   /* bytes of content, CRLFs counted, dot-stuffing not */
    uint64_t max_header; /* bytes up to the empty line */
    uint64_t max_line;   /* bytes of one line with CRLF */
    struct slice mark; /* what our own Received fields carry; it begins with a byte that is not in it again */
    unsigned max_passes;   /* more of them are a loop, too */
    unsigned max_received; /* Received fields: more is a loop (RFC 5321 section 6.3) */
};

struct data_reader {
    struct data_limits limits;
    enum data_position {
        DATA_AT_LINE_START,
        DATA_AFTER_DOT,    /* a dot at the line's start */
        DATA_AFTER_DOT_CR, /* dot, CR */
        DATA_IN_LINE,
        DATA_AFTER_CR,
    } position;
    enum data_fault fault;
    uint64_t size, line;
    bool in_header, any_8bit;
    bool tls_not_required; /* the header says "TLS-Required: No" (RFC 8689 section 3) */
    unsigned received, passes;
    size_t mark_at;    /* so many bytes of the mark were seen */
    uint8_t field[40]; /* the first bytes of the present header line, to know what it is */
};

void data_reader_init(struct data_reader *r, const struct data_limits *limits);
/* Takes all of `in` (*used = in.len), or up to and with the final dot's CRLF when it gives DATA_END. Content
 * is appended to `out`. */
enum data_result data_read(struct data_reader *r, struct slice in, struct buf *out, size_t *used);
/* Bytes of a chunk, all of them. False: a bare CR, a bare LF or a NUL. */
bool chunk_read(struct data_reader *r, struct slice in, struct buf *out) MUST_CHECK;
/* The last chunk is over. False: it ended with a bare CR. */
bool chunk_end(struct data_reader *r, struct buf *out) MUST_CHECK;

#endif
