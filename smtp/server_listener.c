/* See smtp/server_listener.h. */
#include "smtp/server_listener.h"

#include "base/log.h"

/* Within a look. NULL: it cannot be read. */
static struct listener_policy *policy_read(struct slice name, struct settings_cache *settings)
{
    struct settings_source *s = &settings->source;
    struct setting_value tls;
    struct listener_record record;
    struct listener_settings defaults = {.relay_networks = settings->networks[NETWORKS_RELAY].value.text,
                                         .proxy_networks = settings->networks[NETWORKS_PROXY].value.text,
                                         .xclient_networks = settings->networks[NETWORKS_XCLIENT].value.text};
    enum status status = s->get(s->context, "smtp.tls", slice_of(NULL, 0), &tls);
    if (status != STATUS_OK) {
        return NULL;
    }
    defaults.tls = tls.text;
    status = s->listener != NULL ? s->listener(s->context, name, &record) : STATUS_NOT_FOUND;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return NULL;
    }
    return listener_policy_new(name, status == STATUS_OK ? &record : NULL, &defaults);
}

struct listener_policy *server_listener_policy(struct server_listener *l, struct settings_cache *settings,
                                               SSL_CTX *node_tls)
{
    struct settings_source *s = &settings->source;
    if (l->policy != NULL && l->index == settings->index) {
        return l->policy;
    }
    if (!s->begin(s->context)) {
        return NULL;
    }
    struct listener_policy *fresh = policy_read(slice_of_text(l->name), settings);
    s->end(s->context);
    if (fresh == NULL) {
        log_event(LOG_ERROR, "what is set for a listener cannot be read", LOG_TEXT("listener", l->name));
        return NULL;
    }
    if (fresh->tls != LISTENER_TLS_OFF && node_tls != NULL && SSL_CTX_up_ref(node_tls) == 1) {
        fresh->tls_context = node_tls;
    }
    listener_policy_release(l->policy);
    l->policy = fresh;
    l->index = settings->index;
    return fresh;
}

void server_listener_release(struct server_listener *l)
{
    listener_policy_release(l->policy);
    l->policy = NULL;
}
