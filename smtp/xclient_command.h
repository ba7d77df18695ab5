/*
 * XCLIENT (Postfix's XCLIENT_README): a trusted host tells who its client is.
 *
 *   XCLIENT ADDR=192.0.2.1 NAME=spike.example HELO=spike.example PROTO=ESMTP LOGIN=user PORT=1234 ...
 *
 * Values are xtext (RFC 3461 section 4); [UNAVAILABLE] and [TEMPUNAVAIL] say that there is none. An IPv6
 * address begins with "IPV6:". What is not named stays as it was. Pure: values are checked so that nothing in
 * them can fold or end a header field or a line of the log.
 */
#ifndef SEALPOST_SMTP_XCLIENT_COMMAND_H
#define SEALPOST_SMTP_XCLIENT_COMMAND_H

#include "base/slice.h"

#define XCLIENT_OFFER "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"

#define XCLIENT_NAME_MAX  255 /* bytes */
#define XCLIENT_LOGIN_MAX 255
#define XCLIENT_IP_MAX    46 /* an address as text, with NUL */

enum xclient_attribute {
    XCLIENT_NAME,
    XCLIENT_ADDR,
    XCLIENT_PORT,
    XCLIENT_PROTO,
    XCLIENT_HELO,
    XCLIENT_LOGIN,
    XCLIENT_DESTADDR,
    XCLIENT_DESTPORT,
    XCLIENT_ATTRIBUTE_COUNT
};

struct xclient {
    bool given[XCLIENT_ATTRIBUTE_COUNT]; /* it was named, ... */
    bool known[XCLIENT_ATTRIBUTE_COUNT]; /* ... and has a value */
    char name[XCLIENT_NAME_MAX + 1], helo[XCLIENT_NAME_MAX + 1], login[XCLIENT_LOGIN_MAX + 1];
    char address[XCLIENT_IP_MAX], destination[XCLIENT_IP_MAX]; /* without "IPV6:", in the shortest form */
    uint16_t port, destination_port;
    bool esmtp; /* PROTO */
};

/* `arguments`: what follows the verb. False: a word that is no attribute=value of the above, or a bad value.
 */
bool xclient_parse(struct slice arguments, struct xclient *out);

#endif
