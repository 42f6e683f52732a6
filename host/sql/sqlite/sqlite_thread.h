/* The threads of a pool, one a connection: each takes what is handed over and gives it back. */
#ifndef ML_SQLITE_THREAD_H
#define ML_SQLITE_THREAD_H

#include "sql/sqlite/sqlite_connection.h"

struct SqlitePool;

typedef struct SqliteThread {
  struct SqlitePool *pool;
  pthread_t thread;
  SqliteConnection connection; /* the thread's own */

  /* the loop's */
  bool started, joined;
  struct SqliteLease *lease; /* who has it for himself, or NULL */
  SqliteJobs pending;        /* to be handed over at the end of this pass */

  /* under the pool's lock */
  pthread_cond_t wake;
  SqliteJobs queue; /* for this thread */
  SqliteJobs batch; /* taken, and not yet run */
  bool sleeping, left;
  bool leased;          /* it takes no reads of others */
  uint64_t batch_since; /* uv_hrtime */
} SqliteThread;

/* Starts it. 0, or a libuv error. */
int sqlite_thread_start(SqliteThread *thread);

/* Waits until it has left, for some seconds at most; the pool is closing. False: it has not, and is
   on its own. */
bool sqlite_thread_join(SqliteThread *thread);

#endif
