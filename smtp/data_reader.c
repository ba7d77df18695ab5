/* The DATA reader (smtp/data_reader.h). The common case, whole lines, goes by memchr. */
#include "smtp/data_reader.h"

void data_reader_init(struct data_reader *r, const struct data_limits *limits)
{
    *r = (struct data_reader){.limits = *limits, .position = DATA_AT_LINE_START, .in_header = true};
}

static void fault_note(struct data_reader *r, enum data_fault fault)
{
    if (r->fault == DATA_FINE) {
        r->fault = fault;
    }
}

static bool has_8bit(struct slice s)
{
    size_t i = 0;
    for (; i + 8 <= s.len; i += 8) {
        uint64_t word;
        memcpy(&word, s.data + i, sizeof word);
        if ((word & 0x8080808080808080u) != 0) {
            return true;
        }
    }
    for (; i < s.len; i++) {
        if (s.data[i] >= 0x80) {
            return true;
        }
    }
    return false;
}

/* Our mark in the header, wherever the pieces end. */
static void mark_look(struct data_reader *r, struct slice s)
{
    struct slice mark = r->limits.mark;
    for (size_t i = 0; i < s.len && mark.len > 0; i++) {
        if (s.data[i] != mark.data[r->mark_at]) {
            r->mark_at = s.data[i] == mark.data[0];
        } else if (++r->mark_at == mark.len) {
            r->mark_at = 0;
            if (++r->passes > r->limits.max_passes) {
                fault_note(r, DATA_LOOP);
            }
        }
    }
}

/* Bytes of the present line (its CR and LF too). */
static void content_give(struct data_reader *r, struct slice s, struct buf *out)
{
    if (s.len == 0) {
        return;
    }
    if (r->in_header && r->line < sizeof r->field) {
        size_t room = sizeof r->field - (size_t)r->line;
        memcpy(r->field + r->line, s.data, s.len < room ? s.len : room);
    }
    if (r->in_header) {
        mark_look(r, s);
    }
    r->line += s.len;
    r->size += s.len;
    if (r->size > r->limits.max_size) {
        fault_note(r, DATA_TOO_LARGE);
    }
    if (r->in_header && r->size > r->limits.max_header) {
        fault_note(r, DATA_HEADER_TOO_LARGE);
    }
    if (r->line > r->limits.max_line) {
        fault_note(r, DATA_LINE_TOO_LONG);
    }
    if (r->fault != DATA_FINE) {
        return;
    }
    r->any_8bit = r->any_8bit || has_8bit(s);
    if (buf_append_slice(out, s) != STATUS_OK) {
        fault_note(r, DATA_NO_MEMORY);
    }
}

/* "TLS-Required: No" with its CRLF, white space where RFC 5322 allows it. */
static bool says_tls_not_required(struct slice line)
{
    struct slice name = SLICE_LITERAL("TLS-Required");
    if (line.len < name.len + 2 || !slice_starts_with_nocase(line, name)) {
        return false;
    }
    struct slice rest = slice_trim(slice_of(line.data + name.len, line.len - 2 - name.len));
    return rest.len > 0 && rest.data[0] == ':' &&
           slice_equal_nocase(slice_trim(slice_of(rest.data + 1, rest.len - 1)), SLICE_LITERAL("No"));
}

static void line_end(struct data_reader *r)
{
    if (r->in_header) {
        bool whole = r->line <= sizeof r->field;
        struct slice line = slice_of(r->field, whole ? (size_t)r->line : sizeof r->field);
        if (r->line == 2) {
            r->in_header = false;
        } else if (slice_starts_with_nocase(line, SLICE_LITERAL("Received:")) &&
                   ++r->received > r->limits.max_received) {
            fault_note(r, DATA_LOOP);
        }
        r->tls_not_required = r->tls_not_required || (whole && says_tls_not_required(line));
    }
    r->line = 0;
    r->position = DATA_AT_LINE_START;
}

/* The rest of a line from `s` on: up to and with its LF, or all that is there. False: bad line end. */
static bool line_rest(struct data_reader *r, struct slice s, struct buf *out, size_t *used)
{
    size_t newline = slice_find_byte(s, '\n');
    size_t end = newline;
    if (newline < s.len) {
        if (newline == 0 || s.data[newline - 1] != '\r') {
            return false;
        }
        end = newline - 1;
    } else if (s.data[s.len - 1] == '\r') {
        end = s.len - 1;
    }
    struct slice text = slice_of(s.data, end);
    if (slice_find_byte(text, '\r') < end || slice_find_byte(text, '\0') < end) {
        return false;
    }
    if (newline < s.len) {
        *used = newline + 1;
        content_give(r, slice_of(s.data, newline + 1), out);
        line_end(r);
        return true;
    }
    *used = s.len;
    /* A final CR is given out with its LF, when that has come. */
    content_give(r, text, out);
    r->position = end < s.len ? DATA_AFTER_CR : DATA_IN_LINE;
    return true;
}

enum data_result data_read(struct data_reader *r, struct slice in, struct buf *out, size_t *used)
{
    size_t at = 0;
    *used = in.len;
    while (at < in.len) {
        uint8_t c = in.data[at];
        size_t taken = 0;
        switch (r->position) {
        case DATA_AFTER_CR:
            if (c != '\n') {
                return DATA_BAD;
            }
            content_give(r, SLICE_LITERAL("\r\n"), out);
            line_end(r);
            at++;
            break;
        case DATA_AT_LINE_START:
            if (c == '.') {
                r->position = DATA_AFTER_DOT;
                at++;
                break;
            }
            if (!line_rest(r, slice_of(in.data + at, in.len - at), out, &taken)) {
                return DATA_BAD;
            }
            at += taken;
            break;
        case DATA_AFTER_DOT:
            if (c == '\r') {
                r->position = DATA_AFTER_DOT_CR;
                at++;
                break;
            }
            /* RFC 5321 section 4.5.2: the first of several characters is taken away, whatever follows. */
            if (c == '\n') {
                return DATA_BAD;
            }
            r->position = DATA_IN_LINE;
            break;
        case DATA_AFTER_DOT_CR:
            if (c != '\n') {
                return DATA_BAD;
            }
            *used = at + 1;
            return DATA_END;
        case DATA_IN_LINE:
            if (c == '\n') { /* no CR came before */
                return DATA_BAD;
            }
            if (!line_rest(r, slice_of(in.data + at, in.len - at), out, &taken)) {
                return DATA_BAD;
            }
            at += taken;
            break;
        }
    }
    return DATA_MORE;
}

bool chunk_read(struct data_reader *r, struct slice in, struct buf *out)
{
    for (size_t at = 0, taken = 0; at < in.len; at += taken) {
        taken = 1;
        if (r->position == DATA_AFTER_CR) {
            if (in.data[at] != '\n') {
                return false;
            }
            content_give(r, SLICE_LITERAL("\r\n"), out);
            line_end(r);
        } else if (!line_rest(r, slice_of(in.data + at, in.len - at), out, &taken)) {
            return false;
        }
    }
    return true;
}

bool chunk_end(struct data_reader *r, struct buf *out)
{
    if (r->position == DATA_IN_LINE) {
        content_give(r, SLICE_LITERAL("\r\n"), out);
        line_end(r);
    }
    return r->position == DATA_AT_LINE_START;
}
