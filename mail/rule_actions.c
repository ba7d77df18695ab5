/*
 * The actions of a rule: a list with commas, each at most once but for tags (the grammar is in
 * docs/rules.md). What contradicts itself is an error. Pure.
 */
#include "mail/rule_internal.h"

#include "base/nearest.h"

#define TAG_MAX    900 /* bytes: with its line end below the 998 of RFC 5322 section 2.1.1 */
#define REFUSE_MAX 200 /* bytes: there must be room for the address and the name of the rule in a reply */

struct parsing {
    struct rule_words w;
    struct rule_actions *out;
};

static enum status set_demand(struct parsing *p, enum rule_demand *demand, enum rule_demand wanted,
                              const char *what)
{
    if (*demand == wanted) {
        return rule_words_wrong(&p->w, "%s is said twice", what);
    }
    if (*demand != RULE_NO_DEMAND) {
        return rule_words_wrong(&p->w, "%s is both demanded and forbidden", what);
    }
    *demand = wanted;
    return STATUS_OK;
}

static enum status parse_encryption(struct parsing *p, enum rule_demand wanted)
{
    enum status status = rule_words_next(&p->w);
    if (status == STATUS_OK && !rule_word_is(&p->w, "encryption")) {
        return rule_words_expected(&p->w, "encryption");
    }
    status = status == STATUS_OK ? set_demand(p, &p->out->encrypt, wanted, "encryption") : status;
    return status == STATUS_OK ? rule_words_next(&p->w) : status;
}

static enum status parse_require(struct parsing *p)
{
    return parse_encryption(p, RULE_REQUIRE);
}

static enum status parse_forbid(struct parsing *p)
{
    return parse_encryption(p, RULE_FORBID);
}

static enum status parse_sign(struct parsing *p)
{
    enum status status = set_demand(p, &p->out->sign, RULE_REQUIRE, "signing");
    return status == STATUS_OK ? rule_words_next(&p->w) : status;
}

static enum status parse_do_not_sign(struct parsing *p)
{
    static const char *const words[] = {"not", "sign"};
    for (size_t i = 0; i < 2; i++) {
        enum status status = rule_words_next(&p->w);
        if (status != STATUS_OK) {
            return status;
        }
        if (!rule_word_is(&p->w, words[i])) {
            return rule_words_expected(&p->w, "do not sign");
        }
    }
    enum status status = set_demand(p, &p->out->sign, RULE_FORBID, "signing");
    return status == STATUS_OK ? rule_words_next(&p->w) : status;
}

/* Lower-case names with commas and without spaces. Which there are is known to the decision alone
 * (mail/policy_methods.c): a method that it does not have is one that nobody can be reached by. */
static enum status parse_methods(struct parsing *p)
{
    if (p->out->methods.len > 0) {
        return rule_words_wrong(&p->w, "methods are said twice");
    }
    enum status status = rule_words_next_list(&p->w);
    if (status != STATUS_OK) {
        return status;
    }
    struct slice list = p->w.word.text;
    bool good = p->w.word.type == WORD_BARE;
    for (size_t i = 0, len = 0, count = 1; good && i <= list.len; i++) {
        uint8_t c = i < list.len ? list.data[i] : ',';
        if (c == ',') {
            good = len > 0 && len <= 15 && count++ <= RULE_METHODS_MAX;
            len = 0;
        } else {
            good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
            len++;
        }
    }
    if (!good) {
        return rule_words_expected(&p->w, "methods like smime,pdf (commas, no spaces)");
    }
    p->out->methods = list;
    return rule_words_next(&p->w);
}

static enum status parse_route(struct parsing *p)
{
    struct slice host;
    uint16_t port;
    if (p->out->route.len > 0) {
        return rule_words_wrong(&p->w, "a route is said twice");
    }
    enum status status = rule_words_next(&p->w);
    if (status != STATUS_OK) {
        return status;
    }
    if ((p->w.word.type != WORD_BARE && p->w.word.type != WORD_TEXT) || p->w.word.text.len > 255 ||
        !endpoint_parse(p->w.word.text, &host, &port)) {
        return rule_words_expected(&p->w, "a next hop like relay.example.org:25");
    }
    p->out->route = p->w.word.text;
    return rule_words_next(&p->w);
}

static enum status parse_refuse(struct parsing *p)
{
    if (p->out->refuse.len > 0) {
        return rule_words_wrong(&p->w, "refuse is said twice");
    }
    enum status status = rule_words_next(&p->w);
    if (status != STATUS_OK) {
        return status;
    }
    if (p->w.word.type != WORD_TEXT || p->w.word.text.len == 0) {
        return rule_words_expected(&p->w, "the text for the sender in quotes");
    }
    if (p->w.word.text.len > REFUSE_MAX || !slice_is_text(p->w.word.text)) {
        return rule_words_wrong(&p->w, "the text for the sender has one line of at most %d bytes",
                                REFUSE_MAX);
    }
    p->out->refuse = p->w.word.text;
    return rule_words_next(&p->w);
}

/* A field of our own making cannot take the place of one that programs act on: so it begins with X-. */
static bool tag_is_good(struct slice tag)
{
    size_t colon = slice_find_byte(tag, ':');
    bool good = colon > 2 && colon <= 64 && colon + 2 < tag.len && tag.len <= TAG_MAX &&
                tag.data[colon + 1] == ' ' && tag.data[colon + 2] != ' ' && tag.data[tag.len - 1] != ' ' &&
                slice_starts_with_nocase(tag, SLICE_LITERAL("X-")) &&
                !slice_starts_with_nocase(tag, SLICE_LITERAL("X-Sealpost-"));
    for (size_t i = 0; good && i < tag.len; i++) {
        good = tag.data[i] >= ' ' && tag.data[i] < 0x7f && (i >= colon || tag.data[i] != ' ');
    }
    return good;
}

static enum status parse_tag(struct parsing *p)
{
    enum status status = rule_words_next(&p->w);
    if (status != STATUS_OK) {
        return status;
    }
    if (p->w.word.type != WORD_TEXT) {
        return rule_words_expected(&p->w, "a header field in quotes, like \"X-Class: secret\"");
    }
    if (!tag_is_good(p->w.word.text)) {
        return rule_words_wrong(&p->w,
                                "a tag looks like \"X-Name: value\", in printable ASCII, at most %d bytes; "
                                "X-Sealpost- is not for rules",
                                TAG_MAX);
    }
    if (p->out->tag_count == RULE_TAGS_MAX) {
        return rule_words_wrong(&p->w, "a rule has at most %d tags", RULE_TAGS_MAX);
    }
    p->out->tags[p->out->tag_count++] = p->w.word.text;
    return rule_words_next(&p->w);
}

static enum status parse_flag(struct parsing *p, bool *flag, const char *what)
{
    if (*flag) {
        return rule_words_wrong(&p->w, "%s is said twice", what);
    }
    *flag = true;
    return rule_words_next(&p->w);
}

static enum status parse_quarantine(struct parsing *p)
{
    return parse_flag(p, &p->out->quarantine, "quarantine");
}

static enum status parse_stop(struct parsing *p)
{
    return parse_flag(p, &p->out->stop, "stop");
}

static const struct {
    const char *name;
    enum status (*parse)(struct parsing *p);
} actions[] = {
    {"require", parse_require}, {"forbid", parse_forbid},  {"methods", parse_methods},
    {"sign", parse_sign},       {"do", parse_do_not_sign}, {"route", parse_route},
    {"refuse", parse_refuse},   {"tag", parse_tag},        {"quarantine", parse_quarantine},
    {"stop", parse_stop},
};

static enum status parse_action(struct parsing *p)
{
    struct nearest nearest = {.name = p->w.word.text};
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        if (rule_word_is(&p->w, actions[i].name)) {
            return actions[i].parse(p);
        }
        nearest_offer(&nearest, actions[i].name);
    }
    if (p->w.word.type == WORD_BARE && nearest.best != NULL) {
        return rule_words_wrong(&p->w, "there is no action \"%.*s\"; did you mean %s?",
                                SLICE_ARGS(p->w.word.text), nearest.best);
    }
    return rule_words_expected(&p->w,
                               "require encryption, forbid encryption, methods, sign, do not sign, route, "
                               "refuse, tag, quarantine or stop");
}

enum status rule_parse_then(struct slice text, struct arena *a, struct rule_actions *out, struct failure *f)
{
    struct parsing p = {.out = out};
    *out = (struct rule_actions){0};
    enum status status = rule_words_begin(&p.w, text, RULE_THEN_MAX, "the list of actions", a, f);
    if (status == STATUS_OK && p.w.word.type == WORD_END) {
        return failure_set(f, STATUS_INVALID, "there is no action");
    }
    while (status == STATUS_OK) {
        status = parse_action(&p);
        if (status != STATUS_OK || p.w.word.type == WORD_END) {
            return status;
        }
        if (!rule_word_is(&p.w, ",")) {
            return rule_words_expected(&p.w, "a comma or the end");
        }
        status = rule_words_next(&p.w);
    }
    return status;
}
