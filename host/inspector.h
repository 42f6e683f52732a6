/* Lets people look into a running process: SIGUSR1 prints the live tasks to standard error, and
   `moonloop ps PID` asks for them through a Unix socket. */
#ifndef ML_INSPECTOR_H
#define ML_INSPECTOR_H

#include "runtime.h"

typedef struct Inspector {
  Runtime *rt;
  int fd; /* the listening socket, or -1 */
  uv_poll_t listener;
  uv_signal_t signal;
  CloseHook close;
  PassHook pass;
  bool print; /* SIGUSR1 came */
  struct InspectorClient *clients;
  size_t n_clients;
} Inspector;

/* Starts both for `rt`, the runtime of the main thread. The socket has an abstract name made of the
   process's number: no file is left behind, however the process ends. Only processes of the same
   effective user get an answer. The handles do not keep the loop alive and close with the runtime;
   `inspector` is the caller's and lives until runtime_close has returned. Where one of the two
   cannot be had (the name is taken), the program does without. */
void inspector_open(Inspector *inspector, Runtime *rt);

/* `moonloop ps PID [--traceback]`: prints what the process answers. It answers between two passes
   of its loop; while one of its tasks computes or blocks, the wait ends after a few seconds with a
   message that says so. Returns the exit status. */
int inspector_ask(long pid, bool tracebacks);

#endif
