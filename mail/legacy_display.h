/*
 * The legacy display element (RFC 9788 section 5.2.2): the hidden Subject at the start of the text, for
 * programs that decrypt but know no header protection; and its removal where we know it. Pure.
 */
#ifndef SEALPOST_MAIL_LEGACY_DISPLAY_H
#define SEALPOST_MAIL_LEGACY_DISPLAY_H

#include "mail/entity.h"

/* Appends the entity with the subject (one line of UTF-8) in front of each of its main body parts, which get
 * hp-legacy-display="1". Nothing within a signed part is touched. */
enum status legacy_display_add(const struct entity *content, struct slice subject, struct arena *a,
                               struct buf *out, struct failure *f) MUST_CHECK;
/* Appends the entity without the elements of those main body parts that say they have one. */
enum status legacy_display_remove(const struct entity *content, struct arena *a, struct buf *out,
                                  struct failure *f) MUST_CHECK;

#endif
