/*
 * sealpostd run: the supervisor. It reads nothing from the network and is the only process that keeps root's
 * rights.
 *
 * The way when all goes well: enter and lock the data folder, check whose it is, read the keys, open all
 * listeners, start every role of the table, then sleep until a signal (signalfd) or the time of a restart
 * comes. A role that ends is started again (node/restart_backoff.h). SIGTERM: the roles are told to stop turn
 * by turn (node/role_table.h: smtp finishes what is in DATA while workers and core still answer; core is
 * last). A second SIGTERM, or 30 s, and what is left gets SIGKILL.
 *
 * A role that exits with 78 cannot work as configured, or must never run again (a removed node): the whole
 * node stops, with that status. One thread, no loop library: it must never be what fails.
 */
#include "node/verbs.h"

#include "base/channel.h"
#include "base/log.h"
#include "crypto/transport_secret.h"
#include "node/data_folder.h"
#include "node/identity.h"
#include "node/role_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MAX      300
#define STOP_LONGEST_MS    30000
#define LOCK_WAIT_MS       15000
#define DESCRIPTORS_WANTED 65536
#define STOP_TURNS         3

struct supervisor {
    struct role_surroundings surroundings;
    struct listeners listeners;
    struct role_process processes[PROCESSES_MAX];
    size_t process_count;
    int signals;
    bool stopping, killed;
    unsigned stop_turn;
    uint64_t stop_deadline_ms;
    int exit_status;
};

static enum status keys_load(const struct node_config *config, struct role_surroundings *s, struct failure *f)
{
    enum status status = master_key_load(slice_of_text(config->master_key_source), &s->master, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = key_derive(secret_slice(&s->master), "sealpost kek", &s->kek);
    if (status == STATUS_OK) {
        status = key_derive(secret_slice(&s->master), "sealpost spool", &s->spool);
    }
    if (status == STATUS_OK) {
        status = key_derive(secret_slice(&s->master), TRANSPORT_KEY_PURPOSE, &s->transport);
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "cannot derive the keys");
    }
    return identity_service_key(secret_slice(&s->master), &s->tls_key, f);
}

static enum status config_seal(const struct node_config *config, int *fd, struct failure *f)
{
    struct buf text = BUF_INIT((size_t)64 << 10);
    enum status status = node_config_write(config, &text);
    status = status == STATUS_OK ? memory_file_of("sealpost-config", buf_slice(&text), fd, f)
                                 : failure_set(f, status, "cannot write the configuration");
    buf_release(&text);
    return status;
}

static void limits_set(void)
{
    struct rlimit limit;
    struct rlimit no_core = {0, 0};
    /* The keys are in this process too. */
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (!SANITIZED) {
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        rlim_t wanted = limit.rlim_max < DESCRIPTORS_WANTED ? limit.rlim_max : DESCRIPTORS_WANTED;
        if (limit.rlim_cur < wanted) {
            limit.rlim_cur = wanted;
            (void)setrlimit(RLIMIT_NOFILE, &limit);
        }
    }
}

static enum status signals_open(struct supervisor *v, struct failure *f)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) {
        return failure_errno(f, errno, "cannot block signals");
    }
    v->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return v->signals >= 0 ? STATUS_OK : failure_errno(f, errno, "cannot make a signalfd");
}

static enum status processes_plan(struct supervisor *v, struct failure *f)
{
    const struct role_type *type;
    for (size_t i = 0; (type = role_type_at(i)) != NULL; i++) {
        unsigned count = type->count(v->surroundings.config);
        for (unsigned number = 1; number <= count; number++) {
            if (v->process_count == PROCESSES_MAX) {
                return failure_set(f, STATUS_TOO_LARGE, "too many processes");
            }
            struct role_process *p = &v->processes[v->process_count++];
            bool numbered = strcmp(type->name, "worker") == 0 || count > 1;
            int n = numbered ? snprintf(p->name, sizeof(p->name), "%s-%u", type->name, number)
                             : snprintf(p->name, sizeof(p->name), "%s", type->name);
            p->type = type;
            p->number = number;
            if (n < 0 || (size_t)n >= sizeof(p->name)) {
                return failure_set(f, STATUS_INTERNAL, "the name of role %s is too long", type->name);
            }
        }
    }
    return STATUS_OK;
}

static void process_start(struct supervisor *v, struct role_process *p, uint64_t now)
{
    struct failure f = {0};
    if (role_process_start(p, &v->surroundings, &f) == STATUS_OK) {
        restart_backoff_started(&p->backoff, now);
        log_event(LOG_DEBUG, "role started", LOG_TEXT("role", p->name), LOG_NUMBER("pid", p->pid));
        return;
    }
    p->start_at_ms = now + restart_backoff_ended(&p->backoff, now);
    log_event(LOG_ERROR, "role could not be started", LOG_TEXT("role", p->name), LOG_TEXT("reason", f.text));
}

/* The next turn of the roles that are told to stop; true when nothing runs any more. */
static bool stop_go_on(struct supervisor *v)
{
    for (; v->stop_turn <= STOP_TURNS; v->stop_turn++) {
        bool alive = false;
        for (size_t i = 0; i < v->process_count; i++) {
            struct role_process *p = &v->processes[i];
            alive = alive || (p->pid != 0 && p->type->stop_turn < v->stop_turn);
        }
        if (alive) {
            return false;
        }
        for (size_t i = 0; v->stop_turn < STOP_TURNS && i < v->process_count; i++) {
            struct role_process *p = &v->processes[i];
            if (p->pid != 0 && p->type->stop_turn == v->stop_turn) {
                kill(p->pid, SIGTERM);
            }
        }
    }
    return true;
}

static void stop_begin(struct supervisor *v, uint64_t now)
{
    if (!v->stopping) {
        v->stopping = true;
        v->stop_turn = 0;
        v->stop_deadline_ms = now + STOP_LONGEST_MS;
    }
}

static void stop_kill(struct supervisor *v, const char *why)
{
    log_event(LOG_WARN, "killing what has not stopped", LOG_TEXT("reason", why));
    v->killed = true;
    for (size_t i = 0; i < v->process_count; i++) {
        if (v->processes[i].pid != 0) {
            kill(v->processes[i].pid, SIGKILL);
        }
    }
}

static void process_ended(struct supervisor *v, struct role_process *p, int wait_status, uint64_t now)
{
    bool exited = WIFEXITED(wait_status);
    int code = exited ? WEXITSTATUS(wait_status) : WTERMSIG(wait_status);
    pid_t pid = p->pid;
    p->pid = 0;
    role_pid_file_write(p->name, 0);
    if (v->stopping) {
        if (!exited || code != 0) {
            log_event(LOG_WARN, "role ended badly while stopping", LOG_TEXT("role", p->name),
                      LOG_NUMBER("pid", pid), LOG_NUMBER(exited ? "status" : "signal", code));
        }
        return;
    }
    if (exited && code == EXIT_FATAL) {
        log_event(LOG_ERROR,
                  "role cannot work as configured: the node stops (its reason is in the lines before)",
                  LOG_TEXT("role", p->name));
        v->exit_status = EXIT_FATAL;
        stop_begin(v, now);
        return;
    }
    unsigned delay = restart_backoff_ended(&p->backoff, now);
    p->start_at_ms = now + delay;
    log_event(LOG_WARN, "role ended, starting it again", LOG_TEXT("role", p->name), LOG_NUMBER("pid", pid),
              LOG_NUMBER(exited ? "status" : "signal", code), LOG_NUMBER("wait_ms", delay));
}

static void reap(struct supervisor *v, uint64_t now)
{
    int wait_status;
    pid_t pid;
    while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        for (size_t i = 0; i < v->process_count; i++) {
            if (v->processes[i].pid == pid) {
                process_ended(v, &v->processes[i], wait_status, now);
                break;
            }
        }
    }
}

static void signals_read(struct supervisor *v, uint64_t now)
{
    struct signalfd_siginfo info;
    while (read(v->signals, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGCHLD) {
            continue;
        }
        if (v->stopping && !v->killed) {
            stop_kill(v, "told twice");
        } else if (!v->stopping) {
            log_event(LOG_INFO, "node is stopping");
            stop_begin(v, now);
        }
    }
    reap(v, now);
}

/* Starts what is due; gives the time until the next is. */
static int starts_due(struct supervisor *v, uint64_t now)
{
    uint64_t wait = 1000;
    for (size_t i = 0; i < v->process_count; i++) {
        struct role_process *p = &v->processes[i];
        if (p->pid == 0 && p->start_at_ms <= now) {
            process_start(v, p, now);
        }
        if (p->pid == 0 && p->start_at_ms > now && p->start_at_ms - now < wait) {
            wait = p->start_at_ms - now;
        }
    }
    return (int)wait;
}

static void supervise(struct supervisor *v)
{
    for (;;) {
        uint64_t now = clock_monotonic_ms();
        int wait = 1000;
        if (!v->stopping) {
            wait = starts_due(v, now);
        } else if (stop_go_on(v)) {
            return;
        } else if (!v->killed && now >= v->stop_deadline_ms) {
            stop_kill(v, "30 s have passed");
        }
        struct pollfd poll_fd = {.fd = v->signals, .events = POLLIN};
        (void)poll(&poll_fd, 1, wait);
        signals_read(v, clock_monotonic_ms());
    }
}

static enum status start(struct supervisor *v, struct node_config *config, struct failure *f)
{
    struct role_surroundings *s = &v->surroundings;
    enum status status = data_folder_enter(config, false, f);
    if (config->workers == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        config->workers = cores > 0 && cores < 256 ? (unsigned)cores : 1;
    }
    status = status == STATUS_OK ? identity_check(config->name, f) : status;
    status = status == STATUS_OK ? data_folder_lock(LOCK_WAIT_MS, &s->lock_fd, f) : status;
    status = status == STATUS_OK ? data_folder_prepare(config, f) : status;
    status = status == STATUS_OK ? keys_load(config, s, f) : status;
    status = status == STATUS_OK ? listeners_open(config, &v->listeners, f) : status;
    status = status == STATUS_OK ? config_seal(config, &s->config_fd, f) : status;
    status = status == STATUS_OK ? signals_open(v, f) : status;
    status = status == STATUS_OK ? processes_plan(v, f) : status;
    if (status == STATUS_OK) {
        s->program = open("/proc/self/exe", O_PATH | O_CLOEXEC);
        if (s->program < 0) {
            status = failure_errno(f, errno, "cannot open the program itself");
        }
    }
    return status;
}

int supervisor_run(const struct node_config *given, const char *config_path)
{
    static struct supervisor v;
    static struct node_config config;
    struct failure f = {0};

    config = *given;
    log_open("supervisor", config.log_level);
    v.surroundings.config = &config;
    v.surroundings.listeners = &v.listeners;
    v.surroundings.lock_fd = v.surroundings.config_fd = v.surroundings.program = v.signals = -1;
    limits_set();
    enum status status = start(&v, &config, &f);
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "node cannot start", LOG_TEXT("reason", f.text),
                  LOG_TEXT("config", config_path));
        v.exit_status = EXIT_FATAL;
    } else {
        role_pid_file_write("supervisor", getpid());
        log_event(LOG_INFO, "node starts", LOG_TEXT("node", config.name),
                  LOG_TEXT("release", SEALPOST_VERSION), LOG_TEXT("smtp", config.smtp_listen),
                  LOG_TEXT("api", config.api_listen), LOG_TEXT("cluster", config.cluster_listen),
                  LOG_NUMBER("workers", config.workers));
        supervise(&v);
        role_pid_file_write("supervisor", 0);
        log_event(LOG_INFO, "node has stopped", LOG_TEXT("node", config.name));
    }
    listeners_close(&v.listeners);
    secret_release(&v.surroundings.master);
    secret_release(&v.surroundings.kek);
    secret_release(&v.surroundings.spool);
    secret_release(&v.surroundings.transport);
    secret_release(&v.surroundings.tls_key);
    return v.exit_status;
}
