/* TXT records of any bytes, each with two bytes of length before it: fingerprints in ascending order, each
 * once, no more than there is room for. */
#include "node/fetch_dns_text.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dns_fingerprints found = {.count = 0};
    struct slice in = slice_of(data, size);
    while (in.len >= 2) {
        size_t len = (size_t)in.data[0] << 8 | in.data[1], before = found.count;
        in = slice_of(in.data + 2, in.len - 2);
        len = len < in.len ? len : in.len;
        bool good = dns_text_read(slice_of(in.data, len), &found);
        if (found.count > before + 1 || (!good && found.count != before)) {
            abort();
        }
        in = slice_of(in.data + len, in.len - len);
    }
    for (size_t i = 1; i < found.count; i++) {
        if (memcmp(found.list[i - 1], found.list[i], THUMBPRINT_SIZE) >= 0) {
            abort();
        }
    }
    if (found.count > DOMAIN_DNS_FINGERPRINTS_MAX ||
        (found.too_many && found.count != DOMAIN_DNS_FINGERPRINTS_MAX)) {
        abort();
    }
    return 0;
}
