/*
 * Who was told by mail what expires, and when (store/records_notice.h). Nothing is changed here: settings say
 * who is told.
 */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/hex.h"
#include "store/records_notice.h"

static const struct api_field fields[] = {
    {.name = "to", .type = API_TEXT, .flags = API_REQUIRED, .help = "who was told"},
    {.name = "kind",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "certificate|renewal|list",
     .help = "it expires; it was to be renewed and was not; a revocation list was to be replaced"},
    {.name = "what", .type = API_TEXT, .flags = API_REQUIRED, .help = "what it is, as the mail said"},
    {.name = "id",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "thumbprint; of a list issuer and part, as the store names them"},
    {.name = "until", .type = API_TIME, .flags = API_REQUIRED, .help = "when it expires"},
    {.name = "told", .type = API_TIME, .flags = API_REQUIRED, .help = "when the mail was accepted"},
    {.name = "message", .type = API_TEXT, .flags = API_REQUIRED, .help = "id of the mail (message trace)"},
};
const struct api_object notice_object = {
    .name = "Reminder", .help = "Something that somebody was told by mail.", API_FIELDS(fields)};

static const struct api_field list_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &notice_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object notices_object = {.name = "Reminders", API_FIELDS(list_fields)};

static const struct api_field mail_fields[] = {
    {.name = "to", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "message", .type = API_TEXT, .flags = API_REQUIRED, .help = "id of the mail (message trace)"},
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "sending|accepted|refused",
     .help = "accepted: durable in the queue of its node; refused: nobody was told, and another day brings "
             "another mail"},
    {.name = "node", .type = API_NUMBER, .flags = API_REQUIRED, .help = "id of the node that sends it"},
    {.name = "claimed", .type = API_TIME, .flags = API_REQUIRED, .help = "when that node took it on"},
    {.name = "ended", .type = API_TIME, .help = "when it was accepted or refused"},
    {.name = "items", .type = API_NUMBER, .flags = API_REQUIRED, .help = "how much it says"},
    {.name = "waiting", .type = API_NUMBER, .flags = API_REQUIRED, .help = "what did not fit into it"},
    {.name = "reason", .type = API_TEXT, .help = "why it was refused"},
};
const struct api_object notice_mail_object = {
    .name = "ReminderMail", .help = "The last mail of reminders to an address.", API_FIELDS(mail_fields)};

static const struct api_field mail_list_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &notice_mail_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object notice_mails_object = {.name = "ReminderMails", API_FIELDS(mail_list_fields)};

static json_t *message_of(const uint8_t id[ID_SIZE])
{
    char text[ID_TEXT_SIZE];
    id_format(id, text);
    return json_string(text);
}

static const char *kind_name(const struct notice_item *item)
{
    switch (item->topic.data[0]) {
    case NOTICE_LIST:
        return "list";
    case NOTICE_RENEWAL:
        return "renewal";
    default:
        return "certificate";
    }
}

/* Address, space, topic in hexadecimal digits: in the order of the table, and text. */
#define TOLD_KEY_MAX (ADDRESS_MAX + 1 + 2 * NOTICE_TOPIC_MAX + 1)

static bool told_visit(void *context, const struct notice_told *told)
{
    struct list_page *page = context;
    char key[TOLD_KEY_MAX];
    memcpy(key, told->to.data, told->to.len);
    key[told->to.len] = ' ';
    hex_format(told->item.topic, key + told->to.len + 1);
    if (list_page_wants(page, slice_of_text(key))) {
        json_t *object = json_object();
        json_put(object, "to", json_of_slice(told->to));
        json_put(object, "kind", json_string(kind_name(&told->item)));
        json_put(object, "what", json_of_slice(told->item.text));
        json_put(object, "id", json_of_hex(slice_of(told->item.topic.data + 1, told->item.topic.len - 1)));
        json_put(object, "until", json_of_time(told->item.until_ms));
        json_put(object, "told", json_of_time(told->told_ms));
        json_put(object, "message", message_of(told->id));
        list_page_add(page, slice_of_text(key), object);
    }
    return !page->more;
}

/* Where the page begins; empty: at the beginning. */
static void told_after(const struct list_page *page, struct slice *to, struct slice *topic,
                       uint8_t bytes[NOTICE_TOPIC_MAX])
{
    size_t space = slice_find_byte(page->after, ' ');
    size_t digits = page->after.len - space;
    *to = *topic = (struct slice){0};
    if (space < page->after.len && space <= ADDRESS_MAX && digits % 2 == 1 &&
        digits / 2 <= NOTICE_TOPIC_MAX &&
        hex_parse(slice_of(page->after.data + space + 1, digits - 1), bytes, digits / 2)) {
        *to = slice_of(page->after.data, space);
        *topic = slice_of(bytes, digits / 2);
    }
}

void notices_list(struct exchange *x)
{
    struct list_page page;
    struct slice to, topic;
    uint8_t bytes[NOTICE_TOPIC_MAX];
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&page, x);
    told_after(&page, &to, &topic, bytes);
    enum status status = store_notices_told(view, to, topic, told_visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "what was told cannot be read");
        return;
    }
    list_page_answer(&page, x);
}

static bool mail_visit(void *context, const struct notice_mail *mail)
{
    static const char *const states[] = {
        [NOTICE_OPEN] = "sending", [NOTICE_ACCEPTED] = "accepted", [NOTICE_REFUSED] = "refused"};
    struct list_page *page = context;
    if (list_page_wants(page, mail->to)) {
        json_t *object = json_object();
        json_put(object, "to", json_of_slice(mail->to));
        json_put(object, "message", message_of(mail->id));
        json_put(object, "state", json_string(states[mail->state]));
        json_put(object, "node", json_of_number(mail->node));
        json_put(object, "claimed", json_of_time(mail->claimed_ms));
        json_put(object, "ended", json_of_time(mail->ended_ms));
        json_put(object, "items", json_of_number(mail->items));
        json_put(object, "waiting", json_of_number(mail->waiting));
        json_put(object, "reason", json_of_slice(mail->reason));
        list_page_add(page, mail->to, object);
    }
    return !page->more;
}

void notice_mails_list(struct exchange *x)
{
    struct list_page page;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&page, x);
    enum status status = store_notice_mails_all(view, mail_visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "what was told cannot be read");
        return;
    }
    list_page_answer(&page, x);
}
