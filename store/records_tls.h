/*
 * TLS certificates of the SMTP service, by a name that listeners refer to (store/records_listener.h): a
 * chain, leaf first, and its private key, sealed by the transport key (crypto/transport_secret.h, kind
 * "tls-key", name: this one's).
 */
#ifndef SEALPOST_STORE_RECORDS_TLS_H
#define SEALPOST_STORE_RECORDS_TLS_H

#include "store/store.h"

#define TLS_CHAIN_MAX        8                  /* certificates */
#define TLS_CERTIFICATE_MAX  ((size_t)16 << 10) /* bytes of one, DER */
#define TLS_CHAIN_BYTES_MAX  ((size_t)64 << 10) /* of the encoded chain */
#define TLS_KEY_SEALED_MAX   ((size_t)16 << 10)
#define TLS_NAMES_MAX        4096 /* bytes of the names that it is for */
#define TLS_CERTIFICATES_MAX 256  /* in a cluster */

struct tls_record {
    struct slice name;
    struct slice chain[TLS_CHAIN_MAX]; /* DER, borrowed */
    size_t chain_count;
    struct slice key_sealed;
    struct slice names;             /* for people: what it is for, separated by commas; may be cut */
    uint64_t not_before, not_after; /* ms: the latest and the earliest of the chain */
    uint64_t added_ms;
};

/* The chain as a MessagePack array of byte strings, as it is in the command and in the table. */
enum status tls_chain_encode(const struct slice *chain, size_t count, struct buf *out) MUST_CHECK;
enum status tls_chain_decode(struct slice encoded, struct tls_record *out) MUST_CHECK;

enum status store_tls_get(struct store_view *v, struct slice name, struct tls_record *out) MUST_CHECK;
typedef bool (*tls_visit_cb)(void *context, const struct tls_record *record);
enum status store_tls_all(struct store_view *v, tls_visit_cb cb, void *context) MUST_CHECK;

/* For the table "tls_certificates": store/apply_listener.c. */
enum status tls_encode(const struct tls_record *record, struct buf *out) MUST_CHECK;
enum status tls_decode(struct slice name, struct slice value, struct tls_record *out) MUST_CHECK;

#endif
