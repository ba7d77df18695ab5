/*
 * What the sender asked for: words in the subject, fields of the header, sensitivity labels (the trigger.*
 * settings of the sender).
 *
 * Words are looked for in the decoded subject, without regard to the case of ASCII letters; an /expression/
 * is run with limits (mail/pattern.h), and one that hits a limit refuses the message: nobody knows what was
 * asked. The words that were found are taken out of the subject (trigger.subject.remove). Asking for no
 * encryption counts only if the envelope's sender may ask for it as well: else anybody could write the From
 * of one who may. Pure.
 */
#include "mail/policy_internal.h"

#include "mail/pattern.h"
#include "mail/words.h"

#define FIELD_TEXT_MAX 4096 /* bytes of a decoded field that are looked at */
#define REMOVALS_MAX   32   /* from one subject */

struct hit {
    bool found;
    size_t start, len;
};

static struct hit find_literal(struct slice text, struct slice word)
{
    size_t at = slice_find_nocase(text, word);
    return word.len > 0 && at < text.len ? (struct hit){.found = true, .start = at, .len = word.len}
                                         : (struct hit){0};
}

static bool is_expression(struct slice item)
{
    return item.len >= 3 && item.data[0] == '/' && item.data[item.len - 1] == '/';
}

static enum status find_expression(struct slice text, struct slice item, struct hit *hit, struct failure *f)
{
    struct pattern *pattern;
    struct pattern_hit where = {0};
    const char *why = "";
    struct pattern_space *space = pattern_space_new();
    enum status status = space == NULL
                             ? STATUS_NO_MEMORY
                             : pattern_compile(slice_of(item.data + 1, item.len - 2), true, &pattern, f);
    if (status == STATUS_OK) {
        status = pattern_match(pattern, space, text, &where, &why);
        pattern_free(pattern);
    }
    pattern_space_free(space);
    *hit = (struct hit){.found = status == STATUS_OK, .start = where.start, .len = where.len};
    if (status == STATUS_TOO_LARGE) {
        return failure_set(f, status, "%.*s: %s", SLICE_ARGS(item), why);
    }
    return status == STATUS_NOT_FOUND ? STATUS_OK : status;
}

static enum status find_item(struct slice text, struct slice item, struct hit *hit, struct failure *f)
{
    *hit = (struct hit){0};
    if (is_expression(item)) {
        return find_expression(text, item, hit, f);
    }
    *hit = find_literal(text, item);
    return STATUS_OK;
}

/* The first item of the list that the subject has. */
static enum status find_word(const struct setting_value *list, struct slice subject, struct slice *word,
                             struct failure *f)
{
    struct slice item;
    struct hit hit;
    *word = (struct slice){0};
    for (size_t i = 0; word->len == 0 && setting_text_at(list, i, &item); i++) {
        enum status status = find_item(subject, item, &hit, f);
        if (status != STATUS_OK) {
            return failure_wrap(f, status, "%s", list->setting->name);
        }
        if (hit.found) {
            *word = item;
        }
    }
    return STATUS_OK;
}

/* --- fields --- */

/* Of NAME: TEXT what follows the name. */
static struct slice wanted_text(struct slice item)
{
    size_t colon = slice_find_byte(item, ':');
    return colon < item.len ? slice_trim(slice_of(item.data + colon + 1, item.len - colon - 1))
                            : (struct slice){0};
}

/* NAME, NAME: TEXT or NAME: /EXPRESSION/. */
static enum status field_asks(struct policy_context *c, struct slice item, bool *asks, struct failure *f)
{
    const struct entity *message = c->facts->message->message;
    size_t colon = slice_find_byte(item, ':');
    struct slice name = slice_trim(slice_of(item.data, colon));
    struct slice wanted = colon < item.len ? slice_trim(slice_of(item.data + colon + 1, item.len - colon - 1))
                                           : (struct slice){0};
    *asks = false;
    for (size_t i = 0; i < message->field_count && !*asks; i++) {
        struct slice value;
        struct hit hit = {0};
        if (!slice_equal_nocase(message->fields[i].name, name)) {
            continue;
        }
        if (words_decode(message->fields[i].value, FIELD_TEXT_MAX, c->arena, &value) != STATUS_OK) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for a field of the message");
        }
        if (is_expression(wanted)) {
            enum status status = find_expression(value, wanted, &hit, f);
            if (status != STATUS_OK) {
                return status;
            }
        }
        *asks = wanted.len == 0 || hit.found || slice_equal_nocase(value, wanted);
    }
    return STATUS_OK;
}

enum status policy_expressions_check(const struct setting *setting, struct slice value, struct failure *f)
{
    struct setting_value list = {.setting = setting, .text = value};
    enum setting_id id = (enum setting_id)(setting - setting_at(0));
    bool fields = id == SETTING_TRIGGER_HEADER_ENCRYPT || id == SETTING_TRIGGER_HEADER_SIGN;
    struct slice item;
    for (size_t i = 0; setting->type == SETTING_TEXTS && setting_text_at(&list, i, &item); i++) {
        struct slice expression = fields ? wanted_text(item) : item;
        struct pattern *pattern;
        if (!is_expression(expression)) {
            continue;
        }
        enum status status =
            pattern_compile(slice_of(expression.data + 1, expression.len - 2), true, &pattern, f);
        if (status != STATUS_OK) {
            return failure_wrap(f, status, "%s", setting->name);
        }
        pattern_free(pattern);
    }
    return STATUS_OK;
}

/* --- labels: msip_labels holds MSIP_Label_ID_ATTRIBUTE=VALUE; ... as Microsoft 365 writes it --- */

static bool next_pair(struct slice *rest, struct slice *id, struct slice *attribute, struct slice *value)
{
    static const char prefix[] = "MSIP_Label_";
    while (rest->len > 0) {
        size_t end = slice_find_byte(*rest, ';');
        struct slice pair = slice_trim(slice_of(rest->data, end));
        *rest = end < rest->len ? slice_of(rest->data + end + 1, rest->len - end - 1) : (struct slice){0};
        size_t equals = slice_find_byte(pair, '=');
        if (equals == pair.len || !slice_starts_with_nocase(pair, slice_of_text(prefix))) {
            continue;
        }
        struct slice key = slice_of(pair.data + sizeof prefix - 1, equals - (sizeof prefix - 1));
        size_t underscore = slice_find_byte(key, '_');
        if (underscore == key.len) {
            continue;
        }
        *id = slice_of(key.data, underscore);
        *attribute = slice_of(key.data + underscore + 1, key.len - underscore - 1);
        *value = slice_trim(slice_of(pair.data + equals + 1, pair.len - equals - 1));
        return true;
    }
    return false;
}

static bool label_is_enabled(struct slice labels, struct slice wanted)
{
    struct slice id, attribute, value;
    while (next_pair(&labels, &id, &attribute, &value)) {
        if (slice_equal_nocase(id, wanted) && slice_equal_nocase(attribute, SLICE_LITERAL("Enabled"))) {
            return slice_equal_nocase(value, SLICE_LITERAL("true"));
        }
    }
    return false;
}

static bool has_label(struct slice labels, struct slice wanted)
{
    struct slice rest = labels, id, attribute, value;
    while (next_pair(&rest, &id, &attribute, &value)) {
        bool named =
            slice_equal_nocase(attribute, SLICE_LITERAL("Name")) && slice_equal_nocase(value, wanted);
        if ((named || slice_equal_nocase(id, wanted)) && label_is_enabled(labels, id)) {
            return true;
        }
    }
    return false;
}

static enum status label_asks(struct policy_context *c, struct slice item, bool *asks, struct failure *f)
{
    const struct entity *message = c->facts->message->message;
    *asks = false;
    for (size_t i = 0; i < message->field_count && !*asks; i++) {
        struct slice value;
        if (!slice_equal_nocase(message->fields[i].name, SLICE_LITERAL("msip_labels"))) {
            continue;
        }
        if (words_decode(message->fields[i].value, FIELD_TEXT_MAX, c->arena, &value) != STATUS_OK) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for a field of the message");
        }
        *asks = has_label(value, item);
    }
    return STATUS_OK;
}

/* --- what asks for what --- */

typedef enum status (*asks_fn)(struct policy_context *c, struct slice item, bool *asks, struct failure *f);

static enum status header_trigger(struct policy_context *c, enum setting_id id, asks_fn asks_for,
                                  const char *what, const char **because, struct failure *f)
{
    const struct setting_value *list = &c->of_sender->of[id];
    struct slice item;
    bool asks = false;
    if (c->facts->message == NULL || *because != NULL) {
        return STATUS_OK;
    }
    for (size_t i = 0; !asks && setting_text_at(list, i, &item); i++) {
        enum status status = asks_for(c, item, &asks, f);
        if (status != STATUS_OK) {
            return failure_wrap(f, status, "%s", list->setting->name);
        }
    }
    if (asks) {
        *because = arena_printf(c->arena, "%s %.*s (%s of %s)", what, SLICE_ARGS(item), list->setting->name,
                                policy_value_origin(list, c->arena));
    }
    return asks && *because == NULL ? failure_set(f, STATUS_NO_MEMORY, "no memory for the decision")
                                    : STATUS_OK;
}

static enum status subject_trigger(struct policy_context *c, enum setting_id id, const char **because,
                                   struct failure *f)
{
    const struct setting_value *list = &c->of_sender->of[id];
    struct slice word;
    enum status status = find_word(list, c->facts->subject, &word, f);
    if (status != STATUS_OK || word.len == 0) {
        return status;
    }
    *because = arena_printf(c->arena, "%.*s in the subject (%s of %s)", SLICE_ARGS(word), list->setting->name,
                            policy_value_origin(list, c->arena));
    return *because != NULL ? STATUS_OK : failure_set(f, STATUS_NO_MEMORY, "no memory for the decision");
}

/* May the envelope's sender, if that is another, ask for it as well? The null sender may not: it is nobody.
 */
static enum status check_plain(struct policy_context *c, struct failure *f)
{
    struct slice word = {0};
    if (c->facts->envelope_sender.len == 0) {
        c->triggers.plain = NULL;
    }
    if (c->triggers.plain == NULL || c->of_envelope == NULL) {
        return STATUS_OK;
    }
    enum status status =
        find_word(&c->of_envelope->of[SETTING_TRIGGER_SUBJECT_PLAIN], c->facts->subject, &word, f);
    if (word.len == 0) {
        c->triggers.plain = NULL;
    }
    return status;
}

/* --- taking the words out --- */

static void cut(struct slice *text, size_t start, size_t len)
{
    uint8_t *bytes = (uint8_t *)(uintptr_t)text->data; /* our own copy */
    while (len < text->len - start && start > 0 && bytes[start - 1] == ' ' && bytes[start + len] == ' ') {
        len++; /* one of two blanks goes with the word */
    }
    memmove(bytes + start, bytes + start + len, text->len - start - len);
    text->len -= len;
}

static enum status remove_words(const struct setting_value *list, struct slice *text, bool *changed,
                                struct failure *f)
{
    struct slice item;
    size_t removed = 0;
    for (size_t i = 0; setting_text_at(list, i, &item); i++) {
        for (; removed < REMOVALS_MAX; removed++) {
            struct hit hit;
            enum status status = find_item(*text, item, &hit, f);
            if (status != STATUS_OK) {
                return status;
            }
            if (!hit.found || hit.len == 0) {
                break;
            }
            cut(text, hit.start, hit.len);
            *changed = true;
        }
    }
    return STATUS_OK;
}

static enum status clean_subject(struct policy_context *c, struct failure *f)
{
    static const enum setting_id lists[] = {SETTING_TRIGGER_SUBJECT_ENCRYPT, SETTING_TRIGGER_SUBJECT_SIGN,
                                            SETTING_TRIGGER_SUBJECT_PLAIN};
    struct slice text;
    enum status status = STATUS_OK;
    if (!setting_bool(&c->of_sender->of[SETTING_TRIGGER_SUBJECT_REMOVE]) || c->facts->subject.len == 0) {
        return STATUS_OK;
    }
    if (!arena_copy(c->arena, c->facts->subject, &text)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the subject");
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0] && status == STATUS_OK; i++) {
        status = remove_words(&c->of_sender->of[lists[i]], &text, &c->out->subject_changes, f);
    }
    c->out->subject = slice_trim(text);
    return status;
}

enum status policy_triggers_find(struct policy_context *c, struct failure *f)
{
    struct policy_triggers *t = &c->triggers;
    enum status status;
    if ((status = subject_trigger(c, SETTING_TRIGGER_SUBJECT_ENCRYPT, &t->encrypt, f)) != STATUS_OK ||
        (status = subject_trigger(c, SETTING_TRIGGER_SUBJECT_SIGN, &t->sign, f)) != STATUS_OK ||
        (status = subject_trigger(c, SETTING_TRIGGER_SUBJECT_PLAIN, &t->plain, f)) != STATUS_OK ||
        (status = check_plain(c, f)) != STATUS_OK ||
        (status = header_trigger(c, SETTING_TRIGGER_HEADER_ENCRYPT, field_asks, "the field", &t->encrypt,
                                 f)) != STATUS_OK ||
        (status = header_trigger(c, SETTING_TRIGGER_HEADER_SIGN, field_asks, "the field", &t->sign, f)) !=
            STATUS_OK ||
        (status = header_trigger(c, SETTING_TRIGGER_LABEL_ENCRYPT, label_asks, "the label", &t->encrypt,
                                 f)) != STATUS_OK ||
        (status = header_trigger(c, SETTING_TRIGGER_LABEL_SIGN, label_asks, "the label", &t->sign, f)) !=
            STATUS_OK) {
        return status;
    }
    return t->encrypt != NULL || t->sign != NULL || t->plain != NULL ? clean_subject(c, f) : STATUS_OK;
}
