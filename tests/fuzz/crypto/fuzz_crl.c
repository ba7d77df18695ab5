/* Revocation lists as anybody may serve or upload them: all that is done with one before its signature is
 * looked at, and the rows that would come of it. */
#include "crypto/crl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t rows_of(struct slice rows)
{
    struct crl_row row;
    bool good;
    size_t count = 0;

    while (crl_row_read(&rows, &row, &good))
        count++;
    if (!good)
        abort();
    return count;
}

/* What is proposed is what any node takes: each command passes its own check, and no entry is lost. */
static void propose(struct crl *crl)
{
    struct buf storage = BUF_INIT(COMMAND_MAX), encoded = BUF_INIT(COMMAND_MAX);
    size_t rows = 0;
    struct command c, back;

    crl_prepare(crl, 1, "import", 0);
    for (size_t i = 0; i < crl_command_count(crl); i++) {
        if (crl_command(crl, i, 0, slice_of_text("test"), &storage, &c, NULL) != STATUS_OK)
            abort();
        buf_reset(&encoded);
        if (command_encode(&c, &encoded) != STATUS_OK ||
            command_decode(buf_slice(&encoded), &back, NULL) != STATUS_OK)
            abort();
        if (c.number == COMMAND_CRL_ROWS)
            rows += rows_of(c.values[3].bytes);
    }
    if (rows != crl_entry_count(crl))
        abort();
    buf_release(&storage);
    buf_release(&encoded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct crl *crl;

    if (crl_read(slice_of(data, size), &crl, NULL) == STATUS_OK) {
        propose(crl);
        crl_free(crl);
    }
    return 0;
}
