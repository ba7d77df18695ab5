/*
 * Cutting the body of a multipart into its parts (RFC 2046 section 5.1.1), by byte range.
 *
 * A delimiter is a line of its own: "--", the boundary, for the last one "--", then nothing but blanks. The
 * line end before it belongs to it, so a part is exactly what a signer signed. A body whose closing delimiter
 * is missing ends the last part at its end, and says so (`closed`). Text before the first delimiter and
 * behind the last is no part. Pure; any thread.
 */
#include "mail/entity.h"

#include "mail/mime_text.h"

#define BOUNDARY_MAX 256 /* RFC 2046 allows 70; longer ones exist */

enum delimiter { DELIMITER_NONE, DELIMITER_OPEN, DELIMITER_CLOSE };

static enum delimiter line_is_delimiter(struct slice line, struct slice boundary)
{
    if (line.len < 2 + boundary.len || line.data[0] != '-' || line.data[1] != '-' ||
        memcmp(line.data + 2, boundary.data, boundary.len) != 0) {
        return DELIMITER_NONE;
    }
    struct slice rest = slice_of(line.data + 2 + boundary.len, line.len - 2 - boundary.len);
    enum delimiter found = DELIMITER_OPEN;
    if (rest.len >= 2 && rest.data[0] == '-' && rest.data[1] == '-') {
        rest = slice_of(rest.data + 2, rest.len - 2);
        found = DELIMITER_CLOSE;
    }
    return slice_trim(rest).len == 0 ? found : DELIMITER_NONE;
}

/* The end of a part: `end` is where the delimiter's line starts. */
static struct slice part_of(struct slice body, size_t start, size_t end)
{
    if (end > start && body.data[end - 1] == '\n') {
        end--;
        if (end > start && body.data[end - 1] == '\r') {
            end--;
        }
    }
    return slice_of(body.data + start, end - start);
}

enum status entity_split(const struct entity *e, size_t max, struct arena *a, struct multipart *m,
                         struct failure *f)
{
    struct content_type type = entity_content_type(e);
    struct slice boundary;
    *m = (struct multipart){0};
    if (!content_type_is(&type, "multipart", NULL) ||
        !content_type_parameter(&type, "boundary", a, &boundary) || boundary.len == 0 ||
        boundary.len > BOUNDARY_MAX) {
        return STATUS_NOT_FOUND;
    }
    size_t capacity = 0, part_start = 0, start = 0;
    bool inside = false;
    struct slice at = e->body, line;
    while (!m->closed && mime_line(&at, &line)) {
        enum delimiter delimiter = line_is_delimiter(line, boundary);
        size_t next = e->body.len - at.len;
        if (delimiter != DELIMITER_NONE) {
            if (inside) {
                m->parts[m->part_count++] = part_of(e->body, part_start, start);
            }
            inside = delimiter == DELIMITER_OPEN;
            m->closed = delimiter == DELIMITER_CLOSE;
            part_start = next;
        }
        if (inside && m->part_count == capacity) {
            size_t more = capacity == 0 ? 8 : capacity * 2;
            if (m->part_count >= max) {
                return failure_set(f, STATUS_TOO_LARGE, "the message has more than %d parts",
                                   ENTITY_PARTS_MAX);
            }
            struct slice *parts = arena_alloc_array(a, more, sizeof parts[0]);
            if (parts == NULL) {
                return failure_set(f, STATUS_NO_MEMORY, "no memory for the parts of a message");
            }
            if (m->part_count > 0) {
                memcpy(parts, m->parts, m->part_count * sizeof parts[0]);
            }
            m->parts = parts;
            capacity = more;
        }
        start = next;
    }
    if (inside) {
        m->parts[m->part_count++] = slice_of(e->body.data + part_start, e->body.len - part_start);
    }
    if (m->part_count > max) {
        return failure_set(f, STATUS_TOO_LARGE, "the message has more than %d parts", ENTITY_PARTS_MAX);
    }
    return STATUS_OK;
}
