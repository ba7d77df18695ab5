/*
 * What comes in for internal recipients: decrypted, verified, and marked with what was found.
 *
 * When all goes well: the layers are read once without any key (mail/layers.c). If that ends at something
 * encrypted, they are read again for each recipient with only the keys of that recipient's own certificates,
 * each tried by itself: a recipient info that somebody added to a captured message must not give its plain
 * text to another internal recipient. Old and expired certificates' keys open old mail. Recipients whose keys
 * showed the same share a variant. What the layers mean together is said in incoming_judge.c, what is written
 * in incoming_compose.c.
 *
 * What cannot be opened, or has a bad signature, is delivered and marked, put aside or refused, as the
 * recipient's settings say. Refused is all that the sender learns: how a decryption failed is said nowhere.
 * Pure; one thread. Plain text is wiped.
 */
#include "mail/flow_internal.h"

#include "mail/policy_internal.h"

/* --- settings --- */

/* values[0]: the global ones; values[1]: room for the recipient's. */
static enum status options_read(struct flow *fl, struct setting_values *all, size_t i, struct failure *f)
{
    struct incoming_options *o = &fl->options_of[i];
    struct setting_values *values = &all[1];
    enum status status = settings_resolve(fl->env->view, fl->addresses[i], &all[0], values);
    if (status != STATUS_OK) {
        return failure_set(f, status, "the settings of a recipient could not be read");
    }
    o->tags = setting_bool(&values->of[SETTING_INCOMING_SUBJECT_TAGS]);
    o->banner = setting_bool(&values->of[SETTING_INCOMING_BANNER]);
    o->remove_signature = (uint8_t)setting_choice(&values->of[SETTING_SMIME_REMOVE_SIGNATURE]);
    o->on_failure = (uint8_t)setting_choice(&values->of[SETTING_DECRYPT_ON_FAILURE]);
    o->on_invalid = (uint8_t)setting_choice(&values->of[SETTING_VERIFY_ON_INVALID]);
    o->unauthenticated = (uint8_t)setting_choice(&values->of[SETTING_DECRYPT_UNAUTHENTICATED]);
    o->replies = setting_bool(&values->of[SETTING_ENCRYPT_REPLIES]) ? address_domain(fl->addresses[i])
                                                                    : SLICE_LITERAL("");
    return STATUS_OK;
}

bool incoming_options_agree(const struct incoming_options *a, const struct incoming_options *b)
{
    return a->tags == b->tags && a->banner == b->banner && a->remove_signature == b->remove_signature &&
           a->on_failure == b->on_failure && a->on_invalid == b->on_invalid &&
           a->unauthenticated == b->unauthenticated && slice_equal(a->replies, b->replies);
}

/* --- keys --- */

struct own_key {
    uint8_t thumbprint[THUMBPRINT_SIZE];
};

/* A recipient's keys. */
struct key_ring {
    struct flow *fl;
    struct own_key *keys;
    struct slice *certificates;
    size_t count, capacity;
    bool failed;
};

static bool keep_own_key(void *context, const struct certificate_record *record)
{
    struct key_ring *s = context;
    struct arena *a = s->fl->arena;
    if (!store_has_key(s->fl->env->view, record->thumbprint)) {
        return true;
    }
    if (s->count == s->capacity) {
        size_t more = s->capacity == 0 ? 8 : s->capacity * 2;
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
    memcpy(s->keys[s->count].thumbprint, record->thumbprint, THUMBPRINT_SIZE);
    s->certificates[s->count++] = record->der;
    return true;
}

static bool keep_bound_key(void *context, const struct certificate_record *record, uint64_t flags)
{
    struct key_ring *s = context;
    (void)flags;
    for (size_t i = 0; i < s->count; i++) {
        if (memcmp(s->keys[i].thumbprint, record->thumbprint, THUMBPRINT_SIZE) == 0) {
            return true;
        }
    }
    return keep_own_key(context, record);
}

static enum status key_ring_of(struct flow *fl, struct slice address, struct key_ring *s, struct failure *f)
{
    *s = (struct key_ring){.fl = fl};
    struct store_view *view = fl->env->view;
    enum status status = store_certificates_for(view, address, keep_own_key, s);
    if (status == STATUS_OK || status == STATUS_NOT_FOUND) {
        status = store_bindings_for(view, address, keep_bound_key, s);
    }
    if (status == STATUS_OK) { /* our domain's own certificate stands for each address of it */
        status = store_domain_bindings(view, address_domain(address), keep_bound_key, s);
    }
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        return failure_set(f, status, "the certificates of a recipient could not be read");
    }
    return s->failed ? failure_set(f, STATUS_NO_MEMORY, "no memory for keys") : STATUS_OK;
}

static bool key_rings_equal(const struct key_ring *a, const struct key_ring *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->keys, b->keys, a->count * sizeof a->keys[0]) == 0);
}

static enum status open_with(struct flow *fl, const struct own_key *own, struct slice certificate,
                             struct slice cms, struct smime_decrypted *plain, struct failure *f)
{
    struct slice sealed;
    EVP_PKEY *key = NULL;
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
    status = smime_decrypt(cms, &one, 1, plain, &reason);
    EVP_PKEY_free(key);
    if (status == STATUS_NO_MEMORY) {
        return failure_set(f, status, "no memory to decrypt a message");
    }
    return status == STATUS_OK ? status : STATUS_NO_KEY; /* whatever the reason: nobody learns it */
}

/* layer_open_cb with a key_ring. */
static enum status open_layer(void *context, struct slice cms, struct smime_decrypted *plain,
                              struct failure *f)
{
    struct key_ring *s = context;
    bool *fits = arena_alloc_array(s->fl->arena, s->count + 1, sizeof fits[0]);
    if (fits == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for keys");
    }
    enum status status = smime_recipients(cms, s->certificates, s->count, fits);
    if (status != STATUS_OK) {
        return status_retryable(status) && status != STATUS_CRYPTO
                   ? failure_set(f, status, "a message could not be read")
                   : STATUS_NO_KEY;
    }
    status = STATUS_NO_KEY;
    for (size_t i = 0; i < s->count && status == STATUS_NO_KEY; i++) {
        if (fits[i]) {
            status = open_with(s->fl, &s->keys[i], s->certificates[i], cms, plain, f);
        }
    }
    return status;
}

/* --- reading --- */

static bool is_for_opening(const struct flow *fl, size_t i)
{
    return fl->decision.recipients[i].direction == POLICY_INCOMING && fl->decision.recipients[i].smime &&
           !fl->is_refused[i];
}

/* Whoever wants to learn certificates from mail: of a signature that is within all encryption, holds, and is
 * the From address's own. A domain's certificate is no address's. */
static void tell_signature(struct flow *fl, const struct received *r)
{
    const struct verdict *v = &r->verdict;
    size_t decrypted = layers_decrypted(&r->layers), at = r->layers.count, count = 0;
    struct slice *recipients =
        fl->env->signature == NULL
            ? NULL
            : arena_alloc_array(fl->arena, fl->job->recipient_count, sizeof recipients[0]);
    while (at > decrypted && r->layers.list[at - 1].kind != LAYER_SIGNED) {
        at--;
    }
    if (recipients == NULL || at == decrypted || v->domain || strcmp(v->signer, fl->from) != 0 ||
        (v->verdict != SMIME_VALID && v->verdict != SMIME_UNTRUSTED)) {
        return;
    }
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        if (is_for_opening(fl, i)) {
            recipients[count++] = fl->addresses[i];
        }
    }
    fl->env->signature(fl->env->signature_context,
                       &(struct mail_signature){.view = fl->env->view,
                                                .cms = buf_slice(&r->layers.list[at - 1].shape.cms),
                                                .from = slice_of_text(fl->from),
                                                .trusted = v->verdict == SMIME_VALID,
                                                .capabilities = v->capabilities,
                                                .recipients = recipients,
                                                .recipient_count = count});
}

static enum status received_add(struct flow *fl, struct key_ring *ring, struct received **out,
                                struct failure *f)
{
    if (fl->received_count == fl->received_capacity) {
        size_t more = fl->received_capacity == 0 ? 4 : fl->received_capacity * 2;
        struct received **grown = arena_alloc_array(fl->arena, more, sizeof(struct received *));
        if (grown == NULL) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory to decrypt a message");
        }
        if (fl->received_count > 0) {
            memcpy(grown, fl->received, fl->received_count * sizeof(struct received *));
        }
        fl->received = grown;
        fl->received_capacity = more;
    }
    struct received *r = arena_alloc(fl->arena, sizeof *r);
    if (r == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory to decrypt a message");
    }
    struct layers_reading reading = {.view = fl->env->view,
                                     .trust = fl->env->trust,
                                     .env = fl->env,
                                     .now_ms = fl->job->now_ms,
                                     .from = slice_of_text(fl->from),
                                     .unpack_max = fl->content_max / 2, /* line ends need room too */
                                     .arena = fl->arena,
                                     .open = ring != NULL ? open_layer : NULL,
                                     .context = ring};
    fl->received[fl->received_count++] = r;
    enum status status = layers_read(&reading, &fl->message, &fl->shape, &r->layers, f);
    if (status == STATUS_OK) {
        status = incoming_judge(fl, &reading, r, f);
    }
    if (status == STATUS_OK) {
        tell_signature(fl, r);
    }
    *out = r;
    return status;
}

static bool received_equal(const struct received *a, const struct received *b)
{
    return a->opened == b->opened && a->layers.count == b->layers.count && a->layers.end == b->layers.end &&
           slice_equal(a->layers.payload.bytes, b->layers.payload.bytes) &&
           a->verdict.verdict == b->verdict.verdict &&
           (!a->opened || slice_equal(a->layers.list[layers_decrypted(&a->layers) - 1].inner.bytes,
                                      b->layers.list[layers_decrypted(&b->layers) - 1].inner.bytes));
}

/* Forgets the newest when another shows the same; the position of what stays. */
static size_t received_settle(struct flow *fl)
{
    struct received *newest = fl->received[fl->received_count - 1];
    for (size_t i = 0; i + 1 < fl->received_count; i++) {
        if (received_equal(fl->received[i], newest)) {
            layers_release(&newest->layers);
            fl->received_count--;
            return i;
        }
    }
    return fl->received_count - 1;
}

/* One opening more; TOO_LARGE when they cost more than a job may. */
static enum status opening_counted(const struct flow *fl, size_t *spent, struct failure *f)
{
    size_t max = fl->env->open_max > 0 ? fl->env->open_max : OPEN_MAX, size = fl->message.bytes.len;
    if (*spent > 0 && (size > max || *spent > max - size)) { /* the first is always allowed */
        return failure_set(
            f, STATUS_TOO_LARGE,
            "the message is encrypted to too many recipients with keys of their own for its size: "
            "send it to at most %zu of them at a time",
            size > max ? 1 : max / size);
    }
    *spent += size;
    return STATUS_OK;
}

/* Each recipient with a ring of keys; those with the same ring find the same. */
static enum status open_for_each(struct flow *fl, struct failure *f)
{
    size_t spent = 0;
    struct key_ring *rings = arena_alloc_array(fl->arena, fl->job->recipient_count, sizeof rings[0]);
    if (rings == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for keys");
    }
    for (size_t i = 0; i < fl->job->recipient_count; i++) {
        struct received *r;
        size_t same = 0;
        if (!is_for_opening(fl, i)) {
            continue;
        }
        enum status status = key_ring_of(fl, fl->addresses[i], &rings[i], f);
        if (status != STATUS_OK || rings[i].count == 0) {
            if (status != STATUS_OK) {
                return status;
            }
            continue;
        }
        while (same < i && !(is_for_opening(fl, same) && key_rings_equal(&rings[same], &rings[i]))) {
            same++;
        }
        if (same < i) {
            fl->outcome_of[i] = fl->outcome_of[same];
            continue;
        }
        status = opening_counted(fl, &spent, f);
        if (status == STATUS_OK) {
            status = received_add(fl, &rings[i], &r, f);
        }
        if (status != STATUS_OK) {
            return status;
        }
        fl->outcome_of[i] = received_settle(fl);
    }
    return STATUS_OK;
}

enum status incoming_open(struct flow *fl, struct failure *f)
{
    struct setting_values *values = NULL;
    struct received *plain = NULL;
    bool any = false;
    enum status status = STATUS_OK;
    for (size_t i = 0; i < fl->job->recipient_count && status == STATUS_OK; i++) {
        if (fl->decision.recipients[i].direction != POLICY_INCOMING) {
            continue;
        }
        any = any || is_for_opening(fl, i);
        if (values == NULL) {
            values = arena_alloc_array(fl->arena, 2, sizeof *values);
            status = values == NULL ? failure_set(f, STATUS_NO_MEMORY, "no memory for settings")
                                    : settings_resolve(fl->env->view, SLICE_LITERAL(""), NULL, &values[0]);
        }
        if (status == STATUS_OK) {
            status = options_read(fl, values, i, f);
        }
    }
    if (status == STATUS_OK && any) {
        status = received_add(fl, NULL, &plain, f);
    }
    if (status == STATUS_OK && plain != NULL && plain->layers.end == LAYERS_CLOSED &&
        strcmp(plain->layers.closed, "smime") == 0) {
        status = open_for_each(fl, f);
    }
    return status;
}

void incoming_release(struct flow *fl)
{
    for (size_t i = 0; i < fl->received_count; i++) {
        layers_release(&fl->received[i]->layers);
    }
    fl->received_count = 0;
}

/* --- delivering --- */

static void trace_received(struct flow *fl, const struct received *r)
{
    const struct verdict *v = &r->verdict;
    json_put_text(&fl->trace, "encryption",
                  slice_of_text(r->opened   ? "decrypted"
                                : r->failed ? "failed"
                                            : "none"));
    json_open_array(&fl->trace, "layers");
    for (size_t i = 0; i < r->layers.count; i++) {
        const struct layer *layer = &r->layers.list[i];
        json_open_object(&fl->trace, NULL);
        if (layer->kind == LAYER_ENCRYPTED) {
            json_put_text(&fl->trace, "encrypted", slice_of_text(layer->plain.cipher));
        } else if (layer->kind == LAYER_COMPRESSED) {
            json_put_bool(&fl->trace, "compressed", true);
        } else {
            json_put_text(&fl->trace, "signed", slice_of_text(smime_verdict_name(layer->verdict.verdict)));
        }
        json_close_object(&fl->trace);
    }
    json_close_array(&fl->trace);
    if (r->opened) {
        json_put_text(&fl->trace, "cipher",
                      slice_of_text(r->layers.list[layers_decrypted(&r->layers) - 1].plain.cipher));
        json_put_bool(&fl->trace, "authenticated", r->authenticated);
    }
    json_open_object(&fl->trace, "signature");
    json_put_text(&fl->trace, "verdict", slice_of_text(smime_verdict_name(v->verdict)));
    if (v->signer[0] != '\0') {
        json_put_text(&fl->trace, "signer", slice_of_text(v->signer));
    }
    if (v->domain) {
        json_put_bool(&fl->trace, "domain", true);
    }
    if (v->covers[0] != '\0') {
        json_put_text(&fl->trace, "covers", slice_of_text(v->covers));
    }
    if (v->reason[0] != '\0') {
        json_put_text(&fl->trace, "reason", slice_of_text(v->reason));
    }
    json_close_object(&fl->trace);
}

static bool is_bad(enum smime_verdict verdict)
{
    return verdict == SMIME_INVALID || verdict == SMIME_REVOKED || verdict == SMIME_MISMATCH;
}

/* What the recipients' settings want of a message like this. The texts say nothing of why. */
static enum status apply_options(struct flow *fl, const struct received *r, const struct incoming_options *o,
                                 struct job_variant *v, struct failure *f)
{
    bool closed = r->failed && strcmp(r->layers.closed, "pgp") != 0;
    const char *signature = smime_verdict_name(r->verdict.verdict);
    if (closed && o->on_failure == REFUSE_IT) {
        return failure_set(f, STATUS_POLICY, "the message could not be decrypted (decrypt.on_failure)");
    }
    if (is_bad(r->verdict.verdict) && o->on_invalid == REFUSE_IT) {
        return failure_set(f, STATUS_POLICY,
                           "the signature of the message is not accepted: %s "
                           "(verify.on_invalid)",
                           signature);
    }
    if (r->opened && !r->authenticated && o->unauthenticated == UNAUTHENTICATED_REFUSE) {
        return failure_set(f, STATUS_POLICY,
                           "encrypted mail without a signature is accepted only with AES-GCM "
                           "(decrypt.unauthenticated)");
    }
    bool aside_closed = closed && o->on_failure == PUT_ASIDE;
    bool aside_invalid = is_bad(r->verdict.verdict) && o->on_invalid == PUT_ASIDE;
    v->quarantine = aside_closed || aside_invalid;
    if (!v->quarantine) {
        return STATUS_OK;
    }
    return aside_closed ? reason_set(fl->arena, &v->quarantine_reason,
                                     "the message could not be decrypted (decrypt.on_failure)")
                        : reason_set(fl->arena, &v->quarantine_reason,
                                     "the signature is %s (verify.on_invalid)", signature);
}

enum status incoming_make(struct flow *fl, const struct flow_group *group, struct job_variant *v,
                          struct buf *content, struct failure *f)
{
    const struct received *r = group->smime ? fl->received[group->outcome] : NULL;
    enum status status = STATUS_OK;
    v->protection = r != NULL && r->opened ? SLICE_LITERAL("decrypted") : SLICE_LITERAL("none");
    if (r != NULL) {
        trace_received(fl, r);
        status = apply_options(fl, r, &group->options, v, f);
    }
    if (status == STATUS_OK) {
        status = incoming_compose(fl, r, &group->options, content, &v->needs_8bit, f);
    }
    return status == STATUS_OK && r != NULL && r->opened && group->options.replies.len > 0
               ? reply_mark(fl, group->options.replies, content, f)
               : status;
}
