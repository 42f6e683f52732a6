/* A worker process of `moonloop serve --workers N`, as it sees itself: what it got from its
   supervisor, and what the two tell each other. */
#ifndef ML_SUPERVISED_H
#define ML_SUPERVISED_H

#include "signals.h"
#include "worker_board.h"

/* The number of the worker, from 1: for the app, too, and for what it starts. */
#define WORKER_VARIABLE "MOONLOOP_WORKER"
/* The worker's place on the board. It makes `serve` a worker, which takes it out of the
 * environment.
 */
#define SUPERVISED_VARIABLE "MOONLOOP_SUPERVISED"

/* The descriptors that a supervisor gives to a worker, beside its standard output and error. */
enum {
  SUPERVISED_LISTENER = 3, /* the listening socket that all workers share */
  SUPERVISED_CONTROL,      /* a socket: lines from the worker, bytes to it; it ends with either */
  SUPERVISED_BOARD,
  SUPERVISED_DESCRIPTORS
};

/* A line of the worker is a word and what is to be said: */
#define SUPERVISED_FILE                                                                            \
  "file" /* a file that has code: its signature (file_watch.h) and its path                        \
          */
#define SUPERVISED_READY "ready" /* it serves; its limit `drain`, in seconds */
/* What the supervisor sends: end when others can take your clients. SIGTERM ends it as it would any
   server; so does the supervisor's own end. */
#define SUPERVISED_RETIRE 'r'

typedef struct Supervised {
  int number; /* 0: this process is no worker */
  bool is_listener_taken;
  WorkerShare share;
  Signals *signals;
  uv_poll_t control;
  CloseHook close;
} Supervised;

/* The name under which the main runtime's registry keeps its Supervised, a light userdata. */
#define SUPERVISED_KEY "moonloop.supervised"

/* Was this process started as a worker? */
bool supervised_is_wanted(void);

/* Takes what the supervisor gave from environment and descriptors. Returns NULL, or what is wrong.
 */
const char *supervised_take(Supervised *s);

/* Begins to obey: the word to retire is a SIGHUP for `signals`, the supervisor's end a SIGTERM. The
   handle does not keep the loop alive and closes with the runtime; `s` is the caller's and lives
   until runtime_close has returned. Returns 0 or a libuv error. */
int supervised_open(Supervised *s, Runtime *rt, Signals *signals);

/* Tells the supervisor that this worker is about to read code from the file at `path`. */
void supervised_say_file(const char *path);

/* Tells it that this worker serves, and that it takes `drain` seconds at most to end in order. */
void supervised_say_ready(double drain);

#endif
