/*
 * What a decision costs: a store with USERS users (each with a setting of its own), 5,000 domains (each with
 * two) and 200 rules, and messages of one sender to 1, 10 and 100 recipients of different domains, with a
 * trace as mail has it. Half of the recipients have a certificate that is usable.
 *
 *   decision_bench [USERS [RECIPIENTS]]     RECIPIENTS: 1, 10 or 100: only these
 *
 * Prints microseconds a recipient, all of the decision included.
 */
#include "bench/policy/bench_world.h"
#include "mail/policy.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { DOMAINS = 5000, RULES = 200, CERTIFIED = 1000, ROUNDS = 200 };

static void make_settings(struct store *store, unsigned users)
{
    char scope[64];
    world_set(store, SETTING_DOMAIN, "ours.example", "domain.locality", "internal");
    for (unsigned i = 0; i < DOMAINS; i++) {
        require(snprintf(scope, sizeof scope, "d%u.example", i) > 0, "no text");
        world_set(store, SETTING_DOMAIN, scope, "encrypt.mode", i % 2 == 0 ? "opportunistic" : "request");
        world_set(store, SETTING_DOMAIN, scope, "smime.cipher", "auto");
    }
    for (unsigned i = 0; i < users; i++) {
        require(snprintf(scope, sizeof scope, "user%u@d%u.example", i, i % DOMAINS) > 0, "no text");
        world_set(store, SETTING_USER, scope, "sign.mode", "none");
        if (i % 10000 == 0) {
            world_commit(store);
        }
    }
    world_commit(store);
}

/* One self-signed certificate for the first CERTIFIED users of even numbers, which is trusted. */
static void make_certificate(struct store *store, uint64_t now_ms)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    X509_NAME *name = X509_NAME_new();
    unsigned char *bytes = NULL;
    struct certificate_record record;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct failure f = {.status = STATUS_OK};
    struct arena a;
    struct command c;
    static char addresses[CERT_ADDRESSES_MAX][64];
    arena_init(&a, (size_t)1 << 20);
    require(key != NULL && x != NULL && name != NULL &&
                X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"bench", -1, -1,
                                           0) == 1 &&
                X509_set_version(x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(x), 1) == 1 &&
                X509_set_subject_name(x, name) == 1 && X509_set_issuer_name(x, name) == 1 &&
                X509_gmtime_adj(X509_getm_notBefore(x), -3600) != NULL &&
                X509_gmtime_adj(X509_getm_notAfter(x), 86400) != NULL && X509_set_pubkey(x, key) == 1 &&
                X509_sign(x, key, EVP_sha256()) > 0,
            "no certificate");
    int len = i2d_X509(x, &bytes);
    require(len > 0 && certificate_describe(slice_of(bytes, (size_t)len), SLICE_LITERAL("bench"), now_ms, &a,
                                            &record, &f) == STATUS_OK,
            f.text);
    record.address_count = CERT_ADDRESSES_MAX;
    for (unsigned i = 0; i < CERT_ADDRESSES_MAX; i++) {
        require(snprintf(addresses[i], sizeof addresses[i], "user%u@d%u.example", i * 2, i * 2) > 0,
                "no text");
        record.addresses[i] = slice_of_text(addresses[i]);
    }
    require(certificate_record_encode(&record, &encoded) == STATUS_OK, "no record");
    command_init(&c, COMMAND_CERT_ADD, 1, SLICE_LITERAL("bench"));
    c.values[0].bytes = buf_slice(&encoded);
    world_apply(store, &c);
    command_init(&c, COMMAND_TRUST_ADD, 1, SLICE_LITERAL("bench"));
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    world_apply(store, &c);
    world_commit(store);
    OPENSSL_free(bytes);
    X509_NAME_free(name);
    X509_free(x);
    EVP_PKEY_free(key);
    buf_release(&encoded);
    arena_release(&a);
}

/* Microseconds a recipient, the least of ROUNDS. */
static double measure(struct store_view *view, struct trust *trust, struct known *known,
                      struct ruleset *rules, unsigned recipients, uint64_t now_ms, size_t *encrypted)
{
    double best = 1e9;
    static const char text[] =
        "From: user5@ours.example\r\nTo: others\r\nSubject: An offer for the matter that we spoke of\r\n"
        "Content-Type: text/plain\r\nX-Class: public\r\n\r\nHello\r\n";
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct arena a;
        struct entity message;
        struct shape shape;
        struct message_facts facts;
        struct policy_decision d;
        struct failure f = {.status = STATUS_OK};
        arena_init(&a, (size_t)64 << 20);
        require(entity_read(slice_of_text(text), &a, &message, &f) == STATUS_OK &&
                    shape_of(&message, &a, &shape, &f) == STATUS_OK &&
                    message_facts_read(&message, &shape, &a, &facts, &f) == STATUS_OK,
                f.text);
        struct slice *to = arena_alloc_array(&a, recipients, sizeof to[0]);
        require(to != NULL, "no memory");
        for (unsigned i = 0; i < recipients; i++) {
            unsigned n = i < 64 && i % 2 == 0 ? i : 1001 + 37 * i;
            char *address = arena_printf(&a, "user%u@d%u.example", n, n % DOMAINS);
            require(address != NULL, "no memory");
            to[i] = slice_of_text(address);
        }
        struct policy_facts asked = {.from = slice_of_text(facts.from),
                                     .envelope_sender = slice_of_text(facts.from),
                                     .subject = facts.subject,
                                     .message = &facts,
                                     .now_ms = now_ms,
                                     .known = known,
                                     .rules = rules};
        double begin = now_us();
        require(policy_decide(view, trust, &asked, to, recipients, &a, &d, &f) == STATUS_OK, f.text);
        double took = (now_us() - begin) / recipients;
        best = took < best ? took : best;
        *encrypted = 0;
        for (unsigned i = 0; i < recipients; i++) {
            require(d.recipients[i].status == STATUS_OK, "a recipient was refused");
            *encrypted += (d.recipients[i].protection & PROTECT_ENCRYPT) != 0;
        }
        shape_release(&shape);
        arena_release(&a);
    }
    return best;
}

int main(int argc, char **argv)
{
    unsigned users = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
    unsigned only = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
    uint64_t now_ms = clock_wall_ms();
    char dir[] = "/tmp/decision-bench-XXXXXX", path[64], when[300], command[96];
    struct store *store;
    struct store_view *view;
    struct trust *trust;
    struct known *known;
    struct ruleset *rules;
    struct failure f = {.status = STATUS_OK};
    require(smime_start(&f) == STATUS_OK, f.text); /* as a worker: memory that was used once is kept */
    require(mkdtemp(dir) != NULL && snprintf(path, sizeof path, "%s/state", dir) > 0, "no folder");
    require(store_open_writer(path, BOOT, &store, &f) == STATUS_OK, f.text);
    make_groups(store);
    make_settings(store, users);
    make_certificate(store, now_ms);
    require(store_view_begin(store, &view, &f) == STATUS_OK && ruleset_new(&rules) == STATUS_OK &&
                trust_load(view, &trust, &f) == STATUS_OK && known_new(&known) == STATUS_OK,
            "no memory");
    for (unsigned i = 0; i < RULES; i++) {
        rule_text(i, RULES, when);
        require(ruleset_add(rules, view, SLICE_LITERAL("rule"), slice_of_text(when),
                            SLICE_LITERAL("tag \"X-A: b\""), &f) == STATUS_OK &&
                    f.status == STATUS_OK,
                f.text);
    }
    printf("%u users, %d domains, %d rules\n", users, DOMAINS, RULES);
    for (unsigned recipients = 1; recipients <= 100; recipients *= 10) {
        size_t encrypted;
        if (only != 0 && recipients != only) {
            continue;
        }
        double took = measure(view, trust, known, rules, recipients, now_ms, &encrypted);
        printf("%3u recipients, %2zu encrypted %8.1f us each\n", recipients, encrypted, took);
    }
    known_free(known);
    trust_free(trust);
    ruleset_free(rules);
    store_view_end(view);
    store_close(store);
    require(snprintf(command, sizeof command, "rm -rf %s", dir) > 0 && system(command) == 0,
            "the folder stays");
    return 0;
}
