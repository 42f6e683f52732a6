/* The worker's side of `moonloop serve --workers N`: what it got from its supervisor, and the
   messages between the two. */
#ifndef ML_SUPERVISED_H
#define ML_SUPERVISED_H

#include "core/signals.h"
#include "http/server/child_board.h"
#include "metrics/metric_share.h"
#include "serve/serve_sockets.h"
#include "serve/supervised_channel.h"

/* The number of the worker, from 1, also for the app and for processes that it starts. */
#define WORKER_VARIABLE "MOONLOOP_WORKER"
/* How many workers there are. */
#define WORKERS_VARIABLE "MOONLOOP_WORKERS"
/* "PLACE:LETTERS": the worker's place on the board, and what its sockets are (serve_sockets.h). It
   makes `serve` a worker, which takes it out of the environment. */
#define SUPERVISED_VARIABLE "MOONLOOP_SUPERVISED"

/* The descriptors that a supervisor passes to a worker, besides its standard output and error. */
enum {
  SUPERVISED_CONTROL = 3, /* a socket: lines from the worker, bytes to it; it ends with either */
  SUPERVISED_BOARD,
  SUPERVISED_CHANNEL, /* a socket: messages of workers to each other (channel_frames.h) */
  SUPERVISED_METRICS, /* memory (metric_share.h) */
  SUPERVISED_SOCKETS  /* the first of the listening sockets, which all workers share */
};

/* A line of the worker is a word and its arguments: */
#define SUPERVISED_FILE                                                                            \
  "file" /* a file that has code: its signature (file_watch.h) and its path                        \
          */
#define SUPERVISED_READY "ready" /* it serves; its limit `drain`, in seconds */
/* Sent by the supervisor: end when others can take your clients. SIGTERM ends it like any server,
   and so does the supervisor's own end. */
#define SUPERVISED_RETIRE 'r'
/* Read the certificates again. */
#define SUPERVISED_CERTIFICATES 'c'

typedef struct Supervised {
  int number; /* 0: this process is not a worker */
  ChildShare share;
  MetricShare metrics;
  Signals *signals;
  uv_poll_t control;
  SupervisedChannel channel; /* to the other workers; opened by the first hub */
  CloseHook close;
} Supervised;

/* The name under which the main runtime's registry keeps its Supervised, a light userdata. */
#define SUPERVISED_KEY "moonloop.supervised"

/* The format of the supervisor's log, by name: taken out of the environment, too. */
#define LOG_VARIABLE "MOONLOOP_WORKER_LOG"

/* Was this process started as a worker? */
bool supervised_is_wanted(void);

/* Takes what the supervisor passed in environment and descriptors, with the listening sockets.
   Returns NULL or what is wrong. */
const char *supervised_take(Supervised *s, ServeSockets *sockets);

/* If it was, takes the format of the log, and has the worker's number in its entries. To be called
   before anything is logged. */
void supervised_take_log(void);

/* Starts to listen to the supervisor: a request to retire is delivered to `signals` as SIGHUP, the
   supervisor's end as SIGTERM. The handle does not keep the loop alive and closes with the runtime;
   the caller owns `s`, which lives until runtime_close has returned. Returns 0 or a libuv error. */
int supervised_open(Supervised *s, Runtime *rt, Signals *signals);

/* Tells the supervisor that this worker is about to read code from the file at `path`. */
void supervised_say_file(const char *path);

/* Writes down that this worker shows `n` bytes of text about its app; false if the last one that
   did has shown the same. */
bool supervised_shows(Supervised *s, const char *text, size_t n);

/* Tells it that this worker is serving, and takes at most `drain` seconds to end cleanly. */
void supervised_say_ready(double drain);

#endif
