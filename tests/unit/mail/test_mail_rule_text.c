/* The language of rules: what is written is read as it was meant, or refused with its position. */
#include "mail_test.h"

#include "mail/rule.h"

static void canonical_forms(void **state)
{
    (void)state;
    static const struct {
        const char *when, *canonical; /* NULL: the same */
    } table[] = {
        {"always", NULL},
        {"sender in group finance", NULL},
        {"sender Alice@Ours.EXAMPLE", "sender alice@ours.example"},
        {"sender = a@b.example", "sender a@b.example"},
        {"sender \"a@b.example\"", "sender a@b.example"},
        {"recipient domain Court.Example", "recipient domain court.example"},
        {"recipient domain *.court.example.", "recipient domain *.court.example"},
        {"envelope-sender empty or from empty", NULL},
        {"header \"X-Class\" matches /geheim/i", NULL},
        {"header \"X-Class\" matches /a\\/b[\\/]\\\\/", NULL},
        {"header \"X-Class\" exists", NULL},
        {"header \"X-Class\" = \"a \\\"b\\\" \\\\ c\"", NULL},
        {"subject contains \"gehe\xc3\xafm\"", NULL},
        {"subject  matches\n/x/", "subject matches /x/"},
        {"size > 10m", "size > 10M"},
        {"size>=1024", "size >= 1K"},
        {"size < 1000 and attachments = 0", NULL},
        {"attachment type image/* or attachment name *.docx", NULL},
        {"attachment name \"a (b).pdf\"", NULL},
        {"attachment name matches /^[0-9]+[.]pdf$/", NULL},
        {"kind auto-reply or kind tnef", NULL},
        {"not tls and not auth", NULL},
        {"listener inbound", NULL},
        {"client in 10.0.0.0/8", NULL},
        {"client in \"10.0.0.0/8, ::1\"", "client in \"10.0.0.0/8,::1\""},
        {"(tls)", "tls"},
        {"((tls) and (auth))", "tls and auth"},
        {"tls and (auth or always)", NULL},
        {"(tls and auth) or always", "tls and auth or always"},
        {"(tls or auth) or always", "(tls or auth) or always"},
        {"not (tls and auth)", NULL},
        {"not not tls", NULL},
        {"not (tls)", "not tls"},
        {"sender in group finance and (recipient domain court.example or header \"X-Class\" matches "
         "/geheim/i) "
         "and size > 10M and not tls",
         NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf once = BUF_INIT(8192), again = BUF_INIT(8192);
        struct failure f = {.status = STATUS_OK};
        if (rule_check(slice_of_text(table[i].when), (struct slice){0}, &once, NULL, &f) != STATUS_OK) {
            fail_msg("[%s]: %s", table[i].when, f.text);
        }
        OK(rule_check(buf_slice(&once), (struct slice){0}, &again, NULL, &f));
        assert_slice(buf_slice(&once), table[i].canonical != NULL ? table[i].canonical : table[i].when);
        assert_true(slice_equal(buf_slice(&once), buf_slice(&again)));
        buf_release(&once);
        buf_release(&again);
    }
}

static void errors_name_the_place(void **state)
{
    (void)state;
    static const struct {
        const char *when, *says;
    } table[] = {
        {"", "the expression is empty; \"always\" matches everything"},
        {"recpient a@b", "position 1: there is no condition \"recpient\"; did you mean recipient?"},
        {"tls and",
         "position 8: expected a condition (sender, recipient, subject, header, size, ...), but the text "
         "ends"},
        {"tls auth", "position 5: expected and, or, or the end, not \"auth\""},
        {"(tls or auth", "position 13: expected and, or, or ), but the text ends"},
        {"tls)", "position 4: expected and, or, or the end, not \")\""},
        {"sender in finance", "position 11: expected group, not \"finance\""},
        {"sender in group", "position 16: expected the name of a group, but the text ends"},
        {"sender court.example",
         "position 8: expected an address, or one of: domain, in group, matches, not \"court.example\""},
        {"recipient domain a..b",
         "position 18: \"a..b\" is no domain; it looks like example.org, or *.example.org for "
         "all below it"},
        {"subject \"x\"", "position 9: expected contains, matches or =, not \"x\""},
        {"subject contains x", "position 18: expected a text in quotes, not \"x\""},
        {"subject contains \"\"", "position 18: an empty text is in every text"},
        {"subject contains \"x", "position 18: the closing \" is missing"},
        {"subject contains \"\\n\"",
         "position 19: within quotes, a backslash stands before a quote or a backslash only"},
        {"subject matches x", "position 17: expected a regular expression between slashes, not \"x\""},
        {"subject matches //", "position 17: the regular expression is empty"},
        {"subject matches /x/g", "position 20: behind a regular expression, only i (any case) is known"},
        {"subject matches /(/", "position 17: the regular expression is wrong at its byte 2: missing closing "
                                "parenthesis"},
        {"subject matches "
         "/((((((((((((((((((((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))))"
         "))))))))))))))))/",
         "position 17: the regular expression is wrong at its byte 52: parentheses are too deeply nested"},
        {"subject matches /((a{1000}){1000}){1000}/",
         "position 17: the regular expression is wrong at its byte 24: regular expression is too large"},
        {"header X exists", "position 8: expected the name of a header field in quotes, not \"X\""},
        {"header \"X:\" exists",
         "position 8: the name of a header field has printable ASCII without a colon"},
        {"size > 10X", "position 8: expected a size like 500K or 10M, not \"10X\""},
        {"size 10", "position 6: expected one of < <= = >= >, not \"10\""},
        {"size > 99999999999", "position 8: expected a size like 500K or 10M, not \"99999999999\""},
        {"attachment *.pdf", "position 12: expected type or name, not \"*.pdf\""},
        {"attachment type pdf", "position 17: expected a type like application/pdf or image/*, not \"pdf\""},
        {"kind spam",
         "position 6: expected one of encrypted, signed, calendar, report, auto-reply, empty, tnef, "
         "partial, malformed, not \"spam\""},
        {"client in 10.0.0.0/40", "position 11: expected a network like 10.0.0.0/8 or 2001:db8::/32, not "
                                  "\"10.0.0.0/40\""},
        {"((((((((((((((((((tls))))))))))))))))))",
         "position 17: the rule is too deep: more than 16 brackets and \"not\" within each other"},
        {"not not not not not not not not not not not not not not not not not tls",
         "position 65: the rule is too deep: more than 16 brackets and \"not\" within each other"},
        {"tls and \xff", "position 9: the expression must be text in UTF-8"},
        {"tls\x01", "position 4: a control character is no part of a rule"},
        {"subject contains \"a\nb\"", "position 20: a control character stands within \"...\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct failure f = {.status = STATUS_OK};
        assert_int_equal(rule_check(slice_of_text(table[i].when), (struct slice){0}, NULL, NULL, &f),
                         STATUS_INVALID);
        assert_string_equal(f.text, table[i].says);
    }
}

static void actions(void **state)
{
    (void)state;
    static const struct {
        const char *then, *canonical, *says;
    } table[] = {
        {"require encryption", "require encryption", NULL},
        {"stop,forbid encryption", "forbid encryption, stop", NULL},
        {"methods smime,pdf, stop", "methods smime,pdf, stop", NULL},
        {"methods smime,pdf,stop", "methods smime,pdf,stop",
         NULL}, /* a method of that name: it cannot be used */
        {"do  not sign,  quarantine", "do not sign, quarantine", NULL},
        {"sign, route [2001:db8::1]:25", "sign, route [2001:db8::1]:25", NULL},
        {"route relay.example:2525", "route relay.example:2525", NULL},
        {"refuse \"Nicht \\\"so\\\"\"", "refuse \"Nicht \\\"so\\\"\"", NULL},
        {"tag \"X-A: 1\", tag \"X-B: 2 3\"", "tag \"X-A: 1\", tag \"X-B: 2 3\"", NULL},
        {"", NULL, "there is no action"},
        {"stop,", NULL,
         "position 6: expected require encryption, forbid encryption, methods, sign, do not sign, "
         "route, refuse, tag, quarantine or stop, but the text ends"},
        {"stop stop", NULL, "position 6: expected a comma or the end, not \"stop\""},
        {"stop, stop", NULL, "position 7: stop is said twice"},
        {"requir encryption", NULL, "position 1: there is no action \"requir\"; did you mean require?"},
        {"require it", NULL, "position 9: expected encryption, not \"it\""},
        {"require encryption, forbid encryption", NULL,
         "position 28: encryption is both demanded and forbidden"},
        {"sign, do not sign", NULL, "position 14: signing is both demanded and forbidden"},
        {"methods smime, methods pdf", NULL, "position 16: methods are said twice"},
        {"methods SMIME", NULL,
         "position 9: expected methods like smime,pdf (commas, no spaces), not \"SMIME\""},
        {"methods smime,,pdf", NULL,
         "position 9: expected methods like smime,pdf (commas, no spaces), not \"smime,,pdf\""},
        {"route :25", NULL, "position 7: expected a next hop like relay.example.org:25, not \":25\""},
        {"refuse \"\"", NULL, "position 8: expected the text for the sender in quotes, not \"\""},
        {"tag \"From: x@y\"", NULL,
         "position 5: a tag looks like \"X-Name: value\", in printable ASCII, at most 900 bytes; X-Sealpost- "
         "is not "
         "for rules"},
        {"tag \"X-Sealpost-Signature: valid\"", NULL,
         "position 5: a tag looks like \"X-Name: value\", in printable ASCII, at most 900 bytes; X-Sealpost- "
         "is not "
         "for rules"},
        {"tag \"X-A:b\"", NULL,
         "position 5: a tag looks like \"X-Name: value\", in printable ASCII, at most 900 bytes; X-Sealpost- "
         "is not "
         "for rules"},
        {"tag \"X-A: gr\xc3\xbcn\"", NULL,
         "position 5: a tag looks like \"X-Name: value\", in printable ASCII, at most 900 bytes; X-Sealpost- "
         "is not "
         "for rules"},
        {"tag \"X-A: b\r\nBcc: c\"", NULL, "position 12: a control character stands within \"...\""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct failure f = {.status = STATUS_OK};
        struct buf canonical = BUF_INIT(8192);
        enum status status =
            rule_check(SLICE_LITERAL("always"), slice_of_text(table[i].then), NULL, &canonical, &f);
        if (table[i].canonical != NULL) {
            assert_string_equal(f.text, "");
            assert_slice(buf_slice(&canonical), table[i].canonical);
        } else {
            assert_int_equal(status, STATUS_INVALID);
            assert_string_equal(f.text, table[i].says);
        }
        buf_release(&canonical);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_forms),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(actions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
