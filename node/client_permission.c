/* See client_permission.h. */
#include "node/client_permission.h"

#include "base/arena.h"
#include "crypto/x509.h"
#include "store/ca_allowance.h"

#define DESCRIBE_MAX ((size_t)1 << 20)

static const struct {
    const char *role; /* the name's beginning */
    enum command_number first, last;
} allowed[] = {
    {"fetch", COMMAND_CERT_ADD, COMMAND_CERT_ADD},
    {"fetch", COMMAND_DOMAIN_DNS_SEEN, COMMAND_DOMAIN_DNS_SEEN},
    {"fetch", COMMAND_STS_PUT, COMMAND_STS_REMOVE},
    {"smtp", COMMAND_NOTICE_CLAIM, COMMAND_NOTICE_FORGET},
    {"worker", COMMAND_CERT_HARVEST, COMMAND_CERT_HARVEST},
    {"worker", COMMAND_CA_AUTO_ISSUE, COMMAND_CA_AUTO_ISSUE},
    {"worker", COMMAND_CA_REQUEST_AUTO, COMMAND_CA_REQUEST_AUTO},
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

/* So many a minute, that a role that was taken over cannot fill the log. */
static enum status has_room(struct client_permission *p, unsigned most, uint64_t monotonic_ms,
                            struct failure *f)
{
    uint64_t minute = monotonic_ms / 60000 + 1;
    if (p->minute != minute) {
        p->minute = minute;
        p->counted = 0;
    }
    if (p->counted >= most) {
        return failure_set(f, STATUS_BUSY, "this role proposes at most %u of these a minute", most);
    }
    p->counted++;
    return STATUS_OK;
}

/* Does the record say of the certificate what is in it: addresses, uses, dates? Mail is encrypted by what the
 * record says. */
static enum status is_described_truly(struct slice encoded, struct failure *f)
{
    struct certificate_record said, read;
    struct buf again = BUF_INIT(COMMAND_MAX);
    struct arena a;
    arena_init(&a, DESCRIBE_MAX);
    enum status status = certificate_record_decode(encoded, &said);
    if (status == STATUS_OK) {
        status = certificate_describe(said.der, said.source, said.added_ms, &a, &read, f);
    }
    if (status == STATUS_OK) {
        status = certificate_record_encode(&read, &again);
    }
    if (status != STATUS_OK || !slice_equal(buf_slice(&again), encoded)) {
        status = failure_set(f, STATUS_DENIED, "the record of a certificate does not say what is in it");
    } else if (!slice_equal(said.source, SLICE_LITERAL("aia")) &&
               !slice_equal(said.source, SLICE_LITERAL("ldap"))) {
        status = failure_set(f, STATUS_DENIED, "the source of a certificate is not one of fetch");
    }
    buf_release(&again);
    arena_release(&a);
    return status;
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
        return has_room(p, CLIENT_HARVESTED_A_MINUTE, monotonic_ms, f);
    }
    if (c.number == COMMAND_NOTICE_CLAIM) {
        return has_room(p, CLIENT_NOTICES_A_MINUTE, monotonic_ms, f);
    }
    if (c.number >= COMMAND_STS_PUT && c.number <= COMMAND_STS_REMOVE) {
        return has_room(p, CLIENT_FETCHED_A_MINUTE, monotonic_ms, f);
    }
    if (c.number == COMMAND_CERT_ADD) {
        status = is_described_truly(c.values[0].bytes, f);
        return status == STATUS_OK ? has_room(p, CLIENT_FETCHED_A_MINUTE, monotonic_ms, f) : status;
    }
    /* The hour in which it is counted is that of the command. */
    if ((c.number == COMMAND_CA_AUTO_ISSUE || c.number == COMMAND_CA_REQUEST_AUTO) &&
        (c.time_ms + CA_ALLOWANCE_CLOCK_MS < wall_ms || c.time_ms > wall_ms + CA_ALLOWANCE_CLOCK_MS)) {
        return failure_set(f, STATUS_DENIED, "the time of the command is not that of this node");
    }
    return STATUS_OK;
}
