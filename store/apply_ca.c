/*
 * Commands of the built-in CA. See store/apply_internal.h for the rules.
 *
 * What must hold although several nodes issue and revoke at the same time is decided here: one certificate
 * for an address that had none (CA_ISSUE_IF_NONE), one successor for a certificate (CA_ISSUE_RENEW), and one
 * list after another (a CRL's number is one more than that in force, else CONFLICT: whoever made it read an
 * older state and makes it anew). Under a CA that is revoked nothing is issued. Revoking is in
 * apply_ca_revoke.c, requests to other CAs are in apply_ca_requests.c.
 */
#include "store/apply_ca_internal.h"

#include "store/ca_allowance.h"

enum status apply_ca_of(struct store_apply *a, struct slice name, struct ca_record *out)
{
    struct slice value;
    enum status status = apply_get(a, TABLE_CAS, name, &value);

    if (status == STATUS_NOT_FOUND)
        return apply_refuse(a, status, "there is no CA %.*s", SLICE_ARGS(name));
    if (status == STATUS_OK && ca_row_read(name, value, out) != STATUS_OK)
        status =
            apply_refuse(a, STATUS_CORRUPT, "the record of the CA %.*s cannot be read", SLICE_ARGS(name));
    return status;
}

void apply_ca_row_put(struct store_apply *a, enum table table, struct slice key, enum status encoded,
                      struct buf *row)
{
    if (encoded == STATUS_OK)
        apply_put(a, table, key, buf_slice(row));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(row);
}

/* The record's slices may point into the map: it is encoded before anything is written. */
static void record_put(struct store_apply *a, const struct ca_record *record)
{
    struct buf row = BUF_INIT(CA_ROW_MAX);
    char name[CA_NAME_MAX];
    size_t len = record->name.len;
    enum status encoded = ca_row_write(record, &row);

    if (len > 0)
        memcpy(name, record->name.data, len);
    apply_ca_row_put(a, TABLE_CAS, slice_of(name, len), encoded, &row);
}

enum status apply_crl_may_be_next(struct store_apply *a, const struct ca_record *ca, size_t field)
{
    if (apply_number(a, field) == ca->crl_number + 1)
        return STATUS_OK;
    return apply_refuse(a, STATUS_CONFLICT,
                        "another revocation list of the CA %.*s came in between; try again",
                        SLICE_ARGS(ca->name));
}

void apply_crl_put(struct store_apply *a, struct ca_record *ca, size_t field, struct slice rows)
{
    ca->crl_number = apply_number(a, field);
    ca->crl_this_ms = apply_number(a, field + 2);
    ca->crl_next_ms = apply_number(a, field + 3);
    record_put(a, ca);
    apply_put(a, TABLE_CA_CRL, apply_bytes(a, 0), apply_bytes(a, field + 1));
    apply_own_list(a, ca, rows);
}

enum status apply_ca_crl(struct store_apply *a)
{
    struct ca_record ca = {0};
    enum status status = apply_ca_of(a, apply_bytes(a, 0), &ca);

    if (status == STATUS_OK)
        status = apply_crl_may_be_next(a, &ca, 1);
    if (status == STATUS_OK)
        apply_crl_put(a, &ca, 1, (struct slice){0});
    return status;
}

enum status apply_ca_stands(struct store_apply *a, struct slice name)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct ca_revoked_record revoked;
    struct slice which = {0};
    enum status status = store_ca_revocation(&view, name, &which, &revoked);

    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return apply_refuse(a, STATUS_CORRUPT, "whether the CA %.*s is revoked cannot be read",
                            SLICE_ARGS(name));
    return apply_refuse(a, STATUS_REVOKED, "the CA %.*s is revoked%s%.*s%s", SLICE_ARGS(which),
                        slice_equal(which, name) ? "" : ", and with it ",
                        SLICE_ARGS(slice_equal(which, name) ? (struct slice){0} : name),
                        slice_equal(which, name) ? "" : " below it");
}

struct search {
    struct store_apply *a;
    struct slice wanted;
    bool found;
    char name[CA_NAME_MAX + 1]; /* of the CA that was found */
};

static bool has_thumbprint(void *context, struct slice key, struct slice value)
{
    struct search *search = context;
    struct ca_record record;

    search->found = ca_row_read(key, value, &record) == STATUS_OK &&
                    slice_equal(slice_of(record.thumbprint, THUMBPRINT_SIZE), search->wanted);
    if (search->found && key.len <= CA_NAME_MAX)
        memcpy(search->name, key.data, key.len); /* zeros follow */
    return !search->found;
}

static bool find_ca(struct search *search)
{
    struct store_apply *a = search->a;

    if (table_walk(a->store, a->txn, TABLE_CAS, (struct slice){0}, has_thumbprint, search) != STATUS_OK &&
        a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_IO, "cannot walk the store");
    return search->found;
}

enum status apply_anchor_stands(struct store_apply *a, struct slice thumbprint)
{
    struct search search = {.a = a, .wanted = thumbprint};

    if (!find_ca(&search))
        return STATUS_OK;
    return apply_ca_stands(a, slice_of_text(search.name));
}

bool apply_is_our_ca(struct store_apply *a, struct slice thumbprint)
{
    struct search search = {.a = a, .wanted = thumbprint};

    return find_ca(&search);
}

enum status apply_ca_put(struct store_apply *a, struct slice revoked)
{
    struct ca_record ca = {.name = apply_bytes(a, 0),
                           .sealed_key = apply_bytes(a, 2),
                           .issuer = apply_bytes(a, 3),
                           .crl_number = apply_number(a, 8),
                           .crl_this_ms = apply_number(a, 6),
                           .crl_next_ms = apply_number(a, 7),
                           .added_ms = a->command->time_ms};
    struct certificate_record record;

    if (certificate_record_decode(apply_bytes(a, 1), &record) != STATUS_OK)
        return apply_refuse(a, STATUS_MALFORMED, "the certificate's record is not well formed");
    if (apply_has(a, TABLE_CAS, ca.name))
        return apply_refuse(a, STATUS_EXISTS, "there is a CA %.*s already", SLICE_ARGS(ca.name));
    if (apply_is_our_ca(a, slice_of(record.thumbprint, THUMBPRINT_SIZE)))
        return apply_refuse(a, STATUS_EXISTS, "this certificate is that of a CA of this cluster already");
    if (ca.issuer.len > 0 && !apply_has(a, TABLE_CAS, ca.issuer))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no CA %.*s", SLICE_ARGS(ca.issuer));
    if (ca.issuer.len > 0) {
        enum status status = apply_ca_stands(a, ca.issuer);

        if (status != STATUS_OK)
            return status;
    }
    memcpy(ca.thumbprint, record.thumbprint, THUMBPRINT_SIZE);
    memcpy(ca.issuer_id, apply_bytes(a, 9).data, ISSUER_ID_SIZE);
    if (!apply_has(a, TABLE_CERTS, slice_of(ca.thumbprint, THUMBPRINT_SIZE)))
        apply_certificate_put(a, &record, apply_bytes(a, 1));
    if (apply_number(a, 4) == 1 && !apply_has(a, TABLE_TRUST, slice_of(ca.thumbprint, THUMBPRINT_SIZE)))
        apply_trust_put(a, slice_of(ca.thumbprint, THUMBPRINT_SIZE), SLICE_LITERAL("CA of this cluster"));
    record_put(a, &ca);
    apply_put(a, TABLE_CA_CRL, ca.name, apply_bytes(a, 5));
    apply_own_list(a, &ca, revoked);
    return STATUS_OK;
}

enum status apply_ca_add(struct store_apply *a)
{
    return apply_ca_put(a, (struct slice){0});
}

static bool issued_by(void *context, struct slice key, struct slice value)
{
    struct search *search = context;
    struct ca_issued_record record;

    search->found =
        ca_issued_row_read(key, value, &record) == STATUS_OK && slice_equal(record.ca, search->wanted);
    return !search->found;
}

static bool ca_issued_by(void *context, struct slice key, struct slice value)
{
    struct search *search = context;
    struct ca_record record;

    search->found =
        ca_row_read(key, value, &record) == STATUS_OK && slice_equal(record.issuer, search->wanted);
    return !search->found;
}

enum status apply_ca_remove(struct store_apply *a)
{
    struct slice name = apply_bytes(a, 0);
    struct search search = {.a = a, .wanted = name};
    struct ca_record ca = {0};
    enum status status = apply_ca_of(a, name, &ca);

    if (status == STATUS_OK)
        status = table_walk(a->store, a->txn, TABLE_CA_ISSUED, (struct slice){0}, issued_by, &search);
    if (status == STATUS_OK && !search.found)
        status = table_walk(a->store, a->txn, TABLE_CAS, (struct slice){0}, ca_issued_by, &search);
    if (status != STATUS_OK)
        return status;
    if (search.found)
        return apply_refuse(a, STATUS_CONFLICT,
                            "the CA %.*s has issued certificates, which would be left without a revocation "
                            "list",
                            SLICE_ARGS(name));
    apply_delete(a, TABLE_CAS, name);
    apply_delete(a, TABLE_CA_CRL, name);
    return STATUS_OK;
}

/* --- issuing --- */

bool apply_issued_row(struct store_apply *a, struct slice thumbprint, struct ca_issued_record *out)
{
    struct slice value;

    return apply_get(a, TABLE_CA_ISSUED, thumbprint, &value) == STATUS_OK &&
           ca_issued_row_read(thumbprint, value, out) == STATUS_OK;
}

bool apply_issued_is_revoked(struct store_apply *a, const struct ca_issued_record *issued)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct ca_revoked_record revoked;
    struct slice which;

    return store_ca_revoked_get(&view, issued->ca, issued->serial, &revoked) == STATUS_OK ||
           store_ca_revocation(&view, issued->ca, &which, &revoked) == STATUS_OK;
}

static bool signs_now(void *context, struct slice key, struct slice value)
{
    struct search *search = context;
    struct ca_issued_record issued;
    struct slice thumbprint;

    (void)value;
    if (!slice_starts_with(key, search->wanted) || key.len != search->wanted.len + THUMBPRINT_SIZE)
        return false;
    thumbprint = slice_of(key.data + search->wanted.len, THUMBPRINT_SIZE);
    search->found = apply_issued_row(search->a, thumbprint, &issued) && (issued.uses & CERT_USE_SIGN) != 0 &&
                    issued.not_after_ms > search->a->command->time_ms &&
                    apply_has(search->a, TABLE_KEYS, thumbprint) &&
                    !apply_issued_is_revoked(search->a, &issued);
    return !search->found;
}

/* Has the address a certificate of a CA of ours that it can sign with? */
static enum status must_have_none(struct store_apply *a, struct slice address)
{
    uint8_t prefix[ADDRESS_MAX + 1];
    struct search search = {.a = a, .wanted = slice_of(prefix, address.len + 1)};
    enum status status;

    memcpy(prefix, address.data, address.len);
    prefix[address.len] = 0;
    status = table_walk(a->store, a->txn, TABLE_CERT_ADDRESS, search.wanted, signs_now, &search);
    if (status != STATUS_OK)
        return status;
    return search.found
               ? apply_refuse(a, STATUS_EXISTS, "%.*s has a certificate already", SLICE_ARGS(address))
               : STATUS_OK;
}

static enum status may_be_renewed(struct store_apply *a, struct slice old)
{
    struct ca_issued_record issued;

    if (!apply_issued_row(a, old, &issued))
        return apply_refuse(a, STATUS_NOT_FOUND, "no CA of this cluster has issued the certificate");
    if (issued.successor.len > 0)
        return apply_refuse(a, STATUS_EXISTS, "the certificate has been renewed already");
    if (apply_issued_is_revoked(a, &issued))
        return apply_refuse(a, STATUS_CONFLICT, "the certificate is revoked");
    return STATUS_OK;
}

static void set_successor(struct store_apply *a, struct slice old, struct slice successor)
{
    struct ca_issued_record issued;
    struct buf row = BUF_INIT(CA_ROW_MAX);

    if (!apply_issued_row(a, old, &issued))
        return;
    issued.successor = successor;
    apply_ca_row_put(a, TABLE_CA_ISSUED, old, ca_issued_row_write(&issued, &row), &row);
}

/* With the one that was issued with it. */
static void set_successors(struct store_apply *a, struct slice old, struct slice successor)
{
    struct ca_issued_record issued;
    uint8_t pair[THUMBPRINT_SIZE];
    bool has_pair = apply_issued_row(a, old, &issued) && issued.pair.len == sizeof(pair);

    if (has_pair)
        memcpy(pair, issued.pair.data, sizeof(pair));
    set_successor(a, old, successor);
    if (has_pair)
        set_successor(a, slice_of(pair, sizeof(pair)), successor);
}

static void issued_put(struct store_apply *a, const struct certificate_record *record,
                       size_t certificate_field, struct slice pair)
{
    struct slice thumbprint = slice_of(record->thumbprint, THUMBPRINT_SIZE);
    uint8_t serial[CA_SERIAL_MAX];
    size_t len = 0;
    bool good = ca_serial_read(record->serial, serial, &len); /* the check has looked */
    struct ca_issued_record issued = {.ca = apply_bytes(a, 0),
                                      .serial = slice_of(serial, good ? len : 0),
                                      .address = apply_bytes(a, 1),
                                      .uses = record->uses,
                                      .issued_ms = a->command->time_ms,
                                      .not_after_ms = record->not_after_ms,
                                      .flags = apply_number(a, 4),
                                      .pair = pair};
    struct buf row = BUF_INIT(CA_ROW_MAX);

    apply_certificate_put(a, record, apply_bytes(a, certificate_field));
    apply_put(a, TABLE_KEYS, thumbprint, apply_bytes(a, certificate_field + 1));
    apply_ca_row_put(a, TABLE_CA_ISSUED, thumbprint, ca_issued_row_write(&issued, &row), &row);
}

enum status apply_ca_issue(struct store_apply *a)
{
    struct ca_record ca = {0};
    struct certificate_record first, second;
    bool dual = apply_bytes(a, 7).len > 0;
    enum status status = apply_ca_of(a, apply_bytes(a, 0), &ca);

    if (status == STATUS_OK)
        status = apply_ca_stands(a, apply_bytes(a, 0));
    if (status != STATUS_OK)
        return status;
    if (certificate_record_decode(apply_bytes(a, 5), &first) != STATUS_OK ||
        (dual && certificate_record_decode(apply_bytes(a, 7), &second) != STATUS_OK))
        return apply_refuse(a, STATUS_MALFORMED, "the certificate's record is not well formed");
    if (apply_has(a, TABLE_CERTS, slice_of(first.thumbprint, THUMBPRINT_SIZE)) ||
        (dual && apply_has(a, TABLE_CERTS, slice_of(second.thumbprint, THUMBPRINT_SIZE))))
        return apply_refuse(a, STATUS_EXISTS, "this certificate is in the store already");
    if (apply_number(a, 2) == CA_ISSUE_IF_NONE)
        status = must_have_none(a, apply_bytes(a, 1));
    else if (apply_number(a, 2) == CA_ISSUE_RENEW)
        status = may_be_renewed(a, apply_bytes(a, 3));
    if (status != STATUS_OK)
        return status;
    issued_put(a, &first, 5, dual ? slice_of(second.thumbprint, THUMBPRINT_SIZE) : (struct slice){0});
    if (dual)
        issued_put(a, &second, 7, slice_of(first.thumbprint, THUMBPRINT_SIZE));
    if (apply_number(a, 2) == CA_ISSUE_RENEW)
        set_successors(a, apply_bytes(a, 3), slice_of(first.thumbprint, THUMBPRINT_SIZE));
    return STATUS_OK;
}

static void count_one(struct store_apply *a, struct slice who)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct ca_allowance now;
    struct buf row = BUF_INIT(CA_ALLOWANCE_ROW_MAX);
    enum status status = store_ca_allowance_get(&view, who, a->command->time_ms, &now);

    now.count++;
    apply_ca_row_put(a, TABLE_CA_ALLOWANCE, who,
                     status == STATUS_OK ? ca_allowance_row_write(&now, &row) : status, &row);
}

void apply_allowance_count(struct store_apply *a, struct slice address)
{
    count_one(a, address_domain(address));
    count_one(a, SLICE_LITERAL(CA_ALLOWANCE_CLUSTER));
}

enum status apply_ca_auto_issue(struct store_apply *a)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct slice address = apply_bytes(a, 1);
    enum status status = store_ca_allowance_check(&view, address, CA_HANDLER_BUILTIN, a->command->time_ms,
                                                  &a->result->failure);

    if (status == STATUS_OK)
        status = apply_ca_issue(a);
    if (status == STATUS_OK)
        apply_allowance_count(a, address);
    return status;
}
