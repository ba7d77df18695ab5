/* The whole of sealpostctl, for main() and for tests. */
#ifndef SEALPOST_CLI_RUN_H
#define SEALPOST_CLI_RUN_H

/* What went wrong, for scripts: the exit status. */
enum cli_exit { CLI_OK = 0, CLI_LOCAL = 1, CLI_REMOTE = 2, CLI_NOT_FOUND = 3, CLI_DENIED = 4 };

int cli_run(int argc, char **argv);

#endif
