/*
 * A rule as text again, in one form whatever way it was written: it reads back to the same rule. Conditions
 * are shown in traces as they are printed here. Pure.
 */
#include "mail/rule_internal.h"

/* The first failure counts; then nothing more is written. */
struct printing {
    struct buf *out;
    enum status status;
};

static void put(struct printing *p, struct slice text)
{
    if (p->status == STATUS_OK) {
        p->status = buf_append_slice(p->out, text);
    }
}

static void put_text(struct printing *p, const char *text)
{
    put(p, slice_of_text(text));
}

static void put_quoted(struct printing *p, struct slice text)
{
    put_text(p, "\"");
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == '"' || text.data[i] == '\\') {
            put_text(p, "\\");
        }
        put(p, slice_of(text.data + i, 1));
    }
    put_text(p, "\"");
}

/* Bare where it reads back as one bare word. */
static void put_word(struct printing *p, struct slice text)
{
    bool bare = text.len > 0 && text.data[0] != '/';
    for (size_t i = 0; bare && i < text.len; i++) {
        bare = text.data[i] > ' ' && strchr("\"()=<>,", text.data[i]) == NULL;
    }
    if (bare) {
        put(p, text);
    } else {
        put_quoted(p, text);
    }
}

static void put_regex(struct printing *p, const struct rule_condition *c)
{
    put_text(p, "/");
    for (size_t i = 0; i < c->text.len; i++) {
        if (c->text.data[i] == '\\' && i + 1 < c->text.len) {
            put(p, slice_of(c->text.data + i++, 1));
        } else if (c->text.data[i] == '/') {
            put_text(p, "\\");
        }
        put(p, slice_of(c->text.data + i, 1));
    }
    put_text(p, c->any_case ? "/i" : "/");
}

static void put_number(struct printing *p, uint64_t number, bool bytes)
{
    static const char *const units[] = {"", "K", "M", "G"};
    char text[32];
    size_t unit = 0;
    while (bytes && number > 0 && number % 1024 == 0 && unit < 3) {
        number /= 1024;
        unit++;
    }
    if (snprintf(text, sizeof text, "%llu%s", (unsigned long long)number, units[unit]) > 0) {
        put_text(p, text);
    }
}

static void put_test(struct printing *p, const struct rule_condition *c)
{
    static const char *const signs[] = {[TEST_LESS] = " < ",
                                        [TEST_AT_MOST] = " <= ",
                                        [TEST_EQUAL] = " = ",
                                        [TEST_AT_LEAST] = " >= ",
                                        [TEST_MORE] = " > "};
    bool quoted = c->operand == OPERAND_SUBJECT || c->operand == OPERAND_HEADER;
    switch (c->test) {
    case TEST_HOLDS:
        put_text(p, c->operand == OPERAND_KIND ? " " : "");
        put(p, c->text);
        break;
    case TEST_IS:
        put_text(p, quoted ? " = " : " ");
        if (quoted) {
            put_quoted(p, c->text);
        } else {
            put_word(p, c->text);
        }
        break;
    case TEST_EMPTY:
        put_text(p, " empty");
        break;
    case TEST_DOMAIN:
    case TEST_BELOW:
        put_text(p, c->test == TEST_BELOW ? " domain *" : " domain ");
        put(p, c->text);
        break;
    case TEST_IN_GROUP:
        put_text(p, " in group ");
        put_word(p, c->text);
        break;
    case TEST_MATCHES:
        put_text(p, " matches ");
        put_regex(p, c);
        break;
    case TEST_CONTAINS:
        put_text(p, " contains ");
        put_quoted(p, c->text);
        break;
    case TEST_EXISTS:
        put_text(p, " exists");
        break;
    case TEST_LIKE:
        put_text(p, " ");
        put_word(p, c->text);
        break;
    case TEST_IN:
        put_text(p, " in ");
        put_word(p, c->text);
        break;
    default:
        put_text(p, signs[c->test]);
        put_number(p, c->number, c->operand == OPERAND_SIZE);
    }
}

static void put_condition(struct printing *p, const struct rule_condition *c)
{
    static const char *const names[] = {
        [OPERAND_SENDER] = "sender",
        [OPERAND_ENVELOPE_SENDER] = "envelope-sender",
        [OPERAND_FROM] = "from",
        [OPERAND_RECIPIENT] = "recipient",
        [OPERAND_SUBJECT] = "subject",
        [OPERAND_HEADER] = "header",
        [OPERAND_SIZE] = "size",
        [OPERAND_ATTACHMENTS] = "attachments",
        [OPERAND_ATTACHMENT_TYPE] = "attachment type",
        [OPERAND_ATTACHMENT_NAME] = "attachment name",
        [OPERAND_KIND] = "kind",
        [OPERAND_TLS] = "tls",
        [OPERAND_AUTH] = "auth",
        [OPERAND_LISTENER] = "listener",
        [OPERAND_CLIENT] = "client",
        [OPERAND_ALWAYS] = "always",
    };
    put_text(p, names[c->operand]);
    if (c->operand == OPERAND_HEADER) {
        put_text(p, " ");
        put_quoted(p, c->field);
    }
    put_test(p, c);
}

enum status rule_print_condition(const struct rule_condition *c, struct buf *out)
{
    struct printing p = {out, STATUS_OK};
    put_condition(&p, c);
    return p.status;
}

/* How strongly a node holds its operands together: brackets go where a weaker one stands in a stronger one.
 */
static int strength(enum rule_node_type type)
{
    return type == NODE_OR ? 0 : type == NODE_AND ? 1 : 2;
}

static void put_node(struct printing *p, const struct rule_expression *e, uint16_t at, int within)
{
    const struct rule_node *n = &e->nodes[at];
    bool brackets = strength(n->type) < within;
    if (n->type == NODE_CONDITION) {
        put_condition(p, &e->conditions[n->condition]);
        return;
    }
    put_text(p, brackets ? "(" : "");
    if (n->type == NODE_NOT) {
        put_text(p, "not ");
        put_node(p, e, n->first, 2);
    } else {
        for (uint16_t i = n->first;;) {
            put_node(p, e, i, strength(n->type) + 1);
            if ((i = e->nodes[i].next) == 0) {
                break;
            }
            put_text(p, n->type == NODE_AND ? " and " : " or ");
        }
    }
    put_text(p, brackets ? ")" : "");
}

enum status rule_print_when(const struct rule_expression *e, struct buf *out)
{
    struct printing p = {out, STATUS_OK};
    put_node(&p, e, e->root, 0);
    return p.status;
}

static void put_action(struct printing *p, const char *action)
{
    put_text(p, p->out->len > 0 ? ", " : "");
    put_text(p, action);
}

enum status rule_print_then(const struct rule_actions *actions, struct buf *out)
{
    struct printing p = {out, STATUS_OK};
    if (actions->encrypt != RULE_NO_DEMAND) {
        put_action(&p, actions->encrypt == RULE_REQUIRE ? "require encryption" : "forbid encryption");
    }
    if (actions->methods.len > 0) {
        put_action(&p, "methods ");
        put(&p, actions->methods);
    }
    if (actions->sign != RULE_NO_DEMAND) {
        put_action(&p, actions->sign == RULE_REQUIRE ? "sign" : "do not sign");
    }
    if (actions->route.len > 0) {
        put_action(&p, "route ");
        put_word(&p, actions->route);
    }
    if (actions->refuse.len > 0) {
        put_action(&p, "refuse ");
        put_quoted(&p, actions->refuse);
    }
    for (size_t i = 0; i < actions->tag_count; i++) {
        put_action(&p, "tag ");
        put_quoted(&p, actions->tags[i]);
    }
    if (actions->quarantine) {
        put_action(&p, "quarantine");
    }
    if (actions->stop) {
        put_action(&p, "stop");
    }
    return p.status;
}
