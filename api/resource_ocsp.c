/* /v1/ocsp: the answers of OCSP responders that are stored, and forgetting one. */
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/hex.h"
#include "store/records_trust.h"

static const struct api_field ocsp_fields[] = {
    {.name = "issuer",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "SHA-256 that stands for the issuer's name and key"},
    {.name = "serial", .type = API_TEXT, .flags = API_REQUIRED, .help = "of the certificate, hexadecimal"},
    {.name = "status", .type = API_TEXT, .flags = API_REQUIRED, .choices = "good|revoked"},
    {.name = "revoked", .type = API_TIME, .help = "when; null: it is good"},
    {.name = "reason", .type = API_TEXT, .help = "of a revocation"},
    {.name = "this_update", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "next_update", .type = API_TIME, .help = "null: none was named"},
    {.name = "in_force",
     .type = API_BOOL,
     .flags = API_REQUIRED,
     .help = "nextUpdate has not passed; revoked is always in force"},
    {.name = "added", .type = API_TIME},
};
static const struct api_object ocsp_object = {
    .name = "OcspAnswer", .help = "What an OCSP responder said of a certificate.", API_FIELDS(ocsp_fields)};

static const struct api_field list_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &ocsp_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object ocsp_answers_object = {.name = "OcspAnswers", API_FIELDS(list_fields)};

static json_t *to_json(const uint8_t *issuer, struct slice serial, const struct ocsp_record *answer)
{
    json_t *object = json_object();
    bool revoked = answer->status == OCSP_REVOKED;
    json_put(object, "issuer", json_of_hex(slice_of(issuer, ISSUER_ID_SIZE)));
    json_put(object, "serial", json_of_hex(serial));
    json_put(object, "status", json_string(revoked ? "revoked" : "good"));
    json_put(object, "revoked", json_of_time(answer->revoked_ms));
    if (revoked) {
        json_put(object, "reason", json_string(crl_reason_name(answer->reason)));
    }
    json_put(object, "this_update", json_of_time(answer->this_ms));
    json_put(object, "next_update", json_of_time(answer->next_ms));
    json_put(object, "in_force", json_boolean(!ocsp_has_ended(answer, clock_wall_ms())));
    json_put(object, "added", json_of_time(answer->added_ms));
    return object;
}

static bool visit(void *context, const uint8_t *issuer, struct slice serial, const struct ocsp_record *answer)
{
    struct list_page *page = context;
    uint8_t key[ISSUER_ID_SIZE + SERIAL_MAX];
    char text[2 * sizeof(key) + 1];
    memcpy(key, issuer, ISSUER_ID_SIZE);
    memcpy(key + ISSUER_ID_SIZE, serial.data, serial.len);
    hex_format(slice_of(key, ISSUER_ID_SIZE + serial.len), text);
    if (list_page_wants(page, slice_of_text(text))) {
        list_page_add(page, slice_of_text(text), to_json(issuer, serial, answer));
    }
    return !page->more;
}

void ocsp_list(struct exchange *x)
{
    struct list_page page;
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    list_page_begin(&page, x);
    enum status status = store_ocsp_all(view, visit, &page);
    if (status != STATUS_OK) {
        json_decref(page.items);
        exchange_failf(x, status, "the OCSP answers cannot be read");
        return;
    }
    list_page_answer(&page, x);
}

static void removed(struct exchange *x, const struct bus_answer *written)
{
    json_t *gone = json_object();
    (void)written;
    json_put(gone, "removed", json_string(x->parameters[1]));
    exchange_answer(x, gone);
}

void ocsp_remove(struct exchange *x)
{
    struct command c;
    uint8_t *name = arena_alloc(&x->arena, ISSUER_ID_SIZE + SERIAL_MAX);
    struct slice issuer = slice_of_text(x->parameters[0]), serial = slice_of_text(x->parameters[1]);
    if (name == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for this");
        return;
    }
    if (!hex_parse(issuer, name, ISSUER_ID_SIZE)) {
        exchange_failf(x, STATUS_INVALID,
                       "an issuer is written as 64 hexadecimal digits, as ocsp list shows it");
        return;
    }
    if (serial.len < 2 || serial.len > 2 * SERIAL_MAX ||
        !hex_parse(serial, name + ISSUER_ID_SIZE, serial.len / 2)) {
        exchange_failf(x, STATUS_INVALID,
                       "a serial number is written in hexadecimal digits, as ocsp list shows it");
        return;
    }
    exchange_command(x, &c, COMMAND_OCSP_REMOVE);
    c.values[0].bytes = slice_of(name, ISSUER_ID_SIZE);
    c.values[1].bytes = slice_of(name + ISSUER_ID_SIZE, serial.len / 2);
    exchange_write_one(x, &c, removed);
}
