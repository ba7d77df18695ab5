/*
 * The one table of settings. A row is all that it takes to add one: validation, inheritance, the CLI's help,
 * the REST API and docs come from it. Settings of capabilities that are still to come get their row with
 * them: a setting that nothing reads would lie. A new row gets its id in store/setting.h.
 *
 * It is long because it is one table: nothing else is in this file.
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

/* The release that brought it (a command set), the permission to write it, what it costs. */
#define ABOUT(v, p, c) .since = (v), .permission = (p), .cost = (c)
#define POLICY         "setting.write.policy"
#define FORMAT         "setting.write.format"
#define TRUST          "setting.write.trust"
#define TRANSPORT      "setting.write.transport"
#define OPERATION      "setting.write.operation"

#define CHOICE(n, d, c, l, s, h, about)                                                                      \
    {                                                                                                        \
        .name = (n), .type = SETTING_CHOICE, .default_text = (d), .choices = (c), .levels = (l),             \
        .side = (s), .help = (h), about                                                                      \
    }
#define FLAG(n, d, l, s, h, about)                                                                           \
    {                                                                                                        \
        .name = (n), .type = SETTING_BOOL, .default_text = (d), .choices = "no|yes", .levels = (l),          \
        .side = (s), .help = (h), about                                                                      \
    }
#define RANGE(n, t, d, lo, hi, l, s, h, about)                                                               \
    {                                                                                                        \
        .name = (n), .type = (t), .default_text = (d), .min = (lo), .max = (hi), .levels = (l), .side = (s), \
        .help = (h), about                                                                                   \
    }

static const struct setting settings[] = {
    [SETTING_DOMAIN_LOCALITY] = CHOICE(
        "domain.locality", "external", "external|internal", D, SETTING_OF_RECIPIENT,
        "internal: our own domain, whose incoming mail is decrypted and verified; external: a partner's",
        ABOUT(1, POLICY,
              "internal: CPU for decrypting and verifying each message to the domain; its mail is no longer "
              "encrypted as to a partner")),

    [SETTING_ENCRYPT_MODE] =
        CHOICE("encrypt.mode", "opportunistic", "none|request|opportunistic|mandatory", GDU, SETTING_OF_BOTH,
               "none: only when the sender asks for it or a rule does; opportunistic: when the recipient can "
               "read it; request: only when the sender asks; mandatory: always, or the message is refused. "
               "Of the sender's and the recipient's value the stricter counts",
               ABOUT(1, POLICY,
                     "mandatory: mail to those without a usable certificate is refused; each encrypted copy "
                     "costs one key operation a recipient")),
    [SETTING_ENCRYPT_METHODS] =
        {.name = "encrypt.methods",
         .type = SETTING_CHOICES,
         .default_text = "smime,smime-domain",
         .choices = "smime|smime-domain",
         .levels = GDU,
         .side = SETTING_OF_RECIPIENT,
         ABOUT(2, POLICY,
               "each further method is one more search for certificates when the one before does not fit; "
               "smime-domain is not end to end"),
         .help = "ways to encrypt for this recipient, the first that fits is taken: smime: a certificate of "
                 "the recipient; smime-domain: one of the whole domain"},
    [SETTING_ENCRYPT_ON_FAILURE] = CHOICE(
        "encrypt.on_failure", "refuse", "refuse|defer|quarantine", GD, SETTING_OF_SENDER,
        "what becomes of mail that must be encrypted and cannot be: refused with 550; deferred with 451, so "
        "that the sender's server tries again for days; or accepted and put aside as it came, for all its "
        "recipients, and decided anew when an administrator releases it",
        ABOUT(2, POLICY,
              "defer: the message stays in the sender's queue, who hears of the failure only after days; "
              "quarantine: disk, and somebody's time to import a certificate and release it")),
    [SETTING_ENCRYPT_NOTIFY_SENDER] =
        CHOICE("encrypt.notify_sender", "failure", "never|failure|always", GDU, SETTING_OF_SENDER,
               "whether our own senders are sent a notice about mail to the outside: failure: when it is put "
               "aside because it could not be encrypted; always: also how each copy was protected. What is "
               "refused is told in the session, or by the notification of partial.recipients",
               ABOUT(2, POLICY, "always: a message more for each that leaves")),
    [SETTING_PARTIAL_RECIPIENTS] = CHOICE(
        "partial.recipients", "refuse-all", "refuse-all|split", GD, SETTING_OF_SENDER,
        "when some recipients cannot be served: refuse the message for all, or deliver to the others and "
        "send the sender a bounce for those",
        ABOUT(2, POLICY,
              "split: a bounce a message with failures; some recipients have mail that others do not have")),
    [SETTING_ENCRYPT_INTERNAL] =
        FLAG("encrypt.internal", "no", GDU, SETTING_OF_RECIPIENT,
             "whether mail between our own domains that comes from encrypt.internal_from is signed and "
             "encrypted like mail that leaves; no: it is decrypted and verified like mail that comes in",
             ABOUT(2, POLICY,
                   "yes: a signature and a key operation for each message among our own, and the recipient's "
                   "program has to decrypt it")),
    [SETTING_ENCRYPT_INTERNAL_FROM] =
        RANGE("encrypt.internal_from", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
              "our own mail servers, from which mail of our own domains' senders is theirs in truth: only "
              "that is signed for encrypt.internal. Never a server that takes mail from the internet",
              ABOUT(2, POLICY,
                    "each host of these networks is signed for as any internal sender: a wrong one lends "
                    "strangers our signatures")),
    [SETTING_ENCRYPT_REPLIES] = FLAG(
        "encrypt.replies", "no", GDU, SETTING_OF_SENDER,
        "whether replies of this sender to mail that was decrypted here must be encrypted, to all whom "
        "they go to: such mail is delivered with a mark in References, which the reply brings back",
        ABOUT(2, POLICY,
              "yes: replies to those without a usable certificate are refused; copies for several domains "
              "of ours are no longer shared; taking the mark out breaks a DKIM signature over References")),
    [SETTING_ENCRYPT_CALENDAR] =
        CHOICE("encrypt.calendar", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "calendar invitations: encrypted like other mail, or left plain where encrypt.mode is "
               "opportunistic; mandatory is mandatory",
               ABOUT(2, POLICY,
                     "protect: many calendars do not show an encrypted invitation as one; "
                     "plain-if-opportunistic: it can be read on the way")),
    [SETTING_ENCRYPT_REPORTS] =
        CHOICE("encrypt.reports", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "delivery reports and read receipts: encrypted like other mail, or left plain where "
               "encrypt.mode is opportunistic; mandatory is mandatory",
               ABOUT(2, POLICY,
                     "protect: programs cannot match an encrypted report to the mail it is about; "
                     "plain-if-opportunistic: it can be read on the way")),
    [SETTING_ENCRYPT_AUTO_REPLIES] =
        CHOICE("encrypt.auto_replies", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "automatic replies: encrypted like other mail, or left plain where encrypt.mode is "
               "opportunistic; mandatory is mandatory",
               ABOUT(2, POLICY,
                     "protect: a key operation for each; plain-if-opportunistic: what the reply quotes can "
                     "be read on the way")),
    [SETTING_ENCRYPT_EMPTY] =
        CHOICE("encrypt.empty", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "messages without content: encrypted like other mail, or left plain where encrypt.mode is "
               "opportunistic; mandatory is mandatory",
               ABOUT(2, POLICY,
                     "protect: a key operation for mail that says nothing but its subject; "
                     "plain-if-opportunistic: that it was sent, and its subject, can be read")),
    [SETTING_ENCRYPT_TNEF] =
        CHOICE("encrypt.tnef", "protect", "plain-if-opportunistic|protect", GD, SETTING_OF_RECIPIENT,
               "messages with a winmail.dat (TNEF), which few programs can read: encrypted like other mail, "
               "or left plain where encrypt.mode is opportunistic; mandatory is mandatory",
               ABOUT(2, POLICY,
                     "protect: who cannot read winmail.dat sees that only after decrypting; "
                     "plain-if-opportunistic: it can be read on the way")),
    [SETTING_MIME_MALFORMED] =
        CHOICE("mime.malformed", "pass", "pass|quarantine|refuse", GD, SETTING_OF_SENDER,
               "what becomes of mail whose structure programs may read differently: passed on (encrypted as "
               "a whole where it must be), put aside, or refused",
               ABOUT(2, POLICY,
                     "quarantine, refuse: mail of old or careless programs no longer gets through; "
                     "quarantine: disk, and somebody's time to release it")),
    [SETTING_TRIGGER_SUBJECT_ENCRYPT] =
        RANGE("trigger.subject.encrypt", SETTING_TEXTS, "[encrypt]", 1, 256, GDU, SETTING_OF_SENDER,
              "words in the subject, or /expressions/, with which the sender asks for encryption: then it is "
              "encrypted or refused",
              ABOUT(2, POLICY,
                    "each word is searched for in every subject; an expression takes more CPU, and one that "
                    "hits its limits refuses the message")),
    [SETTING_TRIGGER_SUBJECT_SIGN] =
        RANGE("trigger.subject.sign", SETTING_TEXTS, "", 1, 256, GDU, SETTING_OF_SENDER,
              "words in the subject, or /expressions/, with which the sender asks for a signature",
              ABOUT(2, POLICY,
                    "each word is searched for in every subject; an expression takes more CPU, and one that "
                    "hits its limits refuses the message")),
    [SETTING_TRIGGER_SUBJECT_PLAIN] = RANGE(
        "trigger.subject.plain", SETTING_TEXTS, "", 1, 256, GDU, SETTING_OF_SENDER,
        "words in the subject, or /expressions/, with which the sender asks for no encryption; set it only "
        "for those who may. It never loosens what is mandatory",
        ABOUT(2, POLICY,
              "whoever may write the word can send mail in the clear where encryption is not mandatory")),
    [SETTING_TRIGGER_SUBJECT_REMOVE] =
        FLAG("trigger.subject.remove", "yes", GD, SETTING_OF_SENDER,
             "whether the words are taken out of the subject before the message leaves",
             ABOUT(2, POLICY,
                   "yes: the subject differs from what the sender wrote, which breaks a signature that "
                   "covers it (DKIM)")),
    [SETTING_TRIGGER_HEADER_ENCRYPT] = RANGE(
        "trigger.header.encrypt", SETTING_TEXTS, "Sensitivity: company-confidential", 1, 256, GDU,
        SETTING_OF_SENDER,
        "fields with which the sender's program asks for encryption: NAME, NAME: TEXT or NAME: /EXPRESSION/",
        ABOUT(2, POLICY,
              "each field is compared with the header of every message; an expression takes more CPU, and "
              "one that hits its limits refuses the message")),
    [SETTING_TRIGGER_HEADER_SIGN] = RANGE(
        "trigger.header.sign", SETTING_TEXTS, "", 1, 256, GDU, SETTING_OF_SENDER,
        "fields with which the sender's program asks for a signature: NAME, NAME: TEXT or NAME: /EXPRESSION/",
        ABOUT(2, POLICY,
              "each field is compared with the header of every message; an expression takes more CPU, and "
              "one that hits its limits refuses the message")),
    [SETTING_TRIGGER_LABEL_ENCRYPT] =
        RANGE("trigger.label.encrypt", SETTING_TEXTS, "", 1, 256, GD, SETTING_OF_SENDER,
              "sensitivity labels (their names or ids in msip_labels, as Microsoft 365 writes them) that ask "
              "for encryption",
              ABOUT(2, POLICY,
                    "each label is compared with msip_labels of every message; a label that is renamed no "
                    "longer asks, its id still does")),
    [SETTING_TRIGGER_LABEL_SIGN] = RANGE("trigger.label.sign", SETTING_TEXTS, "", 1, 256, GD,
                                         SETTING_OF_SENDER, "sensitivity labels that ask for a signature",
                                         ABOUT(2, POLICY,
                                               "each label is compared with msip_labels of every message; a "
                                               "label that is renamed no longer asks, its id still does")),
    [SETTING_TRIGGER_GROUP_ENCRYPT] = RANGE(
        "trigger.group.encrypt", SETTING_TEXTS, "", 1, 128, GDU, SETTING_OF_SENDER,
        "groups of recipients for whom mail of this sender is encrypted or refused; a group that is not "
        "there refuses all of it",
        ABOUT(2, POLICY,
              "mail to those of the groups without a usable certificate is refused; the recipient's groups "
              "are looked up")),
    [SETTING_TRIGGER_GROUP_SIGN] =
        RANGE("trigger.group.sign", SETTING_TEXTS, "", 1, 128, GDU, SETTING_OF_SENDER,
              "groups of recipients for whom mail of this sender is signed or refused; a group that is not "
              "there refuses all of it",
              ABOUT(2, POLICY,
                    "senders without a key cannot write to those of the groups; the recipient's groups are "
                    "looked up")),

    [SETTING_SIGN_MODE] = CHOICE("sign.mode", "with-encryption", "none|request|with-encryption|always", GDU,
                                 SETTING_OF_SENDER, "when mail of this sender is signed",
                                 ABOUT(1, POLICY,
                                       "a private-key operation a message; always: signed mail cannot be "
                                       "altered by mailing lists and footers without breaking")),
    [SETTING_SIGN_ON_MISSING_KEY] =
        CHOICE("sign.on_missing_key", "unsigned", "unsigned|domain-key|refuse", GD, SETTING_OF_SENDER,
               "what becomes of mail that is to be signed when the sender has no usable key; domain-key: it "
               "is signed with the certificate that is bound to the sender's domain, and goes as with "
               "unsigned when there is none",
               ABOUT(1, POLICY,
                     "domain-key: recipients see the domain's name instead of the sender's, and some "
                     "programs warn of it; refuse: senders without a key cannot send")),
    [SETTING_SIGN_ALREADY] = CHOICE(
        "sign.already", "keep", "keep|replace", GD, SETTING_OF_SENDER,
        "what becomes of a signature that mail of this sender already bears",
        ABOUT(1, POLICY,
              "replace: the sender's own signature, which recipients may want to keep as proof, is lost")),
    [SETTING_ENCRYPT_ALREADY] = CHOICE(
        "encrypt.already", "pass", "pass|wrap|refuse", GD, SETTING_OF_SENDER,
        "what becomes of mail that is encrypted already: pass it on, encrypt it once more, or refuse it",
        ABOUT(1, POLICY,
              "pass: content that cannot be looked into goes out under the sender's choice of algorithms; "
              "wrap: the recipient has to decrypt twice; refuse: such senders cannot send")),
    [SETTING_SIGN_CALENDAR] =
        FLAG("sign.calendar", "no", GD, SETTING_OF_SENDER,
             "whether calendar invitations are signed: some programs then show a file and no invitation",
             ABOUT(2, POLICY,
                   "yes: some programs show a signed invitation as a file that cannot be accepted")),
    [SETTING_SMIME_ENABLED] = FLAG(
        "smime.enabled", "yes", GDU, SETTING_OF_RECIPIENT, "whether S/MIME may be used for this recipient",
        ABOUT(1, POLICY,
              "no: mail that must be encrypted to this recipient is refused unless another method fits")),
    [SETTING_SMIME_CIPHER] = CHOICE("smime.cipher", "auto",
                                    "auto|aes256-gcm|aes192-gcm|aes128-gcm|aes256-cbc|aes192-cbc|aes128-cbc",
                                    GDU, SETTING_OF_RECIPIENT,
                                    "auto: the best that all recipients of a copy are known to read (AES-GCM "
                                    "when they announce it); AES-256-CBC for those of whom nothing is known",
                                    ABOUT(1, FORMAT,
                                          "the GCM ciphers: old mail programs, Outlook's among them, cannot "
                                          "read them; CBC: changes on the way can go unseen")),
    [SETTING_SMIME_OPAQUE] = FLAG("smime.opaque", "no", GDU, SETTING_OF_RECIPIENT,
                                  "sign opaquely: programs that know no S/MIME cannot read such mail, but "
                                  "nothing on the way breaks the signature",
                                  ABOUT(1, FORMAT,
                                        "yes: webmail and programs without S/MIME show an attachment instead "
                                        "of the text; a third more bytes")),
    [SETTING_SMIME_KEY_TRANSPORT] =
        CHOICE("smime.key_transport", "auto", "auto|pkcs1|oaep", GDU, SETTING_OF_RECIPIENT,
               "how the content key goes to an RSA key: pkcs1 (PKCS #1 v1.5) or oaep (SHA-256); auto: oaep "
               "when the recipient announces it, else pkcs1",
               ABOUT(2, FORMAT,
                     "oaep: old programs and some smart cards cannot open it; pkcs1: open to attacks on "
                     "programs that tell padding errors apart")),
    [SETTING_SMIME_COMPRESS] =
        FLAG("smime.compress", "no", GDU, SETTING_OF_RECIPIENT,
             "compress before encrypting (zlib): not all mail programs can read it",
             ABOUT(2, FORMAT,
                   "yes: CPU for each message, fewer bytes on the line; many mail programs cannot read it")),
    [SETTING_SMIME_DIGEST] = CHOICE(
        "smime.digest", "sha256", "sha256|sha384|sha512", GDU, SETTING_OF_SENDER,
        "digest of signatures for this sender; an Ed25519 key has sha512 always",
        ABOUT(
            2, FORMAT,
            "sha384, sha512: a little less or more CPU by processor; very old programs cannot verify them")),
    [SETTING_SMIME_PSS] = FLAG("smime.pss", "no", GDU, SETTING_OF_SENDER,
                               "sign with RSA-PSS instead of PKCS #1 v1.5 when the key is an RSA key: not "
                               "all mail programs can verify it",
                               ABOUT(2, FORMAT, "yes: old programs show the signature as invalid")),
    [SETTING_SMIME_REVOCATION] =
        CHOICE("smime.revocation", "soft", "off|soft|hard", G, SETTING_OF_NODE,
               "what becomes of a certificate of which no list or answer in force tells whether it was "
               "revoked: soft uses it, hard does not; off also looks for no lists. One that is known to be "
               "revoked is never used",
               ABOUT(2, TRUST,
                     "hard: mail stops going to partners whose CA's lists cannot be fetched; off: a "
                     "certificate that was revoked meanwhile is still used")),

    [SETTING_PROTECT_HEADERS] = CHOICE(
        "protect.headers", "sign", "none|sign|hide-subject", GDU, SETTING_OF_RECIPIENT,
        "header protection (RFC 9788). sign: the header fields that people see are signed and encrypted with "
        "the message; hide-subject: and outside of an encrypted message the subject is [...]",
        ABOUT(2, FORMAT,
              "some hundred bytes a message; hide-subject: programs without header protection show [...] and "
              "cannot search or sort by subject")),
    [SETTING_PROTECT_LEGACY_DISPLAY] = FLAG(
        "protect.legacy_display", "yes", GDU, SETTING_OF_RECIPIENT,
        "put a hidden subject at the start of the text as well, for programs that know no header protection",
        ABOUT(2, FORMAT, "yes: programs that know header protection badly show the subject twice")),
    [SETTING_DECRYPT_ON_FAILURE] = CHOICE(
        "decrypt.on_failure", "deliver", "deliver|quarantine|refuse", GD, SETTING_OF_RECIPIENT,
        "what becomes of incoming S/MIME mail that none of the recipient's keys opens: delivered as it came "
        "and marked, put aside, or refused with 550, which tells the sender that it could not be decrypted",
        ABOUT(2, POLICY,
              "refuse: a lost or late key turns into bounces at partners; quarantine: disk, and somebody's "
              "time to release it")),
    [SETTING_DECRYPT_UNAUTHENTICATED] =
        CHOICE("decrypt.unauthenticated", "mark", "deliver|mark|refuse", GDU, SETTING_OF_RECIPIENT,
               "decrypted mail whose cipher text could have been changed unseen (AES-CBC without a signature "
               "within): delivered, delivered with the mark authenticated=no, or refused with 550",
               ABOUT(2, POLICY,
                     "refuse: most encrypted mail of today without a signature (AES-CBC) no longer gets in")),
    [SETTING_VERIFY_ON_INVALID] =
        CHOICE("verify.on_invalid", "mark", "mark|quarantine|refuse", GD, SETTING_OF_RECIPIENT,
               "what becomes of incoming mail whose signature is invalid, revoked or another's: delivered "
               "and marked, put aside, or refused with 550",
               ABOUT(2, POLICY,
                     "quarantine, refuse: mail whose signature a list or a footer broke on the way no longer "
                     "gets in")),
    [SETTING_SMIME_REMOVE_SIGNATURE] =
        CHOICE("smime.remove_signature", "never", "never|valid|always", GDU, SETTING_OF_RECIPIENT,
               "whether signatures of incoming mail are taken away after they were verified: for programs "
               "that cannot show signed mail",
               ABOUT(2, FORMAT,
                     "valid, always: the recipient can no longer verify or prove who signed; only the "
                     "gateway's fields tell")),
    [SETTING_INCOMING_SUBJECT_TAGS] =
        FLAG("incoming.subject_tags", "no", GDU, SETTING_OF_RECIPIENT,
             "put [decrypted], [signed by ADDRESS] or [invalid signature] in front of the subject of "
             "incoming mail; what a sender writes of that kind is removed",
             ABOUT(2, FORMAT,
                   "yes: the subject changes, which breaks DKIM for who verifies behind the gateway; threads "
                   "may split")),
    [SETTING_INCOMING_BANNER] = FLAG("incoming.banner", "no", GDU, SETTING_OF_RECIPIENT,
                                     "put a line that says how a message was protected in front of its text, "
                                     "where that breaks no signature",
                                     ABOUT(2, FORMAT,
                                           "yes: the text changes, which breaks DKIM for who verifies behind "
                                           "the gateway; quoted banners pile up in replies")),
    [SETTING_CERT_SELECT] =
        CHOICE("cert.select", "all", "all|newest", GDU, SETTING_OF_RECIPIENT,
               "which of several usable certificates of a recipient mail is encrypted to: to all, or to the "
               "one that became valid last",
               ABOUT(2, POLICY,
                     "all: one key operation and some hundred bytes for each certificate; newest: a device "
                     "with an older key cannot read the mail")),
    [SETTING_ENCRYPT_MIN_TRUST] =
        CHOICE("encrypt.min_trust", "harvested", "harvested|discovered|manual", GDU, SETTING_OF_RECIPIENT,
               "how a recipient's certificate must have come for mail to be encrypted to it: harvested: also "
               "from signed mail; discovered: from a directory at least; manual: imported, issued here, or "
               "bound by hand",
               ABOUT(2, TRUST,
                     "discovered, manual: mail to those of whom less is known leaves as if they had no "
                     "certificate, or is refused")),
    [SETTING_ENCRYPT_ALSO_TO] =
        RANGE("encrypt.also_to", SETTING_THUMBPRINTS, "", 0, 0, GDU, SETTING_OF_BOTH,
              "thumbprints of stored certificates that every encrypted message of this sender or to this "
              "recipient is encrypted to as well (escrow); one that cannot be used refuses the message",
              ABOUT(2, TRUST,
                    "who holds that key can read all this mail; one key operation and some hundred bytes a "
                    "message for each")),
    [SETTING_HARVEST_SMIME] =
        CHOICE("harvest.smime", "trusted", "off|trusted|all", GD, SETTING_OF_RECIPIENT,
               "which certificates of partners are learned from mail that they signed: none; those with a "
               "path to a trust anchor; also others, which stay in quarantine until they are confirmed",
               ABOUT(2, TRUST,
                     "a write to all nodes for each new certificate, some kilobytes of disk; all: anybody "
                     "who sends mail adds to the quarantine")),
    [SETTING_HARVEST_CONFIRM] =
        FLAG("harvest.confirm", "no", GD, SETTING_OF_RECIPIENT,
             "whether every learned certificate waits in quarantine until an administrator confirms it",
             ABOUT(2, TRUST,
                   "yes: somebody's time for each new partner, whose mail is not encrypted until then")),
    [SETTING_KEY_ON_CHANGE] =
        CHOICE("key.on_change", "review", "review|replace|keep", GD, SETTING_OF_RECIPIENT,
               "what becomes of a learned certificate whose address has another valid one with another key: "
               "it waits in quarantine; it is used in place of the others; or it is passed over",
               ABOUT(2, TRUST,
                     "replace: whoever gets a certificate for the address from a trusted CA gets its mail; "
                     "review: somebody's time for each change; keep: mail the partner can no longer read")),
    [SETTING_CERT_EXPIRY_WARN] =
        RANGE("cert.expiry_warn", SETTING_DURATIONS, "30d,7d", HOURS(1), DAYS(400), GD, SETTING_OF_RECIPIENT,
              "how long before a stored certificate expires a warning is logged and notify.to is told; for "
              "the domain of its address",
              ABOUT(2, TRUST, "lines of the log for each certificate that is near its end, and of a mail")),
    [SETTING_NOTIFY_TO] =
        RANGE("notify.to", SETTING_ADDRESSES, "", 0, 8, GD, SETTING_OF_RECIPIENT,
              "who is told by mail, at most once a day each, of certificates that expire soon (for the "
              "domain of their address), renewals that failed and revocation lists that get too old; "
              "empty: nobody",
              ABOUT(2, OPERATION,
                    "a mail a day at most to each; it names addresses, subjects and ends of certificates")),
    [SETTING_NOTIFY_FROM] =
        RANGE("notify.from", SETTING_ADDRESSES, "", 0, 1, GD, SETTING_OF_RECIPIENT,
              "From of such mail, for the domain of who gets it; empty: sealpost@ the name of the node",
              ABOUT(2, OPERATION, "replies go there; an address of ours is signed for as any sender's")),
    [SETTING_NOTIFY_USERS] =
        FLAG("notify.users", "no", GDU, SETTING_OF_RECIPIENT,
             "whether users of our own domains are told by mail, too, of their certificates whose keys are "
             "here",
             ABOUT(2, OPERATION, "mail to people who can do nothing but ask the administrator")),
    [SETTING_NOTIFY_GATHER] =
        RANGE("notify.gather", SETTING_DURATION, "10m", 0, DAYS(1), G, SETTING_OF_NODE,
              "how long what is to be told is gathered before the first mail, so that a mail of the day "
              "holds what came together",
              ABOUT(2, OPERATION, "short: what comes a little later waits for the next day")),

    [SETTING_RELAY_NETWORKS] =
        RANGE("relay.networks", SETTING_NETWORKS, "127.0.0.0/8", 0, 0, G, SETTING_OF_NODE,
              "networks whose hosts may send mail through this gateway; all others are refused",
              ABOUT(1, TRANSPORT,
                    "each host of these networks can send as any internal sender: the wider, the more open "
                    "to abuse")),
    [SETTING_RELAY_UNKNOWN_SENDER] =
        CHOICE("relay.unknown_sender", "refuse", "pass|refuse", G, SETTING_OF_NODE,
               "what becomes of mail to the outside when neither its From address nor the envelope's sender "
               "is of a domain of ours, so that nobody's settings protect it; reports and automatic replies "
               "of the null sender always pass",
               ABOUT(2, POLICY,
                     "pass: mail that no setting protects leaves in the clear; refuse: programs that send "
                     "under foreign domains cannot")),
    [SETTING_SMTP_MAX_SIZE] = RANGE("smtp.max_size", SETTING_BYTES, "50M", 1024, (uint64_t)1 << 30, G,
                                    SETTING_OF_NODE, "largest message, in bytes",
                                    ABOUT(1, TRANSPORT,
                                          "memory for more than the size of each message while it is worked "
                                          "on, disk while it waits; partners often take no more than 25M")),
    [SETTING_SMTP_MAX_RECIPIENTS] =
        RANGE("smtp.max_recipients", SETTING_INTEGER, "1000", 1, 10000, G, SETTING_OF_NODE,
              "most recipients of one message; at least 100 are expected (RFC 5321)",
              ABOUT(1, TRANSPORT,
                    "time and memory for each recipient's decision before the message is answered; a greater "
                    "blast of one mistaken message")),
    [SETTING_SMTP_MAX_SESSIONS] =
        RANGE("smtp.max_sessions", SETTING_INTEGER, "12000", 1, 100000, G, SETTING_OF_NODE,
              "most SMTP sessions at a time on a node",
              ABOUT(1, TRANSPORT, "a descriptor and some tens of kilobytes of memory a session")),
    [SETTING_SMTP_MAX_SESSIONS_PER_CLIENT] = RANGE(
        "smtp.max_sessions_per_client", SETTING_INTEGER, "200", 1, 100000, G, SETTING_OF_NODE,
        "most SMTP sessions at a time from one address",
        ABOUT(1, TRANSPORT, "the higher, the more of smtp.max_sessions one host can take from the others")),
    [SETTING_SMTP_MAX_MESSAGES_PER_SESSION] =
        RANGE("smtp.max_messages_per_session", SETTING_INTEGER, "1000", 1, 1000000, G, SETTING_OF_NODE,
              "after so many messages a session is ended with 421",
              ABOUT(1, TRANSPORT,
                    "low: a new connection and TLS handshake more often; high: a balancer moves load to "
                    "other nodes later")),
    [SETTING_SMTP_MAX_ERRORS] =
        RANGE("smtp.max_errors", SETTING_INTEGER, "20", 1, 10000, G, SETTING_OF_NODE,
              "after so many refused commands a session is ended with 421",
              ABOUT(1, TRANSPORT,
                    "high: more guesses at recipients a session; low: a program that probes is cut off")),
    [SETTING_SMTP_MAX_LINE_LENGTH] = RANGE(
        "smtp.max_line_length", SETTING_BYTES, "8192", 998, 1 << 20, G, SETTING_OF_NODE,
        "longest line of a message, in bytes without its end; RFC 5321 allows 998, real mail has longer ones",
        ABOUT(1, TRANSPORT,
              "memory for the line a session; longer lines than 998 are refused or broken by other servers")),
    [SETTING_SMTP_MAX_COMMAND_LENGTH] =
        RANGE("smtp.max_command_length", SETTING_BYTES, "2048", 512, 65536, G, SETTING_OF_NODE,
              "longest command line, in bytes", ABOUT(1, TRANSPORT, "memory for the line a session")),
    [SETTING_SMTP_MAX_HEADER] = RANGE("smtp.max_header", SETTING_BYTES, "256K", 4096, 1 << 20, G,
                                      SETTING_OF_NODE, "largest header section of a message, in bytes",
                                      ABOUT(1, TRANSPORT, "memory and CPU for parsing each message")),
    [SETTING_SMTP_MAX_MEMORY] = RANGE(
        "smtp.max_memory", SETTING_BYTES, "1G", 1 << 20, (uint64_t)64 << 30, G, SETTING_OF_NODE,
        "most memory for messages that are coming in on a node; above it new ones are deferred with 452",
        ABOUT(1, TRANSPORT, "so much memory of the node; low: senders are deferred under load")),
    [SETTING_SMTP_COMMAND_TIMEOUT] =
        RANGE("smtp.command_timeout", SETTING_DURATION, "5m", SECONDS(1), HOURS(1), G, SETTING_OF_NODE,
              "how long a session waits for the next command",
              ABOUT(1, TRANSPORT,
                    "long: idle sessions stay; short: slow clients are cut off (RFC 5321 asks for 5m)")),
    [SETTING_SMTP_DATA_TIMEOUT] = RANGE(
        "smtp.data_timeout", SETTING_DURATION, "10m", SECONDS(1), HOURS(2), G, SETTING_OF_NODE,
        "how long a session waits for more of a message",
        ABOUT(1, TRANSPORT, "long: stalled senders keep memory; short: slow lines cannot send large mail")),
    [SETTING_SMTP_TLS] = CHOICE(
        "smtp.tls", "offered", "off|offered|required", G, SETTING_OF_NODE,
        "STARTTLS for those who send to us",
        ABOUT(1, TRANSPORT,
              "a handshake a session (CPU, two round trips); required: hosts without TLS cannot send")),
    [SETTING_SMTP_PROXY_NETWORKS] =
        RANGE("smtp.proxy_networks", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
              "load balancers that begin each SMTP connection with a header of the PROXY protocol, version 1 "
              "or 2; from them it is required, from all others it ends the session",
              ABOUT(2, TRANSPORT,
                    "each host of these networks can give itself any client address: what networks allow and "
                    "limits forbid is then the balancer's to keep")),
    [SETTING_SMTP_XCLIENT_NETWORKS] = RANGE(
        "smtp.xclient_networks", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
        "hosts that may use XCLIENT to tell who their client is, such as a filter in front of this gateway",
        ABOUT(2, TRANSPORT, "each host of these networks can give itself any client address and name")),
    [SETTING_SMTP_MAX_RECEIVED] =
        RANGE("smtp.max_received", SETTING_INTEGER, "50", 5, 1000, G, SETTING_OF_NODE,
              "a message with more Received fields than this goes round in a loop and is refused with 554",
              ABOUT(2, TRANSPORT,
                    "high: a loop turns more often before it ends; low: mail that was forwarded many times "
                    "is refused")),
    [SETTING_SMTP_MAX_PASSES] =
        RANGE("smtp.max_passes", SETTING_INTEGER, "5", 1, 100, G, SETTING_OF_NODE,
              "how often a message may have come through this cluster before: one that carries the mark of "
              "more passes in its Received fields is refused with 554",
              ABOUT(2, TRANSPORT,
                    "high: a loop through this cluster turns more often before it ends; low: a set-up in "
                    "which mail comes back from a filter needs a pass each time")),
    [SETTING_SMTP_MIN_DATA_RATE] =
        RANGE("smtp.min_data_rate", SETTING_BYTES, "100", 0, 1 << 20, G, SETTING_OF_NODE,
              "bytes a second at which a message must come in the mean, once smtp.data_timeout has passed; "
              "slower senders get 421; 0: any rate",
              ABOUT(2, TRANSPORT,
                    "high: senders on bad lines are cut off; low: a few bytes a minute keep a session and "
                    "its memory")),
    [SETTING_SMTP_DISK_RESERVE] =
        RANGE("smtp.disk_reserve", SETTING_BYTES, "256M", 0, (uint64_t)1 << 40, G, SETTING_OF_NODE,
              "free space that the disk of the spool keeps: new mail that would take of it gets 452",
              ABOUT(2, TRANSPORT,
                    "so much of the disk that the spool does not use; low: the disk fills up, and with it "
                    "what else is on it")),
    [SETTING_SMTP_RATE_EXEMPT] =
        RANGE("smtp.rate_exempt", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
              "networks whose hosts no rate limits, neither as clients nor for the senders and accounts that "
              "they send as",
              ABOUT(2, TRANSPORT, "a host of these networks that was taken over sends as much as it can")),
    [SETTING_SMTP_CLIENT_RATE] =
        RANGE("smtp.client_rate", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "messages per minute and client address (IPv6: /64) on each node; 0: no limit; beyond it 450",
              ABOUT(2, TRANSPORT, "low: busy senders wait; each node counts for itself")),
    [SETTING_SMTP_CLIENT_RECIPIENT_RATE] =
        RANGE("smtp.client_recipient_rate", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "recipients per minute and client address (IPv6: /64) on each node; 0: no limit; beyond it 450",
              ABOUT(2, TRANSPORT, "low: busy senders wait; each node counts for itself")),
    [SETTING_SMTP_CLIENT_CONNECTION_RATE] = RANGE(
        "smtp.client_connection_rate", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
        "connections per minute and client address (IPv6: /64) on each node; 0: no limit; beyond it 421",
        ABOUT(2, TRANSPORT, "low: hosts that open a connection a message wait; each node counts for itself")),
    [SETTING_SMTP_CLIENT_TLS_RATE] = RANGE(
        "smtp.client_tls_rate", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
        "TLS handshakes per minute and client address (IPv6: /64) on each node; 0: no limit; beyond it 421",
        ABOUT(2, TRANSPORT, "each handshake costs CPU; low: hosts that open a connection a message wait")),
    [SETTING_SMTP_CLIENT_ERROR_RATE] =
        RANGE("smtp.client_error_rate", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "refused commands per minute and client address (IPv6: /64) on each node; 0: no limit; beyond "
              "it 421 and no new session until it is over",
              ABOUT(2, TRANSPORT, "low: a host with one wrong program cannot send for a minute")),
    [SETTING_SMTP_SENDER_HOURLY_MESSAGES] =
        RANGE("smtp.sender_hourly_messages", SETTING_INTEGER, "0", 0, 1000000, GDU, SETTING_OF_SENDER,
              "messages per hour and envelope sender on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_SENDER_DAILY_MESSAGES] =
        RANGE("smtp.sender_daily_messages", SETTING_INTEGER, "0", 0, 1000000, GDU, SETTING_OF_SENDER,
              "messages per day and envelope sender on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_SENDER_HOURLY_RECIPIENTS] =
        RANGE("smtp.sender_hourly_recipients", SETTING_INTEGER, "0", 0, 1000000, GDU, SETTING_OF_SENDER,
              "recipients per hour and envelope sender on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_SENDER_DAILY_RECIPIENTS] =
        RANGE("smtp.sender_daily_recipients", SETTING_INTEGER, "0", 0, 1000000, GDU, SETTING_OF_SENDER,
              "recipients per day and envelope sender on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_ACCOUNT_HOURLY_MESSAGES] =
        RANGE("smtp.account_hourly_messages", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "messages per hour and account that is signed in on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_ACCOUNT_DAILY_MESSAGES] =
        RANGE("smtp.account_daily_messages", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "messages per day and account that is signed in on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_ACCOUNT_HOURLY_RECIPIENTS] =
        RANGE("smtp.account_hourly_recipients", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "recipients per hour and account that is signed in on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),
    [SETTING_SMTP_ACCOUNT_DAILY_RECIPIENTS] =
        RANGE("smtp.account_daily_recipients", SETTING_INTEGER, "0", 0, 1000000, G, SETTING_OF_NODE,
              "recipients per day and account that is signed in on each node; beyond it 450; 0: no limit",
              ABOUT(2, TRANSPORT, "low: people who write to many at once wait; each node counts for itself")),

    [SETTING_DELIVERY_NEXT_HOP] =
        RANGE("delivery.next_hop", SETTING_HOSTS, "", 0, 0, GD, SETTING_OF_RECIPIENT,
              "where mail for the recipient's domain goes: HOST:PORT, several are tried in order; without "
              "any: to the hosts of the domain's MX records",
              ABOUT(1, TRANSPORT,
                    "each further host is one more connection attempt when those before it are down")),
    [SETTING_DELIVERY_PROTOCOL] =
        CHOICE("delivery.protocol", "smtp", "smtp|lmtp", GD, SETTING_OF_RECIPIENT,
               "what is spoken to the next hop; lmtp (RFC 2033): to a mailbox server, which answers for each "
               "recipient",
               ABOUT(2, TRANSPORT, "lmtp: mail waits when the next hop does not speak it")),
    [SETTING_DELIVERY_SOURCE_ADDRESS] = RANGE(
        "delivery.source_address", SETTING_NETWORKS, "", 0, 1, GD, SETTING_OF_RECIPIENT,
        "the addresses that connections to the next hop come from, IPv4 and IPv6, of all nodes: each takes "
        "the first that it has; without any: as the system chooses",
        ABOUT(2, TRANSPORT, "mail waits on a node that has none of them, or none of the next hop's family")),
    [SETTING_DELIVERY_HELO_NAME] =
        RANGE("delivery.helo_name", SETTING_HOSTS, "", 0, 0, GD, SETTING_OF_RECIPIENT,
              "the name in EHLO to the next hop, one host name; without any: the node's hostname",
              ABOUT(2, TRANSPORT, "a name that is not that of the source address: some hosts refuse it")),
    [SETTING_DELIVERY_PAUSED] = FLAG(
        "delivery.paused", "no", GD,
        SETTING_OF_RECIPIENT,
        "yes: mail for the recipient's domain stays in the queue until this is taken back; delivery.expire "
        "holds meanwhile",
        ABOUT(2, TRANSPORT, "yes: disk for what waits; what waits too long is given up")),
    [SETTING_DELIVERY_MAX_RATE] =
        RANGE("delivery.max_rate", SETTING_INTEGER, "0", 0, 1000000, GD, SETTING_OF_RECIPIENT,
              "most messages a minute from each node to one next hop; 0: as many as it takes",
              ABOUT(2, TRANSPORT, "low: mail waits though the next hop would take it")),
    [SETTING_DELIVERY_MX_PORT] =
        RANGE("delivery.mx_port", SETTING_INTEGER, "25", 1, 65535, GD, SETTING_OF_RECIPIENT,
              "the port of hosts that MX records name; another than 25 only in networks of one's own",
              ABOUT(2, TRANSPORT, "other than 25: no host on the internet takes mail there")),
    [SETTING_SENDER_NEXT_HOP] = RANGE(
        "sender.next_hop", SETTING_HOSTS, "", 0, 0, GDU, SETTING_OF_SENDER,
        "where mail of this sender goes, HOST:PORT, several are tried in order, for recipients whose domain "
        "has no delivery.next_hop of its own",
        ABOUT(2, TRANSPORT,
              "mail for one recipient leaves by several ways, and each next hop has its own connections")),
    [SETTING_DELIVERY_TLS] = CHOICE(
        "delivery.tls", "dane", "none|opportunistic|dane|required|encrypt|verified|fingerprint|dane-only", GD,
        SETTING_OF_RECIPIENT,
        "TLS to the next hop: opportunistic: if it is offered and works; dane: the same, but by the TLSA "
        "records of hosts that publish some under DNSSEC; encrypt (required: its old word): always; "
        "verified: always, with a certificate for the host's name from a CA of delivery.tls_trust; "
        "fingerprint: always, with one of delivery.fingerprint; dane-only: only by TLSA records",
        ABOUT(
            1, TRANSPORT,
            "a handshake a connection, and look-ups in DNS for dane; encrypt and what follows it: mail waits "
            "and bounces when the next hop's TLS or certificate fails")),
    [SETTING_DELIVERY_TLS_TRUST] = CHOICE(
        "delivery.tls_trust", "system", "system|store|both", GD, SETTING_OF_RECIPIENT,
        "the CAs that vouch for next hops where a name is verified: the system's, the trust anchors of this "
        "cluster (sealpostctl ca trust), or both",
        ABOUT(2, TRUST,
              "store, both: who may issue certificates for mail may issue them for servers as well")),
    [SETTING_DELIVERY_TLS_LOWEST] = CHOICE(
        "delivery.tls_lowest", "1.2", "1.2|1.3", GD, SETTING_OF_RECIPIENT,
        "the oldest version of TLS that is spoken to the next hop",
        ABOUT(2, TRANSPORT,
              "1.3: next hops with nothing newer than 1.2 get mail without TLS where delivery.tls allows "
              "that, else none")),
    [SETTING_DELIVERY_FINGERPRINT] =
        {.name = "delivery.fingerprint",
         .type = SETTING_THUMBPRINTS,
         .default_text = "",
         .levels = GD,
         .side = SETTING_OF_RECIPIENT,
         ABOUT(2, TRANSPORT,
               "mail waits when the next hop has another certificate and key, until the new one is set"),
         .help = "for delivery.tls fingerprint: SHA-256 of the next hop's certificate, or of its public key "
                 "(SubjectPublicKeyInfo), each 64 hexadecimal digits; several for a change"},
    [SETTING_DELIVERY_MTA_STS] = FLAG(
        "delivery.mta_sts", "yes", GD, SETTING_OF_RECIPIENT,
        "whether MTA-STS policies of recipients' domains are fetched and kept to; hosts with usable TLSA "
        "records are judged by those instead",
        ABOUT(2, TRANSPORT,
              "yes: a look-up in DNS for each domain, and for those with a policy a request now and then; "
              "their "
              "mail waits when no host of theirs shows the certificate that they promise")),
    [SETTING_DELIVERY_MAX_CONNECTIONS] = RANGE(
        "delivery.max_connections", SETTING_INTEGER, "20", 1, 1000, GD, SETTING_OF_RECIPIENT,
        "most connections at a time to one next hop",
        ABOUT(1, TRANSPORT, "a descriptor and a buffer each; high: the next hop may limit or block us")),
    [SETTING_DELIVERY_MAX_MESSAGES_PER_CONNECTION] =
        RANGE("delivery.max_messages_per_connection", SETTING_INTEGER, "100", 1, 100000, GD,
              SETTING_OF_RECIPIENT, "messages before a connection is closed",
              ABOUT(1, TRANSPORT,
                    "low: a new connection and handshake more often; high: load moves to other hosts later")),
    [SETTING_DELIVERY_CONNECT_TIMEOUT] =
        RANGE("delivery.connect_timeout", SETTING_DURATION, "30s", 100, MINUTES(10), GD, SETTING_OF_RECIPIENT,
              "how long to wait for a connection",
              ABOUT(1, TRANSPORT,
                    "long: the next host in order is tried later; short: distant hosts are not reached")),
    [SETTING_DELIVERY_TIMEOUT] = RANGE("delivery.timeout", SETTING_DURATION, "5m", SECONDS(1), HOURS(1), GD,
                                       SETTING_OF_RECIPIENT, "how long to wait for an answer of the next hop",
                                       ABOUT(1, TRANSPORT,
                                             "long: a stalled next hop keeps its connection; short: mail may "
                                             "be delivered twice when the answer comes late")),
    [SETTING_DELIVERY_IDLE_TIMEOUT] =
        RANGE("delivery.idle_timeout", SETTING_DURATION, "5s", 0, MINUTES(5), GD, SETTING_OF_RECIPIENT,
              "how long an unused connection stays open",
              ABOUT(1, TRANSPORT,
                    "long: connections of the next hop stay taken; short: a new handshake a message")),
    [SETTING_DELIVERY_RETRY] =
        RANGE("delivery.retry", SETTING_DURATIONS, "1m,5m,15m,30m,1h,2h", 100, DAYS(1), GD,
              SETTING_OF_RECIPIENT, "pauses between attempts; the last one repeats",
              ABOUT(1, TRANSPORT,
                    "short pauses: connections, lines of the log and a burden on the next hop; long: mail is "
                    "late after an outage")),
    [SETTING_DELIVERY_EXPIRE] = RANGE("delivery.expire", SETTING_DURATION, "5d", SECONDS(1), DAYS(30), GD,
                                      SETTING_OF_RECIPIENT, "when delivery is given up and the sender told",
                                      ABOUT(1, TRANSPORT,
                                            "long: disk for what waits, and the sender learns late; short: a "
                                            "weekend's outage loses mail to bounces")),

    [SETTING_DELIVERY_DELAY_NOTICE] = RANGE(
        "delivery.delay_notice", SETTING_DURATION, "4h", 0, DAYS(30), GD, SETTING_OF_RECIPIENT,
        "how long mail waits for this recipient before its sender is told once that it is late; 0: never",
        ABOUT(2, TRANSPORT,
              "short: a notification for every outage of a next hop; 0 or long: the sender learns of a "
              "dead next hop only when delivery is given up")),
    [SETTING_BOUNCE_CONTENT] = CHOICE(
        "bounce.content", "headers", "headers|full", GD, SETTING_OF_SENDER,
        "the most that a notification about a failure gives back of the message: its header, or all of it "
        "when the sender asked for that (RET=FULL); never what was decrypted, or what policy refused",
        ABOUT(2, TRANSPORT,
              "full: a forged sender gets the whole message, with what is attached to it; bounces are as "
              "large as the mail")),

    [SETTING_TLSRPT_SEND] = FLAG(
        "tlsrpt.send", "no", G, SETTING_OF_NODE,
        "whether domains that ask for it in DNS (_smtp._tls) are sent a report each day of how TLS to them "
        "went "
        "(RFC 8460); tlsrpt.from must be set",
        ABOUT(2, TRANSPORT,
              "a look-up in DNS for each domain that got mail, and a mail or request to those that ask; they "
              "learn how much mail each node sent them, and from where")),
    [SETTING_TLSRPT_FROM] =
        RANGE("tlsrpt.from", SETTING_ADDRESSES, "", 0, 1, G, SETTING_OF_NODE,
              "From of TLS reports: an address of a domain of ours that is signed with DKIM",
              ABOUT(2, TRANSPORT, "replies and bounces of other systems go there")),
    [SETTING_TLSRPT_CONTACT] = RANGE("tlsrpt.contact", SETTING_ADDRESSES, "", 0, 1, G, SETTING_OF_NODE,
                                     "the address in TLS reports whom to ask about them; empty: tlsrpt.from",
                                     ABOUT(2, TRANSPORT, "who gets a report learns this address")),
    [SETTING_LOG_SUBJECTS] = FLAG("log.subjects", "no", G, SETTING_OF_NODE,
                                  "whether the message log keeps the subjects of messages",
                                  ABOUT(2, POLICY,
                                        "yes: subjects, often personal data, can be read by all who may "
                                        "trace messages; some bytes a message")),
    [SETTING_TRACE_RETENTION] = RANGE(
        "trace.retention", SETTING_DURATION, "30d", SECONDS(1), DAYS(3650), G, SETTING_OF_NODE,
        "how long the message log keeps what became of a message",
        ABOUT(2, OPERATION, "disk, up to trace.max_size a node; personal data that is kept for longer")),
    [SETTING_TRACE_MAX_SIZE] =
        RANGE("trace.max_size", SETTING_BYTES, "1G", 1 << 20, (uint64_t)32 << 30, G, SETTING_OF_NODE,
              "most that the message log takes of a node's disk; the oldest messages go first",
              ABOUT(2, OPERATION, "so much disk of each node; low: traces end before trace.retention")),
    [SETTING_CA_HANDLER] = CHOICE(
        "ca.handler", "builtin", "builtin|csr", GD, SETTING_OF_SENDER,
        "who issues for a user who is due a certificate: builtin: ca.default; csr: a CA elsewhere, for which "
        "a "
        "request is made and waits for its answer",
        ABOUT(
            2, TRUST,
            "csr: until somebody has brought each answer, the user has no new certificate; builtin: ours has "
            "to be trusted by whom we write to")),
    [SETTING_CA_DEFAULT] = RANGE("ca.default", SETTING_TEXT, "", 0, 63, GD, SETTING_OF_SENDER,
                                 "the CA of this cluster that issues when no other is named",
                                 ABOUT(2, TRUST, "none; without it nothing is issued that names no CA")),
    [SETTING_CA_AUTO_REQUEST] =
        FLAG("ca.auto_request", "no", GDU, SETTING_OF_SENDER,
             "an internal sender who is to be signed for and has no usable key gets one from ca.default",
             ABOUT(2, TRUST,
                   "yes: the first message of each sender waits for a new key; a certificate and key for "
                   "each sender on every node")),
    [SETTING_CA_AUTO_REQUEST_LIMIT] =
        RANGE("ca.auto_request_limit", SETTING_INTEGER, "100", 1, 100000, GD, SETTING_OF_SENDER,
              "senders of a domain who get a certificate by ca.auto_request within an hour; of all domains "
              "together "
              "ten times the global value",
              ABOUT(2, TRUST,
                    "high: a flood of new senders makes so many keys and certificates, on every node, before "
                    "it is stopped; low: senders wait for theirs")),
    [SETTING_CA_PROFILE] = CHOICE("ca.profile", "single", "single|dual", GD, SETTING_OF_SENDER,
                                  "single: one certificate for signing and encrypting; dual: one for each",
                                  ABOUT(2, TRUST,
                                        "dual: two keys and certificates a user to make, keep and renew; the "
                                        "signing key can stay out of escrow")),
    [SETTING_CA_KEY_TYPE] =
        CHOICE("ca.key_type", "rsa3072", "rsa3072|p256", G, SETTING_OF_NODE, "keys of users' certificates",
               ABOUT(2, TRUST,
                     "rsa3072: slow to make and to sign with, read everywhere; p256: much faster, old "
                     "programs cannot read it")),
    [SETTING_CA_VALIDITY] = RANGE("ca.validity", SETTING_INTEGER, "365", 1, 1185, GD, SETTING_OF_SENDER,
                                  "days that a user's certificate is valid",
                                  ABOUT(2, TRUST,
                                        "short: keys and certificates are made more often; long: a stolen "
                                        "key is of use for longer, public rules allow 1185")),
    [SETTING_CA_RENEW_BEFORE] =
        RANGE("ca.renew_before", SETTING_INTEGER, "30", 1, 365, GD, SETTING_OF_SENDER,
              "days before its end that a certificate of a CA of this cluster is issued anew",
              ABOUT(2, TRUST, "high: more renewals a year, and recipients have more certificates to keep")),
    [SETTING_CA_CRL_URL] = RANGE(
        "ca.crl_url", SETTING_TEXT, "", 0, 1000, G, SETTING_OF_NODE,
        "where the world finds our revocation lists, for new certificates; {ca} stands for the CA's name",
        ABOUT(2, TRUST,
              "a web server that all recipients can reach; without it they cannot learn of a revocation")),
    [SETTING_CA_CRL_VALIDITY] =
        RANGE("ca.crl_validity", SETTING_DURATION, "7d", SECONDS(2), DAYS(365), G, SETTING_OF_NODE,
              "how long a revocation list holds; a new one comes after half of that",
              ABOUT(2, TRUST,
                    "short: a signature and a write to all nodes more often, and others fetch more; long: "
                    "they learn late of a revocation")),

    [SETTING_CLUSTER_STALE_AFTER] = RANGE(
        "cluster.stale_after", SETTING_DURATION, "10s", SECONDS(2), HOURS(1), G, SETTING_OF_NODE,
        "after so long without word from a leader a node no longer knows whether keys or policy changed",
        ABOUT(1, POLICY,
              "long: a node that is cut off acts on what may have changed for so long; short: mail is "
              "deferred at every hiccup of the network")),
    [SETTING_CLUSTER_WHEN_STALE] = CHOICE(
        "cluster.when_stale", "defer", "serve|defer", G, SETTING_OF_NODE,
        "what such a node does with new mail: defer it with 451 (in clusters of three and more), or serve on",
        ABOUT(1, POLICY,
              "defer: a node that is cut off takes no mail; serve: it may use keys and policy that were "
              "withdrawn")),

    [SETTING_SMIME_AIA] = FLAG("smime.aia", "yes", G, SETTING_OF_NODE,
                               "when the path from a signer to a trust anchor lacks a certificate: fetch it "
                               "from where the signer's certificate says (Authority Information Access)",
                               ABOUT(2, TRUST,
                                     "yes: a request to an address that the sender's certificate names, who "
                                     "so learns when mail is read; the message waits for it")),
    [SETTING_CERT_LOOKUP] =
        RANGE("cert.lookup", SETTING_LOOKUPS, "", 0, 0, GD, SETTING_OF_RECIPIENT,
              "directories that are asked when no usable certificate of a recipient is stored: "
              "ldap://HOST[:PORT]/BASE?ATTRIBUTE?SCOPE?FILTER, where %s in the filter stands for the "
              "address; several are separated by spaces and asked in order",
              ABOUT(2, TRUST,
                    "a request to the directory for each recipient without a certificate, and the message "
                    "waits for it; the directory learns to whom mail goes")),
    [SETTING_CERT_LOOKUP_ON_FAILURE] = CHOICE(
        "cert.lookup_on_failure", "defer", "pass|defer", GD, SETTING_OF_RECIPIENT,
        "when a directory of cert.lookup cannot be asked and no certificate can be used: defer the message "
        "with 451, so that the sender's server tries again, or pass it on as if the directory knew none "
        "(opportunistic mail then goes without encryption)",
        ABOUT(2, POLICY,
              "defer: delay while the directory is down; pass: plain text that could have been encrypted")),
    [SETTING_CRL_REFRESH] =
        RANGE("crl.refresh", SETTING_DURATION, "12h", MINUTES(1), DAYS(7), G, SETTING_OF_NODE,
              "how often revocation lists are fetched that stored certificates name; sooner when a list ends "
              "sooner",
              ABOUT(2, TRUST,
                    "short: network and CPU for each list, large ones have megabytes; long: revocations are "
                    "learned late")),
    [SETTING_OCSP_ENABLED] = FLAG(
        "ocsp.enabled", "no", G, SETTING_OF_NODE,
        "ask OCSP responders about the stored certificates that name one, ahead of time, on one node for "
        "all",
        ABOUT(2, TRUST,
              "yes: a request and a change of the cluster's state for each such certificate (at most "
              "2000) whenever its answer ends; responders learn which partners there are")),
    [SETTING_FETCH_ALLOW_NETWORKS] =
        RANGE("fetch.allow_networks", SETTING_NETWORKS, "", 0, 0, G, SETTING_OF_NODE,
              "private networks in which lists, certificates and directories may be fetched; all other "
              "private, loopback and link-local addresses are refused",
              ABOUT(2, TRUST, "certificates and partners can make a node ask any host of these networks")),
    [SETTING_DNS_RESOLVERS] = RANGE(
        "dns.resolvers", SETTING_TEXTS, "", 1, 64, G, SETTING_OF_NODE,
        "servers that are asked for what partner domains publish in DNS, each ADDRESS or ADDRESS@PORT; those "
        "of the machine (/etc/resolv.conf) if there is none. They need not be trusted: DNSSEC is checked "
        "here",
        ABOUT(2, TRUST, "these servers learn which partner domains there are")),
    [SETTING_DNS_TRUST_ANCHORS] = RANGE(
        "dns.trust_anchors", SETTING_TEXTS,
        ". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D, "
        ". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
        1, 512, G, SETTING_OF_NODE,
        "DNSSEC trust anchors, DS or DNSKEY records as in a zone file: the root zone's, or those of zones of "
        "your own",
        ABOUT(2, TRUST, "who holds such a key decides what DNS says of partner domains")),
    [SETTING_DNS_REFRESH] =
        RANGE("dns.refresh", SETTING_DURATION, "6h", MINUTES(1), DAYS(7), G, SETTING_OF_NODE,
              "how often the fingerprints of partner domains are looked up in DNS",
              ABOUT(2, TRUST, "short: requests for each watched domain; long: changes are seen late")),

    [SETTING_DKIM_SIGN] = FLAG(
        "dkim.sign", "yes", GD, SETTING_OF_SENDER,
        "whether mail of the domain that leaves is signed by DKIM, once the domain has an active key",
        ABOUT(2, FORMAT,
              "one key operation for each copy of a message, by each active key; no: partners that ask for "
              "DMARC may refuse the domain's mail")),
    [SETTING_DKIM_SELECTOR] = RANGE("dkim.selector", SETTING_TEXT, "sealpost", 1, 40, GD, SETTING_OF_SENDER,
                                    "how selectors begin that dkim create and dkim rotate choose",
                                    ABOUT(2, FORMAT, "only the names of new keys change")),
    [SETTING_DKIM_SUBDOMAINS] = FLAG(
        "dkim.subdomains", "yes", GD, SETTING_OF_SENDER,
        "whether mail of a domain without an active key is signed with that of the nearest domain above it "
        "that is ours and has one (d= is that domain; DMARC's relaxed alignment takes it)",
        ABOUT(2, FORMAT, "no: mail of a subdomain without a key of its own leaves unsigned")),
    [SETTING_DKIM_CANONICALIZATION] = CHOICE(
        "dkim.canonicalization", "relaxed/relaxed",
        "simple/simple|simple/relaxed|relaxed/simple|relaxed/relaxed", GD, SETTING_OF_SENDER,
        "which changes on the way DKIM signatures bear, of header and body: none but those that SMTP allows, "
        "or of white space and line breaks as well",
        ABOUT(2, FORMAT, "simple: servers that fold or re-space fields break the signature")),
    [SETTING_DKIM_TIMESTAMP] =
        FLAG("dkim.timestamp", "yes", GD, SETTING_OF_SENDER,
             "whether DKIM signatures say when they were made (t=)",
             ABOUT(2, FORMAT, "some bytes; the time when the gateway took the message is told")),
    [SETTING_DKIM_EXPIRE] =
        RANGE("dkim.expire", SETTING_DURATION, "0s", 0, DAYS(365), GD, SETTING_OF_SENDER,
              "how long after it was made a DKIM signature holds (x=); 0s: for ever",
              ABOUT(2, FORMAT,
                    "shorter than delivery.expire: mail that waits in a queue arrives with a signature that "
                    "has ended")),
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
