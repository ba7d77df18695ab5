/* See ca_allowance.h. Any thread with a view of its own, or the command that is being applied. */
#include "store/ca_allowance.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/records.h"
#include "store/setting.h"
#include "store/tables.h"

enum status store_ca_allowance_get(struct store_view *v, struct slice domain, uint64_t time_ms,
                                   struct ca_allowance *out)
{
    struct slice value;
    struct msgpack_reader r;
    struct ca_allowance stored;
    uint64_t hour = time_ms / CA_ALLOWANCE_HOUR_MS;
    enum status status = table_get(v->store, v->txn, TABLE_CA_ALLOWANCE, domain, &value);

    *out = (struct ca_allowance){.hour = hour};
    if (status != STATUS_OK)
        return status == STATUS_NOT_FOUND ? STATUS_OK : status;
    msgpack_reader_init(&r, value);
    if (read_array(&r, 2) != 2)
        read_fail(&r, STATUS_MALFORMED);
    stored.hour = read_u64(&r);
    stored.count = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK)
        return STATUS_CORRUPT;
    if (stored.hour >= hour)
        *out = stored;
    return STATUS_OK;
}

enum status ca_allowance_row_write(const struct ca_allowance *allowance, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, 2);
    write_u64(&w, allowance->hour);
    write_u64(&w, allowance->count);
    return msgpack_writer_status(&w);
}

enum status store_ca_handler(struct store_view *v, struct slice address, enum ca_handler *out)
{
    struct setting_value value;
    enum status status = setting_get(v, setting_at(SETTING_CA_HANDLER), address, &value);

    if (status == STATUS_OK)
        *out = (enum ca_handler)setting_choice(&value);
    return status;
}

static enum status is_wanted(struct store_view *v, struct slice address, enum ca_handler asking,
                             struct failure *f)
{
    struct setting_value automatic, locality;
    enum ca_handler handler = asking;
    enum status status = setting_get(v, setting_at(SETTING_CA_AUTO_REQUEST), address, &automatic);

    if (status == STATUS_OK)
        status = setting_get(v, setting_at(SETTING_DOMAIN_LOCALITY), address_domain(address), &locality);
    if (status == STATUS_OK)
        status = store_ca_handler(v, address, &handler);
    if (status != STATUS_OK)
        return failure_set(f, status, "the settings of %.*s cannot be read", SLICE_ARGS(address));
    if (!slice_equal(locality.text, SLICE_LITERAL("internal")))
        return failure_set(f, STATUS_NOT_FOUND, "%.*s is of no internal domain", SLICE_ARGS(address));
    if (!setting_bool(&automatic))
        return failure_set(f, STATUS_NOT_FOUND, "ca.auto_request is not in force for %.*s",
                           SLICE_ARGS(address));
    if (handler != asking)
        return failure_set(f, STATUS_NOT_FOUND, "ca.handler is another one for %.*s", SLICE_ARGS(address));
    return STATUS_OK;
}

/* `scope`: whose setting counts; `who`: whose certificates are counted. */
static enum status has_room(struct store_view *v, struct slice scope, struct slice who, uint64_t times,
                            uint64_t time_ms, struct failure *f)
{
    struct setting_value limit;
    struct ca_allowance now;
    enum status status = setting_get(v, setting_at(SETTING_CA_AUTO_REQUEST_LIMIT), scope, &limit);

    if (status == STATUS_OK)
        status = store_ca_allowance_get(v, who, time_ms, &now);
    if (status != STATUS_OK)
        return failure_set(f, status, "the number of certificates on demand cannot be read");
    if (now.count < times * setting_number(&limit))
        return STATUS_OK;
    return failure_set(f, STATUS_POLICY,
                       "%llu senders of %s%.*s got a certificate on demand within the hour, and no more may "
                       "(ca.auto_request_limit)",
                       (unsigned long long)now.count, scope.len > 0 ? "" : "all domains", SLICE_ARGS(scope));
}

enum status store_ca_allowance_check(struct store_view *v, struct slice address, enum ca_handler asking,
                                     uint64_t time_ms, struct failure *f)
{
    struct slice domain = address_domain(address);
    enum status status = is_wanted(v, address, asking, f);

    if (status == STATUS_OK)
        status = has_room(v, domain, domain, 1, time_ms, f);
    if (status == STATUS_OK)
        status = has_room(v, (struct slice){0}, SLICE_LITERAL(CA_ALLOWANCE_CLUSTER), CA_ALLOWANCE_DOMAINS,
                          time_ms, f);
    return status;
}
