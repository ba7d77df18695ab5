/* Blocks that double in size, freed together. Any thread, one at a time. */
#include "base/arena.h"

#include <stdarg.h>
#include <stddef.h>

#define ARENA_FIRST_BLOCK ((size_t)4096)
#define ARENA_BLOCK_MAX   ((size_t)1 << 20)

struct arena_block {
    struct arena_block *next;
    size_t size, used;
    _Alignas(max_align_t) uint8_t bytes[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_release(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *next = a->blocks->next;

        free(a->blocks);
        a->blocks = next;
    }
    a->used = 0;
}

static bool add_block(struct arena *a, size_t at_least)
{
    size_t size = ARENA_FIRST_BLOCK;
    struct arena_block *block;

    if (a->blocks != NULL)
        size = a->blocks->size < ARENA_BLOCK_MAX / 2 ? a->blocks->size * 2 : ARENA_BLOCK_MAX;
    if (size < at_least)
        size = at_least;
    if (size > SIZE_MAX - sizeof(*block))
        return false;
    block = malloc(sizeof(*block) + size);
    if (block == NULL)
        return false;
    block->size = size;
    block->used = 0;
    block->next = a->blocks;
    a->blocks = block;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded;
    void *memory;

    if (__builtin_add_overflow(size, _Alignof(max_align_t) - 1, &rounded))
        return NULL;
    rounded &= ~(_Alignof(max_align_t) - 1);
    if (rounded == 0)
        rounded = _Alignof(max_align_t);
    if (rounded > a->max - a->used)
        return NULL;
    if (a->blocks == NULL || a->blocks->size - a->blocks->used < rounded)
        if (!add_block(a, rounded))
            return NULL;
    memory = a->blocks->bytes + a->blocks->used;
    a->blocks->used += rounded;
    a->used += rounded;
    memset(memory, 0, rounded);
    return memory;
}

void *arena_alloc_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

char *arena_text(struct arena *a, struct slice s)
{
    char *text;

    if (s.len == SIZE_MAX)
        return NULL;
    text = arena_alloc(a, s.len + 1);
    if (text != NULL && s.len > 0)
        memcpy(text, s.data, s.len);
    return text;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;
    char *text = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len >= 0)
        text = arena_alloc(a, (size_t)len + 1);
    if (text != NULL && vsnprintf(text, (size_t)len + 1, format, args) != len)
        text = NULL;
    va_end(args);
    return text;
}

bool arena_copy(struct arena *a, struct slice s, struct slice *out)
{
    char *copy = arena_text(a, s);

    if (copy == NULL)
        return false;
    *out = slice_of(copy, s.len);
    return true;
}
