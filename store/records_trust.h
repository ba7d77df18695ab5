/*
 * What the store knows against and for certificates, beside the trust anchors: the certificate trust list
 * (allow, deny), revocation lists as rows (docs/decisions/0012), and answers of OCSP responders.
 *
 * An issuer is named by 32 bytes that stand for its name and its key (crypto/crl.h makes them), a list of it
 * by 16 bytes that stand for its scope: zeros for the list of all its certificates, else one of several
 * parts. A list is in force with one generation of rows; the next one is brought in beside it and takes its
 * place at once. All look-ups are by key: the time that they take does not grow with a list.
 *
 * Any thread with a view of its own; slices point into the map and end with the view.
 */
#ifndef SEALPOST_STORE_RECORDS_TRUST_H
#define SEALPOST_STORE_RECORDS_TRUST_H

#include "store/records.h"

#define ISSUER_ID_SIZE  32
#define CRL_PART_SIZE   16
#define CRL_NUMBER_MAX  20 /* bytes: RFC 5280 section 5.2.3 */
#define SERIAL_MAX      64 /* bytes; RFC 5280 allows 20, the world has longer ones */
#define CRL_POINTS_MAX  1024
#define CTL_COMMENT_MAX 255
#define CRL_ROWS_MAX    8000 /* rows of one command */
#define CRL_ROWS_BYTES  ((size_t)640 << 10)
#define CRL_SWEEP_MAX   20000 /* rows that one command takes away */
#define CRL_ENTRIES_MAX 1000000
#define OCSP_SWEEP_MAX  200 /* answers that one command takes away */

/* --- the certificate trust list --- */

enum ctl_verdict { CTL_NONE, CTL_ALLOW, CTL_DENY }; /* the numbers are in commands and rows */

struct ctl_record {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    enum ctl_verdict verdict;
    uint64_t expires_ms; /* 0: never */
    struct slice comment;
    uint64_t added_ms;
};
/* NOT_FOUND. An entry that has expired is found too: see ctl_in_force(). */
enum status store_ctl_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                          struct ctl_record *out) MUST_CHECK;
/* The verdict at `now_ms`: CTL_NONE when the entry has expired. */
enum ctl_verdict ctl_in_force(const struct ctl_record *r, uint64_t now_ms);
typedef bool (*ctl_visit_cb)(void *context, const struct ctl_record *record);
enum status store_ctl_all(struct store_view *v, ctl_visit_cb cb, void *context) MUST_CHECK;

/* --- revocation lists --- */

enum crl_flags {
    CRL_USER_CERTS_ONLY = 1, /* onlyContainsUserCerts: says nothing of CAs */
    CRL_CA_CERTS_ONLY = 2,
    CRL_SOME_REASONS_ONLY = 4 /* what is not on it may be revoked for another reason */
};

struct crl_record {
    uint8_t issuer[ISSUER_ID_SIZE], part[CRL_PART_SIZE];
    uint64_t generation;       /* of its rows */
    struct slice name;         /* of the issuer, RFC 4514 text */
    struct slice number;       /* CRL number, big endian without leading zeros; empty: it has none */
    struct slice base_number;  /* the last that came was a delta: the number it builds upon; else empty */
    uint64_t this_ms, next_ms; /* thisUpdate, nextUpdate (0: none was named) */
    uint64_t flags;            /* enum crl_flags */
    struct slice points;       /* URIs of its distribution point, separated by line feeds; empty: no part */
    uint64_t entries;          /* rows in force */
    uint64_t added_ms;
    struct slice source; /* "import", "fetch" */
};
/* For COMMAND_CRL_FORCE's field; issuer, part and generation are fields of their own there. */
enum status crl_record_encode(const struct crl_record *r, struct buf *out) MUST_CHECK;
enum status crl_record_decode(struct slice in, struct crl_record *r) MUST_CHECK;
/* CRL numbers: as memcmp of their values. */
int crl_number_compare(struct slice a, struct slice b);

enum status store_crl_get(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE],
                          const uint8_t part[CRL_PART_SIZE],
                          struct crl_record *out) MUST_CHECK; /* NOT_FOUND */
typedef bool (*crl_visit_cb)(void *context, const struct crl_record *record);
/* issuer NULL: all lists. */
enum status store_crls_all(struct store_view *v, const uint8_t *issuer, crl_visit_cb cb,
                           void *context) MUST_CHECK;
/* Rows of a list that the store holds, in force or not; stops counting at `most`. For tests and people. */
enum status store_crl_rows(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE],
                           const uint8_t part[CRL_PART_SIZE], uint64_t most, uint64_t *rows) MUST_CHECK;

/* One row of COMMAND_CRL_ROWS, as bytes: length of the serial number (1 byte), the serial number, when it was
 * revoked (8 bytes, big endian, ms), the reason (1 byte, RFC 5280 section 5.3.1; 8 takes the row away: in a
 * delta). */
struct crl_row {
    struct slice serial; /* 1 to SERIAL_MAX bytes, big endian without leading zeros */
    uint64_t revoked_ms;
    unsigned reason;
};
#define CRL_REASON_MAX    10
#define CRL_REASON_REMOVE 8
enum status crl_row_write(const struct crl_row *row, struct buf *out) MUST_CHECK;
/* The next row of `rows`, which becomes what follows; false: the end, or not well formed (then *good is
 * false). */
bool crl_row_read(struct slice *rows, struct crl_row *out, bool *good);
const char *crl_reason_name(unsigned reason); /* "keyCompromise" */

/* --- OCSP answers --- */

enum ocsp_status { OCSP_GOOD, OCSP_REVOKED }; /* the numbers are in commands and rows */

struct ocsp_record {
    enum ocsp_status status;
    uint64_t revoked_ms; /* REVOKED */
    unsigned reason;
    uint64_t this_ms, next_ms; /* next 0: none was named: then it says what was, and is never in force */
    uint64_t added_ms;
};
enum status store_ocsp_get(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE], struct slice serial,
                           struct ocsp_record *out) MUST_CHECK; /* NOT_FOUND */

typedef bool (*ocsp_visit_cb)(void *context, const uint8_t issuer[ISSUER_ID_SIZE], struct slice serial,
                              const struct ocsp_record *answer);
/* All answers, by issuer and serial number. */
enum status store_ocsp_all(struct store_view *v, ocsp_visit_cb cb, void *context) MUST_CHECK;
/* Does it count no more, so that it may be taken away? One that says "revoked" always counts. */
bool ocsp_has_ended(const struct ocsp_record *answer, uint64_t before_ms);

/* --- what is asked for each message --- */

struct revocation {
    uint64_t revoked_ms;
    unsigned reason;
    bool by_ocsp; /* else a list says so */
};
/* Is it known to be revoked? OK: yes, by any list of its issuer (also one past its nextUpdate) or by OCSP;
 * NOT_FOUND: nothing is known. */
enum status store_revocation_get(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE],
                                 struct slice serial, struct revocation *out) MUST_CHECK;

#endif
