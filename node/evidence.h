/*
 * What the fetch role found about revocations, as the bytes that prove it. Fetch reads what strangers send
 * and may have been taken over: so it does not propose what it found, but hands over the very list or answer,
 * and core judges it with the same code that fetch uses. Whoever holds fetch can bring in nothing that the
 * issuer has not signed, nothing that is older than what is in force, and can take nothing back.
 *
 * No loop, no socket; a thread of its own while it is judged.
 */
#ifndef SEALPOST_NODE_EVIDENCE_H
#define SEALPOST_NODE_EVIDENCE_H

#include "base/channel.h"
#include "crypto/crl.h"
#include "crypto/ocsp.h"

#define EVIDENCE_LIST_MAX (CHANNEL_PAYLOAD_MAX - 4096) /* bytes of a list: it goes through a frame */

enum evidence_kind { EVIDENCE_LIST, EVIDENCE_ANSWER };

struct evidence {
    enum evidence_kind kind;
    struct buf content;                                            /* owned */
    uint8_t certificate[THUMBPRINT_SIZE], issuer[THUMBPRINT_SIZE]; /* ANSWER: whom it is about, by whom */
    struct crl *crl;                                               /* LIST, once judged; owned */
    struct ocsp_finding finding;                                   /* ANSWER, once judged */
};

/* A list's largest size is EVIDENCE_LIST_MAX, an answer's OCSP_ANSWER_MAX. */
void evidence_init(struct evidence *e, enum evidence_kind kind);
void evidence_release(struct evidence *e);
/* OK: its commands are to be proposed; EXISTS: it is in force already; else what crl_read(), crl_verify() and
 * ocsp_find() say. The content is not needed any more afterwards, and is freed. */
enum status evidence_judge(struct evidence *e, struct store_view *view, uint64_t now_ms,
                           struct failure *f) MUST_CHECK;
/* After OK: the commands, to be proposed in order until one is refused. Values point into `e` and `storage`.
 */
size_t evidence_command_count(const struct evidence *e);
enum status evidence_command(struct evidence *e, size_t i, uint64_t now_ms, struct slice actor,
                             struct buf *storage, struct command *out, struct failure *f) MUST_CHECK;

#endif
