/*
 * TLS to next hops: contexts by the trust anchors that they know, and what a certificate's check said, in the
 * words of TLS reports. On the loop's thread.
 */
#ifndef SEALPOST_SMTP_TLS_CLIENT_H
#define SEALPOST_SMTP_TLS_CLIENT_H

#include "smtp/tls_settings.h"

#include <openssl/ssl.h>

struct tls_client;

enum status tls_client_new(struct tls_client **out, struct failure *f) MUST_CHECK;
void tls_client_free(struct tls_client *t); /* NULL is fine */
/* TLS 1.2 and later, DANE enabled, these anchors, nothing verified yet. Borrowed, until the next call.
 * Anchors of `store` (NULL: there are none) are read anew when they have changed; CRYPTO, or what the store
 * says: none then. */
enum status tls_client_context(struct tls_client *t, struct store *store, enum tls_anchors anchors,
                               SSL_CTX **out, struct failure *f) MUST_CHECK;

/* RFC 8460 section 4.3: "certificate-expired", ... for a result of SSL_get_verify_result() that is not OK. */
const char *tls_result_name(long verify_result);

#endif
