/* `moonloop serve --workers N` and `--reload`: a process that runs no Lua, opens the listening
   sockets, and looks after the worker processes that serve on them. */
#ifndef ML_SUPERVISOR_H
#define ML_SUPERVISOR_H

#include "base/file_watch.h"
#include "metrics/metric_share.h"
#include "serve/child.h"
#include "serve/metrics_listener.h"
#include "serve/service.h"
#include "serve/supervisor_ps.h"

/* All strings live as long as the supervisor. */
typedef struct SupervisorOptions {
  const char *app;              /* the file name for messages */
  ServeWhere where;             /* to listen */
  int workers;                  /* how many; 0: one, because of `reload` */
  bool reload;                  /* new ones when the code changes */
  bool dev;                     /* a first generation that fails waits for a change of the code */
  const ListenAddress *metrics; /* where they are shown, or NULL */
  const char *user, *group;     /* to go on as when the sockets are open, or NULL */
  bool core_files;              /* may be made */
  double drain;                 /* seconds that a worker may say it takes to end, at most */
  double kill_after; /* seconds after its drain limit until a worker that does not end is killed */
} SupervisorOptions;

/* The slot of a worker, 1 to N. */
typedef struct ChildPost {
  struct Supervisor *supervisor;
  unsigned number;
  uv_timer_t restart;
  uint64_t pause; /* pause in milliseconds before the last of consecutive restarts; 0: none */
  uint64_t restarts;
} ChildPost;

typedef struct Supervisor {
  uv_loop_t loop;
  SupervisorOptions options;
  ChildOwner children;
  unsigned n_posts;
  ChildPost *posts;
  unsigned last;     /* generation that was begun */
  unsigned serving;  /* generation, or 0 before the first */
  unsigned coming;   /* generation that is being started, or 0 */
  unsigned n_coming; /* its workers that are ready */
  uv_signal_t signals[5];
  uv_timer_t rotation; /* of the keys of session tickets */
  ErrorLines errors;
  FileWatch watch;      /* --reload */
  bool watches_no_more; /* of them there are too many, which has been said */
  MetricShare metrics;
  MetricsListener metrics_listener;
  SupervisorPs ps;
  bool needs_terminal; /* if it has gone, that is what SIGHUP means */
  bool stopping;
  int status;
  ServeSockets sockets;
  char shown[1024]; /* where they listen, for people */
  Service service;
} Supervisor;

/* Serves as `options` say, with the command line `argv`, until SIGINT or SIGTERM. Returns the exit
   status: 0, or that of a worker that did not end cleanly; 1 if nothing could be served. */
int supervisor_main(const SupervisorOptions *options, char **argv);

#endif
