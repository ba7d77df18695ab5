/* Settings of the smtp role (smtp/settings.h). */
#include "smtp/settings.h"

#include "base/arena.h"
#include "mail/job.h"
#include "smtp/tls_settings.h"
#include "store/records.h"

static bool look_begin(void *context)
{
    struct store_look *look = context;
    struct failure f = {0};
    return look->store != NULL && store_view_begin(look->store, &look->view, &f) == STATUS_OK;
}

static void look_end(void *context)
{
    struct store_look *look = context;
    store_view_end(look->view);
    look->view = NULL;
}

static uint64_t look_index(void *context)
{
    struct store_look *look = context;
    return store_view_index(look->view);
}

static enum status look_get(void *context, const char *name, struct slice address, struct setting_value *out)
{
    struct store_look *look = context;
    const struct setting *setting = setting_find(slice_of_text(name));
    return setting != NULL ? setting_get(look->view, setting, address, out) : STATUS_NOT_FOUND;
}

static enum status look_listener(void *context, struct slice name, struct listener_record *out)
{
    struct store_look *look = context;
    return store_listener_get(look->view, name, out);
}

void settings_source_of_store(struct settings_source *out, struct store_look *look, struct store *store)
{
    *look = (struct store_look){.store = store};
    *out = (struct settings_source){.begin = look_begin,
                                    .end = look_end,
                                    .index = look_index,
                                    .get = look_get,
                                    .listener = look_listener,
                                    .context = look,
                                    .store = store};
}

/* `otherwise` is for a setting that this release's table does not have. */
static uint64_t number_of(struct settings_source *s, const char *name, struct slice address,
                          uint64_t otherwise)
{
    struct setting_value value;
    return s->get(s->context, name, address, &value) == STATUS_OK ? setting_number(&value) : otherwise;
}

static bool text_is(struct settings_source *s, const char *name, const char *text, bool otherwise)
{
    struct setting_value value;
    if (s->get(s->context, name, slice_of(NULL, 0), &value) != STATUS_OK) {
        return otherwise;
    }
    return slice_equal(value.text, slice_of_text(text));
}

static void read_limits(struct settings_source *s, struct session_limits *l)
{
    struct slice global = slice_of(NULL, 0);
    *l = (struct session_limits){
        .max_line = number_of(s, "smtp.max_command_length", global, 2048),
        .max_data_line = number_of(s, "smtp.max_line_length", global, 8192) + 2,
        .max_header = number_of(s, "smtp.max_header", global, (uint64_t)256 << 10),
        .max_size = number_of(s, "smtp.max_size", global, (uint64_t)50 << 20),
        .max_recipients = number_of(s, "smtp.max_recipients", global, 1000),
        .max_sessions = number_of(s, "smtp.max_sessions", global, 12000),
        .max_sessions_per_client = number_of(s, "smtp.max_sessions_per_client", global, 200),
        .max_errors = number_of(s, "smtp.max_errors", global, 20),
        .max_messages = number_of(s, "smtp.max_messages_per_session", global, 1000),
        .command_timeout_ms = number_of(s, "smtp.command_timeout", global, 300000),
        .data_timeout_ms = number_of(s, "smtp.data_timeout", global, 600000),
        .max_received = number_of(s, "smtp.max_received", global, 50),
        .max_passes = number_of(s, "smtp.max_passes", global, 5),
        .min_data_rate = number_of(s, "smtp.min_data_rate", global, 100),
        .max_memory = number_of(s, "smtp.max_memory", global, (uint64_t)1 << 30),
        .disk_reserve = number_of(s, "smtp.disk_reserve", global, (uint64_t)256 << 20),
        .stale_after_ms = number_of(s, "cluster.stale_after", global, 10000),
        .trace_retention_ms = number_of(s, "trace.retention", global, (uint64_t)30 * 24 * 3600 * 1000),
        .trace_max_size = number_of(s, "trace.max_size", global, (uint64_t)1 << 30),
        .defer_when_stale = text_is(s, "cluster.when_stale", "defer", true),
    };
    if (l->max_recipients > JOB_RECIPIENTS_MAX) {
        l->max_recipients = JOB_RECIPIENTS_MAX;
    }
}

static const char *const rate_names[RATE_KIND_COUNT] = {
    [RATE_CLIENT_MESSAGES] = "smtp.client_rate",
    [RATE_CLIENT_RECIPIENTS] = "smtp.client_recipient_rate",
    [RATE_CLIENT_CONNECTIONS] = "smtp.client_connection_rate",
    [RATE_CLIENT_TLS] = "smtp.client_tls_rate",
    [RATE_CLIENT_ERRORS] = "smtp.client_error_rate",
    [RATE_SENDER_MESSAGES_HOUR] = "smtp.sender_hourly_messages",
    [RATE_SENDER_MESSAGES_DAY] = "smtp.sender_daily_messages",
    [RATE_SENDER_RECIPIENTS_HOUR] = "smtp.sender_hourly_recipients",
    [RATE_SENDER_RECIPIENTS_DAY] = "smtp.sender_daily_recipients",
    [RATE_ACCOUNT_MESSAGES_HOUR] = "smtp.account_hourly_messages",
    [RATE_ACCOUNT_MESSAGES_DAY] = "smtp.account_daily_messages",
    [RATE_ACCOUNT_RECIPIENTS_HOUR] = "smtp.account_hourly_recipients",
    [RATE_ACCOUNT_RECIPIENTS_DAY] = "smtp.account_daily_recipients",
};

static const char *const network_names[NETWORKS_COUNT] = {
    [NETWORKS_RELAY] = "relay.networks",
    [NETWORKS_PROXY] = "smtp.proxy_networks",
    [NETWORKS_XCLIENT] = "smtp.xclient_networks",
    [NETWORKS_RATE_EXEMPT] = "smtp.rate_exempt",
};

static bool read_networks(struct settings_cache *c)
{
    for (size_t i = 0; i < NETWORKS_COUNT; i++) {
        struct setting_value value;
        if (c->source.get(c->source.context, network_names[i], slice_of(NULL, 0), &value) != STATUS_OK ||
            value.text.len > SETTING_VALUE_MAX) {
            return false;
        }
        memcpy(c->networks[i].text, value.text.data, value.text.len);
        value.text = slice_of(c->networks[i].text, value.text.len);
        c->networks[i].value = value;
    }
    return true;
}

bool settings_refresh(struct settings_cache *c)
{
    struct settings_source *s = &c->source;
    if (s->begin == NULL || !s->begin(s->context)) {
        return false;
    }
    uint64_t index = s->index(s->context);
    if (!c->valid || index != c->index) {
        c->valid = read_networks(c);
        if (c->valid) {
            read_limits(s, &c->limits);
            for (size_t i = 0; i < RATE_KIND_COUNT; i++) {
                c->rates[i] = number_of(s, rate_names[i], slice_of(NULL, 0), 0);
            }
            c->index = index;
        }
    }
    s->end(s->context);
    return c->valid;
}

bool settings_hold(const struct settings_cache *c, enum settings_networks which, struct slice ip)
{
    return setting_networks_hold(&c->networks[which].value, ip);
}

enum status settings_internal(struct settings_cache *c, struct slice domain, bool *internal)
{
    struct settings_source *s = &c->source;
    struct setting_value value;
    char normal[DOMAIN_MAX + 1];
    struct failure f;
    *internal = false;
    if (domain_normalise(domain, normal, &f) != STATUS_OK) {
        return STATUS_OK; /* no domain of ours is written like that */
    }
    if (s->begin == NULL || !s->begin(s->context)) {
        return STATUS_UNAVAILABLE;
    }
    enum status status = s->get(s->context, "domain.locality", slice_of_text(normal), &value);
    *internal = status == STATUS_OK && slice_equal(value.text, SLICE_LITERAL("internal"));
    s->end(s->context);
    return status == STATUS_OK ? status : STATUS_UNAVAILABLE;
}

/* An address in quotes has no settings of its own: those of its domain count. */
static struct slice scope_of(struct slice address, char normal[ADDRESS_MAX + 1])
{
    struct failure f;
    return address_normalise(address, normal, &f) == STATUS_OK ? slice_of_text(normal)
                                                               : address_domain(address);
}

void settings_sender_rates(struct settings_source *s, struct slice sender, uint64_t rates[RATE_KIND_COUNT])
{
    char normal[ADDRESS_MAX + 1];
    struct slice scope = scope_of(sender, normal);
    if (!s->begin(s->context)) {
        return;
    }
    for (size_t i = RATE_SENDER_MESSAGES_HOUR; i <= RATE_SENDER_RECIPIENTS_DAY; i++) {
        rates[i] = number_of(s, rate_names[i], scope, 0);
    }
    s->end(s->context);
}

static bool choice_is(struct settings_source *s, const char *name, struct slice scope, const char *text)
{
    struct setting_value value;
    return s->get(s->context, name, scope, &value) == STATUS_OK &&
           slice_equal(value.text, slice_of_text(text));
}

static enum status text_of(struct settings_source *s, const char *name, struct slice scope, struct arena *a,
                           struct slice *out)
{
    struct setting_value value;
    enum status status = s->get(s->context, name, scope, &value);
    return status != STATUS_OK ? status : arena_copy(a, value.text, out) ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status settings_for_delivery(struct settings_source *s, struct slice address, struct arena *a,
                                  struct delivery_settings *out)
{
    char normal[ADDRESS_MAX + 1];
    struct slice scope = scope_of(address, normal);
    *out = (struct delivery_settings){
        .lmtp = choice_is(s, "delivery.protocol", scope, "lmtp"),
        .paused = choice_is(s, "delivery.paused", scope, "yes"),
        .mx_port = (uint16_t)number_of(s, "delivery.mx_port", scope, 25),
        .max_rate = number_of(s, "delivery.max_rate", scope, 0),
        .max_connections = number_of(s, "delivery.max_connections", scope, 20),
        .max_messages_per_connection = number_of(s, "delivery.max_messages_per_connection", scope, 100),
        .connect_timeout_ms = number_of(s, "delivery.connect_timeout", scope, 30000),
        .timeout_ms = number_of(s, "delivery.timeout", scope, 300000),
        .idle_timeout_ms = number_of(s, "delivery.idle_timeout", scope, 5000),
    };
    enum status status = text_of(s, "delivery.next_hop", scope, a, &out->next_hop);
    if (status == STATUS_OK) {
        status = text_of(s, "delivery.source_address", scope, a, &out->source);
    }
    if (status == STATUS_OK) {
        status = text_of(s, "delivery.helo_name", scope, a, &out->helo);
    }
    if (status != STATUS_OK) {
        return status;
    }
    return tls_settings_collect(s, scope, a, &out->tls);
}

uint64_t settings_retry_delay(struct settings_source *s, uint32_t attempts, struct slice address)
{
    static const uint64_t otherwise[] = {60000, 300000, 900000, 1800000, 3600000, 7200000};
    struct setting_value value;
    char normal[ADDRESS_MAX + 1];
    size_t i = attempts > 0 ? attempts - 1 : 0;
    if (s->get(s->context, "delivery.retry", scope_of(address, normal), &value) == STATUS_OK) {
        return setting_duration_at(&value, i);
    }
    size_t last = sizeof otherwise / sizeof otherwise[0] - 1;
    return otherwise[i < last ? i : last];
}

uint64_t settings_expire(struct settings_source *s, struct slice address)
{
    char normal[ADDRESS_MAX + 1];
    return number_of(s, "delivery.expire", scope_of(address, normal), (uint64_t)5 * 24 * 3600 * 1000);
}

uint64_t settings_delay_notice(struct settings_source *s, struct slice address)
{
    char normal[ADDRESS_MAX + 1];
    return number_of(s, "delivery.delay_notice", scope_of(address, normal), (uint64_t)4 * 3600 * 1000);
}

bool settings_bounce_full(struct settings_source *s, struct slice sender)
{
    struct setting_value value;
    char normal[ADDRESS_MAX + 1];
    return s->get(s->context, "bounce.content", scope_of(sender, normal), &value) == STATUS_OK &&
           slice_equal(value.text, SLICE_LITERAL("full"));
}
