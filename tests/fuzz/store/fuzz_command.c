/* Command decoding, as a peer or a role could send it: log entries, commands, certificate records. */
#include "store/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was understood can be said again, and is understood as the same. */
static void command_survives(const struct command *c)
{
    const struct command_type *type = command_type_of(c->number);
    struct buf again = BUF_INIT(2 * COMMAND_MAX);
    struct command back;

    if (type == NULL || command_check(c, NULL) != STATUS_OK || command_encode(c, &again) != STATUS_OK ||
        command_decode(buf_slice(&again), &back, NULL) != STATUS_OK)
        abort();
    if (back.number != c->number || back.version != c->version || back.time_ms != c->time_ms ||
        memcmp(back.id, c->id, ID_SIZE) != 0 || !slice_equal(back.actor, c->actor))
        abort();
    for (size_t i = 0; i < type->field_count; i++)
        if (back.values[i].number != c->values[i].number ||
            !slice_equal(back.values[i].bytes, c->values[i].bytes))
            abort();
    buf_release(&again);
}

static void record_survives(const struct certificate_record *record)
{
    struct buf again = BUF_INIT(2 * COMMAND_MAX);
    struct certificate_record back;

    if (certificate_record_encode(record, &again) != STATUS_OK ||
        certificate_record_decode(buf_slice(&again), &back) != STATUS_OK ||
        !slice_equal(back.der, record->der) || back.address_count != record->address_count)
        abort();
    buf_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size), encoded;
    struct command command;
    struct certificate_record record;
    struct failure f;

    if (command_entry_read(in, &encoded) != STATUS_OK)
        encoded = in;
    if (command_decode(encoded, &command, &f) == STATUS_OK)
        command_survives(&command);
    if (certificate_record_decode(in, &record) == STATUS_OK)
        record_survives(&record);
    return 0;
}
