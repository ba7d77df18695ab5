/* The `openssl` program, as the other side: files in a folder of its own, and a command run in it. */
#ifndef SEALPOST_TESTS_CRYPTO_COMMAND_H
#define SEALPOST_TESTS_CRYPTO_COMMAND_H

#include "base/buf.h"

void folder_enter(void); /* a new temporary folder becomes the working directory */
void folder_leave(void); /* and goes away again */
void file_put(const char *name, struct slice content);
void file_get(const char *name, struct buf *out);
/* true if the shell command ended with 0; what it says goes to the file "said" */
bool command_works(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* ends the test program, showing what it said, if not */
void command(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
