/* Small readings of MIME text that several parsers share (RFC 2045, RFC 5322). Pure; nothing here allocates.
 */
#ifndef SEALPOST_MAIL_MIME_TEXT_H
#define SEALPOST_MAIL_MIME_TEXT_H

#include "base/slice.h"

#define MIME_LINE_MAX 998 /* bytes without CRLF: RFC 5322 section 2.1.1 */

/* Skips white space and comments (nested, with quoted pairs; an unclosed one reaches to the end) at the start
 * of *at. */
void mime_skip_blank(struct slice *at);
/* The token at *at (RFC 2045) after white space and comments; empty if there is none. *at moves behind it. */
struct slice mime_token(struct slice *at);

/* One line from *at, without its CRLF or LF, which *at moves behind. false at the end. */
bool mime_line(struct slice *at, struct slice *line);

/* 7-bit text that SMTP carries as it is: bytes 1 to 127, line ends CRLF, no line above MIME_LINE_MAX. */
bool mime_is_plain_7bit(struct slice text);
/* As above, but bytes above 127 may occur. */
bool mime_is_plain_8bit(struct slice text);
bool mime_has_8bit(struct slice text);
/* Is there a CR without LF, or LF without CR? */
bool mime_has_bare_line_end(struct slice text);

#endif
