/* The Received field (smtp/trace_field.h). The names have been checked by the command parser: nothing in them
 * can fold or end it. */
#include "smtp/trace_field.h"

#include "base/clock.h"

enum status trace_field_append(const struct trace_facts *f, struct buf *out)
{
    char date[TIME_RFC5322_SIZE];
    time_format_rfc5322(f->now_ms, date);
    bool v6 = strchr(f->client_ip, ':') != NULL;
    bool tls = f->tls_version != NULL;
    /* RFC 3848 names the protocols; RFC 8314 section 4.3 the "tls" clause. */
    const char *protocol = f->lmtp && tls ? "LMTPS"
                           : f->lmtp      ? "LMTP"
                           : !f->esmtp    ? "SMTP"
                           : tls          ? "ESMTPS"
                                          : "ESMTP";
    enum status status =
        buf_printf(out, "Received: from %s (%s%s%s%s%s)\r\n\tby %s (Sealpost) with %s id %s", f->helo,
                   f->client_name != NULL ? f->client_name : "", f->client_name != NULL ? " " : "",
                   v6 ? "[IPv6:" : "[", f->client_ip, "]", f->hostname, protocol, f->id);
    if (status == STATUS_OK && tls) {
        status = buf_printf(out, "\r\n\t(%s) tls %s", f->tls_version, f->tls_cipher);
    }
    if (status == STATUS_OK && f->only_recipient.len > 0) {
        status = buf_printf(out, "\r\n\tfor <%.*s>", SLICE_ARGS(f->only_recipient));
    }
    if (status == STATUS_OK) {
        status = buf_printf(out, ";\r\n\t%s\r\n", date);
    }
    return status;
}
