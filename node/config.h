/*
 * The node's own configuration: one INI file; everything else is replicated. Each key can also come from
 * the environment as SEALPOST_SECTION_KEY (upper case), which wins. Unknown sections and keys are errors
 * that name the line and the nearest known name. One table (node/config_table.c) declares each key with its
 * default and help.
 *
 *   [node]       name = node1                 DNS label, unique in the cluster
 *                data = /var/lib/sealpost     folder; paths below are relative to it (where the roles run)
 *                hostname = mx1.example.org   in banners, EHLO and Received; default: the machine's name
 *   [cluster]    listen = 127.0.0.1:2514      peers (TLS)
 *                advertise = 127.0.0.1:2514   what the others connect to; default: listen
 *   [api]        listen = 127.0.0.1:2513      and advertise
 *   [smtp]       listen = 127.0.0.1:2511      and advertise; listen may be a list with commas
 *                lmtp_listen =                the same for LMTP (RFC 2033); not on the Internet
 *                listeners =                  more by name: NAME@ADDRESS:PORT, ...; what holds for a name is
 *                                             replicated (listen has the name relay, lmtp_listen lmtp)
 *                tls_names =                  more names for the service certificate
 *                workers = 0                  0: one a core
 *   [master_key] source = file:master.key     or credential:NAME
 *   [users]      group = 0                    numeric ids; 0: stay as started; used only by root
 *                core, smtp, worker, api = 0
 *   [log]        level = info
 *   [limits]     log_tail_bytes, segment_bytes, disk_reserve = 64M
 */
#ifndef SEALPOST_NODE_CONFIG_H
#define SEALPOST_NODE_CONFIG_H

#include "base/log.h"
#include "base/status.h"
#include "raft/core_protocol.h"

struct node_config {
    char name[NODE_NAME_MAX + 1];
    char data[4096];
    char hostname[256];
    char cluster_listen[80], cluster_advertise[80];
    char api_listen[80], api_advertise[80];
    char smtp_listen[80], smtp_advertise[80];
    char lmtp_listen[80];      /* "": nobody is to speak LMTP */
    char smtp_listeners[2048]; /* NAME@HOST:PORT with commas */
    char tls_names[1024];
    unsigned workers;
    char master_key_source[4096];
    unsigned group, core_user, smtp_user, worker_user, api_user, fetch_user;
    enum log_level log_level;
    uint64_t log_tail_bytes, segment_bytes, disk_reserve;
};

enum status node_config_read(const char *path, struct node_config *config, struct failure *f) MUST_CHECK;
enum status node_config_read_fd(int fd, const char *name_for_errors, struct node_config *config,
                                struct failure *f) MUST_CHECK;
/* The effective configuration as an INI file: what the supervisor hands to the roles, whose environment is
 * empty. */
enum status node_config_write(const struct node_config *config, struct buf *out) MUST_CHECK;

#endif
