/*
 * Where a recipient's mail goes and how: from settings of the recipient and of the sender, and a rule's
 * route, to one struct. Equal routes are one destination. It looks nothing up.
 *
 * Which next hop counts, the first that is set: a rule's route; delivery.next_hop of the recipient's domain;
 * sender.next_hop; delivery.next_hop for all; else the MX records of the recipient's domain.
 */
#ifndef SEALPOST_SMTP_ROUTE_H
#define SEALPOST_SMTP_ROUTE_H

#include "smtp/settings.h"

/* Within a look. `rule`: the next hop of a rule, as HOSTS text; empty: there is none. Texts are copied into
 * the arena. */
enum status route_choose(struct settings_source *s, struct slice sender, struct slice recipient,
                         struct slice rule, struct arena *a, struct delivery_settings *out) MUST_CHECK;
/* What distinguishes a destination from others, as text in the arena; call it when nothing of the route
 * changes any more. */
enum status route_key(const struct delivery_settings *route, struct arena *a, struct slice *out) MUST_CHECK;

#endif
