/* Messages in memory (smtp/message.h). */
#include "smtp/message.h"

#include "base/channel.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct message *message_new(struct memory_budget *budget, uint64_t now_ms)
{
    struct message *m = calloc(1, sizeof *m);
    if (m == NULL) {
        return NULL;
    }
    arena_init(&m->arena, MESSAGE_ARENA_MAX);
    m->budget = budget;
    m->body = -1;
    uint8_t random[10];
    random_bytes(random, sizeof random);
    id_make(m->envelope.id, now_ms, random);
    id_format(m->envelope.id, m->id_text);
    m->envelope.arrived_ms = now_ms;
    return m;
}

void message_name(struct message *m, const uint8_t id[ID_SIZE])
{
    memcpy(m->envelope.id, id, ID_SIZE);
    id_format(m->envelope.id, m->id_text);
}

void message_free(struct message *m)
{
    if (m == NULL) {
        return;
    }
    if (m->body >= 0) {
        (void)close(m->body);
    }
    for (size_t i = 0; i < m->envelope.variant_count; i++) {
        if (m->variants[i] >= 0) {
            (void)close(m->variants[i]);
        }
    }
    m->budget->used -= m->charged;
    arena_release(&m->arena);
    free(m);
}

bool message_charge(struct message *m, uint64_t bytes)
{
    if (bytes > m->budget->max - m->budget->used) {
        return false;
    }
    m->budget->used += bytes;
    m->charged += bytes;
    return true;
}

bool message_sealed_size(int fd, uint64_t *size)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    int wanted = F_SEAL_SHRINK | F_SEAL_WRITE;
    if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) != 0) {
        return false;
    }
    *size = (uint64_t)st.st_size;
    return true;
}

static enum status take_refusals(struct message *m, const struct job_result *result)
{
    struct spool_envelope *e = &m->envelope;
    e->refusals = arena_alloc_array(&m->arena, result->refusal_count + 1, sizeof *e->refusals);
    if (e->refusals == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < result->refusal_count; i++) {
        const struct job_refusal *from = &result->refusals[i];
        e->refusals[i] = (struct spool_refusal){
            .recipient = from->recipient, .enhanced = slice_of_text(status_enhanced_code(from->status))};
        if (!arena_copy(&m->arena, from->reason, &e->refusals[i].reason)) {
            return STATUS_NO_MEMORY;
        }
    }
    e->refusal_count = result->refusal_count;
    return STATUS_OK;
}

#define HEADER_PIECE ((size_t)16 << 10)

/* Is there a byte beyond ASCII before the empty line? A file that cannot be read counts as one that has. */
static bool header_beyond_ascii(int fd)
{
    uint8_t piece[HEADER_PIECE];
    bool line_start = false; /* behind a CRLF */
    off_t at = 0;
    for (;;) {
        ssize_t n = pread(fd, piece, sizeof piece, at);
        if (n < 0) {
            return true;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] >= 0x80) {
                return true;
            }
            if (line_start && piece[i] == '\r') {
                return false;
            }
            line_start = piece[i] == '\n';
        }
        if (n == 0) {
            return false;
        }
        at += n;
    }
}

enum status message_take_variants(struct message *m, const struct job_result *result, int *fds,
                                  size_t fd_count)
{
    struct spool_envelope *e = &m->envelope;
    if (result->variant_count != fd_count || fd_count > JOB_VARIANTS_MAX) {
        return STATUS_MALFORMED;
    }
    struct spool_variant *variants = arena_alloc_array(&m->arena, fd_count + 1, sizeof *variants);
    if (variants == NULL || !arena_copy(&m->arena, result->trace, &e->trace) ||
        take_refusals(m, result) != STATUS_OK) {
        return STATUS_NO_MEMORY;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < fd_count; i++) {
        const struct job_variant *from = &result->variants[i];
        struct spool_variant *to = &variants[i];
        if (!message_sealed_size(fds[i], &to->size)) {
            return STATUS_MALFORMED;
        }
        total += from->unchanged ? 0 : to->size;
        to->needs_8bit = from->needs_8bit;
        to->utf8_header = (e->promises & SPOOL_SMTPUTF8) != 0 && header_beyond_ascii(fds[i]);
        to->recipients = arena_alloc_array(&m->arena, from->recipient_count + 1, sizeof(size_t));
        to->quarantine = from->quarantine;
        if (to->recipients == NULL || !arena_copy(&m->arena, from->protection, &to->protection) ||
            !arena_copy(&m->arena, from->quarantine_reason, &to->quarantine_reason) ||
            !arena_copy(&m->arena, from->next_hop, &to->next_hop)) {
            return STATUS_NO_MEMORY;
        }
        memcpy(to->recipients, from->recipients, from->recipient_count * sizeof(size_t));
        to->recipient_count = from->recipient_count;
    }
    /* It is here already: counted, though it may pass the limit; the next message meets it then. */
    m->budget->used += total;
    m->charged += total;
    for (size_t i = 0; i < fd_count; i++) {
        m->variants[i] = fds[i];
        fds[i] = -1;
    }
    e->variants = variants;
    e->variant_count = fd_count;
    return STATUS_OK;
}

enum status message_take_body(struct message *m, uint64_t size, bool needs_8bit, struct slice reason)
{
    struct spool_envelope *e = &m->envelope;
    struct spool_variant *variant = arena_alloc_array(&m->arena, 1, sizeof *variant);
    size_t *positions = arena_alloc_array(&m->arena, e->recipient_count + 1, sizeof(size_t));
    struct slice why;
    if (variant == NULL || positions == NULL || !arena_copy(&m->arena, reason, &why)) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < e->recipient_count; i++) {
        positions[i] = i;
    }
    *variant = (struct spool_variant){.size = size,
                                      .needs_8bit = needs_8bit,
                                      .quarantine = true,
                                      .quarantine_reason = why,
                                      .protection = SLICE_LITERAL("none"),
                                      .recipients = positions,
                                      .recipient_count = e->recipient_count};
    m->variants[0] = m->body;
    m->body = -1;
    e->variants = variant;
    e->variant_count = 1;
    return STATUS_OK;
}
