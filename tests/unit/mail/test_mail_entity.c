/* Entities by byte range: fields, limits, content types, parts, and what an entity is as a whole. */
#include "mail_test.h"

#include "mail/entity.h"
#include "mail/shape.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, (size_t)64 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_release(&arena);
    return 0;
}

static struct entity read_text(const char *text)
{
    struct entity e;
    struct failure f = {.status = STATUS_OK};
    OK(entity_read(slice_of_text(text), &arena, &e, &f));
    return e;
}

static void fields_are_cut(void **state)
{
    (void)state;
    struct entity e = read_text("From: a@b\r\nSubject : folded\r\n\tover\r\nX:\r\n\r\nbody\r\n\r\nmore");
    assert_int_equal(e.field_count, 3);
    assert_false(e.malformed);
    assert_slice(e.fields[1].name, "Subject");
    assert_slice(e.fields[1].value, " folded\r\n\tover");
    assert_slice(e.fields[1].whole, "Subject : folded\r\n\tover\r\n");
    assert_slice(e.fields[2].value, "");
    assert_slice(e.header, "From: a@b\r\nSubject : folded\r\n\tover\r\nX:\r\n");
    assert_slice(e.body, "body\r\n\r\nmore");
}

static void odd_headers_are_still_read(void **state)
{
    (void)state;
    struct entity e = read_text("");
    assert_int_equal(e.field_count, 0);
    e = read_text("\r\nonly a body");
    assert_slice(e.body, "only a body");
    e = read_text("From: a@b");
    assert_slice(e.fields[0].value, " a@b");
    assert_int_equal(e.body.len, 0);
    e = read_text("From: a@b\nTo: c\n\nlf only\n");
    assert_int_equal(e.field_count, 2);
    assert_slice(e.body, "lf only\n");
    /* A line that is no field does not end the header, and is told. */
    e = read_text("A: 1\r\nno field here\r\nX-Sealpost-Signature: valid\r\n\r\n");
    assert_true(e.malformed);
    assert_int_equal(e.field_count, 3);
    assert_true(field_is_ours(&e.fields[2]));
    e = read_text(" X-SEALPOST-Signature: valid\r\nA: b\r\n\r\n");
    assert_true(e.malformed);
    assert_true(field_is_ours(&e.fields[0]));
    assert_false(field_is_ours(&e.fields[1]));
    e = read_text("x-sealPOST-anything : v\r\nBCC: a@b\r\nresent-bcc: c\r\nTo: d\r\n\r\n");
    assert_true(field_is_ours(&e.fields[0]) && field_stays_behind(&e.fields[0]));
    assert_true(field_stays_behind(&e.fields[1]) && field_stays_behind(&e.fields[2]));
    assert_false(field_stays_behind(&e.fields[3]));
}

static void limits_hold(void **state)
{
    (void)state;
    struct entity e;
    struct failure f;
    struct buf text = BUF_INIT((size_t)4 << 20);
    OK(buf_append_text(&text, "Subject: "));
    while (text.len < ENTITY_FIELD_MAX + 10) {
        OK(buf_append_text(&text, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n "));
    }
    assert_int_equal(entity_read(buf_slice(&text), &arena, &e, &f), STATUS_TOO_LARGE);
    assert_non_null(strstr(f.text, "field"));
    buf_reset(&text);
    while (text.len < ENTITY_HEADER_MAX + 10) {
        OK(buf_append_text(
            &text, "Received: by somebody with something that is rather long, for the sake of it\r\n"));
    }
    assert_int_equal(entity_read(buf_slice(&text), &arena, &e, &f), STATUS_TOO_LARGE);
    buf_reset(&text);
    for (size_t i = 0; i < ENTITY_FIELDS_MAX + 1; i++) {
        OK(buf_append_text(&text, "A: b\r\n"));
    }
    assert_int_equal(entity_read(buf_slice(&text), &arena, &e, &f), STATUS_TOO_LARGE);
    buf_reset(&text);
    OK(buf_append_text(&text, "Content-Type: multipart/mixed; boundary=b\r\n\r\n"));
    for (size_t i = 0; i < ENTITY_PARTS_MAX + 1; i++) {
        OK(buf_append_text(&text, "--b\r\n\r\n"));
    }
    struct multipart m;
    OK(entity_read(buf_slice(&text), &arena, &e, &f));
    assert_int_equal(entity_split(&e, ENTITY_PARTS_MAX, &arena, &m, &f), STATUS_TOO_LARGE);
    buf_release(&text);
}

static void content_types_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *field, *type, *subtype, *boundary; /* boundary NULL: none */
    } table[] = {
        {"", "text", "plain", NULL},
        {"Content-Type: Multipart/Signed; boundary=abc\r\n", "multipart", "signed", "abc"},
        {"Content-Type: multipart/mixed;\r\n charset=x; BOUNDARY=\"a b\\\"c\"; q=1\r\n", "multipart", "mixed",
         "a b\"c"},
        {"Content-Type: multipart/mixed; boundary=\"a;b=c\"\r\n", "multipart", "mixed", "a;b=c"},
        {"Content-Type: multipart/mixed; boundary=--=_x/y?z:\r\n", "multipart", "mixed", "--=_x/y?z:"},
        {"Content-Type: (comment (nested)) text (x) / (y) html\r\n", "text", "html", NULL},
        {"Content-Type: nonsense\r\n", "application", "octet-stream", NULL},
        {"Content-Type: text/\r\n", "application", "octet-stream", NULL},
        {"Content-Type: text/plain\r\nContent-Type: multipart/mixed; boundary=x\r\n", "application",
         "octet-stream", NULL},
        {"Content-Type: multipart/mixed; xboundary=no; boundary\r\n", "multipart", "mixed", NULL},
        {"Content-Type: multipart/mixed; boundary=\"open\r\n", "multipart", "mixed", "open"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[500];
        struct slice boundary;
        int n = snprintf(text, sizeof text, "%s\r\nbody", table[i].field);
        assert_true(n > 0);
        struct entity e = read_text(text);
        struct content_type t = entity_content_type(&e);
        assert_true(content_type_is(&t, table[i].type, table[i].subtype));
        bool found = content_type_parameter(&t, "boundary", &arena, &boundary);
        assert_int_equal(found, table[i].boundary != NULL);
        if (found) {
            assert_slice(boundary, table[i].boundary);
        }
    }
}

#define SIGNED_HEAD                                                                                          \
    "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\r\n\r\n"
#define SIGNATURE                                                                                            \
    "--b\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: "                        \
    "base64\r\n\r\nMAsGCSqG\r\n"

static void parts_are_cut_exactly(void **state)
{
    (void)state;
    struct multipart m;
    struct failure f;
    struct entity e = read_text("Content-Type: multipart/mixed; "
                                "boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n\r\n--bx\r\n--b \t\r\n"
                                "A: b\r\n\r\ntwo\r\n--b--\r\nepilogue\r\n--b\r\nnot me\r\n");
    OK(entity_split(&e, 100, &arena, &m, &f));
    assert_int_equal(m.part_count, 2);
    assert_true(m.closed);
    assert_slice(m.parts[0], "\r\none\r\n\r\n--bx");
    assert_slice(m.parts[1], "A: b\r\n\r\ntwo");
    e = read_text("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nunfinished\r\n");
    OK(entity_split(&e, 100, &arena, &m, &f));
    assert_int_equal(m.part_count, 1);
    assert_false(m.closed);
    assert_slice(m.parts[0], "\r\nunfinished\r\n");
    e = read_text("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b--");
    OK(entity_split(&e, 100, &arena, &m, &f));
    assert_int_equal(m.part_count, 1);
    assert_int_equal(m.parts[0].len, 0);
    e = read_text("Content-Type: multipart/mixed\r\n\r\n--b\r\n");
    assert_int_equal(entity_split(&e, 100, &arena, &m, &f), STATUS_NOT_FOUND);
}

static void check_shape(const char *text, enum shape_kind kind, const char *signed_part)
{
    struct entity e = read_text(text);
    struct shape shape;
    struct failure f;
    OK(shape_of(&e, &arena, &shape, &f));
    if (shape.kind != kind) {
        print_error("shape %d instead of %d: %s\n", (int)shape.kind, (int)kind, text);
        fail();
    }
    if (signed_part != NULL) {
        assert_slice(shape.signed_part, signed_part);
    } else {
        assert_null(shape.signed_part.data);
    }
    shape_release(&shape);
}

static void shapes_are_told(void **state)
{
    (void)state;
    check_shape("Subject: x\r\n\r\nhello", SHAPE_PLAIN, NULL);
    check_shape(SIGNED_HEAD "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n\r\n" SIGNATURE "--b--\r\n",
                SHAPE_SMIME_CLEAR_SIGNED, "Content-Type: text/plain\r\n\r\nhi\r\n");
    /* A third part, a missing end, a second part that is no signature: signed in name only. */
    check_shape(SIGNED_HEAD "--b\r\n\r\nhi\r\n" SIGNATURE "--b\r\n\r\nforeign\r\n--b--\r\n",
                SHAPE_SMIME_CLEAR_SIGNED, NULL);
    check_shape(SIGNED_HEAD "--b\r\n\r\nhi\r\n" SIGNATURE, SHAPE_SMIME_CLEAR_SIGNED, NULL);
    check_shape(SIGNED_HEAD "--b\r\n\r\nhi\r\n--b\r\n\r\nno\r\n--b--\r\n", SHAPE_SMIME_CLEAR_SIGNED, NULL);
    /* id-envelopedData, id-signedData, id-ct-authEnvelopedData. */
    check_shape("Content-Type: application/pkcs7-mime; "
                "smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                "MIAGCSqGSIb3DQEHA6CAMIACAQAxADCABgkqhkiG9w0BBwEwHQYJYIZIAWUDBAEqBBAAAAAAAAAAAAAAAAAAAAAAoIAE"
                "AAAAAAAAAAAAAAA=\r\n",
                SHAPE_SMIME_ENCRYPTED, NULL);
    /* What says that it is encrypted, and is not. */
    check_shape("Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nplain text",
                SHAPE_SMIME_OTHER, NULL);
    check_shape("Content-Type: application/octet-stream; name=\"smime.p7m\"\r\n\r\nplain text", SHAPE_PLAIN,
                NULL);
    /* An encrypted part beside another one is not an encrypted message. */
    check_shape("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: "
                "application/pkcs7-mime\r\n\r\nMIAG\r\n--b--\r\n",
                SHAPE_PLAIN, NULL);
    check_shape("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; "
                "boundary=b\r\n\r\n--b\r\n\r\nVersion: 1\r\n"
                "--b\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n--b--\r\n",
                SHAPE_PGP_ENCRYPTED, NULL);
    check_shape("Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; "
                "boundary=b\r\n\r\n--b\r\n\r\nVersion: 1\r\n"
                "--b\r\n\r\nplain\r\n--b--\r\n",
                SHAPE_PLAIN, NULL);
    check_shape("Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; boundary=b\r\n\r\n",
                SHAPE_PGP_SIGNED, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fields_are_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(odd_headers_are_still_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(content_types_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(parts_are_cut_exactly, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shapes_are_told, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
