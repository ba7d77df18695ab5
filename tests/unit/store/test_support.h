/* A store in a folder of its own, and commands for it. Header-only support of the store's tests. */
#ifndef SEALPOST_TESTS_STORE_SUPPORT_H
#define SEALPOST_TESTS_STORE_SUPPORT_H

#include "store/records.h"
#include "store/setting.h"

#include <openssl/sha.h>

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h> /* needs the ones above */

#define BOOT SLICE_LITERAL("11111111-2222-3333-4444-555555555555")

static inline int remove_one(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void temporary_folder(char path[64])
{
    const char template[] = "/tmp/sealpost-store-XXXXXX";

    memcpy(path, template, sizeof(template));
    assert_non_null(mkdtemp(path));
}

static inline struct store *open_writer(const char *dir)
{
    struct store *store = NULL;
    struct failure f = {0};

    if (store_open_writer(dir, BOOT, &store, &f) != STATUS_OK)
        fail_msg("cannot open the store: %s", f.text);
    return store;
}

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
static inline void make_record(const char *der, const char *const *addresses, size_t count, struct buf *out,
                               uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_record record = {.der = slice_of_text(der),
                                        .subject = SLICE_LITERAL("CN=test"),
                                        .issuer = SLICE_LITERAL("CN=ca"),
                                        .serial = SLICE_LITERAL("01"),
                                        .address_count = count,
                                        .not_after_ms = 1000000,
                                        .uses = CERT_USE_SIGN | CERT_USE_ENCRYPT,
                                        .source = SLICE_LITERAL("import")};

    (void)SHA256(record.der.data, record.der.len, record.thumbprint);
    memcpy(thumbprint, record.thumbprint, THUMBPRINT_SIZE);
    for (size_t i = 0; i < count; i++)
        record.addresses[i] = slice_of_text(addresses[i]);
    assert_int_equal(certificate_record_encode(&record, out), STATUS_OK);
}

static inline struct command simple_command(enum command_number number, uint64_t now_ms, struct slice first)
{
    struct command c;

    command_init(&c, number, now_ms, SLICE_LITERAL("test"));
    c.values[0].bytes = first;
    return c;
}

static inline void hash_of(struct store *store, uint8_t hash[STORE_HASH_SIZE])
{
    struct store_view *view;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_view_hash(view, hash, NULL), STATUS_OK);
    store_view_end(view);
}

#endif
