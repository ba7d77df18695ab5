/*
 * What administrators and senders write: values of settings, domains, addresses, endpoints. The first byte
 * chooses the setting. A canonical value is its own canonical form, and an address that was normalised stays
 * as it is.
 */
#include "store/records.h"
#include "store/setting.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_typed(const struct setting *s, struct slice text)
{
    struct setting_value value = {.setting = s, .text = text};
    struct slice host;
    uint16_t port;

    switch (s->type) {
    case SETTING_INTEGER:
    case SETTING_BYTES:
    case SETTING_DURATION:
        if (setting_number(&value) < s->min || setting_number(&value) > s->max)
            abort();
        break;
    case SETTING_CHOICE:
        (void)setting_choice(&value);
        break;
    case SETTING_DURATIONS:
        for (size_t i = 0; i < 300; i += 17)
            if (setting_duration_at(&value, i) < s->min || setting_duration_at(&value, i) > s->max)
                abort();
        break;
    case SETTING_HOSTS:
        for (size_t i = 0; setting_host_at(&value, i, &host, &port); i++)
            if (host.len == 0)
                abort();
        break;
    case SETTING_NETWORKS:
        (void)setting_networks_hold(&value, SLICE_LITERAL("10.1.2.3"));
        (void)setting_networks_hold(&value, SLICE_LITERAL("2001:db8::1"));
        (void)setting_networks_hold(&value, text);
        break;
    default:
        break;
    }
}

static void check_setting(const struct setting *s, struct slice text)
{
    struct buf once = BUF_INIT(SETTING_VALUE_MAX), twice = BUF_INIT(SETTING_VALUE_MAX);
    struct failure f = {0};

    if (setting_canonical(s, text, &once, &f) == STATUS_OK) {
        if (setting_canonical(s, buf_slice(&once), &twice, &f) != STATUS_OK ||
            !slice_equal(buf_slice(&once), buf_slice(&twice)))
            abort();
        read_typed(s, buf_slice(&once));
    } else if (f.text[0] == '\0') {
        abort(); /* a refusal without a reason */
    }
    buf_release(&once);
    buf_release(&twice);
}

static void check_names(struct slice text)
{
    char once[ADDRESS_MAX + 1], twice[ADDRESS_MAX + 1];
    struct slice host;
    uint16_t port;

    if (address_normalise(text, once, NULL) == STATUS_OK &&
        (address_normalise(slice_of_text(once), twice, NULL) != STATUS_OK || strcmp(once, twice) != 0))
        abort();
    if (domain_normalise(text, once, NULL) == STATUS_OK &&
        (domain_normalise(slice_of_text(once), twice, NULL) != STATUS_OK || strcmp(once, twice) != 0))
        abort();
    (void)endpoint_parse(text, &host, &port);
    if (text.len < 16) /* costly */
        (void)setting_nearest(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static size_t count;

    if (size == 0)
        return 0;
    while (setting_at(count) != NULL)
        count++;
    check_setting(setting_at(data[0] % count), slice_of(data + 1, size - 1));
    check_names(slice_of(data + 1, size - 1));
    return 0;
}
