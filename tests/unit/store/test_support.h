/* A store in a folder of its own, and commands for it. Header-only support of the store's tests. */
#ifndef SEALPOST_TESTS_STORE_SUPPORT_H
#define SEALPOST_TESTS_STORE_SUPPORT_H

#include "tests/support/store_fixture.h"

#include <openssl/sha.h>

/* Applies one command as the log would: encoded and padded. */
static inline struct apply_result apply_at(struct store *store, uint64_t index, const struct command *command)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct apply_result result;
    struct failure f = {0};
    size_t size;
    uint8_t *entry;

    assert_int_equal(command_encode(command, &encoded), STATUS_OK);
    size = command_entry_size(encoded.len);
    entry = malloc(size);
    assert_non_null(entry);
    command_entry_write(buf_slice(&encoded), entry);
    assert_int_equal(store_apply_entry(store, index, slice_of(entry, size), &result, &f), STATUS_OK);
    free(entry);
    buf_release(&encoded);
    return result;
}

static inline void commit(struct store *store)
{
    assert_int_equal(store_batch_commit(store, NULL), STATUS_OK);
}

static inline struct command setting_command(uint64_t level, const char *scope, const char *name,
                                             const char *value)
{
    struct command c;

    command_init(&c, COMMAND_SETTING_SET, 1000, SLICE_LITERAL("test"));
    c.values[0].number = level;
    c.values[1].bytes = slice_of_text(scope);
    c.values[2].bytes = slice_of_text(name);
    c.values[3].bytes = slice_of_text(value);
    return c;
}

/* A certificate's record as MessagePack, whose "DER" is `der`: the store takes its word for all but the
 * thumbprint. */
static inline void make_record_for(const char *der, uint64_t uses, const char *const *addresses, size_t count,
                                   struct buf *out, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record = {.der = slice_of_text(der),
                                        .subject = SLICE_LITERAL("CN=test"),
                                        .issuer = SLICE_LITERAL("CN=ca"),
                                        .serial = SLICE_LITERAL("01"),
                                        .address_count = count,
                                        .not_after_ms = 1000000,
                                        .uses = uses,
                                        .source = SLICE_LITERAL("import")};

    (void)SHA256(record.der.data, record.der.len, record.thumbprint);
    memcpy(thumbprint, record.thumbprint, THUMBPRINT_SIZE);
    for (size_t i = 0; i < count; i++)
        record.addresses[i] = slice_of_text(addresses[i]);
    assert_int_equal(certificate_record_encode(&record, out), STATUS_OK);
}

static inline void make_record(const char *der, const char *const *addresses, size_t count, struct buf *out,
                               uint8_t thumbprint[THUMBPRINT_SIZE])
{
    make_record_for(der, CERT_USE_SIGN | CERT_USE_ENCRYPT, addresses, count, out, thumbprint);
}

static inline void make_ca_record(const char *der, struct buf *out, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    make_record_for(der, CERT_USE_CA, NULL, 0, out, thumbprint);
}

static inline struct command simple_command(enum command_number number, uint64_t now_ms, struct slice first)
{
    struct command c;

    command_init(&c, number, now_ms, SLICE_LITERAL("test"));
    c.values[0].bytes = first;
    return c;
}

#endif
