/*
 * See role_process.h. Between fork and execveat the child only makes system calls on what was prepared
 * before.
 *
 * A role's environment is empty but for a fixed path, locale and the sanitizers' options; its keys lie in a
 * pipe that it reads once. All descriptors of the supervisor are close-on-exec; the child takes that off
 * those which belong to the role.
 */
#include "node/role_process.h"

#include "base/msgpack_write.h"
#include "node/verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGUMENTS_MAX   64
#define ENVIRONMENT_MAX 16
#define KEEP_MAX        (LISTENERS_MAX + 4)

struct prepared {
    char *argv[ARGUMENTS_MAX];
    char *envp[ENVIRONMENT_MAX];
    char text[4096]; /* holds the arguments */
    size_t used, argc, envc;
    int keep[KEEP_MAX];
    size_t keep_count;
    bool overflow;
};

/* Takes what snprintf has just written at the end of `text`. */
static void argument_take(struct prepared *p, int n)
{
    if (n < 0 || (size_t)n >= sizeof(p->text) - p->used || p->argc + 1 >= ARGUMENTS_MAX) {
        p->overflow = true;
        return;
    }
    p->argv[p->argc++] = p->text + p->used;
    p->used += (size_t)n + 1;
}
#define argument(p, ...)                                                                                     \
    argument_take((p), snprintf((p)->text + (p)->used, sizeof((p)->text) - (p)->used, __VA_ARGS__))

static void keep(struct prepared *p, int fd)
{
    if (p->keep_count == KEEP_MAX) {
        p->overflow = true;
        return;
    }
    p->keep[p->keep_count++] = fd;
}

static void environment_prepare(struct prepared *p)
{
    static const char *const passed[] = {"ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS"};
    static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin", lang[] = "LANG=C.UTF-8",
                home[] = "HOME=/nonexistent";
    p->envp[p->envc++] = path;
    p->envp[p->envc++] = lang;
    p->envp[p->envc++] = home;
    for (size_t i = 0; i < sizeof(passed) / sizeof(passed[0]); i++) {
        size_t len = strlen(passed[i]);
        for (char **e = environ; *e != NULL; e++) {
            if (strncmp(*e, passed[i], len) == 0 && (*e)[len] == '=') {
                p->envp[p->envc++] = *e;
            }
        }
    }
}

static void key_put(struct msgpack_writer *w, bool wanted, const char *name, const struct secret *key)
{
    if (wanted) {
        write_text(w, slice_of_text(name));
        write_bytes(w, secret_slice(key));
    }
}

/* A pipe that holds the keys of this role; what it can hold without a reader (64 KiB) is more than they are.
 */
static enum status keys_pipe(unsigned keys, const struct role_surroundings *s, int *out, struct failure *f)
{
    struct buf map = BUF_INIT((size_t)32 << 10);
    struct msgpack_writer w;
    int ends[2];
    map.wipe = true;
    msgpack_writer_init(&w, &map);
    write_map(&w, (size_t)__builtin_popcount(keys));
    key_put(&w, keys & ROLE_KEY_MASTER, "master", &s->master);
    key_put(&w, keys & ROLE_KEY_KEK, "kek", &s->kek);
    key_put(&w, keys & ROLE_KEY_SPOOL, "spool", &s->spool);
    key_put(&w, keys & ROLE_KEY_TRANSPORT, "transport", &s->transport);
    key_put(&w, keys & ROLE_KEY_TLS, "tls-key", &s->tls_key);
    enum status status = msgpack_writer_status(&w);
    if (status != STATUS_OK) {
        status = failure_set(f, status, "cannot hand over the keys");
    } else if (pipe2(ends, O_CLOEXEC) != 0) {
        status = failure_errno(f, errno, "cannot make a pipe");
    } else {
        if (write(ends[1], map.data, map.len) != (ssize_t)map.len) {
            status = failure_errno(f, errno, "cannot write to a pipe");
            close(ends[0]);
        } else {
            *out = ends[0];
        }
        close(ends[1]);
    }
    buf_release(&map);
    return status;
}

static enum status prepare(const struct role_process *process, const struct role_surroundings *s, int keys,
                           struct prepared *p, struct failure *f)
{
    argument(p, "sealpostd");
    argument(p, "--role");
    argument(p, "%s", process->type->name);
    if (process->type->count(s->config) > 1 || strcmp(process->type->name, process->name) != 0) {
        argument(p, "--worker");
        argument(p, "%u", process->number);
    }
    argument(p, "--config-fd");
    argument(p, "%d", s->config_fd);
    keep(p, s->config_fd);
    for (size_t i = 0; i < s->listeners->count; i++) {
        const struct listener *l = &s->listeners->list[i];
        if (l->type == process->type) {
            argument(p, "--listen-fd");
            argument(p, "%s=%d", l->name, l->fd);
            keep(p, l->fd);
        }
    }
    if (keys >= 0) {
        argument(p, "--keys-fd");
        argument(p, "%d", keys);
        keep(p, keys);
    }
    keep(p, s->lock_fd);
    environment_prepare(p);
    return p->overflow ? failure_set(f, STATUS_TOO_LARGE, "too many arguments for role %s", process->name)
                       : STATUS_OK;
}

static void child_die(const char *what)
{
    static const char prefix[] = "sealpostd: cannot start a role: ";
    const char *reason = strerrordesc_np(errno);
    (void)!write(STDERR_FILENO, prefix, sizeof(prefix) - 1);
    (void)!write(STDERR_FILENO, what, strlen(what));
    (void)!write(STDERR_FILENO, ": ", 2);
    (void)!write(STDERR_FILENO, reason, reason != NULL ? strlen(reason) : 0);
    (void)!write(STDERR_FILENO, "\n", 1);
    _exit(EXIT_FATAL);
}

static void child_drop_privileges(const struct node_config *config, unsigned user)
{
    if (geteuid() == 0 && config->group != 0) {
        gid_t group = config->group;
        if (setgroups(1, &group) != 0 || setresgid(group, group, group) != 0) {
            child_die("change of group");
        }
        if (user != 0 && setresuid(user, user, user) != 0) {
            child_die("change of user");
        }
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        child_die("no_new_privs");
    }
}

static void child_run(const struct prepared *p, const struct role_surroundings *s, unsigned user,
                      pid_t supervisor)
{
    struct rlimit no_core = {0, 0};
    sigset_t none;
    for (size_t i = 0; i < p->keep_count; i++) {
        if (fcntl(p->keep[i], F_SETFD, 0) != 0) {
            child_die("descriptors");
        }
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    umask(0007);
    if (setrlimit(RLIMIT_CORE, &no_core) != 0) {
        child_die("limit of core dumps");
    }
    child_drop_privileges(s->config, user);
    /* After the change of user, which would take it off again. Roles end with their supervisor, whatever ends
     * it. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) != 0) {
        child_die("signal at the supervisor's end");
    }
    if (getppid() != supervisor) {
        _exit(0);
    }
    execveat(s->program, "", p->argv, p->envp, AT_EMPTY_PATH);
    child_die("program");
}

enum status role_process_start(struct role_process *process, const struct role_surroundings *s,
                               struct failure *f)
{
    struct prepared p = {0};
    int keys = -1;
    pid_t supervisor = getpid();
    enum status status = STATUS_OK;
    if (process->type->keys != 0) {
        status = keys_pipe(process->type->keys, s, &keys, f);
        if (status != STATUS_OK) {
            return status;
        }
    }
    status = prepare(process, s, keys, &p, f);
    if (status == STATUS_OK) {
        pid_t pid = fork();
        if (pid == 0) {
            child_run(&p, s, process->type->user(s->config), supervisor);
        }
        if (pid < 0) {
            status = failure_errno(f, errno, "cannot fork for role %s", process->name);
        } else {
            process->pid = pid;
            role_pid_file_write(process->name, pid);
        }
    }
    if (keys >= 0) {
        close(keys);
    }
    return status;
}

void role_pid_file_write(const char *name, pid_t pid)
{
    char path[64], text[16];
    int n = snprintf(path, sizeof(path), "run/%s.pid", name);
    int m = snprintf(text, sizeof(text), "%d\n", (int)pid);
    if (n < 0 || (size_t)n >= sizeof(path) || m < 0) {
        return;
    }
    if (pid == 0) {
        unlink(path);
        return;
    }
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd >= 0) {
        (void)!write(fd, text, (size_t)m);
        close(fd);
    }
}
