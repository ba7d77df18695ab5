/*
 * The attributes of an AuthEnvelopedData (RFC 5083 section 2.1), which OpenSSL 3.0 neither reads nor has in
 * what it authenticates: they are taken out of the object here, and crypto/smime_decrypt.c gives the
 * authenticated ones to the cipher itself.
 *
 * Whatever is taken out or changed on the way shows in the tag: the cipher sees the attributes' own bytes.
 * The unauthenticated ones are dropped, for nobody can believe them. Pure; any thread.
 */
#include "crypto/cms_scan.h"
#include "crypto/der.h"
#include "crypto/smime_internal.h"

static bool append_whole(struct slice *in, uint8_t tag, struct buf *out, enum status *status)
{
    struct ber_element e;

    if (*status != STATUS_OK || !ber_next_is(in, tag, &e))
        return false;
    *status = buf_append_slice(out, e.whole);
    return *status == STATUS_OK;
}

enum status smime_without_attributes(struct slice cms, struct buf *out)
{
    struct ber_element e;
    struct buf inside = BUF_INIT(CMS_MAX);
    enum status status = STATUS_OK;

    if (!ber_next_is(&cms, BER_SEQUENCE, &e))
        return STATUS_MALFORMED;
    struct slice in = e.content;
    if (!ber_next_is(&in, BER_OID, &e) || !ber_next_is(&in, BER_CONTEXT_0, &e))
        return STATUS_MALFORMED;
    in = e.content;
    if (!ber_next_is(&in, BER_SEQUENCE, &e))
        return STATUS_MALFORMED;
    in = e.content;
    status = buf_reserve(&inside, in.len);
    bool whole = append_whole(&in, BER_INTEGER, &inside, &status);
    if (whole && ber_optional(&in, BER_CONTEXT_0, &e)) /* originatorInfo */
        status = buf_append_slice(&inside, e.whole);
    whole = whole && append_whole(&in, BER_SET, &inside, &status) &&
            append_whole(&in, BER_SEQUENCE, &inside, &status);
    (void)ber_optional(&in, BER_CONTEXT_1, &e);
    whole = whole && append_whole(&in, BER_OCTETS, &inside, &status);
    if (status == STATUS_OK)
        status =
            whole ? smime_wrap(NID_id_smime_ct_authEnvelopedData, buf_slice(&inside), out) : STATUS_MALFORMED;
    buf_release(&inside);
    return status;
}

/* Attribute ::= SEQUENCE { attrType OBJECT IDENTIFIER, attrValues SET OF AttributeValue } */
bool smime_attributes_fit(struct slice attributes, struct slice content_type)
{
    const ASN1_OBJECT *object = OBJ_nid2obj(NID_pkcs9_contentType);
    struct slice type_oid = slice_of(OBJ_get0_data(object), OBJ_length(object));
    struct ber_element attribute, type, values, value;
    size_t named = 0;

    while (attributes.len > 0) {
        if (!ber_next_is(&attributes, BER_SEQUENCE, &attribute) ||
            !ber_next_is(&attribute.content, BER_OID, &type) ||
            !ber_next_is(&attribute.content, BER_SET, &values))
            return false;
        if (!slice_equal(type.content, type_oid))
            continue;
        if (++named > 1 || !ber_next_is(&values.content, BER_OID, &value) || values.content.len > 0 ||
            !slice_equal(value.content, content_type))
            return false;
    }
    return true;
}
