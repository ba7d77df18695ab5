/* See policy_expectation.h. */
#include "mail/policy_expectation.h"

static const struct {
    const char *name;
    enum expected_outcome outcome;
    unsigned protection;
} outcomes[] = {
    {"plain", EXPECT_TREATED, PROTECT_NONE},
    {"sign", EXPECT_TREATED, PROTECT_SIGN},
    {"encrypt", EXPECT_TREATED, PROTECT_ENCRYPT},
    {"encrypt+sign", EXPECT_TREATED, PROTECT_ENCRYPT | PROTECT_SIGN},
    {"sign+encrypt", EXPECT_TREATED, PROTECT_ENCRYPT | PROTECT_SIGN},
    {"incoming", EXPECT_INCOMING, 0},
    {"quarantine", EXPECT_QUARANTINE, 0},
    {"refuse", EXPECT_REFUSED, 0},
};

static enum status read_rest(struct slice rest, struct expectation *out, struct failure *f)
{
    if (out->outcome == EXPECT_REFUSED) {
        out->text = rest;
    } else if (out->outcome == EXPECT_TREATED && (out->protection & PROTECT_ENCRYPT) != 0) {
        out->method = rest;
    } else if (rest.len > 0) {
        return failure_set(f, STATUS_INVALID,
                           "behind what is expected, only encrypt takes a method, and refuse a text");
    }
    return STATUS_OK;
}

enum status expectation_read(struct slice text, struct expectation *out, struct failure *f)
{
    struct slice trimmed = slice_trim(text);
    size_t end = slice_find_byte(trimmed, ' ');
    struct slice word = slice_of(trimmed.data, end);
    struct slice rest = slice_trim(slice_of(trimmed.data + end, trimmed.len - end));
    *out = (struct expectation){.outcome = EXPECT_REFUSED};
    for (size_t i = 0; i < sizeof outcomes / sizeof outcomes[0]; i++) {
        if (slice_equal_nocase(word, slice_of_text(outcomes[i].name))) {
            out->outcome = outcomes[i].outcome;
            out->protection = outcomes[i].protection;
            return read_rest(rest, out, f);
        }
    }
    return failure_set(f, STATUS_INVALID,
                       "expect is one of plain, sign, encrypt, encrypt+sign, incoming, quarantine, refuse");
}

static bool contains(struct slice text, struct slice part)
{
    return part.len == 0 || slice_find_nocase(text, part) < text.len;
}

static bool is_incoming(const struct policy_recipient *r)
{
    return r->direction == POLICY_INCOMING;
}

bool expectation_meets(const struct expectation *e, const struct policy_recipient *r)
{
    if (e->outcome == EXPECT_REFUSED) {
        return r->status != STATUS_OK && !r->put_aside && contains(r->reason, e->text);
    }
    if (r->put_aside) {
        return e->outcome == EXPECT_QUARANTINE;
    }
    if (r->status != STATUS_OK || r->quarantine != (e->outcome == EXPECT_QUARANTINE)) {
        return false;
    }
    if (e->outcome != EXPECT_TREATED) {
        return e->outcome == EXPECT_QUARANTINE || is_incoming(r);
    }
    bool method =
        e->method.len == 0 ||
        (r->method != NULL && slice_equal_nocase(e->method, slice_of_text(policy_method_name(r->method))));
    return !is_incoming(r) && r->protection == e->protection && method;
}

static const char *outcome_name(const struct policy_recipient *r)
{
    if (r->quarantine || is_incoming(r)) {
        return r->quarantine ? "quarantine" : "incoming";
    }
    bool sign = (r->protection & PROTECT_SIGN) != 0, encrypt = (r->protection & PROTECT_ENCRYPT) != 0;
    return sign && encrypt ? "encrypt+sign" : encrypt ? "encrypt" : sign ? "sign" : "plain";
}

enum status expectation_describe(const struct policy_recipient *r, struct buf *out)
{
    if (r->put_aside) {
        return buf_append_text(out, "quarantine");
    }
    if (r->status != STATUS_OK) {
        enum status status = buf_append_text(out, "refuse ");
        return status == STATUS_OK ? buf_append_slice(out, r->reason) : status;
    }
    enum status status = buf_append_text(out, outcome_name(r));
    if (status == STATUS_OK && r->method != NULL && !r->quarantine && !is_incoming(r) &&
        (r->protection & PROTECT_ENCRYPT) != 0) {
        status = buf_printf(out, " %s", policy_method_name(r->method));
    }
    return status;
}
