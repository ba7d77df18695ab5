/* Counts of TLS on disk (smtp/tls_report_store.h). */
#include "smtp/tls_report_store.h"

#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLUSH_MS       60000
#define PATH_MAX_BYTES 300

struct tls_report_store {
    uv_loop_t *loop;
    char dir[200];
    struct tls_reports *today;
    bool dirty, writing, closing, timer_closed;
    uv_timer_t timer;
    uv_work_t work;
    struct buf file; /* what is written */
    uint64_t file_day_ms;
    void (*closed)(void *context);
    void *closed_context;
};

static void path_of(const struct tls_report_store *s, uint64_t day_ms, const char *ending,
                    char out[PATH_MAX_BYTES])
{
    (void)!snprintf(out, PATH_MAX_BYTES, "%s/%llu%s", s->dir,
                    (unsigned long long)(day_ms / TLS_REPORT_DAY_MS), ending);
}

static struct tls_reports *read_file(const struct tls_report_store *s, uint64_t day_ms)
{
    char path[PATH_MAX_BYTES], aside[PATH_MAX_BYTES];
    struct buf content = BUF_INIT(TLS_REPORT_FILE_MAX);
    struct tls_reports *r = NULL;
    struct stat info;
    path_of(s, day_ms, "", path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    bool good = fstat(fd, &info) == 0 && info.st_size >= 0 && (uint64_t)info.st_size <= TLS_REPORT_FILE_MAX &&
                buf_reserve(&content, (size_t)info.st_size) == STATUS_OK &&
                read(fd, content.data, (size_t)info.st_size) == info.st_size;
    (void)close(fd);
    if (good) {
        content.len = (size_t)info.st_size;
        good = tls_reports_decode(buf_slice(&content), &r) == STATUS_OK;
    }
    if (!good) {
        path_of(s, day_ms, ".damaged", aside);
        (void)!rename(path, aside);
        log_event(LOG_ERROR, "a day's counts of TLS cannot be read and are set aside",
                  LOG_TEXT("file", aside));
    }
    buf_release(&content);
    return r;
}

/* Whole, or as it was before. */
static bool write_file(const struct tls_report_store *s)
{
    char path[PATH_MAX_BYTES], fresh[PATH_MAX_BYTES];
    path_of(s, s->file_day_ms, "", path);
    path_of(s, s->file_day_ms, ".new", fresh);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool good = fd >= 0 && write(fd, s->file.data, s->file.len) == (ssize_t)s->file.len && fdatasync(fd) == 0;
    if (fd >= 0) {
        good = close(fd) == 0 && good;
    }
    return good && rename(fresh, path) == 0;
}

static bool prepare(struct tls_report_store *s)
{
    buf_reset(&s->file);
    s->file_day_ms = tls_reports_day(s->today);
    s->dirty = false;
    return tls_reports_encode(s->today, &s->file) == STATUS_OK;
}

static void run(uv_work_t *work)
{
    struct tls_report_store *s = work->data;
    if (!write_file(s)) {
        log_event(LOG_WARN, "counts of TLS cannot be written", LOG_NUMBER("errno", errno));
    }
}

static void free_perhaps(struct tls_report_store *s)
{
    if (!s->closing || s->writing || !s->timer_closed) {
        return;
    }
    if (s->dirty && prepare(s)) {
        (void)write_file(s);
    }
    void (*closed)(void *context) = s->closed;
    void *context = s->closed_context;
    tls_reports_free(s->today);
    buf_release(&s->file);
    free(s);
    closed(context);
}

static void after(uv_work_t *work, int error)
{
    struct tls_report_store *s = work->data;
    (void)error;
    s->writing = false;
    free_perhaps(s);
}

static void flush(struct tls_report_store *s)
{
    if (!s->dirty || s->writing || !prepare(s)) {
        return;
    }
    s->work.data = s;
    s->writing = uv_queue_work(s->loop, &s->work, run, after) == 0;
}

static void on_timer(uv_timer_t *timer)
{
    flush(timer->data);
}

enum status tls_report_store_new(uv_loop_t *loop, const char *dir, uint64_t now_ms,
                                 struct tls_report_store **out, struct failure *f)
{
    struct tls_report_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for counts of TLS");
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
        free(s);
        return failure_errno(f, errno, "the folder %s cannot be made", dir);
    }
    s->loop = loop;
    s->file = BUF_INIT(TLS_REPORT_FILE_MAX);
    (void)!snprintf(s->dir, sizeof s->dir, "%s", dir);
    s->today = read_file(s, now_ms);
    if (s->today == NULL) {
        s->today = tls_reports_new(now_ms);
    }
    if (s->today == NULL) {
        free(s);
        return failure_set(f, STATUS_NO_MEMORY, "no memory for counts of TLS");
    }
    s->timer.data = s;
    (void)uv_timer_init(loop, &s->timer);
    (void)uv_timer_start(&s->timer, on_timer, FLUSH_MS, FLUSH_MS);
    *out = s;
    return STATUS_OK;
}

/* A day that is over goes to disk, blocking: once a day. */
static void turn_day(struct tls_report_store *s, uint64_t now_ms)
{
    if (now_ms - now_ms % TLS_REPORT_DAY_MS == tls_reports_day(s->today) || s->writing) {
        return;
    }
    struct tls_reports *fresh = tls_reports_new(now_ms);
    if (fresh == NULL) {
        return;
    }
    if (s->dirty && prepare(s)) {
        (void)write_file(s);
    }
    tls_reports_free(s->today);
    s->today = fresh;
}

void tls_report_store_count(struct tls_report_store *s, const struct tls_outcome *o, uint64_t now_ms)
{
    turn_day(s, now_ms);
    tls_reports_count(s->today, o);
    s->dirty = true;
}

struct tls_reports *tls_report_store_oldest(struct tls_report_store *s, uint64_t now_ms)
{
    turn_day(s, now_ms);
    DIR *folder = opendir(s->dir);
    uint64_t oldest = UINT64_MAX;
    for (struct dirent *e; folder != NULL && (e = readdir(folder)) != NULL;) {
        uint64_t day;
        if (slice_parse_u64(slice_of_text(e->d_name), &day) && day < oldest) {
            oldest = day;
        }
    }
    if (folder != NULL) {
        (void)closedir(folder);
    }
    return oldest < now_ms / TLS_REPORT_DAY_MS ? read_file(s, oldest * TLS_REPORT_DAY_MS) : NULL;
}

void tls_report_store_drop(struct tls_report_store *s, uint64_t day_ms)
{
    char path[PATH_MAX_BYTES];
    path_of(s, day_ms, "", path);
    (void)unlink(path);
}

static void on_closed(uv_handle_t *handle)
{
    struct tls_report_store *s = handle->data;
    s->timer_closed = true;
    free_perhaps(s);
}

void tls_report_store_close(struct tls_report_store *s, void (*closed)(void *context), void *context)
{
    s->closing = true;
    s->closed = closed;
    s->closed_context = context;
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
