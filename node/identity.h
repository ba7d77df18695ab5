/*
 * Who this node is, on its disk: the folder identity/ below the data folder. It is made whole
 * (identity.new/, renamed) by init or join, and read at every start.
 *
 *   format                     text: format number, release; a newer number is refused
 *   node.id, node.name         text
 *   ca.crt, peer.crt, service.crt            PEM
 *   peer.key.sealed, service.key.sealed      PKCS#8 DER, sealed (crypto/seal.h) under the master-derived key
 *                              "sealpost node tls", context "node-peer-key:ID" or "node-service-key:ID"
 *   peers                      the nodes as last known (node/join_protocol.h): what a join brought, then what
 *                              the store said; for the time when there is no store
 *   bootstrap.commands         array of commands (bin) that found the cluster; until they are applied
 *   removed                    text: this node was removed from its cluster; it never runs again
 *
 * All paths are relative to the data folder, which is the working directory.
 */
#ifndef SEALPOST_NODE_IDENTITY_H
#define SEALPOST_NODE_IDENTITY_H

#include "base/secret.h"
#include "node/join_protocol.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#define IDENTITY_FORMAT        1
#define IDENTITY_BOOTSTRAP     "identity/bootstrap.commands"
#define IDENTITY_PEERS         "identity/peers"
#define IDENTITY_REMOVED       "identity/removed"
#define IDENTITY_BOOTSTRAP_MAX ((size_t)1 << 20)

struct identity_parts {
    uint64_t node_id;
    const char *name;
    EVP_PKEY *peer_key, *service_key;
    struct slice ca, peer_certificate, service_certificate; /* DER */
    struct slice master;
    struct slice peers;     /* empty: none */
    struct slice bootstrap; /* empty: none */
};

/* Does the working directory hold a node already, or one of a newer release, or foreign things? OK only if a
 * node can be made here. */
enum status identity_folder_is_free(struct failure *f) MUST_CHECK;
enum status identity_create(const struct identity_parts *parts, struct failure *f) MUST_CHECK;
/* At start: is there a node, is its format ours, is its name this one, was it not removed? */
enum status identity_check(const char *name, struct failure *f) MUST_CHECK;

struct identity {
    uint64_t node_id;
    X509 *ca, *peer_certificate;
    EVP_PKEY *peer_key;
    struct known_peer peers[CORE_NODES_MAX];
    size_t peer_count;
};
enum status identity_load(struct slice master, struct identity *identity, struct failure *f) MUST_CHECK;
void identity_release(struct identity *identity);
/* The service key, for the roles that serve TLS. */
enum status identity_service_key(struct slice master, struct secret *pkcs8, struct failure *f) MUST_CHECK;

#endif
