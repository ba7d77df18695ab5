/*
 * The MIME entry: any bytes as a message, through reading, decision (triggers and rules included) and flow,
 * in a store without keys.
 *
 * The first byte chooses: bit 0: to one of ours, bit 1: line ends are made CRLF first (as smtp guarantees),
 * bit 2: to 7 bit instead. What comes out must be a result that the other side takes, and a plain incoming
 * variant must hold no forged verdict.
 */
#include "base/clock.h"
#include "mail/entity.h"
#include "mail/flow.h"
#include "store/command.h"
#include "store/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct store *writer, *reader;
static struct ruleset *rules;
static char folder[] = "/tmp/sealpost-fuzz-XXXXXX";

static void require(bool good)
{
    if (!good) {
        abort();
    }
}

static void remove_folder(void)
{
    char command[100];
    require(snprintf(command, sizeof command, "rm -rf %s", folder) > 0);
    require(system(command) == 0);
}

static void apply(const struct command *c)
{
    static uint64_t index;
    struct apply_result result;
    struct failure f;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    uint8_t entry[1024] = {0};
    require(command_encode(c, &encoded) == STATUS_OK && command_entry_size(encoded.len) <= sizeof entry);
    command_entry_write(buf_slice(&encoded), entry);
    require(store_batch_begin(writer, &f) == STATUS_OK);
    require(store_apply_entry(writer, ++index, slice_of(entry, command_entry_size(encoded.len)), &result,
                              &f) == STATUS_OK);
    require(result.status == STATUS_OK && store_batch_commit(writer, &f) == STATUS_OK);
    buf_release(&encoded);
}

static void set(const char *name, const char *value)
{
    struct command c;
    command_init(&c, COMMAND_SETTING_SET, 1, SLICE_LITERAL("fuzz"));
    c.values[0].number = SETTING_DOMAIN;
    c.values[1].bytes = SLICE_LITERAL("partner.example");
    c.values[2].bytes = slice_of_text(name);
    c.values[3].bytes = slice_of_text(value);
    apply(&c);
}

static void add_rule(struct store_view *view, const char *when, const char *then)
{
    struct failure f = {.status = STATUS_OK};
    require(ruleset_add(rules, view, SLICE_LITERAL("rule"), slice_of_text(when), slice_of_text(then), &f) ==
                STATUS_OK &&
            f.status == STATUS_OK);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct command c;
    struct failure f;
    struct store_view *view;
    char path[100];
    (void)argc;
    (void)argv;
    require(mkdtemp(folder) != NULL);
    require(atexit(remove_folder) == 0);
    require(snprintf(path, sizeof path, "%s/state", folder) > 0);
    require(store_open_writer(path, SLICE_LITERAL("00000000-0000-0000-0000-000000000000"), &writer, &f) ==
            STATUS_OK);
    require(store_open_reader(path, &reader, &f) == STATUS_OK);
    command_init(&c, COMMAND_DOMAIN_ADD, 1, SLICE_LITERAL("fuzz"));
    c.values[0].bytes = SLICE_LITERAL("ours.example");
    c.values[1].bytes = SLICE_LITERAL("internal");
    apply(&c);
    set("trigger.subject.encrypt", "[e], /e(n|m)+c/");
    set("trigger.subject.plain", "[p]");
    set("trigger.header.sign", "X-Sign: /y+/, X-S");
    set("trigger.label.encrypt", "secret");
    set("mime.malformed", "quarantine");
    require(store_view_begin(reader, &view, &f) == STATUS_OK && ruleset_new(&rules) == STATUS_OK);
    add_rule(view, "subject matches /(a|b)+c/i or header \"X-R\" contains \"r\"", "tag \"X-T: t\"");
    add_rule(view, "attachment name *.exe or attachment type image/*", "quarantine");
    add_rule(view, "kind malformed and size > 1K", "refuse \"no\"");
    store_view_end(view);
    return 0;
}

static void zeros_cb(void *context, void *out, size_t len)
{
    (void)context;
    memset(out, 0, len);
}

static void canonical(struct slice in, struct buf *out)
{
    for (size_t i = 0; i < in.len; i++) {
        if (in.data[i] == '\n') {
            require(buf_append_text(out, "\r\n") == STATUS_OK);
        } else if (in.data[i] != '\r') {
            require(buf_append_byte(out, in.data[i]) == STATUS_OK);
        }
    }
}

static void check_result(const struct mail_output *out, size_t recipients)
{
    struct buf frame = BUF_INIT((size_t)8 << 20);
    struct job_result got;
    struct arena a;
    arena_init(&a, (size_t)8 << 20);
    require(job_result_encode(&out->result, &frame) == STATUS_OK);
    require(job_result_decode(buf_slice(&frame), recipients, out->result.variant_count, &a, &got) ==
            STATUS_OK);
    for (size_t i = 0; i < out->result.variant_count; i++) {
        struct entity e;
        if (out->result.variants[i].unchanged ||
            entity_read(buf_slice(&out->contents[i]), &a, &e, NULL) != STATUS_OK) {
            continue;
        }
        size_t ours = 0;
        for (size_t n = 0; n < e.field_count; n++) {
            ours += field_is_ours(&e.fields[n]);
        }
        require(recipients == 0 || ours == 0 || ours == 2);
    }
    arena_release(&a);
    buf_release(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    struct slice message = slice_of(data + 1, size - 1);
    struct buf crlf = BUF_INIT((size_t)4 << 20);
    struct slice recipients[2] = {SLICE_LITERAL("a@ours.example"), SLICE_LITERAL("b@partner.example")};
    struct job_message job = {.job = 1,
                              .now_ms = 1795514704000,
                              .sender = SLICE_LITERAL("b@partner.example"),
                              .recipient_count = 1};
    struct mail_environment env = {.random = zeros_cb, .rules = rules};
    struct mail_output out;
    struct arena a;
    struct failure f;
    struct keyring keys = {0};
    if (data[0] & 2) {
        canonical(message, &crlf);
        message = buf_slice(&crlf);
    }
    job.recipients = (data[0] & 1) ? &recipients[0] : &recipients[1];
    arena_init(&a, (size_t)64 << 20);
    if (data[0] & 4) {
        mail_to_7bit(1, message, &a, &out);
        check_result(&out, 0);
    } else {
        require(store_view_begin(reader, &env.view, &f) == STATUS_OK);
        require(trust_load(env.view, &env.trust, &f) == STATUS_OK);
        env.keys = &keys;
        mail_process(&env, &job, message, &a, &out);
        check_result(&out, 1);
        trust_free(env.trust);
        store_view_end(env.view);
    }
    mail_output_release(&out);
    arena_release(&a);
    buf_release(&crlf);
    return 0;
}
