/*
 * See crypto/crl.h. OpenSSL parses; what the list is about is judged here, once, before anything of it is
 * proposed: extensions that are critical and not understood make a list UNSUPPORTED (RFC 5280 section 5.2),
 * for what they say might turn the meaning of its rows around.
 */
#include "crypto/crl.h"

#include "crypto/certificate_internal.h"
#include "crypto/distribution_points.h"

#include "base/hex.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#define NAME_TEXT_MAX   512
#define CLOCK_MARGIN_MS ((uint64_t)10 * 60 * 1000) /* a list may be of a clock that is ahead of ours */

struct crl {
    X509_CRL *x;
    struct crl_record record; /* texts point to what follows */
    char name[NAME_TEXT_MAX], points[CRL_POINTS_MAX + 1];
    uint8_t number[CRL_NUMBER_MAX + 1], base_number[CRL_NUMBER_MAX + 1];
    bool delta;
    uint64_t full_generation; /* of the list in force that a delta is added to */
    uint64_t rows_before;     /* rows in force that are to be swept away */
    struct buf encoded;       /* the record, for the last command */
};

/* --- names of issuers and serial numbers --- */

enum status issuer_id_of(X509 *issuer, uint8_t id[ISSUER_ID_SIZE])
{
    int ok = 0, len;
    unsigned long name = X509_NAME_hash_ex(X509_get_subject_name(issuer), NULL, NULL, &ok);
    unsigned char *spki = NULL;
    uint8_t head[8];
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good;

    for (size_t i = 0; i < sizeof(head); i++)
        head[i] = (uint8_t)((uint64_t)name >> (56 - 8 * i));
    len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(issuer), &spki);
    good = ok == 1 && ctx != NULL && len > 0 && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 &&
           EVP_DigestUpdate(ctx, head, sizeof(head)) == 1 && EVP_DigestUpdate(ctx, spki, (size_t)len) == 1 &&
           EVP_DigestFinal_ex(ctx, id, NULL) == 1;
    EVP_MD_CTX_free(ctx);
    OPENSSL_free(spki);
    return good ? STATUS_OK : STATUS_CRYPTO;
}

enum status serial_bytes(const ASN1_INTEGER *serial, struct slice *out)
{
    static const uint8_t zero[1] = {0};
    struct slice bytes = slice_of(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial));

    while (bytes.len > 0 && bytes.data[0] == 0)
        bytes = slice_of(bytes.data + 1, bytes.len - 1);
    *out = bytes.len > 0 ? bytes : slice_of(zero, 1);
    return out->len <= SERIAL_MAX ? STATUS_OK : STATUS_INVALID;
}

/* --- reading --- */

static X509_CRL *parse_pem(struct slice content)
{
    BIO *bio = BIO_new_mem_buf(content.data, (int)content.len);
    X509_CRL *x = bio == NULL ? NULL : PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);

    BIO_free(bio);
    return x;
}

static X509_CRL *parse(struct slice content)
{
    const unsigned char *at = content.data;
    X509_CRL *x = d2i_X509_CRL(NULL, &at, (long)content.len);

    if (x != NULL &&
        at != content.data + content.len) { /* something follows: whatever it is, it is not signed */
        X509_CRL_free(x);
        x = NULL;
    }
    if (x == NULL)
        x = parse_pem(content);
    ERR_clear_error();
    return x;
}

/* false: the extension is there and no number that RFC 5280 allows. Absent: empty. */
static bool read_number(X509_CRL *x, int nid, uint8_t *memory, struct slice *out, bool *there)
{
    int critical = -1;
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(x, nid, &critical, NULL);
    struct slice bytes;
    bool good = number == NULL ? critical == -1
                               : ASN1_STRING_type(number) == V_ASN1_INTEGER &&
                                     serial_bytes(number, &bytes) == STATUS_OK && bytes.len <= CRL_NUMBER_MAX;

    *there = number != NULL;
    *out = (struct slice){0};
    if (number != NULL && good) {
        memcpy(memory, bytes.data, bytes.len);
        *out = slice_of(memory, bytes.len);
    }
    ASN1_INTEGER_free(number);
    return good;
}

static bool add_point(struct crl *crl, struct slice uri)
{
    size_t len = strlen(crl->points);

    if (uri.len == 0 || !slice_is_text(uri) || len + 1 + uri.len > CRL_POINTS_MAX)
        return false;
    if (len > 0)
        crl->points[len++] = '\n';
    memcpy(crl->points + len, uri.data, uri.len);
    crl->points[len + uri.len] = '\0';
    return true;
}

/* The URIs of a part. One that has only other names (in a directory, say) is known by none: then it is never
 * the list that a certificate points to, but what is on it is still revoked. */
static void read_points(struct crl *crl, const ISSUING_DIST_POINT *point)
{
    if (point->distpoint == NULL || point->distpoint->type != 0)
        return;
    for (int i = 0; i < sk_GENERAL_NAME_num(point->distpoint->name.fullname); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(point->distpoint->name.fullname, i);

        if (name->type == GEN_URI)
            (void)add_point(crl, slice_of(ASN1_STRING_get0_data(name->d.uniformResourceIdentifier),
                                          (size_t)ASN1_STRING_length(name->d.uniformResourceIdentifier)));
    }
}

/* Issuing distribution point (RFC 5280 section 5.2.5): of what the list is a part. */
static enum status read_scope(struct crl *crl, struct failure *f)
{
    int at = X509_CRL_get_ext_by_NID(crl->x, NID_issuing_distribution_point, -1);
    ISSUING_DIST_POINT *point;
    ASN1_OCTET_STRING *value;
    uint8_t hash[32];
    enum status status = STATUS_OK;

    if (at < 0)
        return STATUS_OK;
    point = X509_CRL_get_ext_d2i(crl->x, NID_issuing_distribution_point, NULL, NULL);
    if (point == NULL)
        return failure_set(f, STATUS_MALFORMED, "the list's issuing distribution point is not well formed");
    if (point->indirectCRL > 0 || point->onlyattr > 0)
        status = failure_set(f, STATUS_UNSUPPORTED, "%s lists are not supported",
                             point->indirectCRL > 0 ? "indirect revocation" : "attribute certificates'");
    value = X509_EXTENSION_get_data(X509_CRL_get_ext(crl->x, at));
    sha256(slice_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)), hash);
    memcpy(crl->record.part, hash, CRL_PART_SIZE);
    crl->record.flags = (point->onlyuser > 0 ? CRL_USER_CERTS_ONLY : 0u) |
                        (point->onlyCA > 0 ? CRL_CA_CERTS_ONLY : 0u) |
                        (point->onlysomereasons != NULL ? CRL_SOME_REASONS_ONLY : 0u);
    read_points(crl, point);
    crl->record.points = slice_of_text(crl->points);
    if (status == STATUS_OK && point->distpoint != NULL && crl->record.points.len == 0)
        crl->record.flags |= CRL_SOME_REASONS_ONLY; /* of a part that we cannot name */
    ISSUING_DIST_POINT_free(point);
    return status;
}

static enum status unknown_extension(const char *where, X509_EXTENSION *extension, struct failure *f)
{
    char oid[80];

    if (OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(extension), 1) <= 0)
        memcpy(oid, "?", 2);
    return failure_set(f, STATUS_UNSUPPORTED, "%s has the critical extension %s, which is not supported",
                       where, oid);
}

static enum status check_extensions(struct crl *crl, struct failure *f)
{
    for (int i = 0; i < X509_CRL_get_ext_count(crl->x); i++) {
        X509_EXTENSION *extension = X509_CRL_get_ext(crl->x, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

        if (X509_EXTENSION_get_critical(extension) && nid != NID_issuing_distribution_point &&
            nid != NID_delta_crl && nid != NID_crl_number && nid != NID_authority_key_identifier)
            return unknown_extension("the list", extension, f);
    }
    return STATUS_OK;
}

static enum status check_entry(const X509_REVOKED *entry, struct failure *f)
{
    struct slice serial;
    uint64_t when;

    if (serial_bytes(X509_REVOKED_get0_serialNumber(entry), &serial) != STATUS_OK)
        return failure_set(f, STATUS_TOO_LARGE, "the list has a serial number of more than %d bytes",
                           SERIAL_MAX);
    if (!asn1_time_ms(X509_REVOKED_get0_revocationDate(entry), &when))
        return failure_set(f, STATUS_MALFORMED, "the list has an entry whose date is not readable");
    for (int i = 0; i < X509_REVOKED_get_ext_count(entry); i++) {
        X509_EXTENSION *extension = X509_REVOKED_get_ext(entry, i);
        int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));

        if (X509_EXTENSION_get_critical(extension) && nid != NID_crl_reason && nid != NID_invalidity_date &&
            nid != NID_hold_instruction_code)
            return unknown_extension("an entry of the list", extension, f);
    }
    return STATUS_OK;
}

static enum status check_entries(struct crl *crl, struct failure *f)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl->x);
    int count = sk_X509_REVOKED_num(entries);
    enum status status = STATUS_OK;

    if (count > CRL_ENTRIES_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "the list has %d entries; at most %d can be brought in",
                           count, CRL_ENTRIES_MAX);
    for (int i = 0; i < count && status == STATUS_OK; i++)
        status = check_entry(sk_X509_REVOKED_value(entries, i), f);
    return status;
}

static void read_name(struct crl *crl)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long len = 0;

    if (bio != NULL && X509_NAME_print_ex(bio, X509_CRL_get_issuer(crl->x), 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_get_mem_data(bio, &text);
    if (len > 0)
        memcpy(crl->name, text, (size_t)(len < NAME_TEXT_MAX - 1 ? len : NAME_TEXT_MAX - 1));
    BIO_free(bio);
    crl->record.name = slice_of_text(crl->name);
    if (!slice_is_text(crl->record.name))
        crl->record.name = SLICE_LITERAL("(a name that cannot be shown)");
}

static enum status read_facts(struct crl *crl, struct failure *f)
{
    struct crl_record *r = &crl->record;
    bool numbered = false;
    enum status status = check_extensions(crl, f);

    if (status == STATUS_OK)
        status = read_scope(crl, f);
    if (status != STATUS_OK)
        return status;
    read_name(crl);
    if (!read_number(crl->x, NID_crl_number, crl->number, &r->number, &numbered) ||
        !read_number(crl->x, NID_delta_crl, crl->base_number, &r->base_number, &crl->delta))
        return failure_set(f, STATUS_MALFORMED, "the list's number is not one of at most %d bytes",
                           CRL_NUMBER_MAX);
    if (crl->delta && !numbered)
        return failure_set(f, STATUS_MALFORMED, "the delta list has no number");
    if (!asn1_time_ms(X509_CRL_get0_lastUpdate(crl->x), &r->this_ms) ||
        (X509_CRL_get0_nextUpdate(crl->x) != NULL &&
         !asn1_time_ms(X509_CRL_get0_nextUpdate(crl->x), &r->next_ms)))
        return failure_set(f, STATUS_MALFORMED, "the list's dates are not readable");
    return check_entries(crl, f);
}

enum status crl_read(struct slice content, struct crl **out, struct failure *f)
{
    struct crl *crl;
    enum status status;

    *out = NULL;
    if (content.len > CRL_BYTES_MAX)
        return failure_set(f, STATUS_TOO_LARGE, "a list of %zu bytes is larger than %zu", content.len,
                           CRL_BYTES_MAX);
    crl = calloc(1, sizeof(*crl));
    if (crl == NULL)
        return failure_set(f, STATUS_NO_MEMORY, "cannot read a list: out of memory");
    crl->encoded = BUF_INIT(16384);
    crl->x = parse(content);
    status = crl->x == NULL ? failure_set(f, STATUS_MALFORMED,
                                          "this is no certificate revocation list, neither DER nor PEM")
                            : read_facts(crl, f);
    ERR_clear_error();
    if (status != STATUS_OK) {
        crl_free(crl);
        return status;
    }
    *out = crl;
    return STATUS_OK;
}

void crl_free(struct crl *crl)
{
    if (crl == NULL)
        return;
    X509_CRL_free(crl->x);
    buf_release(&crl->encoded);
    free(crl);
}

/* --- verifying --- */

struct issuer_search {
    X509_CRL *x;
    X509 *issuer; /* owned */
    enum status status;
    struct failure *f;
};

static bool digest_is_broken(X509_CRL *x)
{
    int digest = NID_undef;

    (void)OBJ_find_sigid_algs(X509_CRL_get_signature_nid(x), &digest, NULL);
    return digest == NID_md5 || digest == NID_md4 || digest == NID_md2;
}

/* UNTRUSTED or INVALID say why the last one with this name was not the issuer; another may be. */
static bool try_issuer(void *context, const struct certificate_record *record)
{
    struct issuer_search *search = context;
    char name[200];
    X509 *x = certificate_from_der(record->der);

    if (x == NULL || X509_NAME_cmp(X509_get_subject_name(x), X509_CRL_get_issuer(search->x)) != 0) {
        X509_free(x);
        return true;
    }
    certificate_name(x, name, sizeof(name));
    if (X509_get0_pubkey(x) == NULL || X509_CRL_verify(search->x, X509_get0_pubkey(x)) != 1) {
        if (search->status != STATUS_INVALID)
            search->status = failure_set(search->f, STATUS_UNTRUSTED,
                                         "the list's signature is not by the key of %s", name);
    } else if ((X509_get_key_usage(x) & KU_CRL_SIGN) == 0) {
        search->status = failure_set(search->f, STATUS_INVALID,
                                     "%s may not sign revocation lists: its key usage has no cRLSign", name);
    } else {
        search->status = STATUS_OK;
        search->issuer = x;
        return false;
    }
    X509_free(x);
    return true;
}

static bool try_ca(void *context, const struct certificate_record *record)
{
    return (record->uses & CERT_USE_CA) == 0 || try_issuer(context, record);
}

static enum status find_issuer(struct crl *crl, struct store_view *view, struct failure *f)
{
    struct issuer_search search = {.x = crl->x, .status = STATUS_NO_KEY, .f = f};
    enum status status;

    if (digest_is_broken(crl->x))
        return failure_set(f, STATUS_UNTRUSTED, "the list's signature uses a digest that can be forged");
    (void)failure_set(f, STATUS_NO_KEY, "the certificate of the list's issuer %s is not stored",
                      crl->record.name.len > 0 ? crl->name : "(no name)");
    status = store_anchors_all(view, try_issuer, &search);
    if (status == STATUS_OK && search.issuer == NULL)
        status = store_certificates_all(view, try_ca, &search);
    if (status != STATUS_OK)
        status = failure_set(f, status, "the certificates cannot be read");
    else
        status = search.status;
    if (search.issuer != NULL && status == STATUS_OK)
        status = issuer_id_of(search.issuer, crl->record.issuer);
    X509_free(search.issuer);
    ERR_clear_error();
    return status;
}

/* The same rules as the store's when it applies the last command: to say it before anything is proposed. */
static enum status compare(struct crl *crl, struct store_view *view, struct failure *f)
{
    struct crl_record *mine = &crl->record, theirs;
    enum status status = store_crl_get(view, mine->issuer, mine->part, &theirs);

    if (status == STATUS_NOT_FOUND && crl->delta)
        return failure_set(f, STATUS_CONFLICT, "a delta list needs the full list of %s first", crl->name);
    if (status == STATUS_NOT_FOUND)
        return STATUS_OK;
    if (status != STATUS_OK)
        return failure_set(f, status, "the list in force cannot be read");
    if (crl_number_compare(mine->number, theirs.number) == 0 && mine->this_ms == theirs.this_ms)
        return failure_set(f, STATUS_EXISTS, "this list is in force already");
    if (!crl->delta && theirs.base_number.len > 0 && mine->number.len > 0 &&
        mine->this_ms <= theirs.this_ms && crl_number_compare(mine->number, theirs.base_number) >= 0 &&
        crl_number_compare(mine->number, theirs.number) <= 0)
        return failure_set(f, STATUS_EXISTS, "a delta upon this list, or upon one before it, is in force");
    if (mine->this_ms < theirs.this_ms ||
        (mine->number.len > 0 && crl_number_compare(mine->number, theirs.number) < 0))
        return failure_set(f, STATUS_CONFLICT, "a list of %s that is newer is in force", crl->name);
    if (crl->delta && crl_number_compare(mine->base_number, theirs.number) > 0)
        return failure_set(f, STATUS_CONFLICT, "the delta list builds upon a newer full list of %s",
                           crl->name);
    crl->full_generation = theirs.generation;
    crl->rows_before = theirs.entries;
    return STATUS_OK;
}

enum status crl_verify(struct crl *crl, struct store_view *view, uint64_t now_ms, struct failure *f)
{
    struct failure ignored;
    enum status status = find_issuer(crl, view, f != NULL ? f : &ignored);

    if (status == STATUS_OK && crl->record.this_ms > now_ms + CLOCK_MARGIN_MS)
        status = failure_set(f, STATUS_INVALID, "the list's thisUpdate lies in the future");
    return status == STATUS_OK ? compare(crl, view, f) : status;
}

enum status crl_verify_own(struct crl *crl, X509 *ca, uint64_t now_ms, struct failure *f)
{
    static const uint8_t whole[CRL_PART_SIZE] = {0};
    enum status status = STATUS_OK;

    if (X509_NAME_cmp(X509_get_subject_name(ca), X509_CRL_get_issuer(crl->x)) != 0)
        status = failure_set(f, STATUS_INVALID, "the list is of %s, and not of this CA", crl->name);
    else if (digest_is_broken(crl->x))
        status = failure_set(f, STATUS_UNTRUSTED, "the list's signature uses a digest that can be forged");
    else if (X509_CRL_verify(crl->x, X509_get0_pubkey(ca)) != 1)
        status = failure_set(f, STATUS_UNTRUSTED, "the list's signature is not by the key of this CA");
    else if (crl->delta || memcmp(crl->record.part, whole, sizeof(whole)) != 0)
        status = failure_set(f, STATUS_INVALID,
                             "the list is a %s; the CA's full list of all its certificates is needed",
                             crl->delta ? "delta" : "part");
    else if (crl->record.this_ms > now_ms + CLOCK_MARGIN_MS)
        status = failure_set(f, STATUS_INVALID, "the list's thisUpdate lies in the future");
    ERR_clear_error();
    return status;
}

const struct crl_record *crl_record_of(const struct crl *crl)
{
    return &crl->record;
}

size_t crl_entry_count(const struct crl *crl)
{
    int count = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(crl->x));

    return count > 0 ? (size_t)count : 0;
}

struct slice crl_freshest(const struct crl *crl, struct arena *a)
{
    CRL_DIST_POINTS *points = crl->delta ? NULL : X509_CRL_get_ext_d2i(crl->x, NID_freshest_crl, NULL, NULL);
    struct slice urls[DISTRIBUTION_URLS_MAX];
    size_t count = distribution_point_urls(points, a, urls);

    CRL_DIST_POINTS_free(points);
    ERR_clear_error();
    return count > 0 ? urls[0] : (struct slice){0};
}

/* --- commands --- */

void crl_prepare(struct crl *crl, uint64_t generation, const char *source, uint64_t now_ms)
{
    crl->record.generation = crl->delta ? crl->full_generation : generation;
    crl->record.entries = crl_entry_count(crl);
    crl->record.added_ms = now_ms;
    crl->record.source = slice_of_text(source);
}

static size_t row_commands(const struct crl *crl)
{
    return (crl_entry_count(crl) + CRL_ROWS_MAX - 1) / CRL_ROWS_MAX;
}

/* begin (not for a delta), rows, force, sweeps (one more than needed: others may have left something). */
size_t crl_command_count(const struct crl *crl)
{
    if (crl->delta)
        return row_commands(crl) + 1;
    return 1 + row_commands(crl) + 1 + (size_t)(crl->rows_before / CRL_SWEEP_MAX) + 1;
}

static unsigned reason_of(X509_REVOKED *entry)
{
    ASN1_ENUMERATED *value = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
    long reason = value == NULL ? 0 : ASN1_ENUMERATED_get(value);

    ASN1_ENUMERATED_free(value);
    return reason > 0 && reason <= CRL_REASON_MAX ? (unsigned)reason : 0;
}

static enum status write_rows(struct crl *crl, size_t first, struct buf *out)
{
    STACK_OF(X509_REVOKED) *entries = X509_CRL_get_REVOKED(crl->x);
    size_t count = crl_entry_count(crl);
    enum status status = STATUS_OK;

    for (size_t i = first; i < count && i < first + CRL_ROWS_MAX && status == STATUS_OK; i++) {
        X509_REVOKED *entry = sk_X509_REVOKED_value(entries, (int)i);
        struct crl_row row = {.reason = reason_of(entry)};

        if (row.reason == CRL_REASON_REMOVE && !crl->delta)
            row.reason = 0; /* it has no meaning on a full list; that the serial number is on it has one */
        status = serial_bytes(X509_REVOKED_get0_serialNumber(entry), &row.serial);
        if (status == STATUS_OK && !asn1_time_ms(X509_REVOKED_get0_revocationDate(entry), &row.revoked_ms))
            status = STATUS_MALFORMED;
        if (status == STATUS_OK)
            status = crl_row_write(&row, out);
    }
    return status;
}

enum status crl_rows(struct crl *crl, struct buf *out)
{
    return write_rows(crl, 0, out);
}

static enum status rows_command(struct crl *crl, size_t first, struct buf *storage, struct command *out)
{
    enum status status;

    out->number = COMMAND_CRL_ROWS;
    buf_reset(storage);
    status = write_rows(crl, first, storage);
    out->values[2].number = crl->record.generation;
    out->values[3].bytes = buf_slice(storage);
    return status;
}

static enum status force_command(struct crl *crl, struct command *out)
{
    enum status status;

    buf_reset(&crl->encoded);
    status = crl_record_encode(&crl->record, &crl->encoded);
    out->values[2].number = crl->record.generation;
    out->values[3].number = crl_entry_count(crl);
    out->values[4].bytes = buf_slice(&crl->encoded);
    return status;
}

enum status crl_command(struct crl *crl, size_t i, uint64_t now_ms, struct slice actor, struct buf *storage,
                        struct command *out, struct failure *f)
{
    size_t begin = crl->delta ? 0 : 1, rows = row_commands(crl);
    enum command_number number = COMMAND_CRL_SWEEP;
    enum status status = STATUS_OK;

    if (i < begin)
        number = COMMAND_CRL_BEGIN;
    else if (i < begin + rows)
        number = COMMAND_CRL_ROWS;
    else if (i == begin + rows)
        number = COMMAND_CRL_FORCE;
    command_init(out, number, now_ms, actor);
    out->values[0].bytes = slice_of(crl->record.issuer, ISSUER_ID_SIZE);
    out->values[1].bytes = slice_of(crl->record.part, CRL_PART_SIZE);
    if (number == COMMAND_CRL_BEGIN)
        out->values[2].number = crl->record.generation;
    else if (number == COMMAND_CRL_ROWS)
        status = rows_command(crl, (i - begin) * CRL_ROWS_MAX, storage, out);
    else if (number == COMMAND_CRL_FORCE)
        status = force_command(crl, out);
    return status == STATUS_OK
               ? STATUS_OK
               : failure_set(f, status, "cannot write the list's rows: %s", status_text(status));
}
