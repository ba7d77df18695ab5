/*
 * Sending TLS reports (RFC 8460 section 5): each day that is over, a report for each domain that was counted
 * and asks for reports at _smtp._tls.DOMAIN, by mail or by https. Each node reports what it saw itself. On
 * the loop.
 *
 * When all goes well: some time after midnight (spread over hours, by node) the day's file is read, each
 * domain's TXT record is looked up, its report goes into the queue or to fetch, and the file goes. What can
 * go wrong: a report that cannot be sent is lost, as the RFC allows; after a crash those that are in the
 * queue already are known by their ids and are not made again.
 */
#ifndef SEALPOST_SMTP_TLS_REPORT_SEND_H
#define SEALPOST_SMTP_TLS_REPORT_SEND_H

#include "smtp/fetch_line.h"
#include "smtp/reminder.h"
#include "smtp/resolver.h"
#include "smtp/tls_report_store.h"

struct tls_report_services {
    uv_loop_t *loop;
    const char *hostname;
    struct tls_report_store *store;
    struct settings_source *settings;
    struct resolver *resolver;
    struct fetch_line *fetch;
    struct reminder_services mail;
};

struct tls_report_sender;
enum status tls_report_sender_new(const struct tls_report_services *services,
                                  struct tls_report_sender **out) MUST_CHECK;
/* Nothing is sent any more; frees it when its handles are closed, then `closed`. Before the resolver and the
 * line to fetch are closed. */
void tls_report_sender_close(struct tls_report_sender *s, void (*closed)(void *context), void *context);

/* --- smtp/tls_report_mail.c: pure --- */

struct tls_report_letter {
    const char *hostname;
    struct slice from, to, domain;
    const char *message_id, *report_id;
    uint64_t day_ms, now_ms;
    struct slice report; /* gzipped JSON */
};
enum status tls_report_mail(const struct tls_report_letter *letter, struct buf *out) MUST_CHECK;
enum status tls_report_gzip(struct slice in, struct buf *out) MUST_CHECK;

#endif
