/*
 * What leaves for the outside: signed, encrypted, both, or as it came (RFC 8551).
 *
 * The content fields (Content-*) move with the body into an entity of their own; everything else stays in the
 * outer header. What is signed is 7 bit first, since any relay may re-encode 8-bit text and break the
 * signature (section 3.1.3). Sign, then encrypt. The signed form is made once a message and shared by all
 * variants. Whatever fails, fails the variant: policy wanted it protected, so nothing goes out. The private
 * key is opened, used once, and freed here. Pure; one thread.
 */
#include "mail/flow_internal.h"

#include "base/hex.h"
#include "crypto/capability.h"
#include "mail/mime_text.h"
#include "mail/seven_bit.h"

/* A line in the header that is no field has no place in a message that we write; the "From " line of a
 * mailbox file is dropped. */
static enum status check_header(const struct flow *fl, struct failure *f)
{
    for (size_t i = 0; i < fl->message.field_count; i++) {
        const struct header_field *field = &fl->message.fields[i];
        if (field->name.len == 0 && !slice_starts_with(field->whole, SLICE_LITERAL("From ")) &&
            !slice_starts_with(field->whole, SLICE_LITERAL(">From "))) {
            return failure_set(f, STATUS_MALFORMED, "the header has a line that is no field");
        }
    }
    return STATUS_OK;
}

/* The header of the content: its fields, and for a message without MIME those that say what it is. */
static enum status content_header_write(struct flow *fl, struct failure *f)
{
    const struct entity *e = &fl->message;
    struct buf *out = &fl->content_header;
    if (out->len > 0) {
        return STATUS_OK;
    }
    enum status status = check_header(fl, f);
    if (status != STATUS_OK) {
        return status;
    }
    *out = BUF_INIT(fl->content_max);
    if (entity_field(e, "Content-Type") == NULL) {
        status = buf_printf(out, "Content-Type: text/plain; charset=%s\r\n", charset_guess(e->body));
        if (status == STATUS_OK && entity_field(e, "Content-Transfer-Encoding") == NULL &&
            mime_has_8bit(e->body)) {
            status = buf_append_text(out, "Content-Transfer-Encoding: 8bit\r\n");
        }
    }
    for (size_t i = 0; i < e->field_count && status == STATUS_OK; i++) {
        if (field_is_of_content(&e->fields[i]) &&
            !slice_equal_nocase(e->fields[i].name, SLICE_LITERAL("MIME-Version"))) {
            status = buf_append_slice(out, e->fields[i].whole);
        }
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    if (status != STATUS_OK) {
        buf_reset(out);
        return failure_set(f, STATUS_NO_MEMORY, "no memory for a message");
    }
    return STATUS_OK;
}

/* The content as an entity: its bytes are the header alone, the body is the message's. */
static enum status content_read(struct flow *fl, struct entity *content, struct failure *f)
{
    enum status status = content_header_write(fl, f);
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(&fl->content_header), fl->arena, content, f);
    }
    content->body = fl->message.body;
    return status;
}

/* The content in one piece. */
static enum status content_append(struct flow *fl, struct buf *out, struct failure *f)
{
    enum status status = content_header_write(fl, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = buf_reserve(out, fl->content_header.len + fl->message.body.len);
    if (status == STATUS_OK) {
        status = buf_append_slice(out, buf_slice(&fl->content_header));
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, fl->message.body);
    }
    return status == STATUS_OK ? STATUS_OK : failure_set(f, STATUS_NO_MEMORY, "no memory for a message");
}

/* --- header protection --- */

static enum status header_form_read(struct flow *fl, const struct policy_recipient *r, enum header_form *form,
                                    struct failure *f)
{
    struct setting_value mode, legacy;
    bool encrypt = (r->protection & PROTECT_ENCRYPT) != 0;
    enum status status = setting_get(fl->env->view, setting_at(SETTING_PROTECT_HEADERS), r->address, &mode);
    if (status == STATUS_OK) {
        status = setting_get(fl->env->view, setting_at(SETTING_PROTECT_LEGACY_DISPLAY), r->address, &legacy);
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "the setting protect.headers could not be read");
    }
    if (slice_equal(mode.text, SLICE_LITERAL("none"))) {
        *form = HEADERS_BARE;
    } else if (!encrypt) {
        *form = HEADERS_CLEAR;
    } else if (slice_equal(mode.text, SLICE_LITERAL("sign"))) {
        *form = HEADERS_CIPHER;
    } else {
        *form = setting_bool(&legacy) ? HEADERS_HIDDEN_LEGACY : HEADERS_HIDDEN;
    }
    return STATUS_OK;
}

enum status outgoing_headers(struct flow *fl, struct failure *f)
{
    struct entity content;
    bool read = false, fits = false;
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        const struct policy_recipient *r = &fl->decision.recipients[i];
        fl->headers_of[i] = HEADERS_BARE;
        if (r->direction != POLICY_OUTGOING || r->protection == PROTECT_NONE) {
            continue;
        }
        if (!read) {
            struct failure later = {.status = STATUS_OK};
            enum status made = content_read(fl, &content, &later);
            fits = made == STATUS_OK && fl->shape.kind == SHAPE_PLAIN && header_protection_fits(&content);
            read = true;
            /* A header that is malformed fails again when the variant is made, and refuses only those who
             * would have got it. Anything else might not, and then leave without what was to be hidden. */
            if (made != STATUS_OK && made != STATUS_MALFORMED) {
                return failure_set(f, made, "%s", later.text);
            }
        }
        enum status status = fits ? header_form_read(fl, r, &fl->headers_of[i], f) : STATUS_OK;
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status payload_write(struct flow *fl, enum header_form form, struct buf *out, struct failure *f)
{
    struct entity content;
    struct buf whole = BUF_INIT(fl->content_max);
    if (form == HEADERS_BARE) {
        return content_append(fl, out, f);
    }
    whole.wipe = true;
    enum status status = form == HEADERS_HIDDEN_LEGACY ? content_append(fl, &whole, f) : STATUS_OK;
    if (status == STATUS_OK) {
        status = form == HEADERS_HIDDEN_LEGACY ? entity_read(buf_slice(&whole), fl->arena, &content, f)
                                               : content_read(fl, &content, f);
    }
    if (status == STATUS_OK) {
        status = header_protection_payload(&fl->message, &content, form, fl->arena, out, f);
    }
    buf_release(&whole);
    return status;
}

static enum status payload_make(struct flow *fl, enum header_form form, struct failure *f)
{
    struct buf *out = &fl->payloads[form];
    if (out->len > 0) {
        return STATUS_OK;
    }
    *out = BUF_INIT(fl->content_max);
    out->wipe = true;
    enum status status = payload_write(fl, form, out, f);
    if (status != STATUS_OK) {
        buf_reset(out);
    }
    return status;
}

void outgoing_release(struct flow *fl)
{
    buf_release(&fl->content_header);
    for (size_t i = 0; i < HEADER_FORM_COUNT; i++) {
        buf_release(&fl->payloads[i]);
        buf_release(&fl->signed_forms[0][i]);
        buf_release(&fl->signed_forms[1][i]);
    }
}

/* --- signing --- */

static enum status sign_with(struct flow *fl, EVP_PKEY *key, bool opaque, struct slice entity,
                             struct buf *out, struct failure *f)
{
    const struct policy_signer *chosen = &fl->decision.signer;
    struct smime_signer signer = {.key = key,
                                  .certificate = chosen->certificate,
                                  .encryption_certificate = chosen->encryption_certificate,
                                  .digest = chosen->digest,
                                  .pss = chosen->pss};
    struct certificate_record record;
    struct slice chain[ISSUER_CHAIN_MAX];
    struct buf cms = BUF_INIT(fl->content_max);
    enum status status = store_certificate_get(fl->env->view, fl->decision.signer.thumbprint, &record);
    if (status == STATUS_OK) {
        signer.chain_count = issuers_chain(fl->env->issuers, &record, chain);
        memcpy(signer.chain, chain, signer.chain_count * sizeof chain[0]);
    }
    if (opaque) {
        status = smime_sign_opaque(&signer, entity, fl->job->now_ms, &cms, f);
        if (status == STATUS_OK) {
            status = compose_pkcs7("signed-data", buf_slice(&cms), out);
        }
    } else {
        uint8_t random[16];
        char digits[2 * sizeof random + 1], boundary[sizeof digits + 16];
        fl->env->random(fl->env->random_context, random, sizeof random);
        hex_format(slice_of(random, sizeof random), digits);
        if (snprintf(boundary, sizeof boundary, "sealpost-%s", digits) >= (int)sizeof boundary) {
            return STATUS_INTERNAL;
        }
        status = smime_sign(&signer, entity, fl->job->now_ms, &cms, f);
        if (status == STATUS_OK) {
            status = compose_clear_signed(entity, buf_slice(&cms), smime_micalg(&signer), boundary, out);
        }
    }
    buf_release(&cms);
    return status;
}

static enum status signed_append(struct flow *fl, bool opaque, enum header_form form, struct buf *out,
                                 struct failure *f)
{
    struct buf sendable = BUF_INIT(fl->content_max);
    EVP_PKEY *key = NULL;
    struct slice entity = buf_slice(&fl->payloads[form]);
    enum status status = STATUS_OK;
    /* Signed although it was: sign.already says that the signature is to be replaced. */
    if (fl->shape.kind == SHAPE_SMIME_CLEAR_SIGNED && fl->shape.signed_part.len > 0) {
        entity = fl->shape.signed_part;
    }
    if (!entity_is_sendable(entity, SENDABLE_7BIT)) {
        status = entity_make_sendable(entity, SENDABLE_7BIT, SIGNED_PART_STAYS, fl->arena, &sendable, f);
        entity = buf_slice(&sendable);
    }
    if (status == STATUS_OK) {
        status = known_key_open(fl->env->known, fl->env->keys, fl->decision.signer.thumbprint,
                                fl->decision.signer.sealed_key, &key, f);
    }
    if (status == STATUS_OK) {
        status = sign_with(fl, key, opaque, entity, out, f);
    }
    EVP_PKEY_free(key);
    buf_release(&sendable);
    return status;
}

/* For all groups that want it. */
static enum status signed_form_make(struct flow *fl, bool opaque, enum header_form form, struct failure *f)
{
    struct buf *out = &fl->signed_forms[opaque][form];
    if (out->len > 0) {
        return STATUS_OK;
    }
    *out = BUF_INIT(fl->content_max);
    enum status status = signed_append(fl, opaque, form, out, f);
    if (status != STATUS_OK) {
        buf_reset(out);
    }
    return status;
}

/* What was made on the way is as large as the message: where no other group can want it, it goes as soon as
 * it was used. */
static void drop_if_last(const struct flow *fl, struct buf *made)
{
    if (fl->group_count == 1) {
        buf_release(made);
    }
}

/* Certificates of all of a group's recipients, each once: two addresses may share one. */
static enum status group_certificates(struct flow *fl, const struct flow_group *group,
                                      struct smime_recipient **recipients, size_t *count,
                                      uint64_t *capabilities, struct failure *f)
{
    struct smime_recipient *list =
        arena_alloc_array(fl->arena, group->recipient_count * POLICY_CERTIFICATES_MAX, sizeof list[0]);
    *count = 0;
    *capabilities = UINT64_MAX;
    if (list == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for certificates");
    }
    for (size_t i = 0; i < group->recipient_count; i++) {
        const struct policy_recipient *r = &fl->decision.recipients[group->recipients[i]];
        *capabilities &= r->capabilities;
        if (r->certificate_count == 0) { /* the decision never says so; if it did, a copy would go out that
                                            the recipient cannot read */
            return failure_set(f, STATUS_INTERNAL, "there is no certificate to encrypt to");
        }
        for (size_t n = 0; n < r->certificate_count; n++) {
            size_t k = 0;
            while (k < *count && list[k].certificate.data != r->certificates[n].data &&
                   !slice_equal(list[k].certificate, r->certificates[n])) {
                k++;
            }
            if (k < *count) {
                list[k].capabilities &= r->capabilities;
            } else {
                list[(*count)++] = (struct smime_recipient){.certificate = r->certificates[n],
                                                            .capabilities = r->capabilities,
                                                            .transport = group->transport};
            }
        }
    }
    *recipients = list;
    return STATUS_OK;
}

/* smime.cipher; auto (or a name that this version does not know): the best that all can read. */
static enum smime_cipher cipher_of(const struct flow_group *group, uint64_t capabilities)
{
    enum smime_cipher cipher;
    return smime_cipher_find(group->cipher, &cipher) ? cipher : capabilities_cipher(capabilities);
}

static enum status compressed_form(struct flow *fl, struct slice entity, struct buf *out, struct failure *f)
{
    struct buf cms = BUF_INIT(fl->content_max);
    enum status status = smime_compress(entity, &cms, f);
    if (status == STATUS_OK) {
        status = compose_pkcs7("compressed-data", buf_slice(&cms), out);
    }
    buf_release(&cms);
    json_put_bool(&fl->trace, "compressed", true);
    return status;
}

/* `made` holds what is to be encrypted. */
static enum status encrypted_append(struct flow *fl, const struct flow_group *group, struct buf *made,
                                    struct buf *out, struct failure *f)
{
    struct slice entity = buf_slice(made);
    struct buf cms = BUF_INIT(fl->content_max);
    struct smime_recipient *recipients = NULL;
    size_t count = 0;
    uint64_t capabilities = 0;
    enum status status = group_certificates(fl, group, &recipients, &count, &capabilities, f);
    if (status != STATUS_OK) {
        return status;
    }
    enum smime_cipher cipher = cipher_of(group, capabilities);
    struct buf packed = BUF_INIT(fl->content_max);
    if (group->compress) { /* between signing and encrypting (RFC 8551 section 3.6) */
        status = compressed_form(fl, entity, &packed, f);
        entity = buf_slice(&packed);
    }
    if (status == STATUS_OK) {
        status = smime_encrypt(recipients, count, cipher, entity, &cms, f);
    }
    buf_release(&packed);
    drop_if_last(fl, made);
    if (status == STATUS_OK) {
        status = compose_pkcs7(smime_cipher_is_gcm(cipher) ? "authEnveloped-data" : "enveloped-data",
                               buf_slice(&cms), out);
        json_put_text(&fl->trace, "cipher", slice_of_text(smime_cipher_name(cipher)));
        json_put_number(&fl->trace, "certificates", count);
    }
    buf_release(&cms);
    return status;
}

/* *start: where in `content` the protected entity begins. */
static enum status protect(struct flow *fl, const struct flow_group *group, struct buf *content,
                           size_t *start, struct failure *f)
{
    bool sign = (group->protection & PROTECT_SIGN) != 0, encrypt = (group->protection & PROTECT_ENCRYPT) != 0;
    bool at_once = sign && !encrypt && fl->group_count == 1; /* into its place, since nobody shares it */
    enum header_form form = group->headers;
    struct buf *payload = &fl->payloads[form];
    struct buf *made = sign ? &fl->signed_forms[group->opaque][form] : payload;
    enum status status = payload_make(fl, form, f);
    if (status == STATUS_OK && sign && !at_once) {
        status = signed_form_make(fl, group->opaque, form, f);
        drop_if_last(fl, payload);
    }
    if (status != STATUS_OK) {
        return status;
    }
    json_put_text(&fl->trace, "headers", slice_of_text(header_form_name(form)));
    size_t size = at_once ? payload->len : made->len;
    status = buf_reserve(content, fl->message.header.len + (encrypt ? size * 3 / 2 : size) + 4096);
    if (status == STATUS_OK) {
        status = header_protection_outer(&fl->message, form, content);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(content, "MIME-Version: 1.0\r\n");
    }
    *start = content->len;
    if (status != STATUS_OK) {
        return status;
    }
    return encrypt   ? encrypted_append(fl, group, made, content, f)
           : at_once ? signed_append(fl, group->opaque, form, content, f)
                     : buf_append_slice(content, buf_slice(made));
}

enum status outgoing_make(struct flow *fl, const struct flow_group *group, struct job_variant *v,
                          struct buf *content, struct failure *f)
{
    static const char *const names[] = {"none", "smime-signed", "smime-encrypted", "smime-signed-encrypted"};
    size_t start = 0;
    v->protection = slice_of_text(names[group->protection & (PROTECT_SIGN | PROTECT_ENCRYPT)]);
    if (group->protection == PROTECT_NONE) {
        v->needs_8bit = mime_has_8bit(fl->message.body);
        v->unchanged = !fl->header_changes && group->first->tag_count == 0;
        return v->unchanged ? STATUS_OK : compose_message(&fl->message, content);
    }
    enum status status = protect(fl, group, content, &start, f);
    if (status == STATUS_OK && (group->protection & PROTECT_ENCRYPT) == 0) {
        v->needs_8bit = mime_has_8bit(slice_of(content->data + start, content->len - start));
    }
    return status;
}
