/*
 * A walk over BER (X.690), just as deep as crypto/cms_scan.h needs it. The end of an element of indefinite
 * length is found in a loop with a bounded depth, not by recursion. Pure; any thread.
 */
#include "crypto/cms_scan.h"

#define NESTING_MAX 32

enum { TAG_OID = 0x06, TAG_OCTETS = 0x04, TAG_SEQUENCE = 0x30, TAG_SET = 0x31, TAG_0 = 0xa0, TAG_1 = 0xa1 };

struct element {
    uint8_t tag; /* identifier octet, with class and form */
    struct slice content;
};

/* Identifier and length octets at `at`: moves behind them. An indefinite length gives *indefinite. */
static bool read_head(struct slice *at, uint8_t *tag, size_t *len, bool *indefinite)
{
    size_t i = 1, value = 0, count;
    const uint8_t *p = at->data;

    if (at->len < 2)
        return false;
    *tag = p[0];
    if ((p[0] & 0x1f) == 0x1f) { /* a tag number in further octets */
        while (i < at->len && (p[i] & 0x80) != 0)
            i++;
        i++;
    }
    if (i >= at->len)
        return false;
    *indefinite = p[i] == 0x80;
    if (p[i] <= 0x80) {
        value = p[i] & 0x7f;
        i++;
    } else {
        count = p[i++] & 0x7f;
        if (count > at->len - i)
            return false;
        for (; count > 0; count--, i++) {
            if (value > (SIZE_MAX >> 8))
                return false;
            value = value << 8 | p[i];
        }
    }
    if (*indefinite && (p[0] & 0x20) == 0)
        return false;
    *at = slice_of(p + i, at->len - i);
    *len = value;
    return value <= at->len;
}

/* Takes the next element off `in`, which lies outside of *e. */
static bool next(struct slice *in, struct element *e)
{
    struct slice at = *in;
    size_t len, depth = 1;
    const uint8_t *start;
    bool indefinite;
    uint8_t tag;

    if (!read_head(&at, &e->tag, &len, &indefinite))
        return false;
    start = at.data;
    if (!indefinite) {
        e->content = slice_of(start, len);
        *in = slice_of(start + len, at.len - len);
        return true;
    }
    while (depth > 0) {
        if (at.len >= 2 && at.data[0] == 0 && at.data[1] == 0) {
            at = slice_of(at.data + 2, at.len - 2);
            depth--;
            continue;
        }
        if (!read_head(&at, &tag, &len, &indefinite))
            return false;
        if (indefinite) {
            if (++depth > NESTING_MAX)
                return false;
        } else {
            at = slice_of(at.data + len, at.len - len);
        }
    }
    e->content = slice_of(start, (size_t)(at.data - start) - 2);
    *in = at;
    return true;
}

static bool next_is(struct slice *in, uint8_t tag, struct element *e)
{
    return next(in, e) && e->tag == tag;
}

/* An optional element: true and taken if it comes next. */
static bool optional(struct slice *in, uint8_t tag, struct element *e)
{
    return in->len > 0 && in->data[0] == tag && next(in, e);
}

/* false beyond `max` (then *count is above it) or on bad bytes. */
static bool count_elements(struct slice in, size_t max, size_t *count)
{
    struct element e;

    *count = 0;
    while (in.len > 0) {
        if (++*count > max || !next(&in, &e))
            return false;
    }
    return true;
}

static enum status counted(struct slice in, size_t max, size_t *count)
{
    if (count_elements(in, max, count))
        return STATUS_OK;
    return *count > max ? STATUS_TOO_LARGE : STATUS_MALFORMED;
}

/* EnvelopedData (RFC 5652 section 6.1) and AuthEnvelopedData (RFC 5083 section 2.1) begin alike:
 * version, [0] originatorInfo OPTIONAL, SET OF RecipientInfo, EncryptedContentInfo, ... */
static enum status scan_enveloped(struct slice in, struct cms_facts *facts)
{
    struct element e, algorithm;
    enum status status;

    if (!next(&in, &e))
        return STATUS_MALFORMED;
    (void)optional(&in, TAG_0, &e);
    if (!next_is(&in, TAG_SET, &e))
        return STATUS_MALFORMED;
    status = counted(e.content, CMS_RECIPIENT_INFOS_MAX, &facts->recipient_infos);
    if (status != STATUS_OK)
        return status;
    if (!next_is(&in, TAG_SEQUENCE, &e))
        return STATUS_MALFORMED;
    struct slice info = e.content;
    if (!next_is(&info, TAG_OID, &e))
        return STATUS_MALFORMED;
    facts->content_type = e.content;
    if (!next_is(&info, TAG_SEQUENCE, &algorithm) || !next_is(&algorithm.content, TAG_OID, &e))
        return STATUS_MALFORMED;
    facts->cipher = e.content;
    if (facts->kind == CMS_KIND_AUTH_ENVELOPED) {
        (void)optional(&in, TAG_1, &e); /* authAttrs */
        if (!next_is(&in, TAG_OCTETS, &e))
            return STATUS_MALFORMED;
        facts->tag_len = e.content.len;
    }
    return STATUS_OK;
}

/* SignedData (RFC 5652 section 5.1): version, SET digestAlgorithms, encapContentInfo, [0] certificates
 * OPTIONAL, [1] crls OPTIONAL, SET signerInfos. */
static enum status scan_signed(struct slice in, struct cms_facts *facts)
{
    struct element e, encapsulated;
    enum status status;

    if (!next(&in, &e) || !next_is(&in, TAG_SET, &e))
        return STATUS_MALFORMED;
    status = counted(e.content, CMS_DIGESTS_MAX, &facts->digests);
    if (status != STATUS_OK)
        return status;
    if (!next_is(&in, TAG_SEQUENCE, &encapsulated) || !next_is(&encapsulated.content, TAG_OID, &e))
        return STATUS_MALFORMED;
    facts->content_type = e.content;
    if (optional(&in, TAG_0, &e)) {
        status = counted(e.content, CMS_CERTIFICATES_MAX, &facts->certificates);
        if (status != STATUS_OK)
            return status;
    }
    (void)optional(&in, TAG_1, &e);
    if (!next_is(&in, TAG_SET, &e))
        return STATUS_MALFORMED;
    return counted(e.content, CMS_SIGNERS_MAX, &facts->signers);
}

enum status cms_scan(struct slice cms, struct cms_facts *facts)
{
    struct element e;

    memset(facts, 0, sizeof *facts);
    facts->kind = smime_kind(cms);
    if (facts->kind == CMS_KIND_OTHER || !next_is(&cms, TAG_SEQUENCE, &e))
        return STATUS_MALFORMED;
    struct slice in = e.content;
    if (!next_is(&in, TAG_OID, &e) || !next_is(&in, TAG_0, &e))
        return STATUS_MALFORMED;
    in = e.content;
    if (!next_is(&in, TAG_SEQUENCE, &e))
        return STATUS_MALFORMED;
    switch (facts->kind) {
    case CMS_KIND_ENVELOPED:
    case CMS_KIND_AUTH_ENVELOPED:
        return scan_enveloped(e.content, facts);
    case CMS_KIND_SIGNED:
        return scan_signed(e.content, facts);
    case CMS_KIND_COMPRESSED:
    case CMS_KIND_OTHER:
        break;
    }
    return STATUS_OK;
}
