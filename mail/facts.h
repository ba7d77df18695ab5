/*
 * What a message is, as far as policy asks: who and what it says it is, its parts, and of which kind it is.
 * The structure is found by byte range (mail/entity.h) within limits that are checked first; words that need
 * decoding (RFC 2047 subjects, RFC 2231 file names) are read by GMime. Pure; one thread.
 */
#ifndef SEALPOST_MAIL_FACTS_H
#define SEALPOST_MAIL_FACTS_H

#include "mail/entity.h"
#include "mail/shape.h"
#include "mail/words.h"
#include "store/records.h"

/* Flags. A message may be of several kinds. */
enum message_kind {
    MESSAGE_ENCRYPTED = 1,   /* as a whole: S/MIME or OpenPGP */
    MESSAGE_SIGNED = 2,      /* as a whole */
    MESSAGE_CALENDAR = 4,    /* has a text/calendar part */
    MESSAGE_REPORT = 8,      /* multipart/report: delivery status or disposition (RFC 6522) */
    MESSAGE_AUTO_REPLY = 16, /* Auto-Submitted other than "no" (RFC 3834), or what older programs write */
    MESSAGE_EMPTY = 32,      /* nothing but white space, and no attachment */
    MESSAGE_TNEF = 64,       /* has an application/ms-tnef part */
    MESSAGE_PARTIAL = 128,   /* message/partial (RFC 2046 section 5.2.2): a piece of another message */
    MESSAGE_MALFORMED = 256, /* programs may read its structure differently */
};

#define FACTS_ATTACHMENTS_MAX 1000 /* that are listed; the message may have more */
#define FACTS_TEXT_MAX        998  /* bytes of a decoded file name */
/* Bytes of a decoded subject: all that words_decode() reads of one. A longer one is MESSAGE_MALFORMED. */
#define FACTS_SUBJECT_MAX (4 * WORDS_RAW_MAX)

struct attachment {
    struct slice type; /* "application/pdf", lower case */
    struct slice name; /* decoded, UTF-8; "" if it has none */
    size_t size;       /* bytes as encoded */
};

struct message_facts {
    const struct entity *message; /* its header is for conditions on fields; never NULL */
    char from[ADDRESS_MAX + 1];   /* the one address in the one From field, normalised; "": unclear */
    struct slice subject;         /* decoded UTF-8 in one line, no control characters; "" if there is none */
    size_t size;                  /* bytes of the whole message */
    unsigned kinds;               /* enum message_kind */
    struct attachment *attachments; /* in the arena: parts with a file name, or that are no text */
    size_t attachment_count;
};

/* `message` and `shape` are the message as a whole; `out` borrows from both and from the arena. TOO_LARGE
 * when a limit is passed; any other bytes give facts. */
enum status message_facts_read(const struct entity *message, const struct shape *shape, struct arena *a,
                               struct message_facts *out, struct failure *f) MUST_CHECK;

#endif
