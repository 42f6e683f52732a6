/* The values that a job sends to its caller while it runs: a bounded line between two threads.

   The job's side puts, and waits while PROGRESS_MAX values are unread; the caller's side takes, and
   waits while there are none. Either side may go first: values put before the end are still there
   after it, and once nobody will read, values are dropped and nobody waits. */
#ifndef ML_PROGRESS_H
#define ML_PROGRESS_H

#include "task.h"
#include "transfer.h"

#define PROGRESS_MAX 64

typedef struct Progress Progress;

typedef enum ProgressState {
  PROGRESS_DONE, /* put or taken */
  PROGRESS_WAIT, /* full, or empty */
  PROGRESS_OVER, /* nobody reads any more, or nothing comes any more */
  PROGRESS_NO_MEMORY,
} ProgressState;

/* A line with one reference; NULL when memory is out. */
Progress *progress_new(void);
Progress *progress_hold(Progress *p);
void progress_release(Progress *p);

/* Adds a packed message, which is taken over when the result is PROGRESS_DONE. */
ProgressState progress_put(Progress *p, TransferMessage *message);

/* Takes the first message, which is then the caller's. */
ProgressState progress_take(Progress *p, TransferMessage *message);

/* Would progress_put say PROGRESS_OVER? */
bool progress_is_over(Progress *p);

/* The job has ended: nothing comes any more. NULL is ignored. */
void progress_end(Progress *p);

/* Nobody will read: drops what is there and what comes. */
void progress_discard(Progress *p);

/* Suspends `t`, which entered a wait, until it is worth trying again to put (`to_put`) or to take;
   then `finish` runs as that of a WaitType does. What ml_wait_suspend returns. Raises when memory
   is out. */
int progress_suspend(lua_State *L, Task *t, Progress *p, bool to_put,
                     int (*finish)(lua_State *L, Task *t));

#endif
