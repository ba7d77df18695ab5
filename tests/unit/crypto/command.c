/* See command.h. */
#include "command.h"

#include <fcntl.h>
#include <unistd.h>

static char folder[] = "/tmp/sealpost-crypto-XXXXXX";
static int before = -1;

static void need(bool good, const char *what)
{
    if (!good) {
        (void)fprintf(stderr, "cannot %s\n", what);
        abort();
    }
}

void folder_enter(void)
{
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    need(before >= 0 && mkdtemp(folder) != NULL && chdir(folder) == 0, "make a temporary folder");
}

void folder_leave(void)
{
    char line[64];

    need(fchdir(before) == 0 && close(before) == 0, "go back to the old folder");
    need(snprintf(line, sizeof(line), "rm -r %s", folder) > 0 && system(line) == 0,
         "remove the temporary folder");
}

void file_put(const char *name, struct slice content)
{
    FILE *file = fopen(name, "wb");

    need(file != NULL && fwrite(content.data, 1, content.len, file) == content.len && fclose(file) == 0,
         name);
}

void file_get(const char *name, struct buf *out)
{
    FILE *file = fopen(name, "rb");
    uint8_t piece[4096];
    size_t len;

    need(file != NULL, name);
    while ((len = fread(piece, 1, sizeof(piece), file)) > 0)
        need(buf_append(out, piece, len) == STATUS_OK, name);
    (void)fclose(file);
}

static bool run(const char *format, va_list args)
{
    struct buf line = BUF_INIT(4096);
    bool works;

    need(buf_append_text(&line, "{ ") == STATUS_OK && buf_vprintf(&line, format, args) == STATUS_OK &&
             buf_append_text(&line, "; } >said 2>&1") == STATUS_OK && buf_text(&line) != NULL,
         "build a command");
    works = system((const char *)line.data) == 0;
    buf_release(&line);
    return works;
}

bool command_works(const char *format, ...)
{
    va_list args;
    bool works;

    va_start(args, format);
    works = run(format, args);
    va_end(args);
    return works;
}

void command(const char *format, ...)
{
    struct buf said = BUF_INIT((size_t)1 << 20);
    va_list args;
    bool works;

    va_start(args, format);
    works = run(format, args);
    va_end(args);
    if (works)
        return;
    file_get("said", &said);
    (void)fprintf(stderr, "%s failed:\n%.*s\n", format, SLICE_ARGS(buf_slice(&said)));
    abort();
}
