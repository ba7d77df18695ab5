/*
 * What becomes of a message: decide (mail/policy.h), then sign, encrypt, decrypt, verify, and give the
 * variants that leave. Pure: settings, certificates and keys come through a view, time with the job, random
 * bytes from a callback; the role makes descriptors of the results.
 */
#ifndef SEALPOST_MAIL_FLOW_H
#define SEALPOST_MAIL_FLOW_H

#include "crypto/seal.h"
#include "crypto/x509.h"
#include "mail/issuers.h"
#include "mail/job.h"
#include "mail/known.h"
#include "mail/rule.h"

typedef void (*mail_random_cb)(void *context, void *out, size_t len);

/* A signature of incoming mail that holds, and whose signer is the From address. All is borrowed. */
struct mail_signature {
    struct store_view *view;        /* as of now */
    struct slice cms;               /* SignedData, DER or BER */
    struct slice from;              /* normalised */
    bool trusted;                   /* the signer's path leads to an anchor */
    uint64_t capabilities;          /* enum certificate_capability: what the signer announced */
    const struct slice *recipients; /* internal ones of the message */
    size_t recipient_count;
};
typedef void (*mail_signature_cb)(void *context, const struct mail_signature *signature);

/* The two callbacks ask others (role fetch) while the message waits, in bounded time; they may be NULL. */
/* Recipients with keys of their own open a message each for themselves. 80 of them with 50 MB take some 20
 * seconds; a job that takes longer than 75 would be ended, and its message put aside. */
#define OPEN_MAX ((size_t)4 << 30)

struct mail_environment {
    struct store_view *view;
    struct trust *trust;
    const struct keyring *keys;
    const struct issuers *issuers; /* intermediates that are sent along with a signature; may be NULL */
    struct known *known;           /* what the process remembers; may be NULL */
    struct ruleset *rules;         /* NULL: none */
    mail_random_cb random;         /* for MIME boundaries */
    void *random_context;
    /* For these addresses the store has no certificate that can be used, and one is wanted. true: view,
     * trust, issuers and rules are those of the newest state, and slices of the view before are gone.
     * unanswered[i] is set where it could not be found out whether there is one. */
    bool (*fetch_certificates)(struct mail_environment *env, const struct slice *addresses, size_t count,
                               bool *unanswered);
    /* No path leads from `signer` (DER) by way of the certificates `sent` with it to a trust anchor. true:
     * trust knows an intermediate more, which is worth another try; the view stays. */
    bool (*fetch_issuers)(struct mail_environment *env, struct slice signer, const struct slice *sent,
                          size_t count);
    void *fetch_context;
    /* The sender `address` is to be signed for and has no usable key. OK: a key was issued, and the decision
     * is to be made anew on what is in here now, as above. NOT_FOUND: there is none to be had. Else nothing
     * can be said now: the message is deferred. */
    enum status (*issue_key)(struct mail_environment *env, struct slice address, struct failure *f);
    void *issue_context;
    size_t
        open_max; /* bytes that one message may cost to open for all its recipients together; 0: OPEN_MAX */
    mail_signature_cb signature; /* told of signatures, perhaps several times of the same; may be NULL */
    void *signature_context;
};

struct mail_output {
    struct job_result result;              /* arrays and texts in the arena */
    struct buf contents[JOB_VARIANTS_MAX]; /* of variants[i]; nothing when that is `unchanged` */
};

/* Always answers, with a result that job_result_decode() accepts: a failure is a refusal. `message` has CRLF
 * line ends. The arena should allow some megabytes. */
void mail_process(const struct mail_environment *env, const struct job_message *job, struct slice message,
                  struct arena *a, struct mail_output *out);
/* The answer to TO_7BIT: one variant, with no recipients; UNSUPPORTED when a signed part would have to
 * change. */
void mail_to_7bit(uint64_t job, struct slice message, struct arena *a, struct mail_output *out);
/* The DKIM signatures that this cluster put in front of a message: ours stand before the first Received
 * field, where nobody else writes. Takes no part of what follows; "" if there are none. */
struct slice dkim_own_fields(struct slice message);
/* After the bytes behind them were changed: signs `content` anew for the domain that `own` names, with the
 * keys that are active now (none: nothing is done). `env` NULL: UNAVAILABLE. */
enum status dkim_renew(const struct mail_environment *env, uint64_t now_ms, struct slice own, struct arena *a,
                       struct buf *content, struct failure *f) MUST_CHECK;
void mail_output_release(struct mail_output *out);

#endif
