/*
 * A MIME entity (a message, or a part of one) by byte range: its fields, its body, its parts. Nothing is
 * copied or rewritten, so what was signed can be cut out exactly. Limits are checked before anything else
 * looks at the bytes. Pure.
 */
#ifndef SEALPOST_MAIL_ENTITY_H
#define SEALPOST_MAIL_ENTITY_H

#include "base/arena.h"
#include "base/status.h"
#include "mail/transfer_encoding.h"

#define ENTITY_FIELD_MAX  ((size_t)64 << 10)  /* bytes of one header field */
#define ENTITY_HEADER_MAX ((size_t)256 << 10) /* bytes of a header section */
#define ENTITY_FIELDS_MAX 4000
#define ENTITY_PARTS_MAX  1000 /* of a message, on all levels */
#define ENTITY_DEPTH_MAX  30   /* multiparts within multiparts */

struct header_field {
    struct slice whole; /* with its line ends */
    struct slice name;  /* as written; empty: a line that is no field (RFC 5322 section 2.2) */
    struct slice value; /* behind the colon, folded as it came, without the last line end */
};

struct entity {
    struct slice bytes;          /* all of it */
    struct slice header;         /* the fields, without the empty line */
    struct slice body;           /* behind the empty line */
    struct header_field *fields; /* in the arena, in their order */
    size_t field_count;
    bool malformed; /* the header has a line that is no field */
};

/* TOO_LARGE with a text when a limit is passed; any other bytes are an entity. Slices into `bytes`. */
enum status entity_read(struct slice bytes, struct arena *a, struct entity *e, struct failure *f) MUST_CHECK;

/* The first field of that name (no regard to case), NULL if there is none. */
const struct header_field *entity_field(const struct entity *e, const char *name);
size_t entity_field_count(const struct entity *e, const char *name);
/* Content-* and MIME-Version: the fields that move with the body into a protected entity (RFC 8551
 * section 3.1). */
bool field_is_of_content(const struct header_field *field);
bool field_is_ours(const struct header_field *field); /* X-Sealpost-*: also in a line that is no field */
/* What never leaves: our own fields that came in, and who else got a copy (Bcc, Resent-Bcc). */
bool field_stays_behind(const struct header_field *field);

struct content_type {
    struct slice type,
        subtype; /* as written; "text" and "plain" when there is no field (RFC 2045 section 5.2) */
    struct slice parameters; /* raw, what follows the subtype */
    bool present;
    bool unclear; /* programs may read another one: two fields, or one that does not parse */
};
/* Two Content-Type fields, or one that does not parse, count as application/octet-stream: programs read them
 * differently. */
struct content_type entity_content_type(const struct entity *e);
bool content_type_is(const struct content_type *t, const char *type,
                     const char *subtype); /* subtype NULL: any */
/* The value of a parameter, quotes and quoted pairs taken away; false if there is none. NO_MEMORY counts as
 * none. */
bool content_type_parameter(const struct content_type *t, const char *name, struct arena *a,
                            struct slice *value);
enum transfer_encoding entity_transfer_encoding(const struct entity *e);

struct multipart {
    struct slice *parts; /* in the arena; each without the line end before the next delimiter, which belongs
                            to that (RFC 2046 section 5.1.1) */
    size_t part_count;
    bool closed; /* the closing delimiter was there */
};
/* Cut the body of a multipart. NOT_FOUND if it is none or has no boundary; TOO_LARGE above `max` parts. */
enum status entity_split(const struct entity *e, size_t max, struct arena *a, struct multipart *m,
                         struct failure *f) MUST_CHECK;

#endif
