/* Files with certificates, as administrators have them: PEM with one or more, DER, or PKCS#7. Any thread. */
#include "crypto/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#define FILE_MAX ((size_t)16 << 20) /* bytes */

static enum status add(struct certificate_file *out, struct arena *a, X509 *x, struct failure *f)
{
    struct buf der = BUF_INIT((size_t)128 << 10);
    enum status status;

    if (out->count == CERTIFICATES_PER_FILE_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a file holds at most %d certificates",
                           CERTIFICATES_PER_FILE_MAX);
    status = certificate_to_der(x, &der);
    if (status == STATUS_OK && !arena_copy(a, buf_slice(&der), &out->der[out->count]))
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        out->count++;
    else
        status = failure_set(f, status, "cannot keep a certificate: %s", status_text(status));
    buf_release(&der);
    return status;
}

static enum status add_stack(struct certificate_file *out, struct arena *a, STACK_OF(X509) * stack,
                             struct failure *f)
{
    enum status status = STATUS_OK;

    for (int i = 0; i < sk_X509_num(stack) && status == STATUS_OK; i++)
        status = add(out, a, sk_X509_value(stack, i), f);
    return status;
}

static STACK_OF(X509) * certificates_of(PKCS7 *p7)
{
    if (p7 != NULL && PKCS7_type_is_signed(p7) && p7->d.sign != NULL)
        return p7->d.sign->cert;
    return NULL;
}

static enum status read_pem(BIO *bio, struct arena *a, struct certificate_file *out, struct failure *f)
{
    enum status status = STATUS_OK;
    size_t blocks = 0;

    while (status == STATUS_OK) {
        char *name = NULL, *header = NULL;
        unsigned char *data = NULL;
        const unsigned char *at;
        long len = 0;

        if (PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
            if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
                status =
                    failure_set(f, STATUS_MALFORMED, "block %zu of the PEM file cannot be read", blocks + 1);
            break;
        }
        blocks++;
        at = data;
        if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
            X509 *x = d2i_X509(NULL, &at, len);

            status = x == NULL ? failure_set(f, STATUS_MALFORMED,
                                             "certificate %zu of the file cannot be read", out->count + 1)
                               : add(out, a, x, f);
            X509_free(x);
        } else if (strcmp(name, PEM_STRING_PKCS7) == 0 || strcmp(name, PEM_STRING_CMS) == 0) {
            PKCS7 *p7 = d2i_PKCS7(NULL, &at, len);

            status = add_stack(out, a, certificates_of(p7), f);
            PKCS7_free(p7);
        }
        OPENSSL_free(name);
        OPENSSL_free(header);
        if (data != NULL)
            OPENSSL_clear_free(data, (size_t)len); /* it may have been a key */
    }
    return status;
}

enum status certificate_file_read(struct slice content, struct arena *a, struct certificate_file *out,
                                  struct failure *f)
{
    const unsigned char *at = content.data;
    BIO *bio;
    X509 *x;
    PKCS7 *p7;
    enum status status;

    out->count = 0;
    if (content.len == 0)
        return failure_set(f, STATUS_MALFORMED, "the file is empty");
    if (content.len > FILE_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a file with certificates has at most %zu bytes", FILE_MAX);
    bio = BIO_new_mem_buf(content.data, (int)content.len);
    status = bio == NULL ? STATUS_NO_MEMORY : read_pem(bio, a, out, f);
    BIO_free(bio);
    if (status == STATUS_OK && out->count == 0) {
        x = d2i_X509(NULL, &at, (long)content.len);
        at = content.data;
        p7 = x == NULL ? d2i_PKCS7(NULL, &at, (long)content.len) : NULL;
        if (x != NULL)
            status = add(out, a, x, f);
        else
            status = add_stack(out, a, certificates_of(p7), f);
        X509_free(x);
        PKCS7_free(p7);
    }
    ERR_clear_error();
    if (status == STATUS_OK && out->count == 0)
        return failure_set(f, STATUS_MALFORMED,
                           "there is no certificate in the file; it may hold PEM, DER or PKCS#7");
    return status;
}
