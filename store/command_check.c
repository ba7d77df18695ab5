/*
 * Judging a command by itself, so that what can never be right is refused before it costs an entry of the
 * log. Deterministic and pure: the same bytes get the same answer on every node, whenever they are read. Any
 * thread.
 */
#include "store/command_check_internal.h"

#include "store/permission.h"
#include "store/records_trust.h"
#include "store/setting.h"

/* A DNS label: it becomes part of host names, file names and columns. */
static enum status check_node_name(struct slice name, struct failure *f)
{
    bool good = name.len > 0 && name.len <= 63 && name.data[0] != '-' && name.data[name.len - 1] != '-';

    for (size_t i = 0; good && i < name.len; i++) {
        uint8_t c = name.data[i];

        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    }
    if (good)
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID,
                       "\"%.*s\" is no name for a node: it has letters, digits and inner hyphens, at most 63",
                       SLICE_ARGS(name));
}

static enum status check_endpoint(const char *what, struct slice text, bool needed, struct failure *f)
{
    struct slice host;
    uint16_t port;

    if ((text.len == 0 && !needed) || (endpoint_parse(text, &host, &port) && port != 0))
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "\"%.*s\" is no %s address; it looks like node1.example.org:2525",
                       SLICE_ARGS(text), what);
}

/* `first`: position of the name, which the three addresses follow. */
static enum status check_node(const struct command *c, size_t first, struct failure *f)
{
    enum status status = check_node_name(c->values[first].bytes, f);

    if (status == STATUS_OK)
        status = check_endpoint("peer", c->values[first + 1].bytes, true, f);
    if (status == STATUS_OK)
        status = check_endpoint("API", c->values[first + 2].bytes, false, f);
    if (status == STATUS_OK)
        status = check_endpoint("SMTP", c->values[first + 3].bytes, false, f);
    return status;
}

enum status check_node_admit(const struct command *c, struct failure *f)
{
    return check_node(c, 1, f);
}

enum status check_node_update(const struct command *c, struct failure *f)
{
    return check_node(c, 1, f);
}

enum status check_api_token_add(const struct command *c, struct failure *f)
{
    if (slice_equal(c->values[2].bytes, SLICE_LITERAL("admin")))
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "there is no role %.*s; the role of a token is: admin",
                       SLICE_ARGS(c->values[2].bytes));
}

enum status check_api_token_grant(const struct command *c, struct failure *f)
{
    if (token_role_exists(c->values[2].bytes))
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "there is no role \"%.*s\"; the roles of tokens are: %s",
                       SLICE_ARGS(c->values[2].bytes), ROLE_NAME_LIST);
}

enum status check_setting_set(const struct command *c, struct failure *f)
{
    const struct setting *setting = setting_named(c->values[2].bytes, f);
    char scope[SETTING_SCOPE_MAX + 1];
    struct buf canonical = BUF_INIT(SETTING_VALUE_MAX);
    enum status status = STATUS_NOT_FOUND;

    if (setting != NULL)
        status = setting_scope(setting, c->values[0].number, c->values[1].bytes, scope, f);
    if (status == STATUS_OK)
        status = setting_canonical(setting, c->values[3].bytes, &canonical, f);
    buf_release(&canonical);
    return status;
}

enum status check_setting_unset(const struct command *c, struct failure *f)
{
    const struct setting *setting = setting_named(c->values[2].bytes, f);
    char scope[SETTING_SCOPE_MAX + 1];

    if (setting == NULL)
        return STATUS_NOT_FOUND;
    return setting_scope(setting, c->values[0].number, c->values[1].bytes, scope, f);
}

enum status check_domain_remove(const struct command *c, struct failure *f)
{
    char domain[DOMAIN_MAX + 1];

    return domain_normalise(c->values[0].bytes, domain, f);
}

enum status check_domain_add(const struct command *c, struct failure *f)
{
    struct buf canonical = BUF_INIT(SETTING_VALUE_MAX);
    enum status status = check_domain_remove(c, f);

    if (status == STATUS_OK && c->values[1].bytes.len > 0)
        status = setting_canonical(setting_find(SLICE_LITERAL("domain.locality")), c->values[1].bytes,
                                   &canonical, f);
    buf_release(&canonical);
    return status;
}

enum status check_user(const struct command *c, struct failure *f)
{
    char address[ADDRESS_MAX + 1];

    return address_normalise(c->values[0].bytes, address, f);
}

enum status check_ctl_set(const struct command *c, struct failure *f)
{
    if (c->values[1].number == CTL_ALLOW || c->values[1].number == CTL_DENY)
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "a certificate can be allowed (1) or denied (2)");
}

enum status check_crl_rows(const struct command *c, struct failure *f)
{
    struct slice rows = c->values[3].bytes;
    struct crl_row row;
    bool good = true;
    size_t count = 0;

    while (crl_row_read(&rows, &row, &good))
        count++;
    if (!good)
        return failure_set(f, STATUS_MALFORMED, "row %zu of the list is not well formed", count + 1);
    if (count > CRL_ROWS_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "one command has at most %d rows of a list", CRL_ROWS_MAX);
    return STATUS_OK;
}

enum status check_crl_force(const struct command *c, struct failure *f)
{
    struct crl_record record;

    if (crl_record_decode(c->values[4].bytes, &record) == STATUS_OK)
        return STATUS_OK;
    return failure_set(f, STATUS_MALFORMED, "the record of the list is not well formed");
}

enum status check_ocsp_put(const struct command *c, struct failure *f)
{
    if (c->values[2].number <= OCSP_REVOKED && c->values[4].number <= CRL_REASON_MAX)
        return STATUS_OK;
    return failure_set(f, STATUS_INVALID, "an OCSP answer is good (0) or revoked (1), with a reason up to %d",
                       CRL_REASON_MAX);
}
