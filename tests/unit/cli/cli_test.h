/* What cmocka wants before it, for all unit tests of cli/. */
#ifndef SEALPOST_TESTS_UNIT_CLI_TEST_H
#define SEALPOST_TESTS_UNIT_CLI_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
