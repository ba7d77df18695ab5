/*
 * sealpostd init: make the first node of a new cluster.
 *
 * The way when all goes well: the data folder is free and ours; the master key is read or made; the cluster
 * gets its CA and its data key, the node its keys and certificates; the commands that found the cluster are
 * encoded into identity/bootstrap.commands, with ids of their own, so that core may propose them as often as
 * it takes; identity/ appears whole. Until that last step a failure leaves no node behind, only perhaps a
 * master key, which the next try uses.
 *
 * The administrator's token is random; the cluster keeps its SHA-256. It is shown once or written to a file
 * of mode 0600.
 */
#include "node/verbs.h"

#include "base/hex.h"
#include "base/msgpack_write.h"
#include "crypto/seal.h"
#include "crypto/x509.h"
#include "node/data_folder.h"
#include "node/durable_file.h"
#include "node/identity.h"
#include "node/master_key.h"
#include "node/service_names.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOUNDING_NODE_ID 1
#define TOKEN_BYTES      32

struct founding {
    const struct node_config *config;
    const char *cluster_name;
    uint64_t now_ms;
    struct secret master;
    X509 *ca, *peer_certificate, *service_certificate;
    EVP_PKEY *ca_key, *peer_key, *service_key;
    struct buf ca_der, peer_der, service_der, names, bootstrap, token;
    uint8_t data_key_id[16];
    struct buf data_key_wrapped, ca_key_sealed;
};

static void founding_init(struct founding *n, const struct node_config *config, const char *cluster_name)
{
    *n = (struct founding){.config = config, .cluster_name = cluster_name, .now_ms = clock_wall_ms()};
    struct buf *all[] = {&n->ca_der,    &n->peer_der, &n->service_der,      &n->names,
                         &n->bootstrap, &n->token,    &n->data_key_wrapped, &n->ca_key_sealed};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        *all[i] = BUF_INIT(IDENTITY_BOOTSTRAP_MAX);
    }
    n->token.wipe = true;
}

static void founding_release(struct founding *n)
{
    secret_release(&n->master);
    X509_free(n->ca);
    X509_free(n->peer_certificate);
    X509_free(n->service_certificate);
    EVP_PKEY_free(n->ca_key);
    EVP_PKEY_free(n->peer_key);
    EVP_PKEY_free(n->service_key);
    struct buf *all[] = {&n->ca_der,    &n->peer_der, &n->service_der,      &n->names,
                         &n->bootstrap, &n->token,    &n->data_key_wrapped, &n->ca_key_sealed};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        buf_release(all[i]);
    }
}

static enum status certificates_make(struct founding *n, struct failure *f)
{
    struct buf peer_names = BUF_INIT(1024);
    struct slice name = slice_of_text(n->config->name);
    enum status status = cluster_ca_make(slice_of_text(n->cluster_name), n->now_ms, &n->ca, &n->ca_key, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = key_generate_p256(&n->peer_key);
    status = status == STATUS_OK ? key_generate_p256(&n->service_key) : status;
    status = status == STATUS_OK ? service_names(n->config, &n->names) : status;
    status = status == STATUS_OK ? service_names_add(&peer_names, name) : status;
    if (status == STATUS_OK) {
        status = service_names_add(&peer_names, address_host(slice_of_text(n->config->cluster_advertise)));
    }
    if (status != STATUS_OK) {
        status = failure_set(f, status, "cannot make the node's keys");
        goto out;
    }
    status = cluster_ca_issue(n->ca, n->ca_key, n->peer_key, FOUNDING_NODE_ID, name, buf_slice(&peer_names),
                              true, n->now_ms, &n->peer_certificate, f);
    if (status == STATUS_OK) {
        status = cluster_ca_issue(n->ca, n->ca_key, n->service_key, FOUNDING_NODE_ID, name,
                                  buf_slice(&n->names), false, n->now_ms, &n->service_certificate, f);
    }
    if (status == STATUS_OK && (certificate_to_der(n->ca, &n->ca_der) != STATUS_OK ||
                                certificate_to_der(n->peer_certificate, &n->peer_der) != STATUS_OK ||
                                certificate_to_der(n->service_certificate, &n->service_der) != STATUS_OK)) {
        status = failure_set(f, STATUS_CRYPTO, "cannot encode the node's certificates");
    }
out:
    buf_release(&peer_names);
    return status;
}

/* The data key under the master key, the CA's key under the data key. */
static enum status keys_seal(struct founding *n, struct failure *f)
{
    struct secret kek = {0}, data_key = {0}, pkcs8 = {0};
    enum status status = key_derive(secret_slice(&n->master), "sealpost kek", &kek);
    if (status == STATUS_OK) {
        status =
            keyring_wrap_new_data_key(secret_slice(&kek), n->data_key_id, &n->data_key_wrapped, &data_key);
    }
    status = status == STATUS_OK ? key_to_der(n->ca_key, &pkcs8) : status;
    if (status == STATUS_OK) {
        status = seal(secret_slice(&data_key), SLICE_LITERAL(CLUSTER_CA_CONTEXT), secret_slice(&pkcs8),
                      &n->ca_key_sealed);
    }
    secret_release(&kek);
    secret_release(&data_key);
    secret_release(&pkcs8);
    return status == STATUS_OK ? STATUS_OK : failure_set(f, status, "cannot seal the cluster's keys");
}

static enum status command_put(struct msgpack_writer *w, const struct command *c, struct failure *f)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    enum status status = command_check(c, f);
    if (status == STATUS_OK) {
        status = command_encode(c, &encoded);
        write_bytes(w, buf_slice(&encoded));
    }
    buf_release(&encoded);
    return status;
}

static enum status bootstrap_make(struct founding *n, struct failure *f)
{
    static const uint8_t no_token[32];
    const struct node_config *config = n->config;
    struct msgpack_writer w;
    struct command c;
    uint8_t cluster_id[16], spki_hash[32], token_random[TOKEN_BYTES], token_hash[32];

    random_bytes(cluster_id, sizeof(cluster_id));
    random_bytes(token_random, sizeof(token_random));
    enum status status = buf_append_text(&n->token, "sealpost-");
    status = status == STATUS_OK ? base64url_encode(slice_of(token_random, sizeof(token_random)), &n->token)
                                 : status;
    status = status == STATUS_OK ? spki_hash_of_key(n->peer_key, spki_hash) : status;
    secret_wipe(token_random, sizeof(token_random));
    if (status != STATUS_OK) {
        return failure_set(f, status, "cannot make the administrator's token");
    }
    sha256(buf_slice(&n->token), token_hash);

    msgpack_writer_init(&w, &n->bootstrap);
    write_array(&w, 3);
    command_init(&c, COMMAND_CLUSTER_INIT, n->now_ms, SLICE_LITERAL("init"));
    c.values[0].bytes = slice_of(cluster_id, sizeof(cluster_id));
    c.values[1].bytes = slice_of_text(n->cluster_name);
    c.values[2].bytes = buf_slice(&n->ca_der);
    c.values[3].bytes = buf_slice(&n->ca_key_sealed);
    c.values[4].bytes = slice_of(n->data_key_id, sizeof(n->data_key_id));
    c.values[5].bytes = buf_slice(&n->data_key_wrapped);
    status = command_put(&w, &c, f);
    if (status != STATUS_OK) {
        return status;
    }
    command_init(&c, COMMAND_NODE_ADMIT, n->now_ms, SLICE_LITERAL("init"));
    c.values[0].bytes = slice_of(no_token, sizeof(no_token));
    c.values[1].bytes = slice_of_text(config->name);
    c.values[2].bytes = slice_of_text(config->cluster_advertise);
    c.values[3].bytes = slice_of_text(config->api_advertise);
    c.values[4].bytes = slice_of_text(config->smtp_advertise);
    c.values[5].bytes = slice_of(spki_hash, sizeof(spki_hash));
    c.values[6].number = COMMAND_SET_VERSION;
    status = command_put(&w, &c, f);
    if (status != STATUS_OK) {
        return status;
    }
    command_init(&c, COMMAND_API_TOKEN_GRANT, n->now_ms, SLICE_LITERAL("init"));
    c.values[0].bytes = slice_of(token_hash, sizeof(token_hash));
    c.values[1].bytes = SLICE_LITERAL("admin");
    c.values[2].bytes = SLICE_LITERAL("admin");
    c.values[3].number = 0;
    status = command_put(&w, &c, f);
    if (status == STATUS_OK && msgpack_writer_status(&w) != STATUS_OK) {
        status = failure_set(f, STATUS_TOO_LARGE, "the founding commands are too large");
    }
    return status;
}

static enum status token_hand_out(struct founding *n, int start_folder, const char *file, struct failure *f)
{
    struct slice token = buf_slice(&n->token);
    if (file == NULL) {
        return STATUS_OK;
    }
    int fd = openat(start_folder, file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, token.data, token.len) != (ssize_t)token.len ||
        write(fd, "\n", 1) != 1 || fsync(fd) != 0) {
        enum status status = failure_errno(f, errno, "cannot write the administrator's token to %s", file);
        if (fd >= 0) {
            close(fd);
        }
        return status;
    }
    close(fd);
    return STATUS_OK;
}

int init_run(const struct node_config *config, const struct init_options *options)
{
    struct failure f = {0};
    struct founding n;
    int lock = -1;
    int start_folder = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    founding_init(&n, config, options->cluster_name);
    enum status status = data_folder_enter(config, true, &f);
    status = status == STATUS_OK ? data_folder_lock(0, &lock, &f) : status;
    status = status == STATUS_OK ? identity_folder_is_free(&f) : status;
    status = status == STATUS_OK ? master_key_found(config, &n.master, &f) : status;
    status = status == STATUS_OK ? certificates_make(&n, &f) : status;
    status = status == STATUS_OK ? keys_seal(&n, &f) : status;
    status = status == STATUS_OK ? bootstrap_make(&n, &f) : status;
    /* Before the node exists: a token that nobody has would be a cluster that nobody can enter. */
    status = status == STATUS_OK ? token_hand_out(&n, start_folder, options->admin_token_file, &f) : status;
    if (status == STATUS_OK) {
        struct identity_parts parts = {
            .node_id = FOUNDING_NODE_ID,
            .name = config->name,
            .peer_key = n.peer_key,
            .service_key = n.service_key,
            .ca = buf_slice(&n.ca_der),
            .peer_certificate = buf_slice(&n.peer_der),
            .service_certificate = buf_slice(&n.service_der),
            .master = secret_slice(&n.master),
            .bootstrap = buf_slice(&n.bootstrap),
        };
        status = identity_create(&parts, &f);
    }
    if (status == STATUS_OK) {
        printf("The cluster '%s' has its first node, '%s', in %s.\n", n.cluster_name, config->name,
               config->data);
        if (options->admin_token_file == NULL) {
            printf("Administrator's token (shown only now): %.*s\n", SLICE_ARGS(buf_slice(&n.token)));
        } else {
            printf("Administrator's token: in %s\n", options->admin_token_file);
        }
        printf("Start it with: sealpostd run --config %s\n", options->config_path);
    } else {
        fprintf(stderr, "sealpostd init: %s\n", f.text);
    }
    founding_release(&n);
    if (start_folder >= 0) {
        close(start_folder);
    }
    if (lock >= 0) {
        close(lock);
    }
    return status == STATUS_OK ? 0 : 1;
}
