/* See request_head.h. */
#include "api/request_head.h"

struct head_facts {
    unsigned hosts, content_lengths, transfer_encodings;
    bool http_1_0;
};

static enum status refuse(struct failure *f, const char *reason)
{
    return failure_set(f, STATUS_MALFORMED, "%s", reason);
}

/* RFC 9110 section 5.6.2 */
static bool is_token_byte(uint8_t byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9')) {
        return true;
    }
    return byte != '\0' && strchr("!#$%&'*+-.^_`|~", byte) != NULL;
}

static enum status request_line_check(struct slice line, struct head_facts *facts, struct failure *f)
{
    size_t spaces = 0;
    for (size_t i = 0; i < line.len; i++) {
        spaces += line.data[i] == ' ';
        if (line.data[i] < 0x20 || line.data[i] > 0x7e) {
            return refuse(f, "the request line holds a byte that does not belong there");
        }
    }
    struct slice version = line.len > 9 ? slice_of(line.data + line.len - 9, 9) : slice_of(NULL, 0);
    facts->http_1_0 = slice_equal(version, SLICE_LITERAL(" HTTP/1.0"));
    if (spaces != 2 || (!facts->http_1_0 && !slice_equal(version, SLICE_LITERAL(" HTTP/1.1")))) {
        return refuse(f, "the request line is not that of HTTP/1.1");
    }
    return STATUS_OK;
}

static enum status field_check(struct slice line, struct head_facts *facts, struct failure *f)
{
    size_t colon = slice_find_byte(line, ':');
    if (line.data[0] == ' ' || line.data[0] == '\t') {
        return refuse(f, "a header field is folded over two lines");
    }
    if (colon == 0 || colon == line.len) {
        return refuse(f, "a header field has no name or no colon");
    }
    struct slice name = slice_of(line.data, colon);
    struct slice value = slice_trim(slice_of(line.data + colon + 1, line.len - colon - 1));
    for (size_t i = 0; i < name.len; i++) {
        if (!is_token_byte(name.data[i])) {
            return refuse(f, "the name of a header field holds a byte that does not belong there");
        }
    }
    for (size_t i = 0; i < value.len; i++) {
        if ((value.data[i] < 0x20 && value.data[i] != '\t') || value.data[i] == 0x7f) {
            return refuse(f, "a header field holds a control character");
        }
    }
    if (slice_equal_nocase(name, SLICE_LITERAL("host"))) {
        facts->hosts++;
    } else if (slice_equal_nocase(name, SLICE_LITERAL("content-length"))) {
        uint64_t length;
        facts->content_lengths++;
        if (!slice_parse_u64(value, &length)) {
            return refuse(f, "Content-Length is not a number");
        }
    } else if (slice_equal_nocase(name, SLICE_LITERAL("transfer-encoding"))) {
        facts->transfer_encodings++;
        if (!slice_equal_nocase(value, SLICE_LITERAL("chunked"))) {
            return refuse(f, "Transfer-Encoding must be chunked and nothing else");
        }
    }
    return STATUS_OK;
}

static enum status facts_check(const struct head_facts *facts, struct failure *f)
{
    if (facts->hosts > 1) {
        return refuse(f, "Host is given twice");
    }
    if (facts->hosts == 0 && !facts->http_1_0) {
        return refuse(f, "Host is missing");
    }
    if (facts->content_lengths > 1) {
        return refuse(f, "Content-Length is given twice");
    }
    if (facts->transfer_encodings > 1) {
        return refuse(f, "Transfer-Encoding is given twice");
    }
    if (facts->content_lengths == 1 && facts->transfer_encodings == 1) {
        return refuse(f, "Content-Length and Transfer-Encoding are given both");
    }
    if (facts->transfer_encodings == 1 && facts->http_1_0) {
        return refuse(f, "HTTP/1.0 knows no Transfer-Encoding");
    }
    return STATUS_OK;
}

enum status request_head_check(struct slice input, struct failure *f)
{
    struct head_facts facts = {0};
    bool first = true;
    if (input.len > REQUEST_HEAD_MAX) {
        input.len = REQUEST_HEAD_MAX;
    }
    if (slice_starts_with(input,
                          SLICE_LITERAL("\r\n"))) { /* RFC 9112 section 2.2: one empty line is ignored */
        input = slice_of(input.data + 2, input.len - 2);
    }
    for (;;) {
        size_t end = slice_find_byte(input, '\n');
        if (end == input.len) {
            return refuse(f, "the head has no end or is too large");
        }
        if (end == 0 || input.data[end - 1] != '\r') {
            return refuse(f, "a line ends with LF alone");
        }
        struct slice line = slice_of(input.data, end - 1);
        input = slice_of(input.data + end + 1, input.len - end - 1);
        if (line.len == 0 && !first) {
            return facts_check(&facts, f);
        }
        enum status status = first ? request_line_check(line, &facts, f) : field_check(line, &facts, f);
        if (status != STATUS_OK) {
            return status;
        }
        first = false;
    }
}
