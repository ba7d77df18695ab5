/*
 * See node/smtp_notices.h.
 *
 * When all goes well: the leader's node plans, a page a tick, whenever the state has changed and once an
 * hour; what is found is gathered for notify.gather; then each mail is claimed by a command that names this
 * node. A claim of this node's is sent as soon as it is seen in the state, under the id that the claim says,
 * and when it is durable in the spool another command says so: then it counts as told.
 *
 * What can go wrong: this process dies after the claim: it starts again, sees its claim and looks whether
 * spool or message log know the id; else it sends it now. The node does not come back: whoever leads takes
 * the claim over when it is NOTICE_LEASE_MS old; a node begins nothing in the second half of that time. The
 * mail is refused for good: that is noted, nothing counts as told, and the next day brings another try. At
 * the very worst (a node is lost between the spool's sync and the second command) a mail comes twice, with
 * one Message-ID; it never counts as told without being in a spool.
 */
#include "node/smtp_notices.h"

#include "base/log.h"
#include "mail/notice.h"
#include "store/command.h"
#include "store/notice_plan.h"
#include "store/setting.h"

#define PAUSE_MS            1000
#define PAUSE_SHARE         20 /* planning takes at most one part of the time in so many */
#define HOUR_MS             ((uint64_t)3600 * 1000)
#define RETRY_MS            10000
#define PROPOSAL_TIMEOUT_MS 20000
#define LETTER_MAX          ((size_t)256 << 10)
#define FORGET_AT_ONCE      100

struct smtp_notices {
    struct smtp_notices_services services;
    bool leads, busy; /* busy: a proposal or a mail is under way */
    uint64_t next_ms; /* nothing before */
    /* the plan */
    struct notice_plan plan;
    bool planning;
    size_t at;      /* person of the plan whose mail is claimed next */
    uint64_t index; /* of the state that was planned for; UINT64_MAX: none */
    uint64_t next_plan_ms, plan_began_ms, hour_ms;
    uint64_t found_ms; /* since when something is to be told; 0: nothing is */
    uint64_t forgotten_day;
    /* the mail that is under way */
    struct notice_mail mail;
    char to[ADDRESS_MAX + 1];
};

struct smtp_notices *smtp_notices_new(const struct smtp_notices_services *services)
{
    struct smtp_notices *n = calloc(1, sizeof *n);
    if (n != NULL) {
        n->services = *services;
        n->index = UINT64_MAX;
    }
    return n;
}

static void plan_drop(struct smtp_notices *n)
{
    notice_plan_release(&n->plan);
    n->planning = false;
    n->at = 0;
}

void smtp_notices_free(struct smtp_notices *n)
{
    if (n != NULL) {
        plan_drop(n);
        free(n);
    }
}

void smtp_notices_leader(struct smtp_notices *n, const char *leader)
{
    bool leads = leader[0] != '\0' && strcmp(leader, core_client_node_name(n->services.core)) == 0;
    if (leads != n->leads) {
        plan_drop(n);
        n->index = UINT64_MAX;
        n->found_ms = 0;
    }
    n->leads = leads;
}

/* --- proposals --- */

static void propose(struct smtp_notices *n, struct command *c, core_answer_cb cb)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    char actor[COMMAND_ACTOR_MAX];
    (void)!snprintf(actor, sizeof actor, "node:%s", core_client_node_name(n->services.core));
    c->actor = slice_of_text(actor);
    enum status status = command_encode(c, &encoded);
    if (status == STATUS_OK) {
        n->busy = true;
        core_client_propose(n->services.core, buf_slice(&encoded), PROPOSAL_TIMEOUT_MS, cb, n);
    } else {
        log_event(LOG_ERROR, "a reminder cannot be proposed", LOG_TEXT("reason", status_text(status)));
        n->next_ms = clock_monotonic_ms() + RETRY_MS;
    }
    c->actor = (struct slice){0};
    buf_release(&encoded);
}

/* What another leader did first is no news. */
static void claimed_cb(void *context, const struct core_answer *answer)
{
    struct smtp_notices *n = context;
    n->busy = false;
    if (answer->status != STATUS_OK && answer->status != STATUS_CONFLICT) {
        log_event(LOG_WARN, "a reminder could not be claimed",
                  LOG_TEXT("reason", answer->text[0] != '\0' ? answer->text : status_text(answer->status)));
        n->next_ms = clock_monotonic_ms() + RETRY_MS;
        plan_drop(n);
        n->index = UINT64_MAX;
    }
}

static void ended_cb(void *context, const struct core_answer *answer)
{
    struct smtp_notices *n = context;
    n->busy = false;
    if (answer->status != STATUS_OK) { /* it stays open, and is looked at again */
        n->next_ms = clock_monotonic_ms() + PAUSE_MS;
    }
}

static void claim(struct smtp_notices *n, const struct notice_person *person, uint64_t wall_ms)
{
    struct buf items = BUF_INIT(NOTICE_ITEMS_SIZE);
    struct command c;
    uint8_t id[ID_SIZE], random[10];
    random_bytes(random, sizeof random);
    id_make(id, wall_ms, random);
    enum status status = notice_items_begin(person->count, &items);
    for (size_t i = 0; i < person->count && status == STATUS_OK; i++) {
        status = notice_item_encode(&person->items[i], &items);
    }
    command_init(&c, COMMAND_NOTICE_CLAIM, wall_ms, (struct slice){0});
    c.values[0].bytes = person->to;
    c.values[1].bytes = slice_of(id, sizeof id);
    c.values[2].number = core_client_node_id(n->services.core);
    c.values[3].number = person->waiting;
    c.values[4].bytes = buf_slice(&items);
    if (status == STATUS_OK) {
        propose(n, &c, claimed_cb);
    }
    buf_release(&items);
}

static void take_over(struct smtp_notices *n, const struct notice_mail *mail, uint64_t wall_ms)
{
    struct buf items = BUF_INIT(16);
    struct command c;
    if (notice_items_begin(0, &items) == STATUS_OK) {
        command_init(&c, COMMAND_NOTICE_CLAIM, wall_ms, (struct slice){0});
        c.values[0].bytes = mail->to;
        c.values[1].bytes = slice_of(mail->id, ID_SIZE);
        c.values[2].number = core_client_node_id(n->services.core);
        c.values[4].bytes = buf_slice(&items);
        propose(n, &c, claimed_cb);
    }
    buf_release(&items);
}

/* --- sending --- */

static void sent_cb(void *context, enum status status, struct slice text)
{
    struct smtp_notices *n = context;
    struct command c;
    char id[ID_TEXT_SIZE];
    n->busy = false;
    id_format(n->mail.id, id);
    if (status != STATUS_OK && status_retryable(status)) {
        n->next_ms = clock_monotonic_ms() + (status == STATUS_UNAVAILABLE ? PAUSE_MS : RETRY_MS);
        return;
    }
    log_event(status == STATUS_OK ? LOG_INFO : LOG_ERROR,
              status == STATUS_OK ? "a reminder is on its way" : "a reminder was refused: nobody is told",
              LOG_TEXT("id", id), LOG_TEXT("to", n->to), LOG_NUMBER("items", n->mail.items),
              LOG_SLICE("reason", text));
    command_init(&c, COMMAND_NOTICE_END, clock_wall_ms(), (struct slice){0});
    c.values[0].bytes = slice_of_text(n->to);
    c.values[1].bytes = slice_of(n->mail.id, ID_SIZE);
    c.values[2].number = status == STATUS_OK ? NOTICE_ACCEPTED : NOTICE_REFUSED;
    text.len = text.len < NOTICE_REASON_MAX ? text.len : NOTICE_REASON_MAX;
    c.values[3].bytes = status == STATUS_OK ? (struct slice){0} : text;
    propose(n, &c, ended_cb);
}

struct letter_lines {
    struct notice_line lines[NOTICE_ITEMS_MAX];
    size_t count;
};

static bool line_add(void *context, const struct notice_item *item)
{
    static const enum notice_part parts[] = {[NOTICE_CERTIFICATE] = NOTICE_PART_CERTIFICATES,
                                             [NOTICE_RENEWAL] = NOTICE_PART_RENEWALS,
                                             [NOTICE_LIST] = NOTICE_PART_LISTS};
    struct letter_lines *l = context;
    enum notice_kind kind = (enum notice_kind)item->topic.data[0];
    l->lines[l->count++] = (struct notice_line){
        .part = parts[kind],
        .text = item->text,
        .id = slice_of(item->topic.data + 1, kind == NOTICE_LIST ? 0 : item->topic.len - 1),
        .until_ms = item->until_ms};
    return l->count < NOTICE_ITEMS_MAX;
}

static enum status letter_write(struct smtp_notices *n, struct store_view *view, uint64_t wall_ms,
                                struct buf *out)
{
    struct letter_lines l = {.count = 0};
    struct setting_value from;
    struct slice one;
    char id[ID_TEXT_SIZE], made[ADDRESS_MAX + 1];
    enum status status =
        setting_get(view, setting_at(SETTING_NOTIFY_FROM), address_domain(n->mail.to), &from);
    if (status == STATUS_OK) {
        status = store_notice_items(view, n->mail.to, line_add, &l);
    }
    if (status != STATUS_OK) {
        return status;
    }
    id_format(n->mail.id, id);
    (void)!snprintf(made, sizeof made, "sealpost@%s", n->services.hostname);
    struct notice_letter letter = {.from = setting_text_at(&from, 0, &one) ? one : slice_of_text(made),
                                   .to = n->mail.to,
                                   .id = slice_of_text(id),
                                   .gateway = slice_of_text(n->services.hostname),
                                   .now_ms = wall_ms,
                                   .lines = l.lines,
                                   .count = l.count,
                                   .waiting = n->mail.waiting};
    return notice_compose(&letter, out);
}

static void mail_send(struct smtp_notices *n, struct store_view *view, uint64_t wall_ms)
{
    struct buf letter = BUF_INIT(LETTER_MAX);
    enum status status = letter_write(n, view, wall_ms, &letter);
    memcpy(n->to, n->mail.to.data, n->mail.to.len);
    n->to[n->mail.to.len] = '\0';
    n->mail.to = slice_of_text(n->to);
    if (status == STATUS_OK) {
        n->busy = true;
        smtp_service_reminder(n->services.service, n->mail.id, slice_of_text(n->to), buf_slice(&letter),
                              sent_cb, n);
    } else {
        log_event(LOG_ERROR, "a reminder cannot be written", LOG_TEXT("reason", status_text(status)));
        n->next_ms = clock_monotonic_ms() + RETRY_MS;
    }
    buf_release(&letter);
}

/* --- what is next --- */

struct open_search {
    const struct smtp_notices *notices;
    uint64_t wall_ms;
    struct notice_mail found;
    bool mine, abandoned;
};

static bool open_look(void *context, const struct notice_mail *mail)
{
    struct open_search *search = context;
    const struct smtp_notices *n = search->notices;
    search->mine = mail->node == core_client_node_id(n->services.core) &&
                   search->wall_ms < mail->claimed_ms + NOTICE_LEASE_MS / 2;
    search->abandoned = n->leads && search->wall_ms >= mail->claimed_ms + NOTICE_LEASE_MS;
    search->found = *mail;
    return !search->mine && !search->abandoned;
}

/* True: something was begun. */
static bool open_serve(struct smtp_notices *n, struct store_view *view, uint64_t wall_ms)
{
    struct open_search search = {.notices = n, .wall_ms = wall_ms};
    if (store_notice_mails_open(view, open_look, &search) != STATUS_OK) {
        return false;
    }
    if (search.mine) {
        n->mail = search.found;
        mail_send(n, view, wall_ms);
    } else if (search.abandoned) {
        take_over(n, &search.found, wall_ms);
    }
    return search.mine || search.abandoned;
}

struct old_search {
    uint64_t wall_ms;
    struct slice to;
    struct buf items;
    size_t count;
    enum status status;
};

/* Those of one address at a time. */
static bool old_look(void *context, const struct notice_told *told)
{
    struct old_search *search = context;
    if (told->item.until_ms + NOTICE_KEPT_MS >= search->wall_ms) {
        return true;
    }
    if (search->count > 0 && !slice_equal(search->to, told->to)) {
        return false;
    }
    search->to = told->to;
    search->status = notice_item_encode(&told->item, &search->items);
    return search->status == STATUS_OK && ++search->count < FORGET_AT_ONCE;
}

/* Once a day, until nothing is left that is old. */
static bool forget(struct smtp_notices *n, struct store_view *view, uint64_t wall_ms)
{
    struct old_search search = {.wall_ms = wall_ms, .items = BUF_INIT(NOTICE_ITEMS_SIZE)};
    struct buf items = BUF_INIT(NOTICE_ITEMS_SIZE);
    struct command c;
    if (n->forgotten_day == wall_ms / NOTICE_DAY_MS) {
        return false;
    }
    if (store_notices_told(view, (struct slice){0}, (struct slice){0}, old_look, &search) != STATUS_OK ||
        search.count == 0) {
        n->forgotten_day = wall_ms / NOTICE_DAY_MS;
    } else if (notice_items_begin(search.count, &items) == STATUS_OK &&
               buf_append_slice(&items, buf_slice(&search.items)) == STATUS_OK) {
        command_init(&c, COMMAND_NOTICE_FORGET, wall_ms, (struct slice){0});
        c.values[0].bytes = search.to;
        c.values[1].bytes = buf_slice(&items);
        propose(n, &c, ended_cb);
    }
    buf_release(&search.items);
    buf_release(&items);
    return search.count > 0;
}

/* --- the plan --- */

static uint64_t gather_ms(struct store_view *view)
{
    struct setting_value value;
    return setting_get(view, setting_at(SETTING_NOTIFY_GATHER), (struct slice){0}, &value) == STATUS_OK
               ? setting_number(&value)
               : 0;
}

/* The plan is whole: is it time to tell? */
static void plan_ready(struct smtp_notices *n, struct store_view *view, uint64_t now_ms)
{
    uint64_t wait = gather_ms(view);
    n->planning = false;
    n->next_plan_ms = now_ms + PAUSE_MS + PAUSE_SHARE * (now_ms - n->plan_began_ms);
    if (n->plan.status != STATUS_OK) {
        log_event(LOG_ERROR, "it cannot be found out who is to be reminded",
                  LOG_TEXT("reason", status_text(n->plan.status)));
        n->next_plan_ms = now_ms + RETRY_MS;
        n->index = UINT64_MAX;
        plan_drop(n);
        return;
    }
    if (n->plan.count == 0) {
        n->found_ms = 0;
        plan_drop(n);
        return;
    }
    n->found_ms = n->found_ms == 0 ? now_ms : n->found_ms;
    if (now_ms < n->found_ms + wait) { /* what comes meanwhile is told in the same mail */
        uint64_t then = n->found_ms + wait;
        n->next_plan_ms = then > n->next_plan_ms && then - n->next_plan_ms < HOUR_MS ? then : n->next_plan_ms;
        n->index = UINT64_MAX;
        plan_drop(n);
    }
}

static void plan_go_on(struct smtp_notices *n, struct store_view *view, uint64_t now_ms, uint64_t wall_ms)
{
    if (!n->planning && n->plan.count == 0) {
        bool due = store_view_index(view) != n->index || now_ms >= n->hour_ms;
        if (!due || now_ms < n->next_plan_ms) {
            return;
        }
        notice_plan_begin(&n->plan, wall_ms);
        n->planning = true;
        n->at = 0;
        n->plan_began_ms = now_ms;
        n->hour_ms = now_ms + HOUR_MS;
        n->index = store_view_index(view);
    }
    if (n->planning) {
        if (!notice_plan_page(&n->plan, view)) {
            plan_ready(n, view, now_ms);
        }
        return;
    }
    if (n->at < n->plan.count) {
        claim(n, &n->plan.people[n->at++], wall_ms);
        return;
    }
    if (n->plan.more) { /* there is no room for more in one plan */
        n->index = UINT64_MAX;
    }
    plan_drop(n);
}

void smtp_notices_tick(struct smtp_notices *n, uint64_t now_ms, uint64_t wall_ms)
{
    struct store_view *view = NULL;
    struct failure f = {0};
    if (n->busy || now_ms < n->next_ms || store_view_begin(n->services.store, &view, &f) != STATUS_OK) {
        return;
    }
    if (!open_serve(n, view, wall_ms) && n->leads && !forget(n, view, wall_ms)) {
        plan_go_on(n, view, now_ms, wall_ms);
    }
    store_view_end(view);
}
