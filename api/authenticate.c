/* See authenticate.h. */
#include "api/authenticate.h"

#include "base/secret.h"
#include "crypto/x509.h"

enum status authenticate(struct store_view *view, struct slice authorization, uint64_t now_ms,
                         struct api_token_record *out, struct failure *f)
{
    struct slice scheme = SLICE_LITERAL("Bearer ");
    uint8_t hash[32];
    if (!slice_starts_with_nocase(authorization, scheme)) {
        return failure_set(f, STATUS_UNAUTHENTICATED,
                           "give a token: the field Authorization with \"Bearer\" and the token");
    }
    struct slice token =
        slice_trim(slice_of(authorization.data + scheme.len, authorization.len - scheme.len));
    if (token.len == 0 || token.len > BEARER_MAX) {
        return failure_set(f, STATUS_UNAUTHENTICATED, "the token is not valid");
    }
    sha256(token, hash);
    enum status status = store_api_token_get(view, hash, out);
    secret_wipe(hash, sizeof(hash));
    if (status == STATUS_NOT_FOUND ||
        (status == STATUS_OK && out->expires_ms != 0 && out->expires_ms <= now_ms)) {
        return failure_set(f, STATUS_UNAUTHENTICATED, "the token is not valid");
    }
    return status == STATUS_OK ? STATUS_OK : failure_set(f, status, "the tokens cannot be read");
}
