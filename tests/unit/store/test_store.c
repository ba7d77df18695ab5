/*
 * The state machine: the same log gives the same tables, whatever restarts, snapshots and repetitions lie
 * between; a map of another boot is not believed; and what a command may not do changes nothing.
 */
#include "test_support.h"

#include <fcntl.h>
#include <sys/stat.h>

#define LOG_LENGTH 60

static void node_token(struct command *c, uint8_t seed, uint64_t expires_ms)
{
    static uint8_t hash[256][32];

    memset(hash[seed], seed, 32);
    command_init(c, COMMAND_NODE_TOKEN_ADD, 1000, SLICE_LITERAL("test"));
    c->values[0].bytes = slice_of(hash[seed], 32);
    c->values[1].number = expires_ms;
}

static void admit(struct command *c, struct slice token_hash, const char *name, const char *address,
                  uint64_t now_ms)
{
    static const uint8_t spki[32] = {7};

    command_init(c, COMMAND_NODE_ADMIT, now_ms, SLICE_LITERAL("test"));
    c->values[0].bytes = token_hash;
    c->values[1].bytes = slice_of_text(name);
    c->values[2].bytes = slice_of_text(address);
    c->values[5].bytes = slice_of(spki, sizeof(spki));
    c->values[6].number = COMMAND_SET_VERSION;
}

/* A mixed log: settings, domains, users, good and bad ones, with every third command sent twice. */
static void make_log(struct command log[LOG_LENGTH], char texts[LOG_LENGTH][64])
{
    for (unsigned i = 0; i < LOG_LENGTH; i++) {
        int len = snprintf(texts[i], 64, "d%u.example", i / 4);

        assert_true(len > 0);
        if (i % 3 == 2) {
            log[i] = log[i - 1];
        } else if (i % 4 == 0) {
            command_init(&log[i], COMMAND_DOMAIN_ADD, i, SLICE_LITERAL("test"));
            log[i].values[0].bytes = slice_of_text(texts[i]);
            log[i].values[1].bytes = SLICE_LITERAL("internal");
        } else if (i % 4 == 3) {
            command_init(&log[i], COMMAND_DOMAIN_REMOVE, i, SLICE_LITERAL("test"));
            log[i].values[0].bytes = slice_of_text(texts[i]);
        } else {
            log[i] =
                setting_command(SETTING_DOMAIN, texts[i], "encrypt.mode", i % 2 == 0 ? "none" : "mandatory");
        }
    }
}

static void the_same_log_gives_the_same_tables(void **state)
{
    struct command log[LOG_LENGTH];
    char texts[LOG_LENGTH][64];
    char dirs[3][64], snapshot_path[96];
    uint8_t hashes[3][STORE_HASH_SIZE];
    struct store *stores[3];
    uint64_t index;
    struct failure f = {0};

    (void)state;
    make_log(log, texts);
    for (unsigned s = 0; s < 3; s++) {
        temporary_folder(dirs[s]);
        stores[s] = open_writer(dirs[s]);
    }
    for (unsigned i = 0; i < LOG_LENGTH; i++) {
        apply_at(stores[0], i + 1, &log[i]); /* one batch for all */
        apply_at(stores[1], i + 1, &log[i]);
        commit(stores[1]); /* a batch each, and restarts between */
        if (i % 7 == 0) {
            store_close(stores[1]);
            stores[1] = open_writer(dirs[1]);
            assert_int_equal(store_applied_index(stores[1]), i + 1);
        }
        if (i == LOG_LENGTH / 2) { /* the third begins with a snapshot of the second */
            int fd, len = snprintf(snapshot_path, sizeof(snapshot_path), "%s/snap", dirs[1]);
            struct stat info;
            uint8_t *bytes;

            assert_true(len > 0);
            assert_int_equal(store_snapshot_write(stores[1], snapshot_path, &index, &f), STATUS_OK);
            assert_int_equal(index, i + 1);
            fd = open(snapshot_path, O_RDONLY);
            assert_int_equal(fstat(fd, &info), 0);
            bytes = malloc((size_t)info.st_size);
            assert_int_equal(read(fd, bytes, (size_t)info.st_size), info.st_size);
            (void)close(fd);
            apply_at(stores[2], 1, &log[3]); /* something that must vanish */
            commit(stores[2]);
            if (store_snapshot_restore(stores[2], slice_of(bytes, (size_t)info.st_size), &f) != STATUS_OK)
                fail_msg("%s", f.text);
            assert_int_equal(store_applied_index(stores[2]), i + 1);
            assert_int_not_equal(store_snapshot_restore(stores[2], slice_of(bytes, 100), &f), STATUS_OK);
            free(bytes);
        } else if (i > LOG_LENGTH / 2) {
            apply_at(stores[2], i + 1, &log[i]);
        }
    }
    for (unsigned s = 0; s < 3; s++) {
        commit(stores[s]);
        hash_of(stores[s], hashes[s]);
        store_close(stores[s]);
        remove_tree(dirs[s]);
    }
    assert_memory_equal(hashes[0], hashes[1], STORE_HASH_SIZE);
    assert_memory_equal(hashes[0], hashes[2], STORE_HASH_SIZE);
}

static void a_repeated_command_gives_its_first_answer(void **state)
{
    char dir[64];
    struct store *store;
    struct command c;
    struct apply_result first, second;

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    command_init(&c, COMMAND_DOMAIN_REMOVE, 1, SLICE_LITERAL("test"));
    c.values[0].bytes = SLICE_LITERAL("missing.example");
    first = apply_at(store, 1, &c);
    assert_int_equal(first.status, STATUS_NOT_FOUND);
    assert_false(first.repeated);
    commit(store);
    second = apply_at(store, 2, &c);
    assert_int_equal(second.status, STATUS_NOT_FOUND);
    assert_true(second.repeated);
    assert_int_equal(second.index, 1);
    assert_string_equal(second.failure.text, first.failure.text);
    store_close(store);
    remove_tree(dir);
}

static void a_join_token_admits_one_node_in_time(void **state)
{
    char dir[64];
    struct store *store;
    struct command c;
    uint8_t zeros[32] = {0}, one[32], two[32];
    struct apply_result r;

    (void)state;
    memset(one, 1, sizeof(one));
    memset(two, 2, sizeof(two));
    temporary_folder(dir);
    store = open_writer(dir);
    admit(&c, slice_of(one, 32), "node1", "127.0.0.1:1", 2000);
    assert_int_equal(apply_at(store, 1, &c).status, STATUS_UNAUTHENTICATED);
    admit(&c, slice_of(zeros, 32), "node1", "127.0.0.1:1", 2000);
    r = apply_at(store, 2, &c);
    assert_int_equal(r.status, STATUS_OK);
    assert_int_equal(r.value_len, 1);
    assert_int_equal(r.value[0], 1); /* the first node id, as MessagePack */
    admit(&c, slice_of(zeros, 32), "node2", "127.0.0.1:2", 2000);
    assert_int_equal(apply_at(store, 3, &c).status, STATUS_CONFLICT);
    node_token(&c, 1, 5000);
    assert_int_equal(apply_at(store, 4, &c).status, STATUS_OK);
    admit(&c, slice_of(one, 32), "NODE1", "127.0.0.1:2", 2000);
    assert_int_equal(apply_at(store, 5, &c).status, STATUS_EXISTS); /* and the token is not used up */
    admit(&c, slice_of(one, 32), "node2", "127.0.0.1:2", 2000);
    assert_int_equal(apply_at(store, 6, &c).status, STATUS_OK);
    admit(&c, slice_of(one, 32), "node3", "127.0.0.1:3", 2000);
    assert_int_equal(apply_at(store, 7, &c).status, STATUS_USED);
    node_token(&c, 2, 1500);
    assert_int_equal(apply_at(store, 8, &c).status, STATUS_OK);
    admit(&c, slice_of(two, 32), "node3", "127.0.0.1:3", 2000);
    assert_int_equal(apply_at(store, 9, &c).status, STATUS_EXPIRED);
    store_close(store);
    remove_tree(dir);
}

/* A token's record stays, used or not, until a week after its end; then a new token takes its place. */
static void old_join_tokens_are_forgotten_in_time(void **state)
{
    const uint64_t week = 7 * 86400000ULL;
    static const struct {
        uint64_t now_ms; /* when the second token is made; the first ended at 5000 */
        enum status answer;
    } table[] = {{5000, STATUS_EXPIRED},
                 {5000 + 7 * 86400000ULL, STATUS_EXPIRED},
                 {5001 + 7 * 86400000ULL, STATUS_UNAUTHENTICATED}};

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char dir[64];
        struct store *store;
        struct command c;
        uint8_t one[32];

        memset(one, 1, sizeof(one));
        temporary_folder(dir);
        store = open_writer(dir);
        node_token(&c, 1, 5000);
        assert_int_equal(apply_at(store, 1, &c).status, STATUS_OK);
        node_token(&c, 2, 5000 + 2 * week);
        c.time_ms = table[i].now_ms;
        assert_int_equal(apply_at(store, 2, &c).status, STATUS_OK);
        admit(&c, slice_of(one, 32), "node1", "127.0.0.1:1", table[i].now_ms);
        assert_int_equal(apply_at(store, 3, &c).status, table[i].answer);
        store_close(store);
        remove_tree(dir);
    }
}

static bool count_record(void *context, const struct certificate_record *found)
{
    (void)found;
    ++*(size_t *)context;
    return true;
}

static size_t count_for(struct store *store, const char *address)
{
    struct store_view *view;
    size_t count = 0;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_certificates_for(view, slice_of_text(address), count_record, &count), STATUS_OK);
    store_view_end(view);
    return count;
}

static uint64_t trust_generation(struct store *store)
{
    struct store_view *view;
    uint64_t generation;

    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    generation = store_trust_generation(view);
    store_view_end(view);
    return generation;
}

static void certificates_are_found_by_address_until_removed(void **state)
{
    static const char *const one[] = {"a@example.org", "b@example.org"}, *const two[] = {"a@example.org"};
    char dir[64];
    uint8_t first[THUMBPRINT_SIZE], second[THUMBPRINT_SIZE];
    struct store *store;
    struct store_view *view;
    struct certificate_record found;
    struct buf records[2] = {BUF_INIT(COMMAND_MAX), BUF_INIT(COMMAND_MAX)};
    struct command c;
    uint64_t index = 0;

    (void)state;
    make_record("one", one, 2, &records[0], first);
    make_record("two", two, 1, &records[1], second);
    temporary_folder(dir);
    store = open_writer(dir);
    for (unsigned i = 0; i < 4; i++) { /* each twice */
        c = simple_command(COMMAND_CERT_ADD, 1, buf_slice(&records[i / 2]));
        assert_int_equal(apply_at(store, ++index, &c).status, i % 2 == 0 ? STATUS_OK : STATUS_EXISTS);
    }
    c = simple_command(COMMAND_KEY_ADD, 1, slice_of(first, sizeof(first)));
    c.values[1].bytes = SLICE_LITERAL("sealed");
    assert_int_equal(apply_at(store, ++index, &c).status, STATUS_OK);
    c = simple_command(COMMAND_TRUST_ADD, 1, slice_of(first, sizeof(first)));
    assert_int_equal(apply_at(store, ++index, &c).status, STATUS_OK);
    commit(store);
    assert_int_equal(count_for(store, "A@Example.org"), 2);
    assert_int_equal(count_for(store, "b@example.org"), 1);
    assert_int_equal(count_for(store, "@example.org"), 0);
    assert_int_equal(count_for(store, "a@example.or"), 0);
    assert_int_equal(trust_generation(store), 1); /* neither is a CA's */
    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_certificate_get(view, first, &found), STATUS_OK);
    assert_int_equal(found.address_count, 2);
    assert_true(slice_equal(found.der, SLICE_LITERAL("one")));
    assert_true(store_has_key(view, first) && store_is_trusted(view, first));
    assert_false(store_has_key(view, second) || store_is_trusted(view, second));
    store_view_end(view);

    c = simple_command(COMMAND_CERT_REMOVE, 1, slice_of(first, sizeof(first)));
    assert_int_equal(apply_at(store, ++index, &c).status, STATUS_OK);
    c = simple_command(COMMAND_CERT_REMOVE, 2, slice_of(first, sizeof(first)));
    assert_int_equal(apply_at(store, ++index, &c).status, STATUS_NOT_FOUND);
    c = simple_command(COMMAND_KEY_ADD, 1, slice_of(first, sizeof(first)));
    c.values[1].bytes = SLICE_LITERAL("sealed");
    assert_int_equal(apply_at(store, ++index, &c).status, STATUS_NOT_FOUND); /* a key needs its certificate */
    commit(store);
    assert_int_equal(count_for(store, "a@example.org"), 1);
    assert_int_equal(count_for(store, "b@example.org"), 0);
    assert_int_equal(trust_generation(store), 2);
    assert_int_equal(store_view_begin(store, &view, NULL), STATUS_OK);
    assert_int_equal(store_certificate_get(view, first, &found), STATUS_NOT_FOUND);
    assert_false(store_has_key(view, first) || store_is_trusted(view, first)); /* gone with it */
    store_view_end(view);
    store_close(store);
    buf_release(&records[0]);
    buf_release(&records[1]);
    remove_tree(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_log_gives_the_same_tables),
        cmocka_unit_test(a_repeated_command_gives_its_first_answer),
        cmocka_unit_test(a_join_token_admits_one_node_in_time),
        cmocka_unit_test(old_join_tokens_are_forgotten_in_time),
        cmocka_unit_test(certificates_are_found_by_address_until_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
