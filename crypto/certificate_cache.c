/* See certificate_cache.h. The bytes are compared whole: the hash only says where to look. */
#include "crypto/certificate_cache.h"

#define PLACES  256
#define DER_MAX ((size_t)16 << 10) /* bytes; what is larger is not kept */

struct place {
    uint8_t *der;
    size_t len;
    X509 *x;
};

struct certificate_cache {
    struct place places[PLACES];
};

struct certificate_cache *certificate_cache_new(void)
{
    return calloc(1, sizeof(struct certificate_cache));
}

static void clear(struct place *p)
{
    X509_free(p->x);
    free(p->der);
    *p = (struct place){0};
}

void certificate_cache_free(struct certificate_cache *c)
{
    if (c == NULL)
        return;
    for (size_t i = 0; i < PLACES; i++)
        clear(&c->places[i]);
    free(c);
}

/* FNV-1a over the last bytes: they are of the signature, and differ. */
static size_t index_of(struct slice der)
{
    uint64_t hash = 0xcbf29ce484222325;
    size_t len = der.len < 64 ? der.len : 64;

    for (size_t i = der.len - len; i < der.len; i++)
        hash = (hash ^ der.data[i]) * 0x100000001b3;
    return (size_t)(hash ^ hash >> 32) % PLACES;
}

X509 *certificate_cache_get(struct certificate_cache *c, struct slice der)
{
    struct place *p;
    X509 *x;

    if (c == NULL || der.len == 0 || der.len > DER_MAX)
        return certificate_from_der(der);
    p = &c->places[index_of(der)];
    if (p->x != NULL && slice_equal(slice_of(p->der, p->len), der))
        return X509_up_ref(p->x) == 1 ? p->x : NULL;
    x = certificate_from_der(der);
    if (x == NULL)
        return NULL;
    clear(p);
    p->der = malloc(der.len);
    if (p->der != NULL && X509_up_ref(x) == 1) {
        memcpy(p->der, der.data, der.len);
        p->len = der.len;
        p->x = x;
    } else {
        clear(p);
    }
    return x;
}
