/*
 * What addresses are rewritten to (docs/rewriting.md): one row for each kind and pattern.
 *
 *   canonical   an address, or @domain for all of a domain -> an address, or @domain to keep the local part
 *   masquerade  a domain: senders in domains below it become senders of the domain itself
 *   exception   from masquerading: a domain with all below it, an address, or "root@" for a local part
 *
 * Any thread with a view of its own; slices point into the map and end with the view.
 */
#ifndef SEALPOST_STORE_RECORDS_REWRITE_H
#define SEALPOST_STORE_RECORDS_REWRITE_H

#include "store/records.h"

#define REWRITE_ROWS_MAX 100000

enum rewrite_kind { /* the numbers are in commands and rows */
                    REWRITE_CANONICAL = 1,
                    REWRITE_MASQUERADE = 2,
                    REWRITE_EXCEPTION = 3,
                    REWRITE_KIND_END
};

enum rewrite_flags {
    REWRITE_OF_SENDER = 1,    /* MAIL FROM; From, Sender, Reply-To */
    REWRITE_OF_RECIPIENT = 2, /* RCPT TO; To, Cc */
    REWRITE_IN_ENVELOPE = 4,
    REWRITE_IN_HEADER = 8,
    REWRITE_ALL = 15
};

struct rewrite_record {
    enum rewrite_kind kind;
    struct slice pattern;
    struct slice target; /* canonical: what it becomes; else "" */
    uint64_t flags;      /* enum rewrite_flags; canonical and masquerade */
    uint64_t added_ms;
};

/* NOT_FOUND. */
enum status store_rewrite_get(struct store_view *v, enum rewrite_kind kind, struct slice pattern,
                              struct rewrite_record *out) MUST_CHECK;
typedef bool (*rewrite_visit_cb)(void *context, const struct rewrite_record *record);
/* In the order of kind and pattern. */
enum status store_rewrite_all(struct store_view *v, rewrite_visit_cb cb, void *context) MUST_CHECK;
/* Is there any row? For those who have many addresses to ask about. */
enum status store_rewrite_any(struct store_view *v, bool *any) MUST_CHECK;

const char *rewrite_kind_name(enum rewrite_kind kind); /* "canonical" */
bool rewrite_kind_find(struct slice name, enum rewrite_kind *out);
/* The one way to write a pattern of that kind. INVALID, with what would be right. */
enum status rewrite_pattern_normalise(enum rewrite_kind kind, struct slice text, char out[ADDRESS_MAX + 2],
                                      struct failure *f) MUST_CHECK;
/* The same of what `pattern`, a canonical one in its normal form, becomes. */
enum status rewrite_target_normalise(struct slice pattern, struct slice text, char out[ADDRESS_MAX + 2],
                                     struct failure *f) MUST_CHECK;

/* For the table: store/apply_rewrite.c. */
#define REWRITE_KEY_MAX (1 + ADDRESS_MAX + 1)
struct slice rewrite_row_key(enum rewrite_kind kind, struct slice pattern, uint8_t key[REWRITE_KEY_MAX]);
enum status rewrite_encode(const struct rewrite_record *record, struct buf *out) MUST_CHECK;
enum status rewrite_decode(struct slice key, struct slice value, struct rewrite_record *out) MUST_CHECK;

#endif
