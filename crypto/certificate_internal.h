/* What the files about certificates share; internal to crypto/. */
#ifndef SEALPOST_CRYPTO_CERTIFICATE_INTERNAL_H
#define SEALPOST_CRYPTO_CERTIFICATE_INTERNAL_H

#include "crypto/x509.h"

/* enum certificate_use, as flags. */
uint64_t certificate_uses(X509 *x);
/* RFC 8550 section 4.4.4: no extended key usage, or one that has emailProtection or any. */
bool certificate_is_for_mail(X509 *x);
/* The subject as text for people: printable ASCII, cut to `size`, NUL-terminated; "(no name)" if it is empty
 * or broken. */
void certificate_name(X509 *x, char *out, size_t size);

#endif
