/* Shared by the files of the flow; not for other folders. */
#ifndef SEALPOST_MAIL_FLOW_INTERNAL_H
#define SEALPOST_MAIL_FLOW_INTERNAL_H

#include "crypto/smime.h"
#include "mail/address_list.h"
#include "mail/flow.h"
#include "mail/header_protection.h"
#include "mail/header_reading.h"
#include "mail/json_write.h"
#include "mail/layers.h"
#include "mail/policy.h"
#include "mail/shape.h"

#define FLOW_TRACE_MAX ((size_t)28 << 10) /* bytes that the flow may add to the decision's trace */

/* What a recipient's settings say of incoming mail. */
struct incoming_options {
    bool tags, banner;
    uint8_t remove_signature;       /* positions in the choices of the settings: never, valid, always */
    uint8_t on_failure, on_invalid; /* leave it, put it aside, refuse it */
    uint8_t unauthenticated;        /* deliver, mark, refuse */
    struct slice replies;           /* encrypt.replies: the recipient's domain; "": no */
};
enum { LEAVE_IT, PUT_ASIDE, REFUSE_IT };
enum { REMOVE_NEVER, REMOVE_VALID, REMOVE_ALWAYS };
enum { UNAUTHENTICATED_DELIVER, UNAUTHENTICATED_MARK, UNAUTHENTICATED_REFUSE };

/* An incoming message as some recipients' keys show it. The first is the one that no key shows. */
struct received {
    struct layers layers;
    struct protected_header header;
    struct verdict verdict; /* of the message as a whole */
    bool opened;            /* decrypted, and is delivered so */
    bool failed;            /* encrypted as a whole, and stays so */
    bool authenticated;     /* a change of the cipher text would have shown */
    bool header_counts;     /* the protected header fields stand for the outer ones */
    bool from_counts;       /* the protected From does as well */
    bool from_differs;      /* there is one, and it is another */
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
    enum header_form headers;             /* outgoing */
    size_t outcome;                       /* incoming: position in received */
    struct incoming_options options;      /* incoming */
    const struct policy_recipient *first; /* what rules add is as for this one */
    size_t *recipients;                   /* positions; in the arena */
    size_t recipient_count;
};

struct flow {
    struct mail_environment *env; /* a copy: a look-up may put a newer state in */
    const struct job_message *job;
    struct arena *arena;
    struct mail_output *out;
    size_t content_max; /* the most that one variant may become */

    struct entity message;
    struct shape shape;
    struct message_facts facts;
    struct buf rewritten;     /* the message with another Subject: `message` is within it then */
    struct buf without_token; /* ... or without the token of a reply */
    bool answers_encrypted;   /* it had one: it answers what came encrypted */
    char from[ADDRESS_MAX + 1];
    struct slice *addresses; /* normalised recipients, in their order */
    struct named_addresses named;
    struct policy_decision decision;
    bool split;          /* who is refused does not hold up the others */
    bool *is_refused;    /* by recipient: has a refusal, so needs no variant */
    bool header_changes; /* even unprotected it cannot leave as it came: X-Sealpost-*, Bcc, a new Subject */

    struct flow_group groups[JOB_VARIANTS_MAX];
    size_t group_count;
    size_t *group_of, *outcome_of;       /* by recipient; outcome: position in received */
    struct incoming_options *options_of; /* incoming, by recipient */
    enum header_form *headers_of;        /* outgoing, by recipient */

    struct buf content_header;                     /* outgoing: of the content, with the empty line */
    struct buf payloads[HEADER_FORM_COUNT];        /* outgoing: the content with protected header fields */
    struct buf signed_forms[2][HEADER_FORM_COUNT]; /* outgoing: those signed, clear [0] and opaque [1] */
    struct received **received;                    /* incoming; in the arena */
    size_t received_count, received_capacity;

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
/* Fills outcome_of and options_of for every incoming recipient: opens the message with each one's own keys.
 */
enum status incoming_open(struct flow *fl, struct failure *f) MUST_CHECK;
void incoming_release(struct flow *fl);
/* What is delivered of `r` (mail/incoming_compose.c). */
enum status incoming_compose(struct flow *fl, const struct received *r, const struct incoming_options *o,
                             struct buf *content, bool *needs_8bit, struct failure *f) MUST_CHECK;
bool incoming_options_agree(const struct incoming_options *a, const struct incoming_options *b);
/* What the layers say together (mail/incoming_judge.c). */
enum status incoming_judge(struct flow *fl, const struct layers_reading *reading, struct received *r,
                           struct failure *f) MUST_CHECK;

/* Puts the decision's subject in the place of the message's (mail/flow_subject.c). */
enum status subject_replace(struct flow *fl, struct failure *f) MUST_CHECK;

/* --- replies to what came encrypted (mail/flow_reply.c) --- */
/* After the header is read: takes tokens out, and sets answers_encrypted. */
enum status reply_read(struct flow *fl, struct failure *f) MUST_CHECK;
/* Puts a token into what is delivered to an address of `domain`. */
enum status reply_mark(struct flow *fl, struct slice domain, struct buf *content,
                       struct failure *f) MUST_CHECK;

/* --- the subject for the message log (mail/flow_log.c) --- */
void subject_keep(struct flow *fl);

/* --- some refused, others not (mail/flow_split.c) --- */

/* After the decision: is the message to be put aside as it came (encrypt.on_failure)? Then the result says
 * so, and that is all. */
bool split_puts_aside(struct flow *fl);
/* Sets fl->split: may the message go to those who are not refused? Writes why to the trace. */
enum status split_decide(struct flow *fl, struct failure *f) MUST_CHECK;
/* The end: with refusals the result is OK for the others, or nothing goes to anybody. */
void split_settle(struct flow *fl);

/* Would policy let a notification through to `sender`? */
enum status split_may_notify(struct flow *fl, struct slice sender, bool *may, struct failure *f) MUST_CHECK;

/* The result is OK: is the sender to be told of it (mail/flow_notice.c)? Sets result.notice. */
enum status notice_decide(struct flow *fl, struct failure *f) MUST_CHECK;

/* After the decision: a sender without a key may get one, and it is decided anew (mail/flow_issue.c). */
enum status flow_issue(struct flow *fl, struct policy_facts *facts, struct failure *f) MUST_CHECK;

/* --- DKIM, as the last step on a variant that goes out (mail/flow_dkim.c) --- */
enum status dkim_variant(struct flow *fl, struct job_variant *v, struct buf *content,
                         struct failure *f) MUST_CHECK;

/* --- composing (mail/compose.c) --- */
enum compose_fields {
    COMPOSE_WITHOUT_CONTENT = 1, /* Content-* and MIME-Version stay out */
    COMPOSE_WITHOUT_JUNK = 2,    /* lines that are no field stay out */
};
/* The message's fields without X-Sealpost-*; `flags` of enum compose_fields. No empty line. */
enum status compose_fields(const struct entity *e, unsigned flags, struct buf *out) MUST_CHECK;
/* Header and body without X-Sealpost-*. */
enum status compose_message(const struct entity *e, struct buf *out) MUST_CHECK;
/* The X-Sealpost-* fields. `r` NULL: a message that nothing was done with. */
enum status compose_marks(const struct flow *fl, const struct received *r, bool mark_unauthenticated,
                          struct buf *out) MUST_CHECK;
/* May it stand in a field as the value of a parameter? Addresses come from anybody's certificate. */
bool compose_is_safe(const char *text);
/* A CMS object as an entity of application/pkcs7-mime in base64. */
enum status compose_pkcs7(const char *smime_type, struct slice cms, struct buf *out) MUST_CHECK;
/* multipart/signed around an entity (RFC 8551 section 3.5.3). */
enum status compose_clear_signed(struct slice entity, struct slice signature, const char *micalg,
                                 const char *boundary, struct buf *out) MUST_CHECK;

#endif
