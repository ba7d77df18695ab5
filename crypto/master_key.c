/*
 * Where the master key comes from: a file, or a credential that systemd hands to the service. It is read into
 * locked memory and never written. Runs in the supervisor, before any other thread.
 */
#include "crypto/seal.h"

#include "base/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define FILE_MAX  128 /* bytes: 64 digits and some white space */

static enum status path_of(struct slice source, char path[PATH_SIZE], struct failure *f)
{
    static const struct slice file = {(const uint8_t *)"file:", 5},
                              credential = {(const uint8_t *)"credential:", 11};
    const char *folder = "", *between = "";
    struct slice name;
    int len;

    if (slice_starts_with(source, file)) {
        name = slice_of(source.data + file.len, source.len - file.len);
    } else if (slice_starts_with(source, credential)) {
        name = slice_of(source.data + credential.len, source.len - credential.len);
        folder = getenv("CREDENTIALS_DIRECTORY");
        between = "/";
        if (folder == NULL)
            return failure_set(
                f, STATUS_NOT_FOUND,
                "the master key is to come from a credential, but $CREDENTIALS_DIRECTORY is not set: "
                "start the service with LoadCredential= in its unit");
        if (slice_find_byte(name, '/') < name.len)
            return failure_set(f, STATUS_INVALID, "the name of a credential holds no slash");
    } else {
        return failure_set(f, STATUS_INVALID, "the source of the master key is file:PATH or credential:NAME");
    }
    len = snprintf(path, PATH_SIZE, "%s%s%.*s", folder, between, SLICE_ARGS(name));
    if (name.len == 0 || len < 0 || len >= PATH_SIZE)
        return failure_set(f, STATUS_INVALID, "the source of the master key names no file");
    return STATUS_OK;
}

static enum status parse(struct slice content, const char *path, struct secret *key, struct failure *f)
{
    struct slice digits = content;
    uint8_t half[KEY_SIZE / 2];
    enum status status;

    status = secret_alloc(key, KEY_SIZE);
    if (status != STATUS_OK)
        return failure_set(f, status, "cannot keep the master key: %s", status_text(status));
    if (content.len == KEY_SIZE && !hex_parse(content, half, sizeof(half))) {
        memcpy(key->data, content.data, KEY_SIZE);
        return STATUS_OK;
    }
    secret_wipe(half, sizeof(half)); /* 32 digits are half a key, not 32 bytes */
    while (digits.len > 0 && digits.data[0] <= ' ')
        digits = slice_of(digits.data + 1, digits.len - 1);
    while (digits.len > 0 && digits.data[digits.len - 1] <= ' ')
        digits.len--;
    if (digits.len == 2 * KEY_SIZE && hex_parse(digits, key->data, KEY_SIZE))
        return STATUS_OK;
    secret_release(key);
    return failure_set(f, STATUS_MALFORMED,
                       "%s holds no master key: it must hold 64 hexadecimal digits, or 32 bytes", path);
}

enum status master_key_load(struct slice source, struct secret *key, struct failure *f)
{
    char path[PATH_SIZE];
    uint8_t content[FILE_MAX + 1];
    struct stat info;
    ssize_t len;
    int fd;
    enum status status = path_of(source, path, f);

    *key = (struct secret){0};
    if (status != STATUS_OK)
        return status;
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO does not hold us up */
    if (fd < 0) {
        status = failure_errno(f, errno, "cannot read the master key %s", path);
        return errno == ENOENT ? failure_set(f, STATUS_NOT_FOUND, "there is no master key %s", path) : status;
    }
    if (fstat(fd, &info) != 0) {
        status = failure_errno(f, errno, "cannot read the master key %s", path);
        goto out;
    }
    if (!S_ISREG(info.st_mode)) {
        status = failure_set(f, STATUS_INVALID, "the master key %s is not a file", path);
        goto out;
    }
    if ((info.st_mode & 07) != 0) {
        status = failure_set(f, STATUS_DENIED, "everybody may read the master key %s: chmod 600 it", path);
        goto out;
    }
    len = read(fd, content, sizeof(content));
    if (len < 0)
        status = failure_errno(f, errno, "cannot read the master key %s", path);
    else
        status = parse(slice_of(content, (size_t)len), path, key, f);
out:
    secret_wipe(content, sizeof(content));
    (void)close(fd);
    return status;
}
