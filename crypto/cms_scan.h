/*
 * What a CMS object holds, found by walking over its BER before OpenSSL parses it: how many of each thing (so
 * that numbers stay bounded before memory is spent on them), and facts to which OpenSSL gives no access.
 * Internal to crypto/. The bytes are hostile: no length is believed, nothing is allocated, indefinite lengths
 * are fine.
 */
#ifndef SEALPOST_CRYPTO_CMS_SCAN_H
#define SEALPOST_CRYPTO_CMS_SCAN_H

#include "crypto/smime.h"

#define CMS_RECIPIENT_INFOS_MAX 10000
#define CMS_CERTIFICATES_MAX    256
#define CMS_SIGNERS_MAX         16
#define CMS_DIGESTS_MAX         16 /* OpenSSL hashes the whole content once for each */

struct cms_facts {
    enum cms_kind kind;
    struct slice content_type; /* OID octets of what is inside */
    /* of EnvelopedData and AuthEnvelopedData */
    struct slice cipher; /* OID octets of the content-encryption algorithm */
    size_t recipient_infos;
    /* of AuthEnvelopedData */
    size_t tag_len;          /* bytes of its mac */
    bool has_attributes;     /* of any kind: OpenSSL 3.0 does not read such an object */
    struct slice attributes; /* content of authAttrs; empty: none */
    /* of SignedData */
    size_t digests, certificates, signers;
    struct slice signer_infos; /* content of the SET */
};

/* MALFORMED: this is no CMS object; TOO_LARGE: above one of the numbers. `facts` borrows from `cms`. */
enum status cms_scan(struct slice cms, struct cms_facts *facts) MUST_CHECK;

#endif
