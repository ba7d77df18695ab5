/*
 * The counts of TLS (smtp/tls_report.h) on disk: a file a day in a folder of its own, written again a minute
 * after something was counted and when the role stops; a crash loses a minute of counts, never mail. On the
 * loop's thread; disk is written on the uv thread pool.
 */
#ifndef SEALPOST_SMTP_TLS_REPORT_STORE_H
#define SEALPOST_SMTP_TLS_REPORT_STORE_H

#include "smtp/tls_report.h"

#include <uv.h>

struct tls_report_store;

/* `dir` is made if it is not there. Reads today's file: blocks for as long. */
enum status tls_report_store_new(uv_loop_t *loop, const char *dir, uint64_t now_ms,
                                 struct tls_report_store **out, struct failure *f) MUST_CHECK;
void tls_report_store_count(struct tls_report_store *s, const struct tls_outcome *o, uint64_t now_ms);
/* The oldest day that is over, from disk: to be freed by the caller; NULL: there is none, or it cannot be
 * read (then it is set aside). Blocks for the file. */
struct tls_reports *tls_report_store_oldest(struct tls_report_store *s, uint64_t now_ms);
/* That day was reported, or will not be. */
void tls_report_store_drop(struct tls_report_store *s, uint64_t day_ms);
/* Writes what was counted, blocking, and frees it when its handles are closed; then `closed`. */
void tls_report_store_close(struct tls_report_store *s, void (*closed)(void *context), void *context);

#endif
