/* The certificates that come along with a signature, for whoever looks for those that are missing. One
 * thread. */
#include "crypto/smime_internal.h"

#include "crypto/cms_scan.h"

#include <openssl/err.h>

#define SENT_CERTIFICATE_MAX ((size_t)64 << 10) /* bytes: a larger one is no issuer of anybody */

size_t smime_sent_certificates(struct slice cms, struct arena *a, struct slice out[SMIME_SENT_MAX])
{
    struct cms_facts facts;
    CMS_ContentInfo *parsed = NULL;
    STACK_OF(X509) * sent;
    size_t count = 0;

    if (cms_scan(cms, &facts) == STATUS_OK && facts.kind == CMS_KIND_SIGNED)
        parsed = smime_parse(cms);
    sent = parsed == NULL ? NULL : CMS_get1_certs(parsed);
    for (int i = 0; i < sk_X509_num(sent) && count < SMIME_SENT_MAX; i++) {
        struct buf der = BUF_INIT(SENT_CERTIFICATE_MAX);

        if (certificate_to_der(sk_X509_value(sent, i), &der) == STATUS_OK &&
            arena_copy(a, buf_slice(&der), &out[count]))
            count++;
        buf_release(&der);
    }
    sk_X509_pop_free(sent, X509_free);
    CMS_ContentInfo_free(parsed);
    ERR_clear_error();
    return count;
}
