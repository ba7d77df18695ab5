/* Writing a Content-Type field anew with parameters taken away or added; all others stay byte for byte. Pure.
 */
#ifndef SEALPOST_MAIL_CONTENT_TYPE_EDIT_H
#define SEALPOST_MAIL_CONTENT_TYPE_EDIT_H

#include "mail/entity.h"

/* Appends the field for `type`, as it was read from an entity. `without`: names of parameters that go (also
 * in the forms of RFC 2231: name*, name*0), NULL at the end. `added`: `; name="value"` ..., or "". */
enum status content_type_field_append(const struct content_type *type, const char *const *without,
                                      const char *added, struct buf *out) MUST_CHECK;
/* Is there such a parameter, in any form? */
bool content_type_has_parameter(const struct content_type *type, const char *name);

#endif
