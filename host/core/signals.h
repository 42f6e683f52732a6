/* Handles SIGINT, SIGTERM, SIGHUP and SIGPIPE for the runtime of the process's main thread. */
#ifndef ML_SIGNALS_H
#define ML_SIGNALS_H

#include "core/interrupt.h"
#include "core/task.h"

enum { SIGNALS_CAUGHT = 3 };

/* The effect of a second SIGINT or SIGTERM, even if the loop is busy. */
typedef enum SignalsSecond {
  SECOND_IS_AS_FIRST,
  SECOND_ENDS, /* it ends the process at once */
  /* For the prompt: a second SIGTERM ends the process at once, and so does a SIGINT within two
     seconds of another one that did not lead back to the prompt. */
  SECOND_ENDS_PROMPT
} SignalsSecond;

/* A hook that acts at once when a signal ends the process, before any task learns of it, and even
   while a task computes. Runs where on_signal does, and must not enter Lua. */
typedef struct SignalHook {
  struct SignalHook *next, **link; /* link: NULL while it is not listed */
  void (*act)(struct SignalHook *hook);
} SignalHook;

/* The caller sets the first fields. */
typedef struct Signals {
  /* Called for a signal that no task waits for. Runs in a libuv callback, or between two
     instructions of a task that keeps the loop busy; may cancel and wake tasks, and must not enter
     Lua. */
  void (*on_signal)(struct Signals *signals, int signum);
  SignalsSecond second;
  /* Catch SIGHUP, too: it ends the process cleanly, as SIGTERM does. Not if it is ignored
     (nohup). */
  bool ends_at_hangup;
  /* SIGHUP asks for something else than the end; a task waits for it. */
  bool stays_at_hangup;
  /* Seconds after which a SIGTERM ends the process if neither the loop nor a task has seen it
     because a C function blocks. 0: never. */
  unsigned patience;
  /* A server acts on signals itself: its scripts must not listen for them. */
  bool are_servers;
  /* the rest is its own */
  Runtime *rt;
  uv_signal_t handles[SIGNALS_CAUGHT];
  CloseHook close;
  Interrupt interrupt;
  SignalHook *hooks;
  Waker waiter; /* a task that waits for the next signal, or none */
  int taken;    /* the signal that came for it, or 0 */
  bool keep;    /* a signal that no task waits for is kept in `taken` for the next that does */
  TaskHandle *foreground; /* the task that SIGINT cancels instead of everything; or NULL */
  /* Undoes the process's changes to its surroundings (the terminal) before it ends at once, in the
     signal handler. Or NULL. */
  void (*restore)(void *data);
  void *restore_data;
} Signals;

/* The name under which the main runtime's registry keeps its Signals, a light userdata. */
#define SIGNALS_KEY "moonloop.signals"

/* The Signals of L's runtime, or NULL if it is not the main one. */
Signals *signals_of(lua_State *L);

/* Catches the signals for `rt`; the handles do not keep the loop alive and close with the runtime.
   `signals` is the caller's and lives until runtime_close has returned. One at a time in a process:
   a signal has no other way to find it. Returns 0 or a libuv error. */
int signals_open(Signals *signals, Runtime *rt);

/* Delivers `signum` as if the process had received it, from a libuv callback: SIGINT, SIGTERM, or a
   supervisor's SIGHUP or SIGUSR2, which waits for a task that waits for signals. */
void signals_raise(Signals *s, int signum);

/* Adds a hook, which the caller owns, to the list; removes it. */
void signals_add_hook(Signals *s, SignalHook *hook);
void signals_remove_hook(SignalHook *hook);

/* A script begins to listen for `signum`, in any runtime of the process: while one does, SIGINT,
   SIGTERM and SIGHUP have no effect of their own, except that SIGINT or SIGTERM within a second of
   another ends the process. */
void signals_listen(int signum);

/* Does one? Safe in signal handlers. */
bool signals_is_listened(int signum);

/* It listens no more, and its libuv handle has been stopped. If it was the last, and a signal came
   that was not taken, the signal has its usual effect now. */
void signals_listen_no_more(int signum);

/* A task has been given `signum`. */
void signals_was_taken(int signum);

/* Does the process serve, so that its scripts must not listen for the signals of servers? Any
   thread. */
bool signals_are_servers(void);

/* SIGINT cancels this task from now on; with NULL everything, as at first. */
void signals_set_foreground(Signals *s, TaskHandle *task);

/* "SIGINT", "SIGTERM", "SIGHUP" or "SIGUSR2" */
const char *signals_name(int signum);

/* Makes a write to a closed pipe or socket fail with EPIPE. If `quit_with_stdout` is true, the
   process dies of SIGPIPE once the reader of its standard output has gone, as a filter should. */
void signals_ignore_pipe(bool quit_with_stdout);

#endif
