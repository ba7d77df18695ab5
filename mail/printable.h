/* Anybody's bytes as text that cannot be taken for anything else. */
#ifndef SEALPOST_MAIL_PRINTABLE_H
#define SEALPOST_MAIL_PRINTABLE_H

#include "base/buf.h"

/* One line of printable ASCII, cut at `max` bytes: white space becomes one space, anything else "?". */
enum status printable_line_append(struct buf *out, struct slice s, size_t max) MUST_CHECK;

#endif
