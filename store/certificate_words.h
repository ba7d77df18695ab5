/*
 * The words by which a certificate is found. Pure; the same on every node, for the index of words is part of
 * the replicated state: what counts as a word may only change together with a rebuilding of that index.
 *
 * The text of a certificate is its addresses, its subject and issuer without the names of the attributes, and
 * its serial number, in small ASCII letters; escaped bytes of RFC 4514 (\C3\BC) are what they stand for. A
 * word is a run of letters, digits and bytes above 127, of two bytes at least; of a longer one the first
 * CERT_WORD_MAX bytes count. Of one certificate at most CERT_WORDS_MAX different words are kept, so that a
 * hostile one costs no more than that.
 */
#ifndef SEALPOST_STORE_CERTIFICATE_WORDS_H
#define SEALPOST_STORE_CERTIFICATE_WORDS_H

#include "store/records.h"

#define CERT_WORD_MIN  2
#define CERT_WORD_MAX  24
#define CERT_WORDS_MAX 48
#define CERT_TEXT_MAX  ((size_t)20 << 10)

struct certificate_words {
    char text[CERT_TEXT_MAX]; /* parts end with a line feed */
    size_t text_len;
    struct slice words[CERT_WORDS_MAX]; /* in `text`, each once */
    size_t count;
};

void certificate_words_of(const struct certificate_record *record, struct certificate_words *out);
/* Small ASCII letters in place. */
void words_fold(char *text, size_t len);
/* The next word of `rest`, which moves behind it; false at the end. Not cut. */
bool words_next(struct slice *rest, struct slice *word);
/* Does `text` have `term` at the beginning of a word? Both folded. */
bool words_hold(struct slice text, struct slice term);

#define DOMAIN_REVERSED_MAX DOMAIN_MAX
/* "partner.example" as "example.partner": a domain and all below it have one beginning. Gives the length; 0
 * if it is too long. */
size_t domain_reverse(struct slice domain, char out[DOMAIN_REVERSED_MAX]);

#endif
