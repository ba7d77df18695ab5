/* See revocation_world.h. */
#include "revocation_world.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

static uint64_t generations = 7;

static void need(bool good)
{
    if (!good) {
        ERR_print_errors_fp(stderr);
        abort();
    }
}

struct apply_result world_apply(struct revocation_world *w, const struct command *c)
{
    struct apply_result result = apply_at(w->store, ++w->index, c);

    commit(w->store);
    return result;
}

void world_certificate(struct revocation_world *w, const struct made *m, bool anchor)
{
    struct certificate_record record;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct arena a;
    struct command c;

    arena_init(&a, (size_t)1 << 20);
    OK(certificate_describe(m->der, SLICE_LITERAL("test"), NOW_MS, &a, &record, NULL));
    OK(certificate_record_encode(&record, &encoded));
    command_init(&c, COMMAND_CERT_ADD, NOW_MS, SLICE_LITERAL("test"));
    c.values[0].bytes = buf_slice(&encoded);
    OK(world_apply(w, &c).status);
    if (anchor) {
        command_init(&c, COMMAND_TRUST_ADD, NOW_MS, SLICE_LITERAL("test"));
        c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
        OK(world_apply(w, &c).status);
    }
    buf_release(&encoded);
    arena_release(&a);
}

void revocation_world_begin(struct revocation_world *w)
{
    const struct recipe root = {.name = "root", .ca = true, .usage = "keyCertSign,cRLSign", .key = 0};
    const struct recipe inter = {.name = "inter", .ca = true, .usage = "keyCertSign,cRLSign", .key = 1};
    const struct recipe leaf = {
        .name = "leaf", .san = "email:a@x.org", .key = 2, .points = "URI:http://crl.example/1.crl"};
    const struct recipe other = {.name = "other", .san = "email:b@x.org", .key = 2};

    memset(w, 0, sizeof(*w));
    temporary_folder(w->dir);
    w->store = open_writer(w->dir);
    w->root = pki_make(&root, NULL);
    w->inter = pki_make(&inter, &w->root);
    w->leaf = pki_make(&leaf, &w->inter);
    w->other = pki_make(&other, &w->inter);
    world_certificate(w, &w->root, true);
    world_certificate(w, &w->inter, false);
}

void revocation_world_end(struct revocation_world *w)
{
    store_close(w->store);
    remove_tree(w->dir);
    pki_release(&w->root);
    pki_release(&w->inter);
    pki_release(&w->leaf);
    pki_release(&w->other);
}

void world_setting(struct revocation_world *w, const char *name, const char *value)
{
    struct command c = setting_command(SETTING_GLOBAL, "", name, value);

    OK(world_apply(w, &c).status);
}

void world_ctl(struct revocation_world *w, const struct made *certificate, enum ctl_verdict verdict,
               uint64_t expires_ms, const char *comment)
{
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct command c;

    sha256(certificate->der, thumbprint);
    command_init(&c, verdict == CTL_NONE ? COMMAND_CTL_REMOVE : COMMAND_CTL_SET, NOW_MS,
                 SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of(thumbprint, sizeof(thumbprint));
    if (verdict != CTL_NONE) {
        c.values[1].number = verdict;
        c.values[2].number = expires_ms;
        c.values[3].bytes = slice_of_text(comment);
    }
    OK(world_apply(w, &c).status);
}

void world_ocsp(struct revocation_world *w, const struct made *certificate, const struct made *issuer,
                enum ocsp_status status, uint64_t next_ms)
{
    uint8_t id[ISSUER_ID_SIZE];
    struct command c;

    OK(issuer_id_of(issuer->x, id));
    command_init(&c, COMMAND_OCSP_PUT, NOW_MS, SLICE_LITERAL("test"));
    c.values[0].bytes = slice_of(id, sizeof(id));
    OK(serial_bytes(X509_get0_serialNumber(certificate->x), &c.values[1].bytes));
    c.values[2].number = status;
    c.values[3].number = status == OCSP_REVOKED ? NOW_MS - DAY_MS : 0;
    c.values[4].number = status == OCSP_REVOKED ? 4 : 0;
    c.values[5].number = NOW_MS - 1000;
    c.values[6].number = next_ms;
    OK(world_apply(w, &c).status);
}

/* --- lists --- */

static void add_entry(X509_CRL *crl, const struct listed *entry)
{
    X509_REVOKED *revoked = X509_REVOKED_new();
    ASN1_INTEGER *serial = ASN1_INTEGER_new();
    ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)((NOW_MS - 30 * DAY_MS) / 1000));
    ASN1_ENUMERATED *reason = ASN1_ENUMERATED_new();

    need(revoked != NULL && serial != NULL && when != NULL && reason != NULL);
    need(entry->certificate != NULL
             ? X509_REVOKED_set_serialNumber(
                   revoked, (ASN1_INTEGER *)(uintptr_t)X509_get0_serialNumber(entry->certificate->x)) == 1
             : ASN1_INTEGER_set_uint64(serial, entry->serial) == 1 &&
                   X509_REVOKED_set_serialNumber(revoked, serial) == 1);
    need(X509_REVOKED_set_revocationDate(revoked, when) == 1);
    if (entry->reason >= 0)
        need(ASN1_ENUMERATED_set(reason, entry->reason) == 1 &&
             X509_REVOKED_add1_ext_i2d(revoked, NID_crl_reason, reason, 0, 0) == 1);
    need(X509_CRL_add0_revoked(crl, revoked) == 1);
    ASN1_INTEGER_free(serial);
    ASN1_TIME_free(when);
    ASN1_ENUMERATED_free(reason);
}

static void add_number(X509_CRL *crl, int nid, long number)
{
    ASN1_INTEGER *value = ASN1_INTEGER_new();

    if (number != 0)
        need(value != NULL && ASN1_INTEGER_set(value, number) == 1 &&
             X509_CRL_add1_ext_i2d(crl, nid, value, nid == NID_delta_crl, 0) == 1);
    ASN1_INTEGER_free(value);
}

static void add_scope(X509_CRL *crl, const struct list_recipe *r)
{
    ISSUING_DIST_POINT *point = ISSUING_DIST_POINT_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *uri = ASN1_IA5STRING_new();

    need(point != NULL && name != NULL && uri != NULL);
    if (r->point != NULL) {
        point->distpoint = DIST_POINT_NAME_new();
        need(point->distpoint != NULL && ASN1_STRING_set(uri, r->point, -1) == 1);
        point->distpoint->type = 0;
        point->distpoint->name.fullname = sk_GENERAL_NAME_new_null();
        GENERAL_NAME_set0_value(name, GEN_URI, uri);
        need(sk_GENERAL_NAME_push(point->distpoint->name.fullname, name) > 0);
    } else {
        GENERAL_NAME_free(name);
        ASN1_IA5STRING_free(uri);
    }
    point->onlyuser = r->user_only ? 0xff : 0;
    point->indirectCRL = r->indirect ? 0xff : 0;
    need(X509_CRL_add1_ext_i2d(crl, NID_issuing_distribution_point, point, 1, 0) == 1);
    ISSUING_DIST_POINT_free(point);
}

static void add_freshest(X509_CRL *crl, const char *uri)
{
    char text[256];
    X509_EXTENSION *extension;

    need(snprintf(text, sizeof(text), "URI:%s", uri) < (int)sizeof(text));
    extension = X509V3_EXT_conf_nid(NULL, NULL, NID_freshest_crl, text);
    need(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1);
    X509_EXTENSION_free(extension);
}

static void add_unknown(X509_CRL *crl, const char *what)
{
    ASN1_OBJECT *oid = OBJ_txt2obj("1.3.6.1.4.1.55555.2", 1);
    ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
    X509_EXTENSION *extension;

    need(oid != NULL && value != NULL && ASN1_OCTET_STRING_set(value, (const unsigned char *)"\5\0", 2) == 1);
    extension = X509_EXTENSION_create_by_OBJ(NULL, oid, strcmp(what, "critical") == 0, value);
    need(extension != NULL && X509_CRL_add_ext(crl, extension, -1) == 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(value);
    ASN1_OBJECT_free(oid);
}

void list_make(const struct list_recipe *r, const struct made *issuer, struct buf *out)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)(r->this_ms / 1000));
    ASN1_TIME *to = ASN1_TIME_set(NULL, (time_t)(r->next_ms / 1000));
    unsigned char *der = NULL;
    int len;

    need(crl != NULL && from != NULL && to != NULL && X509_CRL_set_version(crl, 1) == 1 &&
         X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->x)) == 1 &&
         X509_CRL_set1_lastUpdate(crl, from) == 1);
    if (r->next_ms != 0)
        need(X509_CRL_set1_nextUpdate(crl, to) == 1);
    for (size_t i = 0; i < r->count; i++)
        add_entry(crl, &r->entries[i]);
    add_number(crl, NID_crl_number, r->number);
    add_number(crl, NID_delta_crl, r->base);
    if (r->point != NULL || r->user_only || r->indirect)
        add_scope(crl, r);
    if (r->freshest != NULL)
        add_freshest(crl, r->freshest);
    if (r->unknown != NULL)
        add_unknown(crl, r->unknown);
    need(X509_CRL_sign(crl, issuer->key, r->digest != NULL ? r->digest : EVP_sha256()) > 0);
    len = i2d_X509_CRL(crl, &der);
    need(len > 0);
    *out = BUF_INIT(CRL_BYTES_MAX);
    OK(buf_append(out, der, (size_t)len));
    OPENSSL_free(der);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
    X509_CRL_free(crl);
}

static enum status apply_all(struct revocation_world *w, struct crl *crl, struct failure *f)
{
    struct buf storage = BUF_INIT(COMMAND_MAX);
    enum status status = STATUS_OK;
    struct command c;

    crl_prepare(crl, ++generations, "import", NOW_MS);
    for (size_t i = 0; i < crl_command_count(crl) && status == STATUS_OK; i++) {
        struct apply_result result;

        OK(crl_command(crl, i, NOW_MS, SLICE_LITERAL("test"), &storage, &c, f));
        result = world_apply(w, &c);
        status = result.status;
        if (status != STATUS_OK)
            *f = result.failure;
    }
    buf_release(&storage);
    return status;
}

enum status list_import(struct revocation_world *w, const struct list_recipe *recipe,
                        const struct made *issuer, struct failure *f)
{
    struct buf der;
    struct crl *crl = NULL;
    struct store_view *view;
    enum status status;

    list_make(recipe, issuer, &der);
    status = crl_read(buf_slice(&der), &crl, f);
    if (status == STATUS_OK) {
        OK(store_view_begin(w->store, &view, f));
        status = crl_verify(crl, view, NOW_MS, f);
        store_view_end(view);
    }
    if (status == STATUS_OK)
        status = apply_all(w, crl, f);
    crl_free(crl);
    buf_release(&der);
    return status;
}

enum status world_judge(struct revocation_world *w, const struct made *certificate, struct failure *f)
{
    struct store_view *view;
    struct trust *trust;
    enum status status;

    *f = (struct failure){0};
    OK(store_view_begin(w->store, &view, f));
    OK(trust_load(view, &trust, f));
    status = trust_check(trust, certificate->der, NULL, TRUST_FOR_ENCRYPTION, NOW_MS, f);
    trust_free(trust);
    store_view_end(view);
    return status;
}
