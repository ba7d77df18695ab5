/* The names that a node's certificates carry. */
#ifndef SEALPOST_NODE_SERVICE_NAMES_H
#define SEALPOST_NODE_SERVICE_NAMES_H

#include "node/config.h"

/* HOST of HOST:PORT, without the brackets of an IPv6 address. */
struct slice address_host(struct slice address);
/* Host name, node name, hosts of the advertised addresses, smtp.tls_names: each once, separated by commas. */
enum status service_names(const struct node_config *config, struct buf *out) MUST_CHECK;
/* Append a name if the list does not hold it yet. */
enum status service_names_add(struct buf *list, struct slice name) MUST_CHECK;

#endif
