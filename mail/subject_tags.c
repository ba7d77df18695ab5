/*
 * Forged tags. A sender who writes "[signed by ceo@ours.example]" himself must not get it delivered where our
 * tags mean something. So everything in square brackets whose letters spell the start of a tag is taken out,
 * whatever stands between the letters: blanks, punctuation, characters that do not show. Brackets that look
 * alike (fullwidth, lenticular ...) count as brackets. Removing may join what was apart, so it is done until
 * nothing is found. Pure; any thread.
 */
#include "mail/subject_tags.h"

#include "mail/json_write.h"

#define TAG_MAX    400 /* bytes in brackets: an address and words */
#define ROUNDS_MAX 64  /* a subject with more forged tags loses its brackets */

static const struct {
    const char *letters;
    bool whole; /* nothing may follow */
} tags[] = {
    {"signedby", false},  {"signed", true}, {"invalidsignature", false}, {"unverifiedsignature", false},
    {"decrypted", false},
};

/* Bytes of an opening (or closing) bracket at the start of `at`; 0 if there is none. */
static size_t bracket(struct slice at, bool opening)
{
    static const char *const open[] = {
        "[", "\xef\xbc\xbb", "\xe3\x80\x90", "\xe2\x9f\xa6", "\xe3\x80\x94", "\xe2\x81\x85"};
    static const char *const close[] = {
        "]", "\xef\xbc\xbd", "\xe3\x80\x91", "\xe2\x9f\xa7", "\xe3\x80\x95", "\xe2\x81\x86"};
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++) {
        struct slice one = slice_of_text(opening ? open[i] : close[i]);
        if (slice_starts_with(at, one)) {
            return one.len;
        }
    }
    return 0;
}

/* Does the text in brackets begin with the letters of `tag`, all else between them left out? */
static bool spells(struct slice inside, const char *tag, bool whole)
{
    for (size_t i = 0; i < inside.len && (whole || *tag != '\0'); i++) {
        uint8_t c = inside.data[i];
        if (c >= 'A' && c <= 'Z') {
            c = (uint8_t)(c + 32);
        }
        if (c >= 'a' && c <= 'z') {
            if (c != (uint8_t)*tag) {
                return false;
            }
            tag++;
        }
    }
    return *tag == '\0';
}

/* The first tag at or behind `from`: its start and end. */
static bool find_tag(struct slice text, size_t *start, size_t *end)
{
    for (size_t i = 0; i < text.len; i++) {
        size_t open = bracket(slice_of(text.data + i, text.len - i), true), close = 0, at = i + open;
        if (open == 0) {
            continue;
        }
        size_t limit = at + TAG_MAX < text.len ? at + TAG_MAX : text.len;
        while (at < limit && (close = bracket(slice_of(text.data + at, text.len - at), false)) == 0) {
            at++;
        }
        if (close == 0 && at < text.len) {
            continue;
        }
        struct slice inside = slice_of(text.data + i + open, at - i - open);
        for (size_t n = 0; n < sizeof tags / sizeof tags[0]; n++) {
            if (spells(inside, tags[n].letters, tags[n].whole)) {
                *start = i;
                *end = at + close;
                return true;
            }
        }
    }
    return false;
}

enum status subject_tags_remove(struct slice text, struct arena *a, struct slice *out)
{
    uint8_t *copy = arena_alloc(a, text.len + 1);
    size_t start = 0, end = 0;
    if (copy == NULL) {
        return STATUS_NO_MEMORY;
    }
    if (text.len > 0) {
        memcpy(copy, text.data, text.len);
    }
    struct slice left = slice_of(copy, text.len);
    size_t rounds = 0;
    while (find_tag(left, &start, &end)) {
        memmove(copy + start, copy + end, left.len - end);
        left.len -= end - start;
        if (++rounds == ROUNDS_MAX) {
            for (size_t i = 0; i < left.len; i++) { /* every bracket of every script begins or ends so */
                copy[i] = copy[i] == '[' || copy[i] == ']' || copy[i] > 0x7f ? '?' : copy[i];
            }
            break;
        }
    }
    *out = slice_trim(left);
    return STATUS_OK;
}
