/* What other threads tell a runtime's loop: that an operation is over, and to stop. One uv_async a
   runtime serves both. */
#ifndef ML_REMOTE_H
#define ML_REMOTE_H

#include "interrupt.h"
#include "main_task.h"

#include <stdatomic.h>

/* It outlives the runtime as long as a completion may still be signalled. */
typedef struct Remote {
  uv_async_t async;
  CloseHook close;
  Interrupt interrupt; /* of Lua code that computes, when it is to stop */
  pthread_t thread;    /* that runs the loop */
  atomic_size_t refs;  /* the runtime's, and one of each completion */
  atomic_int stopping; /* calls of ml_stop that are under way */
  atomic_bool stop;    /* ml_stop was called, and no run has been ended by it yet */
  atomic_bool running; /* there is a run that can be stopped */
  bool has_timer;
  timer_t timer; /* interrupts the loop's thread from a stop on until the run has ended */

  /* the loop's thread only */
  size_t outstanding; /* completions whose signal has not been taken */
  MainTask *main;     /* what a stop ends, or NULL */
  uint32_t step;      /* the stretch of Lua (Runtime.step) that was interrupted last, */
  uint64_t since;     /* and since when it may run undisturbed, uv_hrtime */

  /* every thread, under the lock */
  uv_mutex_t lock;
  struct ml_Completion *signalled, **tail;
  bool closed; /* the loop is gone, or going */
} Remote;

/* The runtime's, made at first use; NULL when memory or descriptors are out. */
Remote *remote_of(Runtime *rt);

/* From now on, until remote_run_over, a stop ends `main`. */
void remote_run_begins(Remote *remote, MainTask *main);
void remote_run_over(Remote *remote);

/* Ends the main task if a stop is due. */
void remote_check_stop(Remote *remote);

#endif
