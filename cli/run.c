#include "cli/run.h"
int cli_run(int argc, char **argv)
{
    return argc > 0 && argv != 0 ? CLI_LOCAL : CLI_OK;
}
