/* Certificates and the files that hold them, as somebody may upload or send them. */
#include "crypto/x509.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What goes into the store is told again by it. */
static void describe(struct slice der, struct arena *a)
{
    struct certificate_record record, back;
    struct buf encoded = BUF_INIT((size_t)1 << 20);

    if (certificate_describe(der, slice_of_text("import"), 0, a, &record, NULL) == STATUS_OK &&
        certificate_record_encode(&record, &encoded) == STATUS_OK &&
        certificate_record_decode(buf_slice(&encoded), &back) == STATUS_OK &&
        back.address_count != record.address_count)
        abort();
    buf_release(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct certificate_file file;
    struct arena a;

    arena_init(&a, (size_t)16 << 20);
    describe(slice_of(data, size), &a);
    if (certificate_file_read(slice_of(data, size), &a, &file, NULL) == STATUS_OK)
        for (size_t i = 0; i < file.count; i++)
            describe(file.der[i], &a);
    arena_release(&a);
    return 0;
}
