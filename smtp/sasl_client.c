/* The client's side of a SASL exchange (smtp/sasl_client.h). */
#include "smtp/sasl_client.h"

#include "base/base64.h"
#include "base/secret.h"

/* Stages: what the next challenge is. */
enum {
    STAGE_INITIAL,      /* nothing was said */
    STAGE_USER,         /* LOGIN */
    STAGE_PASSWORD,     /* LOGIN */
    STAGE_SERVER_FIRST, /* SCRAM */
    STAGE_SALTING,
    STAGE_SERVER_FINAL,
    STAGE_DONE
};

unsigned sasl_offers_read(struct slice words)
{
    unsigned offers = 0;
    while (words.len > 0) {
        size_t end = slice_find_byte(words, ' ');
        enum sasl_mechanism m = sasl_mechanism_find(slice_of(words.data, end));
        if (m != SASL_MECHANISM_COUNT) {
            offers |= 1u << m;
        }
        size_t next = end < words.len ? end + 1 : end;
        words = slice_of(words.data + next, words.len - next);
    }
    return offers;
}

enum sasl_mechanism sasl_choose(unsigned offers, const struct sasl_binding *binding)
{
    for (int m = 0; m < SASL_MECHANISM_COUNT; m++) {
        if ((offers & 1u << m) != 0 && (m != SASL_SCRAM_PLUS || binding->type != NULL)) {
            return (enum sasl_mechanism)m;
        }
    }
    return SASL_MECHANISM_COUNT;
}

enum status sasl_client_start(struct sasl_client *c, enum sasl_mechanism mechanism, unsigned offers,
                              struct slice user, struct slice password, const struct sasl_binding *binding,
                              const uint8_t random[SCRAM_NONCE_SIZE])
{
    *c = (struct sasl_client){
        .mechanism = mechanism,
        .binding = *binding,
        .user = BUF_INIT(SASL_NAME_MAX),
        .password = {.max = PASSWORD_MAX, .wipe = true},
        .gs2_header = BUF_INIT(256),
        .message = BUF_INIT((size_t)4 * SASL_MESSAGE_MAX),
        .server_first = BUF_INIT(SASL_MESSAGE_MAX),
    };
    /* RFC 5802 section 6: we could bind and it offers none: say so, for somebody may have taken the offer
     * out. */
    c->flag = (char)(mechanism == SASL_SCRAM_PLUS                                     ? 'p'
                     : binding->type != NULL && (offers & 1u << SASL_SCRAM_PLUS) == 0 ? 'y'
                                                                                      : 'n');
    scram_nonce_of(random, c->nonce);
    enum status status = buf_append_slice(&c->user, user);
    return status == STATUS_OK ? buf_append_slice(&c->password, password) : status;
}

void sasl_client_release(struct sasl_client *c)
{
    buf_release(&c->user);
    buf_release(&c->password);
    buf_release(&c->gs2_header);
    buf_release(&c->message);
    buf_release(&c->server_first);
    secret_wipe(c->signature, sizeof c->signature);
}

static enum sasl_client_step step_of(enum status status)
{
    return status == STATUS_OK ? SASL_SEND : SASL_NO_MEMORY;
}

static enum status plain_say(struct sasl_client *c, struct buf *out)
{
    struct buf message = {.max = SASL_NAME_MAX + PASSWORD_MAX + 2, .wipe = true};
    enum status status = buf_append_byte(&message, '\0');
    if (status == STATUS_OK) {
        status = buf_append_slice(&message, buf_slice(&c->user));
    }
    if (status == STATUS_OK) {
        status = buf_append_byte(&message, '\0');
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&message, buf_slice(&c->password));
    }
    if (status == STATUS_OK) {
        status = base64_encode(buf_slice(&message), out);
    }
    buf_release(&message);
    c->stage = STAGE_DONE;
    return status;
}

static enum status client_first_say(struct sasl_client *c, struct buf *out)
{
    struct buf whole = BUF_INIT(SASL_MESSAGE_MAX);
    enum status status = c->flag == 'p' ? buf_printf(&c->gs2_header, "p=%s,,", c->binding.type)
                                        : buf_printf(&c->gs2_header, "%c,,", c->flag);
    if (status == STATUS_OK) {
        status = buf_append_text(&c->message, "n=");
    }
    if (status == STATUS_OK) {
        status = scram_name_encode(buf_slice(&c->user), &c->message);
    }
    if (status == STATUS_OK) {
        status = buf_printf(&c->message, ",r=%s", c->nonce);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&whole, buf_slice(&c->gs2_header));
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&whole, buf_slice(&c->message));
    }
    if (status == STATUS_OK) {
        status = base64_encode(buf_slice(&whole), out);
    }
    buf_release(&whole);
    c->stage = STAGE_SERVER_FIRST;
    return status;
}

static enum sasl_client_step initial_say(struct sasl_client *c, struct buf *out)
{
    return step_of(c->mechanism == SASL_PLAIN ? plain_say(c, out) : client_first_say(c, out));
}

enum sasl_client_step sasl_client_initial(struct sasl_client *c, struct buf *out)
{
    if (c->mechanism == SASL_LOGIN) {
        c->stage = STAGE_USER;
        return SASL_SEND;
    }
    return initial_say(c, out);
}

/* Its nonce must begin with ours and go on (RFC 5802 section 5.1). */
static enum sasl_client_step server_first_take(struct sasl_client *c, struct slice message)
{
    if (buf_append_slice(&c->server_first, message) != STATUS_OK) {
        return SASL_NO_MEMORY;
    }
    struct slice ours = slice_of_text(c->nonce);
    if (scram_server_first_parse(buf_slice(&c->server_first), &c->first) != STATUS_OK ||
        !slice_starts_with(c->first.nonce, ours) || c->first.nonce.len == ours.len) {
        return SASL_LIES;
    }
    c->stage = STAGE_SALTING;
    return SASL_SALT;
}

static enum status binding_say(const struct sasl_client *c, struct buf *out)
{
    struct buf bytes = BUF_INIT(512);
    enum status status = buf_append_slice(&bytes, buf_slice(&c->gs2_header));
    if (status == STATUS_OK && c->flag == 'p') {
        status = buf_append(&bytes, c->binding.data, c->binding.len);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "c=");
    }
    if (status == STATUS_OK) {
        status = base64_encode(buf_slice(&bytes), out);
    }
    buf_release(&bytes);
    return status;
}

/* client-final without its proof, into `out`, and AuthMessage as a whole. */
static enum status auth_message(struct sasl_client *c, struct buf *out)
{
    enum status status = binding_say(c, out);
    if (status == STATUS_OK) {
        status = buf_printf(out, ",r=%.*s", SLICE_ARGS(c->first.nonce));
    }
    if (status == STATUS_OK) {
        status = buf_printf(&c->message, ",%.*s,%.*s", (int)c->server_first.len,
                            (const char *)c->server_first.data, (int)out->len, (const char *)out->data);
    }
    return status;
}

enum sasl_client_step sasl_client_salted(struct sasl_client *c, const uint8_t salted[SCRAM_KEY_SIZE],
                                         struct buf *out)
{
    uint8_t proof[SCRAM_KEY_SIZE];
    struct buf message = BUF_INIT((size_t)2 * SASL_MESSAGE_MAX);
    if (c->stage != STAGE_SALTING) {
        return SASL_LIES;
    }
    enum status status = auth_message(c, &message);
    if (status == STATUS_OK) {
        status = scram_client_proof(salted, buf_slice(&c->message), proof, c->signature);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(&message, ",p=");
    }
    if (status == STATUS_OK) {
        status = base64_encode(slice_of(proof, sizeof proof), &message);
    }
    if (status == STATUS_OK) {
        status = base64_encode(buf_slice(&message), out);
    }
    buf_release(&message);
    c->stage = STAGE_SERVER_FINAL;
    return step_of(status);
}

static enum sasl_client_step server_final_take(struct sasl_client *c, struct slice message)
{
    uint8_t signature[SCRAM_KEY_SIZE];
    c->proven = scram_server_final_parse(message, signature) == STATUS_OK &&
                secret_equal(slice_of(signature, sizeof signature), slice_of(c->signature, sizeof signature));
    c->stage = STAGE_DONE;
    return c->proven ? SASL_SEND : SASL_LIES; /* what is sent is nothing: an empty line */
}

static enum sasl_client_step login_say(struct sasl_client *c, struct buf *out)
{
    bool is_user = c->stage == STAGE_USER;
    c->stage = is_user ? STAGE_PASSWORD : STAGE_DONE;
    return step_of(base64_encode(buf_slice(is_user ? &c->user : &c->password), out));
}

enum sasl_client_step sasl_client_challenge(struct sasl_client *c, struct slice text, struct buf *out)
{
    struct buf message = BUF_INIT(SASL_MESSAGE_MAX);
    enum sasl_client_step step = SASL_LIES;
    if (c->stage == STAGE_USER || c->stage == STAGE_PASSWORD) {
        return login_say(c, out); /* what it asks with is its own affair: servers have many words for it */
    }
    enum status status = base64_decode(slice_trim(text), &message);
    if (status == STATUS_NO_MEMORY) {
        step = SASL_NO_MEMORY;
    } else if (status == STATUS_OK && c->stage == STAGE_SERVER_FIRST) {
        step = server_first_take(c, buf_slice(&message));
    } else if (status == STATUS_OK && c->stage == STAGE_SERVER_FINAL) {
        step = server_final_take(c, buf_slice(&message));
    }
    buf_release(&message);
    return step;
}

bool sasl_client_over(const struct sasl_client *c)
{
    return c->stage == STAGE_DONE && (c->mechanism >= SASL_PLAIN || c->proven);
}
