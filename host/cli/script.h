/* Running Lua as the main task of the process: a script, a piece of code, or a command that is
   itself written in Lua (serve, repl, test). */
#ifndef ML_SCRIPT_H
#define ML_SCRIPT_H

#include "cli/cli.h"

/* Runs what `request` names, and the loop until no task is left. Returns the exit status: 1 after
   an error of the main task, 128 + n after signal n, otherwise 0 or the status given to os.exit.
   `open` opens the modules in a new state. */
int script_main(const CliRequest *request, char **argv, void (*open)(lua_State *L));

/* The source to load, as a light userdata. */
typedef struct ScriptSource {
  const CliRequest *request;
  char **argv;
  struct Signals *signals;
  struct Supervised *supervised; /* its number is 0 if the process is not a worker */
  struct ServeSockets *sockets;  /* of serve and work; or NULL */
  struct Service *service;       /* of serve in one process, and of work; or NULL */
} ScriptSource;

/* Called in protected mode in the main state: (ScriptSource) -> the main function and its
   arguments. Sets the global `arg`; signals are caught from then on. */
int script_load(lua_State *L);

#endif
