/*
 * Replies of another SMTP server (RFC 5321 section 4.2.1): lines "CODE-text" and a last "CODE text", strict
 * in form but lenient about a bare LF, since nothing is decided by where a reply line ends but its code. Pure
 * and without state: bytes that are no whole reply yet are given again, with more.
 */
#ifndef SEALPOST_SMTP_REPLY_PARSER_H
#define SEALPOST_SMTP_REPLY_PARSER_H

#include "base/slice.h"

#define REPLY_LINES_MAX 100
#define REPLY_BYTES_MAX ((size_t)32 << 10) /* of one reply with all its lines */

struct remote_reply {
    int code;           /* 200..599 */
    struct slice lines; /* all of it as it came, with line ends */
    char enhanced[12];  /* "5.1.1" of the last line, "" if it has none that fits the code */
    struct slice text;  /* of the last line, after code and enhanced code */
    size_t line_count;
};

enum reply_result { REPLY_PARSED, REPLY_MORE, REPLY_MALFORMED };

enum reply_result reply_parse(struct slice in, struct remote_reply *out, size_t *used);
/* The i-th line without its code and line end; false at the end. */
bool reply_line_at(const struct remote_reply *reply, size_t i, struct slice *line);

/* What an EHLO reply offers. */
struct ehlo_offers {
    bool pipelining, eightbitmime, starttls, size, enhanced, smtputf8, dsn, chunking, requiretls;
    uint64_t max_size; /* 0: none told */
    /* LIMITS (RFC 9422); 0: none told */
    uint64_t max_mails, max_recipients, max_domains;
};
void ehlo_offers_read(const struct remote_reply *reply, struct ehlo_offers *out);

#endif
