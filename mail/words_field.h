/* Writing UTF-8 text as an unstructured header field (RFC 2047, RFC 5322 section 2.2.3). Pure. */
#ifndef SEALPOST_MAIL_WORDS_FIELD_H
#define SEALPOST_MAIL_WORDS_FIELD_H

#include "base/buf.h"

/* Appends "NAME: TEXT" as one field with CRLF, folded; as encoded words where the text needs it. `text` is
 * one line of UTF-8; bytes that are none are written as "?". */
enum status words_field_append(const char *name, struct slice text, struct buf *out) MUST_CHECK;

#endif
