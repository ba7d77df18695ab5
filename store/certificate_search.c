/* See certificate_search.h. */
#include "store/certificate_search.h"

#include "base/hex.h"
#include "store/certificate_tables.h"
#include "store/certificate_words.h"

#define RANGES_MAX 32
#define COUNT_MAX  2000 /* entries that are counted to find the shortest range */

/* Keys of a table that end with a thumbprint, and lie in a row. */
struct range {
    enum table table;
    uint8_t prefix[INDEX_KEY_MAX], from[INDEX_KEY_MAX], end[INDEX_KEY_MAX];
    size_t prefix_len, from_len,
        end_len; /* from_len 0: from the prefix; end_len 0: to the end of the prefix */
};

struct search {
    struct store_view *view;
    const struct certificate_query *query;
    certificate_visit_cb visit;
    void *context;
    char text[CERT_SEARCH_TEXT_MAX]; /* folded */
    struct slice terms[CERT_SEARCH_TERMS_MAX];
    size_t term_count;
    struct range ranges[RANGES_MAX];
    size_t range_count;
    const struct range *walked;
    uint8_t last[INDEX_KEY_MAX]; /* key that the next page comes behind */
    size_t last_len;
    size_t work, found;
    bool more;
    enum status status;
};

/* --- ranges --- */

static struct range *range_add(struct search *s, enum table table, const void *prefix, size_t len)
{
    struct range *r;

    if (s->range_count == RANGES_MAX || len > INDEX_KEY_MAX)
        return NULL;
    r = &s->ranges[s->range_count++];
    memset(r, 0, sizeof(*r));
    r->table = table;
    if (len > 0)
        memcpy(r->prefix, prefix, len);
    r->prefix_len = len;
    return r;
}

static bool range_holds(const struct range *r, struct slice key)
{
    return slice_starts_with(key, slice_of(r->prefix, r->prefix_len)) &&
           (r->from_len == 0 || slice_compare(key, slice_of(r->from, r->from_len)) >= 0) &&
           (r->end_len == 0 || slice_compare(key, slice_of(r->end, r->end_len)) < 0);
}

static struct slice range_start(const struct range *r)
{
    return r->from_len > 0 ? slice_of(r->from, r->from_len) : slice_of(r->prefix, r->prefix_len);
}

struct counting {
    const struct range *range;
    size_t count, max;
};

static bool count_one(void *context, struct slice key, struct slice value)
{
    struct counting *c = context;

    (void)value;
    return range_holds(c->range, key) && ++c->count < c->max;
}

/* The shortest, as far as it is worth counting. */
static enum status choose_range(struct search *s)
{
    size_t least = SIZE_MAX;

    for (size_t i = 0; i < s->range_count; i++) {
        struct counting c = {.range = &s->ranges[i], .max = COUNT_MAX};
        enum status status;

        if (s->range_count > 1) {
            status = table_walk(s->view->store, s->view->txn, s->ranges[i].table, range_start(&s->ranges[i]),
                                count_one, &c);
            if (status != STATUS_OK)
                return status;
        }
        if (c.count < least) {
            least = c.count;
            s->walked = &s->ranges[i];
        }
    }
    return STATUS_OK;
}

/* A beginning of a thumbprint in hexadecimal digits, an odd number of them too. */
static bool range_of_digits(struct search *s, struct slice digits)
{
    uint8_t bytes[THUMBPRINT_SIZE];
    size_t whole = digits.len / 2;
    struct range *r;

    if (digits.len < CERT_THUMBPRINT_DIGITS || digits.len > 2 * THUMBPRINT_SIZE ||
        !hex_parse(slice_of(digits.data, 2 * whole), bytes, whole))
        return false;
    r = range_add(s, TABLE_CERTS, bytes, whole);
    if (r != NULL && digits.len % 2 == 1) {
        uint8_t pair[2] = {'0', digits.data[digits.len - 1]}, nibble;

        if (!hex_parse(slice_of(pair, 2), &nibble, 1)) {
            s->range_count--;
            return false;
        }
        memcpy(r->from, bytes, whole);
        r->from[whole] = (uint8_t)(nibble << 4);
        r->from_len = whole + 1;
        memcpy(r->end, r->from, whole);
        r->end[whole] = (uint8_t)((nibble + 1) << 4);
        r->end_len = nibble < 15 ? whole + 1 : 0;
    }
    return r != NULL;
}

/* --- what is asked for --- */

static void ranges_of_term(struct search *s, struct slice term)
{
    struct slice rest = term, word;

    while (words_next(&rest, &word)) {
        uint8_t key[2 + CERT_WORD_MAX] = {INDEX_WORD};
        size_t len = word.len < CERT_WORD_MAX ? word.len : CERT_WORD_MAX;

        if (len < CERT_WORD_MIN)
            continue;
        memcpy(key + 1, word.data, len);
        /* behind it comes something of the same term: then it is the whole word */
        if (rest.len > 0)
            key[1 + len++] = 0;
        (void)range_add(s, TABLE_CERT_INDEX, key, 1 + len);
    }
}

static enum status read_text(struct search *s, struct failure *f)
{
    struct slice rest = slice_trim(s->query->text);

    if (rest.len > sizeof(s->text))
        return failure_set(f, STATUS_INVALID, "a text to search for has at most %zu bytes", sizeof(s->text));
    if (rest.len > 0)
        memcpy(s->text, rest.data, rest.len);
    words_fold(s->text, rest.len);
    rest = slice_of(s->text, rest.len);
    while (rest.len > 0) {
        size_t end = slice_find_byte(rest, ' ');

        if (s->term_count == CERT_SEARCH_TERMS_MAX)
            return failure_set(f, STATUS_INVALID, "at most %d words can be searched for at once",
                               CERT_SEARCH_TERMS_MAX);
        s->terms[s->term_count++] = slice_of(rest.data, end);
        ranges_of_term(s, slice_of(rest.data, end));
        rest = slice_trim(slice_of(rest.data + end, rest.len - end));
    }
    if (s->term_count > 0 && s->range_count == 0)
        return failure_set(f, STATUS_INVALID,
                           "a text to search for needs a word of at least %d letters or digits",
                           CERT_WORD_MIN);
    return STATUS_OK;
}

/* Some certificate's thumbprint begins so: then that is what was meant. */
static enum status read_digits(struct search *s)
{
    struct counting c = {.range = s->ranges, .max = 1};
    enum status status;

    if (!range_of_digits(s, slice_trim(s->query->text)))
        return STATUS_OK;
    status = table_walk(s->view->store, s->view->txn, TABLE_CERTS, range_start(s->ranges), count_one, &c);
    if (c.count == 0)
        s->range_count = 0;
    return status;
}

static void ranges_of_conditions(struct search *s)
{
    const struct certificate_query *q = s->query;
    uint8_t key[INDEX_KEY_MAX];
    char reversed[DOMAIN_REVERSED_MAX];

    if (q->address.len > 0 && q->address.len <= ADDRESS_MAX) {
        memcpy(key, q->address.data, q->address.len);
        key[q->address.len] = 0;
        (void)range_add(s, TABLE_CERT_ADDRESS, key, q->address.len + 1);
    }
    if (q->domain.len > 0) {
        size_t len = domain_reverse(q->domain, reversed);

        (void)range_add(s, TABLE_CERT_INDEX, key,
                        index_text_key(INDEX_DOMAIN, slice_of(reversed, len), NULL, key) - 1);
    }
    if (q->source.len > 0)
        (void)range_add(s, TABLE_CERT_INDEX, key, index_text_key(INDEX_SOURCE, q->source, NULL, key));
    if (q->expires_before_ms > 0 || q->expires_after_ms > 0) {
        uint8_t kind = INDEX_EXPIRY;
        struct range *r = range_add(s, TABLE_CERT_INDEX, &kind, 1);

        if (r != NULL)
            r->from_len = index_expiry_key(q->expires_after_ms, NULL, r->from);
        if (r != NULL && q->expires_before_ms > 0)
            r->end_len = index_expiry_key(q->expires_before_ms, NULL, r->end);
    }
    if (q->with_key)
        (void)range_add(s, TABLE_KEYS, NULL, 0);
    if (q->state != CERT_STATE_ANY && q->state != CERT_ACTIVE)
        (void)range_add(s, TABLE_CERT_STATE, NULL, 0);
    if (s->range_count == 0)
        (void)range_add(s, TABLE_CERTS, NULL, 0);
}

/* --- the cursor: a letter for the table (none: certs), and the key in hexadecimal digits --- */

static char table_letter(enum table table)
{
    switch (table) {
    case TABLE_CERT_INDEX:
        return 'x';
    case TABLE_CERT_ADDRESS:
        return 'y';
    case TABLE_KEYS:
        return 'k';
    case TABLE_CERT_STATE:
        return 'z';
    default:
        return '\0';
    }
}

static void cursor_write(const struct search *s, char next[CERT_SEARCH_CURSOR_MAX])
{
    char letter = table_letter(s->walked->table);

    if (letter != '\0')
        *next++ = letter;
    hex_format(slice_of(s->last, s->last_len), next);
}

/* Which range it is of; the walk begins behind its key. */
static enum status cursor_read(struct search *s, struct failure *f)
{
    struct slice digits = s->query->after;
    char letter = '\0';

    if (digits.len > 0 && strchr("xykz", (char)digits.data[0]) != NULL) {
        letter = (char)digits.data[0];
        digits = slice_of(digits.data + 1, digits.len - 1);
    }
    s->last_len = digits.len / 2;
    if (s->last_len <= INDEX_KEY_MAX && hex_parse(digits, s->last, s->last_len))
        for (size_t i = 0; i < s->range_count && s->walked == NULL; i++)
            if (table_letter(s->ranges[i].table) == letter &&
                range_holds(&s->ranges[i], slice_of(s->last, s->last_len)))
                s->walked = &s->ranges[i];
    return s->walked != NULL ? STATUS_OK
                             : failure_set(f, STATUS_INVALID, "after: it is not from a page of this search");
}

/* --- the walk --- */

/* A certificate may be in a range several times (two words that begin so): the first key counts. */
static bool is_first_key(const struct search *s, struct slice key, const struct certificate_record *record,
                         const struct certificate_words *words)
{
    struct slice prefix = slice_of(s->walked->prefix + 1, s->walked->prefix_len - 1);
    struct slice here = slice_of(key.data + 1, key.len - 2 - THUMBPRINT_SIZE);
    uint8_t text[INDEX_KEY_MAX];

    for (size_t i = 0; key.data[0] == INDEX_WORD && i < words->count; i++) {
        memcpy(text, words->words[i].data, words->words[i].len);
        text[words->words[i].len] = 0;
        if (slice_starts_with(slice_of(text, words->words[i].len + 1), prefix) &&
            slice_compare(words->words[i], here) < 0)
            return false;
    }
    for (size_t i = 0; key.data[0] == INDEX_DOMAIN && i < record->address_count; i++) {
        char reversed[DOMAIN_REVERSED_MAX];
        struct slice domain =
            slice_of(reversed, domain_reverse(address_domain(record->addresses[i]), reversed));

        if (slice_starts_with(domain, prefix) && slice_compare(domain, here) < 0)
            return false;
    }
    return true;
}

static bool is_of_domain(const struct certificate_record *record, struct slice wanted)
{
    for (size_t i = 0; i < record->address_count; i++) {
        struct slice domain = address_domain(record->addresses[i]);
        size_t more = domain.len - wanted.len;

        if (domain.len >= wanted.len && slice_equal(slice_of(domain.data + more, wanted.len), wanted) &&
            (more == 0 || domain.data[more - 1] == '.'))
            return true;
    }
    return false;
}

static bool names_address(const struct certificate_record *record, struct slice wanted)
{
    for (size_t i = 0; i < record->address_count; i++)
        if (slice_equal(record->addresses[i], wanted))
            return true;
    return false;
}

static bool fits(struct search *s, struct slice key, const struct certificate_record *record)
{
    const struct certificate_query *q = s->query;
    bool of_index = s->walked->table == TABLE_CERT_INDEX;
    struct certificate_words words;

    if ((q->address.len > 0 && !names_address(record, q->address)) ||
        (q->domain.len > 0 && !is_of_domain(record, q->domain)) ||
        (q->source.len > 0 && !slice_equal(q->source, record->source)) ||
        record->not_after_ms < q->expires_after_ms ||
        (q->expires_before_ms > 0 && record->not_after_ms >= q->expires_before_ms) ||
        (q->state != CERT_STATE_ANY && q->state != record->state) ||
        (q->with_key && !store_has_key(s->view, record->thumbprint)))
        return false;
    if (s->term_count > 0 || of_index) {
        certificate_words_of(record, &words);
        for (size_t i = 0; i < s->term_count; i++)
            if (!words_hold(slice_of(words.text, words.text_len), s->terms[i]))
                return false;
        if (of_index && !is_first_key(s, key, record, &words))
            return false;
    }
    if (q->wants == NULL)
        return true;
    s->work += q->wants_cost;
    return q->wants(s->context, record);
}

static void keep_place(struct search *s, struct slice key)
{
    memcpy(s->last, key.data, key.len);
    s->last_len = key.len;
}

static bool visit(void *context, struct slice key, struct slice value)
{
    struct search *s = context;
    struct certificate_record record;

    if (key.len < THUMBPRINT_SIZE || key.len > INDEX_KEY_MAX || !range_holds(s->walked, key))
        return false;
    if (s->last_len > 0 && slice_compare(key, slice_of(s->last, s->last_len)) <= 0)
        return true; /* the cursor's own key */
    if (s->work >= s->query->work_max) {
        s->more = true;
        return false;
    }
    s->work++;
    s->status = s->walked->table == TABLE_CERTS
                    ? certificate_load(s->view, value, &record)
                    : store_certificate_get(s->view, key.data + key.len - THUMBPRINT_SIZE, &record);
    if (s->status == STATUS_NOT_FOUND)
        s->status = STATUS_CORRUPT; /* a key without its record */
    if (s->status != STATUS_OK)
        return false;
    if (fits(s, key, &record)) {
        if (s->found == s->query->limit) {
            s->more = true;
            return false;
        }
        s->found++;
        if (!s->visit(s->context, &record))
            return false;
    }
    keep_place(s, key);
    return true;
}

static enum status walk(struct search *s)
{
    struct slice from = range_start(s->walked);
    uint8_t start[INDEX_KEY_MAX];
    enum status status;

    if (s->last_len > 0) {
        memcpy(start, s->last, s->last_len);
        from = slice_of(start, s->last_len);
    }
    status = table_walk(s->view->store, s->view->txn, s->walked->table, from, visit, s);
    return status != STATUS_OK ? status : s->status;
}

enum status store_certificates_search(struct store_view *v, const struct certificate_query *query,
                                      certificate_visit_cb cb, void *context,
                                      char next[CERT_SEARCH_CURSOR_MAX], struct failure *f)
{
    struct certificate_query q = *query;
    struct search s = {.view = v, .query = &q, .visit = cb, .context = context};
    enum status status = read_digits(&s);

    next[0] = '\0';
    q.work_max = q.work_max == 0 ? CERT_SEARCH_WORK_MAX : q.work_max;
    if (status == STATUS_OK && s.range_count == 0)
        status = read_text(&s, f);
    if (status != STATUS_OK)
        return status;
    ranges_of_conditions(&s);
    status = q.after.len > 0 ? cursor_read(&s, f) : choose_range(&s);
    if (status == STATUS_OK)
        status = walk(&s);
    if (status == STATUS_OK && s.more)
        cursor_write(&s, next);
    return status == STATUS_OK || status == STATUS_INVALID
               ? status
               : failure_set(f, status, "the certificates cannot be read");
}

enum status store_certificates_expiring(struct store_view *v, uint64_t after_ms, uint64_t before_ms,
                                        size_t max, size_t *count)
{
    struct range r = {.prefix = {INDEX_EXPIRY}, .prefix_len = 1};
    struct counting c = {.range = &r, .max = max};
    enum status status;

    r.from_len = index_expiry_key(after_ms, NULL, r.from);
    r.end_len = index_expiry_key(before_ms, NULL, r.end);
    status = table_walk(v->store, v->txn, TABLE_CERT_INDEX, range_start(&r), count_one, &c);
    *count = c.count;
    return status;
}

struct digits_search {
    struct certificate_record *out;
    size_t found;
};

static bool keep_one(void *context, const struct certificate_record *record)
{
    struct digits_search *d = context;

    *d->out = *record;
    return ++d->found < 2;
}

enum status store_certificate_by_digits(struct store_view *v, struct slice digits,
                                        struct certificate_record *out)
{
    struct certificate_query q = {.limit = 2, .work_max = 4, .state = CERT_STATE_ANY};
    struct digits_search found = {.out = out};
    struct search s = {.view = v, .query = &q, .visit = keep_one, .context = &found};
    enum status status;

    if (!range_of_digits(&s, digits))
        return STATUS_INVALID;
    s.walked = s.ranges;
    status = walk(&s);
    if (status != STATUS_OK)
        return status;
    return found.found == 1 ? STATUS_OK : found.found == 0 ? STATUS_NOT_FOUND : STATUS_CONFLICT;
}
