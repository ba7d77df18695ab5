/* Commands about what addresses are rewritten to (store/records_rewrite.h). See store/apply_internal.h for
 * the rules. */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_rewrite.h"

/* --- judging them by themselves --- */

enum status check_rewrite_remove(const struct command *c, struct failure *f)
{
    char normal[ADDRESS_MAX + 2];
    enum status status;

    if (c->values[0].number == 0 || c->values[0].number >= REWRITE_KIND_END)
        return failure_set(f, STATUS_INVALID, "the kinds are canonical, masquerade and exception");
    status = rewrite_pattern_normalise((enum rewrite_kind)c->values[0].number, c->values[1].bytes, normal, f);
    if (status == STATUS_OK && !slice_equal(slice_of_text(normal), c->values[1].bytes))
        return failure_set(f, STATUS_INVALID, "the pattern is not in its normal form");
    return status;
}

static enum status check_canonical(const struct command *c, struct failure *f)
{
    char target[ADDRESS_MAX + 2];
    enum status status = rewrite_target_normalise(c->values[1].bytes, c->values[2].bytes, target, f);

    if (status == STATUS_OK && !slice_equal(slice_of_text(target), c->values[2].bytes))
        return failure_set(f, STATUS_INVALID, "what it becomes is not in its normal form");
    return status;
}

enum status check_rewrite_set(const struct command *c, struct failure *f)
{
    uint64_t flags = c->values[3].number;
    enum status status = check_rewrite_remove(c, f);

    if (status != STATUS_OK)
        return status;
    if (c->values[0].number != REWRITE_CANONICAL && c->values[2].bytes.len > 0)
        return failure_set(f, STATUS_INVALID, "only a canonical pattern becomes something");
    if (c->values[0].number == REWRITE_EXCEPTION)
        return flags == 0 ? STATUS_OK : failure_set(f, STATUS_INVALID, "an exception holds everywhere");
    if (flags > REWRITE_ALL || (flags & (REWRITE_OF_SENDER | REWRITE_OF_RECIPIENT)) == 0 ||
        (flags & (REWRITE_IN_ENVELOPE | REWRITE_IN_HEADER)) == 0)
        return failure_set(f, STATUS_INVALID,
                           "say of whom (senders, recipients) and where (envelope, header) it rewrites");
    if (c->values[0].number == REWRITE_MASQUERADE && (flags & REWRITE_OF_RECIPIENT) != 0)
        return failure_set(f, STATUS_INVALID, "masquerading is of senders");
    return c->values[0].number == REWRITE_CANONICAL ? check_canonical(c, f) : STATUS_OK;
}

/* --- applying them --- */

enum status apply_rewrite_set(struct store_apply *a)
{
    struct rewrite_record record = {
        .target = apply_bytes(a, 2), .flags = apply_number(a, 3), .added_ms = a->command->time_ms};
    uint8_t bytes[REWRITE_KEY_MAX];
    struct slice key = rewrite_row_key((enum rewrite_kind)apply_number(a, 0), apply_bytes(a, 1), bytes);
    struct buf value = BUF_INIT(1024);
    MDB_stat rows;

    if (!apply_has(a, TABLE_REWRITES, key) &&
        mdb_stat(a->txn, a->store->tables[TABLE_REWRITES], &rows) == 0 && rows.ms_entries >= REWRITE_ROWS_MAX)
        return apply_refuse(a, STATUS_TOO_LARGE, "no more than %d addresses and domains are rewritten",
                            REWRITE_ROWS_MAX);
    if (rewrite_encode(&record, &value) == STATUS_OK)
        apply_put(a, TABLE_REWRITES, key, buf_slice(&value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(&value);
    return STATUS_OK;
}

enum status apply_rewrite_remove(struct store_apply *a)
{
    uint8_t bytes[REWRITE_KEY_MAX];
    enum rewrite_kind kind = (enum rewrite_kind)apply_number(a, 0);
    struct slice key = rewrite_row_key(kind, apply_bytes(a, 1), bytes);

    if (!apply_has(a, TABLE_REWRITES, key))
        return apply_refuse(a, STATUS_NOT_FOUND, "there is no %s %.*s", rewrite_kind_name(kind),
                            SLICE_ARGS(apply_bytes(a, 1)));
    apply_delete(a, TABLE_REWRITES, key);
    return STATUS_OK;
}
