/*
 * Internationalised domains by libidn2: strictly IDNA2008, without the mapping of UTS #46. On the wire a
 * domain stands in U-labels (RFC 6531 section 3.3, RFC 5890 section 2.3.2.1): what would first have to be
 * mapped (a wide letter, an ideographic full stop) is none, and must not come to equal a name that it only
 * looks like. What comes out is checked as any other name is. Pure; any thread.
 */
#include "mail/idn.h"

#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_ascii(struct slice s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool text_fill(struct slice s, char *out, size_t size)
{
    if (s.len >= size || slice_find_byte(s, '\0') < s.len) {
        return false;
    }
    if (s.len > 0) {
        memcpy(out, s.data, s.len);
    }
    out[s.len] = '\0';
    return true;
}

static bool convert(const char *domain, char out[DOMAIN_MAX + 1])
{
    uint8_t *found = NULL;
    if (idn2_lookup_u8((const uint8_t *)domain, &found, IDN2_NO_TR46) != IDN2_OK) {
        return false;
    }
    bool fits = text_fill(slice_of_text((const char *)found), out, DOMAIN_MAX + 1);
    idn2_free(found);
    struct failure ignored;
    char normal[DOMAIN_MAX + 1];
    return fits && out[0] != '*' && domain_normalise(slice_of_text(out), normal, &ignored) == STATUS_OK;
}

bool idn_domain_to_ascii(struct slice domain, char out[DOMAIN_MAX + 1])
{
    char text[4 * DOMAIN_MAX + 1]; /* a U-label may be longer in UTF-8 than its A-label */
    if (is_ascii(domain)) {
        return text_fill(domain, out, DOMAIN_MAX + 1);
    }
    return slice_is_text(domain) && text_fill(domain, text, sizeof text) && convert(text, out);
}

bool idn_address_to_ascii(struct slice address, char out[ADDRESS_MAX + 1])
{
    struct slice domain = address_domain(address);
    size_t local = address.len - domain.len; /* with the @ */
    char ascii[DOMAIN_MAX + 1];
    if (!idn_domain_to_ascii(domain, ascii) || local + strlen(ascii) > ADDRESS_MAX) {
        return false;
    }
    memcpy(out, address.data, local);
    memcpy(out + local, ascii, strlen(ascii) + 1);
    return true;
}
