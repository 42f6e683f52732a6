/* Lets users look into a running process: SIGUSR1 prints the live tasks to standard error, and
   `moonloop ps PID` asks for them through a Unix socket, as the pages of `serve --inspect` do. */
#ifndef ML_INSPECTOR_H
#define ML_INSPECTOR_H

#include "core/interrupt.h"
#include "core/runtime.h"
#include "inspect/insight.h"

typedef struct Inspector {
  Runtime *rt;
  int fd; /* the listening socket, or -1 */
  uv_poll_t listener;
  Timer pause; /* no descriptors are left: then it looks again */
  uv_signal_t signal;
  CloseHook close;
  PassHook pass;
  Interrupt interrupt;
  volatile sig_atomic_t print; /* SIGUSR1 came */
  Insight *insight;            /* NULL: surveys are not answered */
  uv_idle_t surveying;         /* active while a survey goes on */
  struct InspectorClient *clients;
  size_t n_clients;
} Inspector;

/* Both are answered between two passes of the loop, or between two instructions of a task that does
   not end.

   Starts both for `rt`, the runtime of the main thread. The handles do not keep the loop alive and
   close with the runtime; `inspector` is the caller's and lives until runtime_close has returned.
   If one of the two is not available (the name is taken), the program does without it. */
void inspector_open(Inspector *inspector, Runtime *rt);

/* From now on it answers the questions of survey.h, too, unless memory is out. */
void inspector_allow_surveys(Inspector *inspector);

#endif
