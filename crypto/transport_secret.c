/* See crypto/transport_secret.h. Any thread. */
#include "crypto/transport_secret.h"

#define KIND_MAX     24
#define CONTEXT_SIZE (sizeof("transport:") + KIND_MAX + 1 + TRANSPORT_SECRET_NAME_MAX)

static bool kind_is_good(const char *kind)
{
    size_t len = strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return len > 0 && len <= KIND_MAX && kind[len] == '\0';
}

static enum status context_of(const char *kind, struct slice name, char out[CONTEXT_SIZE],
                              struct slice *context, struct failure *f)
{
    if (!kind_is_good(kind) || name.len == 0 || name.len > TRANSPORT_SECRET_NAME_MAX) {
        return failure_set(f, STATUS_INVALID,
                           "a secret of mail transport has a kind and a name of at most %d bytes",
                           TRANSPORT_SECRET_NAME_MAX);
    }
    int prefix = snprintf(out, CONTEXT_SIZE, "transport:%s:", kind);
    memcpy(out + prefix, name.data, name.len);
    *context = slice_of(out, (size_t)prefix + name.len);
    return STATUS_OK;
}

static enum status key_check(struct slice key, struct failure *f)
{
    return key.len == KEY_SIZE ? STATUS_OK
                               : failure_set(f, STATUS_UNAVAILABLE,
                                             "this process was given no key for secrets of mail transport");
}

enum status transport_secret_seal(struct slice transport_key, const char *kind, struct slice name,
                                  struct slice plain, struct buf *out, struct failure *f)
{
    char text[CONTEXT_SIZE];
    struct slice context;
    enum status status = key_check(transport_key, f);
    if (status == STATUS_OK) {
        status = context_of(kind, name, text, &context, f);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (plain.len > TRANSPORT_SECRET_MAX) {
        return failure_set(f, STATUS_TOO_LARGE, "a secret of mail transport has at most %zu bytes",
                           TRANSPORT_SECRET_MAX);
    }
    status = seal(transport_key, context, plain, out);
    return status == STATUS_OK ? status : failure_set(f, status, "cannot seal a secret of mail transport");
}

enum status transport_secret_open(struct slice transport_key, const char *kind, struct slice name,
                                  struct slice sealed, struct secret *out, struct failure *f)
{
    char text[CONTEXT_SIZE];
    struct slice context;
    *out = (struct secret){0};
    enum status status = key_check(transport_key, f);
    if (status == STATUS_OK) {
        status = context_of(kind, name, text, &context, f);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (sealed.len > TRANSPORT_SECRET_SEALED_MAX) {
        return failure_set(f, STATUS_TOO_LARGE, "a sealed secret of mail transport is too long");
    }
    status = unseal(transport_key, context, sealed, out, f);
    return status == STATUS_OK ? status : failure_wrap(f, status, "cannot open a secret of mail transport");
}
