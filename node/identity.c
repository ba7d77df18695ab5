/* See identity.h. Blocking file work at start, init and join. */
#include "node/identity.h"

#include "crypto/seal.h"
#include "crypto/x509.h"
#include "node/durable_file.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>

#define NEW_FOLDER "identity.new"
#define FILE_MAX   ((size_t)256 << 10)

static enum status format_check(struct failure *f)
{
    struct buf content = BUF_INIT(256);
    uint64_t format = 0;
    enum status status = durable_file_read("identity/format", &content, f);
    if (status == STATUS_OK) {
        struct slice text = buf_slice(&content);
        text.len = slice_find_byte(text, ' ');
        if (!slice_parse_u64(slice_trim(text), &format) || format == 0) {
            status = failure_set(f, STATUS_CORRUPT, "identity/format is damaged");
        } else if (format > IDENTITY_FORMAT) {
            status =
                failure_set(f, STATUS_VERSION,
                            "the data folder was written by a newer release (format %llu, this one knows %d)",
                            (unsigned long long)format, IDENTITY_FORMAT);
        }
    }
    buf_release(&content);
    return status;
}

enum status identity_folder_is_free(struct failure *f)
{
    static const char *const ours[] = {"identity", "raft", "state", "spool", "messages"};
    struct failure ignored;
    enum status status = format_check(&ignored);
    if (status == STATUS_VERSION) {
        *f = ignored;
        return status;
    }
    if (access("identity/node.id", F_OK) == 0) {
        struct buf name = BUF_INIT(256);
        status = durable_file_read("identity/node.name", &name, &ignored);
        struct slice text = status == STATUS_OK ? buf_slice(&name) : SLICE_LITERAL("?");
        text.len = slice_find_byte(text, '\n');
        status =
            failure_set(f, STATUS_EXISTS, "the data folder holds the node '%.*s' already", SLICE_ARGS(text));
        buf_release(&name);
        return status;
    }
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (access(ours[i], F_OK) == 0) {
            return failure_set(f, STATUS_EXISTS,
                               "the data folder is in use: it holds '%s' but no node; give an empty folder",
                               ours[i]);
        }
    }
    return STATUS_OK;
}

static enum status put(const char *name, mode_t mode, struct slice content, struct failure *f)
{
    char path[128];
    int n = snprintf(path, sizeof(path), "%s/%s", NEW_FOLDER, name);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return failure_set(f, STATUS_INTERNAL, "path too long");
    }
    return durable_file_create(path, mode, content, f);
}

static enum status put_text(const char *name, const char *text, struct failure *f)
{
    struct buf content = BUF_INIT(256);
    enum status status = buf_printf(&content, "%s\n", text);
    if (status == STATUS_OK) {
        status = put(name, 0640, buf_slice(&content), f);
    }
    buf_release(&content);
    return status;
}

static enum status put_certificate(const char *name, struct slice der, struct failure *f)
{
    struct buf pem = BUF_INIT(FILE_MAX);
    enum status status = certificate_to_pem(der, &pem);
    if (status == STATUS_OK) {
        status = put(name, 0640, buf_slice(&pem), f);
    } else {
        status = failure_set(f, status, "cannot write the certificate %s", name);
    }
    buf_release(&pem);
    return status;
}

static enum status key_context(const char *what, uint64_t node_id, char context[64])
{
    int n = snprintf(context, 64, "node-%s-key:%llu", what, (unsigned long long)node_id);
    return n > 0 && n < 64 ? STATUS_OK : STATUS_INTERNAL;
}

static enum status put_key(const char *name, const char *what, const struct identity_parts *parts,
                           EVP_PKEY *key, struct failure *f)
{
    struct buf sealed = BUF_INIT(FILE_MAX);
    struct secret pkcs8 = {0}, sealing = {0};
    char context[64];
    enum status status = key_to_der(key, &pkcs8);
    if (status == STATUS_OK) {
        status = key_derive(parts->master, "sealpost node tls", &sealing);
    }
    if (status == STATUS_OK) {
        status = key_context(what, parts->node_id, context);
    }
    if (status == STATUS_OK) {
        status = seal(secret_slice(&sealing), slice_of_text(context), secret_slice(&pkcs8), &sealed);
    }
    if (status != STATUS_OK) {
        status = failure_set(f, status, "cannot seal the node's %s key", what);
    } else {
        status = put(name, 0640, buf_slice(&sealed), f);
    }
    secret_release(&pkcs8);
    secret_release(&sealing);
    buf_release(&sealed);
    return status;
}

/* What an earlier try left behind that never became an identity. */
static void remove_leftovers(void)
{
    DIR *dir = opendir(NEW_FOLDER);
    struct dirent *entry;
    if (dir == NULL) {
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        char path[300];
        int n = snprintf(path, sizeof(path), "%s/%s", NEW_FOLDER, entry->d_name);
        if (n > 0 && (size_t)n < sizeof(path) && entry->d_name[0] != '.') {
            unlink(path);
        }
    }
    closedir(dir);
    rmdir(NEW_FOLDER);
}

enum status identity_create(const struct identity_parts *parts, struct failure *f)
{
    char text[64];
    enum status status = STATUS_OK;

    remove_leftovers();
    if (mkdir(NEW_FOLDER, 0750) != 0) {
        return failure_errno(f, errno, "cannot make the folder %s", NEW_FOLDER);
    }
    if (snprintf(text, sizeof(text), "%d %s", IDENTITY_FORMAT, SEALPOST_VERSION) < 0) {
        status = failure_set(f, STATUS_INTERNAL, "cannot format");
    }
    status = status == STATUS_OK ? put_text("format", text, f) : status;
    if (snprintf(text, sizeof(text), "%llu", (unsigned long long)parts->node_id) < 0) {
        status = failure_set(f, STATUS_INTERNAL, "cannot format");
    }
    status = status == STATUS_OK ? put_text("node.id", text, f) : status;
    status = status == STATUS_OK ? put_text("node.name", parts->name, f) : status;
    status = status == STATUS_OK ? put_certificate("ca.crt", parts->ca, f) : status;
    status = status == STATUS_OK ? put_certificate("peer.crt", parts->peer_certificate, f) : status;
    status = status == STATUS_OK ? put_certificate("service.crt", parts->service_certificate, f) : status;
    status = status == STATUS_OK ? put_key("peer.key.sealed", "peer", parts, parts->peer_key, f) : status;
    status =
        status == STATUS_OK ? put_key("service.key.sealed", "service", parts, parts->service_key, f) : status;
    if (status == STATUS_OK && parts->peers.len > 0) {
        status = put("peers", 0640, parts->peers, f);
    }
    if (status == STATUS_OK && parts->bootstrap.len > 0) {
        status = put("bootstrap.commands", 0640, parts->bootstrap, f);
    }
    if (status == STATUS_OK) {
        status = durable_folder_sync(NEW_FOLDER, f);
    }
    /* From here on this folder is a node. */
    if (status == STATUS_OK && rename(NEW_FOLDER, "identity") != 0) {
        status = failure_errno(f, errno, "cannot rename %s to identity", NEW_FOLDER);
    }
    if (status == STATUS_OK) {
        status = durable_folder_sync(".", f);
    }
    if (status != STATUS_OK) {
        remove_leftovers();
    }
    return status;
}

static enum status node_id_read(uint64_t *id, struct failure *f)
{
    struct buf content = BUF_INIT(64);
    enum status status = durable_file_read("identity/node.id", &content, f);
    if (status == STATUS_OK) {
        struct slice text = buf_slice(&content);
        text.len = slice_find_byte(text, '\n');
        if (!slice_parse_u64(text, id) || *id == 0) {
            status = failure_set(f, STATUS_CORRUPT, "identity/node.id is damaged");
        }
    }
    buf_release(&content);
    return status;
}

static enum status note_check(const char *path, struct failure *f)
{
    struct buf content = BUF_INIT(FAILURE_TEXT_MAX);
    struct failure ignored;
    enum status status = durable_file_read(path, &content, &ignored);
    if (status != STATUS_NOT_FOUND) {
        struct slice text = buf_slice(&content);
        text.len = slice_find_byte(text, '\n');
        status = failure_set(f, STATUS_CONFLICT, "%.*s", SLICE_ARGS(text));
    } else {
        status = STATUS_OK;
    }
    buf_release(&content);
    return status;
}

enum status identity_check(const char *name, struct failure *f)
{
    struct buf content = BUF_INIT(256);
    enum status status = format_check(f);
    if (status == STATUS_NOT_FOUND) {
        return failure_set(
            f, STATUS_NOT_FOUND,
            "the data folder holds no node yet: make one with 'sealpostd init' or 'sealpostd join'");
    }
    if (status == STATUS_OK) {
        status = durable_file_read("identity/node.name", &content, f);
    }
    if (status == STATUS_OK) {
        struct slice found = buf_slice(&content);
        found.len = slice_find_byte(found, '\n');
        if (!slice_equal(found, slice_of_text(name))) {
            status =
                failure_set(f, STATUS_CONFLICT,
                            "the data folder belongs to the node '%.*s', but the configuration names '%s'",
                            SLICE_ARGS(found), name);
        }
    }
    status = status == STATUS_OK ? note_check(IDENTITY_REMOVED, f) : status;
    buf_release(&content);
    return status;
}

static enum status certificate_load(const char *path, X509 **out, struct failure *f)
{
    struct buf content = BUF_INIT(FILE_MAX);
    enum status status = durable_file_read(path, &content, f);
    if (status == STATUS_OK) {
        BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
        *out = bio != NULL ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
        BIO_free(bio);
        if (*out == NULL) {
            status = failure_set(f, STATUS_CORRUPT, "%s is damaged", path);
        }
    }
    buf_release(&content);
    return status;
}

static enum status key_load(struct slice master, const char *path, const char *what, uint64_t node_id,
                            struct secret *pkcs8, struct failure *f)
{
    struct buf sealed = BUF_INIT(FILE_MAX);
    struct secret sealing = {0};
    char context[64];
    enum status status = durable_file_read(path, &sealed, f);
    if (status != STATUS_OK) {
        goto out;
    }
    status = key_derive(master, "sealpost node tls", &sealing);
    if (status == STATUS_OK) {
        status = key_context(what, node_id, context);
    }
    if (status != STATUS_OK) {
        status = failure_set(f, status, "cannot derive the key for %s", path);
        goto out;
    }
    status = unseal(secret_slice(&sealing), slice_of_text(context), buf_slice(&sealed), pkcs8, f);
    if (status != STATUS_OK) {
        status = failure_set(
            f, status, "%s does not open: the master key is not this node's, or the file is damaged", path);
    }
out:
    secret_release(&sealing);
    buf_release(&sealed);
    return status;
}

enum status identity_service_key(struct slice master, struct secret *pkcs8, struct failure *f)
{
    uint64_t id = 0;
    enum status status = node_id_read(&id, f);
    return status == STATUS_OK ? key_load(master, "identity/service.key.sealed", "service", id, pkcs8, f)
                               : status;
}

enum status identity_load(struct slice master, struct identity *identity, struct failure *f)
{
    struct secret pkcs8 = {0};
    struct buf peers = BUF_INIT(JOIN_FRAME_MAX);
    *identity = (struct identity){0};
    enum status status = node_id_read(&identity->node_id, f);
    status = status == STATUS_OK ? certificate_load("identity/ca.crt", &identity->ca, f) : status;
    status =
        status == STATUS_OK ? certificate_load("identity/peer.crt", &identity->peer_certificate, f) : status;
    if (status == STATUS_OK) {
        status = key_load(master, "identity/peer.key.sealed", "peer", identity->node_id, &pkcs8, f);
    }
    if (status == STATUS_OK && key_from_der(secret_slice(&pkcs8), &identity->peer_key) != STATUS_OK) {
        status = failure_set(f, STATUS_CORRUPT, "identity/peer.key.sealed holds no key");
    }
    if (status == STATUS_OK) {
        status = durable_file_read(IDENTITY_PEERS, &peers, f);
        if (status == STATUS_NOT_FOUND) {
            status = STATUS_OK;
        } else if (status == STATUS_OK && known_peers_decode(buf_slice(&peers), identity->peers,
                                                             &identity->peer_count) != STATUS_OK) {
            status = failure_set(f, STATUS_CORRUPT, IDENTITY_PEERS " is damaged");
        }
    }
    secret_release(&pkcs8);
    buf_release(&peers);
    if (status != STATUS_OK) {
        identity_release(identity);
    }
    return status;
}

void identity_release(struct identity *identity)
{
    X509_free(identity->ca);
    X509_free(identity->peer_certificate);
    EVP_PKEY_free(identity->peer_key);
    *identity = (struct identity){0};
}
