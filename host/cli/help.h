/* What --help prints. */
#ifndef ML_HELP_H
#define ML_HELP_H

#include "cli/cli.h"

/* About a command; CLI_HELP: about all of them. */
void help_print(CliCommand about);

#endif
