/*
 * Rules: conditions on a message and its recipient, and what follows when they hold. An administrator writes
 * one expression and one list of actions for each; docs/rules.md has the grammar.
 *
 *   when: sender in group finance and (recipient domain court.example or header "X-Class" matches /geheim/i)
 *   then: require encryption, tag "X-Finance: yes", stop
 *
 * The rules of the store are compiled once a generation (ruleset_load). For each message a run is begun; what
 * a condition on the message gives is found once a run and kept, what a condition on the recipient gives once
 * a recipient. Rules are asked in their order. A rule that does not match changes nothing; `stop` and
 * `refuse` end the list.
 *
 * What can go wrong: a rule that this release cannot read, that names a group which is not there, or whose
 * regular expression hits a limit cannot be evaluated. Whoever reaches it gets `broken`, and must be refused:
 * nobody knows what the rule would have demanded. Without a message (policy explain), conditions on its
 * header, size and parts are not known; a rule that depends on one does not match, and the trace says so.
 *
 * One thread for a ruleset and its runs. No clock, no randomness; the store is read for groups only.
 */
#ifndef SEALPOST_MAIL_RULE_H
#define SEALPOST_MAIL_RULE_H

#include "mail/facts.h"
#include "mail/json_write.h"

#define RULE_TAGS_MAX 16 /* that one recipient can collect; more make the last rule `broken` */

struct ruleset;

/* The rules of the store, compiled. A stored rule that is not right does not fail the load: it is broken when
 * it is reached. Not OK only when memory or the store fails. */
enum status ruleset_load(struct store_view *view, struct ruleset **out, struct failure *f) MUST_CHECK;
/* A set that is proposed (policy test): begin empty, add in order. Each text is copied. */
enum status ruleset_new(struct ruleset **out) MUST_CHECK;
/* OK also for a rule that is broken; `why` (may be NULL) then says so with status INVALID. */
enum status ruleset_add(struct ruleset *set, struct store_view *view, struct slice name, struct slice when,
                        struct slice then, struct failure *why) MUST_CHECK;
void ruleset_free(struct ruleset *set); /* NULL is fine */
size_t ruleset_count(const struct ruleset *set);

/* Is the text right, regular expressions included? INVALID with the position and what was expected. The
 * canonical texts are appended; either buffer may be NULL. */
enum status rule_check(struct slice when, struct slice then, struct buf *canonical_when,
                       struct buf *canonical_then, struct failure *f) MUST_CHECK;

/* Does the expression ask for this group? A text that cannot be read does not. */
bool rule_names_group(struct slice when, struct slice group);

/* What conditions see. Addresses are normalised. */
struct rule_subject {
    struct slice envelope_sender; /* "": the null sender */
    struct slice from;            /* the one address in From; "": none or unclear. `sender` in a rule is this
                                     one, or the envelope's where this is empty */
    struct slice subject;         /* decoded UTF-8 */
    const struct message_facts *message; /* NULL: there is no message, only the question (policy explain) */
    bool tls, auth;                      /* of the session in which it came */
    struct slice listener;  /* name of the listener that took it; "": none (explain, fetched mail) */
    struct slice client_ip; /* text; "": none */
};

enum rule_demand { RULE_NO_DEMAND, RULE_REQUIRE, RULE_FORBID };

/* Slices live as long as the ruleset and the run's arena. Where several rules match: REQUIRE beats FORBID;
 * of methods, route and refuse the first counts; tags are all added, in order. */
struct rule_outcome {
    struct slice broken; /* not "": a rule could not be evaluated; names it and says why. Refuse */
    struct slice refuse; /* not "": the text for the sender, one line of UTF-8 without control characters */
    struct slice refuse_rule; /* name of the rule that refuses */
    enum rule_demand encrypt, sign;
    struct slice encrypt_rule, sign_rule; /* names of the rules that say so */
    struct slice methods;                 /* "smime,pdf": in this order, no others; "": as the settings say */
    struct slice route;                   /* HOST:PORT or [v6]:PORT; "": as the settings say */
    bool quarantine;
    struct slice tags[RULE_TAGS_MAX]; /* header fields "X-Name: value", printable ASCII, below 900 bytes */
    size_t tag_count;
    size_t matched; /* rules that matched */
};

struct rule_run;
enum rule_run_flags {
    RULE_TRACE_ALL = 1, /* the trace also tells why rules did not match: for people who ask, not for mail */
};

/* `set`, `subject` and `view` are borrowed until the arena's end; the run lives in the arena. NO_MEMORY. */
enum status rule_run_begin(struct ruleset *set, const struct rule_subject *subject, struct store_view *view,
                           unsigned flags, struct arena *a, struct rule_run **run) MUST_CHECK;
/* One recipient (normalised). `w` may be NULL; else it gets an array "rules_asked" of objects:
 *   {"rule": name, "matched": true}                  and, with RULE_TRACE_ALL, also
 *   {"rule": name, "matched": false, "because": "not true: recipient domain court.example"}
 * "unknown" in place of "because" names a condition that cannot be known without the message; "broken" says
 * why a rule could not be evaluated. Of some hundred rules, not all fit: "rules_omitted" says how many are
 * left out, but never the one that ended the list. Not OK: memory or the store failed; then `out` is broken
 * as well. */
enum status rule_run_recipient(struct rule_run *run, struct slice recipient, struct rule_outcome *out,
                               struct json_writer *w, struct failure *f) MUST_CHECK;

#endif
