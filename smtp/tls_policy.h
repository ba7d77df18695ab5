/*
 * What TLS must be on the way to one host, decided before a connection is made: from the settings of the
 * recipient's domain, REQUIRETLS of the message, TLSA records with their DNSSEC state, and the domain's
 * MTA-STS policy, to what the host must show. What several of them ask for is added up, so that the answer is
 * never weaker than any of them; only DANE stands in for MTA-STS where there are usable TLSA records (RFC
 * 8461 section 2). Pure.
 *
 * It looks nothing up and verifies nothing: smtp/client_tls.c does.
 */
#ifndef SEALPOST_SMTP_TLS_POLICY_H
#define SEALPOST_SMTP_TLS_POLICY_H

#include "smtp/sts_policy.h"

enum tls_mode {
    TLS_MODE_NONE,
    TLS_MODE_OPPORTUNISTIC, /* if it is offered and works */
    TLS_MODE_DANE,          /* opportunistic, and by DANE where there are TLSA records (RFC 7672) */
    TLS_MODE_ENCRYPT,       /* always; whose certificate it is does not matter */
    TLS_MODE_VERIFIED,      /* always, with a certificate for the host's name from a CA that is trusted */
    TLS_MODE_FINGERPRINT,   /* always, with one of these certificates or keys */
    TLS_MODE_DANE_ONLY      /* always, by DANE: without usable TLSA records mail waits */
};
/* Of delivery.tls; "required" is the old word for "encrypt". False: there is no such mode. */
bool tls_mode_of(struct slice text, enum tls_mode *out);

/* --- TLSA records (RFC 6698, as RFC 7672 uses them) --- */

#define TLSA_RECORDS_MAX 32
#define TLSA_DATA_MAX    ((size_t)8 << 10) /* bytes of one record: a certificate as it is (matching type 0) */

struct tlsa_record {
    uint8_t usage, selector, matching;
    struct slice data;
};
/* From the record's bytes in an answer. False: it is not one, or longer than TLSA_DATA_MAX. */
bool tlsa_record_read(struct slice rdata, struct tlsa_record *out);
/* DANE-TA(2) or DANE-EE(3), with a selector and a matching type that are known and data that fits; PKIX-TA
 * and PKIX-EE are not for SMTP (RFC 7672 section 3.1.3). Data of matching type 0 is looked at by OpenSSL
 * only. */
bool tlsa_record_usable(const struct tlsa_record *record);

enum tlsa_state {
    TLSA_NOT_ASKED, /* the MX or the host's addresses are not signed (RFC 7672 section 2.2), or nobody wants
                       it */
    TLSA_NONE,      /* DNSSEC proves that there is none, or the answer is not signed */
    TLSA_FOUND,     /* signed records */
    TLSA_FAILED     /* no answer, or a bogus one */
};

/* --- the decision --- */

struct tls_question {
    enum tls_mode mode;
    bool require_tls;    /* REQUIRETLS (RFC 8689) */
    bool is_address;     /* the host is an address: no name, no TLSA records, no MTA-STS */
    bool named_by_admin; /* the host is named by a setting or rule, not by MX records */
    bool mx_secure;      /* MX records: DNSSEC vouches for them */
    struct slice host;   /* lower case, without a final dot */
    enum tlsa_state tlsa;
    const struct tlsa_record *records; /* of TLSA_FOUND */
    size_t record_count;
    const struct sts_policy *sts; /* NULL: there is none, or it is not wanted */
};

/* Which policy speaks in reports (RFC 8460 section 4.4). */
enum tls_basis { TLS_BASIS_NONE, TLS_BASIS_STS, TLS_BASIS_TLSA };

struct tls_demand {
    bool use;       /* STARTTLS where it is offered */
    bool must;      /* nothing is said in plain text */
    bool named;     /* the certificate is for the host's name, from a CA that is trusted (RFC 6125) */
    bool pinned;    /* delivery.fingerprint has it */
    bool dane;      /* it fits a usable TLSA record */
    bool extension; /* the host must offer REQUIRETLS */
    bool mismatch;  /* of testing: the policy does not name this host */
    bool testing;   /* MTA-STS in testing: what `named` would find is counted, and stops nothing */
    enum tls_basis basis;
    const char *skip;        /* not NULL: this host must not be used, and this is why (static) */
    const char *skip_result; /* with it: the name of the failure in reports; NULL: it is none of TLS */
};
void tls_decide(const struct tls_question *q, struct tls_demand *out);

#endif
