/* What makes mail be encrypted or signed, or not: sides, triggers, kinds, rules, methods; and what is
 * supposed. */
#include "mail_world.h"

#include "mail/shape.h"

static struct world w;

static int set_up(void **state)
{
    (void)state;
    world_make(&w);
    world_identity(&w, &(struct identity){.name = "alice",
                                          .address = "alice@ours.example",
                                          .days = 300,
                                          .key_type = "ec",
                                          .with_key = true});
    world_identity(&w, &(struct identity){
                           .name = "bob", .address = "bob@partner.example", .days = 300, .key_type = "ec"});
    world_set(&w, SETTING_DOMAIN, "rich.example", "trigger.subject.encrypt", "[encrypt], /streng\\s+geheim/");
    world_set(&w, SETTING_DOMAIN, "rich.example", "trigger.subject.sign", "[sign]");
    world_set(&w, SETTING_DOMAIN, "rich.example", "trigger.subject.plain", "[plain]");
    world_set(&w, SETTING_DOMAIN, "rich.example", "trigger.header.sign", "X-Sign, X-Level: /^[3-9]$/");
    world_set(&w, SETTING_DOMAIN, "rich.example", "trigger.label.encrypt", "Secret");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_end(&w);
    return 0;
}

struct question {
    const char *from, *envelope, *recipient; /* NULL: alice, as From, bob */
    const char *message;                     /* header and body; NULL: "Subject: x" and a line */
    const char *when, *then;                 /* one rule */
    const struct policy_proposal *proposal;
    const char *unanswered; /* an address whose directories do not answer */
    unsigned flags;
};

static struct policy_decision decide(const struct question *q)
{
    static struct policy_decision d;
    static struct entity message;
    static struct message_facts facts;
    struct shape shape;
    struct failure f = {.status = STATUS_OK};
    struct ruleset *rules = NULL;
    world_look(&w);
    struct slice text = slice_of_text(q->message != NULL ? q->message : "Subject: x\r\n\r\nHello\r\n");
    OK(entity_read(text, &w.arena, &message, &f));
    OK(shape_of(&message, &w.arena, &shape, &f));
    OK(message_facts_read(&message, &shape, &w.arena, &facts, &f));
    shape_release(&shape);
    struct slice from = slice_of_text(q->from != NULL ? q->from : "alice@ours.example");
    struct policy_facts asked = {.from = from,
                                 .envelope_sender = q->envelope != NULL ? slice_of_text(q->envelope) : from,
                                 .subject = facts.subject,
                                 .message = &facts,
                                 .now_ms = w.now_ms,
                                 .proposals = q->proposal,
                                 .proposal_count = q->proposal != NULL,
                                 .flags = q->flags};
    struct slice unanswered = q->unanswered != NULL ? slice_of_text(q->unanswered) : SLICE_LITERAL("");
    if (q->unanswered != NULL) {
        asked.unanswered = &unanswered;
        asked.unanswered_count = 1;
    }
    if (q->when != NULL) {
        OK(ruleset_new(&rules));
        OK(ruleset_add(rules, w.view, SLICE_LITERAL("test"), slice_of_text(q->when), slice_of_text(q->then),
                       &f));
        asked.rules = rules;
    }
    struct slice *to = arena_alloc(&w.arena, sizeof *to);
    *to = slice_of_text(q->recipient != NULL ? q->recipient : "bob@partner.example");
    OK(policy_decide(w.view, w.trust, &asked, to, 1, &w.arena, &d, &f));
    /* texts of the ruleset are read before it ends */
    (void)arena_copy(&w.arena, d.recipients[0].next_hop, &d.recipients[0].next_hop);
    ruleset_free(rules);
    return d;
}

static void expect(const struct policy_decision *d, unsigned protection, enum status status, const char *what)
{
    const struct policy_recipient *r = &d->recipients[0];
    if (r->protection != protection || r->status != status) {
        fail_msg("%s: protection %u, status %s %.*s\n%.*s", what, r->protection, status_name(r->status),
                 SLICE_ARGS(r->reason), SLICE_ARGS(d->trace));
    }
}

static bool traced(const struct policy_decision *d, const char *text)
{
    return memmem(d->trace.data, d->trace.len, text, strlen(text)) != NULL;
}

enum {
    PLAIN = PROTECT_NONE,
    SIGNED = PROTECT_SIGN,
    BOTH = PROTECT_SIGN | PROTECT_ENCRYPT,
    ENC = PROTECT_ENCRYPT
};

/* Who says something for a domain or user counts; what holds for all is for those who say nothing. */
static void a_side_that_says_something_counts(void **state)
{
    static const struct {
        const char *global, *sender, *recipient; /* NULL: not set */
        unsigned protection;
        enum status without; /* a certificate */
    } table[] = {
        {NULL, NULL, NULL, BOTH, STATUS_OK},
        {NULL, NULL, "none", PLAIN, STATUS_OK},
        {NULL, "none", NULL, PLAIN, STATUS_OK},
        {"mandatory", NULL, NULL, BOTH, STATUS_NO_KEY},
        {"mandatory", NULL, "none", PLAIN, STATUS_OK}, /* an exception that somebody made for this partner */
        {"mandatory", "opportunistic", "none", BOTH, STATUS_OK},
        {"none", "mandatory", NULL, BOTH, STATUS_NO_KEY},
        {"none", "none", "mandatory", BOTH, STATUS_NO_KEY},
        {"none", NULL, NULL, PLAIN, STATUS_OK},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char what[32];
        assert_true(snprintf(what, sizeof what, "row %zu", i) > 0);
        world_set(&w, SETTING_GLOBAL, "", "encrypt.mode", table[i].global);
        world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", table[i].sender);
        world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", table[i].recipient);
        struct policy_decision d = decide(&(struct question){0});
        expect(&d, table[i].protection, STATUS_OK, what);
        d = decide(&(struct question){.recipient = "nobody@partner.example"});
        expect(&d, PLAIN, table[i].without, what);
    }
    world_set(&w, SETTING_GLOBAL, "", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
}

static void what_was_asked_for_is_done_or_refused(void **state)
{
    static const struct {
        const char *message, *subject; /* subject as it leaves; NULL: it stays */
        unsigned with;                 /* a certificate */
        enum status without;
    } table[] = {
        {"Subject: x\r\n\r\nx", NULL, PLAIN, STATUS_OK},
        {"Subject: [ENCRYPT] the offer\r\n\r\nx", "the offer", ENC, STATUS_NO_KEY},
        {"Subject: the [encrypt] offer\r\n\r\nx", "the offer", ENC, STATUS_NO_KEY},
        {"Subject: =?utf-8?B?W2VuY3J5cHRdIHPDvMOf?=\r\n\r\nx", "s\xc3\xbc\xc3\x9f", ENC, STATUS_NO_KEY},
        {"Subject: [enc=?utf-8?Q?rypt]_a?=\r\n\r\nx", "a", ENC,
         STATUS_NO_KEY}, /* as lenient programs read it */
        {"Subject: Streng  GEHEIM: a\r\n\r\nx", ": a", ENC, STATUS_NO_KEY},
        {"Subject: [encrypt][encrypt]\r\n\r\nx", "", ENC, STATUS_NO_KEY},
        {"Subject: a\r\nmsip_labels: MSIP_Label_77aa_Enabled=True; MSIP_Label_77aa_Name=secret;\r\n\r\nx",
         NULL, ENC, STATUS_NO_KEY},
        {"Subject: a\r\nmsip_labels: MSIP_Label_77aa_Enabled=False; MSIP_Label_77aa_Name=secret;\r\n\r\nx",
         NULL, PLAIN, STATUS_OK},
        {"Subject: a\r\nSensitivity: Company-Confidential\r\n\r\nx", NULL, ENC, STATUS_NO_KEY},
        {"Subject: a\r\nSensitivity: personal\r\n\r\nx", NULL, PLAIN, STATUS_OK},
        {"Subject: [plain] [encrypt] a\r\n\r\nx", "a", ENC, STATUS_NO_KEY}, /* the stricter of two */
    };
    (void)state;
    world_set(&w, SETTING_DOMAIN, "rich.example", "encrypt.mode", "request");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "none");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct policy_decision d =
            decide(&(struct question){.from = "ann@rich.example", .message = table[i].message});
        expect(&d, table[i].with, STATUS_OK, table[i].message);
        assert_int_equal(d.subject_changes, table[i].subject != NULL);
        if (table[i].subject != NULL && !slice_equal(d.subject, slice_of_text(table[i].subject))) {
            fail_msg("%s: subject \"%.*s\"", table[i].message, SLICE_ARGS(d.subject));
        }
        d = decide(&(struct question){
            .from = "ann@rich.example", .recipient = "nobody@partner.example", .message = table[i].message});
        expect(&d, PLAIN, table[i].without, table[i].message);
    }
}

static void a_signature_that_was_asked_for_is_made_or_refused(void **state)
{
    (void)state;
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.subject.sign", "[sign]");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "request");
    struct policy_decision d = decide(&(struct question){.message = "Subject: [sign] a\r\n\r\nx"});
    expect(&d, SIGNED, STATUS_OK, "asked");
    d = decide(&(struct question){.message = "Subject: a\r\n\r\nx"});
    expect(&d, PLAIN, STATUS_OK, "not asked");
    static const char *const asking[] = {"Subject: [sign] a\r\n\r\nx", "X-Sign:\r\n\r\nx",
                                         "X-Level: 4\r\n\r\nx"};
    for (size_t i = 0; i < 3; i++) {
        d = decide(&(struct question){.from = "ann@rich.example", .message = asking[i]});
        expect(&d, PLAIN, STATUS_NO_KEY, asking[i]);
        assert_true(slice_holds(d.recipients[0].reason, "must be signed for ann@rich.example"));
    }
    d = decide(&(struct question){.from = "ann@rich.example", .message = "X-Level: 2\r\n\r\nx"});
    expect(&d, PLAIN, STATUS_OK, "below the level");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", NULL);
    /* What a rule wants signed is not left out because sign.on_missing_key would allow it. */
    d = decide(&(struct question){.from = "keyless@ours.example", .when = "always", .then = "sign"});
    expect(&d, PLAIN, STATUS_NO_KEY, "a rule wants it signed");
    d = decide(&(struct question){.when = "always", .then = "sign"});
    assert_true((d.recipients[0].protection & PROTECT_SIGN) != 0);
}

static void add_group(const char *group, const char *members)
{
    struct command c = world_command(&w, COMMAND_GROUP_ADD);
    c.values[0].bytes = slice_of_text(group);
    c.values[1].bytes = slice_of_text(members);
    world_apply(&w, &c);
}

/* trigger.group.*: asked for by whom the mail is to, as From or as the envelope's sender. */
static void a_group_of_recipients_is_asked_for(void **state)
{
    static const struct {
        const char *from, *envelope, *recipient, *message;
        unsigned protection;
        enum status status;
    } table[] = {
        {NULL, NULL, "bob@partner.example", NULL, ENC, STATUS_OK},
        {NULL, NULL, "nobody@partner.example", NULL, PLAIN, STATUS_NO_KEY},
        {NULL, NULL, "x@deep.court.example", NULL, SIGNED, STATUS_OK}, /* "*.court.example" signs */
        {NULL, NULL, "x@court.example", NULL, PLAIN, STATUS_OK},
        {NULL, NULL, "x@other.example", NULL, PLAIN, STATUS_OK},
        {"ann@rich.example", NULL, "bob@partner.example", NULL, PLAIN, STATUS_OK}, /* not her group */
        {"ann@rich.example", "alice@ours.example", "bob@partner.example", NULL, ENC, STATUS_OK},
        {"ann@rich.example", "alice@ours.example", "x@deep.court.example", NULL, PLAIN, STATUS_NO_KEY},
        {"keyless@ours.example", NULL, "x@deep.court.example", NULL, PLAIN, STATUS_NO_KEY},
        {NULL, NULL, "bob@partner.example", "Subject: [plain] a\r\n\r\nx", ENC, STATUS_OK},
    };
    (void)state;
    add_group("lawyers", "partner.example");
    add_group("courts", "*.court.example");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "none");
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "none");
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.subject.plain", "[plain]");
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.group.encrypt", "nowhere, lawyers");
    struct policy_decision d = decide(&(struct question){.recipient = "x@other.example"});
    expect(&d, PLAIN, STATUS_UNAVAILABLE, "a group that is not there");
    assert_true(slice_holds(d.recipients[0].reason, "trigger.group.encrypt: there is no group nowhere"));
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.group.encrypt", "lawyers");
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.group.sign", "courts");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        d = decide(&(struct question){.from = table[i].from,
                                      .envelope = table[i].envelope,
                                      .recipient = table[i].recipient,
                                      .message = table[i].message});
        expect(&d, table[i].protection, table[i].status, table[i].recipient);
    }
    d = decide(&(struct question){.recipient = "nobody@partner.example"});
    assert_true(traced(&d, "the recipient is in the group lawyers (trigger.group.encrypt of domain ours.ex"));
    assert_true(traced(&d, "{\"name\":\"trigger.group.sign\""));
    d = decide(&(struct question){.recipient = "x@deep.court.example"});
    assert_true(traced(&d, "in the group courts (trigger.group.sign of domain ours.example)"));
    /* For whoever sets it: a group that is not there, another setting. */
    struct failure f = {.status = STATUS_OK};
    const struct setting *setting = setting_at(SETTING_TRIGGER_GROUP_SIGN);
    OK(policy_groups_check(w.view, setting, SLICE_LITERAL("lawyers,courts"), &f));
    OK(policy_groups_check(w.view, setting_at(SETTING_TRIGGER_LABEL_SIGN), SLICE_LITERAL("nowhere"), &f));
    assert_int_equal(policy_groups_check(w.view, setting, SLICE_LITERAL("lawyers,nowhere"), &f),
                     STATUS_INVALID);
    assert_string_equal(f.text, "trigger.group.sign: there is no group nowhere");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.subject.plain", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.group.encrypt", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "trigger.group.sign", NULL);
}

/* A report is never held up by a signature that nobody can make for it; a message without an author is. */
static void a_null_sender_is_never_signed_for(void **state)
{
    (void)state;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_GLOBAL, "", "sign.mode", "always");
    world_set(&w, SETTING_GLOBAL, "", "sign.on_missing_key", "refuse");
    struct policy_decision d = decide(&(struct question){.envelope = ""});
    expect(&d, ENC, STATUS_OK, "the null sender");
    d = decide(&(struct question){.from = "", .envelope = "alice@ours.example"});
    expect(&d, PLAIN, STATUS_NO_KEY, "no author");
    world_set(&w, SETTING_GLOBAL, "", "sign.mode", NULL);
    world_set(&w, SETTING_GLOBAL, "", "sign.on_missing_key", NULL);
}

struct lifetime {
    uint64_t from_ms, until_ms;
};

static bool note_lifetime(void *context, const struct certificate_record *record)
{
    *(struct lifetime *)context = (struct lifetime){record->not_before_ms, record->not_after_ms};
    return true;
}

/* To the second, and with a reason that says on which side. */
static void a_certificate_is_used_within_its_time(void **state)
{
    (void)state;
    struct lifetime life = {0};
    uint64_t now_ms = w.now_ms;
    world_look(&w);
    OK(store_certificates_for(w.view, SLICE_LITERAL("bob@partner.example"), note_lifetime, &life));
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    const struct {
        uint64_t at_ms;
        const char *reason; /* NULL: it is used */
    } table[] = {
        {life.from_ms - 1000, " is not valid before 20"},
        {life.until_ms - 1000, NULL},
        {life.until_ms + 1, " expired 20"},
        {life.until_ms + 1000, " expired 20"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        w.now_ms = table[i].at_ms;
        world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "none");
        struct policy_decision d = decide(&(struct question){0});
        expect(&d, table[i].reason == NULL ? ENC : PLAIN, table[i].reason == NULL ? STATUS_OK : STATUS_NO_KEY,
               "at a boundary of its time");
        assert_true(table[i].reason == NULL || slice_holds(d.recipients[0].reason, table[i].reason));
    }
    w.now_ms = now_ms;
    world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
}

/* Somebody's true certificate, proposed for an address that it does not name. */
static void a_harvested_certificate_must_name_the_address(void **state)
{
    (void)state;
    struct certificate_file *file = calloc(1, sizeof *file);
    struct certificate_record record;
    struct buf pem = BUF_INIT(65536);
    struct failure f = {.status = STATUS_OK};
    struct arena a;
    arena_init(&a, 1 << 20);
    world_shell(&w,
                "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=mallory "
                "-keyout mallory.key -out mallory.csr && printf "
                "'[e]\\nsubjectAltName=email:mallory@evil.example\\nkeyUsage=keyAgreement\\n' >mallory.ext "
                "&& openssl x509 -req -in mallory.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 300 "
                "-extfile mallory.ext -extensions e -out mallory.pem");
    world_file_read(&w, "mallory.pem", &pem);
    OK(certificate_file_read(buf_slice(&pem), &a, file, &f));
    OK(certificate_describe(file->der[0], SLICE_LITERAL("harvest"), w.now_ms, &a, &record, &f));
    record.addresses[0] = SLICE_LITERAL("victim@partner.example");
    record.address_count = 1;
    world_add_record(&w, &record);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    struct policy_decision d = decide(&(struct question){.recipient = "victim@partner.example"});
    expect(&d, PLAIN, STATUS_NO_KEY, "another's certificate");
    assert_true(slice_holds(d.recipients[0].reason, "does not name the address"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    free(file);
    buf_release(&pem);
    arena_release(&a);
}

/* A certificate for the address, valid from the given time on; its DER is in the arena. */
static struct slice add_certificate(const char *name, const char *address, const char *from,
                                    const char *source, bool in_quarantine, struct arena *a)
{
    struct certificate_file *file = calloc(1, sizeof *file);
    struct certificate_record record;
    struct buf pem = BUF_INIT(65536);
    struct failure f = {.status = STATUS_OK};
    struct slice der;
    char path[64];
    world_shell(&w,
                "mkdir -p made && touch index.txt && printf '[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\n"
                "new_certs_dir=made\nrand_serial=yes\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\n"
                "commonName=supplied\n' >ca.cnf && "
                "printf 'subjectAltName=email:%s\nkeyUsage=keyAgreement\n' >%s.ext && "
                "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=%s -keyout %s.key "
                "-out %s.csr && openssl ca -batch -config ca.cnf -cert ca.pem -keyfile ca.key -notext "
                "-startdate %s -enddate 20400101000000Z -extfile %s.ext -in %s.csr -out %s.pem",
                address, name, name, name, name, from, name, name, name);
    assert_true(snprintf(path, sizeof path, "%s.pem", name) > 0);
    world_file_read(&w, path, &pem);
    OK(certificate_file_read(buf_slice(&pem), a, file, &f));
    OK(certificate_describe(file->der[0], slice_of_text(source), w.now_ms, a, &record, &f));
    world_add_record(&w, &record);
    if (in_quarantine) {
        struct command c = world_command(&w, COMMAND_CERT_STATE);
        c.values[0].bytes = slice_of(record.thumbprint, THUMBPRINT_SIZE);
        c.values[1].number = CERT_QUARANTINE;
        world_apply(&w, &c);
    }
    assert_true(arena_copy(a, record.der, &der));
    free(file);
    buf_release(&pem);
    return der;
}

/* cert.select=newest: by the beginning of its time, whatever order they are found in. */
static void the_newest_certificate_alone(void **state)
{
    static const char *const dates[][3] = {
        {"20200101000000Z", "20240101000000Z", "20220101000000Z"},
        {"20240101000000Z", "20200101000000Z", "20220101000000Z"},
    };
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    world_set(&w, SETTING_DOMAIN, "partner.example", "cert.select", "newest");
    for (size_t i = 0; i < 2; i++) {
        char address[64], name[16];
        struct slice der[3];
        assert_true(snprintf(address, sizeof address, "several%zu@partner.example", i) > 0);
        for (size_t n = 0; n < 3; n++) {
            assert_true(snprintf(name, sizeof name, "several%zu%zu", i, n) > 0);
            der[n] = add_certificate(name, address, dates[i][n], "import", false, &a);
        }
        struct policy_decision d = decide(&(struct question){.recipient = address});
        assert_int_equal(d.recipients[0].certificate_count, 1);
        assert_true(slice_equal(d.recipients[0].certificates[0], der[1 - i]));
        world_set(&w, SETTING_DOMAIN, "partner.example", "cert.select", NULL);
        d = decide(&(struct question){.recipient = address});
        assert_int_equal(d.recipients[0].certificate_count, 3);
        world_set(&w, SETTING_DOMAIN, "partner.example", "cert.select", "newest");
    }
    world_set(&w, SETTING_DOMAIN, "partner.example", "cert.select", NULL);
    arena_release(&a);
}

/* encrypt.min_trust: how a certificate came must be good enough. */
static void what_came_by_itself_counts_as_set(void **state)
{
    static const char *const sources[] = {"harvest", "ldap", "import"};
    static const char *const least[] = {"harvested", "discovered", "manual"};
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    for (size_t i = 0; i < 3; i++) {
        char address[64];
        assert_true(snprintf(address, sizeof address, "by-%s@partner.example", sources[i]) > 0);
        (void)add_certificate(sources[i], address, "20200101000000Z", sources[i], false, &a);
        for (size_t n = 0; n < 3; n++) {
            world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.min_trust", least[n]);
            struct policy_decision d = decide(&(struct question){.recipient = address});
            if (i >= n) {
                assert_int_equal(d.recipients[0].certificate_count, 1);
            } else {
                expect(&d, PLAIN, STATUS_NO_KEY, i == 0 ? "came from signed mail" : "came from a directory");
            }
        }
        world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.min_trust", NULL);
    }
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    arena_release(&a);
}

/* Learned and not confirmed yet: it is not used, and says why. */
static void a_certificate_that_waits_is_not_used(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    (void)add_certificate("waits", "waits@partner.example", "20200101000000Z", "import", true, &a);
    struct policy_decision d = decide(&(struct question){.recipient = "waits@partner.example"});
    expect(&d, PLAIN, STATUS_NO_KEY, "in quarantine");
    assert_true(slice_holds(d.recipients[0].reason, "waits in quarantine to be confirmed"));
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    arena_release(&a);
}

/* What a stranger wrote under an address of ours, and a mailbox of ours forwards, has his envelope. */
static void a_strangers_envelope_gets_no_signature(void **state)
{
    static const struct {
        const char *envelope;
        unsigned protection;
    } table[] = {
        {"alice@ours.example", BOTH}, {"bounces+17@ours.example", BOTH}, {"bounces@mail.ours.example", BOTH},
        {"alice@too.example", BOTH}, /* internal, below */
        {"eve@evil.example", ENC},    {"eve@evilours.example", ENC},     {"eve@example", ENC},
    };
    (void)state;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "too.example", "domain.locality", "internal");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct policy_decision d = decide(&(struct question){.envelope = table[i].envelope});
        expect(&d, table[i].protection, STATUS_OK, table[i].envelope);
    }
    world_set(&w, SETTING_DOMAIN, "too.example", "domain.locality", NULL);
    /* Whom nobody may be signed for gets no key made either. */
    struct policy_decision d =
        decide(&(struct question){.from = "nobody@ours.example", .envelope = "eve@evil.example"});
    assert_false(d.lacks_key);
    d = decide(&(struct question){.from = "nobody@ours.example"});
    assert_true(d.lacks_key);
    /* A signature that is demanded is not left out: the message is refused. */
    d = decide(&(struct question){.envelope = "eve@evil.example", .when = "always", .then = "sign"});
    expect(&d, PLAIN, STATUS_NO_KEY, "demanded");
    assert_true(slice_holds(d.recipients[0].reason, "envelope's sender eve@evil.example"));
}

static void a_plain_word_loosens_what_may_be_loosened(void **state)
{
    (void)state;
    const char *message = "Subject: [plain] a\r\n\r\nx";
    world_set(&w, SETTING_DOMAIN, "rich.example", "encrypt.mode", "opportunistic");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    struct policy_decision d = decide(&(struct question){.from = "ann@rich.example", .message = message});
    expect(&d, PLAIN, STATUS_OK, "opportunistic");
    assert_true(slice_equal(d.subject, SLICE_LITERAL("a")));
    d = decide(&(struct question){.message = message}); /* ours.example may not ask for it */
    expect(&d, BOTH, STATUS_OK, "not allowed");
    d = decide(
        &(struct question){.from = "ann@rich.example", .envelope = "alice@ours.example", .message = message});
    expect(&d, ENC, STATUS_OK, "another's From");
    d = decide(&(struct question){.from = "ann@rich.example", .envelope = "", .message = message});
    expect(&d, ENC, STATUS_OK, "the null sender is nobody who may");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "mandatory");
    d = decide(&(struct question){.from = "ann@rich.example", .message = message});
    expect(&d, ENC, STATUS_OK, "mandatory");
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "rich.example", "encrypt.mode", NULL);
}

/* Each kind has a setting; none makes plain text of what is mandatory. */
static void kinds_are_no_silent_exceptions(void **state)
{
    static const struct {
        const char *setting, *message;
    } table[] = {
        {"encrypt.calendar", "Content-Type: text/calendar\r\n\r\nBEGIN:VCALENDAR\r\n"},
        {"encrypt.reports", "Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"},
        {"encrypt.auto_replies", "Auto-Submitted: auto-replied\r\n\r\nx"},
        {"encrypt.empty", "Subject: x\r\n\r\n\r\n"},
        {"encrypt.tnef", "Content-Type: application/ms-tnef\r\n\r\nx"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct question q = {.message = table[i].message};
        struct policy_decision d = decide(&q);
        assert_true((d.recipients[0].protection & PROTECT_ENCRYPT) != 0);
        world_set(&w, SETTING_DOMAIN, "partner.example", table[i].setting, "plain-if-opportunistic");
        d = decide(&q);
        expect(&d, PLAIN, STATUS_OK, table[i].setting);
        world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "mandatory");
        d = decide(&q);
        assert_true((d.recipients[0].protection & PROTECT_ENCRYPT) != 0);
        q.recipient = "nobody@partner.example";
        d = decide(&q);
        expect(&d, PLAIN, STATUS_NO_KEY, table[i].setting);
        world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", NULL);
        world_set(&w, SETTING_DOMAIN, "partner.example", table[i].setting, NULL);
    }
    struct question malformed = {.message = "Content-Type: multipart/mixed\r\n\r\nx"};
    struct policy_decision d = decide(&malformed);
    expect(&d, BOTH, STATUS_OK, "passed, protected as a whole");
    world_set(&w, SETTING_DOMAIN, "ours.example", "mime.malformed", "refuse");
    d = decide(&malformed);
    expect(&d, PLAIN, STATUS_MALFORMED, "refused");
    world_set(&w, SETTING_DOMAIN, "ours.example", "mime.malformed", "quarantine");
    d = decide(&malformed);
    expect(&d, BOTH, STATUS_OK, "put aside, protected all the same");
    assert_true(d.recipients[0].quarantine);
    world_set(&w, SETTING_DOMAIN, "ours.example", "mime.malformed", NULL);
}

static void rules_tighten_and_loosen(void **state)
{
    static const struct {
        const char *mode, *when, *then;
        unsigned with;
        enum status without;
    } table[] = {
        {"none", "recipient domain partner.example", "require encryption", ENC, STATUS_NO_KEY},
        {"opportunistic", "always", "forbid encryption", PLAIN, STATUS_OK},
        {"mandatory", "always", "forbid encryption", BOTH, STATUS_NO_KEY},
        {"none", "always", "sign", SIGNED, STATUS_OK},
        {"opportunistic", "always", "do not sign", ENC, STATUS_OK},
        {"none", "always", "refuse \"not to them\"", PLAIN, STATUS_POLICY},
        {"opportunistic", "recipient domain else.example", "forbid encryption", BOTH, STATUS_OK},
        {"opportunistic", "sender in group nobody", "forbid encryption", PLAIN,
         STATUS_UNAVAILABLE}, /* broken */
        {"mandatory", "always", "methods smime-domain", PLAIN, STATUS_NO_KEY},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        bool fails = table[i].without == STATUS_POLICY || table[i].without == STATUS_UNAVAILABLE ||
                     strstr(table[i].then, "methods") != NULL;
        world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", table[i].mode);
        struct question q = {.when = table[i].when, .then = table[i].then};
        if (strcmp(table[i].mode, "none") == 0 && table[i].with == ENC) {
            world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", "none");
        }
        struct policy_decision d = decide(&q);
        expect(&d, table[i].with, fails ? table[i].without : STATUS_OK, table[i].then);
        q.recipient = "nobody@partner.example";
        d = decide(&q);
        expect(&d, table[i].with == SIGNED ? SIGNED : PLAIN, table[i].without, table[i].then);
        world_set(&w, SETTING_DOMAIN, "ours.example", "sign.mode", NULL);
    }
    struct policy_decision d =
        decide(&(struct question){.when = "always", .then = "route scanner.example:26, quarantine"});
    assert_true(slice_equal(d.recipients[0].next_hop, SLICE_LITERAL("scanner.example:26")));
    assert_true(d.recipients[0].quarantine);
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
}

static void what_cannot_be_encrypted_may_be_deferred(void **state)
{
    (void)state;
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", "mandatory");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", "defer");
    struct policy_decision d = decide(&(struct question){.recipient = "nobody@partner.example"});
    assert_int_equal(status_smtp_code(d.recipients[0].status), 451);
    assert_false(d.recipients[0].put_aside);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", "quarantine");
    d = decide(&(struct question){.recipient = "nobody@partner.example"});
    expect(&d, PLAIN, STATUS_NO_KEY, "put aside");
    assert_true(d.recipients[0].put_aside);
    assert_true(traced(&d, "put aside as it came (encrypt.on_failure)"));
    assert_true(traced(&d, "\"quarantine\":\"nobody@partner.example: encryption is mandatory"));
    d = decide(&(struct question){.recipient = "nobody@partner.example", .flags = POLICY_RELEASED});
    expect(&d, PLAIN, STATUS_NO_KEY, "released: refused, and never put aside again");
    assert_false(d.recipients[0].put_aside);
    d = decide(&(struct question){.flags = POLICY_RELEASED});
    expect(&d, BOTH, STATUS_OK, "released, and there is a certificate");
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.on_failure", NULL);
    world_set(&w, SETTING_DOMAIN, "ours.example", "encrypt.mode", NULL);
}

/* A supposed setting stands where it would stand if it were set. */
static void proposals_stand_at_their_level(void **state)
{
    static const struct {
        enum setting_level level;
        const char *scope, *value;
        unsigned protection;
    } table[] = {
        {SETTING_GLOBAL, "", "none", BOTH}, /* the domain's value is more specific */
        {SETTING_DOMAIN, "*.example", "none", BOTH},
        {SETTING_DOMAIN, "partner.example", "none", PLAIN},
        {SETTING_USER, "bob@partner.example", "none", PLAIN},
        {SETTING_USER, "eve@partner.example", "none", BOTH},
        {SETTING_DOMAIN, "other.example", "none", BOTH},
    };
    (void)state;
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", "opportunistic");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct policy_proposal p = {.setting = setting_at(SETTING_ENCRYPT_MODE),
                                    .level = table[i].level,
                                    .scope = slice_of_text(table[i].scope),
                                    .text = slice_of_text(table[i].value)};
        struct policy_decision d = decide(&(struct question){.proposal = &p});
        expect(&d, table[i].protection, STATUS_OK, table[i].scope);
    }
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
}

/* encrypt.also_to of both senders and the recipient, as set or supposed; of the null sender the global one.
 * It names a certificate that is not there: whoever it holds for is refused. */
static void escrow_holds_for_each_side(void **state)
{
    static const char missing[] = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    static const struct {
        enum setting_level level;
        const char *scope, *envelope;
        enum status status;
    } table[] = {
        {SETTING_DOMAIN, "other.example", NULL, STATUS_OK},
        {SETTING_DOMAIN, "ours.example", NULL, STATUS_POLICY},
        {SETTING_USER, "bob@partner.example", NULL, STATUS_POLICY},
        {SETTING_USER, "list@ours.example", NULL, STATUS_OK},
        {SETTING_USER, "list@ours.example", "list@ours.example", STATUS_POLICY},
        {SETTING_DOMAIN, "ours.example", "", STATUS_POLICY}, /* the address in From */
        {SETTING_GLOBAL, "", "", STATUS_POLICY},
    };
    (void)state;
    world_set(&w, SETTING_GLOBAL, "", "encrypt.mode", "mandatory");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct policy_proposal p = {.setting = setting_at(SETTING_ENCRYPT_ALSO_TO),
                                    .level = table[i].level,
                                    .scope = slice_of_text(table[i].scope),
                                    .text = slice_of_text(missing)};
        struct question q = {.envelope = table[i].envelope, .proposal = &p};
        struct policy_decision d = decide(&q);
        assert_int_equal(d.recipients[0].status, table[i].status);
        world_set(&w, table[i].level, table[i].scope, "encrypt.also_to", missing);
        q.proposal = NULL;
        d = decide(&q);
        assert_int_equal(d.recipients[0].status, table[i].status);
        world_set(&w, table[i].level, table[i].scope, "encrypt.also_to", NULL);
    }
    world_set(&w, SETTING_GLOBAL, "", "encrypt.mode", NULL);
}

static void a_directory_that_is_down_defers_or_lets_pass(void **state)
{
    static const struct {
        const char *mode, *on_failure, *recipient; /* NULL: as by default */
        enum status status;
        unsigned protection;
    } table[] = {
        {NULL, NULL, "nobody@partner.example", STATUS_UNAVAILABLE, PLAIN},
        {NULL, "defer", "nobody@partner.example", STATUS_UNAVAILABLE, PLAIN},
        {NULL, "pass", "nobody@partner.example", STATUS_OK, PLAIN},
        {"mandatory", "defer", "nobody@partner.example", STATUS_UNAVAILABLE, PLAIN},
        {"mandatory", "pass", "nobody@partner.example", STATUS_NO_KEY, PLAIN},
        {"none", "defer", "nobody@partner.example", STATUS_OK, PLAIN},
        {NULL, "defer", "bob@partner.example", STATUS_OK, BOTH},    /* there is one in the store */
        {NULL, "defer", "other@partner.example", STATUS_OK, PLAIN}, /* whose directory has answered */
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", table[i].mode);
        world_set(&w, SETTING_DOMAIN, "partner.example", "cert.lookup_on_failure", table[i].on_failure);
        struct question q = {.recipient = table[i].recipient, .unanswered = table[i].recipient};
        if (strcmp(table[i].recipient, "other@partner.example") == 0) {
            q.unanswered = "nobody@partner.example";
        }
        struct policy_decision d = decide(&q);
        expect(&d, table[i].protection, table[i].status, table[i].recipient);
        assert_int_equal(traced(&d, "could not be asked: cert.lookup_on_failure is"),
                         table[i].status != STATUS_OK || (i == 2));
    }
    assert_true(status_retryable(STATUS_UNAVAILABLE));
    world_set(&w, SETTING_DOMAIN, "partner.example", "encrypt.mode", NULL);
    world_set(&w, SETTING_DOMAIN, "partner.example", "cert.lookup_on_failure", NULL);
    /* Who asks beforehand is told of it. */
    world_set(&w, SETTING_DOMAIN, "partner.example", "cert.lookup", "ldap://d.example/c?c?sub?(mail=%s)");
    struct policy_decision d =
        decide(&(struct question){.recipient = "nobody@partner.example", .flags = POLICY_TELL_ALL});
    expect(&d, PLAIN, STATUS_OK, "explain");
    assert_true(traced(&d, "if they do not answer: defer (cert.lookup_on_failure, factory default)"));
    assert_true(traced(&d, "\"cert.lookup_on_failure\""));
    world_set(&w, SETTING_DOMAIN, "partner.example", "cert.lookup", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_side_that_says_something_counts),
        cmocka_unit_test(what_was_asked_for_is_done_or_refused),
        cmocka_unit_test(a_signature_that_was_asked_for_is_made_or_refused),
        cmocka_unit_test(a_group_of_recipients_is_asked_for),
        cmocka_unit_test(a_strangers_envelope_gets_no_signature),
        cmocka_unit_test(a_plain_word_loosens_what_may_be_loosened),
        cmocka_unit_test(kinds_are_no_silent_exceptions),
        cmocka_unit_test(rules_tighten_and_loosen),
        cmocka_unit_test(what_cannot_be_encrypted_may_be_deferred),
        cmocka_unit_test(proposals_stand_at_their_level),
        cmocka_unit_test(escrow_holds_for_each_side),
        cmocka_unit_test(a_null_sender_is_never_signed_for),
        cmocka_unit_test(a_certificate_is_used_within_its_time),
        cmocka_unit_test(a_harvested_certificate_must_name_the_address),
        cmocka_unit_test(the_newest_certificate_alone),
        cmocka_unit_test(what_came_by_itself_counts_as_set),
        cmocka_unit_test(a_certificate_that_waits_is_not_used),
        cmocka_unit_test(a_directory_that_is_down_defers_or_lets_pass),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
