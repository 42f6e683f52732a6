/* `moonloop serve --workers N` and `--reload`: a process that runs no Lua, opens the listening
   socket, and looks after the worker processes that serve on it. */
#ifndef ML_SUPERVISOR_H
#define ML_SUPERVISOR_H

#include "cli.h"
#include "file_watch.h"
#include "supervisor_ps.h"
#include "supervisor_worker.h"

/* The post of worker 1 to N. */
typedef struct WorkerPost {
  struct Supervisor *supervisor;
  unsigned number;
  uv_timer_t restart;
  uint64_t pause; /* milliseconds before the last restart in a row; 0: all is well */
  uint64_t restarts;
} WorkerPost;

typedef struct Supervisor {
  uv_loop_t loop;
  const CliRequest *request;
  WorkerOwner workers;
  unsigned n_posts;
  WorkerPost *posts;
  unsigned last;     /* generation that was begun */
  unsigned serving;  /* generation, or 0: none has come so far */
  unsigned coming;   /* generation that is being started, or 0 */
  unsigned n_coming; /* its workers that are ready */
  uv_signal_t signals[4];
  FileWatch watch; /* --reload */
  SupervisorPs ps;
  bool needs_terminal; /* SIGHUP means that it has gone, when it has */
  bool stopping;
  int status;
  int port;
} Supervisor;

/* Serves as `request` says, with the command line `argv`, until SIGINT or SIGTERM. Returns the exit
   status: 0, or that of a worker which did not end in order; 1 when nothing could be served. */
int supervisor_main(const CliRequest *request, char **argv);

#endif
