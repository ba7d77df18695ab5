/* Commands in bytes and back: the format is in store/command.h. Pure, any thread; any bytes are safe to
 * decode. */
#include "store/command.h"

#include "store/setting.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"

#define ENTRY_HEADER 4
#define ENTRY_ALIGN  8

void command_init(struct command *c, enum command_number number, uint64_t now_ms, struct slice actor)
{
    const struct command_type *type = command_type_of(number);
    uint8_t random[10];

    memset(c, 0, sizeof(*c));
    c->number = number;
    c->version = type == NULL ? 1 : type->version;
    c->time_ms = now_ms;
    c->actor = actor;
    random_bytes(random, sizeof(random));
    id_make(c->id, now_ms, random);
}

enum status command_check(const struct command *c, struct failure *f)
{
    const struct command_type *type = command_type_of(c->number);

    if (type == NULL)
        return failure_set(f, STATUS_UNSUPPORTED, "there is no command %d in this release", (int)c->number);
    if (c->version > COMMAND_SET_VERSION)
        return failure_set(f, STATUS_VERSION, "%s: version %u is newer than this release", type->name,
                           c->version);
    if (c->actor.len > COMMAND_ACTOR_MAX || !slice_is_text(c->actor))
        return failure_set(f, STATUS_INVALID, "%s: the actor is not a short text", type->name);
    for (size_t i = 0; i < type->field_count; i++) {
        const struct command_field *field = &type->fields[i];
        size_t len = c->values[i].bytes.len;

        if (field->type == FIELD_U64)
            continue;
        if (len < field->min || len > field->max)
            return failure_set(f, STATUS_INVALID, "%s: %s has %zu bytes; it must have %u to %u", type->name,
                               field->name, len, field->min, field->max);
        if (field->type == FIELD_TEXT && !slice_is_text(c->values[i].bytes))
            return failure_set(f, STATUS_INVALID, "%s: %s is not UTF-8 text without control characters",
                               type->name, field->name);
    }
    return type->check != NULL ? type->check(c, f) : STATUS_OK;
}

enum status command_supported(const struct command *c, uint64_t cluster_set, struct failure *f)
{
    bool sets = c->number == COMMAND_SETTING_SET || c->number == COMMAND_SETTING_UNSET;
    const struct setting *setting = sets ? setting_find(c->values[2].bytes) : NULL;

    if (c->version > cluster_set)
        return failure_set(
            f, STATUS_UNSUPPORTED,
            "the cluster has nodes of an older release that do not know this command: update them first");
    if (setting != NULL && setting->since > cluster_set)
        return failure_set(
            f, STATUS_UNSUPPORTED,
            "the cluster has nodes of an older release that do not know the setting %s: update "
            "them first",
            setting->name);
    return STATUS_OK;
}

enum status command_encode(const struct command *c, struct buf *out)
{
    const struct command_type *type = command_type_of(c->number);
    struct msgpack_writer w;
    size_t start = out->len;
    enum status status;

    if (type == NULL)
        return STATUS_UNSUPPORTED;
    msgpack_writer_init(&w, out);
    write_array(&w, 6);
    write_u64(&w, c->number);
    write_u64(&w, c->version);
    write_bytes(&w, slice_of(c->id, ID_SIZE));
    write_u64(&w, c->time_ms);
    write_text(&w, c->actor);
    write_array(&w, type->field_count);
    for (size_t i = 0; i < type->field_count; i++) {
        switch (type->fields[i].type) {
        case FIELD_U64:
            write_u64(&w, c->values[i].number);
            break;
        case FIELD_BYTES:
            write_bytes(&w, c->values[i].bytes);
            break;
        case FIELD_TEXT:
            write_text(&w, c->values[i].bytes);
            break;
        }
    }
    status = msgpack_writer_status(&w);
    if (status == STATUS_OK && out->len - start > COMMAND_MAX)
        status = STATUS_TOO_LARGE;
    return status;
}

static void read_values(struct msgpack_reader *r, const struct command_type *type, struct command *c)
{
    size_t count = read_array(r, COMMAND_FIELDS_MAX);

    if (count != type->field_count)
        read_fail(r, STATUS_MALFORMED);
    for (size_t i = 0; i < type->field_count; i++) {
        switch (type->fields[i].type) {
        case FIELD_U64:
            c->values[i].number = read_u64(r);
            break;
        case FIELD_BYTES:
            c->values[i].bytes = read_bytes(r, COMMAND_MAX);
            break;
        case FIELD_TEXT:
            c->values[i].bytes = read_text(r, COMMAND_MAX);
            break;
        }
    }
}

enum status command_decode(struct slice in, struct command *c, struct failure *f)
{
    struct msgpack_reader r;
    const struct command_type *type;
    struct slice id;
    uint64_t number, version;

    memset(c, 0, sizeof(*c));
    if (in.len > COMMAND_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a command of %zu bytes is larger than %zu", in.len,
                           COMMAND_MAX);
    msgpack_reader_init(&r, in);
    if (read_array(&r, 6) != 6)
        read_fail(&r, STATUS_MALFORMED);
    number = read_u64(&r);
    version = read_u64(&r);
    id = read_bytes(&r, ID_SIZE);
    c->time_ms = read_u64(&r);
    c->actor = read_text(&r, COMMAND_ACTOR_MAX);
    if (msgpack_reader_status(&r, false) != STATUS_OK || id.len != ID_SIZE)
        return failure_set(f, STATUS_MALFORMED, "these bytes are no command");
    type = number < COMMAND_NUMBER_END ? command_type_of((enum command_number)number) : NULL;
    if (type == NULL)
        return failure_set(f, STATUS_UNSUPPORTED, "there is no command %llu in this release",
                           (unsigned long long)number);
    if (version < type->version || version > COMMAND_SET_VERSION)
        return failure_set(f, STATUS_VERSION, "%s: version %llu is not known to this release", type->name,
                           (unsigned long long)version);
    c->number = type->number;
    c->version = (uint16_t)version;
    memcpy(c->id, id.data, ID_SIZE);
    read_values(&r, type, c);
    if (msgpack_reader_status(&r, true) != STATUS_OK)
        return failure_set(f, STATUS_MALFORMED, "%s: the fields are not well formed", type->name);
    return command_check(c, f);
}

size_t command_entry_size(size_t n)
{
    return (n + ENTRY_HEADER + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
}

void command_entry_write(struct slice encoded, uint8_t *entry)
{
    size_t size = command_entry_size(encoded.len);

    for (unsigned i = 0; i < ENTRY_HEADER; i++)
        entry[i] = (uint8_t)(encoded.len >> (8 * i));
    memcpy(entry + ENTRY_HEADER, encoded.data, encoded.len);
    memset(entry + ENTRY_HEADER + encoded.len, 0, size - ENTRY_HEADER - encoded.len);
}

enum status command_entry_read(struct slice entry, struct slice *encoded)
{
    size_t len = 0;

    if (entry.len < ENTRY_ALIGN || entry.len % ENTRY_ALIGN != 0)
        return STATUS_MALFORMED;
    for (unsigned i = 0; i < ENTRY_HEADER; i++)
        len |= (size_t)entry.data[i] << (8 * i);
    if (len > COMMAND_MAX || command_entry_size(len) != entry.len)
        return STATUS_MALFORMED;
    *encoded = slice_of(entry.data + ENTRY_HEADER, len);
    return STATUS_OK;
}
