/*
 * Commands about what partner domains publish in DNS (store/records_dns.h). Nothing here touches bindings or
 * trust: a fingerprint that changes in DNS changes what is shown, never what is used. See
 * store/apply_internal.h for the rules.
 */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_dns.h"

/* --- judging them by themselves --- */

enum status check_domain_dns(const struct command *c, struct failure *f)
{
    char normal[DOMAIN_MAX + 1];
    enum status status = domain_normalise(c->values[0].bytes, normal, f);

    if (status == STATUS_OK && (normal[0] == '*' || !slice_equal(slice_of_text(normal), c->values[0].bytes)))
        return failure_set(f, STATUS_INVALID, "name one domain, without * and in its normal form");
    return status;
}

enum status check_domain_dns_seen(const struct command *c, struct failure *f)
{
    struct slice fingerprints = c->values[2].bytes;
    bool found = c->values[1].number == DNS_SIGNED || c->values[1].number == DNS_UNSIGNED;

    if (c->values[1].number == DNS_NOT_ASKED || c->values[1].number >= DNS_ANSWER_END)
        return failure_set(f, STATUS_INVALID, "there is no such answer of DNS");
    if (fingerprints.len % THUMBPRINT_SIZE != 0 || found != (fingerprints.len > 0))
        return failure_set(f, STATUS_INVALID, "fingerprints and the answer do not fit");
    for (size_t at = THUMBPRINT_SIZE; at < fingerprints.len; at += THUMBPRINT_SIZE)
        if (memcmp(fingerprints.data + at - THUMBPRINT_SIZE, fingerprints.data + at, THUMBPRINT_SIZE) >= 0)
            return failure_set(f, STATUS_INVALID, "fingerprints are not in ascending order");
    return check_domain_dns(c, f);
}

/* --- applying them --- */

static void put(struct store_apply *a, const struct domain_dns_record *record)
{
    struct buf value = BUF_INIT(4096);

    if (domain_dns_encode(record, &value) == STATUS_OK)
        apply_put(a, TABLE_DOMAIN_DNS, apply_bytes(a, 0), buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
}

/* OK, NOT_FOUND or CORRUPT. */
static enum status get(struct store_apply *a, struct domain_dns_record *record)
{
    struct slice value;
    enum status status = apply_get(a, TABLE_DOMAIN_DNS, apply_bytes(a, 0), &value);

    return status == STATUS_OK ? domain_dns_decode(apply_bytes(a, 0), value, record) : status;
}

static enum status refuse(struct store_apply *a, enum status status)
{
    return status == STATUS_NOT_FOUND
               ? apply_refuse(a, status, "the fingerprints of %.*s are not looked up in DNS",
                              SLICE_ARGS(apply_bytes(a, 0)))
               : apply_refuse(a, status, "what was seen in DNS cannot be read");
}

enum status apply_domain_dns_watch(struct store_apply *a)
{
    struct domain_dns_record record = {.added_ms = a->command->time_ms};
    enum status status = get(a, &record);
    MDB_stat rows;

    if (status == STATUS_NOT_FOUND) {
        if (mdb_stat(a->txn, a->store->tables[TABLE_DOMAIN_DNS], &rows) == 0 &&
            rows.ms_entries >= DOMAIN_DNS_MAX)
            return apply_refuse(a, STATUS_TOO_LARGE, "no more than %d domains are looked up in DNS",
                                DOMAIN_DNS_MAX);
    } else if (status != STATUS_OK) {
        return refuse(a, status);
    }
    record.asked_ms = a->command->time_ms;
    put(a, &record);
    return STATUS_OK;
}

enum status apply_domain_dns_unwatch(struct store_apply *a)
{
    if (!apply_has(a, TABLE_DOMAIN_DNS, apply_bytes(a, 0)))
        return refuse(a, STATUS_NOT_FOUND);
    apply_delete(a, TABLE_DOMAIN_DNS, apply_bytes(a, 0));
    return STATUS_OK;
}

enum status apply_domain_dns_seen(struct store_apply *a)
{
    struct domain_dns_record record;
    enum dns_answer answer = (enum dns_answer)apply_number(a, 1);
    enum status status = get(a, &record);

    if (status != STATUS_OK)
        return refuse(a, status);
    record.checked_ms = a->command->time_ms;
    record.asked_ms = 0;
    record.answer = answer;
    record.note = apply_bytes(a, 3);
    if (answer == DNS_SIGNED || answer == DNS_UNSIGNED || answer == DNS_ABSENT) {
        if (!slice_equal(record.fingerprints, apply_bytes(a, 2)))
            record.changed_ms = a->command->time_ms;
        record.fingerprints = apply_bytes(a, 2);
    }
    if (answer == DNS_SIGNED)
        record.signed_ms = a->command->time_ms;
    put(a, &record); /* it encodes before it writes: what `record` borrows from the map is still there */
    return STATUS_OK;
}
