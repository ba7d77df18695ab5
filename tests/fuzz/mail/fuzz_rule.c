/*
 * Rules: any bytes as an expression and a list of actions, asked about any bytes as a message.
 *
 * The input is three texts with a NUL between them: expression, actions, message. What is taken must print to
 * a canonical form that reads back to itself, and asking it must end with an answer.
 */
#include "mail/rule.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static struct store *store;
static struct store_view *view;
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
    store_view_end(view);
    store_close(store);
    require(snprintf(command, sizeof command, "rm -rf %s", folder) > 0);
    require(system(command) == 0);
}

/* A store with one group, "g". */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct command c;
    struct apply_result result;
    struct failure f;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    uint8_t entry[512] = {0};
    char path[100];
    (void)argc;
    (void)argv;
    require(mkdtemp(folder) != NULL && snprintf(path, sizeof path, "%s/state", folder) > 0);
    require(store_open_writer(path, SLICE_LITERAL("00000000-0000-0000-0000-000000000000"), &store, &f) ==
            STATUS_OK);
    command_init(&c, COMMAND_GROUP_ADD, 1, SLICE_LITERAL("fuzz"));
    c.values[0].bytes = SLICE_LITERAL("g");
    c.values[1].bytes = SLICE_LITERAL("a@b.example *.c.example");
    require(command_encode(&c, &encoded) == STATUS_OK && command_entry_size(encoded.len) <= sizeof entry);
    command_entry_write(buf_slice(&encoded), entry);
    require(store_batch_begin(store, &f) == STATUS_OK);
    require(store_apply_entry(store, 1, slice_of(entry, command_entry_size(encoded.len)), &result, &f) ==
            STATUS_OK);
    require(result.status == STATUS_OK && store_batch_commit(store, &f) == STATUS_OK);
    require(store_view_begin(store, &view, &f) == STATUS_OK);
    require(atexit(remove_folder) == 0);
    buf_release(&encoded);
    return 0;
}

static struct slice next_part(struct slice *rest)
{
    size_t end = slice_find_byte(*rest, 0);
    struct slice part = slice_of(rest->data, end);
    size_t next = end < rest->len ? end + 1 : end;
    *rest = slice_of(rest->data + next, rest->len - next);
    return part;
}

static void check_canonical(struct slice when, struct slice then)
{
    struct buf w[2] = {BUF_INIT(1 << 16), BUF_INIT(1 << 16)}, t[2] = {BUF_INIT(1 << 16), BUF_INIT(1 << 16)};
    struct failure f;
    if (rule_check(when, then, &w[0], &t[0], &f) == STATUS_OK && w[0].len <= RULE_WHEN_MAX &&
        t[0].len <= RULE_THEN_MAX) {
        require(rule_check(buf_slice(&w[0]), buf_slice(&t[0]), &w[1], &t[1], &f) == STATUS_OK);
        require(slice_equal(buf_slice(&w[0]), buf_slice(&w[1])) &&
                slice_equal(buf_slice(&t[0]), buf_slice(&t[1])));
    }
    for (int i = 0; i < 2; i++) {
        buf_release(&w[i]);
        buf_release(&t[i]);
    }
}

static void ask(struct ruleset *set, const struct rule_subject *subject, unsigned flags, struct arena *a)
{
    struct buf trace = BUF_INIT(1 << 20);
    struct json_writer w;
    struct rule_run *run;
    struct rule_outcome out, again;
    struct failure f;
    json_writer_init(&w, &trace);
    json_open_object(&w, NULL);
    require(rule_run_begin(set, subject, view, flags, a, &run) == STATUS_OK);
    require(rule_run_recipient(run, SLICE_LITERAL("x@d.c.example"), &out, &w, &f) == STATUS_OK);
    require(rule_run_recipient(run, SLICE_LITERAL("a@b.example"), &again, NULL, &f) == STATUS_OK);
    require(rule_run_recipient(run, SLICE_LITERAL("x@d.c.example"), &again, NULL, &f) == STATUS_OK);
    /* Once or twice, the answer is the same; but a limit that was hit may be told in other words. */
    require(out.matched == again.matched && (out.broken.len > 0) == (again.broken.len > 0));
    json_close_object(&w);
    require(json_writer_status(&w) == STATUS_OK);
    buf_release(&trace);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = slice_of(data, size);
    struct slice when = next_part(&rest), then = next_part(&rest);
    struct ruleset *set;
    struct entity message;
    struct failure f = {.status = STATUS_OK};
    struct arena a;
    check_canonical(when, then);
    require(ruleset_new(&set) == STATUS_OK);
    require(ruleset_add(set, view, SLICE_LITERAL("one"), when, then, &f) == STATUS_OK);
    require(ruleset_add(set, view, SLICE_LITERAL("two"), SLICE_LITERAL("always"), SLICE_LITERAL("stop"),
                        &f) == STATUS_OK);
    (void)rule_names_group(when, SLICE_LITERAL("g"));
    arena_init(&a, (size_t)64 << 20);
    if (entity_read(rest, &a, &message, &f) == STATUS_OK) {
        struct attachment attachment = {SLICE_LITERAL("application/pdf"), rest, 1};
        struct message_facts facts = {.message = &message,
                                      .size = rest.len,
                                      .kinds = (unsigned)size,
                                      .attachments = &attachment,
                                      .attachment_count = 1};
        struct rule_subject subject = {
            .envelope_sender = SLICE_LITERAL("a@b.example"),
            .subject = slice_of(rest.data, rest.len < FACTS_TEXT_MAX ? rest.len : FACTS_TEXT_MAX),
            .message = &facts,
            .client_ip = SLICE_LITERAL("10.0.0.1")};
        ask(set, &subject, 0, &a);
        ask(set, &subject, RULE_TRACE_ALL, &a);
        subject.message = NULL;
        ask(set, &subject, RULE_TRACE_ALL, &a);
    }
    arena_release(&a);
    ruleset_free(set);
    return 0;
}
