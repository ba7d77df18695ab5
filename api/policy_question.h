/*
 * What a person asks of policy: a sender, recipients, and what the message would be, as they stand in the
 * body of a request. For the resources that run policy without mail.
 */
#ifndef SEALPOST_API_POLICY_QUESTION_H
#define SEALPOST_API_POLICY_QUESTION_H

#include "api/exchange.h"
#include "mail/policy.h"

#define QUESTION_MESSAGE_MAX ((uint32_t)2 << 20) /* bytes; header and structure are what counts */

/* The members of a question, to be put into a table of struct api_field. */
#define POLICY_QUESTION_FIELDS                                                                               \
    {.name = "from",                                                                                         \
     .type = API_TEXT,                                                                                       \
     .flags = API_REQUIRED,                                                                                  \
     .max = ADDRESS_MAX,                                                                                     \
     .help = "the envelope's sender; empty: the null sender"},                                               \
        {.name = "to",                                                                                       \
         .type = API_TEXTS,                                                                                  \
         .flags = API_REQUIRED,                                                                              \
         .min = 1,                                                                                           \
         .max = ADDRESS_MAX,                                                                                 \
         .help = "recipients"},                                                                              \
        {.name = "subject", .type = API_TEXT, .max = 998},                                                   \
        {.name = "headers",                                                                                  \
         .type = API_TEXTS,                                                                                  \
         .max = 998,                                                                                         \
         .help = "header fields of the message, NAME: VALUE; not together with message"},                    \
        {.name = "message",                                                                                  \
         .type = API_BASE64,                                                                                 \
         .max = QUESTION_MESSAGE_MAX,                                                                        \
         .help = "in base64; its From, Subject, fields and structure count then"},                           \
        {.name = "at", .type = API_TEXT, .max = 20, .help = "the time to ask for, RFC 3339 in UTC; now"},    \
        {.name = "tls", .type = API_BOOL, .help = "it comes over TLS"},                                      \
        {.name = "auth", .type = API_BOOL, .help = "it comes from a client that signed in"},                 \
        {.name = "client", .type = API_TEXT, .max = 45, .help = "IP address of the client"},                 \
        {.name = "listener", .type = API_TEXT, .max = 63, .help = "name of the listener that takes it"},     \
    {                                                                                                        \
        .name = "with", .type = API_TEXTS, .max = SETTING_VALUE_MAX + ADDRESS_MAX + 64,                      \
        .help = "settings to suppose, [SCOPE:]NAME=VALUE; SCOPE is a domain, *.domain or address"            \
    }

struct policy_question {
    struct policy_facts facts;
    struct slice *recipients;
    size_t recipient_count;
    struct buf content; /* of the message or its header: facts point into it */
    struct entity message;
    struct message_facts message_facts;
};

/* False: the exchange was failed. Release it in either case, after the decision was made and told. */
bool policy_question_read(struct exchange *x, const json_t *body, struct policy_question *q);
void policy_question_release(struct policy_question *q);

#endif
