/* A store in a folder of its own, for the tests of store/ and raft/. Header-only: static functions that a
 * test may leave unused. */
#ifndef SEALPOST_TESTS_SUPPORT_STORE_FIXTURE_H
#define SEALPOST_TESTS_SUPPORT_STORE_FIXTURE_H

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
    const char template[] = "/tmp/sealpost-test-XXXXXX";

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

static inline void hash_of(struct store *store, uint8_t hash[STORE_HASH_SIZE])
{
    struct store_view *view;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_view_hash(view, hash, NULL), STATUS_OK);
    store_view_end(view);
}

#endif
