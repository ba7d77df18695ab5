/* See client_permission.h. */
#include "node/client_permission.h"

#include "store/ca_allowance.h"

static const struct {
    const char *role; /* the name's beginning */
    enum command_number first, last;
} allowed[] = {
    {"fetch", COMMAND_CERT_ADD, COMMAND_CERT_ADD},
    {"fetch", COMMAND_CRL_BEGIN, COMMAND_CRL_SWEEP},
    {"fetch", COMMAND_OCSP_PUT, COMMAND_OCSP_PUT},
    {"fetch", COMMAND_DOMAIN_DNS_SEEN, COMMAND_DOMAIN_DNS_SEEN},
    {"worker", COMMAND_CERT_HARVEST, COMMAND_CERT_HARVEST},
    {"worker", COMMAND_CA_AUTO_ISSUE, COMMAND_CA_AUTO_ISSUE},
};

bool client_role_may(const char *role, enum command_number number)
{
    if (strcmp(role, "api") == 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++) {
        if (strncmp(role, allowed[i].role, strlen(allowed[i].role)) == 0 && number >= allowed[i].first &&
            number <= allowed[i].last) {
            return true;
        }
    }
    return false;
}

/* So many a minute, that a worker that was taken over cannot fill the log. */
static enum status harvest_has_room(struct client_permission *p, uint64_t monotonic_ms, struct failure *f)
{
    uint64_t minute = monotonic_ms / 60000 + 1;
    if (p->harvest_minute != minute) {
        p->harvest_minute = minute;
        p->harvested = 0;
    }
    if (p->harvested >= CLIENT_HARVESTED_A_MINUTE) {
        return failure_set(f, STATUS_BUSY, "a worker proposes at most %d certificates a minute",
                           CLIENT_HARVESTED_A_MINUTE);
    }
    p->harvested++;
    return STATUS_OK;
}

enum status client_may_propose(struct client_permission *p, const char *role, struct slice command,
                               uint64_t wall_ms, uint64_t monotonic_ms, struct failure *f)
{
    struct command c;
    if (strcmp(role, "api") == 0) {
        return STATUS_OK;
    }
    enum status status = command_decode(command, &c, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (!client_role_may(role, c.number)) {
        return failure_set(f, STATUS_DENIED, "the role %s may not propose %s", role,
                           command_type_of(c.number)->name);
    }
    if (c.number == COMMAND_CERT_HARVEST) {
        return harvest_has_room(p, monotonic_ms, f);
    }
    /* The hour in which it is counted is that of the command. */
    if (c.number == COMMAND_CA_AUTO_ISSUE &&
        (c.time_ms + CA_ALLOWANCE_CLOCK_MS < wall_ms || c.time_ms > wall_ms + CA_ALLOWANCE_CLOCK_MS)) {
        return failure_set(f, STATUS_DENIED, "the time of the command is not that of this node");
    }
    return STATUS_OK;
}
