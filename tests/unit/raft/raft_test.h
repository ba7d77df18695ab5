/* Commands that count, for the tests of raft/. */
#ifndef SEALPOST_TESTS_RAFT_TEST_H
#define SEALPOST_TESTS_RAFT_TEST_H

#include "tests/support/store_fixture.h"

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

#endif
