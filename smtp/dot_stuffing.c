/* Dot-stuffing of what goes out (smtp/dot_stuffing.h). The common case, whole lines without a dot, goes by
 * memchr and is copied as one. */
#include "smtp/dot_stuffing.h"

void dot_stuffing_init(struct dot_stuffing *d)
{
    *d = (struct dot_stuffing){.line_start = true};
}

struct run {
    struct slice in;
    size_t from; /* up to here it is in `out` */
    size_t at;
};

/* What has not been copied up to `end`, then `more`; goes on at `next`. */
static enum status copy(struct run *r, size_t end, const char *more, size_t next, struct buf *out)
{
    enum status status = buf_append(out, r->in.data + r->from, end - r->from);
    r->from = r->at = next;
    return status == STATUS_OK ? buf_append_text(out, more) : status;
}

static size_t find(const struct run *r, int byte, size_t end)
{
    const uint8_t *found = end > r->at ? memchr(r->in.data + r->at, byte, end - r->at) : NULL;
    return found != NULL ? (size_t)(found - r->in.data) : end;
}

/* To the end of the line, or of the piece, or of what is wrong in it. */
static enum status step(struct dot_stuffing *d, struct run *r, struct buf *out)
{
    size_t len = r->in.len;
    size_t newline = find(r, '\n', len);
    size_t cr = find(r, '\r', newline);
    size_t nul = find(r, '\0', cr);
    if (nul < cr) {
        d->line_start = d->line_start && nul == r->at;
        return copy(r, nul, "", nul + 1, out);
    }
    d->line_start = true;
    if (newline < len && cr + 1 == newline) { /* as it should be */
        r->at = newline + 1;
        return STATUS_OK;
    }
    if (cr < newline && cr + 1 == len) {
        d->after_cr = true;
        return copy(r, cr, "", len, out);
    }
    if (cr < newline) {
        return copy(r, cr, "\r\n", cr + 1, out);
    }
    if (newline < len) {
        return copy(r, newline, "\r\n", newline + 1, out);
    }
    d->line_start = false;
    r->at = len;
    return STATUS_OK;
}

enum status dot_stuff(struct dot_stuffing *d, struct slice in, struct buf *out)
{
    struct run r = {.in = in};
    enum status status = STATUS_OK;
    if (in.len == 0) {
        return STATUS_OK;
    }
    if (d->after_cr) {
        d->after_cr = false;
        r.from = r.at = in.data[0] == '\n';
        status = buf_append_text(out, "\r\n");
    }
    while (r.at < in.len && status == STATUS_OK) {
        if (d->line_start && in.data[r.at] == '.') {
            size_t dot = r.at;
            status = copy(&r, dot, ".", dot, out);
            d->line_start = false;
            r.at = dot + 1; /* the dot itself leaves with what follows */
        } else {
            status = step(d, &r, out);
        }
    }
    return status == STATUS_OK ? buf_append(out, in.data + r.from, in.len - r.from) : status;
}

enum status dot_stuff_end(struct dot_stuffing *d, struct buf *out)
{
    bool ended = d->line_start && !d->after_cr;
    d->after_cr = false;
    return buf_append_text(out, ended ? ".\r\n" : "\r\n.\r\n");
}
