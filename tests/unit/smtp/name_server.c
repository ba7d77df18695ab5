/* See tests/unit/smtp/name_server.h. */
#include "name_server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT 15353

#define CHECK(what)                                                                                          \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                                 \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

void loopback_address(unsigned last, char out[16])
{
    unsigned own = (unsigned)getpid();
    (void)!snprintf(out, 16, "127.%u.%u.%u", 64 + (own >> 8) % 128, own % 256, last);
}

/* Runs a program in the folder; its output goes to a file there. */
static pid_t begin(const char *dir, const char *out, const char *const *arguments)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || chdir(dir) != 0 || freopen(out, "w", stdout) == NULL ||
            dup2(1, 2) < 0) {
            _exit(126);
        }
        (void)execvp(arguments[0], (char *const *)(uintptr_t)arguments);
        _exit(127);
    }
    return child;
}

static void run(const char *dir, const char *out, const char *const *arguments)
{
    int status = 0;
    pid_t child = begin(dir, out, arguments);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
    if (WEXITSTATUS(status) != 0) {
        (void)fprintf(stderr, "%s failed, see %s/%s\n", arguments[0], dir, out);
        abort();
    }
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[400];
    (void)!snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static char *read_file(const char *dir, const char *name)
{
    char path[400];
    (void)!snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 18);
    CHECK(file != NULL && text != NULL && fread(text, 1, (1 << 18) - 1, file) > 0 && fclose(file) == 0);
    return text;
}

static void sign(struct name_server *s, const char *zone)
{
    char plain[200], key[200], file[256];
    const char *const make[] = {"ldns-keygen", "-a", "ECDSAP256SHA256", "-k", zone, NULL};
    run(s->dir, "key", make);
    char *name = read_file(s->dir, "key");
    name[strcspn(name, "\r\n")] = '\0';
    (void)!snprintf(plain, sizeof plain, "%s.zone", zone);
    (void)!snprintf(key, sizeof key, "%s", name);
    const char *const sign_it[] = {"ldns-signzone", "-n", "-f", "signed", plain, key, NULL};
    run(s->dir, "signing", sign_it);
    (void)!snprintf(file, sizeof file, "%s.ds", key);
    char *anchor = read_file(s->dir, file);
    anchor[strcspn(anchor, "\r\n")] = '\0';
    for (char *at = anchor; *at != '\0'; at++) {
        *at = *at == '\t' ? ' ' : *at;
    }
    size_t used = strlen(s->anchors);
    CHECK(snprintf(s->anchors + used, sizeof s->anchors - used, "%s%s", used > 0 ? ", " : "", anchor) <
          (int)(sizeof s->anchors - used));
    char *text = read_file(s->dir, "signed");
    write_file(s->dir, plain, text);
    free(text);
    free(anchor);
    free(name);
}

static void forge(struct name_server *s, const struct name_zone *zone)
{
    char plain[200];
    (void)!snprintf(plain, sizeof plain, "%s.zone", zone->name);
    char *text = read_file(s->dir, plain);
    char *at = strstr(text, zone->forge_from);
    CHECK(at != NULL && strlen(zone->forge_from) == strlen(zone->forge_to));
    memcpy(at, zone->forge_to, strlen(zone->forge_to));
    write_file(s->dir, plain, text);
    free(text);
}

static void wait_for(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    CHECK(inet_pton(AF_INET, address, &to.sin_addr) == 1);
    bool listens = false;
    for (int i = 0; i < 3000 && !listens; i++) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        listens = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
        (void)close(fd);
        if (!listens) {
            (void)usleep(10000);
        }
    }
    CHECK(listens);
}

void name_server_start(struct name_server *s, const struct name_zone *zones, size_t count)
{
    char address[16], text[16384];
    *s = (struct name_server){.process = -1};
    (void)!snprintf(s->dir, sizeof s->dir, "/tmp/sealpost-names-XXXXXX");
    CHECK(mkdtemp(s->dir) != NULL);
    loopback_address(53, address);
    (void)!snprintf(s->resolvers, sizeof s->resolvers, "%s@%d", address, PORT);
    int used = snprintf(text, sizeof text,
                        "server:\n ip-address: %s@%d\n username: \"\"\n chroot: \"\"\n zonesdir: %s\n"
                        " pidfile: %s/pid\n database: \"\"\n xfrdfile: %s/xfrd\n zonelistfile: %s/list\n"
                        " logfile: %s/log\n server-count: 1\nremote-control:\n control-enable: no\n",
                        address, PORT, s->dir, s->dir, s->dir, s->dir, s->dir);
    for (size_t i = 0; i < count; i++) {
        char zone[16384], name[200];
        used += snprintf(text + used, sizeof text - (size_t)used, "zone:\n name: %s\n zonefile: %s.zone\n",
                         zones[i].name, zones[i].name);
        (void)!snprintf(zone, sizeof zone,
                        "$ORIGIN %s.\n$TTL 60\n@ IN SOA ns host 1 3600 600 86400 60\n@ IN NS ns\n"
                        "ns IN A %s\n%s",
                        zones[i].name, address, zones[i].records);
        (void)!snprintf(name, sizeof name, "%s.zone", zones[i].name);
        write_file(s->dir, name, zone);
        if (zones[i].is_signed) {
            sign(s, zones[i].name);
        }
        if (zones[i].forge_from != NULL) {
            forge(s, &zones[i]);
        }
    }
    write_file(s->dir, "nsd.conf", text);
    const char *const nsd[] = {"/usr/sbin/nsd", "-d", "-c", "nsd.conf", NULL};
    s->process = begin(s->dir, "output", nsd);
    wait_for(address);
}

void name_server_stop(struct name_server *s)
{
    int status = 0;
    CHECK(kill(s->process, SIGTERM) == 0 && waitpid(s->process, &status, 0) == s->process);
    const char *const clean[] = {"rm", "-rf", s->dir, NULL};
    run("/tmp", "/dev/null", clean);
}
