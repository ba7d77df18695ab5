/* See store/records_notice.h. */
#include "store/records_notice.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/tables.h"

#define ITEM_FIELDS 4
#define MAIL_FIELDS 8
#define TOLD_FIELDS 5

/* --- items --- */

static size_t topic_size(uint8_t kind)
{
    switch (kind) {
    case NOTICE_CERTIFICATE:
    case NOTICE_RENEWAL:
        return 1 + THUMBPRINT_SIZE;
    case NOTICE_LIST:
        return NOTICE_TOPIC_MAX;
    default:
        return 0;
    }
}

enum status notice_items_begin(size_t count, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, count);
    return msgpack_writer_status(&w);
}

enum status notice_item_encode(const struct notice_item *item, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, ITEM_FIELDS);
    write_bytes(&w, item->topic);
    write_u64(&w, item->until_ms);
    write_u64(&w, item->before_ms);
    write_text(&w, item->text);
    return msgpack_writer_status(&w);
}

static void item_read(struct msgpack_reader *r, struct notice_item *item)
{
    if (read_array(r, ITEM_FIELDS) != ITEM_FIELDS)
        read_fail(r, STATUS_MALFORMED);
    item->topic = read_bytes(r, NOTICE_TOPIC_MAX);
    item->until_ms = read_u64(r);
    item->before_ms = read_u64(r);
    item->text = read_text(r, NOTICE_TEXT_MAX);
    if (item->topic.len == 0 || item->topic.len != topic_size(item->topic.data[0]))
        read_fail(r, STATUS_MALFORMED);
}

enum status notice_items_check(struct slice items, size_t *count)
{
    struct msgpack_reader r;
    struct notice_item item;

    msgpack_reader_init(&r, items);
    *count = read_array(&r, NOTICE_ITEMS_MAX);
    for (size_t i = 0; i < *count && msgpack_reader_status(&r, false) == STATUS_OK; i++)
        item_read(&r, &item);
    return msgpack_reader_status(&r, true);
}

void notice_items_each(struct slice items, notice_item_cb cb, void *context)
{
    struct msgpack_reader r;
    struct notice_item item;
    size_t count;

    msgpack_reader_init(&r, items);
    count = read_array(&r, NOTICE_ITEMS_MAX);
    for (size_t i = 0; i < count; i++) {
        item_read(&r, &item);
        if (msgpack_reader_status(&r, false) != STATUS_OK || !cb(context, &item))
            return;
    }
}

bool notice_is_told(const struct notice_told *told, const struct notice_item *item)
{
    return told->item.until_ms == item->until_ms && told->item.before_ms <= item->before_ms;
}

bool notice_mail_bars(const struct notice_mail *mail, uint64_t now_ms)
{
    return mail->state == NOTICE_OPEN || mail->ended_ms / NOTICE_DAY_MS == now_ms / NOTICE_DAY_MS;
}

/* --- rows --- */

size_t notice_key_write(enum notice_row row, struct slice to, struct slice topic, uint8_t key[NOTICE_KEY_MAX])
{
    size_t len = 1 + to.len;

    key[0] = (uint8_t)row;
    if (to.len > 0)
        memcpy(key + 1, to.data, to.len);
    if (topic.len > 0) {
        key[len++] = '\0';
        memcpy(key + len, topic.data, topic.len);
        len += topic.len;
    }
    return len;
}

enum status notice_mail_encode(const struct notice_mail *m, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, MAIL_FIELDS);
    write_bytes(&w, slice_of(m->id, ID_SIZE));
    write_u64(&w, m->node);
    write_u64(&w, m->state);
    write_u64(&w, m->claimed_ms);
    write_u64(&w, m->ended_ms);
    write_u64(&w, m->items);
    write_u64(&w, m->waiting);
    write_text(&w, m->reason);
    return msgpack_writer_status(&w);
}

enum status notice_mail_decode(struct slice to, struct slice value, struct notice_mail *m)
{
    struct msgpack_reader r;
    struct slice id;
    uint64_t state;

    memset(m, 0, sizeof(*m));
    m->to = to;
    msgpack_reader_init(&r, value);
    if (read_array(&r, MAIL_FIELDS) != MAIL_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    id = read_bytes(&r, ID_SIZE);
    m->node = read_u64(&r);
    state = read_u64(&r);
    m->claimed_ms = read_u64(&r);
    m->ended_ms = read_u64(&r);
    m->items = read_u64(&r);
    m->waiting = read_u64(&r);
    m->reason = read_text(&r, NOTICE_REASON_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || id.len != ID_SIZE || state >= NOTICE_STATE_END)
        return STATUS_CORRUPT;
    memcpy(m->id, id.data, ID_SIZE);
    m->state = (enum notice_state)state;
    return STATUS_OK;
}

enum status notice_told_encode(const struct notice_told *t, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, TOLD_FIELDS);
    write_bytes(&w, slice_of(t->id, ID_SIZE));
    write_u64(&w, t->told_ms);
    write_u64(&w, t->item.until_ms);
    write_u64(&w, t->item.before_ms);
    write_text(&w, t->item.text);
    return msgpack_writer_status(&w);
}

enum status notice_told_decode(struct slice to, struct slice topic, struct slice value, struct notice_told *t)
{
    struct msgpack_reader r;
    struct slice id;

    memset(t, 0, sizeof(*t));
    t->to = to;
    t->item.topic = topic;
    msgpack_reader_init(&r, value);
    if (read_array(&r, TOLD_FIELDS) != TOLD_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    id = read_bytes(&r, ID_SIZE);
    t->told_ms = read_u64(&r);
    t->item.until_ms = read_u64(&r);
    t->item.before_ms = read_u64(&r);
    t->item.text = read_text(&r, NOTICE_TEXT_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || id.len != ID_SIZE || topic.len == 0 ||
        topic.len != topic_size(topic.data[0]))
        return STATUS_CORRUPT;
    memcpy(t->id, id.data, ID_SIZE);
    return STATUS_OK;
}

/* --- reading --- */

enum status store_notice_mail_get(struct store_view *v, struct slice to, struct notice_mail *out)
{
    uint8_t bytes[NOTICE_KEY_MAX];
    struct slice key, value;
    enum status status;

    if (to.len > ADDRESS_MAX)
        return STATUS_NOT_FOUND;
    key = slice_of(bytes, notice_key_write(NOTICE_ROW_MAIL, to, (struct slice){0}, bytes));
    status = table_find(v->store, v->txn, TABLE_NOTICES, &key, &value);
    return status == STATUS_OK ? notice_mail_decode(slice_of(key.data + 1, key.len - 1), value, out) : status;
}

struct notice_walk {
    struct store_view *view;
    enum notice_row row;
    struct slice to, topic; /* ITEM: of this address; TOLD: after this one */
    notice_mail_cb mail;
    notice_item_cb item;
    notice_told_cb told;
    void *context;
    enum status status;
};

static bool visit_mail(struct notice_walk *walk, struct slice to, struct slice value)
{
    struct notice_mail mail;

    walk->status = walk->row == NOTICE_ROW_OPEN ? store_notice_mail_get(walk->view, to, &mail)
                                                : notice_mail_decode(to, value, &mail);
    return walk->status == STATUS_OK && walk->mail(walk->context, &mail);
}

static bool visit_told(struct notice_walk *walk, struct slice to, struct slice topic, struct slice value)
{
    struct notice_told told;

    if (walk->row == NOTICE_ROW_ITEM && !slice_equal(to, walk->to))
        return false;
    if (walk->row == NOTICE_ROW_TOLD && slice_equal(to, walk->to) && slice_equal(topic, walk->topic))
        return true; /* the one to go on after */
    walk->status = notice_told_decode(to, topic, value, &told);
    if (walk->status != STATUS_OK)
        return false;
    return walk->row == NOTICE_ROW_ITEM ? walk->item(walk->context, &told.item)
                                        : walk->told(walk->context, &told);
}

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct notice_walk *walk = context;
    struct slice rest = slice_of(key.data + 1, key.len - 1);
    size_t nul = slice_find_byte(rest, '\0');

    if (key.data[0] != walk->row)
        return false;
    if (walk->mail != NULL)
        return visit_mail(walk, rest, value);
    if (nul == rest.len) {
        walk->status = STATUS_CORRUPT;
        return false;
    }
    return visit_told(walk, slice_of(rest.data, nul), slice_of(rest.data + nul + 1, rest.len - nul - 1),
                      value);
}

static enum status walk_rows(struct notice_walk *walk)
{
    uint8_t bytes[NOTICE_KEY_MAX];
    struct slice from;
    enum status status;

    if (walk->to.len > ADDRESS_MAX || walk->topic.len > NOTICE_TOPIC_MAX)
        return STATUS_INVALID;
    from = slice_of(bytes, notice_key_write(walk->row, walk->to, walk->topic, bytes));
    status = table_walk(walk->view->store, walk->view->txn, TABLE_NOTICES, from, visit_row, walk);
    return status != STATUS_OK ? status : walk->status;
}

enum status store_notice_mails_all(struct store_view *v, notice_mail_cb cb, void *context)
{
    struct notice_walk walk = {.view = v, .row = NOTICE_ROW_MAIL, .mail = cb, .context = context};

    return walk_rows(&walk);
}

enum status store_notice_mails_open(struct store_view *v, notice_mail_cb cb, void *context)
{
    struct notice_walk walk = {.view = v, .row = NOTICE_ROW_OPEN, .mail = cb, .context = context};

    return walk_rows(&walk);
}

enum status store_notice_items(struct store_view *v, struct slice to, notice_item_cb cb, void *context)
{
    struct notice_walk walk = {.view = v, .row = NOTICE_ROW_ITEM, .to = to, .item = cb, .context = context};

    return walk_rows(&walk);
}

enum status store_notices_told(struct store_view *v, struct slice to, struct slice topic, notice_told_cb cb,
                               void *context)
{
    struct notice_walk walk = {
        .view = v, .row = NOTICE_ROW_TOLD, .to = to, .topic = topic, .told = cb, .context = context};

    return walk_rows(&walk);
}

enum status store_notice_told_get(struct store_view *v, struct slice to, struct slice topic,
                                  struct notice_told *out)
{
    uint8_t bytes[NOTICE_KEY_MAX];
    struct slice value;
    enum status status;

    if (to.len > ADDRESS_MAX || topic.len > NOTICE_TOPIC_MAX)
        return STATUS_NOT_FOUND;
    status = table_get(v->store, v->txn, TABLE_NOTICES,
                       slice_of(bytes, notice_key_write(NOTICE_ROW_TOLD, to, topic, bytes)), &value);
    return status == STATUS_OK ? notice_told_decode(to, topic, value, out) : status;
}
