/*
 * Letting new nodes in, and the tokens for it (node/join_token.h, node/join_protocol.h). Any node does it.
 *
 * A session: one frame comes, is checked as far as that goes without the state, NODE_ADMIT is proposed
 * (applying it checks and uses up the token, checks the name, and gives the node its id), certificates are
 * issued by the cluster CA, whose key is opened for just that, and the answer goes out with the master key.
 * The command's id is made of the token and the new node's key: the same node that asks again gets the same
 * answer; another gets "used".
 *
 * What can go wrong before the proposal costs no token. Who shows no secret that the cluster knows learns
 * nothing but that.
 */
#include "node/core_internal.h"
#include "node/join_token.h"
#include "node/master_key.h"
#include "node/peer_frame.h"
#include "node/service_names.h"

#include "base/log.h"
#include "base/msgpack_write.h"
#include "crypto/x509.h"

#include <openssl/ec.h>

#define SESSIONS_MAX   16
#define SESSION_MS     15000 /* from the handshake to the end */
#define TOKEN_MS       (10 * 60 * 1000)
#define TOKEN_LEAST_MS 1000
#define TOKEN_MOST_MS  (24ULL * 3600 * 1000)

struct join_session {
    struct join_session *next;
    struct core_joins *joins;
    struct tls_stream *stream; /* NULL once it ended */
    uint64_t deadline_ms;
    bool proposing, answered;
    struct buf request_bytes; /* what `request` points into */
    struct join_request request;
    EVP_PKEY *peer_key, *service_key; /* public */
    X509 *ca;
    EVP_PKEY *ca_key; /* from the check until the certificates are issued */
    char cluster_name[64];
};

struct core_joins {
    struct core *core;
    struct join_session *list;
    size_t count;
};

struct core_joins *core_joins_new(struct core *core)
{
    struct core_joins *j = calloc(1, sizeof(*j));
    if (j != NULL) {
        j->core = core;
    }
    return j;
}

static void session_free(struct join_session *s)
{
    for (struct join_session **at = &s->joins->list; *at != NULL; at = &(*at)->next) {
        if (*at == s) {
            *at = s->next;
            s->joins->count--;
            break;
        }
    }
    EVP_PKEY_free(s->peer_key);
    EVP_PKEY_free(s->service_key);
    EVP_PKEY_free(s->ca_key);
    X509_free(s->ca);
    buf_release(&s->request_bytes);
    free(s);
}

static void session_end(struct join_session *s)
{
    if (s->stream != NULL) {
        tls_stream_close(s->stream);
        s->stream = NULL;
    }
    if (!s->proposing) {
        session_free(s);
    }
}

static void answer_send(struct join_session *s, const struct join_answer *answer)
{
    struct buf out = BUF_INIT(JOIN_FRAME_MAX);
    out.wipe = true;
    s->answered = true;
    if (s->stream != NULL && (join_answer_encode(answer, &out) != STATUS_OK ||
                              peer_frame_send(s->stream, buf_slice(&out)) != STATUS_OK)) {
        session_end(s);
    } else if (s->stream == NULL) {
        session_end(s);
    } /* else the new node closes when it has read it, or the deadline comes */
    buf_release(&out);
}

static void answer_failure(struct join_session *s, enum status status, const char *text)
{
    log_event(LOG_WARN, "a node may not join", LOG_SLICE("name", s->request.name), LOG_TEXT("reason", text));
    answer_send(s, &(struct join_answer){.status = status, .text = slice_of_text(text)});
}

/* --- certificates --- */

static EVP_PKEY *public_key(struct slice der)
{
    const unsigned char *at = der.data;
    char group[32] = "";
    EVP_PKEY *key = der.len > 0 ? d2i_PUBKEY(NULL, &at, (long)der.len) : NULL;
    if (key != NULL && (at != der.data + der.len || !EVP_PKEY_is_a(key, "EC") ||
                        EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) != 1 ||
                        (strcmp(group, "prime256v1") != 0 && strcmp(group, "P-256") != 0))) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    return key;
}

/* The CA's certificate, key and name, from the store. */
static enum status ca_open(struct core *core, struct join_session *s, struct failure *f)
{
    struct store_view *view;
    struct cluster_record cluster;
    struct secret pkcs8 = {0};
    enum status status = store_view_begin(core->store, &view, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = store_cluster_get(view, &cluster);
    if (status != STATUS_OK) {
        status = failure_set(f, STATUS_UNAVAILABLE, "this node does not know the cluster yet: try another");
        goto out;
    }
    status = keyring_load(&core->keyring, cluster.data_key_id, cluster.data_key, f);
    if (status != STATUS_OK) {
        goto out;
    }
    status = unseal(secret_slice(&core->keyring.data_key), SLICE_LITERAL(CLUSTER_CA_CONTEXT), cluster.ca_key,
                    &pkcs8, f);
    if (status != STATUS_OK) {
        goto out;
    }
    s->ca = certificate_from_der(cluster.ca_certificate);
    if (s->ca == NULL || key_from_der(secret_slice(&pkcs8), &s->ca_key) != STATUS_OK) {
        status = failure_set(f, STATUS_CORRUPT, "the cluster's CA in the store is damaged");
        goto out;
    }
    (void)!snprintf(s->cluster_name, sizeof(s->cluster_name), "%.*s", SLICE_ARGS(cluster.name));
out:
    secret_release(&pkcs8);
    store_view_end(view);
    return status;
}

static enum status certificates_issue(struct join_session *s, uint64_t node_id, struct buf *peer,
                                      struct buf *service, struct failure *f)
{
    const struct join_request *q = &s->request;
    struct buf names = BUF_INIT(512), service_names_text = BUF_INIT(JOIN_NAMES_MAX + 512);
    X509 *peer_certificate = NULL, *service_certificate = NULL;
    uint64_t now = clock_wall_ms();
    enum status status = service_names_add(&names, q->name);
    status = status == STATUS_OK ? service_names_add(&names, address_host(q->peer_address)) : status;
    status = status == STATUS_OK ? buf_append_slice(&service_names_text, q->names) : status;
    status = status == STATUS_OK ? service_names_add(&service_names_text, q->name) : status;
    if (status != STATUS_OK) {
        status = failure_set(f, status, "the names are too long");
        goto out;
    }
    status = cluster_ca_issue(s->ca, s->ca_key, s->peer_key, node_id, q->name, buf_slice(&names), true, now,
                              &peer_certificate, f);
    if (status == STATUS_OK) {
        status = cluster_ca_issue(s->ca, s->ca_key, s->service_key, node_id, q->name,
                                  buf_slice(&service_names_text), false, now, &service_certificate, f);
    }
    if (status == STATUS_OK && (certificate_to_der(peer_certificate, peer) != STATUS_OK ||
                                certificate_to_der(service_certificate, service) != STATUS_OK)) {
        status = failure_set(f, STATUS_CRYPTO, "the certificates could not be encoded");
    }
out:
    X509_free(peer_certificate);
    X509_free(service_certificate);
    buf_release(&names);
    buf_release(&service_names_text);
    return status;
}

static void admitted_answer(struct join_session *s, uint64_t node_id)
{
    struct core *core = s->joins->core;
    struct buf peer = BUF_INIT(16384), service = BUF_INIT(16384), ca = BUF_INIT(16384),
               peers = BUF_INIT(JOIN_FRAME_MAX);
    struct known_peer nodes[CORE_NODES_MAX];
    struct failure f = {0};
    size_t count = core_nodes_list(core, nodes);
    enum status status = certificates_issue(s, node_id, &peer, &service, &f);
    if (status == STATUS_OK && (certificate_to_der(s->ca, &ca) != STATUS_OK ||
                                known_peers_encode(nodes, count, &peers) != STATUS_OK)) {
        status = failure_set(&f, STATUS_INTERNAL, "the answer could not be encoded");
    }
    if (status != STATUS_OK) {
        answer_failure(s, status, f.text);
    } else {
        log_event(LOG_INFO, "a node joins", LOG_SLICE("name", s->request.name),
                  LOG_NUMBER("node_id", node_id), LOG_SLICE("address", s->request.peer_address));
        answer_send(s, &(struct join_answer){
                           .status = STATUS_OK,
                           .node_id = node_id,
                           .cluster_name = slice_of_text(s->cluster_name),
                           .ca = buf_slice(&ca),
                           .peer_certificate = buf_slice(&peer),
                           .service_certificate = buf_slice(&service),
                           .master = secret_slice(&core->role->master),
                           .peers = buf_slice(&peers),
                       });
    }
    buf_release(&peer);
    buf_release(&service);
    buf_release(&ca);
    buf_release(&peers);
}

static void admitted_cb(void *context, const struct core_outcome *outcome)
{
    struct join_session *s = context;
    s->proposing = false;
    if (s->stream == NULL) {
        session_end(s);
        return;
    }
    if (outcome->status != STATUS_OK) {
        answer_failure(s, outcome->status, outcome->text);
        return;
    }
    const struct apply_result *result = outcome->result;
    if (result->status != STATUS_OK) {
        answer_failure(s, result->status,
                       result->failure.text[0] != '\0' ? result->failure.text : status_text(result->status));
        return;
    }
    struct msgpack_reader r;
    msgpack_reader_init(&r, slice_of(result->value, result->value_len));
    uint64_t node_id = read_u64(&r);
    if (msgpack_reader_status(&r, false) != STATUS_OK || node_id == 0) {
        answer_failure(s, STATUS_INTERNAL, "the cluster gave no node id");
        return;
    }
    admitted_answer(s, node_id);
}

static void admit(struct join_session *s)
{
    struct core *core = s->joins->core;
    struct join_request *q = &s->request;
    struct buf idea = BUF_INIT(128);
    struct command c;
    uint8_t token_hash[32], spki_hash[32], id_hash[32];

    sha256(q->secret, token_hash);
    if (spki_hash_of_key(s->peer_key, spki_hash) != STATUS_OK ||
        buf_append(&idea, token_hash, 32) != STATUS_OK || buf_append(&idea, spki_hash, 32) != STATUS_OK) {
        buf_release(&idea);
        answer_failure(s, STATUS_CRYPTO, "the node's key cannot be hashed");
        return;
    }
    sha256(buf_slice(&idea), id_hash);
    buf_release(&idea);
    command_init(&c, COMMAND_NODE_ADMIT, clock_wall_ms(), SLICE_LITERAL("join"));
    memcpy(c.id, id_hash, sizeof(c.id));
    c.values[0].bytes = slice_of(token_hash, sizeof(token_hash));
    c.values[1].bytes = q->name;
    c.values[2].bytes = q->peer_address;
    c.values[3].bytes = q->api_address;
    c.values[4].bytes = q->smtp_address;
    c.values[5].bytes = slice_of(spki_hash, sizeof(spki_hash));
    c.values[6].number = q->command_set;
    s->proposing = true;
    core_propose_command(core, &c, admitted_cb, s);
}

static bool master_fits(struct core *core, struct slice check)
{
    struct secret own = {0};
    bool fits =
        check.len == 0 || (master_key_check_value(secret_slice(&core->role->master), &own) == STATUS_OK &&
                           secret_equal(secret_slice(&own), check));
    secret_release(&own);
    return fits;
}

/* Everything that can be known before the token is used up. */
static void request_serve(struct join_session *s)
{
    struct core *core = s->joins->core;
    struct failure f = {0};
    struct store_view *view;
    enum status status = join_request_decode(buf_slice(&s->request_bytes), &s->request);
    if (status != STATUS_OK) {
        s->request = (struct join_request){0};
        answer_failure(s, status,
                       status == STATUS_VERSION
                           ? "the new node's release speaks another protocol than the cluster's"
                           : "this is no request to join");
        return;
    }
    s->peer_key = public_key(s->request.peer_key);
    s->service_key = public_key(s->request.service_key);
    if (s->peer_key == NULL || s->service_key == NULL) {
        answer_failure(s, STATUS_INVALID, "the node's public keys are not ECDSA P-256");
        return;
    }
    if (!master_fits(core, s->request.master_check)) {
        answer_failure(s, STATUS_CONFLICT,
                       "the new node holds another master key than the cluster's: take it away, and it gets "
                       "the right one");
        return;
    }
    status = store_view_begin(core->store, &view, &f);
    if (status == STATUS_OK) {
        if (s->request.command_set < store_cluster_version(view)) {
            status = failure_set(&f, STATUS_VERSION,
                                 "the new node's release is older than the cluster's: update it first");
        }
        store_view_end(view);
    }
    if (status == STATUS_OK) {
        status = ca_open(core, s, &f);
    }
    if (status != STATUS_OK) {
        answer_failure(s, status, f.text);
        return;
    }
    admit(s);
}

static long data_cb(void *context, struct slice bytes)
{
    struct join_session *s = context;
    struct slice payload;
    if (s->answered || s->proposing) {
        return (long)bytes.len;
    }
    int taken = peer_frame_take(bytes, JOIN_FRAME_MAX, &payload);
    if (taken <= 0) {
        return taken;
    }
    if (buf_append_slice(&s->request_bytes, payload) != STATUS_OK) {
        return -1;
    }
    request_serve(s);
    return (long)bytes.len;
}

static void ended_cb(void *context, enum status status, const char *text)
{
    (void)status;
    (void)text;
    session_end(context);
}

void core_join_accept(struct core *core, struct tls_stream *stream)
{
    struct join_session *s =
        core->joins->count < SESSIONS_MAX && !core->closing ? calloc(1, sizeof(*s)) : NULL;
    if (s == NULL) {
        tls_stream_close(stream);
        return;
    }
    *s = (struct join_session){.next = core->joins->list,
                               .joins = core->joins,
                               .stream = stream,
                               .deadline_ms = clock_monotonic_ms() + SESSION_MS,
                               .request_bytes = {.max = JOIN_FRAME_MAX, .wipe = true}};
    core->joins->list = s;
    core->joins->count++;
    struct tls_stream_events events = {.data = data_cb, .ended = ended_cb, .context = s};
    tls_stream_start(stream, &events);
}

void core_joins_tick(struct core *core, uint64_t now)
{
    for (struct join_session *s = core->joins->list, *next; s != NULL; s = next) {
        next = s->next;
        if (s->deadline_ms <= now) {
            session_end(s);
        }
    }
}

void core_joins_free(struct core_joins *j)
{
    struct join_session *next;
    for (struct join_session *s = j->list; s != NULL; s = next) {
        next = s->next;
        s->proposing = false;
        session_end(s);
    }
    free(j);
}

/* --- tokens --- */

struct token_wish {
    struct join_token token;
    core_token_cb cb;
    void *context;
};

static void token_end(struct token_wish *w, enum status status, const char *text)
{
    struct buf out = BUF_INIT(JOIN_TOKEN_TEXT_MAX);
    out.wipe = true;
    if (status == STATUS_OK) {
        status = join_token_encode(&w->token, &out);
        text = status_text(status);
    }
    w->cb(w->context, status, text, buf_slice(&out));
    buf_release(&out);
    secret_wipe(w, sizeof(*w));
    free(w);
}

static void token_added_cb(void *context, const struct core_outcome *outcome)
{
    if (outcome->status != STATUS_OK) {
        token_end(context, outcome->status, outcome->text);
    } else {
        token_end(context, outcome->result->status, outcome->result->failure.text);
    }
}

void core_node_token(struct core *core, uint64_t lifetime_ms, core_token_cb cb, void *context)
{
    struct buf der = BUF_INIT(16384);
    struct known_peer nodes[CORE_NODES_MAX];
    struct command c;
    uint8_t hash[32];
    lifetime_ms = lifetime_ms == 0 ? TOKEN_MS : lifetime_ms;
    if (lifetime_ms < TOKEN_LEAST_MS || lifetime_ms > TOKEN_MOST_MS) {
        cb(context, STATUS_INVALID, "a token lives between 1 second and 24 hours", SLICE_LITERAL(""));
        return;
    }
    struct token_wish *w = calloc(1, sizeof(*w));
    if (w == NULL || certificate_to_der(core->identity.ca, &der) != STATUS_OK) {
        free(w);
        buf_release(&der);
        cb(context, STATUS_NO_MEMORY, status_text(STATUS_NO_MEMORY), SLICE_LITERAL(""));
        return;
    }
    w->cb = cb;
    w->context = context;
    sha256(buf_slice(&der), w->token.ca_fingerprint);
    buf_release(&der);
    random_bytes(w->token.secret, sizeof(w->token.secret));
    w->token.expires_ms = clock_wall_ms() + lifetime_ms;
    w->token.address_count = core_nodes_list(core, nodes);
    for (size_t i = 0; i < w->token.address_count; i++) {
        memcpy(w->token.addresses[i], nodes[i].address, sizeof(w->token.addresses[i]));
    }
    sha256(slice_of(w->token.secret, sizeof(w->token.secret)), hash);
    command_init(&c, COMMAND_NODE_TOKEN_ADD, clock_wall_ms(), SLICE_LITERAL("core"));
    c.values[0].bytes = slice_of(hash, sizeof(hash));
    c.values[1].number = w->token.expires_ms;
    core_propose_command(core, &c, token_added_cb, w);
}
