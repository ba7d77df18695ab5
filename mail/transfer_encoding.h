/* Content-Transfer-Encoding (RFC 2045 section 6): quoted-printable and base64 both ways. Pure. */
#ifndef SEALPOST_MAIL_TRANSFER_ENCODING_H
#define SEALPOST_MAIL_TRANSFER_ENCODING_H

#include "base/buf.h"

enum transfer_encoding {
    TRANSFER_7BIT, /* also: no such field */
    TRANSFER_8BIT,
    TRANSFER_BINARY,
    TRANSFER_QUOTED_PRINTABLE,
    TRANSFER_BASE64,
    TRANSFER_UNKNOWN,
};

/* From the field's value; comments and spaces around the token do not matter. */
enum transfer_encoding transfer_encoding_of(struct slice value);

/* CRLF is a line break and stays; anything else that is not plain text is written as =XX, also a "From " at
 * the start of a line, so that no relay changes a signed line. Lines of the output are at most 76 characters.
 * Appends. */
enum status quoted_printable_encode(struct slice in, struct buf *out) MUST_CHECK;
/* Lenient, as RFC 2045 asks: what is no valid escape stays as it is. Appends. */
enum status quoted_printable_decode(struct slice in, struct buf *out) MUST_CHECK;
/* Lines of 76 characters, each with CRLF, the last too. Appends. */
enum status base64_lines_encode(struct slice in, struct buf *out) MUST_CHECK;
/* Skips what is not of the alphabet, ends at the first "="; a lone last character is dropped. Appends. */
enum status base64_lines_decode(struct slice in, struct buf *out) MUST_CHECK;
/* By the encoding: copies 7bit, 8bit and binary; UNSUPPORTED for an unknown one. Appends. */
enum status transfer_decode(enum transfer_encoding encoding, struct slice in, struct buf *out) MUST_CHECK;

#endif
