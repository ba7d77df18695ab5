/* See worker_harvest.h. */
#include "node/worker_harvest.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "crypto/smime_certificates.h"
#include "store/setting.h"

#define NOTES_MAX      4                   /* signatures of one message */
#define NOTE_CMS_MAX   ((size_t)256 << 10) /* bytes of a signature with its certificates */
#define RECIPIENTS_MAX 100                 /* whose settings are looked up */
#define UNDER_WAY_MAX  8                   /* proposals */
#define A_MINUTE_MAX   60                  /* proposals of this process */
#define RECENT_MAX     256                 /* proposals that are remembered */
#define PROPOSE_MS     10000
#define HARVEST_ARENA  ((size_t)4 << 20)

enum harvest_mode { MODE_OFF, MODE_TRUSTED, MODE_ALL }; /* as the choices of harvest.smime */

struct note {
    struct slice cms;
    char from[ADDRESS_MAX + 1];
    bool trusted, confirm;
    enum harvest_mode mode;
    enum harvest_on_change on_change;
    uint64_t capabilities;
};

struct recent {
    uint8_t thumbprint[THUMBPRINT_SIZE];
    uint64_t capabilities;
};

struct worker_harvest {
    struct core_client *core;
    struct store_view *view;
    struct arena arena; /* of the message's notes and of run() */
    struct note notes[NOTES_MAX];
    size_t note_count;
    struct recent recent[RECENT_MAX];
    size_t recent_at;
    uint64_t minute;
    unsigned this_minute, under_way;
};

enum status worker_harvest_new(struct core_client *core, struct worker_harvest **out)
{
    *out = calloc(1, sizeof **out);
    if (*out == NULL) {
        return STATUS_NO_MEMORY;
    }
    (*out)->core = core;
    arena_init(&(*out)->arena, HARVEST_ARENA);
    return STATUS_OK;
}

void worker_harvest_free(struct worker_harvest *h)
{
    if (h != NULL) {
        arena_release(&h->arena);
        free(h);
    }
}

static void forget_notes(struct worker_harvest *h)
{
    h->note_count = 0;
    arena_release(&h->arena);
}

/* --- noting --- */

static size_t choice_for(struct worker_harvest *h, enum setting_id id, struct slice address)
{
    struct setting_value value;
    return setting_get(h->view, setting_at(id), address, &value) == STATUS_OK ? setting_choice(&value) : 0;
}

/* Of several recipients the one whose setting allows most: what one domain does not want to learn from its
 * mail, another may. The first choice of each setting is the careful one. */
static void read_settings(struct worker_harvest *h, const struct mail_signature *s, struct note *note)
{
    for (size_t i = 0; i < s->recipient_count && i < RECIPIENTS_MAX; i++) {
        enum harvest_mode mode = (enum harvest_mode)choice_for(h, SETTING_HARVEST_SMIME, s->recipients[i]);
        if (mode > note->mode) {
            note->mode = mode;
            note->confirm = choice_for(h, SETTING_HARVEST_CONFIRM, s->recipients[i]) == 1;
            note->on_change = (enum harvest_on_change)choice_for(h, SETTING_KEY_ON_CHANGE, s->recipients[i]);
        }
    }
}

void worker_harvest_note(void *context, const struct mail_signature *s)
{
    struct worker_harvest *h = context;
    h->view = s->view; /* of this call: a look-up may renew it */
    if (h->note_count == NOTES_MAX || s->cms.len > NOTE_CMS_MAX || s->from.len > ADDRESS_MAX) {
        return;
    }
    struct note *note = &h->notes[h->note_count];
    *note = (struct note){.trusted = s->trusted, .capabilities = s->capabilities};
    read_settings(h, s, note);
    if (note->mode == MODE_OFF || (note->mode == MODE_TRUSTED && !s->trusted)) {
        return;
    }
    memcpy(note->from, s->from.data, s->from.len);
    note->from[s->from.len] = '\0';
    if (arena_copy(&h->arena, s->cms, &note->cms)) {
        h->note_count++;
    }
}

/* --- proposing --- */

static void proposed(void *context, const struct core_answer *answer)
{
    struct worker_harvest *h = context;
    h->under_way--;
    if (answer->status != STATUS_OK && answer->status != STATUS_EXISTS && answer->status != STATUS_CONFLICT &&
        answer->status != STATUS_CLOSED) {
        log_event(LOG_INFO, "a harvested certificate was not stored",
                  LOG_TEXT("reason", answer->text[0] != '\0' ? answer->text : status_text(answer->status)));
    }
}

/* Room for one more, which then counts. */
static bool may_propose(struct worker_harvest *h, const uint8_t thumbprint[THUMBPRINT_SIZE],
                        uint64_t capabilities)
{
    uint64_t minute = clock_monotonic_ms() / 60000 + 1;
    for (size_t i = 0; i < RECENT_MAX; i++) {
        if (memcmp(h->recent[i].thumbprint, thumbprint, THUMBPRINT_SIZE) == 0 &&
            h->recent[i].capabilities == capabilities) {
            return false;
        }
    }
    if (h->minute != minute) {
        h->minute = minute;
        h->this_minute = 0;
    }
    if (h->under_way >= UNDER_WAY_MAX || h->this_minute >= A_MINUTE_MAX) {
        return false;
    }
    h->this_minute++;
    memcpy(h->recent[h->recent_at].thumbprint, thumbprint, THUMBPRINT_SIZE);
    h->recent[h->recent_at].capabilities = capabilities;
    h->recent_at = (h->recent_at + 1) % RECENT_MAX;
    return true;
}

static void propose(struct worker_harvest *h, const struct certificate_record *record, const char *address,
                    enum certificate_state state, const struct note *note, uint64_t flags, uint64_t now_ms)
{
    struct buf encoded = BUF_INIT(COMMAND_MAX), bytes = BUF_INIT(COMMAND_MAX);
    struct command c;
    char actor[COMMAND_ACTOR_MAX + 1];
    if (!may_propose(h, record->thumbprint, note->capabilities) ||
        snprintf(actor, sizeof actor, "node:%s", core_client_node_name(h->core)) >= (int)sizeof actor) {
        return;
    }
    command_init(&c, COMMAND_CERT_HARVEST, now_ms, slice_of_text(actor));
    if (certificate_record_encode(record, &encoded) == STATUS_OK) {
        c.values[0].bytes = buf_slice(&encoded);
        c.values[1].bytes = slice_of_text(address);
        c.values[2].number = state;
        c.values[3].number = note->on_change;
        c.values[4].number = flags;
        c.values[5].number = note->capabilities;
        c.values[6].number = now_ms;
        if (command_check(&c, NULL) == STATUS_OK && command_encode(&c, &bytes) == STATUS_OK) {
            h->under_way++;
            core_client_propose(h->core, buf_slice(&bytes), PROPOSE_MS, proposed, h);
        }
    }
    buf_release(&encoded);
    buf_release(&bytes);
}

/* --- choosing --- */

static bool is_for(const struct certificate_record *record, const char *address)
{
    for (size_t i = 0; i < record->address_count; i++) {
        if (slice_equal(record->addresses[i], slice_of_text(address))) {
            return (record->uses & CERT_USE_ENCRYPT) != 0;
        }
    }
    return false;
}

static bool describe(struct worker_harvest *h, const struct smime_brought *b, size_t i, uint64_t now_ms,
                     struct certificate_record *record)
{
    return i < b->count && certificate_describe(b->der[i], SLICE_LITERAL("harvest"), now_ms, &h->arena,
                                                record, NULL) == STATUS_OK;
}

/* The one that the signer prefers; else the signer's own; else another that names the address. */
static bool choose(struct worker_harvest *h, const struct smime_brought *b, const struct note *note,
                   uint64_t now_ms, size_t *which, struct certificate_record *record)
{
    const size_t first[] = {b->preferred, b->signer};
    for (size_t i = 0; i < b->count + 2; i++) {
        *which = i < 2 ? first[i] : i - 2;
        if (describe(h, b, *which, now_ms, record) && is_for(record, note->from)) {
            return true;
        }
    }
    return false;
}

struct same_key {
    struct slice der;
    bool found;
};

static bool compare_key(void *context, const struct certificate_record *record)
{
    struct same_key *s = context;
    s->found = record->state == CERT_ACTIVE && certificates_share_key(record->der, s->der);
    return !s->found;
}

/* The CAs between it and an anchor. They are no anchors by that. */
static void harvest_chain(struct worker_harvest *h, const struct smime_brought *b, size_t which,
                          uint64_t now_ms)
{
    const struct note nothing = {.on_change = HARVEST_REVIEW};
    size_t chain[SMIME_BROUGHT_MAX];
    size_t count = smime_brought_chain(b, which, chain);
    for (size_t i = 0; i < count; i++) {
        struct certificate_record record, known;
        if (describe(h, b, chain[i], now_ms, &record) && (record.uses & CERT_USE_CA) != 0 &&
            store_certificate_get(h->view, record.thumbprint, &known) == STATUS_NOT_FOUND) {
            propose(h, &record, "", CERT_ACTIVE, &nothing, 0, now_ms);
        }
    }
}

static void harvest(struct worker_harvest *h, struct trust *trust, const struct note *note, uint64_t now_ms)
{
    struct smime_brought *b = arena_alloc(&h->arena, sizeof *b);
    struct certificate_record record, known;
    size_t which;
    if (b == NULL || smime_certificates_brought(note->cms, &h->arena, b) != STATUS_OK ||
        !choose(h, b, note, now_ms, &which, &record)) {
        return;
    }
    bool trusted = note->trusted && smime_brought_check(b, which, trust, now_ms, NULL) == STATUS_OK;
    uint64_t flags = note->capabilities != 0 ? HARVEST_CAPABILITIES : 0;
    enum status status = store_certificate_get(h->view, record.thumbprint, &known);
    if (status == STATUS_OK && (!trusted || (note->capabilities & ~known.capabilities) == 0)) {
        return; /* nothing new, or nothing that could be believed of a certificate that is in use */
    }
    if ((status != STATUS_OK && status != STATUS_NOT_FOUND) || (!trusted && note->mode != MODE_ALL)) {
        return;
    }
    if (status == STATUS_NOT_FOUND) {
        struct same_key same = {.der = record.der};
        if (store_certificates_for(h->view, slice_of_text(note->from), compare_key, &same) == STATUS_OK &&
            same.found) {
            flags |= HARVEST_SAME_KEY;
        }
        if (trusted) {
            harvest_chain(h, b, which, now_ms);
        }
    }
    propose(h, &record, note->from, trusted && !note->confirm ? CERT_ACTIVE : CERT_QUARANTINE, note, flags,
            now_ms);
}

void worker_harvest_run(struct worker_harvest *h, struct store_view *view, struct trust *trust,
                        uint64_t now_ms)
{
    h->view = view;
    for (size_t i = 0; i < h->note_count; i++) {
        harvest(h, trust, &h->notes[i], now_ms);
    }
    h->view = NULL;
    forget_notes(h);
}
