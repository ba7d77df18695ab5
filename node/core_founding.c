/*
 * What core itself has to tell the cluster: once, on the founding node, the commands that init wrote
 * (identity/bootstrap.commands), proposed in order until all are applied, then forgotten; and at each start,
 * if this node's addresses, name or release are not those in the store, NODE_UPDATE. The founding commands
 * keep their ids: proposing them again changes nothing.
 */
#include "node/core_internal.h"

#include "base/log.h"
#include "node/durable_file.h"

#include <errno.h>
#include <unistd.h>

#define FOUNDING_MAX    16
#define UPDATE_RETRY_MS 5000

struct founding {
    bool looked, file_there, under_way, updating, updated;
    struct buf file;
    struct slice commands[FOUNDING_MAX];
    size_t count, next;
    uint64_t retry_ms;
};

static struct founding founding = {.file = {.max = IDENTITY_BOOTSTRAP_MAX}};

static void file_look(struct core *core)
{
    struct failure f = {0};
    struct msgpack_reader r;
    founding.looked = true;
    enum status status = durable_file_read(IDENTITY_BOOTSTRAP, &founding.file, &f);
    if (status == STATUS_NOT_FOUND) {
        return;
    }
    if (status == STATUS_OK) {
        msgpack_reader_init(&r, buf_slice(&founding.file));
        founding.count = read_array(&r, FOUNDING_MAX);
        for (size_t i = 0; i < founding.count; i++) {
            founding.commands[i] = read_bytes(&r, COMMAND_MAX);
        }
        status = msgpack_reader_status(&r, true);
        founding.file_there = true;
    }
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "the founding commands cannot be read", LOG_TEXT("file", IDENTITY_BOOTSTRAP),
                  LOG_TEXT("reason", f.text[0] != '\0' ? f.text : status_text(status)));
        founding.file_there = false;
        core_stop(core, 1);
    }
}

static void founding_go_on(struct core *core, uint64_t now);

static void founded_cb(void *context, const struct core_outcome *outcome)
{
    struct core *core = context;
    founding.under_way = false;
    enum status status = outcome->status == STATUS_OK ? outcome->result->status : outcome->status;
    if (outcome->status != STATUS_OK) {
        founding.retry_ms = clock_monotonic_ms() + 200;
        return;
    }
    if (status != STATUS_OK && status != STATUS_EXISTS) {
        log_event(LOG_ERROR, "the cluster could not be founded", LOG_NUMBER("command", founding.next),
                  LOG_TEXT("reason", outcome->result->failure.text));
        core_stop(core, 1);
        return;
    }
    founding.next++;
    founding_go_on(core, clock_monotonic_ms());
}

static void founding_go_on(struct core *core, uint64_t now)
{
    if (founding.under_way || now < founding.retry_ms || core->info.leader_id == 0) {
        return;
    }
    if (founding.next < founding.count) {
        founding.under_way = true;
        core_propose(core, founding.commands[founding.next], founded_cb, core);
        return;
    }
    if (unlink(IDENTITY_BOOTSTRAP) != 0 && errno != ENOENT) {
        log_event(LOG_WARN, "the founding commands cannot be deleted", LOG_TEXT("file", IDENTITY_BOOTSTRAP));
    }
    log_event(LOG_INFO, "the cluster is founded");
    founding.file_there = false;
    buf_release(&founding.file);
}

static void updated_cb(void *context, const struct core_outcome *outcome)
{
    (void)context;
    founding.updating = false;
    enum status status = outcome->status == STATUS_OK ? outcome->result->status : outcome->status;
    const char *text = outcome->status == STATUS_OK ? outcome->result->failure.text : outcome->text;
    founding.updated = status == STATUS_OK;
    founding.retry_ms = clock_monotonic_ms() + UPDATE_RETRY_MS;
    log_event(status == STATUS_OK ? LOG_INFO : LOG_WARN, "told the cluster what is new about this node",
              LOG_TEXT("result", status == STATUS_OK ? "ok" : text));
}

static bool is(struct slice stored, const char *own)
{
    return slice_equal(stored, slice_of_text(own));
}

static void update_look(struct core *core, uint64_t now)
{
    const struct node_config *config = core->config;
    struct store_view *view;
    struct node_record node;
    struct failure f;
    struct command c;
    if (founding.updating || founding.updated || now < founding.retry_ms || core_leader_guess(core) == 0) {
        return;
    }
    founding.retry_ms = now + CORE_PERIOD_MS;
    if (store_view_begin(core->store, &view, &f) != STATUS_OK) {
        return;
    }
    bool known = store_node_get(view, core->identity.node_id, &node) == STATUS_OK;
    bool same = known && is(node.name, config->name) && is(node.peer_address, config->cluster_advertise) &&
                is(node.api_address, config->api_advertise) &&
                is(node.smtp_address, config->smtp_advertise) && node.command_set == COMMAND_SET_VERSION;
    store_view_end(view);
    if (!known || same) {
        founding.updated = same;
        return;
    }
    command_init(&c, COMMAND_NODE_UPDATE, clock_wall_ms(), SLICE_LITERAL("core"));
    c.values[0].number = core->identity.node_id;
    c.values[1].bytes = slice_of_text(config->name);
    c.values[2].bytes = slice_of_text(config->cluster_advertise);
    c.values[3].bytes = slice_of_text(config->api_advertise);
    c.values[4].bytes = slice_of_text(config->smtp_advertise);
    c.values[5].number = COMMAND_SET_VERSION;
    founding.updating = true;
    core_propose_command(core, &c, updated_cb, core);
}

void core_founding_tick(struct core *core, uint64_t now)
{
    if (!founding.looked) {
        file_look(core);
    }
    if (core->closing) {
        return;
    }
    if (founding.file_there) {
        founding_go_on(core, now);
    } else if (core->initialised) {
        update_look(core, now);
    }
}
