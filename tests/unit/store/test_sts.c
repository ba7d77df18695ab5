/* MTA-STS policies: what is kept, until when it counts, when it is fetched again. */
#include "store_world.h"

#include "store/records_sts.h"

#define FAR SLICE_LITERAL("far.example")

static enum status put(struct world *w, uint64_t now_ms, uint64_t mode, uint64_t max_age, const char *mx)
{
    struct command c = simple_command(COMMAND_STS_PUT, now_ms, FAR);

    c.values[1].bytes = SLICE_LITERAL("id1");
    c.values[2].number = mode;
    c.values[3].number = max_age;
    c.values[4].bytes = slice_of_text(mx);
    return run(w, &c);
}

/* The row's numbers; its mx is compared. */
static struct sts_record look(struct world *w, const char *mx)
{
    struct store_view *view;
    struct sts_record found;

    assert_int_equal(store_view_begin(w->store, &view, NULL), STATUS_OK);
    assert_int_equal(store_sts_get(view, FAR, &found), STATUS_OK);
    assert_true(slice_equal(found.mx, slice_of_text(mx)));
    assert_true(slice_equal(found.id, SLICE_LITERAL("id1")) || found.fetched_ms == 0);
    store_view_end(view);
    return found;
}

static void one_is_kept_refreshed_and_forgotten(void **state)
{
    struct world *w = *state;
    struct command refresh = simple_command(COMMAND_STS_REFRESH, 5, FAR);
    struct command failed = simple_command(COMMAND_STS_FAILED, 6, FAR);
    struct command gone = simple_command(COMMAND_STS_REMOVE, 7, FAR);
    struct sts_record r;

    failed.values[1].bytes = SLICE_LITERAL("no answer");
    assert_int_equal(run(w, &failed), STATUS_NOT_FOUND);
    assert_int_equal(run(w, &gone), STATUS_NOT_FOUND);
    assert_int_equal(run(w, &refresh), STATUS_OK);
    r = look(w, "");
    assert_false(sts_in_force(&r, 5));
    assert_int_equal(sts_due_ms(&r), 0);
    assert_int_equal(put(w, 1000, STS_ENFORCE, 86400, "mx.far.example *.far.example"), STATUS_OK);
    r = look(w, "mx.far.example *.far.example");
    assert_true(sts_in_force(&r, 1000) && sts_in_force(&r, 86400 * 1000 + 999));
    assert_false(sts_in_force(&r, 86400 * 1000 + 1000));
    assert_int_equal(sts_due_ms(&r), 1000 + 43200 * 1000);
    failed = simple_command(COMMAND_STS_FAILED, 2000, FAR);
    failed.values[1].bytes = SLICE_LITERAL("no answer");
    assert_int_equal(run(w, &failed), STATUS_OK);
    r = look(w, "mx.far.example *.far.example");
    assert_true(sts_in_force(&r, 3000)); /* a failure takes nothing away */
    assert_int_equal(sts_due_ms(&r), 2000 + 3600 * 1000);
    assert_int_equal(put(w, 4000, STS_TESTING, 60, "a.b"), STATUS_OK);
    r = look(w, "a.b");
    assert_true(r.mode == STS_TESTING && r.failed_ms == 0 && r.fetched_ms == 4000);
    assert_int_equal(sts_due_ms(&r), 4000 + 600 * 1000);
    assert_int_equal(put(w, 5000, STS_ENFORCE, STS_MAX_AGE_MAX, "a.b"), STATUS_OK);
    r = look(w, "a.b");
    assert_int_equal(sts_due_ms(&r), 5000 + (uint64_t)86400 * 1000);
    gone = simple_command(COMMAND_STS_REMOVE, 8, FAR);
    assert_int_equal(run(w, &gone), STATUS_OK);
}

static void what_does_not_hold_is_refused(void **state)
{
    struct world *w = *state;

    assert_int_equal(put(w, 1, STS_MODE_END, 60, "a.b"), STATUS_INVALID);
    assert_int_equal(put(w, 1, STS_ENFORCE, STS_MAX_AGE_MAX + 1, "a.b"), STATUS_INVALID);
    assert_int_equal(put(w, 1, STS_ENFORCE, 60, ""), STATUS_INVALID);
    assert_int_equal(put(w, 1, STS_ENFORCE, 60, "a.b "), STATUS_INVALID);
    assert_int_equal(put(w, 1, STS_ENFORCE, 60, "A.b"), STATUS_INVALID);
    assert_int_equal(put(w, 1, STS_ENFORCE, 60, "*"), STATUS_INVALID);
    assert_int_equal(put(w, 1, STS_NONE, 60, ""), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_is_kept_refreshed_and_forgotten, world_make, world_end),
        cmocka_unit_test_setup_teardown(what_does_not_hold_is_refused, world_make, world_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
