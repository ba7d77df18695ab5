/* An address in a search filter: whatever is in it, it stays one value of that filter. */
#include "node_test.h"

#include "node/fetch_directory.h"

#include <ldap.h>

static void addresses_are_escaped(void **state)
{
    static const struct {
        const char *address, *filter;
    } table[] = {
        {"bob@partner.example", "(mail=bob@partner.example)"},
        {"*@partner.example", "(mail=\\2a@partner.example)"},
        {"a)(uid=*@x.example", "(mail=a\\29\\28uid\\3d\\2a@x.example)"},
        {"a\\2a@x.example", "(mail=a\\5c2a@x.example)"},
        {"a%2a@x.example", "(mail=a\\252a@x.example)"},
        {"a?b#c@x.example", "(mail=a\\3fb\\23c@x.example)"},
        {"\xc3\xa4@x.example", "(mail=\\c3\\a4@x.example)"},
        {"%s@x.example", "(mail=\\25s@x.example)"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct buf url = BUF_INIT(4096);
        LDAPURLDesc *parsed = NULL;
        assert_int_equal(
            directory_url(
                SLICE_LITERAL("ldap://d.example:3890/dc=x,dc=y?userCertificate;binary?sub?(mail=%s)"),
                slice_of_text(table[i].address), &url),
            STATUS_OK);
        assert_int_equal(ldap_url_parse(buf_text(&url), &parsed), LDAP_URL_SUCCESS);
        assert_string_equal(parsed->lud_filter, table[i].filter);
        assert_string_equal(parsed->lud_dn, "dc=x,dc=y");
        assert_string_equal(parsed->lud_host, "d.example");
        assert_int_equal(parsed->lud_port, 3890);
        assert_string_equal(parsed->lud_attrs[0], "userCertificate;binary");
        ldap_free_urldesc(parsed);
        buf_release(&url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(addresses_are_escaped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
