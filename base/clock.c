/* The only place that asks the kernel for time and randomness, and the texts of times and identifiers. Any
 * thread. */
#include "base/clock.h"

#include <errno.h>
#include <sys/random.h>

static uint64_t read_clock_ms(clockid_t clock)
{
    struct timespec now;

    if (clock_gettime(clock, &now) != 0)
        abort();
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t clock_wall_ms(void)
{
    return read_clock_ms(CLOCK_REALTIME);
}

uint64_t clock_monotonic_ms(void)
{
    return read_clock_ms(CLOCK_MONOTONIC);
}

void random_bytes(void *out, size_t len)
{
    uint8_t *at = out;

    while (len > 0) {
        ssize_t got = getrandom(at, len, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        at += got;
        len -= (size_t)got;
    }
}

void id_make(uint8_t id[ID_SIZE], uint64_t wall_ms, const uint8_t random[10])
{
    for (unsigned i = 0; i < 6; i++)
        id[i] = (uint8_t)(wall_ms >> (40 - 8 * i));
    memcpy(id + 6, random, 10);
}

static const char base32_digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

/* 128 bits are 25 digits of 5 bits and a first one of 3. */
void id_format(const uint8_t id[ID_SIZE], char text[ID_TEXT_SIZE])
{
    unsigned __int128 value = 0;

    for (unsigned i = 0; i < ID_SIZE; i++)
        value = value << 8 | id[i];
    for (unsigned i = ID_TEXT_SIZE - 1; i-- > 0;) {
        text[i] = base32_digits[(unsigned)(value & 31)];
        value >>= 5;
    }
    text[ID_TEXT_SIZE - 1] = '\0';
}

bool id_parse(struct slice text, uint8_t id[ID_SIZE])
{
    unsigned __int128 value = 0;

    if (text.len != ID_TEXT_SIZE - 1 || text.data[0] > '7')
        return false;
    for (size_t i = 0; i < text.len; i++) {
        const char *digit = text.data[i] == 0 ? NULL : strchr(base32_digits, text.data[i]);

        if (digit == NULL)
            return false;
        value = value << 5 | (unsigned)(digit - base32_digits);
    }
    for (unsigned i = ID_SIZE; i-- > 0;) {
        id[i] = (uint8_t)value;
        value >>= 8;
    }
    return true;
}

/* Year 9999 is the last that both formats can show; later times are shown as its end. */
static void broken_down(uint64_t wall_ms, struct tm *out)
{
    time_t seconds = (time_t)(wall_ms / 1000 > 253402300799ULL ? 253402300799ULL : wall_ms / 1000);

    if (gmtime_r(&seconds, out) == NULL)
        memset(out, 0, sizeof(*out));
}

void time_format_rfc3339(uint64_t wall_ms, char text[TIME_RFC3339_SIZE])
{
    struct tm t;

    broken_down(wall_ms, &t);
    if (strftime(text, TIME_RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &t) == 0)
        text[0] = '\0';
}

bool time_parse_rfc3339(struct slice text, uint64_t *wall_ms)
{
    char copy[TIME_RFC3339_SIZE] = "", again[TIME_RFC3339_SIZE];
    struct tm t = {0};
    const char *end;
    time_t seconds;

    if (text.len != 10 && text.len != TIME_RFC3339_SIZE - 1)
        return false;
    memcpy(copy, text.data, text.len);
    if (text.len == 10)
        memcpy(copy + 10, "T00:00:00Z", sizeof("T00:00:00Z"));
    end = strptime(copy, "%Y-%m-%dT%H:%M:%SZ", &t);
    if (end == NULL || *end != '\0')
        return false;
    seconds = timegm(&t);
    if (seconds < 0)
        return false;
    time_format_rfc3339((uint64_t)seconds * 1000, again); /* the 31st of April is none */
    if (memcmp(copy, again, sizeof(copy)) != 0)
        return false;
    *wall_ms = (uint64_t)seconds * 1000;
    return true;
}

void time_format_rfc5322(uint64_t wall_ms, char text[TIME_RFC5322_SIZE])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm t;
    int len;

    broken_down(wall_ms, &t);
    len = snprintf(text, TIME_RFC5322_SIZE, "%s, %02u %s %04u %02u:%02u:%02u +0000", days[t.tm_wday % 7],
                   (unsigned)t.tm_mday % 100, months[t.tm_mon % 12], (unsigned)(t.tm_year + 1900) % 10000,
                   (unsigned)t.tm_hour % 100, (unsigned)t.tm_min % 100, (unsigned)t.tm_sec % 100);
    if (len < 0)
        text[0] = '\0';
}
