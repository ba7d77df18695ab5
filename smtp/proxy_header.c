/* The PROXY protocol's header (smtp/proxy_header.h). */
#include "smtp/proxy_header.h"

#include "smtp/crc32c.h"

#include <arpa/inet.h>

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

#define V2_HEAD    ((size_t)16)
#define TLV_CRC32C 0x03

enum { V2_LOCAL, V2_PROXY };
enum { FAMILY_UNSPEC, FAMILY_INET, FAMILY_INET6, FAMILY_UNIX };
enum { TRANSPORT_UNSPEC, TRANSPORT_STREAM };

static bool client_set(struct proxy_header *out, int family, const uint8_t *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    if (family == AF_INET6 && memcmp(address, mapped, sizeof mapped) == 0) {
        return inet_ntop(AF_INET, address + 12, out->client, sizeof out->client) != NULL;
    }
    return inet_ntop(family, address, out->client, sizeof out->client) != NULL;
}

/* --- version 1 --- */

/* The next word, up to the one space that ends it; the last one up to the line's end. */
static bool next_word(struct slice *rest, bool last, struct slice *word)
{
    size_t end = slice_find_byte(*rest, ' ');
    if (last != (end == rest->len) || end == 0) {
        return false;
    }
    *word = slice_of(rest->data, end);
    *rest = last ? slice_of(NULL, 0) : slice_of(rest->data + end + 1, rest->len - end - 1);
    return true;
}

static bool port_parse(struct slice word, uint16_t *out)
{
    uint64_t port = 0;
    if (word.len == 0 || word.len > 5 || (word.len > 1 && word.data[0] == '0') ||
        !slice_parse_u64(word, &port) || port > UINT16_MAX) {
        return false;
    }
    *out = (uint16_t)port;
    return true;
}

static bool address_parse(struct slice word, int family, uint8_t address[16])
{
    char text[PROXY_IP_MAX];
    if (word.len >= sizeof text || slice_find_byte(word, '\0') < word.len) {
        return false;
    }
    memcpy(text, word.data, word.len);
    text[word.len] = '\0';
    return inet_pton(family, text, address) == 1;
}

static enum proxy_result line_parse(struct slice line, struct proxy_header *out)
{
    struct slice word, ports[2];
    uint8_t client[16], server[16];
    uint16_t server_port;
    struct slice rest = slice_of(line.data + 6, line.len - 6); /* "PROXY " was seen */
    if (slice_equal(rest, SLICE_LITERAL("UNKNOWN")) || slice_starts_with(rest, SLICE_LITERAL("UNKNOWN "))) {
        return PROXY_LOCAL;
    }
    if (!next_word(&rest, false, &word)) {
        return PROXY_BAD;
    }
    bool v4 = slice_equal(word, SLICE_LITERAL("TCP4"));
    if (!v4 && !slice_equal(word, SLICE_LITERAL("TCP6"))) {
        return PROXY_BAD;
    }
    int family = v4 ? AF_INET : AF_INET6;
    if (!next_word(&rest, false, &word) || !address_parse(word, family, client) ||
        !next_word(&rest, false, &word) || !address_parse(word, family, server) ||
        !next_word(&rest, false, &ports[0]) || !port_parse(ports[0], &out->client_port) ||
        !next_word(&rest, true, &ports[1]) || !port_parse(ports[1], &server_port)) {
        return PROXY_BAD;
    }
    return client_set(out, family, client) ? PROXY_ADDRESS : PROXY_BAD;
}

static enum proxy_result v1_parse(struct slice in, struct proxy_header *out, size_t *used)
{
    static const char start[] = "PROXY ";
    size_t known = in.len < sizeof start - 1 ? in.len : sizeof start - 1;
    if (memcmp(in.data, start, known) != 0) {
        return PROXY_BAD;
    }
    struct slice seen = slice_of(in.data, in.len < PROXY_V1_MAX ? in.len : PROXY_V1_MAX);
    size_t newline = slice_find_byte(seen, '\n');
    if (newline == seen.len) {
        return seen.len < PROXY_V1_MAX ? PROXY_MORE : PROXY_BAD;
    }
    if (newline < sizeof start || in.data[newline - 1] != '\r') {
        return PROXY_BAD;
    }
    struct slice line = slice_of(in.data, newline - 1);
    if (slice_find_byte(line, '\r') < line.len || slice_find_byte(line, '\0') < line.len) {
        return PROXY_BAD;
    }
    *used = newline + 1;
    out->version = 1;
    return line_parse(line, out);
}

/* --- version 2 --- */

static size_t big_endian_16(const uint8_t *p)
{
    return (size_t)p[0] << 8 | p[1];
}

/* Whole TLVs up to the end, and a right checksum if there is one. */
static bool tlvs_good(struct slice header, size_t at)
{
    static const uint8_t zeros[4];
    while (at < header.len) {
        if (header.len - at < 3) {
            return false;
        }
        size_t len = big_endian_16(header.data + at + 1);
        if (header.len - at - 3 < len) {
            return false;
        }
        if (header.data[at] == TLV_CRC32C) {
            const uint8_t *p = header.data + at + 3;
            if (len != sizeof zeros) {
                return false;
            }
            uint32_t crc = crc32c(0, slice_of(header.data, at + 3));
            crc = crc32c(crc, slice_of(zeros, sizeof zeros));
            crc = crc32c(crc, slice_of(p + 4, header.len - at - 7));
            if (crc != ((uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3])) {
                return false;
            }
        }
        at += 3 + len;
    }
    return true;
}

static enum proxy_result v2_addresses(struct slice header, struct proxy_header *out)
{
    static const size_t sizes[] = {
        [FAMILY_UNSPEC] = 0, [FAMILY_INET] = 12, [FAMILY_INET6] = 36, [FAMILY_UNIX] = 216};
    unsigned family = header.data[13] >> 4, transport = header.data[13] & 15;
    if (family > FAMILY_UNIX || (family == FAMILY_UNSPEC) != (transport == TRANSPORT_UNSPEC) ||
        transport > TRANSPORT_STREAM || header.len - V2_HEAD < sizes[family] ||
        !tlvs_good(header, V2_HEAD + sizes[family])) {
        return PROXY_BAD;
    }
    const uint8_t *at = header.data + V2_HEAD;
    if (family == FAMILY_INET) {
        out->client_port = (uint16_t)big_endian_16(at + 8);
        return client_set(out, AF_INET, at) ? PROXY_ADDRESS : PROXY_BAD;
    }
    if (family == FAMILY_INET6) {
        out->client_port = (uint16_t)big_endian_16(at + 32);
        return client_set(out, AF_INET6, at) ? PROXY_ADDRESS : PROXY_BAD;
    }
    return PROXY_LOCAL; /* a UNIX socket's client has no address of ours */
}

static enum proxy_result v2_parse(struct slice in, struct proxy_header *out, size_t *used)
{
    size_t known = in.len < sizeof signature ? in.len : sizeof signature;
    if (memcmp(in.data, signature, known) != 0) {
        return PROXY_BAD;
    }
    if (in.len > sizeof signature && in.data[12] != (0x20 | V2_LOCAL) && in.data[12] != (0x20 | V2_PROXY)) {
        return PROXY_BAD;
    }
    if (in.len < V2_HEAD) {
        return PROXY_MORE;
    }
    size_t len = big_endian_16(in.data + 14);
    if (len > PROXY_V2_MAX) {
        return PROXY_BAD;
    }
    if (in.len - V2_HEAD < len) {
        return PROXY_MORE;
    }
    *used = V2_HEAD + len;
    out->version = 2;
    /* LOCAL: whatever addresses say has to be passed over. */
    return in.data[12] == (0x20 | V2_LOCAL) ? PROXY_LOCAL : v2_addresses(slice_of(in.data, *used), out);
}

enum proxy_result proxy_header_parse(struct slice in, struct proxy_header *out, size_t *used)
{
    *out = (struct proxy_header){0};
    *used = 0;
    if (in.len == 0) {
        return PROXY_MORE;
    }
    enum proxy_result result = in.data[0] == signature[0] ? v2_parse(in, out, used) : v1_parse(in, out, used);
    if (result == PROXY_BAD) {
        *used = 0;
    }
    return result;
}
