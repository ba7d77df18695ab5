/*
 * Every algorithm of S/MIME that we write or read, one row each, with the openssl program as the other side:
 * kinds of keys, digests and paddings of signatures, key transport and key agreement, content ciphers.
 */
#include "command.h"
#include "crypto_test.h"

#include "crypto/der.h"
#include "crypto/smime.h"

#include <openssl/err.h>

#define TEXT(s) slice_of_text(s)
#define MAX     ((size_t)32 << 20)
#define ENTITY  "Content-Type: text/plain\r\n\r\nHello, matrix\r\n"
#define ROWS(t) (sizeof(t) / sizeof((t)[0]))

enum { RSA_KEY, EC256, EC384, EC521, PSS_KEY, ED25519, PEOPLE };
static const char *const names[PEOPLE] = {"rsa", "ec", "ec384", "ec521", "rsa-pss", "ed25519"};
static const unsigned key_bits[PEOPLE] = {2048, 256, 384, 521, 2048, 256};
static struct made root, people[PEOPLE];
static struct trust *trust;

static int set_up(void **state)
{
    struct buf pem = BUF_INIT(100000);
    struct failure f;
    char file[32];

    (void)state;
    folder_enter();
    OK(smime_start(&f));
    root = pki_make(&(struct recipe){.name = "Root", .ca = true, .usage = "keyCertSign", .key = 1}, NULL);
    pki_certificate_pem(&root, &pem);
    file_put("ca", buf_slice(&pem));
    for (int i = 0; i < PEOPLE; i++) {
        people[i] =
            pki_make(&(struct recipe){.name = names[i], .kind = names[i], .san = "email:alice@x.org"}, &root);
        buf_reset(&pem);
        pki_certificate_pem(&people[i], &pem);
        assert_true(snprintf(file, sizeof(file), "%s.crt", names[i]) > 0);
        file_put(file, buf_slice(&pem));
        buf_reset(&pem);
        pki_key_pem(&people[i], &pem);
        assert_true(snprintf(file, sizeof(file), "%s.key", names[i]) > 0);
        file_put(file, buf_slice(&pem));
    }
    buf_release(&pem);
    file_put("entity", TEXT(ENTITY));
    OK(trust_make(&root.der, 1, NULL, 0, &trust, &f));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    trust_free(trust);
    pki_release(&root);
    for (int i = 0; i < PEOPLE; i++)
        pki_release(&people[i]);
    folder_leave();
    return 0;
}

static struct buf file_of(const char *name)
{
    struct buf out = BUF_INIT(MAX);

    file_get(name, &out);
    return out;
}

static void assert_valid(struct slice cms, bool detached, const char *digest, const char *algorithm,
                         unsigned bits, bool ours)
{
    struct smime_verified out;
    struct arena a;

    arena_init(&a, (size_t)1 << 20);
    OK(smime_verify(cms, detached ? TEXT(ENTITY) : TEXT(""), detached, TEXT("alice@x.org"), trust, NOW_MS, &a,
                    &out));
    if (out.verdict != SMIME_VALID)
        print_error("%s with %s: %s: %s\n", algorithm, digest, smime_verdict_name(out.verdict), out.reason);
    assert_int_equal(out.verdict, SMIME_VALID);
    assert_string_equal(out.digest, digest);
    assert_string_equal(out.algorithm, algorithm);
    assert_int_equal(out.key_bits, bits);
    if (!detached)
        assert_same(buf_slice(&out.content), TEXT(ENTITY));
    if (ours) {
        assert_int_equal(out.signing_time_ms, NOW_MS);
        assert_true((out.capabilities & CERT_CAP_AES256_GCM) != 0);
        assert_int_equal(out.capabilities, smime_signed_capabilities(cms));
    }
    smime_verified_release(&out);
    /* not of another text, and not with a bit of its own turned */
    if (detached) {
        OK(smime_verify(cms, TEXT(ENTITY "x"), true, TEXT("alice@x.org"), trust, NOW_MS, &a, &out));
        assert_int_equal(out.verdict, SMIME_INVALID);
        smime_verified_release(&out);
    }
    arena_release(&a);
    assert_int_equal(ERR_peek_error(), 0);
}

/* --- signatures --- */

static void we_sign(void **state)
{
    static const struct {
        int who;
        enum smime_digest digest;
        bool pss;
        const char *told_digest, *told_algorithm, *micalg;
    } rows[] = {
        {RSA_KEY, SMIME_SHA256, false, "sha256", "rsa-pkcs1", "sha-256"},
        {RSA_KEY, SMIME_SHA384, false, "sha384", "rsa-pkcs1", "sha-384"},
        {RSA_KEY, SMIME_SHA512, false, "sha512", "rsa-pkcs1", "sha-512"},
        {RSA_KEY, SMIME_SHA256, true, "sha256", "rsa-pss", "sha-256"},
        {RSA_KEY, SMIME_SHA384, true, "sha384", "rsa-pss", "sha-384"},
        {RSA_KEY, SMIME_SHA512, true, "sha512", "rsa-pss", "sha-512"},
        {PSS_KEY, SMIME_SHA256, false, "sha256", "rsa-pss", "sha-256"},
        {PSS_KEY, SMIME_SHA512, true, "sha512", "rsa-pss", "sha-512"},
        {EC256, SMIME_SHA256, false, "sha256", "ecdsa", "sha-256"},
        {EC256, SMIME_SHA512, true, "sha512", "ecdsa", "sha-512"}, /* pss says nothing to an EC key */
        {EC384, SMIME_SHA384, false, "sha384", "ecdsa", "sha-384"},
        {EC384, SMIME_SHA256, false, "sha256", "ecdsa", "sha-256"},
        {EC521, SMIME_SHA512, false, "sha512", "ecdsa", "sha-512"},
        {ED25519, SMIME_SHA256, false, "sha512", "ed25519", "sha-512"},
        {ED25519, SMIME_SHA384, true, "sha512", "ed25519", "sha-512"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        for (int detached = 0; detached < 2; detached++) {
            const struct made *who = &people[rows[i].who];
            struct smime_signer signer = {
                .key = who->key, .certificate = who->der, .digest = rows[i].digest, .pss = rows[i].pss};
            struct buf cms = BUF_INIT(MAX);
            struct failure f = {0};

            OK(detached ? smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, &f)
                        : smime_sign_opaque(&signer, TEXT(ENTITY), NOW_MS, &cms, &f));
            assert_string_equal(smime_micalg(&signer), rows[i].micalg);
            assert_valid(buf_slice(&cms), detached, rows[i].told_digest, rows[i].told_algorithm,
                         key_bits[rows[i].who], true);
            file_put("cms", buf_slice(&cms));
            command("openssl cms -cmsout -print -noout -inform DER -in cms >shown");
            command(
                "for a in S/MIME.Capabilities signingTime signingCertificateV2 messageDigest; do grep -q $a "
                "shown || exit 1; done");
            if (rows[i].who != ED25519)
                command("openssl cms -verify -binary -inform DER -in cms %s -purpose any -CAfile ca -out "
                        "plain && "
                        "cmp plain entity",
                        detached ? "-content entity" : "");
            buf_release(&cms);
        }
}

static void openssl_signs(void **state)
{
    static const struct {
        int who;
        const char *options, *digest, *algorithm;
    } rows[] = {
        {RSA_KEY, "-md sha256", "sha256", "rsa-pkcs1"},
        {RSA_KEY, "-md sha224", "sha224", "rsa-pkcs1"},
        {RSA_KEY, "-md sha384", "sha384", "rsa-pkcs1"},
        {RSA_KEY, "-md sha512", "sha512", "rsa-pkcs1"},
        {RSA_KEY, "-md sha256 -noattr", "sha256", "rsa-pkcs1"},
        {RSA_KEY, "-md sha256 -keyid", "sha256", "rsa-pkcs1"},
        {RSA_KEY, "-md sha256 -cades", "sha256", "rsa-pkcs1"},
        {RSA_KEY, "-md sha384 -cades", "sha384", "rsa-pkcs1"}, /* a signingCertificateV2 with another hash */
        {RSA_KEY, "-md sha256 -keyopt rsa_padding_mode:pss", "sha256", "rsa-pss"},
        {RSA_KEY, "-md sha512 -keyopt rsa_padding_mode:pss -keyopt rsa_pss_saltlen:20", "sha512", "rsa-pss"},
        {RSA_KEY, "-md sha384 -keyopt rsa_padding_mode:pss -keyopt rsa_mgf1_md:sha256", "sha384", "rsa-pss"},
        {PSS_KEY, "-md sha256 -keyopt rsa_padding_mode:pss", "sha256", "rsa-pss"},
        {EC256, "-md sha256", "sha256", "ecdsa"},
        {EC256, "-md sha512", "sha512", "ecdsa"},
        {EC384, "-md sha384", "sha384", "ecdsa"},
        {EC521, "-md sha512", "sha512", "ecdsa"},
        {EC521, "-md sha512 -noattr -keyid", "sha512", "ecdsa"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        for (int detached = 0; detached < 2; detached++) {
            const char *who = names[rows[i].who];

            command("openssl cms -sign -binary -outform DER -in entity -out cms -signer %s.crt -inkey %s.key "
                    "%s %s",
                    who, who, detached ? "" : "-nodetach", rows[i].options);
            struct buf cms = file_of("cms");
            assert_valid(buf_slice(&cms), detached, rows[i].digest, rows[i].algorithm, key_bits[rows[i].who],
                         false);
            buf_release(&cms);
        }
}

/* An Ed25519 signature of which any bit is turned holds no more, or says the same. */
static void no_bit_of_an_ed25519_signature_may_turn(void **state)
{
    struct smime_signer signer = {.key = people[ED25519].key, .certificate = people[ED25519].der};
    struct buf cms = BUF_INIT(MAX);
    struct arena a;
    size_t valid = 0;

    (void)state;
    arena_init(&a, (size_t)32 << 20);
    OK(smime_sign_opaque(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
    for (size_t at = 0; at < cms.len; at++) {
        struct smime_verified out;

        cms.data[at] ^= 1;
        OK(smime_verify(buf_slice(&cms), TEXT(""), false, TEXT("alice@x.org"), trust, NOW_MS, &a, &out));
        if (out.verdict == SMIME_VALID) {
            assert_same(buf_slice(&out.content), TEXT(ENTITY));
            valid++;
        }
        smime_verified_release(&out);
        cms.data[at] ^= 1;
    }
    assert_true(valid < 12); /* version numbers and the like, which nobody signs */
    buf_release(&cms);
    arena_release(&a);
}

static void the_encryption_certificate_goes_along(void **state)
{
    (void)state;
    for (int who = RSA_KEY; who <= ED25519; who += ED25519 - RSA_KEY) {
        struct smime_signer signer = {.key = people[who].key,
                                      .certificate = people[who].der,
                                      .encryption_certificate = people[EC384].der};
        struct buf cms = BUF_INIT(MAX);

        OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
        assert_valid(buf_slice(&cms), true, who == RSA_KEY ? "sha256" : "sha512",
                     who == RSA_KEY ? "rsa-pkcs1" : "ed25519", key_bits[who], true);
        file_put("cms", buf_slice(&cms));
        command("openssl cms -cmsout -print -noout -inform DER -in cms >shown && grep -q "
                "id-smime-aa-encrypKeyPref shown && "
                "grep -q 'CN *= *ec384' shown");
        buf_release(&cms);
    }
}

/* Somebody swaps the signer's certificate for another one of the same key: signingCertificateV2 tells. */
static void another_certificate_of_the_same_key_is_noticed(void **state)
{
    struct made twin =
        pki_make(&(struct recipe){.name = "rsa", .kind = "rsa", .san = "email:alice@x.org"}, &root);
    struct smime_signer signer = {.key = people[RSA_KEY].key, .certificate = people[RSA_KEY].der};
    struct buf cms = BUF_INIT(MAX);
    struct smime_verified out;
    struct arena a;

    (void)state;
    arena_init(&a, (size_t)1 << 20);
    OK(smime_sign(&signer, TEXT(ENTITY), NOW_MS, &cms, NULL));
    /* serial and certificate of the twin in their places: both are as long */
    assert_int_equal(twin.der.len, people[RSA_KEY].der.len);
    const uint8_t *serial = ASN1_STRING_get0_data(X509_get0_serialNumber(people[RSA_KEY].x));
    const uint8_t *other = ASN1_STRING_get0_data(X509_get0_serialNumber(twin.x));
    size_t certificate = SIZE_MAX;
    for (size_t i = 0; i + twin.der.len <= cms.len && certificate == SIZE_MAX; i++)
        if (memcmp(cms.data + i, people[RSA_KEY].der.data, twin.der.len) == 0)
            certificate = i;
    assert_true(certificate < cms.len);
    memcpy(cms.data + certificate, twin.der.data, twin.der.len);
    for (size_t i = certificate + twin.der.len; i + 4 <= cms.len; i++)
        if (cms.data[i] == 0x02 && cms.data[i + 1] == 2 && memcmp(cms.data + i + 2, serial, 2) == 0) {
            memcpy(cms.data + i + 2, other, 2); /* the first one is in the SignerInfo's id, not signed */
            break;
        }
    OK(smime_verify(buf_slice(&cms), TEXT(ENTITY), true, TEXT("alice@x.org"), trust, NOW_MS, &a, &out));
    assert_int_equal(out.verdict, SMIME_INVALID);
    HOLDS(out.reason, "another certificate");
    smime_verified_release(&out);
    buf_release(&cms);
    arena_release(&a);
    pki_release(&twin);
}

/* --- encryption --- */

static void assert_opens(struct slice cms, int who, const char *cipher, bool weak)
{
    struct smime_key key = {.key = people[who].key, .certificate = people[who].der};
    struct smime_decrypted out;
    struct failure f = {0};
    enum status status = smime_decrypt(cms, &key, 1, &out, &f);

    if (status != STATUS_OK)
        print_error("%s, %s: %s\n", names[who], cipher, f.text);
    OK(status);
    assert_same(buf_slice(&out.entity), TEXT(ENTITY));
    assert_string_equal(out.cipher, cipher);
    assert_int_equal(out.weak, weak);
    smime_decrypted_release(&out);
    assert_int_equal(ERR_peek_error(), 0);
}

static void we_encrypt(void **state)
{
    static const struct {
        int who;
        enum smime_transport transport;
        uint64_t capabilities;
        const char *told; /* what openssl shows of the recipient info */
    } rows[] = {
        {RSA_KEY, SMIME_TRANSPORT_AUTO, 0, "rsaEncryption"},
        {RSA_KEY, SMIME_TRANSPORT_AUTO, CERT_CAP_OAEP_SHA256, "rsaesOaep"},
        {RSA_KEY, SMIME_TRANSPORT_PKCS1, CERT_CAP_OAEP_SHA256, "rsaEncryption"},
        {RSA_KEY, SMIME_TRANSPORT_OAEP, 0, "rsaesOaep"},
        {EC256, SMIME_TRANSPORT_AUTO, 0, "dhSinglePass-stdDH-sha256kdf-scheme"},
        {EC384, SMIME_TRANSPORT_OAEP, 0, "dhSinglePass-stdDH-sha384kdf-scheme"},
        {EC521, SMIME_TRANSPORT_AUTO, 0, "dhSinglePass-stdDH-sha512kdf-scheme"},
        {EC384, SMIME_TRANSPORT_AUTO, CERT_CAP_ECDH_SHA256, "dhSinglePass-stdDH-sha256kdf-scheme"},
        {EC256, SMIME_TRANSPORT_AUTO, CERT_CAP_ECDH_SHA512 | CERT_CAP_ECDH_SHA256,
         "dhSinglePass-stdDH-sha256kdf-scheme"},
    };
    static const char *const wraps[SMIME_CIPHERS] = {
        [SMIME_AES256_CBC] = "id-aes256-wrap", [SMIME_AES256_GCM] = "id-aes256-wrap",
        [SMIME_AES192_CBC] = "id-aes192-wrap", [SMIME_AES192_GCM] = "id-aes192-wrap",
        [SMIME_AES128_CBC] = "id-aes128-wrap", [SMIME_AES128_GCM] = "id-aes128-wrap"};

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++)
        for (int c = 0; c < SMIME_CIPHERS; c++) {
            enum smime_cipher cipher = (enum smime_cipher)c;
            struct smime_recipient to = {.certificate = people[rows[i].who].der,
                                         .capabilities = rows[i].capabilities,
                                         .transport = rows[i].transport};
            struct buf cms = BUF_INIT(MAX);
            struct failure f = {0};
            const char *who = names[rows[i].who];

            OK(smime_encrypt(&to, 1, cipher, TEXT(ENTITY), &cms, &f));
            assert_opens(buf_slice(&cms), rows[i].who, smime_cipher_name(cipher), false);
            file_put("cms", buf_slice(&cms));
            command(
                "openssl cms -decrypt -binary -inform DER -in cms -inkey %s.key -recip %s.crt -out plain && "
                "cmp plain entity",
                who, who);
            command("openssl cms -cmsout -print -noout -inform DER -in cms >shown && grep -q %s shown",
                    rows[i].told);
            if (rows[i].who != RSA_KEY)
                command("grep -q %s shown", wraps[c]);
            buf_release(&cms);
        }
}

/* Several kinds of keys in one message, each opened by its own. */
static void all_kinds_in_one_message(void **state)
{
    struct smime_recipient to[4];
    struct buf cms = BUF_INIT(MAX);

    (void)state;
    for (int i = RSA_KEY; i <= EC521; i++)
        to[i] = (struct smime_recipient){.certificate = people[i].der, .transport = SMIME_TRANSPORT_OAEP};
    OK(smime_encrypt(to, 4, SMIME_AES192_GCM, TEXT(ENTITY), &cms, NULL));
    file_put("cms", buf_slice(&cms));
    for (int i = RSA_KEY; i <= EC521; i++) {
        assert_opens(buf_slice(&cms), i, "aes192-gcm", false);
        command(
            "openssl cms -decrypt -binary -inform DER -in cms -inkey %s.key -recip %s.crt -out plain && cmp "
            "plain entity",
            names[i], names[i]);
    }
    buf_release(&cms);
}

static void openssl_encrypts(void **state)
{
    static const struct {
        const char *options, *recipients; /* options before -recip's */
        int who;
        const char *cipher;
        bool weak;
    } rows[] = {
        {"-aes-128-cbc", "rsa.crt", RSA_KEY, "aes128-cbc", false},
        {"-aes-192-cbc", "rsa.crt", RSA_KEY, "aes192-cbc", false},
        {"-aes-256-cbc", "rsa.crt", RSA_KEY, "aes256-cbc", false},
        {"-aes-128-gcm", "rsa.crt", RSA_KEY, "aes128-gcm", false},
        {"-aes-192-gcm", "rsa.crt", RSA_KEY, "aes192-gcm", false},
        {"-aes-256-gcm", "rsa.crt", RSA_KEY, "aes256-gcm", false},
        {"-des3", "rsa.crt", RSA_KEY, "3des", true},
        {"-des", "rsa.crt", RSA_KEY, "des", true},
        {"-rc2", "rsa.crt", RSA_KEY, "rc2", true},
        {"-rc2-64", "rsa.crt", RSA_KEY, "rc2", true},
        {"-rc2-40", "rsa.crt", RSA_KEY, "rc2", true},
        {"-des3", "ec.crt", EC256, "3des", true},
        {"-stream -indef -aes-256-cbc", "rsa.crt ec384.crt", EC384, "aes256-cbc", false},
        {"-stream -indef -aes-256-gcm", "rsa.crt ec521.crt", RSA_KEY, "aes256-gcm", false},
        {"-keyid -aes-256-gcm", "rsa.crt", RSA_KEY, "aes256-gcm", false},
        {"-keyid -aes-256-gcm", "ec.crt", EC256, "aes256-gcm", false},
        /* RSAES-OAEP (RFC 3560, RFC 4055): the default digest is SHA-1 */
        {"-aes-256-cbc", "-recip rsa.crt -keyopt rsa_padding_mode:oaep", RSA_KEY, "aes256-cbc", false},
        {"-aes-256-cbc", "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256", RSA_KEY,
         "aes256-cbc", false},
        {"-aes-256-gcm",
         "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt rsa_mgf1_md:sha1",
         RSA_KEY, "aes256-gcm", false},
        {"-aes-256-cbc", "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha384", RSA_KEY,
         "aes256-cbc", false},
        {"-aes-256-cbc", "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha512", RSA_KEY,
         "aes256-cbc", false},
        {"-aes-256-cbc", "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha224", RSA_KEY,
         "aes256-cbc", false},
        {"-aes-256-gcm",
         "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha256 -keyopt "
         "rsa_oaep_label:c0ffee",
         RSA_KEY, "aes256-gcm", false}, /* RFC 4055 section 4.1: pSourceFunc */
        {"-aes-256-cbc",
         "-recip rsa.crt -keyopt rsa_padding_mode:oaep -keyopt rsa_oaep_md:sha512 -keyopt rsa_oaep_label:00",
         RSA_KEY, "aes256-cbc", false},
        /* RFC 5753: KDFs, cofactor DH, and a wrap longer than the content key */
        {"-aes-128-cbc", "-recip ec.crt -keyopt ecdh_kdf_md:sha1", EC256, "aes128-cbc", false},
        {"-aes-128-cbc", "-recip ec.crt -keyopt ecdh_kdf_md:sha224", EC256, "aes128-cbc", false},
        {"-aes-128-gcm", "-recip ec.crt -keyopt ecdh_kdf_md:sha256", EC256, "aes128-gcm", false},
        {"-aes-192-gcm", "-recip ec384.crt -keyopt ecdh_kdf_md:sha384", EC384, "aes192-gcm", false},
        {"-aes-256-gcm", "-recip ec521.crt -keyopt ecdh_kdf_md:sha512", EC521, "aes256-gcm", false},
        {"-aes-256-gcm", "-recip ec.crt -keyopt ecdh_cofactor_mode:1 -keyopt ecdh_kdf_md:sha256", EC256,
         "aes256-gcm", false},
        {"-aes-128-cbc -aes256-wrap", "-recip ec.crt -keyopt ecdh_kdf_md:sha256", EC256, "aes128-cbc", false},
        /* others beside ours: a key encryption key, a password */
        {"-aes-256-cbc -secretkey 000102030405060708090A0B0C0D0E0F -secretkeyid C0FEE0 -pwri_password secret",
         "rsa.crt", RSA_KEY, "aes256-cbc", false},
        {"-aes-256-gcm -secretkey 000102030405060708090A0B0C0D0E0F -secretkeyid C0FEE0", "ec.crt", EC256,
         "aes256-gcm", false},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        command("openssl cms -encrypt -provider legacy -provider default -binary -outform DER -in entity "
                "-out cms "
                "%s %s",
                rows[i].options, rows[i].recipients);
        struct buf cms = file_of("cms");
        assert_opens(buf_slice(&cms), rows[i].who, rows[i].cipher, rows[i].weak);
        buf_release(&cms);
    }
}

/* --- what few programs write --- */

/* `whole` with the element at `path` (the position among its fellows, level by level) replaced by `by`. */
static void put_replaced(struct slice whole, const uint8_t *path, size_t depth, struct slice by,
                         struct buf *out)
{
    struct buf inside = BUF_INIT(MAX);
    struct ber_element e, child;
    struct slice in = whole;

    if (depth == 0) {
        OK(buf_append_slice(out, by));
        return;
    }
    assert_true(ber_next(&in, &e));
    for (uint8_t i = 0; e.content.len > 0; i++) {
        assert_true(ber_next(&e.content, &child));
        if (i == path[0])
            put_replaced(child.whole, path + 1, depth - 1, by, &inside);
        else
            OK(buf_append_slice(&inside, child.whole));
    }
    OK(der_put(out, e.tag, buf_slice(&inside)));
    buf_release(&inside);
}

/* id-ecPublicKey with these parameters. */
static void ec_algorithm(struct slice parameters, struct buf *out)
{
    struct buf inside = BUF_INIT(MAX);

    OK(der_put(&inside, BER_OID, SLICE_LITERAL("\x2a\x86\x48\xce\x3d\x02\x01")));
    OK(buf_append_slice(&inside, parameters));
    OK(der_put(out, BER_SEQUENCE, buf_slice(&inside)));
    buf_release(&inside);
}

/* The ephemeral key of ECDH, with the curve named, or written out, as RFC 5753 allows it: the recipient's own
 * curve opens. Any other, and above all one that a sender made up to learn of the key by, does not. */
static void the_curve_of_an_ephemeral_key(void **state)
{
    static const uint8_t originator_algorithm[] = {1, 0, 1, 0, 1, 0, 0};
    static const struct {
        const char *make; /* the parameters, into the file "parameters" */
        size_t turn;      /* of its bytes, from the end, one bit is turned; 0: none */
        bool opens;
    } rows[] = {
        {"printf '\\005\\000' >parameters", 0, true},
        {"openssl ecparam -name prime256v1 -outform DER -out parameters", 0, true},
        {"openssl ecparam -name prime256v1 -param_enc explicit -outform DER -out parameters", 0, true},
        {"openssl ecparam -name secp256k1 -outform DER -out parameters", 0, false},
        {"openssl ecparam -name secp384r1 -param_enc explicit -outform DER -out parameters", 0, false},
        {"openssl ecparam -name prime256v1 -param_enc explicit -outform DER -out parameters", 4, false},
        {"openssl ecparam -name prime256v1 -param_enc explicit -outform DER -out parameters", 40, false},
        {"openssl ecparam -name prime256v1 -param_enc explicit -outform DER -out parameters", 150, false},
        {"printf '\\060\\000' >parameters", 0, false},
        {"printf '\\060\\003\\002\\001\\001' >parameters", 0, false},
    };
    struct smime_key key = {.key = people[EC256].key, .certificate = people[EC256].der};

    (void)state;
    command("openssl cms -encrypt -binary -outform DER -in entity -out cms -aes-256-gcm ec.crt");
    struct buf cms = file_of("cms");
    for (size_t i = 0; i < ROWS(rows); i++) {
        command("%s", rows[i].make);
        struct buf parameters = file_of("parameters"), algorithm = BUF_INIT(MAX), made = BUF_INIT(MAX);
        struct smime_decrypted out;
        struct failure f = {0};

        if (rows[i].turn > 0)
            parameters.data[parameters.len - rows[i].turn] ^= 1;
        ec_algorithm(buf_slice(&parameters), &algorithm);
        put_replaced(buf_slice(&cms), originator_algorithm, sizeof(originator_algorithm),
                     buf_slice(&algorithm), &made);
        enum status status = smime_decrypt(buf_slice(&made), &key, 1, &out, &f);
        if ((status == STATUS_OK) != rows[i].opens)
            print_error("row %zu: %s\n", i, f.text);
        assert_int_equal(status, rows[i].opens ? STATUS_OK : STATUS_CRYPTO);
        if (rows[i].opens)
            assert_same(buf_slice(&out.entity), TEXT(ENTITY));
        else
            assert_string_equal(f.text, "the message does not decrypt");
        smime_decrypted_release(&out);
        assert_int_equal(ERR_peek_error(), 0);
        buf_release(&parameters);
        buf_release(&algorithm);
        buf_release(&made);
    }
    buf_release(&cms);
}

/* RFC 4055 section 4.1: a certificate whose key is for OAEP alone. OpenSSL 3.0 reads no such key. */
static void a_key_for_oaep_alone_is_told(void **state)
{
    static const uint8_t key_algorithm[] = {0, 6, 0};
    struct buf made = BUF_INIT(MAX);
    struct certificate_record record;
    struct failure f = {0};
    struct arena a;

    (void)state;
    arena_init(&a, MAX);
    put_replaced(people[RSA_KEY].der, key_algorithm, sizeof(key_algorithm),
                 SLICE_LITERAL("\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x07"), &made);
    assert_int_equal(certificate_describe(buf_slice(&made), SLICE_LITERAL("import"), NOW_MS, &a, &record, &f),
                     STATUS_UNSUPPORTED);
    HOLDS(f.text,
          "public key (rsaesOaep) cannot be read: what is supported are keys of the kinds rsaEncryption");
    struct smime_recipient to = {.certificate = buf_slice(&made)};
    struct buf cms = BUF_INIT(MAX);
    assert_int_equal(smime_encrypt(&to, 1, SMIME_AES256_GCM, TEXT(ENTITY), &cms, &f), STATUS_UNSUPPORTED);
    HOLDS(f.text, "its kind of key is not supported");
    buf_release(&cms);
    buf_release(&made);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(we_sign),
        cmocka_unit_test(openssl_signs),
        cmocka_unit_test(no_bit_of_an_ed25519_signature_may_turn),
        cmocka_unit_test(the_encryption_certificate_goes_along),
        cmocka_unit_test(another_certificate_of_the_same_key_is_noticed),
        cmocka_unit_test(we_encrypt),
        cmocka_unit_test(all_kinds_in_one_message),
        cmocka_unit_test(openssl_encrypts),
        cmocka_unit_test(the_curve_of_an_ephemeral_key),
        cmocka_unit_test(a_key_for_oaep_alone_is_told),
    };
    int failed = cmocka_run_group_tests_name("smime_matrix", tests, set_up, tear_down);

    pki_forget_keys();
    return failed;
}
