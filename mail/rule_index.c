/*
 * Which rules can hold at all, found without asking each of them.
 *
 * Most rules of a large set are for one recipient, one domain or one sender. Such a rule is filed under the
 * addresses and domains that it needs (its keys); one pass over an address from its end finds the keys of
 * the address, of its domain and of each domain above. A rule that has keys and for which none is found is
 * false, and is not asked. Every other rule is asked as before, in its order.
 *
 * A rule has keys only if asking it could have given nothing but "false": what stands to the left of the
 * condition that gives the key must not be able to fail, for a rule that cannot be evaluated refuses whoever
 * reaches it. (Groups may stand there: only a store that fails makes them fail, and then the message fails.)
 *
 * The keys are the administrator's, so nobody outside can choose them to collide. Pure; one thread for a set.
 */
#include "mail/rule_internal.h"

#define KEYS_MAX   16 /* of one rule; with more it is asked each time */
#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3) /* FNV-1a */

struct rule_key {
    struct rule_key *next;
    const struct rule_condition *condition;
    uint64_t hash;
    size_t rule;
};

static uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * HASH_PRIME;
}

static uint64_t hash_end(uint64_t hash, enum rule_operand operand, enum rule_test test)
{
    hash = hash_byte(hash, (uint8_t)((unsigned)operand << 4 | (unsigned)test));
    return hash ^ hash >> 32;
}

static size_t bucket_of(uint64_t hash)
{
    return hash % RULE_INDEX_BUCKETS;
}

void rule_bits_set(struct rule_bits *bits, size_t rule)
{
    bits->words[rule / 64] |= UINT64_C(1) << rule % 64;
}

void rule_bits_clear(struct rule_bits *bits, size_t rule)
{
    bits->words[rule / 64] &= ~(UINT64_C(1) << rule % 64);
}

/* --- filing --- */

struct keys {
    const struct rule_condition *of[KEYS_MAX];
    size_t count;
    bool of_recipient; /* all of them */
};

static bool is_who(const struct rule_condition *c)
{
    return c->operand == OPERAND_SENDER || c->operand == OPERAND_ENVELOPE_SENDER ||
           c->operand == OPERAND_FROM || c->operand == OPERAND_RECIPIENT;
}

static bool is_key(const struct rule_condition *c)
{
    return is_who(c) && (c->test == TEST_IS || c->test == TEST_DOMAIN || c->test == TEST_BELOW);
}

/* Regular expressions hit limits; header fields and attachments can be too many. */
static bool can_fail(const struct rule_condition *c)
{
    return c->test == TEST_MATCHES || c->operand == OPERAND_HEADER || c->operand == OPERAND_ATTACHMENT_TYPE ||
           c->operand == OPERAND_ATTACHMENT_NAME;
}

static bool node_can_fail(const struct rule_expression *e, uint16_t at)
{
    const struct rule_node *n = &e->nodes[at];
    if (n->type == NODE_CONDITION) {
        return can_fail(&e->conditions[n->condition]);
    }
    bool fails = false;
    uint16_t i = n->first;
    do {
        fails = node_can_fail(e, i);
    } while (!fails && (i = e->nodes[i].next) != 0);
    return fails;
}

static bool keys_of(const struct rule_expression *e, uint16_t at, struct keys *out);

/* Each of them must have keys: none may be true without one. */
static bool keys_of_or(const struct rule_expression *e, const struct rule_node *n, struct keys *out)
{
    uint16_t i = n->first;
    *out = (struct keys){.of_recipient = true};
    do {
        struct keys one;
        if (!keys_of(e, i, &one) || one.count > KEYS_MAX - out->count) {
            return false;
        }
        memcpy(out->of + out->count, one.of, one.count * sizeof one.of[0]);
        out->count += one.count;
        out->of_recipient = out->of_recipient && one.of_recipient;
    } while ((i = e->nodes[i].next) != 0);
    return true;
}

/* One of them is enough. The first, but better one that asks for the recipient: the sender is mostly ours. */
static bool keys_of_and(const struct rule_expression *e, const struct rule_node *n, struct keys *out)
{
    uint16_t i = n->first;
    bool found = false;
    do {
        struct keys one;
        if (keys_of(e, i, &one) && (!found || one.of_recipient)) {
            *out = one;
            found = true;
        }
    } while (!(found && out->of_recipient) && !node_can_fail(e, i) && (i = e->nodes[i].next) != 0);
    return found;
}

static bool keys_of(const struct rule_expression *e, uint16_t at, struct keys *out)
{
    const struct rule_node *n = &e->nodes[at];
    switch (n->type) {
    case NODE_CONDITION: {
        const struct rule_condition *c = &e->conditions[n->condition];
        *out = (struct keys){.of = {c}, .count = 1, .of_recipient = c->operand == OPERAND_RECIPIENT};
        return is_key(c);
    }
    case NODE_AND:
        return keys_of_and(e, n, out);
    case NODE_OR:
        return keys_of_or(e, n, out);
    default:
        return false;
    }
}

enum status rule_index_add(struct ruleset *set, size_t position)
{
    const struct rule *rule = &set->rules[position];
    struct keys keys;
    if (rule->broken.len > 0 || !keys_of(&rule->when, rule->when.root, &keys)) {
        rule_bits_set(&set->index.unfiled, position);
        return STATUS_OK;
    }
    for (size_t i = 0; i < keys.count; i++) {
        const struct rule_condition *c = keys.of[i];
        struct rule_key *key = arena_alloc(&set->arena, sizeof *key);
        if (key == NULL) {
            return STATUS_NO_MEMORY;
        }
        uint64_t hash = HASH_START;
        for (size_t at = c->text.len; at > 0; at--) {
            hash = hash_byte(hash, c->text.data[at - 1]);
        }
        hash = hash_end(hash, c->operand, c->test);
        struct rule_key **bucket = &set->index.buckets[bucket_of(hash)];
        *key = (struct rule_key){.next = *bucket, .condition = c, .hash = hash, .rule = position};
        *bucket = key;
    }
    return STATUS_OK;
}

/* --- finding --- */

static void look_up(const struct ruleset *set, enum rule_operand operand, enum rule_test test, uint64_t hash,
                    struct slice text, struct rule_bits *out)
{
    hash = hash_end(hash, operand, test);
    for (const struct rule_key *key = set->index.buckets[bucket_of(hash)]; key != NULL; key = key->next) {
        const struct rule_condition *c = key->condition;
        if (key->hash == hash && c->operand == operand && c->test == test && slice_equal(c->text, text)) {
            rule_bits_set(out, key->rule);
        }
    }
}

void rule_index_find(const struct ruleset *set, enum rule_operand operand, struct slice address,
                     struct rule_bits *out)
{
    size_t domain = address.len - address_domain(address).len;
    uint64_t hash = HASH_START;
    for (size_t at = address.len; at-- > 0;) {
        struct slice tail = slice_of(address.data + at, address.len - at);
        hash = hash_byte(hash, address.data[at]);
        if (at > domain && address.data[at] == '.') {
            look_up(set, operand, TEST_BELOW, hash, tail, out);
        } else if (at == domain) {
            look_up(set, operand, TEST_DOMAIN, hash, tail, out);
        }
    }
    if (address.len > 0) {
        look_up(set, operand, TEST_IS, hash, address, out);
    }
}
