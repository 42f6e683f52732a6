/* The values that a job sends to its caller while it runs: a bounded queue between two threads.

   The job's side puts, and waits while PROGRESS_MAX values are unread; the caller's side takes, and
   waits while there are none. Either side may go first: values put before the end are still there
   after it, and once nobody will read, values are dropped and nobody waits. */
#ifndef ML_PROGRESS_H
#define ML_PROGRESS_H

#include "core/task.h"
#include "transfer/transfer.h"

#define PROGRESS_MAX 64

typedef struct Progress Progress;

typedef enum ProgressState {
  PROGRESS_DONE, /* put or taken */
  PROGRESS_WAIT, /* full, or empty */
  PROGRESS_OVER, /* nobody reads any longer, or nothing more comes */
  PROGRESS_NO_MEMORY,
} ProgressState;

/* A queue with one reference; NULL if memory is out. */
Progress *progress_new(void);
Progress *progress_hold(Progress *p);
void progress_release(Progress *p);

/* Adds a packed message, which is taken over when the result is PROGRESS_DONE. */
ProgressState progress_put(Progress *p, TransferMessage *message);

/* Takes the first message, which is then the caller's. */
ProgressState progress_take(Progress *p, TransferMessage *message);

/* Would progress_put say PROGRESS_OVER? */
bool progress_is_over(Progress *p);

/* The job has ended: nothing more comes. NULL is ignored. */
void progress_end(Progress *p);

/* Nobody will read: drops current and future values. */
void progress_discard(Progress *p);

/* Suspends `t`, which entered a wait, until it is worth trying again to put (`to_put`) or to take;
   then `finish` runs like that of a WaitType. Returns the result of ml_wait_suspend. Raises if
   memory is out. */
int progress_suspend(lua_State *L, Task *t, Progress *p, bool to_put,
                     int (*finish)(lua_State *L, Task *t));

#endif
