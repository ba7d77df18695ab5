/* Address lists of header fields (RFC 5322 section 3.4), and who a message says it is from and to. Pure. */
#ifndef SEALPOST_MAIL_ADDRESS_LIST_H
#define SEALPOST_MAIL_ADDRESS_LIST_H

#include "mail/entity.h"
#include "store/records.h"

/* An address of the list, normalised. Return false to stop. */
typedef bool (*address_visit_cb)(void *context, struct slice address);

struct address_list_facts {
    size_t mailboxes; /* found, whether or not they are addresses */
    bool clear; /* every mailbox is a well-formed address that all programs read alike; no group, no route */
};
/* Visits those that are addresses; `value` may be any bytes of any length, and costs no stack. */
struct address_list_facts address_list_read(struct slice value, address_visit_cb visit, void *context);

/* The one mailbox of the one From field, normalised; "" if there is none, several, or programs might read it
 * differently. */
void message_from(const struct entity *message, char from[ADDRESS_MAX + 1]);

/* The addresses in To and Cc (and Resent-To, Resent-Cc), sorted: a recipient who is not among them is a blind
 * one. */
struct named_addresses {
    struct slice *addresses; /* in the arena */
    size_t count;
};
enum status named_addresses_read(const struct entity *message, struct arena *a,
                                 struct named_addresses *named) MUST_CHECK;
bool named_addresses_hold(const struct named_addresses *named, struct slice address);

#endif
