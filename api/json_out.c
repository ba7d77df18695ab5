/* See json_out.h. */
#include "api/json_out.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/secret.h"

#include <malloc.h>

json_t *json_of_slice(struct slice s)
{
    json_t *value = json_stringn(s.data != NULL ? (const char *)s.data : "", s.data != NULL ? s.len : 0);
    if (value != NULL || s.data == NULL) {
        return value;
    }
    char *copy = malloc(s.len + 1);
    if (copy == NULL) {
        abort();
    }
    for (size_t i = 0; i < s.len; i++) {
        copy[i] = (char)(s.data[i] < 0x80 ? s.data[i] : '?');
    }
    value = json_stringn(s.len > 0 ? copy : "", s.len);
    free(copy);
    return value;
}

json_t *json_of_hex(struct slice bytes)
{
    char text[129];
    if (bytes.len > 64) {
        bytes.len = 64;
    }
    hex_format(bytes, text);
    return json_string(text);
}

json_t *json_of_time(uint64_t wall_ms)
{
    char text[TIME_RFC3339_SIZE];
    if (wall_ms == 0) {
        return json_null();
    }
    time_format_rfc3339(wall_ms, text);
    return json_string(text);
}

json_t *json_of_number(uint64_t number)
{
    return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

void json_put(json_t *object, const char *name, json_t *value)
{
    json_object_set_new(object, name, value);
}

json_t *json_page(json_t *list, json_t *next)
{
    json_t *page = json_object();
    json_put(page, "items", list);
    if (next != NULL) {
        json_put(page, "next", next);
    }
    return page;
}

static int digit_of(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z') {
        return byte - 'A';
    }
    if (byte >= 'a' && byte <= 'z') {
        return byte - 'a' + 26;
    }
    if (byte >= '0' && byte <= '9') {
        return byte - '0' + 52;
    }
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

enum status base64_text_decode(struct slice text, struct buf *out)
{
    uint32_t bits = 0;
    unsigned digits = 0, padding = 0;
    enum status status = buf_reserve(out, text.len / 4 * 3 + 3);
    for (size_t i = 0; i < text.len && status == STATUS_OK; i++) {
        uint8_t byte = text.data[i];
        if (byte == '\r' || byte == '\n' || byte == ' ' || byte == '\t') {
            continue;
        }
        int digit = digit_of(byte);
        padding += byte == '=';
        if (byte == '=' ? padding > 2 : digit < 0 || padding > 0) {
            return STATUS_MALFORMED;
        }
        bits = bits << 6 | (uint32_t)(digit < 0 ? 0 : digit);
        if (++digits % 4 == 0) {
            uint8_t bytes[3] = {(uint8_t)(bits >> 16), (uint8_t)(bits >> 8), (uint8_t)bits};
            status = buf_append(out, bytes, 3u - padding);
        }
    }
    return status != STATUS_OK ? status : digits % 4 == 0 ? STATUS_OK : STATUS_MALFORMED;
}

enum status file_text_decode(struct slice text, struct buf *out)
{
    struct slice mark = SLICE_LITERAL("-----BEGIN ");
    if (text.len > 0 && memmem(text.data, text.len, mark.data, mark.len) != NULL) {
        return buf_append_slice(out, text);
    }
    return base64_text_decode(text, out);
}

static void *allocate(size_t size)
{
    void *memory = malloc(size);
    if (memory == NULL) {
        abort();
    }
    return memory;
}

static void release(void *memory)
{
    if (memory != NULL) {
        secret_wipe(memory, malloc_usable_size(memory));
        free(memory);
    }
}

void api_memory_set_up(void)
{
    json_set_alloc_funcs(allocate, release);
}
