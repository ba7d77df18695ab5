/* See join_token.h. Pure. */
#include "node/join_token.h"

#include "base/hex.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "base/secret.h"

enum status join_token_encode(const struct join_token *t, struct buf *out)
{
    struct buf packed = BUF_INIT(JOIN_TOKEN_TEXT_MAX);
    struct msgpack_writer w;
    packed.wipe = true;
    msgpack_writer_init(&w, &packed);
    write_array(&w, 4);
    write_bytes(&w, slice_of(t->ca_fingerprint, sizeof(t->ca_fingerprint)));
    write_bytes(&w, slice_of(t->secret, sizeof(t->secret)));
    write_u64(&w, t->expires_ms);
    write_array(&w, t->address_count);
    for (size_t i = 0; i < t->address_count; i++) {
        write_text(&w, slice_of_text(t->addresses[i]));
    }
    enum status status = msgpack_writer_status(&w);
    if (status == STATUS_OK) {
        status = buf_append_text(out, JOIN_TOKEN_PREFIX);
    }
    if (status == STATUS_OK) {
        status = base64url_encode(buf_slice(&packed), out);
    }
    buf_release(&packed);
    return status;
}

static struct slice trim_white_space(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || (s.data[0] >= '\t' && s.data[0] <= '\r'))) {
        s = slice_of(s.data + 1, s.len - 1);
    }
    while (s.len > 0 &&
           (s.data[s.len - 1] == ' ' || (s.data[s.len - 1] >= '\t' && s.data[s.len - 1] <= '\r'))) {
        s.len--;
    }
    return s;
}

static void packed_read(struct slice packed, struct join_token *t, struct msgpack_reader *r)
{
    msgpack_reader_init(r, packed);
    if (read_array(r, 4) != 4) {
        read_fail(r, STATUS_MALFORMED);
    }
    struct slice fingerprint = read_bytes(r, sizeof(t->ca_fingerprint));
    struct slice secret = read_bytes(r, sizeof(t->secret));
    t->expires_ms = read_u64(r);
    size_t count = read_array(r, CORE_NODES_MAX);
    if (fingerprint.len != sizeof(t->ca_fingerprint) || secret.len != sizeof(t->secret) || count == 0) {
        read_fail(r, STATUS_MALFORMED);
        return;
    }
    memcpy(t->ca_fingerprint, fingerprint.data, fingerprint.len);
    memcpy(t->secret, secret.data, secret.len);
    for (size_t i = 0; i < count; i++) {
        struct slice address = read_text(r, JOIN_ADDRESS_MAX);
        if (address.len == 0) {
            read_fail(r, STATUS_MALFORMED);
            return;
        }
        for (size_t j = 0; j < address.len; j++) {
            if (address.data[j] <= 0x20 || address.data[j] >= 0x7f) {
                read_fail(r, STATUS_MALFORMED);
            }
        }
        memcpy(t->addresses[i], address.data, address.len);
    }
    t->address_count = count;
}

enum status join_token_decode(struct slice text, struct join_token *t, struct failure *f)
{
    struct buf packed = BUF_INIT(JOIN_TOKEN_TEXT_MAX);
    struct msgpack_reader r;
    struct slice prefix = SLICE_LITERAL(JOIN_TOKEN_PREFIX);

    *t = (struct join_token){0};
    text = trim_white_space(text);
    if (!slice_starts_with(text, prefix)) {
        return failure_set(f, STATUS_MALFORMED, "this is no join token: it begins with %s",
                           JOIN_TOKEN_PREFIX);
    }
    packed.wipe = true;
    enum status status = base64url_decode(slice_of(text.data + prefix.len, text.len - prefix.len), &packed);
    if (status == STATUS_OK) {
        packed_read(buf_slice(&packed), t, &r);
        status = msgpack_reader_status(&r, true);
    }
    buf_release(&packed);
    if (status != STATUS_OK) {
        secret_wipe(t, sizeof(*t));
        return failure_set(f, STATUS_MALFORMED, "the join token is damaged: copy it whole");
    }
    return STATUS_OK;
}
