/* The world of mail_world.h: everything that the flow needs, with the real openssl tool as the other side. */
#include "mail_world.h"

#include "base/clock.h"
#include "store/command.h"

#include <unistd.h>

#define COMMAND_TEXT_MAX 3000

__attribute__((format(printf, 2, 0))) static void command_format(char command[COMMAND_TEXT_MAX],
                                                                 const char *format, va_list args)
{
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): both callers start it */
    if (vsnprintf(command, COMMAND_TEXT_MAX, format, args) < 0) {
        command[0] = '\0';
    }
    assert_in_range(strlen(command), 1, COMMAND_TEXT_MAX - 2);
}

static bool run_command(struct world *w, const char *command)
{
    char whole[4096];
    int n = snprintf(whole, sizeof whole, "cd %s && { %s; } >shell.log 2>&1", w->dir, command);
    assert_true(n > 0 && (size_t)n < sizeof whole);
    return system(whole) == 0;
}

bool world_try(struct world *w, const char *format, ...)
{
    char command[COMMAND_TEXT_MAX];
    va_list args;
    va_start(args, format);
    command_format(command, format, args);
    va_end(args);
    return run_command(w, command);
}

void world_shell(struct world *w, const char *format, ...)
{
    char command[COMMAND_TEXT_MAX];
    va_list args;
    va_start(args, format);
    command_format(command, format, args);
    va_end(args);
    if (!run_command(w, command)) {
        struct buf log = BUF_INIT(65536);
        world_file_read(w, "shell.log", &log);
        print_error("failed: %s\n%.*s\n", command, SLICE_ARGS(buf_slice(&log)));
        fail();
    }
}

void world_file_write(struct world *w, const char *name, struct slice content)
{
    char path[200];
    assert_true(snprintf(path, sizeof path, "%s/%s", w->dir, name) < (int)sizeof path);
    file_write(path, content);
}

void world_file_read(struct world *w, const char *name, struct buf *out)
{
    char path[200];
    assert_true(snprintf(path, sizeof path, "%s/%s", w->dir, name) < (int)sizeof path);
    file_read(path, false, out);
}

void world_message_read(struct world *w, const char *name, struct buf *out)
{
    struct buf raw = BUF_INIT((size_t)1 << 24);
    world_file_read(w, name, &raw);
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] == '\n') {
            OK(buf_append_text(out, "\r\n"));
        } else if (raw.data[i] != '\r') {
            OK(buf_append_byte(out, raw.data[i]));
        }
    }
    buf_release(&raw);
}

void world_assert_accepted(const struct world *w)
{
    const struct job_result *r = &w->out.result;
    if (r->status != STATUS_OK) {
        print_error("%s: %.*s", status_name(r->status), SLICE_ARGS(r->text));
        for (size_t i = 0; i < r->refusal_count; i++) {
            print_error(" %.*s", SLICE_ARGS(r->refusals[i].reason));
        }
        fail();
    }
}

struct slice world_accepted(const struct world *w)
{
    world_assert_accepted(w);
    return buf_slice(&w->out.contents[0]);
}

void world_apply(struct world *w, struct command *c)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct apply_result result;
    struct failure f = {.status = STATUS_OK};
    OK(command_check(c, &f));
    OK(command_encode(c, &encoded));
    size_t size = command_entry_size(encoded.len);
    uint8_t *entry = calloc(1, size);
    assert_non_null(entry);
    command_entry_write(buf_slice(&encoded), entry);
    OK(store_batch_begin(w->writer, &f));
    OK(store_apply_entry(w->writer, ++w->index, slice_of(entry, size), &result, &f));
    if (result.status != STATUS_OK) {
        print_error("command %d: %s\n", (int)c->number, result.failure.text);
        fail();
    }
    OK(store_batch_commit(w->writer, &f));
    free(entry);
    buf_release(&encoded);
}

struct command world_command(struct world *w, enum command_number number)
{
    struct command c;
    command_init(&c, number, w->now_ms, SLICE_LITERAL("test"));
    return c;
}

void world_set(struct world *w, enum setting_level level, const char *scope, const char *name,
               const char *value)
{
    const char *text = value != NULL ? value : setting_find(slice_of_text(name))->default_text;
    struct command c = world_command(w, COMMAND_SETTING_SET);
    c.values[0].number = level;
    c.values[1].bytes = slice_of_text(scope);
    c.values[2].bytes = slice_of_text(name);
    c.values[3].bytes = slice_of_text(text);
    world_apply(w, &c);
    if (value == NULL) {
        c = world_command(w, COMMAND_SETTING_UNSET);
        c.values[0].number = level;
        c.values[1].bytes = slice_of_text(scope);
        c.values[2].bytes = slice_of_text(name);
        world_apply(w, &c);
    }
}

static void trust_certificate(struct world *w, const char *file)
{
    struct buf pem = BUF_INIT(65536), encoded = BUF_INIT(65536);
    struct certificate_file *certificates = calloc(1, sizeof *certificates);
    struct certificate_record record;
    struct failure f;
    struct arena a;
    arena_init(&a, 1 << 20);
    world_file_read(w, file, &pem);
    OK(certificate_file_read(buf_slice(&pem), &a, certificates, &f));
    OK(certificate_describe(certificates->der[0], SLICE_LITERAL("import"), w->now_ms, &a, &record, &f));
    OK(certificate_record_encode(&record, &encoded));
    struct command c = world_command(w, COMMAND_CERT_ADD);
    c.values[0].bytes = buf_slice(&encoded);
    world_apply(w, &c);
    c = world_command(w, COMMAND_TRUST_ADD);
    c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
    c.values[1].bytes = SLICE_LITERAL("test");
    world_apply(w, &c);
    free(certificates);
    buf_release(&pem);
    buf_release(&encoded);
    arena_release(&a);
}

static void import_identity(struct world *w, const struct identity *id)
{
    struct buf pem = BUF_INIT(65536), der = BUF_INIT(65536), encoded = BUF_INIT(65536),
               sealed = BUF_INIT(65536);
    struct certificate_file *certificates = calloc(1, sizeof *certificates);
    struct certificate_record record;
    struct failure f;
    struct arena a;
    EVP_PKEY *key = NULL;
    char name[64];
    arena_init(&a, 1 << 20);
    assert_true(snprintf(name, sizeof name, "%s.pem", id->name) > 0);
    world_file_read(w, name, &pem);
    OK(certificate_file_read(buf_slice(&pem), &a, certificates, &f));
    world_shell(w, "openssl pkcs8 -topk8 -nocrypt -in %s.key -outform DER -out %s.der", id->name, id->name);
    assert_true(snprintf(name, sizeof name, "%s.der", id->name) > 0);
    world_file_read(w, name, &der);
    OK(key_from_der(buf_slice(&der), &key));
    OK(certificate_describe(certificates->der[0], SLICE_LITERAL("import"), w->now_ms, &a, &record, &f));
    OK(certificate_record_encode(&record, &encoded));
    struct command c = world_command(w, COMMAND_CERT_ADD);
    c.values[0].bytes = buf_slice(&encoded);
    world_apply(w, &c);
    if (id->with_key) {
        OK(private_key_seal(&w->keyring, record.thumbprint, key, &sealed, &f));
        c = world_command(w, COMMAND_KEY_ADD);
        c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
        c.values[1].bytes = buf_slice(&sealed);
        world_apply(w, &c);
    }
    EVP_PKEY_free(key);
    free(certificates);
    buf_release(&pem);
    buf_release(&encoded);
    buf_release(&sealed);
    buf_release(&der);
    arena_release(&a);
}

void world_identity(struct world *w, const struct identity *id)
{
    const char *issuer = id->issuer != NULL ? id->issuer : "ca";
    const char *type = id->key_type != NULL ? id->key_type : "rsa:2048";
    const char *usage = id->usage != NULL ? id->usage : "digitalSignature,keyEncipherment,keyAgreement";
    world_shell(
        w,
        "printf '[e]\\nsubjectAltName=email:%s\\nkeyUsage=critical,%s\\nextendedKeyUsage=emailProtection\\n"
        "basicConstraints=critical,CA:%s\\n%s' > %s.ext",
        id->address, usage, id->ca ? "TRUE" : "FALSE",
        id->knows_gcm ? "1.2.840.113549.1.9.15=DER:300D300B060960864801650304012E\\n" : "", id->name);
    world_shell(w, "openssl req -new -newkey %s %s -nodes -subj /CN=%s -keyout %s.key -out %s.csr", type,
                strcmp(type, "ec") == 0 ? "-pkeyopt ec_paramgen_curve:P-256" : "", id->name, id->name,
                id->name);
    if (id->self) {
        world_shell(
            w,
            "openssl x509 -req -in %s.csr -signkey %s.key -days %u -extfile %s.ext -extensions e -out %s.pem",
            id->name, id->name, id->days, id->name, id->name);
    } else {
        world_shell(
            w,
            "openssl x509 -req -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -days %u -extfile %s.ext "
            "-extensions e -out %s.pem",
            id->name, issuer, issuer, id->days, id->name, id->name);
    }
    import_identity(w, id);
}

void world_make_with(struct world *w, const struct identity *people, size_t count)
{
    world_make(w);
    for (size_t i = 0; i < count; i++) {
        world_identity(w, &people[i]);
    }
}

void world_add_record(struct world *w, const struct certificate_record *record)
{
    struct buf encoded = BUF_INIT(65536);
    OK(certificate_record_encode(record, &encoded));
    struct command c = world_command(w, COMMAND_CERT_ADD);
    c.values[0].bytes = buf_slice(&encoded);
    world_apply(w, &c);
    buf_release(&encoded);
}

static void add_domain(struct world *w, const char *name, const char *locality)
{
    struct command c = world_command(w, COMMAND_DOMAIN_ADD);
    c.values[0].bytes = slice_of_text(name);
    c.values[1].bytes = slice_of_text(locality);
    world_apply(w, &c);
}

static void add_user(struct world *w, const char *address)
{
    struct command c = world_command(w, COMMAND_USER_ADD);
    c.values[0].bytes = slice_of_text(address);
    world_apply(w, &c);
}

void world_make(struct world *w)
{
    char path[100];
    struct failure f = {.status = STATUS_OK};
    uint8_t key[KEY_SIZE];
    struct buf wrapped = BUF_INIT(256);
    memset(w, 0, sizeof *w);
    memcpy(w->dir, "/tmp/sealpost-mail-XXXXXX", 26);
    assert_non_null(mkdtemp(w->dir));
    w->now_ms = clock_wall_ms() + 10 * DAY_MS;
    arena_init(&w->arena, (size_t)128 << 20);
    OK(known_new(&w->known));
    random_bytes(key, sizeof key);
    OK(secret_copy(&w->keyring.kek, slice_of(key, sizeof key)));
    OK(keyring_wrap_new_data_key(secret_slice(&w->keyring.kek), w->keyring.data_key_id, &wrapped,
                                 &w->keyring.data_key));
    w->keyring.has_data_key = true;
    assert_true(snprintf(path, sizeof path, "%s/state", w->dir) > 0);
    OK(store_open_writer(path, SLICE_LITERAL("00000000-0000-0000-0000-000000000000"), &w->writer, &f));
    OK(store_open_reader(path, &w->reader, &f));
    struct command c = world_command(w, COMMAND_CLUSTER_INIT);
    c.values[0].bytes = slice_of(w->keyring.data_key_id, sizeof w->keyring.data_key_id);
    c.values[1].bytes = SLICE_LITERAL("test");
    c.values[2].bytes = SLICE_LITERAL("no certificate of a CA is needed here");
    c.values[3].bytes = SLICE_LITERAL("and no key of one, which is sealed in reality");
    c.values[4].bytes = slice_of(w->keyring.data_key_id, sizeof w->keyring.data_key_id);
    c.values[5].bytes = buf_slice(&wrapped);
    world_apply(w, &c);
    buf_release(&wrapped);
    add_domain(w, "ours.example", "internal");
    add_domain(w, "partner.example", "external");
    add_user(w, "alice@ours.example");
    world_set(w, SETTING_GLOBAL, "", "relay.unknown_sender", "pass"); /* what senders do is each test's */
    world_shell(
        w,
        "openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=test-ca -keyout ca.key -out ca.pem "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign");
    trust_certificate(w, "ca.pem");
}

static void forget(struct world *w)
{
    mail_output_release(&w->out);
    store_view_end(w->view);
    trust_free(w->trust);
    issuers_free(w->issuers);
    known_forget(w->known);
    w->view = NULL;
    w->trust = NULL;
    w->issuers = NULL;
    arena_release(&w->arena);
}

void world_end(struct world *w)
{
    char command[100];
    forget(w);
    known_free(w->known);
    store_close(w->reader);
    store_close(w->writer);
    keyring_release(&w->keyring);
    assert_true(snprintf(command, sizeof command, "rm -rf %s", w->dir) > 0);
    assert_int_equal(system(command), 0);
}

void world_look(struct world *w)
{
    struct failure f = {.status = STATUS_OK};
    forget(w);
    OK(store_view_begin(w->reader, &w->view, &f));
    OK(trust_load(w->view, &w->trust, &f));
    OK(issuers_load(w->view, &w->issuers, &f));
}

/* Counted bytes instead of random ones: golden files stay the same. */
static void counted_cb(void *context, void *out, size_t len)
{
    struct world *w = context;
    for (size_t i = 0; i < len; i++) {
        ((uint8_t *)out)[i] = (uint8_t)w->random++;
    }
}

static void told_cb(void *context, const struct mail_signature *signature)
{
    struct world *w = context;
    assert_true(signature->cms.len > 0);
    w->told++;
}

void world_process(struct world *w, const char *sender, const char *const *recipients, struct slice message)
{
    struct job_message job = {.job = 1, .now_ms = w->now_ms, .sender = slice_of_text(sender)};
    job.flags = w->job_flags;
    job.client_ip = slice_of_text(w->client_ip != NULL ? w->client_ip : "");
    world_look(w);
    while (recipients[job.recipient_count] != NULL) {
        job.recipient_count++;
    }
    job.recipients = arena_alloc_array(&w->arena, job.recipient_count, sizeof job.recipients[0]);
    assert_non_null(job.recipients);
    for (size_t i = 0; i < job.recipient_count; i++) {
        job.recipients[i] = slice_of_text(recipients[i]);
    }
    struct mail_environment env = {.view = w->view,
                                   .trust = w->trust,
                                   .keys = &w->keyring,
                                   .issuers = w->issuers,
                                   .known = w->known,
                                   .random = counted_cb,
                                   .issue_key = w->issue_key,
                                   .issue_context = w,
                                   .signature = told_cb,
                                   .signature_context = w,
                                   .random_context = w,
                                   .open_max = w->open_max};
    w->told = 0;
    mail_process(&env, &job, message, &w->arena, &w->out);

    /* Whatever comes out must be accepted by the other side. */
    struct buf frame = BUF_INIT((size_t)4 << 20);
    struct job_result got;
    struct arena a;
    arena_init(&a, (size_t)4 << 20);
    OK(job_result_encode(&w->out.result, &frame));
    OK(job_result_decode(buf_slice(&frame), job.recipient_count, w->out.result.variant_count, &a, &got));
    arena_release(&a);
    buf_release(&frame);
}

void world_process_text(struct world *w, const char *sender, const char *const *recipients,
                        const char *message)
{
    world_process(w, sender, recipients, slice_of_text(message));
}

size_t world_variant_of(const struct world *w, size_t recipient)
{
    for (size_t i = 0; i < w->out.result.variant_count; i++) {
        for (size_t n = 0; n < w->out.result.variants[i].recipient_count; n++) {
            if (w->out.result.variants[i].recipients[n] == recipient) {
                return i;
            }
        }
    }
    fail();
    return 0;
}

struct slice world_content(const struct world *w, size_t variant, struct slice input)
{
    return w->out.result.variants[variant].unchanged ? input : buf_slice(&w->out.contents[variant]);
}
