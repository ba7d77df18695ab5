/*
 * Mails that tell people what expires (mail/notice.h). Subjects of certificates are anybody's words: they
 * become one line of printable ASCII each. Pure; any thread. It does not decide who gets one:
 * store/notice_plan.c does, and smtp/reminder.c sends it like any message, from the null sender.
 */
#include "mail/notice.h"

#include "base/clock.h"
#include "base/hex.h"
#include "mail/printable.h"

#define TEXT_MAX         300
#define ADDRESS_TEXT_MAX 330
#define DIGITS_SHOWN     8 /* bytes of a thumbprint */

static const struct {
    const char *title, *help;
} parts[] = {
    [NOTICE_PART_CERTIFICATES] = {"Certificates that expire",
                                  "Get new ones and import them (key import, cert import)."},
    [NOTICE_PART_RENEWALS] = {"Certificates that should have been renewed by now and were not",
                              "The log of the leading node says why (sealpostctl ca list shows the CAs)."},
    [NOTICE_PART_LISTS] = {"Revocation lists that should have been replaced by now and were not",
                           "What they say is no longer believed once they are too old (smime.revocation)."},
};

static enum status head_append(const struct notice_letter *n, struct buf *out)
{
    char date[TIME_RFC5322_SIZE];
    enum status status;
    struct slice domain = slice_of(n->to.data + n->to.len, 0);
    time_format_rfc5322(n->now_ms, date);
    for (size_t i = 0; i < n->to.len; i++) {
        if (n->to.data[i] == '@') {
            domain = slice_of(n->to.data + i + 1, n->to.len - i - 1);
        }
    }
    if ((status = buf_append_text(out, "From: Sealpost <")) != STATUS_OK ||
        (status = printable_line_append(out, n->from, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_append_text(out, ">\r\nTo: <")) != STATUS_OK ||
        (status = printable_line_append(out, n->to, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_printf(out, ">\r\nSubject: Sealpost: %zu reminder%s about certificates\r\nDate: %s\r\n",
                             n->count, n->count == 1 ? "" : "s", date)) != STATUS_OK ||
        (status = buf_append_text(out, "Message-ID: <")) != STATUS_OK ||
        (status = printable_line_append(out, n->id, ADDRESS_TEXT_MAX)) != STATUS_OK ||
        (status = buf_append_text(out, ".reminder@")) != STATUS_OK ||
        (status = printable_line_append(out, domain, ADDRESS_TEXT_MAX)) != STATUS_OK) {
        return status;
    }
    return buf_append_text(out, ">\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                                "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
}

static enum status line_append(const struct notice_letter *n, const struct notice_line *line, struct buf *out)
{
    char until[TIME_RFC3339_SIZE], id[2 * DIGITS_SHOWN + 1] = "";
    size_t shown = line->id.len < DIGITS_SHOWN ? line->id.len : DIGITS_SHOWN;
    enum status status;
    time_format_rfc3339(line->until_ms, until);
    hex_format(slice_of(line->id.data, shown), id);
    if ((status = buf_printf(out, "  %s  %s", until, line->until_ms <= n->now_ms ? "too old: " : "")) !=
            STATUS_OK ||
        (status = printable_line_append(out, line->text, TEXT_MAX)) != STATUS_OK ||
        (status = shown > 0 ? buf_printf(out, "  [%s]", id) : STATUS_OK) != STATUS_OK) {
        return status;
    }
    return buf_append_text(out, "\r\n");
}

static enum status part_append(const struct notice_letter *n, enum notice_part part, struct buf *out)
{
    enum status status = STATUS_OK;
    bool any = false;
    for (size_t i = 0; i < n->count && status == STATUS_OK; i++) {
        if (n->lines[i].part != part) {
            continue;
        }
        if (!any) {
            status = buf_printf(out, "%s:\r\n\r\n", parts[part].title);
        }
        any = true;
        if (status == STATUS_OK) {
            status = line_append(n, &n->lines[i], out);
        }
    }
    return any && status == STATUS_OK ? buf_printf(out, "\r\n%s\r\n\r\n", parts[part].help) : status;
}

enum status notice_compose(const struct notice_letter *n, struct buf *out)
{
    enum status status = head_append(n, out);
    for (int part = 0; part < NOTICE_PART_COUNT && status == STATUS_OK; part++) {
        status = part_append(n, (enum notice_part)part, out);
    }
    if (status == STATUS_OK && n->waiting > 0) {
        status =
            buf_printf(out, "%zu more did not fit into this mail and come another day.\r\n\r\n", n->waiting);
    }
    if (status == STATUS_OK) {
        status =
            buf_append_text(out, "Each is told once for each time of cert.expiry_warn. What was told and "
                                 "when: sealpostctl cert\r\n"
                                 "reminders. Who is told: the settings notify.to and notify.users. Sent by ");
    }
    if (status == STATUS_OK) {
        status = printable_line_append(out, n->gateway, ADDRESS_TEXT_MAX);
    }
    return status == STATUS_OK ? buf_append_text(out, ".\r\n") : status;
}
