/* SIGINT, SIGTERM and SIGPIPE of the process, for the one runtime that its main thread runs. */
#ifndef ML_SIGNALS_H
#define ML_SIGNALS_H

#include "interrupt.h"
#include "task.h"

typedef struct Signals {
  Runtime *rt;
  uv_signal_t handles[2]; /* SIGINT, SIGTERM */
  CloseHook close;
  Interrupt interrupt;
  /* A SIGINT or SIGTERM came. Runs in a libuv callback, or between two instructions of a task that
     does not give the loop a chance; may cancel and wake tasks, and must not enter Lua. */
  void (*on_signal)(struct Signals *signals, int signum);
  /* A second SIGINT or SIGTERM ends the process at once, even when the loop is busy. */
  bool second_ends;
  Waker waiter; /* a task that waits for the next signal, or none */
  int taken;    /* the signal that came for it, or 0 */
  bool keep;    /* a signal that no task waits for is kept in `taken` for the next that does */
  TaskHandle *foreground; /* what SIGINT cancels, in place of everything; or NULL */
} Signals;

/* The name under which the main runtime's registry keeps its Signals, a light userdata. */
#define SIGNALS_KEY "moonloop.signals"

/* Catches the signals for `rt`; the handles do not keep the loop alive and close with the runtime.
   `signals` is the caller's and lives until runtime_close has returned. One at a time in a process:
   a signal has no other way to find it. Returns 0 or a libuv error. */
int signals_open(Signals *signals, Runtime *rt,
                 void (*on_signal)(struct Signals *signals, int signum));

/* Hands `signum` over as if the process had got it, from a libuv callback: SIGINT, SIGTERM, or the
   SIGHUP of a supervisor, which signals_open does not catch. */
void signals_raise(Signals *s, int signum);

/* What a write to a closed pipe or socket does: it fails with EPIPE. Where `quit_with_stdout` is
   true, the process dies of SIGPIPE, as a filter should, once the reader of its standard output
   has gone. */
void signals_ignore_pipe(bool quit_with_stdout);

#endif
