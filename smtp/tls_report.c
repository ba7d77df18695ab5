/* Counts and reports of TLS (smtp/tls_report.h). */
#include "smtp/tls_report.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "mail/json_write.h"

#define BUCKETS     512
#define ARENA_MAX   ((size_t)64 << 20)
#define POLICY_MAX  8192
#define TEXT_MAX    512
#define FILE_FORMAT 1

struct kind {
    struct kind *next;
    struct slice result, host, our_address, its_address, reason;
    uint64_t count;
};

struct entry {
    struct entry *next; /* of its bucket */
    struct slice domain, policy, mx;
    enum tls_basis basis;
    uint64_t successes;
    struct kind *kinds;
    size_t kind_count;
    bool first; /* of its domain */
};

struct tls_reports {
    uint64_t day_ms, left_out;
    struct arena arena;
    struct entry *buckets[BUCKETS];
    struct entry *all[TLS_REPORT_ENTRIES_MAX];
    size_t count;
};

struct tls_reports *tls_reports_new(uint64_t day_ms)
{
    struct tls_reports *r = calloc(1, sizeof *r);
    if (r != NULL) {
        arena_init(&r->arena, ARENA_MAX);
        r->day_ms = day_ms - day_ms % TLS_REPORT_DAY_MS;
    }
    return r;
}

void tls_reports_free(struct tls_reports *r)
{
    if (r != NULL) {
        arena_release(&r->arena);
        free(r);
    }
}

uint64_t tls_reports_day(const struct tls_reports *r)
{
    return r->day_ms;
}

uint64_t tls_reports_left_out(const struct tls_reports *r)
{
    return r->left_out;
}

struct slice tls_reports_domain(const struct tls_reports *r, size_t i)
{
    for (size_t k = 0; k < r->count; k++) {
        if (r->all[k]->first && i-- == 0) {
            return r->all[k]->domain;
        }
    }
    return slice_of(NULL, 0);
}

/* --- counting --- */

static size_t bucket_of(struct slice domain)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < domain.len; i++) {
        hash = (hash ^ domain.data[i]) * 16777619u;
    }
    return hash % BUCKETS;
}

static struct slice cut(struct slice text, size_t most)
{
    text.len = text.len < most ? text.len : most;
    while (text.len > 0 && !slice_is_text(slice_of(text.data + text.len - 1, 1)) &&
           text.data[text.len - 1] >= 0x80) {
        text.len--; /* not within a character */
    }
    return text;
}

/* NULL: there is no room. */
static struct entry *entry_for(struct tls_reports *r, const struct tls_outcome *o)
{
    struct entry **bucket = &r->buckets[bucket_of(o->domain)];
    struct slice policy = o->policy.len <= POLICY_MAX ? o->policy : slice_of(NULL, 0);
    struct slice mx = o->mx.len <= POLICY_MAX ? o->mx : slice_of(NULL, 0);
    bool first = true;
    for (struct entry *e = *bucket; e != NULL; e = e->next) {
        if (slice_equal(e->domain, o->domain)) {
            first = false;
            if (e->basis == o->basis && slice_equal(e->policy, policy)) {
                return e;
            }
        }
    }
    struct entry *e = r->count < TLS_REPORT_ENTRIES_MAX ? arena_alloc(&r->arena, sizeof *e) : NULL;
    if (e == NULL || !arena_copy(&r->arena, o->domain, &e->domain) ||
        !arena_copy(&r->arena, policy, &e->policy) || !arena_copy(&r->arena, mx, &e->mx)) {
        return NULL;
    }
    e->basis = o->basis;
    e->first = first;
    e->next = *bucket;
    *bucket = e;
    r->all[r->count++] = e;
    return e;
}

static struct kind *kind_for(struct tls_reports *r, struct entry *e, const struct tls_outcome *o)
{
    struct slice reason = cut(o->reason, TEXT_MAX);
    for (struct kind *k = e->kinds; k != NULL; k = k->next) {
        if (slice_equal(k->result, slice_of_text(o->result)) && slice_equal(k->host, o->host) &&
            slice_equal(k->its_address, o->its_address) && slice_equal(k->our_address, o->our_address)) {
            return k;
        }
    }
    struct kind *k = e->kind_count < TLS_REPORT_FAILURES_MAX ? arena_alloc(&r->arena, sizeof *k) : NULL;
    if (k == NULL || !arena_copy(&r->arena, slice_of_text(o->result), &k->result) ||
        !arena_copy(&r->arena, cut(o->host, TEXT_MAX), &k->host) ||
        !arena_copy(&r->arena, cut(o->our_address, 64), &k->our_address) ||
        !arena_copy(&r->arena, cut(o->its_address, 64), &k->its_address) ||
        !arena_copy(&r->arena, reason, &k->reason)) {
        return NULL;
    }
    k->next = e->kinds;
    e->kinds = k;
    e->kind_count++;
    return k;
}

static void count_many(struct tls_reports *r, const struct tls_outcome *o, uint64_t many)
{
    struct entry *e = o->domain.len > 0 && o->domain.len <= TEXT_MAX ? entry_for(r, o) : NULL;
    struct kind *k = e != NULL && o->result != NULL ? kind_for(r, e, o) : NULL;
    if (e == NULL || (o->result != NULL && k == NULL)) {
        r->left_out += many;
    } else if (k != NULL) {
        k->count += many;
    } else {
        e->successes += many;
    }
}

void tls_reports_count(struct tls_reports *r, const struct tls_outcome *o)
{
    count_many(r, o, 1);
}

/* --- the file --- */

static void write_entry(struct msgpack_writer *w, const struct entry *e)
{
    write_array(w, 6);
    write_text(w, e->domain);
    write_u64(w, e->basis);
    write_text(w, e->policy);
    write_text(w, e->mx);
    write_u64(w, e->successes);
    write_array(w, e->kind_count);
    for (const struct kind *k = e->kinds; k != NULL; k = k->next) {
        write_array(w, 6);
        write_text(w, k->result);
        write_text(w, k->host);
        write_text(w, k->our_address);
        write_text(w, k->its_address);
        write_text(w, k->reason);
        write_u64(w, k->count);
    }
}

enum status tls_reports_encode(const struct tls_reports *r, struct buf *out)
{
    struct msgpack_writer w;
    msgpack_writer_init(&w, out);
    write_array(&w, 4);
    write_u64(&w, FILE_FORMAT);
    write_u64(&w, r->day_ms);
    write_u64(&w, r->left_out);
    write_array(&w, r->count);
    for (size_t i = 0; i < r->count; i++) {
        write_entry(&w, r->all[i]);
    }
    return msgpack_writer_status(&w);
}

static void read_kind(struct msgpack_reader *in, struct tls_reports *r, struct tls_outcome *o)
{
    char result[64];
    if (read_array(in, 6) != 6) {
        read_fail(in, STATUS_CORRUPT);
    }
    struct slice name = read_text(in, sizeof result - 1);
    o->host = read_text(in, TEXT_MAX);
    o->our_address = read_text(in, 64);
    o->its_address = read_text(in, 64);
    o->reason = read_text(in, TEXT_MAX);
    uint64_t count = read_u64(in);
    if (msgpack_reader_status(in, false) == STATUS_OK && name.len > 0) {
        memcpy(result, name.data, name.len);
        result[name.len] = '\0';
        o->result = result;
        count_many(r, o, count);
    }
}

static void read_entry(struct msgpack_reader *in, struct tls_reports *r)
{
    struct tls_outcome o = {0};
    if (read_array(in, 6) != 6) {
        read_fail(in, STATUS_CORRUPT);
    }
    o.domain = read_text(in, TEXT_MAX);
    uint64_t basis = read_u64(in);
    o.policy = read_text(in, POLICY_MAX);
    o.mx = read_text(in, POLICY_MAX);
    uint64_t successes = read_u64(in);
    size_t kinds = read_array(in, TLS_REPORT_FAILURES_MAX);
    if (basis > TLS_BASIS_TLSA) {
        read_fail(in, STATUS_CORRUPT);
        return;
    }
    o.basis = (enum tls_basis)basis;
    if (msgpack_reader_status(in, false) == STATUS_OK) {
        count_many(r, &o, successes);
    }
    for (size_t i = 0; i < kinds && msgpack_reader_status(in, false) == STATUS_OK; i++) {
        read_kind(in, r, &o);
    }
}

enum status tls_reports_decode(struct slice in, struct tls_reports **out)
{
    struct msgpack_reader reader;
    msgpack_reader_init(&reader, in);
    size_t fields = read_array(&reader, 4);
    uint64_t format = read_u64(&reader);
    uint64_t day = read_u64(&reader);
    uint64_t left_out = read_u64(&reader);
    size_t entries = read_array(&reader, TLS_REPORT_ENTRIES_MAX);
    if (msgpack_reader_status(&reader, false) != STATUS_OK || fields != 4 || format != FILE_FORMAT) {
        return STATUS_CORRUPT;
    }
    struct tls_reports *r = tls_reports_new(day);
    if (r == NULL) {
        return STATUS_NO_MEMORY;
    }
    for (size_t i = 0; i < entries && msgpack_reader_status(&reader, false) == STATUS_OK; i++) {
        read_entry(&reader, r);
    }
    r->left_out += left_out;
    if (msgpack_reader_status(&reader, true) != STATUS_OK) {
        tls_reports_free(r);
        return STATUS_CORRUPT;
    }
    *out = r;
    return STATUS_OK;
}

/* --- the report --- */

static void put_list(struct json_writer *w, const char *key, struct slice text, uint8_t separator)
{
    json_open_array(w, key);
    while (text.len > 0) {
        size_t end = slice_find_byte(text, separator);
        json_put_text(w, NULL, slice_of(text.data, end));
        text = end < text.len ? slice_of(text.data + end + 1, text.len - end - 1) : slice_of(NULL, 0);
    }
    json_close_array(w);
}

static void put_optional(struct json_writer *w, const char *key, struct slice text)
{
    if (text.len > 0) {
        json_put_text(w, key, text);
    }
}

static void put_failures(struct json_writer *w, const struct entry *e)
{
    json_open_array(w, "failure-details");
    for (const struct kind *k = e->kinds; k != NULL; k = k->next) {
        json_open_object(w, NULL);
        json_put_text(w, "result-type", k->result);
        put_optional(w, "sending-mta-ip", k->our_address);
        put_optional(w, "receiving-mx-hostname", k->host);
        put_optional(w, "receiving-ip", k->its_address);
        json_put_number(w, "failed-session-count", k->count);
        put_optional(w, "failure-reason-code", k->reason);
        json_close_object(w);
    }
    json_close_array(w);
}

static void put_policy(struct json_writer *w, const struct entry *e)
{
    static const char *const types[] = {
        [TLS_BASIS_NONE] = "no-policy-found", [TLS_BASIS_STS] = "sts", [TLS_BASIS_TLSA] = "tlsa"};
    uint64_t failures = 0;
    for (const struct kind *k = e->kinds; k != NULL; k = k->next) {
        failures += k->count;
    }
    json_open_object(w, NULL);
    json_open_object(w, "policy");
    json_put_text(w, "policy-type", slice_of_text(types[e->basis]));
    if (e->policy.len > 0) {
        put_list(w, "policy-string", e->policy, '\n');
    }
    json_put_text(w, "policy-domain", e->domain);
    if (e->mx.len > 0) {
        put_list(w, "mx-host", e->mx, ' ');
    }
    json_close_object(w);
    json_open_object(w, "summary");
    json_put_number(w, "total-successful-session-count", e->successes);
    json_put_number(w, "total-failure-session-count", failures);
    json_close_object(w);
    if (e->kinds != NULL) {
        put_failures(w, e);
    }
    json_close_object(w);
}

enum status tls_report_json(const struct tls_reports *r, struct slice domain,
                            const struct tls_report_head *head, struct buf *out)
{
    struct json_writer w;
    char from[TIME_RFC3339_SIZE], until[TIME_RFC3339_SIZE];
    time_format_rfc3339(r->day_ms, from);
    time_format_rfc3339(r->day_ms + TLS_REPORT_DAY_MS - 1000, until);
    json_writer_init(&w, out);
    json_open_object(&w, NULL);
    json_put_text(&w, "organization-name", head->organization);
    json_open_object(&w, "date-range");
    json_put_text(&w, "start-datetime", slice_of_text(from));
    json_put_text(&w, "end-datetime", slice_of_text(until));
    json_close_object(&w);
    json_put_text(&w, "contact-info", head->contact);
    json_put_text(&w, "report-id", slice_of_text(head->id));
    json_open_array(&w, "policies");
    for (size_t i = 0; i < r->count; i++) {
        if (slice_equal(r->all[i]->domain, domain)) {
            put_policy(&w, r->all[i]);
        }
    }
    json_close_array(&w);
    json_close_object(&w);
    return json_writer_status(&w);
}

/* --- where it goes --- */

static bool is_mailto(struct slice uri)
{
    return slice_starts_with_nocase(uri, SLICE_LITERAL("mailto:"));
}

bool tls_report_rua(struct slice rdata, size_t *at, char out[1025])
{
    char text[4096];
    size_t len = 0;
    while (rdata.len > 0) {
        size_t piece = rdata.data[0];
        if (piece + 1 > rdata.len || len + piece > sizeof text) {
            return false;
        }
        memcpy(text + len, rdata.data + 1, piece);
        len += piece;
        rdata = slice_of(rdata.data + piece + 1, rdata.len - piece - 1);
    }
    struct slice whole = slice_of(text, len);
    size_t rua = slice_find_nocase(whole, SLICE_LITERAL("rua="));
    size_t semicolon = slice_find_byte(whole, ';');
    if (!slice_starts_with(whole, SLICE_LITERAL("v=TLSRPTv1")) || semicolon == len || rua == len ||
        slice_trim(slice_of(text + 10, semicolon < 10 ? 0 : semicolon - 10)).len > 0) {
        return false;
    }
    struct slice list = slice_of(text + rua + 4, len - rua - 4);
    list.len = slice_find_byte(list, ';');
    while (*at < list.len) {
        struct slice rest = slice_of(list.data + *at, list.len - *at);
        size_t end = slice_find_byte(rest, ',');
        struct slice uri = slice_trim(slice_of(rest.data, end));
        *at += end + 1;
        if ((is_mailto(uri) || slice_starts_with_nocase(uri, SLICE_LITERAL("https://"))) && uri.len <= 1024 &&
            slice_is_text(uri)) {
            memcpy(out, uri.data, uri.len);
            out[uri.len] = '\0';
            return true;
        }
    }
    return false;
}
