/* Running Lua as the main task of the process: a script, a piece of code, or a command that is
   itself written in Lua (serve, repl, test). */
#ifndef ML_SCRIPT_H
#define ML_SCRIPT_H

#include "cli.h"

/* Runs what `request` names and the loop until no task is left. Returns the exit status: 1 after an
   error of the main task, 128 + n after signal n, else 0 or what os.exit was given. */
int script_main(const CliRequest *request, int argc, char **argv);

#endif
