/*
 * Replies to what came encrypted (encrypt.replies; mail/reply_token.h says how they are known).
 *
 * When all goes well: what is decrypted is delivered with a token in References, for those who have the
 * setting; the reply brings it back in its References (or In-Reply-To), it is checked against the domains of
 * its senders, and taken out before anything else is done with the message, so that it never leaves. It is
 * taken out of all mail, whoever made it: nobody outside can have one that counts.
 *
 * What can go wrong: a mail program that keeps neither field loses the token; then the other settings hold as
 * ever, for a token only tightens. A token that cannot be checked defers the message. Pure; one thread.
 */
#include "mail/flow_internal.h"

#include "mail/reply_token.h"

static bool is_of_thread(const struct header_field *field)
{
    return slice_equal_nocase(field->name, SLICE_LITERAL("References")) ||
           slice_equal_nocase(field->name, SLICE_LITERAL("In-Reply-To"));
}

static bool has_token(const struct header_field *field)
{
    return is_of_thread(field) && reply_token_find(field->whole) < field->whole.len;
}

static enum status check(struct flow *fl, struct slice token, struct slice address, struct failure *f)
{
    bool holds = false;
    if (address.len == 0) {
        return STATUS_OK;
    }
    enum status status = reply_token_check(fl->env->keys, token, address_domain(address), &holds);
    fl->answers_encrypted = fl->answers_encrypted || holds;
    return status == STATUS_OK ? status
                               : failure_set(f, STATUS_UNAVAILABLE,
                                             "whether it answers encrypted mail cannot be found out now");
}

/* The length without the blanks and line ends behind it: no line of blanks alone may be left over. */
static size_t trimmed(const struct buf *b)
{
    size_t len = b->len;
    while (len > 0 && (b->data[len - 1] == ' ' || b->data[len - 1] == '\t' || b->data[len - 1] == '\r' ||
                       b->data[len - 1] == '\n')) {
        len--;
    }
    return len;
}

/* The field without tokens; nothing when nothing else is in it. */
static enum status field_strip(struct flow *fl, const struct header_field *field, struct slice sender,
                               struct buf *out, struct failure *f)
{
    struct slice rest = field->whole;
    struct buf kept = BUF_INIT(field->whole.len + 1);
    enum status status = STATUS_OK;
    while (status == STATUS_OK && rest.len > 0) {
        size_t at = reply_token_find(rest);
        status = buf_append(&kept, rest.data, at);
        if (at < rest.len && status == STATUS_OK) {
            kept.len = trimmed(&kept);
            struct slice token = slice_of(rest.data + at, REPLY_TOKEN_LEN);
            status = check(fl, token, slice_of_text(fl->from), f);
            status = status == STATUS_OK ? check(fl, token, sender, f) : status;
            at += REPLY_TOKEN_LEN;
        }
        rest = slice_of(rest.data + at, rest.len - at);
    }
    if (status == STATUS_OK && slice_find_byte(buf_slice(&kept), ':') + 1 < trimmed(&kept)) {
        status = buf_append_slice(out, buf_slice(&kept));
    }
    buf_release(&kept);
    return status;
}

enum status reply_read(struct flow *fl, struct failure *f)
{
    const struct entity *e = &fl->message;
    struct buf *out = &fl->without_token;
    char text[ADDRESS_MAX + 1] = "";
    struct failure ignored = {.status = STATUS_OK};
    size_t found = 0;
    for (size_t i = 0; i < e->field_count; i++) {
        found += has_token(&e->fields[i]);
    }
    if (found == 0) {
        return STATUS_OK;
    }
    bool known = fl->job->sender.len > 0 && address_normalise(fl->job->sender, text, &ignored) == STATUS_OK;
    struct slice sender = known ? slice_of_text(text) : SLICE_LITERAL("");
    *out = BUF_INIT(fl->content_max);
    enum status status = buf_reserve(out, e->bytes.len + 64);
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        status = has_token(&e->fields[i]) ? field_strip(fl, &e->fields[i], sender, out, f)
                                          : buf_append_slice(out, e->fields[i].whole);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, e->body);
    }
    if (status != STATUS_OK) {
        return f->status != STATUS_OK ? status : failure_set(f, status, "no memory for a message");
    }
    fl->header_changes = true;
    return entity_read(buf_slice(out), fl->arena, &fl->message, f);
}

/* --- delivering --- */

/* The first References with the token behind what it names; one that begins with In-Reply-To where there is
 * none, which is what a mail program would make of it (RFC 5322 section 3.6.4). */
static enum status thread_append(const struct entity *e, const char *token, struct buf *out)
{
    const struct header_field *references = entity_field(e, "References"),
                              *parent = entity_field(e, "In-Reply-To");
    enum status status = buf_append_text(out, "References:");
    if (references != NULL || parent != NULL) {
        status = buf_append_slice(out, references != NULL ? references->value : parent->value);
        status = status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
    }
    return status == STATUS_OK ? buf_printf(out, " %s\r\n", token) : status;
}

enum status reply_mark(struct flow *fl, struct slice domain, struct buf *content, struct failure *f)
{
    struct entity e = {0};
    struct buf out = BUF_INIT(fl->content_max + 4096);
    uint8_t nonce[REPLY_TOKEN_NONCE];
    char token[REPLY_TOKEN_LEN + 1];
    out.wipe = content->wipe; /* it was decrypted */
    fl->env->random(fl->env->random_context, nonce, sizeof nonce);
    enum status status = reply_token_make(fl->env->keys, nonce, domain, token);
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(content), fl->arena, &e, f);
    }
    if (status == STATUS_OK) {
        status = buf_reserve(&out, content->len + 256);
    }
    bool written = false;
    for (size_t i = 0; i < e.field_count && status == STATUS_OK; i++) {
        bool takes_its_place = !written && slice_equal_nocase(e.fields[i].name, SLICE_LITERAL("References"));
        status = takes_its_place ? thread_append(&e, token, &out) : buf_append_slice(&out, e.fields[i].whole);
        written = written || takes_its_place;
    }
    if (status == STATUS_OK && !written) {
        status = thread_append(&e, token, &out);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(&out, "\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&out, e.body);
    }
    if (status != STATUS_OK) {
        buf_release(&out);
        return failure_set(f, status, "the message could not be marked for replies");
    }
    buf_release(content);
    *content = out;
    return STATUS_OK;
}
