/* How much work a file protected by a password asks for before its password can be tried; internal to
 * crypto/. */
#ifndef SEALPOST_CRYPTO_PASSWORD_COST_H
#define SEALPOST_CRYPTO_PASSWORD_COST_H

#include "base/slice.h"

#include <openssl/pkcs12.h>

#define PASSWORD_COST_MAX 5000000 /* iterations in all: some seconds */

bool pkcs12_is_affordable(const PKCS12 *p12);
/* An EncryptedPrivateKeyInfo (RFC 5958), DER. What is none is affordable: reading it fails soon enough. */
bool encrypted_key_is_affordable(struct slice der);

#endif
