/* Listeners and sessions of the SMTP server (smtp/server.h). */
#include "smtp/server.h"

#include "base/log.h"
#include "smtp/reply.h"
#include "smtp/server_listener.h"
#include "smtp/server_session.h"
#include "smtp/trace_field.h"

#include <unistd.h>

#define BACKLOG 1024

struct server {
    struct server_services services;
    struct server_listener listeners[SERVER_LISTENERS_MAX];
    size_t listener_count, listeners_open;
    struct server_session *sessions;
    struct admission *admission;
    char mark[TRACE_MARK_MAX];
    uv_timer_t grace;
    bool stopping, timer_open;
    void (*closed)(void *context);
    void *closed_context;
};

const struct server_services *server_services(const struct server *s)
{
    return &s->services;
}

void server_set_mark(struct server *s, const char *mark)
{
    (void)!snprintf(s->mark, sizeof s->mark, "%s", mark);
}

const char *server_mark(const struct server *s)
{
    return s->mark;
}

void server_set_node(struct server *s, uint64_t node_id)
{
    s->services.node_id = node_id;
}

static void stopped_perhaps(struct server *s)
{
    if (!s->stopping || s->listeners_open > 0 || s->sessions != NULL) {
        return;
    }
    if (s->timer_open && !uv_is_closing((uv_handle_t *)&s->grace)) {
        (void)uv_timer_stop(&s->grace);
        uv_close((uv_handle_t *)&s->grace, NULL);
        s->timer_open = false;
        s->closed(s->closed_context);
    }
}

void server_session_ended(struct server *s, struct server_session *session)
{
    if (session->previous != NULL) {
        session->previous->next = session->next;
    } else {
        s->sessions = session->next;
    }
    if (session->next != NULL) {
        session->next->previous = session->previous;
    }
    admission_leave(s->admission, &session->client);
    s->services.statistics->sessions_open--;
    stopped_perhaps(s);
}

enum smtp_reply server_admit_client(struct server *s, struct server_session *session)
{
    return admission_client(s->admission, &session->client, session->peer);
}

struct admission *server_admission(struct server *s)
{
    return s->admission;
}

static enum smtp_reply admit(struct server *s, struct server_listener *listener,
                             struct server_session *session)
{
    struct settings_cache *settings = s->services.settings;
    if (!s->services.ready(s->services.context) || !settings_refresh(settings)) {
        return REPLY_NOT_READY;
    }
    const struct session_limits *limits = &settings->limits;
    s->services.budget->max = limits->max_memory;
    if (s->services.statistics->sessions_open >= limits->max_sessions) {
        return REPLY_TOO_MANY_SESSIONS;
    }
    struct listener_policy *policy = server_listener_policy(listener, settings, s->services.tls);
    if (policy == NULL || (policy->tls == LISTENER_TLS_IMPLICIT && policy->tls_context == NULL)) {
        return REPLY_NOT_READY;
    }
    session->limits = *limits;
    session->lmtp = policy->lmtp;
    session->listener = listener_policy_hold(policy);
    if (session_awaits_proxy(session)) {
        session->state = SERVER_PROXY;
        return REPLY_NONE;
    }
    return server_admit_client(s, session);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct server_listener *listener = stream->data;
    struct server *s = listener->server;
    if (status < 0) {
        log_event(LOG_WARN, "a connection could not be taken", LOG_TEXT("error", uv_strerror(status)));
        return;
    }
    struct server_session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        return;
    }
    session->server = s;
    session->stream = stream_accept(stream, server_session_events(), session);
    if (session->stream == NULL) {
        free(session);
        return;
    }
    if (!stream_peer_name(session->stream, session->peer, sizeof session->peer)) {
        stream_close(session->stream);
        free(session);
        return;
    }
    enum smtp_reply refusal = s->stopping ? REPLY_STOPPING : admit(s, listener, session);
    if (refusal != REPLY_NONE) {
        s->services.statistics->sessions_refused++;
        listener_policy_release(session->listener);
        if (listener->policy != NULL && listener->policy->tls == LISTENER_TLS_IMPLICIT) {
            stream_close(session->stream); /* who expects TLS takes no reply in plain text */
            free(session);
            return;
        }
        (void)!reply_append(stream_output(session->stream), refusal);
        stream_finish(session->stream, true);
        free(session);
        return;
    }
    session->next = s->sessions;
    if (s->sessions != NULL) {
        s->sessions->previous = session;
    }
    s->sessions = session;
    s->services.statistics->sessions++;
    s->services.statistics->sessions_open++;
    server_session_start(session);
}

enum status server_new(const struct server_services *services, struct server **out)
{
    struct server *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->services = *services;
    server_set_mark(s, "Sealpost");
    s->admission = admission_new(services->settings, services->statistics);
    if (s->admission == NULL) {
        free(s);
        return STATUS_NO_MEMORY;
    }
    s->grace.data = s;
    (void)uv_timer_init(services->loop, &s->grace);
    s->timer_open = true;
    *out = s;
    return STATUS_OK;
}

enum status server_listen(struct server *s, int fd, const char *name, struct failure *f)
{
    if (s->listener_count == SERVER_LISTENERS_MAX) {
        (void)close(fd);
        return failure_set(f, STATUS_TOO_LARGE, "more than %d listeners", SERVER_LISTENERS_MAX);
    }
    struct server_listener *listener = &s->listeners[s->listener_count];
    uv_tcp_t *tcp = &listener->tcp;
    listener->server = s;
    (void)!snprintf(listener->name, sizeof listener->name, "%s", name);
    int error = uv_tcp_init(s->services.loop, tcp);
    if (error == 0) {
        tcp->data = listener;
        s->listener_count++;
        s->listeners_open++;
        error = uv_tcp_open(tcp, fd);
        if (error != 0) {
            (void)close(fd);
        }
    } else {
        (void)close(fd);
    }
    if (error == 0) {
        error = uv_listen((uv_stream_t *)tcp, BACKLOG, on_connection);
    }
    return error == 0 ? STATUS_OK
                      : failure_set(f, STATUS_IO, "cannot listen for SMTP: %s", uv_strerror(error));
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct server *s = ((struct server_listener *)handle->data)->server;
    s->listeners_open--;
    stopped_perhaps(s);
}

static void stop_sessions(struct server *s, bool force)
{
    for (struct server_session *session = s->sessions; session != NULL;) {
        struct server_session *next = session->next;
        server_session_stop(session, force);
        session = next;
    }
}

static void on_grace_over(uv_timer_t *timer)
{
    stop_sessions(timer->data, true);
}

void server_stop(struct server *s, uint64_t grace_ms, void (*closed)(void *context), void *context)
{
    s->closed = closed;
    s->closed_context = context;
    s->stopping = true;
    for (size_t i = 0; i < s->listener_count; i++) {
        uv_close((uv_handle_t *)&s->listeners[i].tcp, on_listener_closed);
    }
    (void)uv_timer_start(&s->grace, on_grace_over, grace_ms, 0);
    stop_sessions(s, false);
    stopped_perhaps(s);
}

void server_free(struct server *s)
{
    if (s != NULL) {
        for (size_t i = 0; i < s->listener_count; i++) {
            server_listener_release(&s->listeners[i]);
        }
        admission_free(s->admission);
        free(s);
    }
}
