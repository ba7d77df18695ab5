/* See certificate_words.h. Any thread. */
#include "store/certificate_words.h"

#include "base/hex.h"

void words_fold(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'A' && text[i] <= 'Z')
            text[i] = (char)(text[i] - 'A' + 'a');
}

static bool of_a_word(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c >= 0x80;
}

bool words_next(struct slice *rest, struct slice *word)
{
    size_t start = 0, end;

    while (start < rest->len && !of_a_word(rest->data[start]))
        start++;
    for (end = start; end < rest->len && of_a_word(rest->data[end]);)
        end++;
    if (end == start)
        return false;
    *word = slice_of(rest->data + start, end - start);
    *rest = slice_of(rest->data + end, rest->len - end);
    return true;
}

bool words_hold(struct slice text, struct slice term)
{
    const uint8_t *at = text.data;
    size_t left = text.len;

    if (term.len == 0)
        return true;
    while (left >= term.len) {
        const uint8_t *found = memmem(at, left, term.data, term.len);

        if (found == NULL)
            return false;
        if (found == text.data || !of_a_word(found[-1]) || !of_a_word(term.data[0]))
            return true;
        left -= (size_t)(found - at) + 1;
        at = found + 1;
    }
    return false;
}

static void put(struct certificate_words *w, uint8_t c)
{
    if (w->text_len < CERT_TEXT_MAX)
        w->text[w->text_len++] = (char)c;
}

static void put_plain(struct certificate_words *w, struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        put(w, text.data[i]);
    put(w, '\n');
}

/* One value of a name, up to the comma or plus behind it; gives where that is. */
static size_t put_value(struct certificate_words *w, struct slice name, size_t i)
{
    for (; i < name.len && name.data[i] != ',' && name.data[i] != '+'; i++) {
        uint8_t byte = name.data[i];

        if (byte == '\\' && i + 2 < name.len && hex_parse(slice_of(name.data + i + 1, 2), &byte, 1))
            i += 2;
        else if (byte == '\\' && i + 1 < name.len)
            byte = name.data[++i];
        put(w, byte);
    }
    return i;
}

/* A name of RFC 4514, "CN=A\, B+OU=x": the attributes' names are left out, escapes become what they mean. */
static void put_name(struct certificate_words *w, struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        size_t type = slice_find_byte(slice_of(name.data + i, name.len - i), '=');

        if (i + type < name.len)
            i += type + 1;
        i = put_value(w, name, i);
        put(w, ' ');
    }
    put(w, '\n');
}

static void keep_word(struct certificate_words *w, struct slice word)
{
    if (word.len < CERT_WORD_MIN || w->count == CERT_WORDS_MAX)
        return;
    if (word.len > CERT_WORD_MAX)
        word.len = CERT_WORD_MAX;
    for (size_t i = 0; i < w->count; i++)
        if (slice_equal(w->words[i], word))
            return;
    w->words[w->count++] = word;
}

void certificate_words_of(const struct certificate_record *record, struct certificate_words *out)
{
    struct slice rest, word;

    out->text_len = 0;
    out->count = 0;
    for (size_t i = 0; i < record->address_count; i++)
        put_plain(out, record->addresses[i]);
    put_plain(out, record->serial);
    put_name(out, record->subject);
    put_name(out, record->issuer);
    words_fold(out->text, out->text_len);
    rest = slice_of(out->text, out->text_len);
    while (words_next(&rest, &word))
        keep_word(out, word);
}

size_t domain_reverse(struct slice domain, char out[DOMAIN_REVERSED_MAX])
{
    size_t len = 0, end = domain.len;

    if (domain.len == 0 || domain.len > DOMAIN_REVERSED_MAX)
        return 0;
    while (true) {
        size_t start = end;

        while (start > 0 && domain.data[start - 1] != '.')
            start--;
        memcpy(out + len, domain.data + start, end - start);
        len += end - start;
        if (start == 0)
            return len;
        out[len++] = '.';
        end = start - 1;
    }
}
