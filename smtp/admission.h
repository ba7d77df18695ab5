/*
 * Who may have a session, and how much may go through it: sessions at a time of each client and the rates of
 * smtp/rate_limit.h, asked at each step of a session. A client is an IPv4 address or an IPv6 /64, as the
 * connection shows it or as PROXY or XCLIENT names it. Counts are this node's own. On the loop's thread.
 */
#ifndef SEALPOST_SMTP_ADMISSION_H
#define SEALPOST_SMTP_ADMISSION_H

#include "smtp/client_table.h"
#include "smtp/reply.h"
#include "smtp/settings.h"
#include "smtp/statistics.h"

struct admission;

/* What a session keeps of it; zeroed before the first use. */
struct admitted {
    struct client_count *row;
    struct client_key client;
    bool exempt; /* under no rate */
    /* of the present transaction's sender; fits the setting's greatest value */
    uint32_t sender_rates[RATE_SENDER_RECIPIENTS_DAY - RATE_SENDER_MESSAGES_HOUR + 1];
};

/* NULL when memory is short. What is given outlives it. */
struct admission *admission_new(struct settings_cache *settings, struct statistics *statistics);
void admission_free(struct admission *a);

/* REPLY_NONE and the client counts, or the 421 that says why not. The settings are fresh. Once a session;
 * again after admission_leave(). */
enum smtp_reply admission_client(struct admission *a, struct admitted *who, const char *ip);
void admission_leave(struct admission *a, struct admitted *who);
/* Each gives REPLY_NONE and counts, or what to answer. `account`: empty when nobody is signed in. */
enum smtp_reply admission_message(struct admission *a, struct admitted *who, struct slice sender,
                                  struct slice account);
enum smtp_reply admission_recipient(struct admission *a, struct admitted *who, struct slice sender,
                                    struct slice account);
enum smtp_reply admission_tls(struct admission *a, struct admitted *who);
/* A command was refused. REPLY_NONE, or the 421 with which the session ends. */
enum smtp_reply admission_error(struct admission *a, struct admitted *who);
uint64_t admission_evicted(const struct admission *a);

#endif
