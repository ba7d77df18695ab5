/*
 * Who may do what: one table of permissions, each with the roles of API tokens that hold it
 * (store/permission_table.c). Routes (api/routes.c), commands (store/command_table.c) and settings
 * (store/setting_table.c) name a permission of it; api/request.c checks it before a request is served; docs,
 * OpenAPI and the refusals come from it.
 *
 * A permission that the table does not have is held by nobody: a row that was forgotten closes a door and
 * opens none. A role that a token has and this release does not know holds nothing either. Pure; any thread.
 */
#ifndef SEALPOST_STORE_PERMISSION_H
#define SEALPOST_STORE_PERMISSION_H

#include "base/slice.h"

/* Of tokens, by name in the store: the numbers are this process's own. */
enum token_role { ROLE_ADMIN, ROLE_SECURITY, ROLE_OPERATOR, ROLE_HELPDESK, ROLE_AUDITOR, ROLE_COUNT };

#define ROLE_NAME_MAX     31 /* bytes */
#define ROLE_NAME_CHOICES "admin|security|operator|helpdesk|auditor"
#define ROLE_NAME_LIST    "admin, security, operator, helpdesk, auditor" /* for texts */

struct token_role_info {
    const char *name, *help;
};

struct permission {
    const char *name; /* "cert.write" */
    unsigned roles;   /* bit (1 << enum token_role) for each that holds it beside admin */
    const char *help; /* what one may do with it */
};

const struct token_role_info *token_role_at(size_t i); /* i from 0; NULL at the end */
bool token_role_exists(struct slice name);

const struct permission *permission_at(size_t i);           /* i from 0; NULL at the end */
const struct permission *permission_find(const char *name); /* NULL: there is none */

/* Does a token of that role hold it? NULL, what is open to everyone: yes. */
bool role_permits(struct slice role, const char *permission);

#endif
