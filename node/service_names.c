/* See service_names.h. Pure. */
#include "node/service_names.h"

struct slice address_host(struct slice address)
{
    size_t colon = address.len;
    while (colon > 0 && address.data[colon - 1] != ':') {
        colon--;
    }
    struct slice host = slice_of(address.data, colon > 0 ? colon - 1 : address.len);
    if (host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']') {
        host = slice_of(host.data + 1, host.len - 2);
    }
    return host;
}

enum status service_names_add(struct buf *list, struct slice name)
{
    struct slice rest = buf_slice(list);
    if (name.len == 0) {
        return STATUS_OK;
    }
    while (rest.len > 0) {
        size_t comma = slice_find_byte(rest, ',');
        if (slice_equal_nocase(slice_of(rest.data, comma), name)) {
            return STATUS_OK;
        }
        comma = comma < rest.len ? comma + 1 : comma;
        rest = slice_of(rest.data + comma, rest.len - comma);
    }
    enum status status = list->len > 0 ? buf_append_byte(list, ',') : STATUS_OK;
    return status == STATUS_OK ? buf_append_slice(list, name) : status;
}

enum status service_names(const struct node_config *config, struct buf *out)
{
    struct slice more = slice_of_text(config->tls_names);
    enum status status = service_names_add(out, slice_of_text(config->hostname));
    status = status == STATUS_OK ? service_names_add(out, slice_of_text(config->name)) : status;
    status = status == STATUS_OK ? service_names_add(out, address_host(slice_of_text(config->api_advertise)))
                                 : status;
    status = status == STATUS_OK ? service_names_add(out, address_host(slice_of_text(config->smtp_advertise)))
                                 : status;
    while (status == STATUS_OK && more.len > 0) {
        size_t comma = slice_find_byte(more, ',');
        status = service_names_add(out, slice_trim(slice_of(more.data, comma)));
        comma = comma < more.len ? comma + 1 : comma;
        more = slice_of(more.data + comma, more.len - comma);
    }
    return status;
}
