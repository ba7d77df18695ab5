/*
 * CPU time a message of smime_sign() + smime_encrypt(), beside a bare loop over OpenSSL's CMS functions with
 * the same keys and bytes. The rival keeps its certificates parsed; ours reads them from DER each time, as a
 * worker does. Both run in one process with the same malloc settings, in turns, so that a noisy machine is
 * noisy for both; the least of all rounds counts.
 *
 *   smime_bench [ROUNDS]       one line a case, tab-separated: case, bytes, ours (us), bare (us), ratio
 */
#include "crypto/smime.h"

#include <openssl/cms.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define NOW_MS  ((uint64_t)1795521600 * 1000)
#define OUT_MAX ((size_t)64 << 20)

struct person {
    EVP_PKEY *key;
    X509 *x;
    struct buf der;
};

struct load {
    const char *name;
    const struct person *signer;    /* NULL: encrypt only */
    const struct person *recipient; /* NULL: sign only */
    enum smime_cipher cipher;
    size_t size, repeats;
};

static void need(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "smime_bench: cannot %s\n", what);
        exit(1);
    }
}

static struct person person_make(const char *name, EVP_PKEY *key)
{
    struct person p = {.key = key, .x = X509_new(), .der = BUF_INIT((size_t)1 << 16)};
    X509_NAME *subject;

    need(key != NULL && p.x != NULL, "make a key");
    subject = X509_get_subject_name(p.x);
    need(X509_set_version(p.x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(p.x), 7) == 1 &&
             X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)name, -1, -1,
                                        0) == 1 &&
             X509_set_issuer_name(p.x, subject) == 1 &&
             ASN1_TIME_set(X509_getm_notBefore(p.x), (time_t)(NOW_MS / 1000 - 86400)) != NULL &&
             ASN1_TIME_set(X509_getm_notAfter(p.x), (time_t)(NOW_MS / 1000 + 86400)) != NULL &&
             X509_set_pubkey(p.x, key) == 1 && X509_sign(p.x, key, EVP_sha256()) > 0 &&
             certificate_to_der(p.x, &p.der) == STATUS_OK,
         "make a certificate");
    return p;
}

static uint64_t cpu_us(void)
{
    struct timespec t;

    need(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "read the CPU clock");
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void ours(const struct load *l, struct slice entity)
{
    struct buf signature = BUF_INIT(OUT_MAX), out = BUF_INIT(OUT_MAX);

    if (l->signer != NULL) {
        struct smime_signer signer = {.key = l->signer->key, .certificate = buf_slice(&l->signer->der)};

        need(smime_sign_opaque(&signer, entity, NOW_MS, &signature, NULL) == STATUS_OK, "sign");
        entity = buf_slice(&signature);
    }
    if (l->recipient != NULL) {
        struct smime_recipient to = {.certificate = buf_slice(&l->recipient->der)};

        need(smime_encrypt(&to, 1, l->cipher, entity, &out, NULL) == STATUS_OK, "encrypt");
    }
    buf_release(&signature);
    buf_release(&out);
}

/* What a program of ten lines would do. */
static void bare(const struct load *l, STACK_OF(X509) * to, struct slice entity)
{
    unsigned char *signature = NULL, *out = NULL;
    CMS_ContentInfo *cms;
    int len;

    if (l->signer != NULL) {
        BIO *in = BIO_new_mem_buf(entity.data, (int)entity.len);

        cms = CMS_sign(l->signer->x, l->signer->key, NULL, in, CMS_BINARY);
        len = cms == NULL ? 0 : i2d_CMS_ContentInfo(cms, &signature);
        need(len > 0, "sign with bare OpenSSL");
        entity = slice_of(signature, (size_t)len);
        CMS_ContentInfo_free(cms);
        BIO_free(in);
    }
    if (l->recipient != NULL) {
        BIO *in = BIO_new_mem_buf(entity.data, (int)entity.len);

        cms = CMS_encrypt(to, in, l->cipher == SMIME_AES256_GCM ? EVP_aes_256_gcm() : EVP_aes_256_cbc(),
                          CMS_BINARY);
        need(cms != NULL && i2d_CMS_ContentInfo(cms, &out) > 0, "encrypt with bare OpenSSL");
        CMS_ContentInfo_free(cms);
        BIO_free(in);
    }
    OPENSSL_free(signature);
    OPENSSL_free(out);
}

static void measure(const struct load *l, size_t rounds)
{
    STACK_OF(X509) *to = sk_X509_new_null();
    uint8_t *bytes = malloc(l->size);
    double best_ours = 0, best_bare = 0;

    need(bytes != NULL && to != NULL, "get memory");
    if (l->recipient != NULL)
        need(sk_X509_push(to, l->recipient->x) > 0, "get memory");
    for (size_t i = 0; i < l->size; i++)
        bytes[i] = (uint8_t)("0123456789abcdef\r\n"[i % 18]);
    struct slice entity = slice_of(bytes, l->size);
    for (size_t round = 0; round <= rounds; round++) { /* the first one warms up */
        uint64_t start = cpu_us();
        for (size_t i = 0; i < l->repeats; i++)
            ours(l, entity);
        uint64_t middle = cpu_us();
        for (size_t i = 0; i < l->repeats; i++)
            bare(l, to, entity);
        uint64_t end = cpu_us();
        double this_ours = (double)(middle - start) / (double)l->repeats;
        double this_bare = (double)(end - middle) / (double)l->repeats;
        if (round == 1 || (round > 0 && this_ours < best_ours))
            best_ours = this_ours;
        if (round == 1 || (round > 0 && this_bare < best_bare))
            best_bare = this_bare;
    }
    (void)printf("%s\t%zu\t%.0f\t%.0f\t%.2f\n", l->name, l->size, best_ours, best_bare,
                 best_ours / best_bare);
    (void)fflush(stdout);
    sk_X509_free(to);
    free(bytes);
}

int main(int argc, char **argv)
{
    uint64_t rounds = 5;
    struct failure f;

    if (argc > 2 || (argc == 2 && (!slice_parse_u64(slice_of_text(argv[1]), &rounds) || rounds == 0))) {
        (void)fprintf(stderr, "usage: smime_bench [ROUNDS]\n");
        return 2;
    }
    need(smime_start(&f) == STATUS_OK, "start");
    struct person rsa = person_make("rsa signer", EVP_RSA_gen(2048)),
                  rsa_to = person_make("rsa recipient", EVP_RSA_gen(2048));
    struct person ec = person_make("ec signer", EVP_EC_gen("P-256")),
                  ec_to = person_make("ec recipient", EVP_EC_gen("P-256"));
    const struct load loads[] = {
        {"rsa sign+encrypt gcm", &rsa, &rsa_to, SMIME_AES256_GCM, 10240, 50},
        {"rsa sign+encrypt cbc", &rsa, &rsa_to, SMIME_AES256_CBC, 10240, 50},
        {"ec sign+encrypt gcm", &ec, &ec_to, SMIME_AES256_GCM, 10240, 50},
        {"rsa encrypt gcm", NULL, &rsa_to, SMIME_AES256_GCM, 10240, 200},
        {"rsa sign", &rsa, NULL, SMIME_AES256_GCM, 10240, 50},
        {"rsa sign+encrypt gcm", &rsa, &rsa_to, SMIME_AES256_GCM, (size_t)1 << 20, 10},
        {"rsa sign+encrypt cbc", &rsa, &rsa_to, SMIME_AES256_CBC, (size_t)1 << 20, 10},
        {"rsa sign+encrypt gcm", &rsa, &rsa_to, SMIME_AES256_GCM, (size_t)5 << 20, 4},
        {"rsa sign+encrypt cbc", &rsa, &rsa_to, SMIME_AES256_CBC, (size_t)5 << 20, 4},
    };
    (void)printf("case\tbytes\tours_us\tbare_us\tratio\n");
    for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++)
        measure(&loads[i], (size_t)rounds);
    struct person *all[] = {&rsa, &rsa_to, &ec, &ec_to};
    for (size_t i = 0; i < 4; i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->x);
        buf_release(&all[i]->der);
    }
    return 0;
}
