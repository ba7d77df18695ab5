/* See store/records_listener.h. Pure but for the look-ups. */
#include "store/records_listener.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "base/nearest.h"
#include "store/tables.h"

#define ROW_FIELDS 2

/* A list of networks with a largest length would be one of addresses (store/setting_value.c). */
#define FIELD(n, t, c, h)                                                                                    \
    {                                                                                                        \
        .name = (n), .type = (t), .default_text = "", .choices = (c),                                        \
        .max = (t) == SETTING_NETWORKS ? 0 : SETTING_VALUE_MAX, .help = (h)                                  \
    }

static const struct setting fields[LISTENER_FIELD_COUNT] = {
    [LISTENER_ROLE] = FIELD("role", SETTING_CHOICE, "relay|submission|inbound",
                            "relay: for hosts of its networks, to anybody; submission: for those who have "
                            "authenticated, to anybody; inbound: from anybody, to our own domains alone"),
    [LISTENER_PROTOCOL] = FIELD("protocol", SETTING_CHOICE, "smtp|lmtp", "what is spoken"),
    [LISTENER_NETWORKS] = FIELD("networks", SETTING_NETWORKS, NULL,
                                "whose mail is taken; default: relay.networks for the role relay, else all"),
    [LISTENER_TLS] = FIELD("tls", SETTING_CHOICE, "off|offered|required|implicit",
                           "required: STARTTLS before any mail; implicit: TLS before the first byte"),
    [LISTENER_TLS_VERSION] = FIELD("tls_version", SETTING_CHOICE, "1.2|1.3", "the lowest version of TLS"),
    [LISTENER_CERTIFICATES] = FIELD(
        "certificates", SETTING_TEXTS, NULL,
        "names of stored TLS certificates: the client's server name chooses, the first is what is shown "
        "otherwise; default: the node's service certificate"),
    [LISTENER_CLIENT_CERTIFICATES] = FIELD("client_certificates", SETTING_CHOICE, "off|asked|required",
                                           "required: no session without one that verifies"),
    [LISTENER_CLIENT_TRUST] = FIELD(
        "client_trust", SETTING_THUMBPRINTS, NULL,
        "certificates (CAs, or clients' own) by which clients' verify, who may then relay from anywhere; "
        "default: the trust anchors, which give no right to relay"),
    [LISTENER_AUTH] = FIELD("auth", SETTING_CHOICE, "off|offered|required", "AUTH, under TLS alone"),
    [LISTENER_PROXY_NETWORKS] = FIELD("proxy_networks", SETTING_NETWORKS, NULL,
                                      "who begins with the PROXY protocol; default: smtp.proxy_networks"),
    [LISTENER_XCLIENT_NETWORKS] = FIELD("xclient_networks", SETTING_NETWORKS, NULL,
                                        "who may use XCLIENT; default: smtp.xclient_networks"),
};

const struct setting *listener_field_at(size_t i)
{
    return i < LISTENER_FIELD_COUNT ? &fields[i] : NULL;
}

static bool name_valid(struct slice name, bool dots)
{
    if (name.len == 0 || name.len > LISTENER_NAME_MAX || name.data[0] == '-' || name.data[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && !(dots && c == '.')) {
            return false;
        }
    }
    return true;
}

bool listener_name_valid(struct slice name)
{
    return name_valid(name, false);
}

bool transport_name_valid(struct slice name)
{
    return name_valid(name, true);
}

static const struct setting *field_named(struct slice name, size_t *position, struct failure *f)
{
    struct nearest nearest = {.name = name};
    for (size_t i = 0; i < LISTENER_FIELD_COUNT; i++) {
        if (slice_equal(name, slice_of_text(fields[i].name))) {
            *position = i;
            return &fields[i];
        }
        nearest_offer(&nearest, fields[i].name);
    }
    (void)failure_set(f, STATUS_INVALID, "a listener has no field \"%.*s\"%s%s",
                      (int)(name.len < 64 ? name.len : 64), (const char *)name.data,
                      nearest.best != NULL ? "; did you mean " : "",
                      nearest.best != NULL ? nearest.best : "");
    return NULL;
}

static enum status certificates_check(struct slice text, struct failure *f)
{
    struct setting_value value = {.setting = &fields[LISTENER_CERTIFICATES], .text = text};
    struct slice name;
    for (size_t i = 0; setting_text_at(&value, i, &name); i++) {
        if (!transport_name_valid(name)) {
            return failure_set(
                f, STATUS_INVALID,
                "certificates: \"%.*s\" is no name of a TLS certificate: lower-case letters, digits, "
                "hyphens and dots, at most %d",
                (int)(name.len < 64 ? name.len : 64), (const char *)name.data, LISTENER_NAME_MAX);
        }
    }
    return STATUS_OK;
}

static enum status value_canonical(size_t field, struct slice value, struct buf *out, struct failure *f)
{
    size_t before = out->len;
    enum status status = setting_canonical(&fields[field], value, out, f);
    if (status == STATUS_OK && field == LISTENER_CERTIFICATES) {
        status = certificates_check(slice_of(out->data + before, out->len - before), f);
    }
    return status;
}

enum status listener_change_append(struct slice field, struct slice value, struct buf *changes,
                                   struct failure *f)
{
    size_t position = 0;
    const struct setting *s = field_named(field, &position, f);
    if (s == NULL) {
        return STATUS_INVALID;
    }
    value = slice_trim(value);
    enum status status = buf_printf(changes, "%s=", s->name);
    if (status == STATUS_OK && value.len > 0 && !slice_equal(value, SLICE_LITERAL(LISTENER_DEFAULT))) {
        status = value_canonical(position, value, changes, f);
        if (status != STATUS_OK) {
            return status;
        }
    }
    status = status == STATUS_OK ? buf_append_byte(changes, '\n') : status;
    return status == STATUS_OK ? status : failure_set(f, status, "the listener has too much to say");
}

/* Is the value exactly what value_canonical() makes of it? */
static enum status value_check(size_t field, struct slice value, struct failure *f)
{
    struct buf canonical = BUF_INIT(2 * SETTING_VALUE_MAX);
    enum status status = value_canonical(field, value, &canonical, f);
    if (status == STATUS_OK && !slice_equal(buf_slice(&canonical), value)) {
        status =
            failure_set(f, STATUS_INVALID, "%s: the value is not in its normal form", fields[field].name);
    }
    buf_release(&canonical);
    return status;
}

enum status listener_text_read(struct slice text, struct listener_record *record, struct failure *f)
{
    while (text.len > 0) {
        size_t end = slice_find_byte(text, '\n');
        struct slice line = slice_of(text.data, end);
        size_t equals = slice_find_byte(line, '=');
        size_t position = 0;
        if (end == text.len || equals == line.len) {
            return failure_set(f, STATUS_INVALID, "what is set for a listener are lines field=value");
        }
        if (field_named(slice_of(line.data, equals), &position, f) == NULL) {
            return STATUS_INVALID;
        }
        struct slice value = slice_of(line.data + equals + 1, line.len - equals - 1);
        enum status status = value.len > 0 ? value_check(position, value, f) : STATUS_OK;
        if (status != STATUS_OK) {
            return status;
        }
        record->values[position] = value;
        text = slice_of(text.data + end + 1, text.len - end - 1);
    }
    return STATUS_OK;
}

enum status listener_text_write(const struct listener_record *record, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < LISTENER_FIELD_COUNT && status == STATUS_OK; i++) {
        if (record->values[i].len > 0) {
            status = buf_printf(out, "%s=%.*s\n", fields[i].name, SLICE_ARGS(record->values[i]));
        }
    }
    return status;
}

/* --- the table --- */

enum status listener_encode(const struct listener_record *record, struct buf *out)
{
    struct buf text = BUF_INIT(LISTENER_TEXT_MAX);
    struct msgpack_writer w;
    enum status status = listener_text_write(record, &text);
    if (status == STATUS_OK) {
        msgpack_writer_init(&w, out);
        write_array(&w, ROW_FIELDS);
        write_u64(&w, record->changed_ms);
        write_bytes(&w, buf_slice(&text));
        status = msgpack_writer_status(&w);
    }
    buf_release(&text);
    return status;
}

enum status listener_decode(struct slice name, struct slice value, struct listener_record *out)
{
    struct msgpack_reader r;
    *out = (struct listener_record){.name = name};
    msgpack_reader_init(&r, value);
    if (read_array(&r, ROW_FIELDS) != ROW_FIELDS) {
        return STATUS_CORRUPT;
    }
    out->changed_ms = read_u64(&r);
    struct slice text = read_bytes(&r, LISTENER_TEXT_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || listener_text_read(text, out, NULL) != STATUS_OK) {
        return STATUS_CORRUPT;
    }
    return STATUS_OK;
}

enum status store_listener_get(struct store_view *v, struct slice name, struct listener_record *out)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_LISTENERS, &name, &value);
    return status == STATUS_OK ? listener_decode(name, value, out) : status;
}

struct listener_walk {
    listener_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct listener_walk *walk = context;
    struct listener_record record;
    walk->status = listener_decode(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_listeners_all(struct store_view *v, listener_visit_cb cb, void *context)
{
    struct listener_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_LISTENERS, (struct slice){0}, visit_row, &walk);
    return status != STATUS_OK ? status : walk.status;
}
