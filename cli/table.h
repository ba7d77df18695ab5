/* Showing an answer to a human: aligned tables and lists of fields. What came from outside cannot steer the
 * terminal. */
#ifndef SEALPOST_CLI_TABLE_H
#define SEALPOST_CLI_TABLE_H

#include "base/buf.h"
#include "cli/command.h"

#define CLI_SHOWN_MAX ((size_t)64 << 20)

/* The text of a member, by its format; `field` may be a path ("encryption.status", or "recipients.address"
 * through a list). Control characters are replaced. */
enum status cli_value_format(const json_t *object, const char *field, enum cli_format format,
                             struct buf *out) MUST_CHECK;
/* Columns are as wide as their widest value; the last one is not padded. */
enum status cli_table_format(const json_t *list, const struct cli_column *columns,
                             struct buf *out) MUST_CHECK;
enum status cli_view_format(const struct cli_view *view, const json_t *answer, struct buf *out) MUST_CHECK;

/* Text without control characters (C0, DEL, C1), line breaks kept if `block`. */
enum status cli_append_clean(struct buf *out, const char *text, bool block) MUST_CHECK;
size_t cli_width(struct slice text); /* characters of UTF-8 */

#endif
