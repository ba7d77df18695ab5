/*
 * What a load balancer or a trusted filter says of its client: the PROXY header and XCLIENT. What must hold:
 * nothing crashes, the result does not depend on where the bytes are cut, what is given out is an address or
 * name that cannot end or fold a line.
 */
#include "smtp/proxy_header.h"
#include "smtp/xclient_command.h"

#include <arpa/inet.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            __builtin_trap();                                                                                \
        }                                                                                                    \
    } while (0)

static void address_check(const char *ip)
{
    uint8_t bytes[16];
    MUST(inet_pton(AF_INET, ip, bytes) == 1 || inet_pton(AF_INET6, ip, bytes) == 1);
}

static void text_check(const char *text)
{
    for (; *text != '\0'; text++) {
        MUST(*text > 0x20 && *text < 0x7f);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size);
    struct proxy_header h, cut;
    struct xclient x;
    size_t used = 0, used_cut = 0;
    enum proxy_result result = proxy_header_parse(in, &h, &used);
    MUST(used <= size && used <= 16 + PROXY_V2_MAX);
    if (result == PROXY_ADDRESS) {
        address_check(h.client);
    }
    for (size_t len = 0; len < size && len < 300; len++) {
        enum proxy_result part = proxy_header_parse(slice_of(data, len), &cut, &used_cut);
        if (len < used) {
            MUST(part == PROXY_MORE);
        } else if (part != PROXY_MORE) {
            MUST(part == result && used_cut == used);
        }
    }
    if (xclient_parse(in, &x)) {
        text_check(x.name);
        text_check(x.helo);
        text_check(x.login);
        if (x.known[XCLIENT_ADDR]) {
            address_check(x.address);
        }
    }
    return 0;
}
