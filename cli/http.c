/*
 * See http.h. The token is read from the environment or a file, never from the command line, where everybody
 * on the machine could see it. No proxy is asked and no redirect is followed: either would be given the
 * token.
 */
#include "cli/http.h"

#include "base/secret.h"

enum status cli_endpoint_read(const char *text, char out[512], struct failure *f)
{
    struct slice endpoint = slice_of_text(text);
    struct slice scheme = SLICE_LITERAL("https://");
    bool has_scheme = memmem(endpoint.data, endpoint.len, "://", 3) != NULL;
    if (has_scheme && !slice_starts_with_nocase(endpoint, scheme)) {
        return failure_set(f, STATUS_INVALID, "the endpoint must begin with https://, not be %s", text);
    }
    if (has_scheme) {
        endpoint = slice_of(endpoint.data + scheme.len, endpoint.len - scheme.len);
    }
    while (endpoint.len > 0 && endpoint.data[endpoint.len - 1] == '/') {
        endpoint.len--;
    }
    for (size_t i = 0; i < endpoint.len; i++) {
        if (endpoint.data[i] <= ' ' || strchr("/?#@\\", endpoint.data[i]) != NULL) {
            return failure_set(f, STATUS_INVALID, "the endpoint must be https://HOST:PORT, not %s", text);
        }
    }
    int n = snprintf(out, 512, "https://%.*s", SLICE_ARGS(endpoint));
    return endpoint.len > 0 && n > 0 && n < 512
               ? STATUS_OK
               : failure_set(f, STATUS_INVALID, "the endpoint must be https://HOST:PORT");
}

static enum status token_header(const struct cli_input *input, struct cli_connection *c, struct failure *f)
{
    struct buf content = {.max = 4096, .wipe = true}, header = {.max = 4352, .wipe = true};
    const char *environment = getenv("SEALPOST_TOKEN");
    struct slice token = slice_of_text(environment);
    enum status status = STATUS_OK;
    if (input->token_file != NULL) {
        status = cli_file_read(input->token_file, 4096, &content, f);
        token = buf_slice(&content);
    }
    while (token.len > 0 && token.data[token.len - 1] <= ' ') {
        token.len--;
    }
    token = slice_trim(token);
    for (size_t i = 0; i < token.len && status == STATUS_OK; i++) {
        if (token.data[i] <= ' ' || token.data[i] > '~') {
            status = failure_set(f, STATUS_INVALID, "the token must be one word");
        }
    }
    if (status == STATUS_OK && token.len > 0) {
        status = buf_printf(&header, "Authorization: Bearer %.*s", SLICE_ARGS(token));
        if (status == STATUS_OK && buf_text(&header) != NULL) {
            c->headers = curl_slist_append(c->headers, (const char *)header.data);
            c->has_token = true;
        }
    }
    buf_release(&content);
    buf_release(&header);
    return status;
}

enum status cli_connect(const struct cli_input *input, struct cli_connection *c, struct failure *f)
{
    const char *endpoint = input->endpoint != NULL ? input->endpoint : getenv("SEALPOST_ENDPOINT");
    const char *cacert = input->cacert != NULL ? input->cacert : getenv("SEALPOST_CACERT");
    *c = (struct cli_connection){0};
    enum status status =
        cli_endpoint_read(endpoint != NULL && endpoint[0] != '\0' ? endpoint : CLI_ENDPOINT, c->endpoint, f);
    if (status != STATUS_OK) {
        return status;
    }
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || (c->curl = curl_easy_init()) == NULL) {
        return failure_set(f, STATUS_NO_MEMORY, "libcurl cannot be started");
    }
    if ((status = token_header(input, c, f)) != STATUS_OK) {
        cli_disconnect(c);
        return status;
    }
    c->headers = curl_slist_append(c->headers, "Content-Type: application/json");
    c->headers = curl_slist_append(c->headers, "Accept: application/json");
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(c->curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CLI_CONNECT_S);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, CLI_TIMEOUT_S);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    if (cacert != NULL && cacert[0] != '\0') {
        curl_easy_setopt(c->curl, CURLOPT_CAINFO, cacert);
    }
    return STATUS_OK;
}

void cli_disconnect(struct cli_connection *c)
{
    for (struct curl_slist *h = c->headers; h != NULL; h = h->next) {
        secret_wipe(h->data, strlen(h->data));
    }
    curl_slist_free_all(c->headers);
    curl_easy_cleanup(c->curl);
    *c = (struct cli_connection){0};
}

static size_t receive_cb(char *data, size_t one, size_t len, void *context)
{
    (void)one;
    return buf_append(context, data, len) == STATUS_OK ? len : 0;
}

static enum status failure_of_curl(CURLcode code, const struct cli_connection *c, struct failure *f)
{
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
        return failure_set(
            f, STATUS_UNTRUSTED,
            "%s shows a certificate that is not trusted; name the cluster's CA with --cacert or "
            "SEALPOST_CACERT",
            c->endpoint);
    case CURLE_SSL_CACERT_BADFILE:
        return failure_set(f, STATUS_IO, "the file of the CA certificate cannot be read");
    case CURLE_OPERATION_TIMEDOUT:
        return failure_set(f, STATUS_TIMEOUT, "%s did not answer in time", c->endpoint);
    case CURLE_WRITE_ERROR:
        return failure_set(f, STATUS_TOO_LARGE, "the answer of %s is too large", c->endpoint);
    default:
        return failure_set(f, STATUS_UNAVAILABLE, "cannot talk to %s: %s", c->endpoint,
                           curl_easy_strerror(code));
    }
}

enum status cli_send(struct cli_connection *c, const struct cli_request *r, struct cli_answer *out,
                     struct failure *f)
{
    struct buf url = BUF_INIT(CLI_TARGET_MAX + 512);
    char *body = r->body != NULL ? json_dumps(r->body, JSON_COMPACT) : NULL;
    *out = (struct cli_answer){.text = {.max = CLI_ANSWER_MAX, .wipe = true}};
    enum status status = buf_printf(&url, "%s%s", c->endpoint, (const char *)r->target.data);
    if (status == STATUS_OK && buf_text(&url) == NULL) {
        status = STATUS_NO_MEMORY;
    }
    if (status == STATUS_OK) {
        curl_easy_setopt(c->curl, CURLOPT_URL, (const char *)url.data);
        curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, receive_cb);
        curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &out->text);
        curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);
        if (body != NULL || strcmp(r->method, "POST") == 0) {
            curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                             (curl_off_t)(body != NULL ? strlen(body) : 0));
            curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS, body != NULL ? body : "");
        }
        curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, r->method);
        CURLcode code = curl_easy_perform(c->curl);
        curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &out->http_status);
        status = code == CURLE_OK ? STATUS_OK : failure_of_curl(code, c, f);
    }
    if (status == STATUS_OK) {
        out->json = json_loadb((const char *)out->text.data, out->text.len, 0, NULL);
    } else {
        cli_answer_release(out);
    }
    if (body != NULL) {
        secret_wipe(body, strlen(body));
        free(body);
    }
    buf_release(&url);
    return status;
}

void cli_answer_release(struct cli_answer *a)
{
    buf_release(&a->text);
    json_decref(a->json);
    a->json = NULL;
}
