/* What the benchmarks of policy share: a store that is filled by commands, groups, and rules as
 * administrators write them. Whatever fails ends the program. */
#ifndef SEALPOST_BENCH_POLICY_WORLD_H
#define SEALPOST_BENCH_POLICY_WORLD_H

#include "mail/rule.h"
#include "store/command.h"
#include "store/setting.h"

#define BOOT SLICE_LITERAL("11111111-2222-3333-4444-555555555555")

void require(bool good, const char *what);
double now_us(void);
/* Applies a command at the store's next index; the batch stays open until world_commit(). */
void world_apply(struct store *store, const struct command *c);
void world_set(struct store *store, enum setting_level level, const char *scope, const char *name,
               const char *value);
void world_commit(struct store *store); /* also when nothing was applied */
void make_groups(struct store *store);  /* 20 groups of 100 */
/* The i-th of `count` rules of ten kinds; none but the last matches. */
void rule_text(unsigned i, unsigned count, char when[300]);

#endif
