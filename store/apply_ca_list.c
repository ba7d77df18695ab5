/*
 * A revocation list of our own CA as rows of `crls` and `revoked` (docs/decisions/0012), so that what looks
 * there for anybody's list finds ours: policy, the verification of signatures, `crl list`. The list is never
 * brought in as a whole: each revocation adds its row to the generation in force, and the list's record gets
 * the number and the times of the list that was signed with it. If somebody brought the same list in from a
 * file, its generation is the one in force and goes on growing.
 */
#include "store/apply_internal.h"
#include "store/records_ca.h"
#include "store/revocation_internal.h"

#define FIRST_GENERATION 1
#define LIST_MAX         16384 /* bytes of a list's record */

static void put(struct store_apply *a, enum table table, struct slice key, struct buf *value,
                enum status status)
{
    if (status == STATUS_OK)
        apply_put(a, table, key, buf_slice(value));
    else if (a->broken == STATUS_OK)
        a->broken = failure_set(&a->broken_text, STATUS_NO_MEMORY, "cannot encode a record");
    buf_release(value);
}

/* True if it was not there before. */
static bool row_put(struct store_apply *a, const struct ca_record *ca, const uint8_t part[CRL_PART_SIZE],
                    uint64_t generation, const struct crl_row *row)
{
    uint8_t key[ROW_KEY_MAX];
    struct slice k;
    struct buf value = BUF_INIT(32);
    struct msgpack_writer w;
    bool is_new;

    k = row_key(ca->issuer_id, part, generation, row->serial, key);
    is_new = !apply_has(a, TABLE_REVOKED, k);
    msgpack_writer_init(&w, &value);
    write_array(&w, 2);
    write_u64(&w, row->revoked_ms);
    write_u64(&w, row->reason);
    put(a, TABLE_REVOKED, k, &value, msgpack_writer_status(&w));
    return is_new;
}

void apply_own_list(struct store_apply *a, const struct ca_record *ca, struct slice rows)
{
    static const uint8_t part[CRL_PART_SIZE] = {0};
    uint8_t key[LIST_KEY_SIZE], number[KEY_U64_SIZE];
    struct slice k = list_key(ca->issuer_id, part, key), value;
    struct crl_record before = {.generation = FIRST_GENERATION}, list = {.source = SLICE_LITERAL("ca")};
    struct certificate_record certificate;
    struct buf record = BUF_INIT(LIST_MAX), row = BUF_INIT(LIST_MAX + 32);
    struct msgpack_writer w;
    struct crl_row one;
    size_t zeros = 0;
    enum status status;
    bool good;

    if (apply_get(a, TABLE_CRLS, k, &value) == STATUS_OK &&
        crl_row_of_table(k, value, &before) != STATUS_OK) {
        if (a->broken == STATUS_OK)
            a->broken = failure_set(&a->broken_text, STATUS_CORRUPT, "the record of a list cannot be read");
        return;
    }
    list.entries = before.entries;
    list.generation = before.generation;
    while (a->broken == STATUS_OK && crl_row_read(&rows, &one, &good))
        list.entries += row_put(a, ca, part, list.generation, &one) ? 1 : 0;
    key_u64_write(ca->crl_number, number);
    while (zeros < sizeof(number) - 1 && number[zeros] == 0)
        zeros++;
    list.number = slice_of(number + zeros, sizeof(number) - zeros);
    list.this_ms = ca->crl_this_ms;
    list.next_ms = ca->crl_next_ms;
    list.added_ms = a->command->time_ms;
    if (apply_get(a, TABLE_CERTS, slice_of(ca->thumbprint, THUMBPRINT_SIZE), &value) == STATUS_OK &&
        certificate_record_decode(value, &certificate) == STATUS_OK)
        list.name = certificate.subject;
    status = crl_record_encode(&list, &record);
    if (status == STATUS_OK) {
        msgpack_writer_init(&w, &row);
        write_array(&w, 2);
        write_u64(&w, list.generation);
        write_bytes(&w, buf_slice(&record));
        status = msgpack_writer_status(&w);
    }
    buf_release(&record);
    put(a, TABLE_CRLS, k, &row, status);
    apply_trust_changed(a);
}
