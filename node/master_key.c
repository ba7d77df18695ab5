/* See master_key.h. */
#include "node/master_key.h"

#include "base/hex.h"
#include "crypto/seal.h"
#include "node/durable_file.h"

#include <errno.h>
#include <unistd.h>

static const char *source_path(const struct node_config *config)
{
    return strncmp(config->master_key_source, "file:", 5) == 0 ? config->master_key_source + 5 : NULL;
}

static enum status file_make(const char *path, struct slice key, struct failure *f)
{
    char text[2 * KEY_SIZE + 2];
    hex_format(key, text);
    text[2 * KEY_SIZE] = '\n';
    enum status status = durable_file_create(path, 0600, slice_of(text, 2 * KEY_SIZE + 1), f);
    secret_wipe(text, sizeof(text));
    return status;
}

enum status master_key_found(const struct node_config *config, struct secret *key, struct failure *f)
{
    const char *path = source_path(config);
    if (path != NULL && access(path, F_OK) != 0 && errno == ENOENT) {
        enum status status = secret_alloc(key, KEY_SIZE);
        if (status != STATUS_OK) {
            return failure_set(f, status, "no memory for the master key");
        }
        random_bytes(key->data, key->len);
        status = file_make(path, secret_slice(key), f);
        if (status != STATUS_OK) {
            secret_release(key);
        }
        return status;
    }
    return master_key_load(slice_of_text(config->master_key_source), key, f);
}

enum status master_key_check_value(struct slice master, struct secret *check)
{
    return key_derive(master, "sealpost key check", check);
}

enum status master_key_place_check(const struct node_config *config, struct secret *check, struct failure *f)
{
    struct secret found = {0};
    const char *path = source_path(config);
    if (path != NULL && access(path, F_OK) != 0 && errno == ENOENT) {
        return STATUS_OK;
    }
    enum status status = master_key_load(slice_of_text(config->master_key_source), &found, f);
    if (status == STATUS_OK && master_key_check_value(secret_slice(&found), check) != STATUS_OK) {
        status = failure_set(f, STATUS_CRYPTO, "the master key cannot be checked");
    }
    secret_release(&found);
    return status;
}

enum status master_key_receive(const struct node_config *config, struct slice key, struct failure *f)
{
    struct secret found = {0};
    const char *path = source_path(config);
    if (path != NULL && access(path, F_OK) != 0 && errno == ENOENT) {
        return file_make(path, key, f);
    }
    enum status status = master_key_load(slice_of_text(config->master_key_source), &found, f);
    if (status == STATUS_OK && !secret_equal(secret_slice(&found), key)) {
        status = failure_set(f, STATUS_CONFLICT, "%s holds another master key than the cluster's",
                             config->master_key_source);
    }
    secret_release(&found);
    return status;
}
