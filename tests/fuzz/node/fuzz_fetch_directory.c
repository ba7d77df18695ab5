/* The URL of a directory look-up and an address, of any bytes, with a line feed between them: what is
 * accepted can be read by libldap with the address filled in, and an address cannot leave its place in the
 * filter. */
#include "node/fetch_directory.h"
#include "store/setting_lookup.h"

#include <ldap.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parentheses in a filter make its structure: there are as many for each address. */
static size_t parentheses(const char *text)
{
    size_t count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '(' || *text == ')';
    }
    return count;
}

static size_t structure(struct slice lookup, struct slice address)
{
    struct buf url = BUF_INIT((size_t)1 << 20);
    LDAPURLDesc *parsed = NULL;
    size_t count = SIZE_MAX;
    if (directory_url(lookup, address, &url) == STATUS_OK &&
        ldap_url_parse(buf_text(&url), &parsed) == LDAP_URL_SUCCESS && parsed->lud_filter != NULL) {
        count = parentheses(parsed->lud_filter);
    }
    ldap_free_urldesc(parsed);
    buf_release(&url);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size), item;
    size_t end = slice_find_byte(in, '\n');
    struct slice lookups = slice_of(data, end);
    struct slice address = end < size ? slice_of(data + end + 1, size - end - 1) : SLICE_LITERAL("a@b.c");
    struct failure f;
    for (size_t i = 0; i < SETTING_LOOKUPS_MAX && lookup_next(&lookups, &item); i++) {
        if (lookup_check(item, &f) == STATUS_OK &&
            structure(item, address) != structure(item, SLICE_LITERAL("a@b.c"))) {
            abort();
        }
    }
    return 0;
}
