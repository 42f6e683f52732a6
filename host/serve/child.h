/* A worker process as its supervisor sees it: its start, its messages, its end. */
#ifndef ML_CHILD_H
#define ML_CHILD_H

#include "base/buffer.h"
#include "http/server/child_board.h"
#include "metrics/metric_share.h"
#include "serve/child_channel.h"
#include "serve/error_lines.h"
#include "serve/serve_sockets.h"
#include "serve/supervised_said.h"

#include <uv.h>

typedef enum ProcessState {
  PROCESS_STARTING, /* it loads the app */
  PROCESS_READY,    /* it serves */
  PROCESS_LEAVING,  /* it was told to end */
} ProcessState;

typedef struct Child Child;

/* Shared by all workers of a supervisor. */
typedef struct ChildOwner {
  uv_loop_t *loop;
  char **argv;       /* of `moonloop serve`, for all */
  double kill_after; /* seconds after the drain limit until a worker that does not end is killed */
  double drain;      /* the longest drain limit that a worker is believed */
  ServeSockets *sockets; /* which they share */
  int board_fd;          /* what they map */
  ChildBoard *board;     /* the same here */
  ChildPlaces places;    /* on it */
  MetricShare *metrics;  /* the same */
  ErrorLines *errors;
  bool is_alone; /* there is one worker, for a person: its lines need no name */
  Child *first;
  /* Its app is loaded, and it accepts clients. */
  void (*on_ready)(Child *w);
  /* It loads code from the file, which had that signature. */
  void (*on_file)(Child *w, const char *path, const FileSignature *signature);
  /* It has ended, and all its output has been printed. `w` is gone when this returns. */
  void (*on_end)(Child *w);
} ChildOwner;

struct Child {
  ChildOwner *owner;
  Child *next, **link; /* among the owner's, until it has ended */
  unsigned number;     /* from 1; its replacement gets the same number */
  unsigned generation;
  ProcessState state;
  bool was_ready;
  int place;           /* on the board */
  uint64_t started_at; /* loop milliseconds */
  double drain;        /* most seconds that it takes to end cleanly */
  int status, signal;  /* how it ended */
  /* the rest is its own */
  uv_process_t process;
  uv_pipe_t errors;     /* its standard error */
  uv_pipe_t control;    /* SUPERVISED_CONTROL */
  ChildChannel channel; /* SUPERVISED_CHANNEL */
  uv_timer_t killer;    /* it does not end */
  int open_handles;
  Buffer printed; /* the line that has not come to its end */
  Said said;
};

/* Starts a worker. Returns 0 or a libuv error. */
int child_start(ChildOwner *owner, unsigned number, unsigned generation);

/* Tells it to end once its clients have other workers to go to. One that is not ready just ends. */
void child_retire(Child *w);

/* Tells it to read its certificates again. */
void child_read_certificates(Child *w);

/* Tells it to end, as a SIGTERM does for any server. In both cases, it is killed if it does not end
   long after it should have. */
void child_stop(Child *w);

/* How it ended, as words. */
void child_describe_end(const Child *w, char *text, size_t size);

#endif
