/* See store/records_dns.h. */
#include "store/records_dns.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/tables.h"

#define RECORD_FIELDS 8

enum status domain_dns_encode(const struct domain_dns_record *r, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, RECORD_FIELDS);
    write_u64(&w, r->added_ms);
    write_u64(&w, r->asked_ms);
    write_u64(&w, r->checked_ms);
    write_u64(&w, r->answer);
    write_u64(&w, r->changed_ms);
    write_u64(&w, r->signed_ms);
    write_bytes(&w, r->fingerprints);
    write_text(&w, r->note);
    return msgpack_writer_status(&w);
}

enum status domain_dns_decode(struct slice domain, struct slice value, struct domain_dns_record *out)
{
    struct msgpack_reader r;
    uint64_t answer;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, RECORD_FIELDS) != RECORD_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    out->domain = domain;
    out->added_ms = read_u64(&r);
    out->asked_ms = read_u64(&r);
    out->checked_ms = read_u64(&r);
    answer = read_u64(&r);
    out->changed_ms = read_u64(&r);
    out->signed_ms = read_u64(&r);
    out->fingerprints = read_bytes(&r, (size_t)DOMAIN_DNS_FINGERPRINTS_MAX * THUMBPRINT_SIZE);
    out->note = read_text(&r, DOMAIN_DNS_NOTE_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || answer >= DNS_ANSWER_END ||
        out->fingerprints.len % THUMBPRINT_SIZE != 0)
        return STATUS_CORRUPT;
    out->answer = (enum dns_answer)answer;
    return STATUS_OK;
}

enum status store_domain_dns_get(struct store_view *v, struct slice domain, struct domain_dns_record *out)
{
    struct slice value;
    enum status status = table_find(v->store, v->txn, TABLE_DOMAIN_DNS, &domain, &value);

    return status == STATUS_OK ? domain_dns_decode(domain, value, out) : status;
}

struct dns_walk {
    domain_dns_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_row(void *context, struct slice key, struct slice value)
{
    struct dns_walk *walk = context;
    struct domain_dns_record record;

    walk->status = domain_dns_decode(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_domain_dns_all(struct store_view *v, domain_dns_visit_cb cb, void *context)
{
    struct dns_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_DOMAIN_DNS, (struct slice){0}, visit_row, &walk);

    return status != STATUS_OK ? status : walk.status;
}

/* --- what it means --- */

bool domain_dns_has(struct slice fingerprints, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    for (size_t at = 0; at + THUMBPRINT_SIZE <= fingerprints.len; at += THUMBPRINT_SIZE)
        if (memcmp(fingerprints.data + at, thumbprint, THUMBPRINT_SIZE) == 0)
            return true;
    return false;
}

/* How many of the confirmed ones are published. */
static size_t published(const struct domain_dns_record *record, const struct domain_dns_review *review)
{
    size_t count = 0;

    for (size_t i = 0; i < review->confirmed_count; i++)
        count += domain_dns_has(record->fingerprints, review->confirmed[i]);
    return count;
}

static enum domain_dns_state judge_found(const struct domain_dns_record *record,
                                         const struct domain_dns_review *review)
{
    size_t both = published(record, review);

    if (review->confirmed_count == 0)
        return DOMAIN_DNS_UNCONFIRMED;
    if (record->fingerprints.len / THUMBPRINT_SIZE > both)
        return DOMAIN_DNS_CHANGED;
    if (review->confirmed_count > both)
        return DOMAIN_DNS_REMOVED;
    return record->answer == DNS_UNSIGNED && record->signed_ms != 0 ? DOMAIN_DNS_STRIPPED
                                                                    : DOMAIN_DNS_CONFIRMED;
}

void domain_dns_judge(const struct domain_dns_record *record, struct domain_dns_review *review)
{
    switch (record->answer) {
    case DNS_SIGNED:
    case DNS_UNSIGNED:
        review->state = judge_found(record, review);
        return;
    case DNS_ABSENT:
        review->state = review->confirmed_count > 0 ? DOMAIN_DNS_REMOVED : DOMAIN_DNS_ABSENT;
        return;
    case DNS_BOGUS:
        review->state = DOMAIN_DNS_BOGUS;
        return;
    case DNS_FAILED:
        review->state = DOMAIN_DNS_FAILED;
        return;
    case DNS_NOT_ASKED:
    case DNS_ANSWER_END:
        review->state = DOMAIN_DNS_WAITING;
        return;
    }
}

static bool keep_confirmed(void *context, const struct certificate_record *record, uint64_t flags)
{
    struct domain_dns_review *review = context;

    if ((flags & BINDING_PINNED) != 0 && record->state == CERT_ACTIVE &&
        review->confirmed_count < DOMAIN_DNS_CONFIRMED_MAX)
        memcpy(review->confirmed[review->confirmed_count++], record->thumbprint, THUMBPRINT_SIZE);
    return true;
}

enum status store_domain_dns_review(struct store_view *v, const struct domain_dns_record *record,
                                    struct domain_dns_review *out)
{
    enum status status;

    out->confirmed_count = 0;
    status = store_bindings_for(v, record->domain, keep_confirmed, out);
    domain_dns_judge(record, out);
    return status;
}

const char *domain_dns_state_name(enum domain_dns_state state)
{
    static const char *const names[] = {
        [DOMAIN_DNS_WAITING] = "waiting",
        [DOMAIN_DNS_FAILED] = "failed",
        [DOMAIN_DNS_ABSENT] = "absent",
        [DOMAIN_DNS_CONFIRMED] = "confirmed",
        [DOMAIN_DNS_UNCONFIRMED] = "unconfirmed",
        [DOMAIN_DNS_CHANGED] = "changed",
        [DOMAIN_DNS_REMOVED] = "removed",
        [DOMAIN_DNS_STRIPPED] = "unsigned",
        [DOMAIN_DNS_BOGUS] = "bogus",
    };

    return names[state];
}

bool domain_dns_needs_review(enum domain_dns_state state)
{
    return state >= DOMAIN_DNS_UNCONFIRMED;
}
