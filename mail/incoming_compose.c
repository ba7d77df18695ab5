/*
 * Writing what is delivered of an incoming message: marks, header, content.
 *
 * When all goes well: our marks come first; then the outer header, in which protected fields stand for those
 * outside where they count; then what was decrypted, or the message as it came. A signature that stays keeps
 * every byte of what it signs. Where none stays, what was only there for programs without RFC 9788 goes: the
 * legacy display, hp=, the wrapping of an old form; and a banner may come in front.
 *
 * What can go wrong: what was decrypted may be any bytes. It is made sendable, its content fields are read
 * anew after that, and nothing of its header but those and the checked protected fields gets into ours. Plain
 * text is wiped. Pure; one thread.
 */
#include "mail/flow_internal.h"

#include "base/hex.h"
#include "mail/content_type_edit.h"
#include "mail/legacy_display.h"
#include "mail/mime_text.h"
#include "mail/protected_fields.h"
#include "mail/seven_bit.h"
#include "mail/subject_tags.h"
#include "mail/words.h"
#include "mail/words_field.h"

#define SUBJECT_MAX ((size_t)8 << 10)

struct delivery {
    struct flow *fl;
    const struct received *r; /* NULL: nothing was done with it */
    const struct incoming_options *options;
    struct entity content; /* whose body and content fields are delivered */
    bool changed;          /* it is not the message as it came */
    bool bare;             /* nothing within is signed or encrypted any more */
};

/* --- the subject --- */

static enum status tags_append(const struct received *r, struct buf *text)
{
    const char *tag = NULL;
    enum status status = STATUS_OK;
    if (r == NULL) {
        return STATUS_OK;
    }
    if (r->opened) {
        status = buf_append_text(text, "[decrypted] ");
    }
    switch (r->verdict.verdict) {
    case SMIME_NONE:
        break;
    case SMIME_VALID:
        if (compose_is_safe(r->verdict.signer)) {
            return status == STATUS_OK ? buf_printf(text, "[signed by %s] ", r->verdict.signer) : status;
        }
        tag = "[signed] ";
        break;
    case SMIME_INVALID:
    case SMIME_MISMATCH:
    case SMIME_REVOKED:
        tag = "[invalid signature] ";
        break;
    case SMIME_EXPIRED:
    case SMIME_UNTRUSTED:
    case SMIME_UNKNOWN:
        tag = "[unverified signature] ";
        break;
    }
    return status == STATUS_OK && tag != NULL ? buf_append_text(text, tag) : status;
}

/* The Subject with our tags; `field` NULL: there is none. A subject that needs no change keeps its bytes. */
static enum status subject_append(struct delivery *d, const struct header_field *field, struct buf *out)
{
    struct slice decoded = SLICE_LITERAL(""), bare = SLICE_LITERAL("");
    struct buf text = BUF_INIT(SUBJECT_MAX + 1024);
    text.wipe = true;
    enum status status =
        field == NULL ? STATUS_OK : words_decode(field->value, SUBJECT_MAX, d->fl->arena, &decoded);
    if (status == STATUS_OK) {
        status = subject_tags_remove(decoded, d->fl->arena, &bare);
    }
    if (status == STATUS_OK) {
        status = tags_append(d->r, &text);
    }
    if (status == STATUS_OK && text.len == 0 && bare.len == decoded.len) {
        status = field == NULL ? STATUS_OK : buf_append_slice(out, field->whole);
    } else if (status == STATUS_OK) {
        status = buf_append_slice(&text, bare);
        if (status == STATUS_OK) {
            status = words_field_append("Subject", buf_slice(&text), out);
        }
    }
    buf_release(&text);
    return status;
}

static bool is_subject(const struct header_field *field)
{
    return slice_equal_nocase(field->name, SLICE_LITERAL("Subject"));
}

/* --- the header --- */

/* Does a protected field, or the lack of one, stand for this outer field? */
static bool is_replaced(const struct delivery *d, const struct header_field *field)
{
    unsigned flags = protected_field(field);
    if (d->r == NULL || !d->r->header_counts || flags == 0) {
        return false;
    }
    if (slice_equal_nocase(field->name, SLICE_LITERAL("From"))) {
        return d->r->from_counts && protected_header_has(&d->r->header, field->name);
    }
    return (flags & FIELD_STAYS_OUT) == 0 || protected_header_has(&d->r->header, field->name);
}

static enum status outer_append(struct delivery *d, bool *has_subject, struct buf *out)
{
    enum status status = STATUS_OK;
    const struct entity *e = &d->fl->message;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        if (field_stays_behind(field) ||
            (d->changed && (field->name.len == 0 || field_is_of_content(field))) || is_replaced(d, field)) {
            continue;
        }
        if (d->options->tags && is_subject(field)) {
            status = subject_append(d, field, out);
            *has_subject = true;
        } else {
            status = buf_append_slice(out, field->whole);
        }
    }
    if (status == STATUS_OK && out->len > 0 && out->data[out->len - 1] != '\n') {
        status = buf_append_text(out, "\r\n");
    }
    return status;
}

static enum status inner_append(struct delivery *d, bool *has_subject, struct buf *out)
{
    enum status status = STATUS_OK;
    if (d->r == NULL || !d->r->header_counts) {
        return STATUS_OK;
    }
    const struct entity *e = &d->r->header.source;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        bool is_from = slice_equal_nocase(field->name, SLICE_LITERAL("From"));
        if (protected_field(field) == 0 || !protected_header_usable(field) ||
            (is_from && !d->r->from_counts)) {
            continue;
        }
        if (d->options->tags && is_subject(field)) {
            status = subject_append(d, field, out);
            *has_subject = true;
        } else {
            status = protected_field_append(field, d->fl->arena, out);
        }
    }
    return status;
}

static enum status header_append(struct delivery *d, struct buf *out)
{
    bool has_subject = false;
    bool mark = d->options->unauthenticated != UNAUTHENTICATED_DELIVER;
    enum status status = compose_marks(d->fl, d->r, mark, out);
    if (status == STATUS_OK) {
        status = outer_append(d, &has_subject, out);
    }
    if (status == STATUS_OK) {
        status = inner_append(d, &has_subject, out);
    }
    if (status == STATUS_OK && d->options->tags && !has_subject) {
        status = subject_append(d, NULL, out);
    }
    return status;
}

/* --- the content --- */

/* The old form's display part: the first one of a multipart/mixed, marked as such. */
static enum status without_display_part(struct delivery *d, const struct entity *e, struct buf *out,
                                        struct failure *f)
{
    struct multipart parts;
    struct entity first;
    struct content_type type = entity_content_type(e);
    enum status status = STATUS_NOT_FOUND;
    if (d->r->header.scheme == SCHEME_V1 && content_type_is(&type, "multipart", "mixed")) {
        status = entity_split(e, ENTITY_PARTS_MAX, d->fl->arena, &parts, f);
    }
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && parts.part_count < 2)) {
        return buf_append_slice(out, e->bytes);
    }
    if (status == STATUS_OK) {
        status = entity_read(parts.parts[0], d->fl->arena, &first, f);
    }
    if (status != STATUS_OK) {
        return status;
    }
    struct content_type first_type = entity_content_type(&first);
    if (!content_type_is(&first_type, "text", NULL) ||
        !content_type_has_parameter(&first_type, "protected-headers")) {
        return buf_append_slice(out, e->bytes);
    }
    const uint8_t *end = e->bytes.data + e->bytes.len;
    status = buf_append(out, e->bytes.data, (size_t)(parts.parts[0].data - e->bytes.data));
    return status == STATUS_OK ? buf_append(out, parts.parts[1].data, (size_t)(end - parts.parts[1].data))
                               : status;
}

/* Takes away what was for programs without header protection; `content` is read anew from `out`. */
static enum status displays_remove(struct delivery *d, struct buf *out, struct failure *f)
{
    struct buf step = BUF_INIT(out->max);
    struct entity e;
    step.wipe = true;
    enum status status = legacy_display_remove(&d->content, d->fl->arena, &step, f);
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(&step), d->fl->arena, &e, f);
    }
    if (status == STATUS_OK) {
        status = without_display_part(d, &e, out, f);
    }
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(out), d->fl->arena, &d->content, f);
    }
    buf_release(&step);
    return status;
}

static enum status content_fields_append(const struct delivery *d, const struct entity *e, struct buf *out)
{
    static const char *const marks[] = {"hp", "hp-legacy-display", "protected-headers", NULL};
    struct content_type type = entity_content_type(e);
    bool strip =
        d->bare && d->r->header_counts && entity_field_count(e, "Content-Type") == 1 &&
        (content_type_has_parameter(&type, "hp") || content_type_has_parameter(&type, "protected-headers"));
    enum status status = STATUS_OK;
    const struct header_field *encoding = entity_field(e, "Content-Transfer-Encoding");
    /* Two of a kind are read differently by programs: what we took it for is what it is for everybody. */
    bool unclear = entity_field_count(e, "Content-Type") > 1;
    if (unclear) {
        status = buf_append_text(out, "Content-Type: application/octet-stream\r\n");
    }
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        bool is_type = slice_equal_nocase(field->name, SLICE_LITERAL("Content-Type"));
        bool is_encoding = slice_equal_nocase(field->name, SLICE_LITERAL("Content-Transfer-Encoding"));
        if (!field_is_of_content(field) || slice_equal_nocase(field->name, SLICE_LITERAL("MIME-Version")) ||
            (is_type && unclear) || (is_encoding && field != encoding)) {
            continue;
        }
        status = strip && is_type ? content_type_field_append(&type, marks, "", out)
                                  : buf_append_slice(out, field->whole);
    }
    if (status == STATUS_OK && out->data[out->len - 1] != '\n') { /* it ended within its header */
        status = buf_append_text(out, "\r\n");
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}

/* "This message was decrypted ...", and the boundary line for what follows. */
static enum status banner_append(const struct delivery *d, const char *boundary, struct buf *out)
{
    const struct verdict *v = &d->r->verdict;
    enum status status = buf_printf(
        out,
        "Content-Type: multipart/mixed; boundary=\"%s\"\r\n%s\r\n--%s\r\n"
        "Content-Type: text/plain; charset=us-ascii\r\n\r\n",
        boundary, mime_has_8bit(d->content.body) ? "Content-Transfer-Encoding: 8bit\r\n" : "", boundary);
    if (status == STATUS_OK && d->r->opened) {
        status =
            buf_append_text(out, "This message came encrypted and was decrypted by the mail gateway.\r\n");
    }
    if (status == STATUS_OK) {
        status =
            buf_printf(out, "Signature: %s%s%s%s.\r\n", smime_verdict_name(v->verdict),
                       compose_is_safe(v->signer) ? ", " : "", compose_is_safe(v->signer) ? v->signer : "",
                       strcmp(v->covers, "ciphertext") == 0 ? " (of the cipher text only)" : "");
    }
    return status == STATUS_OK ? buf_printf(out, "\r\n--%s\r\n", boundary) : status;
}

static enum status content_append(struct delivery *d, struct buf *out, bool *needs_8bit, struct failure *f)
{
    char boundary[64] = "";
    struct buf stripped = BUF_INIT(d->content.bytes.len * 4 + 65536), sendable = stripped;
    struct slice original = d->content.bytes;
    enum status status = STATUS_OK;
    stripped.wipe = sendable.wipe = true;
    if (d->bare && d->r->header_counts) {
        status = displays_remove(d, &stripped, f);
    }
    if (status == STATUS_OK && !entity_is_sendable(d->content.bytes, SENDABLE_8BIT)) {
        status = entity_make_sendable(d->content.bytes, SENDABLE_8BIT, SIGNED_PART_STAYS, d->fl->arena,
                                      &sendable, f);
        if (status == STATUS_OK) {
            status = entity_read(buf_slice(&sendable), d->fl->arena, &d->content, f);
        }
    }
    if (status == STATUS_OK) {
        status = buf_reserve(out, d->content.bytes.len + original.len / 8 + 2048);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "MIME-Version: 1.0\r\n");
    }
    if (status == STATUS_OK && d->options->banner && d->bare) {
        uint8_t random[16];
        char digits[2 * sizeof random + 1];
        d->fl->env->random(d->fl->env->random_context, random, sizeof random);
        hex_format(slice_of(random, sizeof random), digits);
        (void)!snprintf(boundary, sizeof boundary, "sealpost-%s", digits);
        status = banner_append(d, boundary, out);
    }
    if (status == STATUS_OK) {
        status = content_fields_append(d, &d->content, out);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, d->content.body);
        *needs_8bit = mime_has_8bit(d->content.body);
    }
    if (status == STATUS_OK && boundary[0] != '\0') {
        status = buf_printf(out, "\r\n--%s--\r\n", boundary);
    }
    buf_release(&stripped);
    buf_release(&sendable);
    return status;
}

/* Which entity is delivered, and whether anything of it is still signed. */
static void choose_content(struct delivery *d)
{
    const struct received *r = d->r;
    d->content = d->fl->message;
    if (r == NULL) {
        return;
    }
    const struct layers *l = &r->layers;
    size_t opened = r->failed || l->end == LAYERS_TOO_MANY ? 0 : layers_opened(l);
    bool valid = r->verdict.verdict == SMIME_VALID;
    bool remove = l->end == LAYERS_PAYLOAD && l->count > opened &&
                  (d->options->remove_signature == REMOVE_ALWAYS ||
                   (d->options->remove_signature == REMOVE_VALID && valid));
    if (opened > 0) {
        d->content = l->list[opened - 1].inner;
    }
    if (remove) {
        d->content = l->payload;
    }
    d->changed = opened > 0 || remove;
    d->bare = d->changed && l->end == LAYERS_PAYLOAD && (remove || l->count == opened);
    if (d->bare && r->header_counts && r->header.scheme == SCHEME_WRAPPED) {
        d->content = r->header.source;
    }
}

enum status incoming_compose(struct flow *fl, const struct received *r, const struct incoming_options *o,
                             struct buf *content, bool *needs_8bit, struct failure *f)
{
    struct delivery d = {.fl = fl, .r = r, .options = o};
    choose_content(&d);
    content->wipe = content->wipe || d.changed;
    enum status status = buf_reserve(content, fl->message.header.len + d.content.bytes.len + 4096);
    if (status == STATUS_OK) {
        status = header_append(&d, content);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (d.changed) {
        return content_append(&d, content, needs_8bit, f);
    }
    *needs_8bit = mime_has_8bit(fl->message.body);
    status = buf_append_text(content, "\r\n");
    return status == STATUS_OK ? buf_append_slice(content, fl->message.body) : status;
}
