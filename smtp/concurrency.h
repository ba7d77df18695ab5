/*
 * How many connections one destination may have now: it begins small, grows while mail goes through, halves
 * when the other side pushes back (421, 4xx to a connection or a transaction, no connection, no answer in
 * time), and then grows slowly, as TCP's window does (RFC 5681). Pure; times are monotonic.
 */
#ifndef SEALPOST_SMTP_CONCURRENCY_H
#define SEALPOST_SMTP_CONCURRENCY_H

#include <stddef.h>
#include <stdint.h>

#define CONCURRENCY_FIRST 5

struct concurrency {
    uint64_t window, threshold; /* thousandths of a connection; fast growth ends at the threshold */
    uint64_t failed_ms;         /* failures of one moment are one */
};

void concurrency_init(struct concurrency *c);
/* From 1 to `max` (delivery.max_connections). */
size_t concurrency_limit(const struct concurrency *c, uint64_t max);
void concurrency_worked(struct concurrency *c, uint64_t max); /* a transaction went through */
void concurrency_failed(struct concurrency *c, uint64_t max, uint64_t now_ms);

#endif
