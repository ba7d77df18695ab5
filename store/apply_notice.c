/*
 * Commands about mails that tell people what expires (store/records_notice.h): claimed by one node, then told
 * or refused. Two leaders that both plan the same mail get it once: the second claim finds the first. See
 * store/apply_internal.h for the rules.
 */
#include "store/apply_internal.h"
#include "store/command_check_internal.h"
#include "store/records_notice.h"

#define ROW_MAX 1024

/* --- judging them by themselves --- */

static enum status check_to(const struct command *c, struct failure *f)
{
    char normal[ADDRESS_MAX + 1];
    enum status status = address_normalise(c->values[0].bytes, normal, f);

    if (status == STATUS_OK && !slice_equal(slice_of_text(normal), c->values[0].bytes))
        return failure_set(f, STATUS_INVALID, "the address is not in its normal form");
    return status;
}

static enum status check_items(const struct command *c, struct slice items, struct failure *f)
{
    size_t count;

    if (notice_items_check(items, &count) != STATUS_OK)
        return failure_set(f, STATUS_INVALID, "what is to be told is not well formed");
    return check_to(c, f);
}

enum status check_notice_claim(const struct command *c, struct failure *f)
{
    return check_items(c, c->values[4].bytes, f);
}

enum status check_notice_end(const struct command *c, struct failure *f)
{
    if (c->values[2].number != NOTICE_ACCEPTED && c->values[2].number != NOTICE_REFUSED)
        return failure_set(f, STATUS_INVALID, "a mail ends accepted (1) or refused (2)");
    return check_to(c, f);
}

enum status check_notice_forget(const struct command *c, struct failure *f)
{
    return check_items(c, c->values[1].bytes, f);
}

/* --- applying them --- */

static void put(struct store_apply *a, struct slice key, struct buf *value, enum status encoded)
{
    if (encoded == STATUS_OK)
        apply_put(a, TABLE_NOTICES, key, buf_slice(value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(value);
}

static void mail_put(struct store_apply *a, const struct notice_mail *mail)
{
    struct buf value = BUF_INIT(ROW_MAX);
    uint8_t key[NOTICE_KEY_MAX];
    enum status encoded = notice_mail_encode(mail, &value);

    put(a, slice_of(key, notice_key_write(NOTICE_ROW_MAIL, apply_bytes(a, 0), (struct slice){0}, key)),
        &value, encoded);
}

static void told_put(struct store_apply *a, enum notice_row row, const struct notice_told *told)
{
    struct buf value = BUF_INIT(ROW_MAX);
    uint8_t key[NOTICE_KEY_MAX];
    enum status encoded = notice_told_encode(told, &value);

    put(a, slice_of(key, notice_key_write(row, apply_bytes(a, 0), told->item.topic, key)), &value, encoded);
}

/* OK, NOT_FOUND or CORRUPT. */
static enum status mail_get(struct store_apply *a, struct notice_mail *mail)
{
    uint8_t key[NOTICE_KEY_MAX];
    struct slice value;
    enum status status = apply_get(
        a, TABLE_NOTICES,
        slice_of(key, notice_key_write(NOTICE_ROW_MAIL, apply_bytes(a, 0), (struct slice){0}, key)), &value);

    return status == STATUS_OK ? notice_mail_decode(apply_bytes(a, 0), value, mail) : status;
}

static enum status told_get(struct store_apply *a, struct slice topic, struct notice_told *told)
{
    uint8_t key[NOTICE_KEY_MAX];
    struct slice value;
    enum status status =
        apply_get(a, TABLE_NOTICES,
                  slice_of(key, notice_key_write(NOTICE_ROW_TOLD, apply_bytes(a, 0), topic, key)), &value);

    return status == STATUS_OK ? notice_told_decode(apply_bytes(a, 0), topic, value, told) : status;
}

struct item_walk {
    struct store_apply *apply;
    bool told; /* one of them was told already */
};

static bool look_if_told(void *context, const struct notice_item *item)
{
    struct item_walk *walk = context;
    struct notice_told told;

    walk->told = told_get(walk->apply, item->topic, &told) == STATUS_OK && notice_is_told(&told, item);
    return !walk->told;
}

static bool write_item(void *context, const struct notice_item *item)
{
    struct store_apply *a = context;
    struct notice_told row = {.item = *item, .told_ms = a->command->time_ms};

    memcpy(row.id, apply_bytes(a, 1).data, ID_SIZE);
    told_put(a, NOTICE_ROW_ITEM, &row);
    return true;
}

/* The claim of a node that has not done it for so long. */
static enum status take_over(struct store_apply *a, struct notice_mail *mail)
{
    if (memcmp(mail->id, apply_bytes(a, 1).data, ID_SIZE) != 0)
        return apply_refuse(a, STATUS_CONFLICT, "another mail to this address is under way");
    if (a->command->time_ms < mail->claimed_ms + NOTICE_LEASE_MS)
        return apply_refuse(a, STATUS_CONFLICT, "another node is sending this mail");
    mail->node = apply_number(a, 2);
    mail->claimed_ms = a->command->time_ms;
    mail_put(a, mail);
    return STATUS_OK;
}

enum status apply_notice_claim(struct store_apply *a)
{
    struct slice to = apply_bytes(a, 0), items = apply_bytes(a, 4);
    struct notice_mail mail = {
        .node = apply_number(a, 2), .claimed_ms = a->command->time_ms, .waiting = apply_number(a, 3)};
    struct notice_mail before;
    struct item_walk walk = {.apply = a};
    uint8_t key[NOTICE_KEY_MAX];
    size_t count = 0;
    enum status status = mail_get(a, &before);

    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return apply_refuse(a, status, "what was told cannot be read");
    if (notice_items_check(items, &count) != STATUS_OK)
        return apply_refuse(a, STATUS_INVALID, "what is to be told is not well formed");
    if (status == STATUS_OK && before.state == NOTICE_OPEN && count == 0)
        return take_over(a, &before);
    if (count == 0)
        return apply_refuse(a, STATUS_CONFLICT, "there is no mail under way to this address");
    if (status == STATUS_OK && notice_mail_bars(&before, a->command->time_ms))
        return apply_refuse(a, STATUS_CONFLICT, "this address gets one mail a day");
    notice_items_each(items, look_if_told, &walk);
    if (walk.told)
        return apply_refuse(a, STATUS_CONFLICT, "something of it was told already");
    memcpy(mail.id, apply_bytes(a, 1).data, ID_SIZE);
    mail.items = count;
    mail_put(a, &mail);
    notice_items_each(items, write_item, a);
    apply_put(a, TABLE_NOTICES, slice_of(key, notice_key_write(NOTICE_ROW_OPEN, to, (struct slice){0}, key)),
              (struct slice){0});
    return STATUS_OK;
}

static bool write_told(void *context, struct slice key, struct slice value)
{
    struct store_apply *a = context;
    struct slice to = apply_bytes(a, 0);
    struct notice_told told;
    uint8_t topic[NOTICE_KEY_MAX]; /* the map moves when it is written to */
    size_t before = 1 + to.len + 1;

    if (key.len <= before || key.len > sizeof(topic) || key.data[0] != NOTICE_ROW_ITEM ||
        key.data[before - 1] != '\0' || memcmp(key.data + 1, to.data, to.len) != 0)
        return false;
    memcpy(topic, key.data + before, key.len - before);
    if (notice_told_decode(to, slice_of(topic, key.len - before), value, &told) != STATUS_OK)
        return true;
    told.told_ms = a->command->time_ms;
    told_put(a, NOTICE_ROW_TOLD, &told);
    return true;
}

enum status apply_notice_end(struct store_apply *a)
{
    struct slice to = apply_bytes(a, 0);
    struct notice_mail mail;
    uint8_t key[NOTICE_KEY_MAX];
    enum status status = mail_get(a, &mail);
    size_t len;

    if (status == STATUS_CORRUPT)
        return apply_refuse(a, status, "what was told cannot be read");
    if (status != STATUS_OK || mail.state != NOTICE_OPEN ||
        memcmp(mail.id, apply_bytes(a, 1).data, ID_SIZE) != 0)
        return apply_refuse(a, STATUS_CONFLICT, "no such mail is under way to this address");
    mail.state = (enum notice_state)apply_number(a, 2);
    mail.ended_ms = a->command->time_ms;
    mail.reason = apply_bytes(a, 3);
    len = notice_key_write(NOTICE_ROW_ITEM, to, (struct slice){0}, key);
    key[len++] = '\0';
    if (mail.state == NOTICE_ACCEPTED &&
        table_walk(a->store, a->txn, TABLE_NOTICES, slice_of(key, len), write_told, a) != STATUS_OK &&
        a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_IO, "a table cannot be walked");
    apply_delete_prefix(a, TABLE_NOTICES, slice_of(key, len));
    apply_delete(a, TABLE_NOTICES,
                 slice_of(key, notice_key_write(NOTICE_ROW_OPEN, to, (struct slice){0}, key)));
    mail_put(a, &mail);
    return STATUS_OK;
}

static bool forget_one(void *context, const struct notice_item *item)
{
    struct store_apply *a = context;
    struct notice_told told;
    uint8_t key[NOTICE_KEY_MAX];

    if (told_get(a, item->topic, &told) == STATUS_OK &&
        told.item.until_ms + NOTICE_KEPT_MS < a->command->time_ms)
        apply_delete(a, TABLE_NOTICES,
                     slice_of(key, notice_key_write(NOTICE_ROW_TOLD, apply_bytes(a, 0), item->topic, key)));
    return true;
}

enum status apply_notice_forget(struct store_apply *a)
{
    notice_items_each(apply_bytes(a, 1), forget_one, a);
    return STATUS_OK;
}
