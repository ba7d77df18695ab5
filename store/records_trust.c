/* Queries about the certificate trust list, revocation lists and OCSP answers: see store/records_trust.h. */
#include "store/records_trust.h"

#include "base/msgpack_read.h"
#include "base/msgpack_write.h"
#include "store/revocation_internal.h"
#include "store/tables.h"

#define CRL_RECORD_FIELDS 10
#define NAME_MAX_BYTES    4096
#define SOURCE_MAX        64

/* --- certificate trust list --- */

static enum status read_ctl(struct slice key, struct slice value, struct ctl_record *out)
{
    struct msgpack_reader r;
    uint64_t verdict;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, 4) != 4)
        read_fail(&r, STATUS_MALFORMED);
    verdict = read_u64(&r);
    out->expires_ms = read_u64(&r);
    out->comment = read_text(&r, CTL_COMMENT_MAX);
    out->added_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK || key.len != THUMBPRINT_SIZE ||
        (verdict != CTL_ALLOW && verdict != CTL_DENY))
        return STATUS_CORRUPT;
    out->verdict = (enum ctl_verdict)verdict;
    memcpy(out->thumbprint, key.data, THUMBPRINT_SIZE);
    return STATUS_OK;
}

enum status store_ctl_get(struct store_view *v, const uint8_t thumbprint[THUMBPRINT_SIZE],
                          struct ctl_record *out)
{
    struct slice value, key = slice_of(thumbprint, THUMBPRINT_SIZE);
    enum status status = table_get(v->store, v->txn, TABLE_CTL, key, &value);

    return status == STATUS_OK ? read_ctl(key, value, out) : status;
}

enum ctl_verdict ctl_in_force(const struct ctl_record *r, uint64_t now_ms)
{
    return r->expires_ms == 0 || now_ms < r->expires_ms ? r->verdict : CTL_NONE;
}

struct ctl_walk {
    ctl_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_ctl(void *context, struct slice key, struct slice value)
{
    struct ctl_walk *walk = context;
    struct ctl_record record;

    walk->status = read_ctl(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_ctl_all(struct store_view *v, ctl_visit_cb cb, void *context)
{
    struct ctl_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_CTL, (struct slice){0}, visit_ctl, &walk);

    return status != STATUS_OK ? status : walk.status;
}

/* --- lists --- */

enum status crl_record_encode(const struct crl_record *c, struct buf *out)
{
    struct msgpack_writer w;

    msgpack_writer_init(&w, out);
    write_array(&w, CRL_RECORD_FIELDS);
    write_text(&w, c->name);
    write_bytes(&w, c->number);
    write_bytes(&w, c->base_number);
    write_u64(&w, c->this_ms);
    write_u64(&w, c->next_ms);
    write_u64(&w, c->flags);
    write_text(&w, c->points);
    write_u64(&w, c->entries);
    write_u64(&w, c->added_ms);
    write_text(&w, c->source);
    return msgpack_writer_status(&w);
}

static bool is_crl_number(struct slice number)
{
    return number.len == 0 || number.len == 1 || number.data[0] != 0;
}

/* URIs, each a text, with line feeds between them. */
static bool are_points(struct slice points)
{
    while (points.len > 0) {
        size_t end = slice_find_byte(points, '\n');
        struct slice one = slice_of(points.data, end);

        if (one.len == 0 || !slice_is_text(one))
            return false;
        if (end == points.len)
            return true;
        points = slice_of(points.data + end + 1, points.len - end - 1);
    }
    return true;
}

enum status crl_record_decode(struct slice in, struct crl_record *c)
{
    struct msgpack_reader r;

    memset(c, 0, sizeof(*c));
    msgpack_reader_init(&r, in);
    if (read_array(&r, CRL_RECORD_FIELDS) != CRL_RECORD_FIELDS)
        read_fail(&r, STATUS_MALFORMED);
    c->name = read_text(&r, NAME_MAX_BYTES);
    c->number = read_bytes(&r, CRL_NUMBER_MAX);
    c->base_number = read_bytes(&r, CRL_NUMBER_MAX);
    c->this_ms = read_u64(&r);
    c->next_ms = read_u64(&r);
    c->flags = read_u64(&r);
    c->points = read_text(&r, CRL_POINTS_MAX);
    c->entries = read_u64(&r);
    c->added_ms = read_u64(&r);
    c->source = read_text(&r, SOURCE_MAX);
    if (msgpack_reader_status(&r, true) != STATUS_OK || !slice_is_text(c->name) ||
        !slice_is_text(c->source) || !is_crl_number(c->number) || !is_crl_number(c->base_number) ||
        !are_points(c->points))
        return STATUS_MALFORMED;
    return STATUS_OK;
}

int crl_number_compare(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return slice_compare(a, b);
}

enum status crl_row_of_table(struct slice key, struct slice value, struct crl_record *out)
{
    struct msgpack_reader r;
    struct slice record;
    uint64_t generation;

    msgpack_reader_init(&r, value);
    if (read_array(&r, 2) != 2)
        read_fail(&r, STATUS_MALFORMED);
    generation = read_u64(&r);
    record = read_bytes(&r, 16384);
    if (msgpack_reader_status(&r, true) != STATUS_OK || key.len != LIST_KEY_SIZE ||
        crl_record_decode(record, out) != STATUS_OK)
        return STATUS_CORRUPT;
    out->generation = generation;
    memcpy(out->issuer, key.data, ISSUER_ID_SIZE);
    memcpy(out->part, key.data + ISSUER_ID_SIZE, CRL_PART_SIZE);
    return STATUS_OK;
}

enum status store_crl_get(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE],
                          const uint8_t part[CRL_PART_SIZE], struct crl_record *out)
{
    uint8_t key[LIST_KEY_SIZE];
    struct slice k = list_key(issuer, part, key), value;
    enum status status = table_get(v->store, v->txn, TABLE_CRLS, k, &value);

    return status == STATUS_OK ? crl_row_of_table(k, value, out) : status;
}

struct crl_walk {
    struct slice prefix;
    crl_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_crl(void *context, struct slice key, struct slice value)
{
    struct crl_walk *walk = context;
    struct crl_record record;

    if (!slice_starts_with(key, walk->prefix))
        return false;
    walk->status = crl_row_of_table(key, value, &record);
    return walk->status == STATUS_OK && walk->visit(walk->context, &record);
}

enum status store_crls_all(struct store_view *v, const uint8_t *issuer, crl_visit_cb cb, void *context)
{
    struct crl_walk walk = {.visit = cb, .context = context};
    enum status status;

    if (issuer != NULL)
        walk.prefix = slice_of(issuer, ISSUER_ID_SIZE);
    status = table_walk(v->store, v->txn, TABLE_CRLS, walk.prefix, visit_crl, &walk);
    return status != STATUS_OK ? status : walk.status;
}

struct row_count {
    struct slice prefix;
    uint64_t most, count;
};

static bool count_row(void *context, struct slice key, struct slice value)
{
    struct row_count *count = context;

    (void)value;
    if (!slice_starts_with(key, count->prefix))
        return false;
    return ++count->count < count->most;
}

enum status store_crl_rows(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE],
                           const uint8_t part[CRL_PART_SIZE], uint64_t most, uint64_t *rows)
{
    uint8_t key[LIST_KEY_SIZE];
    struct row_count count = {.prefix = list_key(issuer, part, key), .most = most};
    enum status status = table_walk(v->store, v->txn, TABLE_REVOKED, count.prefix, count_row, &count);

    *rows = count.count;
    return status;
}

/* --- rows as bytes --- */

enum status crl_row_write(const struct crl_row *row, struct buf *out)
{
    uint8_t head[1 + SERIAL_MAX + KEY_U64_SIZE + 1];

    if (row->serial.len == 0 || row->serial.len > SERIAL_MAX || row->reason > CRL_REASON_MAX)
        return STATUS_INVALID;
    head[0] = (uint8_t)row->serial.len;
    memcpy(head + 1, row->serial.data, row->serial.len);
    key_u64_write(row->revoked_ms, head + 1 + row->serial.len);
    head[1 + row->serial.len + KEY_U64_SIZE] = (uint8_t)row->reason;
    return buf_append(out, head, 1 + row->serial.len + KEY_U64_SIZE + 1);
}

bool crl_row_read(struct slice *rows, struct crl_row *out, bool *good)
{
    size_t len, size;

    *good = true;
    if (rows->len == 0)
        return false;
    len = rows->data[0];
    size = 1 + len + KEY_U64_SIZE + 1;
    *good = len > 0 && len <= SERIAL_MAX && rows->len >= size && rows->data[size - 1] <= CRL_REASON_MAX;
    if (!*good)
        return false;
    out->serial = slice_of(rows->data + 1, len);
    out->reason = rows->data[size - 1];
    *good = key_u64_read(slice_of(rows->data + 1 + len, KEY_U64_SIZE), &out->revoked_ms);
    *rows = slice_of(rows->data + size, rows->len - size);
    return *good;
}

const char *crl_reason_name(unsigned reason)
{
    static const char *const names[CRL_REASON_MAX + 1] = {
        "unspecified",   "keyCompromise",        "cACompromise",    "affiliationChanged",
        "superseded",    "cessationOfOperation", "certificateHold", "unspecified", /* 7 is not used */
        "removeFromCRL", "privilegeWithdrawn",   "aACompromise"};

    return reason <= CRL_REASON_MAX ? names[reason] : names[0];
}

/* --- OCSP --- */

static enum status read_ocsp(struct slice value, struct ocsp_record *out)
{
    struct msgpack_reader r;
    uint64_t answer;

    memset(out, 0, sizeof(*out));
    msgpack_reader_init(&r, value);
    if (read_array(&r, 6) != 6)
        read_fail(&r, STATUS_MALFORMED);
    answer = read_u64(&r);
    out->revoked_ms = read_u64(&r);
    out->reason = (unsigned)read_u64(&r);
    out->this_ms = read_u64(&r);
    out->next_ms = read_u64(&r);
    out->added_ms = read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK || answer > OCSP_REVOKED || out->reason > CRL_REASON_MAX)
        return STATUS_CORRUPT;
    out->status = (enum ocsp_status)answer;
    return STATUS_OK;
}

enum status store_ocsp_get(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE], struct slice serial,
                           struct ocsp_record *out)
{
    uint8_t key[OCSP_KEY_MAX];
    struct slice value;
    enum status status;

    memset(out, 0, sizeof(*out));
    if (serial.len == 0 || serial.len > SERIAL_MAX)
        return STATUS_NOT_FOUND;
    status = table_get(v->store, v->txn, TABLE_OCSP, ocsp_key(issuer, serial, key), &value);
    return status == STATUS_OK ? read_ocsp(value, out) : status;
}

struct ocsp_walk {
    ocsp_visit_cb visit;
    void *context;
    enum status status;
};

static bool visit_ocsp(void *context, struct slice key, struct slice value)
{
    struct ocsp_walk *walk = context;
    struct ocsp_record record;

    walk->status = key.len > ISSUER_ID_SIZE ? read_ocsp(value, &record) : STATUS_CORRUPT;
    return walk->status == STATUS_OK &&
           walk->visit(walk->context, key.data, slice_of(key.data + ISSUER_ID_SIZE, key.len - ISSUER_ID_SIZE),
                       &record);
}

enum status store_ocsp_all(struct store_view *v, ocsp_visit_cb cb, void *context)
{
    struct ocsp_walk walk = {.visit = cb, .context = context};
    enum status status = table_walk(v->store, v->txn, TABLE_OCSP, (struct slice){0}, visit_ocsp, &walk);

    return status != STATUS_OK ? status : walk.status;
}

bool ocsp_has_ended(const struct ocsp_record *answer, uint64_t before_ms)
{
    return answer->status == OCSP_GOOD && answer->next_ms < before_ms;
}

/* --- the look-up --- */

struct revocation_search {
    struct store_view *view;
    struct slice serial;
    struct revocation *out;
    enum status status;
};

static bool search_list(void *context, const struct crl_record *list)
{
    struct revocation_search *search = context;
    uint8_t key[ROW_KEY_MAX];
    struct msgpack_reader r;
    struct slice value;

    search->status =
        table_get(search->view->store, search->view->txn, TABLE_REVOKED,
                  row_key(list->issuer, list->part, list->generation, search->serial, key), &value);
    if (search->status != STATUS_OK)
        return search->status == STATUS_NOT_FOUND;
    msgpack_reader_init(&r, value);
    if (read_array(&r, 2) != 2)
        read_fail(&r, STATUS_MALFORMED);
    search->out->revoked_ms = read_u64(&r);
    search->out->reason = (unsigned)read_u64(&r);
    if (msgpack_reader_status(&r, true) != STATUS_OK)
        search->status = STATUS_CORRUPT;
    return false;
}

enum status store_revocation_get(struct store_view *v, const uint8_t issuer[ISSUER_ID_SIZE],
                                 struct slice serial, struct revocation *out)
{
    struct revocation_search search = {.view = v, .serial = serial, .out = out, .status = STATUS_NOT_FOUND};
    struct ocsp_record ocsp;
    enum status status;

    memset(out, 0, sizeof(*out));
    if (serial.len == 0 || serial.len > SERIAL_MAX)
        return STATUS_INVALID;
    status = store_crls_all(v, issuer, search_list, &search);
    if (status != STATUS_OK || search.status != STATUS_NOT_FOUND)
        return status != STATUS_OK ? status : search.status;
    status = store_ocsp_get(v, issuer, serial, &ocsp);
    if (status != STATUS_OK || ocsp.status != OCSP_REVOKED)
        return status == STATUS_OK ? STATUS_NOT_FOUND : status;
    *out = (struct revocation){.revoked_ms = ocsp.revoked_ms, .reason = ocsp.reason, .by_ocsp = true};
    return STATUS_OK;
}
