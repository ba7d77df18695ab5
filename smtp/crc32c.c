/* CRC-32C (smtp/crc32c.h): SSE 4.2 where there is one, else a table. */
#include "smtp/crc32c.h"

#include <pthread.h>

static uint32_t table[256];
static bool has_instruction;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) {
            c = (c & 1) != 0 ? (c >> 1) ^ 0x82f63b78u : c >> 1;
        }
        table[i] = c;
    }
#if defined(__x86_64__)
    has_instruction = __builtin_cpu_supports("sse4.2") != 0;
#endif
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, struct slice bytes)
{
    uint64_t c = crc;
    size_t i = 0;
    for (; i + 8 <= bytes.len; i += 8) {
        uint64_t word;
        memcpy(&word, bytes.data + i, sizeof word);
        c = __builtin_ia32_crc32di(c, word);
    }
    for (; i < bytes.len; i++) {
        c = __builtin_ia32_crc32qi((uint32_t)c, bytes.data[i]);
    }
    return (uint32_t)c;
}
#endif

uint32_t crc32c(uint32_t crc, struct slice bytes)
{
    pthread_once(&once, prepare);
    crc = ~crc;
#if defined(__x86_64__)
    if (has_instruction) {
        return ~by_instruction(crc, bytes);
    }
#endif
    for (size_t i = 0; i < bytes.len; i++) {
        crc = (crc >> 8) ^ table[(crc ^ bytes.data[i]) & 0xff];
    }
    return ~crc;
}
