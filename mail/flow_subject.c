/*
 * A message with another Subject: the words with which the sender asked for something are taken out before it
 * leaves (trigger.subject.remove). The header is copied with that one field written anew, the body as it is;
 * what stood in the shape still points into the message as it came. Pure; one thread.
 */
#include "mail/flow_internal.h"

#include "mail/words.h"

#define LINE_WANTED 76 /* characters: RFC 5322 section 2.1.1 */

/* "Subject: " and the text, folded at blanks. */
static enum status field_append(struct slice encoded, struct buf *out)
{
    enum status status = buf_append_text(out, "Subject:");
    size_t line = 8;
    while (status == STATUS_OK && encoded.len > 0) {
        size_t end = slice_find_byte(encoded, ' ');
        if (end > 0) {
            status = buf_append_text(out, line + 1 + end > LINE_WANTED && line > 8 ? "\r\n " : " ");
            line = line + 1 + end > LINE_WANTED && line > 8 ? 1 + end : line + 1 + end;
            status = status == STATUS_OK ? buf_append(out, encoded.data, end) : status;
        }
        size_t step = end < encoded.len ? end + 1 : end;
        encoded = slice_of(encoded.data + step, encoded.len - step);
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}

enum status subject_replace(struct flow *fl, struct failure *f)
{
    const struct entity *e = &fl->message;
    struct slice encoded;
    struct buf *out = &fl->rewritten;
    *out = BUF_INIT(fl->content_max);
    enum status status = words_encode(fl->decision.subject, fl->arena, &encoded);
    if (status == STATUS_OK) {
        status = buf_reserve(out, e->bytes.len + encoded.len * 2 + 64);
    }
    bool written = false;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        if (!slice_equal_nocase(e->fields[i].name, SLICE_LITERAL("Subject"))) {
            status = buf_append_slice(out, e->fields[i].whole);
        } else if (!written) { /* of several, the first was read; none of the others may tell what it did */
            status = field_append(encoded, out);
            written = true;
        }
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, e->body);
    }
    if (status != STATUS_OK) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for a message");
    }
    fl->header_changes = true;
    return entity_read(buf_slice(out), fl->arena, &fl->message, f);
}
