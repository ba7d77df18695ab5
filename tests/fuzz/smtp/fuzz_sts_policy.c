/* Policy files and TXT records of MTA-STS of any bytes: what is accepted is within its bounds, names only
 * what may be named, and is the same when it is read again from what it became. */
#include "smtp/sts_policy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf patterns = BUF_INIT(STS_MX_MAX);
    struct sts_policy policy;
    struct failure f = {0};
    char id[STS_ID_MAX + 1];
    if (sts_policy_parse(slice_of(data, size), &patterns, &policy, &f) == STATUS_OK) {
        struct slice rest = policy.mx;
        if (policy.mode >= STS_MODE_END || policy.max_age_s > STS_MAX_AGE_MAX ||
            (policy.mode != STS_NONE && rest.len == 0)) {
            abort();
        }
        while (rest.len > 0) {
            size_t end = slice_find_byte(rest, ' ');
            if (!sts_pattern_is_valid(slice_of(rest.data, end))) {
                abort();
            }
            rest = slice_of(rest.data + end, rest.len - end);
            rest = rest.len > 0 ? slice_of(rest.data + 1, rest.len - 1) : rest;
        }
        (void)sts_mx_matches(&policy, slice_of(data, size < 64 ? size : 64));
    } else if (f.text[0] == '\0') {
        abort();
    }
    if (sts_text_read(slice_of(data, size), id) == STS_TEXT_GOOD &&
        (id[0] == '\0' || strlen(id) > STS_ID_MAX)) {
        abort();
    }
    buf_release(&patterns);
    return 0;
}
