/*
 * The one list of what can go wrong: each row gives a name, a text, the SMTP reply and enhanced status
 * code (RFC 5321, RFC 3463), the HTTP status (RFC 9110), and whether trying again later can help.
 * Both protocols' replies derive from it; nothing else maps errors to replies.
 *
 * A `struct failure` is the bounded text that goes with a status: filled where the cause is known, wrapped on
 * the way up, logged or sent once at the edge. It never holds secrets, and everything that came from outside
 * is escaped before it goes in.
 */
#ifndef SEALPOST_BASE_STATUS_H
#define SEALPOST_BASE_STATUS_H

#include <stdbool.h>
#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))

/* clang-format off */
/*       name              text                                             SMTP enhanced   HTTP  retry */
#define STATUS_TABLE(X)                                                                                    \
    X(OK,              "success",                                           250, "2.0.0",   200, false)    \
    X(NO_MEMORY,       "out of memory",                                     452, "4.3.1",   503, true)     \
    X(NO_SPACE,        "disk space is low",                                 452, "4.3.1",   507, true)     \
    X(IO,              "input or output failed",                            451, "4.3.0",   500, true)     \
    X(TIMEOUT,         "it took too long",                                  451, "4.4.2",   504, true)     \
    X(CLOSED,          "the other side closed the connection",              451, "4.4.2",   502, true)     \
    X(UNAVAILABLE,     "the service is not ready",                          451, "4.3.0",   503, true)     \
    X(NOT_LEADER,      "this node is not the leader",                       451, "4.3.0",   503, true)     \
    X(STALE,           "this node has lost touch with the cluster",         451, "4.3.0",   503, true)     \
    X(BUSY,            "too much is under way",                             451, "4.3.2",   429, true)     \
    X(INVALID,         "the value is not valid",                            501, "5.5.4",   400, false)    \
    X(MALFORMED,       "the data is not well formed",                       554, "5.6.0",   400, false)    \
    X(UNKNOWN_FIELD,   "there is no such field",                            501, "5.5.4",   400, false)    \
    X(TOO_LARGE,       "it is too large",                                   552, "5.3.4",   413, false)    \
    X(NOT_FOUND,       "there is no such thing",                            550, "5.1.1",   404, false)    \
    X(EXISTS,          "it exists already",                                 550, "5.5.0",   409, false)    \
    X(CONFLICT,        "it contradicts the present state",                  550, "5.5.0",   409, false)    \
    X(DENIED,          "permission denied",                                 550, "5.7.1",   403, false)    \
    X(UNAUTHENTICATED, "sign in first",                                     530, "5.7.0",   401, false)    \
    X(POLICY,          "policy forbids it",                                 550, "5.7.1",   422, false)    \
    X(NO_KEY,          "no usable certificate or key",                      550, "5.7.5",   422, false)    \
    X(WRONG_PASSWORD,  "the password is wrong",                             535, "5.7.8",   400, false)    \
    X(EXPIRED,         "it has expired",                                    550, "5.7.5",   410, false)    \
    X(USED,            "it was used already",                               550, "5.7.1",   409, false)    \
    X(UNTRUSTED,       "it is not trusted",                                 550, "5.7.5",   403, false)    \
    X(CRYPTO,          "a cryptographic operation failed",                  451, "4.7.5",   500, true)     \
    X(CORRUPT,         "stored data is damaged",                            451, "4.3.5",   500, false)    \
    X(VERSION,         "it was made by a newer release",                    451, "4.3.5",   409, false)    \
    X(UNSUPPORTED,     "it is not supported",                               504, "5.5.4",   501, false)    \
    X(INTERNAL,        "internal error",                                    451, "4.3.0",   500, true)     \
    X(REVOKED,         "it was revoked",                                    550, "5.7.5",   403, false)

enum status {
#define X(name, text, smtp, enhanced, http, retry) STATUS_##name,
    STATUS_TABLE(X)
#undef X
    STATUS_COUNT
};
/* clang-format on */

/* Facts of a status. An unknown number counts as STATUS_INTERNAL. The strings are static. */
const char *status_name(enum status status); /* "NO_KEY" */
const char *status_text(enum status status);
int status_smtp_code(enum status status);
const char *status_enhanced_code(enum status status);
int status_http_code(enum status status);
bool status_retryable(enum status status);
/* From a number on the wire; unknown numbers become STATUS_INTERNAL. */
enum status status_from_number(unsigned long long number);

#define FAILURE_TEXT_MAX 512 /* bytes, with the final NUL; longer texts are cut */

struct failure {
    enum status status;
    char text[FAILURE_TEXT_MAX];
};

/* Set status and text; returns `status`, so that `return failure_set(f, ...)` reads well. `f` may be NULL. */
enum status failure_set(struct failure *f, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Put "context: " before the text that is there. Returns the status that `f` holds, or `status` if `f` is
 * NULL or holds none (then with the status's own text). */
enum status failure_wrap(struct failure *f, enum status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As failure_set with ": " and strerror(errno_value) at the end; ENOSPC becomes NO_SPACE and ENOMEM
 * NO_MEMORY, else IO. */
enum status failure_errno(struct failure *f, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
