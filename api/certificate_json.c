/* See certificate_json.h. */
#include "api/certificate_json.h"

#include "api/json_out.h"
#include "base/hex.h"
#include "crypto/capability.h"

json_t *certificate_to_json(struct store_view *view, const struct certificate_record *record)
{
    json_t *object = json_object(), *addresses = json_array(), *uses = json_array(),
           *capabilities = json_array();
    json_put(object, "thumbprint", json_of_hex(slice_of(record->thumbprint, THUMBPRINT_SIZE)));
    json_put(object, "subject", json_of_slice(record->subject));
    json_put(object, "issuer", json_of_slice(record->issuer));
    json_put(object, "serial", json_of_slice(record->serial));
    for (size_t i = 0; i < record->address_count; i++) {
        json_array_append_new(addresses, json_of_slice(record->addresses[i]));
    }
    json_put(object, "addresses", addresses);
    json_put(object, "not_before", json_of_time(record->not_before_ms));
    json_put(object, "not_after", json_of_time(record->not_after_ms));
    if ((record->uses & CERT_USE_SIGN) != 0) {
        json_array_append_new(uses, json_string("sign"));
    }
    if ((record->uses & CERT_USE_ENCRYPT) != 0) {
        json_array_append_new(uses, json_string("encrypt"));
    }
    if ((record->uses & CERT_USE_CA) != 0) {
        json_array_append_new(uses, json_string("ca"));
    }
    json_put(object, "uses", uses);
    uint64_t flag;
    const char *name;
    for (size_t i = 0; (name = capability_name(i, &flag)) != NULL; i++) {
        if ((record->capabilities & flag) != 0) {
            json_array_append_new(capabilities, json_string(name));
        }
    }
    json_put(object, "capabilities", capabilities);
    if (view != NULL) {
        json_put(object, "trusted", json_boolean(store_is_trusted(view, record->thumbprint)));
        json_put(object, "has_key", json_boolean(store_has_key(view, record->thumbprint)));
    }
    json_put(object, "source", json_of_slice(record->source));
    json_put(object, "added", json_of_time(record->added_ms));
    return object;
}

struct prefix_search {
    char prefix[2 * THUMBPRINT_SIZE + 1];
    size_t found;
    struct certificate_record *out;
};

static bool prefix_visit(void *context, const struct certificate_record *record)
{
    struct prefix_search *search = context;
    char text[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), text);
    if (strncasecmp(text, search->prefix, strlen(search->prefix)) == 0) {
        *search->out = *record;
        search->found++;
    }
    return search->found < 2;
}

bool certificate_of_path(struct exchange *x, struct store_view *view, struct certificate_record *out)
{
    struct slice text = slice_of_text(x->parameters[0]);
    struct prefix_search search = {.out = out};
    if (text.len < THUMBPRINT_DIGITS_MIN || text.len > 2 * THUMBPRINT_SIZE ||
        strspn(x->parameters[0], "0123456789abcdefABCDEF") != text.len) {
        exchange_failf(x, STATUS_INVALID,
                       "a thumbprint is written as 64 hexadecimal digits, or the first %d or more",
                       THUMBPRINT_DIGITS_MIN);
        return false;
    }
    memcpy(search.prefix, text.data, text.len);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    enum status status = STATUS_OK;
    if (hex_parse(text, thumbprint, sizeof(thumbprint))) {
        status = store_certificate_get(view, thumbprint, out);
        search.found = status == STATUS_OK;
        status = status == STATUS_NOT_FOUND ? STATUS_OK : status;
    } else {
        status = store_certificates_all(view, prefix_visit, &search);
    }
    if (status != STATUS_OK) {
        exchange_failf(x, status, "the certificates cannot be read");
        return false;
    }
    if (search.found != 1) {
        exchange_failf(x, search.found == 0 ? STATUS_NOT_FOUND : STATUS_CONFLICT, "%s %s",
                       search.found == 0 ? "there is no certificate" : "several certificates begin with",
                       search.prefix);
        return false;
    }
    return true;
}
