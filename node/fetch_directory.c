/*
 * One search in a directory (fetch_directory.h).
 *
 * The connection is made here and given to libldap, so that the address to which the name resolved is the one
 * that the guard saw. Then one anonymous search with the filter of the look-up, and the values of its
 * attribute. What the directory says is hostile: values are bounded, and whoever asked checks what is in
 * them.
 */
#include "node/fetch_directory.h"

#include "base/clock.h"
#include "node/fetch_guard.h"
#include "node/fetch_resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <ldap.h>
#include <poll.h>
#include <unistd.h>

#define ENTRIES_MAX 4
#define CA_FILE     "/etc/ssl/certs/ca-certificates.crt"

/* Exported and documented in ldap_init_fd(3); declared only in a header that is not installed. */
int ldap_init_fd(ber_socket_t fd, int proto, LDAP_CONST char *url, LDAP **ld);
#define LDAP_PROTO_TCP 1

static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '@' ||
           c == '.' || c == '-' || c == '_';
}

/* \xx for the filter, whose backslash is %5C in the URL. */
static enum status address_append(struct slice address, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < address.len && status == STATUS_OK; i++) {
        uint8_t c = address.data[i];
        status = is_plain(c) ? buf_append_byte(out, c) : buf_printf(out, "%%5C%02x", c);
    }
    return status;
}

enum status directory_url(struct slice lookup, struct slice address, struct buf *out)
{
    enum status status = STATUS_OK;
    for (size_t i = 0; i < lookup.len && status == STATUS_OK; i++) {
        if (lookup.data[i] == '%' && i + 1 < lookup.len && lookup.data[i + 1] == 's') {
            status = address_append(address, out);
            i++;
        } else {
            status = buf_append_byte(out, lookup.data[i]);
        }
    }
    return status != STATUS_OK ? status : buf_text(out) != NULL ? STATUS_OK : STATUS_NO_MEMORY;
}

void directory_start(void)
{
    int on = 1;
    (void)setenv("LDAPNOINIT", "1", 1);
    (void)ldap_set_option(NULL, LDAP_OPT_PROTOCOL_VERSION, &(int){LDAP_VERSION3});
    (void)ldap_set_option(NULL, LDAP_OPT_X_TLS_REQUIRE_CERT, &(int){LDAP_OPT_X_TLS_DEMAND});
    if (access(CA_FILE, R_OK) == 0) {
        (void)ldap_set_option(NULL, LDAP_OPT_X_TLS_CACERTFILE, CA_FILE);
    }
    (void)ldap_set_option(NULL, LDAP_OPT_RESTART, &on);
}

/* --- the connection --- */

static enum status connect_to(const struct addrinfo *to, unsigned timeout_ms, int *out, struct failure *f)
{
    int error = 0;
    socklen_t len = sizeof error;
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
    int fd = socket(to->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return failure_errno(f, errno, "cannot make a socket");
    }
    if (connect(fd, to->ai_addr, to->ai_addrlen) != 0 && errno != EINPROGRESS) {
        error = errno;
    } else {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        if (poll(&p, 1, (int)timeout_ms) == 0) {
            error = ETIMEDOUT;
        } else if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
            error = errno;
        }
    }
    /* libldap reads on a blocking socket; this ends a read from a server that stops within a message. */
    if (error == 0 &&
        (fcntl(fd, F_SETFL, 0) != 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
         setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0)) {
        error = errno;
    }
    if (error != 0) {
        close(fd);
        return failure_set(f, STATUS_UNAVAILABLE, "no connection to the directory: %s",
                           strerrordesc_np(error));
    }
    *out = fd;
    return STATUS_OK;
}

static enum status connect_guarded(const char *host, int port, struct slice allowed, uint64_t deadline,
                                   int *out, struct failure *f)
{
    struct addrinfo *list = NULL;
    enum status status = fetch_resolve(host, port, deadline, &list, f);
    if (status != STATUS_OK) {
        return status;
    }
    status = failure_set(f, STATUS_UNAVAILABLE, "the directory has no address");
    for (const struct addrinfo *at = list; at != NULL && status != STATUS_OK; at = at->ai_next) {
        uint64_t now = clock_monotonic_ms();
        if (now >= deadline) {
            status = failure_set(f, STATUS_TIMEOUT, "no answer in time");
            break;
        }
        status = fetch_guard_address(at->ai_addr, allowed, f);
        if (status == STATUS_OK) {
            status = connect_to(at, (unsigned)(deadline - now), out, f);
        }
    }
    freeaddrinfo(list);
    return status;
}

/* --- the search --- */

static enum status ldap_failure(struct failure *f, int error, const char *doing)
{
    return failure_set(f, error == LDAP_TIMEOUT ? STATUS_TIMEOUT : STATUS_UNAVAILABLE, "%s: %s", doing,
                       ldap_err2string(error));
}

static bool values_take(LDAP *ld, LDAPMessage *entry, const char *attribute, struct arena *a,
                        struct slice *found, size_t *count)
{
    struct berval **values = ldap_get_values_len(ld, entry, attribute);
    bool good = true;
    for (size_t i = 0; values != NULL && values[i] != NULL && *count < DIRECTORY_CERTIFICATES_MAX && good;
         i++) {
        struct slice value = slice_of(values[i]->bv_val, values[i]->bv_len);
        if (value.len > 0 && value.len <= DIRECTORY_CERTIFICATE_MAX) {
            good = arena_copy(a, value, &found[*count]);
            *count += good;
        }
    }
    ldap_value_free_len(values);
    return good;
}

static enum status entries_take(LDAP *ld, LDAPMessage *result, struct arena *a, struct slice *found,
                                size_t *count)
{
    bool good = true;
    for (LDAPMessage *e = ldap_first_entry(ld, result); e != NULL && good; e = ldap_next_entry(ld, e)) {
        BerElement *ber = NULL;
        for (char *name = ldap_first_attribute(ld, e, &ber); name != NULL && good;
             name = ldap_next_attribute(ld, e, ber)) {
            good = values_take(ld, e, name, a, found, count);
            ldap_memfree(name);
        }
        ber_free(ber, 0);
    }
    return good ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status search(LDAP *ld, LDAPURLDesc *url, uint64_t deadline, struct arena *a, struct slice *found,
                          size_t *count, struct failure *f)
{
    uint64_t now = clock_monotonic_ms(), left = deadline > now ? deadline - now : 1;
    struct timeval limit = {.tv_sec = (time_t)(left / 1000), .tv_usec = (suseconds_t)(left % 1000 * 1000)};
    LDAPMessage *result = NULL;
    (void)ldap_set_option(ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF);
    (void)ldap_set_option(ld, LDAP_OPT_NETWORK_TIMEOUT, &limit);
    (void)ldap_set_option(ld, LDAP_OPT_TIMEOUT, &limit);
    int error = strcmp(url->lud_scheme, "ldaps") == 0 ? ldap_install_tls(ld) : LDAP_SUCCESS;
    if (error != LDAP_SUCCESS) {
        return ldap_failure(f, error, "no TLS with the directory");
    }
    error = ldap_search_ext_s(ld, url->lud_dn, url->lud_scope, url->lud_filter, url->lud_attrs, 0, NULL, NULL,
                              &limit, ENTRIES_MAX, &result);
    enum status status = STATUS_OK;
    if (error == LDAP_SUCCESS || error == LDAP_SIZELIMIT_EXCEEDED) {
        if (result != NULL && entries_take(ld, result, a, found, count) != STATUS_OK) {
            status = failure_set(f, STATUS_NO_MEMORY, "no memory for certificates");
        }
    } else if (error != LDAP_NO_SUCH_OBJECT) {
        status = ldap_failure(f, error, "the directory does not answer the search");
    }
    ldap_msgfree(result);
    return status;
}

/* Takes `fd`. libldap wants the URL of the server alone; its name is what a TLS certificate must be for. */
static enum status session_begin(const LDAPURLDesc *url, int fd, LDAP **ld, struct failure *f)
{
    struct buf server = BUF_INIT(1024);
    bool v6 = strchr(url->lud_host, ':') != NULL;
    int error = LDAP_NO_MEMORY;
    *ld = NULL;
    if (buf_printf(&server, v6 ? "%s://[%s]:%d" : "%s://%s:%d", url->lud_scheme, url->lud_host,
                   url->lud_port) == STATUS_OK &&
        buf_text(&server) != NULL) {
        error = ldap_init_fd(fd, LDAP_PROTO_TCP, buf_text(&server), ld);
    }
    buf_release(&server);
    if (error == LDAP_SUCCESS) {
        return STATUS_OK;
    }
    close(fd);
    *ld = NULL;
    return ldap_failure(f, error, "no session with the directory");
}

enum status directory_ask(const char *url, struct slice allowed, unsigned timeout_ms, struct arena *a,
                          struct slice found[DIRECTORY_CERTIFICATES_MAX], size_t *count, struct failure *f)
{
    uint64_t deadline = clock_monotonic_ms() + timeout_ms;
    LDAPURLDesc *parsed = NULL;
    LDAP *ld = NULL;
    int fd = -1;
    *count = 0;
    if (ldap_url_parse(url, &parsed) != LDAP_URL_SUCCESS || parsed->lud_host == NULL ||
        parsed->lud_filter == NULL) {
        ldap_free_urldesc(parsed);
        return failure_set(f, STATUS_INVALID, "the directory's URL cannot be read");
    }
    enum status status = connect_guarded(parsed->lud_host, parsed->lud_port, allowed, deadline, &fd, f);
    if (status == STATUS_OK) {
        status = session_begin(parsed, fd, &ld, f);
    }
    if (status == STATUS_OK) {
        status = search(ld, parsed, deadline, a, found, count, f);
    }
    if (ld != NULL) {
        (void)ldap_unbind_ext_s(ld, NULL, NULL);
    }
    ldap_free_urldesc(parsed);
    return status;
}
