/* Settings of TLS to the next hop as one text (smtp/tls_settings.h). */
#include "smtp/tls_settings.h"

#include <openssl/ssl.h>

#define WORDS 6

static const char *const names[WORDS] = {
    "delivery.tls", "delivery.tls_trust",  "delivery.tls_lowest", "delivery.mta_sts",
    NULL,           "delivery.fingerprint"};

enum status tls_settings_collect(struct settings_source *s, struct slice address, struct arena *a,
                                 struct slice *out)
{
    struct buf text = BUF_INIT((size_t)2 * SETTING_VALUE_MAX);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < WORDS && status == STATUS_OK; i++) {
        struct setting_value value = {.text = SLICE_LITERAL("no")};
        if (names[i] != NULL) {
            status = s->get(s->context, names[i], address, &value);
        }
        if (status == STATUS_OK && i > 0) {
            status = buf_append_byte(&text, ' ');
        }
        if (status == STATUS_OK) {
            status = buf_append_slice(&text, value.text);
        }
    }
    if (status == STATUS_OK && !arena_copy(a, buf_slice(&text), out)) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&text);
    return status;
}

static bool words_of(struct slice text, struct slice words[WORDS])
{
    for (size_t i = 0; i < WORDS; i++) {
        size_t end = i + 1 < WORDS ? slice_find_byte(text, ' ') : text.len;
        if (end == text.len && i + 1 < WORDS) {
            return false;
        }
        words[i] = slice_of(text.data, end);
        text = end < text.len ? slice_of(text.data + end + 1, text.len - end - 1) : slice_of(NULL, 0);
    }
    return true;
}

static enum status join_words(const struct slice words[WORDS], struct arena *a, struct slice *out)
{
    struct buf text = BUF_INIT((size_t)2 * SETTING_VALUE_MAX);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < WORDS && status == STATUS_OK; i++) {
        status = i > 0 ? buf_append_byte(&text, ' ') : STATUS_OK;
        if (status == STATUS_OK) {
            status = buf_append_slice(&text, words[i]);
        }
    }
    if (status == STATUS_OK && !arena_copy(a, buf_slice(&text), out)) {
        status = STATUS_NO_MEMORY;
    }
    buf_release(&text);
    return status;
}

enum status tls_settings_require(struct slice text, struct arena *a, struct slice *out)
{
    struct slice words[WORDS];
    if (!words_of(text, words)) {
        return STATUS_INVALID;
    }
    words[4] = SLICE_LITERAL("yes");
    return join_words(words, a, out);
}

enum status tls_settings_relax(struct slice text, struct arena *a, struct slice *out)
{
    struct slice words[WORDS];
    if (!words_of(text, words)) {
        return STATUS_INVALID;
    }
    if (slice_equal(words[0], SLICE_LITERAL("dane"))) {
        words[0] = SLICE_LITERAL("opportunistic");
    }
    words[3] = SLICE_LITERAL("no");
    return join_words(words, a, out);
}

void tls_settings_read(struct slice text, struct tls_settings *out)
{
    struct slice words[WORDS];
    *out = (struct tls_settings){.mode = TLS_MODE_VERIFIED, .lowest = TLS1_3_VERSION, .mta_sts = true};
    if (!words_of(text, words) || !tls_mode_of(words[0], &out->mode)) {
        return;
    }
    out->anchors = slice_equal(words[1], SLICE_LITERAL("store"))  ? TLS_ANCHORS_STORE
                   : slice_equal(words[1], SLICE_LITERAL("both")) ? TLS_ANCHORS_BOTH
                                                                  : TLS_ANCHORS_SYSTEM;
    out->lowest = slice_equal(words[2], SLICE_LITERAL("1.3")) ? TLS1_3_VERSION : TLS1_2_VERSION;
    out->mta_sts = slice_equal(words[3], SLICE_LITERAL("yes"));
    out->require_tls = slice_equal(words[4], SLICE_LITERAL("yes"));
    out->fingerprints = words[5];
}

bool tls_settings_have(const struct tls_settings *s, const uint8_t fingerprint[32])
{
    struct setting_value value = {.setting = setting_at(SETTING_DELIVERY_FINGERPRINT),
                                  .text = s->fingerprints};
    uint8_t one[32];
    for (size_t i = 0; setting_thumbprint_at(&value, i, one); i++) {
        if (memcmp(one, fingerprint, sizeof one) == 0) {
            return true;
        }
    }
    return false;
}
