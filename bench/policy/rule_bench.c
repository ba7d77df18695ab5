/*
 * What rules cost: a message with 40 header fields and three attachments, 100 recipients, and 200 rules of
 * the kinds that administrators write: a group and a domain, a header field, a subject, attachments, sizes;
 * every tenth asks by regular expression. None matches but the last, so that all are asked.
 *
 *   rule_bench [RULES [RECIPIENTS]]
 *
 * Prints microseconds for compiling the set, for beginning a message with its first recipient (which finds
 * what the message's own conditions give), and for each further recipient.
 */
#include "bench/policy/bench_world.h"

#include <stdlib.h>

static void make_message(struct buf *out)
{
    for (int i = 0; i < 40; i++) {
        require(buf_printf(out,
                           "X-Field-%d: value number %d of a header field, of some length as they come\r\n",
                           i, i) == STATUS_OK,
                "no memory");
    }
    require(buf_printf(out, "X-Class: public\r\n\r\nbody\r\n") == STATUS_OK, "no memory");
}

int main(int argc, char **argv)
{
    unsigned rules = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
    unsigned recipients = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 100;
    char dir[] = "/tmp/rule-bench-XXXXXX", path[64], when[300], address[64], remove[80];
    struct store *store;
    struct store_view *view;
    struct ruleset *set;
    struct failure f = {.status = STATUS_OK};
    struct arena a;
    struct buf text = BUF_INIT((size_t)1 << 20);
    struct entity message;
    struct attachment attachments[3] = {{SLICE_LITERAL("application/pdf"), SLICE_LITERAL("offer.pdf"), 1000},
                                        {SLICE_LITERAL("image/png"), SLICE_LITERAL("logo.png"), 1000},
                                        {SLICE_LITERAL("text/csv"), SLICE_LITERAL("list.csv"), 1000}};
    require(rules > 0 && rules <= RULES_MAX && recipients > 1, "usage: rule_bench [RULES [RECIPIENTS]]");
    require(mkdtemp(dir) != NULL && snprintf(path, sizeof path, "%s/state", dir) > 0, "no folder");
    require(store_open_writer(path, BOOT, &store, &f) == STATUS_OK, f.text);
    make_groups(store);
    require(store_view_begin(store, &view, &f) == STATUS_OK && ruleset_new(&set) == STATUS_OK, "no memory");
    double begin = now_us();
    for (unsigned i = 0; i < rules; i++) {
        rule_text(i, rules, when);
        require(ruleset_add(set, view, SLICE_LITERAL("rule"), slice_of_text(when),
                            SLICE_LITERAL("tag \"X-A: b\""), &f) == STATUS_OK &&
                    f.status == STATUS_OK,
                f.text);
    }
    printf("compiling %u rules        %10.1f us\n", rules, now_us() - begin);
    make_message(&text);
    double first = 0, more = 0;
    enum { ROUNDS = 50 };
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct rule_run *run;
        struct rule_outcome out;
        arena_init(&a, (size_t)64 << 20);
        require(entity_read(buf_slice(&text), &a, &message, &f) == STATUS_OK, "no message");
        struct message_facts facts = {
            .message = &message, .size = 300000, .attachments = attachments, .attachment_count = 3};
        struct rule_subject subject = {.envelope_sender = SLICE_LITERAL("user5@d5.example"),
                                       .from = SLICE_LITERAL("user5@d5.example"),
                                       .subject = SLICE_LITERAL("An offer for the matter that we spoke of"),
                                       .message = &facts,
                                       .client_ip = SLICE_LITERAL("10.1.2.3")};
        begin = now_us();
        require(rule_run_begin(set, &subject, view, 0, &a, &run) == STATUS_OK, "no memory");
        for (unsigned i = 0; i < recipients; i++) {
            require(snprintf(address, sizeof address, "user%u@d%u.example", i + 1000, (i + 1000) % 50) > 0,
                    "no text");
            require(rule_run_recipient(run, slice_of_text(address), &out, NULL, &f) == STATUS_OK &&
                        out.matched == 1 && out.broken.len == 0,
                    "a wrong answer");
            if (i == 0) {
                first += now_us() - begin;
                begin = now_us();
            }
        }
        more += (now_us() - begin) / (recipients - 1);
        arena_release(&a);
    }
    printf("message, first recipient  %10.2f us\neach further recipient    %10.2f us\n", first / ROUNDS,
           more / ROUNDS);
    ruleset_free(set);
    store_view_end(view);
    store_close(store);
    buf_release(&text);
    require(snprintf(remove, sizeof remove, "rm -rf %s", dir) > 0 && system(remove) == 0,
            "cannot remove its folder");
    return 0;
}
