/* What a message is: its kinds, its subject and its attachments; and that hostile structure costs nothing. */
#include "mail_test.h"

#include "base/buf.h"
#include "mail/facts.h"

static struct arena arena;

static void facts_of(struct slice bytes, struct message_facts *facts)
{
    struct failure f = {.status = STATUS_OK};
    struct entity *message;
    struct shape shape;
    arena_init(&arena, (size_t)64 << 20);
    message = arena_alloc(&arena, sizeof *message);
    if (entity_read(bytes, &arena, message, &f) != STATUS_OK ||
        shape_of(message, &arena, &shape, &f) != STATUS_OK ||
        message_facts_read(message, &shape, &arena, facts, &f) != STATUS_OK) {
        fail_msg("%s", f.text);
    }
    shape_release(&shape);
}

static void kinds_are_told(void **state)
{
    static const struct {
        const char *message;
        unsigned kinds;
    } table[] = {
        {"From: a@b.example\r\n\r\nHello\r\n", 0},
        {"From: a@b.example\r\n\r\n \r\n\t\r\n", MESSAGE_EMPTY},
        {"", MESSAGE_EMPTY},
        {"Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\n", MESSAGE_CALENDAR},
        {"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b\r\nContent-Type: "
         "TEXT/Calendar\r\n\r\nBEGIN:VCALENDAR\r\n--b--\r\n",
         MESSAGE_CALENDAR},
        {"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\nAuto-Submitted: "
         "auto-replied\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
         MESSAGE_REPORT | MESSAGE_AUTO_REPLY},
        {"Auto-Submitted: (never) no\r\n\r\nx", 0},
        {"X-Autoreply: yes\r\n\r\nx", MESSAGE_AUTO_REPLY},
        {"Content-Type: application/ms-tnef; name=x\r\n\r\nx", MESSAGE_TNEF},
        {"Content-Type: application/octet-stream; name=\"WINMAIL.dat\"\r\n\r\nx", MESSAGE_TNEF},
        {"Content-Type: message/partial; id=x; number=1\r\n\r\nx", MESSAGE_PARTIAL},
        {"Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; "
         "boundary=b\r\n\r\n--b\r\n"
         "Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n--b\r\n\r\n-----BEGIN PGP "
         "MESSAGE-----\r\n--b--\r\n",
         MESSAGE_ENCRYPTED},
        /* malformed: no boundary, not closed, no parts, a line that is no field, fields twice, boundaries
           alike */
        {"Content-Type: multipart/mixed\r\n\r\nx", MESSAGE_MALFORMED},
        {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n", MESSAGE_MALFORMED},
        {"Content-Type: multipart/mixed; boundary=b\r\n\r\nnothing\r\n", MESSAGE_MALFORMED | MESSAGE_EMPTY},
        {"Subject: a\r\nno field\r\n\r\nx", MESSAGE_MALFORMED},
        {"Subject: a\r\nSubject: b\r\n\r\nx", MESSAGE_MALFORMED},
        {"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; "
         "boundary=bb\r\n\r\n--bb\r\n\r\nx\r\n--bb--\r\n--b--\r\n",
         MESSAGE_MALFORMED},
        /* a message in a message is not opened */
        {"Content-Type: message/rfc822\r\n\r\nContent-Type: text/calendar\r\n\r\nx", 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct message_facts facts;
        facts_of(slice_of_text(table[i].message), &facts);
        if (facts.kinds != table[i].kinds) {
            fail_msg("message %zu: kinds %u, not %u", i, facts.kinds, table[i].kinds);
        }
        arena_release(&arena);
    }
}

static void subjects_are_decoded_into_one_line(void **state)
{
    static const struct {
        const char *raw, *decoded;
    } table[] = {
        {" plain words", "plain words"},
        {" =?utf-8?Q?=5Bencrypt=5D_f=C3=BCr_Sie?=", "[encrypt] f\xc3\xbcr Sie"},
        {" =?iso-8859-1?B?R3L832U=?=\r\n =?iso-8859-1?Q?_an_alle?=", "Gr\xc3\xbc\xc3\x9f"
                                                                     "e an alle"},
        {" folded\r\n\there", "folded here"},
        {" =?utf-8?Q?a=0D=0ABcc:_x=00y=C2=85?=", "a  Bcc: x?y"},
        {" =?utf-8?Q?=1B[2J?=", "[2J"},
        {" =?x-nobody?Q?abc?=", "abc"},
        {" \xff\xfe", "\xc3\xbf\xc3\xbe"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct message_facts facts;
        struct buf message = BUF_INIT(1 << 16);
        assert_int_equal(buf_printf(&message, "Subject:%s\r\n\r\nx", table[i].raw), STATUS_OK);
        facts_of(buf_slice(&message), &facts);
        if (!slice_equal(facts.subject, slice_of_text(table[i].decoded))) {
            fail_msg("%s: \"%.*s\", not \"%s\"", table[i].raw, SLICE_ARGS(facts.subject), table[i].decoded);
        }
        assert_true(slice_is_text(facts.subject));
        arena_release(&arena);
        buf_release(&message);
    }
}

/* A word that asks for encryption counts wherever it stands; where it could stand unread, that is told. */
static void long_subjects_are_read_to_their_end(void **state)
{
    static const struct {
        size_t lines; /* of 72 bytes */
        bool whole;
    } table[] = {{1, true}, {14, true}, {100, true}, {400, false}};
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct message_facts facts;
        struct buf message = BUF_INIT(1 << 16);
        OK(buf_append_text(&message, "Subject: "));
        for (size_t n = 0; n < table[i].lines; n++) {
            OK(buf_append_text(&message,
                               "=?utf-8?Q?=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC=C3=BC?=\r\n   "));
        }
        OK(buf_append_text(&message, " [encrypt]\r\n\r\nx"));
        facts_of(buf_slice(&message), &facts);
        assert_int_equal(slice_holds(facts.subject, "[encrypt]"), table[i].whole);
        assert_int_equal((facts.kinds & MESSAGE_MALFORMED) != 0, !table[i].whole);
        arena_release(&arena);
        buf_release(&message);
    }
}

static void attachments_are_listed(void **state)
{
    static const char message[] =
        "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b\r\n"
        "Content-Type: Application/PDF\r\nContent-Disposition: attachment; "
        "filename*0*=utf-8''R%C3%A9; filename*1=\"port.pdf\"\r\n\r\n1234\r\n--b\r\n"
        "Content-Type: image/png; name=\"=?utf-8?Q?b=C3=BCld.png?=\"\r\n\r\n12345\r\n--b\r\n"
        "Content-Type: text/html; name=\"page.html\"\r\n\r\nx\r\n--b--\r\n";
    static const struct {
        const char *type, *name;
        size_t size;
    } expected[] = {{"application/pdf", "R\xc3\xa9port.pdf", 4},
                    {"image/png", "b\xc3\xbcld.png", 5},
                    {"text/html", "page.html", 1}};
    struct message_facts facts;
    (void)state;
    facts_of(slice_of_text(message), &facts);
    assert_int_equal(facts.attachment_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(slice_equal(facts.attachments[i].type, slice_of_text(expected[i].type)));
        if (!slice_equal(facts.attachments[i].name, slice_of_text(expected[i].name))) {
            fail_msg("%.*s", SLICE_ARGS(facts.attachments[i].name));
        }
        assert_int_equal(facts.attachments[i].size, expected[i].size);
    }
    arena_release(&arena);
}

/* 10,000 levels, 100,000 parts, parts of the same boundary: facts, and no stack. */
static void hostile_structure_is_malformed_and_cheap(void **state)
{
    struct message_facts facts;
    (void)state;
    for (unsigned shape = 0; shape < 3; shape++) {
        struct buf message = BUF_INIT((size_t)32 << 20);
        enum status status = STATUS_OK;
        if (shape == 0) {
            for (unsigned i = 0; i < 10000 && status == STATUS_OK; i++) {
                status = buf_printf(&message, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n",
                                    i, i);
            }
        } else if (shape == 1) {
            status = buf_append_text(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n");
            for (unsigned i = 0; i < 100000 && status == STATUS_OK; i++) {
                status = buf_append_text(&message, "--b\r\n\r\nx\r\n");
            }
        } else {
            for (unsigned i = 0; i < 5000 && status == STATUS_OK; i++) {
                status =
                    buf_append_text(&message, "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n");
            }
        }
        assert_int_equal(status, STATUS_OK);
        facts_of(buf_slice(&message), &facts);
        assert_true((facts.kinds & MESSAGE_MALFORMED) != 0);
        arena_release(&arena);
        buf_release(&message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_are_told),
        cmocka_unit_test(subjects_are_decoded_into_one_line),
        cmocka_unit_test(long_subjects_are_read_to_their_end),
        cmocka_unit_test(attachments_are_listed),
        cmocka_unit_test(hostile_structure_is_malformed_and_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
