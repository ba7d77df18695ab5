/*
 * Determinism: a random log of all kinds of commands, good, bad, repeated and malformed, is applied by one
 * store in a straight line, and by others that restart, are killed, replay old entries, are set back to a
 * snapshot or begin with one. After each stretch all tables are the same to the byte.
 */
#include "store/tables.h"
#include "test_support.h"

#include "store/records_ca.h"
#include "store/records_dkim.h"
#include "store/records_dns.h"
#include "store/records_notice.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define LOG_LENGTH 240
#define ROUNDS     4

/* xorshift64: the same histories at every run. */
static uint64_t seed;

static unsigned pick(unsigned below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % below;
}

struct history {
    struct buf entries[LOG_LENGTH + 1]; /* padded; index 0 is not used */
};

static void add_entry(struct buf *entry, const struct command *c)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);

    assert_int_equal(command_encode(c, &encoded), STATUS_OK);
    assert_int_equal(buf_reserve(entry, command_entry_size(encoded.len)), STATUS_OK);
    entry->len = command_entry_size(encoded.len);
    command_entry_write(buf_slice(&encoded), entry->data);
    buf_release(&encoded);
}

/* What the texts of a command point to while it is encoded. */
struct words {
    char domain[64], address[64], name[64], endpoint[64], der[64], ca[8];
    const char *addresses[2];
    uint8_t hash[32], thumbprint[THUMBPRINT_SIZE];
    struct buf record, list, rows;
};

/* A list's record and some rows of it. */
static void choose_list(struct words *w)
{
    uint8_t number[1] = {(uint8_t)(1 + pick(5))}, serial[1] = {0};
    struct crl_record list = {
        .name = SLICE_LITERAL("CN=ca"), .number = slice_of(number, 1), .this_ms = pick(5)};

    if (pick(4) == 0)
        list.base_number = list.number;
    buf_reset(&w->list);
    buf_reset(&w->rows);
    assert_int_equal(crl_record_encode(&list, &w->list), STATUS_OK);
    for (unsigned i = pick(4); i > 0; i--) {
        struct crl_row row = {.serial = slice_of(serial, 1), .reason = pick(CRL_REASON_MAX + 1)};

        serial[0] = (uint8_t)pick(10);
        assert_int_equal(crl_row_write(&row, &w->rows), STATUS_OK);
    }
}

static void choose_words(struct words *w)
{
    static const char *const before[] = {"d", "D", "*.d"}, *const after[] = {".example", ".EXAMPLE.",
                                                                             ".example"};
    unsigned n = pick(5), form = pick(3);

    assert_true(snprintf(w->domain, sizeof(w->domain), "%s%u%s", before[form], n, after[form]) > 0);
    assert_true(snprintf(w->address, sizeof(w->address), "u%u@d%u.example", pick(5), n) > 0);
    assert_true(snprintf(w->name, sizeof(w->name), "node%u", pick(6)) > 0);
    assert_true(snprintf(w->endpoint, sizeof(w->endpoint), "127.0.0.1:%u", 1 + pick(6)) > 0);
    assert_true(snprintf(w->der, sizeof(w->der), "certificate %u", pick(6)) > 0);
    assert_true(snprintf(w->ca, sizeof(w->ca), "ca%u", pick(2)) > 0);
    memset(w->hash, (int)pick(4), sizeof(w->hash));
    w->addresses[0] = w->address;
    w->addresses[1] = "shared@example.org";
    buf_reset(&w->record);
    make_record(w->der, w->addresses, pick(3), &w->record, w->thumbprint);
    choose_list(w);
}

static enum command_number any_number(void)
{
    unsigned count = 0;

    while (command_type_at(count) != NULL)
        count++;
    return command_type_at(pick(count))->number;
}

/* One item, of few topics and ends, so that claims meet what was told. */
static void fill_notice(struct command *c)
{
    static uint8_t topic[1 + THUMBPRINT_SIZE] = {NOTICE_CERTIFICATE}, id[ID_SIZE];
    static struct buf items = BUF_INIT(NOTICE_ITEMS_SIZE);
    struct notice_item item = {slice_of(topic, sizeof(topic)), 1000 + pick(2), pick(2), SLICE_LITERAL("it")};
    size_t count = pick(4) == 0 ? 0 : 1;

    topic[1] = (uint8_t)pick(3);
    id[0] = (uint8_t)pick(3);
    buf_reset(&items);
    assert_int_equal(notice_items_begin(count, &items), STATUS_OK);
    if (count > 0)
        assert_int_equal(notice_item_encode(&item, &items), STATUS_OK);
    c->values[0].bytes = slice_of_text(pick(2) == 0 ? "a@a.example" : "b@b.example");
    c->values[1].bytes = c->number == COMMAND_NOTICE_FORGET ? buf_slice(&items) : slice_of(id, sizeof(id));
    if (c->number == COMMAND_NOTICE_CLAIM) {
        c->values[2].number = pick(3);
        c->values[4].bytes = buf_slice(&items);
    } else if (c->number == COMMAND_NOTICE_END) {
        c->values[2].number = NOTICE_ACCEPTED + pick(2);
    }
}

static struct command random_command(struct words *w, unsigned time)
{
    static const char *const settings[][2] = {{"encrypt.mode", "none"},
                                              {"encrypt.mode", "mandatory"},
                                              {"sign.mode", "always"},
                                              {"smtp.max_size", "10M"},
                                              {"delivery.retry", "1m 2m"}};
    struct command c;
    unsigned s = pick(5), level = 1 + pick(3);

    choose_words(w);
    command_init(&c, any_number(), time, SLICE_LITERAL("test"));
    switch (c.number) {
    case COMMAND_CLUSTER_INIT:
        for (size_t i = 0; i < 6; i++)
            c.values[i].bytes = slice_of(w->hash, 16);
        c.values[1].bytes = SLICE_LITERAL("cluster");
        break;
    case COMMAND_NODE_ADMIT:
        c.values[0].bytes = slice_of(w->hash, 32);
        c.values[1].bytes = slice_of_text(w->name);
        c.values[2].bytes = slice_of_text(w->endpoint);
        c.values[5].bytes = slice_of(w->hash, 32);
        c.values[6].number = 1;
        break;
    case COMMAND_NODE_UPDATE:
        c.values[0].number = pick(4);
        c.values[1].bytes = slice_of_text(w->name);
        c.values[2].bytes = slice_of_text(w->endpoint);
        break;
    case COMMAND_NODE_REMOVE:
        c.values[0].number = pick(6);
        break;
    case COMMAND_NODE_TOKEN_ADD:
        c.values[0].bytes = slice_of(w->hash, 32);
        c.values[1].number = time + pick(60);
        break;
    case COMMAND_API_TOKEN_ADD:
    case COMMAND_API_TOKEN_GRANT:
        c.values[0].bytes = slice_of(w->hash, 32);
        c.values[1].bytes = slice_of_text(w->name);
        c.values[2].bytes = SLICE_LITERAL("admin");
        break;
    case COMMAND_API_TOKEN_REMOVE:
    case COMMAND_API_TOKEN_REVOKE:
        c.values[0].bytes = slice_of_text(w->name);
        break;
    case COMMAND_SETTING_SET:
    case COMMAND_SETTING_UNSET:
        c.values[0].number = level;
        c.values[1].bytes = slice_of_text(level == SETTING_GLOBAL   ? ""
                                          : level == SETTING_DOMAIN ? w->domain
                                                                    : w->address);
        c.values[2].bytes = slice_of_text(settings[s][0]);
        c.values[3].bytes = slice_of_text(settings[s][1]);
        break;
    case COMMAND_DOMAIN_ADD:
        c.values[1].bytes = pick(2) == 0 ? SLICE_LITERAL("internal") : (struct slice){0};
        c.values[0].bytes = slice_of_text(w->domain);
        break;
    case COMMAND_DOMAIN_REMOVE:
        c.values[0].bytes = slice_of_text(w->domain);
        break;
    case COMMAND_USER_ADD:
    case COMMAND_USER_REMOVE:
        c.values[0].bytes = slice_of_text(w->address);
        break;
    case COMMAND_CERT_ADD:
        c.values[0].bytes = buf_slice(&w->record);
        break;
    case COMMAND_KEY_ADD:
        c.values[1].bytes = SLICE_LITERAL("sealed");
        c.values[0].bytes = slice_of(w->thumbprint, sizeof(w->thumbprint));
        break;
    case COMMAND_CTL_SET:
        c.values[0].bytes = slice_of(w->thumbprint, sizeof(w->thumbprint));
        c.values[1].number = 1 + pick(2);
        break;
    case COMMAND_CRL_BEGIN:
    case COMMAND_CRL_ROWS:
    case COMMAND_CRL_FORCE:
    case COMMAND_CRL_SWEEP:
    case COMMAND_CRL_REMOVE:
        c.values[0].bytes = slice_of(w->hash, ISSUER_ID_SIZE);
        c.values[1].bytes = slice_of(w->hash, CRL_PART_SIZE);
        c.values[2].number = pick(2);
        if (c.number == COMMAND_CRL_ROWS)
            c.values[3].bytes = buf_slice(&w->rows);
        c.values[3].number = c.number == COMMAND_CRL_FORCE ? pick(3) : 0;
        c.values[4].bytes = c.number == COMMAND_CRL_FORCE ? buf_slice(&w->list) : (struct slice){0};
        break;
    case COMMAND_OCSP_PUT:
    case COMMAND_OCSP_REMOVE:
        c.values[0].bytes = slice_of(w->hash, ISSUER_ID_SIZE);
        c.values[1].bytes = slice_of(w->hash, 1);
        c.values[2].number = c.number == COMMAND_OCSP_PUT ? pick(2) : 0;
        c.values[5].number = c.number == COMMAND_OCSP_PUT ? pick(9) : 0;
        break;
    case COMMAND_GROUP_ADD:
    case COMMAND_GROUP_MEMBER_REMOVE:
    case COMMAND_GROUP_REMOVE:
        c.values[0].bytes = slice_of_text(w->ca);
        if (c.number != COMMAND_GROUP_REMOVE)
            c.values[1].bytes = slice_of_text(w->address);
        break;
    case COMMAND_CERT_HARVEST:
        c.values[0].bytes = buf_slice(&w->record);
        c.values[1].bytes = slice_of_text(w->address);
        c.values[6].number = time;
        break;
    case COMMAND_CERT_BIND:
    case COMMAND_CERT_UNBIND:
        c.values[0].bytes = slice_of(w->thumbprint, sizeof(w->thumbprint));
        c.values[1].bytes = slice_of_text(w->address);
        break;
    case COMMAND_DOMAIN_DNS_WATCH:
    case COMMAND_DOMAIN_DNS_UNWATCH:
    case COMMAND_DOMAIN_DNS_SEEN:
        c.values[0].bytes = slice_of_text(pick(2) == 0 ? "a.example" : "b.example");
        if (c.number == COMMAND_DOMAIN_DNS_SEEN) {
            c.values[1].number = DNS_SIGNED + pick(3);
            c.values[2].bytes =
                slice_of(w->thumbprint, c.values[1].number == DNS_ABSENT ? 0 : THUMBPRINT_SIZE);
        }
        break;
    case COMMAND_STS_REFRESH:
    case COMMAND_STS_PUT:
    case COMMAND_STS_FAILED:
    case COMMAND_STS_REMOVE:
        c.values[0].bytes = slice_of_text(pick(2) == 0 ? "a.example" : "b.example");
        if (c.number == COMMAND_STS_PUT) {
            c.values[2].number = pick(3);
            c.values[3].number = pick(100000);
            c.values[4].bytes = SLICE_LITERAL("mx.example");
        }
        break;
    case COMMAND_DKIM_ADD:
    case COMMAND_DKIM_STATE:
    case COMMAND_DKIM_REMOVE:
        c.values[0].bytes = slice_of_text(pick(2) == 0 ? "a.example" : "b.example");
        c.values[1].bytes = slice_of_text(pick(2) == 0 ? "one" : "two");
        c.values[2].number = c.number == COMMAND_DKIM_ADD ? 1 + pick(2) : DKIM_ACTIVE + pick(3);
        c.values[4].bytes = slice_of(w->hash, DKIM_KEY_ID_SIZE);
        c.values[5].bytes = c.values[6].bytes = SLICE_LITERAL("key");
        break;
    case COMMAND_REWRITE_SET:
    case COMMAND_REWRITE_REMOVE:
        c.values[0].number = 1; /* canonical */
        c.values[1].bytes = slice_of_text(pick(2) == 0 ? "@a.example" : "x@b.example");
        c.values[2].bytes = SLICE_LITERAL("y@c.example");
        c.values[3].number = 15;
        break;
    case COMMAND_NOTICE_CLAIM:
    case COMMAND_NOTICE_END:
    case COMMAND_NOTICE_FORGET:
        fill_notice(&c);
        break;
    case COMMAND_CA_ADD:
    case COMMAND_CA_IMPORT:
        buf_reset(&w->record);
        make_ca_record(w->der, &w->record, w->thumbprint);
        c.values[0].bytes = slice_of_text(w->ca);
        c.values[1].bytes = buf_slice(&w->record);
        c.values[2].bytes = c.values[5].bytes = SLICE_LITERAL("sealed");
        c.values[3].bytes = pick(3) == 0 ? SLICE_LITERAL("ca0") : (struct slice){0};
        c.values[4].number = pick(2);
        c.values[7].number = c.values[8].number = 1;
        c.values[9].bytes = slice_of(w->hash, ISSUER_ID_SIZE);
        if (c.number == COMMAND_CA_IMPORT)
            c.values[10].bytes = buf_slice(&w->rows);
        break;
    case COMMAND_CA_REVOKE_CA:
        c.values[0].bytes = SLICE_LITERAL("ca0");
        c.values[1].bytes = slice_of_text(w->ca);
        c.values[3].number = 2 + pick(3);
        c.values[4].bytes = SLICE_LITERAL("list");
        break;
    case COMMAND_CA_REMOVE:
        c.values[0].bytes = slice_of_text(w->ca);
        break;
    case COMMAND_CA_ISSUE:
        c.values[0].bytes = slice_of_text(w->ca);
        c.values[1].bytes = slice_of_text(w->address);
        c.values[2].number = pick(3);
        c.values[3].bytes = c.values[2].number == CA_ISSUE_RENEW
                                ? slice_of(w->thumbprint, sizeof(w->thumbprint))
                                : (struct slice){0};
        c.values[5].bytes = buf_slice(&w->record);
        c.values[6].bytes = SLICE_LITERAL("sealed");
        break;
    case COMMAND_CA_REVOKE:
    case COMMAND_CA_CRL:
        c.values[0].bytes = slice_of_text(w->ca);
        c.values[1].bytes = slice_of(w->thumbprint, sizeof(w->thumbprint));
        c.values[c.number == COMMAND_CA_REVOKE ? 3 : 1].number = 2 + pick(3);
        c.values[c.number == COMMAND_CA_REVOKE ? 4 : 2].bytes = SLICE_LITERAL("list");
        if (c.number == COMMAND_CA_CRL)
            c.values[1].bytes = (struct slice){0};
        break;
    case COMMAND_CA_REQUEST_ADD:
    case COMMAND_CA_REQUEST_AUTO:
    case COMMAND_CA_REQUEST_RENEW:
        c.values[0].bytes = slice_of(w->hash, sizeof(w->hash));
        c.values[1].bytes = slice_of_text(w->address);
        c.values[3].bytes = c.values[4].bytes = SLICE_LITERAL("sealed");
        break;
    case COMMAND_CA_REQUEST_COMPLETE:
        c.values[1].bytes = buf_slice(&w->record);
        c.values[2].bytes = SLICE_LITERAL("sealed");
        c.values[0].bytes = slice_of(w->hash, sizeof(w->hash));
        break;
    case COMMAND_CA_REQUEST_REMOVE:
        c.values[0].bytes = slice_of(w->hash, sizeof(w->hash));
        break;
    default: /* certificates, keys and trust by thumbprint */
        c.values[0].bytes = slice_of(w->thumbprint, sizeof(w->thumbprint));
        break;
    }
    return c;
}

static void make_history(struct history *h)
{
    struct words w = {
        .record = BUF_INIT(COMMAND_MAX), .list = BUF_INIT(COMMAND_MAX), .rows = BUF_INIT(COMMAND_MAX)};

    for (unsigned i = 1; i <= LOG_LENGTH; i++) {
        h->entries[i] = BUF_INIT(COMMAND_MAX);
        if (i > 1 && pick(8) == 0) { /* the same command again */
            struct buf *earlier = &h->entries[1 + pick(i - 1)];

            assert_int_equal(buf_append_slice(&h->entries[i], buf_slice(earlier)), STATUS_OK);
        } else {
            struct command c = random_command(&w, i);

            add_entry(&h->entries[i], &c);
            if (pick(10) == 0) /* perhaps malformed, perhaps another value: the same for all anyway */
                h->entries[i].data[4 + pick((unsigned)h->entries[i].len - 4)] ^= (uint8_t)(1 << pick(8));
        }
    }
    buf_release(&w.record);
    buf_release(&w.list);
    buf_release(&w.rows);
}

static void release_history(struct history *h)
{
    for (unsigned i = 1; i <= LOG_LENGTH; i++)
        buf_release(&h->entries[i]);
}

static void apply_one(struct store *store, const struct history *h, uint64_t index,
                      struct apply_result *result)
{
    struct failure f = {0};

    if (store_apply_entry(store, index, buf_slice(&h->entries[index]), result, &f) != STATUS_OK)
        fail_msg("index %llu: %s", (unsigned long long)index, f.text);
}

static struct buf snapshot_of(struct store *store, const char *dir, uint64_t *index)
{
    struct buf bytes = BUF_INIT((size_t)64 << 20);
    struct failure f = {0};
    struct stat info;
    char path[96];
    int fd;

    assert_true(snprintf(path, sizeof(path), "%s/snapshot", dir) > 0);
    if (store_snapshot_write(store, path, index, &f) != STATUS_OK)
        fail_msg("%s", f.text);
    fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(buf_reserve(&bytes, (size_t)info.st_size), STATUS_OK);
    assert_int_equal(read(fd, bytes.data, (size_t)info.st_size), info.st_size);
    bytes.len = (size_t)info.st_size;
    (void)close(fd);
    (void)unlink(path);
    return bytes;
}

/* Another process applies up to `to` and dies without closing; half of the time with a batch under way. */
static void apply_and_be_killed(const char *dir, const struct history *h, uint64_t to)
{
    unsigned tail = pick(2);
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        struct store *store;
        struct apply_result result;

        if (store_open_writer(dir, BOOT, &store, NULL) != STATUS_OK)
            _exit(1);
        for (uint64_t i = store_applied_index(store) + 1; i <= to; i++)
            if (store_apply_entry(store, i, buf_slice(&h->entries[i]), &result, NULL) != STATUS_OK)
                _exit(2);
        if (store_batch_commit(store, NULL) != STATUS_OK)
            _exit(3);
        for (uint64_t i = to + 1; tail != 0 && i <= LOG_LENGTH && i <= to + 5; i++)
            if (store_apply_entry(store, i, buf_slice(&h->entries[i]), &result, NULL) != STATUS_OK)
                _exit(4);
        _exit(0); /* no destructor, no close: as SIGKILL leaves it */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Applies what is missing up to `to`, on a way that chance chooses. */
static void wander(struct store **store, const char *dir, const struct history *h, uint64_t to)
{
    uint64_t at = store_applied_index(*store), index;
    struct apply_result result;
    struct failure f = {0};
    struct buf bytes;

    while (at < to) {
        switch (pick(8)) {
        case 0: /* stopped in order */
            store_close(*store);
            *store = open_writer(dir);
            break;
        case 1: /* killed */
            store_close(*store);
            at += 1 + pick((unsigned)(to - at));
            apply_and_be_killed(dir, h, at);
            *store = open_writer(dir);
            break;
        case 2: /* set back to a snapshot, then the log again */
            bytes = snapshot_of(*store, dir, &index);
            for (unsigned i = pick(20); i > 0 && at < to; i--)
                apply_one(*store, h, ++at, &result);
            if (pick(2) == 0)
                commit(*store);
            if (store_snapshot_restore(*store, buf_slice(&bytes), &f) != STATUS_OK)
                fail_msg("%s", f.text);
            buf_release(&bytes);
            break;
        case 3: /* the log replayed from some way back, as after a start from an old snapshot */
            for (index = at > 30 ? at - pick(30) : 1; index <= at && index > 0; index++) {
                apply_one(*store, h, index, &result);
                assert_true(result.repeated);
            }
            break;
        default:
            for (unsigned i = pick(20); i > 0 && at < to; i--)
                apply_one(*store, h, ++at, &result);
            break;
        }
        if (pick(2) == 0)
            commit(*store);
        at = store_applied_index(*store);
    }
    commit(*store);
}

static void all_ways_lead_to_the_same_tables(void **state)
{
    static struct history h;
    struct store *stores[3];
    char dirs[3][64];
    uint8_t hashes[3][STORE_HASH_SIZE];
    struct apply_result result;
    size_t good = 0;

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        seed = 0x9e3779b97f4a7c15 * (round + 1);
        make_history(&h);
        for (unsigned s = 0; s < 3; s++) {
            temporary_folder(dirs[s]);
            stores[s] = open_writer(dirs[s]);
        }
        for (uint64_t to = LOG_LENGTH / 3; to <= LOG_LENGTH; to += LOG_LENGTH / 3) {
            for (uint64_t i = store_applied_index(stores[0]) + 1; i <= to; i++) {
                apply_one(stores[0], &h, i, &result);
                good += result.status == STATUS_OK && !result.repeated;
            }
            commit(stores[0]);
            for (unsigned s = 1; s < 3; s++)
                wander(&stores[s], dirs[s], &h, to);
            for (unsigned s = 0; s < 3; s++) {
                assert_int_equal(store_applied_index(stores[s]), to);
                hash_of(stores[s], hashes[s]);
            }
            assert_memory_equal(hashes[0], hashes[1], STORE_HASH_SIZE);
            assert_memory_equal(hashes[0], hashes[2], STORE_HASH_SIZE);
        }
        for (unsigned s = 0; s < 3; s++) {
            store_close(stores[s]);
            remove_tree(dirs[s]);
        }
        release_history(&h);
    }
    assert_true(good > ROUNDS * LOG_LENGTH / 4); /* the histories are not made of refusals */
}

/* One bit of difference anywhere in the log shows in the hash. */
static void different_logs_give_different_hashes(void **state)
{
    struct store *stores[2];
    char dirs[2][64];
    uint8_t hashes[2][STORE_HASH_SIZE];
    struct command c = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "none");

    (void)state;
    for (unsigned s = 0; s < 2; s++) {
        temporary_folder(dirs[s]);
        stores[s] = open_writer(dirs[s]);
        (void)apply_at(stores[s], 1, &c);
        commit(stores[s]);
        hash_of(stores[s], hashes[s]);
    }
    assert_memory_equal(hashes[0], hashes[1], STORE_HASH_SIZE);
    c = simple_command(COMMAND_USER_REMOVE, 1, SLICE_LITERAL("nobody@example.org"));
    (void)apply_at(stores[0], 2, &c); /* refused, but its answer is remembered */
    commit(stores[0]);
    hash_of(stores[0], hashes[0]);
    assert_memory_not_equal(hashes[0], hashes[1], STORE_HASH_SIZE);
    c.id[ID_SIZE - 1] ^= 1;
    (void)apply_at(stores[1], 2, &c);
    commit(stores[1]);
    hash_of(stores[1], hashes[1]);
    assert_memory_not_equal(hashes[0], hashes[1], STORE_HASH_SIZE);
    for (unsigned s = 0; s < 2; s++) {
        store_close(stores[s]);
        remove_tree(dirs[s]);
    }
}

/* Answers are remembered for 65536 indexes, then forgotten by index alone. */
static void answers_are_forgotten_by_index(void **state)
{
    struct command c, filler;
    struct apply_result r;
    struct store *store;
    char dir[64];

    (void)state;
    temporary_folder(dir);
    store = open_writer(dir);
    c = simple_command(COMMAND_USER_ADD, 1, SLICE_LITERAL("a@example.org"));
    assert_int_equal(apply_at(store, 10, &c).status, STATUS_OK);
    command_init(&filler, COMMAND_CHECKPOINT, 1, SLICE_LITERAL("test"));
    assert_int_equal(apply_at(store, 65545, &filler).status, STATUS_OK);
    r = apply_at(store, 65546, &c);
    assert_true(r.repeated && r.status == STATUS_OK && r.index == 10);
    r = apply_at(store, 65547, &c); /* now it is a new command, and the user exists */
    assert_true(!r.repeated && r.status == STATUS_EXISTS && r.index == 65547);
    r = apply_at(store, 65548, &c);
    assert_true(r.repeated && r.status == STATUS_EXISTS && r.index == 65547);
    store_close(store);
    remove_tree(dir);
}

/* A release that brings a table reads the snapshots of those before it. */
static void a_snapshot_without_a_table_has_an_empty_one(void **state)
{
    struct command c = simple_command(COMMAND_USER_ADD, 1, SLICE_LITERAL("a@example.org"));
    struct store *old, *fresh;
    struct store_view *view;
    struct user_record user;
    struct failure f = {0};
    struct buf snapshot;
    char dirs[2][64];
    uint64_t index;

    (void)state;
    temporary_folder(dirs[0]);
    temporary_folder(dirs[1]);
    old = open_writer(dirs[0]);
    fresh = open_writer(dirs[1]);
    assert_int_equal(apply_at(old, 1, &c).status, STATUS_OK);
    assert_int_equal(apply_at(fresh, 1, &c).status, STATUS_OK);
    commit(fresh);
    assert_int_equal(mdb_drop(old->batch, old->tables[TABLE_USERS], 1), 0);
    commit(old);
    snapshot = snapshot_of(old, dirs[0], &index);
    assert_int_equal(index, 1);
    if (store_snapshot_restore(fresh, buf_slice(&snapshot), &f) != STATUS_OK)
        fail_msg("%s", f.text);
    assert_int_equal(store_view_begin(fresh, &view, NULL), STATUS_OK);
    assert_int_equal(store_view_index(view), 1);
    assert_int_equal(store_user_get(view, SLICE_LITERAL("a@example.org"), &user), STATUS_NOT_FOUND);
    store_view_end(view);
    buf_release(&snapshot);
    store_close(old);
    store_close(fresh);
    remove_tree(dirs[0]);
    remove_tree(dirs[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_ways_lead_to_the_same_tables),
        cmocka_unit_test(different_logs_give_different_hashes),
        cmocka_unit_test(answers_are_forgotten_by_index),
        cmocka_unit_test(a_snapshot_without_a_table_has_an_empty_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
