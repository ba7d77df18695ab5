/*
 * A certificate that signed mail brought (COMMAND_CERT_HARVEST). The worker that saw the mail says what its
 * settings wanted; here it is decided against the state, so that two workers that see the same mail at once
 * do the same as one.
 *
 * A certificate that is there already only learns what the mail announced. A new one becomes active, unless
 * it is to wait in quarantine, or its address has another certificate that is in use for encryption and the
 * key changed: then `on_change` says whether it waits (review), takes the other's place (replace) or is
 * passed over (keep). Nothing here touches trust.
 */
#include "store/apply_certificates_internal.h"

#define OTHERS_MAX 64 /* certificates of one address that can be replaced at once */

struct others {
    uint8_t thumbprints[OTHERS_MAX][THUMBPRINT_SIZE];
    size_t count;
    uint64_t now_ms;
};

static bool note_other(void *context, const struct certificate_record *record)
{
    struct others *others = context;

    if (record->state == CERT_ACTIVE && (record->uses & CERT_USE_ENCRYPT) != 0 &&
        record->not_after_ms >= others->now_ms && others->count < OTHERS_MAX)
        memcpy(others->thumbprints[others->count++], record->thumbprint, THUMBPRINT_SIZE);
    return true;
}

static enum status learn(struct store_apply *a, const uint8_t thumbprint[THUMBPRINT_SIZE])
{
    struct certificate_state_record state;
    uint64_t capabilities = apply_number(a, 5), seen_ms = apply_number(a, 6);
    enum status status = apply_state_get(a, thumbprint, &state);

    if (status != STATUS_OK)
        return status;
    if ((apply_number(a, 4) & HARVEST_CAPABILITIES) == 0 || seen_ms <= state.seen_ms ||
        state.capabilities == capabilities)
        return STATUS_EXISTS;
    state.capabilities = capabilities;
    state.seen_ms = seen_ms;
    apply_state_put(a, thumbprint, &state);
    return STATUS_OK;
}

static void replace(struct store_apply *a, const struct others *others)
{
    for (size_t i = 0; i < others->count; i++) {
        struct certificate_state_record state;

        if (apply_state_get(a, others->thumbprints[i], &state) != STATUS_OK)
            return;
        state.state = CERT_REPLACED;
        state.since_ms = a->command->time_ms;
        apply_state_put(a, others->thumbprints[i], &state);
    }
}

enum status apply_cert_harvest(struct store_apply *a)
{
    struct store_view view = {.store = a->store, .txn = a->txn};
    struct certificate_record record;
    struct others others = {.now_ms = a->command->time_ms};
    struct certificate_state_record state = {.state = apply_number(a, 2)};
    enum status status = certificate_record_decode(apply_bytes(a, 0), &record);
    bool changes = false;

    if (status != STATUS_OK)
        return apply_refuse(a, status, "the certificate's record is not well formed");
    if (apply_has(a, TABLE_CERTS, slice_of(record.thumbprint, THUMBPRINT_SIZE))) {
        status = learn(a, record.thumbprint);
        return status == STATUS_OK ? status : apply_refuse(a, status, "there is nothing new about it");
    }
    if (apply_bytes(a, 1).len > 0 && (record.uses & CERT_USE_ENCRYPT) != 0) {
        status = store_certificates_for(&view, apply_bytes(a, 1), note_other, &others);
        if (status != STATUS_OK)
            return apply_refuse(a, status, "the certificates of the address cannot be read");
        changes = others.count > 0 && (apply_number(a, 4) & HARVEST_SAME_KEY) == 0;
    }
    if (changes && apply_number(a, 3) == HARVEST_KEEP)
        return apply_refuse(a, STATUS_CONFLICT, "the address has another certificate, which is kept");
    if (changes && apply_number(a, 3) == HARVEST_REVIEW)
        state.state = CERT_QUARANTINE;
    if ((apply_number(a, 4) & HARVEST_CAPABILITIES) != 0) {
        state.capabilities = apply_number(a, 5);
        state.seen_ms = apply_number(a, 6);
    }
    state.since_ms = a->command->time_ms;
    apply_certificate_put(a, &record, apply_bytes(a, 0));
    apply_state_put(a, record.thumbprint, &state);
    if (changes && apply_number(a, 3) == HARVEST_REPLACE && state.state == CERT_ACTIVE)
        replace(a, &others);
    return STATUS_OK;
}
