/*
 * A name server of one's own: Debian's NSD on an address of 127.0.0.0/8 that is this process's alone, with
 * zones that ldns signs.
 */
#ifndef SEALPOST_TESTS_SMTP_NAME_SERVER_H
#define SEALPOST_TESTS_SMTP_NAME_SERVER_H

#include "base/slice.h"

#include <sys/types.h>

struct name_zone {
    const char *name;    /* "signed.test" */
    const char *records; /* as in a zone file, relative names; SOA and NS come by themselves */
    bool is_signed;
    const char *forge_from, *forge_to; /* text changed behind the signature; NULL: nothing */
};

struct name_server {
    char dir[64];
    char resolvers[64]; /* for dns.resolvers */
    char anchors[1024]; /* for dns.trust_anchors: of the signed zones */
    pid_t process;
};

void name_server_start(struct name_server *s, const struct name_zone *zones, size_t count);
void name_server_stop(struct name_server *s); /* and its folder is gone */
/* "127.A.B.C" with A.B from the process's number: no other process of the tests listens there. */
void loopback_address(unsigned last, char out[16]);

#endif
