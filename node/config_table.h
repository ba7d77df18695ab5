/*
 * The one table of the node's configuration keys: reading, the environment, writing and the help text come
 * from it. What a key means is said in node/config.h.
 */
#ifndef SEALPOST_NODE_CONFIG_TABLE_H
#define SEALPOST_NODE_CONFIG_TABLE_H

#include "node/config.h"

enum config_type {
    CONFIG_LABEL,     /* a DNS label: letters, digits, hyphens; at most 63 */
    CONFIG_HOSTNAME,  /* labels separated by dots; "" = ask the machine */
    CONFIG_PATH,      /* not empty */
    CONFIG_ADDRESS,   /* HOST:PORT, [V6]:PORT; "" where the table says so */
    CONFIG_ADDRESSES, /* one or more, separated by commas */
    CONFIG_LISTENERS, /* NAME@HOST:PORT, one or more, separated by commas */
    CONFIG_NAMES,     /* host names and IP addresses, separated by commas */
    CONFIG_SOURCE,    /* file:PATH or credential:NAME */
    CONFIG_UNSIGNED,
    CONFIG_BYTES, /* 64M, 512K, 1G, 4096 */
    CONFIG_LOG_LEVEL
};

struct config_key {
    const char *section, *key;
    enum config_type type;
    size_t offset, size; /* of the member in struct node_config */
    const char *default_text;
    uint64_t min, max; /* UNSIGNED, BYTES */
    const char *help;
};

const struct config_key *config_key_at(size_t i); /* NULL at the end */
const struct config_key *config_key_find(struct slice section, struct slice key);
bool config_section_known(struct slice section);
/* The nearest name by edit distance, NULL if nothing is near. `section` empty: among sections, else among its
 * keys. */
const char *config_nearest(struct slice section, struct slice name);
/* Check a value and put it where it belongs; the failure says what would be right. */
enum status config_key_set(const struct config_key *k, struct slice value, struct node_config *config,
                           struct failure *f) MUST_CHECK;
/* The value as text that config_key_set takes. */
enum status config_key_text(const struct config_key *k, const struct node_config *config,
                            struct buf *out) MUST_CHECK;

#endif
