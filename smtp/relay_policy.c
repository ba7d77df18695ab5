/* See smtp/relay_policy.h. */
#include "smtp/relay_policy.h"

#include "store/records.h"

static bool trusted(const struct relay_client *c)
{
    return c->role == LISTENER_IS_RELAY && (c->in_networks || c->certificate_verified);
}

/* "*.ours.example" holds a.ours.example and b.a.ours.example, not ours.example. */
static bool below(struct slice pattern, struct slice domain)
{
    struct slice dotted = slice_of(pattern.data + 1, pattern.len - 1); /* ".ours.example" */
    return domain.len > dotted.len &&
           slice_equal(slice_of(domain.data + domain.len - dotted.len, dotted.len), dotted);
}

static bool sender_is(struct slice allowed, struct slice address, struct slice domain)
{
    if (slice_equal(allowed, SLICE_LITERAL("*"))) {
        return true;
    }
    if (slice_starts_with(allowed, SLICE_LITERAL("*."))) {
        return below(allowed, domain);
    }
    return slice_equal(allowed, slice_find_byte(allowed, '@') < allowed.len ? address : domain);
}

static bool may_send_as(const struct relay_account *account, struct slice sender)
{
    char normal[ADDRESS_MAX + 1];
    struct failure f;
    if (address_normalise(sender, normal, &f) != STATUS_OK) {
        return false;
    }
    struct slice address = slice_of_text(normal);
    struct slice domain = address_domain(address);
    for (size_t i = 0; i < account->sender_count; i++) {
        if (sender_is(account->senders[i], address, domain)) {
            return true;
        }
    }
    return false;
}

enum smtp_reply relay_policy_sender(const struct relay_client *c, struct slice sender)
{
    if (c->role != LISTENER_IS_RELAY && !c->in_networks) {
        return REPLY_RELAY_DENIED;
    }
    if (c->account == NULL) {
        return c->role == LISTENER_IS_SUBMISSION || c->auth == LISTENER_AUTH_REQUIRED ? REPLY_AUTH_FIRST
                                                                                      : REPLY_NONE;
    }
    return sender.len == 0 || may_send_as(c->account, sender) ? REPLY_NONE : REPLY_SENDER_DENIED;
}

/* Would a host that looks for routes find one in the local part? */
static bool holds_a_route(struct slice recipient)
{
    struct slice domain = address_domain(recipient);
    struct slice local = slice_of(recipient.data, recipient.len - domain.len - (domain.len > 0));
    for (size_t i = 0; i < local.len; i++) {
        uint8_t c = local.data[i];
        if (c == '%' || c == '!' || c == '@' || c == ':') {
            return true;
        }
    }
    return false;
}

enum smtp_reply relay_policy_recipient(const struct relay_client *c, struct slice recipient, bool internal)
{
    if (trusted(c) || c->account != NULL) {
        return REPLY_NONE;
    }
    if (c->role != LISTENER_IS_INBOUND) {
        return REPLY_RELAY_DENIED;
    }
    if (slice_equal_nocase(recipient, SLICE_LITERAL("postmaster"))) {
        return REPLY_NONE; /* RFC 5321 section 4.5.1 */
    }
    if (!internal) {
        return REPLY_NOT_OURS;
    }
    return holds_a_route(recipient) ? REPLY_ROUTE_DENIED : REPLY_NONE;
}
