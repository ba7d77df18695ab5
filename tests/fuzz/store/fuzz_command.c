/* Command decoding, as a peer or a role could send it: log entries, commands, certificate records. */
#include "store/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_of(data, size), encoded;
    struct command command;
    struct certificate_record record;
    struct failure f;
    struct buf again = BUF_INIT(COMMAND_MAX);

    if (command_entry_read(in, &encoded) != STATUS_OK)
        encoded = in;
    if (command_decode(encoded, &command, &f) == STATUS_OK && command_encode(&command, &again) != STATUS_OK)
        abort(); /* what was understood can be said again */
    (void)!certificate_record_decode(in, &record);
    buf_release(&again);
    return 0;
}
