/* See help.h. */
#include "cli/help.h"

#include <stdarg.h>
#include <string.h>

struct page {
    struct buf *out;
    enum status status; /* the first failure */
};

static void put(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct page *p, const char *format, ...)
{
    va_list args;
    if (p->status == STATUS_OK) {
        va_start(args, format);
        p->status = buf_vprintf(p->out, format, args);
        va_end(args);
    }
}

static void put_parameter(struct page *p, const struct cli_parameter *q)
{
    bool required = (q->flags & CLI_REQUIRED) != 0;
    put(p, required ? " " : " [");
    if (q->kind == CLI_ARGUMENT) {
        put(p, "%s", q->name);
    } else if (q->kind == CLI_FLAG) {
        put(p, "--%s", q->name);
    } else {
        put(p, "--%s %s", q->name, q->choices != NULL ? q->choices : q->value);
    }
    put(p, "%s%s", (q->flags & CLI_REPEATED) != 0 ? (q->kind == CLI_ARGUMENT ? "..." : " ...") : "",
        required ? "" : "]");
}

enum status cli_synopsis_format(const struct cli_command *c, struct buf *out)
{
    struct page p = {out, STATUS_OK};
    put(&p, "%s %s", c->noun, c->verb);
    for (size_t i = 0; i < c->parameter_count; i++) {
        put_parameter(&p, &c->parameters[i]);
    }
    return p.status;
}

static void put_synopsis(struct page *p, const struct cli_command *c)
{
    if (p->status == STATUS_OK) {
        p->status = cli_synopsis_format(c, p->out);
    }
}

/* --- help --- */

static void put_parameter_help(struct page *p, const struct cli_parameter *q)
{
    char left[64];
    const char *dashes = q->kind == CLI_ARGUMENT ? "" : "--";
    bool has_value = q->kind == CLI_OPTION;
    if (snprintf(left, sizeof(left), "%s%s%s%s", dashes, q->name, has_value ? " " : "",
                 has_value ? q->value : "") > 0) {
        put(p, "  %-22s %s%s%s%s\n", left, q->help, q->choices != NULL ? " (" : "",
            q->choices != NULL ? q->choices : "", q->choices != NULL ? ")" : "");
    }
}

static void put_globals(struct page *p)
{
    const struct cli_parameter *g;
    put(p, "\nOptions of all commands:\n");
    for (size_t i = 0; (g = cli_global_at(i)) != NULL; i++) {
        put_parameter_help(p, g);
    }
}

static void command_help(struct page *p, const struct cli_command *c)
{
    put(p, "sealpostctl ");
    put_synopsis(p, c);
    put(p, "\n\n%s\n", c->help);
    if (c->parameter_count > 0) {
        put(p, "\n");
    }
    for (size_t i = 0; i < c->parameter_count; i++) {
        put_parameter_help(p, &c->parameters[i]);
    }
    put_globals(p);
}

static void noun_help(struct page *p, const char *noun)
{
    const struct cli_command *c;
    put(p, "sealpostctl %s: %s\n\n", noun, cli_noun_help(noun));
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        if (strcmp(c->noun, noun) == 0) {
            put(p, "  sealpostctl ");
            put_synopsis(p, c);
            put(p, "\n      %s\n", c->help);
        }
    }
}

static void general_help(struct page *p)
{
    const struct cli_command *c;
    const char *before = "";
    put(p, "sealpostctl NOUN VERB ...: administers a Sealpost cluster.\n\n");
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        if (strcmp(c->noun, before) != 0) {
            put(p, "%s  %-10s", i > 0 ? "\n" : "", c->noun);
            before = c->noun;
        }
        put(p, " %s", c->verb);
    }
    put(p, "\n");
    put_globals(p);
    put(p, "\nMore: sealpostctl help NOUN [VERB]\n");
}

enum status cli_help_format(const char *noun, const struct cli_command *command, struct buf *out)
{
    struct page p = {out, STATUS_OK};
    if (command != NULL) {
        command_help(&p, command);
    } else if (noun != NULL) {
        noun_help(&p, noun);
    } else {
        general_help(&p);
    }
    return p.status;
}

/* --- the manual page --- */

/* Text of the table as roff: a hyphen is a minus that can be copied, a leading dot is no macro. */
static void put_roff(struct page *p, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '-') {
            put(p, "\\-");
        } else if (*c == '\\') {
            put(p, "\\e");
        } else if (*c == '.' && c == text) {
            put(p, "\\&.");
        } else {
            put(p, "%c", *c);
        }
    }
}

static void put_roff_parameter(struct page *p, const struct cli_parameter *q)
{
    put(p, ".TP\n");
    if (q->kind == CLI_ARGUMENT) {
        put(p, ".I ");
        put_roff(p, q->name);
    } else {
        put(p, ".BI \\-\\-");
        put_roff(p, q->name);
        if (q->kind == CLI_OPTION) {
            put(p, " \" %s\"", q->value);
        }
    }
    put(p, "\n");
    put_roff(p, q->help);
    if (q->choices != NULL) {
        put(p, " (");
        put_roff(p, q->choices);
        put(p, ")");
    }
    put(p, "\n");
}

static void put_roff_command(struct page *p, const struct cli_command *c)
{
    struct buf synopsis = BUF_INIT(4096);
    if (p->status == STATUS_OK) {
        p->status = cli_synopsis_format(c, &synopsis);
    }
    const char *text = buf_text(&synopsis);
    put(p, ".SS \"");
    put_roff(p, text != NULL ? text : "");
    put(p, "\"\n");
    put_roff(p, c->help);
    put(p, "\n");
    for (size_t i = 0; i < c->parameter_count; i++) {
        put_roff_parameter(p, &c->parameters[i]);
    }
    buf_release(&synopsis);
}

static const char man_head[] = ".\\\" Made by: sealpostctl help --man\n"
                               ".TH SEALPOSTCTL 1 \"\" \"Sealpost " SEALPOST_VERSION "\" \"Sealpost\"\n"
                               ".SH NAME\n"
                               "sealpostctl \\- administer a Sealpost cluster\n"
                               ".SH SYNOPSIS\n"
                               ".B sealpostctl\n"
                               ".RI [ options ] \" noun verb\" \" \" [ arguments ]\n"
                               ".br\n"
                               ".B sealpostctl help\n"
                               ".RI [ noun \" [\" verb ]]\n"
                               ".SH DESCRIPTION\n"
                               "Talks to the API of one node over https; a change made there is made for the "
                               "whole cluster. Options may stand\n"
                               "anywhere;\n"
                               ".B \\-\\-\n"
                               "ends them, for values that begin with a minus.\n"
                               ".SH COMMANDS\n";

static const char man_tail[] =
    ".SH ENVIRONMENT\n"
    ".TP\n.B SEALPOST_ENDPOINT\nThe node to talk to: https://HOST:PORT.\n"
    ".TP\n.B SEALPOST_TOKEN\nThe API token. It is never taken from the command line, where others could see "
    "it.\n"
    ".TP\n.B SEALPOST_CACERT\nThe certificate of the cluster's CA, in PEM.\n"
    ".SH EXIT STATUS\n"
    ".TP\n.B 0\nDone.\n"
    ".TP\n.B 1\nThe command line, a file or this machine is at fault; nothing was sent, or nothing more.\n"
    ".TP\n.B 2\nThe node could not be reached, or refused: the message says why.\n"
    ".TP\n.B 3\nThere is no such thing.\n"
    ".TP\n.B 4\nThe token is missing, not valid, or may not do this.\n"
    ".SH SEE ALSO\n"
    ".BR sealpostd (8)\n";

enum status cli_man_format(struct buf *out)
{
    struct page p = {out, STATUS_OK};
    const struct cli_command *c;
    const struct cli_parameter *g;
    put(&p, "%s", man_head);
    for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
        put_roff_command(&p, c);
    }
    put(&p, ".SH OPTIONS\n");
    for (size_t i = 0; (g = cli_global_at(i)) != NULL; i++) {
        put_roff_parameter(&p, g);
    }
    put(&p, "%s", man_tail);
    return p.status;
}
