/*
 * What sealpostctl can do: one table (command_table.c) drives the parsing, the requests, what is shown, the
 * help and the manual page.
 */
#ifndef SEALPOST_CLI_COMMAND_H
#define SEALPOST_CLI_COMMAND_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum cli_kind { CLI_ARGUMENT, CLI_OPTION /* --name VALUE */, CLI_FLAG /* --name */ };

/* Where the value of a parameter goes. */
enum cli_place {
    PLACE_PATH,      /* {field} of the path */
    PLACE_QUERY,     /* ?field= */
    PLACE_BODY,      /* a text of the body */
    PLACE_BODY_LIST, /* all values as a list of the body */
    PLACE_BODY_TRUE, /* a flag */
    PLACE_BODY_FALSE,
    PLACE_BODY_NUMBER,
    PLACE_BODY_SECONDS, /* 90, 30m, 1h, 2d */
    PLACE_BODY_FILE,    /* the file's bytes in base64 */
    PLACE_BODY_CASES,   /* the table of a file, as a list of objects: see case_file.h */
    PLACE_BODY_JSON,    /* the list in a file of JSON, or its "items" */
    PLACE_BODY_SECRET,  /* the first line of a file ("-": standard input) */
    PLACE_ROWS,         /* a CSV file: a request for each row, whose columns are the fields a|b of the body */
    PLACE_SAVE,         /* a file that is made: it gets the base64 in that field of the answer */
    PLACE_VIEW          /* only for what is shown */
};

enum cli_parameter_flags {
    CLI_REQUIRED = 1,
    CLI_REPEATED = 2, /* several values; unless they go into a list, each makes a request of its own */
};

struct cli_parameter {
    const char *name; /* "FILE", or "domain" for --domain */
    enum cli_kind kind;
    enum cli_place place;
    const char *field;
    unsigned flags;        /* enum cli_parameter_flags */
    const char *value;     /* of an option, for the help: "D" */
    const char *otherwise; /* what counts when it is not given, in a path; NULL: nothing */
    const char *choices;   /* "internal|external", or NULL */
    const char *help;
};

enum cli_format {
    SHOW_TEXT,
    SHOW_LIST,    /* joined by ", " */
    SHOW_SHORT,   /* the first 16 characters: thumbprints */
    SHOW_CLIPPED, /* as much as fits beside other columns, and "..." for the rest */
    SHOW_TIME,    /* to the minute */
    SHOW_BYTES,
    SHOW_YES,  /* yes or nothing */
    SHOW_BLOCK /* a text of several lines, last */
};

struct cli_column {
    const char *title; /* NULL ends the list */
    const char *field;
    enum cli_format format;
};

struct cli_view {
    const struct cli_column *fields;  /* of the answer itself: one a line */
    const char *list;                 /* its member that is a list of objects; NULL: none */
    const struct cli_column *columns; /* of that list: a table */
    const char *empty;                /* what is said of an empty list */
};

struct cli_input; /* cli/arguments.h */

struct cli_command {
    const char *noun, *verb;
    const char *method, *path;
    const char *path_without; /* the path when the argument that it names is not given; NULL: it must be */
    const char *body;         /* JSON that every request has; NULL: only what the parameters say */
    const struct cli_parameter *parameters;
    size_t parameter_count;
    const struct cli_view *view;
    void (*show)(const json_t *answer, const struct cli_input *input); /* in place of the view */
    const char *failing_unless; /* a member that must be true, else exit 2 */
    const char *help;           /* one sentence */
};

const struct cli_command *cli_command_at(size_t i); /* i from 0; NULL at the end */
/* What every command knows besides: -o, --endpoint, ... */
const struct cli_parameter *cli_global_at(size_t i);
/* One line about a noun; NULL if there is none. */
const char *cli_noun_help(const char *noun);

#endif
