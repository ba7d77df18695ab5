/* A report as a mail (RFC 8460 section 5.3). Pure. */
#include "smtp/tls_report_send.h"

#include "base/clock.h"
#include "mail/transfer_encoding.h"

#include <zlib.h>

enum status tls_report_gzip(struct slice in, struct buf *out)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)in.data, .avail_in = (uInt)in.len};
    if (in.len > UINT32_MAX / 2 ||
        deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        return STATUS_NO_MEMORY;
    }
    size_t room = deflateBound(&z, (uLong)in.len);
    enum status status = buf_reserve(out, room);
    if (status == STATUS_OK) {
        z.next_out = out->data + out->len;
        z.avail_out = (uInt)room;
        status = deflate(&z, Z_FINISH) == Z_STREAM_END ? STATUS_OK : STATUS_INTERNAL;
        out->len += status == STATUS_OK ? z.total_out : 0;
    }
    (void)deflateEnd(&z);
    return status;
}

enum status tls_report_mail(const struct tls_report_letter *l, struct buf *out)
{
    char date[TIME_RFC5322_SIZE];
    uint64_t begin = l->day_ms / 1000, end = begin + TLS_REPORT_DAY_MS / 1000 - 1;
    time_format_rfc5322(l->now_ms, date);
    enum status status = buf_printf(
        out,
        "From: TLS reports of %s <%.*s>\r\nTo: <%.*s>\r\nDate: %s\r\nMessage-ID: <%s@%s>\r\n"
        "Subject: Report Domain: %.*s Submitter: %s\r\n Report-ID: <%s>\r\n"
        "TLS-Report-Domain: %.*s\r\nTLS-Report-Submitter: %s\r\nTLS-Required: No\r\n"
        "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
        "Content-Type: multipart/report; report-type=\"tlsrpt\"; boundary=\"tls-report-%s\"\r\n\r\n",
        l->hostname, SLICE_ARGS(l->from), SLICE_ARGS(l->to), date, l->message_id, l->hostname,
        SLICE_ARGS(l->domain), l->hostname, l->report_id, SLICE_ARGS(l->domain), l->hostname, l->message_id);
    if (status == STATUS_OK) {
        status = buf_printf(out,
                            "--tls-report-%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
                            "This is an aggregate TLS report of %s about mail to %.*s (RFC 8460).\r\n\r\n"
                            "--tls-report-%s\r\nContent-Type: application/tlsrpt+gzip\r\n"
                            "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment;\r\n"
                            " filename=\"%s!%.*s!%llu!%llu.json.gz\"\r\n\r\n",
                            l->message_id, l->hostname, SLICE_ARGS(l->domain), l->message_id, l->hostname,
                            SLICE_ARGS(l->domain), (unsigned long long)begin, (unsigned long long)end);
    }
    if (status == STATUS_OK) {
        status = base64_lines_encode(l->report, out);
    }
    return status == STATUS_OK ? buf_printf(out, "--tls-report-%s--\r\n", l->message_id) : status;
}
