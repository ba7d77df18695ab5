/*
 * The answer to TO_7BIT: the next hop lacks 8BITMIME (RFC 6152 section 3), so parts with bytes above 127 are
 * re-encoded.
 *
 * A message without MIME fields gets them, since encoded text must be declared. When a signed part would have
 * to change the answer is UNSUPPORTED, and smtp gives the message back instead of breaking the signature.
 * Bytes above 127 in header fields stay: 8BITMIME is about bodies. Pure; any thread.
 */
#include "mail/flow.h"

#include "mail/entity.h"
#include "mail/policy_internal.h"
#include "mail/seven_bit.h"

void mail_output_release(struct mail_output *out)
{
    for (size_t i = 0; i < JOB_VARIANTS_MAX; i++) {
        buf_release(&out->contents[i]);
    }
    out->result.variant_count = 0;
}

/* A message without MIME fields needs them as soon as its body is encoded. */
static enum status mime_fields_add(struct slice message, const struct entity *e, struct buf *out)
{
    enum status status = buf_reserve(out, message.len + 256);
    if (status == STATUS_OK) {
        status = buf_append_slice(out, e->header);
    }
    if (status == STATUS_OK && entity_field(e, "MIME-Version") == NULL) {
        status = buf_append_text(out, "MIME-Version: 1.0\r\n");
    }
    if (status == STATUS_OK && entity_field(e, "Content-Type") == NULL) {
        status = buf_printf(out, "Content-Type: text/plain; charset=%s\r\n", charset_guess(e->body));
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    return status == STATUS_OK ? buf_append_slice(out, e->body) : status;
}

void mail_to_7bit(uint64_t job, struct slice message, struct arena *a, struct mail_output *out)
{
    struct failure f = {.status = STATUS_OK};
    struct entity e;
    struct buf complete = BUF_INIT(message.len + 1024);
    memset(out, 0, sizeof *out);
    out->result.job = job;
    out->contents[0] = BUF_INIT(message.len * 4 + 65536);
    out->result.variants = arena_alloc(a, sizeof out->result.variants[0]);
    enum status status = out->result.variants == NULL ? STATUS_NO_MEMORY : entity_read(message, a, &e, &f);
    if (status == STATUS_OK && !entity_is_sendable(message, SENDABLE_7BIT)) {
        if (entity_field(&e, "MIME-Version") == NULL || entity_field(&e, "Content-Type") == NULL) {
            status = mime_fields_add(message, &e, &complete);
            message = buf_slice(&complete);
        }
        if (status == STATUS_OK) {
            status =
                entity_make_sendable(message, SENDABLE_7BIT, SIGNED_PART_REFUSES, a, &out->contents[0], &f);
        }
    } else if (status == STATUS_OK) {
        out->result.variants[0].unchanged = true;
    }
    if (status != STATUS_OK) {
        mail_output_release(out);
        out->result.status = status;
        if (reason_set(a, &out->result.text, "%s", f.text[0] != '\0' ? f.text : status_text(status)) !=
            STATUS_OK) {
            out->result.text = SLICE_LITERAL("out of memory");
        }
    } else {
        out->result.variants[0].protection = SLICE_LITERAL("none");
        out->result.variant_count = 1;
    }
    buf_release(&complete);
}
