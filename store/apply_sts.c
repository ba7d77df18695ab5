/* Commands about MTA-STS policies (store/records_sts.h). See store/apply_internal.h for the rules. */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_sts.h"

/* --- judging them by themselves --- */

enum status check_sts_put(const struct command *c, struct failure *f)
{
    struct slice mx = c->values[4].bytes;

    if (c->values[2].number >= STS_MODE_END)
        return failure_set(f, STATUS_INVALID, "there is no such mode of MTA-STS");
    if (c->values[3].number > STS_MAX_AGE_MAX)
        return failure_set(f, STATUS_INVALID, "max_age is at most %llu seconds",
                           (unsigned long long)STS_MAX_AGE_MAX);
    if (!sts_patterns_are_valid(mx) || (mx.len == 0 && c->values[2].number != STS_NONE))
        return failure_set(f, STATUS_INVALID, "a policy names the hosts of its domain: host, or *.host");
    return check_domain_dns(c, f);
}

/* --- applying them --- */

static void put(struct store_apply *a, const struct sts_record *record)
{
    struct buf value = BUF_INIT(STS_MX_MAX + 1024);

    if (sts_record_encode(record, &value) == STATUS_OK)
        apply_put(a, TABLE_STS, apply_bytes(a, 0), buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
}

/* OK, NOT_FOUND or CORRUPT. */
static enum status get(struct store_apply *a, struct sts_record *record)
{
    struct slice value;
    enum status status = apply_get(a, TABLE_STS, apply_bytes(a, 0), &value);

    return status == STATUS_OK ? sts_record_decode(apply_bytes(a, 0), value, record) : status;
}

static enum status refuse(struct store_apply *a, enum status status)
{
    return status == STATUS_NOT_FOUND
               ? apply_refuse(a, status, "no MTA-STS policy of %.*s is known", SLICE_ARGS(apply_bytes(a, 0)))
               : apply_refuse(a, status, "an MTA-STS policy cannot be read");
}

/* OK: there is room for the row of this command. */
static enum status has_room(struct store_apply *a)
{
    MDB_stat rows;

    if (mdb_stat(a->txn, a->store->tables[TABLE_STS], &rows) == 0 && rows.ms_entries >= STS_POLICIES_MAX)
        return apply_refuse(a, STATUS_TOO_LARGE, "no more than %d MTA-STS policies are kept",
                            STS_POLICIES_MAX);
    return STATUS_OK;
}

enum status apply_sts_refresh(struct store_apply *a)
{
    struct sts_record record = {0};
    enum status status = get(a, &record);

    if (status == STATUS_NOT_FOUND)
        status = has_room(a);
    else if (status != STATUS_OK)
        return refuse(a, status);
    if (status == STATUS_OK) {
        record.asked_ms = a->command->time_ms;
        put(a, &record); /* it encodes before it writes: what `record` borrows from the map is still there */
    }
    return status;
}

/* One that is damaged is replaced. */
enum status apply_sts_put(struct store_apply *a)
{
    struct sts_record record = {.id = apply_bytes(a, 1),
                                .mode = (enum sts_mode)apply_number(a, 2),
                                .max_age_s = apply_number(a, 3),
                                .mx = apply_bytes(a, 4),
                                .fetched_ms = a->command->time_ms};
    enum status status = apply_has(a, TABLE_STS, apply_bytes(a, 0)) ? STATUS_OK : has_room(a);

    if (status == STATUS_OK)
        put(a, &record);
    return status;
}

enum status apply_sts_failed(struct store_apply *a)
{
    struct sts_record record;
    enum status status = get(a, &record);

    if (status != STATUS_OK)
        return refuse(a, status);
    record.asked_ms = 0;
    record.failed_ms = a->command->time_ms;
    record.note = apply_bytes(a, 1);
    put(a, &record);
    return STATUS_OK;
}

enum status apply_sts_remove(struct store_apply *a)
{
    if (!apply_has(a, TABLE_STS, apply_bytes(a, 0)))
        return refuse(a, STATUS_NOT_FOUND);
    apply_delete(a, TABLE_STS, apply_bytes(a, 0));
    return STATUS_OK;
}
