/* What cmocka wants before it, for all unit tests of api/. */
#ifndef SEALPOST_TESTS_UNIT_API_TEST_H
#define SEALPOST_TESTS_UNIT_API_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
