/* The messages of SCRAM (smtp/sasl_scram.h). */
#include "smtp/sasl_scram.h"

#include "base/base64.h"

static struct slice rest_from(struct slice s, size_t n)
{
    return slice_of(s.data + n, s.len - n);
}

/* Up to the next comma, which is taken too; false when there is nothing left. */
static bool take_field(struct slice *rest, struct slice *field)
{
    size_t end = slice_find_byte(*rest, ',');
    if (rest->data == NULL) {
        return false;
    }
    *field = slice_of(rest->data, end);
    *rest = end < rest->len ? rest_from(*rest, end + 1) : (struct slice){0};
    return true;
}

/* A field "X=value" with a value. */
static bool take_attribute(struct slice *rest, char letter, struct slice *value)
{
    struct slice field;
    if (!take_field(rest, &field) || field.len < 3 || field.data[0] != (uint8_t)letter ||
        field.data[1] != '=') {
        return false;
    }
    *value = rest_from(field, 2);
    return true;
}

static bool is_printable(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < 0x21 || s.data[i] > 0x7e) {
            return false;
        }
    }
    return s.len > 0;
}

/* Extensions may follow; each is a letter, "=" and something. */
static bool extensions_good(struct slice rest)
{
    struct slice field;
    while (take_field(&rest, &field)) {
        if (field.len < 3 || field.data[1] != '=') {
            return false;
        }
    }
    return true;
}

static enum status key_decode(struct slice text, uint8_t out[SCRAM_KEY_SIZE])
{
    struct buf bytes = BUF_INIT(64);
    enum status status = base64_decode(text, &bytes);
    if (status == STATUS_OK && bytes.len == SCRAM_KEY_SIZE) {
        memcpy(out, bytes.data, SCRAM_KEY_SIZE);
    } else {
        status = STATUS_MALFORMED;
    }
    buf_release(&bytes);
    return status;
}

static bool flag_parse(struct slice field, struct scram_client_first *out)
{
    if (field.len == 1 && (field.data[0] == 'n' || field.data[0] == 'y')) {
        out->flag = (char)field.data[0];
        return true;
    }
    if (field.len > 2 && field.data[0] == 'p' && field.data[1] == '=') {
        out->flag = 'p';
        out->binding = rest_from(field, 2);
        return is_printable(out->binding);
    }
    return false;
}

enum status scram_client_first_parse(struct slice message, struct scram_client_first *out)
{
    struct slice rest = message, field;
    *out = (struct scram_client_first){0};
    if (message.len > SASL_MESSAGE_MAX || slice_find_byte(message, '\0') < message.len ||
        !take_field(&rest, &field) || !flag_parse(field, out) || !take_field(&rest, &field)) {
        return STATUS_MALFORMED;
    }
    if (field.len > 0) {
        if (field.len < 3 || field.data[0] != 'a' || field.data[1] != '=') {
            return STATUS_MALFORMED;
        }
        out->authzid = rest_from(field, 2);
    }
    if (rest.data == NULL) {
        return STATUS_MALFORMED;
    }
    out->bare = rest;
    out->gs2_header = slice_of(message.data, (size_t)(rest.data - message.data));
    /* "m=" would come here: an extension without which we must not go on, and we know none. */
    if (!take_attribute(&rest, 'n', &out->name) || !take_attribute(&rest, 'r', &out->nonce) ||
        !is_printable(out->nonce) || !extensions_good(rest)) {
        return STATUS_MALFORMED;
    }
    return STATUS_OK;
}

enum status scram_server_first_parse(struct slice message, struct scram_server_first *out)
{
    struct slice rest = message, salt, iterations;
    struct buf bytes = BUF_INIT(SCRAM_SALT_MAX);
    uint64_t number = 0;
    *out = (struct scram_server_first){0};
    if (message.len > SASL_MESSAGE_MAX || !take_attribute(&rest, 'r', &out->nonce) ||
        !is_printable(out->nonce) || !take_attribute(&rest, 's', &salt) ||
        !take_attribute(&rest, 'i', &iterations) || iterations.len > 10 ||
        !slice_parse_u64(iterations, &number) || !extensions_good(rest)) {
        return STATUS_MALFORMED;
    }
    enum status status = base64_decode(salt, &bytes);
    if (status == STATUS_OK) {
        memcpy(out->salt, bytes.data, bytes.len);
        out->salt_len = bytes.len;
    }
    buf_release(&bytes);
    if (status != STATUS_OK) {
        return STATUS_MALFORMED;
    }
    if (number < SCRAM_ITERATIONS_MIN || number > SCRAM_ITERATIONS_MAX) {
        return STATUS_UNSUPPORTED;
    }
    out->iterations = (uint32_t)number;
    return STATUS_OK;
}

enum status scram_client_final_parse(struct slice message, struct scram_client_final *out)
{
    struct slice rest = message, proof = {0};
    *out = (struct scram_client_final){0};
    if (message.len > SASL_MESSAGE_MAX || !take_attribute(&rest, 'c', &out->binding) ||
        !take_attribute(&rest, 'r', &out->nonce)) {
        return STATUS_MALFORMED;
    }
    while (rest.data != NULL) { /* extensions, and last the proof */
        struct slice field_start = rest, field;
        if (!take_field(&rest, &field) || field.len < 3 || field.data[1] != '=') {
            return STATUS_MALFORMED;
        }
        if (field.data[0] == 'p') {
            proof = rest_from(field, 2);
            out->without_proof = slice_of(message.data, (size_t)(field_start.data - message.data) - 1);
            break;
        }
    }
    return proof.len > 0 && rest.data == NULL ? key_decode(proof, out->proof) : STATUS_MALFORMED;
}

enum status scram_server_final_parse(struct slice message, uint8_t signature[SCRAM_KEY_SIZE])
{
    struct slice rest = message, value;
    if (message.len >= 2 && message.data[0] == 'e' && message.data[1] == '=') {
        return STATUS_DENIED;
    }
    if (message.len > SASL_MESSAGE_MAX || !take_attribute(&rest, 'v', &value) || !extensions_good(rest)) {
        return STATUS_MALFORMED;
    }
    return key_decode(value, signature);
}

enum status scram_name_decode(struct slice in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.data[i];
        if (c == '=') {
            struct slice escape = slice_of(in.data + i, in.len - i < 3 ? in.len - i : 3);
            if (slice_equal(escape, SLICE_LITERAL("=2C"))) {
                c = ',';
            } else if (slice_equal(escape, SLICE_LITERAL("=3D"))) {
                c = '=';
            } else {
                return STATUS_MALFORMED;
            }
            i += 2;
        }
        enum status status = buf_append_byte(out, c);
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

enum status scram_name_encode(struct slice in, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < in.len && status == STATUS_OK; i++) {
        uint8_t c = in.data[i];
        status = c == ','   ? buf_append_text(out, "=2C")
                 : c == '=' ? buf_append_text(out, "=3D")
                            : buf_append_byte(out, c);
    }
    return status;
}

void scram_nonce_of(const uint8_t random[SCRAM_NONCE_SIZE], char out[SCRAM_NONCE_SIZE + 1])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (size_t i = 0; i < SCRAM_NONCE_SIZE; i++) {
        out[i] = digits[random[i] % 64];
    }
    out[SCRAM_NONCE_SIZE] = '\0';
}
