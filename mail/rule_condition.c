/*
 * One condition against one message and recipient. It gives true or false, UNKNOWN where there is no message
 * to ask, or ERROR with a reason. What the text of a message can make it cost is bounded: fields of one name
 * are counted, regular expressions have limits, everything else is linear in the text or nearly so. Nothing
 * is allocated but one buffer a run, for header fields that are folded.
 */
#include "mail/rule_internal.h"

#include "mail/words.h"
#include "store/setting.h"

static enum rule_truth truth(bool holds)
{
    return holds ? RULE_TRUE : RULE_FALSE;
}

static enum rule_truth error(struct rule_run *run, const char *why)
{
    run->why = slice_of_text(why);
    return RULE_ERROR;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* `pattern` has "*" for any bytes. When a piece behind a star does not fit, only that star needs to take one
 * byte more: the ones before it have what they need. */
static bool is_like(struct slice text, struct slice pattern)
{
    size_t t = 0, p = 0, star = SIZE_MAX, resume = 0;
    while (t < text.len) {
        if (p < pattern.len && pattern.data[p] == '*') {
            star = p++;
            resume = t;
        } else if (p < pattern.len && lower(pattern.data[p]) == lower(text.data[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.data[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

static enum rule_truth matches(struct rule_run *run, const struct rule_condition *c, struct slice text)
{
    const char *why = "";
    if (run->regex_failures >= RULE_REGEX_FAILURES_MAX) {
        return error(run, "too many regular expressions took too long on this message");
    }
    enum status status = pattern_match(c->regex, run->set->space, text, NULL, &why);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        run->regex_failures++;
        return error(run, why);
    }
    return truth(status == STATUS_OK);
}

static enum rule_truth text_test(struct rule_run *run, const struct rule_condition *c, struct slice text)
{
    switch (c->test) {
    case TEST_IS:
        return truth(slice_equal_nocase(text, c->text));
    case TEST_CONTAINS:
        return truth(c->text.len == 0 || slice_find_nocase(text, c->text) < text.len);
    case TEST_LIKE:
        return truth(is_like(text, c->text));
    case TEST_MATCHES:
        return matches(run, c, text);
    case TEST_EXISTS:
        return RULE_TRUE;
    default:
        return error(run, "the condition is not known to this release");
    }
}

static enum rule_truth number_test(struct rule_run *run, const struct rule_condition *c, uint64_t number)
{
    switch (c->test) {
    case TEST_LESS:
        return truth(number < c->number);
    case TEST_AT_MOST:
        return truth(number <= c->number);
    case TEST_EQUAL:
        return truth(number == c->number);
    case TEST_AT_LEAST:
        return truth(number >= c->number);
    case TEST_MORE:
        return truth(number > c->number);
    default:
        return error(run, "the condition is not known to this release");
    }
}

/* --- who --- */

struct membership {
    struct ruleset *set;
    struct rule_groups *groups;
};

static bool note_group(void *context, struct slice group)
{
    struct membership *m = context;
    for (size_t i = 0; i < m->set->group_count; i++) {
        if (slice_equal(m->set->groups[i], group)) {
            m->groups->bits[i / 64] |= (uint64_t)1 << (i % 64);
        }
    }
    return true;
}

/* The groups of an address are read once: what else asks of it is one bit. */
static enum rule_truth in_group(struct rule_run *run, const struct rule_condition *c, struct slice address)
{
    struct rule_groups *groups = &run->groups[c->operand];
    if (!groups->known) {
        struct membership m = {run->set, groups};
        memset(groups->bits, 0, sizeof groups->bits);
        enum status status = store_groups_of(run->view, address, note_group, &m);
        if (status != STATUS_OK) {
            (void)failure_set(&run->store, status, "the groups could not be read");
            return error(run, "the groups could not be read");
        }
        groups->known = true;
    }
    return truth((groups->bits[c->number / 64] >> (c->number % 64) & 1) != 0);
}

static enum rule_truth who_test(struct rule_run *run, const struct rule_condition *c)
{
    struct slice address = run->addresses[c->operand], domain = run->domains[c->operand];
    switch (c->test) {
    case TEST_IS:
        return truth(slice_equal(address, c->text));
    case TEST_EMPTY:
        return truth(address.len == 0);
    case TEST_DOMAIN:
        return truth(slice_equal(domain, c->text));
    case TEST_BELOW:
        return truth(domain.len > c->text.len &&
                     memcmp(domain.data + domain.len - c->text.len, c->text.data, c->text.len) == 0);
    case TEST_IN_GROUP:
        return address.len > 0 ? in_group(run, c, address) : RULE_FALSE;
    case TEST_MATCHES:
        return matches(run, c, address);
    default:
        return error(run, "the condition is not known to this release");
    }
}

/* --- the header --- */

/* In one line (RFC 5322 section 2.2.3): line ends go, the white space behind them stays. */
static bool unfold(struct rule_run *run, struct slice value, struct slice *out)
{
    *out = slice_trim(value);
    if (slice_find_byte(value, '\r') == value.len && slice_find_byte(value, '\n') == value.len) {
        return true;
    }
    if (run->unfolded == NULL) {
        run->unfolded = arena_alloc(run->arena, ENTITY_FIELD_MAX);
    }
    if (run->unfolded == NULL || value.len > ENTITY_FIELD_MAX) {
        return false;
    }
    size_t len = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] != '\r' && value.data[i] != '\n') {
            run->unfolded[len++] = value.data[i];
        }
    }
    *out = slice_trim(slice_of(run->unfolded, len));
    return true;
}

/* As it is written, and, where it has encoded words (RFC 2047), also as it is read: "secret" must not get by
 * in base64. */
static enum rule_truth value_test(struct rule_run *run, const struct rule_condition *c, struct slice value)
{
    struct slice decoded;
    enum rule_truth got = text_test(run, c, value);
    if (got != RULE_FALSE || value.len == 0 || memmem(value.data, value.len, "=?", 2) == NULL) {
        return got;
    }
    if (words_decode(value, WORDS_RAW_MAX, run->arena, &decoded) != STATUS_OK) {
        (void)failure_set(&run->store, STATUS_NO_MEMORY, "no memory for a header field");
        return error(run, "there was no memory");
    }
    return text_test(run, c, decoded);
}

/* Where to begin to look for the condition's field: many rules ask for the same one. */
static size_t first_field(struct rule_run *run, const struct rule_condition *c, const struct entity *message)
{
    if (c->number >= RULE_NAMES_MAX) {
        return 0;
    }
    uint32_t *place = &run->field_places[c->number];
    if (*place == 0) {
        size_t i = 0;
        while (i < message->field_count && !slice_equal_nocase(message->fields[i].name, c->field)) {
            i++;
        }
        *place = (uint32_t)i + 1;
    }
    return *place - 1;
}

static enum rule_truth header_test(struct rule_run *run, const struct rule_condition *c,
                                   const struct entity *message)
{
    size_t seen = 0;
    struct slice value;
    for (size_t i = first_field(run, c, message); i < message->field_count; i++) {
        const struct header_field *field = &message->fields[i];
        if (!slice_equal_nocase(field->name, c->field)) {
            continue;
        }
        if (++seen > RULE_FIELDS_MAX) {
            return error(run, "the message has too many header fields of one name");
        }
        if (!unfold(run, field->value, &value)) {
            (void)failure_set(&run->store, STATUS_NO_MEMORY, "no memory for a header field");
            return error(run, "there was no memory");
        }
        enum rule_truth got = value_test(run, c, value);
        if (got != RULE_FALSE) {
            return got;
        }
    }
    return RULE_FALSE;
}

/* --- parts --- */

static enum rule_truth attachment_test(struct rule_run *run, const struct rule_condition *c,
                                       const struct message_facts *message)
{
    for (size_t i = 0; i < message->attachment_count; i++) {
        const struct attachment *one = &message->attachments[i];
        enum rule_truth got =
            text_test(run, c, c->operand == OPERAND_ATTACHMENT_TYPE ? one->type : one->name);
        if (got != RULE_FALSE) {
            return got;
        }
    }
    return message->attachment_count >= FACTS_ATTACHMENTS_MAX
               ? error(run, "the message has more attachments than are looked at")
               : RULE_FALSE;
}

static enum rule_truth message_test(struct rule_run *run, const struct rule_condition *c)
{
    const struct message_facts *message = run->subject->message;
    if (message == NULL) {
        return RULE_UNKNOWN;
    }
    switch (c->operand) {
    case OPERAND_HEADER:
        return header_test(run, c, message->message);
    case OPERAND_SIZE:
        return number_test(run, c, message->size);
    case OPERAND_ATTACHMENTS:
        return number_test(run, c, message->attachment_count);
    case OPERAND_KIND:
        return truth((message->kinds & c->number) != 0);
    default:
        return attachment_test(run, c, message);
    }
}

static bool client_is_in(const struct rule_run *run, const struct rule_condition *c)
{
    struct setting_value networks = {.text = c->text};
    return setting_networks_hold(&networks, run->subject->client_ip);
}

enum rule_truth rule_condition_ask(struct rule_run *run, const struct rule_condition *c)
{
    switch (c->operand) {
    case OPERAND_SENDER:
    case OPERAND_ENVELOPE_SENDER:
    case OPERAND_FROM:
        return who_test(run, c);
    case OPERAND_RECIPIENT:
        return run->has_recipient ? who_test(run, c) : RULE_UNKNOWN;
    case OPERAND_SUBJECT:
        return text_test(run, c, run->subject->subject);
    case OPERAND_TLS:
        return truth(run->subject->tls);
    case OPERAND_AUTH:
        return truth(run->subject->auth);
    case OPERAND_LISTENER:
        return truth(slice_equal(run->subject->listener, c->text));
    case OPERAND_CLIENT:
        return truth(client_is_in(run, c));
    case OPERAND_ALWAYS:
        return RULE_TRUE;
    default:
        return message_test(run, c);
    }
}
