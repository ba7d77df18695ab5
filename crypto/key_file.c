/*
 * Files with private keys and their certificates: PKCS#12 (also those with RC2-40 and 3DES of old programs,
 * by OpenSSL's legacy provider), or PEM. One thread at a time: loading a provider changes the process.
 */
#include "crypto/x509.h"

#include "crypto/password_cost.h"
#include "crypto/providers.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs12err.h>

#define PASSWORD_MAX  1023
#define FILE_MAX      ((size_t)4 << 20) /* bytes */
#define BAG_DEPTH_MAX 4                 /* SafeContents in one another (RFC 7292, section 4.2) */

void key_file_release(struct key_file *file)
{
    for (size_t i = 0; i < file->key_count; i++)
        EVP_PKEY_free(file->keys[i]);
    *file = (struct key_file){.key_count = 0};
}

EVP_PKEY *key_file_key_of(const struct key_file *file, struct slice der)
{
    for (size_t i = 0; i < file->key_count; i++)
        if (key_fits_certificate(file->keys[i], der))
            return file->keys[i];
    return NULL;
}

/* Takes the key over; one that is there already is dropped. */
static enum status keep_key(struct key_file *file, EVP_PKEY *key, struct failure *f)
{
    for (size_t i = 0; i < file->key_count; i++)
        if (EVP_PKEY_eq(file->keys[i], key) == 1) {
            EVP_PKEY_free(key);
            return STATUS_OK;
        }
    if (!key_curve_is_named(key)) {
        EVP_PKEY_free(key);
        return failure_set(f, STATUS_UNSUPPORTED,
                           "the private key has explicit EC parameters; only named curves are taken: P-256, "
                           "P-384, P-521 (openssl ec -param_enc named_curve writes it anew)");
    }
    if (file->key_count == KEYS_PER_FILE_MAX) {
        EVP_PKEY_free(key);
        return failure_set(f, STATUS_TOO_LARGE, "a file holds at most %d private keys", KEYS_PER_FILE_MAX);
    }
    file->keys[file->key_count++] = key;
    return STATUS_OK;
}

static enum status keep_certificate(struct key_file *file, struct arena *a, X509 *x509, struct failure *f)
{
    struct certificate_file *all = &file->certificates;
    struct buf der = BUF_INIT((size_t)128 << 10);
    enum status status = certificate_to_der(x509, &der);
    bool there = false;

    for (size_t i = 0; i < all->count && status == STATUS_OK && !there; i++)
        there = slice_equal(all->der[i], buf_slice(&der));
    if (status == STATUS_OK && !there) {
        if (all->count == CERTIFICATES_PER_FILE_MAX)
            status = STATUS_TOO_LARGE;
        else if (!arena_copy(a, buf_slice(&der), &all->der[all->count]))
            status = STATUS_NO_MEMORY;
        else
            all->count++;
    }
    buf_release(&der);
    return status == STATUS_OK
               ? status
               : failure_set(f, status, "cannot keep the certificates of the key: %s", status_text(status));
}

/* Puts a certificate of the first key first. INVALID: a key has none in the file. */
static enum status pair_up(struct key_file *file, const char *kind, struct failure *f)
{
    struct certificate_file *all = &file->certificates;

    for (size_t k = file->key_count; k-- > 0;) { /* the first key last */
        size_t own = 0;
        while (own < all->count && !key_fits_certificate(file->keys[k], all->der[own]))
            own++;
        if (own == all->count)
            return failure_set(f, STATUS_INVALID,
                               own > 0 ? "the private key belongs to none of the certificates in the %s"
                                       : "the %s holds a private key but not its certificate",
                               kind);
        if (k == 0) {
            struct slice first = all->der[0];
            all->der[0] = all->der[own];
            all->der[own] = first;
        }
    }
    return STATUS_OK;
}

static const char *reason_of_openssl(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    return reason != NULL ? reason : "it is damaged";
}

/* What is read out of a PKCS#12 file, and with what. */
struct pkcs12_reader {
    const char *password; /* NULL: none, which is not the same as an empty one (RFC 7292, appendix B) */
    int password_len;     /* -1: up to the NUL */
    struct arena *arena;
    struct key_file *file;
    struct failure *failure;
};

static enum status unreadable(struct failure *f)
{
    return failure_set(f, STATUS_UNSUPPORTED, "the PKCS#12 file cannot be read: %s", reason_of_openssl());
}

static enum status read_key(struct pkcs12_reader *r, const PKCS8_PRIV_KEY_INFO *info)
{
    EVP_PKEY *key = info == NULL ? NULL : EVP_PKCS82PKEY(info);

    return key == NULL ? unreadable(r->failure) : keep_key(r->file, key, r->failure);
}

static enum status read_shrouded_key(struct pkcs12_reader *r, const PKCS12_SAFEBAG *bag)
{
    unsigned char *der = NULL;
    int len = i2d_X509_SIG(PKCS12_SAFEBAG_get0_pkcs8(bag), &der);
    PKCS8_PRIV_KEY_INFO *info;
    enum status status;

    if (len <= 0)
        return unreadable(r->failure);
    if (!encrypted_key_is_affordable(slice_of(der, (size_t)len))) {
        OPENSSL_free(der);
        return failure_set(
            r->failure, STATUS_TOO_LARGE,
            "a private key in the PKCS#12 file asks for more than %d iterations to derive its key",
            PASSWORD_COST_MAX);
    }
    OPENSSL_free(der);
    info = PKCS12_decrypt_skey(bag, r->password, r->password_len);
    status = read_key(r, info);
    PKCS8_PRIV_KEY_INFO_free(info);
    return status;
}

static enum status read_bags(struct pkcs12_reader *r, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth);

static enum status read_bag(struct pkcs12_reader *r, const PKCS12_SAFEBAG *bag, int depth)
{
    enum status status = STATUS_OK;
    X509 *x509;

    switch (PKCS12_SAFEBAG_get_nid(bag)) {
    case NID_keyBag:
        return read_key(r, PKCS12_SAFEBAG_get0_p8inf(bag));
    case NID_pkcs8ShroudedKeyBag:
        return read_shrouded_key(r, bag);
    case NID_certBag:
        if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
            return STATUS_OK;
        x509 = PKCS12_SAFEBAG_get1_cert(bag);
        status =
            x509 == NULL ? unreadable(r->failure) : keep_certificate(r->file, r->arena, x509, r->failure);
        X509_free(x509);
        return status;
    case NID_safeContentsBag:
        return read_bags(r, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
    default: /* lists and secrets: not for us */
        return STATUS_OK;
    }
}

static enum status read_bags(struct pkcs12_reader *r, const STACK_OF(PKCS12_SAFEBAG) * bags, int depth)
{
    enum status status = STATUS_OK;

    if (depth > BAG_DEPTH_MAX)
        return failure_set(r->failure, STATUS_TOO_LARGE, "the PKCS#12 file nests its parts more than %d deep",
                           BAG_DEPTH_MAX);
    for (int i = 0; i < sk_PKCS12_SAFEBAG_num(bags) && status == STATUS_OK; i++)
        status = read_bag(r, sk_PKCS12_SAFEBAG_value(bags, i), depth);
    return status;
}

static enum status read_safe(struct pkcs12_reader *r, PKCS7 *safe)
{
    STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
    enum status status;

    if (PKCS7_type_is_data(safe))
        bags = PKCS12_unpack_p7data(safe);
    else if (PKCS7_type_is_encrypted(safe))
        bags = PKCS12_unpack_p7encdata(safe, r->password, r->password_len);
    else
        return STATUS_OK; /* encrypted to a public key: not for us */
    status = bags == NULL ? unreadable(r->failure) : read_bags(r, bags, 1);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    return status;
}

static enum status read_safes(struct pkcs12_reader *r, const PKCS12 *p12)
{
    STACK_OF(PKCS7) *safes = PKCS12_unpack_authsafes(p12);
    enum status status = safes == NULL ? unreadable(r->failure) : STATUS_OK;

    for (int i = 0; status == STATUS_OK && i < sk_PKCS7_num(safes); i++)
        status = read_safe(r, sk_PKCS7_value(safes, i));
    sk_PKCS7_pop_free(safes, PKCS7_free);
    return status;
}

static enum status read_pkcs12(PKCS12 *p12, const char *password, struct arena *a, struct key_file *file,
                               struct failure *f)
{
    struct pkcs12_reader reader = {
        .password = password, .password_len = -1, .arena = a, .file = file, .failure = f};
    enum status status;

    if (!pkcs12_is_affordable(p12))
        return failure_set(f, STATUS_TOO_LARGE,
                           "the PKCS#12 file asks for more than %d iterations to derive its key",
                           PASSWORD_COST_MAX);
    if (!PKCS12_mac_present(p12))
        return failure_set(
            f, STATUS_UNSUPPORTED,
            "the PKCS#12 file has no MAC that tells whether it is whole: export it again with one");
    if (PKCS12_verify_mac(p12, password, -1) != 1) {
        if (password[0] == '\0' && PKCS12_verify_mac(p12, NULL, 0) == 1) {
            reader.password = NULL;
            reader.password_len = 0;
        } else if (ERR_peek_last_error() != 0 &&
                   ERR_GET_REASON(ERR_peek_last_error()) != PKCS12_R_MAC_VERIFY_FAILURE)
            return failure_set(f, STATUS_UNSUPPORTED, "the PKCS#12 file's MAC cannot be checked: %s",
                               reason_of_openssl());
        else
            return failure_set(f, STATUS_WRONG_PASSWORD,
                               password[0] == '\0' ? "the PKCS#12 file needs a password"
                                                   : "the password does not open the PKCS#12 file");
    }
    status = read_safes(&reader, p12);
    if (status == STATUS_OK && file->key_count == 0)
        status = failure_set(f, STATUS_INVALID, "the PKCS#12 file holds no private key");
    return status == STATUS_OK ? pair_up(file, "PKCS#12 file", f) : status;
}

struct asked {
    const char *password;
    bool asked;
};

static int password_cb(char *out, int size, int writing, void *context)
{
    struct asked *asked = context;
    size_t len = strlen(asked->password);

    (void)writing;
    asked->asked = true;
    if (size < 0 || len == 0 || len > (size_t)size)
        return -1;
    memcpy(out, asked->password, len);
    return (int)len;
}

/* All encrypted keys of the file: it is not known which of them OpenSSL tries. */
static bool pem_is_affordable(struct slice content)
{
    BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    bool good = bio != NULL;
    long len = 0;

    while (good && PEM_read_bio(bio, &name, &header, &data, &len) == 1) {
        if (strcmp(name, PEM_STRING_PKCS8) == 0)
            good = encrypted_key_is_affordable(slice_of(data, (size_t)len));
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(data, (size_t)len);
    }
    BIO_free(bio);
    ERR_clear_error();
    return good;
}

#define PEM_BEGIN "-----BEGIN "
#define PEM_KEY   "PRIVATE KEY-----"

static enum status read_pem_key(struct slice text, const char *password, struct key_file *file,
                                struct failure *f)
{
    struct asked asked = {.password = password};
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, password_cb, &asked);

    BIO_free(bio);
    if (key != NULL)
        return keep_key(file, key, f);
    if (asked.asked)
        return failure_set(f, STATUS_WRONG_PASSWORD,
                           password[0] == '\0' ? "the private key needs a password"
                                               : "the password does not open the private key");
    return STATUS_OK; /* none that can be read: told when there is no other */
}

/* Each block by itself: what OpenSSL reads from a block on is the first key from there. */
static enum status read_pem_keys(struct slice content, const char *password, struct key_file *file,
                                 struct failure *f)
{
    const uint8_t *end = content.data + content.len, *at = content.data, *label_end;
    enum status status = STATUS_OK;

    while (status == STATUS_OK &&
           (at = memmem(at, (size_t)(end - at), PEM_BEGIN, strlen(PEM_BEGIN))) != NULL) {
        const uint8_t *label = at + strlen(PEM_BEGIN);
        label_end = memmem(label, (size_t)(end - label), PEM_KEY, strlen(PEM_KEY));
        if (label_end != NULL && memchr(label, '\n', (size_t)(label_end - label)) == NULL)
            status = read_pem_key(slice_of(at, (size_t)(end - at)), password, file, f);
        at = label;
    }
    if (status == STATUS_OK && file->key_count == 0)
        status =
            failure_set(f, STATUS_MALFORMED,
                        "there is no private key in the file; it may be PKCS#12, or PEM with the key and "
                        "its certificate");
    return status;
}

static enum status read_pem(struct slice content, const char *password, struct arena *a,
                            struct key_file *file, struct failure *f)
{
    enum status status;

    if (!pem_is_affordable(content))
        return failure_set(f, STATUS_TOO_LARGE,
                           "the private key asks for more than %d iterations to derive its key",
                           PASSWORD_COST_MAX);
    status = read_pem_keys(content, password, file, f);
    if (status != STATUS_OK)
        return status;
    status = certificate_file_read(content, a, &file->certificates, f);
    if (status == STATUS_MALFORMED && file->certificates.count == 0)
        return failure_set(f, STATUS_INVALID,
                           "the file holds a private key but no certificate that can be read; put the "
                           "certificate behind the key");
    return status == STATUS_OK ? pair_up(file, "file", f) : status;
}

enum status key_file_read(struct slice content, struct slice password, struct arena *a, struct key_file *file,
                          struct failure *f)
{
    const unsigned char *at = content.data;
    struct secret text;
    PKCS12 *p12;
    enum status status;

    *file = (struct key_file){.key_count = 0};
    if (content.len == 0)
        return failure_set(f, STATUS_MALFORMED, "the file is empty");
    if (content.len > FILE_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a file with a key has at most %zu bytes", FILE_MAX);
    if (password.len > PASSWORD_MAX || slice_find_byte(password, 0) < password.len)
        return failure_set(f, STATUS_INVALID, "a password has at most %d bytes and no NUL", PASSWORD_MAX);
    status = providers_load(f);
    if (status != STATUS_OK)
        return status;
    status = secret_copy(&text, password); /* the page behind it is zero: the text is terminated */
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot keep the password");
    p12 = d2i_PKCS12(NULL, &at, (long)content.len);
    if (p12 != NULL)
        status = read_pkcs12(p12, (const char *)text.data, a, file, f);
    else
        status = read_pem(content, (const char *)text.data, a, file, f);
    if (status != STATUS_OK)
        key_file_release(file);
    PKCS12_free(p12);
    secret_release(&text);
    ERR_clear_error();
    return status;
}
