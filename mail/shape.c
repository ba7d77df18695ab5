/*
 * Telling what an entity is as a whole (RFC 8551 section 3.9, RFC 1847, RFC 3156).
 *
 * Only the outermost layer is looked at. That is the defence against mixing foreign parts with encrypted ones
 * ("EFAIL"): an encrypted part within multipart/mixed is never opened, so what is decrypted can never stand
 * beside text that an attacker wrote. An entity with two Content-Type fields is plain for the same reason
 * (entity_content_type). A multipart/signed counts only with exactly two parts. Pure; any thread. It verifies
 * and decrypts nothing.
 */
#include "mail/shape.h"

#include "crypto/smime.h"

static const char *const pkcs7_mime[] = {"pkcs7-mime", "x-pkcs7-mime"};
static const char *const pkcs7_signature[] = {"pkcs7-signature", "x-pkcs7-signature"};

static bool is_one_of(const struct content_type *type, const char *const names[2])
{
    return content_type_is(type, "application", names[0]) || content_type_is(type, "application", names[1]);
}

/* Mail programs that do not know S/MIME send on a smime.p7m as application/octet-stream. */
static bool has_p7m_name(const struct content_type *type, struct arena *a)
{
    struct slice name;
    if (!content_type_is(type, "application", "octet-stream") ||
        !content_type_parameter(type, "name", a, &name) || name.len < 4) {
        return false;
    }
    struct slice end = slice_of(name.data + name.len - 4, 4);
    return slice_equal_nocase(end, SLICE_LITERAL(".p7m")) || slice_equal_nocase(end, SLICE_LITERAL(".p7z"));
}

static enum status cms_decode(const struct entity *e, struct shape *shape, struct failure *f)
{
    shape->cms = BUF_INIT(e->body.len + 16);
    enum status status = transfer_decode(entity_transfer_encoding(e), e->body, &shape->cms);
    if (status == STATUS_NO_MEMORY || status == STATUS_TOO_LARGE) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for a CMS object of %zu bytes", e->body.len);
    }
    return STATUS_OK; /* what cannot be decoded is no CMS: an empty buffer says so */
}

static enum status shape_of_pkcs7_mime(const struct entity *e, bool declared, struct shape *shape,
                                       struct failure *f)
{
    enum status status = cms_decode(e, shape, f);
    if (status != STATUS_OK) {
        return status;
    }
    switch (smime_kind(buf_slice(&shape->cms))) {
    case CMS_KIND_ENVELOPED:
    case CMS_KIND_AUTH_ENVELOPED:
        shape->kind = SHAPE_SMIME_ENCRYPTED;
        break;
    case CMS_KIND_SIGNED:
        shape->kind = SHAPE_SMIME_OPAQUE_SIGNED;
        break;
    case CMS_KIND_COMPRESSED:
        shape->kind = SHAPE_SMIME_COMPRESSED;
        break;
    case CMS_KIND_OTHER:
        shape->kind = declared ? SHAPE_SMIME_OTHER : SHAPE_PLAIN;
        break;
    }
    return STATUS_OK;
}

static enum status shape_of_signed(const struct entity *e, const struct content_type *type, struct arena *a,
                                   struct shape *shape, struct failure *f)
{
    struct slice protocol;
    struct multipart parts;
    struct entity signature;
    if (!content_type_parameter(type, "protocol", a, &protocol)) {
        return STATUS_OK;
    }
    if (slice_equal_nocase(protocol, SLICE_LITERAL("application/pgp-signature"))) {
        shape->kind = SHAPE_PGP_SIGNED;
        return STATUS_OK;
    }
    if (!slice_equal_nocase(protocol, SLICE_LITERAL("application/pkcs7-signature")) &&
        !slice_equal_nocase(protocol, SLICE_LITERAL("application/x-pkcs7-signature"))) {
        return STATUS_OK;
    }
    shape->kind = SHAPE_SMIME_CLEAR_SIGNED;
    enum status status = entity_split(e, ENTITY_PARTS_MAX, a, &parts, f);
    if (status == STATUS_NOT_FOUND) {
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (parts.part_count != 2 || !parts.closed) {
        return STATUS_OK;
    }
    if ((status = entity_read(parts.parts[1], a, &signature, f)) != STATUS_OK) {
        return status;
    }
    struct content_type signature_type = entity_content_type(&signature);
    if (!is_one_of(&signature_type, pkcs7_signature)) {
        return STATUS_OK;
    }
    if ((status = cms_decode(&signature, shape, f)) != STATUS_OK) {
        return status;
    }
    shape->signed_part = parts.parts[0];
    return STATUS_OK;
}

/* Looks as RFC 3156 section 4 wants it: else anybody could have a message counted as encrypted by its
 * Content-Type alone. */
static enum status shape_of_pgp(const struct entity *e, struct arena *a, struct shape *shape,
                                struct failure *f)
{
    struct multipart parts;
    struct entity data;
    enum status status = entity_split(e, ENTITY_PARTS_MAX, a, &parts, f);
    if (status == STATUS_NOT_FOUND || (status == STATUS_OK && parts.part_count != 2)) {
        return STATUS_OK;
    }
    if (status != STATUS_OK || (status = entity_read(parts.parts[1], a, &data, f)) != STATUS_OK) {
        return status;
    }
    struct slice body = data.body;
    while (body.len > 0 && (body.data[0] == '\r' || body.data[0] == '\n')) {
        body = slice_of(body.data + 1, body.len - 1);
    }
    if (slice_starts_with(body, SLICE_LITERAL("-----BEGIN PGP MESSAGE-----"))) {
        shape->kind = SHAPE_PGP_ENCRYPTED;
    }
    return STATUS_OK;
}

enum status shape_of(const struct entity *e, struct arena *a, struct shape *shape, struct failure *f)
{
    struct content_type type = entity_content_type(e);
    struct slice protocol;
    *shape = (struct shape){.kind = SHAPE_PLAIN};
    if (is_one_of(&type, pkcs7_mime)) {
        return shape_of_pkcs7_mime(e, true, shape, f);
    }
    if (has_p7m_name(&type, a)) {
        return shape_of_pkcs7_mime(e, false, shape, f);
    }
    if (content_type_is(&type, "multipart", "signed")) {
        return shape_of_signed(e, &type, a, shape, f);
    }
    if (content_type_is(&type, "multipart", "encrypted") &&
        content_type_parameter(&type, "protocol", a, &protocol) &&
        slice_equal_nocase(protocol, SLICE_LITERAL("application/pgp-encrypted"))) {
        return shape_of_pgp(e, a, shape, f);
    }
    return STATUS_OK;
}

void shape_release(struct shape *shape)
{
    buf_release(&shape->cms);
}

bool shape_is_encrypted(const struct shape *shape)
{
    return shape->kind == SHAPE_SMIME_ENCRYPTED || shape->kind == SHAPE_PGP_ENCRYPTED;
}

bool shape_is_signed(const struct shape *shape)
{
    return shape->kind == SHAPE_SMIME_CLEAR_SIGNED || shape->kind == SHAPE_SMIME_OPAQUE_SIGNED ||
           shape->kind == SHAPE_PGP_SIGNED;
}
