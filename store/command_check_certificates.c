/*
 * Judging the commands about certificates by themselves: see store/command_check.c. A record's thumbprint
 * must be that of its DER; what the DER says is taken on the proposer's word. Any thread.
 */
#include "store/command_check_internal.h"

#include "base/msgpack_read.h"

#include <openssl/evp.h>

enum status check_certificate_record(struct slice encoded, struct certificate_record *record,
                                     struct failure *f)
{
    uint8_t thumbprint[THUMBPRINT_SIZE];

    if (certificate_record_decode(encoded, record) != STATUS_OK)
        return failure_set(f, STATUS_MALFORMED, "the certificate's record is not well formed");
    if (EVP_Digest(record->der.data, record->der.len, thumbprint, NULL, EVP_sha256(), NULL) != 1)
        return failure_set(f, STATUS_CRYPTO, "cannot hash a certificate");
    if (memcmp(thumbprint, record->thumbprint, THUMBPRINT_SIZE) != 0)
        return failure_set(f, STATUS_MALFORMED, "the thumbprint is not that of the certificate");
    return STATUS_OK;
}

enum status check_cert_add(const struct command *c, struct failure *f)
{
    struct certificate_record record;

    return check_certificate_record(c->values[0].bytes, &record, f);
}

enum status check_cert_add_many(const struct command *c, struct failure *f)
{
    struct msgpack_reader r;
    struct certificate_record record;
    enum status status = STATUS_OK;
    size_t count;

    msgpack_reader_init(&r, c->values[0].bytes);
    count = read_array(&r, CERT_ADD_MANY_MAX);
    for (size_t i = 0; i < count && status == STATUS_OK; i++)
        status = check_certificate_record(read_raw(&r), &record, f);
    if (status == STATUS_OK && (count == 0 || msgpack_reader_status(&r, true) != STATUS_OK))
        return failure_set(f, STATUS_MALFORMED, "the list of certificates is not well formed");
    return status;
}

static bool names(const struct certificate_record *record, struct slice address)
{
    for (size_t i = 0; i < record->address_count; i++)
        if (slice_equal(record->addresses[i], address))
            return true;
    return false;
}

enum status check_cert_harvest(const struct command *c, struct failure *f)
{
    struct certificate_record record;
    enum status status = check_certificate_record(c->values[0].bytes, &record, f);

    if (status != STATUS_OK)
        return status;
    if (c->values[1].bytes.len > 0 && !names(&record, c->values[1].bytes))
        return failure_set(f, STATUS_INVALID, "the certificate does not name the signer's address");
    if (c->values[1].bytes.len == 0 && (record.uses & CERT_USE_CA) == 0)
        return failure_set(f, STATUS_INVALID, "a certificate without a signer's address must be a CA's");
    if (c->values[2].number > CERT_QUARANTINE || c->values[3].number > HARVEST_KEEP)
        return failure_set(f, STATUS_INVALID, "there is no such state, or no such way to treat a change");
    return STATUS_OK;
}

enum status check_cert_state(const struct command *c, struct failure *f)
{
    if (c->values[1].number > CERT_QUARANTINE)
        return failure_set(f, STATUS_INVALID, "a certificate can be made active, or put into quarantine");
    return STATUS_OK;
}

enum status check_cert_unbind(const struct command *c, struct failure *f)
{
    char normal[ADDRESS_MAX + 1];
    enum status status = binding_scope_normalise(c->values[1].bytes, normal, f);

    if (status == STATUS_OK && !slice_equal(slice_of_text(normal), c->values[1].bytes))
        return failure_set(f, STATUS_INVALID, "the domain or address is not in its normal form: %s", normal);
    return status;
}

enum status check_cert_bind(const struct command *c, struct failure *f)
{
    if ((c->values[2].number & ~(uint64_t)BINDING_PINNED) != 0)
        return failure_set(f, STATUS_INVALID, "there is no such flag of a binding");
    return check_cert_unbind(c, f);
}
