/*
 * Mailboxes, domains and address literals in the grammar of RFC 5321 sections 4.1.2 and 4.1.3, extended by
 * RFC 6531 section 3.3. Pure.
 * Local parts may be a dot-string or a quoted string; nothing is unquoted or folded here: the path goes on as
 * it was given.
 */
#include "mail/idn.h"
#include "smtp/command_parser.h"
#include "store/records.h"

#include <arpa/inet.h>

static bool is_letter_or_digit(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* atext of RFC 5322 section 3.2.3, and UTF8-non-ascii; that it is whole UTF-8 is checked of all at once */
static bool is_atext(uint8_t c)
{
    return is_letter_or_digit(c) || c >= 0x80 || (c != 0 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* How many bytes the local part has, 0 if there is no valid one. */
static size_t local_part_length(struct slice s)
{
    if (s.len > 0 && s.data[0] == '"') {
        for (size_t i = 1; i < s.len; i++) {
            uint8_t c = s.data[i];
            if (c == '"') {
                return i + 1;
            }
            if (c == '\\') { /* quoted-pairSMTP */
                i++;
                if (i >= s.len) {
                    return 0;
                }
                c = s.data[i];
            }
            if (c < 0x20 || c == 0x7f) {
                return 0;
            }
        }
        return 0;
    }
    size_t i = 0;
    bool atom = false; /* the last byte belongs to an atom */
    for (; i < s.len; i++) {
        if (is_atext(s.data[i])) {
            atom = true;
        } else if (s.data[i] == '.' && atom) {
            atom = false;
        } else {
            break;
        }
    }
    return atom ? i : 0;
}

bool domain_valid(struct slice domain)
{
    if (domain.len == 0 || domain.len > DOMAIN_MAX) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < domain.len; i++) {
        uint8_t c = domain.data[i];
        if (c == '.') {
            if (label == 0 || domain.data[i - 1] == '-') {
                return false;
            }
            label = 0;
            continue;
        }
        if (!is_letter_or_digit(c) && c != '_' && !(c == '-' && label > 0)) {
            return false;
        }
        if (++label > 63) {
            return false;
        }
    }
    return label > 0 && domain.data[domain.len - 1] != '-';
}

bool address_literal_valid(struct slice literal)
{
    if (literal.len < 3 || literal.data[0] != '[' || literal.data[literal.len - 1] != ']') {
        return false;
    }
    struct slice inner = slice_of(literal.data + 1, literal.len - 2);
    int family = AF_INET;
    if (slice_starts_with_nocase(inner, SLICE_LITERAL("IPv6:"))) {
        family = AF_INET6;
        inner = slice_of(inner.data + 5, inner.len - 5);
    }
    char text[INET6_ADDRSTRLEN];
    if (inner.len >= sizeof text) {
        return false;
    }
    memcpy(text, inner.data, inner.len);
    text[inner.len] = '\0';
    uint8_t address[sizeof(struct in6_addr)];
    return inet_pton(family, text, address) == 1;
}

bool mailbox_parse(struct slice mailbox, struct slice *domain)
{
    if (mailbox.len > ADDRESS_MAX || !slice_is_text(mailbox)) {
        return false;
    }
    size_t local = local_part_length(mailbox);
    if (local == 0 || local + 1 >= mailbox.len || mailbox.data[local] != '@') {
        return false;
    }
    *domain = slice_of(mailbox.data + local + 1, mailbox.len - local - 1);
    char ascii[DOMAIN_MAX + 1];
    return domain->data[0] == '[' ? address_literal_valid(*domain)
                                  : idn_domain_to_ascii(*domain, ascii) && domain_valid(slice_of_text(ascii));
}
