/* Sending TLS reports (smtp/tls_report_send.h). */
#include "smtp/tls_report_send.h"

#include "base/log.h"
#include "crypto/x509.h"

#define TICK_MS         30000
#define FIRST_TICK_MS   1000
#define SPREAD_MS       ((uint64_t)4 * 3600 * 1000)
#define RUAS_MAX        4 /* of one domain */
#define POST_TIMEOUT_MS 40000
#define MAIL_MAX        ((size_t)2 << 20)

struct tls_report_sender {
    struct tls_report_services services;
    uv_timer_t timer;
    struct tls_reports *reports; /* the day that is under way; NULL: none */
    size_t next;                 /* domain */
    struct slice domain;         /* in `reports` */
    struct resolver_request request;
    char rua[RUAS_MAX][1025];
    size_t rua_count, rua_next;
    uint64_t asked; /* of fetch */
    char from[ADDRESS_MAX + 1], contact[ADDRESS_MAX + 1];
    bool mailing; /* reminder_send() has not answered yet */
    bool closing, timer_closed;
    uint64_t sent, failed;
    void (*closed)(void *context);
    void *closed_context;
};

static void domain_next(struct tls_report_sender *s);
static void rua_next(struct tls_report_sender *s);

static void day_over(struct tls_report_sender *s)
{
    log_event(LOG_INFO, "TLS reports of a day are on their way", LOG_NUMBER("sent", s->sent),
              LOG_NUMBER("failed", s->failed), LOG_NUMBER("left_out", tls_reports_left_out(s->reports)));
    tls_report_store_drop(s->services.store, tls_reports_day(s->reports));
    tls_reports_free(s->reports);
    s->reports = NULL;
}

static void free_perhaps(struct tls_report_sender *s)
{
    if (s->closing && s->timer_closed && !s->mailing) {
        void (*closed)(void *context) = s->closed;
        void *context = s->closed_context;
        tls_reports_free(s->reports);
        free(s);
        closed(context);
    }
}

/* --- one report --- */

static void one_done(struct tls_report_sender *s, enum status status, struct slice why)
{
    s->sent += status == STATUS_OK;
    s->failed += status != STATUS_OK;
    if (status != STATUS_OK) {
        log_event(LOG_WARN, "a TLS report could not be sent", LOG_SLICE("domain", s->domain),
                  LOG_TEXT("to", s->rua[s->rua_next - 1]), LOG_SLICE("reason", why));
    }
    rua_next(s);
}

static void on_mailed(void *context, enum status status, struct slice text)
{
    struct tls_report_sender *s = context;
    s->mailing = false;
    if (s->closing) {
        free_perhaps(s);
        return;
    }
    one_done(s, status, text);
}

static void on_posted(void *context, enum status status, struct slice why, struct msgpack_reader *results)
{
    struct tls_report_sender *s = context;
    (void)results;
    s->asked = 0;
    one_done(s, status, why);
}

/* The same for the same report of the same node, whenever it is made. */
static void id_of(const struct tls_report_sender *s, const char *rua, uint8_t id[ID_SIZE])
{
    char text[3000];
    uint8_t hash[32];
    (void)!snprintf(text, sizeof text, "tls report %llu %llu %.*s %s",
                    (unsigned long long)s->services.mail.node_id,
                    (unsigned long long)tls_reports_day(s->reports), SLICE_ARGS(s->domain), rua);
    sha256(slice_of_text(text), hash);
    id_make(id, tls_reports_day(s->reports) + TLS_REPORT_DAY_MS, hash);
}

static enum status make(const struct tls_report_sender *s, const char *report_id, struct buf *zipped)
{
    struct buf json = BUF_INIT(TLS_REPORT_JSON_MAX);
    struct tls_report_head head = {.organization = slice_of_text(s->services.hostname),
                                   .contact = slice_of_text(s->contact),
                                   .id = report_id};
    enum status status = tls_report_json(s->reports, s->domain, &head, &json);
    if (status == STATUS_OK) {
        status = tls_report_gzip(buf_slice(&json), zipped);
    }
    buf_release(&json);
    return status;
}

static void mail(struct tls_report_sender *s, const char *rua, const char *report_id, struct slice zipped)
{
    struct buf text = BUF_INIT(MAIL_MAX);
    struct slice to = slice_of(rua + 7, strlen(rua) - 7);
    char address[ADDRESS_MAX + 1], id_text[ID_TEXT_SIZE];
    uint8_t id[ID_SIZE];
    struct failure f = {0};
    to.len = slice_find_byte(to, '?');
    to.len = slice_find_byte(to, '!'); /* a size limit, RFC 7489 section 6.2 */
    enum status status = address_normalise(to, address, &f);
    id_of(s, rua, id);
    id_format(id, id_text);
    if (status == STATUS_OK) {
        struct tls_report_letter letter = {.hostname = s->services.hostname,
                                           .from = slice_of_text(s->from),
                                           .to = slice_of_text(address),
                                           .domain = s->domain,
                                           .message_id = id_text,
                                           .report_id = report_id,
                                           .day_ms = tls_reports_day(s->reports),
                                           .now_ms = clock_wall_ms(),
                                           .report = zipped};
        status = tls_report_mail(&letter, &text);
    }
    if (status != STATUS_OK) {
        buf_release(&text);
        one_done(s, status, slice_of_text(f.text[0] != '\0' ? f.text : status_text(status)));
        return;
    }
    s->mailing = true;
    reminder_send(&s->services.mail, id, slice_of_text(address), buf_slice(&text), on_mailed, s);
    buf_release(&text);
}

static void rua_next(struct tls_report_sender *s)
{
    struct buf zipped = BUF_INIT(FETCH_REPORT_MAX);
    char report_id[400], day[TIME_RFC3339_SIZE];
    if (s->closing) {
        return;
    }
    if (s->rua_next >= s->rua_count) {
        domain_next(s);
        return;
    }
    const char *rua = s->rua[s->rua_next++];
    time_format_rfc3339(tls_reports_day(s->reports), day);
    (void)!snprintf(report_id, sizeof report_id, "%.*s_%.*s@%s", 10, day, SLICE_ARGS(s->domain),
                    s->services.hostname);
    enum status status = make(s, report_id, &zipped);
    if (status != STATUS_OK) {
        buf_release(&zipped);
        one_done(s, status, slice_of_text(status_text(status)));
        return;
    }
    if (slice_starts_with_nocase(slice_of_text(rua), SLICE_LITERAL("mailto:"))) {
        mail(s, rua, report_id, buf_slice(&zipped));
        buf_release(&zipped);
        return;
    }
    struct fetch_question q = {.type = FETCH_REPORT, .url = slice_of_text(rua), .bytes = buf_slice(&zipped)};
    s->asked = fetch_line_ask(s->services.fetch, &q, POST_TIMEOUT_MS, on_posted, s);
    buf_release(&zipped);
    if (s->asked == 0) {
        one_done(s, STATUS_UNAVAILABLE, SLICE_LITERAL("the role fetch of this node is not there"));
    }
}

/* --- one domain --- */

static void on_text(void *context, const struct resolved *answer)
{
    struct tls_report_sender *s = context;
    size_t records = 0;
    s->rua_count = 0;
    s->rua_next = 0;
    for (size_t i = 0; answer->state == RESOLVED_FOUND && i < answer->count; i++) {
        size_t at = 0, before = s->rua_count;
        while (s->rua_count < RUAS_MAX && tls_report_rua(answer->records[i], &at, s->rua[s->rua_count])) {
            s->rua_count++;
        }
        records += s->rua_count > before;
    }
    if (records > 1) { /* RFC 8460 section 3: none of them counts */
        s->rua_count = 0;
    }
    rua_next(s);
}

static void domain_next(struct tls_report_sender *s)
{
    char name[DNS_NAME_MAX + 16];
    for (;;) {
        s->domain = tls_reports_domain(s->reports, s->next++);
        if (s->domain.len == 0) {
            day_over(s);
            return;
        }
        int n = snprintf(name, sizeof name, "_smtp._tls.%.*s", SLICE_ARGS(s->domain));
        s->request.answered = on_text;
        s->request.context = s;
        if (n > 0 && (size_t)n < sizeof name &&
            resolver_ask(s->services.resolver, &s->request, name, DNS_TYPE_TXT) == STATUS_OK) {
            return;
        }
        s->failed++;
    }
}

/* --- a day --- */

static bool text_of(struct settings_source *from, const char *name, char out[ADDRESS_MAX + 1])
{
    struct setting_value value;
    if (from->get(from->context, name, slice_of(NULL, 0), &value) != STATUS_OK ||
        value.text.len > ADDRESS_MAX) {
        out[0] = '\0';
        return false;
    }
    memcpy(out, value.text.data, value.text.len);
    out[value.text.len] = '\0';
    return value.text.len > 0;
}

/* False: reports are not to be sent. */
static bool settings_read(struct tls_report_sender *s)
{
    struct settings_source *from = s->services.settings;
    struct setting_value send;
    if (!from->begin(from->context)) {
        return false;
    }
    resolver_configure(s->services.resolver, from);
    bool wanted = from->get(from->context, "tlsrpt.send", slice_of(NULL, 0), &send) == STATUS_OK &&
                  slice_equal(send.text, SLICE_LITERAL("yes")) && text_of(from, "tlsrpt.from", s->from);
    if (!text_of(from, "tlsrpt.contact", s->contact)) {
        memcpy(s->contact, s->from, sizeof s->contact);
    }
    from->end(from->context);
    return wanted;
}

/* RFC 8460 section 4.1: not all at midnight. */
static uint64_t begins_ms(const struct tls_report_sender *s, uint64_t day_ms)
{
    uint8_t hash[32];
    sha256(slice_of_text(s->services.hostname), hash);
    uint64_t spread = (uint64_t)hash[0] << 8 | hash[1];
    return day_ms + TLS_REPORT_DAY_MS + spread * SPREAD_MS / 65536;
}

static void on_tick(uv_timer_t *timer)
{
    struct tls_report_sender *s = timer->data;
    uint64_t now = clock_wall_ms();
    if (s->reports != NULL) {
        return;
    }
    struct tls_reports *day = tls_report_store_oldest(s->services.store, now);
    if (day == NULL || now < begins_ms(s, tls_reports_day(day))) {
        tls_reports_free(day);
        return;
    }
    if (!settings_read(s)) {
        tls_report_store_drop(s->services.store, tls_reports_day(day));
        tls_reports_free(day);
        return;
    }
    s->reports = day;
    s->next = 0;
    s->sent = 0;
    s->failed = 0;
    domain_next(s);
}

enum status tls_report_sender_new(const struct tls_report_services *services, struct tls_report_sender **out)
{
    struct tls_report_sender *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return STATUS_NO_MEMORY;
    }
    s->services = *services;
    s->timer.data = s;
    (void)uv_timer_init(services->loop, &s->timer);
    (void)uv_timer_start(&s->timer, on_tick, FIRST_TICK_MS, TICK_MS);
    *out = s;
    return STATUS_OK;
}

static void on_closed(uv_handle_t *handle)
{
    struct tls_report_sender *s = handle->data;
    s->timer_closed = true;
    free_perhaps(s);
}

void tls_report_sender_close(struct tls_report_sender *s, void (*closed)(void *context), void *context)
{
    s->closing = true;
    s->closed = closed;
    s->closed_context = context;
    resolver_cancel(s->services.resolver, &s->request);
    if (s->asked != 0) {
        fetch_line_cancel(s->services.fetch, s->asked);
    }
    uv_close((uv_handle_t *)&s->timer, on_closed);
}
