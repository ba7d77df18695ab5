/* OpenSSL's providers; internal to crypto/. */
#ifndef SEALPOST_CRYPTO_PROVIDERS_H
#define SEALPOST_CRYPTO_PROVIDERS_H

#include "base/status.h"

/* The default provider, and the legacy one if it is installed: without it, RC2 and old PKCS#12 files cannot
 * be read, and nothing else is lost. Once a process; later calls do nothing. Not while other threads use
 * OpenSSL. */
enum status providers_load(struct failure *f) MUST_CHECK;

#endif
