/*
 * Searching a store of many certificates: fills a store of its own with records as an import would make them
 * (1.2 KB of DER each, names out of lists), then times searches of several kinds, the first page of 100 each,
 * three times each; the slowest counts.
 *
 *   certificate_search FOLDER [RECORDS [A_COMMAND]]    tab-separated: search, found, ms; then the size of the
 * map
 */
#include "store/certificate_search.h"
#include "base/msgpack_write.h"

#include <openssl/evp.h>
#include <sys/stat.h>
#include <time.h>

#define DER_SIZE 1200
#define DAY_MS   ((uint64_t)86400000)
#define NOW_MS   ((uint64_t)1795521600 * 1000)

static void need(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "certificate_search: cannot %s\n", what);
        exit(1);
    }
}

static double now(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static const char *const firsts[] = {"anna",   "bert",  "carla", "dieter", "emil",   "frida",
                                     "gustav", "hanna", "ingo",  "jana",   "karl",   "lena",
                                     "max",    "nora",  "otto",  "paula",  "quirin", "rosa",
                                     "stefan", "tina",  "udo",   "vera",   "willi",  "xenia"};
#define FIRSTS (sizeof(firsts) / sizeof(firsts[0]))

/* The i-th record: 5000 domains, some thousand surnames, 20 issuers. */
static void record_put(struct buf *out, size_t i)
{
    static uint8_t der[DER_SIZE];
    struct certificate_record r = {.der = slice_of(der, sizeof(der)), .address_count = 1};
    char address[128], subject[160], issuer[128], serial[32];
    size_t domain = i % 5000, surname = (i * 7919) % 40009;

    memset(der, (int)(i & 0xff), sizeof(der));
    memcpy(der, &i, sizeof(i));
    need(snprintf(address, sizeof(address), "%s.surname%zu@firm%zu.example", firsts[i % FIRSTS], surname,
                  domain) > 0 &&
             snprintf(subject, sizeof(subject), "CN=%s Surname%zu,O=Firm %zu Works,C=DE", firsts[i % FIRSTS],
                      surname, domain) > 0 &&
             snprintf(issuer, sizeof(issuer), "CN=Issuing CA %zu,O=Trust Centre,C=DE", i % 20) > 0 &&
             snprintf(serial, sizeof(serial), "%016zx", i * 2654435761u) > 0,
         "make names");
    need(EVP_Digest(der, sizeof(der), r.thumbprint, NULL, EVP_sha256(), NULL) == 1, "hash");
    r.addresses[0] = slice_of_text(address);
    r.subject = slice_of_text(subject);
    r.issuer = slice_of_text(issuer);
    r.serial = slice_of_text(serial);
    r.not_before_ms = NOW_MS - 100 * DAY_MS;
    r.not_after_ms = NOW_MS + (i % 700) * DAY_MS;
    r.uses = CERT_USE_SIGN | CERT_USE_ENCRYPT;
    r.added_ms = NOW_MS;
    r.source = i % 50 == 0 ? SLICE_LITERAL("harvest") : SLICE_LITERAL("import");
    need(certificate_record_encode(&r, out) == STATUS_OK, "encode");
}

static void fill(struct store *store, size_t count, size_t batch)
{
    struct buf list = BUF_INIT(COMMAND_MAX), encoded = BUF_INIT(COMMAND_MAX);
    double begin = now(), longest = 0;

    for (size_t i = 0, index = 1; i < count; index++) {
        struct msgpack_writer w;
        struct command c;
        struct apply_result result;
        struct failure f = {0};
        size_t n = count - i < batch ? count - i : batch, size;
        uint8_t *entry;
        double before;

        buf_reset(&list);
        buf_reset(&encoded);
        msgpack_writer_init(&w, &list);
        write_array(&w, n);
        for (size_t k = 0; k < n; k++)
            record_put(&list, i++);
        command_init(&c, COMMAND_CERT_ADD_MANY, NOW_MS, SLICE_LITERAL("bench"));
        c.values[0].bytes = buf_slice(&list);
        need(command_encode(&c, &encoded) == STATUS_OK, "encode a command");
        size = command_entry_size(encoded.len);
        entry = malloc(size);
        need(entry != NULL, "get memory");
        command_entry_write(buf_slice(&encoded), entry);
        before = now();
        need(store_apply_entry(store, index, slice_of(entry, size), &result, &f) == STATUS_OK &&
                 result.status == STATUS_OK && store_batch_commit(store, &f) == STATUS_OK,
             "apply");
        if (now() - before > longest)
            longest = now() - before;
        free(entry);
    }
    printf("filled\t%zu\t%.0f ms, %.1f us each; the longest command of %zu took %.0f ms\n", count,
           now() - begin, (now() - begin) * 1000 / (double)count, batch, longest);
    buf_release(&list);
    buf_release(&encoded);
}

static bool count_one(void *context, const struct certificate_record *record)
{
    (void)record;
    ++*(size_t *)context;
    return true;
}

static void search(struct store *store, const char *name, struct certificate_query q)
{
    double slowest = 0;
    size_t found = 0;
    char next[CERT_SEARCH_CURSOR_MAX];

    q.limit = 100;
    for (unsigned round = 0; round < 3; round++) {
        struct store_view *view;
        struct failure f = {0};
        double begin = now();

        found = 0;
        need(store_view_begin(store, &view, &f) == STATUS_OK &&
                 store_certificates_search(view, &q, count_one, &found, next, &f) == STATUS_OK,
             name);
        store_view_end(view);
        if (now() - begin > slowest)
            slowest = now() - begin;
    }
    printf("%s\t%zu%s\t%.2f ms\n", name, found, next[0] != '\0' ? " and more" : "", slowest);
}

#define QUERY(...)                                                                                           \
    (struct certificate_query)                                                                               \
    {                                                                                                        \
        .state = CERT_STATE_ANY, __VA_ARGS__                                                                 \
    }

int main(int argc, char **argv)
{
    size_t count = argc > 2 ? (size_t)strtoul(argv[2], NULL, 10) : 1000000;
    struct store *store = NULL;
    struct failure f = {0};
    struct stat info;
    char path[4096];

    need(argc > 1, "begin: name a folder");
    need(store_open_writer(argv[1], SLICE_LITERAL("11111111-2222-3333-4444-555555555555"), &store, &f) ==
             STATUS_OK,
         "open a store");
    fill(store, count, argc > 3 ? (size_t)strtoul(argv[3], NULL, 10) : CERT_ADD_AT_ONCE);
    search(store, "one address", QUERY(.address = SLICE_LITERAL("anna.surname0@firm0.example")));
    search(store, "a rare word", QUERY(.text = SLICE_LITERAL("surname12345")));
    search(store, "beginning of a word", QUERY(.text = SLICE_LITERAL("surname123")));
    search(store, "a word that 40000 have", QUERY(.text = SLICE_LITERAL("quirin")));
    search(store, "a word that all have", QUERY(.text = SLICE_LITERAL("works")));
    search(store, "two words", QUERY(.text = SLICE_LITERAL("quirin firm4712")));
    search(store, "two frequent words that never meet", QUERY(.text = SLICE_LITERAL("anna bert")));
    search(store, "a word that nobody has", QUERY(.text = SLICE_LITERAL("zzz")));
    search(store, "serial number", QUERY(.text = SLICE_LITERAL("000000009e3779b1")));
    search(store, "domain", QUERY(.domain = SLICE_LITERAL("firm4711.example")));
    search(store, "domain and word",
           QUERY(.domain = SLICE_LITERAL("example"), .text = SLICE_LITERAL("surname12345")));
    search(store, "expires within a day",
           QUERY(.expires_after_ms = NOW_MS, .expires_before_ms = NOW_MS + DAY_MS));
    search(store, "source and word",
           QUERY(.source = SLICE_LITERAL("harvest"), .text = SLICE_LITERAL("surname123")));
    search(store, "quarantine", (struct certificate_query){.state = CERT_QUARANTINE});
    search(store, "everything", QUERY(.limit = 1));
    need(snprintf(path, sizeof(path), "%s/data.mdb", argv[1]) > 0 && stat(path, &info) == 0, "see the map");
    printf("map\t%.2f GB\n", (double)info.st_blocks * 512 / 1e9);
    store_close(store);
    return 0;
}
