/* JSON out (RFC 8259), for the trace of a decision. A failure is remembered; check once, at the end. Pure. */
#ifndef SEALPOST_MAIL_JSON_WRITE_H
#define SEALPOST_MAIL_JSON_WRITE_H

#include "base/buf.h"

struct json_writer {
    struct buf *out; /* borrowed; its maximum bounds the text */
    enum status status;
    bool comma; /* something stands before the next value */
};

void json_writer_init(struct json_writer *w, struct buf *out);
/* `key`: a word of ours that needs no escape; NULL: an element of an array, or the outermost value. */
void json_open_object(struct json_writer *w, const char *key);
void json_close_object(struct json_writer *w);
void json_open_array(struct json_writer *w, const char *key);
void json_close_array(struct json_writer *w);
/* Any bytes: quotes, control bytes and what is no UTF-8 are escaped or replaced by U+FFFD. */
void json_put_text(struct json_writer *w, const char *key, struct slice text);
/* The same; `key` as above, without data for NULL. */
struct json_member {
    struct slice key, text;
};
void json_put_member(struct json_writer *w, const struct json_member *member);
/* An object of them, as an element of an array: one piece of the text. */
void json_put_texts(struct json_writer *w, const struct json_member *members, size_t count);
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_number(struct json_writer *w, const char *key, uint64_t value);
enum status json_writer_status(const struct json_writer *w) MUST_CHECK;

/* Bytes of the well-formed UTF-8 sequence at the start of `s` (RFC 3629); 0 if there is none. */
size_t utf8_sequence(struct slice s);

#endif
