/* Which CA certificates go along with a signature. */
#include "mail_world.h"

static struct world w;

static void store_file(const char *name, struct arena *a, struct certificate_record *record)
{
    struct certificate_file *file = calloc(1, sizeof *file);
    struct buf pem = BUF_INIT(65536);
    struct failure f = {.status = STATUS_OK};
    world_file_read(&w, name, &pem);
    OK(certificate_file_read(buf_slice(&pem), a, file, &f));
    OK(certificate_describe(file->der[0], SLICE_LITERAL("harvest"), w.now_ms, a, record, &f));
    world_add_record(&w, record);
    free(file);
    buf_release(&pem);
}

/* With a signature goes the issuer whose key has signed, and not another of its name, whichever of them the
 * store gives first. */
static void the_chain_is_of_those_who_signed(void **state)
{
    (void)state;
    struct arena a;
    struct failure f = {.status = STATUS_OK};
    struct certificate_record middle, leaf;
    struct issuers *issuers;
    arena_init(&a, 1 << 20);
    world_shell(
        &w,
        "for n in 1 2 3 4; do openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-subj /CN=Root$n -keyout mr$n.key -out mr$n.pem && "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Middle -keyout m$n.key "
        "-out m$n.csr && printf 'basicConstraints=critical,CA:TRUE\n' >m.ext && "
        "openssl x509 -req -days 30 -in m$n.csr -CA mr$n.pem -CAkey mr$n.key -extfile m.ext -out m$n.pem && "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=of$n -keyout l$n.key "
        "-out l$n.csr && printf 'subjectAltName=email:of%%s@ours.example\n' $n >l.ext && "
        "openssl x509 -req -days 30 -in l$n.csr -CA m$n.pem -CAkey m$n.key -extfile l.ext -out l$n.pem; "
        "done");
    for (int n = 1; n <= 4; n++) {
        char name[16];
        assert_true(snprintf(name, sizeof name, "m%d.pem", n) > 0);
        store_file(name, &a, &middle);
    }
    world_look(&w);
    OK(issuers_load(w.view, &issuers, &f));
    for (int n = 1; n <= 4; n++) {
        char name[16], root[16];
        struct slice chain[ISSUER_CHAIN_MAX];
        assert_true(snprintf(name, sizeof name, "l%d.pem", n) > 0);
        assert_true(snprintf(root, sizeof root, "CN=Root%d", n) > 0);
        store_file(name, &a, &leaf);
        assert_int_equal(issuers_chain(issuers, &leaf, chain), 1);
        OK(certificate_describe(chain[0], SLICE_LITERAL("x"), w.now_ms, &a, &middle, &f));
        assert_true(slice_equal(middle.issuer, slice_of_text(root)));
    }
    issuers_free(issuers);
    arena_release(&a);
}

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_is_of_those_who_signed),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
