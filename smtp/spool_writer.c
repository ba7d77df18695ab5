/*
 * The spool's writer thread. One turn: take everything that waits, write its records, one fdatasync if a
 * message is among it, then publish the places and hand the messages back to the loop. While the disk syncs,
 * the next group gathers.
 *
 * Failure of a write or sync: the segment is cut back to where the group began, all messages of the group get
 * the status, notes go back to the queue, and the next turn begins a new segment (after a failed fdatasync
 * the kernel may have dropped the pages: the old segment cannot be trusted with more).
 */
#include "smtp/spool_internal.h"

#include "base/log.h"

#include <errno.h>
#include <time.h>

#define NOTES_SYNC_MS 1000
#define RETRY_MS      1000

struct group {
    struct spool_add *adds;
    struct spool_note *notes;
};

static void publish_message(struct spool *s, const uint8_t id[ID_SIZE], const struct spool_placed *placed,
                            unsigned flags)
{
    struct spool_place *place = spool_table_put(&s->table, id);
    if (place == NULL) {
        /* It is durable and will be found at the next start; nothing else can be done about it now. */
        log_event(LOG_ERROR, "no memory for the spool's table");
        return;
    }
    if (place->segment != NULL) {
        spool_live_remove(s, place);
    }
    place->segment = placed->segment;
    place->offset = placed->offset;
    place->length = placed->length;
    place->commit_flags = (uint8_t)flags;
    spool_live_add(s, place);
}

static void publish_note(struct spool *s, const struct spool_note *note, uint64_t offset, uint32_t length)
{
    struct spool_place *place = spool_table_find(&s->table, note->id);
    if (place == NULL) {
        return;
    }
    if (note->type == SPOOL_NOTE_DELETE) {
        spool_live_remove(s, place);
        spool_table_remove(&s->table, place);
    } else {
        place->state_segment = s->current;
        place->state_offset = offset;
        place->state_length = length;
        place->states_pending = (uint16_t)(place->states_pending - (place->states_pending > 0));
    }
}

/* Where each record of the group came to lie, in the order of the lists. */
struct written {
    struct spool_placed *messages;
    uint64_t *note_offsets;
    uint32_t *note_lengths;
};

static enum status write_group(struct spool *s, struct group *g, struct written *w, struct failure *f)
{
    s->good = s->current != NULL ? s->current->size : 0;
    if (s->current == NULL || spool_batch_offset(s) >= s->segment_size) {
        if (s->current != NULL && s->unsynced_notes) {
            enum status status = spool_batch_sync(s, f);
            if (status != STATUS_OK) {
                return status;
            }
        }
        enum status status = spool_segment_create(s, f);
        if (status != STATUS_OK) {
            return status;
        }
    }
    s->good = s->current->size;
    size_t n = 0;
    for (struct spool_add *add = g->adds; add != NULL; add = add->next) {
        size_t before = s->batch.len;
        uint64_t size_before = s->current->size;
        add->failure = (struct failure){0};
        add->status = spool_write_message(s, add, &w->messages[n++], &add->failure);
        if (add->status == STATUS_IO || add->status == STATUS_NO_SPACE) {
            return failure_set(f, add->status, "%s", add->failure.text);
        }
        if (add->status != STATUS_OK) {
            /* This message's own fault (its memfd, memory): take back its records and go on with the others.
             */
            if (s->current->size != size_before) {
                return failure_set(f, STATUS_IO, "a message could not be written whole");
            }
            s->batch.len = before;
        }
    }
    n = 0;
    for (struct spool_note *note = g->notes; note != NULL; note = note->next, n++) {
        enum status status = spool_write_note(s, note, &w->note_offsets[n], &w->note_lengths[n], f);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (g->adds != NULL) {
        return spool_batch_sync(s, f);
    }
    enum status status = spool_batch_flush(s, f);
    if (status == STATUS_OK && !s->unsynced_notes) {
        s->unsynced_notes = true;
        s->unsynced_since_ms = clock_monotonic_ms();
    }
    return status;
}

static void finish_adds(struct spool *s, struct spool_add *adds)
{
    if (adds == NULL) {
        return;
    }
    *s->done_tail = adds;
    while (*s->done_tail != NULL) {
        s->done_tail = &(*s->done_tail)->next;
    }
    (void)uv_async_send(&s->wake);
}

static void notes_free(struct spool_note *notes)
{
    while (notes != NULL) {
        struct spool_note *next = notes->next;
        buf_release(&notes->payload);
        free(notes);
        notes = next;
    }
}

static void group_succeeded(struct spool *s, struct group *g, const struct written *w)
{
    pthread_mutex_lock(&s->lock);
    size_t n = 0;
    for (struct spool_add *add = g->adds; add != NULL; add = add->next, n++) {
        if (add->status == STATUS_OK) {
            publish_message(s, add->envelope->id, &w->messages[n], add->commit_flags);
            add->bytes = w->messages[n].length;
        }
    }
    s->counts.groups += g->adds != NULL;
    n = 0;
    for (struct spool_note *note = g->notes; note != NULL; note = note->next, n++) {
        publish_note(s, note, w->note_offsets[n], w->note_lengths[n]);
    }
    finish_adds(s, g->adds);
    (void)pthread_cond_broadcast(&s->published);
    spool_segments_collect(s);
    pthread_mutex_unlock(&s->lock);
    notes_free(g->notes);
}

static void group_failed(struct spool *s, struct group *g, enum status status, const struct failure *f)
{
    log_event(LOG_ERROR, "the spool cannot be written", LOG_TEXT("error", f->text));
    spool_batch_abandon(s, s->good);
    for (struct spool_add *add = g->adds; add != NULL; add = add->next) {
        add->status = status;
        add->failure = *f;
    }
    pthread_mutex_lock(&s->lock);
    finish_adds(s, g->adds);
    if (g->notes != NULL) {
        struct spool_note *last = g->notes;
        while (last->next != NULL) {
            last = last->next;
        }
        last->next = s->notes;
        if (s->notes == NULL) {
            s->notes_tail = &last->next;
        }
        s->notes = g->notes;
    }
    pthread_mutex_unlock(&s->lock);
}

static size_t adds_count(const struct spool_add *a)
{
    size_t n = 0;
    for (; a != NULL; a = a->next) {
        n++;
    }
    return n;
}

static size_t notes_count(const struct spool_note *a)
{
    size_t n = 0;
    for (; a != NULL; a = a->next) {
        n++;
    }
    return n;
}

/* False when it failed. */
static bool run_group(struct spool *s, struct group *g)
{
    size_t adds = adds_count(g->adds), notes = notes_count(g->notes);
    struct written w = {
        .messages = calloc(adds + 1, sizeof w.messages[0]),
        .note_offsets = calloc(notes + 1, sizeof w.note_offsets[0]),
        .note_lengths = calloc(notes + 1, sizeof w.note_lengths[0]),
    };
    struct failure f = {0};
    enum status status = STATUS_NO_MEMORY;
    if (w.messages != NULL && w.note_offsets != NULL && w.note_lengths != NULL) {
        status = write_group(s, g, &w, &f);
    }
    if (status == STATUS_OK) {
        group_succeeded(s, g, &w);
    } else {
        group_failed(s, g, status, &f);
    }
    free(w.messages);
    free(w.note_offsets);
    free(w.note_lengths);
    return status == STATUS_OK;
}

static void wait_until(struct spool *s, uint64_t wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_cond_timedwait(&s->work, &s->lock, &until);
}

/* Nothing waits: sync what was noted a while ago, or tidy up. Called with the lock held. */
static void idle(struct spool *s)
{
    uint64_t age = s->unsynced_notes ? clock_monotonic_ms() - s->unsynced_since_ms : 0;
    if (s->unsynced_notes && age >= NOTES_SYNC_MS) {
        pthread_mutex_unlock(&s->lock);
        struct failure f = {0};
        if (spool_batch_sync(s, &f) != STATUS_OK) {
            log_event(LOG_ERROR, "the spool cannot be synced", LOG_TEXT("error", f.text));
            s->unsynced_notes = false;
            s->current = NULL;
        }
        pthread_mutex_lock(&s->lock);
        return;
    }
    pthread_mutex_unlock(&s->lock);
    bool more = spool_compact_step(s);
    pthread_mutex_lock(&s->lock);
    if (!more && s->adds == NULL && s->notes == NULL && !s->stopping) {
        wait_until(s, s->unsynced_notes ? NOTES_SYNC_MS - age : 60000);
    }
}

void *spool_writer_main(void *context)
{
    struct spool *s = context;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        if (s->adds == NULL && s->notes == NULL) {
            if (s->stopping) {
                break;
            }
            idle(s);
            continue;
        }
        struct group g = {.adds = s->adds, .notes = s->notes};
        s->adds = NULL;
        s->adds_tail = &s->adds;
        s->notes = NULL;
        s->notes_tail = &s->notes;
        pthread_mutex_unlock(&s->lock);
        bool good = run_group(s, &g);
        pthread_mutex_lock(&s->lock);
        if (!good && s->adds == NULL && s->notes != NULL) {
            if (s->stopping) {
                break; /* the disk refuses even now: what these notes say happens again, nothing is lost */
            }
            wait_until(s, RETRY_MS);
        }
    }
    pthread_mutex_unlock(&s->lock);
    struct failure f = {0};
    if (s->current != NULL && s->unsynced_notes && spool_batch_sync(s, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the spool cannot be synced", LOG_TEXT("error", f.text));
    }
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    (void)uv_async_send(&s->wake);
    pthread_mutex_unlock(&s->lock);
    return NULL;
}
