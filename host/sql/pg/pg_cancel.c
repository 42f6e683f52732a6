#include "sql/pg/pg_cancel.h"

#include <stdlib.h>

struct PgCancel {
  PgThread thread; /* first */
  PGcancel *key;
  bool owns_key;
  void (*done)(void *data);
  void *data;
};

static void run(PgThread *thread) {
  PgCancel *cancel = (PgCancel *)thread;
  const char *error;
  const PgLibrary *pq = pg_library(&error);
  char why[256];
  if (pq) pq->cancel(cancel->key, why, sizeof why); /* it waits for the end of its connection */
}

static void drop(PgThread *thread) {
  PgCancel *cancel = (PgCancel *)thread;
  const char *error;
  const PgLibrary *pq = pg_library(&error);
  if (pq && cancel->owns_key) pq->freeCancel(cancel->key);
  free(cancel);
}

static void done(PgThread *thread) {
  PgCancel *cancel = (PgCancel *)thread;
  cancel->done(cancel->data);
  drop(thread);
}

PgCancel *pg_cancel_start(Runtime *rt, PGcancel *key, void (*over)(void *data), void *data) {
  PgCancel *cancel = calloc(1, sizeof *cancel);
  if (!cancel || !key) {
    free(cancel);
    return NULL;
  }
  cancel->key = key;
  cancel->done = over;
  cancel->data = data;
  cancel->thread.run = run;
  cancel->thread.done = done;
  cancel->thread.drop = drop;
  cancel->thread.is_urgent = true; /* or the server would go on with it for nobody */
  if (!pg_thread_start(rt, &cancel->thread)) return cancel;
  free(cancel);
  return NULL;
}

void pg_cancel_abandon(PgCancel *cancel) {
  cancel->owns_key = true;
  pg_thread_abandon(&cancel->thread);
}
