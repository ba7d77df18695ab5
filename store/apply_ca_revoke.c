/*
 * Revoking: certificates of users, CAs of ours, and what an imported CA had revoked before it came here. See
 * store/apply_internal.h for the rules.
 *
 * A revocation and the list that holds it are one command. It is in force in this cluster by the same rows as
 * lists of other CAs (apply_ca_list.c): a path through a certificate that a CA of it revoked does not hold.
 * A trust anchor needs no path, so the anchors among a revoked CA and those below it are taken away, and
 * apply_trust_add() lets none of them come back.
 */
#include "store/apply_ca_internal.h"

#define ROW_MAX 128 /* bytes of one struct crl_row */

/* One row of a list; `out` is the caller's. */
static struct slice row_of(struct slice serial, uint64_t revoked_ms, uint64_t reason, struct buf *out)
{
    struct crl_row row = {.revoked_ms = revoked_ms, .reason = (unsigned)reason};

    while (serial.len > 1 && serial.data[0] == 0) /* the rows have no leading zeros */
        serial = slice_of(serial.data + 1, serial.len - 1);
    row.serial = serial;
    if (serial.len == 0 || crl_row_write(&row, out) != STATUS_OK)
        return (struct slice){0};
    return buf_slice(out);
}

static void revoked_put(struct store_apply *a, struct slice ca, struct slice serial,
                        const struct ca_revoked_record *revoked)
{
    uint8_t key[CA_REVOKED_KEY_MAX];
    size_t len = ca_revoked_key(ca, serial, key);
    struct buf row = BUF_INIT(CA_ROW_MAX);

    apply_ca_row_put(a, TABLE_CA_REVOKED, slice_of(key, len), ca_revoked_row_write(revoked, &row), &row);
}

/* The list of the fields from `field` on, with the one that is revoked. `serial` is the caller's copy: the
 * map moves. */
static void revoke(struct store_apply *a, struct ca_record *ca, size_t field, struct slice serial,
                   const struct ca_revoked_record *revoked)
{
    struct buf row = BUF_INIT(ROW_MAX);

    apply_crl_put(a, ca, field, row_of(serial, revoked->revoked_ms, revoked->reason, &row));
    revoked_put(a, apply_bytes(a, 0), serial, revoked);
    buf_release(&row);
}

static bool is_on_list(struct store_apply *a, struct slice ca, struct slice serial)
{
    uint8_t key[CA_REVOKED_KEY_MAX];
    size_t len = ca_revoked_key(ca, serial, key);

    return len > 0 && apply_has(a, TABLE_CA_REVOKED, slice_of(key, len));
}

enum status apply_ca_revoke(struct store_apply *a)
{
    struct ca_record ca = {0};
    struct ca_issued_record issued;
    struct slice thumbprint = apply_bytes(a, 1);
    struct ca_revoked_record revoked = {
        .thumbprint = thumbprint, .revoked_ms = a->command->time_ms, .reason = apply_number(a, 2)};
    uint8_t serial[CA_SERIAL_MAX];
    enum status status = apply_ca_of(a, apply_bytes(a, 0), &ca);

    if (status != STATUS_OK)
        return status;
    if (!apply_issued_row(a, thumbprint, &issued) || !slice_equal(issued.ca, apply_bytes(a, 0)))
        return apply_refuse(a, STATUS_NOT_FOUND, "the CA %.*s has not issued this certificate",
                            SLICE_ARGS(apply_bytes(a, 0)));
    if (is_on_list(a, issued.ca, issued.serial))
        return apply_refuse(a, STATUS_EXISTS, "the certificate is revoked already");
    status = apply_crl_may_be_next(a, &ca, 3);
    if (status != STATUS_OK)
        return status;
    revoked.not_after_ms = issued.not_after_ms;
    memcpy(serial, issued.serial.data, issued.serial.len);
    revoke(a, &ca, 3, slice_of(serial, issued.serial.len), &revoked);
    return STATUS_OK;
}

/* --- CAs --- */

struct anchor_search {
    struct store_apply *a;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    bool found;
};

static bool is_fallen_anchor(void *context, struct slice key, struct slice value)
{
    struct anchor_search *search = context;
    struct store_view view = {.store = search->a->store, .txn = search->a->txn};
    struct ca_revoked_record revoked;
    struct ca_record ca;
    struct slice which;

    search->found = ca_row_read(key, value, &ca) == STATUS_OK &&
                    apply_has(search->a, TABLE_TRUST, slice_of(ca.thumbprint, THUMBPRINT_SIZE)) &&
                    store_ca_revocation(&view, key, &which, &revoked) == STATUS_OK;
    if (search->found)
        memcpy(search->thumbprint, ca.thumbprint, THUMBPRINT_SIZE);
    return !search->found;
}

static void anchors_take_away(struct store_apply *a)
{
    struct anchor_search search = {.a = a, .found = true};

    while (search.found && a->broken == STATUS_OK) {
        search.found = false;
        if (table_walk(a->store, a->txn, TABLE_CAS, (struct slice){0}, is_fallen_anchor, &search) !=
            STATUS_OK)
            a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot walk the store");
        else if (search.found)
            apply_delete(a, TABLE_TRUST, slice_of(search.thumbprint, THUMBPRINT_SIZE));
    }
}

enum status apply_ca_revoke_ca(struct store_apply *a)
{
    struct ca_record issuer = {0}, ca = {0};
    struct certificate_record certificate;
    struct slice value, name = apply_bytes(a, 1);
    uint8_t serial[CA_SERIAL_MAX];
    struct ca_revoked_record revoked = {.revoked_ms = a->command->time_ms, .reason = apply_number(a, 2)};
    size_t len = 0;
    enum status status = apply_ca_of(a, apply_bytes(a, 0), &issuer);

    if (status == STATUS_OK)
        status = apply_ca_of(a, name, &ca);
    if (status != STATUS_OK)
        return status;
    if (!slice_equal(ca.issuer, issuer.name))
        return apply_refuse(a, STATUS_NOT_FOUND, "the CA %.*s has not issued the CA %.*s",
                            SLICE_ARGS(issuer.name), SLICE_ARGS(name));
    if (apply_get(a, TABLE_CERTS, slice_of(ca.thumbprint, THUMBPRINT_SIZE), &value) != STATUS_OK ||
        certificate_record_decode(value, &certificate) != STATUS_OK ||
        !ca_serial_read(certificate.serial, serial, &len))
        return apply_refuse(a, STATUS_CORRUPT, "the certificate of the CA %.*s cannot be read",
                            SLICE_ARGS(name));
    if (is_on_list(a, issuer.name, slice_of(serial, len)))
        return apply_refuse(a, STATUS_EXISTS, "the CA %.*s is revoked already", SLICE_ARGS(name));
    status = apply_crl_may_be_next(a, &issuer, 3);
    if (status != STATUS_OK)
        return status;
    revoked.thumbprint = slice_of(ca.thumbprint, THUMBPRINT_SIZE);
    revoked.not_after_ms = certificate.not_after_ms;
    revoke(a, &issuer, 3, slice_of(serial, len), &revoked);
    anchors_take_away(a);
    return STATUS_OK;
}

/* --- what an imported CA had revoked --- */

enum status apply_ca_import(struct store_apply *a)
{
    struct certificate_record certificate;
    struct ca_revoked_record revoked = {0};
    struct slice rows = apply_bytes(a, 10);
    struct crl_row row;
    bool good;
    enum status status = apply_ca_put(a, rows);

    if (status != STATUS_OK)
        return status;
    if (certificate_record_decode(apply_bytes(a, 1), &certificate) != STATUS_OK)
        return STATUS_OK; /* it has been looked at */
    /* Their ends are not known: they stay on the list until the CA's own. */
    revoked.not_after_ms = certificate.not_after_ms;
    while (a->broken == STATUS_OK && crl_row_read(&rows, &row, &good)) {
        revoked.revoked_ms = row.revoked_ms;
        revoked.reason = row.reason;
        revoked_put(a, apply_bytes(a, 0), row.serial, &revoked);
    }
    return STATUS_OK;
}
