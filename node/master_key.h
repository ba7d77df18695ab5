/* Where the master key of this node lies (crypto/seal.h reads it), and how it gets there. Paths are relative
 * to the data folder. */
#ifndef SEALPOST_NODE_MASTER_KEY_H
#define SEALPOST_NODE_MASTER_KEY_H

#include "base/secret.h"
#include "node/config.h"

#define CLUSTER_CA_CONTEXT                                                                                   \
    "cluster-ca" /* with it the CA's key is sealed under the data key, in the cluster record */

/* The founding node: read the key, or make a new one if the source is a file that does not exist. */
enum status master_key_found(const struct node_config *config, struct secret *key,
                             struct failure *f) MUST_CHECK;
/* A joining node: what the cluster gave is kept where the configuration says; a key that is there already
 * must be the same (CONFLICT). */
enum status master_key_receive(const struct node_config *config, struct slice key,
                               struct failure *f) MUST_CHECK;
/* Before a join: can it be kept there at all? `check` is that of the key which is there already, empty if
 * there is none: the cluster refuses another one before the token is used up. */
enum status master_key_place_check(const struct node_config *config, struct secret *check,
                                   struct failure *f) MUST_CHECK;
/* 32 bytes that tell two master keys apart and say nothing else about them. */
enum status master_key_check_value(struct slice master, struct secret *check) MUST_CHECK;

#endif
