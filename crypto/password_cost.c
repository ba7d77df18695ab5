/*
 * A file may ask for 2^31 iterations of its key derivation, and who imports it would wait for hours. So the
 * counts are added up first. Bags within an encrypted safe cannot be seen without the password: those are not
 * counted.
 */
#include "crypto/password_cost.h"

#include <openssl/err.h>
#include <openssl/x509.h>

static long number_of(const ASN1_INTEGER *n)
{
    int64_t value;

    if (n == NULL)
        return 1;
    if (ASN1_INTEGER_get_int64(&value, n) != 1 || value < 0 || value > PASSWORD_COST_MAX)
        return PASSWORD_COST_MAX + 1L;
    return (long)value;
}

static long pbes2_cost(const ASN1_TYPE *parameters)
{
    PBE2PARAM *p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameters);
    const ASN1_OBJECT *oid = NULL;
    long cost = 0;

    if (p == NULL)
        return 0;
    X509_ALGOR_get0(&oid, NULL, NULL, p->keyfunc);
    if (OBJ_obj2nid(oid) == NID_id_pbkdf2) {
        PBKDF2PARAM *kdf = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), p->keyfunc->parameter);

        cost = kdf == NULL ? 0 : number_of(kdf->iter);
        PBKDF2PARAM_free(kdf);
    } /* scrypt: OpenSSL's own limit of memory holds it */
    PBE2PARAM_free(p);
    return cost;
}

static long cost_of(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *oid = NULL;
    PBEPARAM *p;
    long cost;

    X509_ALGOR_get0(&oid, NULL, NULL, algorithm);
    if (OBJ_obj2nid(oid) == NID_pbes2)
        return pbes2_cost(algorithm->parameter);
    p = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
    cost = p == NULL ? 0 : number_of(p->iter);
    PBEPARAM_free(p);
    return cost;
}

static long bags_cost(PKCS7 *safe)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = PKCS12_unpack_p7data(safe);
    const X509_ALGOR *algorithm;
    long cost = 0;

    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags) && cost <= PASSWORD_COST_MAX; i++) {
        const PKCS12_SAFEBAG *bag = sk_PKCS12_SAFEBAG_value(bags, i);

        if (PKCS12_SAFEBAG_get_nid(bag) != NID_pkcs8ShroudedKeyBag)
            continue;
        X509_SIG_get0(PKCS12_SAFEBAG_get0_pkcs8(bag), &algorithm, NULL);
        cost += cost_of(algorithm);
    }
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return cost;
}

bool pkcs12_is_affordable(const PKCS12 *p12)
{
    const ASN1_INTEGER *mac_iterations = NULL;
    STACK_OF(PKCS7) * safes;
    long cost = 0;

    if (PKCS12_mac_present(p12)) {
        PKCS12_get0_mac(NULL, NULL, NULL, &mac_iterations, p12);
        cost = number_of(mac_iterations);
    }
    safes = PKCS12_unpack_authsafes(p12);
    for (int i = 0; i < sk_PKCS7_num(safes) && cost <= PASSWORD_COST_MAX; i++) {
        PKCS7 *safe = sk_PKCS7_value(safes, i);

        if (PKCS7_type_is_data(safe))
            cost += bags_cost(safe);
        else if (PKCS7_type_is_encrypted(safe) && safe->d.encrypted != NULL)
            cost += cost_of(safe->d.encrypted->enc_data->algorithm);
    }
    sk_PKCS7_pop_free(safes, PKCS7_free);
    ERR_clear_error();
    return cost <= PASSWORD_COST_MAX;
}

bool encrypted_key_is_affordable(struct slice der)
{
    const unsigned char *at = der.data;
    X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)der.len);
    const X509_ALGOR *algorithm;
    long cost = 0;

    if (sealed != NULL) {
        X509_SIG_get0(sealed, &algorithm, NULL);
        cost = cost_of(algorithm);
    }
    X509_SIG_free(sealed);
    ERR_clear_error();
    return cost <= PASSWORD_COST_MAX;
}
