/*
 * Reading BER (X.690) out of hostile hands, element by element: no length is believed, nothing is allocated,
 * indefinite lengths are fine. Internal to crypto/; for what OpenSSL gives no access to.
 */
#ifndef SEALPOST_CRYPTO_BER_H
#define SEALPOST_CRYPTO_BER_H

#include "base/buf.h"

enum ber_tag {
    BER_INTEGER = 0x02,
    BER_OCTETS = 0x04,
    BER_NULL = 0x05,
    BER_OID = 0x06,
    BER_UTC_TIME = 0x17,
    BER_GENERALIZED_TIME = 0x18,
    BER_OCTETS_IN_PIECES = 0x24, /* the constructed form */
    BER_SEQUENCE = 0x30,
    BER_SET = 0x31,
    BER_CONTEXT_0 = 0xa0, /* constructed; the others follow */
    BER_CONTEXT_1 = 0xa1,
    BER_CONTEXT_2 = 0xa2,
};

struct ber_element {
    uint8_t tag;          /* identifier octet, with class and form */
    struct slice content; /* without the end-of-contents octets of an indefinite length */
    struct slice whole;   /* with identifier and length octets */
};

/* Takes the next element off `in`, which lies outside of *e. false: there is none, or it is broken. */
bool ber_next(struct slice *in, struct ber_element *e);
/* The same, false also if it has another tag. */
bool ber_next_is(struct slice *in, uint8_t tag, struct ber_element *e);
/* An optional element: true and taken if it comes next. */
bool ber_optional(struct slice *in, uint8_t tag, struct ber_element *e);
/* The bytes of an OCTET STRING, also of one in pieces (pieces of pieces are refused: MALFORMED), appended. */
enum status ber_octets(const struct ber_element *e, struct buf *out) MUST_CHECK;

#endif
