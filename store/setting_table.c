/*
 * The one table of settings. A row is all that it takes to add one: validation, inheritance, the CLI's help,
 * the REST API and docs come from it. Settings of capabilities that are still to come get their row with
 * them: a setting that nothing reads would lie. A new row gets its id in store/setting.h.
 *
 * Order: by what they are about. Where a CHOICE has an order of strictness, the weakest comes first.
 */
#include "store/setting.h"

#include <pthread.h>

#define G   SETTING_AT_GLOBAL
#define GD  (SETTING_AT_GLOBAL | SETTING_AT_DOMAIN)
#define GDU (SETTING_AT_GLOBAL | SETTING_AT_DOMAIN | SETTING_AT_USER)
#define D   SETTING_AT_DOMAIN

#define SECONDS(n) ((uint64_t)(n)*1000)
#define MINUTES(n) SECONDS((n)*60)
#define HOURS(n)   MINUTES((n)*60)
#define DAYS(n)    HOURS((n)*24)

#define CHOICE(n, d, c, l, s, h)                                                                             \
    {                                                                                                        \
        .name = (n), .type = SETTING_CHOICE, .default_text = (d), .choices = (c), .levels = (l),             \
        .side = (s), .permission = "setting.write", .help = (h)                                              \
    }
#define FLAG(n, d, l, s, h)                                                                                  \
    {                                                                                                        \
        .name = (n), .type = SETTING_BOOL, .default_text = (d), .choices = "no|yes", .levels = (l),          \
        .side = (s), .permission = "setting.write", .help = (h)                                              \
    }
#define RANGE(n, t, d, lo, hi, l, s, h)                                                                      \
    {                                                                                                        \
        .name = (n), .type = (t), .default_text = (d), .min = (lo), .max = (hi), .levels = (l), .side = (s), \
        .permission = "setting.write", .help = (h)                                                           \
    }

static const struct setting settings[] = {
    [SETTING_DOMAIN_LOCALITY] = CHOICE(
        "domain.locality", "external", "external|internal", D, SETTING_OF_RECIPIENT,
        "internal: our own domain, whose incoming mail is decrypted and verified; external: a partner's"),

    [SETTING_ENCRYPT_MODE] =
        CHOICE("encrypt.mode", "opportunistic", "none|request|opportunistic|mandatory", GDU, SETTING_OF_BOTH,
               "none: only when the sender asks for it or a rule does; opportunistic: when the recipient can "
               "read it; "
               "request: only when the sender asks; mandatory: always, or the message is refused. Of the "
               "sender's and "
               "the recipient's value the stricter counts"),
    [SETTING_ENCRYPT_METHODS] =
        {.name = "encrypt.methods",
         .type = SETTING_CHOICES,
         .default_text = "smime,smime-domain",
         .choices = "smime|smime-domain",
         .levels = GDU,
         .side = SETTING_OF_RECIPIENT,
         .permission = "setting.write",
         .help = "ways to encrypt for this recipient, the first that fits is taken: smime: a "
                 "certificate of the recipient; smime-domain: one of the whole domain"},
    [SETTING_ENCRYPT_ON_FAILURE] = CHOICE(
        "encrypt.on_failure", "refuse", "refuse|defer", GD, SETTING_OF_SENDER,
        "what becomes of mail that must be encrypted and cannot be: refused with 550, or deferred with "
        "451, so that the sender's server tries again for days"),
    [SETTING_PARTIAL_RECIPIENTS] = CHOICE(
        "partial.recipients", "refuse-all", "refuse-all|split", GD, SETTING_OF_SENDER,
        "when some recipients cannot be served: refuse the message for all, or deliver to the others and "
        "send the sender a bounce for those"),
    [SETTING_ENCRYPT_INTERNAL] =
        FLAG("encrypt.internal", "no", GDU, SETTING_OF_RECIPIENT,
             "whether mail between our own domains that comes from encrypt.internal_from is signed and "
             "encrypted like mail that leaves; no: it is decrypted and verified like mail that comes in"),
    [SETTING_ENCRYPT_INTERNAL_FROM] = RANGE(
        "encrypt.internal_from", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
        "our own mail servers, from which mail of our own domains' senders is theirs in truth: only that is "
        "signed for encrypt.internal. Never a server that takes mail from the internet"),
    [SETTING_ENCRYPT_CALENDAR] = CHOICE(
        "encrypt.calendar", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
        "calendar invitations: encrypted like other mail, or left plain where encrypt.mode is opportunistic; "
        "mandatory is mandatory"),
    [SETTING_ENCRYPT_REPORTS] =
        CHOICE("encrypt.reports", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "delivery reports and read receipts: encrypted like other mail, or left plain where "
               "encrypt.mode is opportunistic; "
               "mandatory is mandatory"),
    [SETTING_ENCRYPT_AUTO_REPLIES] = CHOICE(
        "encrypt.auto_replies", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
        "automatic replies: encrypted like other mail, or left plain where encrypt.mode is opportunistic; "
        "mandatory is mandatory"),
    [SETTING_ENCRYPT_EMPTY] =
        CHOICE("encrypt.empty", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "messages without content: encrypted like other mail, or left plain where encrypt.mode is "
               "opportunistic; "
               "mandatory is mandatory"),
    [SETTING_ENCRYPT_TNEF] =
        CHOICE("encrypt.tnef", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "messages with a winmail.dat (TNEF), which few programs can read: encrypted like other mail, "
               "or left plain where encrypt.mode is opportunistic; "
               "mandatory is mandatory"),
    [SETTING_MIME_MALFORMED] = CHOICE(
        "mime.malformed", "pass", "pass|quarantine|refuse", GD, SETTING_OF_SENDER,
        "what becomes of mail whose structure programs may read differently: passed on (encrypted as a whole "
        "where it must be), put aside, or refused"),
    [SETTING_TRIGGER_SUBJECT_ENCRYPT] =
        RANGE("trigger.subject.encrypt", SETTING_TEXTS, "[encrypt]", 1, 256, GDU, SETTING_OF_SENDER,
              "words in the subject, or /expressions/, with which the sender asks for encryption: then it is "
              "encrypted or refused"),
    [SETTING_TRIGGER_SUBJECT_SIGN] =
        RANGE("trigger.subject.sign", SETTING_TEXTS, "", 1, 256, GDU, SETTING_OF_SENDER,
              "words in the subject, or /expressions/, with which the sender asks for a signature"),
    [SETTING_TRIGGER_SUBJECT_PLAIN] = RANGE(
        "trigger.subject.plain", SETTING_TEXTS, "", 1, 256, GDU, SETTING_OF_SENDER,
        "words in the subject, or /expressions/, with which the sender asks for no encryption; set it only "
        "for those who may. It never loosens what is mandatory"),
    [SETTING_TRIGGER_SUBJECT_REMOVE] =
        FLAG("trigger.subject.remove", "yes", GD, SETTING_OF_SENDER,
             "whether the words are taken out of the subject before the message leaves"),
    [SETTING_TRIGGER_HEADER_ENCRYPT] = RANGE(
        "trigger.header.encrypt", SETTING_TEXTS, "Sensitivity: company-confidential", 1, 256, GDU,
        SETTING_OF_SENDER,
        "fields with which the sender's program asks for encryption: NAME, NAME: TEXT or NAME: /EXPRESSION/"),
    [SETTING_TRIGGER_HEADER_SIGN] =
        RANGE("trigger.header.sign", SETTING_TEXTS, "", 1, 256, GDU, SETTING_OF_SENDER,
              "fields with which the sender's program asks for a signature: NAME, NAME: TEXT or NAME: "
              "/EXPRESSION/"),
    [SETTING_TRIGGER_LABEL_ENCRYPT] = RANGE(
        "trigger.label.encrypt", SETTING_TEXTS, "", 1, 256, GD, SETTING_OF_SENDER,
        "sensitivity labels (their names or ids in msip_labels, as Microsoft 365 writes them) that ask for "
        "encryption"),
    [SETTING_TRIGGER_LABEL_SIGN] = RANGE("trigger.label.sign", SETTING_TEXTS, "", 1, 256, GD,
                                         SETTING_OF_SENDER, "sensitivity labels that ask for a signature"),

    [SETTING_SIGN_MODE] = CHOICE("sign.mode", "with-encryption", "none|request|with-encryption|always", GDU,
                                 SETTING_OF_SENDER, "when mail of this sender is signed"),
    [SETTING_SIGN_ON_MISSING_KEY] = CHOICE(
        "sign.on_missing_key", "unsigned", "unsigned|domain-key|refuse", GD, SETTING_OF_SENDER,
        "what becomes of mail that is to be signed when the sender has no usable key; domain-key: it is "
        "signed with the certificate that is bound to the sender's domain, and goes as with unsigned "
        "when there is none"),
    [SETTING_SIGN_ALREADY] = CHOICE("sign.already", "keep", "keep|replace", GD, SETTING_OF_SENDER,
                                    "what becomes of a signature that mail of this sender already bears"),
    [SETTING_ENCRYPT_ALREADY] = CHOICE(
        "encrypt.already", "pass", "pass|wrap|refuse", GD, SETTING_OF_SENDER,
        "what becomes of mail that is encrypted already: pass it on, encrypt it once more, or refuse it"),
    [SETTING_SIGN_CALENDAR] =
        FLAG("sign.calendar", "no", GD, SETTING_OF_SENDER,
             "whether calendar invitations are signed: some programs then show a file and "
             "no invitation"),
    [SETTING_SMIME_ENABLED] = FLAG("smime.enabled", "yes", GDU, SETTING_OF_RECIPIENT,
                                   "whether S/MIME may be used for this recipient"),
    [SETTING_SMIME_CIPHER] = CHOICE(
        "smime.cipher", "auto", "auto|aes256-gcm|aes192-gcm|aes128-gcm|aes256-cbc|aes192-cbc|aes128-cbc", GDU,
        SETTING_OF_RECIPIENT,
        "auto: the best that all recipients of a copy are known to read (AES-GCM when they announce it); "
        "AES-256-CBC for those of whom nothing is known"),
    [SETTING_SMIME_OPAQUE] = FLAG(
        "smime.opaque", "no", GDU, SETTING_OF_RECIPIENT,
        "sign opaquely: programs that know no S/MIME cannot read such mail, but nothing on the way breaks "
        "the signature"),
    [SETTING_SMIME_KEY_TRANSPORT] = CHOICE(
        "smime.key_transport", "auto", "auto|pkcs1|oaep", GDU, SETTING_OF_RECIPIENT,
        "how the content key goes to an RSA key: pkcs1 (PKCS #1 v1.5) or oaep (SHA-256); auto: oaep when the "
        "recipient announces it, else pkcs1"),
    [SETTING_SMIME_COMPRESS] = FLAG("smime.compress", "no", GDU, SETTING_OF_RECIPIENT,
                                    "compress before encrypting (zlib): not all mail programs can read it"),
    [SETTING_SMIME_DIGEST] = CHOICE("smime.digest", "sha256", "sha256|sha384|sha512", GDU, SETTING_OF_SENDER,
                                    "digest of signatures for this sender; an Ed25519 key has sha512 always"),
    [SETTING_SMIME_PSS] = FLAG("smime.pss", "no", GDU, SETTING_OF_SENDER,
                               "sign with RSA-PSS instead of PKCS #1 v1.5 when the key is an RSA key: not "
                               "all mail programs can verify it"),
    [SETTING_SMIME_REVOCATION] = CHOICE(
        "smime.revocation", "soft", "off|soft|hard", G, SETTING_OF_NODE,
        "what becomes of a certificate of which no list or answer in force tells whether it was revoked: "
        "soft "
        "uses it, hard does not; off also looks for no lists. One that is known to be revoked is never used"),

    [SETTING_PROTECT_HEADERS] = CHOICE(
        "protect.headers", "sign", "none|sign|hide-subject", GDU, SETTING_OF_RECIPIENT,
        "header protection (RFC 9788). sign: the header fields that people see are signed and encrypted with "
        "the message; hide-subject: and outside of an encrypted message the subject is [...]"),
    [SETTING_PROTECT_LEGACY_DISPLAY] = FLAG(
        "protect.legacy_display", "yes", GDU, SETTING_OF_RECIPIENT,
        "put a hidden subject at the start of the text as well, for programs that know no header protection"),
    [SETTING_DECRYPT_ON_FAILURE] = CHOICE(
        "decrypt.on_failure", "deliver", "deliver|quarantine|refuse", GD, SETTING_OF_RECIPIENT,
        "what becomes of incoming S/MIME mail that none of the recipient's keys opens: delivered as it came "
        "and "
        "marked, put aside, or refused with 550, which tells the sender that it could not be decrypted"),
    [SETTING_DECRYPT_UNAUTHENTICATED] =
        CHOICE("decrypt.unauthenticated", "mark", "deliver|mark|refuse", GDU, SETTING_OF_RECIPIENT,
               "decrypted mail whose cipher text could have been changed unseen (AES-CBC without a signature "
               "within): "
               "delivered, delivered with the mark authenticated=no, or refused with 550"),
    [SETTING_VERIFY_ON_INVALID] =
        CHOICE("verify.on_invalid", "mark", "mark|quarantine|refuse", GD, SETTING_OF_RECIPIENT,
               "what becomes of incoming mail whose signature is invalid, revoked or another's: delivered "
               "and marked, "
               "put aside, or refused with 550"),
    [SETTING_SMIME_REMOVE_SIGNATURE] = CHOICE(
        "smime.remove_signature", "never", "never|valid|always", GDU, SETTING_OF_RECIPIENT,
        "whether signatures of incoming mail are taken away after they were verified: for programs that "
        "cannot show signed mail"),
    [SETTING_INCOMING_SUBJECT_TAGS] = FLAG("incoming.subject_tags", "no", GDU, SETTING_OF_RECIPIENT,
                                           "put [decrypted], [signed by ADDRESS] or [invalid signature] in "
                                           "front of the subject of incoming mail; "
                                           "what a sender writes of that kind is removed"),
    [SETTING_INCOMING_BANNER] = FLAG("incoming.banner", "no", GDU, SETTING_OF_RECIPIENT,
                                     "put a line that says how a message was protected in front of its text, "
                                     "where that breaks no signature"),
    [SETTING_CERT_SELECT] = CHOICE("cert.select", "all", "all|newest", GDU, SETTING_OF_RECIPIENT,
                                   "which of several usable certificates of a recipient mail is encrypted "
                                   "to: to all, or to the one that "
                                   "became valid last"),
    [SETTING_ENCRYPT_ALSO_TO] = RANGE(
        "encrypt.also_to", SETTING_THUMBPRINTS, "", 0, 0, GDU, SETTING_OF_BOTH,
        "thumbprints of stored certificates that every encrypted message of this sender or to this recipient "
        "is encrypted to as well (escrow); one that cannot be used refuses the message"),
    [SETTING_HARVEST_SMIME] = CHOICE(
        "harvest.smime", "trusted", "off|trusted|all", GD, SETTING_OF_RECIPIENT,
        "which certificates of partners are learned from mail that they signed: none; those with a path to a "
        "trust anchor; also others, which stay in quarantine until they are confirmed"),
    [SETTING_HARVEST_CONFIRM] =
        FLAG("harvest.confirm", "no", GD, SETTING_OF_RECIPIENT,
             "whether every learned certificate waits in quarantine until an administrator confirms it"),
    [SETTING_KEY_ON_CHANGE] =
        CHOICE("key.on_change", "review", "review|replace|keep", GD, SETTING_OF_RECIPIENT,
               "what becomes of a learned certificate whose address has another valid one with another key: "
               "it waits "
               "in quarantine; it is used in place of the others; or it is passed over"),
    [SETTING_CERT_EXPIRY_WARN] = RANGE(
        "cert.expiry_warn", SETTING_DURATIONS, "30d,7d", HOURS(1), DAYS(400), GD, SETTING_OF_RECIPIENT,
        "how long before a stored certificate expires a warning is logged; for the domain of its address"),

    [SETTING_RELAY_NETWORKS] =
        RANGE("relay.networks", SETTING_NETWORKS, "127.0.0.0/8", 0, 0, G, SETTING_OF_NODE,
              "networks whose hosts may send mail through this gateway; all others are refused"),
    [SETTING_RELAY_UNKNOWN_SENDER] = CHOICE(
        "relay.unknown_sender", "refuse", "pass|refuse", G, SETTING_OF_NODE,
        "what becomes of mail to the outside when neither its From address nor the envelope's sender is of "
        "a domain of ours, so that nobody's settings protect it; reports and automatic replies of the null "
        "sender always pass"),
    [SETTING_SMTP_MAX_SIZE] = RANGE("smtp.max_size", SETTING_BYTES, "50M", 1024, (uint64_t)1 << 30, G,
                                    SETTING_OF_NODE, "largest message, in bytes"),
    [SETTING_SMTP_MAX_RECIPIENTS] =
        RANGE("smtp.max_recipients", SETTING_INTEGER, "1000", 1, 10000, G, SETTING_OF_NODE,
              "most recipients of one message; at least 100 are expected (RFC 5321)"),
    [SETTING_SMTP_MAX_SESSIONS] = RANGE("smtp.max_sessions", SETTING_INTEGER, "1000", 1, 100000, G,
                                        SETTING_OF_NODE, "most SMTP sessions at a time on a node"),
    [SETTING_SMTP_MAX_SESSIONS_PER_CLIENT] =
        RANGE("smtp.max_sessions_per_client", SETTING_INTEGER, "200", 1, 100000, G, SETTING_OF_NODE,
              "most SMTP sessions at a time from one address"),
    [SETTING_SMTP_MAX_MESSAGES_PER_SESSION] =
        RANGE("smtp.max_messages_per_session", SETTING_INTEGER, "1000", 1, 1000000, G, SETTING_OF_NODE,
              "after so many messages a session is ended with 421"),
    [SETTING_SMTP_MAX_ERRORS] = RANGE("smtp.max_errors", SETTING_INTEGER, "20", 1, 10000, G, SETTING_OF_NODE,
                                      "after so many refused commands a session is ended with 421"),
    [SETTING_SMTP_MAX_LINE_LENGTH] = RANGE(
        "smtp.max_line_length", SETTING_BYTES, "8192", 998, 1 << 20, G, SETTING_OF_NODE,
        "longest line of a message, in bytes without its end; RFC 5321 allows 998, real mail has longer "
        "ones"),
    [SETTING_SMTP_MAX_COMMAND_LENGTH] = RANGE("smtp.max_command_length", SETTING_BYTES, "2048", 512, 65536, G,
                                              SETTING_OF_NODE, "longest command line, in bytes"),
    [SETTING_SMTP_MAX_HEADER] = RANGE("smtp.max_header", SETTING_BYTES, "256K", 4096, 1 << 20, G,
                                      SETTING_OF_NODE, "largest header section of a message, in bytes"),
    [SETTING_SMTP_MAX_MEMORY] = RANGE(
        "smtp.max_memory", SETTING_BYTES, "1G", 1 << 20, (uint64_t)64 << 30, G, SETTING_OF_NODE,
        "most memory for messages that are coming in on a node; above it new ones are deferred with 452"),
    [SETTING_SMTP_COMMAND_TIMEOUT] =
        RANGE("smtp.command_timeout", SETTING_DURATION, "5m", SECONDS(1), HOURS(1), G, SETTING_OF_NODE,
              "how long a session waits for the next command"),
    [SETTING_SMTP_DATA_TIMEOUT] = RANGE("smtp.data_timeout", SETTING_DURATION, "10m", SECONDS(1), HOURS(2), G,
                                        SETTING_OF_NODE, "how long a session waits for more of a message"),
    [SETTING_SMTP_TLS] = CHOICE("smtp.tls", "offered", "off|offered|required", G, SETTING_OF_NODE,
                                "STARTTLS for those who send to us"),

    [SETTING_DELIVERY_NEXT_HOP] =
        RANGE("delivery.next_hop", SETTING_HOSTS, "", 0, 0, GD, SETTING_OF_RECIPIENT,
              "where mail for the recipient's domain goes: HOST:PORT, several are tried in order"),
    [SETTING_DELIVERY_TLS] = CHOICE(
        "delivery.tls", "opportunistic", "none|opportunistic|required|verified", GD, SETTING_OF_RECIPIENT,
        "TLS to the next hop: required needs it, verified needs a certificate for its name too"),
    [SETTING_DELIVERY_MAX_CONNECTIONS] =
        RANGE("delivery.max_connections", SETTING_INTEGER, "20", 1, 1000, GD, SETTING_OF_RECIPIENT,
              "most connections at a time to one next hop"),
    [SETTING_DELIVERY_MAX_MESSAGES_PER_CONNECTION] =
        RANGE("delivery.max_messages_per_connection", SETTING_INTEGER, "100", 1, 100000, GD,
              SETTING_OF_RECIPIENT, "messages before a connection is closed"),
    [SETTING_DELIVERY_CONNECT_TIMEOUT] =
        RANGE("delivery.connect_timeout", SETTING_DURATION, "30s", 100, MINUTES(10), GD, SETTING_OF_RECIPIENT,
              "how long to wait for a connection"),
    [SETTING_DELIVERY_TIMEOUT] =
        RANGE("delivery.timeout", SETTING_DURATION, "5m", SECONDS(1), HOURS(1), GD, SETTING_OF_RECIPIENT,
              "how long to wait for an answer of the next hop"),
    [SETTING_DELIVERY_IDLE_TIMEOUT] =
        RANGE("delivery.idle_timeout", SETTING_DURATION, "5s", 0, MINUTES(5), GD, SETTING_OF_RECIPIENT,
              "how long an unused connection stays open"),
    [SETTING_DELIVERY_RETRY] =
        RANGE("delivery.retry", SETTING_DURATIONS, "1m,5m,15m,30m,1h,2h", 100, DAYS(1), GD,
              SETTING_OF_RECIPIENT, "pauses between attempts; the last one repeats"),
    [SETTING_DELIVERY_EXPIRE] = RANGE("delivery.expire", SETTING_DURATION, "5d", SECONDS(1), DAYS(30), GD,
                                      SETTING_OF_RECIPIENT, "when delivery is given up and the sender told"),

    [SETTING_LOG_SUBJECTS] = FLAG("log.subjects", "no", G, SETTING_OF_NODE,
                                  "whether the message log keeps the subjects of messages"),
    [SETTING_TRACE_RETENTION] =
        RANGE("trace.retention", SETTING_DURATION, "30d", SECONDS(1), DAYS(3650), G, SETTING_OF_NODE,
              "how long the message log keeps what became of a message"),
    [SETTING_TRACE_MAX_SIZE] =
        RANGE("trace.max_size", SETTING_BYTES, "1G", 1 << 20, (uint64_t)32 << 30, G, SETTING_OF_NODE,
              "most that the message log takes of a node's disk; the oldest messages go first"),
    [SETTING_CA_DEFAULT] = RANGE("ca.default", SETTING_TEXT, "", 0, 63, GD, SETTING_OF_SENDER,
                                 "the CA of this cluster that issues when no other is named"),
    [SETTING_CA_AUTO_REQUEST] =
        FLAG("ca.auto_request", "no", GDU, SETTING_OF_SENDER,
             "an internal sender who is to be signed for and has no usable key gets one from ca.default"),
    [SETTING_CA_AUTO_REQUEST_LIMIT] =
        RANGE("ca.auto_request_limit", SETTING_INTEGER, "100", 1, 100000, GD, SETTING_OF_SENDER,
              "senders of a domain who get a certificate by ca.auto_request within an hour; of all domains "
              "together "
              "ten times the global value"),
    [SETTING_CA_PROFILE] = CHOICE("ca.profile", "single", "single|dual", GD, SETTING_OF_SENDER,
                                  "single: one certificate for signing and encrypting; dual: one for each"),
    [SETTING_CA_KEY_TYPE] =
        CHOICE("ca.key_type", "rsa3072", "rsa3072|p256", G, SETTING_OF_NODE, "keys of users' certificates"),
    [SETTING_CA_VALIDITY] = RANGE("ca.validity", SETTING_INTEGER, "365", 1, 1185, GD, SETTING_OF_SENDER,
                                  "days that a user's certificate is valid"),
    [SETTING_CA_RENEW_BEFORE] =
        RANGE("ca.renew_before", SETTING_INTEGER, "30", 1, 365, GD, SETTING_OF_SENDER,
              "days before its end that a certificate of a CA of this cluster is issued anew"),
    [SETTING_CA_CRL_URL] = RANGE(
        "ca.crl_url", SETTING_TEXT, "", 0, 1000, G, SETTING_OF_NODE,
        "where the world finds our revocation lists, for new certificates; {ca} stands for the CA's name"),
    [SETTING_CA_CRL_VALIDITY] =
        RANGE("ca.crl_validity", SETTING_DURATION, "7d", SECONDS(2), DAYS(365), G, SETTING_OF_NODE,
              "how long a revocation list holds; a new one comes after half of that"),

    [SETTING_CLUSTER_STALE_AFTER] = RANGE(
        "cluster.stale_after", SETTING_DURATION, "10s", SECONDS(2), HOURS(1), G, SETTING_OF_NODE,
        "after so long without word from a leader a node no longer knows whether keys or policy changed"),
    [SETTING_CLUSTER_WHEN_STALE] = CHOICE(
        "cluster.when_stale", "defer", "serve|defer", G, SETTING_OF_NODE,
        "what such a node does with new mail: defer it with 451 (in clusters of three and more), or serve "
        "on"),

    [SETTING_SMIME_AIA] = FLAG(
        "smime.aia", "yes", G,
        SETTING_OF_NODE,
        "when the path from a signer to a trust anchor lacks a certificate: fetch it from where the signer's "
        "certificate says (Authority Information Access)"),
    [SETTING_CERT_LOOKUP] = RANGE(
        "cert.lookup", SETTING_LOOKUPS, "", 0, 0, GD, SETTING_OF_RECIPIENT,
        "directories that are asked when no usable certificate of a recipient is stored: "
        "ldap://HOST[:PORT]/BASE?ATTRIBUTE?SCOPE?FILTER, where %s in the filter stands for the address; "
        "several are separated by spaces and asked in order"),
    [SETTING_CERT_LOOKUP_ON_FAILURE] = CHOICE(
        "cert.lookup_on_failure", "defer", "pass|defer", GD, SETTING_OF_RECIPIENT,
        "when a directory of cert.lookup cannot be asked and no certificate can be used: defer the message "
        "with 451, so that the sender's server tries again, or pass it on as if the directory knew none "
        "(opportunistic mail then goes without encryption). defer costs delay while the directory is down"),
    [SETTING_CRL_REFRESH] =
        RANGE("crl.refresh", SETTING_DURATION, "12h", MINUTES(1), DAYS(7), G, SETTING_OF_NODE,
              "how often revocation lists are fetched that stored certificates name; sooner when a list ends "
              "sooner"),
    [SETTING_OCSP_ENABLED] = FLAG(
        "ocsp.enabled", "no", G, SETTING_OF_NODE,
        "ask OCSP responders about the stored certificates that name one, ahead of time, on one node for "
        "all. "
        "It costs a request and a change of the cluster's state for each such certificate (at most 2000) "
        "whenever its answer ends, and tells responders which partners there are"),
    [SETTING_FETCH_ALLOW_NETWORKS] = RANGE(
        "fetch.allow_networks", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
        "private networks in which lists, certificates and directories may be fetched; all other private, "
        "loopback and link-local addresses are refused"),
};

_Static_assert(sizeof(settings) / sizeof(settings[0]) == SETTING_COUNT, "each id has its row");

const struct setting *setting_at(size_t i)
{
    return i < SETTING_COUNT ? &settings[i] : NULL;
}

static const struct setting *by_name[SETTING_COUNT]; /* sorted, once a process */
static pthread_once_t by_name_once = PTHREAD_ONCE_INIT;

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(const struct setting *const *)a)->name, (*(const struct setting *const *)b)->name);
}

static void sort_by_name(void)
{
    for (size_t i = 0; i < SETTING_COUNT; i++)
        by_name[i] = &settings[i];
    qsort(by_name, SETTING_COUNT, sizeof(by_name[0]), compare_names);
}

static int compare_to_name(const void *name, const void *row)
{
    return slice_compare(*(const struct slice *)name,
                         slice_of_text((*(const struct setting *const *)row)->name));
}

const struct setting *setting_find(struct slice name)
{
    const struct setting *const *found;

    (void)pthread_once(&by_name_once, sort_by_name);
    found = bsearch(&name, by_name, SETTING_COUNT, sizeof(by_name[0]), compare_to_name);
    return found == NULL ? NULL : *found;
}
