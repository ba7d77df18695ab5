/* A walk over BER, just as deep as crypto/cms_scan.h needs it. Pure; any thread. */
#include "crypto/cms_scan.h"

#include "crypto/ber.h"

/* false beyond `max` (then *count is above it) or on bad bytes. */
static bool count_elements(struct slice in, size_t max, size_t *count)
{
    struct ber_element e;

    *count = 0;
    while (in.len > 0) {
        if (++*count > max || !ber_next(&in, &e))
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
    struct ber_element e, algorithm;
    enum status status;

    if (!ber_next(&in, &e))
        return STATUS_MALFORMED;
    (void)ber_optional(&in, BER_CONTEXT_0, &e);
    if (!ber_next_is(&in, BER_SET, &e))
        return STATUS_MALFORMED;
    status = counted(e.content, CMS_RECIPIENT_INFOS_MAX, &facts->recipient_infos);
    if (status != STATUS_OK)
        return status;
    if (!ber_next_is(&in, BER_SEQUENCE, &e))
        return STATUS_MALFORMED;
    struct slice info = e.content;
    if (!ber_next_is(&info, BER_OID, &e))
        return STATUS_MALFORMED;
    facts->content_type = e.content;
    if (!ber_next_is(&info, BER_SEQUENCE, &algorithm) || !ber_next_is(&algorithm.content, BER_OID, &e))
        return STATUS_MALFORMED;
    facts->cipher = e.content;
    if (facts->kind == CMS_KIND_AUTH_ENVELOPED) {
        if (ber_optional(&in, BER_CONTEXT_1, &e)) {
            facts->has_attributes = true;
            facts->attributes = e.content;
        }
        if (!ber_next_is(&in, BER_OCTETS, &e))
            return STATUS_MALFORMED;
        facts->tag_len = e.content.len;
        facts->has_attributes = ber_optional(&in, BER_CONTEXT_2, &e) || facts->has_attributes;
    }
    return STATUS_OK;
}

/* SignedData (RFC 5652 section 5.1): version, SET digestAlgorithms, encapContentInfo, [0] certificates
 * OPTIONAL, [1] crls OPTIONAL, SET signerInfos. */
static enum status scan_signed(struct slice in, struct cms_facts *facts)
{
    struct ber_element e, encapsulated;
    enum status status;

    if (!ber_next(&in, &e) || !ber_next_is(&in, BER_SET, &e))
        return STATUS_MALFORMED;
    status = counted(e.content, CMS_DIGESTS_MAX, &facts->digests);
    if (status != STATUS_OK)
        return status;
    if (!ber_next_is(&in, BER_SEQUENCE, &encapsulated) || !ber_next_is(&encapsulated.content, BER_OID, &e))
        return STATUS_MALFORMED;
    facts->content_type = e.content;
    if (ber_optional(&in, BER_CONTEXT_0, &e)) {
        status = counted(e.content, CMS_CERTIFICATES_MAX, &facts->certificates);
        if (status != STATUS_OK)
            return status;
    }
    (void)ber_optional(&in, BER_CONTEXT_1, &e);
    if (!ber_next_is(&in, BER_SET, &e))
        return STATUS_MALFORMED;
    facts->signer_infos = e.content;
    return counted(e.content, CMS_SIGNERS_MAX, &facts->signers);
}

enum status cms_scan(struct slice cms, struct cms_facts *facts)
{
    struct ber_element e;

    memset(facts, 0, sizeof *facts);
    facts->kind = smime_kind(cms);
    if (facts->kind == CMS_KIND_OTHER || !ber_next_is(&cms, BER_SEQUENCE, &e))
        return STATUS_MALFORMED;
    struct slice in = e.content;
    if (!ber_next_is(&in, BER_OID, &e) || !ber_next_is(&in, BER_CONTEXT_0, &e))
        return STATUS_MALFORMED;
    in = e.content;
    if (!ber_next_is(&in, BER_SEQUENCE, &e))
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
