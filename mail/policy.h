/*
 * The policy decision: a pure function from (settings, certificates, message facts, envelope, now) to a
 * decision for each recipient and a trace that says which setting, from which level, and which certificate
 * led to it. `policy explain` calls it with no message. It opens no private key: the flow does.
 */
#ifndef SEALPOST_MAIL_POLICY_H
#define SEALPOST_MAIL_POLICY_H

#include "base/arena.h"
#include "crypto/smime.h"
#include "mail/facts.h"
#include "mail/known.h"
#include "mail/rule.h"
#include "store/records.h"
#include "store/setting.h"

enum policy_direction {
    POLICY_OUTGOING, /* recipient is external: sign, encrypt */
    POLICY_INCOMING, /* recipient is internal: decrypt, verify */
};

enum policy_protection { PROTECT_NONE = 0, PROTECT_SIGN = 1, PROTECT_ENCRYPT = 2 }; /* flags */

/* A setting as it would be if it were set so, for policy explain --with. */
struct policy_proposal {
    const struct setting *setting;
    enum setting_level level;
    struct slice scope; /* normal form */
    struct slice text;  /* canonical */
};

enum policy_fact_flags {
    POLICY_TLS = 1,      /* it came over TLS */
    POLICY_AUTH = 2,     /* from a client that signed in */
    POLICY_TELL_ALL = 4, /* the trace also says why rules did not match: for people who ask, not for mail */
    POLICY_ANSWER = 16,  /* it answers what came encrypted (encrypt.replies) */
    POLICY_RELEASED = 8, /* an administrator let it out of quarantine: encrypt.on_failure does not put it
                            there again */
};

struct policy_facts {
    struct slice envelope_sender; /* "" = null sender */
    struct slice from; /* From field's only address, normalised; "" if none or unclear: the envelope's sender
                          counts then for settings */
    struct slice subject;                /* decoded; may be empty */
    const struct message_facts *message; /* NULL: there is none (policy explain) */
    unsigned flags;                      /* enum policy_fact_flags */
    struct slice listener, client_ip;    /* may be empty */
    uint64_t now_ms;
    struct known *known;   /* what the process remembers (mail/known.h); may be NULL */
    struct ruleset *rules; /* NULL: none */
    const struct policy_proposal *proposals;
    size_t proposal_count;
    const struct slice *unanswered; /* addresses of recipients whose directories could not be asked */
    size_t unanswered_count;
};

#define POLICY_CERTIFICATES_MAX 16

struct policy_method;

struct policy_recipient {
    struct slice address; /* normalised */
    enum policy_direction direction;
    unsigned protection; /* enum policy_protection flags: what will be done */
    enum status status;  /* OK, or why the message is refused for this recipient */
    bool put_aside;      /* not OK: the message is to be put aside as it came (encrypt.on_failure) */
    struct slice reason; /* for the SMTP reply; "" when OK */
    const struct setting_values *settings; /* all that hold for this recipient */
    const struct policy_method *method;    /* with PROTECT_ENCRYPT: the way of encrypting that was chosen */
    struct slice
        certificates[POLICY_CERTIFICATES_MAX]; /* DER, usable for encryption to this recipient; in the view */
    size_t certificate_count;
    bool lacks_certificate;         /* one would be used, and none can be: worth a look-up elsewhere */
    uint64_t capabilities;          /* what all of them are known to read: AND of capabilities_assumed() */
    bool smime;                     /* S/MIME is on for this recipient: encrypt, decrypt, verify */
    bool opaque;                    /* smime.opaque: sign with the content inside */
    bool compress;                  /* smime.compress: what is encrypted is compressed first */
    struct slice cipher;            /* smime.cipher: "auto", "aes256-gcm", ... */
    enum smime_transport transport; /* smime.key_transport */
    /* What rules ask for beside protection. */
    struct slice next_hop;    /* HOST:PORT; "": as delivery.next_hop says */
    const struct slice *tags; /* fields to add, without line ends */
    size_t tag_count;
    bool quarantine; /* made as decided, then put aside */
    struct slice quarantine_reason;
};

const char *policy_method_name(const struct policy_method *method); /* "smime", as in encrypt.methods */

struct policy_signer {
    struct slice certificate; /* DER, "" when there is none */
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct slice sealed_key;
    struct slice encryption_certificate; /* DER: another one that the sender is to be encrypted to; else "" */
    enum smime_digest digest;            /* smime.digest */
    bool pss;                            /* smime.pss */
    bool of_domain; /* it is bound to the sender's domain: the sender has none (sign.on_missing_key) */
};

struct policy_decision {
    struct policy_recipient *recipients; /* as many as were asked for, in their order */
    size_t recipient_count;
    bool lacks_key;              /* some copy is to be signed, and the From address has no usable key */
    struct policy_signer signer; /* chosen for the sender; used where protection says SIGN */
    const struct setting_values *sender_settings; /* of the sender whose settings count */
    bool refused;                                 /* some recipient's status is not OK */
    bool subject_changes; /* the words that asked for something are taken out: `subject` takes its place */
    struct slice subject; /* UTF-8 */
    struct slice trace;   /* JSON, in the arena; see docs/policy.md */
};

/* Slices live as long as the view and the arena. A store error or an unreadable certificate makes the
 * recipient's status an error: never plain text. */
/* `from` without `envelope_sender` is a null sender: nothing is signed for it. OUTGOING recipients of a
 * message that is encrypted as a whole have PROTECT_NONE and pass. Not OK only when memory or the store fails
 * as a whole: `f` says what, and nothing may be sent. */
enum status policy_decide(struct store_view *view, struct trust *trust, const struct policy_facts *facts,
                          const struct slice *recipients, size_t recipient_count, struct arena *a,
                          struct policy_decision *out, struct failure *f) MUST_CHECK;

/* The expressions in a value of a trigger setting, as they would be compiled: INVALID says what is wrong. OK
 * for every other setting. For whoever proposes one. */
enum status policy_expressions_check(const struct setting *setting, struct slice value,
                                     struct failure *f) MUST_CHECK;
/* Of a setting that names groups (trigger.group.*): INVALID when one is not there. OK for every other. */
enum status policy_groups_check(struct store_view *view, const struct setting *setting, struct slice value,
                                struct failure *f) MUST_CHECK;
bool policy_setting_names_groups(const struct setting *setting);
bool policy_value_names_group(const struct setting_value *value, struct slice group);

#endif
