/* The built-in CA as the API shows it, and what the files of its resource have in common. */
#ifndef SEALPOST_API_CA_JSON_H
#define SEALPOST_API_CA_JSON_H

#include "api/exchange.h"
#include "crypto/ca.h"
#include "store/setting.h"

extern const struct api_object ca_object, cas_object, ca_issued_object, ca_issued_list_object;

/* Whose certificate it is to be, in the body of a request for one. */
#define CA_OWNER_FIELDS                                                                                      \
    {.name = "address",                                                                                      \
     .type = API_TEXT,                                                                                       \
     .flags = API_REQUIRED,                                                                                  \
     .min = 3,                                                                                               \
     .max = ADDRESS_MAX,                                                                                     \
     .help = "mail address of the owner"},                                                                   \
    {                                                                                                        \
        .name = "name", .type = API_TEXT, .max = 4 * CA_COMMON_NAME_MAX,                                     \
        .help = "common name, at most 64 characters; the address if not given"                               \
    }

json_t *ca_to_json(struct store_view *view, const struct ca_record *ca);
json_t *ca_issued_to_json(struct store_view *view, const struct ca_issued_record *issued);

/* A number of a setting for `address` ("" for the cluster's): the text's own unit. false: the exchange was
 * failed. */
bool ca_setting(struct exchange *x, struct store_view *view, enum setting_id id, struct slice address,
                struct setting_value *out);
/* The issued certificate that `text` names: 64 hexadecimal digits, or at least 8 that only one begins with.
 * false: the exchange was failed. */
bool ca_issued_named(struct exchange *x, struct store_view *view, struct slice text,
                     struct ca_issued_record *out);
/* A text of a body, which was checked to fit, with its NUL. */
void ca_text_copy(char *out, size_t size, struct slice text);
/* An encoded certificate record in the arena. */
enum status ca_record_encode(struct exchange *x, const struct certificate_record *record,
                             struct slice *out) MUST_CHECK;

#endif
