/*
 * The settings that choose the algorithms of S/MIME. What a recipient's programs can read is not asked here:
 * it is a fact of the certificates (policy_certificates.c), and the flow puts both together. Pure; any
 * thread.
 */
#include "mail/policy_internal.h"

void policy_sender_algorithms(struct policy_context *c)
{
    struct policy_signer *signer = &c->out->signer;
    const struct setting_value *digest = &c->of_sender->of[SETTING_SMIME_DIGEST];
    signer->digest = policy_value_is(digest, "sha512")   ? SMIME_SHA512
                     : policy_value_is(digest, "sha384") ? SMIME_SHA384
                                                         : SMIME_SHA256;
    signer->pss = setting_bool(&c->of_sender->of[SETTING_SMIME_PSS]);
}

void policy_recipient_algorithms(struct policy_recipient *r)
{
    const struct setting_value *transport = &r->settings->of[SETTING_SMIME_KEY_TRANSPORT];
    r->smime = setting_bool(&r->settings->of[SETTING_SMIME_ENABLED]);
    r->cipher = r->settings->of[SETTING_SMIME_CIPHER].text;
    r->opaque = setting_bool(&r->settings->of[SETTING_SMIME_OPAQUE]);
    r->compress = setting_bool(&r->settings->of[SETTING_SMIME_COMPRESS]);
    r->transport = policy_value_is(transport, "oaep")    ? SMIME_TRANSPORT_OAEP
                   : policy_value_is(transport, "pkcs1") ? SMIME_TRANSPORT_PKCS1
                                                         : SMIME_TRANSPORT_AUTO;
}
