/*
 * The header of the PROXY protocol, versions 1 and 2 (HAProxy's doc/proxy-protocol.txt), with which a load
 * balancer begins a connection to say who its client is. Pure and bounded.
 *
 *   1: "PROXY TCP4 192.0.2.1 192.0.2.2 56324 25" CRLF (or TCP6; or UNKNOWN and whatever), at most 107 bytes
 *   2: signature[12]  0x20 | command  family | transport  length[2]  addresses  TLVs
 *
 * Of version 2 the addresses are taken; of the TLVs the checksum is checked where there is one (CRC-32C over
 * the whole header with the checksum's own bytes zero), all others are passed over.
 */
#ifndef SEALPOST_SMTP_PROXY_HEADER_H
#define SEALPOST_SMTP_PROXY_HEADER_H

#include "base/slice.h"

#define PROXY_V1_MAX ((size_t)107) /* bytes with CRLF */
#define PROXY_V2_MAX                                                                                         \
    ((size_t)4096)      /* bytes of addresses and TLVs that we read; the protocol allows 65535               \
                         */
#define PROXY_IP_MAX 46 /* an address as text, with NUL */

enum proxy_result {
    PROXY_MORE,    /* it may be one, its end has not come */
    PROXY_ADDRESS, /* the client's address is known */
    PROXY_LOCAL,   /* the balancer speaks for itself, or does not know: the connection's own address counts */
    PROXY_BAD      /* it is none, or not as it must be */
};

struct proxy_header {
    unsigned version;
    char client[PROXY_IP_MAX]; /* ADDRESS: in its shortest form, a v4-mapped one as v4 */
    uint16_t client_port;
};

/* `in`: all that has come so far. *used: the header's bytes, unless it is MORE or BAD. */
enum proxy_result proxy_header_parse(struct slice in, struct proxy_header *out, size_t *used);

#endif
