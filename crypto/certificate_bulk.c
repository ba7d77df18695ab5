/* See certificate_bulk.h. */
#include "crypto/certificate_bulk.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs7.h>

#define DER_MAX ((size_t)128 << 10)
#define BEGIN   "-----BEGIN "
#define END     "-----END "

struct reading {
    struct certificate_bulk *out;
    struct arena *arena;
    size_t skip;
    enum status status;
};

/* One entry of the file: a certificate, or why it is none. */
static void add(struct reading *r, X509 *x, const char *reason)
{
    struct buf der = BUF_INIT(DER_MAX);
    struct certificate_bulk_entry *entry = &r->out->entries[r->out->count];
    size_t index = r->out->total++;

    if (index < r->skip || r->out->count == CERTIFICATE_BULK_MAX || r->status != STATUS_OK)
        return;
    *entry = (struct certificate_bulk_entry){.reason = reason};
    if (x != NULL && certificate_to_der(x, &der) != STATUS_OK)
        entry->reason = "the certificate is too large";
    else if (x != NULL && !arena_copy(r->arena, buf_slice(&der), &entry->der))
        r->status = STATUS_NO_MEMORY;
    r->out->count++;
    buf_release(&der);
}

static bool add_pkcs7(struct reading *r, const unsigned char *data, long len)
{
    const unsigned char *at = data;
    PKCS7 *p7 = d2i_PKCS7(NULL, &at, len);
    STACK_OF(X509) *list =
        p7 != NULL && PKCS7_type_is_signed(p7) && p7->d.sign != NULL ? p7->d.sign->cert : NULL;
    bool any = sk_X509_num(list) > 0;

    for (int i = 0; i < sk_X509_num(list); i++)
        add(r, sk_X509_value(list, i), NULL);
    PKCS7_free(p7);
    return any;
}

static void add_block(struct reading *r, struct slice block)
{
    BIO *bio = BIO_new_mem_buf(block.data, (int)block.len);
    char *name = NULL, *header = NULL;
    unsigned char *data = NULL;
    const unsigned char *at;
    long len = 0;

    if (bio == NULL || PEM_read_bio(bio, &name, &header, &data, &len) != 1) {
        add(r, NULL, "the PEM block cannot be read");
    } else if (strcmp(name, PEM_STRING_PKCS7) == 0 || strcmp(name, PEM_STRING_CMS) == 0) {
        if (!add_pkcs7(r, data, len))
            add(r, NULL, "the PKCS#7 block has no certificate that can be read");
    } else if (strcmp(name, PEM_STRING_X509) == 0 || strcmp(name, PEM_STRING_X509_OLD) == 0) {
        at = data;
        X509 *x = d2i_X509(NULL, &at, len);

        add(r, x, x == NULL ? "this is no X.509 certificate" : NULL);
        X509_free(x);
    } else if (strstr(name, "PRIVATE KEY") != NULL) {
        add(r, NULL, "this is a private key: key import stores it with its certificate");
    } else {
        add(r, NULL, "the PEM block is none of a certificate");
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    if (data != NULL)
        OPENSSL_clear_free(data, (size_t)len);
    BIO_free(bio);
}

/* From a BEGIN line to the next END line, or up to the next BEGIN when the END is missing. */
static bool next_block(struct slice *rest, struct slice *block)
{
    const uint8_t *begin = memmem(rest->data, rest->len, BEGIN, strlen(BEGIN)), *end, *next, *stop;
    const uint8_t *limit = rest->data + rest->len;

    if (begin == NULL)
        return false;
    end = memmem(begin, (size_t)(limit - begin), END, strlen(END));
    next = memmem(begin + 1, (size_t)(limit - begin - 1), BEGIN, strlen(BEGIN));
    stop = limit;
    if (end != NULL && (next == NULL || end < next)) {
        stop = memchr(end, '\n', (size_t)(limit - end));
        stop = stop != NULL ? stop + 1 : limit;
    } else if (next != NULL) {
        stop = next;
    }
    *block = slice_of(begin, (size_t)(stop - begin));
    *rest = slice_of(stop, (size_t)(limit - stop));
    return true;
}

enum status certificate_bulk_read(struct slice content, size_t skip, struct arena *a,
                                  struct certificate_bulk *out, struct failure *f)
{
    struct reading r = {.out = out, .arena = a, .skip = skip, .status = STATUS_OK};
    struct slice rest = content, block;
    const unsigned char *at = content.data;

    out->count = out->total = 0;
    if (content.len == 0 || content.len > ((size_t)16 << 20))
        return failure_set(f, content.len == 0 ? STATUS_MALFORMED : STATUS_TOO_LARGE,
                           "a file of certificates has 1 byte to 16 MB");
    while (next_block(&rest, &block))
        add_block(&r, block);
    if (out->total == 0) {
        X509 *x = d2i_X509(NULL, &at, (long)content.len);

        if (x != NULL)
            add(&r, x, NULL);
        else
            (void)add_pkcs7(&r, content.data, (long)content.len);
        X509_free(x);
    }
    ERR_clear_error();
    if (r.status != STATUS_OK)
        return failure_set(f, r.status, "there is no memory for the certificates");
    if (out->total == 0)
        return failure_set(f, STATUS_MALFORMED,
                           "there is no certificate in the file; it may hold PEM, DER or PKCS#7");
    return STATUS_OK;
}

/* --- writing --- */

static enum status write_pkcs7(const struct slice *der, size_t count, struct buf *out)
{
    PKCS7 *p7 = PKCS7_new();
    unsigned char *bytes = NULL;
    int len = -1;
    bool good = p7 != NULL && PKCS7_set_type(p7, NID_pkcs7_signed) == 1 &&
                PKCS7_content_new(p7, NID_pkcs7_data) == 1 && PKCS7_set_detached(p7, 1) >= 0;
    enum status status = STATUS_CRYPTO;

    for (size_t i = 0; i < count && good; i++) {
        X509 *x = certificate_from_der(der[i]);

        good = x != NULL && PKCS7_add_certificate(p7, x) == 1;
        X509_free(x);
    }
    if (good)
        len = i2d_PKCS7(p7, &bytes);
    if (len > 0)
        status = buf_append(out, bytes, (size_t)len);
    OPENSSL_free(bytes);
    PKCS7_free(p7);
    ERR_clear_error();
    return status;
}

enum status certificate_file_write(const struct slice *der, size_t count, const char *format, struct buf *out,
                                   struct failure *f)
{
    enum status status = STATUS_OK;

    if (strcmp(format, "der") == 0) {
        if (count != 1)
            return failure_set(f, STATUS_INVALID,
                               "a DER file holds one certificate, not %zu: choose pem or pkcs7", count);
        return buf_append_slice(out, der[0]);
    }
    if (strcmp(format, "pkcs7") == 0)
        return write_pkcs7(der, count, out);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        struct buf pem = BUF_INIT(4 * DER_MAX);

        status = certificate_to_pem(der[i], &pem);
        if (status == STATUS_OK)
            status = buf_append_slice(out, buf_slice(&pem));
        buf_release(&pem);
    }
    return status;
}
