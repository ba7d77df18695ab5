/*
 * The state machine on c-raft's own simulated cluster: virtual time, messages that are dropped, servers that
 * die and come back with the store that they had, snapshots. Whatever happens, the same log gives the same
 * tables on every server. The dice are seeded: SEALPOST_SEED repeats a run.
 */
#include "raft_test.h"

#include "base/clock.h"

#include <raft.h>
#include <raft/fixture.h>

#define SERVERS 3

struct machine {
    struct raft_fsm fsm;
    struct raft *raft;
    struct store *store;
    char dir[64];
    uint64_t applied;
};

static int apply_cb(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct machine *m = fsm->data;
    uint64_t index = raft_last_applied(m->raft) + 1;
    struct apply_result applied;

    *result = NULL;
    if (index <= m->applied)
        return 0;
    assert_int_equal(store_apply_entry(m->store, index, slice_of(buf->base, buf->len), &applied, NULL),
                     STATUS_OK);
    assert_int_equal(store_batch_commit(m->store, NULL), STATUS_OK);
    m->applied = index;
    return 0;
}

static int snapshot_cb(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *count)
{
    struct machine *m = fsm->data;
    char path[96];
    uint64_t index;
    FILE *file;
    long size;
    int len = snprintf(path, sizeof(path), "%s/snap", m->dir);

    assert_true(len > 0);
    assert_int_equal(store_snapshot_write(m->store, path, &index, NULL), STATUS_OK);
    file = fopen(path, "rb");
    assert_non_null(file);
    (void)fseek(file, 0, SEEK_END);
    size = ftell(file);
    rewind(file);
    *bufs = raft_malloc(sizeof(**bufs));
    (*bufs)[0] = (struct raft_buffer){.base = raft_malloc((size_t)size), .len = (size_t)size};
    assert_int_equal(fread((*bufs)[0].base, 1, (size_t)size, file), size);
    (void)fclose(file);
    *count = 1;
    return 0;
}

static int restore_cb(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    struct machine *m = fsm->data;
    struct failure f = {0};

    if (store_snapshot_restore(m->store, slice_of(buf->base, buf->len), &f) != STATUS_OK)
        fail_msg("%s", f.text);
    m->applied = store_applied_index(m->store);
    raft_free(buf->base);
    return 0;
}

struct world {
    struct raft_fixture fixture;
    struct machine machines[SERVERS];
};

static void open_world(struct world *w)
{
    struct raft_configuration conf;

    memset(w, 0, sizeof(*w));
    assert_int_equal(raft_fixture_initialize(&w->fixture), 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        struct machine *m = &w->machines[i];

        temporary_folder(m->dir);
        m->store = open_writer(m->dir);
        m->fsm = (struct raft_fsm){
            .version = 1, .data = m, .apply = apply_cb, .snapshot = snapshot_cb, .restore = restore_cb};
        assert_int_equal(raft_fixture_grow(&w->fixture, &m->fsm), 0);
        m->raft = raft_fixture_get(&w->fixture, i);
    }
    assert_int_equal(raft_fixture_configuration(&w->fixture, SERVERS, &conf), 0);
    assert_int_equal(raft_fixture_bootstrap(&w->fixture, &conf), 0);
    raft_configuration_close(&conf);
    for (unsigned i = 0; i < SERVERS; i++)
        raft_set_pre_vote(w->machines[i].raft, true);
    assert_int_equal(raft_fixture_start(&w->fixture), 0);
}

static void close_world(struct world *w)
{
    raft_fixture_close(&w->fixture);
    for (unsigned i = 0; i < SERVERS; i++) {
        store_close(w->machines[i].store);
        remove_tree(w->machines[i].dir);
    }
}

static void applied_cb(struct raft_apply *request, int status, void *result)
{
    (void)status;
    (void)result;
    free(request);
}

/* False if there is no leader to take it. */
static bool propose(struct world *w, unsigned number)
{
    unsigned leader = raft_fixture_leader_index(&w->fixture);
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct raft_buffer entry;
    struct raft_apply *request;

    if (leader >= SERVERS)
        return false;
    user_command(number, number, &encoded);
    entry.len = command_entry_size(encoded.len);
    entry.base = raft_malloc(entry.len);
    command_entry_write(buf_slice(&encoded), entry.base);
    buf_release(&encoded);
    request = malloc(sizeof(*request));
    if (raft_apply(w->machines[leader].raft, request, &entry, 1, applied_cb) == 0)
        return true;
    raft_free(entry.base);
    free(request);
    return false;
}

static void all_equal(struct world *w)
{
    uint8_t first[STORE_HASH_SIZE], other[STORE_HASH_SIZE];
    unsigned leader;
    raft_index last;

    assert_true(raft_fixture_step_until_has_leader(&w->fixture, 30000));
    leader = raft_fixture_leader_index(&w->fixture);
    last = raft_last_index(w->machines[leader].raft);
    for (unsigned i = 0; i < SERVERS; i++)
        assert_true(raft_fixture_step_until_applied(&w->fixture, i, last, 60000));
    hash_of(w->machines[0].store, first);
    for (unsigned i = 1; i < SERVERS; i++) {
        hash_of(w->machines[i].store, other);
        assert_memory_equal(first, other, STORE_HASH_SIZE);
        assert_int_equal(w->machines[i].applied, w->machines[0].applied);
    }
}

static void a_quiet_cluster_applies_the_same(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    raft_fixture_elect(&w.fixture, 0);
    for (unsigned i = 0; i < 40; i++) {
        assert_true(propose(&w, i));
        (void)raft_fixture_step_n(&w.fixture, 20);
    }
    all_equal(&w);
    close_world(&w);
}

static void a_follower_that_missed_much_is_given_a_snapshot(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = 0; i < SERVERS; i++) {
        raft_set_snapshot_threshold(w.machines[i].raft, 10);
        raft_set_snapshot_trailing(w.machines[i].raft, 2);
    }
    raft_fixture_elect(&w.fixture, 0);
    raft_fixture_saturate(&w.fixture, 0, 2);
    raft_fixture_saturate(&w.fixture, 2, 0);
    for (unsigned i = 0; i < 40; i++) {
        assert_true(propose(&w, i));
        (void)raft_fixture_step_n(&w.fixture, 20);
    }
    assert_true(w.machines[2].applied < 20);
    raft_fixture_desaturate(&w.fixture, 0, 2);
    raft_fixture_desaturate(&w.fixture, 2, 0);
    all_equal(&w);
    close_world(&w);
}

static void whatever_happens_the_tables_are_equal(void **state)
{
    const char *given = getenv("SEALPOST_SEED");
    uint64_t seed = clock_wall_ms();

    (void)state;
    if (given != NULL)
        (void)slice_parse_u64(slice_of_text(given), &seed);
    print_message("SEALPOST_SEED=%llu\n", (unsigned long long)seed);
    for (unsigned round = 0; round < 8; round++) {
        struct world w;
        uint64_t dice = seed + round;
        unsigned dead = SERVERS;

        open_world(&w);
        for (unsigned step = 0; step < 120; step++) {
            unsigned from, to;

            dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
            from = (unsigned)(dice >> 33) % SERVERS;
            to = (unsigned)(dice >> 41) % SERVERS;
            switch ((dice >> 50) % 8) {
            case 0:
                if (from != to)
                    raft_fixture_saturate(&w.fixture, from, to);
                break;
            case 1:
            case 2:
                if (from != to && raft_fixture_saturated(&w.fixture, from, to))
                    raft_fixture_desaturate(&w.fixture, from, to);
                break;
            case 3:
                if (dead == SERVERS && step % 5 == 0) {
                    raft_fixture_kill(&w.fixture, from);
                    dead = from;
                }
                break;
            case 4:
                if (dead < SERVERS) {
                    raft_fixture_revive(&w.fixture, dead);
                    dead = SERVERS;
                }
                break;
            default:
                (void)propose(&w, step);
            }
            raft_fixture_step_until_elapsed(&w.fixture, 50 + (unsigned)(dice >> 20) % 300);
        }
        if (dead < SERVERS)
            raft_fixture_revive(&w.fixture, dead);
        for (unsigned i = 0; i < SERVERS; i++)
            for (unsigned j = 0; j < SERVERS; j++)
                if (i != j && raft_fixture_saturated(&w.fixture, i, j))
                    raft_fixture_desaturate(&w.fixture, i, j);
        all_equal(&w);
        close_world(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_cluster_applies_the_same),
        cmocka_unit_test(a_follower_that_missed_much_is_given_a_snapshot),
        cmocka_unit_test(whatever_happens_the_tables_are_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
