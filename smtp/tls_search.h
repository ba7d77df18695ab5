/*
 * What must be looked up before it can be decided what a host must show: the MTA-STS policy of the next hop's
 * domain (RFC 8461 section 3), and the host's TLSA records (RFC 7672 section 2.2). On the loop's thread.
 *
 *   TXT at _mta-sts.DOMAIN -> the policy that the cluster has under this id, or fetch is asked for it
 *   A, AAAA of the host, secure? -> TLSA at _PORT._tcp.NAME, where CNAMEs led to, then the name itself
 *
 * What can go wrong: the TXT record cannot be looked up or has gone: a policy that is in force counts, else
 * there is none. The policy cannot be fetched: the same, and `sts_problem` says so to reports. TLSA records
 * cannot be looked up although the address is signed: TLSA_FAILED, and the host is not used.
 */
#ifndef SEALPOST_SMTP_TLS_SEARCH_H
#define SEALPOST_SMTP_TLS_SEARCH_H

#include "smtp/fetch_line.h"
#include "smtp/resolver.h"
#include "smtp/tls_policy.h"

struct tls_search_question {
    struct resolver *resolver;
    struct fetch_line *fetch; /* NULL: no policy is fetched */
    struct store *store;      /* NULL: no policy is known */
    struct slice domain;      /* of the policy; empty: none is looked for */
    const char *host;
    uint16_t port;
    bool tlsa;  /* look for TLSA records */
    bool named; /* by a setting: that the name is not signed, or cannot be looked up, is no failure */
};

struct tls_search {
    struct tls_search_question question;
    void (*found)(void *context);
    void *context;
    struct resolver_request request;
    uint64_t asked; /* of fetch */
    enum dns_type type;
    char host[DNS_NAME_MAX + 1];
    bool second; /* TLSA: at the host's own name */
    /* results */
    bool has_sts;
    struct sts_policy sts;
    char sts_id[STS_ID_MAX + 1];
    uint8_t sts_mx[STS_MX_MAX];
    const char *sts_problem; /* of reports; NULL: there was none */
    enum tlsa_state tlsa;
    char base[DNS_NAME_MAX + 1]; /* whose records they are */
    struct tlsa_record records[TLSA_RECORDS_MAX];
    size_t record_count;
    struct buf data; /* of the records */
};

/* NULL: no memory. `found` is called once, perhaps from within tls_search_start(), unless it is freed before.
 */
struct tls_search *tls_search_new(const struct tls_search_question *q, void (*found)(void *context),
                                  void *context);
void tls_search_start(struct tls_search *s);
void tls_search_free(struct tls_search *s); /* NULL is fine */

#endif
