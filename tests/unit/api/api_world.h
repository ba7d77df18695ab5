/*
 * The API without HTTP and without core: a real store in a folder of its own, whose writer takes the
 * proposals at once, and scripted answers for the other questions to core and smtp.
 */
#ifndef SEALPOST_TESTS_API_WORLD_H
#define SEALPOST_TESTS_API_WORLD_H

#include "api_test.h"

#include "api/request.h"

struct api_world {
    struct api api; /* first */
    char dir[64];
    struct store *writer;
    uint64_t index;
    size_t proposals; /* how many changes were asked for */
    /* The next question that is not a proposal: what came, and what is answered. */
    struct bus_request *asked; /* the last one; owned */
    enum status answer_status;
    struct buf answer_body;
    bool fail_proposals; /* the leader cannot be reached */
    struct bus_health health;
    struct bus_answer *due; /* the answers that wait for their exchange */
    struct api_job *due_job;
    bool hold_job; /* the next job is not run, but kept in held_job, with its exchange */
    struct api_job *held_job;
    struct exchange *held;
    struct exchange *waiting;
    /* the last answer */
    bool answered;
    int status;
    uint64_t answer_index;
    json_t *json; /* owned */
    char text[131072];
};

#define WORLD_TOKEN "sealpost-test-token"

void api_world_begin(struct api_world *w); /* founds the cluster, with the token above */
void api_world_end(struct api_world *w);

/* Begins a request of the token above and leaves it where it waits. */
void world_begin_request(struct api_world *w, const char *method, const char *target, const char *body);
void world_go_on(struct api_world *w); /* until the answer has come */
/* Runs to the end of the answer; gives the HTTP status. `body` NULL: none. */
int world_ask(struct api_world *w, const char *method, const char *target, const char *body);
int world_ask_as(struct api_world *w, const char *authorization, const char *method, const char *target,
                 struct slice body);
/* A member of the last answer ("items.0.name"), as text; "" if there is none. */
const char *world_text(const struct api_world *w, const char *path);
json_t *world_json(const struct api_world *w, const char *path); /* borrowed */
void world_shell(struct api_world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* {"data": base64 of a file in the world's folder, ... `more`}, in memory that the next call reuses. */
const char *world_file_body(struct api_world *w, const char *name, const char *more);

#endif
