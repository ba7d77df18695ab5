/*
 * What happens to mail on this node, as it happens, for those who follow (`sealpostctl queue follow`). The
 * last QUEUE_EVENTS_MAX are kept, numbered from 1; nothing is kept while nobody has asked for a minute. On
 * the loop's thread.
 */
#ifndef SEALPOST_SMTP_QUEUE_EVENTS_H
#define SEALPOST_SMTP_QUEUE_EVENTS_H

#include "smtp/queue_protocol.h"

#define QUEUE_EVENTS_MAX 2048

struct queue_events {
    struct buf kept[QUEUE_EVENTS_MAX]; /* by number modulo; encoded */
    uint64_t newest;                   /* number of the last; 0: there was none */
    uint64_t followed_until_ms;        /* monotonic */
};

void queue_events_release(struct queue_events *x);
/* Texts are cut at 512 bytes. */
void queue_events_note(struct queue_events *x, const char *event, const uint8_t id[ID_SIZE],
                       const struct queue_event *about);
/* Somebody asks: events are kept for a minute from now. */
void queue_events_follow(struct queue_events *x);
/* Those after `after`, at most `most`, as one array; how many were forgotten before that goes to *lost, the
 * last one's number to *newest. */
enum status queue_events_after(const struct queue_events *x, uint64_t after, size_t most, struct buf *out,
                               uint64_t *lost, uint64_t *newest) MUST_CHECK;

#endif
