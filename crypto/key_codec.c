/* Keys and certificates between OpenSSL's objects and bytes; hashes. Any thread. */
#include "crypto/x509.h"

#include <limits.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

void sha256(struct slice in, uint8_t hash[32])
{
    if (EVP_Digest(in.data, in.len, hash, NULL, EVP_sha256(), NULL) != 1)
        abort(); /* OpenSSL without SHA-256 is no OpenSSL */
}

enum status key_generate_p256(EVP_PKEY **key)
{
    *key = EVP_EC_gen("P-256");
    ERR_clear_error();
    return *key == NULL ? STATUS_CRYPTO : STATUS_OK;
}

enum status key_to_der(EVP_PKEY *key, struct secret *pkcs8)
{
    PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
    unsigned char *der = NULL;
    int len = info == NULL ? -1 : i2d_PKCS8_PRIV_KEY_INFO(info, &der);
    enum status status;

    *pkcs8 = (struct secret){0};
    status = len <= 0 ? STATUS_CRYPTO : secret_copy(pkcs8, slice_of(der, (size_t)len));
    if (der != NULL)
        OPENSSL_clear_free(der, (size_t)(len > 0 ? len : 0));
    PKCS8_PRIV_KEY_INFO_free(info);
    ERR_clear_error();
    return status;
}

/* The name of the key's kind for OpenSSL's decoder, or NULL. */
static const char *kind_of(struct slice pkcs8)
{
    static const struct {
        int nid;
        const char *name;
    } kinds[] = {
        {NID_rsaEncryption, "RSA"},
        {NID_rsassaPss, "RSA-PSS"},
        {NID_X9_62_id_ecPublicKey, "EC"},
        {NID_ED25519, "ED25519"},
    };
    const unsigned char *at = pkcs8.data;
    PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)pkcs8.len);
    const ASN1_OBJECT *oid = NULL;
    const char *name = NULL;

    if (info != NULL && PKCS8_pkey_get0(&oid, NULL, NULL, NULL, info) == 1)
        for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
            if (kinds[i].nid == OBJ_obj2nid(oid))
                name = kinds[i].name;
    PKCS8_PRIV_KEY_INFO_free(info);
    return name;
}

/* With the kind named, OpenSSL 3.0 decodes a key in 130 us; left to find out, as d2i_AutoPrivateKey() is, in
 * 780. */
enum status key_from_der(struct slice pkcs8, EVP_PKEY **key)
{
    const unsigned char *at = pkcs8.data;
    size_t left = pkcs8.len;
    const char *kind = pkcs8.len == 0 || pkcs8.len > LONG_MAX ? NULL : kind_of(pkcs8);
    OSSL_DECODER_CTX *decoder;

    *key = NULL;
    if (kind != NULL) {
        decoder =
            OSSL_DECODER_CTX_new_for_pkey(key, "DER", "PrivateKeyInfo", kind, EVP_PKEY_KEYPAIR, NULL, NULL);
        if (decoder == NULL || OSSL_DECODER_from_data(decoder, &at, &left) != 1) {
            EVP_PKEY_free(*key);
            *key = NULL;
        }
        OSSL_DECODER_CTX_free(decoder);
    }
    ERR_clear_error();
    return *key == NULL ? STATUS_MALFORMED : STATUS_OK;
}

enum status certificate_to_der(X509 *x, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_X509(x, &der);
    enum status status = len <= 0 ? STATUS_CRYPTO : buf_append(out, der, (size_t)len);

    OPENSSL_free(der);
    ERR_clear_error();
    return status;
}

X509 *certificate_from_der(struct slice der)
{
    const unsigned char *at = der.data;
    X509 *x = der.len == 0 || der.len > LONG_MAX ? NULL : d2i_X509(NULL, &at, (long)der.len);

    if (x != NULL && at != der.data + der.len) { /* something behind it */
        X509_free(x);
        x = NULL;
    }
    ERR_clear_error();
    return x;
}

enum status certificate_to_pem(struct slice der, struct buf *out)
{
    X509 *x = certificate_from_der(der);
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;
    enum status status = STATUS_MALFORMED;

    if (x != NULL && bio != NULL && PEM_write_bio_X509(bio, x) == 1)
        len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        status = buf_append(out, text, (size_t)len);
    BIO_free(bio);
    X509_free(x);
    ERR_clear_error();
    return status;
}

enum status spki_hash_of_key(EVP_PKEY *key, uint8_t hash[32])
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);

    if (len > 0)
        sha256(slice_of(der, (size_t)len), hash);
    OPENSSL_free(der);
    ERR_clear_error();
    return len > 0 ? STATUS_OK : STATUS_CRYPTO;
}

enum status spki_hash_of_certificate(X509 *x, uint8_t hash[32])
{
    EVP_PKEY *key = X509_get0_pubkey(x);

    ERR_clear_error();
    return key == NULL ? STATUS_MALFORMED : spki_hash_of_key(key, hash);
}

bool key_fits_certificate(EVP_PKEY *key, struct slice der)
{
    X509 *x = certificate_from_der(der);
    bool fits = x != NULL && X509_check_private_key(x, key) == 1;

    X509_free(x);
    ERR_clear_error();
    return fits;
}
