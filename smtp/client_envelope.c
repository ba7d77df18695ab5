/*
 * MAIL and RCPT of a client's session (smtp/client_session.h): what the envelope promises and the next hop
 * offers is passed on; what it does not offer is done without where the message can do without, and else
 * fails with the reason:
 *
 *   SMTPUTF8 (RFC 6531)    needed only when an address or the header is not ASCII: 5.6.7, 5.6.9
 *   REQUIRETLS (RFC 8689)  needed, but by the null sender: a notification is not lost for it (section 5)
 *   DSN (RFC 3461)         never needed: who asked for SUCCESS is told "relayed" (smtp/report.c)
 *   LIMITS (RFC 9422)      RCPTMAX and RCPTDOMAINMAX cut the group; MAILMAX ends the connection
 */
#include "smtp/client_session.h"

#include "mail/mime_text.h"
#include "smtp/spool_envelope.h"

static const struct spool_envelope *envelope_of(const struct client_session *c)
{
    return c->group->dispatch->envelope;
}

static struct slice recipient_at(const struct client_session *c, size_t i)
{
    return envelope_of(c)->recipients[c->group->recipients[i]];
}

/* --- can it go? --- */

static bool all_fail(struct client_session *c, const char *enhanced, const char *why)
{
    char text[512];
    (void)!snprintf(text, sizeof text, "%s %s", c->next_hop, why);
    group_settle(c->group, RESULT_FAILED, enhanced, slice_of_text(text), c->next_hop);
    return false;
}

static bool utf8_fits(struct client_session *c)
{
    const struct spool_envelope *e = envelope_of(c);
    if ((e->promises & SPOOL_SMTPUTF8) == 0 || c->offers.smtputf8) {
        return true;
    }
    if (mime_has_8bit(e->sender)) {
        return all_fail(c, "5.6.7", "takes no addresses beyond ASCII (SMTPUTF8), and the sender's is one");
    }
    if (e->variants[c->group->variant].utf8_header) {
        return all_fail(c, "5.6.9", "takes no header beyond ASCII (SMTPUTF8), and the message has one");
    }
    char text[512];
    (void)!snprintf(text, sizeof text, "%s takes no addresses beyond ASCII (SMTPUTF8)", c->next_hop);
    for (size_t i = c->group->count; i > 0; i--) {
        if (mime_has_8bit(recipient_at(c, i - 1))) {
            group_part(c->group, i - 1, RESULT_FAILED, "5.6.7", slice_of_text(text), c->next_hop);
        }
    }
    return c->group->count > 0;
}

static bool tls_fits(struct client_session *c)
{
    const struct spool_envelope *e = envelope_of(c);
    if ((e->promises & SPOOL_REQUIRETLS) == 0 || e->sender.len == 0 || (c->secure && c->offers.requiretls)) {
        return true;
    }
    return all_fail(c, "5.7.30", "does not offer REQUIRETLS under TLS, which the sender asks for");
}

/* How many recipients from the first on the next hop takes at once. */
static size_t most_recipients(const struct client_session *c)
{
    const struct group *g = c->group;
    uint64_t domains = 0;
    size_t most = c->offers.max_recipients > 0 && c->offers.max_recipients < g->count
                      ? (size_t)c->offers.max_recipients
                      : g->count;
    if (c->offers.max_domains == 0) {
        return most;
    }
    for (size_t i = 0; i < most; i++) {
        bool known = false;
        for (size_t k = 0; k < i && !known; k++) {
            known =
                slice_equal_nocase(address_domain(recipient_at(c, k)), address_domain(recipient_at(c, i)));
        }
        domains += !known;
        if (domains > c->offers.max_domains) {
            return i;
        }
    }
    return most;
}

bool client_group_fits(struct client_session *c)
{
    if (!tls_fits(c) || !utf8_fits(c)) {
        return false;
    }
    size_t most = most_recipients(c);
    struct group *rest = most < c->group->count ? group_split(c->group, most) : NULL;
    if (rest != NULL) {
        destination_requeue(c->destination, rest);
    }
    return true;
}

/* --- what is said --- */

void client_say_mail(struct client_session *c)
{
    const struct group *g = c->group;
    const struct spool_envelope *e = envelope_of(c);
    struct buf *out = stream_output(c->stream);
    (void)!buf_printf(out, "MAIL FROM:<%.*s>", SLICE_ARGS(e->sender));
    if (c->offers.size) {
        uint64_t size = g->seven_bit >= 0 ? g->seven_bit_size : e->variants[g->variant].size;
        (void)!buf_printf(out, " SIZE=%llu", (unsigned long long)size);
    }
    bool utf8 = (e->promises & SPOOL_SMTPUTF8) != 0 && c->offers.smtputf8;
    if (c->offers.eightbitmime && e->variants[g->variant].needs_8bit && g->seven_bit < 0) {
        (void)!buf_append_text(out, " BODY=8BITMIME");
    }
    if (utf8) {
        (void)!buf_append_text(out, " SMTPUTF8");
    }
    if ((e->promises & SPOOL_REQUIRETLS) != 0 && c->secure && c->offers.requiretls) {
        (void)!buf_append_text(out, " REQUIRETLS");
    }
    if (c->offers.dsn && (e->promises & (SPOOL_RET_FULL | SPOOL_RET_HDRS)) != 0) {
        (void)!buf_append_text(out, (e->promises & SPOOL_RET_FULL) != 0 ? " RET=FULL" : " RET=HDRS");
    }
    if (c->offers.dsn && e->envid.len > 0) {
        (void)!buf_printf(out, " ENVID=%.*s", SLICE_ARGS(e->envid));
    }
    (void)!buf_append_text(out, "\r\n");
}

static void say_notify(struct buf *out, uint64_t notify)
{
    static const struct {
        uint64_t flag;
        const char *word;
    } words[] = {{NOTIFY_NEVER, "NEVER"},
                 {NOTIFY_SUCCESS, "SUCCESS"},
                 {NOTIFY_FAILURE, "FAILURE"},
                 {NOTIFY_DELAY, "DELAY"}};
    const char *between = " NOTIFY=";
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if ((notify & words[i].flag) != 0) {
            (void)!buf_printf(out, "%s%s", between, words[i].word);
            between = ",";
        }
    }
}

/* One character of UTF-8 at the start of `s`, which is valid. */
static size_t character_read(struct slice s, uint32_t *character)
{
    uint8_t first = s.data[0];
    size_t len = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    *character = len == 1 ? first : first & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        *character = *character << 6 | (s.data[i] & 0x3fu);
    }
    return len;
}

/* RFC 6533 section 3: to one without SMTPUTF8 an address goes as utf-8-addr-xtext. */
static void say_orcpt(struct buf *out, struct slice orcpt, bool utf8)
{
    struct buf text = BUF_INIT(SPOOL_ORCPT_MAX);
    enum status status = STATUS_OK;
    for (size_t at = 0, len = 1; at < orcpt.len && status == STATUS_OK; at += len) {
        uint32_t character = 0;
        len = character_read(slice_of(orcpt.data + at, orcpt.len - at), &character);
        status = len == 1 || utf8 ? buf_append(&text, orcpt.data + at, len)
                                  : buf_printf(&text, "\\x{%X}", (unsigned)character);
    }
    if (status == STATUS_OK && text.len > 0) { /* one that becomes too long is left out */
        (void)!buf_printf(out, " ORCPT=%.*s", SLICE_ARGS(buf_slice(&text)));
    }
    buf_release(&text);
}

void client_say_rcpt(struct client_session *c, size_t i)
{
    const struct spool_envelope *e = envelope_of(c);
    struct buf *out = stream_output(c->stream);
    struct spool_wish wish = spool_envelope_wish(e, c->group->recipients[i]);
    (void)!buf_printf(out, "RCPT TO:<%.*s>", SLICE_ARGS(recipient_at(c, i)));
    if (c->offers.dsn) {
        say_notify(out, wish.notify);
        say_orcpt(out, wish.orcpt, (e->promises & SPOOL_SMTPUTF8) != 0 && c->offers.smtputf8);
    }
    (void)!buf_append_text(out, "\r\n");
}
