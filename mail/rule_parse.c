/*
 * The expression of a rule, by recursive descent (the grammar is in docs/rules.md):
 *
 *   any       = all { "or" all }
 *   all       = one { "and" one }
 *   one       = "not" one | "(" any ")" | condition
 *
 * Depth, length and number of nodes are bounded before memory is taken. An error names the position and what
 * was expected. Pure.
 */
#include "mail/rule_internal.h"

#include "base/nearest.h"
#include "store/setting.h"

struct parsing {
    struct rule_words w;
    struct rule_expression *out;
    bool compile;
    size_t depth;
};

static enum status no_memory(struct parsing *p)
{
    return failure_set(p->w.f, STATUS_NO_MEMORY, "no memory for a rule");
}

/* --- what conditions have in common --- */

static enum status take_text(struct parsing *p, const char *what, struct slice *out)
{
    if (p->w.word.type != WORD_TEXT) {
        return rule_words_expected(&p->w, what);
    }
    if (p->w.word.text.len == 0) {
        return rule_words_wrong(&p->w, "an empty text is in every text");
    }
    *out = p->w.word.text;
    return rule_words_next(&p->w);
}

static enum status take_bare(struct parsing *p, const char *what, struct slice *out)
{
    if (p->w.word.type != WORD_BARE && p->w.word.type != WORD_TEXT) {
        return rule_words_expected(&p->w, what);
    }
    *out = p->w.word.text;
    return rule_words_next(&p->w);
}

static enum status take_regex(struct parsing *p, struct rule_condition *c)
{
    struct failure why = {.status = STATUS_OK};
    if (p->w.word.type != WORD_REGEX) {
        return rule_words_expected(&p->w, "a regular expression between slashes");
    }
    c->test = TEST_MATCHES;
    c->text = p->w.word.text;
    c->any_case = p->w.word.any_case;
    if (p->compile && pattern_compile(c->text, c->any_case, &c->regex, &why) != STATUS_OK) {
        return why.status == STATUS_INVALID ? rule_words_wrong(&p->w, "%s", why.text) : no_memory(p);
    }
    return rule_words_next(&p->w);
}

/* A name of a group or listener: what is_name() in store/ takes. */
static enum status take_name(struct parsing *p, const char *what, struct slice *out)
{
    struct rule_words before = p->w;
    enum status status = take_bare(p, what, out);
    for (size_t i = 0; status == STATUS_OK && i < out->len; i++) {
        if (out->data[i] <= ' ' || out->data[i] >= 0x7f || out->len > RULE_NAME_MAX) {
            return rule_words_wrong(&before, "this is no name");
        }
    }
    return status == STATUS_OK && out->len == 0 ? rule_words_wrong(&before, "the name is empty") : status;
}

static enum status keep(struct parsing *p, const char *text, struct slice *out)
{
    return arena_copy(p->w.arena, slice_of_text(text), out) ? STATUS_OK : no_memory(p);
}

/* Decimal digits, with K, M or G behind them if `bytes`. */
static enum status take_number(struct parsing *p, bool bytes, uint64_t *out)
{
    struct slice digits = p->w.word.text;
    unsigned shift = 0;
    if (p->w.word.type == WORD_BARE && bytes && digits.len > 1) {
        uint8_t unit = digits.data[digits.len - 1] & 0xdf;
        shift = unit == 'K' ? 10 : unit == 'M' ? 20 : unit == 'G' ? 30 : 0;
        digits.len -= shift > 0;
    }
    if (p->w.word.type != WORD_BARE || !slice_parse_u64(digits, out) || *out > UINT32_MAX) {
        return rule_words_expected(&p->w, bytes ? "a size like 500K or 10M" : "a number");
    }
    *out <<= shift;
    return rule_words_next(&p->w);
}

static enum status take_comparison(struct parsing *p, bool bytes, struct rule_condition *c)
{
    static const struct {
        const char *sign;
        enum rule_test test;
    } signs[] = {
        {"<", TEST_LESS}, {"<=", TEST_AT_MOST}, {"=", TEST_EQUAL}, {">=", TEST_AT_LEAST}, {">", TEST_MORE}};
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        if (rule_word_is(&p->w, signs[i].sign)) {
            c->test = signs[i].test;
            enum status status = rule_words_next(&p->w);
            return status == STATUS_OK ? take_number(p, bytes, &c->number) : status;
        }
    }
    return rule_words_expected(&p->w, "one of < <= = >= >");
}

/* --- the conditions --- */

static enum status parse_group(struct parsing *p, struct rule_condition *c)
{
    enum status status = rule_words_next(&p->w);
    if (status == STATUS_OK && !rule_word_is(&p->w, "group")) {
        return rule_words_expected(&p->w, "group");
    }
    c->test = TEST_IN_GROUP;
    status = status == STATUS_OK ? rule_words_next(&p->w) : status;
    return status == STATUS_OK ? take_name(p, "the name of a group", &c->text) : status;
}

static enum status parse_domain(struct parsing *p, struct rule_condition *c)
{
    char normal[DOMAIN_MAX + 1];
    struct failure why;
    struct slice domain = {0};
    enum status status = rule_words_next(&p->w);
    struct rule_words before = p->w;
    status = status == STATUS_OK ? take_bare(p, "a domain", &domain) : status;
    if (status != STATUS_OK) {
        return status;
    }
    if (domain_normalise(domain, normal, &why) != STATUS_OK) {
        return rule_words_wrong(&before, "%s", why.text);
    }
    bool below = normal[0] == '*';
    c->test = below ? TEST_BELOW : TEST_DOMAIN;
    return keep(p, normal + below, &c->text);
}

static enum status parse_address(struct parsing *p, struct rule_condition *c)
{
    char normal[ADDRESS_MAX + 1];
    struct failure why;
    struct rule_words before = p->w;
    struct slice address = {0};
    enum status status = take_bare(p, "an address, or one of: domain, in group, matches", &address);
    if (status != STATUS_OK) {
        return status;
    }
    if (address_normalise(address, normal, &why) != STATUS_OK) {
        return rule_words_expected(&before, "an address, or one of: domain, in group, matches");
    }
    c->test = TEST_IS;
    return keep(p, normal, &c->text);
}

static enum status parse_who(struct parsing *p, struct rule_condition *c)
{
    if (rule_word_is(&p->w, "in")) {
        return parse_group(p, c);
    }
    if (rule_word_is(&p->w, "domain")) {
        return parse_domain(p, c);
    }
    if (rule_word_is(&p->w, "empty") && c->operand != OPERAND_RECIPIENT) {
        c->test = TEST_EMPTY;
        return rule_words_next(&p->w);
    }
    bool regex = rule_word_is(&p->w, "matches");
    if (regex || rule_word_is(&p->w, "=")) {
        enum status status = rule_words_next(&p->w);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return regex ? take_regex(p, c) : parse_address(p, c);
}

/* `others`: also "exists". */
static enum status parse_text(struct parsing *p, struct rule_condition *c, bool others)
{
    static const char expected[] = "contains, matches or =";
    static const char expected_header[] = "exists, contains, matches or =";
    bool regex = rule_word_is(&p->w, "matches");
    if (others && rule_word_is(&p->w, "exists")) {
        c->test = TEST_EXISTS;
        return rule_words_next(&p->w);
    }
    c->test = rule_word_is(&p->w, "contains") ? TEST_CONTAINS : TEST_IS;
    if (!regex && c->test == TEST_IS && !rule_word_is(&p->w, "=")) {
        return rule_words_expected(&p->w, others ? expected_header : expected);
    }
    enum status status = rule_words_next(&p->w);
    if (status != STATUS_OK) {
        return status;
    }
    return regex ? take_regex(p, c) : take_text(p, "a text in quotes", &c->text);
}

static enum status parse_header(struct parsing *p, struct rule_condition *c)
{
    struct rule_words before = p->w;
    enum status status = take_text(p, "the name of a header field in quotes", &c->field);
    for (size_t i = 0; status == STATUS_OK && i < c->field.len; i++) {
        /* RFC 5322 section 3.6.8: ftext */
        if (c->field.data[i] <= ' ' || c->field.data[i] >= 0x7f || c->field.data[i] == ':') {
            return rule_words_wrong(&before,
                                    "the name of a header field has printable ASCII without a colon");
        }
    }
    return status == STATUS_OK ? parse_text(p, c, true) : status;
}

static enum status parse_attachment(struct parsing *p, struct rule_condition *c)
{
    bool type = rule_word_is(&p->w, "type");
    if (!type && !rule_word_is(&p->w, "name")) {
        return rule_words_expected(&p->w, "type or name");
    }
    c->operand = type ? OPERAND_ATTACHMENT_TYPE : OPERAND_ATTACHMENT_NAME;
    enum status status = rule_words_next(&p->w);
    if (status == STATUS_OK && rule_word_is(&p->w, "matches")) {
        status = rule_words_next(&p->w);
        return status == STATUS_OK ? take_regex(p, c) : status;
    }
    c->test = TEST_LIKE;
    struct rule_words before = p->w;
    status =
        status == STATUS_OK
            ? take_bare(p, type ? "a type like application/pdf or image/*" : "a name like *.docx", &c->text)
            : status;
    if (status == STATUS_OK && type && slice_find_byte(c->text, '/') == c->text.len &&
        !slice_equal(c->text, SLICE_LITERAL("*"))) {
        return rule_words_expected(&before, "a type like application/pdf or image/*");
    }
    return status == STATUS_OK && c->text.len == 0 ? rule_words_wrong(&before, "the pattern is empty")
                                                   : status;
}

static const struct {
    const char *name;
    enum message_kind kind;
} kinds[] = {
    {"encrypted", MESSAGE_ENCRYPTED}, {"signed", MESSAGE_SIGNED},         {"calendar", MESSAGE_CALENDAR},
    {"report", MESSAGE_REPORT},       {"auto-reply", MESSAGE_AUTO_REPLY}, {"empty", MESSAGE_EMPTY},
    {"tnef", MESSAGE_TNEF},           {"partial", MESSAGE_PARTIAL},       {"malformed", MESSAGE_MALFORMED},
};

static enum status parse_kind(struct parsing *p, struct rule_condition *c)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (rule_word_is(&p->w, kinds[i].name)) {
            c->number = kinds[i].kind;
            c->text = slice_of_text(kinds[i].name);
            return rule_words_next(&p->w);
        }
    }
    return rule_words_expected(&p->w, "one of encrypted, signed, calendar, report, auto-reply, empty, tnef, "
                                      "partial, malformed");
}

static enum status parse_client(struct parsing *p, struct rule_condition *c)
{
    static const struct setting networks = {.name = "client", .type = SETTING_NETWORKS};
    struct buf canonical = BUF_INIT(SETTING_VALUE_MAX);
    struct failure why;
    struct slice text = {0};
    if (!rule_word_is(&p->w, "in")) {
        return rule_words_expected(&p->w, "in");
    }
    enum status status = rule_words_next(&p->w);
    struct rule_words before = p->w;
    status = status == STATUS_OK ? take_bare(p, "a network like 10.0.0.0/8", &text) : status;
    c->test = TEST_IN;
    if (status == STATUS_OK &&
        (text.len == 0 || setting_canonical(&networks, text, &canonical, &why) != STATUS_OK)) {
        status = rule_words_expected(&before, "a network like 10.0.0.0/8 or 2001:db8::/32");
    } else if (status == STATUS_OK && !arena_copy(p->w.arena, buf_slice(&canonical), &c->text)) {
        status = no_memory(p);
    }
    buf_release(&canonical);
    return status;
}

static enum status parse_listener(struct parsing *p, struct rule_condition *c)
{
    c->test = TEST_IS;
    return take_name(p, "the name of a listener", &c->text);
}

static enum status parse_subject(struct parsing *p, struct rule_condition *c)
{
    return parse_text(p, c, false);
}

static enum status parse_size(struct parsing *p, struct rule_condition *c)
{
    return take_comparison(p, true, c);
}

static enum status parse_count(struct parsing *p, struct rule_condition *c)
{
    return take_comparison(p, false, c);
}

static enum status parse_nothing(struct parsing *p, struct rule_condition *c)
{
    (void)p;
    c->test = TEST_HOLDS;
    return STATUS_OK;
}

static const struct {
    const char *name;
    enum rule_operand operand;
    enum status (*parse)(struct parsing *p, struct rule_condition *c);
} operands[] = {
    {"sender", OPERAND_SENDER, parse_who},
    {"envelope-sender", OPERAND_ENVELOPE_SENDER, parse_who},
    {"from", OPERAND_FROM, parse_who},
    {"recipient", OPERAND_RECIPIENT, parse_who},
    {"subject", OPERAND_SUBJECT, parse_subject},
    {"header", OPERAND_HEADER, parse_header},
    {"size", OPERAND_SIZE, parse_size},
    {"attachments", OPERAND_ATTACHMENTS, parse_count},
    {"attachment", OPERAND_ATTACHMENT_TYPE, parse_attachment},
    {"kind", OPERAND_KIND, parse_kind},
    {"tls", OPERAND_TLS, parse_nothing},
    {"auth", OPERAND_AUTH, parse_nothing},
    {"listener", OPERAND_LISTENER, parse_listener},
    {"client", OPERAND_CLIENT, parse_client},
    {"always", OPERAND_ALWAYS, parse_nothing},
};

static enum status no_such_condition(struct parsing *p)
{
    struct nearest nearest = {.name = p->w.word.text};
    for (size_t i = 0; p->w.word.type == WORD_BARE && i < sizeof operands / sizeof operands[0]; i++) {
        nearest_offer(&nearest, operands[i].name);
    }
    if (nearest.best != NULL) {
        return rule_words_wrong(&p->w, "there is no condition \"%.*s\"; did you mean %s?",
                                SLICE_ARGS(p->w.word.text), nearest.best);
    }
    return rule_words_expected(&p->w, "a condition (sender, recipient, subject, header, size, ...)");
}

/* --- the tree --- */

static enum status node_add(struct parsing *p, enum rule_node_type type, uint16_t *at)
{
    if (p->out->node_count == RULE_NODES_MAX) {
        return rule_words_wrong(&p->w, "the rule is too long: it has more than %d conditions and operators",
                                RULE_NODES_MAX);
    }
    *at = (uint16_t)p->out->node_count++;
    p->out->nodes[*at] = (struct rule_node){.type = type};
    return STATUS_OK;
}

static enum status parse_condition(struct parsing *p, uint16_t *at)
{
    enum status status = node_add(p, NODE_CONDITION, at);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < sizeof operands / sizeof operands[0]; i++) {
        if (rule_word_is(&p->w, operands[i].name)) {
            p->out->nodes[*at].condition = (uint16_t)p->out->condition_count;
            struct rule_condition *c = &p->out->conditions[p->out->condition_count++];
            c->operand = operands[i].operand;
            p->out->asks_recipient = p->out->asks_recipient || c->operand == OPERAND_RECIPIENT;
            status = rule_words_next(&p->w);
            return status == STATUS_OK ? operands[i].parse(p, c) : status;
        }
    }
    return no_such_condition(p);
}

static enum status parse_any(struct parsing *p, uint16_t *at);

static enum status parse_one(struct parsing *p, uint16_t *at)
{
    bool bracket = rule_word_is(&p->w, "(");
    if (!bracket && !rule_word_is(&p->w, "not")) {
        return parse_condition(p, at);
    }
    if (p->depth == RULE_DEPTH_MAX) {
        return rule_words_wrong(&p->w,
                                "the rule is too deep: more than %d brackets and \"not\" within each other",
                                RULE_DEPTH_MAX);
    }
    p->depth++;
    enum status status = STATUS_OK;
    if (!bracket) {
        status = node_add(p, NODE_NOT, at);
    }
    status = status == STATUS_OK ? rule_words_next(&p->w) : status;
    if (status == STATUS_OK && bracket) {
        status = parse_any(p, at);
        if (status == STATUS_OK) {
            status = rule_word_is(&p->w, ")") ? rule_words_next(&p->w)
                                              : rule_words_expected(&p->w, "and, or, or )");
        }
    } else if (status == STATUS_OK) {
        uint16_t operand = 0;
        status = parse_one(p, &operand);
        p->out->nodes[*at].first = operand;
    }
    p->depth--;
    return status;
}

/* Operands with `word` between them. One alone needs no node of its own. */
static enum status parse_list(struct parsing *p, const char *word, enum rule_node_type type,
                              enum status (*parse)(struct parsing *p, uint16_t *at), uint16_t *at)
{
    uint16_t last = 0, next = 0, list = 0;
    enum status status = parse(p, &last);
    *at = last;
    if (status != STATUS_OK || !rule_word_is(&p->w, word)) {
        return status;
    }
    if ((status = node_add(p, type, &list)) != STATUS_OK) {
        return status;
    }
    p->out->nodes[list].first = last;
    *at = list;
    while (status == STATUS_OK && rule_word_is(&p->w, word)) {
        if ((status = rule_words_next(&p->w)) != STATUS_OK || (status = parse(p, &next)) != STATUS_OK) {
            return status;
        }
        p->out->nodes[last].next = next;
        last = next;
    }
    return status;
}

static enum status parse_all(struct parsing *p, uint16_t *at)
{
    return parse_list(p, "and", NODE_AND, parse_one, at);
}

static enum status parse_any(struct parsing *p, uint16_t *at)
{
    return parse_list(p, "or", NODE_OR, parse_all, at);
}

enum status rule_parse_when(struct slice text, bool compile, struct arena *a, struct rule_expression *out,
                            struct failure *f)
{
    struct parsing p = {.out = out, .compile = compile};
    struct rule_node nodes[RULE_NODES_MAX + 1];
    struct rule_condition conditions[RULE_NODES_MAX];
    memset(conditions, 0, sizeof conditions);
    *out = (struct rule_expression){.nodes = nodes, .conditions = conditions};
    enum status status = rule_words_begin(&p.w, text, RULE_WHEN_MAX, "the expression", a, f);
    if (status == STATUS_OK && p.w.word.type == WORD_END) {
        status = failure_set(f, STATUS_INVALID, "the expression is empty; \"always\" matches everything");
    }
    uint16_t root = 0;
    status = status == STATUS_OK ? parse_any(&p, &root) : status;
    if (status == STATUS_OK && p.w.word.type != WORD_END) {
        status = rule_words_expected(&p.w, "and, or, or the end");
    }
    out->root = root;
    out->nodes = arena_alloc_array(a, out->node_count + 1, sizeof nodes[0]);
    out->conditions = arena_alloc_array(a, out->condition_count + 1, sizeof conditions[0]);
    if (out->nodes == NULL || out->conditions == NULL) {
        for (size_t i = 0; i < out->condition_count; i++) {
            pattern_free(conditions[i].regex);
        }
        *out = (struct rule_expression){0};
        return no_memory(&p);
    }
    memcpy(out->nodes, nodes, out->node_count * sizeof nodes[0]);
    memcpy(out->conditions, conditions, out->condition_count * sizeof conditions[0]);
    return status;
}

void rule_expression_release(struct rule_expression *e)
{
    for (size_t i = 0; i < e->condition_count; i++) {
        pattern_free(e->conditions[i].regex);
        e->conditions[i].regex = NULL;
    }
}
