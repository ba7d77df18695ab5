/* When a role that ended is started again. Pure: time comes in. */
#ifndef SEALPOST_NODE_RESTART_BACKOFF_H
#define SEALPOST_NODE_RESTART_BACKOFF_H

#include <stdint.h>

#define RESTART_FIRST_MS   100 /* after the first restart, which is immediate */
#define RESTART_LONGEST_MS 5000
/* A role that lived this long has proven itself: begin anew. Short, since roles that are killed from outside
 * again and again must be back at once; a role that cannot work ends within milliseconds. */
#define RESTART_PROVEN_MS 2000

struct restart_backoff {
    uint64_t started_ms;
    unsigned next_delay_ms; /* 0: at once */
};

void restart_backoff_started(struct restart_backoff *b, uint64_t now_ms);
/* The role ended: how long to wait before it is started again. */
unsigned restart_backoff_ended(struct restart_backoff *b, uint64_t now_ms);

#endif
