/*
 * The settings that choose the algorithms of S/MIME. What a recipient's programs can read is not asked here:
 * it is a fact of the certificates (policy_certificates.c), and the flow puts both together. Pure; any
 * thread.
 */
#include "mail/policy_internal.h"

enum status policy_sender_algorithms(struct policy_context *c, struct failure *f)
{
    struct policy_signer *signer = &c->out->signer;
    enum status status = policy_setting(c, "smime.digest", SIDE_SENDER, c->sender, &c->digest, f);
    if (status == STATUS_OK) {
        status = policy_setting(c, "smime.pss", SIDE_SENDER, c->sender, &c->pss, f);
    }
    if (status == STATUS_OK) {
        signer->digest = policy_value_is(&c->digest, "sha512")   ? SMIME_SHA512
                         : policy_value_is(&c->digest, "sha384") ? SMIME_SHA384
                                                                 : SMIME_SHA256;
        signer->pss = policy_value_is(&c->pss, "yes");
    }
    return status;
}

enum status policy_recipient_algorithms(struct policy_context *c, struct policy_recipient *r,
                                        struct json_writer *w, struct failure *f)
{
    static const char *const names[] = {"smime.cipher", "smime.opaque", "smime.key_transport",
                                        "smime.compress"};
    enum { CIPHER, OPAQUE, TRANSPORT, COMPRESS, SETTINGS };
    struct policy_value values[SETTINGS];
    for (size_t i = 0; i < SETTINGS; i++) {
        enum status status = policy_setting(c, names[i], SIDE_RECIPIENT, r->address, &values[i], f);
        if (status != STATUS_OK) {
            return status;
        }
        trace_setting(w, &values[i]);
    }
    r->cipher = values[CIPHER].text;
    r->opaque = policy_value_is(&values[OPAQUE], "yes");
    r->compress = policy_value_is(&values[COMPRESS], "yes");
    r->transport = policy_value_is(&values[TRANSPORT], "oaep")    ? SMIME_TRANSPORT_OAEP
                   : policy_value_is(&values[TRANSPORT], "pkcs1") ? SMIME_TRANSPORT_PKCS1
                                                                  : SMIME_TRANSPORT_AUTO;
    return STATUS_OK;
}
