/* The api role: gives api/ its listeners, certificate and keys. See api/api.h. */
#include "api/api.h"
#include "base/log.h"
#include "mail/fetch_protocol.h"
#include "node/role.h"
#include "raft/core_protocol.h"
#include "smtp/queue_protocol.h"

#define SERVICE_CERTIFICATE "identity/service.crt"
#define STORE_FOLDER        "state"

int role_api_run(struct role_context *c)
{
    struct failure f = {.status = STATUS_OK};
    struct api_options options = {
        .stop_fd = c->stop_fd,
        .certificate = SERVICE_CERTIFICATE,
        .tls_key = secret_slice(&c->tls_key),
        .kek = secret_slice(&c->kek),
        .transport_key = secret_slice(&c->transport),
        .store = STORE_FOLDER,
        .core_socket = CORE_SOCKET,
        .queue_socket = QUEUE_SOCKET,
        .fetch_socket = FETCH_SOCKET,
    };
    int fd;
    while (options.listener_count < API_LISTENERS_MAX &&
           (fd = role_listener_fd(c, "api", options.listener_count)) >= 0) {
        options.listeners[options.listener_count++] = fd;
    }
    if (options.listener_count == 0) {
        log_event(LOG_ERROR, "the api role has no listener");
        return 1;
    }
    if (api_run(&options, &f) != STATUS_OK) {
        log_event(LOG_ERROR, "the API cannot start", LOG_TEXT("reason", f.text));
        return 1;
    }
    return 0;
}
