/* See smtp/listener_policy.h. Pure. */
#include "smtp/listener_policy.h"

/* The position of a field's value among its choices; `otherwise` when it is not set. */
static unsigned choice(const struct listener_record *record, enum listener_field field, unsigned otherwise)
{
    if (record == NULL || record->values[field].len == 0) {
        return otherwise;
    }
    struct setting_value value = {.setting = listener_field_at(field), .text = record->values[field]};
    return (unsigned)setting_choice(&value);
}

static enum listener_role role_of(struct slice name)
{
    if (slice_equal(name, SLICE_LITERAL("submission")) || slice_equal(name, SLICE_LITERAL("submissions"))) {
        return LISTENER_IS_SUBMISSION;
    }
    return slice_equal(name, SLICE_LITERAL("inbound")) ? LISTENER_IS_INBOUND : LISTENER_IS_RELAY;
}

static enum listener_tls tls_of(struct slice name, enum listener_role role, struct slice setting)
{
    if (slice_equal(name, SLICE_LITERAL("submissions"))) {
        return LISTENER_TLS_IMPLICIT;
    }
    if (role == LISTENER_IS_SUBMISSION || slice_equal(setting, SLICE_LITERAL("required"))) {
        return LISTENER_TLS_REQUIRED;
    }
    return slice_equal(setting, SLICE_LITERAL("off")) ? LISTENER_TLS_OFF : LISTENER_TLS_OFFERED;
}

static const enum listener_field lists[] = {LISTENER_NETWORKS, LISTENER_PROXY_NETWORKS,
                                            LISTENER_XCLIENT_NETWORKS, LISTENER_CERTIFICATES,
                                            LISTENER_CLIENT_TRUST};

static struct slice list_of(const struct listener_record *record, enum listener_field field,
                            enum listener_role role, const struct listener_settings *settings)
{
    struct slice own = record != NULL ? record->values[field] : (struct slice){0};
    if (own.len > 0) {
        return own;
    }
    if (field == LISTENER_NETWORKS && role == LISTENER_IS_RELAY) {
        return settings->relay_networks;
    }
    return field == LISTENER_PROXY_NETWORKS     ? settings->proxy_networks
           : field == LISTENER_XCLIENT_NETWORKS ? settings->xclient_networks
                                                : own;
}

struct listener_policy *listener_policy_new(struct slice name, const struct listener_record *record,
                                            const struct listener_settings *settings)
{
    enum listener_role role = (enum listener_role)choice(record, LISTENER_ROLE, role_of(name));
    size_t room = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        room += list_of(record, lists[i], role, settings).len;
    }
    struct listener_policy *p = calloc(1, sizeof *p + room + 1);
    if (p == NULL) {
        return NULL;
    }
    p->references = 1;
    (void)!snprintf(p->name, sizeof p->name, "%.*s", SLICE_ARGS(name));
    p->role = role;
    p->lmtp = choice(record, LISTENER_PROTOCOL, slice_equal(name, SLICE_LITERAL("lmtp")) ? 1 : 0) == 1;
    p->tls = (enum listener_tls)choice(record, LISTENER_TLS, tls_of(name, role, settings->tls));
    p->tls_1_3 = choice(record, LISTENER_TLS_VERSION, 0) == 1;
    p->client_certificates = (enum listener_client_certificates)choice(record, LISTENER_CLIENT_CERTIFICATES,
                                                                       LISTENER_CLIENT_CERTIFICATES_OFF);
    p->auth = (enum listener_auth)choice(
        record, LISTENER_AUTH, role == LISTENER_IS_SUBMISSION ? LISTENER_AUTH_REQUIRED : LISTENER_AUTH_OFF);
    struct setting_value *const places[] = {&p->networks, &p->proxy_networks, &p->xclient_networks,
                                            &p->certificates, &p->client_trust};
    size_t used = 0;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct slice text = list_of(record, lists[i], role, settings);
        if (text.len > 0) {
            memcpy(p->text + used, text.data, text.len);
        }
        *places[i] = (struct setting_value){.setting = listener_field_at(lists[i]),
                                            .text = slice_of(p->text + used, text.len)};
        used += text.len;
    }
    /* A relay that is for no network is for nobody. */
    p->any_network = role != LISTENER_IS_RELAY && p->networks.text.len == 0;
    return p;
}

struct listener_policy *listener_policy_hold(struct listener_policy *p)
{
    p->references++;
    return p;
}

void listener_policy_release(struct listener_policy *p)
{
    if (p != NULL && --p->references == 0) {
        SSL_CTX_free(p->tls_context);
        free(p);
    }
}

bool listener_policy_admits(const struct listener_policy *p, struct slice ip)
{
    return p->any_network || setting_networks_hold(&p->networks, ip);
}

const char *listener_role_name(enum listener_role role)
{
    static const char *const names[] = {[LISTENER_IS_RELAY] = "relay",
                                        [LISTENER_IS_SUBMISSION] = "submission",
                                        [LISTENER_IS_INBOUND] = "inbound"};
    return names[role];
}
