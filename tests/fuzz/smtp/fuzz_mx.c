/*
 * What DNS says, as an attacker who owns a zone would have it: a domain's text, then records as [type, state,
 * length, RDATA]. What must hold: hosts have names that DNS may be asked for and addresses that somebody can
 * have, in the order of preference; with none there is a reason.
 */
#include "smtp/mx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(what)                                                                                           \
    do {                                                                                                     \
        if (!(what)) {                                                                                       \
            __builtin_trap();                                                                                \
        }                                                                                                    \
    } while (0)

#define RECORDS 40

struct input {
    const uint8_t *data;
    size_t left;
};

static struct slice take(struct input *in, size_t n)
{
    n = n < in->left ? n : in->left;
    struct slice out = slice_of(in->data, n);
    in->data += n;
    in->left -= n;
    return out;
}

static size_t take_byte(struct input *in)
{
    struct slice s = take(in, 1);
    return s.len == 1 ? s.data[0] : 0;
}

static struct resolved take_answer(struct input *in, struct slice records[RECORDS])
{
    struct resolved out = {.name = "", .note = "", .records = records};
    out.state = (enum resolved_state)(take_byte(in) % (RESOLVED_TIMEOUT + 1));
    size_t count = take_byte(in) % RECORDS;
    while (out.state == RESOLVED_FOUND && out.count < count) {
        records[out.count++] = take(in, take_byte(in));
    }
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mx_plan p;
    struct input in = {data, size};
    struct slice records[RECORDS];
    struct mx_own own = {.name = "we.example"};
    char normal[DNS_NAME_MAX + 1];
    uint64_t random = take_byte(&in);
    if (mx_begin(&p, take(&in, take_byte(&in)), 25)) {
        MUST(dns_name_normalise(slice_of_text(p.domain), normal) && strcmp(normal, p.domain) == 0);
        struct resolved answer = take_answer(&in, records);
        if (!mx_read(&p, &answer, random)) {
            MUST(p.count == 0 && p.fate != MX_HOSTS && p.why[0] != '\0');
            return 0;
        }
        for (size_t i = 0; i < p.count; i++) {
            MUST(dns_name_normalise(slice_of_text(p.hosts[i].name), normal));
            answer = take_answer(&in, records);
            mx_address(&p, i, DNS_TYPE_A, &answer);
            answer = take_answer(&in, records);
            mx_address(&p, i, DNS_TYPE_AAAA, &answer);
        }
    } else if (p.fate != MX_HOSTS) {
        MUST(p.count == 0 && p.why[0] != '\0');
        return 0;
    }
    mx_finish(&p, &own, 25, random);
    MUST((p.count > 0) == (p.fate == MX_HOSTS) && p.count <= MX_HOSTS_MAX);
    for (size_t i = 0; i < p.count; i++) {
        MUST(p.hosts[i].count > 0 && p.hosts[i].count <= MX_ADDRESSES_MAX);
        MUST(i == 0 || p.hosts[i - 1].preference <= p.hosts[i].preference);
        MUST(strcmp(p.hosts[i].name, "we.example") != 0);
    }
    return 0;
}
