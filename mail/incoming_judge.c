/*
 * What the layers of an incoming message say together: one verdict, whether it was decrypted, and whether the
 * protected header fields count (RFC 9787 section 6, RFC 9788 section 4).
 *
 * When all goes well: the verdict is that of the innermost signature within all encryption, judged against
 * the From inside when header protection gives one, else against the outer From. A signature around the
 * encryption only says who sealed the cipher text, which anybody can do with a captured message; it is
 * reported as covering the cipher text and nothing more.
 *
 * The From shown is the protected one only when a valid signature is for it; in every other case it stays the
 * outer one (RFC 9788 section 4.4). Protected fields of a message that was only signed count when that
 * signature is valid. Pure; one thread.
 */
#include "mail/flow_internal.h"

/* The innermost signed layer behind `from`; NULL if there is none. */
static struct layer *signed_within(struct layers *l, size_t from)
{
    for (size_t i = l->count; i > from; i--) {
        if (l->list[i - 1].kind == LAYER_SIGNED) {
            return &l->list[i - 1];
        }
    }
    return NULL;
}

static void say(struct verdict *v, enum smime_verdict verdict, const char *reason)
{
    struct failure text;
    (void)failure_set(&text, STATUS_OK, "%s", reason);
    v->verdict = verdict;
    memcpy(v->reason, text.text, sizeof v->reason);
}

/* A signature that holds, but around what is encrypted: anybody can put his own around what he captured, so
 * it does not make the content anybody's word. */
static void covers_ciphertext(struct verdict *v)
{
    if (v->verdict == SMIME_VALID) {
        say(v, SMIME_UNKNOWN, "the signature is around what is encrypted: it does not tell who wrote that");
    }
    v->covers = "ciphertext";
}

/* The verdict of a signature within all encryption. */
static enum status judge_inner(struct flow *fl, const struct layers_reading *reading, struct received *r,
                               struct layer *layer)
{
    const struct protected_header *h = &r->header;
    enum status status = STATUS_OK;
    r->verdict = layer->verdict;
    if (!verdict_holds(&r->verdict)) {
        return STATUS_OK;
    }
    if (h->scheme != SCHEME_NONE && h->has_from && strcmp(h->from, fl->from) != 0) {
        status = layer_verify(reading, layer, slice_of_text(h->from), &r->verdict);
    }
    if (status == STATUS_OK && h->scheme != SCHEME_NONE && !h->clear && r->verdict.verdict == SMIME_VALID) {
        say(&r->verdict, SMIME_MISMATCH, "the protected header can be read in more than one way");
    }
    if (r->layers.end == LAYERS_CLOSED) {
        covers_ciphertext(&r->verdict);
    } else {
        r->verdict.covers = h->scheme != SCHEME_NONE ? "message" : "content";
    }
    return status;
}

enum status incoming_judge(struct flow *fl, const struct layers_reading *reading, struct received *r,
                           struct failure *f)
{
    struct layers *l = &r->layers;
    struct protected_header *h = &r->header;
    size_t decrypted = layers_decrypted(l);
    struct layer *inner = signed_within(l, decrypted), *any = signed_within(l, 0);
    enum status status = STATUS_OK;
    r->verdict = (struct verdict){.verdict = SMIME_NONE, .protocol = "", .covers = ""};
    if (l->end == LAYERS_PAYLOAD && l->count > 0) {
        status = protected_header_read(&fl->message, &l->payload, fl->arena, h, f);
        if (status == STATUS_TOO_LARGE) {
            *h = (struct protected_header){.scheme = SCHEME_NONE};
            status = STATUS_OK;
        }
    }
    if (status == STATUS_OK && inner != NULL) {
        status = judge_inner(fl, reading, r, inner);
    } else if (status == STATUS_OK && any != NULL) {
        r->verdict = any->verdict;
        if (verdict_holds(&r->verdict)) {
            covers_ciphertext(&r->verdict);
        }
    }
    if (status != STATUS_OK) {
        return failure_set(f, status, "no memory to verify a message");
    }
    if (l->end == LAYERS_TOO_MANY) {
        r->verdict = (struct verdict){.protocol = "smime", .covers = ""};
        say(&r->verdict, SMIME_INVALID, "the message has too many layers");
    }
    r->opened = decrypted > 0 && l->end != LAYERS_TOO_MANY;
    r->failed = !r->opened && (l->end == LAYERS_CLOSED || decrypted > 0);
    r->authenticated = layers_authenticated(l) || (inner != NULL && verdict_holds(&inner->verdict));
    bool valid = inner != NULL && r->verdict.verdict == SMIME_VALID;
    /* hp="clear": its composer encrypted nothing, so encryption does not protect it (RFC 9788 section 4.3.1).
     */
    r->header_counts = h->scheme != SCHEME_NONE && h->clear && ((r->opened && h->cipher) || valid);
    r->from_counts = r->header_counts && valid && h->from[0] != '\0';
    r->from_differs = h->scheme != SCHEME_NONE && h->has_from && strcmp(h->from, fl->from) != 0;
    return STATUS_OK;
}
