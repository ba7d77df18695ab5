/* See views.h: what is better told than tabulated. */
#include "cli/arguments.h"
#include "cli/table.h"
#include "cli/views.h"

#include <stdarg.h>

/* A line of text on standard output, its values cleaned. */
struct story {
    struct buf out;
    enum status status;
};

static void tell(struct story *s, const char *text)
{
    if (s->status == STATUS_OK) {
        s->status = cli_append_clean(&s->out, text, true);
    }
}

static void tell_member(struct story *s, const json_t *object, const char *field, enum cli_format format)
{
    if (s->status == STATUS_OK) {
        s->status = cli_value_format(object, field, format, &s->out);
    }
}

static void story_end(struct story *s)
{
    if (s->status == STATUS_OK) {
        fwrite(s->out.data, 1, s->out.len, stdout);
    } else {
        fprintf(stderr, "sealpostctl: the answer is too large to show; use -o json\n");
    }
    buf_release(&s->out);
}

static struct story story_begin(void)
{
    return (struct story){.out = {.max = CLI_SHOWN_MAX}};
}

/* --- settings --- */

static bool level_is(const json_t *value, const char *level)
{
    const char *text = json_string_value(json_object_get(value, "level"));
    return text != NULL && strcmp(text, level) == 0;
}

static bool is_set_globally(const json_t *values)
{
    size_t i;
    json_t *value;
    json_array_foreach(values, i, value)
    {
        if (level_is(value, "global")) {
            return true;
        }
    }
    return false;
}

/* A row for each value; the factory's too unless it is covered by a global one. For one domain or user: the
 * value that counts. */
void show_settings(const json_t *answer, const struct cli_input *input)
{
    static const struct cli_column columns[] = {{"NAME", "name", SHOW_TEXT},
                                                {"VALUE", "value", SHOW_CLIPPED},
                                                {"LEVEL", "level", SHOW_TEXT},
                                                {"SCOPE", "scope", SHOW_TEXT},
                                                {.title = NULL}};
    struct story s = story_begin();
    json_t *list = json_array(), *setting;
    bool one_scope = cli_given(input, "domain") || cli_given(input, "user");
    bool only_set = cli_given(input, "set");
    size_t i;
    json_array_foreach(json_object_get(answer, "items"), i, setting)
    {
        json_t *values = json_object_get(setting, "values");
        if (one_scope && only_set && level_is(json_array_get(values, 0), "factory")) {
            continue;
        }
        if (!one_scope && !only_set && !is_set_globally(values)) {
            json_t *row = json_object();
            json_object_set(row, "name", json_object_get(setting, "name"));
            json_object_set(row, "value", json_object_get(setting, "default"));
            json_object_set_new(row, "level", json_string("factory"));
            json_array_append_new(list, row);
        }
        json_array_extend(list, values);
    }
    if (json_array_size(list) == 0) {
        tell(&s, "(nothing was set)\n");
    } else {
        s.status = cli_table_format(list, columns, &s.out);
    }
    json_decref(list);
    story_end(&s);
}

/* --- policy --- */

static void tell_settings(struct story *s, const json_t *settings, const char *indent)
{
    size_t i;
    json_t *setting;
    json_array_foreach(settings, i, setting)
    {
        tell(s, indent);
        tell_member(s, setting, "name", SHOW_TEXT);
        tell(s, " = ");
        tell_member(s, setting, "value", SHOW_TEXT);
        tell(s, "  (");
        tell_member(s, setting, "level", SHOW_TEXT);
        if (json_string_length(json_object_get(setting, "scope")) > 0) {
            tell(s, " ");
            tell_member(s, setting, "scope", SHOW_TEXT);
        }
        tell(s, ", of the ");
        tell_member(s, setting, "of", SHOW_TEXT);
        tell(s, ")\n");
    }
}

static void tell_certificates(struct story *s, const json_t *certificates, const char *indent)
{
    size_t i;
    json_t *certificate;
    json_array_foreach(certificates, i, certificate)
    {
        tell(s, indent);
        tell(s, "certificate ");
        tell_member(s, certificate, "thumbprint", SHOW_SHORT);
        tell(s, " ");
        tell_member(s, certificate, "subject", SHOW_TEXT);
        if (json_is_true(json_object_get(certificate, "usable"))) {
            tell(s, ": usable\n");
        } else {
            tell(s, ": not usable: ");
            tell_member(s, certificate, "why", SHOW_TEXT);
            tell(s, "\n");
        }
    }
}

static bool list_has(const json_t *list, const char *text)
{
    size_t i;
    json_t *entry;
    json_array_foreach(list, i, entry)
    {
        if (json_is_string(entry) && strcmp(json_string_value(entry), text) == 0) {
            return true;
        }
    }
    return false;
}

static void tell_outcome(struct story *s, const json_t *recipient)
{
    const json_t *protection = json_object_get(recipient, "protection");
    const char *status = json_string_value(json_object_get(recipient, "status"));
    const char *direction = json_string_value(json_object_get(recipient, "direction"));
    bool sign = list_has(protection, "sign"), encrypt = list_has(protection, "encrypt");
    if (status != NULL && strcmp(status, "OK") != 0) {
        tell(s, "REFUSED: ");
        tell_member(s, recipient, "reason", SHOW_TEXT);
    } else if (direction != NULL && strcmp(direction, "incoming") == 0) {
        tell(s, "incoming: decrypted and verified as far as keys allow");
    } else if (sign && encrypt) {
        tell(s, "signed and encrypted");
    } else if (sign || encrypt) {
        tell(s, encrypt ? "encrypted" : "signed");
    } else {
        tell(s, "as it is, neither signed nor encrypted");
    }
    tell(s, "\n");
}

static void tell_decision(struct story *s, const json_t *trace)
{
    size_t i, k;
    json_t *recipient, *rule;
    json_array_foreach(json_object_get(trace, "recipients"), i, recipient)
    {
        tell(s, "to ");
        tell_member(s, recipient, "address", SHOW_TEXT);
        tell(s, ": ");
        tell_outcome(s, recipient);
        tell_settings(s, json_object_get(recipient, "settings"), "    ");
        tell_certificates(s, json_object_get(recipient, "certificates"), "    ");
        json_array_foreach(json_object_get(recipient, "rules"), k, rule)
        {
            tell(s, "    so: ");
            tell(s, json_is_string(rule) ? json_string_value(rule) : "");
            tell(s, "\n");
        }
    }
    if (json_integer_value(json_object_get(trace, "recipients_omitted")) > 0) {
        tell(s, "and ");
        tell_member(s, trace, "recipients_omitted", SHOW_TEXT);
        tell(s, " more recipients\n");
    }
}

static void tell_sender(struct story *s, const json_t *trace)
{
    const json_t *message = json_object_get(trace, "message");
    const json_t *signer = json_object_get(trace, "signer");
    tell(s, "from ");
    tell_member(s, message, "from", SHOW_TEXT);
    tell(s, "\n");
    if (json_is_true(json_object_get(message, "already_encrypted"))) {
        tell(s, "    the message is encrypted already\n");
    }
    if (json_is_true(json_object_get(message, "already_signed"))) {
        tell(s, "    the message is signed already\n");
    }
    tell_settings(s, json_object_get(trace, "sender_settings"), "    ");
    tell_certificates(s, json_object_get(signer, "certificates"), "    ");
}

void show_explanation(const json_t *answer, const struct cli_input *input)
{
    struct story s = story_begin();
    const json_t *trace = json_object_get(answer, "trace");
    (void)input;
    tell_sender(&s, trace);
    tell_decision(&s, trace);
    tell(&s, json_is_true(json_object_get(answer, "refused"))
                 ? "\nThe message would be refused: it would go to nobody.\n"
                 : "\nThe message would be accepted.\n");
    story_end(&s);
}

/* --- messages, queue --- */

static void tell_events(struct story *s, const json_t *events)
{
    size_t i;
    json_t *event;
    if (json_array_size(events) > 0) {
        tell(s, "\nwhat happened:\n");
    }
    json_array_foreach(events, i, event)
    {
        tell_member(s, event, "time", SHOW_TEXT);
        tell(s, "  ");
        tell_member(s, event, "event", SHOW_TEXT);
        if (json_string_length(json_object_get(event, "recipient")) > 0) {
            tell(s, " to ");
            tell_member(s, event, "recipient", SHOW_TEXT);
        }
        if (json_string_length(json_object_get(event, "next_hop")) > 0) {
            tell(s, " by ");
            tell_member(s, event, "next_hop", SHOW_TEXT);
        }
        if (json_string_length(json_object_get(event, "text")) > 0) {
            tell(s, ": ");
            tell_member(s, event, "text", SHOW_TEXT);
        }
        tell(s, "\n");
    }
}

void show_message(const json_t *answer, const struct cli_input *input)
{
    static const struct cli_column fields[] = {{"id", "id", SHOW_TEXT},
                                               {"state", "state", SHOW_TEXT},
                                               {"taken by node", "node", SHOW_TEXT},
                                               {"arrived", "arrived", SHOW_TEXT},
                                               {"sender", "sender", SHOW_TEXT},
                                               {"subject", "subject", SHOW_TEXT},
                                               {"client", "client_ip", SHOW_TEXT},
                                               {"  called itself", "helo", SHOW_TEXT},
                                               {"  over", "listener", SHOW_TEXT},
                                               {"size", "size", SHOW_BYTES},
                                               {"answered", "reply", SHOW_TEXT},
                                               {.title = NULL}};
    static const struct cli_column columns[] = {
        {"RECIPIENT", "address", SHOW_TEXT},     {"STATE", "state", SHOW_TEXT},
        {"PROTECTION", "protection", SHOW_TEXT}, {"NEXT HOP", "next_hop", SHOW_TEXT},
        {"LAST REPLY", "last_reply", SHOW_TEXT}, {.title = NULL}};
    static const struct cli_view view = {fields, "recipients", columns, "no recipients"};
    struct story s = story_begin();
    const json_t *trace = json_object_get(answer, "trace");
    (void)input;
    s.status = cli_view_format(&view, answer, &s.out);
    tell_events(&s, json_object_get(answer, "events"));
    if (json_is_object(trace)) {
        tell(&s, "\nhow it was decided:\n");
        tell_sender(&s, trace);
        tell_decision(&s, trace);
    }
    story_end(&s);
}

void show_queue_entry(const json_t *answer, const struct cli_input *input)
{
    static const struct cli_column fields[] = {{"id", "id", SHOW_TEXT},
                                               {"sender", "sender", SHOW_TEXT},
                                               {"state", "state", SHOW_TEXT},
                                               {"size", "size", SHOW_BYTES},
                                               {"arrived", "arrived", SHOW_TIME},
                                               {"attempts", "attempts", SHOW_TEXT},
                                               {"next attempt", "next_attempt", SHOW_TIME},
                                               {"given up", "expires", SHOW_TIME},
                                               {.title = NULL}};
    static const struct cli_column columns[] = {
        {"RECIPIENT", "address", SHOW_TEXT},     {"STATE", "state", SHOW_TEXT},
        {"PROTECTION", "protection", SHOW_TEXT}, {"NEXT HOP", "next_hop", SHOW_TEXT},
        {"LAST REPLY", "last_reply", SHOW_TEXT}, {.title = NULL}};
    static const struct cli_view view = {fields, "recipients", columns, "no recipients"};
    struct story s = story_begin();
    const json_t *trace = json_object_get(answer, "trace");
    (void)input;
    s.status = cli_view_format(&view, answer, &s.out);
    if (json_is_object(trace)) {
        tell(&s, "\nhow it was decided:\n");
        tell_sender(&s, trace);
        tell_decision(&s, trace);
    }
    story_end(&s);
}
