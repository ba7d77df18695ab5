/* Paths to the anchors: one table of worlds, each with what trust_check() must say. */
#include "crypto_test.h"

#define MAIL "emailProtection"

enum { ROOT, INTER, LEAF, PARTS };

struct world {
    const char *what;
    struct recipe part[PARTS]; /* the leaf hangs on the intermediate if it has a name, else on the root */
    bool anchor[PARTS];        /* which are trust anchors; */
    bool stored, sent;         /* where the intermediate can be found: in the store, in the message */
    enum trust_purpose purpose;
    enum status status;
    const char *says;
};

#define ROOT_CA                                                                                              \
    {                                                                                                        \
        .name = "root", .ca = true, .usage = "keyCertSign", .key = 0                                         \
    }
#define INTER_CA                                                                                             \
    {                                                                                                        \
        .name = "inter", .ca = true, .usage = "keyCertSign", .key = 1                                        \
    }
#define LEAF_OF                                                                                              \
    {                                                                                                        \
        .name = "leaf", .san = "email:a@x.org", .key = 2                                                     \
    }
#define BOUND_BY(bounds)                                                                                     \
    {                                                                                                        \
        .name = "inter", .ca = true, .constraints = (bounds), .key = 1                                       \
    }
#define DEMANDS .policy_constraints = "critical,requireExplicitPolicy:0"
#define ANCHORED                                                                                             \
    {                                                                                                        \
        true, false, false                                                                                   \
    }

static const struct world worlds[] = {
    {.what = "issued by the root", .part = {ROOT_CA, {0}, LEAF_OF}, .anchor = ANCHORED},
    {.what = "for signing",
     .part = {ROOT_CA, {0}, LEAF_OF},
     .anchor = ANCHORED,
     .purpose = TRUST_FOR_SIGNATURE},
    {.what = "by a stored intermediate",
     .part = {ROOT_CA, INTER_CA, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "by one that was sent", .part = {ROOT_CA, INTER_CA, LEAF_OF}, .anchor = ANCHORED, .sent = true},
    {.what = "the intermediate is missing",
     .part = {ROOT_CA, INTER_CA, LEAF_OF},
     .anchor = ANCHORED,
     .status = STATUS_UNTRUSTED,
     .says = "CN=leaf"},
    {.what = "no anchor",
     .part = {ROOT_CA, INTER_CA, LEAF_OF},
     .stored = true,
     .sent = true,
     .status = STATUS_UNTRUSTED,
     .says = "no path"},
    {.what = "the intermediate is the anchor",
     .part = {ROOT_CA, INTER_CA, LEAF_OF},
     .anchor = {false, true, false}},
    {.what = "the leaf is the anchor", .part = {ROOT_CA, {0}, LEAF_OF}, .anchor = {false, false, true}},
    {.what = "a self-signed leaf as anchor", .part = {LEAF_OF, {0}, {0}}, .anchor = ANCHORED},
    {.what = "a self-signed leaf",
     .part = {LEAF_OF, {0}, {0}},
     .status = STATUS_UNTRUSTED,
     .says = "CN=leaf"},
    {.what = "expired",
     .part = {ROOT_CA, {0}, {.name = "leaf", .from_ms = NOW_MS - YEAR_MS, .to_ms = NOW_MS - DAY_MS}},
     .anchor = ANCHORED,
     .status = STATUS_EXPIRED,
     .says = "expired on 2026-11-23"},
    {.what = "not yet valid",
     .part = {ROOT_CA, {0}, {.name = "leaf", .from_ms = NOW_MS + DAY_MS}},
     .anchor = ANCHORED,
     .status = STATUS_EXPIRED,
     .says = "not valid before 2026-11-25"},
    {.what = "the root has expired",
     .part = {{.name = "root", .ca = true, .to_ms = NOW_MS - DAY_MS}, {0}, {.name = "leaf", .key = 2}},
     .anchor = ANCHORED,
     .status = STATUS_EXPIRED,
     .says = "CN=root expired"},
    {.what = "expired and untrusted",
     .part = {ROOT_CA, {0}, {.name = "leaf", .from_ms = NOW_MS - YEAR_MS, .to_ms = NOW_MS - DAY_MS}},
     .status = STATUS_UNTRUSTED,
     .says = "no path"},
    {.what = "the issuer is no CA",
     .part = {ROOT_CA, {.name = "inter", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .sent = true,
     .status = STATUS_UNTRUSTED,
     .says = "CN="},
    {.what = "for the web alone",
     .part = {ROOT_CA, {0}, {.name = "leaf", .extended = "serverAuth", .key = 2}},
     .anchor = ANCHORED,
     .status = STATUS_INVALID,
     .says = "not for encrypting mail"},
    {.what = "encrypting with a signing certificate",
     .part = {ROOT_CA, {0}, {.name = "leaf", .usage = "digitalSignature", .key = 2}},
     .anchor = ANCHORED,
     .status = STATUS_INVALID,
     .says = "CN=leaf is not for encrypting mail"},
    {.what = "signing with an encryption certificate",
     .part = {ROOT_CA, {0}, {.name = "leaf", .usage = "keyEncipherment", .key = 2}},
     .anchor = ANCHORED,
     .purpose = TRUST_FOR_SIGNATURE,
     .status = STATUS_INVALID,
     .says = "not for signing mail"},
    {.what = "agreement with an EC key",
     .part = {ROOT_CA, {0}, {.name = "leaf", .kind = "ec", .usage = "keyAgreement", .extended = MAIL}},
     .anchor = ANCHORED},
    {.what = "any extended usage",
     .part = {ROOT_CA, {0}, {.name = "leaf", .extended = "anyExtendedKeyUsage", .key = 2}},
     .anchor = ANCHORED},
    {.what = "an issuer for the web alone",
     .part = {ROOT_CA, {.name = "inter", .ca = true, .extended = "serverAuth", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "CN=inter may not issue"},
    {.what = "an issuer for mail",
     .part = {ROOT_CA, {.name = "inter", .ca = true, .extended = MAIL, .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "a name out of bounds",
     .part = {ROOT_CA,
              {.name = "inter", .ca = true, .constraints = "permitted;email:partner.org", .key = 1},
              LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "permitted subtree"},
    {.what = "an address out of bounds",
     .part = {ROOT_CA, BOUND_BY("permitted;email:a@y.org"), LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "permitted subtree"},
    {.what = "a name within bounds",
     .part = {ROOT_CA, BOUND_BY("permitted;email:x.org"), LEAF_OF},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "a name below a domain within bounds",
     .part = {ROOT_CA,
              BOUND_BY("permitted;email:.x.org"),
              {.name = "leaf", .san = "email:a@b.x.org", .key = 2}},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "the domain itself is not below it",
     .part = {ROOT_CA, BOUND_BY("permitted;email:.x.org"), LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "permitted subtree"},
    {.what = "a name that is excluded",
     .part = {ROOT_CA, BOUND_BY("excluded;email:x.org"), LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "excluded subtree"},
    {.what = "one of two names is excluded",
     .part = {ROOT_CA,
              BOUND_BY("excluded;email:x.org"),
              {.name = "leaf", .san = "email:a@z.org,email:a@x.org", .key = 2}},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "excluded subtree"},
    {.what = "an address in the subject out of bounds",
     .part = {ROOT_CA,
              BOUND_BY("permitted;email:partner.org"),
              {.name = "leaf", .email_in_subject = "a@x.org", .key = 2}},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "permitted subtree"},
    {.what = "bounds of the root",
     .part = {{.name = "root", .ca = true, .constraints = "permitted;email:partner.org"}, INTER_CA, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "permitted subtree"},
    {.what = "a path that is too long",
     .part = {{.name = "root", .ca = true, .basic = "critical,CA:TRUE,pathlen:0"}, INTER_CA, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "path length"},
    {.what = "a path that is just short enough",
     .part = {{.name = "root", .ca = true, .basic = "critical,CA:TRUE,pathlen:1"}, INTER_CA, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "an issuer without basic constraints",
     .part = {ROOT_CA, {.name = "inter", .basic = "none", .usage = "keyCertSign", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .sent = true,
     .status = STATUS_UNTRUSTED,
     .says = "CN=inter"},
    {.what = "an issuer that says that it is no CA",
     .part = {ROOT_CA, {.name = "inter", .basic = "CA:FALSE", .usage = "keyCertSign", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .sent = true,
     .status = STATUS_UNTRUSTED,
     .says = "CN="},
    {.what = "an issuer whose key may not sign certificates",
     .part = {ROOT_CA, {.name = "inter", .ca = true, .usage = "cRLSign", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .sent = true,
     .status = STATUS_UNTRUSTED,
     .says = "CN="},
    {.what = "a critical extension that nobody knows",
     .part = {ROOT_CA, {0}, {.name = "leaf", .unknown = "critical", .key = 2}},
     .anchor = ANCHORED,
     .status = STATUS_INVALID,
     .says = "unhandled critical extension"},
    {.what = "an extension that nobody needs to know",
     .part = {ROOT_CA, {0}, {.name = "leaf", .unknown = "harmless", .key = 2}},
     .anchor = ANCHORED},
    {.what = "a critical extension of an issuer",
     .part = {ROOT_CA, {.name = "inter", .ca = true, .unknown = "critical", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "unhandled critical extension"},
    /* OpenSSL 3.0.19 loses 42 bytes for each certificate that demands a policy and names none. */
    {.what = "a policy that an issuer demands and the leaf has not",
     .part = {ROOT_CA, {.name = "inter", .ca = true, DEMANDS, .policies = "1.2.3.4", .key = 1}, LEAF_OF},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "no explicit policy"},
    {.what = "a policy that an issuer demands and grants",
     .part = {ROOT_CA,
              {.name = "inter", .ca = true, DEMANDS, .policies = "1.2.3.4", .key = 1},
              {.name = "leaf", .policies = "1.2.3.4", .key = 2}},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "another policy than the issuer's",
     .part = {ROOT_CA,
              {.name = "inter", .ca = true, DEMANDS, .policies = "1.2.3.4", .key = 1},
              {.name = "leaf", .policies = "1.2.3.5", .key = 2}},
     .anchor = ANCHORED,
     .stored = true,
     .status = STATUS_INVALID,
     .says = "no explicit policy"},
    {.what = "another policy, where nobody demands one",
     .part = {ROOT_CA,
              {.name = "inter", .ca = true, .policies = "1.2.3.4", .key = 1},
              {.name = "leaf", .policies = "1.2.3.5", .key = 2}},
     .anchor = ANCHORED,
     .stored = true},
    {.what = "non-repudiation alone signs",
     .part = {ROOT_CA, {0}, {.name = "leaf", .usage = "nonRepudiation", .key = 2}},
     .anchor = ANCHORED,
     .purpose = TRUST_FOR_SIGNATURE},
    {.what = "an EC key that may only encipher",
     .part = {ROOT_CA, {0}, {.name = "leaf", .kind = "ec", .usage = "keyEncipherment"}},
     .anchor = ANCHORED,
     .status = STATUS_INVALID,
     .says = "not for encrypting mail"},
    {.what = "data encipherment is no use for mail",
     .part = {ROOT_CA, {0}, {.name = "leaf", .usage = "dataEncipherment", .key = 2}},
     .anchor = ANCHORED,
     .status = STATUS_INVALID,
     .says = "not for encrypting mail"},
    {.what = "a key of 512 bits",
     .part = {ROOT_CA, {0}, {.name = "leaf", .kind = "rsa512"}},
     .anchor = ANCHORED,
     .status = STATUS_INVALID,
     .says = "key too weak"},
};

static void worlds_are_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(worlds) / sizeof(worlds[0]); i++) {
        const struct world *w = &worlds[i];
        struct made made[PARTS] = {0};
        struct slice anchors[PARTS], *leaf = NULL;
        size_t anchor_count = 0;
        STACK_OF(X509) *sent = sk_X509_new_null();
        struct trust *trust = NULL;
        struct failure f = {0};
        const struct made *issuer = NULL;

        for (int k = 0; k < PARTS; k++) {
            if (w->part[k].name == NULL)
                continue;
            made[k] = pki_make(&w->part[k], issuer);
            issuer = &made[k];
            leaf = &made[k].der;
            if (w->anchor[k])
                anchors[anchor_count++] = made[k].der;
        }
        if (w->sent)
            sk_X509_push(sent, made[INTER].x);
        OK(trust_make(anchors, anchor_count, &made[INTER].der, w->stored ? 1 : 0, &trust, &f));
        enum status status = trust_check(trust, *leaf, w->sent ? sent : NULL, w->purpose, NOW_MS, &f);
        if (status != w->status || (w->says != NULL && strstr(f.text, w->says) == NULL)) {
            print_error("%s: %s: %s\n", w->what, status_name(status), f.text);
            fail();
        }
        trust_free(trust);
        sk_X509_free(sent);
        for (int k = 0; k < PARTS; k++)
            pki_release(&made[k]);
    }
}

static void weak_digests_and_forgeries_are_invalid(void **state)
{
    struct made root = pki_make(&(struct recipe)ROOT_CA, NULL);
    struct made sha1 = pki_make(&(struct recipe){.name = "old", .key = 2, .digest = EVP_sha1()}, &root);
    struct made md5 = pki_make(&(struct recipe){.name = "older", .key = 2, .digest = EVP_md5()}, &root);
    struct made fake_root = pki_make(&(struct recipe){.name = "root", .ca = true, .key = 1}, NULL);
    struct made forged = pki_make(&(struct recipe){.name = "forged", .key = 2}, &fake_root);
    struct trust *trust;
    struct failure f;

    (void)state;
    OK(trust_make(&root.der, 1, NULL, 0, &trust, &f));
    assert_int_equal(trust_check(trust, sha1.der, NULL, TRUST_FOR_SIGNATURE, NOW_MS, &f), STATUS_INVALID);
    HOLDS(f.text, "too weak");
    assert_int_equal(trust_check(trust, md5.der, NULL, TRUST_FOR_SIGNATURE, NOW_MS, &f), STATUS_INVALID);
    /* The issuer's name is right and its key is not: a broken signature, never trust. */
    enum status status = trust_check(trust, forged.der, NULL, TRUST_FOR_SIGNATURE, NOW_MS, &f);
    assert_true(status == STATUS_INVALID || status == STATUS_UNTRUSTED);
    trust_free(trust);
    pki_release(&root);
    pki_release(&sha1);
    pki_release(&md5);
    pki_release(&fake_root);
    pki_release(&forged);
}

/* Anybody can make a certificate of a CA's name, with another key or with the CA's own, store it by a signed
 * message or send it along: whom that CA certified is trusted as before, wherever it is and whichever comes
 * first. */
static void a_certificate_of_a_cas_name_breaks_no_path(void **state)
{
    struct made root = pki_make(&(struct recipe)ROOT_CA, NULL);
    struct made inter = pki_make(&(struct recipe)INTER_CA, &root);
    struct made leaf = pki_make(&(struct recipe)LEAF_OF, &inter);
    struct made rogue = pki_make(&(struct recipe){.name = "rogue", .kind = "ec", .ca = true}, NULL);
    struct made other_key = pki_make(&(struct recipe){.name = "inter", .ca = true, .key = 2}, &rogue);
    struct made same_key = pki_make(&(struct recipe){.name = "inter", .ca = true, .key = 1}, &rogue);
    struct made renewed = pki_make(&(struct recipe){.name = "root", .ca = true, .key = 2}, NULL);
    struct made rekeyed = pki_make(&(struct recipe){.name = "inter", .ca = true}, &root);
    const struct made *false_ones[] = {&other_key, &same_key, &rekeyed};
    static const char *const names[] = {"a stranger's key", "a stranger's, the same key",
                                        "its own, another key"};

    (void)state;
    for (size_t i = 0; i < 12; i++) {
        const struct made *false_one = false_ones[i % 3];
        bool false_first = i / 3 % 2 == 1, sent = i >= 6;
        struct slice stored[] = {inter.der, false_one->der};
        struct slice anchors[] = {renewed.der, root.der}; /* two roots of one name */
        STACK_OF(X509) *with = sk_X509_new_null();
        struct trust *trust;
        struct failure f = {0};

        if (false_first) {
            stored[0] = false_one->der;
            stored[1] = inter.der;
        }
        sk_X509_push(with, (false_first ? false_one : &inter)->x);
        sk_X509_push(with, (false_first ? &inter : false_one)->x);
        sk_X509_push(with, rogue.x);
        OK(trust_make(anchors + sent, sent ? 1 : 2, stored, sent ? 0 : 2, &trust, &f));
        enum status status =
            trust_check(trust, leaf.der, sent ? with : NULL, TRUST_FOR_ENCRYPTION, NOW_MS, &f);
        if (status != STATUS_OK)
            fail_msg("%s; %s first, %s: %s", names[i % 3], false_first ? "it" : "the real one",
                     sent ? "sent" : "stored", f.text);
        trust_free(trust);
        /* And it lends no trust. */
        OK(trust_make(anchors, 2, stored, 2, &trust, &f));
        struct made below = pki_make(&(struct recipe)LEAF_OF, &other_key);
        assert_int_equal(trust_check(trust, below.der, with, TRUST_FOR_SIGNATURE, NOW_MS, &f),
                         STATUS_UNTRUSTED);
        pki_release(&below);
        trust_free(trust);
        sk_X509_free(with);
    }
    for (size_t i = 0; i < 8; i++)
        pki_release(
            (struct made *[]){&root, &inter, &leaf, &rogue, &other_key, &same_key, &renewed, &rekeyed}[i]);
}

static void the_time_is_the_callers(void **state)
{
    struct made root = pki_make(&(struct recipe)ROOT_CA, NULL);
    struct made leaf = pki_make(&(struct recipe)LEAF_OF, &root);
    struct trust *trust;
    struct failure f;

    (void)state;
    OK(trust_make(&root.der, 1, NULL, 0, &trust, &f));
    OK(trust_check(trust, leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS + YEAR_MS - 1000, &f));
    assert_int_equal(trust_check(trust, leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS + YEAR_MS + 1000, &f),
                     STATUS_EXPIRED);
    assert_int_equal(trust_check(trust, leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS - YEAR_MS - 1000, &f),
                     STATUS_EXPIRED);
    assert_int_equal(trust_check(NULL, leaf.der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS, &f), STATUS_UNTRUSTED);
    assert_int_equal(trust_check(trust, slice_of_text("x"), NULL, TRUST_FOR_ENCRYPTION, NOW_MS, &f),
                     STATUS_MALFORMED);
    trust_free(trust);
    trust_free(NULL);
    pki_release(&root);
    pki_release(&leaf);
}

static void what_cannot_be_read_is_left_out(void **state)
{
    struct made root = pki_make(&(struct recipe)ROOT_CA, NULL);
    struct made leaf = pki_make(&(struct recipe)LEAF_OF, &root);
    struct slice anchors[] = {slice_of_text("no certificate"), root.der, root.der};
    struct trust *trust;

    (void)state;
    OK(trust_make(anchors, 3, anchors, 1, &trust, NULL));
    OK(trust_check(trust, leaf.der, NULL, TRUST_FOR_SIGNATURE, NOW_MS, NULL));
    trust_free(trust);
    pki_release(&root);
    pki_release(&leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(worlds_are_judged),
        cmocka_unit_test(weak_digests_and_forgeries_are_invalid),
        cmocka_unit_test(a_certificate_of_a_cas_name_breaks_no_path),
        cmocka_unit_test(the_time_is_the_callers),
        cmocka_unit_test(what_cannot_be_read_is_left_out),
    };
    int failed = cmocka_run_group_tests_name("trust", tests, NULL, NULL);

    pki_forget_keys();
    return failed;
}
