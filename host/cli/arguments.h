/* Reading argv. */
#ifndef ML_ARGUMENTS_H
#define ML_ARGUMENTS_H

#include "cli/option.h"

/* Reads it into reader->request, which arguments_free frees. `terminal`: standard input is a
   terminal, so no arguments at all mean the prompt. Returns NULL or what is wrong; request->about
   is the command concerned. */
const char *arguments_read(OptionReader *reader, bool terminal);
void arguments_free(CliRequest *request);

/* The name of a command, and the command of a name; CLI_HELP if there is none. */
const char *arguments_command_name(CliCommand command);
CliCommand arguments_find_command(const char *name);

#endif
