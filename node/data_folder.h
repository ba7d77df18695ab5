/* The node's data folder: making it, entering it, keeping others out of it, and who owns what in it. */
#ifndef SEALPOST_NODE_DATA_FOLDER_H
#define SEALPOST_NODE_DATA_FOLDER_H

#include "node/config.h"

/* Make (with parents) if missing and change into it: afterwards every path is relative to it. NOT_FOUND if
 * `make` is false and it is missing. */
enum status data_folder_enter(const struct node_config *config, bool make, struct failure *f) MUST_CHECK;
/* Take the lock (the file "lock"); BUSY names the process that has it. The lock lives as long as any copy of
 * the descriptor: the roles inherit it, so that no second node starts while a role of the first is still at
 * work. Waits up to wait_ms if the supervisor that took it is dead. */
enum status data_folder_lock(unsigned wait_ms, int *fd, struct failure *f) MUST_CHECK;
/* Folders for the roles with owner and mode: raft (core), state (core, readable for the group), spool (smtp),
 * run (all), identity (core). */
enum status data_folder_prepare(const struct node_config *config, struct failure *f) MUST_CHECK;

#endif
