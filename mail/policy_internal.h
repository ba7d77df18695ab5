/* Shared by the files of the policy decision; not for other folders. */
#ifndef SEALPOST_MAIL_POLICY_INTERNAL_H
#define SEALPOST_MAIL_POLICY_INTERNAL_H

#include "mail/json_write.h"
#include "mail/policy.h"

enum policy_side { SIDE_SENDER, SIDE_ENVELOPE, SIDE_RECIPIENT };

/* A setting as it was found: what the trace tells of it. */
struct policy_value {
    const char *name;
    enum policy_side side;
    struct slice text;
    const char *level; /* "factory", "global", "domain", "user" */
    struct slice scope;
};

struct policy_context {
    struct store_view *view;
    struct trust *trust;
    const struct policy_facts *facts;
    struct arena *arena;
    struct policy_decision *out;
    struct slice
        sender; /* the address whose settings count: From, else the envelope's; "" for the null sender */
    struct policy_value
        sender_modes[2]; /* encrypt.mode of sender and, if another, of the envelope's sender */
    size_t sender_mode_count;
    struct policy_value sign_mode, on_missing_key, sign_already, encrypt_already, digest, pss;
    struct failure no_signer;  /* why there is no signer */
    enum status signer_status; /* OK, NO_KEY, or an error that lets nothing be sent */
};

/* Look a setting up; an unknown name takes the built-in default. Any failure is the store's. */
enum status policy_setting(struct policy_context *c, const char *name, enum policy_side side,
                           struct slice address, struct policy_value *value, struct failure *f) MUST_CHECK;
bool policy_value_is(const struct policy_value *value, const char *text);
/* Position of encrypt.mode from the weakest to the strictest; an unknown text counts as the strictest. */
size_t policy_mode_rank(const struct policy_value *mode);
/* "domain partner.example", "user a@b", "global", "factory default": for a reason. */
const char *policy_value_origin(const struct policy_value *value, struct arena *a);

/* --- algorithms (mail/policy_algorithms.c) --- */
/* smime.digest and smime.pss into `c` and c->out->signer. */
enum status policy_sender_algorithms(struct policy_context *c, struct failure *f) MUST_CHECK;
/* smime.cipher, smime.opaque, smime.key_transport and smime.compress into `r` and the trace. */
enum status policy_recipient_algorithms(struct policy_context *c, struct policy_recipient *r,
                                        struct json_writer *w, struct failure *f) MUST_CHECK;

/* Certificates of the recipient that are fit to encrypt to. With OK and a count of 0, `why` says why there is
 * none; another status is an error. Writes each to the trace. */
enum status policy_recipient_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                          struct json_writer *w, struct failure *why) MUST_CHECK;
/* The same from the certificates that are bound to the recipient's domain: one of them stands for each address
 * of it (method smime-domain). */
enum status policy_domain_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                       struct json_writer *w, struct failure *why) MUST_CHECK;
/* Chooses c->out->signer. NO_KEY: there is none, and `why` says why; another status is an error. Writes each
 * candidate to the trace. */
enum status policy_choose_signer(struct policy_context *c, struct json_writer *w,
                                 struct failure *why) MUST_CHECK;

/* --- the trace (mail/trace.c; format in docs/policy.md) --- */
#define TRACE_MAX       ((size_t)220 << 10) /* bytes: room is left for what the flow adds, up to JOB_TRACE_MAX */
#define TRACE_PIECE_MAX ((size_t)32 << 10) /* of one recipient */
void trace_setting(struct json_writer *w, const struct policy_value *value);
void trace_certificate(struct json_writer *w, const struct certificate_record *record, const char *use,
                       bool usable, const char *why);
/* One line of printable ASCII for an SMTP reply: anything else becomes "?"; cut at REASON_BYTES_MAX. */
#define REASON_BYTES_MAX 300
enum status reason_set(struct arena *a, struct slice *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4))) MUST_CHECK;

#endif
