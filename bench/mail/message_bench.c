/*
 * CPU time of a whole message in a worker (MIME, facts, policy with 200 rules, certificates, keys, S/MIME,
 * the message that leaves), beside a bare loop over OpenSSL's CMS that makes the same cryptographic object
 * from the same bytes with keys and certificates that it keeps parsed, and writes it as DER: no MIME, no
 * base64, no decision; and beside the same loop that reads and writes S/MIME messages by OpenSSL's own
 * functions, as its command does: MIME and base64, no decision.
 *
 *   message_bench [ROUNDS [CASE [BYTES]]]     one line a case, tab-separated: case, bytes, ours (us), bare
 *                                             (us), ratio to it, bare with S/MIME (us), ratio to it; CASE:
 *                                             only this one ("p-256, sign"), to profile
 *
 * All run in one process, in turns, so that a noisy machine is noisy for all; the least of all rounds
 * counts. Two stores with the same people: in one, alice's domain is internal and bob's is not; in the other
 * it is the other way round. So what alice sends to bob in the first is what bob receives in the second.
 */
#include "bench/policy/bench_world.h"
#include "crypto/smime.h"
#include "mail/flow.h"

#include <openssl/cms.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <time.h>

enum { RULES = 200, PEOPLE = 2 };
enum operation { SIGN, ENCRYPT, SIGN_AND_ENCRYPT, DECRYPT_AND_VERIFY, OPERATIONS };
static const char *const operation_names[] = {"sign", "encrypt", "sign and encrypt", "decrypt and verify"};

struct person {
    char address[64];
    EVP_PKEY *key;
    X509 *x;
    struct buf der;
};

struct place { /* a store, and what a worker keeps of it */
    char dir[64];
    struct store *store;
    struct store_view *view;
    struct keyring keys;
    struct trust *trust;
    struct known *known;
    struct ruleset *rules;
};

static uint64_t now_ms;

static double cpu_us(void)
{
    struct timespec t;
    require(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0, "no CPU clock");
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void random_cb(void *context, void *out, size_t len)
{
    (void)context;
    random_bytes(out, len);
}

/* --- people --- */

static void add_extension(X509 *x, int nid, const char *value)
{
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
    require(e != NULL && X509_add_ext(x, e, -1) == 1, "no extension");
    X509_EXTENSION_free(e);
}

static void person_make(struct person *p, const char *address, EVP_PKEY *key)
{
    char name[80];
    *p = (struct person){.key = key, .x = X509_new(), .der = BUF_INIT((size_t)1 << 16)};
    X509_NAME *subject = X509_get_subject_name(p->x);
    require(key != NULL && snprintf(p->address, sizeof p->address, "%s", address) > 0 &&
                snprintf(name, sizeof name, "email:%s", address) > 0,
            "no key");
    require(X509_set_version(p->x, 2) == 1 && ASN1_INTEGER_set(X509_get_serialNumber(p->x), 7) == 1 &&
                X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)address, -1,
                                           -1, 0) == 1 &&
                X509_set_issuer_name(p->x, subject) == 1 &&
                X509_gmtime_adj(X509_getm_notBefore(p->x), -86400) != NULL &&
                X509_gmtime_adj(X509_getm_notAfter(p->x), 86400) != NULL && X509_set_pubkey(p->x, key) == 1,
            "no certificate");
    add_extension(p->x, NID_subject_alt_name, name);
    require(X509_sign(p->x, key, EVP_sha256()) > 0 && certificate_to_der(p->x, &p->der) == STATUS_OK,
            "no certificate");
}

static void person_release(struct person *p)
{
    EVP_PKEY_free(p->key);
    X509_free(p->x);
    buf_release(&p->der);
}

/* --- places --- */

static void put_person(struct place *p, const struct person *who)
{
    struct certificate_record record;
    struct buf encoded = BUF_INIT(COMMAND_MAX), sealed = BUF_INIT(1 << 16);
    struct failure f = {.status = STATUS_OK};
    struct command c;
    struct arena a;
    arena_init(&a, 1 << 20);
    require(certificate_describe(buf_slice(&who->der), SLICE_LITERAL("bench"), now_ms, &a, &record, &f) ==
                    STATUS_OK &&
                certificate_record_encode(&record, &encoded) == STATUS_OK &&
                private_key_seal(&p->keys, record.thumbprint, who->key, &sealed, &f) == STATUS_OK,
            f.text);
    struct slice thumbprint = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    command_init(&c, COMMAND_CERT_ADD, 1, SLICE_LITERAL("bench"));
    c.values[0].bytes = buf_slice(&encoded);
    world_apply(p->store, &c);
    command_init(&c, COMMAND_KEY_ADD, 1, SLICE_LITERAL("bench"));
    c.values[0].bytes = thumbprint;
    c.values[1].bytes = buf_slice(&sealed);
    world_apply(p->store, &c);
    command_init(&c, COMMAND_TRUST_ADD, 1, SLICE_LITERAL("bench"));
    c.values[0].bytes = thumbprint;
    world_apply(p->store, &c);
    buf_release(&encoded);
    buf_release(&sealed);
    arena_release(&a);
}

static void place_make(struct place *p, const char *internal, const struct person people[PEOPLE])
{
    struct failure f = {.status = STATUS_OK};
    struct buf wrapped = BUF_INIT(1024);
    uint8_t kek[KEY_SIZE];
    char path[80], when[300];
    *p = (struct place){.dir = "/tmp/message-bench-XXXXXX"};
    require(mkdtemp(p->dir) != NULL && snprintf(path, sizeof path, "%s/state", p->dir) > 0, "no folder");
    require(store_open_writer(path, BOOT, &p->store, &f) == STATUS_OK, f.text);
    random_bytes(kek, sizeof kek);
    require(secret_copy(&p->keys.kek, slice_of(kek, sizeof kek)) == STATUS_OK &&
                keyring_wrap_new_data_key(secret_slice(&p->keys.kek), p->keys.data_key_id, &wrapped,
                                          &p->keys.data_key) == STATUS_OK,
            "no keys");
    p->keys.has_data_key = true;
    make_groups(p->store);
    world_set(p->store, SETTING_DOMAIN, internal, "domain.locality", "internal");
    for (size_t i = 0; i < PEOPLE; i++) {
        put_person(p, &people[i]);
    }
    world_commit(p->store);
    require(store_view_begin(p->store, &p->view, &f) == STATUS_OK &&
                trust_load(p->view, &p->trust, &f) == STATUS_OK && known_new(&p->known) == STATUS_OK &&
                ruleset_new(&p->rules) == STATUS_OK,
            f.text);
    for (unsigned i = 0; i < RULES - 1; i++) { /* without the last, which would match */
        rule_text(i, RULES, when);
        require(ruleset_add(p->rules, p->view, SLICE_LITERAL("rule"), slice_of_text(when),
                            SLICE_LITERAL("tag \"X-A: b\""), &f) == STATUS_OK &&
                    f.status == STATUS_OK,
                f.text);
    }
    buf_release(&wrapped);
}

static void look_again(struct place *p)
{
    struct failure f;
    world_commit(p->store);
    store_view_end(p->view);
    require(store_view_begin(p->store, &p->view, &f) == STATUS_OK, f.text);
}

static void place_release(struct place *p)
{
    char command[96];
    known_free(p->known);
    trust_free(p->trust);
    ruleset_free(p->rules);
    keyring_release(&p->keys);
    store_view_end(p->view);
    store_close(p->store);
    require(snprintf(command, sizeof command, "rm -rf %s", p->dir) > 0 && system(command) == 0,
            "the folder stays");
}

/* --- the two sides --- */

/* The message that leaves, when `kept` is given. */
static void ours(struct place *p, const struct person *from, const struct person *to, struct slice message,
                 const char *protection, struct buf *kept)
{
    struct slice recipient = slice_of_text(to->address);
    struct job_message job = {.job = 1,
                              .message_id = "00000000000000000000000000",
                              .now_ms = now_ms,
                              .sender = slice_of_text(from->address),
                              .recipients = &recipient,
                              .recipient_count = 1};
    struct mail_environment env = {.view = p->view,
                                   .trust = p->trust,
                                   .keys = &p->keys,
                                   .known = p->known,
                                   .rules = p->rules,
                                   .random = random_cb};
    struct mail_output out;
    struct arena a;
    arena_init(&a, (size_t)128 << 20);
    mail_process(&env, &job, message, &a, &out);
    require(out.result.status == STATUS_OK && out.result.variant_count == 1 &&
                slice_equal(out.result.variants[0].protection, slice_of_text(protection)),
            "another outcome than was to be measured");
    if (kept != NULL) {
        *kept = out.contents[0];
        out.contents[0] = BUF_INIT(0);
    }
    mail_output_release(&out);
    arena_release(&a);
}

static struct slice bare_sign(const struct person *from, struct slice entity)
{
    unsigned char *der = NULL;
    BIO *in = BIO_new_mem_buf(entity.data, (int)entity.len);
    CMS_ContentInfo *cms = CMS_sign(from->x, from->key, NULL, in, CMS_BINARY | CMS_DETACHED);
    int len = cms == NULL ? 0 : i2d_CMS_ContentInfo(cms, &der);
    require(len > 0, "the bare loop does not sign");
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return slice_of(der, (size_t)len);
}

static struct slice bare_encrypt(STACK_OF(X509) * to, struct slice entity)
{
    unsigned char *der = NULL;
    BIO *in = BIO_new_mem_buf(entity.data, (int)entity.len);
    CMS_ContentInfo *cms = CMS_encrypt(to, in, EVP_aes_256_cbc(), CMS_BINARY);
    int len = cms == NULL ? 0 : i2d_CMS_ContentInfo(cms, &der);
    require(len > 0, "the bare loop does not encrypt");
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    return slice_of(der, (size_t)len);
}

struct bare_input { /* of decrypting and verifying */
    struct slice enveloped, signature, entity, message;
    X509_STORE *anchors;
};

static void bare_open(const struct person *to, const struct bare_input *b)
{
    BIO *in = BIO_new_mem_buf(b->enveloped.data, (int)b->enveloped.len), *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = d2i_CMS_bio(in, NULL);
    require(cms != NULL && CMS_decrypt(cms, to->key, to->x, NULL, out, CMS_BINARY) == 1,
            "the bare loop does not decrypt");
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(out);
    in = BIO_new_mem_buf(b->signature.data, (int)b->signature.len);
    out = BIO_new_mem_buf(b->entity.data, (int)b->entity.len);
    cms = d2i_CMS_bio(in, NULL);
    require(cms != NULL && CMS_verify(cms, NULL, b->anchors, out, NULL, CMS_BINARY) == 1,
            "the bare loop does not verify");
    CMS_ContentInfo_free(cms);
    BIO_free(in);
    BIO_free(out);
}

/* --- the bare loop with S/MIME in and out --- */

static BIO *whole_sign(const struct person *from, BIO *entity)
{
    const unsigned flags = CMS_BINARY | CMS_DETACHED | CMS_STREAM; /* signed while it is written */
    BIO *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_sign(from->x, from->key, NULL, entity, flags);
    require(cms != NULL && SMIME_write_CMS(out, cms, entity, (int)flags) == 1, "the bare loop does not sign");
    CMS_ContentInfo_free(cms);
    return out;
}

static BIO *whole_encrypt(STACK_OF(X509) * to, BIO *entity)
{
    BIO *out = BIO_new(BIO_s_mem());
    CMS_ContentInfo *cms = CMS_encrypt(to, entity, EVP_aes_256_cbc(), CMS_BINARY);
    require(cms != NULL && SMIME_write_CMS(out, cms, NULL, CMS_BINARY) == 1,
            "the bare loop does not encrypt");
    CMS_ContentInfo_free(cms);
    return out;
}

static void whole_open(const struct person *to, X509_STORE *anchors, BIO *message)
{
    BIO *opened = BIO_new(BIO_s_mem()), *content = NULL;
    CMS_ContentInfo *cms = SMIME_read_CMS(message, NULL);
    require(cms != NULL && CMS_decrypt(cms, to->key, to->x, NULL, opened, CMS_BINARY) == 1,
            "the bare loop does not decrypt");
    CMS_ContentInfo_free(cms);
    cms = SMIME_read_CMS(opened, &content);
    require(cms != NULL && content != NULL && CMS_verify(cms, NULL, anchors, content, NULL, CMS_BINARY) == 1,
            "the bare loop does not verify");
    CMS_ContentInfo_free(cms);
    BIO_free(content);
    BIO_free(opened);
}

/* --- measuring --- */

struct bench {
    struct person people[PEOPLE]; /* alice@ours.example, bob@partner.example */
    struct place places[PEOPLE];  /* where each of them is internal */
    STACK_OF(X509) * to;
    const char *key_name;
    size_t rounds;
    const char *only; /* name of the one case to run, and its bytes; NULL, 0: all */
    uint64_t only_bytes;
};

static void message_make(struct bench *b, size_t size, struct buf *out, size_t *header)
{
    require(
        buf_printf(out,
                   "From: <%s>\r\nTo: <%s>\r\nSubject: a message of some length\r\nDate: Tue, 24 Nov 2026 "
                   "10:05:04 +0000\r\nMessage-ID: <1@ours.example>\r\nMIME-Version: 1.0\r\n",
                   b->people[0].address, b->people[1].address) == STATUS_OK,
        "no memory");
    *header = out->len;
    require(buf_append_text(out, "Content-Type: text/plain; charset=us-ascii\r\n\r\n") == STATUS_OK,
            "no memory");
    while (out->len < size) {
        require(buf_append_text(
                    out, "All that is gold does not glitter, not all those who wander are lost.\r\n") ==
                    STATUS_OK,
                "no memory");
    }
}

static void operation_prepare(struct bench *b, enum operation operation)
{
    struct place *p = &b->places[0];
    world_set(p->store, SETTING_GLOBAL, "", "sign.mode",
              operation == SIGN      ? "always"
              : operation == ENCRYPT ? "none"
                                     : "with-encryption");
    world_set(p->store, SETTING_GLOBAL, "", "encrypt.mode", operation == SIGN ? "none" : "mandatory");
    look_again(p);
}

static void free_slice(struct slice s)
{
    OPENSSL_free((void *)(uintptr_t)s.data);
}

static void bare_once(struct bench *b, enum operation operation, struct slice entity,
                      const struct bare_input *input)
{
    struct slice signature = {0}, enveloped = {0};
    if (operation == DECRYPT_AND_VERIFY) {
        bare_open(&b->people[1], input);
        return;
    }
    if (operation != ENCRYPT) {
        signature = bare_sign(&b->people[0], entity);
    }
    if (operation != SIGN) {
        enveloped = bare_encrypt(b->to, entity);
    }
    free_slice(signature);
    free_slice(enveloped);
}

/* What is written, where something is. */
static BIO *whole_once(struct bench *b, enum operation operation, const struct bare_input *input)
{
    bool opens = operation == DECRYPT_AND_VERIFY;
    struct slice text = opens ? input->message : input->entity;
    BIO *in = BIO_new_mem_buf(text.data, (int)text.len), *made = NULL;
    if (opens) {
        whole_open(&b->people[1], input->anchors, in);
        BIO_free(in);
        return NULL;
    }
    if (operation != ENCRYPT) {
        made = whole_sign(&b->people[0], in);
    }
    if (operation != SIGN) {
        BIO *whole = whole_encrypt(b->to, made != NULL ? made : in);
        BIO_free(made);
        made = whole;
    }
    BIO_free(in);
    return made;
}

static void measure(struct bench *b, enum operation operation, size_t size, size_t repeats)
{
    static const char *const protections[] = {"smime-signed", "smime-encrypted", "smime-signed-encrypted",
                                              "decrypted"};
    struct buf message = BUF_INIT((size_t)64 << 20), sent = {0};
    size_t header, receiver = operation == DECRYPT_AND_VERIFY;
    char name[64];
    double best_ours = 1e18, best_bare = 1e18, best_smime = 1e18;
    BIO *message_in = NULL;
    require(snprintf(name, sizeof name, "%s, %s", b->key_name, operation_names[operation]) > 0, "no text");
    if ((b->only != NULL && strcmp(b->only, name) != 0) || (b->only_bytes != 0 && b->only_bytes != size)) {
        return;
    }
    message_make(b, size, &message, &header);
    struct slice entity = slice_of(message.data + header, message.len - header), input = buf_slice(&message);
    struct bare_input bare = {.entity = entity, .anchors = X509_STORE_new()};
    require(X509_STORE_add_cert(bare.anchors, b->people[0].x) == 1, "no anchor");
    operation_prepare(b, operation == DECRYPT_AND_VERIFY ? SIGN_AND_ENCRYPT : operation);
    if (operation == DECRYPT_AND_VERIFY) {
        ours(&b->places[0], &b->people[0], &b->people[1], input, protections[SIGN_AND_ENCRYPT], &sent);
        input = buf_slice(&sent);
        bare.signature = bare_sign(&b->people[0], entity);
        bare.enveloped = bare_encrypt(b->to, entity);
        unsigned char *text = NULL;
        message_in = whole_once(b, SIGN_AND_ENCRYPT, &bare);
        long len = BIO_get_mem_data(message_in, &text);
        bare.message = slice_of(text, (size_t)len);
    }
    for (size_t round = 0; round <= b->rounds; round++) { /* the first one warms up */
        double start = cpu_us();
        for (size_t i = 0; i < repeats; i++) {
            ours(&b->places[receiver], &b->people[0], &b->people[1], input, protections[operation], NULL);
        }
        double middle = cpu_us();
        for (size_t i = 0; i < repeats; i++) {
            bare_once(b, operation, entity, &bare);
        }
        double end = cpu_us(), mine = (middle - start) / (double)repeats,
               theirs = (end - middle) / (double)repeats;
        for (size_t i = 0; i < repeats; i++) {
            BIO_free(whole_once(b, operation, &bare));
        }
        double theirs_smime = (cpu_us() - end) / (double)repeats;
        best_ours = round > 0 && mine < best_ours ? mine : best_ours;
        best_bare = round > 0 && theirs < best_bare ? theirs : best_bare;
        best_smime = round > 0 && theirs_smime < best_smime ? theirs_smime : best_smime;
    }
    printf("%s\t%zu\t%.0f\t%.0f\t%.2f\t%.0f\t%.2f\n", name, size, best_ours, best_bare, best_ours / best_bare,
           best_smime, best_ours / best_smime);
    BIO_free(message_in);
    (void)fflush(stdout);
    free_slice(bare.signature);
    free_slice(bare.enveloped);
    X509_STORE_free(bare.anchors);
    buf_release(&sent);
    buf_release(&message);
}

static EVP_PKEY *key_make(unsigned kind)
{
    return kind == 0 ? EVP_RSA_gen(2048) : kind == 1 ? EVP_RSA_gen(3072) : EVP_EC_gen("P-256");
}

int main(int argc, char **argv)
{
    static const char *const kinds[] = {"rsa-2048", "rsa-3072", "p-256"};
    static const struct {
        size_t size, repeats;
    } sizes[] = {{10 << 10, 40}, {50 << 10, 20}, {(size_t)5 << 20, 2}};
    uint64_t rounds = 5, bytes = 0;
    struct failure f;
    if (argc > 4 || (argc > 1 && (!slice_parse_u64(slice_of_text(argv[1]), &rounds) || rounds == 0)) ||
        (argc > 3 && !slice_parse_u64(slice_of_text(argv[3]), &bytes))) {
        (void)fprintf(stderr, "usage: message_bench [ROUNDS [CASE [BYTES]]]\n");
        return 2;
    }
    now_ms = clock_wall_ms();
    require(smime_start(&f) == STATUS_OK, f.text);
    printf("case\tbytes\tours_us\tbare_us\tratio\tbare_smime_us\tratio\n");
    for (unsigned kind = 0; kind < 3; kind++) {
        struct bench b = {.to = sk_X509_new_null(),
                          .key_name = kinds[kind],
                          .rounds = (size_t)rounds,
                          .only = argc > 2 ? argv[2] : NULL,
                          .only_bytes = bytes};
        person_make(&b.people[0], "alice@ours.example", key_make(kind));
        person_make(&b.people[1], "bob@partner.example", key_make(kind));
        require(b.to != NULL && sk_X509_push(b.to, b.people[1].x) > 0, "no memory");
        place_make(&b.places[0], "ours.example", b.people);
        place_make(&b.places[1], "partner.example", b.people);
        for (enum operation operation = SIGN; operation < OPERATIONS; operation++) {
            for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
                measure(&b, operation, sizes[i].size, sizes[i].repeats);
            }
        }
        sk_X509_free(b.to);
        for (size_t i = 0; i < PEOPLE; i++) {
            place_release(&b.places[i]);
            person_release(&b.people[i]);
        }
    }
    return 0;
}
