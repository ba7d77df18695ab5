/* Who asks: the bearer token of a request (RFC 6750). */
#ifndef SEALPOST_API_AUTHENTICATE_H
#define SEALPOST_API_AUTHENTICATE_H

#include "store/records.h"

#define BEARER_MAX 512 /* bytes of a token */

/* `authorization` is the field's value ("" if there is none). Gives name and role of the token, which point
 * into the view. UNAUTHENTICATED: none, unknown or expired; the text does not say which of the last two. The
 * look-up is by the token's SHA-256: how long it takes tells nothing about a token that one could guess byte
 * by byte. */
enum status authenticate(struct store_view *view, struct slice authorization, uint64_t now_ms,
                         struct api_token_record *out, struct failure *f) MUST_CHECK;

#endif
