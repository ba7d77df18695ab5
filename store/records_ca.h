/*
 * The built-in CA as the store holds it: CAs, what they issued and revoked, their lists, and keys that wait
 * for a certificate of somebody else's CA. Slices point into the map and end with the view.
 *
 * A CA's key is nowhere but in its record, so that nothing which looks for users' keys finds it.
 */
#ifndef SEALPOST_STORE_RECORDS_CA_H
#define SEALPOST_STORE_RECORDS_CA_H

#include "store/records_trust.h"

#define CA_NAME_MAX           63
#define CA_COMMON_NAME_MAX    64 /* characters: ub-common-name */
#define CA_SERIAL_MAX         20 /* bytes (RFC 5280 section 4.1.2.2) */
#define CA_CRL_MAX            (900 << 10)
#define CA_REVOKED_IMPORT_MAX 8000 /* certificates that come along, revoked, with an imported CA */

/* Numbers are in commands: append only. */
enum ca_issue_how { CA_ISSUE_IF_NONE = 0, CA_ISSUE_ANOTHER = 1, CA_ISSUE_RENEW = 2 };
enum ca_issued_flags { CA_ISSUED_RENEWS = 1 };

/* A certificate record's serial number (hexadecimal) as bytes; false if it has none or too many. */
bool ca_serial_read(struct slice hex, uint8_t serial[CA_SERIAL_MAX], size_t *len);
/* Lower-case letters, digits and inner hyphens: it is part of URLs. */
enum status ca_name_check(struct slice name, struct failure *f) MUST_CHECK;

struct ca_record {
    struct slice name;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct slice sealed_key;
    struct slice issuer; /* name of a CA of ours, or "" */
    uint64_t crl_number, crl_this_ms, crl_next_ms;
    uint64_t added_ms;
    uint8_t issuer_id[ISSUER_ID_SIZE]; /* as whom store/records_trust.h knows it */
};
typedef bool (*ca_visit_cb)(void *context, const struct ca_record *record);
enum status store_ca_get(struct store_view *v, struct slice name, struct ca_record *out) MUST_CHECK;
enum status store_cas_all(struct store_view *v, ca_visit_cb cb, void *context) MUST_CHECK;
enum status store_ca_crl(struct store_view *v, struct slice name, struct slice *der) MUST_CHECK;

struct ca_issued_record {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct slice ca, serial, address;
    uint64_t uses, issued_ms, not_after_ms;
    uint64_t flags;         /* enum ca_issued_flags */
    struct slice pair;      /* thumbprint of the one issued with it, or "" */
    struct slice successor; /* thumbprint of the one that renewed it, or "" */
};
typedef bool (*ca_issued_visit_cb)(void *context, const struct ca_issued_record *record);
enum status store_ca_issued_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                struct ca_issued_record *out) MUST_CHECK;
/* In the order of thumbprints, from the first that is not below `from` (empty: all). */
enum status store_ca_issued_all(struct store_view *v, struct slice from, ca_issued_visit_cb cb,
                                void *context) MUST_CHECK;

struct ca_revoked_record {
    struct slice serial, thumbprint; /* thumbprint "": it came along with an imported CA */
    uint64_t revoked_ms, reason, not_after_ms;
};
typedef bool (*ca_revoked_visit_cb)(void *context, const struct ca_revoked_record *record);
enum status store_ca_revoked_get(struct store_view *v, struct slice ca, struct slice serial,
                                 struct ca_revoked_record *out) MUST_CHECK;
enum status store_ca_revoked_all(struct store_view *v, struct slice ca, ca_revoked_visit_cb cb,
                                 void *context) MUST_CHECK;
/* Is the CA of that name, or the nearest of ours above it, revoked? OK: yes, and `which` is its name.
 * NOT_FOUND: no. CORRUPT or IO: it cannot be told. */
enum status store_ca_revocation(struct store_view *v, struct slice name, struct slice *which,
                                struct ca_revoked_record *out) MUST_CHECK;
/* Issued by a CA of ours, and it or a CA above it is revoked. A store that cannot be read gives its status.
 */
enum status store_ca_is_revoked(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                                bool *revoked) MUST_CHECK;

struct ca_request_record {
    uint8_t id[32]; /* SHA-256 of the public key */
    struct slice address, name, request, sealed_key;
    uint64_t added_ms;
};
/* Does a request of this address wait for its answer? The address is in its normal form. */
enum status store_ca_request_waits(struct store_view *v, struct slice address, bool *waits) MUST_CHECK;
typedef bool (*ca_request_visit_cb)(void *context, const struct ca_request_record *record);
enum status store_ca_request_get(struct store_view *v, const uint8_t id[32],
                                 struct ca_request_record *out) MUST_CHECK;
enum status store_ca_requests_all(struct store_view *v, ca_request_visit_cb cb, void *context) MUST_CHECK;

#endif
