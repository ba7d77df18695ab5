/*
 * Delivery status notifications (RFC 3464): "your message could not be delivered", or "it is late". A
 * multipart/report (RFC 6522) of three parts: a text for a human, message/delivery-status for programs, and
 * the header of the message.
 *
 * A remote server's reply, an address and the message's header are anybody's bytes: texts become one line of
 * printable ASCII, and the header goes in as quoted-printable as soon as it is not plain, so the notification
 * is always 7 bit and its boundary (random, from the caller) cannot be met. Pure; any thread. It does not
 * decide who gets one: smtp/ does, never to a null sender.
 */
#include "mail/dsn.h"

#include "base/clock.h"
#include "mail/mime_text.h"
#include "mail/printable.h"
#include "mail/transfer_encoding.h"

#define DIAGNOSTIC_MAX   700 /* bytes: with its name well below the 998 of a line (RFC 5322 2.1.1) */
#define ADDRESS_TEXT_MAX 330

/* "class.subject.detail" of the right class, or a general one (RFC 3463). */
static struct slice status_code(struct slice code, bool delayed)
{
    struct slice general = delayed ? SLICE_LITERAL("4.0.0") : SLICE_LITERAL("5.0.0");
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
                (code.data[0] == '4' || (code.data[0] == '5' && !delayed)) && code.data[1] == '.';
    return fits ? code : general;
}

/* From, To, Subject, Date, Message-ID, up to what closes that. */
static enum status fields_append(const struct dsn_input *in, const char *subject, struct buf *out)
{
    char date[TIME_RFC5322_SIZE];
    time_format_rfc5322(in->now_ms, date);
    enum status status;
    if ((status = buf_append_text(out, "From: Mail Delivery System <MAILER-DAEMON@")) != STATUS_OK ||
        (status = printable_line_append(out, in->reporting_mta, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_append_text(out, ">\r\nTo: <")) != STATUS_OK ||
        (status = printable_line_append(out, in->to, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_printf(out, ">\r\nSubject: %s\r\nDate: %s\r\nMessage-ID: <", subject, date)) !=
            STATUS_OK) {
        return status;
    }
    struct slice id = in->message_id;
    if (id.len >= 2 && id.data[0] == '<' && id.data[id.len - 1] == '>') {
        id = slice_of(id.data + 1, id.len - 2);
    }
    if ((status = printable_line_append(out, id, ADDRESS_TEXT_MAX)) != STATUS_OK) {
        return status;
    }
    if (slice_find_byte(id, '@') == id.len) {
        if ((status = buf_append_byte(out, '@')) != STATUS_OK ||
            (status = printable_line_append(out, in->reporting_mta, ADDRESS_TEXT_MAX)) != STATUS_OK) {
            return status;
        }
    }
    return buf_append_text(out, ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n");
}

static enum status head_append(const struct dsn_input *in, struct buf *out)
{
    enum status status = fields_append(
        in, in->delayed ? "Your message is delayed" : "Your message could not be delivered", out);
    if (status != STATUS_OK ||
        (status = buf_append_text(out, "Content-Type: multipart/report; report-type=delivery-status;\r\n"
                                       "\tboundary=\"")) != STATUS_OK ||
        (status = printable_line_append(out, in->boundary, 70)) != STATUS_OK) {
        return status;
    }
    return buf_append_text(out, "\"\r\n\r\n");
}

static enum status delimiter_append(const struct dsn_input *in, const char *end, struct buf *out)
{
    enum status status;
    if ((status = buf_append_text(out, "--")) != STATUS_OK ||
        (status = printable_line_append(out, in->boundary, 70)) != STATUS_OK) {
        return status;
    }
    return buf_append_text(out, end);
}

/* Each recipient, and what is to be said of it. */
static enum status people_append(const struct dsn_input *in, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < in->recipient_count; i++) {
        const struct dsn_recipient *r = &in->recipients[i];
        if ((status = buf_append_text(out, "\r\n<")) != STATUS_OK ||
            (status = printable_line_append(out, r->address, ADDRESS_TEXT_MAX)) != STATUS_OK ||
            (status = buf_append_text(out, ">:\r\n    ")) != STATUS_OK ||
            (status = printable_line_append(out, r->diagnostic, DIAGNOSTIC_MAX)) != STATUS_OK ||
            (status = buf_append_text(out, "\r\n")) != STATUS_OK) {
            return status;
        }
    }
    return buf_append_text(out, "\r\n");
}

static enum status human_part_append(const struct dsn_input *in, struct buf *out)
{
    enum status status;
    char arrival[TIME_RFC5322_SIZE];
    time_format_rfc5322(in->arrival_ms, arrival);
    if ((status = delimiter_append(in, "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n", out)) !=
            STATUS_OK ||
        (status = buf_append_text(out, "This is the mail system at ")) != STATUS_OK ||
        (status = printable_line_append(out, in->reporting_mta, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_printf(
             out, ".\r\n\r\nYour message of %s\r\n%s\r\n", arrival,
             in->delayed ? "has not yet been delivered to those named below. It is still being tried;\r\n"
                           "you need not send it again."
                         : "could not be delivered to those named below.")) != STATUS_OK) {
        return status;
    }
    return people_append(in, out);
}

static enum status recipient_append(const struct dsn_input *in, const struct dsn_recipient *r,
                                    struct buf *out)
{
    enum status status;
    if ((status = buf_append_text(out, "\r\nFinal-Recipient: rfc822; ")) != STATUS_OK ||
        (status = printable_line_append(out, r->address, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_printf(out, "\r\nAction: %s\r\nStatus: ", in->delayed ? "delayed" : "failed")) !=
            STATUS_OK ||
        (status = buf_append_slice(out, status_code(r->status, in->delayed))) != STATUS_OK ||
        (status = buf_append_text(out, "\r\n")) != STATUS_OK) {
        return status;
    }
    if (r->remote_mta.len > 0) {
        if ((status = buf_append_text(out, "Remote-MTA: dns; ")) != STATUS_OK ||
            (status = printable_line_append(out, r->remote_mta, ADDRESS_TEXT_MAX)) != STATUS_OK ||
            (status = buf_append_text(out, "\r\n")) != STATUS_OK) {
            return status;
        }
    }
    if (r->diagnostic.len > 0) {
        /* RFC 3464 2.3.6: type "smtp" only for what an SMTP server said. */
        if ((status = buf_printf(out, "Diagnostic-Code: %s; ",
                                 r->remote_mta.len > 0 ? "smtp" : "x-sealpost")) != STATUS_OK ||
            (status = printable_line_append(out, r->diagnostic, DIAGNOSTIC_MAX)) != STATUS_OK ||
            (status = buf_append_text(out, "\r\n")) != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static enum status status_part_append(const struct dsn_input *in, struct buf *out)
{
    enum status status;
    char arrival[TIME_RFC5322_SIZE];
    time_format_rfc5322(in->arrival_ms, arrival);
    if ((status =
             delimiter_append(in, "\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; ",
                              out)) != STATUS_OK ||
        (status = printable_line_append(out, in->reporting_mta, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_printf(out, "\r\nArrival-Date: %s\r\n", arrival)) != STATUS_OK) {
        return status;
    }
    for (size_t i = 0; i < in->recipient_count; i++) {
        if ((status = recipient_append(in, &in->recipients[i], out)) != STATUS_OK) {
            return status;
        }
    }
    return buf_append_text(out, "\r\n");
}

static enum status header_part_append(const struct dsn_input *in, struct buf *out)
{
    bool plain = mime_is_plain_7bit(in->header);
    enum status status = delimiter_append(in, "\r\nContent-Type: text/rfc822-headers\r\n", out);
    if (status == STATUS_OK && !plain) {
        status = buf_append_text(out, "Content-Transfer-Encoding: quoted-printable\r\n");
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    if (status == STATUS_OK) {
        status = plain ? buf_append_slice(out, in->header) : quoted_printable_encode(in->header, out);
    }
    if (status == STATUS_OK) {
        status = buf_append_text(out, "\r\n");
    }
    return status == STATUS_OK ? delimiter_append(in, "--\r\n", out) : status;
}

enum status dsn_compose(const struct dsn_input *in, struct buf *out)
{
    enum status status;
    if ((status = head_append(in, out)) != STATUS_OK || (status = human_part_append(in, out)) != STATUS_OK ||
        (status = status_part_append(in, out)) != STATUS_OK) {
        return status;
    }
    return header_part_append(in, out);
}

enum status dsn_notice_compose(const struct dsn_input *in, bool held, struct slice id, struct buf *out)
{
    char arrival[TIME_RFC5322_SIZE];
    time_format_rfc5322(in->arrival_ms, arrival);
    enum status status =
        fields_append(in, held ? "Your message is held" : "How your message was protected", out);
    if (status != STATUS_OK ||
        (status = buf_append_text(out, "Content-Type: text/plain; charset=us-ascii\r\n\r\n"
                                       "This is the mail system at ")) != STATUS_OK ||
        (status = printable_line_append(out, in->reporting_mta, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_printf(
             out, ".\r\n\r\nYour message of %s (%.*s)\r\n%s\r\n", arrival, SLICE_ARGS(id),
             held ? "must be encrypted and cannot be. It is held, for all its recipients, until an\r\n"
                    "administrator releases it; you need not send it again."
                  : "was taken for delivery, for each recipient in this form.")) != STATUS_OK) {
        return status;
    }
    return people_append(in, out);
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
