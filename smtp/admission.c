/* Sessions and rates of clients, senders and accounts (smtp/admission.h). */
#include "smtp/admission.h"

#include "base/clock.h"

#include <stdlib.h>

struct admission {
    struct settings_cache *settings;
    struct statistics *statistics;
    struct rate_table *rates;
    struct client_table clients;
};

struct admission *admission_new(struct settings_cache *settings, struct statistics *statistics)
{
    struct admission *a = calloc(1, sizeof *a);
    uint8_t key[SIPHASH_KEY_SIZE];
    if (a == NULL) {
        return NULL;
    }
    random_bytes(key, sizeof key);
    a->settings = settings;
    a->statistics = statistics;
    a->rates = rate_table_new(RATE_TABLE_ENTRIES, key);
    random_bytes(a->clients.key, sizeof a->clients.key);
    if (a->rates == NULL) {
        free(a);
        return NULL;
    }
    return a;
}

void admission_free(struct admission *a)
{
    if (a != NULL) {
        rate_table_free(a->rates);
        free(a);
    }
}

uint64_t admission_evicted(const struct admission *a)
{
    return rate_evicted(a->rates);
}

static bool take(struct admission *a, enum rate_kind kind, struct slice who, uint64_t count)
{
    if (rate_take(a->rates, kind, who, count, clock_monotonic_ms())) {
        return true;
    }
    a->statistics->rate_limited++;
    return false;
}

/* Of the client itself. */
static bool take_client(struct admission *a, const struct admitted *who, enum rate_kind kind)
{
    return who->exempt ||
           take(a, kind, slice_of(who->client.bytes, sizeof who->client.bytes), a->settings->rates[kind]);
}

enum smtp_reply admission_client(struct admission *a, struct admitted *who, const char *ip)
{
    who->client = client_key_of(ip);
    who->exempt = settings_hold(a->settings, NETWORKS_RATE_EXEMPT, slice_of_text(ip));
    if (!who->exempt &&
        rate_is_spent(a->rates, RATE_CLIENT_ERRORS, slice_of(who->client.bytes, sizeof who->client.bytes),
                      a->settings->rates[RATE_CLIENT_ERRORS], clock_monotonic_ms())) {
        a->statistics->rate_limited++;
        return REPLY_RATE_ERRORS;
    }
    if (!take_client(a, who, RATE_CLIENT_CONNECTIONS)) {
        return REPLY_RATE_CONNECTIONS;
    }
    who->row = client_came(&a->clients, &who->client, a->settings->limits.max_sessions_per_client);
    return who->row != NULL ? REPLY_NONE : REPLY_TOO_MANY_FROM_YOU;
}

void admission_leave(struct admission *a, struct admitted *who)
{
    client_left(&a->clients, who->row);
    *who = (struct admitted){0};
}

/* An hourly and a daily limit of one name; `first` is the hourly one. */
static bool take_both(struct admission *a, enum rate_kind first, struct slice name, uint64_t hourly,
                      uint64_t daily)
{
    return take(a, first, name, hourly) && take(a, first + 1, name, daily);
}

static bool take_account(struct admission *a, enum rate_kind first, struct slice account)
{
    const uint64_t *rates = a->settings->rates;
    return account.len == 0 || take_both(a, first, account, rates[first], rates[first + 1]);
}

static bool take_sender(struct admission *a, const struct admitted *who, enum rate_kind first,
                        struct slice sender)
{
    const uint32_t *rates = who->sender_rates + (first - RATE_SENDER_MESSAGES_HOUR);
    return sender.len == 0 || take_both(a, first, sender, rates[0], rates[1]);
}

enum smtp_reply admission_message(struct admission *a, struct admitted *who, struct slice sender,
                                  struct slice account)
{
    uint64_t rates[RATE_KIND_COUNT] = {0};
    if (!who->exempt && sender.len > 0) {
        settings_sender_rates(&a->settings->source, sender, rates);
    }
    for (size_t i = 0; i < sizeof who->sender_rates / sizeof who->sender_rates[0]; i++) {
        who->sender_rates[i] = (uint32_t)rates[RATE_SENDER_MESSAGES_HOUR + i];
    }
    if (!take_client(a, who, RATE_CLIENT_MESSAGES)) {
        return REPLY_RATE_MESSAGES;
    }
    if (who->exempt) {
        return REPLY_NONE;
    }
    if (!take_account(a, RATE_ACCOUNT_MESSAGES_HOUR, account)) {
        return REPLY_RATE_ACCOUNT;
    }
    return take_sender(a, who, RATE_SENDER_MESSAGES_HOUR, sender) ? REPLY_NONE : REPLY_RATE_SENDER;
}

enum smtp_reply admission_recipient(struct admission *a, struct admitted *who, struct slice sender,
                                    struct slice account)
{
    if (!take_client(a, who, RATE_CLIENT_RECIPIENTS)) {
        return REPLY_RATE_RECIPIENTS;
    }
    if (who->exempt) {
        return REPLY_NONE;
    }
    if (!take_account(a, RATE_ACCOUNT_RECIPIENTS_HOUR, account)) {
        return REPLY_RATE_ACCOUNT;
    }
    return take_sender(a, who, RATE_SENDER_RECIPIENTS_HOUR, sender) ? REPLY_NONE : REPLY_RATE_SENDER;
}

enum smtp_reply admission_tls(struct admission *a, struct admitted *who)
{
    return take_client(a, who, RATE_CLIENT_TLS) ? REPLY_NONE : REPLY_RATE_TLS;
}

enum smtp_reply admission_error(struct admission *a, struct admitted *who)
{
    return take_client(a, who, RATE_CLIENT_ERRORS) ? REPLY_NONE : REPLY_RATE_ERRORS;
}
