/* TLS contexts for next hops (smtp/tls_client.h). */
#include "smtp/tls_client.h"

#include "crypto/x509.h"
#include "store/records.h"

#include <openssl/err.h>

struct tls_client {
    struct {
        SSL_CTX *context;    /* NULL: not made yet */
        uint64_t generation; /* of the store's anchors in it */
    } of[TLS_ANCHORS_END];
};

enum status tls_client_new(struct tls_client **out, struct failure *f)
{
    *out = calloc(1, sizeof **out);
    return *out != NULL ? STATUS_OK : failure_set(f, STATUS_NO_MEMORY, "no memory for TLS");
}

void tls_client_free(struct tls_client *t)
{
    for (size_t i = 0; t != NULL && i < TLS_ANCHORS_END; i++) {
        SSL_CTX_free(t->of[i].context);
    }
    free(t);
}

static bool add_anchor(void *context, const struct certificate_record *record)
{
    X509_STORE *anchors = context;
    X509 *x = certificate_from_der(record->der);
    if (x != NULL) {
        (void)X509_STORE_add_cert(anchors, x); /* without it less is trusted */
    }
    X509_free(x);
    return true;
}

static enum status context_new(enum tls_anchors anchors, struct store_view *view, SSL_CTX **out,
                               struct failure *f)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    bool good = context != NULL && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                SSL_CTX_dane_enable(context) > 0;
    if (good && anchors != TLS_ANCHORS_STORE) {
        good = SSL_CTX_set_default_verify_paths(context) == 1;
    }
    enum status status = good ? STATUS_OK : STATUS_CRYPTO;
    if (good && anchors != TLS_ANCHORS_SYSTEM && view != NULL) {
        status = store_anchors_all(view, add_anchor, SSL_CTX_get_cert_store(context));
    }
    ERR_clear_error();
    if (status != STATUS_OK) {
        SSL_CTX_free(context);
        return failure_set(f, status, "TLS cannot be prepared: %s", status_text(status));
    }
    (void)SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    (void)SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS); /* an idle session keeps no buffers */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    *out = context;
    return STATUS_OK;
}

enum status tls_client_context(struct tls_client *t, struct store *store, enum tls_anchors anchors,
                               SSL_CTX **out, struct failure *f)
{
    struct store_view *view = NULL;
    uint64_t generation = 0;
    enum status status = STATUS_OK;
    if (anchors != TLS_ANCHORS_SYSTEM && store != NULL) {
        status = store_view_begin(store, &view, f);
        if (status != STATUS_OK) {
            return status;
        }
        generation = store_trust_generation(view);
    }
    if (t->of[anchors].context == NULL || t->of[anchors].generation != generation) {
        SSL_CTX *fresh = NULL;
        status = context_new(anchors, view, &fresh, f);
        if (status == STATUS_OK) {
            SSL_CTX_free(t->of[anchors].context);
            t->of[anchors].context = fresh;
            t->of[anchors].generation = generation;
        }
    }
    store_view_end(view);
    *out = t->of[anchors].context;
    return status;
}

const char *tls_result_name(long verify_result)
{
    switch (verify_result) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return "certificate-expired";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return "certificate-host-mismatch";
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_UNTRUSTED:
        return "certificate-not-trusted";
    case X509_V_ERR_DANE_NO_MATCH:
        return "tlsa-invalid";
    default:
        return "validation-failure";
    }
}
