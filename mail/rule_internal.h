/*
 * Shared by the files of the rules; not for other folders.
 *
 * A rule's expression is a tree of nodes in one array: `and`, `or` and `not` with their operands as a list of
 * siblings, and conditions. Conditions of all rules of a set are numbered, so that a run can keep what each
 * gave.
 */
#ifndef SEALPOST_MAIL_RULE_INTERNAL_H
#define SEALPOST_MAIL_RULE_INTERNAL_H

#include "mail/pattern.h"
#include "mail/rule.h"

#define RULE_NODES_MAX  256 /* of one expression: operators and conditions */
#define RULE_DEPTH_MAX  16  /* brackets and "not" within each other */
#define RULE_GROUPS_MAX 256 /* different groups that the rules of a set name */
#define RULE_NAMES_MAX  256 /* different header fields of which a message's place is kept */
#define RULE_FIELDS_MAX                                                                                      \
    100 /* fields of one name that a condition looks at; with more it cannot be evaluated */
#define RULE_METHODS_MAX 16 /* in one `methods` */

/* --- what a condition gives --- */
enum rule_truth {
    RULE_UNSET,
    RULE_FALSE,
    RULE_TRUE,
    RULE_UNKNOWN, /* there is no message to ask */
    RULE_ERROR    /* it cannot be evaluated; the run's `why` says so */
};

#define RULE_REGEX_TOTAL_MAX ((size_t)16 << 20) /* bytes of all compiled expressions of a set */
#define RULE_REGEX_FAILURES_MAX                                                                              \
    8 /* limits that one run may hit; then each further match is an error at once */

/* --- the expression --- */
enum rule_operand {
    OPERAND_SENDER,
    OPERAND_ENVELOPE_SENDER,
    OPERAND_FROM,
    OPERAND_RECIPIENT,
    OPERAND_SUBJECT,
    OPERAND_HEADER,
    OPERAND_SIZE,
    OPERAND_ATTACHMENTS,     /* how many */
    OPERAND_ATTACHMENT_TYPE, /* of any of them */
    OPERAND_ATTACHMENT_NAME,
    OPERAND_KIND,
    OPERAND_TLS,
    OPERAND_AUTH,
    OPERAND_LISTENER,
    OPERAND_CLIENT,
    OPERAND_ALWAYS,
};

enum rule_test {
    TEST_HOLDS, /* TLS, AUTH, ALWAYS, KIND (number: enum message_kind) */
    TEST_IS,    /* text: an address in normal form; subject and header: without regard to ASCII case */
    TEST_EMPTY,
    TEST_DOMAIN,   /* text: domain in normal form */
    TEST_BELOW,    /* text: what "*.x" has behind its star: ".x" */
    TEST_IN_GROUP, /* text: name; number: of the group in the set */
    TEST_MATCHES,  /* regex */
    TEST_CONTAINS, /* text; without regard to ASCII case */
    TEST_EXISTS,
    TEST_LIKE, /* text: with "*" for any bytes; without regard to ASCII case */
    TEST_IN,   /* text: networks */
    TEST_LESS, /* number */
    TEST_AT_MOST,
    TEST_EQUAL,
    TEST_AT_LEAST,
    TEST_MORE,
};

struct rule_condition {
    enum rule_operand operand;
    enum rule_test test;
    bool any_case;         /* of a regular expression */
    struct slice field;    /* name of the header field */
    struct slice text;     /* see enum rule_test; of MATCHES: the pattern as it was written */
    uint64_t number;       /* of OPERAND_HEADER: the field's in the set; RULE_NAMES_MAX: it has none */
    struct pattern *regex; /* owned by the set */
    struct slice shown;    /* the canonical text */
};

enum rule_node_type { NODE_CONDITION, NODE_AND, NODE_OR, NODE_NOT };

struct rule_node {
    enum rule_node_type type;
    uint16_t first,
        next;           /* positions in the array; next 0: none (the node made first is first in its list) */
    uint16_t condition; /* position in the expression's conditions */
};

struct rule_expression {
    struct rule_node *nodes; /* in the arena */
    size_t node_count;
    uint16_t root;
    struct rule_condition *conditions; /* in the arena */
    size_t condition_count;
    bool asks_recipient;
};

struct rule_actions {
    enum rule_demand encrypt, sign;
    struct slice methods, route, refuse;
    struct slice tags[RULE_TAGS_MAX];
    size_t tag_count;
    bool quarantine, stop;
};

/* The parsers copy what they keep into the arena; with `compile`, regular expressions are compiled (else they
 * are only cut out). INVALID with the position (from 1) and what was expected. On failure, too, regexes that
 * were made hang in `out`. */
enum status rule_parse_when(struct slice text, bool compile, struct arena *a, struct rule_expression *out,
                            struct failure *f) MUST_CHECK;
enum status rule_parse_then(struct slice text, struct arena *a, struct rule_actions *out,
                            struct failure *f) MUST_CHECK;
void rule_expression_release(struct rule_expression *e); /* frees the regexes */

/* The canonical texts. */
enum status rule_print_condition(const struct rule_condition *c, struct buf *out) MUST_CHECK;
enum status rule_print_when(const struct rule_expression *e, struct buf *out) MUST_CHECK;
enum status rule_print_then(const struct rule_actions *actions, struct buf *out) MUST_CHECK;

/* --- words (mail/rule_words.c) --- */
enum rule_word_type {
    WORD_END,
    WORD_BARE,  /* sender, finance, *.x, 10M */
    WORD_TEXT,  /* "..." with \" and \\ taken away */
    WORD_REGEX, /* between the slashes, as written but for \/ */
    WORD_SIGN   /* ( ) , = < > <= >= */
};
struct rule_word {
    enum rule_word_type type;
    struct slice text;
    size_t position; /* of its first byte, from 1 */
    bool any_case;   /* WORD_REGEX: /.../i */
};
struct rule_words {
    struct slice text;
    size_t at;
    struct arena *arena;
    struct failure *f;
    struct rule_word word; /* the present one */
};
/* Begins with the first word. INVALID: the text has something that is no word, or is no UTF-8. */
enum status rule_words_begin(struct rule_words *w, struct slice text, size_t max, const char *what,
                             struct arena *a, struct failure *f) MUST_CHECK;
enum status rule_words_next(struct rule_words *w) MUST_CHECK;
/* As next, but commas belong to the word: the list behind `methods`. */
enum status rule_words_next_list(struct rule_words *w) MUST_CHECK;
bool rule_word_is(const struct rule_words *w, const char *text); /* a bare word or sign */
/* INVALID: "position 12: expected WHAT, not ..." */
enum status rule_words_expected(struct rule_words *w, const char *what);
/* INVALID at the present word. */
enum status rule_words_wrong(struct rule_words *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* --- the set --- */
struct rule {
    struct slice name;
    struct slice broken; /* not "": why it cannot be evaluated */
    struct rule_expression when;
    struct rule_actions then;
    size_t first_condition; /* number of its first condition in the set */
};

/* --- the index (mail/rule_index.c) --- */
struct rule_bits { /* one for each rule of a set */
    uint64_t words[(RULES_MAX + 63) / 64];
};
void rule_bits_set(struct rule_bits *bits, size_t rule);
void rule_bits_clear(struct rule_bits *bits, size_t rule);

#define RULE_INDEX_BUCKETS 1024
struct rule_key;
struct rule_index {
    struct rule_bits unfiled;                     /* to be asked for each recipient */
    struct rule_key *buckets[RULE_INDEX_BUCKETS]; /* the keys of the others, in the set's arena */
};

struct ruleset {
    struct arena arena;
    struct rule *rules; /* RULES_MAX of them, owned */
    size_t rule_count, condition_count;
    size_t regex_bytes;
    struct slice groups[RULE_GROUPS_MAX]; /* names */
    size_t group_count;
    struct slice fields[RULE_NAMES_MAX]; /* names of header fields that are asked for */
    size_t field_count;
    struct pattern_space *space;
    struct rule_index index;
};

/* Files the set's rule at `position`, compiled or broken. NO_MEMORY. */
enum status rule_index_add(struct ruleset *set, size_t position) MUST_CHECK;
/* Adds the rules that need the address, its domain or one above, as `operand`. */
void rule_index_find(const struct ruleset *set, enum rule_operand operand, struct slice address,
                     struct rule_bits *out);

#define RULE_GROUP_WORDS (RULE_GROUPS_MAX / 64)
struct rule_groups { /* which of the set's groups an address is in */
    bool known;
    uint64_t bits[RULE_GROUP_WORDS];
};

#define RULE_TRACE_BYTES ((size_t)16 << 10) /* of one recipient; what does not fit is counted */

enum rule_standing { /* of a rule, for this message */
                     STANDING_UNKNOWN,
                     STANDING_SEEN, /* it was asked for one recipient */
                     STANDING_NEVER,
                     STANDING_ASK
};

/* Why a condition could not be evaluated, for every recipient who comes to it. */
struct rule_error {
    struct rule_error *next;
    const struct rule_condition *condition;
    struct slice why;
};

struct rule_run {
    struct ruleset *set;
    const struct rule_subject *subject;
    struct store_view *view;
    struct arena *arena;
    unsigned flags;
    uint8_t *truths;       /* enum rule_truth of each condition that asks no recipient */
    uint8_t *standings;    /* enum rule_standing of each rule */
    struct rule_bits open; /* rules that can hold for some recipient, but for those filed under recipients */
    uint32_t
        *field_places; /* by number: where the message's first field of that name is, from 1; 0: not yet */
    struct slice addresses[OPERAND_RECIPIENT + 1], domains[OPERAND_RECIPIENT + 1]; /* by operand */
    struct rule_groups groups[OPERAND_RECIPIENT + 1];
    size_t trace_start, trace_omitted; /* of the present recipient */
    bool has_recipient;                /* false while a rule's standing is found */
    size_t regex_failures;
    uint8_t
        *unfolded; /* ENTITY_FIELD_MAX bytes for a header field's value in one line; NULL: not needed yet */
    const struct rule_condition *last; /* asked last, and what it gave: the trace's reason */
    enum rule_truth last_truth;
    const struct rule_condition *unknown; /* the first that was not known */
    struct slice why;                     /* of RULE_ERROR */
    struct rule_error *errors;            /* of conditions that are RULE_ERROR in truths */
    struct failure store;                 /* a failure of the store or of memory: the run cannot go on */
};

/* One condition; RULE_UNKNOWN also when it asks for the recipient and there is none yet. */
enum rule_truth rule_condition_ask(struct rule_run *run, const struct rule_condition *c);

#endif
