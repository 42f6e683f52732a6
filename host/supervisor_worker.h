/* A worker process, as its supervisor sees it: its start, what it says, its end. */
#ifndef ML_SUPERVISOR_WORKER_H
#define ML_SUPERVISOR_WORKER_H

#include "buffer.h"
#include "supervised_said.h"
#include "worker_board.h"

#include <uv.h>

typedef enum ProcessState {
  PROCESS_STARTING, /* it loads the app */
  PROCESS_READY,    /* it serves */
  PROCESS_LEAVING,  /* it was told to end */
} ProcessState;

typedef struct SupervisorWorker SupervisorWorker;

/* What all workers of a supervisor have in common. */
typedef struct WorkerOwner {
  uv_loop_t *loop;
  char **argv;        /* of `moonloop serve`, for all */
  double kill_after;  /* seconds beyond its drain limit until one that does not end is killed */
  int listener;       /* the socket that they share */
  int board_fd;       /* what they map */
  WorkerBoard *board; /* the same here */
  SupervisorWorker *workers;
  /* Its app is loaded, and it accepts clients. */
  void (*on_ready)(SupervisorWorker *w);
  /* It takes code from the file, which had that signature. */
  void (*on_file)(SupervisorWorker *w, const char *path, const FileSignature *signature);
  /* It has ended; all it has said has been printed. `w` is gone when this returns. */
  void (*on_end)(SupervisorWorker *w);
} WorkerOwner;

struct SupervisorWorker {
  WorkerOwner *owner;
  SupervisorWorker *next, **link; /* among the owner's, until it has ended */
  unsigned number;                /* from 1, and the same for the one that takes its place */
  unsigned generation;
  ProcessState state;
  bool was_ready;
  int place;           /* on the board */
  uint64_t started_at; /* loop milliseconds */
  double drain;        /* seconds that it takes to end in order, at most */
  int status, signal;  /* how it ended */
  /* the rest is its own */
  uv_process_t process;
  uv_pipe_t errors;  /* its standard error */
  uv_pipe_t control; /* SUPERVISED_CONTROL */
  uv_timer_t killer; /* it does not end */
  int open_handles;
  Buffer printed; /* the line that has not come to its end */
  Said said;
};

/* Starts a worker. Returns 0 or a libuv error. */
int supervisor_worker_start(WorkerOwner *owner, unsigned number, unsigned generation);

/* Tells it to end when its clients have other workers to go to. One that is not ready just ends. */
void supervisor_worker_retire(SupervisorWorker *w);

/* Tells it to end, as a SIGTERM does any server. Both: one that does not, long after it should
   have, is killed. */
void supervisor_worker_stop(SupervisorWorker *w);

/* How it ended, as words. */
void supervisor_worker_describe_end(const SupervisorWorker *w, char *text, size_t size);

#endif
