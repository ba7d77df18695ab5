/*
 * The Cryptographic Layers of a message (RFC 9787 section 4): what is encrypted or signed as a whole, what is
 * so within that, and so on down to the Cryptographic Payload. Pure; one thread.
 */
#ifndef SEALPOST_MAIL_LAYERS_H
#define SEALPOST_MAIL_LAYERS_H

#include "crypto/smime.h"
#include "mail/shape.h"
#include "store/records.h"

#define LAYERS_MAX            8 /* more are a trick, and are not opened */
#define LAYERS_COMPRESSED_MAX 3 /* of them; each may become as large as `unpack_max` */

struct verdict {
    enum smime_verdict verdict;
    const char *protocol; /* "smime", "pgp", "" */
    char signer[ADDRESS_MAX + 1];
    char reason[FAILURE_TEXT_MAX];
    bool domain;           /* VALID by a certificate that is bound to the whole domain */
    uint64_t capabilities; /* enum certificate_capability: what the signer says to read */
    char algorithm[36];    /* "rsa-pkcs1-sha256"; "" when the signature does not hold */
    uint64_t time_ms;      /* the signing time that the signer says; 0: none */
    const char
        *covers; /* "message" (header and content), "content", "ciphertext"; "" when it does not hold */
};

enum layer_kind { LAYER_ENCRYPTED, LAYER_SIGNED, LAYER_COMPRESSED };

struct layer {
    enum layer_kind kind;
    struct shape shape; /* of this layer; owned unless `borrowed` */
    bool borrowed;
    struct verdict verdict;       /* SIGNED */
    struct smime_decrypted plain; /* ENCRYPTED: what was in it */
    struct buf content;           /* SIGNED and opaque: what was signed; COMPRESSED: what was in it */
    struct entity inner;          /* what is within: in `plain`, `content` or the signed part */
};

enum layers_end {
    LAYERS_PAYLOAD, /* `payload` is neither signed nor encrypted */
    LAYERS_CLOSED,  /* the innermost that was reached is encrypted, and no key opened it */
    LAYERS_ERROR,   /* a signature that does not hold: what is within counts as unprotected */
    LAYERS_TOO_MANY,
};

struct layers {
    struct layer list[LAYERS_MAX]; /* from the outside in */
    size_t count;
    enum layers_end end;
    struct entity payload; /* the innermost entity that was reached; with ERROR and TOO_MANY: around it */
    const char *closed;    /* CLOSED: "smime" or "pgp" */
};

/* Opens one CMS object. NO_KEY: it stays closed; any other error ends the reading. */
typedef enum status (*layer_open_cb)(void *context, struct slice cms, struct smime_decrypted *plain,
                                     struct failure *f);
struct mail_environment; /* mail/flow.h */
struct layers_reading {
    struct store_view *view; /* bindings of signers; NULL: none */
    struct trust *trust;
    uint64_t now_ms;
    struct slice from; /* signatures are judged against it */
    size_t unpack_max; /* bytes that a compressed layer may become */
    struct arena *arena;
    layer_open_cb open; /* NULL: nothing is opened */
    void *context;
    struct mail_environment *env; /* for its fetch_issuers; NULL: nobody is asked */
};
/* `message` and its `shape` are borrowed and must outlive `out`. Whatever the bytes, there is an answer; not
 * OK only for what `open` answers, or no memory. Release `out` also then. */
enum status layers_read(const struct layers_reading *r, const struct entity *message,
                        const struct shape *shape, struct layers *out, struct failure *f) MUST_CHECK;
void layers_release(struct layers *l);

/* Judges a signed layer's signature once more, against another address. */
enum status layer_verify(const struct layers_reading *r, struct layer *layer, struct slice from,
                         struct verdict *verdict) MUST_CHECK;

bool verdict_holds(const struct verdict *v); /* the bytes are those that somebody signed */
/* Position behind the last layer that was decrypted; 0 if none was. */
size_t layers_decrypted(const struct layers *l);
/* The same, or behind what is compressed and directly follows: where a gateway delivers from. */
size_t layers_opened(const struct layers *l);
/* Was every encrypted layer of a kind that shows a change of its bytes (AES-GCM)? */
bool layers_authenticated(const struct layers *l);

#endif
