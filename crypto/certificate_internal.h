/* What the files about certificates share; internal to crypto/. */
#ifndef SEALPOST_CRYPTO_CERTIFICATE_INTERNAL_H
#define SEALPOST_CRYPTO_CERTIFICATE_INTERNAL_H

#include "crypto/x509.h"

/* certificate_describe() of what was parsed before; `der` is x's. */
enum status certificate_describe_parsed(X509 *x, struct slice der, struct slice source, uint64_t now_ms,
                                        struct arena *a, struct certificate_record *out,
                                        struct failure *f) MUST_CHECK;
/* enum certificate_use, as flags. */
uint64_t certificate_uses(X509 *x);
/* RFC 8550 section 4.4.4: no extended key usage, or one that has emailProtection or any. */
bool certificate_is_for_mail(X509 *x);
/* The subject as text for people: printable ASCII, cut to `size`, NUL-terminated; "(no name)" if it is empty
 * or broken. */
void certificate_name(X509 *x, char *out, size_t size);

#endif
