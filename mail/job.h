/*
 * What the smtp role asks of a worker, and the answer: frames of base/channel.h over `run/jobs.sock`, on
 * which smtp listens and to which each worker connects. A worker holds one job at a time. A worker that dies
 * takes the connection with it: smtp then knows which job to give to another, and after the second death puts
 * the message in quarantine.
 *
 *   worker -> smtp   [ READY, pid u64 ]                              once, after connecting
 *   smtp -> worker   [ MESSAGE, job u64, facts... ]  fd 0: message    struct job_message
 *   smtp -> worker   [ TO_7BIT, job u64 ]            fd 0: message    a next hop lacks 8BITMIME (RFC 6152)
 *   worker -> smtp   [ DONE, job u64, ... ]          fd i: variant i  struct job_result; it is free again
 *
 * Messages travel as sealed memfds (base/channel.h: memory_file_*, mapping_*): CRLF line ends, dot-stuffing
 * removed, the Received field of this node already in front. smtp is the only one that makes Received fields.
 */
#ifndef SEALPOST_MAIL_JOB_H
#define SEALPOST_MAIL_JOB_H

#include "base/arena.h"
#include "base/buf.h"
#include "store/records.h"

#define JOB_SOCKET         "run/jobs.sock"
#define JOB_RECIPIENTS_MAX 10000
#define JOB_TRACE_MAX      ((size_t)256 << 10) /* bytes of JSON */
#define JOB_SUBJECT_MAX    500                 /* bytes */
/* More different forms of one message are TOO_LARGE (552): trying the same again would not help, and the text
 * says so. */
#define JOB_VARIANTS_MAX 128

enum job_type { JOB_READY = 1, JOB_MESSAGE, JOB_TO_7BIT, JOB_DONE };

enum job_flags {
    JOB_8BITMIME = 1,              /* BODY=8BITMIME was given */
    JOB_TLS = 2,                   /* it came over TLS */
    JOB_NULL_SENDER_MADE_HERE = 4, /* a delivery status notification that this node made */
    JOB_REPLY_FOR_EACH = 8,        /* LMTP: the client learns of each recipient by itself, so that one refusal
                                      holds up nobody else, and nobody need be told later */
    JOB_RELEASED = 16              /* an administrator let it out of quarantine, where it lay as it came */
};

struct job_message {
    uint64_t job;
    char message_id[ID_TEXT_SIZE]; /* of the spool, as in "250 2.0.0 queued as ID" */
    uint64_t now_ms;
    struct slice sender; /* reverse-path; empty: null sender */
    struct slice client_ip, helo, listener;
    uint64_t flags;           /* enum job_flags */
    struct slice *recipients; /* forward-paths as given */
    size_t recipient_count;
};

struct job_variant {
    size_t *recipients; /* positions in job_message.recipients */
    size_t recipient_count;
    bool unchanged;  /* byte for byte what came (descriptor is the input's) */
    bool needs_8bit; /* has bytes above 127 in its body */
    struct slice
        protection;  /* "none", "smime-signed", "smime-encrypted", "smime-signed-encrypted", "decrypted" */
    bool quarantine; /* put aside: it leaves when an administrator releases it, not before */
    struct slice
        quarantine_reason; /* one line of printable ASCII, at most 300 bytes; "" without quarantine */
    struct slice
        next_hop; /* HOST:PORT[,...] in the form of delivery.next_hop, which it overrides; "" = that */
};

struct job_refusal {
    size_t recipient;    /* position */
    enum status status;  /* its SMTP code and enhanced code are the reply's */
    struct slice reason; /* one line of printable ASCII, at most 300 bytes; names the address */
};

/* The answer to TO_7BIT has one variant with no recipients: decode it with recipients = 0. UNSUPPORTED when a
 * signed part would have to change. status OK: every recipient is in exactly one variant or in exactly one
 * refusal, and at least one is in a variant; the refusals are for good (no status that is worth another try),
 * or the job had JOB_REPLY_FOR_EACH. smtp sees to it that the sender learns of them. OK with `put_aside`:
 * there is neither variant nor refusal; the message is kept as it came, in quarantine, and `text` says why.
 * Else: nothing goes to anybody; `refusals` say who and why, or, when there is none, `text`. */
struct job_result {
    uint64_t job;
    enum status status;
    struct slice text;
    bool put_aside;
    bool notice; /* status OK: the sender is sent a notice of what became of it (encrypt.notify_sender) */
    struct job_variant *variants;
    size_t variant_count;
    struct job_refusal *refusals;
    size_t refusal_count;
    struct slice trace;   /* JSON: how it was decided; kept with the message */
    struct slice subject; /* decoded, one line of UTF-8, at most JOB_SUBJECT_MAX bytes, for the message log;
                             "" unless log.subjects allows it */
};

enum status job_ready_encode(uint64_t pid, struct buf *out) MUST_CHECK;
enum status job_message_encode(const struct job_message *m, struct buf *out) MUST_CHECK;
enum status job_to_7bit_encode(uint64_t job, struct buf *out) MUST_CHECK;
enum status job_result_encode(const struct job_result *r, struct buf *out) MUST_CHECK;
/* First element of the frame; 0 if it is not a frame of this protocol. */
enum job_type job_frame_type(struct slice frame);
/* Arrays in the arena; slices into the frame. A worker is not trusted either: everything is checked
 * (positions, each recipient once, ...; for DONE the number of recipients and descriptors that belong to the
 * job are given). */
enum status job_ready_decode(struct slice frame, uint64_t *pid) MUST_CHECK;
enum status job_message_decode(struct slice frame, struct arena *a, struct job_message *m) MUST_CHECK;
enum status job_to_7bit_decode(struct slice frame, uint64_t *job) MUST_CHECK;
enum status job_result_decode(struct slice frame, size_t recipients, size_t fds, struct arena *a,
                              struct job_result *r) MUST_CHECK;

#endif
