/* How much room the spool's disk has, looked at every second off the loop's thread, so that asking costs
 * nothing. On the loop's thread. */
#ifndef SEALPOST_SMTP_DISK_SPACE_H
#define SEALPOST_SMTP_DISK_SPACE_H

#include "base/status.h"

#include <stdint.h>
#include <uv.h>

struct disk_space {
    uv_timer_t timer;
    uv_fs_t request;
    char path[512];
    bool asking, open, low; /* `low`: it was said that there is little */
    bool known;
    uint64_t free; /* bytes that we may use, when `known` */
};

/* `path` is copied. Looks once at once (blocks for as long), then every second. */
void disk_space_start(struct disk_space *d, uv_loop_t *loop, const char *path);
/* Its handle closes; the memory is in use until the loop has run out. */
void disk_space_stop(struct disk_space *d);
/* Do `bytes` more leave the reserve alone? True as well when the disk could not be asked: the spool will
 * tell. */
bool disk_space_holds(struct disk_space *d, uint64_t bytes, uint64_t reserve);

#endif
