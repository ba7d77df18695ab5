/*
 * Segments: making, counting what lives in them, removing the oldest (smtp/spool_format.h says why only
 * those).
 */
#include "smtp/spool_internal.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

void spool_segment_name(uint64_t number, char name[32])
{
    if (snprintf(name, 32, "%08" PRIu64 ".seg", number) < 0) {
        name[0] = '\0';
    }
}

struct spool_segment *spool_segment_append(struct spool *s, uint64_t number, int fd, uint64_t size)
{
    struct spool_segment *segment = calloc(1, sizeof *segment);
    if (segment == NULL) {
        return NULL;
    }
    segment->number = number;
    segment->fd = fd;
    segment->size = size;
    segment->refs = 1;
    pthread_mutex_lock(&s->lock);
    if (s->newest != NULL) {
        s->newest->next = segment;
    } else {
        s->oldest = segment;
    }
    s->newest = segment;
    s->counts.segments++;
    pthread_mutex_unlock(&s->lock);
    return segment;
}

enum status spool_segment_create(struct spool *s, struct failure *f)
{
    uint64_t number = s->newest != NULL ? s->newest->number + 1 : 1;
    char name[32];
    spool_segment_name(number, name);
    int fd = openat(s->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        return failure_errno(f, errno, "cannot make the spool segment %s", name);
    }
    uint8_t payload[SPOOL_SEGMENT_PAYLOAD];
    spool_put_u32(payload, SPOOL_FORMAT_VERSION);
    spool_put_u64(payload + 4, s->node_id);
    spool_put_u64(payload + 12, clock_wall_ms());
    struct spool_record record = {.type = SPOOL_RECORD_SEGMENT};
    struct buf head = BUF_INIT(1024);
    enum status status = spool_record_append(&head, &record, slice_of(payload, sizeof payload));
    if (status == STATUS_OK) {
        ssize_t n = pwrite(fd, head.data, head.len, 0);
        if (n != (ssize_t)head.len) {
            status = failure_errno(f, n < 0 ? errno : ENOSPC, "cannot write the spool segment %s", name);
        } else if (fsync(s->dir_fd) != 0) {
            status = failure_errno(f, errno, "cannot sync the spool folder");
        }
    }
    struct spool_segment *segment =
        status == STATUS_OK ? spool_segment_append(s, number, fd, head.len) : NULL;
    if (segment == NULL) {
        (void)unlinkat(s->dir_fd, name, 0);
        (void)close(fd);
        buf_release(&head);
        return status == STATUS_OK ? failure_set(f, STATUS_NO_MEMORY, "no memory for a spool segment")
                                   : status;
    }
    s->current = segment;
    buf_release(&head);
    return STATUS_OK;
}

void spool_segment_unref(struct spool *s, struct spool_segment *segment)
{
    (void)s;
    if (--segment->refs == 0) {
        (void)close(segment->fd);
        free(segment);
    }
}

void spool_live_add(struct spool *s, struct spool_place *place)
{
    place->segment->live++;
    place->segment->live_bytes += place->length;
    s->counts.messages++;
    s->counts.bytes += place->length;
}

void spool_live_remove(struct spool *s, struct spool_place *place)
{
    place->segment->live--;
    place->segment->live_bytes -= place->length;
    s->counts.messages--;
    s->counts.bytes -= place->length;
}

void spool_segments_collect(struct spool *s)
{
    while (s->oldest != NULL && s->oldest != s->newest && s->oldest != s->current && s->oldest->live == 0) {
        struct spool_segment *gone = s->oldest;
        char name[32];
        spool_segment_name(gone->number, name);
        if (unlinkat(s->dir_fd, name, 0) != 0 && errno != ENOENT) {
            log_event(LOG_WARN, "a spool segment cannot be removed", LOG_TEXT("name", name),
                      LOG_TEXT("error", strerror(errno)));
            return;
        }
        s->oldest = gone->next;
        s->counts.segments--;
        spool_segment_unref(s, gone);
    }
}

void spool_segments_list_reset(struct spool *s)
{
    while (s->oldest != NULL) {
        struct spool_segment *gone = s->oldest;
        s->oldest = gone->next;
        spool_segment_unref(s, gone);
    }
    s->newest = NULL;
    s->current = NULL;
}
