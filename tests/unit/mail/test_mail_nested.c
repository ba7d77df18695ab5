/*
 * Nested Cryptographic Layers (RFC 9787 section 4, RFC 2634 section 1.1), as outlines in golden files: what
 * we write, and what is delivered of messages that were signed and encrypted in each order by the openssl
 * tool, which also takes them apart for the outline.
 */
#include "mail_world.h"

#include "mail/shape.h"

static struct world w;

#define ALICE "alice@ours.example"
#define BOB   "bob@partner.example"
#define PLAIN                                                                                                \
    "Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: text/plain\r\n\r\nwords\r\n"      \
    "--m\r\nContent-Type: text/csv\r\nContent-Disposition: attachment\r\n\r\n1;2\r\n--m--\r\n"

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = ALICE, .days = 300, .with_key = true},
        {.name = "bob", .address = BOB, .days = 300},
    };
    (void)state;
    world_make_with(&w, people, sizeof people / sizeof people[0]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

static void canonical_read(const char *file, struct buf *out)
{
    struct buf raw = BUF_INIT((size_t)1 << 22);
    world_file_read(&w, file, &raw);
    for (size_t i = 0; i < raw.len; i++) {
        if (raw.data[i] == '\n') {
            OK(buf_append_text(out, "\r\n"));
        } else if (raw.data[i] != '\r') {
            OK(buf_append_byte(out, raw.data[i]));
        }
    }
    buf_release(&raw);
}

static void indent(size_t depth, struct buf *out)
{
    for (size_t i = 0; i < depth; i++) {
        OK(buf_append_text(out, "  "));
    }
}

static void outline(struct slice bytes, const char *reader, size_t depth, struct buf *out);

/* What openssl finds in the entity; `how` is its verb with options. */
static void outline_within(struct slice bytes, const char *how, const char *reader, size_t depth,
                           struct buf *out)
{
    struct buf within = BUF_INIT((size_t)1 << 22);
    world_file_write(&w, "layer", bytes);
    world_shell(&w, "openssl cms %s -in layer -out within", how);
    canonical_read("within", &within);
    outline(buf_slice(&within), reader, depth, out);
    buf_release(&within);
}

static void outline(struct slice bytes, const char *reader, size_t depth, struct buf *out)
{
    struct entity e;
    struct shape shape;
    struct multipart parts;
    struct failure f;
    struct arena a;
    char how[100];
    arena_init(&a, (size_t)1 << 22);
    OK(entity_read(bytes, &a, &e, &f));
    OK(shape_of(&e, &a, &shape, &f));
    struct content_type type = entity_content_type(&e);
    indent(depth, out);
    OK(buf_printf(out, "%.*s/%.*s", SLICE_ARGS(type.type), SLICE_ARGS(type.subtype)));
    if (shape.kind == SHAPE_SMIME_ENCRYPTED) {
        OK(buf_append_text(out, " enveloped-data, decrypts to\r\n"));
        assert_true(snprintf(how, sizeof how, "-decrypt -inkey %s.key -recip %s.pem", reader, reader) > 0);
        outline_within(bytes, how, reader, depth + 1, out);
    } else if (shape.kind == SHAPE_SMIME_OPAQUE_SIGNED) {
        OK(buf_append_text(out, " signed-data, holds\r\n"));
        outline_within(bytes, "-verify -CAfile ca.pem -purpose any", reader, depth + 1, out);
    } else {
        struct slice hp;
        if (content_type_parameter(&type, "hp", &a, &hp)) {
            OK(buf_printf(out, " hp=%.*s", SLICE_ARGS(hp)));
        }
        OK(buf_append_text(out, shape.kind == SHAPE_SMIME_CLEAR_SIGNED ? ", signed\r\n" : "\r\n"));
        if (content_type_is(&type, "multipart", NULL)) {
            OK(entity_split(&e, ENTITY_PARTS_MAX, &a, &parts, &f));
            for (size_t i = 0; i < parts.part_count; i++) {
                outline(parts.parts[i], reader, depth + 1, out);
            }
        }
    }
    if (shape.kind == SHAPE_SMIME_CLEAR_SIGNED) { /* and its signature holds */
        world_file_write(&w, "layer", bytes);
        world_shell(&w, "openssl cms -verify -in layer -CAfile ca.pem -out within");
    }
    shape_release(&shape);
    arena_release(&a);
}

/* --- as a composer --- */

static void what_we_nest(void **state)
{
    static const struct {
        const char *title, *encrypt, *opaque;
    } rows[] = {
        {"signed", "none", "no"},
        {"signed, opaque", "none", "yes"},
        {"signed, then encrypted", "mandatory", "no"},
        {"signed, opaque, then encrypted", "mandatory", "yes"},
    };
    struct buf all = BUF_INIT(65536);
    (void)state;
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "always");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        world_set(&w, SETTING_USER, BOB, "encrypt.mode", rows[i].encrypt);
        world_set(&w, SETTING_USER, BOB, "smime.opaque", rows[i].opaque);
        world_process_text(&w, ALICE, (const char *const[]){BOB, NULL},
                           "From: alice@ours.example\r\nTo: bob@partner.example\r\nSubject: s\r\n" PLAIN);
        OK(buf_printf(&all, "--- %s\r\n", rows[i].title));
        outline(world_accepted(&w), "bob", 0, &all);
    }
    assert_golden(buf_slice(&all), "nested_sent.txt");
    buf_release(&all);
}

/* --- as a reader --- */

/* The mark without what differs from run to run: the signing time. */
static void mark_append(struct slice content, const char *name, struct buf *out)
{
    const uint8_t *at = memmem(content.data, content.len, name, strlen(name));
    assert_non_null(at);
    struct slice rest = slice_of(at, content.len - (size_t)(at - content.data));
    struct slice line = slice_of(rest.data, slice_find_byte(rest, '\r'));
    const uint8_t *time = memmem(line.data, line.len, "; time=", 7);
    size_t head = time == NULL ? line.len : (size_t)(time - line.data);
    struct slice tail = slice_of(line.data + head, line.len - head);
    OK(buf_append(out, line.data, head));
    if (tail.len > 0) {
        size_t end = 1 + slice_find_byte(slice_of(tail.data + 1, tail.len - 1), ';');
        OK(buf_append(out, tail.data + end, tail.len - end));
    }
    OK(buf_append_text(out, "\r\n"));
}

/* "s" signed, "o" signed opaquely, "e" encrypted, from the inside out. */
static void wrap(const char *steps)
{
    world_file_write(&w, "made", slice_of_text(PLAIN));
    for (; *steps != '\0'; steps++) {
        if (*steps == 'e') {
            world_shell(&w,
                        "openssl cms -encrypt -binary -in made -aes256 -out next alice.pem && mv next made");
        } else {
            world_shell(
                &w,
                "sed -i 's/\\r$//; s/$/\\r/' made && openssl cms -sign -binary %s -in made -signer bob.pem "
                "-inkey bob.key -out next && mv next made",
                *steps == 'o' ? "-nodetach" : "");
        }
    }
}

static void what_is_delivered_of_nested_layers(void **state)
{
    static const char *const steps[] = {"s", "o", "e", "se", "oe", "es", "eo", "ses", "oeo", "sese", "eses"};
    static const char *const remove[] = {"never", "valid", "always"};
    struct buf all = BUF_INIT((size_t)1 << 20);
    (void)state;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        struct buf message = BUF_INIT((size_t)1 << 20);
        wrap(steps[i]);
        OK(buf_append_text(&message, "From: bob@partner.example\r\n"));
        canonical_read("made", &message);
        OK(buf_printf(&all, "=== %s arrives\r\n", steps[i]));
        outline(buf_slice(&message), "alice", 0, &all);
        for (size_t n = 0; n < sizeof remove / sizeof remove[0]; n++) {
            world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", remove[n]);
            world_process(&w, BOB, (const char *const[]){ALICE, NULL}, buf_slice(&message));
            OK(buf_printf(&all, "--- %s, smime.remove_signature=%s\r\n", steps[i], remove[n]));
            mark_append(world_accepted(&w), "X-Sealpost-Signature", &all);
            mark_append(world_accepted(&w), "X-Sealpost-Encryption", &all);
            outline(world_accepted(&w), "alice", 0, &all);
        }
        buf_release(&message);
    }
    world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", "never");
    assert_golden(buf_slice(&all), "nested_delivered.txt");
    buf_release(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_nest),
        cmocka_unit_test(what_is_delivered_of_nested_layers),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
