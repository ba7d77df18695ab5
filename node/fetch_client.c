/* See fetch_client.h. */
#include "node/fetch_client.h"

#include "base/clock.h"

#include <unistd.h>

#define QUESTION_MAX ((FETCH_CERTIFICATES_MAX + 1) * FETCH_CERTIFICATE_MAX + 4096)
#define LEAST_MS     100 /* a shorter wait is not worth a question */

void fetch_client_init(struct fetch_client *c, uint64_t now_ms)
{
    *c = (struct fetch_client){.fd = -1, .counted_ms = now_ms, .saved_ms = FETCH_WAITING_SAVED_MS};
    channel_frame_init(&c->frame);
}

static void disconnect(struct fetch_client *c)
{
    if (c->fd >= 0) {
        close(c->fd);
    }
    c->fd = -1;
}

void fetch_client_release(struct fetch_client *c)
{
    disconnect(c);
    channel_frame_release(&c->frame);
}

static void save_up(struct fetch_client *c, uint64_t now)
{
    c->saved_ms += (now - c->counted_ms) / FETCH_WAITING_SHARE_MAX;
    c->counted_ms = now;
    if (c->saved_ms > FETCH_WAITING_SAVED_MS) {
        c->saved_ms = FETCH_WAITING_SAVED_MS;
    }
}

/* The answer to this question; what is of an earlier one is dropped. */
static enum status await(struct fetch_client *c, uint64_t number, uint64_t deadline,
                         struct fetch_answer *answer, struct msgpack_reader *results)
{
    for (;;) {
        enum status status = channel_receive(c->fd, &c->frame);
        if (status == STATUS_OK) {
            status = fetch_answer_decode(buf_slice(&c->frame.payload), answer, results);
            if (status != STATUS_OK || answer->number == number) {
                return status;
            }
            continue;
        }
        if (status != STATUS_BUSY) {
            return status;
        }
        uint64_t now = clock_monotonic_ms();
        if (now >= deadline) {
            return STATUS_TIMEOUT;
        }
        if ((status = channel_wait_readable(c->fd, (int)(deadline - now))) != STATUS_OK) {
            return status;
        }
    }
}

enum status fetch_client_ask(struct fetch_client *c, struct fetch_question *q, unsigned wait_ms,
                             struct fetch_answer *answer, struct msgpack_reader *results)
{
    struct buf frame = BUF_INIT(QUESTION_MAX);
    uint64_t start = clock_monotonic_ms();
    save_up(c, start);
    if (c->saved_ms < LEAST_MS) {
        return STATUS_BUSY;
    }
    uint64_t wait = wait_ms < c->saved_ms ? wait_ms : c->saved_ms;
    q->number = ++c->next_number;
    enum status status = fetch_question_encode(q, &frame);
    if (status == STATUS_OK && c->fd < 0 && channel_connect(FETCH_SOCKET, &c->fd, NULL) != STATUS_OK) {
        c->fd = -1;
        status = STATUS_UNAVAILABLE;
    }
    if (status == STATUS_OK) {
        status = channel_send(c->fd, buf_slice(&frame), NULL, 0);
    }
    if (status == STATUS_OK) {
        status = await(c, q->number, start + wait, answer, results);
    }
    if (status != STATUS_OK) { /* a late answer must not be taken for that to a later question */
        disconnect(c);
    }
    buf_release(&frame);
    uint64_t waited = clock_monotonic_ms() - start;
    c->saved_ms -= waited < c->saved_ms ? waited : c->saved_ms;
    c->counted_ms = start + waited;
    return status;
}
