/* What the commands of the built-in CA say by themselves: see command_check_internal.h. */
#include "store/command_check_internal.h"

#include "base/hex.h"
#include "store/records_ca.h"

#define REASON_MAX      10 /* aACompromise; 7 is not used (RFC 5280 section 5.3.1) */
#define REASON_NOT_USED 7

enum status check_ca_add(const struct command *c, struct failure *f)
{
    struct certificate_record record;
    enum status status = ca_name_check(c->values[0].bytes, f);

    if (status == STATUS_OK)
        status = check_certificate_record(c->values[1].bytes, &record, f);
    if (status != STATUS_OK)
        return status;
    if ((record.uses & CERT_USE_CA) == 0)
        return failure_set(f, STATUS_INVALID, "the certificate is not that of a CA");
    if (c->values[4].number > 1 || c->values[6].number >= c->values[7].number)
        return failure_set(f, STATUS_INVALID, "a flag or time of the CA is out of range");
    return STATUS_OK;
}

enum status check_ca_import(const struct command *c, struct failure *f)
{
    struct slice rows = c->values[10].bytes;
    struct crl_row row;
    size_t count = 0;
    bool good = true;
    enum status status = check_ca_add(c, f);

    while (status == STATUS_OK && crl_row_read(&rows, &row, &good)) {
        if (row.serial.len > CA_SERIAL_MAX || (row.serial.len > 1 && row.serial.data[0] == 0) ||
            row.reason == REASON_NOT_USED || row.reason == CRL_REASON_REMOVE)
            good = false;
        if (!good || ++count > CA_REVOKED_IMPORT_MAX)
            break;
    }
    if (status != STATUS_OK)
        return status;
    if (!good)
        return failure_set(f, STATUS_INVALID, "a row of what the CA has revoked is not well formed");
    if (count > CA_REVOKED_IMPORT_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "more than %d revoked certificates cannot come with a CA",
                           CA_REVOKED_IMPORT_MAX);
    return STATUS_OK;
}

/* One certificate of an issue: for the address, for users, with a serial number that a list can name. */
static enum status check_issued(struct slice encoded, struct slice address, uint64_t *uses, struct failure *f)
{
    struct certificate_record record;
    uint8_t serial[CA_SERIAL_MAX];
    enum status status = check_certificate_record(encoded, &record, f);
    bool named = false;

    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < record.address_count; i++)
        named = named || slice_equal(record.addresses[i], address);
    if (!named)
        return failure_set(f, STATUS_INVALID, "the certificate does not name %.*s", SLICE_ARGS(address));
    if ((record.uses & CERT_USE_CA) != 0)
        return failure_set(f, STATUS_INVALID, "the certificate of a user is not that of a CA");
    if (record.serial.len == 0 || record.serial.len > 2 * sizeof(serial) ||
        !hex_parse(record.serial, serial, record.serial.len / 2))
        return failure_set(f, STATUS_INVALID, "the certificate's serial number has 1 to %d bytes",
                           CA_SERIAL_MAX);
    *uses = record.uses;
    return STATUS_OK;
}

enum status check_ca_issue(const struct command *c, struct failure *f)
{
    char address[ADDRESS_MAX + 1];
    uint64_t uses = 0, uses2 = 0;
    size_t replaces = c->values[3].bytes.len;
    enum status status = address_normalise(c->values[1].bytes, address, f);

    if (status != STATUS_OK)
        return status;
    if (!slice_equal(slice_of_text(address), c->values[1].bytes))
        return failure_set(f, STATUS_INVALID, "the address is not in its normal form");
    if (c->values[2].number > CA_ISSUE_RENEW || c->values[4].number > CA_ISSUED_RENEWS ||
        replaces != (c->values[2].number == CA_ISSUE_RENEW ? THUMBPRINT_SIZE : 0) ||
        (c->values[7].bytes.len == 0) != (c->values[8].bytes.len == 0))
        return failure_set(f, STATUS_INVALID, "the fields of the issue do not fit together");
    status = check_issued(c->values[5].bytes, c->values[1].bytes, &uses, f);
    if (status == STATUS_OK && c->values[7].bytes.len > 0)
        status = check_issued(c->values[7].bytes, c->values[1].bytes, &uses2, f);
    if (status == STATUS_OK && ((uses | uses2) & CERT_USE_SIGN) == 0)
        status = failure_set(f, STATUS_INVALID, "none of the certificates is for signing");
    return status;
}

enum status check_ca_auto_issue(const struct command *c, struct failure *f)
{
    if (c->values[2].number != CA_ISSUE_IF_NONE)
        return failure_set(f, STATUS_INVALID, "on demand there is a certificate only for who has none");
    return check_ca_issue(c, f);
}

enum status check_ca_revoke(const struct command *c, struct failure *f)
{
    if (c->values[2].number <= REASON_MAX && c->values[2].number != REASON_NOT_USED)
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "there is no reason of this number for revoking");
}

enum status check_ca_request_add(const struct command *c, struct failure *f)
{
    char address[ADDRESS_MAX + 1];

    return address_normalise(c->values[1].bytes, address, f);
}

enum status check_ca_request_auto(const struct command *c, struct failure *f)
{
    char address[ADDRESS_MAX + 1];
    enum status status = address_normalise(c->values[1].bytes, address, f);

    if (status == STATUS_OK && !slice_equal(slice_of_text(address), c->values[1].bytes))
        return failure_set(f, STATUS_INVALID, "the address is not in its normal form");
    return status;
}

enum status check_ca_request_complete(const struct command *c, struct failure *f)
{
    struct certificate_record record;

    return check_certificate_record(c->values[1].bytes, &record, f);
}
