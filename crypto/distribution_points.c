/* See distribution_points.h. */
#include "crypto/distribution_points.h"

#include <openssl/err.h>

static bool is_http(struct slice url)
{
    return slice_starts_with_nocase(url, SLICE_LITERAL("http://")) ||
           slice_starts_with_nocase(url, SLICE_LITERAL("https://"));
}

static void point_urls(const DIST_POINT *point, struct arena *a, struct slice *urls, size_t *count)
{
    const GENERAL_NAMES *names;

    if (point->CRLissuer != NULL || point->distpoint == NULL || point->distpoint->type != 0)
        return; /* a list of somebody else, or a name without a place */
    names = point->distpoint->name.fullname;
    for (int i = 0; i < sk_GENERAL_NAME_num(names) && *count < DISTRIBUTION_URLS_MAX; i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        struct slice url;

        if (name->type != GEN_URI)
            continue;
        url = slice_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                       (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier));
        if (url.len <= DISTRIBUTION_URL_MAX && is_http(url) && arena_copy(a, url, &urls[*count])) {
            (*count)++;
            return; /* other names of a point lead to the same list (RFC 5280 section 4.2.1.13) */
        }
    }
}

size_t distribution_point_urls(const CRL_DIST_POINTS *points, struct arena *a,
                               struct slice urls[DISTRIBUTION_URLS_MAX])
{
    size_t count = 0;

    for (int i = 0; i < sk_DIST_POINT_num(points); i++)
        point_urls(sk_DIST_POINT_value(points, i), a, urls, &count);
    return count;
}

size_t distribution_urls(struct slice der, enum distribution kind, struct arena *a,
                         struct slice urls[DISTRIBUTION_URLS_MAX])
{
    X509 *x = certificate_from_der(der);
    int nid = kind == DISTRIBUTION_FULL ? NID_crl_distribution_points : NID_freshest_crl;
    CRL_DIST_POINTS *points = x == NULL ? NULL : X509_get_ext_d2i(x, nid, NULL, NULL);
    size_t count = distribution_point_urls(points, a, urls);

    CRL_DIST_POINTS_free(points);
    X509_free(x);
    ERR_clear_error();
    return count;
}
