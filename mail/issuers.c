/*
 * Stored intermediates, kept by a worker from one change of the certificates to the next: a walk over all
 * of them a message would cost more than the signature. Found by name; of several of one name, which a
 * stranger's message may have brought, it is the one whose key has signed. One thread.
 */
#include "mail/issuers.h"

#include "base/arena.h"
#include "crypto/smime_certificates.h"

struct issuer {
    struct slice subject, issuer, der;
};

struct issuers {
    struct arena arena;
    struct issuer *list;
    size_t count;
    struct store_view *view; /* while loading */
    bool failed;
};

static bool keep_issuer(void *context, const struct certificate_record *record)
{
    struct issuers *set = context;
    if ((record->uses & CERT_USE_CA) == 0 || store_is_trusted(set->view, record->thumbprint)) {
        return true;
    }
    struct issuer *to = &set->list[set->count];
    set->failed = !arena_copy(&set->arena, record->subject, &to->subject) ||
                  !arena_copy(&set->arena, record->issuer, &to->issuer) ||
                  !arena_copy(&set->arena, record->der, &to->der);
    set->count += !set->failed;
    return !set->failed && set->count < ISSUERS_MAX;
}

enum status issuers_load(struct store_view *view, struct issuers **out, struct failure *f)
{
    struct issuers *set = calloc(1, sizeof *set);
    *out = NULL;
    if (set == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for issuers");
    }
    arena_init(&set->arena, (size_t)16 << 20);
    set->view = view;
    set->list = arena_alloc_array(&set->arena, ISSUERS_MAX, sizeof set->list[0]);
    enum status status =
        set->list == NULL ? STATUS_NO_MEMORY : store_ca_certificates_all(view, keep_issuer, set);
    if (status == STATUS_OK && set->failed) {
        status = STATUS_NO_MEMORY;
    }
    set->view = NULL;
    if (status != STATUS_OK) {
        issuers_free(set);
        return failure_set(f, status, "the intermediate certificates could not be loaded");
    }
    *out = set;
    return STATUS_OK;
}

void issuers_free(struct issuers *issuers)
{
    if (issuers != NULL) {
        arena_release(&issuers->arena);
        free(issuers);
    }
}

/* Only a doubt costs a signature's check. */
static const struct issuer *issuer_of(const struct issuers *issuers, struct slice der, struct slice name)
{
    const struct issuer *found = NULL;
    for (size_t i = 0; i < issuers->count; i++) {
        const struct issuer *next = &issuers->list[i];
        if (!slice_equal(next->subject, name)) {
            continue;
        }
        if (found != NULL && certificates_are_linked(der, found->der)) {
            break;
        }
        found = next;
    }
    return found;
}

size_t issuers_chain(const struct issuers *issuers, const struct certificate_record *of,
                     struct slice chain[ISSUER_CHAIN_MAX])
{
    struct slice der = of->der, subject = of->subject, wanted = of->issuer;
    size_t count = 0;
    while (issuers != NULL && count < ISSUER_CHAIN_MAX && !slice_equal(subject, wanted)) {
        const struct issuer *found = issuer_of(issuers, der, wanted);
        if (found == NULL) {
            break;
        }
        chain[count++] = found->der;
        der = found->der;
        subject = found->subject;
        wanted = found->issuer;
    }
    return count;
}
