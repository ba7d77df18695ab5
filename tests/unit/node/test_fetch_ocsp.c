/* Whom to ask about a certificate, and what a new plan keeps of the old one. */
#include "node_test.h"

#include "node/fetch_ocsp.h"

static void the_next_responder_is_asked_when_one_fails(void **state)
{
    static struct ocsp_sources s = {.responder_count = 3};
    struct ocsp_source of = {.responders = {1, 2}, .responder_count = 2};
    size_t responder = 99;
    (void)state;
    assert_true(ocsp_source_responder(&s, &of, 1000, &responder));
    assert_int_equal(responder, 1);
    s.responders[1].busy = true; /* with another certificate: no reason to bother the next one */
    assert_false(ocsp_source_responder(&s, &of, 1000, &responder));
    s.responders[1] = (struct ocsp_responder){.next_ms = 1001, .failures = 1};
    assert_true(ocsp_source_responder(&s, &of, 1000, &responder));
    assert_int_equal(responder, 2);
    s.responders[2].next_ms = 2000;
    assert_false(ocsp_source_responder(&s, &of, 1000, &responder));
    assert_true(ocsp_source_responder(&s, &of, 1001, &responder));
    assert_int_equal(responder, 1);
}

static void a_new_plan_knows_what_failed(void **state)
{
    static struct ocsp_sources old = {.responder_count = 2, .count = 3},
                               fresh = {.responder_count = 2, .count = 4};
    (void)state;
    memcpy(old.responders[0].url, "http://a/", 10);
    old.responders[0].failures = 3;
    old.responders[0].next_ms = 500;
    old.responders[0].certificates = 9;
    memcpy(old.responders[1].url, "http://b/", 10);
    old.of[0].thumbprint[0] = 1;
    old.of[0].next_ms = 700;
    old.of[0].failures = 1;
    old.of[1].thumbprint[0] = 2;
    old.of[1].next_ms = 800;
    old.of[2].thumbprint[0] = 4;
    old.of[2].next_ms = 900; /* a good answer came, which this node had not seen before */
    memcpy(fresh.responders[0].url, "http://c/", 10);
    memcpy(fresh.responders[1].url, "http://a/", 10);
    fresh.responders[1].certificates = 2;
    fresh.of[0].thumbprint[0] = 1; /* no answer is stored; it was asked for in vain */
    fresh.of[1].thumbprint[0] = 2; /* the answer that was stored has been forgotten */
    fresh.of[2].thumbprint[0] = 3;
    fresh.of[3].thumbprint[0] = 4;
    fresh.of[3].next_ms = 300;
    ocsp_sources_take_over(&fresh, &old);
    assert_int_equal(fresh.responders[1].failures, 3);
    assert_int_equal(fresh.responders[1].next_ms, 500);
    assert_int_equal(fresh.responders[1].certificates, 2);
    assert_int_equal(fresh.responders[0].failures, 0);
    assert_int_equal(fresh.of[0].next_ms, 700);
    assert_int_equal(fresh.of[0].failures, 1);
    assert_int_equal(fresh.of[1].next_ms, 0);
    assert_int_equal(fresh.of[2].next_ms, 0);
    assert_int_equal(fresh.of[3].next_ms, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_next_responder_is_asked_when_one_fails),
                                       cmocka_unit_test(a_new_plan_knows_what_failed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
