/*
 * A small world for tests of the policy and the flow: a store in a folder of its own, a CA and certificates
 * made by the openssl tool, settings. Partners are at partner.example, ours at ours.example (internal).
 */
#ifndef SEALPOST_TESTS_MAIL_WORLD_H
#define SEALPOST_TESTS_MAIL_WORLD_H

#include "mail_test.h"

#include "mail/flow.h"
#include "mail/policy.h"

#define DAY_MS ((uint64_t)86400000)

struct world {
    char dir[64];
    struct store *writer, *reader;
    uint64_t index, random;
    uint64_t now_ms;       /* ten days ahead of the clock: certificates of one day have expired */
    const char *client_ip; /* of world_process(); NULL: none */
    uint64_t job_flags;    /* of world_process() */
    size_t open_max;       /* of world_process(); 0: OPEN_MAX */
    struct keyring keyring;
    struct arena arena; /* of the last call */
    struct store_view *view;
    struct trust *trust;
    struct issuers *issuers;
    struct known *known;
    struct mail_output out;
    /* of the environment (mail/flow.h), with this world as its context; NULL: none */
    enum status (*issue_key)(struct mail_environment *env, struct slice address, struct failure *f);
    size_t told; /* signatures that the last world_process() told whoever learns certificates of */
};

/* Runs the shell command in the world's folder; fails the test when it fails. */
void world_shell(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* True when it succeeds. */
bool world_try(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void world_make(struct world *w);
void world_end(struct world *w);
/* A command in the world's time; the caller fills its fields, and applies it: a refusal fails the test. */
struct command world_command(struct world *w, enum command_number number);
void world_apply(struct world *w, struct command *c);
/* `value` NULL: no longer set. */
void world_set(struct world *w, enum setting_level level, const char *scope, const char *name,
               const char *value);
/* Makes NAME.key and NAME.pem, signed by the CA unless `self`, and imports the certificate; `with_key`: the
 * key too. */
struct identity {
    const char *name, *address;
    const char *key_type; /* "rsa:2048", "ec", ... as for openssl's -newkey */
    unsigned days;
    bool self, with_key, knows_gcm;
    bool ca;            /* may issue others */
    const char *issuer; /* another identity's name; NULL: the CA that is trusted */
    const char *usage;  /* keyUsage; NULL: digitalSignature,keyEncipherment,keyAgreement */
};
/* A world with these people. */
void world_make_with(struct world *w, const struct identity *people, size_t count);
/* Puts a record into the store that no import would make. */
void world_add_record(struct world *w, const struct certificate_record *record);
void world_identity(struct world *w, const struct identity *id);
/* Decides and makes; `recipients` ends with NULL. The result is in w->out until the next call. */
void world_process(struct world *w, const char *sender, const char *const *recipients, struct slice message);
void world_process_text(struct world *w, const char *sender, const char *const *recipients,
                        const char *message);
/* A view on what is set now, in w->view and w->trust. */
void world_look(struct world *w);
/* The position of the variant that the recipient gets. */
size_t world_variant_of(const struct world *w, size_t recipient);
/* Its content; the input's for an unchanged one. */
struct slice world_content(const struct world *w, size_t variant, struct slice input);
/* The test fails, and says why, unless the last call accepted the message; the first variant's content. */
void world_assert_accepted(const struct world *w);
struct slice world_accepted(const struct world *w);
void world_file_write(struct world *w, const char *name, struct slice content);
void world_file_read(struct world *w, const char *name, struct buf *out);
/* The same as a message: each line ends with CRLF. */
void world_message_read(struct world *w, const char *name, struct buf *out);

#endif
