/* Commands in bytes: round trips of every row of the table, padding for every length, and hostile bytes. */
#include "test_support.h"

#include "base/msgpack_read.h"
#include "store/permission.h"
#include "store/records_ca.h"
#include "store/records_dkim.h"
#include "store/records_dns.h"
#include "store/records_rewrite.h"

static struct buf record = BUF_INIT(COMMAND_MAX); /* made once */
static struct buf list = BUF_INIT(COMMAND_MAX);
static struct buf ca_record = BUF_INIT(COMMAND_MAX);

/* A good value for each field, by its name. */
static struct slice value_for(const struct command_type *type, const struct command_field *field)
{
    static const uint8_t bytes[4096] = {1, 2, 3};
    static const char *const address = "a@example.org";
    static const struct {
        const char *name, *text;
    } known[] = {{"peer_address", "127.0.0.1:4"},
                 {"api_address", "[::1]:3"},
                 {"smtp_address", ""},
                 {"scope", "example.org"},
                 {"value", "mandatory"},
                 {"domain", "*.example.org"},
                 {"partner", "example.org"},
                 {"locality", "internal"},
                 {"address", "Alice@Example.ORG"},
                 {"role", "admin"},
                 {"to", "a@example.org"},
                 {"items", "\x90"}};
    uint8_t thumbprint[THUMBPRINT_SIZE];

    if ((strcmp(type->name, "ca.issue") == 0 || strcmp(type->name, "ca.auto_issue") == 0) &&
        strcmp(field->name, "address") == 0)
        return slice_of_text(address); /* of the certificate's record */
    if (strncmp(type->name, "ca.request.", 11) == 0 && strcmp(field->name, "address") == 0)
        return slice_of_text(address); /* in its normal form */
    if ((strcmp(type->name, "ca.add") == 0 || strcmp(type->name, "ca.import") == 0) &&
        strcmp(field->name, "certificate") == 0) {
        if (ca_record.len == 0)
            make_ca_record("CA's DER", &ca_record, thumbprint);
        return buf_slice(&ca_record);
    }
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(known[i].name, field->name) == 0)
            return slice_of_text(known[i].text);
    if (strcmp(field->name, "certificate") == 0) {
        if (record.len == 0)
            make_record("DER", &address, 1, &record, thumbprint);
        return buf_slice(&record);
    }
    if (strcmp(field->name, "list") == 0) {
        struct crl_record crl = {.name = SLICE_LITERAL("CN=ca"), .number = SLICE_LITERAL("\1\0")};

        if (list.len == 0)
            assert_int_equal(crl_record_encode(&crl, &list), STATUS_OK);
        return buf_slice(&list);
    }
    if (strcmp(field->name, "name") == 0)
        return strncmp(type->name, "setting", 7) == 0 ? SLICE_LITERAL("encrypt.mode")
                                                      : SLICE_LITERAL("node-1");
    return field->type == FIELD_BYTES ? slice_of(bytes, field->min) : SLICE_LITERAL("text");
}

/* A good number for each field, by its name. */
static uint64_t number_for(const struct command_field *field)
{
    if (strcmp(field->name, "level") == 0)
        return SETTING_DOMAIN;
    if (strcmp(field->name, "verdict") == 0 || strcmp(field->name, "status") == 0 ||
        strcmp(field->name, "reason") == 0 || strcmp(field->name, "enabled") == 0 ||
        strcmp(field->name, "place") == 0 || strcmp(field->name, "anchor") == 0 ||
        strcmp(field->name, "how") == 0 || strcmp(field->name, "flags") == 0 ||
        strcmp(field->name, "crl_this_ms") == 0 || strcmp(field->name, "outcome") == 0)
        return 1;
    return 1234567890123;
}

/* Those whose fields must fit each other. */
static void fill_harvest(struct command *c)
{
    c->values[1].bytes = SLICE_LITERAL("a@example.org");
    c->values[2].number = CERT_QUARANTINE;
    c->values[3].number = HARVEST_KEEP;
}

static void fill_many(struct command *c)
{
    static struct buf records = BUF_INIT(COMMAND_MAX);
    struct slice one =
        value_for(command_type_of(COMMAND_CERT_ADD), &(const struct command_field){.name = "certificate"});

    buf_release(&records);
    assert_int_equal(buf_append_byte(&records, 0x92), STATUS_OK); /* an array of two */
    assert_int_equal(buf_append_slice(&records, one), STATUS_OK);
    assert_int_equal(buf_append_slice(&records, one), STATUS_OK);
    c->values[0].bytes = buf_slice(&records);
}

static void fill(struct command *c, const struct command_type *type)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct command_field *field = &type->fields[i];

        if (field->type == FIELD_U64)
            c->values[i].number = number_for(field);
        else
            c->values[i].bytes = value_for(type, field);
    }
    if (type->number == COMMAND_CERT_HARVEST)
        fill_harvest(c);
    else if (type->number == COMMAND_CERT_ADD_MANY)
        fill_many(c);
    else if (type->number == COMMAND_CA_AUTO_ISSUE)
        c->values[2].number = CA_ISSUE_IF_NONE;
    else if (type->number == COMMAND_CERT_STATE)
        c->values[1].number = CERT_QUARANTINE;
    else if (type->number == COMMAND_CERT_BIND)
        c->values[2].number = BINDING_PINNED;
    else if (type->number == COMMAND_LISTENER_SET)
        c->values[1].bytes = SLICE_LITERAL("role=inbound\nnetworks=10.0.0.0/8\ntls=\n");
    else if (type->number == COMMAND_TLS_PUT)
        c->values[1].bytes = SLICE_LITERAL("\x91\xc4\x01x");
    else if (type->number == COMMAND_DOMAIN_DNS_SEEN) {
        c->values[1].number = DNS_SIGNED;
        c->values[2].bytes = SLICE_LITERAL("0123456789abcdef0123456789abcdef");
    } else if (type->number == COMMAND_STS_PUT) {
        c->values[2].number = 2;
        c->values[3].number = 86400;
        c->values[4].bytes = SLICE_LITERAL("mx.far.example *.far.example");
    } else if (type->number == COMMAND_DKIM_ADD || type->number == COMMAND_DKIM_STATE ||
               type->number == COMMAND_DKIM_REMOVE) {
        c->values[0].bytes = SLICE_LITERAL("example.org");
        c->values[2].number = type->number == COMMAND_DKIM_REMOVE ? 0 : 2;
    } else if (type->number == COMMAND_REWRITE_SET || type->number == COMMAND_REWRITE_REMOVE) {
        c->values[0].number = REWRITE_CANONICAL;
        c->values[1].bytes = SLICE_LITERAL("@a.example");
        if (type->number == COMMAND_REWRITE_SET) {
            c->values[2].bytes = SLICE_LITERAL("@b.example");
            c->values[3].number = REWRITE_ALL;
        }
    }
}

static void every_command_survives_its_encoding(void **state)
{
    const struct command_type *type;

    (void)state;
    for (size_t i = 0; (type = command_type_at(i)) != NULL; i++) {
        struct command out, back;
        struct buf encoded = BUF_INIT(COMMAND_MAX);
        struct failure f = {0};

        command_init(&out, type->number, 42, SLICE_LITERAL("token:test"));
        fill(&out, type);
        assert_int_equal(command_encode(&out, &encoded), STATUS_OK);
        if (command_decode(buf_slice(&encoded), &back, &f) != STATUS_OK)
            fail_msg("%s: %s", type->name, f.text);
        assert_int_equal(back.number, out.number);
        assert_int_equal(back.time_ms, 42);
        assert_memory_equal(back.id, out.id, ID_SIZE);
        for (size_t v = 0; v < type->field_count; v++) {
            assert_int_equal(back.values[v].number, out.values[v].number);
            assert_true(slice_equal(back.values[v].bytes, out.values[v].bytes));
        }
        buf_release(&encoded);
    }
}

static void entries_are_padded_to_eight_at_every_length(void **state)
{
    uint8_t content[40], entry[64];
    struct slice back;

    (void)state;
    memset(content, 0xff, sizeof(content));
    for (size_t len = 0; len < sizeof(content); len++) {
        size_t size = command_entry_size(len);

        assert_int_equal(size % 8, 0);
        assert_true(size >= len + 4 && size < len + 12);
        memset(entry, 0xee, sizeof(entry));
        command_entry_write(slice_of(content, len), entry);
        assert_int_equal(entry[size], 0xee);
        assert_int_equal(command_entry_read(slice_of(entry, size), &back), STATUS_OK);
        assert_true(slice_equal(back, slice_of(content, len)));
        assert_int_equal(command_entry_read(slice_of(entry, size - 1), &back), STATUS_MALFORMED);
        assert_int_equal(command_entry_read(slice_of(entry, size + 8), &back), STATUS_MALFORMED);
    }
}

static void cut_and_flipped_bytes_are_refused_or_harmless(void **state)
{
    struct command out = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "none"), back;
    struct buf encoded = BUF_INIT(COMMAND_MAX);

    (void)state;
    assert_int_equal(command_encode(&out, &encoded), STATUS_OK);
    for (size_t len = 0; len < encoded.len; len++)
        assert_int_not_equal(command_decode(slice_of(encoded.data, len), &back, NULL), STATUS_OK);
    for (size_t i = 0; i < encoded.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            encoded.data[i] ^= (uint8_t)(1U << bit);
            (void)!command_decode(buf_slice(&encoded), &back, NULL);
            encoded.data[i] ^= (uint8_t)(1U << bit);
        }
    assert_int_equal(command_decode(buf_slice(&encoded), &back, NULL), STATUS_OK);
    buf_release(&encoded);
}

static void a_claimed_count_allocates_nothing(void **state)
{
    static const uint8_t huge[] = {0xdd, 0xff, 0xff, 0xff, 0xff};
    struct msgpack_reader r;

    (void)state;
    msgpack_reader_init(&r, slice_of(huge, sizeof(huge)));
    assert_int_equal(read_array(&r, SIZE_MAX), 0);
    assert_int_equal(msgpack_reader_status(&r, true), STATUS_MALFORMED);
}

static void fields_keep_to_their_lengths(void **state)
{
    static const uint8_t bytes[COMMAND_MAX] = {0};
    const struct command_type *type;

    (void)state;
    for (size_t i = 0; (type = command_type_at(i)) != NULL; i++)
        for (size_t v = 0; v < type->field_count; v++) {
            struct command c;
            struct failure f = {0};

            if (type->fields[v].type == FIELD_U64)
                continue;
            command_init(&c, type->number, 1, SLICE_LITERAL("test"));
            fill(&c, type);
            c.values[v].bytes = slice_of(bytes, (size_t)type->fields[v].max + 1);
            assert_int_equal(command_check(&c, &f), STATUS_INVALID);
            assert_non_null(strstr(f.text, type->fields[v].name)); /* the answer names the field */
            assert_non_null(strstr(f.text, type->name));
        }
}

static void nonsense_is_refused_before_it_is_proposed(void **state)
{
    static const struct {
        enum command_number number;
        size_t field;
        const char *value, *hint; /* what the answer must say */
        enum status status;
    } table[] = {
        {COMMAND_SETTING_SET, 2, "encrypt.mdoe", "did you mean encrypt.mode?", STATUS_NOT_FOUND},
        {COMMAND_SETTING_SET, 3, "perhaps", "none|request|opportunistic|mandatory", STATUS_INVALID},
        {COMMAND_SETTING_SET, 3, "a\tb", "control", STATUS_INVALID},
        {COMMAND_SETTING_SET, 1, "no domain", "no domain", STATUS_INVALID},
        {COMMAND_SETTING_SET, 2, "smtp.max_size", "cannot be set for a domain", STATUS_INVALID},
        {COMMAND_SETTING_UNSET, 2, "unheard.of", "there is no setting", STATUS_NOT_FOUND},
        {COMMAND_DOMAIN_ADD, 0, "a b", "example.org", STATUS_INVALID},
        {COMMAND_DOMAIN_ADD, 1, "inside", "external|internal", STATUS_INVALID},
        {COMMAND_USER_ADD, 0, "nobody", "name@example.org", STATUS_INVALID},
        {COMMAND_USER_REMOVE, 0, "@x.org", "name@example.org", STATUS_INVALID},
        {COMMAND_NODE_ADMIT, 1, "node 1", "name for a node", STATUS_INVALID},
        {COMMAND_NODE_ADMIT, 1, "-node", "name for a node", STATUS_INVALID},
        {COMMAND_NODE_ADMIT, 2, "host", "peer address", STATUS_INVALID},
        {COMMAND_NODE_ADMIT, 3, "host:70000", "API address", STATUS_INVALID},
        {COMMAND_NODE_UPDATE, 4, "[::g]:1", "SMTP address", STATUS_INVALID},
        {COMMAND_API_TOKEN_ADD, 2, "root", "admin", STATUS_INVALID},
        {COMMAND_API_TOKEN_ADD, 2, "auditor", "admin", STATUS_INVALID}, /* what older releases take */
        {COMMAND_API_TOKEN_GRANT, 2, "root", "helpdesk", STATUS_INVALID},
        {COMMAND_API_TOKEN_ADD, 1, "\xff", "UTF-8", STATUS_INVALID},
        {COMMAND_TRUST_ADD, 1, "\xc3(", "UTF-8", STATUS_INVALID},
        {COMMAND_CERT_ADD, 0, "\x9c", "record", STATUS_MALFORMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct command c, back;
        struct failure f = {0};
        struct buf encoded = BUF_INIT(COMMAND_MAX);

        command_init(&c, table[i].number, 1, SLICE_LITERAL("test"));
        fill(&c, command_type_of(table[i].number));
        assert_int_equal(command_check(&c, &f), STATUS_OK);
        c.values[table[i].field].bytes = slice_of_text(table[i].value);
        if (command_check(&c, &f) != table[i].status || strstr(f.text, table[i].hint) == NULL)
            fail_msg("row %zu: %s", i, f.text);
        /* A proposer that does not check is refused by those who read. */
        assert_int_equal(command_encode(&c, &encoded), STATUS_OK);
        assert_int_equal(command_decode(buf_slice(&encoded), &back, NULL), table[i].status);
        buf_release(&encoded);
    }
}

static void a_certificate_has_the_thumbprint_of_its_bytes(void **state)
{
    struct buf mine = BUF_INIT(COMMAND_MAX);
    uint8_t thumbprint[THUMBPRINT_SIZE];
    struct command c;
    struct failure f = {0};

    (void)state;
    make_record("some DER", NULL, 0, &mine, thumbprint);
    c = simple_command(COMMAND_CERT_ADD, 1, buf_slice(&mine));
    assert_int_equal(command_check(&c, &f), STATUS_OK);
    for (size_t i = 0; i < mine.len; i++)
        if (mine.data[i] == 'D') {
            mine.data[i] = 'E';
            break;
        }
    assert_int_equal(command_check(&c, &f), STATUS_MALFORMED);
    assert_non_null(strstr(f.text, "thumbprint"));
    buf_release(&mine);
}

static void newer_versions_and_numbers_are_refused(void **state)
{
    struct command c = setting_command(SETTING_GLOBAL, "", "encrypt.mode", "none"), back;
    struct buf encoded = BUF_INIT(COMMAND_MAX);
    struct failure f = {0};

    (void)state;
    c.version = COMMAND_SET_VERSION + 1;
    assert_int_equal(command_check(&c, &f), STATUS_VERSION);
    assert_int_equal(command_encode(&c, &encoded), STATUS_OK);
    assert_int_equal(command_decode(buf_slice(&encoded), &back, &f), STATUS_VERSION);
    encoded.data[1] = 127; /* the number, a positive fixint */
    assert_int_equal(command_decode(buf_slice(&encoded), &back, &f), STATUS_UNSUPPORTED);
    encoded.data[1] = 0;
    assert_int_equal(command_decode(buf_slice(&encoded), &back, &f), STATUS_UNSUPPORTED);
    assert_null(command_type_of((enum command_number)12345));
    buf_release(&encoded);
}

/* Numbers and names in the table are those of store/command.h, each once. */
static void the_table_is_whole(void **state)
{
    const struct command_type *type, *other;
    size_t count = 0;

    (void)state;
    for (; (type = command_type_at(count)) != NULL; count++) {
        assert_true(command_type_of(type->number) == type);
        assert_true(type->field_count <= COMMAND_FIELDS_MAX && type->version <= COMMAND_SET_VERSION);
        assert_true(type->apply != NULL && type->help != NULL && permission_find(type->permission) != NULL);
        for (size_t j = 0; (other = command_type_at(j)) != type; j++) {
            assert_string_not_equal(other->name, type->name);
            assert_int_not_equal(other->number, type->number);
        }
        assert_true(type->number < COMMAND_NUMBER_END);
    }
    assert_true(count >= 29);
}

static int release_record(void **state)
{
    (void)state;
    buf_release(&record);
    buf_release(&list);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_survives_its_encoding),
        cmocka_unit_test(entries_are_padded_to_eight_at_every_length),
        cmocka_unit_test(cut_and_flipped_bytes_are_refused_or_harmless),
        cmocka_unit_test(a_claimed_count_allocates_nothing),
        cmocka_unit_test(fields_keep_to_their_lengths),
        cmocka_unit_test(nonsense_is_refused_before_it_is_proposed),
        cmocka_unit_test(a_certificate_has_the_thumbprint_of_its_bytes),
        cmocka_unit_test(newer_versions_and_numbers_are_refused),
        cmocka_unit_test(the_table_is_whole),
    };

    return cmocka_run_group_tests(tests, NULL, release_record);
}
