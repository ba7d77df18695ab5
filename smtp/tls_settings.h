/*
 * What the settings say about TLS to the next hop of a recipient, as one text: equal texts share connections.
 *
 *   MODE ANCHORS LOWEST STS REQUIRE FINGERPRINTS
 *
 * separated by spaces, as the settings have them; REQUIRE is "yes" for a message with REQUIRETLS (RFC 8689).
 */
#ifndef SEALPOST_SMTP_TLS_SETTINGS_H
#define SEALPOST_SMTP_TLS_SETTINGS_H

#include "base/arena.h"
#include "smtp/settings.h"
#include "smtp/tls_policy.h"

enum tls_anchors { TLS_ANCHORS_SYSTEM, TLS_ANCHORS_STORE, TLS_ANCHORS_BOTH, TLS_ANCHORS_END };

struct tls_settings {
    enum tls_mode mode;
    enum tls_anchors anchors; /* delivery.tls_trust */
    int lowest;               /* TLS1_2_VERSION or TLS1_3_VERSION */
    bool mta_sts, require_tls;
    struct slice fingerprints; /* THUMBPRINTS text */
};

/* The text for an address, in the arena. Within a look. */
enum status tls_settings_collect(struct settings_source *s, struct slice address, struct arena *a,
                                 struct slice *out) MUST_CHECK;
/* The same for a message with REQUIRETLS. */
enum status tls_settings_require(struct slice text, struct arena *a, struct slice *out) MUST_CHECK;
/* The same for a message with TLS-Required: No (RFC 8689 section 3): policies that recipients publish do not
 * hold for it; what the administrator has set does. */
enum status tls_settings_relax(struct slice text, struct arena *a, struct slice *out) MUST_CHECK;
/* A text that is none asks for everything that can be asked for. */
void tls_settings_read(struct slice text, struct tls_settings *out);
/* Is the SHA-256 of a certificate or of its public key among them? */
bool tls_settings_have(const struct tls_settings *s, const uint8_t fingerprint[32]);

#endif
