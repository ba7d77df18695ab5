/*
 * The TXT record by which a domain publishes the fingerprint of its domain certificate
 * (docs/domain-to-domain.md): `v=sp1; sha256=HEX` at _sealpost._smime.DOMAIN. Tags are separated by ";",
 * blanks around tags and "=" do not matter, tags that are not known are passed over. Pure.
 */
#ifndef SEALPOST_NODE_FETCH_DNS_TEXT_H
#define SEALPOST_NODE_FETCH_DNS_TEXT_H

#include "store/records_dns.h"

#define DNS_NAME_PREFIX "_sealpost._smime."

struct dns_fingerprints {
    uint8_t list[DOMAIN_DNS_FINGERPRINTS_MAX][THUMBPRINT_SIZE]; /* ascending, each once */
    size_t count;
    bool too_many;
};

/* Adds the fingerprint of one TXT record, as it is in the answer (RFC 1035 section 3.3.14: strings, each with
 * its length before it). Any bytes are safe. false: it is not of ours, or not well formed. */
bool dns_text_read(struct slice rdata, struct dns_fingerprints *out);

#endif
