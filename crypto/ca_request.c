/* A key that waits for a certificate of a CA elsewhere. See ca.h. Any thread. */
#include "crypto/ca.h"

#define REQUEST_MAX ((size_t)16 << 10) /* as the command's field */
#define SEALED_MAX  ((size_t)64 << 10)

void ca_request_release(struct ca_request *r)
{
    EVP_PKEY_free(r->key);
    buf_release(&r->der);
    r->key = NULL;
}

enum status ca_request_new(enum key_kind kind, struct slice address, struct slice name,
                           struct ca_request *out, struct failure *f)
{
    enum status status;

    *out = (struct ca_request){.der = BUF_INIT(REQUEST_MAX)};
    status = key_generate(kind, &out->key);
    if (status == STATUS_OK)
        status = spki_hash_of_key(out->key, out->id);
    if (status != STATUS_OK)
        failure_set(f, status, "the key cannot be made");
    else
        status = ca_request_make(out->key, address, name, &out->der, f);
    if (status != STATUS_OK)
        ca_request_release(out);
    return status;
}

enum status ca_request_fill(const struct ca_request *r, struct slice address, struct slice name,
                            const struct keyring *keys, struct arena *a, struct command *c, struct failure *f)
{
    struct buf sealed = BUF_INIT(SEALED_MAX);
    enum status status = private_key_seal(keys, r->id, r->key, &sealed, f);

    c->values[0].bytes = slice_of(r->id, sizeof(r->id));
    c->values[1].bytes = address;
    c->values[2].bytes = name;
    c->values[3].bytes = buf_slice(&r->der);
    if (status == STATUS_OK && !arena_copy(a, buf_slice(&sealed), &c->values[4].bytes))
        status = failure_set(f, STATUS_NO_MEMORY, "there is no memory for the request");
    buf_release(&sealed);
    return status;
}
