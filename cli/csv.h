/* Comma-separated values (RFC 4180), for commands that make a request of each row. Pure. */
#ifndef SEALPOST_CLI_CSV_H
#define SEALPOST_CLI_CSV_H

#include "base/arena.h"
#include "base/status.h"

#define CLI_ROWS_MAX    100000
#define CLI_COLUMNS_MAX 4
#define CLI_CSV_MAX     ((size_t)16 << 20) /* bytes of a file */

struct cli_row {
    size_t line;                         /* from 1, where it begins */
    const char *values[CLI_COLUMNS_MAX]; /* NULL: not there */
};

struct cli_rows {
    struct cli_row *rows; /* in the arena */
    size_t count;
};

/* `columns`: "address|name": those that are needed come first, in this order, unless the first row names
 * them. Empty lines are passed over. INVALID names the line. */
enum status cli_csv_read(struct slice text, const char *columns, struct arena *a, struct cli_rows *out,
                         struct failure *f) MUST_CHECK;

#endif
