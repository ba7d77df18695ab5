/*
 * Many certificates out of one file, each judged by itself: PEM with any number of blocks, DER, or PKCS#7.
 * One that cannot be read does not hide those behind it. Any bytes are safe; any thread.
 */
#ifndef SEALPOST_CRYPTO_CERTIFICATE_BULK_H
#define SEALPOST_CRYPTO_CERTIFICATE_BULK_H

#include "crypto/x509.h"

#define CERTIFICATE_BULK_MAX 200 /* entries that are read at a time */

struct certificate_bulk_entry {
    struct slice der;   /* in the arena; "" when it is refused */
    const char *reason; /* static; NULL: it was read */
};
struct certificate_bulk {
    struct certificate_bulk_entry entries[CERTIFICATE_BULK_MAX];
    size_t count; /* those from `skip` on */
    size_t total; /* entries of the whole file */
};
/* Passes over `skip` entries and reads up to CERTIFICATE_BULK_MAX. MALFORMED: none of the kinds of file. */
enum status certificate_bulk_read(struct slice content, size_t skip, struct arena *a,
                                  struct certificate_bulk *out, struct failure *f) MUST_CHECK;

/* The file that holds these certificates: "pem", "der" (one certificate; else INVALID) or "pkcs7". */
enum status certificate_file_write(const struct slice *der, size_t count, const char *format, struct buf *out,
                                   struct failure *f) MUST_CHECK;

#endif
