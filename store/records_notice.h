/*
 * What people are told by mail before certificates and lists expire (docs/certificates.md, decision 0019).
 *
 * A mail goes through two commands: COMMAND_NOTICE_CLAIM writes what it will say and which node sends it,
 * COMMAND_NOTICE_END that it is durable in that node's spool (or was refused there). Only then does what it
 * said count as told. A claim that stays open is taken over when it is NOTICE_LEASE_MS old, with the same id.
 *
 * Any thread with a view of its own; slices point into the map and end with the view.
 */
#ifndef SEALPOST_STORE_RECORDS_NOTICE_H
#define SEALPOST_STORE_RECORDS_NOTICE_H

#include "store/records_trust.h"

#define NOTICE_ITEMS_MAX  200 /* of one mail */
#define NOTICE_ITEMS_SIZE ((size_t)128 << 10)
#define NOTICE_TEXT_MAX   300
#define NOTICE_TOPIC_MAX  (1 + ISSUER_ID_SIZE + CRL_PART_SIZE)
#define NOTICE_REASON_MAX 255
#define NOTICE_LEASE_MS   ((uint64_t)15 * 60 * 1000)
#define NOTICE_DAY_MS     ((uint64_t)24 * 3600 * 1000)
#define NOTICE_KEPT_MS    (30 * NOTICE_DAY_MS) /* what was told, after it has expired */

/* The first byte of a topic. */
enum notice_kind {
    NOTICE_CERTIFICATE = 'c', /* thumbprint: it expires */
    NOTICE_RENEWAL = 'r',     /* thumbprint: it expires, and was to be renewed by now */
    NOTICE_LIST = 'l'         /* issuer, part: the revocation list will be too old, or is */
};

struct notice_item {
    struct slice topic; /* kind, then what it is about */
    uint64_t until_ms;  /* when it expires */
    uint64_t before_ms; /* so long before that, it was time to tell; less is told again */
    struct slice text;  /* what it is, one line for people */
};

enum notice_state { /* the numbers are in commands and rows */
                    NOTICE_OPEN,
                    NOTICE_ACCEPTED, /* in the spool of its node */
                    NOTICE_REFUSED,  /* nobody was told; what it said is told another day */
                    NOTICE_STATE_END
};

struct notice_mail { /* the last one to an address */
    struct slice to;
    uint8_t id[ID_SIZE]; /* of the message in the queue and its log */
    uint64_t node;       /* whose smtp role sends it */
    enum notice_state state;
    uint64_t claimed_ms, ended_ms;
    uint64_t items, waiting; /* what it says; what did not fit and comes another day */
    struct slice reason;     /* REFUSED */
};

struct notice_told {
    struct slice to;
    struct notice_item item;
    uint8_t id[ID_SIZE]; /* of the mail that said it */
    uint64_t told_ms;
};

/* --- reading --- */

enum status store_notice_mail_get(struct store_view *v, struct slice to,
                                  struct notice_mail *out) MUST_CHECK; /* NOT_FOUND */
typedef bool (*notice_mail_cb)(void *context, const struct notice_mail *mail);
enum status store_notice_mails_all(struct store_view *v, notice_mail_cb cb, void *context) MUST_CHECK;
/* Only those whose claim is open; costs nothing for the others. */
enum status store_notice_mails_open(struct store_view *v, notice_mail_cb cb, void *context) MUST_CHECK;
/* What the open mail to an address says. */
typedef bool (*notice_item_cb)(void *context, const struct notice_item *item);
enum status store_notice_items(struct store_view *v, struct slice to, notice_item_cb cb,
                               void *context) MUST_CHECK;
/* NOT_FOUND. */
enum status store_notice_told_get(struct store_view *v, struct slice to, struct slice topic,
                                  struct notice_told *out) MUST_CHECK;
/* In the order of address and topic, after that of `to` and `topic` (empty: all). */
typedef bool (*notice_told_cb)(void *context, const struct notice_told *told);
enum status store_notices_told(struct store_view *v, struct slice to, struct slice topic, notice_told_cb cb,
                               void *context) MUST_CHECK;

/* Was this, or something nearer to the same end, told already? Pure. */
bool notice_is_told(const struct notice_told *told, const struct notice_item *item);
/* Is the address due for no mail on this day (UTC)? An open claim, or one that ended on it. Pure. */
bool notice_mail_bars(const struct notice_mail *mail, uint64_t now_ms);

/* --- fields of commands --- */

/* Items of COMMAND_NOTICE_CLAIM; of COMMAND_NOTICE_FORGET, where only topics count. */
enum status notice_items_begin(size_t count, struct buf *out) MUST_CHECK;
enum status notice_item_encode(const struct notice_item *item, struct buf *out) MUST_CHECK;
/* Whole: each item well formed; their number. */
enum status notice_items_check(struct slice items, size_t *count) MUST_CHECK;
/* Calls cb for each; items were checked. */
void notice_items_each(struct slice items, notice_item_cb cb, void *context);

/* --- rows; for store/apply_notice.c --- */

enum notice_row {
    NOTICE_ROW_ITEM = 'i',
    NOTICE_ROW_MAIL = 'm',
    NOTICE_ROW_OPEN = 'o',
    NOTICE_ROW_TOLD = 't'
};
#define NOTICE_KEY_MAX (1 + ADDRESS_MAX + 1 + NOTICE_TOPIC_MAX)
/* kind, address; with a topic also NUL and the topic. Gives the length. */
size_t notice_key_write(enum notice_row row, struct slice to, struct slice topic,
                        uint8_t key[NOTICE_KEY_MAX]);
enum status notice_mail_encode(const struct notice_mail *m, struct buf *out) MUST_CHECK;
enum status notice_mail_decode(struct slice to, struct slice value, struct notice_mail *m) MUST_CHECK;
enum status notice_told_encode(const struct notice_told *t, struct buf *out) MUST_CHECK;
enum status notice_told_decode(struct slice to, struct slice topic, struct slice value,
                               struct notice_told *t) MUST_CHECK;

#endif
