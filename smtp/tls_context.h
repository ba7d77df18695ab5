/* TLS contexts of the smtp role: TLS 1.2 and later in both directions. */
#ifndef SEALPOST_SMTP_TLS_CONTEXT_H
#define SEALPOST_SMTP_TLS_CONTEXT_H

#include "base/status.h"

#include <openssl/ssl.h>

/* Both accept TLS 1.2 and later; `verified` checks chain and name against the system's trust store. */
enum status tls_client_contexts(SSL_CTX **opportunistic, SSL_CTX **verified, struct failure *f) MUST_CHECK;

#endif
