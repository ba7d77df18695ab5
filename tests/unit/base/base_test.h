/* What cmocka wants before it, for all unit tests of base/. */
#ifndef SEALPOST_TESTS_UNIT_BASE_TEST_H
#define SEALPOST_TESTS_UNIT_BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs the ones above */

#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

#endif
