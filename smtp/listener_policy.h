/*
 * What holds for the sessions of one listener, worked out: its row (store/records_listener.h) over the
 * defaults of its role over the settings. Sessions hold it as it was when they began; a change makes a new
 * one.
 *
 *   name          role        protocol  TLS                     AUTH      networks
 *   relay, others relay       smtp      as smtp.tls             off       relay.networks
 *   lmtp          relay       lmtp      as smtp.tls             off       relay.networks
 *   submission    submission  smtp      required (RFC 8314)     required  all
 *   submissions   submission  smtp      implicit (RFC 8314)     required  all
 *   inbound       inbound     smtp      as smtp.tls             off       all
 *
 * The columns are of the role, and hold as well when a row gives the role to another name. Whatever AUTH
 * says, it is offered under TLS alone. Who speaks PROXY or XCLIENT: as smtp.proxy_networks
 * and smtp.xclient_networks say.
 */
#ifndef SEALPOST_SMTP_LISTENER_POLICY_H
#define SEALPOST_SMTP_LISTENER_POLICY_H

#include "store/records_listener.h"

#include <openssl/ssl.h>

enum listener_role { LISTENER_IS_RELAY, LISTENER_IS_SUBMISSION, LISTENER_IS_INBOUND };
enum listener_tls { LISTENER_TLS_OFF, LISTENER_TLS_OFFERED, LISTENER_TLS_REQUIRED, LISTENER_TLS_IMPLICIT };
enum listener_auth { LISTENER_AUTH_OFF, LISTENER_AUTH_OFFERED, LISTENER_AUTH_REQUIRED };
enum listener_client_certificates {
    LISTENER_CLIENT_CERTIFICATES_OFF,
    LISTENER_CLIENT_CERTIFICATES_ASKED,
    LISTENER_CLIENT_CERTIFICATES_REQUIRED
};

struct listener_policy {
    unsigned references;
    char name[LISTENER_NAME_MAX + 1];
    enum listener_role role;
    bool lmtp;
    enum listener_tls tls;
    bool tls_1_3; /* nothing older */
    enum listener_client_certificates client_certificates;
    enum listener_auth auth;
    bool any_network;                                                /* `networks` holds everybody */
    struct setting_value networks, proxy_networks, xclient_networks; /* for setting_networks_hold() */
    struct setting_value certificates; /* for setting_text_at(); empty: the node's own */
    struct setting_value client_trust; /* for setting_thumbprint_at(); empty: the trust anchors */
    SSL_CTX *tls_context;              /* owned; NULL: there is no TLS */
    char text[];                       /* what the values point to */
};

/* What the settings say, for what neither the row nor the role does. */
struct listener_settings {
    struct slice tls; /* smtp.tls */
    /* relay.networks, smtp.proxy_networks, smtp.xclient_networks, canonical */
    struct slice relay_networks, proxy_networks, xclient_networks;
};

/* Pure. `record` NULL: nothing is set for the name. One reference, without a TLS context. NULL: no memory. */
struct listener_policy *listener_policy_new(struct slice name, const struct listener_record *record,
                                            const struct listener_settings *settings);
struct listener_policy *listener_policy_hold(struct listener_policy *p);
void listener_policy_release(struct listener_policy *p); /* NULL is fine */

/* Is this address (as text) one of its networks? */
bool listener_policy_admits(const struct listener_policy *p, struct slice ip);
const char *listener_role_name(enum listener_role role);

#endif
