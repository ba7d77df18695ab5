/*
 * Who may send what to whom: the one place where it is decided whether this gateway relays. Sessions ask
 * nothing else. Pure.
 *
 * relay: hosts of the listener's networks, or with a client certificate that the listener names, send
 * anybody's mail to anybody; who has authenticated: as for submission; all others: 550 5.7.1 at RCPT.
 *
 * submission: who has authenticated sends to anybody, as the senders of the account; all others: 530 5.7.0.
 *
 * inbound: anybody from the listener's networks sends to our own (internal) domains alone, and to
 * <postmaster>; who has authenticated: as for submission.
 *
 * An account binds its sender (553 5.7.1) on every listener. The null sender is everybody's: bounces of our
 * own users' programs (RFC 8098) and of strangers come with it.
 *
 * A recipient of ours may still be a way to others: "them%other@ours", "other!them@ours",
 * "\"them@other\"@ours" tell a host that reads routes into local parts (RFC 5321 section 3.6.1 and appendix
 * C; RFC 976) to send it on. Who may not relay may not say so: 550 5.7.1.
 */
#ifndef SEALPOST_SMTP_RELAY_POLICY_H
#define SEALPOST_SMTP_RELAY_POLICY_H

#include "base/slice.h"
#include "smtp/listener_policy.h"
#include "smtp/reply.h"

/* Who has authenticated, and as whom she may send. */
struct relay_account {
    struct slice name;
    /* Each an address (alice@ours.example), a domain (ours.example), all below one (*.ours.example), or "*":
     * any. In the normal form of store/address.c. */
    const struct slice *senders;
    size_t sender_count;
};

struct relay_client {
    enum listener_role role;
    enum listener_auth auth;
    bool in_networks;          /* the client's address is one of the listener's networks */
    bool certificate_verified; /* it showed a certificate that the listener's own client_trust verifies */
    const struct relay_account *account; /* NULL: has not authenticated */
};

/* At MAIL: REPLY_NONE, or the reply that says why not. `sender` as it was given; empty: the null sender. */
enum smtp_reply relay_policy_sender(const struct relay_client *client, struct slice sender);
/* At RCPT, after relay_policy_sender() was content. `recipient` as it was given; "postmaster" alone, in any
 * case, is ours. `internal`: its domain is one of ours (domain.locality). */
enum smtp_reply relay_policy_recipient(const struct relay_client *client, struct slice recipient,
                                       bool internal);

#endif
