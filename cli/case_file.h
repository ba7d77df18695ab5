/*
 * The table of `policy test`: what is asked, and what is expected, one case a line.
 *
 * CSV (RFC 4180) with the names of its columns in the first line; empty lines and lines that begin with # are
 * skipped. Columns: from, to (several with spaces between them), expect; and, where wanted, subject, header
 * (several columns of that name are fine), message (a file, beside the table unless its path is absolute),
 * client, listener, tls and auth (yes or no), at. An empty cell says nothing; an empty from is the null
 * sender.
 */
#ifndef SEALPOST_CLI_CASE_FILE_H
#define SEALPOST_CLI_CASE_FILE_H

#include "base/status.h"

#include <jansson.h>

/* A list of objects as POST /v1/policy/test takes them; the caller owns it. An error names the line. */
enum status cli_case_file_read(const char *path, json_t **cases, struct failure *f) MUST_CHECK;

#endif
