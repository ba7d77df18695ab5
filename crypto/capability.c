/* See capability.h. Order of the table: our preference within symmetric ciphers, key transport and agreement,
 * signatures, compression. Parameters are DER as the RFC of the algorithm wants them. */
#include "crypto/capability.h"

#include "crypto/ber.h"
#include "crypto/der.h"

#define AES       "\x60\x86\x48\x01\x65\x03\x04\x01" /* 2.16.840.1.101.3.4.1 */
#define SHA2      "\x60\x86\x48\x01\x65\x03\x04\x02" /* 2.16.840.1.101.3.4.2 */
#define PKCS1     "\x2a\x86\x48\x86\xf7\x0d\x01\x01" /* 1.2.840.113549.1.1 */
#define ECDH      "\x2b\x81\x04\x01\x0b"             /* 1.3.132.1.11: dhSinglePass-stdDH-*kdf-scheme */
#define ECDSA     "\x2a\x86\x48\xce\x3d\x04\x03"     /* 1.2.840.10045.4.3 */
#define WRAP(arc) "\x30\x0b\x06\x09" AES arc
/* RSAES-OAEP-params: SHA-256, MGF1 with SHA-256 (RFC 4055 section 4.1). */
#define SHA256_ALGORITHM "\x30\x0d\x06\x09" SHA2 "\x01\x05\x00"
#define OAEP_SHA256                                                                                          \
    "\x30\x2f\xa0\x0f" SHA256_ALGORITHM "\xa1\x1c\x30\x1a\x06\x09" PKCS1 "\x08" SHA256_ALGORITHM

#define BYTES(literal) SLICE_LITERAL(literal)
#define NONE                                                                                                 \
    {                                                                                                        \
        NULL, 0                                                                                              \
    }

static const struct {
    const char *name;
    uint64_t flag;
    struct slice oid, parameters; /* parameters: of ours, and, if exact, those that another's must be */
    bool exact;
    bool ours; /* named in our own list */
} table[] = {
    {"aes256-gcm", CERT_CAP_AES256_GCM, BYTES(AES "\x2e"), NONE, false, true},
    {"aes192-gcm", CERT_CAP_AES192_GCM, BYTES(AES "\x1a"), NONE, false, true},
    {"aes128-gcm", CERT_CAP_AES128_GCM, BYTES(AES "\x06"), NONE, false, true},
    {"aes256-cbc", CERT_CAP_AES256_CBC, BYTES(AES "\x2a"), NONE, false, true},
    {"aes192-cbc", CERT_CAP_AES192_CBC, BYTES(AES "\x16"), NONE, false, true},
    {"aes128-cbc", CERT_CAP_AES128_CBC, BYTES(AES "\x02"), NONE, false, true},
    {"3des", CERT_CAP_3DES, BYTES("\x2a\x86\x48\x86\xf7\x0d\x03\x07"), NONE, false, false},
    {"rsa-oaep-sha256", CERT_CAP_OAEP_SHA256, BYTES(PKCS1 "\x07"), BYTES(OAEP_SHA256), true, true},
    {"rsa-pkcs1", CERT_CAP_RSA_PKCS1, BYTES(PKCS1 "\x01"), NONE, false, true},
    {"ecdh-sha256", CERT_CAP_ECDH_SHA256, BYTES(ECDH "\x01"), BYTES(WRAP("\x2d")), false, true},
    {"ecdh-sha256", CERT_CAP_ECDH_SHA256, BYTES(ECDH "\x01"), BYTES(WRAP("\x05")), false, true},
    {"ecdh-sha384", CERT_CAP_ECDH_SHA384, BYTES(ECDH "\x02"), BYTES(WRAP("\x2d")), false, true},
    {"ecdh-sha512", CERT_CAP_ECDH_SHA512, BYTES(ECDH "\x03"), BYTES(WRAP("\x2d")), false, true},
    {"rsa-pss", CERT_CAP_RSA_PSS, BYTES(PKCS1 "\x0a"), NONE, false, true},
    {"ecdsa-sha256", CERT_CAP_ECDSA_SHA256, BYTES(ECDSA "\x02"), NONE, false, true},
    {"ecdsa-sha384", CERT_CAP_ECDSA_SHA384, BYTES(ECDSA "\x03"), NONE, false, true},
    {"ecdsa-sha512", CERT_CAP_ECDSA_SHA512, BYTES(ECDSA "\x04"), NONE, false, true},
    {"ed25519", CERT_CAP_ED25519, BYTES("\x2b\x65\x70"), NONE, false, true},
    {"rsa-sha256", CERT_CAP_RSA_SHA256, BYTES(PKCS1 "\x0b"), NONE, false, true},
    {"rsa-sha384", CERT_CAP_RSA_SHA384, BYTES(PKCS1 "\x0c"), NONE, false, true},
    {"rsa-sha512", CERT_CAP_RSA_SHA512, BYTES(PKCS1 "\x0d"), NONE, false, true},
    {"zlib", CERT_CAP_ZLIB, BYTES("\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x03\x08"), NONE, false, true},
};

#define ROWS             (sizeof(table) / sizeof(table[0]))
#define CAPABILITIES_MAX 256 /* members of somebody's list that are looked at */

/* The same hash and mask generation, whether NULL parameters are written out or not. */
static bool is_oaep_sha256(struct slice parameters)
{
    static const struct slice oid = BYTES("\x06\x09" SHA2 "\x01");
    size_t found = 0;

    for (size_t i = 0; i + oid.len <= parameters.len; i++)
        found += slice_starts_with(slice_of(parameters.data + i, parameters.len - i), oid);
    return found == 2;
}

uint64_t capabilities_read(struct slice ber)
{
    struct ber_element list, one, oid;
    uint64_t flags = 0;

    if (!ber_next_is(&ber, BER_SEQUENCE, &list))
        return 0;
    for (size_t n = 0; n < CAPABILITIES_MAX && ber_next_is(&list.content, BER_SEQUENCE, &one); n++) {
        if (!ber_next_is(&one.content, BER_OID, &oid))
            continue;
        for (size_t i = 0; i < ROWS; i++)
            if (slice_equal(oid.content, table[i].oid) && (!table[i].exact || is_oaep_sha256(one.content)))
                flags |= table[i].flag;
    }
    return flags;
}

enum status capabilities_write(struct buf *out)
{
    struct buf list = BUF_INIT(4096), one = BUF_INIT(256);
    enum status status = STATUS_OK;

    for (size_t i = 0; i < ROWS && status == STATUS_OK; i++) {
        if (!table[i].ours)
            continue;
        buf_reset(&one);
        status = der_put(&one, BER_OID, table[i].oid);
        if (status == STATUS_OK)
            status = buf_append_slice(&one, table[i].parameters);
        if (status == STATUS_OK)
            status = der_put(&list, BER_SEQUENCE, buf_slice(&one));
    }
    if (status == STATUS_OK)
        status = der_put(out, BER_SEQUENCE, buf_slice(&list));
    buf_release(&list);
    buf_release(&one);
    return status;
}

const char *capability_name(size_t i, uint64_t *flag)
{
    /* a scheme that is in the table twice, for two sizes of wrap, has one name */
    for (size_t row = 0, n = 0; row < ROWS; row++) {
        if (row > 0 && table[row].flag == table[row - 1].flag)
            continue;
        if (n++ == i) {
            *flag = table[row].flag;
            return table[row].name;
        }
    }
    return NULL;
}

static const struct {
    uint64_t flag, implies;
    enum smime_cipher cipher;
} by_preference[] = {
    {CERT_CAP_AES256_GCM, CERT_CAP_AES256_CBC, SMIME_AES256_GCM},
    {CERT_CAP_AES192_GCM, CERT_CAP_AES192_CBC, SMIME_AES192_GCM},
    {CERT_CAP_AES128_GCM, CERT_CAP_AES128_CBC, SMIME_AES128_GCM},
    {CERT_CAP_AES256_CBC, CERT_CAP_AES128_CBC, SMIME_AES256_CBC},
    {CERT_CAP_AES192_CBC, CERT_CAP_AES128_CBC, SMIME_AES192_CBC},
    {CERT_CAP_AES128_CBC, CERT_CAP_AES128_CBC, SMIME_AES128_CBC},
};

#define CIPHERS (sizeof(by_preference) / sizeof(by_preference[0]))
#define ALL_CIPHERS                                                                                          \
    (CERT_CAP_AES256_GCM | CERT_CAP_AES192_GCM | CERT_CAP_AES128_GCM | CERT_CAP_AES256_CBC |                 \
     CERT_CAP_AES192_CBC | CERT_CAP_AES128_CBC | CERT_CAP_3DES)

uint64_t capabilities_assumed(uint64_t flags)
{
    if ((flags & ALL_CIPHERS) == 0)
        return flags | CERT_CAP_AES256_CBC | CERT_CAP_AES192_CBC | CERT_CAP_AES128_CBC;
    for (size_t i = 0; i < CIPHERS; i++)
        if ((flags & by_preference[i].flag) != 0)
            flags |= by_preference[i].implies;
    return flags;
}

enum smime_cipher capabilities_cipher(uint64_t assumed)
{
    for (size_t i = 0; i < CIPHERS; i++)
        if ((assumed & by_preference[i].flag) != 0)
            return by_preference[i].cipher;
    return SMIME_AES128_CBC;
}
