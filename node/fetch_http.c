/*
 * One request with libcurl (fetch_http.h).
 *
 * Redirects are followed here and not by libcurl, so that each target passes the guard as the first one did.
 * The address is checked in CURLOPT_OPENSOCKETFUNCTION: that is the one to which the connection is made. Each
 * request has a handle of its own: no connection, cookie or resolved name of an earlier one is used again.
 */
#include "node/fetch_http.h"

#include "base/clock.h"
#include "node/fetch_guard.h"

#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <unistd.h>

#define USER_AGENT "Sealpost/" SEALPOST_VERSION

struct transfer {
    const struct fetch_http *request;
    struct buf *out;
    enum status status; /* why a callback ended the transfer */
    struct failure why;
};

static atomic_bool stopping;

void fetch_http_stop(void)
{
    atomic_store(&stopping, true);
}

/* Called at least once a second. */
static int progress_cb(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct transfer *t = context;
    (void)a, (void)b, (void)c, (void)d;
    if (!atomic_load(&stopping)) {
        return 0;
    }
    t->status = failure_set(&t->why, STATUS_CLOSED, "this node is stopping");
    return 1;
}

enum status fetch_http_start(void)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? STATUS_OK : STATUS_INTERNAL;
}

static curl_socket_t open_socket_cb(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = context;
    (void)purpose;
    enum status status = fetch_guard_address(&address->addr, t->request->allowed, &t->why);
    if (status != STATUS_OK) {
        t->status = status;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t write_cb(char *data, size_t size, size_t count, void *context)
{
    struct transfer *t = context;
    enum status status = buf_append(t->out, data, size * count);
    if (status != STATUS_OK) {
        t->status = failure_set(&t->why, status, "the answer is larger than %zu bytes", t->out->max);
        return 0;
    }
    return size * count;
}

/* Anchors of ours, beside libcurl's own. */
static CURLcode anchors_cb(CURL *curl, void *context, void *parameter)
{
    const struct fetch_http *r = parameter;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    const unsigned char *at = r->anchors.data, *end = at + r->anchors.len;
    (void)curl;
    while (at < end) {
        X509 *x = d2i_X509(NULL, &at, (long)(end - at));
        if (x == NULL) {
            break;
        }
        (void)X509_STORE_add_cert(store, x);
        X509_free(x);
    }
    ERR_clear_error();
    return CURLE_OK;
}

static bool trust_set(CURL *curl, const struct fetch_http *r)
{
    bool good = !r->only_those || (curl_easy_setopt(curl, CURLOPT_CAINFO, NULL) == CURLE_OK &&
                                   curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK);
    return good && (r->anchors.len == 0 ||
                    (curl_easy_setopt(curl, CURLOPT_SSL_CTX_FUNCTION, anchors_cb) == CURLE_OK &&
                     curl_easy_setopt(curl, CURLOPT_SSL_CTX_DATA, r) == CURLE_OK));
}

static bool options_set(CURL *curl, struct transfer *t, const char *url, unsigned left_ms,
                        struct curl_slist *headers)
{
    const struct fetch_http *r = t->request;
    bool good = curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK && /* whatever the environment says */
                curl_easy_setopt(curl, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_HTTP09_ALLOWED, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)r->connect_timeout_ms) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)left_ms) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket_cb) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, t) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_cb) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_WRITEDATA, t) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, progress_cb) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_XFERINFODATA, t) == CURLE_OK &&
                curl_easy_setopt(curl, CURLOPT_USERAGENT, USER_AGENT) == CURLE_OK && trust_set(curl, r);
    if (good && r->body.data != NULL) {
        good = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)r->body.len) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_POSTFIELDS, r->body.data) == CURLE_OK &&
               curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
    }
    return good;
}

static enum status outcome(struct transfer *t, CURLcode code, long answer, struct failure *f)
{
    if (code != CURLE_OK && t->status != STATUS_OK) { /* not when another address of the host answered */
        *f = t->why;
        return t->status;
    }
    if (code == CURLE_OPERATION_TIMEDOUT) {
        return failure_set(f, STATUS_TIMEOUT, "no answer in time");
    }
    if (code == CURLE_PEER_FAILED_VERIFICATION) {
        return failure_set(f, STATUS_UNTRUSTED, "the server's certificate does not hold: %s",
                           curl_easy_strerror(code));
    }
    if (code != CURLE_OK) {
        return failure_set(f, STATUS_UNAVAILABLE, "%s", curl_easy_strerror(code));
    }
    if (answer >= 200 && answer < 300) {
        return STATUS_OK;
    }
    return failure_set(f, answer == 404 || answer == 410 ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE,
                       "the server answered %ld", answer);
}

/* "text/plain; charset=utf-8" is text/plain. */
static bool is_media(const char *media, const char *expected)
{
    struct slice type = slice_of_text(media);
    type.len = slice_find_byte(type, ';');
    return slice_equal_nocase(slice_trim(type), slice_of_text(expected));
}

/* One hop; `next` becomes the target when the answer is a redirect. */
static enum status hop(struct transfer *t, const char *url, unsigned left_ms, char next[FETCH_URL_MAX + 1],
                       struct failure *f)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL, *addresses = NULL;
    char *target = NULL, *media = NULL, type[100];
    long answer = 0;
    enum status status = STATUS_NO_MEMORY;
    int n =
        snprintf(type, sizeof type, "Content-Type: %s",
                 t->request->content_type != NULL ? t->request->content_type : "application/octet-stream");
    next[0] = '\0';
    t->status = STATUS_OK;
    if (n > 0 && (size_t)n < sizeof type) {
        headers = curl_slist_append(NULL, type);
    }
    if (t->request->address != NULL) {
        addresses = curl_slist_append(NULL, t->request->address);
        (void)curl_easy_setopt(curl, CURLOPT_RESOLVE, addresses);
    }
    if (curl == NULL || headers == NULL || !options_set(curl, t, url, left_ms, headers)) {
        status = failure_set(f, STATUS_NO_MEMORY, "no memory for a request");
        goto out;
    }
    CURLcode code = curl_easy_perform(curl);
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer);
    (void)curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &target);
    (void)curl_easy_getinfo(curl, CURLINFO_CONTENT_TYPE, &media);
    if (code == CURLE_OK && answer >= 300 && answer < 400 && target != NULL &&
        t->request->body.data == NULL && !t->request->no_redirects) {
        struct slice to = slice_of_text(target);
        status =
            to.len <= FETCH_URL_MAX ? STATUS_OK : failure_set(f, STATUS_INVALID, "the redirect is too long");
        if (status == STATUS_OK) {
            memcpy(next, to.data, to.len);
            next[to.len] = '\0';
            buf_reset(t->out);
        }
    } else {
        status = outcome(t, code, answer, f);
        if (status == STATUS_OK && t->request->expected != NULL && !is_media(media, t->request->expected)) {
            status = failure_set(f, STATUS_MALFORMED, "the answer is not %s", t->request->expected);
        }
    }
out:
    curl_slist_free_all(addresses);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return status;
}

enum status fetch_http(const struct fetch_http *request, struct buf *out, struct failure *f)
{
    struct transfer t = {.request = request, .out = out};
    char host[FETCH_HOST_MAX + 1], url[FETCH_URL_MAX + 1], next[FETCH_URL_MAX + 1];
    uint64_t now = clock_monotonic_ms(), deadline = now + request->timeout_ms;
    enum status status = fetch_guard_url(request->url, host, f);
    if (status != STATUS_OK) {
        return status;
    }
    memcpy(url, request->url.data, request->url.len);
    url[request->url.len] = '\0';
    for (unsigned hops = 0; hops <= FETCH_REDIRECTS_MAX; hops++) {
        if (now >= deadline) {
            return failure_set(f, STATUS_TIMEOUT, "no answer in time");
        }
        status = hop(&t, url, (unsigned)(deadline - now), next, f);
        if (status != STATUS_OK || next[0] == '\0') {
            return hops > 0 && status != STATUS_OK ? failure_wrap(f, status, "after a redirect") : status;
        }
        status = fetch_guard_url(slice_of_text(next), host, f);
        if (status != STATUS_OK) {
            return failure_wrap(f, status, "the redirect");
        }
        memcpy(url, next, sizeof url);
        now = clock_monotonic_ms();
    }
    return failure_set(f, STATUS_UNAVAILABLE, "more than %d redirects", FETCH_REDIRECTS_MAX);
}
