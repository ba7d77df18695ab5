/* MTA-STS policies (smtp/sts_policy.h). */
#include "smtp/sts_policy.h"

#define HOST_NAME_BYTES 253
#define TEXT_MAX        2048
#define DIGITS_MAX      10

/* --- hosts --- */

static bool one_matches(struct slice pattern, struct slice host)
{
    if (!slice_starts_with(pattern, SLICE_LITERAL("*."))) {
        return slice_equal_nocase(pattern, host);
    }
    size_t dot = slice_find_byte(host, '.');
    return dot > 0 && dot < host.len &&
           slice_equal_nocase(slice_of(pattern.data + 1, pattern.len - 1),
                              slice_of(host.data + dot, host.len - dot));
}

bool sts_mx_matches(const struct sts_policy *policy, struct slice host)
{
    struct slice rest = policy->mx;
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, ' ');
        if (one_matches(slice_of(rest.data, end), host)) {
            return true;
        }
        rest = end < rest.len ? slice_of(rest.data + end + 1, rest.len - end - 1) : slice_of(NULL, 0);
    }
    return false;
}

/* --- the file --- */

struct reading {
    struct sts_policy *policy;
    struct buf *patterns;
    bool version, mode, max_age;
    struct failure *f;
};

static enum status bad(struct reading *r, const char *what, struct slice text)
{
    size_t len = text.len < 80 ? text.len : 80;
    return slice_is_text(slice_of(text.data, len))
               ? failure_set(r->f, STATUS_MALFORMED, "%s: \"%.*s\"", what, (int)len, (const char *)text.data)
               : failure_set(r->f, STATUS_MALFORMED, "%s", what);
}

static enum status add_mx(struct reading *r, struct slice value)
{
    char name[HOST_NAME_BYTES + 1];
    if (value.len == 0 || value.len > HOST_NAME_BYTES) {
        return bad(r, "an mx that is no host name", value);
    }
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        name[i] = (char)(c >= 'A' && c <= 'Z' ? c + 'a' - 'A' : c);
    }
    struct slice lower = slice_of(name, value.len);
    if (!sts_pattern_is_valid(lower)) {
        return bad(r, "an mx that is no host name", value);
    }
    enum status status = r->patterns->len > 0 ? buf_append_byte(r->patterns, ' ') : STATUS_OK;
    if (status == STATUS_OK) {
        status = buf_append_slice(r->patterns, lower);
    }
    return status == STATUS_OK || status == STATUS_NO_MEMORY
               ? status
               : failure_set(r->f, STATUS_MALFORMED, "the mx patterns are longer than %zu bytes", STS_MX_MAX);
}

static enum status set_mode(struct reading *r, struct slice value)
{
    for (enum sts_mode m = STS_NONE; m < STS_MODE_END; m++) {
        if (slice_equal(value, slice_of_text(sts_mode_name(m)))) {
            r->policy->mode = m;
            r->mode = true;
            return STATUS_OK;
        }
    }
    return bad(r, "a mode that is none of enforce, testing and none", value);
}

static enum status set_max_age(struct reading *r, struct slice value)
{
    uint64_t seconds = 0;
    if (value.len > DIGITS_MAX || !slice_parse_u64(value, &seconds)) {
        return bad(r, "a max_age that is no number of seconds", value);
    }
    r->policy->max_age_s = seconds < STS_MAX_AGE_MAX ? seconds : STS_MAX_AGE_MAX;
    r->max_age = true;
    return STATUS_OK;
}

static bool is_field_name(struct slice name)
{
    if (name.len == 0 || name.len > 32) {
        return false;
    }
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.data[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || (c != '_' && c != '-' && c != '.'))) {
            return false;
        }
    }
    return true;
}

static enum status read_line(struct reading *r, struct slice line)
{
    size_t colon = slice_find_byte(line, ':');
    struct slice name = slice_of(line.data, colon);
    if (colon == line.len || !is_field_name(name)) {
        return bad(r, "a line that is no field", line);
    }
    struct slice value = slice_trim(slice_of(line.data + colon + 1, line.len - colon - 1));
    if (!slice_is_text(value)) {
        return failure_set(r->f, STATUS_MALFORMED, "a field whose value is no text");
    }
    if (slice_equal(name, SLICE_LITERAL("version"))) {
        if (!r->version && !slice_equal(value, SLICE_LITERAL("STSv1"))) {
            return bad(r, "a version that is not STSv1", value);
        }
        r->version = true;
        return STATUS_OK;
    }
    if (slice_equal(name, SLICE_LITERAL("mode"))) {
        return r->mode ? STATUS_OK : set_mode(r, value);
    }
    if (slice_equal(name, SLICE_LITERAL("max_age"))) {
        return r->max_age ? STATUS_OK : set_max_age(r, value);
    }
    return slice_equal(name, SLICE_LITERAL("mx")) ? add_mx(r, value) : STATUS_OK;
}

enum status sts_policy_parse(struct slice file, struct buf *patterns, struct sts_policy *out,
                             struct failure *f)
{
    struct reading r = {.policy = out, .patterns = patterns, .f = f};
    *out = (struct sts_policy){.mode = STS_NONE};
    buf_reset(patterns);
    if (file.len > STS_FILE_MAX) {
        return failure_set(f, STATUS_MALFORMED, "the policy is longer than %zu bytes", STS_FILE_MAX);
    }
    while (file.len > 0) {
        size_t end = slice_find_byte(file, '\n');
        struct slice line = slice_of(file.data, end);
        file = end < file.len ? slice_of(file.data + end + 1, file.len - end - 1) : slice_of(NULL, 0);
        if (line.len > 0 && line.data[line.len - 1] == '\r') {
            line.len--;
        }
        if (line.len == 0 && file.len == 0) {
            break;
        }
        enum status status = read_line(&r, line);
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (!r.version || !r.mode || !r.max_age) {
        return failure_set(f, STATUS_MALFORMED, "the policy has no %s",
                           !r.version ? "version"
                           : !r.mode  ? "mode"
                                      : "max_age");
    }
    out->mx = buf_slice(patterns);
    if (out->mode != STS_NONE && out->mx.len == 0) {
        return failure_set(f, STATUS_MALFORMED, "the policy names no mx");
    }
    return STATUS_OK;
}

/* --- the TXT record --- */

/* The strings of the record as one. False: they do not fill it, or it is too long. */
static bool join(struct slice rdata, char text[TEXT_MAX], size_t *len)
{
    *len = 0;
    while (rdata.len > 0) {
        size_t piece = rdata.data[0];
        if (piece + 1 > rdata.len || *len + piece > TEXT_MAX) {
            return false;
        }
        memcpy(text + *len, rdata.data + 1, piece);
        *len += piece;
        rdata = slice_of(rdata.data + piece + 1, rdata.len - piece - 1);
    }
    return true;
}

static bool is_id(struct slice id)
{
    if (id.len == 0 || id.len > STS_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < id.len; i++) {
        uint8_t c = id.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9')) {
            return false;
        }
    }
    return true;
}

enum sts_text sts_text_read(struct slice rdata, char id[STS_ID_MAX + 1])
{
    char joined[TEXT_MAX];
    size_t len = 0;
    id[0] = '\0';
    if (!join(rdata, joined, &len)) {
        return STS_TEXT_OTHER;
    }
    struct slice text = slice_of(joined, len);
    if (!slice_starts_with(text, SLICE_LITERAL("v=STSv1"))) {
        return STS_TEXT_OTHER;
    }
    struct slice rest = slice_trim(slice_of(text.data + 7, text.len - 7));
    if (rest.len == 0 || rest.data[0] != ';') {
        return STS_TEXT_OTHER;
    }
    while (rest.len > 0) {
        rest = slice_of(rest.data + 1, rest.len - 1); /* the ";" */
        size_t end = slice_find_byte(rest, ';');
        struct slice field = slice_trim(slice_of(rest.data, end));
        rest = slice_of(rest.data + end, rest.len - end);
        if (field.len == 0) {
            if (slice_trim(rest).len == 0) {
                break; /* one ";" at the end */
            }
            return STS_TEXT_MALFORMED;
        }
        size_t equals = slice_find_byte(field, '=');
        if (equals == field.len || !is_field_name(slice_of(field.data, equals))) {
            return STS_TEXT_MALFORMED;
        }
        struct slice value = slice_of(field.data + equals + 1, field.len - equals - 1);
        if (equals == 2 && memcmp(field.data, "id", 2) == 0 && id[0] == '\0') {
            if (!is_id(value)) {
                return STS_TEXT_MALFORMED;
            }
            memcpy(id, value.data, value.len);
            id[value.len] = '\0';
        }
    }
    return id[0] != '\0' ? STS_TEXT_GOOD : STS_TEXT_MALFORMED;
}
