/*
 * The settings that the smtp role reads, by an interface: from the store's newest view in a role, from a
 * table in tests. What holds for all sessions is read once and kept until the store's index changes.
 */
#ifndef SEALPOST_SMTP_SETTINGS_H
#define SEALPOST_SMTP_SETTINGS_H

#include "smtp/rate_limit.h"
#include "store/records_listener.h"

struct settings_source {
    /* A consistent look: begin, any number of gets, end. False: the store cannot be read now. */
    bool (*begin)(void *context);
    void (*end)(void *context);
    uint64_t (*index)(void *context); /* of the look; the same number means the same values */
    /* NOT_FOUND if there is no such setting in this release's table. */
    enum status (*get)(void *context, const char *name, struct slice address, struct setting_value *out);
    /* What is set for a listener (borrowed until end()); NOT_FOUND: nothing. NULL: of no listener. */
    enum status (*listener)(void *context, struct slice name, struct listener_record *out);
    void *context;
    struct store *store; /* what it looks into; NULL: a table of its own */
};

/* Over a store: `look` must outlive the source. */
struct store_look {
    struct store *store;
    struct store_view *view;
};
void settings_source_of_store(struct settings_source *out, struct store_look *look, struct store *store);

/* What holds for every session. */
struct session_limits {
    uint64_t max_line;      /* bytes of a command line with CRLF */
    uint64_t max_data_line; /* of a line of content with CRLF */
    uint64_t max_errors, max_messages;
    uint64_t max_header, max_size, max_recipients, max_sessions, max_sessions_per_client;
    uint64_t max_received, max_passes;
    uint64_t command_timeout_ms, data_timeout_ms;
    uint64_t min_data_rate; /* bytes a second; 0: any */
    uint64_t max_memory;    /* bytes of all messages in memory */
    uint64_t disk_reserve;  /* bytes that stay free where the spool is */
    uint64_t stale_after_ms;
    bool defer_when_stale;                       /* from three voters on */
    uint64_t trace_retention_ms, trace_max_size; /* of the message log; bytes */
};

enum settings_networks {
    NETWORKS_RELAY,
    NETWORKS_PROXY,       /* begin with a header of the PROXY protocol */
    NETWORKS_XCLIENT,     /* may say XCLIENT */
    NETWORKS_RATE_EXEMPT, /* are under no rate */
    NETWORKS_COUNT
};

struct settings_cache {
    struct settings_source source;
    bool valid;
    uint64_t index;
    struct session_limits limits;
    uint64_t
        rates[RATE_KIND_COUNT]; /* so many a period; 0: no limit; a sender's own: settings_sender_rates() */
    struct {
        char text[SETTING_VALUE_MAX + 1];
        struct setting_value value;
    } networks[NETWORKS_COUNT];
};

/* Fresh as of now; false when the settings cannot be read (the caller defers then). */
bool settings_refresh(struct settings_cache *c);
bool settings_hold(const struct settings_cache *c, enum settings_networks which, struct slice ip);
/* How much this envelope sender may send: the four RATE_SENDER_... of `rates` are filled in. They stay 0 when
 * the settings cannot be read. */
void settings_sender_rates(struct settings_source *s, struct slice sender, uint64_t rates[RATE_KIND_COUNT]);
/* Is the domain one of ours (domain.locality)? UNAVAILABLE when the settings cannot be read. */
enum status settings_internal(struct settings_cache *c, struct slice domain, bool *internal) MUST_CHECK;

/* How mail for an address leaves. Texts are copied into the arena. smtp/route.h fills the rest. */
struct arena;
struct delivery_settings {
    struct slice next_hop; /* canonical HOSTS text; empty: by the MX records of `domain` */
    struct slice domain;   /* lower case; empty when there is a next hop (smtp/route.h) */
    struct slice source;   /* NETWORKS text: our own addresses to connect from; empty: any */
    struct slice helo;     /* HOSTS text: the name to say; empty: the node's */
    bool lmtp, paused;
    uint16_t mx_port;
    uint64_t max_rate; /* messages a minute; 0: any number */
    struct slice tls;  /* smtp/tls_settings.h */
    uint64_t max_connections, max_messages_per_connection;
    uint64_t connect_timeout_ms, timeout_ms, idle_timeout_ms;
};
/* These within a look. */
enum status settings_for_delivery(struct settings_source *s, struct slice address, struct arena *a,
                                  struct delivery_settings *out) MUST_CHECK;
uint64_t settings_retry_delay(struct settings_source *s, uint32_t attempts,
                              struct slice address); /* after so many attempts, from 1 */
uint64_t settings_expire(struct settings_source *s, struct slice address);
/* How long a recipient waits before the sender is told; 0: that is not wanted. */
uint64_t settings_delay_notice(struct settings_source *s, struct slice address);
/* May a notification to this sender give the whole message back? */
bool settings_bounce_full(struct settings_source *s, struct slice sender);

#endif
