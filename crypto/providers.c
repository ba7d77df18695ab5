/* See providers.h. A provider that is loaded by name switches off the automatic load of the default one, so
 * both are named. They are given back when OpenSSL cleans up at exit. */
#include "crypto/providers.h"

#include "base/log.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>

static OSSL_PROVIDER *standard, *legacy;

static void unload_cb(void)
{
    if (legacy != NULL)
        (void)OSSL_PROVIDER_unload(legacy);
    if (standard != NULL)
        (void)OSSL_PROVIDER_unload(standard);
    legacy = standard = NULL;
}

enum status providers_load(struct failure *f)
{
    if (standard != NULL)
        return STATUS_OK;
    standard = OSSL_PROVIDER_load(NULL, "default");
    legacy = standard == NULL ? NULL : OSSL_PROVIDER_load(NULL, "legacy");
    ERR_clear_error();
    if (standard == NULL)
        return failure_set(f, STATUS_CRYPTO, "cannot load OpenSSL's default provider");
    if (legacy == NULL)
        log_event(LOG_WARN, "OpenSSL's legacy provider is missing: RC2 and old PKCS#12 files cannot be read");
    (void)OPENSSL_atexit(unload_cb);
    return STATUS_OK;
}
