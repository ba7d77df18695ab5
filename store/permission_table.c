/*
 * The table: see permission.h. Read a row as "who may do this". What ends in .read tells nothing that is
 * secret: no key, no password, no token.
 *
 * Why some stand where they stand:
 * - A join token (node.write) admits a node that gets the master key, and with it every private key: only
 *   who may have all may make one.
 * - Domains and users are written by those who write policy: adding one says whose mail is decrypted, and
 *   removing one removes its settings, of whichever area.
 * - Releasing from quarantine is work of every day, dropping a message is not: queue.release is not in
 *   queue.write.
 * - What is in the queue may have been decrypted here: reading it is nobody's but admin's, though whoever
 *   exports a private key could read it too. Headers name subjects: they are for those who search for faults.
 * - Tokens are made and removed by admin alone: who makes tokens can have any role.
 */
#include "store/permission.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

/* Those that hold it beside admin, who holds each of them. */
#define ADMIN    0u
#define SECURITY (1u << ROLE_SECURITY)
#define OPERATOR (1u << ROLE_OPERATOR)
#define HELPDESK (1u << ROLE_HELPDESK)
#define AUDITOR  (1u << ROLE_AUDITOR)
#define EVERYONE (SECURITY | OPERATOR | HELPDESK | AUDITOR)

static const struct token_role_info roles[ROLE_COUNT] = {
    [ROLE_ADMIN] = {"admin", "everything, tokens and the membership of the cluster too"},
    [ROLE_SECURITY] = {"security", "the security officer: policy, rules, domains, users, certificates, "
                                   "trust, CAs and keys, their export too"},
    [ROLE_OPERATOR] = {"operator", "the mail administrator: transport, the queue and the running of the "
                                   "nodes; neither policy nor keys"},
    [ROLE_HELPDESK] = {"helpdesk", "answers why a message went as it went, and releases from quarantine; "
                                   "changes nothing else"},
    [ROLE_AUDITOR] = {"auditor", "reads everything that is not secret, and changes nothing"},
};

static const struct permission permissions[] = {
    {"cluster.read", EVERYONE, "see the cluster's state"},
    {"cluster.write", OPERATOR, "compare the nodes' states, transfer the leadership"},
    {"node.read", EVERYONE, "see the nodes"},
    {"node.write", ADMIN, "let nodes join, remove nodes"},

    {"setting.read", EVERYONE, "see all settings and their values"},
    {"setting.write", SECURITY | OPERATOR, "set and unset settings of the areas that the role holds besides"},
    {"setting.write.policy", SECURITY, "what is protected, how strictly, and what happens when it cannot be"},
    {"setting.write.format", SECURITY, "how signed and encrypted mail looks: algorithms, encodings"},
    {"setting.write.trust", SECURITY, "whom to trust: anchors, revocation, learning, look-ups, CAs"},
    {"setting.write.transport", OPERATOR,
     "how mail comes and goes: sessions, sizes, next hops, TLS, retries"},
    {"setting.write.operation", OPERATOR, "how nodes run: logs and how long they are kept"},

    {"domain.read", EVERYONE, "see domains"},
    {"domain.write", SECURITY, "add and remove domains, with all their settings"},
    {"user.read", EVERYONE, "see users"},
    {"user.write", SECURITY, "add and remove users, with all their settings"},
    {"group.read", EVERYONE, "see groups"},
    {"group.write", SECURITY, "change groups, which rules name"},

    {"listener.read", EVERYONE, "see the listeners of the SMTP service and its TLS certificates"},
    {"listener.write", OPERATOR, "change listeners, import and remove TLS certificates of the SMTP service"},

    {"policy.read", EVERYONE, "see the rules"},
    {"policy.write", SECURITY, "change the rules"},
    {"policy.explain", EVERYONE, "ask what would become of a message, and test policy against a table"},

    {"cert.read", EVERYONE, "see, search and export certificates"},
    {"cert.write", SECURITY, "import, confirm, bind and remove certificates; partners' domains in DNS"},
    {"key.read", EVERYONE, "see which certificates have private keys here, and which keys wait for one"},
    {"key.write", SECURITY, "import and remove private keys, make keys for other CAs"},
    {"key.export", SECURITY, "take a user's private key out of the cluster, under a password"},
    {"ca.read", EVERYONE, "see CAs, trust anchors, allowed and denied certificates, revocation lists"},
    {"ca.write", SECURITY, "change trust anchors, allow and deny, revocation lists; make and remove CAs"},
    {"ca.issue", SECURITY, "issue and revoke certificates of the cluster's CAs"},

    {"fetch.run", SECURITY | OPERATOR, "fetch revocation lists and OCSP answers now, not on schedule"},

    {"dkim.read", EVERYONE, "see DKIM keys and their DNS records"},
    {"dkim.write", SECURITY, "make, import, activate, retire and remove DKIM keys"},
    {"rewrite.read", EVERYONE, "see what addresses are rewritten to"},
    {"rewrite.write", SECURITY | OPERATOR, "change what addresses are rewritten to"},

    {"message.read", EVERYONE, "see what became of messages"},
    {"queue.read", EVERYONE, "see the queue"},
    {"queue.headers", SECURITY | OPERATOR, "read the header of a message in the queue"},
    {"queue.body", ADMIN, "read a whole message in the queue, also one that was decrypted here"},
    {"queue.write", OPERATOR, "hold, try again, bounce and drop messages"},
    {"queue.release", SECURITY | OPERATOR | HELPDESK, "deliver a message that is held or in quarantine"},

    {"token.read", SECURITY | AUDITOR, "see whose tokens there are and what they may; never a token"},
    {"token.write", ADMIN, "make and remove tokens"},
};

const struct token_role_info *token_role_at(size_t i)
{
    return i < ROLE_COUNT ? &roles[i] : NULL;
}

/* ROLE_COUNT: there is none of that name. */
static enum token_role role_named(struct slice name)
{
    unsigned i = 0;

    while (i < ROLE_COUNT && !slice_equal(name, slice_of_text(roles[i].name)))
        i++;
    return (enum token_role)i;
}

bool token_role_exists(struct slice name)
{
    return role_named(name) != ROLE_COUNT;
}

const struct permission *permission_at(size_t i)
{
    return i < COUNT_OF(permissions) ? &permissions[i] : NULL;
}

const struct permission *permission_find(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(permissions); i++)
        if (strcmp(permissions[i].name, name) == 0)
            return &permissions[i];
    return NULL;
}

bool role_permits(struct slice role, const char *permission)
{
    enum token_role number = role_named(role);
    const struct permission *row;

    if (permission == NULL)
        return true;
    row = permission_find(permission);
    return row != NULL &&
           (number == ROLE_ADMIN || (number != ROLE_COUNT && (row->roles & 1u << number) != 0));
}
