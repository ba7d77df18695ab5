/* The Received field (smtp/trace_field.h). The names have been checked by the command parser: nothing in them
 * can fold or end it. */
#include "smtp/trace_field.h"

#include "base/clock.h"
#include "mail/mime_text.h"

enum status trace_field_append(const struct trace_facts *f, struct buf *out)
{
    char date[TIME_RFC5322_SIZE];
    time_format_rfc5322(f->now_ms, date);
    bool v6 = strchr(f->client_ip, ':') != NULL;
    bool tls = f->tls_version != NULL;
    /* RFC 3848 and RFC 6531 section 4.3 name the protocols; RFC 8314 section 4.3 the "tls" clause. */
    const char *protocol = f->utf8 && f->lmtp ? "UTF8LMTP"
                           : f->utf8          ? "UTF8SMTP"
                           : f->lmtp          ? "LMTP"
                           : f->esmtp         ? "ESMTP"
                                              : "SMTP";
    const char *secure = tls && (f->esmtp || f->lmtp) ? "S" : "";
    enum status status =
        buf_printf(out, "Received: from %s (%s%s%s%s%s)\r\n\tby %s (%s) with %s%s id %s", f->helo,
                   f->client_name != NULL ? f->client_name : "", f->client_name != NULL ? " " : "",
                   v6 ? "[IPv6:" : "[", f->client_ip, "]", f->hostname, f->mark, protocol, secure, f->id);
    if (status == STATUS_OK && tls) {
        status = buf_printf(out, "\r\n\t(%s) tls %s", f->tls_version, f->tls_cipher);
    }
    /* An address beyond ASCII would make the header one that not every next hop takes. */
    if (status == STATUS_OK && f->only_recipient.len > 0 && !mime_has_8bit(f->only_recipient)) {
        status = buf_printf(out, "\r\n\tfor <%.*s>", SLICE_ARGS(f->only_recipient));
    }
    if (status == STATUS_OK) {
        status = buf_printf(out, ";\r\n\t%s\r\n", date);
    }
    return status;
}
