/* See crypto/buf_sink.h. The method is made once a process; one thread a process does CMS. */
#include "crypto/buf_sink.h"

static int write_cb(BIO *bio, const char *data, size_t len, size_t *written)
{
    struct buf *out = BIO_get_data(bio);

    if (buf_append(out, data, len) != STATUS_OK)
        return 0;
    *written = len;
    return 1;
}

static long ctrl_cb(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO *buf_sink_new(struct buf *out)
{
    static BIO_METHOD *method;
    BIO *bio;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "struct buf");
        if (method == NULL || BIO_meth_set_write_ex(method, write_cb) != 1 ||
            BIO_meth_set_ctrl(method, ctrl_cb) != 1) {
            BIO_meth_free(method);
            method = NULL;
            return NULL;
        }
    }
    bio = BIO_new(method);
    if (bio != NULL) {
        BIO_set_data(bio, out);
        BIO_set_init(bio, 1);
    }
    return bio;
}
