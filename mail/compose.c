/*
 * Writing the messages and entities that leave: headers without our own fields, S/MIME envelopes (RFC 8551),
 * verdicts.
 *
 * What was there is copied by byte range, never rendered anew. Every line written here ends with CRLF. Pure;
 * any thread.
 */
#include "mail/flow_internal.h"

#include "base/clock.h"
#include "mail/protected_fields.h"

enum status compose_fields(const struct entity *e, unsigned flags, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &e->fields[i];
        if (field_stays_behind(field) ||
            ((flags & COMPOSE_WITHOUT_CONTENT) != 0 && field_is_of_content(field)) ||
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

bool compose_is_safe(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at <= 0x20 || *at > 0x7e || *at == ';' || *at == '"' || *at == '\\') {
            return false;
        }
    }
    return text[0] != '\0';
}

static enum status parameter_append(const char *name, const char *value, struct buf *out)
{
    return compose_is_safe(value) ? buf_printf(out, "; %s=%s", name, value) : STATUS_OK;
}

static enum status signature_append(const struct verdict *v, struct buf *out)
{
    char time[TIME_RFC3339_SIZE] = "";
    if (v->time_ms != 0) {
        time_format_rfc3339(v->time_ms, time);
    }
    enum status status = buf_printf(out, "X-Sealpost-Signature: %s", smime_verdict_name(v->verdict));
    const char *const parameters[][2] = {{"signer", v->signer},
                                         {"protocol", v->protocol},
                                         {"by", v->domain ? "domain" : ""},
                                         {"algorithm", v->algorithm},
                                         {"time", time},
                                         {"covers", v->covers}};
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0] && status == STATUS_OK; i++) {
        status = parameter_append(parameters[i][0], parameters[i][1], out);
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}

static enum status encryption_append(const struct received *r, bool mark_unauthenticated, struct buf *out)
{
    const struct layers *l = &r->layers;
    const char *cipher = "";
    bool weak = false;
    for (size_t i = 0; i < l->count && r->opened; i++) {
        if (l->list[i].kind == LAYER_ENCRYPTED) { /* of several, the outermost is named */
            cipher = cipher[0] == '\0' ? l->list[i].plain.cipher : cipher;
            weak = weak || l->list[i].plain.weak;
        }
    }
    enum status status = buf_printf(out, "X-Sealpost-Encryption: %s",
                                    r->opened   ? "decrypted"
                                    : r->failed ? "failed"
                                                : "none");
    if (status == STATUS_OK && (r->opened || r->failed)) {
        status = parameter_append("protocol", r->failed && l->closed[0] != '\0' ? l->closed : "smime", out);
    }
    if (status == STATUS_OK) {
        status = parameter_append("cipher", cipher, out);
    }
    if (status == STATUS_OK && weak) {
        status = buf_append_text(out, "; weak=yes");
    }
    if (status == STATUS_OK && r->opened && !r->authenticated && mark_unauthenticated) {
        status = buf_append_text(out, "; authenticated=no");
    }
    if (status == STATUS_OK && r->opened && l->end == LAYERS_CLOSED) {
        status = buf_append_text(out, "; within=encrypted");
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}

/* Which fields the sender kept secret: who answers must not tell them (RFC 9788 section 6.1). */
static enum status confidential_append(const struct flow *fl, const struct received *r, struct buf *out)
{
    enum status status = STATUS_OK;
    const char *name, *before = "X-Sealpost-Confidential: ";
    for (size_t i = 0; (name = protected_field_name(i)) != NULL && status == STATUS_OK; i++) {
        if (protected_header_hides(&r->header, &fl->message, name)) {
            status = buf_printf(out, "%s%s", before, name);
            before = ",";
        }
    }
    return status == STATUS_OK && before[0] == ',' ? buf_append_text(out, "\r\n") : status;
}

/* X-Sealpost-Headers is there only when the message has protected header fields. */
static enum status headers_append(const struct flow *fl, const struct received *r, struct buf *out)
{
    bool is_signed = r->verdict.verdict == SMIME_VALID && strcmp(r->verdict.covers, "message") == 0;
    bool encrypted = r->opened && r->header.cipher;
    if (r->header.scheme == SCHEME_NONE) {
        return STATUS_OK;
    }
    const char *text = !r->header_counts        ? "unprotected"
                       : is_signed && encrypted ? "signed-and-encrypted"
                       : is_signed              ? "signed"
                                                : "encrypted";
    enum status status = buf_printf(out, "X-Sealpost-Headers: %s%s\r\n", text,
                                    r->from_differs && !r->from_counts ? "; from=mismatch" : "");
    return status == STATUS_OK && r->header_counts && encrypted ? confidential_append(fl, r, out) : status;
}

enum status compose_marks(const struct flow *fl, const struct received *r, bool mark_unauthenticated,
                          struct buf *out)
{
    if (r == NULL) {
        return buf_append_text(out, "X-Sealpost-Signature: none\r\nX-Sealpost-Encryption: none\r\n");
    }
    enum status status = signature_append(&r->verdict, out);
    if (status == STATUS_OK) {
        status = encryption_append(r, mark_unauthenticated, out);
    }
    return status == STATUS_OK ? headers_append(fl, r, out) : status;
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
