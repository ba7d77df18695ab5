/*
 * A message in memory: its envelope and its variants as sealed memfds, from DATA until its first attempt at
 * delivery. The sum of what all messages hold is bounded by struct memory_budget: 452 above it.
 */
#ifndef SEALPOST_SMTP_MESSAGE_H
#define SEALPOST_SMTP_MESSAGE_H

#include "mail/job.h"
#include "smtp/spool_envelope.h"

struct memory_budget {
    uint64_t used, max; /* bytes */
};

struct message {
    struct arena arena;
    struct memory_budget *budget;
    uint64_t charged; /* bytes taken from the budget */
    char id_text[ID_TEXT_SIZE];
    struct spool_envelope envelope; /* variants are filled in from the worker's answer */
    int body;                       /* what came in, sealed; -1 when it is not needed any more */
    int variants[JOB_VARIANTS_MAX]; /* one descriptor a variant */
};

#define MESSAGE_ARENA_MAX ((size_t)32 << 20)

/* NULL when memory is short. The id is made here. */
struct message *message_new(struct memory_budget *budget, uint64_t now_ms);
/* Another id in place of that which was made. */
void message_name(struct message *m, const uint8_t id[ID_SIZE]);
void message_free(struct message *m); /* NULL is fine; closes, gives back to the budget */
/* False, and nothing taken, if there is no room. */
bool message_charge(struct message *m, uint64_t bytes);
/* Take over the worker's variants and refusals: sizes, positions, texts, descriptors (set to -1 in `fds`).
 * Refuses what is not sealed. */
enum status message_take_variants(struct message *m, const struct job_result *result, int *fds,
                                  size_t fd_count) MUST_CHECK;
/* The size of a memfd that nobody can change any more; false if it is none. */
bool message_sealed_size(int fd, uint64_t *size);
/* What came in becomes the only variant, for all recipients, in quarantine for `reason` (copied). */
enum status message_take_body(struct message *m, uint64_t size, bool needs_8bit,
                              struct slice reason) MUST_CHECK;

#endif
