/* XCLIENT (smtp/xclient_command.h). */
#include "smtp/xclient_command.h"

#include "smtp/command_parser.h"

#include <arpa/inet.h>

static const char *const names[XCLIENT_ATTRIBUTE_COUNT] = {
    [XCLIENT_NAME] = "NAME",         [XCLIENT_ADDR] = "ADDR",        [XCLIENT_PORT] = "PORT",
    [XCLIENT_PROTO] = "PROTO",       [XCLIENT_HELO] = "HELO",        [XCLIENT_LOGIN] = "LOGIN",
    [XCLIENT_DESTADDR] = "DESTADDR", [XCLIENT_DESTPORT] = "DESTPORT"};

static int hex_digit(uint8_t c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* RFC 3461 section 4, with hexadecimal of either case; the result is printable ASCII or the value is bad. */
static bool xtext_decode(struct slice in, char *out, size_t max)
{
    size_t len = 0;
    for (size_t i = 0; i < in.len; i++) {
        int c = in.data[i];
        if (c == '+') {
            if (in.len - i < 3 || hex_digit(in.data[i + 1]) < 0 || hex_digit(in.data[i + 2]) < 0) {
                return false;
            }
            c = hex_digit(in.data[i + 1]) * 16 + hex_digit(in.data[i + 2]);
            i += 2;
        }
        if (c <= 0x20 || c >= 0x7f || len == max) {
            return false;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return len > 0;
}

static bool address_value(struct slice value, char out[XCLIENT_IP_MAX])
{
    char text[80];
    uint8_t bytes[16];
    if (!xtext_decode(value, text, sizeof text - 1)) {
        return false;
    }
    bool v6 = slice_starts_with_nocase(slice_of_text(text), SLICE_LITERAL("IPV6:"));
    int family = v6 ? AF_INET6 : AF_INET;
    return inet_pton(family, v6 ? text + 5 : text, bytes) == 1 &&
           inet_ntop(family, bytes, out, XCLIENT_IP_MAX) != NULL;
}

static bool port_value(struct slice value, uint16_t *out)
{
    uint64_t port = 0;
    if (value.len == 0 || value.len > 5 || !slice_parse_u64(value, &port) || port > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool host_value(struct slice value, char *out)
{
    return xtext_decode(value, out, XCLIENT_NAME_MAX) && client_name_valid(slice_of_text(out));
}

static bool value_parse(enum xclient_attribute attribute, struct slice value, struct xclient *out)
{
    switch (attribute) {
    case XCLIENT_NAME:
        return host_value(value, out->name);
    case XCLIENT_HELO:
        return host_value(value, out->helo);
    case XCLIENT_ADDR:
        return address_value(value, out->address);
    case XCLIENT_DESTADDR:
        return address_value(value, out->destination);
    case XCLIENT_PORT:
        return port_value(value, &out->port);
    case XCLIENT_DESTPORT:
        return port_value(value, &out->destination_port);
    case XCLIENT_LOGIN:
        return xtext_decode(value, out->login, XCLIENT_LOGIN_MAX);
    case XCLIENT_PROTO:
        out->esmtp = slice_equal_nocase(value, SLICE_LITERAL("ESMTP"));
        return out->esmtp || slice_equal_nocase(value, SLICE_LITERAL("SMTP"));
    case XCLIENT_ATTRIBUTE_COUNT:
        break;
    }
    return false;
}

static bool word_parse(struct slice word, struct xclient *out)
{
    size_t equals = slice_find_byte(word, '=');
    if (equals == word.len) {
        return false;
    }
    struct slice value = slice_of(word.data + equals + 1, word.len - equals - 1);
    for (int i = 0; i < XCLIENT_ATTRIBUTE_COUNT; i++) {
        if (!slice_equal_nocase(slice_of(word.data, equals), slice_of_text(names[i]))) {
            continue;
        }
        if (out->given[i]) {
            return false;
        }
        out->given[i] = true;
        if (slice_equal_nocase(value, SLICE_LITERAL("[UNAVAILABLE]")) ||
            slice_equal_nocase(value, SLICE_LITERAL("[TEMPUNAVAIL]"))) {
            return true;
        }
        out->known[i] = true;
        return value_parse((enum xclient_attribute)i, value, out);
    }
    return false;
}

bool xclient_parse(struct slice arguments, struct xclient *out)
{
    struct slice rest = slice_trim(arguments);
    *out = (struct xclient){0};
    if (rest.len == 0) {
        return false;
    }
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, ' ');
        if (end > 0 && !word_parse(slice_of(rest.data, end), out)) {
            return false;
        }
        size_t next = end < rest.len ? end + 1 : end;
        rest = slice_of(rest.data + next, rest.len - next);
    }
    return true;
}
