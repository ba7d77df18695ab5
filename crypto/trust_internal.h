/* What path validation is made of; internal to crypto/. */
#ifndef SEALPOST_CRYPTO_TRUST_INTERNAL_H
#define SEALPOST_CRYPTO_TRUST_INTERNAL_H

#include "crypto/certificate_cache.h"
#include "crypto/certificate_internal.h"

#define TRUST_EXTRA_MAX 64 /* certificates out of a message that are looked at */

struct ca_certificate {
    X509 *x;              /* borrowed of `intermediates` */
    unsigned long issuer; /* hash of its name */
    bool reached;
};

struct trust {
    X509_STORE *anchors;
    STACK_OF(X509) * issuers; /* every anchor, for who issued what is allowed by itself */
    STACK_OF(X509) * intermediates;
    STACK_OF(X509) * reached;   /* those of them that may be part of a path; borrowed */
    struct ca_certificate *cas; /* all intermediates, in the order of `issuer` */
    size_t ca_count;
    bool same_names; /* two different ones of `issuers` and `reached` share a name */
    struct certificate_cache *seen;
    struct store_view *view; /* borrowed; see trust_look_in() */
    size_t added;            /* intermediates that are not of the store */
    bool of_store;           /* made by trust_load(): it needs a view */
    bool broken;
};

/* After anchors or intermediates came: finds anew which intermediates lead to an anchor. */
enum status trust_reach(struct trust *t) MUST_CHECK;
/* What a path may be built of: these, and CA certificates out of a message that lead to an anchor through
 * them. A borrowed stack, to be freed by the caller; NULL without memory. */
STACK_OF(X509) * trust_candidates(struct trust *t, STACK_OF(X509) * extra);

/* The certificate trust list's word on one certificate: OK with `allowed`, or UNTRUSTED. */
enum status trust_list_check(struct trust *t, X509 *x, uint64_t now_ms, bool *allowed,
                             struct failure *f) MUST_CHECK;
/* A path from the certificate to its anchor: denied ones, and revoked ones below the anchor. REVOKED,
 * UNTRUSTED (denied, or smime.revocation=hard and nothing is known). */
enum status trust_path_check(struct trust *t, STACK_OF(X509) * path, uint64_t now_ms,
                             struct failure *f) MUST_CHECK;
/* The same for one that is allowed by itself: whoever of these issued it may have revoked it. */
enum status trust_allowed_check(struct trust *t, X509 *x, STACK_OF(X509) * extra,
                                struct failure *f) MUST_CHECK;

#endif
