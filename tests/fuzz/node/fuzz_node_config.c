/* A node's configuration file of any bytes: an answer, never a crash; and what was read can be written and
 * read again. */
#include "base/channel.h"
#include "node/config.h"

#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status read_bytes(struct slice text, struct node_config *config)
{
    struct failure f;
    int fd = -1;
    enum status status = memory_file_of("config", text, &fd, &f);
    if (status == STATUS_OK) {
        status = node_config_read_fd(fd, "node.conf", config, &f);
        close(fd);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct node_config config, again;
    struct buf text = BUF_INIT(65536);
    if (read_bytes(slice_of(data, size), &config) == STATUS_OK &&
        node_config_write(&config, &text) == STATUS_OK &&
        (read_bytes(buf_slice(&text), &again) != STATUS_OK || memcmp(&config, &again, sizeof(config)) != 0)) {
        abort();
    }
    buf_release(&text);
    return 0;
}
