/* A name is resolved by the deadline or not at all, and name servers that are silent do not pile up threads.
 */
#include "node_test.h"

#include "base/clock.h"
#include "node/fetch_resolve.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

static sem_t go, gone;

/* Name servers that do not answer until the test says so. */
static int silent(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    while (sem_wait(&go) != 0) {
    }
    int error = getaddrinfo(host, service, hints, out);
    sem_post(&gone);
    return error;
}

static void an_address_and_a_name_that_is_none(void **state)
{
    struct addrinfo *list;
    struct failure f = {.status = STATUS_OK};
    uint64_t deadline = clock_monotonic_ms() + 20000;
    (void)state;
    assert_int_equal(fetch_resolve("127.0.0.1", 389, deadline, &list, &f), STATUS_OK);
    assert_int_equal(((const struct sockaddr_in *)(const void *)list->ai_addr)->sin_port, htons(389));
    freeaddrinfo(list);
    assert_int_equal(fetch_resolve("no such name", 389, deadline, &list, &f), STATUS_UNAVAILABLE);
    assert_null(list);
}

static void nobody_waits_beyond_the_deadline(void **state)
{
    struct addrinfo *list;
    struct failure f = {.status = STATUS_OK};
    (void)state;
    for (unsigned i = 0; i < FETCH_RESOLVING_MAX; i++) {
        uint64_t start = clock_monotonic_ms();
        assert_int_equal(fetch_resolve_by(silent, "127.0.0.1", 389, start + 5, &list, &f), STATUS_TIMEOUT);
        assert_true(clock_monotonic_ms() >= start + 5);
    }
    assert_int_equal(fetch_resolve_by(silent, "127.0.0.1", 389, clock_monotonic_ms() + 5, &list, &f),
                     STATUS_BUSY);
    for (unsigned i = 0; i < FETCH_RESOLVING_MAX; i++) {
        sem_post(&go);
    }
    for (unsigned i = 0; i < FETCH_RESOLVING_MAX; i++) {
        sem_wait(&gone);
    }
    /* They have ended: there is room again. */
    enum status status;
    uint64_t limit = clock_monotonic_ms() + 20000;
    while ((status = fetch_resolve("127.0.0.1", 389, limit, &list, &f)) == STATUS_BUSY &&
           clock_monotonic_ms() < limit) {
        sched_yield();
    }
    assert_int_equal(status, STATUS_OK);
    freeaddrinfo(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_address_and_a_name_that_is_none),
                                       cmocka_unit_test(nobody_waits_beyond_the_deadline)};
    sem_init(&go, 0, 0);
    sem_init(&gone, 0, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
