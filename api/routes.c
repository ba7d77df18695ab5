/*
 * The table of routes: see route.h. A new route is one row here, its step and its objects in a resource file.
 * Rows stand in the order in which the document lists them.
 */
#include "api/resources.h"

#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static const struct api_route routes[] = {
    /* --- health --- */
    {API_GET, "/livez", NULL, ROUTE_NO_STORE, NULL, NULL, &livez_object, NULL, 200, livez_get, "livez",
     "Whether the API serves at all."},
    {API_GET, "/readyz", NULL, ROUTE_NO_STORE, NULL, NULL, &readyz_object, NULL, 200, readyz_get, "readyz",
     "Whether this node can do its work; 503 when it cannot, with the same body."},
    {API_GET, "/metrics", NULL, ROUTE_NO_STORE, NULL, NULL, NULL, "text/plain", 200, metrics_get, "metrics",
     "Counts for Prometheus; no token, since it tells nothing about anybody's mail."},
    {API_GET, "/v1/openapi.json", NULL, ROUTE_NO_STORE, NULL, NULL, NULL, "application/json", 200,
     openapi_get, "openapi", "This document."},

    /* --- cluster --- */
    {API_GET, "/v1/cluster", "cluster.read", 0, NULL, NULL, &cluster_object, NULL, 200, cluster_get,
     "getCluster", "The cluster as this node sees it."},
    {API_POST, "/v1/cluster/verify", "cluster.write", 0, NULL, NULL, &verify_object, NULL, 200,
     cluster_verify, "verifyCluster", "Compare a hash of every node's tables at the same index."},
    {API_POST, "/v1/cluster/transfer", "cluster.write", 0, NULL, &transfer_request_object, &transfer_object,
     NULL, 200, cluster_transfer, "transferLeadership", "Give the leadership to another node."},
    {API_GET, "/v1/nodes", "node.read", 0, NULL, NULL, &nodes_object, NULL, 200, nodes_list, "listNodes",
     "The nodes of the cluster."},
    {API_POST, "/v1/nodes/token", "node.write", 0, NULL, &node_token_request_object, &node_token_object, NULL,
     201, node_token_add, "addNodeToken", "A token with which one new node can join."},
    {API_DELETE, "/v1/nodes/{name}", "node.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     node_remove, "removeNode", "Remove a node for good."},

    /* --- settings --- */
    {API_GET, "/v1/settings", "setting.read", 0, NULL, NULL, &settings_object, NULL, 200, settings_list,
     "listSettings", "All settings with their help, and every value that is set."},
    {API_GET, "/v1/settings/{name}", "setting.read", 0, &setting_scope_query, NULL, &setting_object, NULL,
     200, setting_get_one, "getSetting", "The value that counts: globally, for a domain or for a user."},
    {API_PUT, "/v1/settings/{name}", "setting.write", ROUTE_WRITES, &setting_scope_query,
     &setting_request_object, &setting_object, NULL, 200, setting_put, "setSetting",
     "Set it globally, for a domain or for a user."},
    {API_DELETE, "/v1/settings/{name}", "setting.write", ROUTE_WRITES, &setting_scope_query, NULL,
     &setting_object, NULL, 200, setting_delete, "unsetSetting", "Let it be inherited again."},

    /* --- domains and users --- */
    {API_GET, "/v1/domains", "domain.read", 0, &list_query, NULL, &domains_object, NULL, 200, domains_list,
     "listDomains", "The domains that were added."},
    {API_POST, "/v1/domains", "domain.write", ROUTE_WRITES, NULL, &domain_request_object, &domain_object,
     NULL, 201, domain_add, "addDomain", "Add a domain."},
    {API_GET, "/v1/domains/{domain}", "domain.read", 0, NULL, NULL, &domain_object, NULL, 200, domain_get,
     "getDomain", "A domain with its settings."},
    {API_DELETE, "/v1/domains/{domain}", "domain.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     domain_remove, "removeDomain", "Remove a domain with its settings."},
    {API_GET, "/v1/users", "user.read", 0, &list_query, NULL, &users_object, NULL, 200, users_list,
     "listUsers", "The users that were added."},
    {API_POST, "/v1/users", "user.write", ROUTE_WRITES, NULL, &user_request_object, &user_object, NULL, 201,
     user_add, "addUser", "Add a user."},
    {API_GET, "/v1/users/{address}", "user.read", 0, NULL, NULL, &user_object, NULL, 200, user_get, "getUser",
     "A user with the settings."},
    {API_DELETE, "/v1/users/{address}", "user.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     user_remove, "removeUser", "Remove a user with the settings."},

    /* --- certificates, trust, keys --- */
    {API_GET, "/v1/certificates", "cert.read", 0, &certificates_query, NULL, &certificates_object, NULL, 200,
     certificates_list, "listCertificates", "The stored certificates, all or those for an address."},
    {API_POST, "/v1/certificates", "cert.write", ROUTE_WRITES, NULL, &certificates_request_object,
     &imported_object, NULL, 200, certificates_import, "importCertificates",
     "Store certificates; all of them or, if one is bad, none."},
    {API_GET, "/v1/certificates/{thumbprint}", "cert.read", 0, NULL, NULL, &certificate_object, NULL, 200,
     certificate_get, "getCertificate", "A certificate, and what it can be used for now."},
    {API_DELETE, "/v1/certificates/{thumbprint}", "cert.write", ROUTE_WRITES, NULL, NULL, &removed_object,
     NULL, 200, certificate_remove, "removeCertificate", "Remove a certificate, and its key."},
    {API_GET, "/v1/trust", "ca.read", 0, &list_query, NULL, &certificates_object, NULL, 200, trust_list,
     "listTrustAnchors", "The trust anchors."},
    {API_POST, "/v1/trust", "ca.write", ROUTE_WRITES, NULL, &trust_request_object, &imported_object, NULL,
     200, trust_add, "addTrustAnchor", "Store a CA's certificate and trust it."},
    {API_DELETE, "/v1/trust/{thumbprint}", "ca.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     trust_remove, "removeTrustAnchor", "Trust it no longer; the certificate stays stored."},
    {API_GET, "/v1/keys", "key.read", 0, &list_query, NULL, &certificates_object, NULL, 200, keys_list,
     "listKeys", "The certificates whose private keys are stored."},
    {API_POST, "/v1/keys", "key.write", ROUTE_WRITES, NULL, &key_request_object, &imported_object, NULL, 200,
     key_import, "importKey", "Store a private key with its certificate and chain."},
    {API_DELETE, "/v1/keys/{thumbprint}", "key.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     key_remove, "removeKey", "Remove a private key; its certificate stays stored."},

    /* --- queue --- */
    {API_GET, "/v1/queue", "queue.read", 0, &queue_query, NULL, &queue_object, NULL, 200, queue_list,
     "listQueue", "The messages that wait on this node."},
    {API_POST, "/v1/queue/retry", "queue.write", 0, NULL, NULL, &count_object, NULL, 200, queue_retry_all,
     "retryQueue", "Try to deliver everything now."},
    {API_GET, "/v1/queue/{id}", "queue.read", 0, NULL, NULL, &queue_entry_object, NULL, 200, queue_show,
     "getQueueEntry", "A message that waits, and how policy decided about it."},
    {API_DELETE, "/v1/queue/{id}", "queue.write", 0, NULL, NULL, &count_object, NULL, 200, queue_delete,
     "deleteQueueEntry", "Drop a message; nobody is told."},
    {API_POST, "/v1/queue/{id}/retry", "queue.write", 0, NULL, NULL, &count_object, NULL, 200, queue_retry,
     "retryQueueEntry", "Try to deliver a message now."},
    {API_POST, "/v1/queue/{id}/release", "queue.write", 0, NULL, NULL, &count_object, NULL, 200, queue_release,
     "releaseQueueEntry", "Deliver a message that is in quarantine."},

    /* --- policy, tokens --- */
    {API_POST, "/v1/policy/explain", "policy.read", 0, NULL, &explain_request_object, &explain_object, NULL,
     200, policy_explain, "explainPolicy", "What would become of a message, and why."},
    {API_GET, "/v1/policy/rules", "policy.read", 0, NULL, NULL, &rules_object, NULL, 200, rules_list,
     "listRules", "The rules, in the order in which they are asked."},
    {API_GET, "/v1/policy/rules/{name}", "policy.read", 0, NULL, NULL, &rule_object, NULL, 200, rule_get,
     "getRule", "A rule."},
    {API_PUT, "/v1/policy/rules/{name}", "policy.write", ROUTE_WRITES, NULL, &rule_request_object,
     &rule_object, NULL, 200, rule_put, "setRule", "Add a rule, or change it."},
    {API_POST, "/v1/policy/rules/{name}/move", "policy.write", ROUTE_WRITES, NULL, &rule_move_object,
     &rule_object, NULL, 200, rule_move, "moveRule", "Give a rule another place."},
    {API_DELETE, "/v1/policy/rules/{name}", "policy.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL,
     200, rule_remove, "removeRule", "Remove a rule."},
    {API_GET, "/v1/groups", "group.read", 0, &list_query, NULL, &groups_object, NULL, 200, groups_list,
     "listGroups", "The groups."},
    {API_POST, "/v1/groups", "group.write", ROUTE_WRITES, NULL, &group_request_object, &group_object, NULL,
     200, group_add, "addGroup", "Add a group, or members to it."},
    {API_GET, "/v1/groups/{group}", "group.read", 0, NULL, NULL, &group_object, NULL, 200, group_get,
     "getGroup", "A group."},
    {API_DELETE, "/v1/groups/{group}", "group.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     group_remove, "removeGroup", "Remove a group that no rule names, with its members."},
    {API_GET, "/v1/groups/{group}/members", "group.read", 0, &list_query, NULL, &group_members_object, NULL,
     200, group_members_list, "listGroupMembers", "The members of a group."},
    {API_DELETE, "/v1/groups/{group}/members/{member}", "group.write", ROUTE_WRITES, NULL, NULL,
     &removed_object, NULL, 200, group_member_remove, "removeGroupMember", "Remove a member from a group."},
    {API_POST, "/v1/tokens", "token.write", ROUTE_WRITES, NULL, &token_request_object, &token_object, NULL,
     201, token_add, "addToken", "Make a token for a program or an administrator."},
    {API_DELETE, "/v1/tokens/{name}", "token.write", ROUTE_WRITES, NULL, NULL, &removed_object, NULL, 200,
     token_remove, "removeToken", "Make the token of that name worthless."},
};

const struct api_route *api_route_at(size_t i)
{
    return i < COUNT_OF(routes) ? &routes[i] : NULL;
}
