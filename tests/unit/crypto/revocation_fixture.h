/* Set-up and tear-down of tests in a world of revocations: one world for a program, made anew for each test.
 */
#ifndef SEALPOST_TESTS_REVOCATION_FIXTURE_H
#define SEALPOST_TESTS_REVOCATION_FIXTURE_H

#include "revocation_world.h"

#include <openssl/err.h>

static struct revocation_world world;
static struct failure f;

static int begin(void **state)
{
    (void)state;
    revocation_world_begin(&world);
    f = (struct failure){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    revocation_world_end(&world);
    ERR_clear_error();
    return 0;
}

#endif
