/* Certificates and the files that hold them, as somebody may upload or send them. */
#include "crypto/certificate_bulk.h"
#include "store/certificate_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What goes into the store is told again by it. */
static void describe(struct slice der, struct arena *a)
{
    struct certificate_record record, back;
    struct buf encoded = BUF_INIT((size_t)1 << 20);
    static struct certificate_words words;

    if (certificate_describe(der, slice_of_text("import"), 0, a, &record, NULL) == STATUS_OK &&
        certificate_record_encode(&record, &encoded) == STATUS_OK &&
        certificate_record_decode(buf_slice(&encoded), &back) == STATUS_OK &&
        back.address_count != record.address_count)
        abort();
    if (encoded.len > 0) {
        certificate_words_of(&record, &words);
        if (words.count > CERT_WORDS_MAX || words.text_len > CERT_TEXT_MAX)
            abort();
    }
    buf_release(&encoded);
}

/* Each by itself: what is read from any place on is the same. */
static void bulk(struct slice content, struct arena *a)
{
    static struct certificate_bulk all, rest;

    if (certificate_bulk_read(content, 0, a, &all, NULL) != STATUS_OK)
        return;
    for (size_t i = 0; i < all.count; i++)
        if (all.entries[i].reason == NULL)
            describe(all.entries[i].der, a);
    if (certificate_bulk_read(content, 1, a, &rest, NULL) != STATUS_OK || rest.total != all.total)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certificate_file file;
    struct arena a;

    arena_init(&a, (size_t)16 << 20);
    describe(slice_of(data, size), &a);
    bulk(slice_of(data, size), &a);
    if (certificate_file_read(slice_of(data, size), &a, &file, NULL) == STATUS_OK)
        for (size_t i = 0; i < file.count; i++)
            describe(file.der[i], &a);
    arena_release(&a);
    return 0;
}
