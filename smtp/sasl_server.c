/* The server's side of a SASL exchange (smtp/sasl_server.h). */
#include "smtp/sasl_server.h"

#include "base/base64.h"
#include "base/secret.h"

/* Stages: what the next line is. */
enum {
    STAGE_FIRST,    /* the only message of PLAIN, the name of LOGIN, client-first of SCRAM */
    STAGE_PASSWORD, /* of LOGIN */
    STAGE_FINAL,    /* client-final */
    STAGE_EMPTY,    /* the client has seen server-final */
    STAGE_OVER
};

static const char *const names[SASL_MECHANISM_COUNT] = {
#define X(name, text) [SASL_##name] = (text),
    SASL_MECHANISM_TABLE(X)
#undef X
};

const char *sasl_mechanism_name(enum sasl_mechanism m)
{
    return names[m];
}

enum sasl_mechanism sasl_mechanism_find(struct slice name)
{
    int i = 0;
    while (i < SASL_MECHANISM_COUNT && !slice_equal_nocase(name, slice_of_text(names[i]))) {
        i++;
    }
    return (enum sasl_mechanism)i;
}

void sasl_server_start(struct sasl_server *s, enum sasl_mechanism mechanism, bool plus_offered,
                       const struct sasl_binding *binding, const uint8_t random[SCRAM_NONCE_SIZE])
{
    *s = (struct sasl_server){
        .mechanism = mechanism,
        .plus_offered = plus_offered,
        .binding = *binding,
        .name = BUF_INIT(SASL_NAME_MAX),
        .password = {.max = PASSWORD_MAX, .wipe = true},
        .gs2_header = BUF_INIT(SASL_MESSAGE_MAX),
        .message = BUF_INIT((size_t)4 * SASL_MESSAGE_MAX),
        .whole_nonce = BUF_INIT(SASL_MESSAGE_MAX + SCRAM_NONCE_SIZE),
    };
    scram_nonce_of(random, s->nonce);
}

void sasl_server_release(struct sasl_server *s)
{
    buf_release(&s->name);
    buf_release(&s->password);
    buf_release(&s->gs2_header);
    buf_release(&s->message);
    buf_release(&s->whole_nonce);
    secret_wipe(&s->verifier, sizeof s->verifier);
}

struct slice sasl_server_name(const struct sasl_server *s)
{
    return buf_slice(&s->name);
}

/* A part of the client's message that has no room is no account's. */
static enum sasl_step step_of(enum status status)
{
    return status == STATUS_NO_MEMORY   ? SASL_BROKEN
           : status == STATUS_TOO_LARGE ? SASL_REFUSED
                                        : SASL_MALFORMED;
}

static enum sasl_step challenge_text(struct buf *challenge, struct slice text)
{
    enum status status = base64_encode(text, challenge);
    return status == STATUS_OK ? SASL_CHALLENGE : SASL_BROKEN;
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd. */
static enum sasl_step plain_message(struct sasl_server *s, struct slice message)
{
    size_t first = slice_find_byte(message, '\0');
    if (first == message.len) {
        return SASL_MALFORMED;
    }
    struct slice authzid = slice_of(message.data, first);
    struct slice rest = slice_of(message.data + first + 1, message.len - first - 1);
    size_t second = slice_find_byte(rest, '\0');
    if (second == rest.len || second == 0) {
        return SASL_MALFORMED;
    }
    struct slice name = slice_of(rest.data, second);
    struct slice password = slice_of(rest.data + second + 1, rest.len - second - 1);
    if (password.len == 0 || slice_find_byte(password, '\0') < password.len) {
        return SASL_MALFORMED;
    }
    enum status status = buf_append_slice(&s->name, name);
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->password, password);
    }
    if (status != STATUS_OK) {
        return step_of(status);
    }
    return authzid.len == 0 || slice_equal_nocase(authzid, name) ? SASL_ACCOUNT : SASL_REFUSED;
}

static enum sasl_step login_message(struct sasl_server *s, struct slice message, struct buf *challenge)
{
    bool is_name = s->stage == STAGE_FIRST;
    if (message.len == 0 || slice_find_byte(message, '\0') < message.len) {
        return SASL_MALFORMED;
    }
    enum status status = buf_append_slice(is_name ? &s->name : &s->password, message);
    if (status != STATUS_OK) {
        return step_of(status);
    }
    if (!is_name) {
        return SASL_ACCOUNT;
    }
    s->stage = STAGE_PASSWORD;
    return challenge_text(challenge, SLICE_LITERAL("Password:"));
}

/* RFC 5802 section 6: the flag, the mechanism and what we offered must tell the same story. */
static enum sasl_step binding_judge(const struct sasl_server *s, const struct scram_client_first *m)
{
    if (s->mechanism == SASL_SCRAM) {
        return m->flag == 'p'                      ? SASL_MALFORMED
               : m->flag == 'y' && s->plus_offered ? SASL_REFUSED
                                                   : SASL_ACCOUNT;
    }
    if (m->flag != 'p') {
        return SASL_MALFORMED;
    }
    bool known = s->binding.type != NULL && slice_equal(m->binding, slice_of_text(s->binding.type));
    return known ? SASL_ACCOUNT : SASL_REFUSED;
}

static enum sasl_step client_first(struct sasl_server *s, struct slice message)
{
    struct scram_client_first m;
    struct buf authzid = BUF_INIT(SASL_NAME_MAX);
    enum status status = scram_client_first_parse(message, &m);
    enum sasl_step step = status == STATUS_OK ? binding_judge(s, &m) : SASL_MALFORMED;
    if (step != SASL_ACCOUNT) {
        return step;
    }
    status = scram_name_decode(m.name, &s->name);
    if (status == STATUS_OK) {
        status = scram_name_decode(m.authzid, &authzid);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->gs2_header, m.gs2_header);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->message, m.bare);
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->whole_nonce, m.nonce);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(&s->whole_nonce, s->nonce);
    }
    if (status != STATUS_OK) {
        step = step_of(status);
    } else if (authzid.len > 0 && !slice_equal_nocase(buf_slice(&authzid), buf_slice(&s->name))) {
        step = SASL_REFUSED;
    }
    buf_release(&authzid);
    return step;
}

/* server-first, into the challenge and into AuthMessage. */
static enum sasl_step server_first(struct sasl_server *s, struct buf *challenge)
{
    const struct scram_verifier *v = &s->verifier;
    struct buf text = BUF_INIT(2 * SASL_MESSAGE_MAX);
    enum status status =
        buf_printf(&text, "r=%.*s,s=", (int)s->whole_nonce.len, (const char *)s->whole_nonce.data);
    if (status == STATUS_OK) {
        status = base64_encode(slice_of(v->salt, v->salt_len), &text);
    }
    if (status == STATUS_OK) {
        status = buf_printf(&text, ",i=%u", v->iterations);
    }
    if (status == STATUS_OK) {
        status = buf_append_byte(&s->message, ',');
    }
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->message, buf_slice(&text));
    }
    enum sasl_step step = status == STATUS_OK ? challenge_text(challenge, buf_slice(&text)) : SASL_BROKEN;
    buf_release(&text);
    s->stage = STAGE_FINAL;
    return step;
}

/* Is c= the gs2 header that came first, and the binding of this very connection? */
static bool binding_fits(const struct sasl_server *s, struct slice text)
{
    struct buf expected = BUF_INIT(SASL_MESSAGE_MAX + sizeof s->binding.data),
               said = BUF_INIT(SASL_MESSAGE_MAX);
    bool good = buf_append_slice(&expected, buf_slice(&s->gs2_header)) == STATUS_OK &&
                (s->mechanism != SASL_SCRAM_PLUS ||
                 buf_append(&expected, s->binding.data, s->binding.len) == STATUS_OK) &&
                base64_decode(text, &said) == STATUS_OK &&
                secret_equal(buf_slice(&expected), buf_slice(&said));
    buf_release(&expected);
    buf_release(&said);
    return good;
}

static enum sasl_step server_final(struct sasl_server *s, struct buf *challenge)
{
    uint8_t signature[SCRAM_KEY_SIZE];
    struct buf text = BUF_INIT(64);
    enum status status = scram_server_signature(&s->verifier, buf_slice(&s->message), signature);
    if (status == STATUS_OK) {
        status = buf_append_text(&text, "v=");
    }
    if (status == STATUS_OK) {
        status = base64_encode(slice_of(signature, sizeof signature), &text);
    }
    enum sasl_step step = status == STATUS_OK ? challenge_text(challenge, buf_slice(&text)) : SASL_BROKEN;
    buf_release(&text);
    s->stage = STAGE_EMPTY;
    return step;
}

static enum sasl_step client_final(struct sasl_server *s, struct slice message, struct buf *challenge)
{
    struct scram_client_final m;
    if (scram_client_final_parse(message, &m) != STATUS_OK) {
        return SASL_MALFORMED;
    }
    enum status status = buf_append_byte(&s->message, ',');
    if (status == STATUS_OK) {
        status = buf_append_slice(&s->message, m.without_proof);
    }
    if (status != STATUS_OK) {
        return step_of(status);
    }
    if (!binding_fits(s, m.binding) || !slice_equal(m.nonce, buf_slice(&s->whole_nonce))) {
        return SASL_REFUSED;
    }
    status = scram_proof_check(&s->verifier, buf_slice(&s->message), m.proof);
    if (status != STATUS_OK) {
        return status == STATUS_DENIED ? SASL_REFUSED : SASL_BROKEN;
    }
    return server_final(s, challenge);
}

static enum sasl_step message_take(struct sasl_server *s, struct slice message, struct buf *challenge)
{
    switch (s->stage) {
    case STAGE_FIRST:
        return s->mechanism == SASL_PLAIN   ? plain_message(s, message)
               : s->mechanism == SASL_LOGIN ? login_message(s, message, challenge)
                                            : client_first(s, message);
    case STAGE_PASSWORD:
        return login_message(s, message, challenge);
    case STAGE_FINAL:
        return client_final(s, message, challenge);
    case STAGE_EMPTY:
        return message.len == 0 ? SASL_GOOD : SASL_MALFORMED;
    default:
        return SASL_MALFORMED;
    }
}

static enum sasl_step line_take(struct sasl_server *s, struct slice line, struct buf *challenge)
{
    struct buf message = {.max = SASL_MESSAGE_MAX, .wipe = true};
    enum status status = base64_decode(line, &message);
    enum sasl_step step =
        status == STATUS_OK ? message_take(s, buf_slice(&message), challenge) : SASL_MALFORMED;
    buf_release(&message);
    if (step != SASL_CHALLENGE && step != SASL_ACCOUNT) {
        s->stage = STAGE_OVER;
    }
    return step;
}

enum sasl_step sasl_server_line(struct sasl_server *s, struct slice line, struct buf *challenge)
{
    if (slice_equal(line, SLICE_LITERAL("*"))) {
        s->stage = STAGE_OVER;
        return SASL_CANCELLED;
    }
    return line_take(s, line, challenge);
}

enum sasl_step sasl_server_begin(struct sasl_server *s, struct slice line, struct buf *challenge)
{
    if (line.len == 0) {
        return s->mechanism == SASL_LOGIN ? challenge_text(challenge, SLICE_LITERAL("Username:"))
                                          : SASL_CHALLENGE;
    }
    /* RFC 4954 section 4: "=" is a response of no bytes. */
    return line_take(s, slice_equal(line, SLICE_LITERAL("=")) ? (struct slice){0} : line, challenge);
}

enum sasl_step sasl_server_account(struct sasl_server *s, const struct scram_verifier *verifier,
                                   struct buf *challenge)
{
    s->verifier = *verifier;
    if (s->mechanism == SASL_PLAIN || s->mechanism == SASL_LOGIN) {
        s->stage = STAGE_OVER;
        return SASL_PASSWORD;
    }
    enum sasl_step step = server_first(s, challenge);
    if (step != SASL_CHALLENGE) {
        s->stage = STAGE_OVER;
    }
    return step;
}
