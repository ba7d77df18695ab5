/* A store for each test, in a folder of its own, and commands applied to it one by one. Header-only. */
#ifndef SEALPOST_TESTS_STORE_WORLD_H
#define SEALPOST_TESTS_STORE_WORLD_H

#include "test_support.h"

struct world {
    char dir[64];
    struct store *store;
    uint64_t index; /* of the last command */
};

static inline int world_make(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    assert_non_null(w);
    temporary_folder(w->dir);
    w->store = open_writer(w->dir);
    *state = w;
    return 0;
}

static inline int world_end(void **state)
{
    struct world *w = *state;

    store_close(w->store);
    remove_tree(w->dir);
    free(w);
    return 0;
}

/* The command's status; it is committed. */
static inline enum status run(struct world *w, const struct command *c)
{
    enum status status = apply_at(w->store, ++w->index, c).status;

    commit(w->store);
    return status;
}

#endif
