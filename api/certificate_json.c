/* See certificate_json.h. */
#include "api/certificate_json.h"

#include "api/json_out.h"
#include "crypto/capability.h"
#include "store/certificate_search.h"

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
    json_put(object, "state", json_string(certificate_state_name(record->state)));
    return object;
}

struct bindings_list {
    json_t *list;
};

static bool add_binding(void *context, struct slice scope, uint64_t flags)
{
    struct bindings_list *b = context;
    json_t *binding = json_object();
    json_put(binding, "scope", json_of_slice(scope));
    json_put(binding, "pinned", json_boolean((flags & BINDING_PINNED) != 0));
    json_array_append_new(b->list, binding);
    return true;
}

void certificate_bindings_to_json(struct store_view *view, const struct certificate_record *record,
                                  json_t *object)
{
    struct bindings_list b = {.list = json_array()};
    if (store_bindings_of(view, record->thumbprint, add_binding, &b) != STATUS_OK) {
        json_array_clear(b.list); /* a damaged store is told of by what is asked next */
    }
    json_put(object, "bindings", b.list);
}

bool certificate_of_path(struct exchange *x, struct store_view *view, struct certificate_record *out)
{
    char shown[API_SHOWN_MAX];
    struct slice text = slice_of_text(x->parameters[0]);
    enum status status = store_certificate_by_digits(view, text, out);
    switch (status) {
    case STATUS_OK:
        return true;
    case STATUS_INVALID:
        exchange_failf(x, status, "a thumbprint is written as 64 hexadecimal digits, or the first %d or more",
                       CERT_THUMBPRINT_DIGITS);
        return false;
    case STATUS_NOT_FOUND:
    case STATUS_CONFLICT:
        exchange_failf(x, status, "%s %s",
                       status == STATUS_NOT_FOUND ? "there is no certificate"
                                                  : "several certificates begin with",
                       api_shown(text, shown));
        return false;
    default:
        exchange_failf(x, status, "the certificates cannot be read");
        return false;
    }
}
