/*
 * See data_folder.h. As root, each folder belongs to the role that writes it and to the roles' common group;
 * otherwise everything belongs to the user that started the node.
 *
 * Nothing below a folder that a role can write is opened by name with root's rights except run/, whose
 * sockets the supervisor makes and changes by descriptor (O_NOFOLLOW): a role that was taken over must not be
 * able to turn a chown of ours elsewhere.
 */
#include "node/data_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum status data_folder_enter(const struct node_config *config, bool make, struct failure *f)
{
    char path[sizeof(config->data)];
    memcpy(path, config->data, sizeof(path));
    for (char *p = path + 1; make && *p != '\0'; p++) {
        if (*p == '/') {
            *p = '\0';
            (void)!mkdir(path, 0755);
            *p = '/';
        }
    }
    if (make && mkdir(path, 0750) != 0 && errno != EEXIST) {
        return failure_errno(f, errno, "cannot make the data folder %s", path);
    }
    if (chdir(path) != 0) {
        if (errno == ENOENT) {
            return failure_set(
                f, STATUS_NOT_FOUND,
                "there is no data folder %s: make a node with 'sealpostd init' or 'sealpostd join'", path);
        }
        return failure_errno(f, errno, "cannot enter the data folder %s", path);
    }
    return STATUS_OK;
}

static pid_t lock_owner(int fd)
{
    char text[32] = "";
    uint64_t pid = 0;
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    struct slice s = slice_of(text, n > 0 ? (size_t)n : 0);
    s.len = slice_find_byte(s, '\n');
    return slice_parse_u64(s, &pid) && pid < INT32_MAX ? (pid_t)pid : 0;
}

enum status data_folder_lock(unsigned wait_ms, int *out, struct failure *f)
{
    int fd = open("lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint64_t deadline = clock_monotonic_ms() + wait_ms;
    char text[32];
    if (fd < 0) {
        return failure_errno(f, errno, "cannot open the lock file of the data folder");
    }
    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        pid_t owner = lock_owner(fd);
        if (errno != EWOULDBLOCK) {
            enum status status = failure_errno(f, errno, "cannot lock the data folder");
            close(fd);
            return status;
        }
        if ((owner > 0 && kill(owner, 0) == 0) || clock_monotonic_ms() >= deadline) {
            close(fd);
            return failure_set(f, STATUS_BUSY, "the data folder is in use by another sealpostd (process %d)",
                               (int)owner);
        }
        usleep(50000);
    }
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        enum status status = failure_errno(f, errno, "cannot write the lock file of the data folder");
        close(fd);
        return status;
    }
    *out = fd;
    return STATUS_OK;
}

/* Make the folder if missing; owner, group and mode as they must be, by descriptor. */
static enum status folder_make(const char *path, unsigned user, unsigned group, mode_t mode,
                               struct failure *f)
{
    if (mkdir(path, mode) != 0 && errno != EEXIST) {
        return failure_errno(f, errno, "cannot make the folder %s", path);
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return failure_errno(f, errno, "cannot open the folder %s", path);
    }
    enum status status = STATUS_OK;
    if (geteuid() == 0 && group != 0 && fchown(fd, user, group) != 0) {
        status = failure_errno(f, errno, "cannot give the folder %s to user %u, group %u", path, user, group);
    } else if (fchmod(fd, mode) != 0) {
        status = failure_errno(f, errno, "cannot change the mode of the folder %s", path);
    }
    close(fd);
    return status;
}

/* The identity's files: made by init as root, read by the roles' group; core deletes bootstrap.commands, so
 * the folder is its own. */
static enum status identity_own(const struct node_config *config, struct failure *f)
{
    static const char *const files[] = {
        "format",      "node.id",         "node.name",          "ca.crt", "peer.crt",
        "service.crt", "peer.key.sealed", "service.key.sealed", "peers",  "bootstrap.commands"};
    if (geteuid() != 0 || config->group == 0) {
        return STATUS_OK;
    }
    int dir = open("identity", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (dir < 0) {
        return failure_errno(f, errno, "cannot open the folder identity");
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && status == STATUS_OK; i++) {
        struct stat st;
        int fd = openat(dir, files[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT) {
            continue;
        }
        /* A hard link to a foreign file must not change hands. */
        if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1 ||
            fchown(fd, 0, config->group) != 0) {
            status = failure_errno(f, errno, "cannot give identity/%s to group %u", files[i], config->group);
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    close(dir);
    return status;
}

enum status data_folder_prepare(const struct node_config *config, struct failure *f)
{
    unsigned group = config->group;
    enum status status = identity_own(config, f);
    status = status == STATUS_OK ? folder_make(".", 0, group, 0750, f) : status;
    status = status == STATUS_OK ? folder_make("identity", config->core_user, group, 0750, f) : status;
    status = status == STATUS_OK ? folder_make("raft", config->core_user, group, 0700, f) : status;
    status = status == STATUS_OK ? folder_make("state", config->core_user, group, 0750, f) : status;
    status = status == STATUS_OK ? folder_make("spool", config->smtp_user, group, 0700, f) : status;
    status = status == STATUS_OK ? folder_make("run", 0, group, 0750, f) : status;
    struct failure without = {0}; /* mail goes on without a message log */
    if (status == STATUS_OK &&
        folder_make("messages", config->smtp_user, group, 0700, &without) != STATUS_OK) {
        log_event(LOG_ERROR, "there will be no message log", LOG_TEXT("reason", without.text));
    }
    return status;
}
