/*
 * See worker_issue.h. When all goes well: settings and the CA are read from the view that the decision was
 * made on, key and certificate are made here (the worker has the keys that open the CA's), the certificate is
 * proposed, and the newest state, which holds it, takes the place of the one before.
 *
 * Two workers, of this node or another, may do so at the same time: the one whose command comes second is
 * told that the address has a certificate already, waits for it (a barrier), and goes on with that one. What
 * was made in vain is forgotten. The worker's thread waits; the supervisor's clock for a job that hangs is
 * longer.
 *
 * With ca.handler=csr there is no CA here: a key and a request for it are made and stored, an administrator
 * takes the request to a CA elsewhere, and this mail goes the way of sign.on_missing_key, as do those that
 * follow until the answer has come.
 */
#include "node/worker_issue.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/ca.h"
#include "store/ca_allowance.h"
#include "store/setting.h"

#include <poll.h>

#define POLL_MS       20
#define VIEW_WAIT_MS  5000
#define ARENA_MAX     ((size_t)1 << 20)
#define ENCODED_MAX   COMMAND_MAX
#define ACTOR_LITERAL "worker:ca.auto_request"

/* --- asking core, and waiting --- */

struct asked {
    bool done;
    enum status status;
    uint64_t index;
    char text[FAILURE_TEXT_MAX];
};

static void answered_cb(void *context, const struct core_answer *answer)
{
    struct asked *a = context;
    a->done = true;
    a->status = answer->status;
    a->index = answer->index;
    memcpy(a->text, answer->text, sizeof(a->text));
}

/* The client answers every request by its deadline, so this ends. */
static void wait_for(struct core_client *core, const struct asked *a)
{
    while (!a->done) {
        struct pollfd fd = {.fd = core_client_fd(core), .events = POLLIN};
        (void)poll(&fd, 1, POLL_MS);
        core_client_read(core);
    }
}

/* --- proposing --- */

static enum status propose_command(struct worker_issue *w, const struct command *c, const char *address,
                                   uint64_t *index, struct failure *f)
{
    struct asked asked = {.done = false};
    struct buf encoded = {.max = ENCODED_MAX, .wipe = true};
    enum status status = command_check(c, f);
    if (status == STATUS_OK && (status = command_encode(c, &encoded)) != STATUS_OK) {
        failure_set(f, status, "the certificate for %s cannot be proposed", address);
    }
    if (status == STATUS_OK) {
        core_client_propose(w->core, buf_slice(&encoded), ISSUE_TIMEOUT_MS, answered_cb, &asked);
        wait_for(w->core, &asked);
        status = asked.status;
        *index = asked.index;
        if (status != STATUS_OK) {
            failure_set(f, status, "%s", asked.text[0] != '\0' ? asked.text : status_text(status));
        }
    }
    buf_release(&encoded);
    return status;
}

static enum status propose(struct worker_issue *w, const struct ca_order *order, uint64_t *index,
                           struct failure *f)
{
    struct command c;
    struct arena a;
    arena_init(&a, ARENA_MAX);
    command_init(&c, COMMAND_CA_AUTO_ISSUE, clock_wall_ms(), SLICE_LITERAL(ACTOR_LITERAL));
    enum status status = ca_order_fill(order, w->keys, &a, &c, NULL, f);
    if (status == STATUS_OK) {
        status = propose_command(w, &c, order->address, index, f);
    }
    arena_release(&a);
    return status;
}

/* Once it answers, this node's store holds what was acknowledged anywhere before. */
static enum status barrier(struct worker_issue *w, struct failure *f)
{
    struct asked asked = {.done = false};
    core_client_ask(w->core, CORE_BARRIER, SLICE_LITERAL(""), 0, ISSUE_TIMEOUT_MS, answered_cb, &asked);
    wait_for(w->core, &asked);
    return asked.status == STATUS_OK
               ? STATUS_OK
               : failure_set(f, asked.status, "%s",
                             asked.text[0] != '\0' ? asked.text : status_text(asked.status));
}

/* The newest state, once it holds what was applied at `index`. */
static enum status renew_at(struct worker_issue *w, struct mail_environment *env, uint64_t index,
                            struct failure *f)
{
    uint64_t until = clock_monotonic_ms() + VIEW_WAIT_MS;
    while (!w->renew(w->context, env) || store_view_index(env->view) < index) {
        if (clock_monotonic_ms() > until) {
            return failure_set(f, STATUS_UNAVAILABLE, "this node does not see the new certificate yet");
        }
        (void)poll(NULL, 0, POLL_MS);
    }
    return STATUS_OK;
}

static enum status issue(struct worker_issue *w, struct mail_environment *env, struct ca_order *order,
                         struct failure *f)
{
    uint64_t index = 0;
    enum status status = ca_order_make(order, clock_wall_ms(), f);
    if (status == STATUS_OK) {
        status = propose(w, order, &index, f);
    }
    if (status == STATUS_EXISTS) { /* another worker was quicker */
        index = 0;
        status = barrier(w, f);
    }
    return status == STATUS_OK ? renew_at(w, env, index, f) : status;
}

/* --- a CA elsewhere --- */

static enum status request_make(struct worker_issue *w, struct mail_environment *env, struct slice address,
                                struct failure *f)
{
    struct ca_request request = {.key = NULL};
    struct setting_value kind;
    enum key_kind wanted = KEY_RSA3072;
    struct command c;
    struct arena a;
    uint64_t index;
    char text[ADDRESS_MAX + 1] = ""; /* the view may go meanwhile */
    enum status status = setting_get(env->view, setting_at(SETTING_CA_KEY_TYPE), address, &kind);
    if (status != STATUS_OK) {
        return failure_set(f, status, "the setting ca.key_type cannot be read");
    }
    (void)key_kind_named(kind.text, &wanted);
    memcpy(text, address.data, address.len);
    arena_init(&a, ARENA_MAX);
    status = ca_request_new(wanted, slice_of_text(text), (struct slice){0}, &request, f);
    command_init(&c, COMMAND_CA_REQUEST_AUTO, clock_wall_ms(), SLICE_LITERAL(ACTOR_LITERAL));
    if (status == STATUS_OK) {
        status = ca_request_fill(&request, slice_of_text(text), (struct slice){0}, w->keys, &a, &c, f);
    }
    if (status == STATUS_OK) {
        status = propose_command(w, &c, text, &index, f);
    }
    if (status != STATUS_EXISTS) { /* else another worker was quicker */
        log_event(status == STATUS_OK ? LOG_INFO : LOG_WARN,
                  status == STATUS_OK ? "a request for a sender's certificate waits for a CA elsewhere"
                                      : "no request for a sender's certificate was made",
                  LOG_TEXT("address", text), LOG_TEXT("reason", status == STATUS_OK ? "" : f->text));
    }
    ca_request_release(&request);
    arena_release(&a);
    return status;
}

/* The answer comes later, so there is none to be had for this mail, whatever becomes of the request. */
static enum status request_on_demand(struct worker_issue *w, struct mail_environment *env,
                                     struct slice address, struct failure *f)
{
    bool waits = true;
    if (store_ca_allowance_check(env->view, address, CA_HANDLER_CSR, clock_wall_ms(), f) == STATUS_OK &&
        store_ca_request_waits(env->view, address, &waits) == STATUS_OK && !waits) {
        w->tried = true;
        (void)request_make(w, env, address, f);
    }
    return STATUS_NOT_FOUND;
}

/* --- a CA of this cluster --- */

static enum status issue_key_cb(struct mail_environment *env, struct slice address, struct failure *f)
{
    struct worker_issue *w = env->issue_context;
    enum ca_handler handler = CA_HANDLER_BUILTIN;
    if (!w->tried && address.len <= ADDRESS_MAX &&
        store_ca_handler(env->view, address, &handler) == STATUS_OK && handler == CA_HANDLER_CSR) {
        return request_on_demand(w, env, address, f);
    }
    struct ca_order order = {.how = CA_ISSUE_IF_NONE, .flags = CA_ISSUED_RENEWS};
    uint64_t start = clock_monotonic_ms();
    enum status status =
        w->tried || address.len >= sizeof(order.address)
            ? STATUS_NOT_FOUND
            : store_ca_allowance_check(env->view, address, CA_HANDLER_BUILTIN, clock_wall_ms(), f);
    if (status != STATUS_OK && status != STATUS_POLICY) {
        return status;
    }
    w->tried = true;
    memcpy(order.address, address.data, address.len);
    if (status == STATUS_OK) {
        status = ca_order_read(&order, env->view, w->keys, f);
    }
    if (status == STATUS_OK) {
        status = issue(w, env, &order, f);
    }
    log_event(status == STATUS_OK ? LOG_INFO : LOG_WARN,
              status == STATUS_OK ? "a sender got a certificate" : "a sender got no certificate",
              LOG_TEXT("address", order.address), LOG_TEXT("ca", order.ca),
              LOG_TEXT("reason", status == STATUS_OK ? "" : f->text),
              LOG_NUMBER("ms", clock_monotonic_ms() - start));
    ca_order_release(&order);
    /* A CA that is not there, or has expired, is a mistake of the settings; and there may have been too many
     * within the hour: sign.on_missing_key says what becomes of the mail, as for any sender without a key. */
    return status == STATUS_OK || status_retryable(status) ? status : STATUS_NOT_FOUND;
}

void worker_issue_offer(struct worker_issue *w, struct mail_environment *env)
{
    env->issue_key = issue_key_cb;
    env->issue_context = w;
}
