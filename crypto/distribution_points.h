/*
 * Where a certificate says that revocation lists of its issuer are: CRL Distribution Points and Freshest CRL
 * (RFC 5280 sections 4.2.1.13 and 4.2.1.15). The bytes are hostile. Any thread.
 */
#ifndef SEALPOST_CRYPTO_DISTRIBUTION_POINTS_H
#define SEALPOST_CRYPTO_DISTRIBUTION_POINTS_H

#include "crypto/x509.h"

#include <openssl/x509v3.h>

#define DISTRIBUTION_URLS_MAX 8
#define DISTRIBUTION_URL_MAX  1024 /* bytes */

enum distribution { DISTRIBUTION_FULL, DISTRIBUTION_DELTA };

/* The locations that are http or https, of points of the certificate's own issuer; copied into the arena. The
 * count: 0 also when the certificate cannot be read. */
size_t distribution_urls(struct slice der, enum distribution kind, struct arena *a,
                         struct slice urls[DISTRIBUTION_URLS_MAX]);

/* The same of an extension that was read: of a certificate, or of a list (RFC 5280 section 5.2.6). */
size_t distribution_point_urls(const CRL_DIST_POINTS *points, struct arena *a,
                               struct slice urls[DISTRIBUTION_URLS_MAX]);

#endif
