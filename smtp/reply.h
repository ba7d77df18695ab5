/*
 * What the SMTP server says: one table of replies (RFC 5321 section 4.2, enhanced codes of RFC 3463). Those
 * that come from a status derive from base/status.h instead (reply_of_status).
 */
#ifndef SEALPOST_SMTP_REPLY_H
#define SEALPOST_SMTP_REPLY_H

#include "base/buf.h"

/* name, code, enhanced code ("" where there is none: greetings, EHLO, 354), text */
#define SMTP_REPLY_TABLE(X)                                                                                  \
    X(NONE, 0, "", "")                                                                                       \
    X(HELP_TEXT, 214, "2.0.0", "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS; RFC 5321")  \
    X(STARTTLS_READY, 220, "2.0.0", "ready to start TLS")                                                    \
    X(BYE, 221, "2.0.0", "bye")                                                                              \
    X(OK, 250, "2.0.0", "ok")                                                                                \
    X(SENDER_OK, 250, "2.1.0", "sender ok")                                                                  \
    X(RECIPIENT_OK, 250, "2.1.5", "recipient ok")                                                            \
    X(VRFY_NO, 252, "2.5.2", "cannot verify; send a message and see")                                        \
    X(CHUNK_TAKEN, 250, "2.0.0", "chunk taken")                                                              \
    X(SEND_DATA, 354, "", "end with <CRLF>.<CRLF>")                                                          \
    X(STOPPING, 421, "4.3.2", "the service is stopping, try again later")                                    \
    X(NOT_READY, 421, "4.3.2", "the service is not ready, try again later")                                  \
    X(TOO_MANY_SESSIONS, 421, "4.7.0", "too many sessions, try again later")                                 \
    X(TOO_MANY_FROM_YOU, 421, "4.7.0", "too many sessions from your address, try again later")               \
    X(RATE_CONNECTIONS, 421, "4.7.0", "too many connections from your address in a minute, try again later") \
    X(RATE_TLS, 421, "4.7.0", "too many TLS handshakes from your address in a minute, try again later")      \
    X(RATE_ERRORS, 421, "4.7.0", "too many errors from your address in a minute, try again later")           \
    X(RATE_MESSAGES, 450, "4.7.1", "too many messages from your address in a minute, try again later")       \
    X(RATE_RECIPIENTS, 450, "4.7.1", "too many recipients from your address in a minute, try again later")   \
    X(RATE_SENDER, 450, "4.7.1", "this sender has sent too much for now, try again later")                   \
    X(RATE_ACCOUNT, 450, "4.7.1", "this account has sent too much for now, try again later")                 \
    X(DATA_TOO_SLOW, 421, "4.4.2", "the message comes too slowly")                                           \
    X(PROXY_EXPECTED, 421, "4.7.0", "a PROXY header was expected")                                           \
    X(XCLIENT_DENIED, 550, "5.7.0", "XCLIENT is not for your address")                                       \
    X(COMMAND_TIMEOUT, 421, "4.4.2", "too long without a command")                                           \
    X(DATA_TIMEOUT, 421, "4.4.2", "too long without data")                                                   \
    X(TOO_MANY_ERRORS, 421, "4.7.0", "too many errors")                                                      \
    X(TLS_PIPELINED, 554, "5.5.1", "nothing may follow STARTTLS before the handshake")                       \
    X(STALE, 451, "4.3.0", "this node has lost touch with its cluster, try again later")                     \
    X(INTERNAL, 451, "4.3.0", "internal error, try again later")                                             \
    X(MEMORY_FULL, 452, "4.3.1", "too many messages are on their way, try again later")                      \
    X(SPACE, 452, "4.3.1", "disk space is low, try again later")                                             \
    X(TOO_MANY_RECIPIENTS, 452, "4.5.3", "too many recipients")                                              \
    X(TLS_UNAVAILABLE, 454, "4.7.0", "TLS is not available")                                                 \
    X(UNKNOWN_COMMAND, 500, "5.5.2", "unknown command")                                                      \
    X(LINE_TOO_LONG, 500, "5.5.2", "the line is too long")                                                   \
    X(SYNTAX, 501, "5.5.4", "syntax error in the argument")                                                  \
    X(NO_ARGUMENT_ALLOWED, 501, "5.5.4", "this command takes no argument")                                   \
    X(BAD_NAME, 501, "5.5.4", "give your host name or address literal")                                      \
    X(MAIL_SYNTAX, 501, "5.5.4", "syntax: MAIL FROM:<address> [parameters]")                                 \
    X(RCPT_SYNTAX, 501, "5.5.4", "syntax: RCPT TO:<address> [parameters]")                                   \
    X(BDAT_SYNTAX, 501, "5.5.4", "syntax: BDAT size [LAST]; what follows cannot be told apart, good bye")    \
    X(BAD_NOTIFY, 501, "5.5.4", "NOTIFY is NEVER alone, or a list of SUCCESS, FAILURE and DELAY")            \
    X(BAD_ORCPT, 501, "5.5.4", "ORCPT is type;address, encoded as xtext, at most 500 characters")            \
    X(BAD_RET, 501, "5.5.4", "RET is FULL or HDRS")                                                          \
    X(BAD_ENVID, 501, "5.5.4", "ENVID is encoded as xtext, at most 100 characters")                          \
    X(BAD_BODY, 501, "5.5.4", "BODY is 7BIT or 8BITMIME")                                                    \
    X(NO_VALUE_ALLOWED, 501, "5.5.4", "a parameter that takes no value was given one")                       \
    X(BAD_SENDER, 501, "5.1.7", "the sender's address is not valid")                                         \
    X(BAD_RECIPIENT, 501, "5.1.3", "the recipient's address is not valid")                                   \
    X(BAD_PARAMETER, 501, "5.5.4", "the value of a parameter is not valid")                                  \
    X(REPEATED_PARAMETER, 501, "5.5.4", "a parameter was given twice")                                       \
    X(NOT_IMPLEMENTED, 502, "5.5.1", "this command is not offered")                                          \
    X(HELLO_FIRST, 503, "5.5.1", "say EHLO first")                                                           \
    X(MAIL_FIRST, 503, "5.5.1", "MAIL comes first")                                                          \
    X(NESTED_MAIL, 503, "5.5.1", "a sender was given already")                                               \
    X(NO_RECIPIENTS_YET, 503, "5.5.1", "no valid recipients")                                                \
    X(NO_RECIPIENTS, 554, "5.5.1", "no valid recipients")                                                    \
    X(TLS_ALREADY, 503, "5.5.1", "TLS is active already")                                                    \
    X(CHUNKS_BEGUN, 503, "5.5.1", "the message comes in chunks: BDAT ... LAST ends it, RSET gives it up")    \
    X(NOT_NOW, 503, "5.5.1", "not in the middle of a message")                                               \
    X(REQUIRETLS_NEEDS_TLS, 530, "5.7.10", "REQUIRETLS needs TLS: say STARTTLS first")                       \
    X(TLS_FIRST, 530, "5.7.0", "say STARTTLS first")                                                         \
    X(TOO_MANY_MESSAGES, 421, "4.7.0", "enough messages for one session, connect again")                     \
    X(AUTH_FIRST, 530, "5.7.0", "authenticate first")                                                        \
    X(NOT_OURS, 550, "5.7.1", "the recipient is not of this site, and you may not relay")                    \
    X(ROUTE_DENIED, 550, "5.7.1", "an address with a route in it is relaying, which you may not")            \
    X(SENDER_DENIED, 553, "5.7.1", "your account may not send as this sender")                               \
    X(RELAY_DENIED, 550, "5.7.1", "your address may not relay here")                                         \
    X(TOO_LARGE, 552, "5.3.4", "the message is too large")                                                   \
    X(HEADER_TOO_LARGE, 552, "5.3.4", "the header is too large")                                             \
    X(DATA_LINE_TOO_LONG, 500, "5.6.0", "the message has a line that is too long")                           \
    X(SOURCE_ROUTE, 553, "5.1.3", "source routes are not accepted")                                          \
    X(SENDER_NOT_ASCII, 550, "5.6.7", "an address beyond ASCII needs SMTPUTF8 in MAIL")                      \
    X(NOT_ASCII, 553, "5.6.7", "an address beyond ASCII needs SMTPUTF8 in MAIL")                             \
    X(BAD_LINE_END, 554, "5.5.2", "bare CR, bare LF or NUL: only CRLF ends a line")                          \
    X(UNKNOWN_PARAMETER, 555, "5.5.4", "a parameter is not known")                                           \
    X(LOOP, 554, "5.4.6",                                                                                    \
      "a mail loop: the message has come through too many hosts, or through here too often")

enum smtp_reply {
#define X(name, code, enhanced, text) REPLY_##name,
    SMTP_REPLY_TABLE(X)
#undef X
        REPLY_COUNT
};

int reply_code(enum smtp_reply reply);
const char *reply_enhanced(enum smtp_reply reply);
const char *reply_text(enum smtp_reply reply);

#define REPLY_LINE_MAX 512 /* bytes of one reply line with CRLF, RFC 5321 section 4.5.3.1.5 */

/* "CODE ENHANCED TEXT CRLF" appended. */
enum status reply_append(struct buf *out, enum smtp_reply reply) MUST_CHECK;
/* One line; `last` decides between "CODE " and "CODE-". `enhanced` may be "". Bytes outside printable ASCII
 * become "?" and what would pass REPLY_LINE_MAX is cut. */
enum status reply_append_line(struct buf *out, int code, const char *enhanced, struct slice text,
                              bool last) MUST_CHECK;

#endif
