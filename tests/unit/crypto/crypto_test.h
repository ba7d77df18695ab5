/* What the tests of crypto/ share: cmocka in the order it wants, and short ways to ask for things. */
#ifndef SEALPOST_TESTS_CRYPTO_TEST_H
#define SEALPOST_TESTS_CRYPTO_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "pki.h"

#define OK(call)          assert_int_equal((call), STATUS_OK)
#define HOLDS(text, part) assert_non_null(strstr((text), (part)))

/* 2026-11-24 12:00:00 UTC: the time of all these tests. */
#define NOW_MS  ((uint64_t)1795521600 * 1000)
#define DAY_MS  ((uint64_t)86400 * 1000)
#define YEAR_MS (365 * DAY_MS)

static inline void assert_same(struct slice got, struct slice want)
{
    if (!slice_equal(got, want)) {
        print_error("got %zu bytes [%.*s]\nwant %zu bytes [%.*s]\n", got.len, SLICE_ARGS(got), want.len,
                    SLICE_ARGS(want));
        fail();
    }
}

#endif
