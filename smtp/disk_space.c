/* Room on the spool's disk (smtp/disk_space.h). */
#include "smtp/disk_space.h"

#include "base/log.h"

#include <string.h>

#define INTERVAL_MS 1000

static void note(struct disk_space *d, uv_fs_t *request)
{
    const uv_statfs_t *found = request->ptr;
    d->known = request->result == 0 && found != NULL;
    if (d->known) {
        d->free = found->f_bavail * found->f_bsize;
    }
    uv_fs_req_cleanup(request);
}

static void on_answer(uv_fs_t *request)
{
    struct disk_space *d = request->data;
    d->asking = false;
    note(d, request);
}

static void on_timer(uv_timer_t *timer)
{
    struct disk_space *d = timer->data;
    if (!d->asking) { /* a disk that does not answer is asked once */
        d->request.data = d;
        d->asking = uv_fs_statfs(timer->loop, &d->request, d->path, on_answer) == 0;
    }
}

void disk_space_start(struct disk_space *d, uv_loop_t *loop, const char *path)
{
    *d = (struct disk_space){.open = true};
    (void)!snprintf(d->path, sizeof d->path, "%s", path);
    (void)uv_fs_statfs(loop, &d->request, d->path, NULL);
    note(d, &d->request);
    d->timer.data = d;
    (void)uv_timer_init(loop, &d->timer);
    (void)uv_timer_start(&d->timer, on_timer, INTERVAL_MS, INTERVAL_MS);
}

void disk_space_stop(struct disk_space *d)
{
    if (d->open) {
        d->open = false;
        uv_close((uv_handle_t *)&d->timer, NULL);
    }
}

bool disk_space_holds(struct disk_space *d, uint64_t bytes, uint64_t reserve)
{
    bool holds = !d->known || (d->free >= reserve && d->free - reserve >= bytes);
    if (!holds && !d->low) {
        log_event(LOG_ERROR, "disk space is low: new mail is deferred", LOG_TEXT("folder", d->path),
                  LOG_NUMBER("free", d->free), LOG_NUMBER("reserve", reserve));
    }
    if (bytes == 0 || !holds) {
        d->low = !holds;
    }
    return holds;
}
