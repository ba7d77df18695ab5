/*
 * The framing of a request's head, byte by byte. h2o's parser takes what smuggling needs: it ends lines at a
 * bare LF, takes the last Host and the first Content-Length of several, and Transfer-Encoding in place of
 * Content-Length without a word; and it keeps these fields from its handlers. So the raw head is looked at
 * once more (RFC 9112 sections 2.2, 3.2, 5 and 6.3), and whatever two programs could read in two ways is
 * refused. Pure.
 */
#ifndef SEALPOST_API_REQUEST_HEAD_H
#define SEALPOST_API_REQUEST_HEAD_H

#include "base/slice.h"
#include "base/status.h"

#define REQUEST_HEAD_MAX ((size_t)64 << 10) /* bytes that are looked at */

/* `input` begins with the request line and may go on behind the head. MALFORMED with the reason. */
enum status request_head_check(struct slice input, struct failure *f) MUST_CHECK;

#endif
