/*
 * The cluster's own CA: one ECDSA P-256 key that signs the certificates of nodes and nothing else. A node's
 * peer certificate says which node it is by the URI name sealpost:node:ID. Runs in init and in core.
 */
#include "crypto/x509.h"

#include "crypto/x509_build.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#define YEAR_MS         ((uint64_t)365 * 86400 * 1000)
#define CA_YEARS        20
#define LEAF_YEARS      10
#define ALT_NAMES_MAX   2048
#define COMMON_NAME_MAX 64 /* ub-common-name */

static bool set_common(X509 *x, EVP_PKEY *key, struct slice name, uint64_t now_ms, uint64_t years)
{
    return x509_build_set(x, key, now_ms, now_ms + years * YEAR_MS) &&
           X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_UTF8, name.data, (int)name.len,
                                      -1, 0) == 1;
}

enum status cluster_ca_make(struct slice cluster_name, uint64_t now_ms, X509 **ca, EVP_PKEY **key,
                            struct failure *f)
{
    char name[COMMON_NAME_MAX + 1];
    size_t room = COMMON_NAME_MAX - strlen("Sealpost cluster "), cut = cluster_name.len;

    if (cut > room) /* not within a character of UTF-8 */
        for (cut = room; cut > 0 && (cluster_name.data[cut] & 0xc0) == 0x80; cut--)
            ;
    int len =
        snprintf(name, sizeof(name), "Sealpost cluster %.*s", (int)cut, (const char *)cluster_name.data);
    X509 *x = X509_new();
    bool good = len > 0 && x != NULL;

    *key = NULL;
    good = good && key_generate_p256(key) == STATUS_OK;
    good = good && set_common(x, *key, slice_of_text(name), now_ms, CA_YEARS) &&
           X509_set_issuer_name(x, X509_get_subject_name(x)) == 1 &&
           x509_build_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           x509_build_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
           x509_build_extension(x, x, NID_subject_key_identifier, "hash") &&
           X509_sign(x, *key, EVP_sha256()) > 0;
    ERR_clear_error();
    if (good) {
        *ca = x;
        return STATUS_OK;
    }
    X509_free(x);
    EVP_PKEY_free(*key);
    *key = NULL;
    return failure_set(f, STATUS_CRYPTO, "cannot make the cluster's CA");
}

/* "URI:sealpost:node:3,DNS:mx1.example.org,IP:127.0.0.1"; false if a name is neither host nor address. */
static bool alt_names(uint64_t node_id, bool peer, struct slice names, struct buf *out)
{
    bool good = !peer || buf_printf(out, "URI:sealpost:node:%llu", (unsigned long long)node_id) == STATUS_OK;

    while (good && names.len > 0) {
        size_t comma = slice_find_byte(names, ',');
        struct slice one = slice_trim(slice_of(names.data, comma));
        char text[256];
        uint8_t ip[16];
        bool is_ip;

        names =
            comma < names.len ? slice_of(names.data + comma + 1, names.len - comma - 1) : (struct slice){0};
        if (one.len == 0)
            continue;
        good = one.len < sizeof(text);
        for (size_t i = 0; good && i < one.len; i++) {
            text[i] = (char)one.data[i];
            good = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                   (text[i] >= '0' && text[i] <= '9') || text[i] == '.' || text[i] == '-' || text[i] == ':' ||
                   text[i] == '_';
        }
        if (!good)
            break;
        text[one.len] = '\0';
        is_ip = inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
        good = (is_ip || strchr(text, ':') == NULL) &&
               buf_printf(out, "%s%s:%s", out->len > 0 ? "," : "", is_ip ? "IP" : "DNS", text) == STATUS_OK;
    }
    return good && buf_text(out) != NULL;
}

enum status cluster_ca_issue(X509 *ca, EVP_PKEY *ca_key, EVP_PKEY *subject_key, uint64_t node_id,
                             struct slice node_name, struct slice names, bool peer, uint64_t now_ms,
                             X509 **out, struct failure *f)
{
    struct buf alternatives = BUF_INIT(ALT_NAMES_MAX);
    X509 *x = X509_new();
    enum status status = STATUS_OK;
    bool good;

    if (!alt_names(node_id, peer, names, &alternatives)) {
        status = failure_set(f, STATUS_INVALID,
                             "a name for the node's certificate is neither a host name nor an IP address");
        goto out;
    }
    good = x != NULL && node_name.len <= COMMON_NAME_MAX &&
           set_common(x, subject_key, node_name, now_ms, LEAF_YEARS) &&
           X509_set_issuer_name(x, X509_get_subject_name(ca)) == 1 && x509_build_end_within(x, ca) &&
           x509_build_extension(x, ca, NID_basic_constraints, "critical,CA:FALSE") &&
           x509_build_extension(x, ca, NID_key_usage, "critical,digitalSignature") &&
           x509_build_extension(x, ca, NID_ext_key_usage, peer ? "serverAuth,clientAuth" : "serverAuth") &&
           x509_build_extension(x, ca, NID_subject_key_identifier, "hash") &&
           x509_build_extension(x, ca, NID_authority_key_identifier, "keyid");
    if (good && alternatives.len > 0)
        good = x509_build_extension(x, ca, NID_subject_alt_name, (const char *)alternatives.data);
    good = good && X509_sign(x, ca_key, EVP_sha256()) > 0;
    if (!good)
        status = failure_set(f, STATUS_CRYPTO, "cannot issue a node's certificate");
out:
    ERR_clear_error();
    if (status == STATUS_OK)
        *out = x;
    else
        X509_free(x);
    buf_release(&alternatives);
    return status;
}
