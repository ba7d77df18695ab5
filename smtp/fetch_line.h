/*
 * Questions of the smtp role to the fetch role (mail/fetch_protocol.h), over run/fetch.sock, on the loop. An
 * answer that does not come in time is UNAVAILABLE; a line that breaks answers all that wait, and is made
 * anew at the next question.
 */
#ifndef SEALPOST_SMTP_FETCH_LINE_H
#define SEALPOST_SMTP_FETCH_LINE_H

#include "mail/fetch_protocol.h"

#include <uv.h>

struct fetch_line;

/* `results`: of an answer that is OK, at its results; valid within the call. Else `why` says why not. */
typedef void (*fetch_answered_cb)(void *context, enum status status, struct slice why,
                                  struct msgpack_reader *results);

/* `path`: FETCH_SOCKET; another in tests. */
enum status fetch_line_new(uv_loop_t *loop, const char *path, struct fetch_line **out) MUST_CHECK;
/* `cb` is called once, never from within, unless it is cancelled; gives the question's number, 0 when it
 * could not be asked (then `cb` is not called). */
uint64_t fetch_line_ask(struct fetch_line *l, struct fetch_question *q, uint64_t timeout_ms,
                        fetch_answered_cb cb, void *context);
void fetch_line_cancel(struct fetch_line *l, uint64_t number); /* fine when there is no such question */
/* Nobody is answered any more; then `closed`. */
void fetch_line_close(struct fetch_line *l, void (*closed)(void *context), void *context);

#endif
