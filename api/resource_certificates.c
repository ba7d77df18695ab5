/* /v1/certificates: the certificates of partners, CAs and our own users. Their keys are in resource_keys.c.
 */
#include "api/ca_requests.h"
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/list_page.h"
#include "api/resources.h"
#include "base/clock.h"
#include "base/hex.h"
#include "store/records_trust.h"

static const struct api_field request_fields[] = {
    CERTIFICATE_DATA_FIELD(CERTIFICATE_DATA_KINDS "; several certificates at once are fine"),
};
const struct api_object certificates_request_object = {.name = "CertificatesRequest",
                                                       API_FIELDS(request_fields)};

static const struct api_field imported_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &import_entry_object},
};
const struct api_object imported_object = {.name = "ImportedCertificates", API_FIELDS(imported_fields)};

static const struct api_field check_fields[] = {
    {.name = "status",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .help = "OK, UNTRUSTED, EXPIRED, REVOKED or INVALID"},
    {.name = "reason", .type = API_TEXT, .flags = API_REQUIRED, .help = "in plain words; empty if OK"},
};
static const struct api_object check_object = {.name = "CertificateCheck", API_FIELDS(check_fields)};

static const struct api_field revocation_fields[] = {
    {.name = "status",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .choices = "good|revoked|unknown",
     .help = "unknown: no list and no answer in force tells"},
    {.name = "revoked", .type = API_TIME, .help = "when it was revoked"},
    {.name = "reason", .type = API_TEXT, .help = "as RFC 5280 names it"},
    {.name = "source", .type = API_TEXT, .choices = "crl|ocsp", .help = "what tells"},
    {.name = "until", .type = API_TIME, .help = "nextUpdate of what tells that it is good"},
};
static const struct api_object revocation_object = {.name = "CertificateRevocation",
                                                    API_FIELDS(revocation_fields)};
static const struct api_field binding_fields[] = {
    {.name = "scope", .type = API_TEXT, .flags = API_REQUIRED, .help = "domain or address"},
    {.name = "pinned",
     .type = API_BOOL,
     .flags = API_REQUIRED,
     .help = "no path to a trust anchor is needed"},
};
static const struct api_object binding_object = {.name = "CertificateBinding", API_FIELDS(binding_fields)};

static const struct api_field certificate_fields[] = {
    {.name = "thumbprint", .type = API_TEXT, .flags = API_REQUIRED, .help = "SHA-256 of the certificate"},
    {.name = "subject", .type = API_TEXT, .flags = API_REQUIRED, .help = "RFC 4514"},
    {.name = "issuer", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "serial", .type = API_TEXT, .flags = API_REQUIRED, .help = "hexadecimal"},
    {.name = "addresses", .type = API_TEXTS, .flags = API_REQUIRED, .help = "mail addresses that it is for"},
    {.name = "not_before", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "not_after", .type = API_TIME, .flags = API_REQUIRED},
    {.name = "uses", .type = API_TEXTS, .flags = API_REQUIRED, .help = "sign, encrypt, ca"},
    {.name = "capabilities",
     .type = API_TEXTS,
     .flags = API_REQUIRED,
     .help = "what programs of its owner can read: aes256-gcm, rsa-oaep-sha256, ..."},
    {.name = "trusted", .type = API_BOOL, .help = "it is a trust anchor"},
    {.name = "has_key", .type = API_BOOL, .help = "its private key is stored"},
    {.name = "source", .type = API_TEXT, .help = "where it came from"},
    {.name = "state", .type = API_TEXT, .help = "active, quarantine or replaced"},
    {.name = "bindings",
     .type = API_OBJECTS,
     .object = &binding_object,
     .help = "domains and addresses that it is bound to (not in lists)"},
    {.name = "added", .type = API_TIME},
    {.name = "encryption",
     .type = API_OBJECT,
     .object = &check_object,
     .help = "fit to encrypt to, now (not in lists)"},
    {.name = "signature",
     .type = API_OBJECT,
     .object = &check_object,
     .help = "fit to sign, now (not in lists)"},
    {.name = "revocation",
     .type = API_OBJECT,
     .object = &revocation_object,
     .help = "what its issuer says of it (not in lists)"},
    {.name = "ctl",
     .type = API_OBJECT,
     .object = &ctl_object,
     .help = "its entry in the certificate trust list, if there is one (not in lists)"},
    {.name = "pem", .type = API_TEXT, .help = "the certificate (not in lists)"},
};
const struct api_object certificate_object = {
    .name = "Certificate", .help = "A certificate.", API_FIELDS(certificate_fields)};

static const struct api_field certificates_fields[] = {
    {.name = "items", .type = API_OBJECTS, .flags = API_REQUIRED, .object = &certificate_object},
    {.name = "next", .type = API_TEXT, .help = "value of ?after= for the next page; absent on the last"},
};
const struct api_object certificates_object = {.name = "Certificates", API_FIELDS(certificates_fields)};

struct certificates_walk {
    struct list_page page;
    struct store_view *view;
};

static bool certificate_visit(void *context, const struct certificate_record *record)
{
    struct certificates_walk *walk = context;
    char key[2 * THUMBPRINT_SIZE + 1];
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), key);
    struct slice k = slice_of(key, sizeof(key) - 1);
    if (list_page_wants(&walk->page, k)) {
        list_page_add(&walk->page, k, certificate_to_json(walk->view, record));
    }
    return !walk->page.more;
}

static void list(struct exchange *x, bool anchors)
{
    struct certificates_walk walk = {.view = exchange_view(x)};
    enum status status;
    if (walk.view == NULL) {
        return;
    }
    list_page_begin(&walk.page, x);
    status = anchors ? store_anchors_all(walk.view, certificate_visit, &walk)
                     : store_keys_all(walk.view, certificate_visit, &walk);
    if (status != STATUS_OK) {
        json_decref(walk.page.items);
        exchange_failf(x, status, "the certificates cannot be read");
        return;
    }
    list_page_answer(&walk.page, x);
}

void keys_list(struct exchange *x)
{
    list(x, false);
}

void trust_list(struct exchange *x)
{
    list(x, true);
}

static json_t *check_to_json(struct trust *trust, struct slice der, enum trust_purpose purpose)
{
    struct failure f = {.status = STATUS_OK};
    json_t *object = json_object();
    enum status status = trust_check(trust, der, NULL, purpose, clock_wall_ms(), &f);
    json_put(object, "status", json_string(status_name(status)));
    json_put(object, "reason", json_of_slice(slice_of_text(status == STATUS_OK ? "" : f.text)));
    return object;
}

static json_t *revocation_to_json(struct trust *trust, struct slice der)
{
    static const char *const names[] = {"unknown", "good", "revoked"};
    struct certificate_revocation r;
    json_t *object = json_object();
    if (trust_revocation_of(trust, der, clock_wall_ms(), &r) != STATUS_OK) {
        r = (struct certificate_revocation){.known = REVOCATION_UNKNOWN};
    }
    json_put(object, "status", json_string(names[r.known]));
    if (r.known == REVOCATION_REVOKED) {
        json_put(object, "revoked", json_of_time(r.revoked_ms));
        json_put(object, "reason", json_string(r.reason));
    }
    if (r.known == REVOCATION_GOOD) {
        json_put(object, "until", json_of_time(r.until_ms));
    }
    if (r.known != REVOCATION_UNKNOWN) {
        json_put(object, "source", json_string(r.by_ocsp ? "ocsp" : "crl"));
    }
    return object;
}

void certificate_get(struct exchange *x)
{
    struct certificate_record record;
    struct ctl_record ctl;
    struct failure f = {.status = STATUS_OK};
    struct buf pem = BUF_INIT(4 * COMMAND_MAX);
    struct store_view *view = exchange_view(x);
    if (view == NULL || !certificate_of_path(x, view, &record)) {
        return;
    }
    if (api_trust_refresh(x->api, view, &f) != STATUS_OK ||
        certificate_to_pem(record.der, &pem) != STATUS_OK) {
        buf_release(&pem);
        exchange_failf(x, STATUS_INTERNAL, "the certificate cannot be read%s%s",
                       f.text[0] != '\0' ? ": " : "", f.text);
        return;
    }
    json_t *object = certificate_to_json(view, &record);
    certificate_bindings_to_json(view, &record, object);
    json_put(object, "encryption", check_to_json(x->api->trust, record.der, TRUST_FOR_ENCRYPTION));
    json_put(object, "signature", check_to_json(x->api->trust, record.der, TRUST_FOR_SIGNATURE));
    json_put(object, "revocation", revocation_to_json(x->api->trust, record.der));
    if (store_ctl_get(view, record.thumbprint, &ctl) == STATUS_OK) {
        json_put(object, "ctl", ctl_to_json(view, &ctl));
    }
    json_put(object, "pem", json_of_slice(buf_slice(&pem)));
    buf_release(&pem);
    exchange_answer(x, object);
}

/* --- import --- */

void certificates_import(struct exchange *x)
{
    size_t found; /* keys that waited for one of them */
    struct certificate_import *import = certificates_of_body(x, &found);
    if (import != NULL) {
        certificates_store(x, import);
    }
}

/* --- removal --- */

static void removed(struct exchange *x, const struct bus_answer *answer)
{
    json_t *gone = json_object();
    (void)answer;
    json_put(gone, "removed", json_string(x->state));
    exchange_answer(x, gone);
}

/* A command whose only field is the thumbprint of the certificate in the path. */
static void remove_by(struct exchange *x, enum command_number number)
{
    struct certificate_record record;
    struct command c;
    char text[2 * THUMBPRINT_SIZE + 1];
    struct store_view *view = exchange_view(x);
    if (view == NULL || !certificate_of_path(x, view, &record)) {
        return;
    }
    hex_format(slice_of(record.thumbprint, THUMBPRINT_SIZE), text);
    x->state = arena_text(&x->arena, slice_of_text(text));
    exchange_command(x, &c, number);
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    exchange_write_one(x, &c, removed);
}

void certificate_remove(struct exchange *x)
{
    remove_by(x, COMMAND_CERT_REMOVE);
}

void key_remove(struct exchange *x)
{
    remove_by(x, COMMAND_KEY_REMOVE);
}

void trust_remove(struct exchange *x)
{
    remove_by(x, COMMAND_TRUST_REMOVE);
}
