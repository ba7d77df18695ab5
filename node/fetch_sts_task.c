/*
 * Fetching one policy (node/fetch_sts.h): the id in the TXT record unless it is known, the server's address,
 * the file. On a thread.
 *
 * RFC 8461 section 3.3: https with a certificate for mta-sts.DOMAIN, no redirects, text/plain, within a
 * minute.
 */
#include "node/fetch_dns.h"
#include "node/fetch_http.h"
#include "node/fetch_sts.h"

#define LOOK_UP_MS 5000
#define CONNECT_MS 10000
#define FETCH_MS   20000
#define PREFIX_MAX 64

struct found_text {
    char id[STS_ID_MAX + 1];
    size_t count;
    bool malformed;
};

static void visit_text(void *context, struct slice rdata)
{
    struct found_text *found = context;
    char id[STS_ID_MAX + 1];
    enum sts_text text = sts_text_read(rdata, id);
    found->count += text != STS_TEXT_OTHER;
    found->malformed = found->malformed || text == STS_TEXT_MALFORMED;
    memcpy(found->id, id, sizeof id);
}

/* RFC 8461 section 3.1: exactly one record, and a good one. */
static enum status find_id(struct sts_task *t)
{
    char name[DOMAIN_MAX + PREFIX_MAX];
    struct found_text found = {.count = 0};
    struct dns_question q = {.name = name,
                             .resolvers = &t->resolvers_value,
                             .anchors = &t->trust_anchors_value,
                             .timeout_ms = LOOK_UP_MS};
    (void)!snprintf(name, sizeof name, "_mta-sts.%s", t->domain);
    enum status status = dns_texts(&q, visit_text, &found, &t->why);
    if (status != STATUS_OK) {
        return failure_wrap(&t->why, status, "%s", name);
    }
    if (found.count != 1 || found.malformed) {
        return failure_set(&t->why, STATUS_NOT_FOUND, "%s has %s record of MTA-STS", name,
                           found.count == 0   ? "no"
                           : found.count == 1 ? "a malformed"
                                              : "more than one");
    }
    memcpy(t->id, found.id, sizeof t->id);
    return STATUS_OK;
}

/* By the resolvers of the settings if there are any; else libcurl asks the machine's. */
static enum status find_address(struct sts_task *t, const char *host, char *out, size_t size)
{
    struct dns_question q = {.name = host,
                             .resolvers = &t->resolvers_value,
                             .anchors = &t->trust_anchors_value,
                             .timeout_ms = LOOK_UP_MS};
    int n = snprintf(out, size, "%s:443:", host);
    if (t->resolvers_value.text.len == 0) {
        out[0] = '\0';
        return STATUS_OK;
    }
    return n > 0 && (size_t)n < size ? dns_addresses(&q, out + n, size - (size_t)n, &t->why) : STATUS_INVALID;
}

void sts_task_run(struct fetch_task *task)
{
    struct sts_task *t = (struct sts_task *)((char *)task - offsetof(struct sts_task, task));
    char host[DOMAIN_MAX + PREFIX_MAX], url[DOMAIN_MAX + 2 * PREFIX_MAX], address[2048];
    struct buf file = BUF_INIT(STS_FILE_MAX);
    (void)!snprintf(host, sizeof host, "mta-sts.%s", t->domain);
    (void)!snprintf(url, sizeof url, "https://%s/.well-known/mta-sts.txt", host);
    t->status = t->id[0] != '\0' ? STATUS_OK : find_id(t);
    if (t->status == STATUS_OK) {
        t->status = find_address(t, host, address, sizeof address);
    }
    if (t->status == STATUS_OK) {
        struct fetch_http request = {.url = slice_of_text(url),
                                     .allowed = buf_slice(&t->allowed),
                                     .connect_timeout_ms = CONNECT_MS,
                                     .timeout_ms = FETCH_MS,
                                     .no_redirects = true,
                                     .expected = "text/plain",
                                     .address = address[0] != '\0' ? address : NULL,
                                     .anchors = buf_slice(&t->anchors),
                                     .only_those = t->only_those};
        t->status = fetch_http(&request, &file, &t->why);
    }
    if (t->status == STATUS_OK) {
        t->status = sts_policy_parse(buf_slice(&file), &t->patterns, &t->policy, &t->why);
    }
    buf_release(&file);
}

void sts_task_free(struct fetch_task *task)
{
    struct sts_task *t = (struct sts_task *)((char *)task - offsetof(struct sts_task, task));
    buf_release(&t->allowed);
    buf_release(&t->anchors);
    buf_release(&t->patterns);
    free(t);
}
