/* TLS of a client's session (smtp/client_tls.h). */
#include "smtp/client_session.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/x509.h"

#include <openssl/x509v3.h>

static bool is_address(const char *host)
{
    struct in6_addr number;
    return uv_inet_pton(AF_INET, host, &number) == 0 || uv_inet_pton(AF_INET6, host, &number) == 0;
}

/* --- what is counted for reports (RFC 8460) --- */

/* The policy that spoke, line by line. */
static enum status policy_text(const struct client_tls *t, struct buf *out)
{
    const struct tls_search *s = t->search;
    enum status status = STATUS_OK;
    if (t->demand.basis == TLS_BASIS_STS && s->has_sts) {
        struct slice rest = s->sts.mx;
        status = buf_printf(out, "version: STSv1\nmode: %s\n", sts_mode_name(s->sts.mode));
        while (status == STATUS_OK && rest.len > 0) {
            size_t end = slice_find_byte(rest, ' ');
            status = buf_printf(out, "mx: %.*s\n", (int)end, (const char *)rest.data);
            rest = end < rest.len ? slice_of(rest.data + end + 1, rest.len - end - 1) : slice_of(NULL, 0);
        }
        if (status == STATUS_OK) {
            status = buf_printf(out, "max_age: %llu", (unsigned long long)s->sts.max_age_s);
        }
    }
    for (size_t i = 0; t->demand.basis == TLS_BASIS_TLSA && i < s->record_count && status == STATUS_OK; i++) {
        const struct tlsa_record *r = &s->records[i];
        status = buf_printf(out, "%s%u %u %u ", i > 0 ? "\n" : "", r->usage, r->selector, r->matching);
        for (size_t k = 0; k < r->data.len && status == STATUS_OK; k++) {
            status = buf_printf(out, "%02x", r->data.data[k]);
        }
    }
    return status;
}

/* RFC 8461 section 3.4: a host that a setting names has a policy of its own. */
static struct slice policy_domain(const struct client_session *c)
{
    return slice_of_text(c->plan != NULL ? c->plan->domain : c->host);
}

/* `result` NULL: it went well. */
static void count(struct client_session *c, const char *result, const char *reason)
{
    struct tls_report_store *reports = client_delivery(c)->options.reports;
    struct client_tls *t = &c->tls;
    struct buf policy = BUF_INIT((size_t)256 << 10);
    char ours[INET6_ADDRSTRLEN] = "", theirs[INET6_ADDRSTRLEN] = "";
    if (reports == NULL || t->search == NULL || is_address(c->host)) {
        return;
    }
    if (c->stream != NULL) {
        (void)stream_peer_name(c->stream, theirs, sizeof theirs);
        (void)stream_own_name(c->stream, ours, sizeof ours);
    }
    if (policy_text(t, &policy) != STATUS_OK) {
        buf_reset(&policy);
    }
    struct tls_outcome o = {.domain = policy_domain(c),
                            .basis = t->demand.basis,
                            .policy = buf_slice(&policy),
                            .mx = t->demand.basis == TLS_BASIS_STS ? t->search->sts.mx : slice_of(NULL, 0),
                            .result = result,
                            .host = slice_of_text(c->host),
                            .our_address = slice_of_text(ours),
                            .its_address = slice_of_text(theirs),
                            .reason = slice_of_text(reason)};
    tls_report_store_count(reports, &o, clock_wall_ms());
    buf_release(&policy);
}

/* --- before the connection --- */

static void decide(struct client_session *c)
{
    struct client_tls *t = &c->tls;
    const struct tls_search *s = t->search;
    struct tls_question q = {
        .mode = t->settings.mode,
        .require_tls = t->settings.require_tls,
        .is_address = is_address(c->host),
        .named_by_admin = c->plan == NULL,
        .mx_secure = c->plan != NULL && c->plan->secure,
        .host = slice_of_text(c->host),
        .tlsa = s != NULL ? s->tlsa : TLSA_NOT_ASKED,
        .records = s != NULL ? s->records : NULL,
        .record_count = s != NULL ? s->record_count : 0,
        .sts = s != NULL && s->has_sts ? &s->sts : NULL,
    };
    tls_decide(&q, &t->demand);
    if (s != NULL && s->sts_problem != NULL) {
        count(c, s->sts_problem, "");
    }
    if (t->demand.skip_result != NULL) {
        count(c, t->demand.skip_result, t->demand.skip);
    }
    client_tls_decided(c);
}

static void on_found(void *context)
{
    decide(context);
}

static bool wants_tlsa(enum tls_mode mode)
{
    return mode == TLS_MODE_DANE || mode == TLS_MODE_DANE_ONLY;
}

void client_tls_prepare(struct client_session *c)
{
    struct client_tls *t = &c->tls;
    struct delivery_options *o = &client_delivery(c)->options;
    client_tls_release(c);
    tls_settings_read(c->destination->tls, &t->settings);
    struct tls_search_question q = {.resolver = o->resolver,
                                    .fetch = o->fetch,
                                    .store = o->settings->store,
                                    .host = c->host,
                                    .port = c->port,
                                    .tlsa =
                                        wants_tlsa(t->settings.mode) && (c->plan == NULL || c->plan->secure),
                                    .named = c->plan == NULL};
    if (is_address(c->host)) {
        decide(c);
        return;
    }
    if (q.resolver != NULL && o->settings->begin(o->settings->context)) {
        resolver_configure(q.resolver, o->settings);
        o->settings->end(o->settings->context);
    }
    if (t->settings.mta_sts) {
        q.domain = policy_domain(c);
    }
    t->search = tls_search_new(&q, on_found, c);
    if (t->search == NULL) {
        t->demand = (struct tls_demand){.skip = "memory is short"};
        client_tls_decided(c);
        return;
    }
    tls_search_start(t->search);
}

void client_tls_release(struct client_session *c)
{
    tls_search_free(c->tls.search);
    c->tls.search = NULL;
}

/* --- the handshake --- */

static bool set_names(const struct client_session *c, SSL *ssl)
{
    const struct client_tls *t = &c->tls;
    /* RFC 6125 section 6.4: "*" is a whole label, and the subject's common name counts for nothing. */
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    if (t->demand.dane) {
        /* RFC 7672 section 3.2.2 and 3.1.1: the base domain for DANE-TA, no name at all for DANE-EE. */
        bool good = SSL_dane_enable(ssl, t->search->base) > 0 && SSL_add1_host(ssl, c->host) == 1 &&
                    (c->plan == NULL || SSL_add1_host(ssl, c->plan->domain) == 1);
        (void)SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);
        return good;
    }
    if (is_address(c->host)) {
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), c->host) == 1;
    }
    return SSL_set_tlsext_host_name(ssl, c->host) == 1 && SSL_set1_host(ssl, c->host) == 1;
}

/* At least one: records of which OpenSSL can make nothing are left out (RFC 7672 section 2.2). */
static bool add_records(const struct tls_search *s, SSL *ssl)
{
    size_t added = 0;
    for (size_t i = 0; i < s->record_count; i++) {
        const struct tlsa_record *r = &s->records[i];
        if (tlsa_record_usable(r)) {
            added +=
                SSL_dane_tlsa_add(ssl, r->usage, r->selector, r->matching, r->data.data, r->data.len) > 0;
        }
    }
    return added > 0;
}

static SSL *ssl_new(struct client_session *c, struct failure *f)
{
    struct client_tls *t = &c->tls;
    struct delivery_options *o = &client_delivery(c)->options;
    SSL_CTX *context = NULL;
    if (tls_client_context(o->tls, o->settings->store, t->settings.anchors, &context, f) != STATUS_OK) {
        return NULL;
    }
    SSL *ssl = SSL_new(context);
    bool good = ssl != NULL && SSL_set_min_proto_version(ssl, t->settings.lowest) == 1 && set_names(c, ssl);
    if (good && t->demand.dane && !add_records(t->search, ssl)) {
        SSL_free(ssl);
        (void)failure_set(f, STATUS_INVALID, "none of its TLSA records can be used");
        return NULL;
    }
    if (!good) {
        SSL_free(ssl);
        (void)failure_set(f, STATUS_CRYPTO, "TLS cannot be started");
        return NULL;
    }
    if (t->demand.named || t->demand.dane) {
        SSL_set_verify(ssl, SSL_VERIFY_PEER, NULL);
    }
    return ssl;
}

bool client_tls_start(struct client_session *c)
{
    struct failure f = {0};
    SSL *ssl = ssl_new(c, &f);
    if (ssl == NULL || stream_start_tls_with(c->stream, ssl) != STATUS_OK) {
        client_broken(c, f.text[0] != '\0' ? f.text : "TLS cannot be started");
        return false;
    }
    return true;
}

static bool is_pinned(const struct client_tls *t, X509 *x)
{
    struct buf der = BUF_INIT((size_t)1 << 20);
    uint8_t fingerprint[32];
    unsigned char *key = NULL;
    bool found = false;
    if (certificate_to_der(x, &der) == STATUS_OK) {
        sha256(buf_slice(&der), fingerprint);
        found = tls_settings_have(&t->settings, fingerprint);
    }
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &key);
    if (!found && len > 0) {
        sha256(slice_of(key, (size_t)len), fingerprint);
        found = tls_settings_have(&t->settings, fingerprint);
    }
    OPENSSL_free(key);
    buf_release(&der);
    return found;
}

const char *client_tls_secured(struct client_session *c)
{
    SSL *ssl = stream_ssl(c->stream);
    X509 *x = SSL_get0_peer_certificate(ssl);
    long result = SSL_get_verify_result(ssl);
    const struct tls_demand *d = &c->tls.demand;
    if (d->pinned && (x == NULL || !is_pinned(&c->tls, x))) {
        return "neither its certificate nor its key is one of delivery.fingerprint";
    }
    if (d->testing && d->mismatch) {
        count(c, "validation-failure", "the policy does not name this host");
    } else if (d->testing && result != X509_V_OK) {
        count(c, tls_result_name(result), X509_verify_cert_error_string(result));
    } else {
        count(c, NULL, "");
    }
    return NULL;
}

void client_tls_not_offered(struct client_session *c)
{
    if (c->tls.demand.basis != TLS_BASIS_NONE) {
        count(c, "starttls-not-supported", "");
    }
}

bool client_tls_failed(struct client_session *c, const char *why)
{
    SSL *ssl = c->stream != NULL ? stream_ssl(c->stream) : NULL;
    long result = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
    bool checked = c->tls.demand.named || c->tls.demand.dane;
    count(c, checked && result != X509_V_OK ? tls_result_name(result) : "validation-failure", why);
    if (c->tls.demand.must || c->no_tls) {
        return false;
    }
    log_event(LOG_WARN, "TLS failed, going on without (delivery.tls allows it)",
              LOG_TEXT("next_hop", c->next_hop), LOG_TEXT("error", why));
    c->no_tls = true;
    return true;
}
