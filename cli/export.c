/* `cert export`: the file out of the answer, to where --file says. See views.h. */
#include "cli/arguments.h"
#include "cli/views.h"

#include "base/buf.h"

#include <stdio.h>

static const char *file_name(const struct cli_input *input)
{
    for (size_t i = 0; i < input->command->parameter_count; i++) {
        if (strcmp(input->command->parameters[i].name, "file") == 0) {
            return cli_value_of(input, &input->command->parameters[i], 0);
        }
    }
    return NULL;
}

static int value_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != '\0' ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

/* RFC 4648 without line breaks, as the node writes it. */
static bool write_decoded(const char *text, FILE *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    for (; *text != '\0' && *text != '='; text++) {
        int value = value_of(*text);
        if (value < 0) {
            return false;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            if (fputc((int)(bits >> count & 0xff), out) == EOF) {
                return false;
            }
        }
    }
    return true;
}

void show_export(const json_t *answer, const struct cli_input *input)
{
    const char *data = json_string_value(json_object_get(answer, "data")), *name = file_name(input);
    FILE *out = name != NULL && strcmp(name, "-") != 0 ? fopen(name, "wb") : stdout;
    if (out == NULL) {
        fprintf(stderr, "sealpostctl: cannot write %s\n", name);
        return;
    }
    bool good = data != NULL && write_decoded(data, out);
    good = (out == stdout ? fflush(out) : fclose(out)) == 0 && good;
    if (!good) {
        fprintf(stderr, "sealpostctl: the certificates could not be written\n");
    } else if (out != stdout) {
        printf("certificates written: %lld\n",
               (long long)json_integer_value(json_object_get(answer, "count")));
    }
}
