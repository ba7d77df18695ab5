/*
 * What a certificate is used for, by hand: confirming and quarantining, bindings to an address or a domain,
 * and the domain certificates of two gateways: what one publishes in DNS, and confirming what the other
 * published.
 */
#include "api/certificate_json.h"
#include "api/json_out.h"
#include "api/resources.h"
#include "base/hex.h"

static const struct api_field state_fields[] = {
    {.name = "state",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 1,
     .max = 16,
     .choices = "active|quarantine"},
};
const struct api_object certificate_state_request_object = {.name = "CertificateStateRequest",
                                                            API_FIELDS(state_fields)};

static const struct api_field bind_fields[] = {
    {.name = "user", .type = API_TEXT, .min = 3, .max = ADDRESS_MAX, .help = "a mail address"},
    {.name = "domain", .type = API_TEXT, .min = 1, .max = DOMAIN_MAX, .help = "a domain, or *.parent"},
    {.name = "pinned", .type = API_BOOL, .help = "you vouch for it: no path to a trust anchor is asked for"},
};
const struct api_object certificate_bind_request_object = {.name = "CertificateBindRequest",
                                                           API_FIELDS(bind_fields)};

static const struct api_field publication_fields[] = {
    {.name = "domain", .type = API_TEXT, .flags = API_REQUIRED},
    {.name = "name", .type = API_TEXT, .flags = API_REQUIRED, .help = "name of the DNS record"},
    {.name = "records", .type = API_TEXTS, .flags = API_REQUIRED, .help = "TXT records, one a certificate"},
    {.name = "zone", .type = API_TEXT, .flags = API_REQUIRED, .help = "the same as lines of a zone file"},
};
const struct api_object publication_object = {.name = "DomainPublication", API_FIELDS(publication_fields)};

static const struct api_field confirm_fields[] = {
    {.name = "fingerprint",
     .type = API_TEXT,
     .flags = API_REQUIRED,
     .min = 64,
     .max = 120,
     .help = "SHA-256 of the partner's domain certificate, 64 hexadecimal digits, colons allowed"},
};
const struct api_object domain_confirm_request_object = {.name = "DomainConfirmRequest",
                                                         API_FIELDS(confirm_fields)};

/* The certificate as it is now, with what was changed. */
static void show_changed(struct exchange *x, const struct bus_answer *answer)
{
    struct certificate_record record;
    struct store_view *view = exchange_view(x);
    (void)answer;
    if (view == NULL) {
        return;
    }
    if (store_certificate_get(view, x->state, &record) != STATUS_OK) {
        exchange_failf(x, STATUS_NOT_FOUND, "the certificate was removed meanwhile");
        return;
    }
    json_t *object = certificate_to_json(view, &record);
    certificate_bindings_to_json(view, &record, object);
    exchange_answer(x, object);
}

static void change(struct exchange *x, const struct command *c)
{
    uint8_t *thumbprint = arena_alloc(&x->arena, THUMBPRINT_SIZE);
    if (thumbprint == NULL) {
        exchange_failf(x, STATUS_NO_MEMORY, "there is no memory for the change");
        return;
    }
    memcpy(thumbprint, c->values[0].bytes.data, THUMBPRINT_SIZE);
    x->state = thumbprint;
    exchange_write_one(x, c, show_changed);
}

void certificate_state_set(struct exchange *x)
{
    struct certificate_record record;
    struct command c;
    struct store_view *view = exchange_view(x);
    if (view == NULL || !certificate_of_path(x, view, &record)) {
        return;
    }
    exchange_command(x, &c, COMMAND_CERT_STATE);
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    c.values[1].number =
        slice_equal(api_body_text(x->body, "state"), SLICE_LITERAL("active")) ? CERT_ACTIVE : CERT_QUARANTINE;
    change(x, &c);
}

/* --- bindings --- */

static void bind(struct exchange *x, const struct certificate_record *record, struct slice scope,
                 uint64_t flags)
{
    struct command c;
    exchange_command(x, &c, COMMAND_CERT_BIND);
    c.values[0].bytes = slice_of(record->thumbprint, THUMBPRINT_SIZE);
    c.values[1].bytes = scope;
    c.values[2].number = flags;
    change(x, &c);
}

void certificate_bind(struct exchange *x)
{
    struct certificate_record record;
    struct failure f = {.status = STATUS_OK};
    struct slice user = api_body_text(x->body, "user"), domain = api_body_text(x->body, "domain");
    char scope[ADDRESS_MAX + 1];
    struct store_view *view = exchange_view(x);
    if (view == NULL || !certificate_of_path(x, view, &record)) {
        return;
    }
    if ((user.len > 0) == (domain.len > 0)) {
        exchange_failf(x, STATUS_INVALID, "name what to bind it to: either \"user\" or \"domain\"");
        return;
    }
    enum status status =
        user.len > 0 ? address_normalise(user, scope, &f) : domain_normalise(domain, scope, &f);
    if (status != STATUS_OK) {
        exchange_fail_field(x, &f, user.len > 0 ? "user" : "domain");
        return;
    }
    bind(x, &record, slice_of_text(scope), api_body_bool(x->body, "pinned") ? BINDING_PINNED : 0);
}

void certificate_unbind(struct exchange *x)
{
    struct certificate_record record;
    struct failure f = {.status = STATUS_OK};
    char scope[ADDRESS_MAX + 1];
    struct command c;
    struct store_view *view = exchange_view(x);
    if (view == NULL || !certificate_of_path(x, view, &record)) {
        return;
    }
    if (binding_scope_normalise(slice_of_text(x->parameters[1]), scope, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    exchange_command(x, &c, COMMAND_CERT_UNBIND);
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    c.values[1].bytes = slice_of_text(scope);
    change(x, &c);
}

/* --- domain to domain --- */

struct publication {
    struct store_view *view;
    const char *domain;
    json_t *records;
    struct buf zone;
};

static bool publish(void *context, const struct certificate_record *record, uint64_t flags)
{
    struct publication *p = context;
    char digits[2 * THUMBPRINT_SIZE + 1], text[2 * THUMBPRINT_SIZE + 32];
    (void)flags;
    if (record->state != CERT_ACTIVE || !store_has_key(p->view, record->thumbprint)) {
        return true;
    }
    hex_format(slice_of(record->thumbprint, THUMBPRINT_SIZE), digits);
    if (snprintf(text, sizeof(text), "v=sp1; sha256=%s", digits) < (int)sizeof(text) &&
        buf_printf(&p->zone, "_sealpost._smime.%s. IN TXT \"%s\"\n", p->domain, text) == STATUS_OK) {
        json_array_append_new(p->records, json_string(text));
    }
    return true;
}

void domain_publication_get(struct exchange *x)
{
    struct failure f = {.status = STATUS_OK};
    char domain[DOMAIN_MAX + 1], name[DOMAIN_MAX + 32];
    struct publication p = {.view = exchange_view(x), .domain = domain, .zone = {.max = 65536}};
    if (p.view == NULL) {
        return;
    }
    if (domain_normalise(slice_of_text(x->parameters[0]), domain, &f) != STATUS_OK || domain[0] == '*') {
        exchange_failf(x, STATUS_INVALID, "%s", f.text[0] != '\0' ? f.text : "name one domain, without *");
        return;
    }
    p.records = json_array();
    enum status status = store_bindings_for(p.view, slice_of_text(domain), publish, &p);
    if (status != STATUS_OK || json_array_size(p.records) == 0 ||
        snprintf(name, sizeof(name), "_sealpost._smime.%s", domain) >= (int)sizeof(name)) {
        json_decref(p.records);
        buf_release(&p.zone);
        exchange_failf(x, status != STATUS_OK ? status : STATUS_NOT_FOUND,
                       "%s has no certificate with its key bound to it: cert bind THUMBPRINT --domain %s",
                       domain, domain);
        return;
    }
    json_t *object = json_object();
    json_put(object, "domain", json_string(domain));
    json_put(object, "name", json_string(name));
    json_put(object, "records", p.records);
    json_put(object, "zone", json_of_slice(buf_slice(&p.zone)));
    buf_release(&p.zone);
    exchange_answer(x, object);
}

/* The digits without colons and spaces. */
static bool fingerprint_parse(struct slice text, uint8_t thumbprint[THUMBPRINT_SIZE])
{
    uint8_t digits[2 * THUMBPRINT_SIZE];
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == ':' || text.data[i] == ' ') {
            continue;
        }
        if (count == sizeof(digits)) {
            return false;
        }
        digits[count++] = text.data[i];
    }
    return count == sizeof(digits) && hex_parse(slice_of(digits, count), thumbprint, THUMBPRINT_SIZE);
}

/* Compared with what was imported: that an administrator read the fingerprint from another source than the
 * certificate is what makes it worth something. */
void domain_confirm(struct exchange *x)
{
    struct certificate_record record;
    struct failure f = {.status = STATUS_OK};
    char domain[DOMAIN_MAX + 1];
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct store_view *view = exchange_view(x);
    if (view == NULL) {
        return;
    }
    if (domain_normalise(slice_of_text(x->parameters[0]), domain, &f) != STATUS_OK) {
        exchange_fail(x, &f);
        return;
    }
    if (!fingerprint_parse(api_body_text(x->body, "fingerprint"), thumbprint)) {
        failure_set(&f, STATUS_INVALID,
                    "fingerprint: it is the SHA-256 of a certificate, 64 hexadecimal digits");
        exchange_fail_field(x, &f, "fingerprint");
        return;
    }
    enum status status = store_certificate_get(view, thumbprint, &record);
    if (status != STATUS_OK) {
        exchange_failf(x, status,
                       "no stored certificate has this fingerprint; import the certificate of %s first",
                       domain);
        return;
    }
    if (record.state != CERT_ACTIVE) {
        exchange_failf(x, STATUS_CONFLICT, "this certificate is not active: confirm it first");
        return;
    }
    bind(x, &record, slice_of_text(domain), BINDING_PINNED);
}
