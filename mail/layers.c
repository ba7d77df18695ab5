/*
 * Peeling layers, from the outside in.
 *
 * When all goes well: shape_of() says what an entity is as a whole; an encrypted one is opened, a signed one
 * verified, and what is within is looked at in the same way, until an entity is neither: the payload. Only
 * the whole is ever followed: a part beside others, in whatever multipart or attached message, is content, so
 * nothing that is decrypted can come to stand in a frame that somebody else wrote (EFAIL).
 *
 * What ends it early: no key opens an encrypted layer; a signature does not hold, for then what is within is
 * no more than unsigned bytes that say something of themselves (RFC 9787 section 4.4: an error layer); more
 * layers than LAYERS_MAX. A loop, not recursion. Pure; one thread. It decides nothing about delivery.
 */
#include "mail/layers.h"

#include "mail/bound_signer.h"
#include "mail/flow.h"
#include "mail/mime_text.h"
#include "mail/seven_bit.h"

bool verdict_holds(const struct verdict *v)
{
    return v->verdict != SMIME_NONE && v->verdict != SMIME_INVALID && v->verdict != SMIME_UNKNOWN;
}

/* --- verifying --- */

/* Many a sender leaves the certificates between hers and the anchor out: they may be had elsewhere. */
static bool issuers_fetched(const struct layers_reading *r, const struct layer *layer, struct slice signer)
{
    struct slice sent[SMIME_SENT_MAX];
    if (r->env == NULL || r->env->fetch_issuers == NULL || signer.len == 0) {
        return false;
    }
    size_t count = smime_sent_certificates(buf_slice(&layer->shape.cms), r->arena, sent);
    return r->env->fetch_issuers(r->env, signer, sent, count);
}

/* A certificate that an administrator bound to the address or its domain may stand for it. */
static enum status apply_binding(const struct layers_reading *r, const struct layer *layer, struct slice from,
                                 const struct smime_verified *result, struct verdict *v)
{
    enum bound_signer bound = BOUND_NOT;
    struct failure why;
    enum status status = bound_signer_find(r->view, r->trust, from, result, buf_slice(&layer->shape.cms),
                                           r->now_ms, &bound, &why);
    if (status == STATUS_OK && bound != BOUND_NOT) {
        v->verdict = SMIME_VALID;
        v->domain = bound == BOUND_TO_DOMAIN;
        v->reason[0] = '\0';
        memcpy(v->signer, from.data, from.len);
        v->signer[from.len] = '\0';
    } else if (status == STATUS_OK && why.status != STATUS_OK) { /* what speaks against the pinned one */
        v->verdict = why.status == STATUS_REVOKED   ? SMIME_REVOKED
                     : why.status == STATUS_EXPIRED ? SMIME_EXPIRED
                                                    : v->verdict;
        memcpy(v->reason, why.text, sizeof v->reason);
    }
    return status;
}

static enum status run_verify(const struct layers_reading *r, struct layer *layer, struct slice signed_part,
                              struct slice from, struct verdict *v)
{
    struct smime_verified result = {0};
    bool detached = layer->shape.kind == SHAPE_SMIME_CLEAR_SIGNED;
    enum status status = smime_verify(buf_slice(&layer->shape.cms), signed_part, detached, from, r->trust,
                                      r->now_ms, r->arena, &result);
    if (status == STATUS_OK && result.verdict == SMIME_UNTRUSTED &&
        issuers_fetched(r, layer, result.signer_certificate)) {
        smime_verified_release(&result);
        status = smime_verify(buf_slice(&layer->shape.cms), signed_part, detached, from, r->trust, r->now_ms,
                              r->arena, &result);
    }
    if (status == STATUS_OK) {
        v->verdict = result.verdict;
        memcpy(v->signer, result.signer, sizeof v->signer);
        memcpy(v->reason, result.reason, sizeof v->reason);
        v->time_ms = result.signing_time_ms;
        v->capabilities = result.capabilities;
        if (from.len <= ADDRESS_MAX) {
            status = apply_binding(r, layer, from, &result, v);
        }
        if (result.algorithm[0] != '\0' && result.digest[0] != '\0' &&
            snprintf(v->algorithm, sizeof v->algorithm, "%s-%s", result.algorithm, result.digest) >=
                (int)sizeof v->algorithm) {
            v->algorithm[0] = '\0';
        }
        if (!detached && layer->content.len == 0 && verdict_holds(v)) {
            layer->content = result.content;
            layer->content.wipe = true;
            result.content = (struct buf){0};
        }
    }
    smime_verified_release(&result);
    return status;
}

enum status layer_verify(const struct layers_reading *r, struct layer *layer, struct slice from,
                         struct verdict *v)
{
    const struct shape *shape = &layer->shape;
    *v = (struct verdict){.verdict = SMIME_INVALID, .protocol = "smime", .covers = ""};
    if (shape->kind == SHAPE_PGP_SIGNED) {
        v->verdict = SMIME_UNKNOWN;
        v->protocol = "pgp";
        return STATUS_OK;
    }
    if (shape->cms.len == 0 || (shape->kind == SHAPE_SMIME_CLEAR_SIGNED && shape->signed_part.data == NULL)) {
        return STATUS_OK; /* claims to be signed, and has not the form of it */
    }
    enum status status = run_verify(r, layer, shape->signed_part, from, v);
    if (status == STATUS_OK && v->verdict == SMIME_INVALID && mime_has_bare_line_end(shape->signed_part)) {
        /* What was decrypted may have other line ends than those that were signed (RFC 8551 section 3.1.1).
         */
        struct buf canonical = BUF_INIT(shape->signed_part.len * 2 + 16);
        canonical.wipe = true;
        status = entity_make_sendable(shape->signed_part, SENDABLE_8BIT, SIGNED_PART_STAYS, r->arena,
                                      &canonical, NULL);
        if (status == STATUS_OK) {
            status = run_verify(r, layer, buf_slice(&canonical), from, v);
        }
        buf_release(&canonical);
    }
    if (status != STATUS_OK && !status_retryable(status)) { /* broken CMS: the signature is no good */
        v->verdict = SMIME_INVALID;
        status = STATUS_OK;
    }
    return status;
}

/* --- one layer --- */

enum step { STEP_INTO, STEP_END };

static enum status read_encrypted(const struct layers_reading *r, struct layers *l, struct layer *layer,
                                  enum step *step, struct failure *f)
{
    *step = STEP_END;
    l->end = LAYERS_CLOSED;
    l->closed = layer->shape.kind == SHAPE_PGP_ENCRYPTED ? "pgp" : "smime";
    if (layer->shape.kind == SHAPE_PGP_ENCRYPTED || r->open == NULL) {
        return STATUS_OK;
    }
    layer->kind = LAYER_ENCRYPTED;
    enum status status = r->open(r->context, buf_slice(&layer->shape.cms), &layer->plain, f);
    if (status == STATUS_NO_KEY) {
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(&layer->plain.entity), r->arena, &layer->inner, f);
    }
    if (status == STATUS_TOO_LARGE) { /* a plain text beyond the limits stays closed */
        smime_decrypted_release(&layer->plain);
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        *step = STEP_INTO;
    }
    return status;
}

static enum status read_signed(const struct layers_reading *r, struct layers *l, struct layer *layer,
                               enum step *step, struct failure *f)
{
    *step = STEP_END;
    layer->kind = LAYER_SIGNED;
    enum status status = layer_verify(r, layer, r->from, &layer->verdict);
    l->end = LAYERS_ERROR;
    if (status != STATUS_OK || !verdict_holds(&layer->verdict)) {
        l->count += status == STATUS_OK; /* it is a layer, if a broken one */
        return status;
    }
    struct slice inner =
        layer->shape.kind == SHAPE_SMIME_CLEAR_SIGNED ? layer->shape.signed_part : buf_slice(&layer->content);
    status = entity_read(inner, r->arena, &layer->inner, f);
    if (status == STATUS_TOO_LARGE) {
        l->count++;
        return STATUS_OK;
    }
    if (status == STATUS_OK) {
        *step = STEP_INTO;
    }
    return status;
}

/* What is no zlib, broken, or a bomb stays compressed: it is content then, and nothing is lost. */
static enum status read_compressed(const struct layers_reading *r, struct layers *l, struct layer *layer,
                                   enum step *step, struct failure *f)
{
    size_t compressed = 0;
    *step = STEP_END;
    layer->kind = LAYER_COMPRESSED;
    for (size_t i = 0; i < l->count; i++) {
        compressed += l->list[i].kind == LAYER_COMPRESSED;
    }
    if (compressed >= LAYERS_COMPRESSED_MAX) {
        return STATUS_OK;
    }
    layer->content = (struct buf){.max = r->unpack_max, .wipe = true};
    enum status status = smime_decompress(buf_slice(&layer->shape.cms), &layer->content, f);
    if (status == STATUS_OK) {
        status = entity_read(buf_slice(&layer->content), r->arena, &layer->inner, f);
    }
    if (status == STATUS_OK) {
        *step = STEP_INTO;
    }
    return status == STATUS_NO_MEMORY ? status : STATUS_OK;
}

static void layer_release(struct layer *layer)
{
    if (!layer->borrowed) {
        shape_release(&layer->shape);
    }
    smime_decrypted_release(&layer->plain);
    buf_release(&layer->content);
    *layer = (struct layer){0};
}

static bool is_layer(const struct shape *shape)
{
    return shape_is_encrypted(shape) || shape_is_signed(shape) || shape->kind == SHAPE_SMIME_COMPRESSED;
}

enum status layers_read(const struct layers_reading *r, const struct entity *message,
                        const struct shape *shape, struct layers *l, struct failure *f)
{
    enum status status = STATUS_OK;
    enum step step = STEP_INTO;
    *l = (struct layers){.payload = *message, .closed = ""};
    struct shape next = *shape;
    bool borrowed = true;
    while (status == STATUS_OK && step == STEP_INTO) {
        l->end = LAYERS_PAYLOAD;
        if (!is_layer(&next) || l->count == LAYERS_MAX) {
            if (is_layer(&next)) {
                l->end = LAYERS_TOO_MANY;
            }
            if (!borrowed) {
                shape_release(&next);
            }
            break;
        }
        struct layer *layer = &l->list[l->count];
        *layer = (struct layer){.shape = next, .borrowed = borrowed};
        layer->verdict = (struct verdict){.verdict = SMIME_NONE, .protocol = "", .covers = ""};
        status = shape_is_encrypted(&next) ? read_encrypted(r, l, layer, &step, f)
                 : shape_is_signed(&next)  ? read_signed(r, l, layer, &step, f)
                                           : read_compressed(r, l, layer, &step, f);
        if (status == STATUS_OK && step == STEP_INTO) {
            l->count++;
            l->payload = layer->inner;
            status = shape_of(&layer->inner, r->arena, &next, f);
            borrowed = false;
            if (status != STATUS_OK) {
                shape_release(&next);
            }
            if (status == STATUS_TOO_LARGE) { /* within limits as a whole, but not as what it says to be */
                status = STATUS_OK;
                l->end = LAYERS_PAYLOAD;
                break;
            }
        } else if (l->count == 0 || layer != &l->list[l->count - 1]) {
            layer_release(layer); /* it was not opened, and is not counted */
        }
    }
    return status;
}

void layers_release(struct layers *l)
{
    for (size_t i = 0; i < l->count; i++) {
        layer_release(&l->list[i]);
    }
    l->count = 0;
}

/* --- what they say --- */

size_t layers_decrypted(const struct layers *l)
{
    for (size_t i = l->count; i > 0; i--) {
        if (l->list[i - 1].kind == LAYER_ENCRYPTED) {
            return i;
        }
    }
    return 0;
}

size_t layers_opened(const struct layers *l)
{
    size_t at = layers_decrypted(l);
    while (at < l->count && l->list[at].kind == LAYER_COMPRESSED) {
        at++;
    }
    return at;
}

bool layers_authenticated(const struct layers *l)
{
    for (size_t i = 0; i < l->count; i++) {
        const struct layer *layer = &l->list[i];
        if (layer->kind == LAYER_ENCRYPTED && strstr(layer->plain.cipher, "-gcm") == NULL) {
            return false;
        }
    }
    return true;
}
