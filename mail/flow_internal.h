/* Shared by the files of the flow; not for other folders. */
#ifndef SEALPOST_MAIL_FLOW_INTERNAL_H
#define SEALPOST_MAIL_FLOW_INTERNAL_H

#include "crypto/smime.h"
#include "mail/address_list.h"
#include "mail/flow.h"
#include "mail/header_protection.h"
#include "mail/json_write.h"
#include "mail/policy.h"
#include "mail/shape.h"

#define FLOW_TRACE_MAX ((size_t)28 << 10) /* bytes that the flow may add to the decision's trace */

/* What became of an incoming message for one recipient. */
enum { OUTCOME_AS_IT_CAME = 0, OUTCOME_CLOSED = 1, OUTCOME_OPENED = 2 /* + position in opened */ };

struct verdict {
    bool done;
    enum smime_verdict verdict;
    const char *protocol; /* "smime", "pgp", "" */
    char signer[ADDRESS_MAX + 1];
    char reason[FAILURE_TEXT_MAX];
};

/* A message that was decrypted with some recipient's key, or that was only compressed. */
struct opened {
    struct smime_decrypted plain; /* no cipher: it was not encrypted */
    struct buf unpacked;          /* what inner and shape point into when the plain text was compressed */
    struct entity inner;
    struct shape shape;
    struct verdict verdict;
};

/* Recipients who get the same variant. */
struct flow_group {
    enum policy_direction direction;
    unsigned protection; /* outgoing: enum policy_protection flags */
    bool opaque, smime;
    bool alone; /* a blind recipient: no other may share the variant */
    bool compress;
    struct slice cipher;
    enum smime_transport transport;
    enum header_form headers; /* outgoing */
    size_t outcome;           /* incoming */
    size_t *recipients;       /* positions; in the arena */
    size_t recipient_count;
};

struct flow {
    const struct mail_environment *env;
    const struct job_message *job;
    struct arena *arena;
    struct mail_output *out;
    size_t content_max; /* the most that one variant may become */

    struct entity message;
    struct shape shape;
    char from[ADDRESS_MAX + 1];
    struct slice *addresses; /* normalised recipients, in their order */
    struct named_addresses named;
    struct policy_decision decision;
    bool split;          /* who is refused does not hold up the others */
    bool *is_refused;    /* by recipient: has a refusal, so needs no variant */
    bool has_our_fields; /* X-Sealpost-* came in */

    struct flow_group groups[JOB_VARIANTS_MAX];
    size_t group_count;
    size_t *group_of, *outcome_of; /* by recipient */
    enum header_form *headers_of;  /* outgoing, by recipient */

    struct buf entity;                             /* outgoing: the content with its fields */
    struct buf payloads[HEADER_FORM_COUNT];        /* outgoing: that with protected header fields */
    struct buf signed_forms[2][HEADER_FORM_COUNT]; /* outgoing: those signed, clear [0] and opaque [1] */
    struct opened *opened;                         /* incoming */
    size_t opened_count, opened_capacity;
    struct shape unpacked_shape; /* incoming: what is in a message that came compressed as a whole */
    struct buf unpacked;
    const struct shape *outer; /* incoming: `shape`, or `unpacked_shape` */
    struct verdict verdict;    /* incoming: of the message as it came */

    struct buf trace_text;
    struct json_writer trace;
};

/* Makes the content of a group's variant; false in *changed when it is the input byte for byte. */
enum status outgoing_make(struct flow *fl, const struct flow_group *group, struct job_variant *v,
                          struct buf *content, struct failure *f) MUST_CHECK;
/* Fills headers_of for every outgoing recipient: how the header is protected. */
enum status outgoing_headers(struct flow *fl, struct failure *f) MUST_CHECK;
void outgoing_release(struct flow *fl);
enum status incoming_make(struct flow *fl, const struct flow_group *group, struct job_variant *v,
                          struct buf *content, struct failure *f) MUST_CHECK;
/* Fills outcome_of for every incoming recipient: opens the message with each one's own keys. */
enum status incoming_open(struct flow *fl, struct failure *f) MUST_CHECK;
void incoming_release(struct flow *fl);

/* --- compressed content (mail/flow_unpack.c) --- */
/* As long as `shape` is compressed: replaces entity, shape and bytes (owned; what they point into) by what is
 * in it. What cannot be unpacked stays. Only NO_MEMORY is an error. */
enum status unpack(struct flow *fl, struct entity *e, struct shape *shape, struct buf *bytes,
                   struct failure *f) MUST_CHECK;

/* --- some refused, others not (mail/flow_split.c) --- */

/* Sets fl->split: may the message go to those who are not refused? Writes why to the trace. */
enum status split_decide(struct flow *fl, struct failure *f) MUST_CHECK;
/* The end: with refusals the result is OK for the others, or nothing goes to anybody. */
void split_settle(struct flow *fl);

/* --- composing (mail/compose.c) --- */
enum compose_fields {
    COMPOSE_WITHOUT_CONTENT = 1, /* Content-* and MIME-Version stay out */
    COMPOSE_WITHOUT_JUNK = 2,    /* lines that are no field stay out */
};
/* The message's fields without X-Sealpost-*; `flags` of enum compose_fields. No empty line. */
enum status compose_fields(const struct entity *e, unsigned flags, struct buf *out) MUST_CHECK;
/* Header and body without X-Sealpost-*. */
enum status compose_message(const struct entity *e, struct buf *out) MUST_CHECK;
/* The X-Sealpost-* fields of a verdict. `encryption` is "none", "failed" or "decrypted"; cipher may be "". */
enum status compose_verdict(const struct verdict *verdict, const char *encryption, const char *protocol,
                            const char *cipher, bool weak, struct buf *out) MUST_CHECK;
/* A CMS object as an entity of application/pkcs7-mime in base64. */
enum status compose_pkcs7(const char *smime_type, struct slice cms, struct buf *out) MUST_CHECK;
/* multipart/signed around an entity (RFC 8551 section 3.5.3). */
enum status compose_clear_signed(struct slice entity, struct slice signature, const char *micalg,
                                 const char *boundary, struct buf *out) MUST_CHECK;

#endif
