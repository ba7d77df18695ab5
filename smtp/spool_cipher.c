/* The seals of the spool: crypto/seal.h with contexts that bind each blob to its message. Pure but for the
 * nonces. */
#include "smtp/spool_internal.h"

#include "crypto/seal.h"

#define CONTEXT_MAX 64

static struct slice context_of(const char *what, const uint8_t id[ID_SIZE], char out[CONTEXT_MAX])
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    int n = snprintf(out, CONTEXT_MAX, "%s%s", what, text);
    return slice_of(out, n > 0 ? (size_t)n : 0);
}

enum status spool_seal_for(const char *what, struct slice key, const uint8_t id[ID_SIZE], struct slice plain,
                           struct buf *out)
{
    char context[CONTEXT_MAX];
    return seal(key, context_of(what, id, context), plain, out);
}

enum status spool_unseal_for(const char *what, struct slice key, const uint8_t id[ID_SIZE],
                             struct slice sealed, struct secret *out, struct failure *f)
{
    char context[CONTEXT_MAX];
    return unseal(key, context_of(what, id, context), sealed, out, f);
}

enum status spool_key_wrap(struct slice spool_key, const uint8_t id[ID_SIZE], struct slice key,
                           struct buf *out)
{
    return spool_seal_for("spool-key:", spool_key, id, key, out);
}

enum status spool_key_unwrap(struct slice spool_key, const uint8_t id[ID_SIZE], struct slice wrapped,
                             struct secret *key, struct failure *f)
{
    enum status status = spool_unseal_for("spool-key:", spool_key, id, wrapped, key, f);
    if (status == STATUS_OK && key->len != SPOOL_KEY_SIZE) {
        secret_release(key);
        return failure_set(f, STATUS_CORRUPT, "a message key has not its size");
    }
    return status;
}
