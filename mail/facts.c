/*
 * Reading what a message is (mail/facts.h), in one walk over its parts.
 *
 * Multiparts are opened one after the other from a stack of our own, at most ENTITY_DEPTH_MAX deep and
 * ENTITY_PARTS_MAX in all; what lies beyond is not looked at, and the message counts as malformed. So does
 * whatever programs read differently: a header line that is no field, a field twice that may stand once, a
 * multipart that has no boundary or is not closed, a boundary that begins like one around it. A message in a
 * message is an attachment: it is not opened. Pure; one thread.
 */
#include "mail/facts.h"

#include "mail/address_list.h"
#include "mail/mime_text.h"
#include "mail/words.h"

struct node {
    struct slice bytes;
    struct slice boundary; /* of the multipart that it is, once it was opened */
    const struct node *parent;
    size_t depth;
};

struct walk {
    struct arena *arena;
    struct message_facts *facts;
    struct node **stack;
    size_t count, capacity, attachment_capacity;
    size_t parts;
    bool has_content;
};

static bool push(struct walk *w, struct slice bytes, const struct node *parent)
{
    struct node *node = arena_alloc(w->arena, sizeof *node);
    if (node != NULL && w->count == w->capacity) {
        size_t more = w->capacity == 0 ? 32 : w->capacity * 2;
        struct node **grown = arena_alloc_array(w->arena, more, sizeof grown[0]);
        if (grown == NULL) {
            return false;
        }
        if (w->count > 0) {
            memcpy(grown, w->stack, w->count * sizeof grown[0]);
        }
        w->stack = grown;
        w->capacity = more;
    }
    if (node == NULL) {
        return false;
    }
    *node = (struct node){.bytes = bytes, .parent = parent, .depth = parent == NULL ? 0 : parent->depth + 1};
    w->stack[w->count++] = node;
    return true;
}

/* A delimiter line of the inner one could be taken for one of the outer, or the other way round. */
static bool boundaries_clash(const struct node *node)
{
    for (const struct node *outer = node->parent; outer != NULL; outer = outer->parent) {
        if (slice_starts_with(node->boundary, outer->boundary) ||
            slice_starts_with(outer->boundary, node->boundary)) {
            return true;
        }
    }
    return false;
}

/* The parts of a multipart go onto the stack, the first on top. */
static enum status open_multipart(struct walk *w, struct node *node, const struct entity *e,
                                  const struct content_type *type, struct failure *f)
{
    struct multipart m;
    if (node->depth >= ENTITY_DEPTH_MAX || w->parts >= ENTITY_PARTS_MAX) {
        w->facts->kinds |= MESSAGE_MALFORMED;
        return STATUS_OK;
    }
    enum status status = entity_split(e, ENTITY_PARTS_MAX - w->parts, w->arena, &m, f);
    if (status == STATUS_NOT_FOUND || status == STATUS_TOO_LARGE) {
        w->facts->kinds |= MESSAGE_MALFORMED;
        w->has_content = true;
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (!content_type_parameter(type, "boundary", w->arena, &node->boundary) || boundaries_clash(node) ||
        !m.closed || m.part_count == 0) {
        w->facts->kinds |= MESSAGE_MALFORMED;
    }
    w->parts += m.part_count;
    for (size_t i = m.part_count; i > 0; i--) {
        if (!push(w, m.parts[i - 1], node)) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for the parts of a message");
        }
    }
    return STATUS_OK;
}

static bool is_blank_text(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != ' ' && text.data[i] != '\t' && text.data[i] != '\r' && text.data[i] != '\n') {
            return false;
        }
    }
    return true;
}

static enum status file_name_of(const struct entity *e, const struct content_type *type, struct arena *a,
                                struct slice *name)
{
    const struct header_field *disposition = entity_field(e, "Content-Disposition");
    enum status status = STATUS_OK;
    *name = (struct slice){0};
    if (disposition != NULL) {
        status = words_parameter(disposition->value, "filename", FACTS_TEXT_MAX, a, name);
    }
    if (status == STATUS_OK && name->len == 0) {
        status = words_parameter(type->parameters, "name", FACTS_TEXT_MAX, a, name);
    }
    return status;
}

static bool type_to_text(const struct content_type *type, struct arena *a, struct slice *out)
{
    char *text = arena_printf(
        a, "%.*s/%.*s", (int)(type->type.len < 127 ? type->type.len : 127), (const char *)type->type.data,
        (int)(type->subtype.len < 127 ? type->subtype.len : 127), (const char *)type->subtype.data);
    for (char *at = text; at != NULL && *at != '\0'; at++) {
        *at = *at >= 'A' && *at <= 'Z' ? (char)(*at - 'A' + 'a') : *at;
    }
    *out = text == NULL ? (struct slice){0} : slice_of_text(text);
    return text != NULL;
}

static enum status note_attachment(struct walk *w, const struct entity *e, const struct content_type *type,
                                   struct slice name, struct failure *f)
{
    struct message_facts *facts = w->facts;
    if (facts->attachment_count == FACTS_ATTACHMENTS_MAX) {
        return STATUS_OK;
    }
    if (facts->attachment_count == w->attachment_capacity) {
        size_t more = w->attachment_capacity == 0 ? 8 : w->attachment_capacity * 2;
        struct attachment *grown = arena_alloc_array(w->arena, more, sizeof grown[0]);
        if (grown == NULL) {
            return failure_set(f, STATUS_NO_MEMORY, "no memory for the attachments of a message");
        }
        if (facts->attachment_count > 0) {
            memcpy(grown, facts->attachments, facts->attachment_count * sizeof grown[0]);
        }
        facts->attachments = grown;
        w->attachment_capacity = more;
    }
    struct attachment *at = &facts->attachments[facts->attachment_count];
    *at = (struct attachment){.name = name, .size = e->body.len};
    if (!type_to_text(type, w->arena, &at->type)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the attachments of a message");
    }
    facts->attachment_count++;
    return STATUS_OK;
}

static unsigned kinds_of_leaf(const struct content_type *type, struct slice name)
{
    if (content_type_is(type, "text", "calendar") || content_type_is(type, "application", "ics")) {
        return MESSAGE_CALENDAR;
    }
    if (content_type_is(type, "application", "ms-tnef") ||
        content_type_is(type, "application", "vnd.ms-tnef") ||
        slice_equal_nocase(name, SLICE_LITERAL("winmail.dat"))) {
        return MESSAGE_TNEF;
    }
    return content_type_is(type, "message", "partial") ? MESSAGE_PARTIAL : 0;
}

static enum status leaf(struct walk *w, const struct entity *e, const struct content_type *type,
                        struct failure *f)
{
    struct slice name;
    enum status status = file_name_of(e, type, w->arena, &name);
    if (status != STATUS_OK) {
        return failure_set(f, status, "no memory for the parts of a message");
    }
    unsigned kinds = kinds_of_leaf(type, name);
    w->facts->kinds |= kinds;
    bool text = content_type_is(type, "text", NULL);
    w->has_content = w->has_content || !text || kinds != 0 || !is_blank_text(e->body);
    return name.len > 0 || !text ? note_attachment(w, e, type, name, f) : STATUS_OK;
}

/* Fields that may stand once (RFC 5322 section 3.6, RFC 2045): with two, each program takes another. */
static bool has_field_twice(const struct entity *e)
{
    static const char *const once[] = {
        "From",         "Sender", "Subject",    "Date", "Reply-To",
        "Content-Type", "To",     "Message-ID", "Cc",   "Content-Transfer-Encoding",
        "MIME-Version"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        if (entity_field_count(e, once[i]) > 1) {
            return true;
        }
    }
    return false;
}

static enum status visit(struct walk *w, struct node *node, struct failure *f)
{
    struct entity e;
    enum status status = entity_read(node->bytes, w->arena, &e, f);
    if (status == STATUS_TOO_LARGE && node->parent != NULL) { /* a part's header beyond the limits */
        w->facts->kinds |= MESSAGE_MALFORMED;
        w->has_content = true;
        return STATUS_OK;
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (e.malformed || has_field_twice(&e)) {
        w->facts->kinds |= MESSAGE_MALFORMED;
    }
    struct content_type type = entity_content_type(&e);
    return content_type_is(&type, "multipart", NULL) ? open_multipart(w, node, &e, &type, f)
                                                     : leaf(w, &e, &type, f);
}

/* Programs that answer by themselves say so (RFC 3834); older ones in fields of their own. */
static bool is_auto_reply(const struct entity *message)
{
    const struct header_field *submitted = entity_field(message, "Auto-Submitted");
    if (submitted != NULL) {
        struct slice at = submitted->value;
        return !slice_equal_nocase(mime_token(&at), SLICE_LITERAL("no"));
    }
    return entity_field(message, "X-Autoreply") != NULL || entity_field(message, "X-Autorespond") != NULL;
}

static unsigned kinds_of_message(const struct entity *message, const struct shape *shape)
{
    struct content_type type = entity_content_type(message);
    unsigned kinds = 0;
    if (shape_is_encrypted(shape)) {
        kinds |= MESSAGE_ENCRYPTED;
    }
    if (shape_is_signed(shape)) {
        kinds |= MESSAGE_SIGNED;
    }
    if (content_type_is(&type, "multipart", "report")) {
        kinds |= MESSAGE_REPORT;
    }
    if (is_auto_reply(message)) {
        kinds |= MESSAGE_AUTO_REPLY;
    }
    return kinds;
}

enum status message_facts_read(const struct entity *message, const struct shape *shape, struct arena *a,
                               struct message_facts *out, struct failure *f)
{
    *out = (struct message_facts){.message = message, .size = message->bytes.len};
    struct walk w = {.arena = a, .facts = out};
    const struct header_field *subject = entity_field(message, "Subject");
    enum status status = STATUS_OK;
    out->kinds = kinds_of_message(message, shape);
    message_from(message, out->from);
    if (!push(&w, message->bytes, NULL)) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the parts of a message");
    }
    if (subject != NULL && words_decode(subject->value, FACTS_SUBJECT_MAX, a, &out->subject) != STATUS_OK) {
        return failure_set(f, STATUS_NO_MEMORY, "no memory for the subject of a message");
    }
    if (subject != NULL && subject->value.len > WORDS_RAW_MAX) { /* a word could stand where nobody looked */
        out->kinds |= MESSAGE_MALFORMED;
    }
    while (w.count > 0 && status == STATUS_OK) {
        status = visit(&w, w.stack[--w.count], f);
    }
    if (!w.has_content) {
        out->kinds |= MESSAGE_EMPTY;
    }
    return status;
}
