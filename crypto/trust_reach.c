/*
 * Which CA certificates lead to an anchor by signatures, link by link: only these may be part of a path.
 *
 * OpenSSL takes an issuer for its name and key identifier, sees at the end whether the signatures hold, and
 * goes no other way when they do not. So one more certificate of a CA's name, which anybody can make and send
 * along, would break the paths of all whom that CA certified; and mail to them might go in plain text, since
 * "there is no path" is a good reason not to encrypt. Here a candidate counts only if an anchor, or one that
 * counts already, has signed it; and of several of one name only that is an issuer whose key has signed.
 * Where no two share a name, that second question is not asked: it costs as much as the signature itself.
 */
#include "crypto/trust_internal.h"

#include <openssl/x509v3.h>

#include <stdlib.h>

#define LINKS_MAX 10 /* from an anchor; longer paths are refused in any case */

static int check_issued(X509_STORE_CTX *ctx, X509 *x, X509 *issuer)
{
    (void)ctx;
    return certificate_is_issued_by(x, issuer);
}

static int by_issuer(const void *a, const void *b)
{
    const struct ca_certificate *left = a, *right = b;

    return (left->issuer > right->issuer) - (left->issuer < right->issuer);
}

/* The first whose issuer's name has this hash. */
static size_t first_below(const struct trust *t, unsigned long issuer)
{
    size_t low = 0, high = t->ca_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (t->cas[middle].issuer < issuer)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* All below a CA that counts. */
static void reach_below(struct trust *t, X509 *ca, unsigned links)
{
    unsigned long name = X509_subject_name_hash(ca);

    if (links == LINKS_MAX)
        return;
    for (size_t i = first_below(t, name); i < t->ca_count && t->cas[i].issuer == name; i++) {
        struct ca_certificate *below = &t->cas[i];

        if (below->reached || !certificate_is_issued_by(below->x, ca))
            continue;
        below->reached = true;
        t->broken = t->broken || sk_X509_push(t->reached, below->x) <= 0;
        reach_below(t, below->x, links + 1);
    }
}

struct named {
    unsigned long name; /* its hash */
    X509 *x;
};

static int by_name(const void *a, const void *b)
{
    const struct named *left = a, *right = b;

    return (left->name > right->name) - (left->name < right->name);
}

/* Two of one hash are taken for two of one name: then more is checked than must be. */
static enum status find_same_names(struct trust *t)
{
    STACK_OF(X509) *const lists[] = {t->issuers, t->reached};
    size_t count = 0;
    struct named *all =
        calloc((size_t)sk_X509_num(t->issuers) + (size_t)sk_X509_num(t->reached) + 1, sizeof(*all));

    if (all == NULL)
        return STATUS_NO_MEMORY;
    for (size_t k = 0; k < 2; k++)
        for (int i = 0; i < sk_X509_num(lists[k]); i++, count++) {
            all[count].x = sk_X509_value(lists[k], i);
            all[count].name = X509_subject_name_hash(all[count].x);
        }
    qsort(all, count, sizeof(*all), by_name);
    t->same_names = false;
    for (size_t i = 1; i < count && !t->same_names; i++)
        t->same_names = all[i].name == all[i - 1].name && X509_cmp(all[i].x, all[i - 1].x) != 0;
    free(all);
    return STATUS_OK;
}

enum status trust_reach(struct trust *t)
{
    int count = sk_X509_num(t->intermediates);
    struct ca_certificate *cas = calloc((size_t)count + 1, sizeof(*cas));

    if (cas == NULL)
        return STATUS_NO_MEMORY;
    free(t->cas);
    t->cas = cas;
    t->ca_count = (size_t)count;
    sk_X509_zero(t->reached);
    for (int i = 0; i < count; i++) {
        cas[i].x = sk_X509_value(t->intermediates, i);
        cas[i].issuer = X509_issuer_name_hash(cas[i].x);
    }
    qsort(cas, t->ca_count, sizeof(*cas), by_issuer);
    for (int i = 0; i < sk_X509_num(t->issuers); i++)
        reach_below(t, sk_X509_value(t->issuers, i), 0);
    return t->broken ? STATUS_NO_MEMORY : find_same_names(t);
}

static bool is_issued_by_any(X509 *x, STACK_OF(X509) * issuers)
{
    for (int i = 0; i < sk_X509_num(issuers); i++)
        if (certificate_is_issued_by(x, sk_X509_value(issuers, i)))
            return true;
    return false;
}

static bool is_among(X509 *x, STACK_OF(X509) * list)
{
    for (int i = 0; i < sk_X509_num(list); i++)
        if (X509_cmp(sk_X509_value(list, i), x) == 0)
            return true;
    return false;
}

STACK_OF(X509) * trust_candidates(struct trust *t, STACK_OF(X509) * extra)
{
    STACK_OF(X509) *all = sk_X509_dup(t->reached);
    int count = sk_X509_num(extra) < TRUST_EXTRA_MAX ? sk_X509_num(extra) : TRUST_EXTRA_MAX;
    bool more = all != NULL, any_added = false;

    while (more) { /* once for each link that came along, and once more */
        more = false;
        for (int i = 0; i < count; i++) {
            X509 *x = sk_X509_value(extra, i);

            if (X509_check_ca(x) == 0 || is_among(x, all) ||
                !(is_issued_by_any(x, t->issuers) || is_issued_by_any(x, all)))
                continue;
            if (sk_X509_push(all, x) <= 0) {
                sk_X509_free(all);
                return NULL;
            }
            more = any_added = true;
        }
    }
    X509_STORE_set_check_issued(t->anchors, t->same_names || any_added ? check_issued : NULL);
    return all;
}
