/* See ca_json.h. */
#include "api/ca_json.h"

#include "api/certificate_json.h"
#include "api/json_out.h"
#include "base/clock.h"
#include "base/hex.h"
#include "store/setting.h"

static const struct api_field ca_fields[] = {
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "its name in this cluster"},
    {.name = "thumbprint", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of its certificate"},
    {.name = "subject", .type = API_TEXT, .flags = API_REQUIRED, .help = "RFC 4514"},
    {.name = "issuer",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "the CA of this cluster above it, or empty"},
    {.name = "not_after", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "trusted", .type = API_BOOL, .flags = API_REQUIRED, .help = "it is a trust anchor"},
    {.name = "crl_number", .type = API_NUMBER, .flags = API_REQUIRED, .help = "of its revocation list"},
    {.name = "crl_this_update", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "crl_next_update", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "revoked", .type = API_NUMBER, .flags = API_REQUIRED, .help = "certificates that it revoked"},
    {.name = "revoked_since",
     .type = API_TIME,
     .help = "when it, or the CA above it, was revoked; absent: it is not"},
    {.name = "reason", .type = API_TEXT, .help = "why it was revoked"},
    {.name = "added", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "pem", .type = API_TEXT, .help = "its certificate (not in lists)"},
};
const struct api_object ca_object = {
    .name = "Ca", .help = "A CA for users' certificates.", API_FIELDS(ca_fields)};

static const struct api_field cas_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &ca_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object cas_object = {.name = "Cas", API_FIELDS(cas_fields)};

static const struct api_field issued_fields[] = {
    {.name = "thumbprint", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of the certificate"},
    {.name = "ca",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "empty: a CA elsewhere, which answered a request"},
    {.name = "address", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "uses", .type = API_TEXTS, .flags = API_REQUIRED, .help = "sign, encrypt"},
    {.name = "serial", .type = API_TEXT, .flags = API_REQUIRED, .help = "hexadecimal"},
    {.name = "issued", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "not_after", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "state", .type = API_TEXT, .flags = API_REQUIRED, .choices = "valid|renewed|expired|revoked"},
    {.name = "renews", .type = API_BOOL, .flags = API_REQUIRED, .help = "issued anew ahead of its end"},
    {.name = "revoked", .type = API_TIME, .help = "when it was revoked"},
    {.name = "reason", .type = API_TEXT, .help = "why it was revoked"},
};
const struct api_object ca_issued_object = {
    .name = "IssuedCertificate", .help = "A certificate of a CA of this cluster.", API_FIELDS(issued_fields)};

static const struct api_field issued_list_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &ca_issued_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object ca_issued_list_object = {.name = "IssuedCertificates",
                                                 API_FIELDS(issued_list_fields)};

static bool count_revoked(void *context, const struct ca_revoked_record *record)
{
    uint64_t *count = context;
    (void)record;
    (*count)++;
    return true;
}

json_t *ca_to_json(struct store_view *view, const struct ca_record *ca)
{
    json_t *object = json_object();
    struct certificate_record record = {0};
    struct ca_revoked_record fallen;
    struct slice which;
    uint64_t revoked = 0;
    if (store_certificate_get(view, ca->thumbprint, &record) != STATUS_OK) {
        record = (struct certificate_record){0};
    }
    if (store_ca_revoked_all(view, ca->name, count_revoked, &revoked) != STATUS_OK) {
        revoked = 0;
    }
    json_put(object, "name", json_of_slice(ca->name));
    json_put(object, "thumbprint", json_of_hex(slice_of(ca->thumbprint, THUMBPRINT_SIZE)));
    json_put(object, "subject", json_of_slice(record.subject));
    json_put(object, "issuer", json_of_slice(ca->issuer));
    json_put(object, "not_after", json_of_time(record.not_after_ms));
    json_put(object, "trusted", json_boolean(store_is_trusted(view, ca->thumbprint)));
    json_put(object, "crl_number", json_of_number(ca->crl_number));
    json_put(object, "crl_this_update", json_of_time(ca->crl_this_ms));
    json_put(object, "crl_next_update", json_of_time(ca->crl_next_ms));
    json_put(object, "revoked", json_of_number(revoked));
    if (store_ca_revocation(view, ca->name, &which, &fallen) == STATUS_OK) {
        json_put(object, "revoked_since", json_of_time(fallen.revoked_ms));
        json_put(object, "reason", json_string(ca_reason_name(fallen.reason)));
    }
    json_put(object, "added", json_of_time(ca->added_ms));
    return object;
}

json_t *ca_issued_to_json(struct store_view *view, const struct ca_issued_record *issued)
{
    json_t *object = json_object(), *uses = json_array();
    struct ca_revoked_record revoked;
    struct slice which;
    bool is_revoked = store_ca_revoked_get(view, issued->ca, issued->serial, &revoked) == STATUS_OK ||
                      store_ca_revocation(view, issued->ca, &which, &revoked) == STATUS_OK;
    const char *state = is_revoked                               ? "revoked"
                        : issued->not_after_ms < clock_wall_ms() ? "expired"
                        : issued->successor.len > 0              ? "renewed"
                                                                 : "valid";
    json_put(object, "thumbprint", json_of_hex(slice_of(issued->thumbprint, THUMBPRINT_SIZE)));
    json_put(object, "ca", json_of_slice(issued->ca));
    json_put(object, "address", json_of_slice(issued->address));
    if ((issued->uses & CERT_USE_SIGN) != 0) {
        json_array_append_new(uses, json_string("sign"));
    }
    if ((issued->uses & CERT_USE_ENCRYPT) != 0) {
        json_array_append_new(uses, json_string("encrypt"));
    }
    json_put(object, "uses", uses);
    json_put(object, "serial", json_of_hex(issued->serial));
    json_put(object, "issued", json_of_time(issued->issued_ms));
    json_put(object, "not_after", json_of_time(issued->not_after_ms));
    json_put(object, "state", json_string(state));
    json_put(object, "renews", json_boolean((issued->flags & CA_ISSUED_RENEWS) != 0));
    if (is_revoked) {
        json_put(object, "revoked", json_of_time(revoked.revoked_ms));
        json_put(object, "reason", json_string(ca_reason_name(revoked.reason)));
    }
    return object;
}

bool ca_setting(struct exchange *x, struct store_view *view, enum setting_id id, struct slice address,
                struct setting_value *out)
{
    enum status status = setting_get(view, setting_at(id), address, out);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the setting %s cannot be read", setting_at(id)->name);
    }
    return status == STATUS_OK;
}

struct issued_search {
    char prefix[2 * THUMBPRINT_SIZE + 1];
    size_t found;
    struct ca_issued_record *out;
};

static bool issued_visit(void *context, const struct ca_issued_record *record)
{
    struct issued_search *search = context;
    char text[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), text);
    if (strncasecmp(text, search->prefix, strlen(search->prefix)) != 0) {
        return false; /* they come in order */
    }
    if (search->found++ == 0) {
        *search->out = *record;
    }
    return search->found < 2;
}

bool ca_issued_named(struct exchange *x, struct store_view *view, struct slice text,
                     struct ca_issued_record *out)
{
    struct issued_search search = {.out = out};
    uint8_t first[THUMBPRINT_SIZE] = {0};
    if (text.len < THUMBPRINT_DIGITS_MIN || text.len > 2 * THUMBPRINT_SIZE) {
        text.len = 0;
    }
    if (text.len > 0) {
        memcpy(search.prefix, text.data, text.len);
    }
    if (text.len == 0 || strspn(search.prefix, "0123456789abcdefABCDEF") != text.len ||
        !hex_parse(slice_of(search.prefix, text.len & ~(size_t)1), first, text.len / 2)) {
        exchange_failf(x, STATUS_INVALID,
                       "a thumbprint is written as 64 hexadecimal digits, or the first %d or more",
                       THUMBPRINT_DIGITS_MIN);
        return false;
    }
    enum status status = store_ca_issued_all(view, slice_of(first, text.len / 2), issued_visit, &search);
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the issued certificates cannot be read");
    } else if (search.found != 1) {
        exchange_failf(x, search.found == 0 ? STATUS_NOT_FOUND : STATUS_CONFLICT, "%s %s",
                       search.found == 0 ? "no CA of this cluster has issued a certificate"
                                         : "several issued certificates begin with",
                       search.prefix);
    }
    return status == STATUS_OK && search.found == 1;
}

enum status ca_record_encode(struct exchange *x, const struct certificate_record *record, struct slice *out)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    enum status status = certificate_record_encode(record, &encoded);
    if (status == STATUS_OK && !arena_copy(&x->arena, buf_slice(&encoded), out)) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&encoded);
    return status;
}

void ca_text_copy(char *out, size_t size, struct slice text)
{
    size_t len = text.len < size ? text.len : size - 1;
    if (len > 0) {
        memcpy(out, text.data, len);
    }
    out[len] = '\0';
}
