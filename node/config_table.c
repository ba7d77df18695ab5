/*
 * The table of configuration keys and what each type of value looks like. Pure: no file, no environment.
 *
 * A value is checked completely before it is stored; a message about it names what would be right. Values
 * come from the administrator, yet control bytes are refused before they get here (node/config.c), so that
 * they may be quoted in messages.
 */
#include "node/config_table.h"

#include "base/nearest.h"
#include "store/records_listener.h"

#include <ctype.h>

#define MEMBER(m) offsetof(struct node_config, m), sizeof(((struct node_config *)0)->m)
#define MEBI(n)   ((uint64_t)(n) << 20)
#define USER_MAX  ((uint64_t)4294967294)

static const struct config_key table[] = {
    {"node", "name", CONFIG_LABEL, MEMBER(name), NULL, 0, 0, "name of this node, unique in the cluster"},
    {"node", "data", CONFIG_PATH, MEMBER(data), "/var/lib/sealpost", 0, 0,
     "folder of everything that this node keeps"},
    {"node", "hostname", CONFIG_HOSTNAME, MEMBER(hostname), "", 0, 0,
     "in banners, EHLO and Received; default: the machine's name"},
    {"cluster", "listen", CONFIG_ADDRESS, MEMBER(cluster_listen), "127.0.0.1:2514", 0, 0,
     "where the other nodes connect (TLS)"},
    {"cluster", "advertise", CONFIG_ADDRESS, MEMBER(cluster_advertise), "", 0, 0,
     "what the other nodes connect to; default: listen"},
    {"api", "listen", CONFIG_ADDRESSES, MEMBER(api_listen), "127.0.0.1:2513", 0, 0,
     "REST and admin UI (https)"},
    {"api", "advertise", CONFIG_ADDRESS, MEMBER(api_advertise), "", 0, 0,
     "shown to administrators; default: listen"},
    {"smtp", "listen", CONFIG_ADDRESSES, MEMBER(smtp_listen), "127.0.0.1:2511", 0, 0,
     "mail comes in here; several with commas"},
    {"smtp", "lmtp_listen", CONFIG_ADDRESSES, MEMBER(lmtp_listen), "", 0, 0,
     "the same over LMTP (a reply for each recipient); not on port 25; default: nowhere"},
    {"smtp", "listeners", CONFIG_LISTENERS, MEMBER(smtp_listeners), "", 0, 0,
     "more of them by name, as inbound@0.0.0.0:25; several with commas; docs/mail-transport.md"},
    {"smtp", "advertise", CONFIG_ADDRESS, MEMBER(smtp_advertise), "", 0, 0,
     "shown to administrators; default: listen"},
    {"smtp", "tls_names", CONFIG_NAMES, MEMBER(tls_names), "", 0, 0,
     "more names and addresses for the service certificate"},
    {"smtp", "workers", CONFIG_UNSIGNED, MEMBER(workers), "0", 0, 256, "worker processes; 0: one a core"},
    {"master_key", "source", CONFIG_SOURCE, MEMBER(master_key_source), "file:master.key", 0, 0,
     "file:PATH or credential:NAME"},
    {"users", "group", CONFIG_UNSIGNED, MEMBER(group), "0", 0, USER_MAX,
     "numeric group of all roles; 0: stay as started"},
    {"users", "core", CONFIG_UNSIGNED, MEMBER(core_user), "0", 0, USER_MAX, "numeric user of the role core"},
    {"users", "smtp", CONFIG_UNSIGNED, MEMBER(smtp_user), "0", 0, USER_MAX, "numeric user of the role smtp"},
    {"users", "worker", CONFIG_UNSIGNED, MEMBER(worker_user), "0", 0, USER_MAX,
     "numeric user of the role worker"},
    {"users", "api", CONFIG_UNSIGNED, MEMBER(api_user), "0", 0, USER_MAX, "numeric user of the role api"},
    {"users", "fetch", CONFIG_UNSIGNED, MEMBER(fetch_user), "0", 0, USER_MAX,
     "numeric user of the role fetch"},
    {"log", "level", CONFIG_LOG_LEVEL, MEMBER(log_level), "info", 0, 0, "error, warn, info or debug"},
    {"limits", "log_tail_bytes", CONFIG_BYTES, MEMBER(log_tail_bytes), "16M", MEBI(1), MEBI(256),
     "a snapshot is made after this much of log"},
    {"limits", "segment_bytes", CONFIG_BYTES, MEMBER(segment_bytes), "32M", MEBI(1), MEBI(1024),
     "size of a file of the raft log, in whole megabytes"},
    {"limits", "disk_reserve", CONFIG_BYTES, MEMBER(disk_reserve), "64M", MEBI(1), MEBI(1024 * 1024),
     "below this much free space nothing new is taken"},
};

const struct config_key *config_key_at(size_t i)
{
    return i < sizeof(table) / sizeof(table[0]) ? &table[i] : NULL;
}

const struct config_key *config_key_find(struct slice section, struct slice key)
{
    const struct config_key *k;
    for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
        if (slice_equal(section, slice_of_text(k->section)) && slice_equal(key, slice_of_text(k->key))) {
            return k;
        }
    }
    return NULL;
}

bool config_section_known(struct slice section)
{
    const struct config_key *k;
    for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
        if (slice_equal(section, slice_of_text(k->section))) {
            return true;
        }
    }
    return false;
}

const char *config_nearest(struct slice section, struct slice name)
{
    struct nearest nearest = {.name = name};
    const struct config_key *k;
    for (size_t i = 0; (k = config_key_at(i)) != NULL; i++) {
        if (section.len == 0) {
            nearest_offer(&nearest, k->section);
        } else if (slice_equal(section, slice_of_text(k->section))) {
            nearest_offer(&nearest, k->key);
        }
    }
    return nearest.best;
}

static bool label_ok(struct slice s)
{
    if (s.len == 0 || s.len > NODE_NAME_MAX || s.data[0] == '-' || s.data[s.len - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (!isalnum(s.data[i]) && s.data[i] != '-') {
            return false;
        }
    }
    return true;
}

static bool hostname_ok(struct slice s)
{
    if (s.len == 0 || s.len > 253) {
        return false;
    }
    while (s.len > 0) {
        size_t dot = slice_find_byte(s, '.');
        if (!label_ok(slice_of(s.data, dot)) || dot + 1 == s.len) {
            return false;
        }
        dot = dot < s.len ? dot + 1 : dot;
        s = slice_of(s.data + dot, s.len - dot);
    }
    return true;
}

static bool v6_ok(struct slice s)
{
    bool colon = false;
    for (size_t i = 0; i < s.len; i++) {
        colon = colon || s.data[i] == ':';
        if (!isxdigit(s.data[i]) && s.data[i] != ':' && s.data[i] != '.') {
            return false;
        }
    }
    return colon;
}

static enum status address_check(const struct config_key *k, struct slice value, struct failure *f)
{
    size_t colon = value.len;
    while (colon > 0 && value.data[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0) {
        return failure_set(f, STATUS_INVALID, "'%.*s' is not HOST:PORT for '%s' (as in %s)",
                           SLICE_ARGS(value), k->key, "127.0.0.1:2511");
    }
    struct slice host = slice_of(value.data, colon - 1);
    struct slice port = slice_of(value.data + colon, value.len - colon);
    uint64_t number = 0;
    if (!slice_parse_u64(port, &number) || number < 1 || number > 65535) {
        return failure_set(f, STATUS_INVALID, "the port '%.*s' for '%s' is not a number from 1 to 65535",
                           SLICE_ARGS(port), k->key);
    }
    bool bracketed = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
    if (bracketed ? !v6_ok(slice_of(host.data + 1, host.len - 2)) : !hostname_ok(host)) {
        return failure_set(f, STATUS_INVALID,
                           "'%.*s' for '%s' is not a host name or IP address (IPv6 as [::1]:PORT)",
                           SLICE_ARGS(host), k->key);
    }
    return STATUS_OK;
}

static enum status listener_check(const struct config_key *k, struct slice value, struct failure *f)
{
    size_t at = slice_find_byte(value, '@');
    struct slice name = slice_of(value.data, at);
    if (at == value.len || !listener_name_valid(name)) {
        return failure_set(
            f, STATUS_INVALID,
            "'%.*s' for '%s' is not NAME@HOST:PORT, with a name of lower-case letters, digits and "
            "hyphens (as in submission@0.0.0.0:587)",
            SLICE_ARGS(value), k->key);
    }
    return address_check(k, slice_of(value.data + at + 1, value.len - at - 1), f);
}

/* Calls `check` for each part of a list with commas. */
static enum status list_check(const struct config_key *k, struct slice value,
                              enum status (*check)(const struct config_key *, struct slice, struct failure *),
                              struct failure *f)
{
    for (;;) {
        size_t comma = slice_find_byte(value, ',');
        enum status status = check(k, slice_trim(slice_of(value.data, comma)), f);
        if (status != STATUS_OK || comma == value.len) {
            return status;
        }
        value = slice_of(value.data + comma + 1, value.len - comma - 1);
    }
}

static enum status name_check(const struct config_key *k, struct slice value, struct failure *f)
{
    if (!hostname_ok(value) && !v6_ok(value)) {
        return failure_set(f, STATUS_INVALID, "'%.*s' in '%s' is not a host name or IP address",
                           SLICE_ARGS(value), k->key);
    }
    return STATUS_OK;
}

static bool bytes_parse(struct slice value, uint64_t *out)
{
    unsigned shift = 0;
    if (value.len > 1) {
        switch (value.data[value.len - 1]) {
        case 'K':
            shift = 10;
            break;
        case 'M':
            shift = 20;
            break;
        case 'G':
            shift = 30;
            break;
        default:
            break;
        }
        value.len -= shift > 0;
    }
    uint64_t number;
    if (!slice_parse_u64(value, &number) || number > UINT64_MAX >> shift) {
        return false;
    }
    *out = number << shift;
    return true;
}

static enum status text_set(const struct config_key *k, struct slice value, struct node_config *config,
                            struct failure *f)
{
    if (value.len >= k->size) {
        return failure_set(f, STATUS_TOO_LARGE, "the value of '%s' is longer than %zu bytes", k->key,
                           k->size - 1);
    }
    char *text = (char *)config + k->offset;
    memset(text, 0, k->size);
    memcpy(text, value.data, value.len);
    return STATUS_OK;
}

static enum status number_set(const struct config_key *k, struct slice value, struct node_config *config,
                              struct failure *f)
{
    uint64_t number = 0;
    bool bytes = k->type == CONFIG_BYTES;
    if (bytes ? !bytes_parse(value, &number) : !slice_parse_u64(value, &number)) {
        return failure_set(f, STATUS_INVALID, "'%.*s' for '%s' is not %s", SLICE_ARGS(value), k->key,
                           bytes ? "a size (4096, 512K, 64M, 1G)" : "a whole number");
    }
    if (number < k->min || number > k->max) {
        return failure_set(f, STATUS_INVALID, "%.*s for '%s' is out of range: %llu to %llu",
                           SLICE_ARGS(value), k->key, (unsigned long long)k->min, (unsigned long long)k->max);
    }
    void *member = (char *)config + k->offset;
    if (bytes) {
        memcpy(member, &number, sizeof(number));
    } else {
        unsigned small = (unsigned)number;
        memcpy(member, &small, sizeof(small));
    }
    return STATUS_OK;
}

enum status config_key_set(const struct config_key *k, struct slice value, struct node_config *config,
                           struct failure *f)
{
    enum status status = STATUS_OK;
    bool empty_allowed = k->default_text != NULL && k->default_text[0] == '\0';
    if (value.len == 0) {
        return empty_allowed ? text_set(k, value, config, f)
                             : failure_set(f, STATUS_INVALID, "'%s' needs a value: %s", k->key, k->help);
    }
    switch (k->type) {
    case CONFIG_LABEL:
        if (!label_ok(value)) {
            return failure_set(f, STATUS_INVALID,
                               "'%.*s' for '%s' is not a DNS label (letters, digits and hyphens, at most 63)",
                               SLICE_ARGS(value), k->key);
        }
        break;
    case CONFIG_HOSTNAME:
        if (!hostname_ok(value)) {
            return failure_set(f, STATUS_INVALID, "'%.*s' for '%s' is not a host name", SLICE_ARGS(value),
                               k->key);
        }
        break;
    case CONFIG_ADDRESS:
        status = address_check(k, value, f);
        break;
    case CONFIG_ADDRESSES:
        status = list_check(k, value, address_check, f);
        break;
    case CONFIG_LISTENERS:
        status = list_check(k, value, listener_check, f);
        break;
    case CONFIG_NAMES:
        status = list_check(k, value, name_check, f);
        break;
    case CONFIG_SOURCE:
        if ((!slice_starts_with(value, SLICE_LITERAL("file:")) || value.len == 5) &&
            (!slice_starts_with(value, SLICE_LITERAL("credential:")) || value.len == 11)) {
            return failure_set(f, STATUS_INVALID, "'%.*s' for '%s' is neither file:PATH nor credential:NAME",
                               SLICE_ARGS(value), k->key);
        }
        break;
    case CONFIG_PATH:
        break;
    case CONFIG_UNSIGNED:
    case CONFIG_BYTES:
        return number_set(k, value, config, f);
    case CONFIG_LOG_LEVEL:
        if (!log_level_parse(value, &config->log_level)) {
            return failure_set(f, STATUS_INVALID, "'%.*s' for '%s' is none of error, warn, info, debug",
                               SLICE_ARGS(value), k->key);
        }
        return STATUS_OK;
    }
    return status == STATUS_OK ? text_set(k, value, config, f) : status;
}

enum status config_key_text(const struct config_key *k, const struct node_config *config, struct buf *out)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    const char *member = (const char *)config + k->offset;
    uint64_t bytes;
    unsigned number;
    switch (k->type) {
    case CONFIG_BYTES:
        memcpy(&bytes, member, sizeof(bytes));
        return buf_printf(out, "%llu", (unsigned long long)bytes);
    case CONFIG_UNSIGNED:
        memcpy(&number, member, sizeof(number));
        return buf_printf(out, "%u", number);
    case CONFIG_LOG_LEVEL:
        return buf_append_text(out, levels[config->log_level]);
    case CONFIG_LABEL:
    case CONFIG_HOSTNAME:
    case CONFIG_PATH:
    case CONFIG_ADDRESS:
    case CONFIG_ADDRESSES:
    case CONFIG_LISTENERS:
    case CONFIG_NAMES:
    case CONFIG_SOURCE:
        break;
    }
    return buf_append_text(out, member);
}
