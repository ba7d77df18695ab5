/*
 * What holds for a listener of the SMTP service, by its name: a replicated row, which overrides what the
 * settings and the role say, field by field. The addresses that a node binds a name to are in its own file
 * ([smtp] listeners). A field that is not set has its default: that of the role (smtp/listener_policy.h).
 *
 * As text, in a command and in the table: a line "field=value" for each field that is set, in the order of
 * the table of fields; the values are canonical as those of settings are (store/setting.h).
 */
#ifndef SEALPOST_STORE_RECORDS_LISTENER_H
#define SEALPOST_STORE_RECORDS_LISTENER_H

#include "store/setting.h"

#define LISTENER_NAME_MAX 31                 /* bytes */
#define LISTENER_ROWS_MAX 64                 /* in a cluster */
#define LISTENER_TEXT_MAX ((size_t)32 << 10) /* bytes of a whole record as text */
#define LISTENER_DEFAULT  "default"          /* this value takes a field away */

enum listener_field {
    LISTENER_ROLE,
    LISTENER_PROTOCOL,
    LISTENER_NETWORKS,
    LISTENER_TLS,
    LISTENER_TLS_VERSION,
    LISTENER_CERTIFICATES,
    LISTENER_CLIENT_CERTIFICATES,
    LISTENER_CLIENT_TRUST,
    LISTENER_AUTH,
    LISTENER_PROXY_NETWORKS,
    LISTENER_XCLIENT_NETWORKS,
    LISTENER_FIELD_COUNT
};

/* The fields as rows like those of settings: name, type, choices, help. NULL at the end. */
const struct setting *listener_field_at(size_t i);

struct listener_record {
    struct slice name;
    struct slice values[LISTENER_FIELD_COUNT]; /* canonical; empty: not set. Borrowed */
    uint64_t changed_ms;
};

/* Lower-case letters, digits and hyphens, the first no hyphen; at most LISTENER_NAME_MAX. */
bool listener_name_valid(struct slice name);
/* Of TLS certificates: the same, with dots. */
bool transport_name_valid(struct slice name);
/* One field given by a person: appends "field=canonical" and a line end to `changes`; "" and "default" take
 * it away. INVALID with what would be right. */
enum status listener_change_append(struct slice field, struct slice value, struct buf *changes,
                                   struct failure *f) MUST_CHECK;
/* The values of a text; what is not in it stays as it was in `record`. A value that is empty takes the field
 * away. INVALID when a field is unknown or a value is not in its canonical form. Slices point into `text`. */
enum status listener_text_read(struct slice text, struct listener_record *record,
                               struct failure *f) MUST_CHECK;
enum status listener_text_write(const struct listener_record *record, struct buf *out) MUST_CHECK;

/* NOT_FOUND when nothing is set for the name. */
enum status store_listener_get(struct store_view *v, struct slice name,
                               struct listener_record *out) MUST_CHECK;
typedef bool (*listener_visit_cb)(void *context, const struct listener_record *record);
enum status store_listeners_all(struct store_view *v, listener_visit_cb cb, void *context) MUST_CHECK;

/* For the table "listeners": store/apply_listener.c. */
enum status listener_encode(const struct listener_record *record, struct buf *out) MUST_CHECK;
enum status listener_decode(struct slice name, struct slice value, struct listener_record *out) MUST_CHECK;

#endif
