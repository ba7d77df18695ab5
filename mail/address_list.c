/*
 * Reading address lists in one pass with a few counters: no recursion and no list in memory, whatever comes
 * (GMime 3.2 overflows its stack on "To: a:b,a:b,..."). Comments, quoted strings, groups, routes and the
 * obsolete forms are understood, but some of them make the list "unclear": `a@b.example <c@d.example>` or two
 * angle brackets are read differently by different programs, and a verdict on a signature must not depend on
 * which one the reader has.
 *
 * What is no address is counted and not visited. Pure; any thread.
 */
#include "mail/address_list.h"

#include "mail/idn.h"
#include "mail/mime_text.h"

#define ADDRESSES_MAX 20000 /* of one field; the header's own limit allows few more */

struct mailbox {
    char outside[ADDRESS_MAX + 1]; /* what stands outside of angle brackets, blanks and comments taken away */
    char inside[ADDRESS_MAX + 1];
    size_t outside_len, inside_len;
    bool any; /* a token was seen */
    bool in_angle, had_angle;
    bool at_outside; /* an unquoted @ outside of the brackets */
    bool apart;      /* blanks between two words outside: a phrase, no address */
    bool last_was_word;
    bool broken; /* too long, or not well formed */
};

static void mailbox_add(struct mailbox *m, struct slice text)
{
    char *to = m->in_angle ? m->inside : m->outside;
    size_t *len = m->in_angle ? &m->inside_len : &m->outside_len;
    m->any = true;
    if (*len + text.len > ADDRESS_MAX) {
        /* A long display name is no fault; a long address is. */
        m->broken = m->broken || m->in_angle;
        *len = ADDRESS_MAX;
        m->apart = m->apart || !m->in_angle;
        return;
    }
    memcpy(to + *len, text.data, text.len);
    *len += text.len;
}

static bool mailbox_end(struct mailbox *m, struct address_list_facts *facts, address_visit_cb visit,
                        void *context)
{
    bool go_on = true;
    if (m->any) {
        char address[ADDRESS_MAX + 1], ascii[ADDRESS_MAX + 1];
        struct slice text =
            m->had_angle ? slice_of(m->inside, m->inside_len) : slice_of(m->outside, m->outside_len);
        bool good = !m->broken && !m->in_angle && (m->had_angle || !m->apart) &&
                    idn_address_to_ascii(text, ascii) &&
                    address_normalise(slice_of_text(ascii), address, NULL) == STATUS_OK;
        facts->mailboxes++;
        if (!good || (m->had_angle && m->at_outside)) {
            facts->clear = false;
        }
        if (good) {
            go_on = visit(context, slice_of_text(address));
        }
    }
    *m = (struct mailbox){0};
    return go_on;
}

/* Length of a quoted string or domain literal that starts at *at, with its closing byte; 0 if it does not
 * end. */
static size_t quoted_length(struct slice at, uint8_t close)
{
    for (size_t i = 1; i < at.len; i++) {
        if (at.data[i] == '\\') {
            i++;
        } else if (at.data[i] == close) {
            return i + 1;
        }
    }
    return 0;
}

static bool is_atom_byte(uint8_t c)
{
    return c > 0x20 && c != 0x7f && strchr("()<>[]:;@\\,\"", c) == NULL;
}

struct address_list_facts address_list_read(struct slice value, address_visit_cb visit, void *context)
{
    struct address_list_facts facts = {.clear = true};
    struct mailbox m = {0};
    struct slice at = value;
    for (;;) {
        size_t before = at.len;
        mime_skip_blank(&at);
        bool blank = at.len != before;
        if (at.len == 0 || facts.mailboxes >= ADDRESSES_MAX) {
            break;
        }
        uint8_t c = at.data[0];
        size_t len = 1;
        bool word = false;
        if (c == ',' && !m.in_angle) {
            if (!mailbox_end(&m, &facts, visit, context)) {
                return facts;
            }
        } else if (c == ';' && !m.in_angle) {
            facts.clear = false;
            if (!mailbox_end(&m, &facts, visit, context)) {
                return facts;
            }
        } else if (c == ':' && !m.in_angle) { /* what came before was a group's name */
            facts.clear = false;
            m = (struct mailbox){0};
        } else if (c == '<') {
            m.broken = m.broken || m.in_angle || m.had_angle;
            m.in_angle = m.had_angle = m.any = true;
        } else if (c == '>') {
            m.broken = m.broken || !m.in_angle;
            m.in_angle = false;
        } else if (c == ':' || c == ',') { /* a route within the brackets: the address comes behind it */
            facts.clear = false;
            m.inside_len = 0;
        } else if (c == '"' || c == '[') {
            len = quoted_length(at, c == '"' ? '"' : ']');
            word = true;
            if (len == 0) {
                m.broken = m.any = true;
                len = at.len;
            } else {
                if (m.last_was_word && !m.in_angle) {
                    m.apart = true;
                }
                mailbox_add(&m, slice_of(at.data, len));
            }
        } else if (c == '@') {
            m.at_outside = m.at_outside || !m.in_angle;
            mailbox_add(&m, slice_of(at.data, 1));
        } else if (is_atom_byte(c)) {
            while (len < at.len && is_atom_byte(at.data[len])) {
                len++;
            }
            word = true;
            if (m.last_was_word) {
                m.apart = m.apart || !m.in_angle;
                m.broken = m.broken || (m.in_angle && blank);
            }
            /* Behind the brackets nothing but comments may follow. */
            m.broken = m.broken || (m.had_angle && !m.in_angle);
            mailbox_add(&m, slice_of(at.data, len));
        } else { /* a control byte, a lone bracket or backslash */
            m.broken = m.any = true;
        }
        m.last_was_word = word;
        at = slice_of(at.data + len, at.len - len);
    }
    if (at.len > 0) {
        facts.clear = false;
    }
    (void)mailbox_end(&m, &facts, visit, context);
    return facts;
}

static bool keep_address(void *context, struct slice address)
{
    char *to = context;
    memcpy(to, address.data, address.len);
    to[address.len] = '\0';
    return true;
}

void message_from(const struct entity *message, char from[ADDRESS_MAX + 1])
{
    from[0] = '\0';
    /* Behind a line that is no field, another program may see another From, or none. */
    if (message->malformed || entity_field_count(message, "From") != 1) {
        return;
    }
    struct address_list_facts facts =
        address_list_read(entity_field(message, "From")->value, keep_address, from);
    if (!facts.clear || facts.mailboxes != 1) {
        from[0] = '\0';
    }
}

struct collection {
    struct arena *arena;
    struct named_addresses *named;
    size_t capacity;
    bool failed;
};

static bool collect_address(void *context, struct slice address)
{
    struct collection *c = context;
    struct named_addresses *named = c->named;
    if (named->count == c->capacity) {
        size_t more = c->capacity == 0 ? 16 : c->capacity * 2;
        struct slice *grown = arena_alloc_array(c->arena, more, sizeof grown[0]);
        if (grown == NULL) {
            c->failed = true;
            return false;
        }
        if (named->count > 0) {
            memcpy(grown, named->addresses, named->count * sizeof grown[0]);
        }
        named->addresses = grown;
        c->capacity = more;
    }
    c->failed = !arena_copy(c->arena, address, &named->addresses[named->count]);
    named->count += !c->failed;
    return !c->failed;
}

static int compare_addresses(const void *a, const void *b)
{
    return slice_compare(*(const struct slice *)a, *(const struct slice *)b);
}

enum status named_addresses_read(const struct entity *message, struct arena *a, struct named_addresses *named)
{
    static const char *const fields[] = {"To", "Cc", "Resent-To", "Resent-Cc"};
    *named = (struct named_addresses){0};
    struct collection c = {.arena = a, .named = named};
    for (size_t i = 0; i < message->field_count && !c.failed; i++) {
        for (size_t n = 0; n < sizeof fields / sizeof fields[0]; n++) {
            if (slice_equal_nocase(message->fields[i].name, slice_of_text(fields[n]))) {
                (void)address_list_read(message->fields[i].value, collect_address, &c);
            }
        }
    }
    if (named->count > 1) {
        qsort(named->addresses, named->count, sizeof named->addresses[0], compare_addresses);
    }
    return c.failed ? STATUS_NO_MEMORY : STATUS_OK;
}

bool named_addresses_hold(const struct named_addresses *named, struct slice address)
{
    return named->count > 0 &&
           bsearch(&address, named->addresses, named->count, sizeof address, compare_addresses) != NULL;
}
