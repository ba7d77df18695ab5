/* A store in a folder of its own, and commands that count. Header-only support of raft's tests. */
#ifndef SEALPOST_TESTS_RAFT_TEST_H
#define SEALPOST_TESTS_RAFT_TEST_H

#include "store/records.h"
#include "store/setting.h"

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
    const char template[] = "/tmp/sealpost-raft-XXXXXX";

    memcpy(path, template, sizeof(template));
    assert_non_null(mkdtemp(path));
}

static inline struct store *open_store(const char *dir)
{
    struct store *store = NULL;
    struct failure f = {0};

    if (store_open_writer(dir, BOOT, &store, &f) != STATUS_OK)
        fail_msg("cannot open the store: %s", f.text);
    return store;
}

/* "user.add" of an address with `number` in it; `padding` more characters give every length mod 8. */
static inline void user_command(unsigned number, unsigned padding, struct buf *encoded)
{
    struct command c;
    char address[96];
    int len = snprintf(address, sizeof(address), "user%u.%.*s@d.example", number, (int)padding % 32,
                       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");

    assert_true(len > 0);
    command_init(&c, COMMAND_USER_ADD, 1000 + number, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of_text(address);
    assert_int_equal(command_encode(&c, encoded), STATUS_OK);
}

static inline void hash_of(struct store *store, uint8_t hash[STORE_HASH_SIZE])
{
    struct store_view *view;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_view_hash(view, hash, NULL), STATUS_OK);
    store_view_end(view);
}

#endif
