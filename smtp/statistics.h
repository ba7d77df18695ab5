/* What the smtp role counts, for /metrics (smtp/queue_protocol.h STATS): one table. Touched on the loop's
 * thread alone. */
#ifndef SEALPOST_SMTP_STATISTICS_H
#define SEALPOST_SMTP_STATISTICS_H

#include <stdint.h>

#define STATISTICS_TABLE(X)                                                                                  \
    X(sessions) /* opened */                                                                                 \
    X(sessions_open)                                                                                         \
    X(sessions_refused)                                                                                      \
    X(sessions_held) /* times that a client had to read its replies before more commands were taken */       \
    X(rate_limited)  /* times that a rate said no */                                                         \
    X(accepted)      /* messages answered 250 */                                                             \
    X(refused)       /* messages answered 5xx or 4xx by the worker's decision */                             \
    X(quarantined)                                                                                           \
    X(relay_denied)                                                                                          \
    X(delivered)   /* recipients */                                                                          \
    X(deferred)    /* attempts that left somebody waiting */                                                 \
    X(failed)      /* recipients */                                                                          \
    X(bounced)     /* notifications made */                                                                  \
    X(connections) /* to next hops, opened */                                                                \
    X(connections_open)                                                                                      \
    X(tls_sessions_in)                                                                                       \
    X(tls_sessions_out)

struct statistics {
#define X(name) uint64_t name;
    STATISTICS_TABLE(X)
#undef X
};

#endif
