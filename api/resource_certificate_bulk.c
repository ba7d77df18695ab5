/*
 * POST /v1/certificates/bulk: many certificates, and what became of each. Those that are new go into as few
 * commands as they fit in; one that is refused stops none of the others.
 */
#include "api/certificate_import.h"
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/msgpack_write.h"
#include "crypto/certificate_bulk.h"

#define RECORDS_MAX (COMMAND_MAX - ((size_t)280 << 10)) /* bytes before a command is full: one more fits */

static const struct api_field request_fields[] = {
    CERTIFICATE_DATA_FIELD(CERTIFICATE_DATA_KINDS),
    {.name = "skip", .type = API_NUMBER, .max = 10000000, .help = "entries to pass over: \"done\" of before"},
};
const struct api_object bulk_request_object = {.name = "BulkRequest", API_FIELDS(request_fields)};

static const struct api_field entry_fields[] = {
    {.name = "index", .type = API_NUMBER, .flags = API_REQUIRED, .help = "place in the file, from 0"},
    {.name = "result", .type = API_TEXT, .flags = API_REQUIRED, .choices = "added|exists|refused"},
    {.name = "reason", .type = API_TEXT, .help = "why it was refused"},
    {.name = "thumbprint", .type = API_TEXT, .help = "SHA-256 of the certificate"},
    {.name = "subject", .type = API_TEXT},
    {.name = "addresses", .type = API_TEXTS, .help = "mail addresses that it is for"},
    {.name = "not_after", .type = API_TIME},
};
static const struct api_object entry_object = {.name = "BulkEntry", API_FIELDS(entry_fields)};

static const struct api_field bulk_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &entry_object},
    {.name = "total", .type = API_NUMBER, .flags = API_REQUIRED, .help = "entries of the file"},
    {.name = "done", .type = API_NUMBER, .flags = API_REQUIRED, .help = "those up to here are done"},
};
const struct api_object bulk_object = {.name = "BulkReport", API_FIELDS(bulk_fields)};

struct bulk {
    struct exchange *x;
    struct store_view *view;
    struct certificate_bulk file;
    size_t skip;
    struct certificate_record records[CERTIFICATE_BULK_MAX];
    char *reasons[CERTIFICATE_BULK_MAX]; /* NULL: not refused */
    bool exists[CERTIFICATE_BULK_MAX];
    struct buf list; /* records of the command at hand */
    size_t listed;
};

/* --- the commands --- */

static enum status flush(struct bulk *b, struct failure *f)
{
    struct command c;
    struct buf whole = BUF_INIT(COMMAND_MAX);
    struct msgpack_writer w;
    enum status status = STATUS_OK;
    if (b->listed == 0) {
        return STATUS_OK;
    }
    msgpack_writer_init(&w, &whole);
    write_array(&w, b->listed);
    status = msgpack_writer_status(&w);
    if (status == STATUS_OK) {
        status = buf_append_slice(&whole, buf_slice(&b->list));
    }
    if (status == STATUS_OK) {
        exchange_command(b->x, &c, COMMAND_CERT_ADD_MANY);
        c.values[0].bytes = buf_slice(&whole);
        status = exchange_write_add(b->x, &c, f);
    } else {
        (void)failure_set(f, status, "the certificates do not fit into a change");
    }
    buf_reset(&b->list);
    b->listed = 0;
    buf_release(&whole);
    return status;
}

static bool is_twice(const struct bulk *b, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (b->reasons[k] == NULL &&
            memcmp(b->records[k].thumbprint, b->records[i].thumbprint, THUMBPRINT_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

static enum status add_one(struct bulk *b, size_t i, struct failure *f)
{
    struct certificate_record known;
    struct failure why = {.status = STATUS_OK};
    const struct certificate_bulk_entry *entry = &b->file.entries[i];
    enum status status = STATUS_INVALID;
    if (entry->reason == NULL) {
        status = certificate_describe(entry->der, SLICE_LITERAL("import"), clock_wall_ms(), &b->x->arena,
                                      &b->records[i], &why);
    }
    if (status != STATUS_OK) {
        b->reasons[i] =
            arena_text(&b->x->arena, slice_of_text(entry->reason != NULL ? entry->reason : why.text));
        return b->reasons[i] != NULL ? STATUS_OK : failure_set(f, STATUS_NO_MEMORY, "out of memory");
    }
    status = store_certificate_get(b->view, b->records[i].thumbprint, &known);
    b->exists[i] = status == STATUS_OK || is_twice(b, i);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return failure_set(f, status, "the certificates cannot be read");
    }
    if (b->exists[i]) {
        return STATUS_OK;
    }
    size_t before = b->list.len;
    status = certificate_record_encode(&b->records[i], &b->list);
    if (status != STATUS_OK) {
        b->list.len = before;
        return failure_set(f, status, "certificate %zu is too large", b->skip + i);
    }
    b->listed++;
    return b->list.len > RECORDS_MAX || b->listed == CERT_ADD_AT_ONCE ? flush(b, f) : STATUS_OK;
}

/* --- the report --- */

static json_t *entry_to_json(struct bulk *b, size_t i)
{
    json_t *entry = json_object();
    json_put(entry, "index", json_of_number(b->skip + i));
    if (b->reasons[i] != NULL) {
        json_put(entry, "result", json_string("refused"));
        json_put(entry, "reason", json_of_slice(slice_of_text(b->reasons[i])));
        return entry;
    }
    json_t *described = certificate_to_json(NULL, &b->records[i]);
    json_put(entry, "result", json_string(b->exists[i] ? "exists" : "added"));
    json_object_set(entry, "thumbprint", json_object_get(described, "thumbprint"));
    json_object_set(entry, "subject", json_object_get(described, "subject"));
    json_object_set(entry, "addresses", json_object_get(described, "addresses"));
    json_object_set(entry, "not_after", json_object_get(described, "not_after"));
    json_decref(described);
    return entry;
}

static void report(struct exchange *x, const struct bus_answer *none)
{
    struct bulk *b = x->state;
    (void)none;
    for (size_t i = 0; i < x->write_count; i++) {
        const struct exchange_write *w = &x->writes[i];
        if (w->status != STATUS_OK) {
            exchange_failf(x, w->status, "the certificates from %zu on may not be stored: %s", b->skip,
                           w->text[0] != '\0' ? w->text : status_text(w->status));
            return;
        }
    }
    json_t *object = json_object(), *items = json_array();
    for (size_t i = 0; i < b->file.count; i++) {
        json_array_append_new(items, entry_to_json(b, i));
    }
    json_put(object, "items", items);
    json_put(object, "total", json_of_number(b->file.total));
    json_put(object, "done", json_of_number(b->skip + b->file.count));
    exchange_answer(x, object);
}

static void bulk_run(struct bulk *b, struct slice content)
{
    struct exchange *x = b->x;
    struct failure f = {.status = STATUS_OK};
    if (certificate_bulk_read(content, b->skip, &x->arena, &b->file, &f) != STATUS_OK) {
        exchange_fail_field(x, &f, "data");
        return;
    }
    enum status status = STATUS_OK;
    for (size_t i = 0; i < b->file.count && status == STATUS_OK; i++) {
        status = add_one(b, i, &f);
    }
    if (status == STATUS_OK) {
        status = flush(b, &f);
    }
    buf_release(&b->list);
    if (status != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    x->state = b;
    if (x->write_count > 0) {
        exchange_write_run(x, true, report);
    } else {
        report(x, NULL);
    }
}

void certificates_bulk(struct exchange *x)
{
    struct buf content = BUF_INIT(API_BODY_MAX);
    struct bulk *b = arena_alloc(&x->arena, sizeof(*b));
    if (b == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the certificates");
        return;
    }
    b->x = x;
    b->view = exchange_view(x);
    b->list = BUF_INIT(COMMAND_MAX);
    b->skip = (size_t)api_body_number(x->body, "skip", 0);
    if (b->view != NULL && import_file_of_body(x, "data", &content)) {
        bulk_run(b, buf_slice(&content));
    }
    buf_release(&content);
}
