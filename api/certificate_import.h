/*
 * Importing certificates: what /v1/certificates, /v1/trust and /v1/keys have in common. All of a file is read
 * and described before the first change is made; one that cannot be read stops the whole import.
 */
#ifndef SEALPOST_API_CERTIFICATE_IMPORT_H
#define SEALPOST_API_CERTIFICATE_IMPORT_H

#include "api/exchange.h"

#define CERTIFICATE_DATA_MAX   ((uint32_t)2 << 20) /* bytes of one file */
#define CERTIFICATE_DATA_KINDS "PEM as it is; DER or PKCS#7 in base64"
/* The field of a body that import_file_of_body() reads. */
#define CERTIFICATE_DATA_FIELD(text)                                                                         \
    {                                                                                                        \
        .name = "data", .type = API_BASE64, .flags = API_REQUIRED, .min = 1, .max = CERTIFICATE_DATA_MAX,    \
        .help = (text)                                                                                       \
    }

struct certificate_import {
    struct certificate_record *records; /* in the arena of the exchange */
    size_t count;
    size_t *writes; /* position in x->writes of each record's own command */
};

extern const struct api_object import_entry_object;

/* The bytes in `field` of the body: PEM, or anything else in base64. In the arena unless `secret`. */
bool import_file_of_body(struct exchange *x, const char *field, struct buf *out);
/* Describes each, and adds a CERT_ADD for each that is not stored yet. false: the exchange was failed. */
bool import_certificates(struct exchange *x, const struct certificate_file *file,
                         struct certificate_import *out);
/* What became of each: "added", "exists". False when a write failed in another way: the exchange was failed.
 */
bool import_results(struct exchange *x, const struct certificate_import *import, json_t **items);

#endif
