/* STATS of the queue's server (smtp/queue_protocol.h): every counter of the smtp role, for /metrics. */
#include "smtp/queue_server_internal.h"

#include "base/msgpack_write.h"

void queue_stats_run(struct queue_client *c, uint64_t request)
{
    const struct queue_server_options *o = &c->server->options;
    const struct statistics *n = o->statistics;
    struct spool_counts spool = {0};
    struct message_log_counts log;
    message_log_counts_get(c->server->log, &log);
    struct job_counts jobs = job_server_counts(o->jobs);
    struct schedule empty = {0};
    const struct schedule *schedule =
        c->server->delivery != NULL ? delivery_schedule(c->server->delivery) : &empty;
    if (c->server->spool != NULL) {
        spool_counts_get(c->server->spool, &spool);
    }
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
#define X(name) {#name, n->name},
        STATISTICS_TABLE(X)
#undef X
            {"queue_messages", schedule->count},
        {"queue_bytes", schedule->bytes},
        {"queue_active", schedule->active},
        {"queue_quarantined", schedule->quarantined},
        {"queue_held", schedule->held},
        {"queue_index_bytes", schedule->index.bytes},
        {"queue_index_unread", schedule->index.unread},
        {"spool_syncs", spool.syncs},
        {"spool_groups", spool.groups},
        {"spool_segments", spool.segments},
        {"spool_damaged", spool.damaged},
        {"spool_torn", spool.torn},
        {"spool_copied", spool.copied},
        {"message_log_written", log.written},
        {"message_log_dropped", log.dropped},
        {"message_log_expired", log.expired},
        {"message_log_bytes", log.bytes},
        {"jobs", jobs.jobs},
        {"jobs_waiting", jobs.waiting},
        {"workers", jobs.workers},
        {"worker_deaths", jobs.worker_deaths},
        {"memory_bytes", o->budget->used},
    };
    struct buf extra = BUF_INIT(8192);
    struct msgpack_writer w;
    msgpack_writer_init(&w, &extra);
    write_map(&w, sizeof rows / sizeof rows[0]);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(&w, slice_of_text(rows[i].name));
        write_u64(&w, rows[i].value);
    }
    if (msgpack_writer_status(&w) == STATUS_OK) {
        queue_answer(c, QUEUE_STATS, request, STATUS_OK, "", &extra);
    }
    buf_release(&extra);
}
