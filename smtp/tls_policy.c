/* What TLS must be (smtp/tls_policy.h). */
#include "smtp/tls_policy.h"

#define SHA256_BYTES 32
#define SHA512_BYTES 64

bool tls_mode_of(struct slice text, enum tls_mode *out)
{
    static const struct {
        const char *name;
        enum tls_mode mode;
    } names[] = {
        {"none", TLS_MODE_NONE},
        {"opportunistic", TLS_MODE_OPPORTUNISTIC},
        {"dane", TLS_MODE_DANE},
        {"encrypt", TLS_MODE_ENCRYPT},
        {"required", TLS_MODE_ENCRYPT},
        {"verified", TLS_MODE_VERIFIED},
        {"fingerprint", TLS_MODE_FINGERPRINT},
        {"dane-only", TLS_MODE_DANE_ONLY},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (slice_equal(text, slice_of_text(names[i].name))) {
            *out = names[i].mode;
            return true;
        }
    }
    return false;
}

/* --- TLSA records --- */

bool tlsa_record_read(struct slice rdata, struct tlsa_record *out)
{
    if (rdata.len < 4 || rdata.len > TLSA_DATA_MAX + 3) {
        return false;
    }
    *out = (struct tlsa_record){.usage = rdata.data[0],
                                .selector = rdata.data[1],
                                .matching = rdata.data[2],
                                .data = slice_of(rdata.data + 3, rdata.len - 3)};
    return true;
}

bool tlsa_record_usable(const struct tlsa_record *r)
{
    if ((r->usage != 2 && r->usage != 3) || r->selector > 1) {
        return false;
    }
    switch (r->matching) {
    case 0:
        return r->data.len > 0;
    case 1:
        return r->data.len == SHA256_BYTES;
    case 2:
        return r->data.len == SHA512_BYTES;
    default:
        return false;
    }
}

static bool any_usable(const struct tls_question *q)
{
    for (size_t i = 0; i < q->record_count; i++) {
        if (tlsa_record_usable(&q->records[i])) {
            return true;
        }
    }
    return false;
}

/* --- the decision --- */

static void skip(struct tls_demand *d, const char *why, const char *result)
{
    if (d->skip == NULL) {
        d->skip = why;
        d->skip_result = result;
    }
}

/* RFC 7672 section 2.2: records that are there and cannot be used still ask for TLS. */
static void add_dane(const struct tls_question *q, struct tls_demand *d)
{
    bool only = q->mode == TLS_MODE_DANE_ONLY;
    if (q->mode != TLS_MODE_DANE && !only) {
        return;
    }
    switch (q->tlsa) {
    case TLSA_FAILED:
        d->basis = TLS_BASIS_TLSA;
        skip(d, "its TLSA records cannot be looked up, or DNSSEC says that the answer is forged",
             "dnssec-invalid");
        return;
    case TLSA_FOUND:
        d->basis = TLS_BASIS_TLSA;
        d->must = true;
        d->dane = any_usable(q);
        break;
    case TLSA_NONE:
    case TLSA_NOT_ASKED:
        break;
    }
    if (only && !d->dane) {
        d->basis = TLS_BASIS_TLSA;
        skip(d, "it has no usable TLSA record under DNSSEC, and delivery.tls is dane-only", "dane-required");
    }
}

/* RFC 8461 section 5. An address matches no pattern. */
static void add_sts(const struct tls_question *q, struct tls_demand *d)
{
    if (q->sts == NULL || q->sts->mode == STS_NONE || d->dane) {
        return;
    }
    bool matches = !q->is_address && sts_mx_matches(q->sts, q->host);
    if (d->basis == TLS_BASIS_NONE) {
        d->basis = TLS_BASIS_STS;
    }
    if (q->sts->mode == STS_TESTING) {
        d->use = true;
        d->testing = true;
        d->mismatch = !matches;
        return;
    }
    d->must = true;
    d->named = true;
    if (!matches) {
        skip(d, "the domain's MTA-STS policy does not name it", "validation-failure");
    }
}

/* RFC 8689 section 4.2.1: whom the name stands for must be known, then that it is the one. */
static void add_require_tls(const struct tls_question *q, struct tls_demand *d)
{
    if (!q->require_tls) {
        return;
    }
    bool known = q->named_by_admin || q->mx_secure ||
                 (q->sts != NULL && q->sts->mode == STS_ENFORCE && sts_mx_matches(q->sts, q->host));
    d->must = true;
    d->extension = true;
    if (!d->dane && !d->pinned) {
        d->named = true;
    }
    if (!known && !d->dane && !d->pinned) {
        skip(d, "nothing vouches for its name (DNSSEC or MTA-STS), which REQUIRETLS asks for", NULL);
    }
}

void tls_decide(const struct tls_question *q, struct tls_demand *out)
{
    *out = (struct tls_demand){.use = q->mode != TLS_MODE_NONE};
    out->must = q->mode == TLS_MODE_ENCRYPT || q->mode == TLS_MODE_VERIFIED ||
                q->mode == TLS_MODE_FINGERPRINT || q->mode == TLS_MODE_DANE_ONLY;
    out->named = q->mode == TLS_MODE_VERIFIED;
    out->pinned = q->mode == TLS_MODE_FINGERPRINT;
    add_dane(q, out);
    add_sts(q, out);
    add_require_tls(q, out);
    out->use = out->use || out->must;
    out->testing = out->testing && !out->named && !out->dane;
}
