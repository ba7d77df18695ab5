/*
 * Who is to be told what expires (settings cert.expiry_warn, notify.to, notify.users): a plan of mails, made
 * page by page so that a loop is never held up, from the state and the time alone.
 *
 * In it: certificates that an administrator answers for (with a key here, bound by hand, imported, trust
 * anchors, CAs of this cluster) and that have come within one of the times of cert.expiry_warn; those that
 * their CA should have renewed and did not; lists that should have been replaced and were not, and those that
 * are too old. Not in it: what was told, what a newer one took the place of, what is in quarantine or
 * revoked, and who has had a mail today.
 *
 * What does not fit (NOTICE_PLAN_PEOPLE addresses, NOTICE_ITEMS_MAX items each) is counted and comes with a
 * later plan: the soonest are first. Pure; any thread with views of its own.
 */
#ifndef SEALPOST_STORE_NOTICE_PLAN_H
#define SEALPOST_STORE_NOTICE_PLAN_H

#include "base/arena.h"
#include "store/certificate_search.h"
#include "store/records_notice.h"

#define NOTICE_PLAN_PEOPLE 32

struct notice_person {
    struct slice to;
    struct notice_item *items; /* NOTICE_ITEMS_MAX */
    size_t count, waiting;
};

struct notice_plan {
    struct arena arena;
    uint64_t now_ms;
    struct notice_person people[NOTICE_PLAN_PEOPLE];
    size_t count;
    bool more; /* there was no room for somebody */
    bool began;
    enum status status; /* of the store */
    char cursor[CERT_SEARCH_CURSOR_MAX];
};

void notice_plan_begin(struct notice_plan *p, uint64_t now_ms);
/* One page. True: there are more. On a failure (`status`) what was found is not to be used. */
bool notice_plan_page(struct notice_plan *p, struct store_view *v);
void notice_plan_release(struct notice_plan *p);

#endif
