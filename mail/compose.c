/*
 * Writing the messages and entities that leave: headers without our own fields, S/MIME envelopes (RFC 8551),
 * verdicts.
 *
 * What was there is copied by byte range, never rendered anew. Every line written here ends with CRLF. Pure;
 * any thread.
 */
#include "mail/flow_internal.h"

enum status compose_fields(const struct entity *e, unsigned flags, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        if (field_is_ours(field) || ((flags & COMPOSE_WITHOUT_CONTENT) != 0 && field_is_of_content(field)) ||
            ((flags & COMPOSE_WITHOUT_JUNK) != 0 && field->name.len == 0)) {
            continue;
        }
        status = buf_append_slice(out, field->whole);
    }
    if (status == STATUS_OK && out->len > 0 && out->data[out->len - 1] != '\n') {
        status = buf_append_text(out, "\r\n");
    }
    return status;
}

enum status compose_message(const struct entity *e, struct buf *out)
{
    enum status status = buf_reserve(out, e->bytes.len + 2);
    if (status == STATUS_OK) {
        status = compose_fields(e, 0, out);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    return status == STATUS_OK ? buf_append_slice(out, e->body) : status;
}

/* An address that could end the field or forge a parameter is left out; it comes from a certificate of
 * anybody. */
static bool is_safe_value(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= 0x20 || *at > 0x7e || *at == ';' || *at == '"' || *at == '\\') {
            return false;
        }
    }
    return text[0] != '\0';
}

enum status compose_verdict(const struct verdict *verdict, const char *encryption, const char *protocol,
                            const char *cipher, bool weak, struct buf *out)
{
    enum status status = buf_printf(out, "X-Sealpost-Signature: %s", smime_verdict_name(verdict->verdict));
    if (status == STATUS_OK && is_safe_value(verdict->signer)) {
        status = buf_printf(out, "; signer=%s", verdict->signer);
    }
    if (status == STATUS_OK && is_safe_value(verdict->protocol)) {
        status = buf_printf(out, "; protocol=%s", verdict->protocol);
    }
    if (status == STATUS_OK) {
        status = buf_printf(out, "\r\nX-Sealpost-Encryption: %s", encryption);
    }
    if (status == STATUS_OK && is_safe_value(protocol)) {
        status = buf_printf(out, "; protocol=%s", protocol);
    }
    if (status == STATUS_OK && is_safe_value(cipher)) {
        status = buf_printf(out, "; cipher=%s%s", cipher, weak ? "; weak=yes" : "");
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}

enum status compose_pkcs7(const char *smime_type, struct slice cms, struct buf *out)
{
    /* RFC 8551 section 3.2.1 */
    const char *name = strcmp(smime_type, "compressed-data") == 0 ? "smime.p7z" : "smime.p7m";
    enum status status =
        buf_printf(out,
                   "Content-Type: application/pkcs7-mime; smime-type=%s;\r\n\tname=\"%s\"\r\n"
                   "Content-Transfer-Encoding: base64\r\n"
                   "Content-Disposition: attachment; filename=\"%s\"\r\n\r\n",
                   smime_type, name, name);
    return status == STATUS_OK ? base64_lines_encode(cms, out) : status;
}

enum status compose_clear_signed(struct slice entity, struct slice signature, const char *micalg,
                                 const char *boundary, struct buf *out)
{
    enum status status = buf_reserve(out, entity.len + signature.len * 3 / 2 + 1024);
    if (status == STATUS_OK) {
        status = buf_printf(out,
                            "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n"
                            "\tmicalg=\"%s\"; boundary=\"%s\"\r\n\r\n--%s\r\n",
                            micalg, boundary, boundary);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, entity);
    }
    if (status == STATUS_OK) {
        status = buf_printf(out,
                            "\r\n--%s\r\nContent-Type: application/pkcs7-signature; name=\"smime.p7s\"\r\n"
                            "Content-Transfer-Encoding: base64\r\n"
                            "Content-Disposition: attachment; filename=\"smime.p7s\"\r\n\r\n",
                            boundary);
    }
    if (status == STATUS_OK) {
        status = base64_lines_encode(signature, out);
    }
    return status == STATUS_OK ? buf_printf(out, "\r\n--%s--\r\n", boundary) : status;
}
