/* The tags in front of the Subject of incoming mail (incoming.subject_tags): "[signed by a@b]",
 * "[decrypted]",
 * "[invalid signature]", ... Pure. */
#ifndef SEALPOST_MAIL_SUBJECT_TAGS_H
#define SEALPOST_MAIL_SUBJECT_TAGS_H

#include "base/arena.h"
#include "base/buf.h"

/* The text without anything that reads as one of our tags, whoever wrote it, anywhere; in the arena. */
enum status subject_tags_remove(struct slice text, struct arena *a, struct slice *out) MUST_CHECK;

#endif
