/* See role_table.h. */
#include "node/role_table.h"

#include "mail/fetch_protocol.h"
#include "mail/job.h"
#include "raft/core_protocol.h"
#include "smtp/queue_protocol.h"

static unsigned one(const struct node_config *config)
{
    (void)config;
    return 1;
}

/* For roles that do not exist yet. */
static unsigned none(const struct node_config *config)
{
    (void)config;
    return 0;
}

static unsigned workers(const struct node_config *config)
{
    return config->workers;
}

static unsigned core_user(const struct node_config *config)
{
    return config->core_user;
}

static unsigned smtp_user(const struct node_config *config)
{
    return config->smtp_user;
}

static unsigned worker_user(const struct node_config *config)
{
    return config->worker_user;
}

static unsigned api_user(const struct node_config *config)
{
    return config->api_user;
}

static unsigned fetch_user(const struct node_config *config)
{
    return config->fetch_user;
}

#define ADDRESS(member) offsetof(struct node_config, member)

/* The order is that of starting. Roles other than core wait for it by themselves. */
static const struct role_type table[] = {
    {
        .name = "core",
        .run = role_core_run,
        .count = one,
        .user = core_user,
        .keys = ROLE_KEY_MASTER,
        .stop_turn = 2,
        .listens = {{"peers", ROLE_LISTENS_TCP, ADDRESS(cluster_listen), "[cluster] listen", NULL},
                    {"core", ROLE_LISTENS_UNIX, 0, NULL, CORE_SOCKET}},
    },
    {
        .name = "worker",
        .run = role_worker_run,
        .count = workers,
        .user = worker_user,
        .keys = ROLE_KEY_KEK,
        .stop_turn = 1,
    },
    {
        .name = "smtp",
        .run = role_smtp_run,
        .count = one,
        .user = smtp_user,
        .keys = ROLE_KEY_SPOOL | ROLE_KEY_TLS | ROLE_KEY_TRANSPORT,
        .stop_turn = 0,
        .listens = {{SMTP_LISTENER_PREFIX "relay", ROLE_LISTENS_TCP, ADDRESS(smtp_listen), "[smtp] listen",
                     NULL},
                    {SMTP_LISTENER_PREFIX "lmtp", ROLE_LISTENS_TCP, ADDRESS(lmtp_listen),
                     "[smtp] lmtp_listen", NULL},
                    {SMTP_LISTENER_PREFIX, ROLE_LISTENS_NAMED, ADDRESS(smtp_listeners), "[smtp] listeners",
                     NULL},
                    {"jobs", ROLE_LISTENS_UNIX, 0, NULL, JOB_SOCKET},
                    {"queue", ROLE_LISTENS_UNIX, 0, NULL, QUEUE_SOCKET}},
    },
    {
        .name = "api",
        .run = role_api_run,
        .count = one,
        .user = api_user,
        .keys = ROLE_KEY_KEK | ROLE_KEY_TLS | ROLE_KEY_TRANSPORT,
        .stop_turn = 1,
        .listens = {{"api", ROLE_LISTENS_TCP, ADDRESS(api_listen), "[api] listen", NULL}},
    },
    /* GnuPG through GPGME for the workers: a few small processes, which listen on run/pgp.sock. Comes with
       OpenPGP. */
    {.name = "pgp", .run = NULL, .count = none, .user = worker_user, .keys = ROLE_KEY_KEK, .stop_turn = 1},
    /* What must be asked of others (CRL, OCSP, AIA, LDAP). A user of its own: it must not pass for api. */
    {
        .name = "fetch",
        .run = role_fetch_run,
        .count = one,
        .user = fetch_user,
        .keys = 0,
        .stop_turn = 1,
        .listens = {{"fetch", ROLE_LISTENS_UNIX, 0, NULL, FETCH_SOCKET}},
    },
};

const struct role_type *role_type_at(size_t i)
{
    return i < sizeof(table) / sizeof(table[0]) ? &table[i] : NULL;
}

const struct role_type *role_type_find(const char *name)
{
    const struct role_type *type;
    for (size_t i = 0; (type = role_type_at(i)) != NULL; i++) {
        if (strcmp(type->name, name) == 0) {
            return type;
        }
    }
    return NULL;
}
