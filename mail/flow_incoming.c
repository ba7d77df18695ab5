/*
 * What comes in for internal recipients: decrypted, verified, and marked with what was found.
 *
 * Only a message that is encrypted as a whole is opened (mail/shape.c), and for a recipient only with keys of
 * that recipient's own certificates, each tried by itself: a recipient info that somebody added to a captured
 * message must not give its plain text to another internal recipient. Old and expired certificates' keys open
 * old mail. Recipients whose keys gave the same plain text share a variant.
 *
 * A signature is judged against the address in the outer From field. What cannot be opened is delivered as it
 * came and marked as failed (decrypt.on_failure=deliver). A clear-signed part, and a message that was not
 * encrypted, keep every byte; only the X-Sealpost-* fields change. Pure; one thread. Plain text is wiped.
 */
#include "mail/flow_internal.h"

#include "mail/mime_text.h"
#include "mail/seven_bit.h"

/* --- verifying --- */

static enum status run_verify(struct flow *fl, const struct shape *shape, struct slice signed_part,
                              struct verdict *v)
{
    struct smime_verified result = {0};
    bool detached = shape->kind == SHAPE_SMIME_CLEAR_SIGNED;
    enum status status = smime_verify(buf_slice(&shape->cms), signed_part, detached, slice_of_text(fl->from),
                                      fl->env->trust, fl->job->now_ms, fl->arena, &result);
    if (status == STATUS_OK) {
        v->verdict = result.verdict;
        memcpy(v->signer, result.signer, sizeof v->signer);
        memcpy(v->reason, result.reason, sizeof v->reason);
    }
    smime_verified_release(&result);
    return status;
}

static enum status verify_shape(struct flow *fl, const struct shape *shape, struct verdict *v)
{
    *v = (struct verdict){.done = true, .verdict = SMIME_NONE, .protocol = ""};
    if (shape->kind == SHAPE_PGP_SIGNED) {
        v->verdict = SMIME_UNKNOWN;
        v->protocol = "pgp";
        return STATUS_OK;
    }
    if (shape->kind != SHAPE_SMIME_CLEAR_SIGNED && shape->kind != SHAPE_SMIME_OPAQUE_SIGNED) {
        return STATUS_OK;
    }
    v->protocol = "smime";
    v->verdict = SMIME_INVALID;
    if (shape->cms.len == 0 || (shape->kind == SHAPE_SMIME_CLEAR_SIGNED && shape->signed_part.data == NULL)) {
        return STATUS_OK; /* claims to be signed, and has not the form of it */
    }
    enum status status = run_verify(fl, shape, shape->signed_part, v);
    if (status == STATUS_OK && v->verdict == SMIME_INVALID && mime_has_bare_line_end(shape->signed_part)) {
        /* What was decrypted may have other line ends than those that were signed (RFC 8551 section 3.1.1).
         */
        struct buf canonical = BUF_INIT(shape->signed_part.len * 2 + 16);
        canonical.wipe = true;
        status = entity_make_sendable(shape->signed_part, SENDABLE_8BIT, SIGNED_PART_STAYS, fl->arena,
                                      &canonical, NULL);
        if (status == STATUS_OK) {
            status = run_verify(fl, shape, buf_slice(&canonical), v);
        }
        buf_release(&canonical);
    }
    if (status != STATUS_OK && !status_retryable(status)) { /* broken CMS: the signature is no good */
        v->verdict = SMIME_INVALID;
        status = STATUS_OK;
    }
    return status;
}

/* --- opening --- */

struct own_key {
    size_t recipient;
    uint8_t thumbprint[THUMBPRINT_SIZE];
    size_t outcome; /* OUTCOME_AS_IT_CAME: not tried yet */
};

struct key_search {
    struct flow *fl;
    size_t recipient;
    struct own_key *keys;
    struct slice *certificates;
    size_t count, capacity;
    bool failed;
};

static bool keep_own_key(void *context, const struct certificate_record *record)
{
    struct key_search *s = context;
    struct arena *a = s->fl->arena;
    if (!store_has_key(s->fl->env->view, record->thumbprint)) {
        return true;
    }
    if (s->count == s->capacity) {
        size_t more = s->capacity == 0 ? 16 : s->capacity * 2;
        struct own_key *keys = arena_alloc_array(a, more, sizeof keys[0]);
        struct slice *certificates = arena_alloc_array(a, more, sizeof certificates[0]);
        if (keys == NULL || certificates == NULL) {
            s->failed = true;
            return false;
        }
        if (s->count > 0) {
            memcpy(keys, s->keys, s->count * sizeof keys[0]);
            memcpy(certificates, s->certificates, s->count * sizeof certificates[0]);
        }
        s->keys = keys;
        s->certificates = certificates;
        s->capacity = more;
    }
    s->keys[s->count].recipient = s->recipient;
    s->keys[s->count].outcome = OUTCOME_AS_IT_CAME;
    memcpy(s->keys[s->count].thumbprint, record->thumbprint, THUMBPRINT_SIZE);
    s->certificates[s->count++] = record->der;
    return true;
}

static bool is_for_opening(const struct flow *fl, size_t i)
{
    return fl->decision.recipients[i].direction == POLICY_INCOMING && fl->decision.recipients[i].smime;
}

static enum status keys_of_recipients(struct flow *fl, struct key_search *s, struct failure *f)
{
    *s = (struct key_search){.fl = fl};
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        if (!is_for_opening(fl, i)) {
            continue;
        }
        s->recipient = i;
        enum status status = store_certificates_for(fl->env->view, fl->addresses[i], keep_own_key, s);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
            return failure_set(f, status, "the certificates of a recipient could not be read");
        }
        if (s->failed) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for keys");
        }
    }
    return STATUS_OK;
}

/* Takes `plain`, unless the same text was opened before. The outcome, or an error in memory. */
static enum status opened_add(struct flow *fl, struct smime_decrypted *plain, size_t *outcome)
{
    for (size_t i = 0; i < fl->opened_count; i++) {
        if (slice_equal(buf_slice(&fl->opened[i].plain.entity), buf_slice(&plain->entity))) {
            *outcome = OUTCOME_OPENED + i;
            return STATUS_OK;
        }
    }
    if (fl->opened_count == fl->opened_capacity) {
        size_t more = fl->opened_capacity == 0 ? 4 : fl->opened_capacity * 2;
        struct opened *grown = arena_alloc_array(fl->arena, more, sizeof grown[0]);
        if (grown == NULL) {
            return STATUS_NO_MEMORY;
        }
        if (fl->opened_count > 0) {
            memcpy(grown, fl->opened, fl->opened_count * sizeof grown[0]);
        }
        fl->opened = grown;
        fl->opened_capacity = more;
    }
    struct opened *o = &fl->opened[fl->opened_count];
    *o = (struct opened){.plain = *plain};
    *plain = (struct smime_decrypted){0};
    struct failure f = {.status = STATUS_OK};
    enum status status = entity_read(buf_slice(&o->plain.entity), fl->arena, &o->inner, &f);
    if (status == STATUS_OK) {
        status = shape_of(&o->inner, fl->arena, &o->shape, &f);
    }
    if (status == STATUS_OK) {
        status = unpack(fl, &o->inner, &o->shape, &o->unpacked, &f);
    }
    if (status != STATUS_OK) {
        shape_release(&o->shape);
        buf_release(&o->unpacked);
        smime_decrypted_release(&o->plain);
        if (status == STATUS_TOO_LARGE) { /* a plain text beyond the limits stays closed */
            *outcome = OUTCOME_CLOSED;
            return STATUS_OK;
        }
        return status;
    }
    *outcome = OUTCOME_OPENED + fl->opened_count++;
    return STATUS_OK;
}

static enum status open_with(struct flow *fl, struct own_key *own, struct slice certificate,
                             struct failure *f)
{
    struct slice sealed;
    EVP_PKEY *key = NULL;
    struct smime_decrypted plain = {0};
    own->outcome = OUTCOME_CLOSED;
    enum status status = store_key_get(fl->env->view, own->thumbprint, &sealed);
    if (status == STATUS_OK) {
        status = known_key_open(fl->env->known, fl->env->keys, own->thumbprint, sealed, &key, f);
    }
    if (status != STATUS_OK) { /* our own trouble, not the message's: try again later */
        return failure_set(f, status_retryable(status) ? status : STATUS_UNAVAILABLE,
                           "a private key could not be opened");
    }
    struct smime_key one = {.key = key, .certificate = certificate};
    struct failure reason = {.status = STATUS_OK};
    status = smime_decrypt(buf_slice(&fl->outer->cms), &one, 1, &plain, &reason);
    EVP_PKEY_free(key);
    if (status == STATUS_OK) {
        status = opened_add(fl, &plain, &own->outcome);
    } else if (status != STATUS_NO_MEMORY) {
        status = STATUS_OK; /* closed, whatever the reason: the sender learns nothing from it */
    }
    smime_decrypted_release(&plain);
    return status == STATUS_OK ? STATUS_OK : failure_set(f, status, "no memory to decrypt a message");
}

/* Two recipients may own the same certificate: it is tried once. */
static const struct own_key *tried_before(const struct key_search *s, size_t upto)
{
    for (size_t i = 0; i < upto; i++) {
        if (s->keys[i].outcome != OUTCOME_AS_IT_CAME &&
            memcmp(s->keys[i].thumbprint, s->keys[upto].thumbprint, THUMBPRINT_SIZE) == 0) {
            return &s->keys[i];
        }
    }
    return NULL;
}

static bool anybody_is_for_opening(const struct flow *fl)
{
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        if (is_for_opening(fl, i)) {
            return true;
        }
    }
    return false;
}

/* A message that is compressed as a whole: what is in it is opened in its place, or is what is delivered. */
static enum status unpack_outer(struct flow *fl, struct failure *f)
{
    struct entity inner;
    fl->outer = &fl->shape;
    if (fl->shape.kind != SHAPE_SMIME_COMPRESSED || !anybody_is_for_opening(fl)) {
        return STATUS_OK;
    }
    enum status status = shape_of(&fl->message, fl->arena, &fl->unpacked_shape, f);
    if (status == STATUS_OK) {
        status = unpack(fl, &inner, &fl->unpacked_shape, &fl->unpacked, f);
    }
    if (status != STATUS_OK || fl->unpacked_shape.kind == SHAPE_SMIME_COMPRESSED) {
        return status;
    }
    fl->outer = &fl->unpacked_shape;
    if (fl->outer->kind == SHAPE_SMIME_ENCRYPTED) {
        return STATUS_OK;
    }
    struct smime_decrypted plain = {.entity = fl->unpacked};
    size_t outcome = OUTCOME_AS_IT_CAME;
    fl->unpacked = (struct buf){0};
    status = opened_add(fl, &plain, &outcome);
    smime_decrypted_release(&plain);
    for (size_t i = 0; i < fl->job->recipient_count && status == STATUS_OK; i++) {
        if (is_for_opening(fl, i) && outcome >= OUTCOME_OPENED) {
            fl->outcome_of[i] = outcome;
        }
    }
    return status;
}

enum status incoming_open(struct flow *fl, struct failure *f)
{
    struct key_search s;
    enum status status = unpack_outer(fl, f);
    if (status != STATUS_OK || fl->outer->kind != SHAPE_SMIME_ENCRYPTED) {
        return status;
    }
    status = keys_of_recipients(fl, &s, f);
    if (status != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        fl->outcome_of[i] = is_for_opening(fl, i) ? OUTCOME_CLOSED : OUTCOME_AS_IT_CAME;
    }
    if (s.count == 0) {
        return STATUS_OK;
    }
    bool *fits = arena_alloc_array(fl->arena, s.count, sizeof fits[0]);
    if (fits == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for keys");
    }
    status = smime_recipients(buf_slice(&fl->outer->cms), s.certificates, s.count, fits);
    if (status != STATUS_OK) {
        return status_retryable(status) && status != STATUS_CRYPTO
                   ? failure_set(f, status, "a message could not be read")
                   : STATUS_OK;
    }
    for (size_t i = 0; i < s.count; i++) {
        if (!fits[i] || fl->outcome_of[s.keys[i].recipient] >= OUTCOME_OPENED) {
            continue;
        }
        const struct own_key *before = tried_before(&s, i);
        if (before != NULL) {
            s.keys[i].outcome = before->outcome;
        } else if ((status = open_with(fl, &s.keys[i], s.certificates[i], f)) != STATUS_OK) {
            return status;
        }
        fl->outcome_of[s.keys[i].recipient] = s.keys[i].outcome;
    }
    return STATUS_OK;
}

void incoming_release(struct flow *fl)
{
    for (size_t i = 0; i < fl->opened_count; i++) {
        shape_release(&fl->opened[i].shape);
        buf_release(&fl->opened[i].unpacked);
        smime_decrypted_release(&fl->opened[i].plain);
    }
    fl->opened_count = 0;
    shape_release(&fl->unpacked_shape);
    buf_release(&fl->unpacked);
}

/* --- composing what is delivered --- */

static void trace_verdict(struct flow *fl, const struct verdict *v)
{
    json_open_object(&fl->trace, "signature");
    json_put_text(&fl->trace, "verdict", slice_of_text(smime_verdict_name(v->verdict)));
    if (v->signer[0] != '\0') {
        json_put_text(&fl->trace, "signer", slice_of_text(v->signer));
    }
    if (v->reason[0] != '\0') {
        json_put_text(&fl->trace, "reason", slice_of_text(v->reason));
    }
    json_close_object(&fl->trace);
}

static enum status opened_compose(struct flow *fl, struct opened *o, struct buf *content, bool *needs_8bit,
                                  struct failure *f)
{
    struct slice bytes = o->inner.bytes;
    struct buf sendable = BUF_INIT(bytes.len * 4 + 65536);
    bool decrypted = o->plain.cipher[0] != '\0';
    struct entity inner = o->inner;
    enum status status = STATUS_OK;
    sendable.wipe = true;
    if (!o->verdict.done) {
        status = verify_shape(fl, &o->shape, &o->verdict);
    }
    if (status == STATUS_OK && !entity_is_sendable(bytes, SENDABLE_8BIT)) {
        status = entity_make_sendable(bytes, SENDABLE_8BIT, SIGNED_PART_STAYS, fl->arena, &sendable, f);
        if (status == STATUS_OK) {
            status = entity_read(buf_slice(&sendable), fl->arena, &inner, f);
        }
    }
    if (status == STATUS_OK) {
        status = buf_reserve(content, fl->message.header.len + inner.bytes.len + 2048);
    }
    if (status == STATUS_OK) {
        status = compose_verdict(&o->verdict, decrypted ? "decrypted" : "none", decrypted ? "smime" : "",
                                 o->plain.cipher, o->plain.weak, content);
    }
    if (status == STATUS_OK) {
        status = compose_fields(&fl->message, COMPOSE_WITHOUT_CONTENT | COMPOSE_WITHOUT_JUNK, content);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(content, "MIME-Version: 1.0\r\n");
    }
    for (size_t i = 0; i < inner.field_count && status == STATUS_OK; i++) {
        const struct header_field *field = &inner.fields[i];
        if (field_is_of_content(field) && !slice_equal_nocase(field->name, SLICE_LITERAL("MIME-Version"))) {
            status = buf_append_slice(content, field->whole);
        }
    }
    if (status == STATUS_OK &&
        content->data[content->len - 1] != '\n') { /* the plain text ended within its header */
        status = buf_append_text(content, "\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_text(content, "\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(content, inner.body);
        *needs_8bit = mime_has_8bit(inner.body);
    }
    buf_release(&sendable);
    return status;
}

enum status incoming_make(struct flow *fl, const struct flow_group *group, struct job_variant *v,
                          struct buf *content, struct failure *f)
{
    enum status status = STATUS_OK;
    if (group->outcome >= OUTCOME_OPENED) {
        struct opened *o = &fl->opened[group->outcome - OUTCOME_OPENED];
        bool decrypted = o->plain.cipher[0] != '\0';
        content->wipe = true;
        v->protection = slice_of_text(decrypted ? "decrypted" : "none");
        status = opened_compose(fl, o, content, &v->needs_8bit, f);
        json_put_text(&fl->trace, "encryption", slice_of_text(decrypted ? "decrypted" : "none"));
        if (decrypted) {
            json_put_text(&fl->trace, "cipher", slice_of_text(o->plain.cipher));
        }
        trace_verdict(fl, &o->verdict);
        return status;
    }
    struct verdict none = {.done = true, .verdict = SMIME_NONE, .protocol = ""};
    const struct verdict *verdict = &none;
    bool closed = group->smime && shape_is_encrypted(fl->outer);
    if (group->smime) {
        if (!fl->verdict.done) {
            status = verify_shape(fl, &fl->shape, &fl->verdict);
        }
        verdict = &fl->verdict;
    }
    v->protection = SLICE_LITERAL("none");
    v->needs_8bit = mime_has_8bit(fl->message.body);
    json_put_text(&fl->trace, "encryption", slice_of_text(closed ? "failed" : "none"));
    trace_verdict(fl, verdict);
    if (status == STATUS_OK) {
        status = buf_reserve(content, fl->message.bytes.len + 1024);
    }
    if (status == STATUS_OK) {
        const char *protocol = !closed ? "" : fl->outer->kind == SHAPE_PGP_ENCRYPTED ? "pgp" : "smime";
        status = compose_verdict(verdict, closed ? "failed" : "none", protocol, "", false, content);
    }
    return status == STATUS_OK ? compose_message(&fl->message, content) : status;
}
