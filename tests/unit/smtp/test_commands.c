/* The pure parts of the dialogue: commands, lines, content, dots, replies, states. Tables. */
#include "smtp/client_state.h"
#include "smtp/command_parser.h"
#include "smtp/data_reader.h"
#include "smtp/dot_stuffing.h"
#include "smtp/line_reader.h"
#include "smtp/reply_parser.h"
#include "smtp/server_state.h"
#include "smtp/trace_field.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_parse(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum smtp_reply reply;
        enum smtp_verb verb;
        const char *path, *domain;
    } rows[] = {
        {"EHLO host.test", REPLY_NONE, VERB_EHLO, "", ""},
        {"ehlo [192.0.2.1]", REPLY_NONE, VERB_EHLO, "", ""},
        {"EHLO [IPv6:2001:db8::1]", REPLY_NONE, VERB_EHLO, "", ""},
        {"EHLO [2001:db8::1]", REPLY_BAD_NAME, VERB_EHLO, "", ""},
        {"EHLO", REPLY_BAD_NAME, VERB_EHLO, "", ""},
        {"EHLO a b", REPLY_BAD_NAME, VERB_EHLO, "", ""},
        {"EHLO a(b", REPLY_BAD_NAME, VERB_EHLO, "", ""},
        {"HELO x", REPLY_NONE, VERB_HELO, "", ""},
        {"MAIL FROM:<>", REPLY_NONE, VERB_MAIL, "", ""},
        {"mail from:<a@b.test>", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM: <a@b.test>", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> SIZE=123", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> SIZE=123 BODY=8BITMIME", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> body=7bit", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> ", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test>SIZE=1", REPLY_SYNTAX, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> SIZE=", REPLY_BAD_PARAMETER, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> SIZE=-1", REPLY_BAD_PARAMETER, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> SIZE=99999999999999999999", REPLY_BAD_PARAMETER, VERB_MAIL, "a@b.test",
         "b.test"},
        {"MAIL FROM:<a@b.test> SIZE=1 SIZE=2", REPLY_REPEATED_PARAMETER, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> BODY=7BIT BODY=7BIT", REPLY_REPEATED_PARAMETER, VERB_MAIL, "a@b.test",
         "b.test"},
        {"MAIL FROM:<a@b.test> BODY=BINARYMIME", REPLY_BAD_BODY, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> SMTPUTF8", REPLY_NONE, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> NOTIFY=NEVER", REPLY_UNKNOWN_PARAMETER, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:<a@b.test> BY=120;R", REPLY_UNKNOWN_PARAMETER, VERB_MAIL, "a@b.test", "b.test"},
        {"MAIL FROM:a@b.test", REPLY_MAIL_SYNTAX, VERB_MAIL, "", ""},
        {"MAIL FROM:<a@b.test", REPLY_MAIL_SYNTAX, VERB_MAIL, "", ""},
        {"MAIL <a@b.test>", REPLY_MAIL_SYNTAX, VERB_MAIL, "", ""},
        {"MAIL", REPLY_MAIL_SYNTAX, VERB_MAIL, "", ""},
        {"MAIL FROM:<@x.test:a@b.test>", REPLY_SOURCE_ROUTE, VERB_MAIL, "@x.test:a@b.test", ""},
        {"MAIL FROM:<a b@b.test>", REPLY_BAD_SENDER, VERB_MAIL, "a b@b.test", ""},
        {"MAIL FROM:<a@b@c.test>", REPLY_BAD_SENDER, VERB_MAIL, "a@b@c.test", NULL},
        {"MAIL FROM:<\xc3\xa4@b.test>", REPLY_NONE, VERB_MAIL, "\xc3\xa4@b.test", "b.test"},
        {"MAIL FROM:<\"\xc3\xa4\"@b.test>", REPLY_NONE, VERB_MAIL, "\"\xc3\xa4\"@b.test", "b.test"},
        {"MAIL FROM:<a@b\xc3\xbc.test>", REPLY_NONE, VERB_MAIL, "a@b\xc3\xbc.test", "b\xc3\xbc.test"},
        {"MAIL FROM:<\xe4@b.test>", REPLY_BAD_SENDER, VERB_MAIL, "\xe4@b.test", NULL},
        {"MAIL FROM:<\xc0\xaf@b.test>", REPLY_BAD_SENDER, VERB_MAIL, "\xc0\xaf@b.test", NULL},
        {"MAIL FROM:<a\xc2\x85@b.test>", REPLY_BAD_SENDER, VERB_MAIL, "a\xc2\x85@b.test", NULL},
        {"MAIL FROM:<a@b\xef\xbc\xa0.test>", REPLY_BAD_SENDER, VERB_MAIL, "a@b\xef\xbc\xa0.test", NULL},
        {"MAIL FROM:<a@\xe2\x80\xae.test>", REPLY_BAD_SENDER, VERB_MAIL, "a@\xe2\x80\xae.test", NULL},
        {"RCPT TO:<a@b.test>", REPLY_NONE, VERB_RCPT, "a@b.test", "b.test"},
        {"RCPT TO:<>", REPLY_BAD_RECIPIENT, VERB_RCPT, "", ""},
        {"RCPT TO:<Postmaster>", REPLY_NONE, VERB_RCPT, "Postmaster", ""},
        {"RCPT TO:<somebody>", REPLY_BAD_RECIPIENT, VERB_RCPT, "somebody", NULL},
        {"RCPT TO:<\"a b>c\"@b.test>", REPLY_NONE, VERB_RCPT, "\"a b>c\"@b.test", "b.test"},
        {"RCPT TO:<\"a\\\"b\"@b.test>", REPLY_NONE, VERB_RCPT, "\"a\\\"b\"@b.test", "b.test"},
        {"RCPT TO:<\"a\"b@b.test>", REPLY_BAD_RECIPIENT, VERB_RCPT, "\"a\"b@b.test", NULL},
        {"RCPT TO:<.a@b.test>", REPLY_BAD_RECIPIENT, VERB_RCPT, ".a@b.test", NULL},
        {"RCPT TO:<a.@b.test>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a.@b.test", NULL},
        {"RCPT TO:<a..b@b.test>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a..b@b.test", NULL},
        {"RCPT TO:<a+b/c=d@b.test>", REPLY_NONE, VERB_RCPT, "a+b/c=d@b.test", "b.test"},
        {"RCPT TO:<a@[192.0.2.1]>", REPLY_NONE, VERB_RCPT, "a@[192.0.2.1]", "[192.0.2.1]"},
        {"RCPT TO:<a@[IPv6:::1]>", REPLY_NONE, VERB_RCPT, "a@[IPv6:::1]", "[IPv6:::1]"},
        {"RCPT TO:<a@[192.0.2.300]>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a@[192.0.2.300]", NULL},
        {"RCPT TO:<a@-b.test>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a@-b.test", NULL},
        {"RCPT TO:<a@b-.test>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a@b-.test", NULL},
        {"RCPT TO:<a@b..test>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a@b..test", NULL},
        {"RCPT TO:<a@b.test.>", REPLY_BAD_RECIPIENT, VERB_RCPT, "a@b.test.", NULL},
        {"RCPT TO:<a@b.test> NOTIFY=NEVER", REPLY_NONE, VERB_RCPT, "a@b.test", "b.test"},
        {"RCPT TO:<a@b.test> SIZE=1", REPLY_UNKNOWN_PARAMETER, VERB_RCPT, "a@b.test", "b.test"},
        {"RCPT TO:<a@b.test> SMTPUTF8", REPLY_UNKNOWN_PARAMETER, VERB_RCPT, "a@b.test", "b.test"},
        {"DATA", REPLY_NONE, VERB_DATA, "", ""},
        {"data ", REPLY_NONE, VERB_DATA, "", ""},
        {"DATA now", REPLY_NO_ARGUMENT_ALLOWED, VERB_DATA, "", ""},
        {"RSET", REPLY_NONE, VERB_RSET, "", ""},
        {"NOOP anything", REPLY_NONE, VERB_NOOP, "", ""},
        {"QUIT", REPLY_NONE, VERB_QUIT, "", ""},
        {"VRFY x", REPLY_NONE, VERB_VRFY, "", ""},
        {"VRFY", REPLY_SYNTAX, VERB_VRFY, "", ""},
        {"HELP", REPLY_NONE, VERB_HELP, "", ""},
        {"STARTTLS", REPLY_NONE, VERB_STARTTLS, "", ""},
        {"STARTTLS x", REPLY_NO_ARGUMENT_ALLOWED, VERB_STARTTLS, "", ""},
        {"VRFY \xc3\xa4 SMTPUTF8", REPLY_NONE, VERB_VRFY, "", ""},
        {"VRFY \xc3\xa4", REPLY_NOT_ASCII, VERB_VRFY, "", ""},
        {"VRFY \xe4 SMTPUTF8", REPLY_SYNTAX, VERB_VRFY, "", ""},
        {"BDAT 10", REPLY_NONE, VERB_BDAT, "", ""},
        {"bdat 0 last", REPLY_NONE, VERB_BDAT, "", ""},
        {"BDAT 10  LAST ", REPLY_NONE, VERB_BDAT, "", ""},
        {"BDAT", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"BDAT LAST", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"BDAT -1", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"BDAT 0x10", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"BDAT 10 LAST LAST", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"BDAT 10 FIRST", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"BDAT 18446744073709551616", REPLY_BDAT_SYNTAX, VERB_BDAT, "", ""},
        {"EXPN x", REPLY_NOT_IMPLEMENTED, VERB_UNIMPLEMENTED, "", ""},
        {"", REPLY_UNKNOWN_COMMAND, VERB_UNKNOWN, "", ""},
        {" EHLO x", REPLY_UNKNOWN_COMMAND, VERB_UNKNOWN, "", ""},
        {"MAILFROM:<a@b.test>", REPLY_UNKNOWN_COMMAND, VERB_UNKNOWN, "", ""},
        {"MAIL\tFROM:<a@b.test>", REPLY_UNKNOWN_COMMAND, VERB_UNKNOWN, "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct smtp_command c;
        enum smtp_reply reply = command_parse(slice_of_text(rows[i].line), &c);
        if (reply != rows[i].reply || c.verb != rows[i].verb ||
            !slice_equal(c.path, slice_of_text(rows[i].path)) ||
            (rows[i].domain != NULL && !slice_equal(c.domain, slice_of_text(rows[i].domain)))) {
            fail_msg("%s: reply %d, verb %s, path %.*s, domain %.*s", rows[i].line, reply_code(reply),
                     smtp_verb_name(c.verb), SLICE_ARGS(c.path), SLICE_ARGS(c.domain));
        }
    }
    struct smtp_command c;
    assert_int_equal(command_parse(SLICE_LITERAL("MAIL FROM:<a@b.test> SIZE=123 BODY=8BITMIME"), &c),
                     REPLY_NONE);
    assert_true(c.has_size);
    assert_int_equal(c.size, 123);
    assert_int_equal(c.promises, SPOOL_BODY_8BITMIME);
}

/* NOTIFY, ORCPT, RET, ENVID, and those without a value. */
static void test_parameters(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        enum smtp_reply reply;
        uint64_t flags;   /* promises of MAIL, notify of RCPT */
        const char *text; /* ENVID or ORCPT */
    } rows[] = {
        {"MAIL FROM:<> SMTPUTF8 REQUIRETLS BODY=8BITMIME", REPLY_NONE,
         SPOOL_SMTPUTF8 | SPOOL_REQUIRETLS | SPOOL_BODY_8BITMIME, ""},
        {"MAIL FROM:<> SMTPUTF8=yes", REPLY_NO_VALUE_ALLOWED, 0, NULL},
        {"MAIL FROM:<> REQUIRETLS=", REPLY_NO_VALUE_ALLOWED, 0, NULL},
        {"MAIL FROM:<> SMTPUTF8 smtputf8", REPLY_REPEATED_PARAMETER, 0, NULL},
        {"MAIL FROM:<> BODY", REPLY_BAD_BODY, 0, NULL},
        {"MAIL FROM:<> SIZE", REPLY_BAD_PARAMETER, 0, NULL},
        {"MAIL FROM:<> RET=full", REPLY_NONE, SPOOL_RET_FULL, ""},
        {"MAIL FROM:<> ret=HDRS ENVID=QQ314159", REPLY_NONE, SPOOL_RET_HDRS, "QQ314159"},
        {"MAIL FROM:<> RET=BODY", REPLY_BAD_RET, 0, NULL},
        {"MAIL FROM:<> RET", REPLY_BAD_RET, 0, NULL},
        {"MAIL FROM:<> RET=FULL RET=HDRS", REPLY_REPEATED_PARAMETER, 0, NULL},
        {"MAIL FROM:<> ENVID=a+2Bb+3D", REPLY_NONE, 0, "a+2Bb+3D"},
        {"MAIL FROM:<> ENVID=", REPLY_BAD_ENVID, 0, NULL},
        {"MAIL FROM:<> ENVID=a=b", REPLY_BAD_ENVID, 0, NULL},
        {"MAIL FROM:<> ENVID=a+2b", REPLY_BAD_ENVID, 0, NULL},
        {"MAIL FROM:<> ENVID=a+2", REPLY_BAD_ENVID, 0, NULL},
        {"MAIL FROM:<> ENVID=+0D+0AX", REPLY_BAD_ENVID, 0, NULL},
        {"MAIL FROM:<> ENVID=+C3+A4", REPLY_BAD_ENVID, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;+C3+A4@b.test", REPLY_NONE, 0, "rfc822;+C3+A4@b.test"},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;+E4@b.test", REPLY_BAD_ORCPT, 0, NULL},
        {"MAIL FROM:<> ENVID=\xc3\xa4", REPLY_BAD_ENVID, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=never", REPLY_NONE, NOTIFY_NEVER, ""},
        {"RCPT TO:<a@b.test> NOTIFY=SUCCESS,FAILURE,DELAY", REPLY_NONE,
         NOTIFY_SUCCESS | NOTIFY_FAILURE | NOTIFY_DELAY, ""},
        {"RCPT TO:<a@b.test> NOTIFY=NEVER,SUCCESS", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=SUCCESS,SUCCESS", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=SUCCESS,", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=,SUCCESS", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=ALWAYS", REPLY_BAD_NOTIFY, 0, NULL},
        {"RCPT TO:<a@b.test> NOTIFY=DELAY NOTIFY=DELAY", REPLY_REPEATED_PARAMETER, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;a+2Bx@b.test", REPLY_NONE, 0, "rfc822;a+2Bx@b.test"},
        {"RCPT TO:<a@b.test> ORCPT=X400;/c=de", REPLY_BAD_ORCPT, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=utf-8;a\\x{E4}@b.test", REPLY_NONE, 0, "utf-8;a\\x{E4}@b.test"},
        {"RCPT TO:<a@b.test> ORCPT=utf-8;\xc3\xa4@b.test", REPLY_NONE, 0, "utf-8;\xc3\xa4@b.test"},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;\xc3\xa4@b.test", REPLY_BAD_ORCPT, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;", REPLY_BAD_ORCPT, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=;a@b.test", REPLY_BAD_ORCPT, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=a@b.test", REPLY_BAD_ORCPT, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;+0D+0ARCPT", REPLY_BAD_ORCPT, 0, NULL},
        {"RCPT TO:<a@b.test> ORCPT=rfc822;a ORCPT=rfc822;a", REPLY_REPEATED_PARAMETER, 0, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct smtp_command c;
        enum smtp_reply reply = command_parse(slice_of_text(rows[i].line), &c);
        bool mail = c.verb == VERB_MAIL;
        if (reply != rows[i].reply ||
            (rows[i].text != NULL &&
             ((mail ? c.promises : c.wish.notify) != rows[i].flags ||
              !slice_equal(mail ? c.envid : c.wish.orcpt, slice_of_text(rows[i].text))))) {
            fail_msg("%s: reply %d %s", rows[i].line, reply_code(reply), reply_text(reply));
        }
    }
    char line[1000];
    struct smtp_command c;
    for (int n = 1; n < 600; n++) {
        (void)!snprintf(line, sizeof line, "MAIL FROM:<> ENVID=%0*d", n, 1);
        assert_int_equal(command_parse(slice_of_text(line), &c), n <= 100 ? REPLY_NONE : REPLY_BAD_ENVID);
        (void)!snprintf(line, sizeof line, "RCPT TO:<a@b.test> ORCPT=rfc822;%0*d", n, 1);
        assert_int_equal(command_parse(slice_of_text(line), &c), n + 7 <= 500 ? REPLY_NONE : REPLY_BAD_ORCPT);
    }
    assert_int_equal(command_parse(SLICE_LITERAL("BDAT 18446744073709551615 LAST"), &c), REPLY_NONE);
    assert_true(c.last && c.chunk == UINT64_MAX);
    assert_int_equal(command_parse(SLICE_LITERAL("BDAT 12"), &c), REPLY_NONE);
    assert_true(!c.last && c.chunk == 12);
}

static void test_address_lengths(void **state)
{
    (void)state;
    char line[1000];
    struct smtp_command c;
    for (int n = 1; n < 400; n++) {
        (void)!snprintf(line, sizeof line, "RCPT TO:<%0*d@b.test>", n, 1);
        assert_int_equal(command_parse(slice_of_text(line), &c),
                         n + 7 <= 320 ? REPLY_NONE : REPLY_BAD_RECIPIENT);
        (void)!snprintf(line, sizeof line, "RCPT TO:<a@%0*d.test>", n, 1);
        assert_int_equal(command_parse(slice_of_text(line), &c), n <= 63 ? REPLY_NONE : REPLY_BAD_RECIPIENT);
    }
}

static void test_lines(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len, max;
        enum line_result result;
        const char *line;
    } rows[] = {
        {"NOOP\r\n", 6, 100, LINE_OK, "NOOP"},
        {"\r\n", 2, 100, LINE_OK, ""},
        {"NOOP\r\nQ", 7, 100, LINE_OK, "NOOP"},
        {"NOOP", 4, 100, LINE_MORE, NULL},
        {"NOOP\r", 5, 100, LINE_MORE, NULL},
        {"\r", 1, 100, LINE_MORE, NULL},
        {"NOOP\n", 5, 100, LINE_BAD, NULL},
        {"\n", 1, 100, LINE_BAD, NULL},
        {"NO\rOP\r\n", 7, 100, LINE_BAD, NULL},
        {"NO\rOP", 5, 100, LINE_BAD, NULL},
        {"NOOP\r\r\n", 7, 100, LINE_BAD, NULL},
        {"NO\0OP\r\n", 7, 100, LINE_BAD, NULL},
        {"NO\0OP", 5, 100, LINE_BAD, NULL},
        {"NOOP\r\n", 6, 6, LINE_OK, "NOOP"},
        {"NOOPE\r\n", 7, 6, LINE_TOO_LONG, NULL},
        {"NOOPEX", 6, 6, LINE_TOO_LONG, NULL},
        {"", 0, 6, LINE_MORE, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct slice line = {0};
        size_t used = 0;
        enum line_result result = line_read(slice_of(rows[i].in, rows[i].len), rows[i].max, &line, &used);
        assert_int_equal(result, rows[i].result);
        if (rows[i].line != NULL) {
            assert_true(slice_equal(line, slice_of_text(rows[i].line)));
            assert_int_equal(used, strlen(rows[i].line) + 2);
        }
    }
}

struct content_row {
    const char *in;
    size_t len;
    enum data_result result;
    enum data_fault fault;
    const char *out; /* NULL: does not matter */
    size_t used;     /* with DATA_END */
};

#define IN(text) text, sizeof(text) - 1

static const struct content_row contents[] = {
    {IN(".\r\n"), DATA_END, DATA_FINE, "", 3},
    {IN("a\r\n.\r\n"), DATA_END, DATA_FINE, "a\r\n", 6},
    {IN("a\r\n.\r\nNOOP\r\n"), DATA_END, DATA_FINE, "a\r\n", 6},
    {IN("a\r\n..\r\n.\r\n"), DATA_END, DATA_FINE, "a\r\n.\r\n", 10},
    {IN("a\r\n.b\r\n.\r\n"), DATA_END, DATA_FINE, "a\r\nb\r\n", 10},
    {IN("..a\r\n.\r\n"), DATA_END, DATA_FINE, ".a\r\n", 8},
    {IN("a.\r\n.\r\n"), DATA_END, DATA_FINE, "a.\r\n", 7},
    {IN("a\r\n"), DATA_MORE, DATA_FINE, "a\r\n", 0},
    {IN("a\r\n."), DATA_MORE, DATA_FINE, "a\r\n", 0},
    {IN("a\r\n.\r"), DATA_MORE, DATA_FINE, "a\r\n", 0},
    /* smuggling: what another server might take for the end */
    {IN("a\n.\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\n.\r\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r\n.\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r.\r\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r\n.\rb"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r\n.\r\r\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r\n\n.\r\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r\r\n.\r\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\r\n..\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("\rx"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("a\0b\r\n.\r\n"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN("\0"), DATA_BAD, DATA_FINE, NULL, 0},
    {IN(".\0"), DATA_BAD, DATA_FINE, NULL, 0},
    /* limits */
    {IN("Subject: x\r\n\r\n0123456789012345678901234567890123456789\r\n.\r\n"), DATA_END, DATA_LINE_TOO_LONG,
     NULL, 59},
    {IN("S: x\r\n\r\n123456789012345678901234567890\r\n123456789012345678901234567890\r\n"
        "123456789012345678901234567890\r\n123456789012345678901234567890\r\n.\r\n"),
     DATA_END, DATA_TOO_LARGE, NULL, 139},
    {IN("A: 123456789012345678901234567\r\nB: 123456789012345678901234567\r\n\r\n.\r\n"), DATA_END,
     DATA_HEADER_TOO_LARGE, NULL, 69},
    {IN("Received: a\r\nreceived: b\r\nRECEIVED: c\r\n\r\n.\r\n"), DATA_END, DATA_LOOP, NULL, 44},
    {IN("Received: a\r\n\r\nReceived: b\r\nReceived: c\r\n.\r\n"), DATA_END, DATA_FINE, NULL, 44},
};

static const struct data_limits small_limits = {
    .max_size = 120, .max_header = 60, .max_line = 40, .max_received = 2};

/* Each row whole, split in two at every border, and byte by byte: always the same. */
static void test_content(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(contents); i++) {
        const struct content_row *row = &contents[i];
        for (size_t split = 0; split <= row->len + 1; split++) {
            struct data_reader r;
            struct buf out = BUF_INIT(4096);
            enum data_result result = DATA_MORE;
            size_t at = 0, total = 0;
            data_reader_init(&r, &small_limits);
            while (at < row->len && result == DATA_MORE) {
                size_t piece = split > row->len ? 1 : at < split ? split - at : row->len - at;
                size_t used = 0;
                result = data_read(&r, slice_of(row->in + at, piece), &out, &used);
                at += piece;
                total += used;
            }
            if (result != row->result || r.fault != row->fault) {
                fail_msg("row %zu split %zu: result %d fault %d", i, split, result, r.fault);
            }
            if (result == DATA_END) {
                assert_int_equal(total, row->used);
            }
            if (row->out != NULL) {
                assert_true(slice_equal(buf_slice(&out), slice_of_text(row->out)));
            }
            buf_release(&out);
        }
    }
}

/* The same content as chunks, cut everywhere: no dot means anything, and line ends are as strict. */
static void test_chunks(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        size_t len;
        bool good;
        const char *out; /* NULL: as it came */
    } rows[] = {
        {IN(""), true, NULL},          {IN("a\r\n"), true, NULL},
        {IN(".\r\n"), true, NULL},     {IN("..\r\n.a\r\n"), true, NULL},
        {IN("a"), true, "a\r\n"},      {IN("a\r\n.\r\nb\r\n"), true, NULL},
        {IN("a\r"), false, NULL},      {IN("a\n"), false, NULL},
        {IN("a\rb\r\n"), false, NULL}, {IN("a\r\r\n"), false, NULL},
        {IN("a\n\r\n"), false, NULL},  {IN("a\0\r\n"), false, NULL},
        {IN("\n.\n"), false, NULL},    {IN("a\r\n.\rb\r\n"), false, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        for (size_t split = 0; split <= rows[i].len; split++) {
            struct data_reader r;
            struct buf out = BUF_INIT(4096);
            data_reader_init(&r, &small_limits);
            bool good = chunk_read(&r, slice_of(rows[i].in, split), &out) &&
                        chunk_read(&r, slice_of(rows[i].in + split, rows[i].len - split), &out) &&
                        chunk_end(&r, &out);
            if (good != rows[i].good) {
                fail_msg("row %zu split %zu: %d", i, split, good);
            }
            if (good) {
                struct slice expected =
                    rows[i].out != NULL ? slice_of_text(rows[i].out) : slice_of(rows[i].in, rows[i].len);
                assert_true(slice_equal(buf_slice(&out), expected));
                assert_int_equal(r.fault, DATA_FINE);
            }
            buf_release(&out);
        }
    }
}

static void test_tls_required_no(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        bool says;
    } rows[] = {
        {"TLS-Required: No\r\n\r\n", true},          {"tls-required :\tno \r\n\r\n", true},
        {"A: b\r\nTLS-Required:No\r\n\r\n", true},   {"TLS-Required: Nothing\r\n\r\n", false},
        {"TLS-Required: Yes\r\n\r\n", false},        {"X-TLS-Required: No\r\n\r\n", false},
        {"A: b\r\n\r\nTLS-Required: No\r\n", false}, {"TLS-Required\r\n\r\n", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct data_reader r;
        struct buf out = BUF_INIT(4096);
        data_reader_init(&r, &small_limits);
        assert_true(chunk_read(&r, slice_of_text(rows[i].in), &out));
        assert_int_equal(r.tls_not_required, rows[i].says);
        buf_release(&out);
    }
}

/* What is stuffed and read again is what it was, however it is cut. */
static void test_dots_there_and_back(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "", "a\r\n", ".\r\n", "..\r\n.a\r\n", "a", "a\r\n.", ".", "\r\n\r\n.\r\n\r\n", "x.\r\n.y"};
    static const struct data_limits limits = {
        .max_size = 1000, .max_header = 1000, .max_line = 1000, .max_received = 100};
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t len = strlen(texts[i]);
        for (size_t step = 1; step <= len + 1; step++) {
            struct dot_stuffing d;
            struct data_reader r;
            struct buf wire = BUF_INIT(4096), back = BUF_INIT(4096);
            dot_stuffing_init(&d);
            for (size_t at = 0; at < len; at += step) {
                size_t n = len - at < step ? len - at : step;
                assert_int_equal(dot_stuff(&d, slice_of(texts[i] + at, n), &wire), STATUS_OK);
            }
            assert_int_equal(dot_stuff_end(&d, &wire), STATUS_OK);
            size_t used = 0;
            data_reader_init(&r, &limits);
            assert_int_equal(data_read(&r, buf_slice(&wire), &back, &used), DATA_END);
            assert_int_equal(used, wire.len);
            assert_true(slice_starts_with(buf_slice(&back), slice_of_text(texts[i])));
            bool ended = len == 0 || (len >= 2 && memcmp(texts[i] + len - 2, "\r\n", 2) == 0);
            assert_int_equal(back.len, ended ? len : len + 2);
            buf_release(&wire);
            buf_release(&back);
        }
    }
}

static void test_replies(void **state)
{
    (void)state;
    static const struct {
        const char *in;
        enum reply_result result;
        int code;
        const char *enhanced, *text;
    } rows[] = {
        {"250 ok\r\n", REPLY_PARSED, 250, "", "ok"},
        {"250 2.1.5 ok then\r\n", REPLY_PARSED, 250, "2.1.5", "ok then"},
        {"250-a\r\n250-b\r\n250 c\r\n", REPLY_PARSED, 250, "", "c"},
        {"550 5.7.1 no\n", REPLY_PARSED, 550, "5.7.1", "no"},
        {"550 4.7.1 no\r\n", REPLY_PARSED, 550, "", "4.7.1 no"},
        {"550 5.7.1234 no\r\n", REPLY_PARSED, 550, "", "5.7.1234 no"},
        {"354\r\n", REPLY_PARSED, 354, "", ""},
        {"250", REPLY_MORE, 0, "", ""},
        {"250-a\r\n", REPLY_MORE, 250, "", ""},
        {"250-a\r\n251 b\r\n", REPLY_MALFORMED, 250, "", ""},
        {"25 ok\r\n", REPLY_MALFORMED, 0, "", ""},
        {"250ok\r\n", REPLY_MALFORMED, 0, "", ""},
        {"150 ok\r\n", REPLY_MALFORMED, 0, "", ""},
        {"600 ok\r\n", REPLY_MALFORMED, 0, "", ""},
        {"\r\n", REPLY_MALFORMED, 0, "", ""},
        {"HTTP/1.1 200 OK\r\n", REPLY_MALFORMED, 0, "", ""},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct remote_reply reply;
        size_t used = 0;
        assert_int_equal(reply_parse(slice_of_text(rows[i].in), &reply, &used), rows[i].result);
        if (rows[i].result == REPLY_PARSED) {
            assert_int_equal(used, strlen(rows[i].in));
            assert_int_equal(reply.code, rows[i].code);
            assert_string_equal(reply.enhanced, rows[i].enhanced);
            assert_true(slice_equal(reply.text, slice_of_text(rows[i].text)));
        }
    }
    struct remote_reply reply;
    struct ehlo_offers offers;
    size_t used = 0;
    assert_int_equal(
        reply_parse(SLICE_LITERAL("250-mx SIZE 1\r\n250-size 5000\r\n250-8BITMIME\r\n250 pipelining\r\n"),
                    &reply, &used),
        REPLY_PARSED);
    ehlo_offers_read(&reply, &offers);
    assert_true(offers.pipelining && offers.eightbitmime && offers.size && !offers.starttls);
    assert_int_equal(offers.max_size, 5000);
    assert_int_equal(
        reply_parse(SLICE_LITERAL("250-mx\r\n250-DSN\r\n250-smtputf8\r\n250-CHUNKING\r\n250-REQUIRETLS\r\n"
                                  "250 LIMITS rcptmax=20  MAILMAX=-3 RCPTDOMAINMAX=1 X RCPTMAXX=4\r\n"),
                    &reply, &used),
        REPLY_PARSED);
    ehlo_offers_read(&reply, &offers);
    assert_true(offers.dsn && offers.smtputf8 && offers.chunking && offers.requiretls && !offers.pipelining);
    assert_int_equal(offers.max_recipients, 20);
    assert_int_equal(offers.max_mails, 0);
    assert_int_equal(offers.max_domains, 1);
    /* an endless reply is given up */
    struct buf endless = BUF_INIT(1 << 20);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(buf_append_text(&endless, "250-x\r\n"), STATUS_OK);
    }
    assert_int_equal(reply_parse(buf_slice(&endless), &reply, &used), REPLY_MALFORMED);
    buf_release(&endless);
}

static void test_states(void **state)
{
    (void)state;
    assert_int_equal(server_state_allows(SERVER_CONNECTED, VERB_EHLO), REPLY_NONE);
    assert_int_equal(server_state_allows(SERVER_CONNECTED, VERB_MAIL), REPLY_HELLO_FIRST);
    assert_int_equal(server_state_allows(SERVER_READY, VERB_RCPT), REPLY_MAIL_FIRST);
    assert_int_equal(server_state_allows(SERVER_MAIL, VERB_DATA), REPLY_NO_RECIPIENTS);
    assert_int_equal(server_state_allows(SERVER_RCPT, VERB_STARTTLS), REPLY_NOT_NOW);
    assert_int_equal(server_state_allows(SERVER_RCPT, VERB_BDAT), REPLY_NONE);
    assert_int_equal(server_state_allows(SERVER_CHUNKS, VERB_BDAT), REPLY_NONE);
    assert_int_equal(server_state_allows(SERVER_CHUNKS, VERB_DATA), REPLY_CHUNKS_BEGUN);
    assert_int_equal(server_state_allows(SERVER_CHUNKS, VERB_RCPT), REPLY_CHUNKS_BEGUN);
    assert_int_equal(server_state_allows(SERVER_MAIL, VERB_BDAT), REPLY_NO_RECIPIENTS);
    assert_false(server_state_may_move(SERVER_CHUNKS, SERVER_DATA));
    assert_false(server_state_may_move(SERVER_MAIL, SERVER_DATA));
    assert_false(server_state_may_move(SERVER_CLOSING, SERVER_READY));
    assert_false(client_state_may_move(CLIENT_BODY, CLIENT_IDLE));
    for (int v = 0; v < VERB_UNIMPLEMENTED; v++) {
        /* what is always legal never depends on the state */
        if (v == VERB_QUIT || v == VERB_NOOP || v == VERB_RSET) {
            for (int s = 0; s < SERVER_STATE_COUNT; s++) {
                assert_int_equal(server_state_allows((enum server_state)s, (enum smtp_verb)v), REPLY_NONE);
            }
        }
    }
}

static void test_trace_field(void **state)
{
    (void)state;
    struct buf out = BUF_INIT(2048);
    struct trace_facts f = {.mark = "Sealpost",
                            .helo = "h.test",
                            .client_ip = "2001:db8::1",
                            .hostname = "mx.test",
                            .id = "abc",
                            .esmtp = true,
                            .tls_version = "TLSv1.3",
                            .tls_cipher = "TLS_AES_256_GCM_SHA384",
                            .only_recipient = SLICE_LITERAL("a@b.test"),
                            .now_ms = 1764064800000};
    assert_int_equal(trace_field_append(&f, &out), STATUS_OK);
    assert_true(
        slice_starts_with(buf_slice(&out), SLICE_LITERAL("Received: from h.test ([IPv6:2001:db8::1])\r\n"
                                                         "\tby mx.test (Sealpost) with ESMTPS id abc\r\n"
                                                         "\t(TLSv1.3) tls TLS_AES_256_GCM_SHA384\r\n"
                                                         "\tfor <a@b.test>;\r\n\t")));
    buf_release(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),           cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_address_lengths), cmocka_unit_test(test_lines),
        cmocka_unit_test(test_content),         cmocka_unit_test(test_chunks),
        cmocka_unit_test(test_tls_required_no), cmocka_unit_test(test_dots_there_and_back),
        cmocka_unit_test(test_replies),         cmocka_unit_test(test_states),
        cmocka_unit_test(test_trace_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
