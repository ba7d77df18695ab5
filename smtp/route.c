/* See smtp/route.h. */
#include "smtp/route.h"

#include "base/arena.h"
#include "store/records.h"

#include <ctype.h>

/* The value for an address in whatever form; its domain's where the address has none of its own. */
static enum status value_for(struct settings_source *s, const char *name, struct slice address,
                             struct setting_value *out)
{
    char normal[ADDRESS_MAX + 1];
    struct failure f;
    struct slice scope =
        address_normalise(address, normal, &f) == STATUS_OK ? slice_of_text(normal) : address_domain(address);
    return s->get(s->context, name, scope, out);
}

static enum status take(struct arena *a, struct slice text, struct slice *out)
{
    return arena_copy(a, text, out) ? STATUS_OK : STATUS_NO_MEMORY;
}

/* The domain in lower case, for MX; of "<user@[1.2.3.4]>" the literal. */
static enum status take_domain(struct arena *a, struct slice recipient, struct slice *out)
{
    struct slice domain = address_domain(recipient);
    char *text = arena_text(a, domain);
    if (text == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < domain.len; i++) {
        text[i] = (char)tolower((unsigned char)text[i]);
    }
    *out = slice_of(text, domain.len);
    return STATUS_OK;
}

enum status route_choose(struct settings_source *s, struct slice sender, struct slice recipient,
                         struct slice rule, struct arena *a, struct delivery_settings *out)
{
    struct setting_value of_recipient, of_sender;
    enum status status = settings_for_delivery(s, recipient, a, out);
    if (status != STATUS_OK) {
        return status;
    }
    if (rule.len > 0) {
        out->next_hop = rule;
        return STATUS_OK;
    }
    status = value_for(s, "delivery.next_hop", recipient, &of_recipient);
    if (status == STATUS_OK && of_recipient.level < SETTING_DOMAIN && sender.len > 0 &&
        value_for(s, "sender.next_hop", sender, &of_sender) == STATUS_OK && of_sender.text.len > 0) {
        status = take(a, of_sender.text, &out->next_hop);
    }
    if (status == STATUS_OK && out->next_hop.len == 0) {
        status = take_domain(a, recipient, &out->domain);
    }
    return status;
}

enum status route_key(const struct delivery_settings *r, struct arena *a, struct slice *out)
{
    char *text = arena_printf(a, "%s\n%.*s\n%.*s %u\n%.*s\n%.*s\n%.*s", r->lmtp ? "lmtp" : "smtp",
                              SLICE_ARGS(r->next_hop), SLICE_ARGS(r->domain), (unsigned)r->mx_port,
                              SLICE_ARGS(r->tls), SLICE_ARGS(r->source), SLICE_ARGS(r->helo));
    *out = slice_of_text(text);
    return text != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}
