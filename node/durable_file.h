/* Small files that must be whole or not there: the node's identity. Paths are relative to the working
 * directory. */
#ifndef SEALPOST_NODE_DURABLE_FILE_H
#define SEALPOST_NODE_DURABLE_FILE_H

#include "base/buf.h"

#include <sys/types.h>

/* A new file (EXISTS if there is one), synced before it returns. */
enum status durable_file_create(const char *path, mode_t mode, struct slice content,
                                struct failure *f) MUST_CHECK;
/* Replace (or make) a file in one step: written beside it, synced, renamed. */
enum status durable_file_replace(const char *path, mode_t mode, struct slice content,
                                 struct failure *f) MUST_CHECK;
/* NOT_FOUND if it is not there, TOO_LARGE beyond the buffer's maximum. */
enum status durable_file_read(const char *path, struct buf *out, struct failure *f) MUST_CHECK;
/* Make the names in a folder durable. */
enum status durable_folder_sync(const char *path, struct failure *f) MUST_CHECK;

#endif
