/* Shared by the files of the policy decision; not for other folders. */
#ifndef SEALPOST_MAIL_POLICY_INTERNAL_H
#define SEALPOST_MAIL_POLICY_INTERNAL_H

#include "mail/json_write.h"
#include "mail/policy.h"

#define SETTINGS_KEPT 8 /* recipients of a domain mostly have the same settings: they are kept once */

enum policy_side { SIDE_SENDER, SIDE_ENVELOPE, SIDE_RECIPIENT };

/* How strictly mail is to be encrypted: the order of encrypt.mode's choices. */
enum policy_demand_level { DEMAND_NONE, DEMAND_REQUEST, DEMAND_OPPORTUNISTIC, DEMAND_MANDATORY };
struct policy_demand {
    enum policy_demand_level level;
    const char *because; /* "domain partner.example", "sender's user a@b", "rule finance"; in the arena */
};

/* What the sender asked for, and with which words (policy_trigger.c). NULL: not asked. */
struct policy_triggers {
    const char *encrypt, *sign, *plain;
};

struct policy_context {
    struct store_view *view;
    struct trust *trust;
    const struct policy_facts *facts;
    struct arena *arena;
    struct policy_decision *out;
    unsigned kinds; /* enum message_kind; 0 without a message */
    struct slice
        sender; /* the address whose settings count: From, else the envelope's; "" for the null sender */
    const struct setting_values *global; /* what holds where nothing more specific is set */
    const struct setting_values *of_sender;
    const struct setting_values *of_envelope; /* NULL: the envelope's sender is the sender */
    struct setting_values *scratch;
    const struct setting_values *distinct[SETTINGS_KEPT]; /* those found last, to be shared */
    size_t distinct_count;
    struct policy_triggers triggers;
    struct rule_run *rules;    /* NULL: there are none */
    struct failure no_signer;  /* why there is no signer */
    enum status signer_status; /* OK, NO_KEY, or an error that lets nothing be sent */
    bool foreign;              /* NO_KEY: somebody else's envelope, so no key is made either */
};

/* --- settings (policy_setting.c) --- */
/* All settings of an address, proposals included. Any failure is the store's or memory's. */
enum status policy_settings_of(struct policy_context *c, struct slice address,
                               const struct setting_values **out, struct failure *f) MUST_CHECK;
bool policy_value_is(const struct setting_value *value, const char *text);
/* "domain partner.example", "user a@b", "global", "factory default": for a reason. */
const char *policy_value_origin(const struct setting_value *value, struct arena *a);
/* Of a setting that both sides have: the value that counts, by the rule in docs/policy.md (a side that says
 * something for its domain or user; of two that do, the stricter). `values` has `count` (at least one). */
size_t policy_value_counts(const struct setting_value *const *values, size_t count);

struct policy_steps;

/* --- which way (policy_direction.c) --- */
/* After the senders' settings are known: r->direction, and why when it is not the recipient's locality. */
void policy_direction(const struct policy_context *c, struct policy_recipient *r);
/* Why the direction is what it is, where encrypt.internal has a say. */
void policy_direction_tell(struct policy_context *c, const struct policy_recipient *r,
                           struct policy_steps *steps);
/* Is it mail to the outside that no domain of ours answers for, which relay.unknown_sender refuses? */
bool policy_sender_is_unknown(const struct policy_context *c, const struct policy_recipient *r);

/* --- triggers (policy_trigger.c) --- */
/* Fills c->triggers, and the decision's subject. Not OK: an expression could not be evaluated (the failure
 * says which), or memory ended: the message must be refused. */
enum status policy_triggers_find(struct policy_context *c, struct failure *f) MUST_CHECK;

/* --- groups (policy_group.c) --- */
/* c->triggers, and what trigger.group.* adds for this recipient. Not OK: a group is not there, the store or
 * memory fails: it must be refused. */
enum status policy_groups_ask(struct policy_context *c, const struct policy_recipient *r,
                              struct policy_triggers *asked, struct failure *f) MUST_CHECK;
bool policy_groups_may_sign(const struct policy_context *c); /* is there a trigger.group.sign at all? */

/* --- what is done for one recipient (policy_demand.c, policy_methods.c, policy_signature.c) --- */
struct policy_steps { /* what was decided, in words, for the trace */
    const char *text[12];
    size_t count;
};
void policy_step(struct policy_context *c, struct policy_steps *steps, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* How strictly, by settings, triggers, kinds and rules in this order. */
struct policy_demand policy_demand_of(struct policy_context *c, const struct policy_recipient *r,
                                      const struct policy_triggers *triggers,
                                      const struct rule_outcome *rules, struct policy_steps *steps);
/* Chooses the method, or leaves r->method NULL and says why: OK; another status is an error. */
enum status policy_choose_method(struct policy_context *c, struct policy_recipient *r,
                                 const struct rule_outcome *rules, struct json_writer *w,
                                 struct policy_steps *steps, struct failure *why) MUST_CHECK;
/* Adds PROTECT_SIGN, or refuses. */
enum status policy_decide_signature(struct policy_context *c, struct policy_recipient *r,
                                    const struct policy_triggers *asked, const struct rule_outcome *rules,
                                    struct policy_steps *steps) MUST_CHECK;
enum status policy_refuse(struct policy_context *c, struct policy_recipient *r, enum status status,
                          const char *format, ...) __attribute__((format(printf, 4, 5))) MUST_CHECK;

/* --- algorithms (policy_algorithms.c) --- */
void policy_sender_algorithms(struct policy_context *c);      /* into c->out->signer */
void policy_recipient_algorithms(struct policy_recipient *r); /* out of r->settings */

/* --- certificates (policy_certificates.c) --- */
/* Certificates of the recipient that are fit to encrypt to. With OK and a count of 0, `why` says why there is
 * none; another status is an error. Writes each to the trace, where a list of certificates is open. */
enum status policy_recipient_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                          struct json_writer *w, struct failure *why) MUST_CHECK;
/* The same from the certificates that are bound to the recipient's domain: one of them stands for each
 * address of it (method smime-domain). */
enum status policy_domain_certificates(struct policy_context *c, struct policy_recipient *recipient,
                                       struct json_writer *w, struct failure *why) MUST_CHECK;
/* Chooses c->out->signer. NO_KEY: there is none, and `why` says why; another status is an error. Writes each
 * candidate to the trace. */
enum status policy_choose_signer(struct policy_context *c, struct json_writer *w,
                                 struct failure *why) MUST_CHECK;

/* --- the trace (mail/trace.c; format in docs/policy.md) --- */
#define TRACE_MAX       ((size_t)220 << 10) /* bytes: room is left for what the flow adds, up to JOB_TRACE_MAX */
#define TRACE_PIECE_MAX ((size_t)32 << 10) /* of one recipient */
void trace_setting(struct json_writer *w, const struct setting_value *value, enum policy_side side);
void trace_kinds(struct json_writer *w, unsigned kinds); /* "kinds": [...] and the two old flags */
void trace_certificate(struct json_writer *w, const struct certificate_record *record, const char *use,
                       bool usable, const char *why);
/* One line of printable ASCII for an SMTP reply: anything else becomes "?"; cut at REASON_BYTES_MAX. */
#define REASON_BYTES_MAX 300
enum status reason_set(struct arena *a, struct slice *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4))) MUST_CHECK;

#endif
