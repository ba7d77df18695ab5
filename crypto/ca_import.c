/*
 * What an imported CA has revoked before it came here, out of its last list. See ca.h. Any thread.
 *
 * All of it goes into the one command that adds the CA, so that there is no moment in which the CA is there
 * and forgets a revocation; that bounds how much may come. Reasons that a full list cannot have mean nothing
 * more than that the serial number is on it.
 */
#include "crypto/ca.h"
#include "crypto/crl.h"

#define NUMBER_BYTES 7 /* of a list's number: ours goes on above it for ever */
#define NOT_USED     7 /* a reason (RFC 5280 section 5.3.1) */

static enum status number_read(struct slice number, uint64_t *out, struct failure *f)
{
    *out = 0;
    if (number.len > NUMBER_BYTES)
        return failure_set(f, STATUS_INVALID,
                           "the list's number has %zu bytes, and ours, which must go on above it, at most %d",
                           number.len, NUMBER_BYTES);
    for (size_t i = 0; i < number.len; i++)
        *out = *out << 8 | number.data[i];
    return STATUS_OK;
}

static enum status entries_read(struct slice rows, struct ca_revoked_before *out, struct buf *clean,
                                struct failure *f)
{
    struct crl_row row;
    bool good = true;
    enum status status = STATUS_OK;

    while (status == STATUS_OK && crl_row_read(&rows, &row, &good)) {
        struct ca_crl_entry *e = &out->entries[out->count++];

        if (row.serial.len > CA_SERIAL_MAX)
            return failure_set(f, STATUS_INVALID, "the list has a serial number of more than %d bytes",
                               CA_SERIAL_MAX);
        if (row.reason == NOT_USED || row.reason == CRL_REASON_REMOVE)
            row.reason = 0;
        memcpy(e->serial, row.serial.data, row.serial.len);
        e->serial_len = row.serial.len;
        e->revoked_ms = row.revoked_ms;
        e->reason = row.reason;
        status = crl_row_write(&row, clean);
    }
    return status == STATUS_OK && !good ? STATUS_MALFORMED : status;
}

static enum status list_take(struct crl *crl, struct arena *a, struct ca_revoked_before *out,
                             struct failure *f)
{
    size_t count = crl_entry_count(crl);
    struct buf rows = BUF_INIT(CRL_ROWS_BYTES), clean = BUF_INIT(CRL_ROWS_BYTES);
    enum status status = number_read(crl_record_of(crl)->number, &out->number, f);

    if (status == STATUS_OK && count > CA_REVOKED_IMPORT_MAX)
        status =
            failure_set(f, STATUS_TOO_LARGE,
                        "the list has %zu entries, and at most %d can come along with a CA: leave out those "
                        "that have expired, or import the CA without its list and keep that one in "
                        "service beside ours (crl import)",
                        count, CA_REVOKED_IMPORT_MAX);
    if (status == STATUS_OK &&
        (out->entries = arena_alloc_array(a, count + 1, sizeof(*out->entries))) == NULL)
        status = STATUS_NO_MEMORY;
    if (status == STATUS_OK)
        status = crl_rows(crl, &rows);
    if (status == STATUS_OK)
        status = entries_read(buf_slice(&rows), out, &clean, f);
    if (status == STATUS_OK && !arena_copy(a, buf_slice(&clean), &out->rows))
        status = STATUS_NO_MEMORY;
    buf_release(&rows);
    buf_release(&clean);
    return status;
}

enum status ca_revoked_before_read(struct slice list, const struct ca_signer *s, uint64_t now_ms,
                                   struct arena *a, struct ca_revoked_before *out, struct failure *f)
{
    struct crl *crl;
    enum status status = crl_read(list, &crl, f);

    memset(out, 0, sizeof(*out));
    if (status == STATUS_OK)
        status = crl_verify_own(crl, s->certificate, now_ms, f);
    if (status == STATUS_OK)
        status = list_take(crl, a, out, f);
    crl_free(crl);
    if (status != STATUS_OK && f != NULL && f->status != status)
        failure_set(f, status, "the revocation list cannot be read: %s", status_text(status));
    return status;
}
