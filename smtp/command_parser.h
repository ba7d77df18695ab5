/*
 * One SMTP command line (RFC 5321 section 4.1, without its CRLF) into a struct: the verb, the path of MAIL
 * and RCPT in the grammar of section 4.1.2, with RFC 6531's for addresses beyond ASCII, and the parameters
 * (smtp/parameter_parser.c). Pure and bounded: nothing is allocated, slices point into the line.
 *
 * What is refused: source routes (RFC 5321 appendix C lets us), mailboxes without a domain except postmaster,
 * bytes beyond ASCII that are no UTF-8, unknown and repeated parameters. Whether an address beyond ASCII is
 * good here the session knows, who has seen MAIL.
 */
#ifndef SEALPOST_SMTP_COMMAND_PARSER_H
#define SEALPOST_SMTP_COMMAND_PARSER_H

#include "base/slice.h"
#include "smtp/reply.h"
#include "smtp/spool_envelope.h"

#include <stdint.h>

/* Those from VERB_UNIMPLEMENTED on are known words that this server does not offer: 502 instead of 500. */
#define SMTP_VERB_TABLE(X)                                                                                   \
    X(EHLO)                                                                                                  \
    X(HELO)                                                                                                  \
    X(MAIL)                                                                                                  \
    X(RCPT)                                                                                                  \
    X(DATA)                                                                                                  \
    X(BDAT) /* RFC 3030 */                                                                                   \
    X(RSET)                                                                                                  \
    X(NOOP)                                                                                                  \
    X(QUIT)                                                                                                  \
    X(VRFY)                                                                                                  \
    X(HELP)                                                                                                  \
    X(STARTTLS)                                                                                              \
    X(LHLO)    /* RFC 2033; the session says whether it speaks LMTP */                                       \
    X(XCLIENT) /* smtp/xclient_command.h */

enum smtp_verb {
#define X(name) VERB_##name,
    SMTP_VERB_TABLE(X)
#undef X
        VERB_FOREIGN,   /* of another protocol, and no mistake: PROXY, GET, POST, CONNECT */
    VERB_UNIMPLEMENTED, /* EXPN, TURN, AUTH, ... */
    VERB_UNKNOWN,
    VERB_COUNT
};

struct smtp_command {
    enum smtp_verb verb;
    struct slice argument; /* EHLO, HELO: the name; VRFY, NOOP, HELP: whatever followed */
    struct slice path;     /* MAIL, RCPT: what stands between < and >; empty is the null path */
    struct slice domain; /* of path, as given, brackets of a literal included; empty for "postmaster" alone */
    bool utf8;           /* path, or the argument of VRFY, holds more than ASCII */
    bool has_size;
    uint64_t size;          /* bytes announced by SIZE= */
    uint64_t promises;      /* MAIL: enum spool_promises; VRFY: SPOOL_SMTPUTF8 or nothing */
    struct slice envid;     /* MAIL: xtext as given */
    struct spool_wish wish; /* RCPT */
    uint64_t chunk;         /* BDAT: bytes that follow the line */
    bool last;              /* BDAT: they are the message's last */
};

/* REPLY_NONE: the command is good. Else the reply that says what is wrong; `out->verb` is set in any case. */
enum smtp_reply command_parse(struct slice line, struct smtp_command *out);
const char *smtp_verb_name(enum smtp_verb verb);

/* The name of EHLO, or of a client: nothing that could be mistaken in a Received field. */
bool client_name_valid(struct slice name);
/* " KEY=VALUE KEY": what follows the path of MAIL or RCPT (`out->verb`), into `out`. */
enum smtp_reply parameters_parse(struct slice rest, struct smtp_command *out);
/* xtext of RFC 3461 section 4 (printable ASCII but for + and =, and +XX) decoded; `out` may be NULL: then it
 * is only checked. False: no xtext, or, decoded, longer than SPOOL_ORCPT_MAX or no UTF-8 in one line (Postfix
 * encodes an address beyond ASCII so, where RFC 6533 has another form). */
bool dsn_xtext_decode(struct slice xtext, struct buf *out);

/* A whole mailbox "local@domain" of RFC 5321 section 4.1.2, with RFC 6531 section 3.3; the part after the @
 * goes to *domain. What is beyond ASCII is UTF-8, and the domain has an ASCII form. */
bool mailbox_parse(struct slice mailbox, struct slice *domain);
/* A name of RFC 5321 section 4.1.2: letters, digits, hyphens (and underscores, which the real world has) in
 * labels. */
bool domain_valid(struct slice domain);
/* "[192.0.2.1]" or "[IPv6:2001:db8::1]". */
bool address_literal_valid(struct slice literal);

#endif
