/*
 * Re-encoding of the parts that a path cannot carry: 8-bit text before it is signed or goes to a host without
 * 8BITMIME, and binary or over-long lines in what was decrypted.
 *
 * Walks the entity by byte range and copies what fits as it is. A leaf that does not fit becomes
 * quoted-printable (text) or base64, and its Content-Transfer-Encoding says so. multipart/signed and
 * multipart/encrypted are never looked into: changing one byte breaks the signature, so they stay, or the
 * whole is refused, as the caller wants. Depth and number of parts are limited. Pure; any thread.
 */
#include "mail/seven_bit.h"

#include "mail/entity.h"
#include "mail/json_write.h"
#include "mail/mime_text.h"

struct conversion {
    enum sendable_target target;
    enum sendable_signed what_is_signed;
    struct arena *arena;
    struct buf *out;
    struct failure *failure;
    size_t parts; /* seen so far */
};

bool entity_is_sendable(struct slice entity, enum sendable_target target)
{
    return target == SENDABLE_7BIT ? mime_is_plain_7bit(entity) : mime_is_plain_8bit(entity);
}

const char *charset_guess(struct slice text)
{
    if (!mime_has_8bit(text)) {
        return "us-ascii";
    }
    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_sequence(slice_of(text.data + i, text.len - i));
        if (len == 0) {
            return "unknown-8bit";
        }
        i += len;
    }
    return "utf-8";
}

/* Every line end as CRLF. */
static enum status canonical_append(struct slice text, struct buf *out)
{
    if (!mime_has_bare_line_end(text)) {
        return buf_append_slice(out, text);
    }
    enum status status = buf_reserve(out, text.len + text.len / 32);
    for (size_t i = 0; i < text.len && status == STATUS_OK; i++) {
        uint8_t c = text.data[i];
        if (c == '\r') {
            status = buf_append_text(out, "\r\n");
            i += i + 1 < text.len && text.data[i + 1] == '\n';
        } else {
            status = c == '\n' ? buf_append_text(out, "\r\n") : buf_append_byte(out, c);
        }
    }
    return status;
}

/* Text around the parts, which nobody shows: bytes that do not fit become "?". */
static enum status gap_append(struct conversion *c, struct slice gap)
{
    if (entity_is_sendable(gap, c->target)) {
        return buf_append_slice(c->out, gap);
    }
    size_t start = c->out->len;
    enum status status = canonical_append(gap, c->out);
    for (size_t i = start; i < c->out->len && status == STATUS_OK; i++) {
        uint8_t *byte = &c->out->data[i];
        if (*byte == 0 || (*byte > 127 && c->target == SENDABLE_7BIT)) {
            *byte = '?';
        }
    }
    return status;
}

/* The header, with another Content-Transfer-Encoding if `encoding` is not NULL, and the empty line. */
static enum status header_append(struct conversion *c, const struct entity *e, const char *encoding)
{
    enum status status = STATUS_OK;
    size_t start = c->out->len;
    bool written = encoding == NULL;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        if (encoding != NULL && slice_equal_nocase(field->name, SLICE_LITERAL("Content-Transfer-Encoding"))) {
            if (!written) {
                status = buf_printf(c->out, "Content-Transfer-Encoding: %s\r\n", encoding);
                written = true;
            }
            continue;
        }
        status = canonical_append(field->whole, c->out);
    }
    for (size_t i = start; i < c->out->len;
         i++) { /* NUL has no place in SMTP, and there is no encoding for it */
        if (c->out->data[i] == 0) {
            c->out->data[i] = ' ';
        }
    }
    /* A header that ended without a line end. */
    if (status == STATUS_OK && e->header.len > 0 && e->header.data[e->header.len - 1] != '\n') {
        status = buf_append_text(c->out, "\r\n");
    }
    if (status == STATUS_OK && !written) {
        status = buf_printf(c->out, "Content-Transfer-Encoding: %s\r\n", encoding);
    }
    return status == STATUS_OK ? buf_append_text(c->out, "\r\n") : status;
}

/* What the field must say when the content now fits as it is; NULL: what it says. */
static const char *plain_encoding(const struct conversion *c, enum transfer_encoding now)
{
    if (c->target == SENDABLE_8BIT) {
        return now == TRANSFER_BINARY ? "8bit" : NULL;
    }
    /* With a signed part that stays as it is, the container may hold 8 bit: then its label stays too. */
    bool relabel =
        c->what_is_signed == SIGNED_PART_REFUSES && (now == TRANSFER_8BIT || now == TRANSFER_BINARY);
    return relabel ? "7bit" : NULL;
}

static enum status encoded_append(struct conversion *c, const struct entity *e, bool text,
                                  struct slice content)
{
    size_t high = 0;
    for (size_t i = 0; i < content.len; i++) {
        high += content.data[i] > 126 || content.data[i] < 9;
    }
    bool quoted = text && high <= content.len / 6;
    enum status status = header_append(c, e, quoted ? "quoted-printable" : "base64");
    if (status != STATUS_OK) {
        return status;
    }
    return quoted ? quoted_printable_encode(content, c->out) : base64_lines_encode(content, c->out);
}

static enum status leaf_append(struct conversion *c, const struct entity *e, const struct content_type *type)
{
    enum transfer_encoding encoding = entity_transfer_encoding(e);
    bool text = content_type_is(type, "text", NULL);
    struct buf work = BUF_INIT(e->body.len * 2 + 64);
    struct slice content = e->body;
    enum status status = STATUS_OK;
    work.wipe = true;
    if (encoding == TRANSFER_UNKNOWN) {
        status = header_append(c, e, NULL);
        return status == STATUS_OK ? gap_append(c, e->body) : status;
    }
    if (encoding == TRANSFER_QUOTED_PRINTABLE || encoding == TRANSFER_BASE64) {
        if (!entity_is_sendable(e->body,
                                c->target)) { /* bytes that do not belong there: read and write it anew */
            status = transfer_decode(encoding, e->body, &work);
            if (status == STATUS_OK) {
                status = header_append(c, e, NULL);
            }
            if (status == STATUS_OK) {
                status = encoding == TRANSFER_BASE64 ? base64_lines_encode(buf_slice(&work), c->out)
                                                     : quoted_printable_encode(buf_slice(&work), c->out);
            }
        } else {
            status = header_append(c, e, NULL);
            status = status == STATUS_OK ? buf_append_slice(c->out, e->body) : status;
        }
        goto out;
    }
    if ((text || encoding != TRANSFER_BINARY) && mime_has_bare_line_end(content)) {
        if ((status = canonical_append(content, &work)) != STATUS_OK) {
            goto out;
        }
        content = buf_slice(&work);
    }
    if (entity_is_sendable(content, c->target)) {
        const char *label =
            encoding == TRANSFER_8BIT && c->target == SENDABLE_7BIT ? "7bit" : plain_encoding(c, encoding);
        status = header_append(c, e, label);
        status = status == STATUS_OK ? buf_append_slice(c->out, content) : status;
    } else {
        status = encoded_append(c, e, text, content);
    }
out:
    buf_release(&work);
    return status;
}

static enum status entity_append(struct conversion *c, struct slice bytes, size_t depth);

static enum status multipart_append(struct conversion *c, const struct entity *e, const struct multipart *m,
                                    size_t depth)
{
    enum status status = header_append(c, e, plain_encoding(c, entity_transfer_encoding(e)));
    const uint8_t *at = e->body.data, *end = e->body.data + e->body.len;
    for (size_t i = 0; i < m->part_count && status == STATUS_OK; i++) {
        status = gap_append(c, slice_of(at, (size_t)(m->parts[i].data - at)));
        if (status == STATUS_OK) {
            status = entity_append(c, m->parts[i], depth + 1);
        }
        at = m->parts[i].data + m->parts[i].len;
    }
    return status == STATUS_OK ? gap_append(c, slice_of(at, (size_t)(end - at))) : status;
}

/* Recursion is bounded by ENTITY_DEPTH_MAX. */
static enum status entity_append(struct conversion *c, struct slice bytes, size_t depth)
{
    struct entity e;
    struct multipart parts;
    if (entity_is_sendable(bytes, c->target)) {
        return buf_append_slice(c->out, bytes);
    }
    if (depth > ENTITY_DEPTH_MAX || c->parts++ > ENTITY_PARTS_MAX) {
        return failure_set(c->failure, STATUS_TOO_LARGE,
                           "the message has more than %d parts, or parts nested deeper than %d",
                           ENTITY_PARTS_MAX, ENTITY_DEPTH_MAX);
    }
    enum status status = entity_read(bytes, c->arena, &e, c->failure);
    if (status != STATUS_OK) {
        return status;
    }
    struct content_type type = entity_content_type(&e);
    if (content_type_is(&type, "multipart", "signed") || content_type_is(&type, "multipart", "encrypted")) {
        if (c->what_is_signed == SIGNED_PART_REFUSES) {
            return failure_set(c->failure, STATUS_UNSUPPORTED, "a signed part would have to be changed");
        }
        return canonical_append(bytes, c->out);
    }
    status = entity_split(&e, ENTITY_PARTS_MAX, c->arena, &parts, c->failure);
    if (status == STATUS_OK && parts.part_count > 0) {
        return multipart_append(c, &e, &parts, depth);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return status;
    }
    enum transfer_encoding encoding = entity_transfer_encoding(&e);
    bool encoded = encoding == TRANSFER_BASE64 || encoding == TRANSFER_QUOTED_PRINTABLE;
    if (!encoded &&
        (content_type_is(&type, "message", "rfc822") || content_type_is(&type, "message", "global"))) {
        status = header_append(c, &e, plain_encoding(c, encoding));
        return status == STATUS_OK ? entity_append(c, e.body, depth + 1) : status;
    }
    return leaf_append(c, &e, &type);
}

enum status entity_make_sendable(struct slice entity, enum sendable_target target,
                                 enum sendable_signed what_is_signed, struct arena *a, struct buf *out,
                                 struct failure *f)
{
    struct conversion c = {
        .target = target, .what_is_signed = what_is_signed, .arena = a, .out = out, .failure = f};
    enum status status = entity_append(&c, entity, 0);
    if (status == STATUS_NO_MEMORY ||
        (status == STATUS_TOO_LARGE && f != NULL && f->status != STATUS_TOO_LARGE)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory to re-encode a message");
    }
    return status;
}
