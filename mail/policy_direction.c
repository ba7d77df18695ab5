/*
 * Which way a message goes for a recipient: in (decrypt, verify) or out (sign, encrypt), and whether a domain
 * of ours answers for what goes out.
 *
 * The recipient's domain.locality says it. With encrypt.internal, mail among our own domains goes out as
 * well. Since that signs in the name of whoever From and the envelope name, it holds only for clients in
 * encrypt.internal_from: from anywhere else such a message may be a forgery, and comes in. What is encrypted
 * as a whole already and names our own senders is never decrypted on its way to such a recipient, whichever
 * client it comes from: it passes as it is, so that a second gateway does not undo the first one's work.
 * Nothing is signed then, and nothing opened. Pure; any thread.
 */
#include "mail/policy_internal.h"

static bool is_internal(const struct setting_values *values)
{
    return policy_value_is(&values->of[SETTING_DOMAIN_LOCALITY], "internal");
}

/* Both From and the envelope's sender are ours; a null sender is nobody. */
static bool sender_is_ours(const struct policy_context *c)
{
    return c->facts->envelope_sender.len > 0 && is_internal(c->of_sender) &&
           (c->of_envelope == NULL || is_internal(c->of_envelope));
}

static bool client_is_ours(const struct policy_context *c)
{
    return setting_networks_hold(&c->global->of[SETTING_ENCRYPT_INTERNAL_FROM], c->facts->client_ip);
}

void policy_direction(const struct policy_context *c, struct policy_recipient *r)
{
    bool as_outgoing = setting_bool(&r->settings->of[SETTING_ENCRYPT_INTERNAL]) && sender_is_ours(c) &&
                       (client_is_ours(c) || (c->kinds & MESSAGE_ENCRYPTED) != 0);
    r->direction = is_internal(r->settings) && !as_outgoing ? POLICY_INCOMING : POLICY_OUTGOING;
}

void policy_direction_tell(struct policy_context *c, const struct policy_recipient *r,
                           struct policy_steps *steps)
{
    if (!is_internal(r->settings) || !setting_bool(&r->settings->of[SETTING_ENCRYPT_INTERNAL])) {
        return;
    }
    if (!sender_is_ours(c)) {
        policy_step(c, steps, "encrypt.internal: the sender is not of our own domains");
    } else if (r->direction == POLICY_INCOMING) {
        policy_step(c, steps, "encrypt.internal: the client %.*s is not in encrypt.internal_from: comes in",
                    SLICE_ARGS(c->facts->client_ip.len > 0 ? c->facts->client_ip : SLICE_LITERAL("(none)")));
    } else {
        policy_step(c, steps, "encrypt.internal: from us to us, treated like mail that leaves");
    }
}

bool policy_sender_is_unknown(const struct policy_context *c, const struct policy_recipient *r)
{
    bool null_sender = c->facts->envelope_sender.len == 0;
    if (r->direction == POLICY_INCOMING || is_internal(r->settings) || is_internal(c->of_sender) ||
        (c->of_envelope != NULL && is_internal(c->of_envelope))) {
        return false;
    }
    /* Reports come from host names that are no mail domains; asked without a message, one is meant. */
    return !(null_sender &&
             (c->facts->message == NULL || (c->kinds & (MESSAGE_REPORT | MESSAGE_AUTO_REPLY)) != 0));
}
