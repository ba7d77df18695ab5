/*
 * Delivery status notifications (RFC 3464): "your message could not be delivered", "it is late", "it was
 * passed on". A multipart/report (RFC 6522) of three parts: a text for a human, message/delivery-status for
 * programs, and the header of the message, or all of it.
 *
 * A remote server's reply, an address and the message's header are anybody's bytes: texts become one line, of
 * printable ASCII or, where RFC 6533's types are used, UTF-8; a part goes in as quoted-printable as soon as
 * it is not plain, so the boundary (random, from the caller) cannot be met. RFC 6533's types are used only
 * when the message came with SMTPUTF8 and something is quoted that is not ASCII. Pure; any thread. It does
 * not decide who gets one: smtp/ does, never to a null sender.
 */
#include "mail/dsn.h"

#include "base/clock.h"
#include "mail/mime_text.h"
#include "mail/printable.h"
#include "mail/transfer_encoding.h"

#define DIAGNOSTIC_MAX   700 /* bytes: with its name well below the 998 of a line (RFC 5322 2.1.1) */
#define ADDRESS_TEXT_MAX 330
#define ORIGINAL_MAX     500
#define PART_MAX         ((size_t)8 << 20)

/* A report that is being written: the first failure stays, and what follows does nothing. */
struct report {
    const struct dsn_input *in;
    struct buf *out;
    enum status status;
    bool utf8; /* as RFC 6533 has it: something that is quoted is not ASCII */
};

static const struct action {
    const char *subject, *word, *text;
    uint8_t class; /* of status codes */
} actions[] = {
    [DSN_FAILED] = {"Your message could not be delivered", "failed",
                    "could not be delivered to those named below.", '5'},
    [DSN_DELAYED] = {"Your message is delayed", "delayed",
                     "has not yet been delivered to those named below. It is still being tried;\r\n"
                     "you need not send it again.",
                     '4'},
    [DSN_RELAYED] = {"Your message was passed on", "relayed",
                     "was passed on for those named below, to a mail system that sends no\r\n"
                     "confirmation of delivery.",
                     '2'},
    [DSN_DELIVERED] = {"Your message was delivered", "delivered", "was delivered to those named below.", '2'},
};

static void put(struct report *r, const char *text)
{
    if (r->status == STATUS_OK) {
        r->status = buf_append_text(r->out, text);
    }
}

static void put_slice(struct report *r, struct slice text)
{
    if (r->status == STATUS_OK) {
        r->status = buf_append_slice(r->out, text);
    }
}

/* One line: UTF-8 as it is where the report may hold it, else ASCII. */
static void put_line(struct report *r, struct slice text, size_t max)
{
    if (r->status != STATUS_OK) {
        return;
    }
    bool as_it_is = r->utf8 && text.len <= max && slice_is_text(text);
    r->status = as_it_is ? buf_append_slice(r->out, text) : printable_line_append(r->out, text, max);
}

static void put_time(struct report *r, const char *name, uint64_t ms)
{
    char date[TIME_RFC5322_SIZE];
    time_format_rfc5322(ms, date);
    put(r, name);
    put(r, ": ");
    put(r, date);
    put(r, "\r\n");
}

static void put_field(struct report *r, const char *name, const char *type, struct slice value, size_t max)
{
    put(r, name);
    put(r, ": ");
    put(r, type);
    put_line(r, value, max);
    put(r, "\r\n");
}

/* "class.subject.detail" of the right class, or a general one (RFC 3463). What is given up for its age has
 * the code of its last, temporary failure. */
static struct slice status_code(struct slice code, enum dsn_action action)
{
    uint8_t class = actions[action].class;
    struct slice general = class == '5'   ? SLICE_LITERAL("5.0.0")
                           : class == '4' ? SLICE_LITERAL("4.0.0")
                                          : SLICE_LITERAL("2.0.0");
    size_t dots = 0;
    for (size_t i = 0; i < code.len; i++) {
        bool dot = code.data[i] == '.';
        if ((!dot && (code.data[i] < '0' || code.data[i] > '9')) ||
            (dot && (i < 1 || code.data[i - 1] == '.'))) {
            return general;
        }
        dots += dot;
    }
    bool fits = code.len >= 5 && code.len <= 9 && dots == 2 && code.data[code.len - 1] != '.' &&
                (code.data[0] == class || (code.data[0] == '4' && class == '5')) && code.data[1] == '.';
    return fits ? code : general;
}

/* From, To, Subject, Date, Message-ID, up to what closes that. */
static void put_head(struct report *r, const char *subject)
{
    const struct dsn_input *in = r->in;
    struct slice id = in->message_id;
    put(r, "From: Mail Delivery System <MAILER-DAEMON@");
    put_line(r, in->reporting_mta, ADDRESS_TEXT_MAX);
    put(r, ">\r\nTo: <");
    put_line(r, in->to, ADDRESS_TEXT_MAX);
    put(r, ">\r\nSubject: ");
    put(r, subject);
    put(r, "\r\n");
    put_time(r, "Date", in->now_ms);
    put(r, "Message-ID: <");
    if (id.len >= 2 && id.data[0] == '<' && id.data[id.len - 1] == '>') {
        id = slice_of(id.data + 1, id.len - 2);
    }
    put_line(r, id, ADDRESS_TEXT_MAX);
    if (slice_find_byte(id, '@') == id.len) {
        put(r, "@");
        put_line(r, in->reporting_mta, ADDRESS_TEXT_MAX);
    }
    put(r, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
}

static void put_delimiter(struct report *r, const char *end)
{
    put(r, "--");
    put_line(r, r->in->boundary, 70);
    put(r, end);
}

/* Each recipient, and what is to be said of it. */
static void put_people(struct report *r)
{
    for (size_t i = 0; i < r->in->recipient_count; i++) {
        const struct dsn_recipient *one = &r->in->recipients[i];
        put(r, "\r\n<");
        put_line(r, one->address, ADDRESS_TEXT_MAX);
        put(r, ">:\r\n    ");
        put_line(r, one->diagnostic, DIAGNOSTIC_MAX);
        put(r, "\r\n");
    }
}

static void put_human(struct report *r)
{
    char arrival[TIME_RFC5322_SIZE];
    time_format_rfc5322(r->in->arrival_ms, arrival);
    put(r, "This is the mail system at ");
    put_line(r, r->in->reporting_mta, ADDRESS_TEXT_MAX);
    put(r, ".\r\n\r\nYour message of ");
    put(r, arrival);
    put(r, "\r\n");
    put(r, actions[r->in->action].text);
    put(r, "\r\n");
    put_people(r);
}

/* "rfc822; bob@b.example", or RFC 6533's "utf-8; ..." for what is not ASCII. */
static void put_address(struct report *r, const char *name, struct slice address)
{
    put_field(r, name, r->utf8 && mime_has_8bit(address) ? "utf-8; " : "rfc822; ", address, ADDRESS_TEXT_MAX);
}

static void put_recipient(struct report *r, const struct dsn_recipient *one)
{
    size_t type = slice_find_byte(one->orcpt, ';');
    put(r, "\r\n");
    if (type < one->orcpt.len) {
        struct slice address = slice_of(one->orcpt.data + type + 1, one->orcpt.len - type - 1);
        put(r, "Original-Recipient: ");
        put_line(r,
                 r->utf8 && mime_has_8bit(address) ? SLICE_LITERAL("utf-8") : slice_of(one->orcpt.data, type),
                 ADDRESS_TEXT_MAX);
        put(r, "; ");
        put_line(r, address, ORIGINAL_MAX);
        put(r, "\r\n");
    }
    put_address(r, "Final-Recipient", one->address);
    put(r, "Action: ");
    put(r, actions[r->in->action].word);
    put(r, "\r\nStatus: ");
    put_slice(r, status_code(one->status, r->in->action));
    put(r, "\r\n");
    if (one->remote_mta.len > 0) {
        put_field(r, "Remote-MTA", "dns; ", one->remote_mta, ADDRESS_TEXT_MAX);
    }
    if (one->diagnostic.len > 0) {
        /* RFC 3464 2.3.6: type "smtp" only for what an SMTP server said. */
        put_field(r, "Diagnostic-Code", one->remote_mta.len > 0 ? "smtp; " : "x-sealpost; ", one->diagnostic,
                  DIAGNOSTIC_MAX);
    }
    if (one->last_attempt_ms > 0) {
        put_time(r, "Last-Attempt-Date", one->last_attempt_ms);
    }
    if (r->in->action == DSN_DELAYED && one->retry_until_ms > 0) {
        put_time(r, "Will-Retry-Until", one->retry_until_ms);
    }
}

static void put_status(struct report *r)
{
    if (r->in->envid.len > 0) {
        put_field(r, "Original-Envelope-Id", "", r->in->envid, ORIGINAL_MAX);
    }
    put_field(r, "Reporting-MTA", "dns; ", r->in->reporting_mta, ADDRESS_TEXT_MAX);
    put_time(r, "Arrival-Date", r->in->arrival_ms);
    for (size_t i = 0; i < r->in->recipient_count; i++) {
        put_recipient(r, &r->in->recipients[i]);
    }
}

/* A part whose text `write` makes; quoted-printable as soon as it is not plain. */
static void put_part(struct report *r, const char *type, void (*write)(struct report *r))
{
    struct buf text = BUF_INIT(PART_MAX);
    struct report inner = {.in = r->in, .out = &text, .status = r->status, .utf8 = r->utf8};
    write(&inner);
    r->status = inner.status;
    bool plain = mime_is_plain_7bit(buf_slice(&text));
    put_delimiter(r, "\r\nContent-Type: ");
    put(r, type);
    put(r, plain ? "\r\n\r\n" : "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n");
    if (plain) {
        put_slice(r, buf_slice(&text));
    } else if (r->status == STATUS_OK) {
        r->status = quoted_printable_encode(buf_slice(&text), r->out);
    }
    put(r, "\r\n");
    buf_release(&text);
}

static void put_header(struct report *r)
{
    put_slice(r, r->in->header);
}

/* RFC 2046 section 5.2.1: as it is, never encoded. */
static void put_whole(struct report *r)
{
    bool plain = mime_is_plain_7bit(r->in->whole);
    put_delimiter(r, "\r\nContent-Type: ");
    put(r, r->utf8 && mime_has_8bit(r->in->header) ? "message/global" : "message/rfc822");
    put(r, plain ? "\r\n\r\n" : "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
    put_slice(r, r->in->whole);
    put(r, "\r\n");
}

static bool holds_utf8(const struct dsn_input *in)
{
    bool found = mime_has_8bit(in->header) || mime_has_8bit(in->to);
    for (size_t i = 0; i < in->recipient_count && !found; i++) {
        found = mime_has_8bit(in->recipients[i].address) || mime_has_8bit(in->recipients[i].orcpt);
    }
    return found;
}

enum status dsn_compose(const struct dsn_input *in, struct buf *out)
{
    struct report r = {.in = in, .out = out, .utf8 = in->utf8 && holds_utf8(in)};
    put_head(&r, actions[in->action].subject);
    put(&r, r.utf8 ? "Content-Type: multipart/report; report-type=global-delivery-status;\r\n\tboundary=\""
                   : "Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"");
    put_line(&r, in->boundary, 70);
    put(&r, "\"\r\n\r\n");
    put_part(&r, r.utf8 ? "text/plain; charset=utf-8" : "text/plain; charset=us-ascii", put_human);
    put_part(&r, r.utf8 ? "message/global-delivery-status" : "message/delivery-status", put_status);
    if (in->whole.len > 0) {
        put_whole(&r);
    } else {
        put_part(&r, r.utf8 ? "message/global-headers" : "text/rfc822-headers", put_header);
    }
    put_delimiter(&r, "--\r\n");
    return r.status;
}

enum status dsn_notice_compose(const struct dsn_input *in, bool held, struct slice id, struct buf *out)
{
    struct report r = {.in = in, .out = out};
    char arrival[TIME_RFC5322_SIZE];
    time_format_rfc5322(in->arrival_ms, arrival);
    put_head(&r, held ? "Your message is held" : "How your message was protected");
    put(&r, "Content-Type: text/plain; charset=us-ascii\r\n\r\nThis is the mail system at ");
    put_line(&r, in->reporting_mta, ADDRESS_TEXT_MAX);
    put(&r, ".\r\n\r\nYour message of ");
    put(&r, arrival);
    put(&r, " (");
    put_slice(&r, id);
    put(&r, held ? ")\r\nmust be encrypted and cannot be. It is held, for all its recipients, until an\r\n"
                   "administrator releases it; you need not send it again.\r\n"
                 : ")\r\nwas taken for delivery, for each recipient in this form.\r\n");
    put_people(&r);
    put(&r, "\r\n");
    return r.status;
}

/* --- what may be quoted --- */

static bool is_safe_field(struct slice line)
{
    static const char *const names[] = {"from", "sender",     "reply-to",    "to",        "cc",
                                        "date", "message-id", "in-reply-to", "references"};
    size_t len = slice_find_byte(line, ':');
    while (len > 0 && len < line.len && (line.data[len - 1] == ' ' || line.data[len - 1] == '\t')) {
        len--;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equal_nocase(slice_of(line.data, len), slice_of_text(names[i]))) {
            return true;
        }
    }
    return false;
}

enum status dsn_safe_header(struct slice header, struct buf *out)
{
    bool keeps = false;
    size_t at = 0;
    while (at < header.len) {
        struct slice rest = slice_of(header.data + at, header.len - at);
        size_t end = slice_find_byte(rest, '\n');
        struct slice line = slice_of(rest.data, end < rest.len ? end + 1 : end);
        bool goes_on = line.data[0] == ' ' || line.data[0] == '\t';
        keeps = goes_on ? keeps : is_safe_field(line);
        if (keeps && end < rest.len) { /* a line without its end was cut: it is left out */
            enum status status = buf_append_slice(out, line);
            if (status != STATUS_OK) {
                return status;
            }
        }
        at += line.len;
    }
    return STATUS_OK;
}
