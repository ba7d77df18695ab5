/*
 * The API over a real socket: api_run() in a process of its own, without TLS, core or smtp; hostile framing,
 * limits, and an end in order. What the answers hold is tested in test_api_resources.c.
 */
#include "api_test.h"

#include "api/api.h"
#include "base/clock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static struct sockaddr_in address;
static pid_t server;
static int stop_fd;

static int start(void **state)
{
    socklen_t len = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)state;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    stop_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (listener < 0 || stop_fd < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        listen(listener, 100) != 0 || getsockname(listener, (struct sockaddr *)&address, &len) != 0) {
        return -1;
    }
    server = fork();
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        struct failure f = {.status = STATUS_OK};
        struct api_options options = {.listeners = {listener},
                                      .listener_count = 1,
                                      .stop_fd = stop_fd,
                                      .kek = SLICE_LITERAL("01234567890123456789012345678901"),
                                      .store = "/nowhere",
                                      .core_socket = "/nowhere/core.sock",
                                      .queue_socket = "/nowhere/queue.sock",
                                      .fetch_socket = "/nowhere/fetch.sock"};
        _exit(api_run(&options, &f) == STATUS_OK ? 0 : 1);
    }
    close(listener);
    return server > 0 ? 0 : -1;
}

/* It must end by itself, soon and well. */
static int stop(void **state)
{
    uint64_t one = 1;
    int status = -1;
    (void)state;
    if (write(stop_fd, &one, sizeof(one)) != sizeof(one) || waitpid(server, &status, 0) != server) {
        return -1;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int dial(void)
{
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0) {
            return; /* the server has had enough */
        }
        data += n;
        len -= (size_t)n;
    }
}

static char answer[1 << 20];

/* Sends, and reads all until the server closes or, with `half`, until we said that nothing more comes. */
static const char *exchange_bytes(const char *request, size_t len)
{
    int fd = dial();
    size_t got = 0;
    ssize_t n;
    send_all(fd, request, len);
    shutdown(fd, SHUT_WR);
    while (got < sizeof(answer) - 1 && (n = recv(fd, answer + got, sizeof(answer) - 1 - got, 0)) > 0) {
        got += (size_t)n;
    }
    answer[got] = '\0';
    close(fd);
    return answer;
}

static size_t count_of(const char *text, const char *what)
{
    size_t n = 0;
    for (const char *at = strstr(text, what); at != NULL; at = strstr(at + 1, what)) {
        n++;
    }
    return n;
}

#define H "Host: x\r\n"

static void clear_requests_are_answered(void **state)
{
    static const struct {
        const char *request, *begin, *holds;
    } cases[] = {
        {"GET /livez HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n", "{\"live\":true}"},
        {"HEAD /livez HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n", "\r\n\r\n"},
        {"GET /readyz HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 503 ",
         "\"core\":\"core is not there"},
        {"GET /metrics HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
         "sealpost_core_ready 0\n"},
        {"GET /v1/users HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 503 ",
         "its store is not open yet"},
        {"GET /nothing HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 404 ",
         "application/problem+json"},
        {"PUT /livez HTTP/1.1\r\n" H "Content-Length: 0\r\nConnection: close\r\n\r\n", "HTTP/1.1 405 ",
         "allow: GET\r\n"},
        {"GET /v1/openapi.json HTTP/1.1\r\n" H "Connection: close\r\n\r\n", "HTTP/1.1 200 OK\r\n",
         "\"3.1.0\""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = exchange_bytes(cases[i].request, strlen(cases[i].request));
        if (strncmp(got, cases[i].begin, strlen(cases[i].begin)) != 0 ||
            strstr(got, cases[i].holds) == NULL) {
            fail_msg("%s -> %s", cases[i].request, got);
        }
        assert_null(strstr(got, "h2o"));
    }
}

/* What follows an unclear request would be read by somebody as another request: it must not be answered. */
static void unclear_requests_end_the_connection(void **state)
{
#define NEXT "GET /livez HTTP/1.1\r\n" H "Connection: close\r\n\r\n"
    static const char *const cases[] = {
        "GET /livez HTTP/1.1\r\n" H H "\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\nHost: x\n\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "X: y\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "X : a\r\n\r\n" NEXT,
        "GET /livez HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n" NEXT,
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *got = exchange_bytes(cases[i], strlen(cases[i]));
        if (strncmp(got, "HTTP/1.1 400 ", 13) != 0 || count_of(got, "HTTP/1.1 ") != 1) {
            fail_msg("%zu: %s -> %s", i, cases[i], got);
        }
    }
}

static void there_is_no_http2(void **state)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char upgrade[] =
        "GET /livez HTTP/1.1\r\n" H "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        "HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
    (void)state;
    assert_int_equal(strncmp(exchange_bytes(preface, sizeof(preface) - 1), "HTTP/1.1 400 ", 13), 0);
    const char *got = exchange_bytes(upgrade, sizeof(upgrade) - 1);
    assert_int_equal(strncmp(got, "HTTP/1.1 200 ", 13), 0);
    assert_null(strstr(got, "101 Switching"));
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    static const char requests[] = "GET /livez HTTP/1.1\r\n" H "\r\nGET /nothing HTTP/1.1\r\n" H "\r\n"
                                   "GET /livez HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    (void)state;
    const char *got = exchange_bytes(requests, sizeof(requests) - 1);
    assert_int_equal(count_of(got, "HTTP/1.1 200 "), 2);
    assert_int_equal(count_of(got, "HTTP/1.1 404 "), 1);
    assert_true(strstr(got, "200") < strstr(got, "404"));
}

/* Just above the API's limit, and far above h2o's: both are told so, though they were still sending. */
static void large_bodies_are_refused_clearly(void **state)
{
    static const size_t sizes[] = {(size_t)5 << 20, (size_t)40 << 20};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char head[200];
        int n = snprintf(head, sizeof(head), "POST /v1/users HTTP/1.1\r\n" H "Content-Length: %zu\r\n\r\n",
                         sizes[i]);
        char *request = malloc((size_t)n + sizes[i]);
        assert_non_null(request);
        memcpy(request, head, (size_t)n);
        memset(request + n, 'a', sizes[i]);
        const char *got = exchange_bytes(request, (size_t)n + sizes[i]);
        free(request);
        /* the first is refused for want of a store before anybody looks at its body */
        const char *expected = i == 0 ? "HTTP/1.1 503 " : "HTTP/1.1 413 ";
        if (strncmp(got, expected, 13) != 0 || strstr(got, "application/problem+json") == NULL) {
            fail_msg("%zu bytes: %.300s", sizes[i], got);
        }
    }
}

static void a_body_makes_no_file(void **state)
{
    char path[64], target[256];
    static char part[1 << 16];
    int fd = dial(), files = 0;
    (void)state;
    static const char head[] = "POST /v1/users HTTP/1.1\r\n" H "Content-Length: 4000000\r\n\r\n";
    send_all(fd, head, sizeof(head) - 1);
    for (int i = 0; i < 50; i++) {
        send_all(fd, part, sizeof(part)); /* not all of it: the server holds what came */
    }
    usleep(300000);
    for (int k = 0; k < 100; k++) {
        assert_true(snprintf(path, sizeof(path), "/proc/%d/fd/%d", server, k) > 0);
        ssize_t n = readlink(path, target, sizeof(target) - 1);
        if (n > 0) {
            target[n] = '\0';
            files += strstr(target, "h2o") != NULL || strstr(target, "deleted") != NULL;
        }
    }
    assert_int_equal(files, 0);
    close(fd);
}

static void many_clients_that_leave_cost_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        int fd = dial();
        static const char request[] = "GET /v1/openapi.json HTTP/1.1\r\n" H "\r\n";
        send_all(fd, request, i % 3 == 0 ? 10 : sizeof(request) - 1);
        close(fd);
    }
    static const char metrics[] = "GET /metrics HTTP/1.1\r\n" H "Connection: close\r\n\r\n";
    const char *got = exchange_bytes(metrics, sizeof(metrics) - 1);
    const char *open = strstr(got, "\nsealpost_api_connections ");
    assert_non_null(open);
    assert_true(strtoul(open + 26, NULL, 10) < 250);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clear_requests_are_answered),
        cmocka_unit_test(unclear_requests_end_the_connection),
        cmocka_unit_test(there_is_no_http2),
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(large_bodies_are_refused_clearly),
        cmocka_unit_test(a_body_makes_no_file),
        cmocka_unit_test(many_clients_that_leave_cost_nothing),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
