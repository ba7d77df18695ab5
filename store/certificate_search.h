/*
 * Searching certificates: by words, thumbprint, address, domain, expiry, source, state and key, a page at a
 * time, without reading all of them.
 *
 * When all goes well: each condition that has an index gives a range of keys; the shortest of them is walked,
 * and each certificate in it is held against all conditions. A walk stops when the page is full or when
 * `work_max` entries were looked at; `next` says where to go on, so that no request takes long, whatever it
 * asks. A page may be empty and have a next one.
 *
 * Terms of a text are separated by spaces, and each must be found at the beginning of a word of an address,
 * of subject or issuer, or of the serial number: "part" finds partner.example, "artner" does not. A text of 8
 * to 64 hexadecimal digits is the beginning of a thumbprint first. Pure; any thread with a view of its own.
 */
#ifndef SEALPOST_STORE_CERTIFICATE_SEARCH_H
#define SEALPOST_STORE_CERTIFICATE_SEARCH_H

#include "store/records.h"

#define CERT_SEARCH_TEXT_MAX   256 /* bytes */
#define CERT_SEARCH_TERMS_MAX  16
#define CERT_SEARCH_CURSOR_MAX 800 /* characters, with the NUL */
#define CERT_SEARCH_WORK_MAX   3000
#define CERT_STATE_ANY         CERT_STATE_COUNT
#define CERT_THUMBPRINT_DIGITS 8 /* the least that is taken for one */

struct certificate_query {
    struct slice text;                            /* "": any */
    struct slice address;                         /* normalised; "": any */
    struct slice domain;                          /* normalised, with all below it; "": any */
    struct slice source;                          /* "": any */
    uint64_t expires_after_ms, expires_before_ms; /* 0: any */
    bool with_key;
    enum certificate_state state; /* or CERT_STATE_ANY */
    struct slice after;           /* `next` of the page before; "": from the beginning */
    size_t limit, work_max;       /* work_max 0: CERT_SEARCH_WORK_MAX */
    /* A condition of the caller's own, asked last; NULL: none. It counts as `wants_cost` entries. */
    bool (*wants)(void *context, const struct certificate_record *record);
    size_t wants_cost;
};

/* INVALID says what is wrong with text or after. `next` is "" when there is no more. */
enum status store_certificates_search(struct store_view *v, const struct certificate_query *query,
                                      certificate_visit_cb cb, void *context,
                                      char next[CERT_SEARCH_CURSOR_MAX], struct failure *f) MUST_CHECK;

/* How many expire from `after_ms` on and before `before_ms`, as far as `max`: keys are counted, none is read.
 */
enum status store_certificates_expiring(struct store_view *v, uint64_t after_ms, uint64_t before_ms,
                                        size_t max, size_t *count) MUST_CHECK;

/* The certificate whose thumbprint begins with these hexadecimal digits: NOT_FOUND, CONFLICT when there are
 * several, INVALID when they are not 8 to 64 such digits. */
enum status store_certificate_by_digits(struct store_view *v, struct slice digits,
                                        struct certificate_record *out) MUST_CHECK;

#endif
