/*
 * sealpostd join: make this machine a node of an existing cluster (the member's side: node/core_join.c).
 *
 * The way when all goes well: the data folder is free, the token is read, the node's private keys are made
 * here; each address of the token is tried: TLS 1.3, then the CA with the token's fingerprint must be in the
 * chain that the member shows and must have signed its peer certificate; only then the secret goes out. The
 * answer's certificates are checked against our keys and that CA, the master key is put where the
 * configuration says, and identity/ appears whole.
 *
 * It is used once and has nothing else to do: plain blocking sockets with timeouts.
 */
#include "node/verbs.h"

#include "base/log.h"
#include "crypto/x509.h"
#include "node/data_folder.h"
#include "node/durable_file.h"
#include "node/identity.h"
#include "node/join_token.h"
#include "node/master_key.h"
#include "node/peer_frame.h"
#include "node/service_names.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#define CONNECT_MS 5000
#define ANSWER_S   20
#define ROUNDS     5 /* through all addresses, while the cluster has no leader */

struct joining {
    const struct node_config *config;
    struct join_token token;
    EVP_PKEY *peer_key, *service_key;
    struct secret master_check;
    struct buf request;      /* encoded */
    struct buf answer_bytes; /* what `answer` points into */
    struct join_answer answer;
    X509 *ca; /* the one with the token's fingerprint */
};

static enum status token_read(const struct join_options *options, struct join_token *token, struct failure *f)
{
    struct buf text = {.max = JOIN_TOKEN_TEXT_MAX, .wipe = true};
    enum status status = options->token != NULL ? buf_append_text(&text, options->token)
                                                : durable_file_read(options->token_file, &text, f);
    if (status == STATUS_OK) {
        status = join_token_decode(buf_slice(&text), token, f);
    } else if (options->token != NULL) {
        status = failure_set(f, status, "the join token is too long");
    }
    buf_release(&text);
    return status;
}

static enum status public_der(EVP_PKEY *key, struct buf *out)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    enum status status = len > 0 ? buf_append(out, der, (size_t)len) : STATUS_CRYPTO;
    OPENSSL_free(der);
    return status;
}

static enum status request_make(struct joining *j, struct failure *f)
{
    const struct node_config *config = j->config;
    struct buf names = BUF_INIT(JOIN_NAMES_MAX), peer = BUF_INIT(JOIN_PUBLIC_KEY_MAX),
               service = BUF_INIT(JOIN_PUBLIC_KEY_MAX);
    enum status status = key_generate_p256(&j->peer_key);
    status = status == STATUS_OK ? key_generate_p256(&j->service_key) : status;
    status = status == STATUS_OK ? public_der(j->peer_key, &peer) : status;
    status = status == STATUS_OK ? public_der(j->service_key, &service) : status;
    status = status == STATUS_OK ? service_names(config, &names) : status;
    if (status == STATUS_OK) {
        status = join_request_encode(
            &(struct join_request){
                .secret = slice_of(j->token.secret, sizeof(j->token.secret)),
                .name = slice_of_text(config->name),
                .peer_address = slice_of_text(config->cluster_advertise),
                .api_address = slice_of_text(config->api_advertise),
                .smtp_address = slice_of_text(config->smtp_advertise),
                .names = buf_slice(&names),
                .peer_key = buf_slice(&peer),
                .service_key = buf_slice(&service),
                .command_set = COMMAND_SET_VERSION,
                .master_check = secret_slice(&j->master_check),
            },
            &j->request);
    }
    buf_release(&names);
    buf_release(&peer);
    buf_release(&service);
    return status == STATUS_OK ? status : failure_set(f, status, "cannot make the node's keys and request");
}

static enum status tcp_connect(const char *address, int *out, struct failure *f)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *list = NULL;
    struct slice host_slice = address_host(slice_of_text(address));
    const char *port = strrchr(address, ':');
    char host[80];
    int n = snprintf(host, sizeof(host), "%.*s", SLICE_ARGS(host_slice));
    if (n < 0 || (size_t)n >= sizeof(host) || port == NULL ||
        getaddrinfo(host, port + 1, &hints, &list) != 0) {
        return failure_set(f, STATUS_UNAVAILABLE, "cannot find the address %s", address);
    }
    enum status status = failure_set(f, STATUS_UNAVAILABLE, "cannot connect to %s", address);
    for (struct addrinfo *ai = list; ai != NULL && status != STATUS_OK; ai = ai->ai_next) {
        struct timeval answer_time = {.tv_sec = ANSWER_S};
        struct timeval connect_time = {.tv_sec = CONNECT_MS / 1000};
        int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* SO_SNDTIMEO bounds connect() too. */
        if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &connect_time, sizeof(connect_time)) == 0 &&
            setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &answer_time, sizeof(answer_time)) == 0 &&
            connect(fd, ai->ai_addr, ai->ai_addrlen) == 0) {
            *out = fd;
            status = STATUS_OK;
        } else {
            status = failure_set(f, STATUS_UNAVAILABLE, "cannot connect to %s: %s", address, strerror(errno));
            if (fd >= 0) {
                close(fd);
            }
        }
    }
    freeaddrinfo(list);
    return status;
}

static enum status fingerprint_of(X509 *x, uint8_t hash[32])
{
    struct buf der = BUF_INIT(JOIN_FRAME_MAX);
    enum status status = certificate_to_der(x, &der);
    if (status == STATUS_OK) {
        sha256(buf_slice(&der), hash);
    }
    buf_release(&der);
    return status;
}

/* Signed by this CA, in time, fit for its use. */
static bool signed_by(X509 *ca, X509 *x)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    bool good = store != NULL && context != NULL && X509_STORE_add_cert(store, ca) == 1 &&
                X509_STORE_CTX_init(context, store, x, NULL) == 1 &&
                X509_STORE_CTX_set_purpose(context, X509_PURPOSE_SSL_SERVER) == 1 &&
                X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return good;
}

/* Only a node's peer certificate names a node: the services' certificates, whose keys more processes hold,
 * are not enough. */
static bool names_a_node(X509 *x)
{
    static const char prefix[] = "sealpost:node:";
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    bool found = false;
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        if (name->type == GEN_URI) {
            const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
            found = found || (ASN1_STRING_length(uri) > (int)sizeof(prefix) - 1 &&
                              memcmp(ASN1_STRING_get0_data(uri), prefix, sizeof(prefix) - 1) == 0);
        }
    }
    GENERAL_NAMES_free(names);
    return found;
}

/* Is this a member of the token's cluster? Keeps the CA. */
static enum status member_check(struct joining *j, SSL *ssl, const char *address, struct failure *f)
{
    STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    X509 *own = SSL_get0_peer_certificate(ssl), *ca = NULL;
    uint8_t hash[32];
    for (int i = 0; chain != NULL && i < sk_X509_num(chain); i++) {
        X509 *x = sk_X509_value(chain, i);
        if (fingerprint_of(x, hash) == STATUS_OK &&
            memcmp(hash, j->token.ca_fingerprint, sizeof(hash)) == 0) {
            ca = x;
        }
    }
    if (own == NULL || ca == NULL) {
        return failure_set(
            f, STATUS_UNTRUSTED,
            "the node at %s does not belong to the cluster of this token: its CA has another fingerprint",
            address);
    }
    if (!signed_by(ca, own) || !names_a_node(own)) {
        return failure_set(f, STATUS_UNTRUSTED,
                           "the node at %s shows a certificate that the cluster's CA did not give to a node",
                           address);
    }
    X509_free(j->ca);
    X509_up_ref(ca);
    j->ca = ca;
    return STATUS_OK;
}

static enum status ssl_write_all(SSL *ssl, struct slice bytes)
{
    while (bytes.len > 0) {
        size_t n = 0;
        if (SSL_write_ex(ssl, bytes.data, bytes.len, &n) != 1) {
            return STATUS_CLOSED;
        }
        bytes = slice_of(bytes.data + n, bytes.len - n);
    }
    return STATUS_OK;
}

static enum status frame_read(SSL *ssl, struct buf *bytes, struct slice *payload)
{
    for (;;) {
        int taken = peer_frame_take(buf_slice(bytes), JOIN_FRAME_MAX, payload);
        size_t n = 0;
        if (taken != 0) {
            return taken > 0 ? STATUS_OK : STATUS_MALFORMED;
        }
        enum status status = buf_reserve(bytes, 4096);
        if (status != STATUS_OK) {
            return status;
        }
        if (SSL_read_ex(ssl, bytes->data + bytes->len, 4096, &n) != 1) {
            return STATUS_CLOSED;
        }
        bytes->len += n;
    }
}

static enum status exchange(struct joining *j, SSL *ssl, const char *address, struct failure *f)
{
    struct slice q = buf_slice(&j->request), payload;
    uint8_t header[PEER_FRAME_HEADER] = {(uint8_t)(q.len >> 24), (uint8_t)(q.len >> 16),
                                         (uint8_t)(q.len >> 8), (uint8_t)q.len};
    buf_reset(&j->answer_bytes);
    if (ssl_write_all(ssl, slice_of(header, sizeof(header))) != STATUS_OK ||
        ssl_write_all(ssl, q) != STATUS_OK || frame_read(ssl, &j->answer_bytes, &payload) != STATUS_OK) {
        return failure_set(f, STATUS_UNAVAILABLE, "the node at %s gave no answer", address);
    }
    if (join_answer_decode(payload, &j->answer) != STATUS_OK) {
        return failure_set(f, STATUS_MALFORMED,
                           "the node at %s answers in another protocol: is it another release?", address);
    }
    if (j->answer.status != STATUS_OK) {
        struct slice text =
            j->answer.text.len > 0 ? j->answer.text : slice_of_text(status_text(j->answer.status));
        return failure_set(f, j->answer.status, "the cluster refuses: %.*s", SLICE_ARGS(text));
    }
    return STATUS_OK;
}

static enum status ask_member(struct joining *j, SSL_CTX *tls, const char *address, struct failure *f)
{
    static const unsigned char alpn[] = "\x0f" ALPN_JOIN;
    int fd = -1;
    enum status status = tcp_connect(address, &fd, f);
    if (status != STATUS_OK) {
        return status;
    }
    SSL *ssl = SSL_new(tls);
    if (ssl == NULL || SSL_set_alpn_protos(ssl, alpn, sizeof(alpn) - 1) != 0 || SSL_set_fd(ssl, fd) != 1) {
        status = failure_set(f, STATUS_CRYPTO, "TLS cannot be set up");
    } else if (SSL_connect(ssl) != 1) {
        status = failure_set(f, STATUS_UNAVAILABLE,
                             "what listens at %s is not a node of Sealpost, or does not answer", address);
    } else {
        status = member_check(j, ssl, address, f);
        status = status == STATUS_OK ? exchange(j, ssl, address, f) : status;
        (void)SSL_shutdown(ssl);
    }
    SSL_free(ssl);
    ERR_clear_error();
    close(fd);
    return status;
}

/* Each address in turn; what another member would answer as well ends it. The refusal of a member says more
 * than an address that is dead. */
static enum status ask_cluster(struct joining *j, struct failure *f)
{
    SSL_CTX *tls = NULL;
    enum status status = tls_context_join(&tls, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = STATUS_UNAVAILABLE;
    for (int round = 0; round < ROUNDS && status == STATUS_UNAVAILABLE; round++) {
        struct failure first = {0};
        for (size_t i = 0; i < j->token.address_count; i++) {
            struct failure here = {0};
            status = ask_member(j, tls, j->token.addresses[i], &here);
            if (status == STATUS_OK) {
                break;
            }
            if (first.status == STATUS_OK || first.status == STATUS_UNAVAILABLE) {
                first = here;
            }
            if (status != STATUS_UNAVAILABLE && status != STATUS_UNTRUSTED) {
                break;
            }
        }
        if (status != STATUS_OK) {
            *f = first;
            status = first.status;
        }
        if (status == STATUS_UNAVAILABLE && round + 1 < ROUNDS) {
            usleep(500000);
        }
    }
    SSL_CTX_free(tls);
    return status;
}

static enum status answer_check(struct joining *j, struct failure *f)
{
    const struct join_answer *a = &j->answer;
    uint8_t hash[32];
    X509 *peer = certificate_from_der(a->peer_certificate),
         *service = certificate_from_der(a->service_certificate);
    sha256(a->ca, hash);
    bool good = peer != NULL && service != NULL && memcmp(hash, j->token.ca_fingerprint, sizeof(hash)) == 0 &&
                key_fits_certificate(j->peer_key, a->peer_certificate) &&
                key_fits_certificate(j->service_key, a->service_certificate) && signed_by(j->ca, peer) &&
                signed_by(j->ca, service) && names_a_node(peer);
    X509_free(peer);
    X509_free(service);
    return good ? STATUS_OK
                : failure_set(f, STATUS_UNTRUSTED, "the certificates that came with the answer do not fit");
}

static enum status node_make(struct joining *j, struct failure *f)
{
    enum status status = master_key_receive(j->config, j->answer.master, f);
    if (status != STATUS_OK) {
        return status;
    }
    return identity_create(&(struct identity_parts){.node_id = j->answer.node_id,
                                                    .name = j->config->name,
                                                    .peer_key = j->peer_key,
                                                    .service_key = j->service_key,
                                                    .ca = j->answer.ca,
                                                    .peer_certificate = j->answer.peer_certificate,
                                                    .service_certificate = j->answer.service_certificate,
                                                    .master = j->answer.master,
                                                    .peers = j->answer.peers},
                           f);
}

int join_run(const struct node_config *config, const struct join_options *options)
{
    static struct joining j;
    struct failure f = {0};
    int lock = -1;

    j = (struct joining){.config = config,
                         .request = {.max = JOIN_FRAME_MAX, .wipe = true},
                         .answer_bytes = {.max = JOIN_FRAME_MAX + 8192, .wipe = true}};
    enum status status = token_read(options, &j.token, &f); /* before the working directory changes */
    status = status == STATUS_OK ? data_folder_enter(config, true, &f) : status;
    status = status == STATUS_OK ? data_folder_lock(0, &lock, &f) : status;
    status = status == STATUS_OK ? identity_folder_is_free(&f) : status;
    status = status == STATUS_OK ? master_key_place_check(config, &j.master_check, &f) : status;
    status = status == STATUS_OK ? request_make(&j, &f) : status;
    status = status == STATUS_OK ? ask_cluster(&j, &f) : status;
    status = status == STATUS_OK ? answer_check(&j, &f) : status;
    status = status == STATUS_OK ? node_make(&j, &f) : status;
    if (status == STATUS_OK) {
        printf("'%s' is node %llu of the cluster '%.*s'.\nStart it with: sealpostd run --config %s\n",
               config->name, (unsigned long long)j.answer.node_id, SLICE_ARGS(j.answer.cluster_name),
               options->config_path);
    } else {
        fprintf(stderr, "sealpostd join: %s\n", f.text);
    }
    secret_wipe(&j.token, sizeof(j.token));
    secret_release(&j.master_check);
    EVP_PKEY_free(j.peer_key);
    EVP_PKEY_free(j.service_key);
    X509_free(j.ca);
    buf_release(&j.request);
    buf_release(&j.answer_bytes);
    if (lock >= 0) {
        close(lock);
    }
    return status == STATUS_OK ? 0 : 1;
}
