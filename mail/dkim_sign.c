/*
 * The DKIM-Signature field (RFC 6376 section 3.5).
 *
 * Signed are the fields that a reader sees, or that say how the body is read: the list of section 5.4.1, with
 * those of MIME and of lists (RFC 8058 wants List-Unsubscribe-Post signed). Fields of the way (Received,
 * Return-Path, Authentication-Results, other DKIM-Signatures) are not. From is named once more than it is
 * there, and so are those others of which a message has one and has it: nobody can add a second (section
 * 8.15). A field of that kind that is not there may be added on the way: lists add Reply-To. l= is never
 * written (section 8.2), i= says nothing more than d= and is left out. Pure; any thread.
 */
#include "mail/dkim.h"

#include "base/hex.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

#define LINE_MAX_WANTED  76
#define BASE64_PIECE     70
#define SIGNATURE_MAX    1024 /* bytes: RSA of 8192 bits */
#define FIELD_MAX        ((size_t)32 << 10)
#define OVERSIGN_ALWAYS  1u
#define OVERSIGN_PRESENT 2u

static const struct {
    const char *name;
    unsigned oversign;
} signed_fields[] = {
    {"from", OVERSIGN_ALWAYS},
    {"sender", 0},
    {"reply-to", OVERSIGN_PRESENT},
    {"to", OVERSIGN_PRESENT},
    {"cc", OVERSIGN_PRESENT},
    {"subject", OVERSIGN_PRESENT},
    {"date", OVERSIGN_PRESENT},
    {"message-id", OVERSIGN_PRESENT},
    {"in-reply-to", 0},
    {"references", 0},
    {"mime-version", OVERSIGN_PRESENT},
    {"content-type", OVERSIGN_PRESENT},
    {"content-transfer-encoding", OVERSIGN_PRESENT},
    {"content-disposition", 0},
    {"content-description", 0},
    {"content-id", 0},
    {"content-language", 0},
    {"auto-submitted", 0},
    {"importance", 0},
    {"resent-date", 0},
    {"resent-from", 0},
    {"resent-sender", 0},
    {"resent-to", 0},
    {"resent-cc", 0},
    {"resent-message-id", 0},
    {"list-id", 0},
    {"list-help", 0},
    {"list-unsubscribe", 0},
    {"list-unsubscribe-post", 0},
    {"list-subscribe", 0},
    {"list-post", 0},
    {"list-owner", 0},
    {"list-archive", 0},
};

/* --- hashing --- */

struct digest {
    EVP_MD_CTX *ctx;
    bool failed;
};

static enum status digest_begin(struct digest *d)
{
    d->failed = false;
    d->ctx = EVP_MD_CTX_new();
    if (d->ctx == NULL) {
        return STATUS_NO_MEMORY;
    }
    return EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) == 1 ? STATUS_OK : STATUS_CRYPTO;
}

static void digest_cb(void *context, struct slice bytes)
{
    struct digest *d = context;
    if (bytes.len > 0) {
        d->failed = EVP_DigestUpdate(d->ctx, bytes.data, bytes.len) != 1 || d->failed;
    }
}

static enum status digest_end(struct digest *d, enum status status, uint8_t hash[32])
{
    if (status == STATUS_OK && (d->failed || EVP_DigestFinal_ex(d->ctx, hash, NULL) != 1)) {
        status = STATUS_CRYPTO;
    }
    EVP_MD_CTX_free(d->ctx);
    return status;
}

enum status dkim_body_hash(struct slice body, enum dkim_form form, uint8_t hash[32])
{
    struct digest d;
    enum status status = digest_begin(&d);
    if (status == STATUS_OK) {
        dkim_body_canonical(body, form, digest_cb, &d);
    }
    return digest_end(&d, status, hash);
}

/* The instance-th field of that name from the end, from 0; NULL: there are fewer. */
static const struct header_field *field_from_end(const struct entity *e, struct slice name, size_t instance)
{
    for (size_t i = e->field_count; i > 0; i--) {
        if (slice_equal_nocase(e->fields[i - 1].name, name) && instance-- == 0) {
            return &e->fields[i - 1];
        }
    }
    return NULL;
}

static enum status header_hash(const struct entity *message, const struct slice *names, size_t count,
                               enum dkim_form form, struct slice unfinished, uint8_t hash[32])
{
    struct digest d;
    enum status status = digest_begin(&d);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        size_t before = 0;
        for (size_t k = 0; k < i; k++) {
            before += slice_equal_nocase(names[k], names[i]);
        }
        const struct header_field *field = field_from_end(message, names[i], before);
        if (field != NULL) {
            dkim_field_canonical(field->whole, form, digest_cb, &d);
            digest_cb(&d, SLICE_LITERAL("\r\n"));
        }
    }
    if (status == STATUS_OK) {
        dkim_field_canonical(unfinished, form, digest_cb, &d);
    }
    return digest_end(&d, status, hash);
}

/* RSASSA-PKCS1-v1_5 of the hash, or PureEdDSA over the hash (RFC 8463 section 3). */
static bool sign_hash(enum dkim_algorithm algorithm, EVP_PKEY *key, const uint8_t hash[32], uint8_t *out,
                      size_t *len)
{
    if (algorithm == DKIM_ED25519_SHA256) {
        EVP_MD_CTX *ctx = EVP_MD_CTX_new();
        bool done = ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestSign(ctx, out, len, hash, 32) == 1;
        EVP_MD_CTX_free(ctx);
        return done;
    }
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    bool done = ctx != NULL && EVP_PKEY_sign_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
                EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
                EVP_PKEY_sign(ctx, out, len, hash, 32) == 1;
    EVP_PKEY_CTX_free(ctx);
    return done;
}

enum status dkim_signature(const struct entity *message, const struct slice *names, size_t count,
                           enum dkim_form form, struct slice unfinished, enum dkim_algorithm algorithm,
                           EVP_PKEY *key, struct buf *base64)
{
    uint8_t hash[32], signature[SIGNATURE_MAX];
    size_t len = sizeof signature;
    enum status status = header_hash(message, names, count, form, unfinished, hash);
    if (status != STATUS_OK) {
        return status;
    }
    bool fits =
        EVP_PKEY_get_base_id(key) == (algorithm == DKIM_ED25519_SHA256 ? EVP_PKEY_ED25519 : EVP_PKEY_RSA);
    if (!fits || !sign_hash(algorithm, key, hash, signature, &len)) {
        ERR_clear_error();
        return STATUS_CRYPTO;
    }
    return base64_encode(slice_of(signature, len), base64);
}

/* --- the field --- */

static enum status names_add(struct slice *names, size_t *count, struct slice name)
{
    if (*count == DKIM_NAMES_MAX) {
        return STATUS_TOO_LARGE;
    }
    names[(*count)++] = name;
    return STATUS_OK;
}

static enum status names_choose(const struct entity *message, struct slice *names, size_t *count)
{
    enum status status = STATUS_OK;
    *count = 0;
    for (size_t i = 0; i < sizeof signed_fields / sizeof signed_fields[0]; i++) {
        size_t there = entity_field_count(message, signed_fields[i].name);
        bool more = (signed_fields[i].oversign & OVERSIGN_ALWAYS) != 0 ||
                    ((signed_fields[i].oversign & OVERSIGN_PRESENT) != 0 && there > 0);
        for (size_t n = 0; n < there + more && status == STATUS_OK; n++) {
            status = names_add(names, count, slice_of_text(signed_fields[i].name));
        }
    }
    return status;
}

/* "h=a:b:c", folded behind colons. */
static enum status names_append(const struct slice *names, size_t count, struct buf *out)
{
    size_t line = 3;
    enum status status = buf_append_text(out, "\r\n\th=");
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        if (i > 0 && line + names[i].len + 2 > LINE_MAX_WANTED) {
            status = buf_append_text(out, ":\r\n\t ");
            line = 2;
        } else if (i > 0) {
            status = buf_append_byte(out, ':');
            line++;
        }
        line += names[i].len;
        status = status == STATUS_OK ? buf_append_slice(out, names[i]) : status;
    }
    return status == STATUS_OK ? buf_append_byte(out, ';') : status;
}

static enum status unfinished_append(const struct dkim_signer *signer, const struct dkim_options *o,
                                     const struct slice *names, size_t count, struct slice body_hash,
                                     struct buf *out)
{
    static const char *const forms[] = {"simple", "relaxed"};
    enum status status = buf_printf(out, "DKIM-Signature: v=1; a=%s; c=%s/%s;\r\n\td=%.*s;\r\n\ts=%.*s;",
                                    dkim_algorithm_name(signer->algorithm), forms[o->header], forms[o->body],
                                    SLICE_ARGS(signer->domain), SLICE_ARGS(signer->selector));
    if (status == STATUS_OK && o->time_s > 0) {
        status = buf_printf(out, " t=%llu;", (unsigned long long)o->time_s);
    }
    if (status == STATUS_OK && o->until_s > 0) {
        status = buf_printf(out, " x=%llu;", (unsigned long long)o->until_s);
    }
    if (status == STATUS_OK) {
        status = names_append(names, count, out);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n\tbh=");
    }
    if (status == STATUS_OK) {
        status = base64_encode(body_hash, out);
    }
    return status == STATUS_OK ? buf_append_text(out, ";\r\n\tb=") : status;
}

static enum status signature_fold(struct slice base64, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t at = 0; at < base64.len && status == STATUS_OK; at += BASE64_PIECE) {
        size_t left = base64.len - at;
        status = at > 0 ? buf_append_text(out, "\r\n\t ") : STATUS_OK;
        if (status == STATUS_OK) {
            status = buf_append(out, base64.data + at, left < BASE64_PIECE ? left : BASE64_PIECE);
        }
    }
    return status == STATUS_OK ? buf_append_text(out, "\r\n") : status;
}

static enum status field_append(const struct entity *message, const struct dkim_signer *signer,
                                const struct dkim_options *o, const struct slice *names, size_t count,
                                const uint8_t body_hash[32], struct buf *out)
{
    struct buf field = BUF_INIT(FIELD_MAX), signature = BUF_INIT(2 * SIGNATURE_MAX);
    enum status status = unfinished_append(signer, o, names, count, slice_of(body_hash, 32), &field);
    if (status == STATUS_OK) {
        status = dkim_signature(message, names, count, o->header, buf_slice(&field), signer->algorithm,
                                signer->key, &signature);
    }
    if (status == STATUS_OK) {
        status = signature_fold(buf_slice(&signature), &field);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(out, buf_slice(&field));
    }
    buf_release(&field);
    buf_release(&signature);
    return status;
}

enum status dkim_sign(const struct entity *message, const struct dkim_signer *signers, size_t count,
                      const struct dkim_options *options, struct buf *out, struct failure *f)
{
    struct slice names[DKIM_NAMES_MAX];
    uint8_t body_hash[32];
    size_t name_count = 0;
    enum status status = names_choose(message, names, &name_count);
    if (status != STATUS_OK) {
        return failure_set(f, status, "DKIM: the message has more than %d fields to sign", DKIM_NAMES_MAX);
    }
    status = dkim_body_hash(message->body, options->body, body_hash);
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = field_append(message, &signers[i], options, names, name_count, body_hash, out);
    }
    return status == STATUS_OK
               ? status
               : failure_set(f, status, "the message could not be signed by DKIM: %s", status_text(status));
}
