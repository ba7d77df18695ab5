/*
 * SASL from both ends: lines of a client to our server, then lines of a server to our client. The first byte
 * chooses the mechanism and whether -PLUS is offered; lines end with LF. What must hold: nothing crashes, an
 * exchange that ended stays ended, nobody who has not shown the password is let in, and no server without it
 * is believed.
 */
#include "smtp/sasl_client.h"
#include "smtp/sasl_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            __builtin_trap();                                                                                \
        }                                                                                                    \
    } while (0)

static const struct sasl_binding binding = {.type = "tls-exporter", .data = "binding", .len = 7};
static const uint8_t zeros[SCRAM_NONCE_SIZE];

static bool next_line(struct slice *rest, struct slice *line)
{
    size_t end = slice_find_byte(*rest, '\n');
    if (end == rest->len) {
        return false;
    }
    *line = slice_of(rest->data, end);
    *rest = slice_of(rest->data + end + 1, rest->len - end - 1);
    return true;
}

static void server_run(enum sasl_mechanism m, bool plus, struct slice in)
{
    struct sasl_server s;
    struct scram_verifier nobody = {.salt_len = 16, .iterations = SCRAM_ITERATIONS_MIN};
    struct buf challenge = BUF_INIT(65536);
    struct slice line;
    bool first = true, over = false;
    sasl_server_start(&s, m, plus, &binding, zeros);
    while (next_line(&in, &line)) {
        enum sasl_step step =
            first ? sasl_server_begin(&s, line, &challenge) : sasl_server_line(&s, line, &challenge);
        MUST(step != SASL_GOOD); /* no proof fits a StoredKey of zeros */
        MUST(!over || step == SASL_MALFORMED || step == SASL_CANCELLED);
        MUST(sasl_server_name(&s).len <= SASL_NAME_MAX && s.password.len <= PASSWORD_MAX);
        if (step == SASL_ACCOUNT) {
            step = sasl_server_account(&s, &nobody, &challenge);
            MUST(step == SASL_CHALLENGE || step == SASL_PASSWORD);
        }
        over = over || step != SASL_CHALLENGE;
        first = false;
        buf_reset(&challenge);
    }
    sasl_server_release(&s);
    buf_release(&challenge);
}

static void client_run(enum sasl_mechanism m, struct slice in)
{
    struct sasl_client c;
    struct buf out = BUF_INIT(65536);
    struct slice line;
    static const uint8_t salted[SCRAM_KEY_SIZE];
    (void)sasl_offers_read(in);
    if (sasl_client_start(&c, m, 15, SLICE_LITERAL("us,er"), SLICE_LITERAL("pencil"), &binding, zeros) ==
        STATUS_OK) {
        MUST(sasl_client_initial(&c, &out) == SASL_SEND);
    }
    while (next_line(&in, &line)) {
        enum sasl_client_step step = sasl_client_challenge(&c, line, &out);
        if (step == SASL_SALT) {
            step = sasl_client_salted(&c, salted, &out);
        }
        MUST(step != SASL_SALT);
        MUST(!sasl_client_over(&c) || m >= SASL_PLAIN || c.proven);
        buf_reset(&out);
    }
    sasl_client_release(&c);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    enum sasl_mechanism m = (enum sasl_mechanism)(data[0] % SASL_MECHANISM_COUNT);
    struct slice in = slice_of(data + 1, size - 1);
    server_run(m, (data[0] & 0x80) != 0, in);
    client_run(m, in);
    return 0;
}
