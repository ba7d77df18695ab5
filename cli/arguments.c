/* See arguments.h. Options may stand anywhere behind the program's name; "--" ends them. */
#include "cli/arguments.h"

#include "base/nearest.h"

#include <string.h>

const char *cli_value_of(const struct cli_input *input, const struct cli_parameter *parameter, size_t i)
{
    for (size_t k = 0; k < input->value_count; k++) {
        if (input->values[k].parameter == parameter && i-- == 0) {
            return input->values[k].text;
        }
    }
    return NULL;
}

bool cli_given(const struct cli_input *input, const char *name)
{
    for (size_t k = 0; k < input->value_count; k++) {
        if (strcmp(input->values[k].parameter->name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* --- names that are not known --- */

static enum status unknown_noun(const char *noun, struct failure *f)
{
    struct nearest nearest = {.name = slice_of_text(noun)};
    const struct cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        nearest_offer(&nearest, c->noun);
    }
    return failure_set(f, STATUS_INVALID, "there is no \"%s\"%s%s%s; see sealpostctl help", noun,
                       nearest.best != NULL ? "; did you mean \"" : "",
                       nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "\"?" : "");
}

static enum status unknown_verb(const char *noun, const char *verb, struct failure *f)
{
    struct nearest nearest = {.name = slice_of_text(verb)};
    const struct cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        if (strcmp(c->noun, noun) == 0) {
            nearest_offer(&nearest, c->verb);
        }
    }
    return failure_set(f, STATUS_INVALID, "%s does not know \"%s\"%s%s%s; see sealpostctl help %s", noun,
                       verb, nearest.best != NULL ? "; did you mean \"" : "",
                       nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "\"?" : "", noun);
}

static const struct cli_parameter *option_find(const struct cli_command *c, struct slice name,
                                               struct nearest *nearest)
{
    const struct cli_parameter *p;
    for (size_t i = 0; c != NULL && i < c->parameter_count; i++) {
        p = &c->parameters[i];
        if (p->kind != CLI_ARGUMENT) {
            nearest_offer(nearest, p->name);
            if (slice_equal(name, slice_of_text(p->name))) {
                return p;
            }
        }
    }
    for (size_t i = 0; (p = cli_global_at(i)) != NULL; i++) {
        nearest_offer(nearest, p->name);
        if (slice_equal(name, slice_of_text(p->name))) {
            return p;
        }
    }
    return NULL;
}

/* --- the words --- */

static bool noun_exists(const char *noun)
{
    return cli_noun_help(noun) != NULL;
}

static const struct cli_command *command_find(const char *noun, const char *verb)
{
    const struct cli_command *c;
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        if (strcmp(c->noun, noun) == 0 && strcmp(c->verb, verb) == 0) {
            return c;
        }
    }
    return NULL;
}

struct reading {
    struct cli_input *out;
    struct failure *f;
    int argc;
    char *const *argv;
    int at;
    size_t argument; /* position among the command's arguments */
    size_t words;
};

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *c = choices; *c != '\0';) {
        size_t n = strcspn(c, "|");
        if (n == len && strncmp(c, text, n) == 0) {
            return true;
        }
        c += n + (c[n] == '|');
    }
    return false;
}

static enum status value_add(struct reading *r, const struct cli_parameter *p, const char *text)
{
    if (p->choices != NULL && !is_choice(p->choices, text)) {
        return failure_set(r->f, STATUS_INVALID, "%s%s: must be one of %s, not \"%s\"",
                           p->kind == CLI_ARGUMENT ? "" : "--", p->name, p->choices, text);
    }
    if ((p->flags & CLI_REPEATED) == 0 && cli_value_of(r->out, p, 0) != NULL) {
        return failure_set(r->f, STATUS_INVALID, "%s%s is given twice", p->kind == CLI_ARGUMENT ? "" : "--",
                           p->name);
    }
    if (r->out->value_count == CLI_VALUES_MAX) {
        return failure_set(r->f, STATUS_TOO_LARGE, "there are too many arguments");
    }
    r->out->values[r->out->value_count++] = (struct cli_value){p, text};
    return STATUS_OK;
}

static enum status global_set(struct reading *r, const struct cli_parameter *p, const char *text)
{
    struct cli_input *in = r->out;
    if (p->choices != NULL && !is_choice(p->choices, text)) {
        return failure_set(r->f, STATUS_INVALID, "--%s: must be one of %s, not \"%s\"", p->name, p->choices,
                           text);
    }
    if (strcmp(p->name, "output") == 0) {
        in->json = strcmp(text, "json") == 0;
    } else if (strcmp(p->name, "endpoint") == 0) {
        in->endpoint = text;
    } else if (strcmp(p->name, "token-file") == 0) {
        in->token_file = text;
    } else if (strcmp(p->name, "cacert") == 0) {
        in->cacert = text;
    } else if (strcmp(p->name, "consistent") == 0) {
        in->consistent = true;
    } else {
        in->help = true;
    }
    return STATUS_OK;
}

static bool is_global(const struct cli_parameter *p)
{
    const struct cli_parameter *g;
    for (size_t i = 0; (g = cli_global_at(i)) != NULL; i++) {
        if (g == p) {
            return true;
        }
    }
    return false;
}

static enum status option_read(struct reading *r, const char *word)
{
    struct slice name = slice_of_text(word + 2);
    size_t equals = slice_find_byte(name, '=');
    const char *text = equals < name.len ? word + 2 + equals + 1 : NULL;
    name.len = equals;
    struct nearest nearest = {.name = name};
    const struct cli_parameter *p = option_find(r->out->command, name, &nearest);
    if (p == NULL) {
        return failure_set(r->f, STATUS_INVALID, "there is no option --%.*s%s%s%s", SLICE_ARGS(name),
                           nearest.best != NULL ? "; did you mean --" : "",
                           nearest.best != NULL ? nearest.best : "", nearest.best != NULL ? "?" : "");
    }
    if (p->kind == CLI_FLAG && text != NULL) {
        return failure_set(r->f, STATUS_INVALID, "--%s takes no value", p->name);
    }
    if (p->kind == CLI_OPTION && text == NULL) {
        if (r->at + 1 >= r->argc) {
            return failure_set(r->f, STATUS_INVALID, "--%s needs a value", p->name);
        }
        text = r->argv[++r->at];
    }
    if (text == NULL) {
        text = "";
    }
    return is_global(p) ? global_set(r, p, text) : value_add(r, p, text);
}

static enum status argument_read(struct reading *r, const char *word)
{
    const struct cli_command *c = r->out->command;
    for (; r->argument < c->parameter_count; r->argument++) {
        const struct cli_parameter *p = &c->parameters[r->argument];
        if (p->kind == CLI_ARGUMENT) {
            r->argument += (p->flags & CLI_REPEATED) == 0;
            return value_add(r, p, word);
        }
    }
    return failure_set(r->f, STATUS_INVALID, "%s %s takes no argument \"%s\"", c->noun, c->verb, word);
}

static enum status word_read(struct reading *r, const char *word)
{
    struct cli_input *in = r->out;
    if (r->words == 0 && strcmp(word, "help") == 0) {
        in->help = true;
        return STATUS_OK;
    }
    if (r->words == 0) {
        r->words++;
        in->noun = word;
        return noun_exists(word) ? STATUS_OK : unknown_noun(word, r->f);
    }
    if (r->words == 1) {
        r->words++;
        in->command = command_find(in->noun, word);
        return in->command != NULL ? STATUS_OK : unknown_verb(in->noun, word, r->f);
    }
    return argument_read(r, word);
}

static enum status missing_check(const struct cli_input *in, struct failure *f)
{
    for (size_t i = 0; i < in->command->parameter_count; i++) {
        const struct cli_parameter *p = &in->command->parameters[i];
        if ((p->flags & CLI_REQUIRED) != 0 && cli_value_of(in, p, 0) == NULL) {
            return failure_set(f, STATUS_INVALID, "%s%s is missing; see sealpostctl help %s %s",
                               p->kind == CLI_ARGUMENT ? "" : "--", p->name, in->command->noun,
                               in->command->verb);
        }
    }
    return STATUS_OK;
}

enum status cli_arguments_read(int argc, char *const *argv, struct cli_input *out, struct failure *f)
{
    struct reading r = {.out = out, .f = f, .argc = argc, .argv = argv, .at = 1};
    bool options = true;
    *out = (struct cli_input){0};
    for (; r.at < argc; r.at++) {
        const char *word = argv[r.at];
        enum status status;
        if (options && strcmp(word, "--") == 0) {
            options = false;
            continue;
        }
        if (options && strcmp(word, "-h") == 0) {
            word = "--help";
        } else if (options && strcmp(word, "-o") == 0) {
            word = "--output";
        }
        if (options && strcmp(word, "--version") == 0) {
            out->version = true;
            continue;
        }
        if (options && strcmp(word, "--man") == 0 && out->help) {
            out->man = true;
            continue;
        }
        if (options && word[0] == '-' && word[1] == '-') {
            status = option_read(&r, word);
        } else if (options && word[0] == '-' && word[1] != '\0') {
            status = failure_set(f, STATUS_INVALID, "there is no option %s", word);
        } else {
            status = word_read(&r, word);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    if (out->help || out->version) {
        return STATUS_OK;
    }
    if (out->noun == NULL || out->command == NULL) {
        out->help = true;
        return failure_set(f, STATUS_INVALID, "%s",
                           out->noun == NULL ? "say what to do" : "say what to do with it");
    }
    return missing_check(out, f);
}
