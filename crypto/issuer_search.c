/* See issuer_search.h. */
#include "crypto/issuer_search.h"

#include "crypto/certificate_internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define PATH_LONGEST    10
#define URL_MAX         1024
#define FILE_MEMORY_MAX ((size_t)8 << 20)

bool certificate_is_issued_by(X509 *x, X509 *issuer)
{
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    bool good = key != NULL && X509_check_issued(issuer, x) == X509_V_OK && X509_verify(x, key) == 1;

    ERR_clear_error();
    return good;
}

X509 *issuer_search_top(X509 *leaf, STACK_OF(X509) * known)
{
    X509 *top = leaf;

    for (int length = 0; length < PATH_LONGEST; length++) {
        X509 *issuer = NULL;

        if (X509_check_issued(top, top) == X509_V_OK)
            return NULL;
        for (int i = 0; i < sk_X509_num(known) && issuer == NULL; i++)
            if (certificate_is_issued_by(top, sk_X509_value(known, i)))
                issuer = sk_X509_value(known, i);
        if (issuer == NULL)
            return top;
        top = issuer;
    }
    return NULL;
}

static bool is_http(struct slice url)
{
    return slice_starts_with_nocase(url, SLICE_LITERAL("http://")) ||
           slice_starts_with_nocase(url, SLICE_LITERAL("https://"));
}

size_t issuer_search_urls(X509 *of, struct arena *a, struct slice urls[ISSUER_URLS_MAX])
{
    AUTHORITY_INFO_ACCESS *info = X509_get_ext_d2i(of, NID_info_access, NULL, NULL);
    size_t count = 0;

    for (int i = 0; i < sk_ACCESS_DESCRIPTION_num(info) && count < ISSUER_URLS_MAX; i++) {
        ACCESS_DESCRIPTION *access = sk_ACCESS_DESCRIPTION_value(info, i);
        struct slice url;

        if (OBJ_obj2nid(access->method) != NID_ad_ca_issuers || access->location->type != GEN_URI)
            continue;
        url = slice_of(ASN1_STRING_get0_data(access->location->d.uniformResourceIdentifier),
                       (size_t)ASN1_STRING_length(access->location->d.uniformResourceIdentifier));
        if (url.len <= URL_MAX && is_http(url) && arena_copy(a, url, &urls[count]))
            count++;
    }
    AUTHORITY_INFO_ACCESS_free(info);
    ERR_clear_error();
    return count;
}

enum status issuer_search_pick(struct slice content, X509 *of, X509 **issuer, struct failure *f)
{
    struct arena a;
    struct certificate_file *file;
    enum status status = STATUS_NO_MEMORY;

    *issuer = NULL;
    arena_init(&a, FILE_MEMORY_MAX);
    file = arena_alloc(&a, sizeof(*file));
    if (file != NULL)
        status = certificate_file_read(content, &a, file, f);
    for (size_t i = 0; status == STATUS_OK && i < file->count && *issuer == NULL; i++) {
        X509 *x = certificate_from_der(file->der[i]);

        if (x != NULL && (certificate_uses(x) & CERT_USE_CA) != 0 && certificate_is_issued_by(of, x))
            *issuer = x;
        else
            X509_free(x);
    }
    arena_release(&a);
    if (status == STATUS_OK && *issuer == NULL)
        return failure_set(f, STATUS_UNTRUSTED, "what came is not the certificate of the issuer");
    return status;
}
