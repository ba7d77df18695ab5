/*
 * The spool's side towards the loop: opening, the queue of requests, results, closing. smtp/spool.h tells the
 * whole; smtp/spool_writer.c is the thread behind it.
 */
#include "smtp/spool_internal.h"

#include "base/log.h"
#include "crypto/chunk_cipher.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define BATCH_MAX ((size_t)64 << 20) /* one envelope record and one write's worth: far below */

static void on_wake_closed(uv_handle_t *handle)
{
    struct spool *s = handle->data;
    s->closed(s->closed_context);
}

/* Results and the end of the thread, on the loop. */
static void on_wake(uv_async_t *async)
{
    struct spool *s = async->data;
    pthread_mutex_lock(&s->lock);
    struct spool_add *done = s->done;
    s->done = NULL;
    s->done_tail = &s->done;
    bool stopped = s->stopped && s->thread_started;
    pthread_mutex_unlock(&s->lock);
    while (done != NULL) {
        struct spool_add *next = done->next; /* the callback may free it */
        done->cb(done);
        done = next;
    }
    if (stopped) {
        s->thread_started = false;
        (void)pthread_join(s->thread, NULL);
        uv_close((uv_handle_t *)&s->wake, on_wake_closed);
    }
}

static enum status open_folder(struct spool *s, struct failure *f)
{
    if (mkdir(s->dir, 0700) != 0 && errno != EEXIST) {
        return failure_errno(f, errno, "cannot make the spool folder");
    }
    s->dir_fd = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return s->dir_fd < 0 ? failure_errno(f, errno, "cannot open the spool folder") : STATUS_OK;
}

enum status spool_open(const struct spool_options *options, spool_found_cb found, void *context,
                       struct spool **out, struct failure *f)
{
    struct spool *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the spool");
    }
    s->loop = options->loop;
    s->node_id = options->node_id;
    s->segment_size = options->segment_size != 0 ? options->segment_size : SPOOL_SEGMENT_SIZE;
    s->adds_tail = &s->adds;
    s->notes_tail = &s->notes;
    s->done_tail = &s->done;
    s->dir_fd = -1;
    s->batch = BUF_INIT(BATCH_MAX);
    s->plain = malloc(CHUNK_PLAIN_SIZE);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_cond_init(&s->work, NULL);
    (void)pthread_cond_init(&s->published, NULL);
    enum status status = STATUS_INVALID;
    int n = snprintf(s->dir, sizeof s->dir, "%s", options->dir);
    if (n < 0 || (size_t)n >= sizeof s->dir || options->key.len != SPOOL_KEY_SIZE) {
        (void)failure_set(f, status, "the spool's folder or key is not valid");
        goto err;
    }
    status = s->plain == NULL ? STATUS_NO_MEMORY : secret_copy(&s->key, options->key);
    if (status == STATUS_OK) {
        status = secret_alloc(&s->message_key, SPOOL_KEY_SIZE);
    }
    if (status != STATUS_OK) {
        (void)failure_set(f, status, "no memory for the spool");
        goto err;
    }
    status = open_folder(s, f);
    if (status != STATUS_OK) {
        goto err;
    }
    struct failure why = {0};
    status = spool_recover(s, found, context, &why);
    if (status != STATUS_OK) {
        (void)failure_set(f, status, "%s", why.text);
        goto err;
    }
    if (uv_async_init(s->loop, &s->wake, on_wake) != 0) {
        status = failure_set(f, STATUS_NO_MEMORY, "no memory for the spool");
        goto err;
    }
    s->wake.data = s;
    if (pthread_create(&s->thread, NULL, spool_writer_main, s) != 0) {
        uv_close((uv_handle_t *)&s->wake, NULL);
        status = failure_set(f, STATUS_NO_MEMORY, "cannot start the spool's thread");
        /* The handle lives in `s` until the loop has turned: it stays allocated, for the program ends now. */
        return status;
    }
    s->thread_started = true;
    *out = s;
    return STATUS_OK;
err:
    spool_free(s);
    return status;
}

void spool_free(struct spool *s)
{
    if (s == NULL) {
        return;
    }
    while (s->notes != NULL) {
        struct spool_note *next = s->notes->next;
        buf_release(&s->notes->payload);
        free(s->notes);
        s->notes = next;
    }
    spool_segments_list_reset(s);
    spool_table_release(&s->table);
    buf_release(&s->batch);
    secret_release(&s->key);
    secret_release(&s->message_key);
    free(s->plain);
    if (s->dir_fd >= 0) {
        (void)close(s->dir_fd);
    }
    (void)pthread_mutex_destroy(&s->lock);
    (void)pthread_cond_destroy(&s->work);
    (void)pthread_cond_destroy(&s->published);
    free(s);
}

void spool_close(struct spool *s, void (*closed)(void *context), void *context)
{
    pthread_mutex_lock(&s->lock);
    s->closed = closed;
    s->closed_context = context;
    s->stopping = true;
    (void)pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
}

void spool_add(struct spool *s, struct spool_add *add)
{
    add->next = NULL;
    add->bytes = 0;
    pthread_mutex_lock(&s->lock);
    bool idle = s->adds == NULL;
    *s->adds_tail = add;
    s->adds_tail = &add->next;
    if (idle) {
        (void)pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
}

static void note_put(struct spool *s, struct spool_note *note)
{
    note->next = NULL;
    pthread_mutex_lock(&s->lock);
    bool idle = s->adds == NULL && s->notes == NULL;
    struct spool_place *place = note->type == SPOOL_NOTE_STATE ? spool_table_find(&s->table, note->id) : NULL;
    if (place != NULL && place->states_pending < UINT16_MAX) {
        place->states_pending++;
    }
    *s->notes_tail = note;
    s->notes_tail = &note->next;
    if (idle) {
        (void)pthread_cond_signal(&s->work);
    }
    pthread_mutex_unlock(&s->lock);
}

static struct spool_note *note_new(enum spool_note_type type, const uint8_t id[ID_SIZE])
{
    struct spool_note *note = calloc(1, sizeof *note);
    if (note == NULL) {
        log_event(LOG_ERROR, "no memory to note what became of a message");
        return NULL;
    }
    note->type = type;
    memcpy(note->id, id, ID_SIZE);
    note->payload = BUF_INIT(SPOOL_PAYLOAD_MAX);
    return note;
}

void spool_put_state(struct spool *s, const uint8_t id[ID_SIZE], const struct spool_state *state)
{
    struct spool_note *note = note_new(SPOOL_NOTE_STATE, id);
    if (note == NULL) {
        return;
    }
    struct buf texts = BUF_INIT(SPOOL_PAYLOAD_MAX / 2);
    struct buf sealed = BUF_INIT(SPOOL_PAYLOAD_MAX / 2 + 256);
    enum status status = spool_state_encode_texts(state, &texts);
    if (status == STATUS_OK && texts.len > 0) {
        status = spool_seal_for("state:", secret_slice(&s->key), id, buf_slice(&texts), &sealed);
    }
    if (status != STATUS_OK) {
        buf_reset(&sealed); /* the texts are for people; the states matter more */
    }
    status = spool_state_encode(state, buf_slice(&sealed), &note->payload);
    buf_release(&texts);
    buf_release(&sealed);
    if (status != STATUS_OK) {
        log_event(LOG_ERROR, "a delivery state could not be written", LOG_TEXT("error", status_text(status)));
        buf_release(&note->payload);
        free(note);
        return;
    }
    note_put(s, note);
}

void spool_delete(struct spool *s, const uint8_t id[ID_SIZE])
{
    struct spool_note *note = note_new(SPOOL_NOTE_DELETE, id);
    if (note != NULL) {
        note_put(s, note);
    }
}

void spool_counts_get(struct spool *s, struct spool_counts *out)
{
    pthread_mutex_lock(&s->lock);
    *out = s->counts;
    pthread_mutex_unlock(&s->lock);
}
