/*
 * DKIM as the last step on what leaves (docs/dkim.md): whose keys sign, and the fields in front of the final
 * bytes.
 *
 * When all goes well: a variant goes out, From is one clear address, and its domain has active keys (or the
 * nearest domain above it, where dkim.subdomains lets it); each key makes one signature. What comes in is
 * never signed: it passes through, and its own signatures with it. From is what its writer wants it to be, so
 * the envelope's sender must be of the same house, as for S/MIME (mail/policy_decide.c); of the null sender
 * only what this node made, reports and automatic replies are signed.
 *
 * What can go wrong: a key does not open or does not sign. Then the message is deferred: unsigned, partners
 * that ask for DMARC would refuse it for good. Pure; one thread.
 */
#include "mail/dkim.h"
#include "mail/flow_internal.h"

#define FIELDS_MAX ((size_t)64 << 10)

static const char field_name[] = "DKIM-Signature:";

/* --- with what --- */

/* The active keys of a domain, and what its settings say of signatures. */
struct dkim_plan {
    struct dkim_key_record keys[DKIM_ALGORITHM_END];
    size_t key_count;
    struct dkim_options options;
};

static enum status options_read(struct store_view *view, struct slice address, uint64_t now_ms,
                                struct dkim_options *out)
{
    struct setting_value form, stamp, expire;
    enum status status = setting_get(view, setting_at(SETTING_DKIM_CANONICALIZATION), address, &form);
    if (status == STATUS_OK) {
        status = setting_get(view, setting_at(SETTING_DKIM_TIMESTAMP), address, &stamp);
    }
    if (status == STATUS_OK) {
        status = setting_get(view, setting_at(SETTING_DKIM_EXPIRE), address, &expire);
    }
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t lasts_s = setting_number(&expire) / 1000, now_s = now_ms / 1000;
    size_t slash = slice_find_byte(form.text, '/');
    struct slice body = slice_of(form.text.data + slash + 1, form.text.len - slash - 1);
    out->header = slice_starts_with(form.text, SLICE_LITERAL("relaxed/")) ? DKIM_RELAXED : DKIM_SIMPLE;
    out->body = slice_equal(body, SLICE_LITERAL("relaxed")) ? DKIM_RELAXED : DKIM_SIMPLE;
    out->until_s = lasts_s > 0 ? now_s + lasts_s : 0;
    /* x= says little without t=: some take it from their own receipt (RFC 6376 section 3.5) */
    out->time_s = setting_bool(&stamp) || lasts_s > 0 ? now_s : 0;
    return STATUS_OK;
}

static enum status signers_open(const struct mail_environment *env, const struct dkim_plan *plan,
                                struct dkim_signer *signers, size_t *count, struct failure *f)
{
    enum status status = STATUS_OK;
    for (*count = 0; *count < plan->key_count && status == STATUS_OK; *count += status == STATUS_OK) {
        const struct dkim_key_record *key = &plan->keys[*count];
        struct dkim_signer *signer = &signers[*count];
        *signer = (struct dkim_signer){
            .domain = key->domain, .selector = key->selector, .algorithm = key->algorithm};
        status = known_key_open(env->known, env->keys, key->id.data, key->sealed_key, &signer->key, f);
    }
    return status;
}

/* In front of what is in `content`. */
static enum status fields_insert(struct slice fields, struct buf *content)
{
    enum status status = buf_reserve(content, fields.len);
    if (status == STATUS_OK) {
        if (content->len > 0) {
            memmove(content->data + fields.len, content->data, content->len);
        }
        memcpy(content->data, fields.data, fields.len);
        content->len += fields.len;
    }
    return status;
}

/* `content` is the final bytes; the fields go in front of them. */
static enum status plan_sign(const struct mail_environment *env, const struct dkim_plan *plan,
                             struct arena *a, struct buf *content, struct failure *f)
{
    struct dkim_signer signers[DKIM_ALGORITHM_END];
    struct buf fields = BUF_INIT(FIELDS_MAX);
    struct entity e;
    size_t count = 0;
    enum status status = signers_open(env, plan, signers, &count, f);
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(content), a, &e, f);
    }
    if (status == STATUS_OK) {
        status = dkim_sign(&e, signers, count, &plan->options, &fields, f);
    }
    if (status == STATUS_OK && (status = fields_insert(buf_slice(&fields), content)) != STATUS_OK) {
        (void)failure_set(f, status, "no memory for the DKIM signature");
    }
    for (size_t i = 0; i < count; i++) {
        EVP_PKEY_free(signers[i].key);
    }
    buf_release(&fields);
    return status;
}

/* --- whether --- */

static bool is_within_or_is(struct slice domain, struct slice parent)
{
    return slice_equal(domain, parent) ||
           (domain.len > parent.len && domain.data[domain.len - parent.len - 1] == '.' &&
            slice_equal(slice_of(domain.data + domain.len - parent.len, parent.len), parent));
}

static enum status is_internal(const struct flow *fl, struct slice address, bool *internal, bool *said)
{
    struct setting_value value;
    enum status status = setting_get(fl->env->view, setting_at(SETTING_DOMAIN_LOCALITY), address, &value);
    *internal = status == STATUS_OK && slice_equal(value.text, SLICE_LITERAL("internal"));
    *said = status == STATUS_OK && value.level == SETTING_DOMAIN;
    return status;
}

/* May this envelope's sender have mail of `domain` signed? */
static enum status sender_may(const struct flow *fl, struct slice domain, const char **why)
{
    char text[ADDRESS_MAX + 1];
    struct failure ignored = {.status = STATUS_OK};
    bool internal = false, said = false;
    *why = NULL;
    if ((fl->job->flags & JOB_NULL_SENDER_MADE_HERE) != 0) {
        return STATUS_OK;
    }
    if (fl->job->sender.len == 0) {
        *why = (fl->facts.kinds & (MESSAGE_REPORT | MESSAGE_AUTO_REPLY)) != 0
                   ? NULL
                   : "no: from the null sender, and neither a report nor an automatic reply";
        return STATUS_OK;
    }
    if (address_normalise(fl->job->sender, text, &ignored) != STATUS_OK) {
        *why = "no: the envelope's sender is no address";
        return STATUS_OK;
    }
    struct slice sent = address_domain(slice_of_text(text));
    if (is_within_or_is(sent, domain)) {
        return STATUS_OK;
    }
    enum status status = is_internal(fl, sent, &internal, &said);
    *why =
        internal ? NULL : "no: the envelope's sender is neither of the signing domain nor of an internal one";
    return status;
}

/* The domain's own keys, or those of the nearest domain above that is ours and has some. */
static enum status keys_choose(const struct flow *fl, struct slice from, struct dkim_plan *plan)
{
    struct store_view *view = fl->env->view;
    struct slice domain = address_domain(from);
    struct setting_value subdomains;
    bool internal = false, said = false, above_internal = false, above_said;
    enum status status = store_dkim_active(view, domain, plan->keys, &plan->key_count);
    if (status != STATUS_OK || plan->key_count > 0) {
        return status;
    }
    status = setting_get(view, setting_at(SETTING_DKIM_SUBDOMAINS), from, &subdomains);
    if (status == STATUS_OK) {
        status = is_internal(fl, domain, &internal, &said);
    }
    if (status != STATUS_OK || !setting_bool(&subdomains) || (said && !internal)) {
        return status; /* a domain that was said to be a partner's */
    }
    while (status == STATUS_OK && plan->key_count == 0) {
        size_t dot = slice_find_byte(domain, '.');
        if (dot == domain.len) {
            return STATUS_OK;
        }
        domain = slice_of(domain.data + dot + 1, domain.len - dot - 1);
        status = store_dkim_active(view, domain, plan->keys, &plan->key_count);
    }
    if (status == STATUS_OK) {
        status = is_internal(fl, domain, &above_internal, &above_said);
    }
    if (status == STATUS_OK && !internal && !above_internal) {
        plan->key_count = 0;
    }
    return status;
}

/* *why: NULL when the plan has keys, else the reason. */
static enum status plan_make(const struct flow *fl, struct dkim_plan *plan, const char **why)
{
    struct slice from = slice_of_text(fl->from);
    struct setting_value wanted;
    *plan = (struct dkim_plan){.key_count = 0};
    if (from.len == 0 || fl->message.malformed) {
        *why = "no: the message has no clear From, or a malformed header";
        return STATUS_OK;
    }
    enum status status = setting_get(fl->env->view, setting_at(SETTING_DKIM_SIGN), from, &wanted);
    if (status == STATUS_OK && !setting_bool(&wanted)) {
        *why = "no: dkim.sign";
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = keys_choose(fl, from, plan);
    }
    if (status != STATUS_OK || plan->key_count == 0) {
        *why = "no: the domain of From has no active key";
        return status;
    }
    status = sender_may(fl, plan->keys[0].domain, why);
    return status == STATUS_OK && *why == NULL
               ? options_read(fl->env->view, from, fl->job->now_ms, &plan->options)
               : status;
}

static void trace_signed(struct flow *fl, const struct dkim_plan *plan)
{
    json_open_array(&fl->trace, "dkim");
    for (size_t i = 0; i < plan->key_count; i++) {
        char text[DKIM_SELECTOR_MAX + DOMAIN_MAX + 64];
        int len = snprintf(text, sizeof text, "%.*s._domainkey.%.*s %s", SLICE_ARGS(plan->keys[i].selector),
                           SLICE_ARGS(plan->keys[i].domain), dkim_algorithm_name(plan->keys[i].algorithm));
        json_put_text(&fl->trace, NULL, slice_of(text, len > 0 ? strlen(text) : 0));
    }
    json_close_array(&fl->trace);
}

enum status dkim_variant(struct flow *fl, struct job_variant *v, struct buf *content, struct failure *f)
{
    struct dkim_plan plan;
    const char *why = NULL;
    enum status status = plan_make(fl, &plan, &why);
    if (status != STATUS_OK) {
        return failure_set(f, STATUS_UNAVAILABLE, "the DKIM keys of the sender's domain cannot be read");
    }
    if (why != NULL) {
        json_put_text(&fl->trace, "dkim", slice_of_text(why));
        return STATUS_OK;
    }
    if (v->unchanged) {
        status = buf_reserve(content, fl->message.bytes.len + 4096);
        status = status == STATUS_OK ? buf_append_slice(content, fl->message.bytes) : status;
        v->unchanged = false;
    }
    if (status == STATUS_OK) {
        status = plan_sign(fl->env, &plan, fl->arena, content, f);
    }
    if (status == STATUS_TOO_LARGE) { /* for good: more of such a header than anybody would read */
        json_put_text(&fl->trace, "dkim", SLICE_LITERAL("no: the header has too many fields"));
        return STATUS_OK;
    }
    if (status != STATUS_OK && !status_retryable(status)) {
        status = failure_set(f, STATUS_UNAVAILABLE, "the message could not be signed by DKIM");
    }
    if (status == STATUS_OK) {
        trace_signed(fl, &plan);
    }
    return status;
}

/* --- again, after a conversion to 7 bit --- */

/* One field from the start, with the lines that continue it. */
static size_t field_length(struct slice s)
{
    size_t at = 0;
    do {
        at += slice_find_byte(slice_of(s.data + at, s.len - at), '\n');
        at += at < s.len;
    } while (at < s.len && (s.data[at] == ' ' || s.data[at] == '\t'));
    return at;
}

struct slice dkim_own_fields(struct slice message)
{
    size_t len = 0;
    while (slice_starts_with(slice_of(message.data + len, message.len - len), slice_of_text(field_name))) {
        len += field_length(slice_of(message.data + len, message.len - len));
    }
    return slice_of(message.data, len);
}

/* The value of d= in a field of ours. */
static struct slice domain_of(struct slice field)
{
    size_t at = slice_find_nocase(field, SLICE_LITERAL("\td="));
    if (at == field.len) {
        return slice_of(NULL, 0);
    }
    struct slice rest = slice_of(field.data + at + 3, field.len - at - 3);
    return slice_of(rest.data, slice_find_byte(rest, ';'));
}

enum status dkim_renew(const struct mail_environment *env, uint64_t now_ms, struct slice own, struct arena *a,
                       struct buf *content, struct failure *f)
{
    struct dkim_plan plan = {.key_count = 0};
    struct slice domain = domain_of(own);
    if (env == NULL || domain.len > DOMAIN_MAX) {
        return failure_set(f, STATUS_UNAVAILABLE, "the DKIM keys cannot be read yet");
    }
    enum status status = store_dkim_active(env->view, domain, plan.keys, &plan.key_count);
    if (status == STATUS_OK) {
        status = options_read(env->view, domain, now_ms, &plan.options);
    }
    if (status != STATUS_OK) {
        return failure_set(f, STATUS_UNAVAILABLE, "the DKIM keys cannot be read");
    }
    return plan.key_count == 0 ? STATUS_OK : plan_sign(env, &plan, a, content, f);
}
