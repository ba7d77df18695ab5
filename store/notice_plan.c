/* See store/notice_plan.h. */
#include "store/notice_plan.h"

#include "store/records_ca.h"
#include "store/setting.h"

#define ARENA_MAX     ((size_t)16 << 20)
#define PAGE_ENTRIES  500
#define LONGEST_MS    (401 * NOTICE_DAY_MS) /* what cert.expiry_warn may say, and a day */
#define DURATIONS_MAX 256
#define LIST_OLD_MS   (20 * NOTICE_DAY_MS) /* less than NOTICE_KEPT_MS: what is forgotten is not told anew */

struct page {
    struct notice_plan *plan;
    struct store_view *view;
};

void notice_plan_begin(struct notice_plan *p, uint64_t now_ms)
{
    memset(p, 0, sizeof(*p));
    arena_init(&p->arena, ARENA_MAX);
    p->now_ms = now_ms;
}

void notice_plan_release(struct notice_plan *p)
{
    arena_release(&p->arena);
    memset(p, 0, sizeof(*p));
}

/* --- who --- */

/* NULL: there is no room, or no mail to them today. */
static struct notice_person *person_of(struct page *page, struct slice to)
{
    struct notice_plan *p = page->plan;
    struct notice_person *person;
    struct notice_mail mail;
    enum status status;

    for (size_t i = 0; i < p->count; i++)
        if (slice_equal(p->people[i].to, to))
            return &p->people[i];
    status = store_notice_mail_get(page->view, to, &mail);
    if (status == STATUS_OK && notice_mail_bars(&mail, p->now_ms))
        return NULL;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        p->status = status;
        return NULL;
    }
    if (p->count == NOTICE_PLAN_PEOPLE) {
        p->more = true;
        return NULL;
    }
    person = &p->people[p->count];
    person->items = arena_alloc_array(&p->arena, NOTICE_ITEMS_MAX, sizeof(*person->items));
    if (person->items == NULL || !arena_copy(&p->arena, to, &person->to)) {
        p->status = STATUS_NO_MEMORY;
        return NULL;
    }
    p->count++;
    return person;
}

static void item_add(struct notice_plan *p, struct notice_person *person, const struct notice_item *item)
{
    struct notice_item *copy = &person->items[person->count];

    *copy = *item;
    if (arena_copy(&p->arena, item->topic, &copy->topic) && arena_copy(&p->arena, item->text, &copy->text))
        person->count++;
    else
        p->status = STATUS_NO_MEMORY;
}

/* Adds it unless it was told. */
static void tell(struct page *page, struct slice to, const struct notice_item *item)
{
    struct notice_person *person;
    struct notice_told told;
    enum status status = store_notice_told_get(page->view, to, item->topic, &told);

    if (status == STATUS_OK && notice_is_told(&told, item))
        return;
    if (status != STATUS_OK && status != STATUS_NOT_FOUND) {
        page->plan->status = status;
        return;
    }
    person = person_of(page, to);
    if (person == NULL)
        return;
    if (person->count < NOTICE_ITEMS_MAX)
        item_add(page->plan, person, item);
    else
        person->waiting++;
}

static void tell_administrators(struct page *page, struct slice scope, const struct notice_item *item)
{
    struct setting_value value;
    struct slice to;

    if (setting_get(page->view, setting_at(SETTING_NOTIFY_TO), scope, &value) != STATUS_OK) {
        page->plan->status = STATUS_IO;
        return;
    }
    for (size_t i = 0; setting_text_at(&value, i, &to); i++)
        tell(page, to, item);
}

static void tell_user(struct page *page, struct slice address, const struct notice_item *item)
{
    struct setting_value value;

    if (setting_get(page->view, setting_at(SETTING_NOTIFY_USERS), address, &value) == STATUS_OK &&
        setting_bool(&value) &&
        setting_get(page->view, setting_at(SETTING_DOMAIN_LOCALITY), address_domain(address), &value) ==
            STATUS_OK &&
        slice_equal(value.text, SLICE_LITERAL("internal")))
        tell(page, address, item);
}

/* --- certificates --- */

struct role { /* why an administrator answers for it */
    bool key, anchor, ca;
    struct slice bound; /* a domain or an address that it was bound to, or "" */
};

static bool first_scope(void *context, struct slice scope, uint64_t flags)
{
    struct role *role = context;

    (void)flags;
    role->bound = scope;
    return false;
}

struct ca_search {
    const uint8_t *thumbprint;
    bool found;
};

static bool is_the_ca(void *context, const struct ca_record *ca)
{
    struct ca_search *search = context;

    search->found = memcmp(ca->thumbprint, search->thumbprint, THUMBPRINT_SIZE) == 0;
    return !search->found;
}

/* False: nobody is told of it. */
static bool role_find(struct page *page, const struct certificate_record *r, struct role *role)
{
    struct ca_search search = {.thumbprint = r->thumbprint};
    enum status status = store_bindings_of(page->view, r->thumbprint, first_scope, role);

    role->key = store_has_key(page->view, r->thumbprint);
    role->anchor = store_is_trusted(page->view, r->thumbprint);
    if (status == STATUS_OK && (r->uses & CERT_USE_CA) != 0) {
        status = store_cas_all(page->view, is_the_ca, &search);
        role->ca = search.found;
    }
    if (status != STATUS_OK)
        page->plan->status = status;
    return role->key || role->anchor || role->ca || role->bound.len > 0 ||
           slice_equal(r->source, SLICE_LITERAL("import"));
}

static uint64_t renew_before(struct page *page, struct slice address)
{
    struct setting_value value;

    return setting_get(page->view, setting_at(SETTING_CA_RENEW_BEFORE), address, &value) == STATUS_OK
               ? setting_number(&value) * NOTICE_DAY_MS
               : 0;
}

enum renewal { RENEWAL_NONE, RENEWAL_TO_COME, RENEWAL_OVERDUE, RENEWAL_SUPERSEDED };

/* What the CA of this cluster does about it; RENEWAL_SUPERSEDED: nobody need be told. */
static enum renewal renewal_of(struct page *page, const struct certificate_record *r)
{
    struct ca_issued_record issued;
    uint64_t before, grace;
    bool revoked = false;
    enum status status = store_ca_issued_get(page->view, r->thumbprint, &issued);

    if (status == STATUS_NOT_FOUND)
        return RENEWAL_NONE;
    if (status == STATUS_OK)
        status = store_ca_is_revoked(page->view, r->thumbprint, &revoked);
    if (status != STATUS_OK)
        page->plan->status = status;
    if (status != STATUS_OK || revoked || issued.successor.len > 0)
        return RENEWAL_SUPERSEDED;
    if ((issued.flags & CA_ISSUED_RENEWS) == 0)
        return RENEWAL_NONE;
    before = renew_before(page, issued.address);
    grace = before / 4 < NOTICE_DAY_MS ? before / 4 : NOTICE_DAY_MS;
    return page->plan->now_ms + before >= r->not_after_ms + grace ? RENEWAL_OVERDUE : RENEWAL_TO_COME;
}

/* The shortest of the times that it has come within; false: none. */
static bool time_reached(struct page *page, struct slice scope, uint64_t not_after_ms, uint64_t *before)
{
    struct setting_value times;
    uint64_t last = UINT64_MAX;
    bool reached = false;

    if (setting_get(page->view, setting_at(SETTING_CERT_EXPIRY_WARN), scope, &times) != STATUS_OK) {
        page->plan->status = STATUS_IO;
        return false;
    }
    for (size_t i = 0; i < DURATIONS_MAX; i++) {
        uint64_t one = setting_duration_at(&times, i);

        if (one == last) /* the last one again: the end of the list */
            break;
        last = one;
        if (not_after_ms <= page->plan->now_ms + one && (!reached || one < *before)) {
            *before = one;
            reached = true;
        }
    }
    return reached;
}

static struct slice what_it_is(struct page *page, const struct certificate_record *r, const struct role *role)
{
    struct slice name = r->address_count > 0 ? r->addresses[0] : r->subject;
    int shown = (int)(name.len < 200 ? name.len : 200);
    const char *as = role->ca       ? "a CA of this cluster"
                     : role->anchor ? "a trust anchor"
                     : role->key    ? "ours, with its key"
                                    : "a partner's";
    char *text = role->bound.len > 0 && role->bound.len < 80
                     ? arena_printf(&page->plan->arena, "%.*s (%s, bound to %.*s)", shown,
                                    (const char *)name.data, as, SLICE_ARGS(role->bound))
                     : arena_printf(&page->plan->arena, "%.*s (%s)", shown, (const char *)name.data, as);

    if (text == NULL) {
        page->plan->status = STATUS_NO_MEMORY;
        return (struct slice){0};
    }
    return slice_of_text(text);
}

static bool look_at_certificate(void *context, const struct certificate_record *r)
{
    struct page *page = context;
    struct role role = {0};
    uint8_t topic[1 + THUMBPRINT_SIZE] = {NOTICE_CERTIFICATE};
    struct notice_item item = {.topic = slice_of(topic, sizeof(topic)), .until_ms = r->not_after_ms};
    struct slice scope;
    enum renewal renewal;

    if (r->state != CERT_ACTIVE || !role_find(page, r, &role))
        return page->plan->status == STATUS_OK;
    scope = r->address_count > 0 ? r->addresses[0] : role.bound;
    if (scope.len > 2 && scope.data[0] == '*')
        scope = slice_of(scope.data + 2, scope.len - 2);
    renewal = renewal_of(page, r);
    if (renewal == RENEWAL_OVERDUE)
        topic[0] = NOTICE_RENEWAL;
    else if (renewal != RENEWAL_NONE || !time_reached(page, scope, r->not_after_ms, &item.before_ms))
        return page->plan->status == STATUS_OK;
    memcpy(topic + 1, r->thumbprint, THUMBPRINT_SIZE);
    item.text = what_it_is(page, r, &role);
    tell_administrators(page, scope, &item);
    if (role.key && r->address_count > 0)
        tell_user(page, r->addresses[0], &item);
    return page->plan->status == STATUS_OK;
}

/* --- revocation lists --- */

static bool look_at_list(void *context, const struct crl_record *list)
{
    struct page *page = context;
    uint64_t now = page->plan->now_ms, life = list->next_ms - list->this_ms, before;
    uint8_t topic[NOTICE_TOPIC_MAX] = {NOTICE_LIST};
    struct notice_item item = {.topic = slice_of(topic, sizeof(topic)), .until_ms = list->next_ms};

    if (list->next_ms <= list->this_ms || now > list->next_ms + LIST_OLD_MS)
        return true;
    /* Ours are made anew at half of their life, those of others are fetched a tenth of it before their end.
     */
    before = slice_equal(list->source, SLICE_LITERAL("ca")) ? life / 4 : life / 20;
    if (before > NOTICE_DAY_MS)
        before = NOTICE_DAY_MS;
    if (now + before < list->next_ms)
        return true;
    item.before_ms = now < list->next_ms ? before : 0;
    item.text =
        slice_of(list->name.data, list->name.len < NOTICE_TEXT_MAX ? list->name.len : NOTICE_TEXT_MAX);
    memcpy(topic + 1, list->issuer, ISSUER_ID_SIZE);
    memcpy(topic + 1 + ISSUER_ID_SIZE, list->part, CRL_PART_SIZE);
    tell_administrators(page, (struct slice){0}, &item);
    return page->plan->status == STATUS_OK;
}

bool notice_plan_page(struct notice_plan *p, struct store_view *v)
{
    struct page page = {.plan = p, .view = v};
    struct certificate_query q = {.state = CERT_STATE_ANY,
                                  .limit = PAGE_ENTRIES,
                                  .work_max = PAGE_ENTRIES,
                                  .expires_after_ms = p->now_ms,
                                  .expires_before_ms = p->now_ms + LONGEST_MS,
                                  .after = slice_of_text(p->cursor)};
    char next[CERT_SEARCH_CURSOR_MAX] = "";
    struct failure f = {0};
    enum status status = STATUS_OK;

    if (!p->began) /* the lists are few, and urgent */
        status = store_crls_all(v, NULL, look_at_list, &page);
    p->began = true;
    if (status == STATUS_OK && p->status == STATUS_OK)
        status = store_certificates_search(v, &q, look_at_certificate, &page, next, &f);
    if (status != STATUS_OK)
        p->status = status;
    memcpy(p->cursor, next, sizeof(p->cursor));
    return p->status == STATUS_OK && next[0] != '\0';
}
