/*
 * Functions that do not compile in Sealpost. This header is included before every file of ours
 * (see cmake/SealpostTargets.cmake), after the standard headers that declare what it takes away.
 *
 * Instead: struct buf for building text, number_parse() for numbers, checked snprintf for small ones.
 */
#ifndef SEALPOST_BASE_BANNED_H
#define SEALPOST_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEALPOST_BANNED(name) sealpost_banned_function_##name

#undef sprintf
#undef vsprintf
#undef strcpy
#undef strcat
#undef strncpy
#undef strncat
#undef strtok
#undef atoi
#undef atol
#undef atoll
#undef gmtime
#undef localtime
#undef ctime
#undef asctime
#define sprintf(...)   SEALPOST_BANNED(sprintf)
#define vsprintf(...)  SEALPOST_BANNED(vsprintf)
#define strcpy(...)    SEALPOST_BANNED(strcpy)
#define strcat(...)    SEALPOST_BANNED(strcat)
#define strncpy(...)   SEALPOST_BANNED(strncpy)
#define strncat(...)   SEALPOST_BANNED(strncat)
#define strtok(...)    SEALPOST_BANNED(strtok)
#define atoi(...)      SEALPOST_BANNED(atoi)
#define atol(...)      SEALPOST_BANNED(atol)
#define atoll(...)     SEALPOST_BANNED(atoll)
#define gmtime(...)    SEALPOST_BANNED(gmtime)
#define localtime(...) SEALPOST_BANNED(localtime)
#define ctime(...)     SEALPOST_BANNED(ctime)
#define asctime(...)   SEALPOST_BANNED(asctime)

/* An unchecked result is an error (-Werror=unused-result): a cut-off text is a wrong text. */
extern int snprintf(char *, size_t, const char *, ...)
    __attribute__((warn_unused_result, format(printf, 3, 4)));

#endif
