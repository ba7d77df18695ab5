/*
 * What an administrator expects of policy for one recipient, in one line of text (policy test):
 *
 *   plain | sign | encrypt [METHOD] | encrypt+sign [METHOD] | incoming | quarantine | refuse [TEXT]
 *
 * "encrypt" means encrypted and not signed. METHOD is a name of encrypt.methods; TEXT must be in the reason,
 * without regard to ASCII case. What a decision is, is told in the same words. Pure.
 */
#ifndef SEALPOST_MAIL_POLICY_EXPECTATION_H
#define SEALPOST_MAIL_POLICY_EXPECTATION_H

#include "mail/policy.h"

#define EXPECTATION_MAX 300 /* bytes */

enum expected_outcome { EXPECT_TREATED, EXPECT_INCOMING, EXPECT_QUARANTINE, EXPECT_REFUSED };

struct expectation {
    enum expected_outcome outcome;
    unsigned protection; /* TREATED: enum policy_protection */
    struct slice method; /* TREATED: "": any */
    struct slice text;   /* REFUSED: "": any */
};

/* Slices into `text`. INVALID says what would be right. */
enum status expectation_read(struct slice text, struct expectation *out, struct failure *f) MUST_CHECK;
bool expectation_meets(const struct expectation *e, const struct policy_recipient *r);
/* "encrypt+sign smime", "refuse the certificate ... expired"; appended. */
enum status expectation_describe(const struct policy_recipient *r, struct buf *out) MUST_CHECK;

#endif
