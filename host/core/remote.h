/* Messages of other threads to a runtime's loop: an operation is over, or stop. One uv_async per
   runtime serves both. */
#ifndef ML_REMOTE_H
#define ML_REMOTE_H

#include "core/interrupt.h"
#include "core/main_task.h"

#include <stdatomic.h>

/* It outlives the runtime as long as a completion may still be signalled. */
typedef struct Remote {
  uv_async_t async;
  CloseHook close;
  Interrupt interrupt; /* to interrupt Lua code that computes when it should stop */
  pthread_t thread;    /* the thread that runs the loop */
  atomic_size_t refs;  /* the runtime's, and one of each completion */
  atomic_int stopping; /* calls of ml_stop under way */
  atomic_bool stop;    /* ml_stop was called, and has not ended a run yet */
  atomic_bool running; /* there is a run that can be stopped */
  bool has_timer;
  timer_t timer; /* interrupts the loop's thread from a stop on until the run has ended */

  /* the loop's thread only */
  size_t outstanding; /* completions whose signal has not been taken */
  MainTask *main;     /* the main task that a stop ends, or NULL */
  uint32_t step;      /* the stretch of Lua (Scheduler.step) that was interrupted last */
  uint64_t since;     /* and the start of its grace period, uv_hrtime */

  /* every thread, under the lock */
  uv_mutex_t lock;
  struct ml_Completion *signalled, **tail;
  bool closed; /* the loop is closed or closing */
} Remote;

/* The runtime's, made on first use; NULL if memory or descriptors are out. */
Remote *remote_of(Runtime *rt);

/* From now on, until remote_run_over, a stop ends `main`. */
void remote_run_begins(Remote *remote, MainTask *main);
void remote_run_over(Remote *remote);

/* Ends the main task if a stop is due. */
void remote_check_stop(Remote *remote);

#endif
