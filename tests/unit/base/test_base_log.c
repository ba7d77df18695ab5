/* The log: one line an event whatever comes in from outside, also from several threads. */
#include "base/log.h"

#include "base_test.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static char output[1 << 20];

/* Runs `act` with standard error in a file and gives what was written, NUL-terminated. */
static const char *written_by(void (*act)(void))
{
    char path[] = "/tmp/sealpost-log-XXXXXX";
    int fd = mkstemp(path), saved = dup(STDERR_FILENO);
    ssize_t len;

    assert_true(fd >= 0 && saved >= 0);
    (void)unlink(path);
    assert_true(fcntl(fd, F_SETFL, O_APPEND) == 0);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
    act();
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    (void)close(saved);
    len = pread(fd, output, sizeof(output) - 1, 0);
    (void)close(fd);
    assert_true(len >= 0);
    output[len] = '\0';
    return output;
}

static void log_plain(void)
{
    log_event(LOG_INFO, "message accepted", LOG_TEXT("id", "01abc"), LOG_NUMBER("bytes", 123));
    log_event(LOG_DEBUG, "not shown");
    log_event(LOG_ERROR, "no fields");
}

static void lines_have_their_form(void **state)
{
    const char *text;
    char *second;

    (void)state;
    log_open("smtp", LOG_INFO);
    text = written_by(log_plain);
    assert_true(text[4] == '-' && text[10] == 'T' && text[19] == '.' && text[23] == 'Z');
    assert_non_null(strstr(text, "Z info smtp["));
    second = strchr(text, '\n');
    assert_non_null(second);
    *second++ = '\0';
    assert_string_equal(strstr(text, "] ") + 2, "message accepted id=01abc bytes=123");
    assert_non_null(strstr(second, " error smtp["));
    assert_string_equal(strstr(second, "] ") + 2, "no fields\n");
}

static void log_hostile(void)
{
    log_event(LOG_WARN, "refused", LOG_SLICE("a", SLICE_LITERAL("x\n2026 error core[1] forged=1")),
              LOG_TEXT("b", "q\"\\="), LOG_SLICE("c", SLICE_LITERAL("\0\x7f\xff")), LOG_TEXT("d", ""),
              LOG_TEXT("e", NULL));
    log_event(LOG_WARN, "an\nevent");
}

static void nothing_from_outside_forges_a_line(void **state)
{
    const char *text = written_by(log_hostile);
    size_t lines = 0;

    (void)state;
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    assert_int_equal(lines, 2);
    assert_non_null(strstr(text, "refused a=\"x\\x0a2026 error core[1] forged=1\" b=\"q\\\"\\\\=\" "
                                 "c=\"\\x00\\x7f\\xff\" d=\"\" e=\"\"\n"));
    assert_non_null(strstr(text, "an?event\n"));
}

static uint8_t every_byte[256], one_byte;

static void log_every_byte(void)
{
    for (unsigned i = 0; i < 256; i++) {
        one_byte = (uint8_t)i;
        log_event(LOG_INFO, "one", LOG_SLICE("v", slice_of(&one_byte, 1)));
    }
    log_event(LOG_INFO, "all", LOG_SLICE("v", slice_of(every_byte, sizeof(every_byte))));
}

/* As a value alone and among all others: no byte but printable ASCII and the line's end is written, and what
 * was written says which byte it was. */
static void each_byte_is_written_as_printable_ascii(void **state)
{
    const char *at;

    (void)state;
    for (unsigned i = 0; i < 256; i++)
        every_byte[i] = (uint8_t)i;
    at = written_by(log_every_byte);
    for (const char *c = at; *c != '\0'; c++)
        assert_true(*c == '\n' || (*c >= 0x20 && *c < 0x7f));
    for (unsigned i = 0; i < 257; i++) {
        const char *end = strchr(at, '\n'), *value = strstr(at, " v=");
        char escaped[8];

        assert_non_null(end);
        assert_true(value != NULL && value < end);
        if (i < 0x20 || (i >= 0x7f && i < 256)) {
            assert_int_equal(snprintf(escaped, sizeof(escaped), "\"\\x%02x\"", i), 6);
            assert_int_equal(end - value, 3 + 6);
            assert_memory_equal(value + 3, escaped, 6);
        }
        at = end + 1;
    }
    assert_string_equal(at, "");
}

static char long_plain[10000], long_quoted[10000];

static void log_long(void)
{
    log_event(LOG_WARN, "one", LOG_TEXT("a", long_plain), LOG_TEXT("b", "lost"));
    log_event(LOG_WARN, "two", LOG_TEXT("a", long_quoted), LOG_TEXT("b", "lost"));
}

static void what_is_too_long_is_cut_and_shown_so(void **state)
{
    char *text = output, *end;

    (void)state;
    memset(long_plain, 'x', sizeof(long_plain) - 1);
    memset(long_quoted, '\n', sizeof(long_quoted) - 1);
    written_by(log_long);
    for (unsigned i = 0; i < 2; i++) {
        end = strchr(text, '\n');
        assert_non_null(end);
        assert_true(end - text < 4096 && end - text > 4000);
        assert_memory_equal(end - 4, " ...", 4);
        *end = '\0';
        assert_null(strstr(text, "lost"));
        if (i == 1)
            assert_int_equal(end[-5], '"');
        text = end + 1;
    }
    assert_int_equal(*text, '\0');
    /* Every length around the limit: two lines, well ended. */
    for (size_t len = 4090; len > 3900; len--) {
        const char *newline;

        long_plain[len] = '\0';
        long_quoted[len / 4] = '\0'; /* each is written as four */
        written_by(log_long);
        newline = strchr(output, '\n');
        assert_non_null(newline);
        assert_non_null(strchr(newline + 1, '\n'));
        assert_int_equal(strchr(newline + 1, '\n')[1], '\0');
    }
}

#define THREADS 4
#define LINES   200

static void *log_many(void *unused)
{
    for (unsigned i = 0; i < LINES; i++)
        log_event(LOG_INFO, "thread", LOG_TEXT("text", "0123456789abcdef 0123456789abcdef"),
                  LOG_NUMBER("end", 1));
    return unused;
}

static void log_in_threads(void)
{
    pthread_t threads[THREADS];

    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, log_many, NULL), 0);
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static void lines_of_threads_do_not_mix(void **state)
{
    char *line, *rest = output;
    size_t lines = 0;

    (void)state;
    written_by(log_in_threads);
    while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
        assert_string_equal(strstr(line, "] ") + 2,
                            "thread text=\"0123456789abcdef 0123456789abcdef\" end=1");
        lines++;
    }
    assert_int_equal(lines, THREADS * LINES);
}

static void levels_have_names(void **state)
{
    enum log_level level = LOG_ERROR;

    (void)state;
    assert_true(log_level_parse(SLICE_LITERAL("debug"), &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_false(log_level_parse(SLICE_LITERAL("loud"), &level));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_their_form),
        cmocka_unit_test(nothing_from_outside_forges_a_line),
        cmocka_unit_test(each_byte_is_written_as_printable_ascii),
        cmocka_unit_test(what_is_too_long_is_cut_and_shown_so),
        cmocka_unit_test(lines_of_threads_do_not_mix),
        cmocka_unit_test(levels_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
