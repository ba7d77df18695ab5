/* Shared by the files of the built-in CA; internal to crypto/. */
#ifndef SEALPOST_CRYPTO_CA_INTERNAL_H
#define SEALPOST_CRYPTO_CA_INTERNAL_H

#include "crypto/certificate_internal.h"

#include <openssl/x509v3.h>

/* cRLDistributionPoints; nothing for "". */
bool ca_add_crl_url(X509 *x, const char *url);
/* subjectAltName as an extension stack or a certificate takes it; NULL: out of memory. */
GENERAL_NAMES *ca_alt_names(struct slice address);
/* The subject of a user: the name, or the address if it is short enough, or empty. */
bool ca_user_subject(X509_NAME *subject, struct slice address, struct slice name);

#endif
