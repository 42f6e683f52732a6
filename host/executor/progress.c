#include "executor/progress.h"

#include <lauxlib.h>
#include <stdatomic.h>
#include <stdlib.h>

typedef struct Message {
  struct Message *next;
  TransferMessage content;
} Message;

/* A waiting task of either thread. It is in a line until it is signalled or gives up. */
typedef struct ProgressWait {
  struct ProgressWait *next;
  ml_Completion *completion;
  Progress *progress;
  int (*finish)(lua_State *L, Task *t);
  bool to_put;
  bool signalled; /* under the lock */
} ProgressWait;

struct Progress {
  atomic_int refs;
  uv_mutex_t lock; /* for what follows */
  Message *first, **last;
  int count;
  bool ended, discarded;
  ProgressWait *putters, *takers;
};

Progress *progress_new(void) {
  Progress *p = calloc(1, sizeof *p);
  if (!p) return NULL;
  if (uv_mutex_init(&p->lock) != 0) {
    free(p);
    return NULL;
  }
  atomic_init(&p->refs, 1);
  p->last = &p->first;
  return p;
}

Progress *progress_hold(Progress *p) {
  atomic_fetch_add(&p->refs, 1);
  return p;
}

static void drop_messages(Progress *p) {
  for (Message *m; (m = p->first);) {
    p->first = m->next;
    transfer_free(&m->content);
    free(m);
  }
  p->last = &p->first;
  p->count = 0;
}

void progress_release(Progress *p) {
  if (!p || atomic_fetch_sub(&p->refs, 1) > 1) return;
  drop_messages(p);
  uv_mutex_destroy(&p->lock);
  free(p);
}

/* Wakes all waiters of a line: they try again, in the order in which they came. The lock is
   held. */
static void wake_all(ProgressWait **line) {
  for (ProgressWait *wait; (wait = *line);) {
    *line = wait->next;
    wait->signalled = true;
    ml_completion_signal(wait->completion);
  }
}

/* The lock is held. */
static bool is_over(const Progress *p) { return p->ended || p->discarded; }

bool progress_is_over(Progress *p) {
  uv_mutex_lock(&p->lock);
  bool over = is_over(p);
  uv_mutex_unlock(&p->lock);
  return over;
}

ProgressState progress_put(Progress *p, TransferMessage *message) {
  Message *m = malloc(sizeof *m);
  ProgressState state = PROGRESS_DONE;
  uv_mutex_lock(&p->lock);
  if (is_over(p)) {
    state = PROGRESS_OVER;
  } else if (!m) {
    state = PROGRESS_NO_MEMORY;
  } else if (p->count == PROGRESS_MAX) {
    state = PROGRESS_WAIT;
  } else {
    *m = (Message){.content = *message};
    *p->last = m;
    p->last = &m->next;
    p->count++;
    wake_all(&p->takers);
  }
  uv_mutex_unlock(&p->lock);
  if (state == PROGRESS_DONE)
    *message = (TransferMessage){0};
  else
    free(m);
  return state;
}

ProgressState progress_take(Progress *p, TransferMessage *message) {
  uv_mutex_lock(&p->lock);
  Message *m = p->first;
  bool over = is_over(p);
  if (m) {
    p->first = m->next;
    if (!p->first) p->last = &p->first;
    p->count--;
    wake_all(&p->putters);
  }
  uv_mutex_unlock(&p->lock);
  if (!m) return over ? PROGRESS_OVER : PROGRESS_WAIT;
  *message = m->content;
  free(m);
  return PROGRESS_DONE;
}

void progress_end(Progress *p) {
  if (!p) return;
  uv_mutex_lock(&p->lock);
  p->ended = true;
  wake_all(&p->takers);
  wake_all(&p->putters);
  uv_mutex_unlock(&p->lock);
}

void progress_discard(Progress *p) {
  uv_mutex_lock(&p->lock);
  p->discarded = true;
  drop_messages(p);
  wake_all(&p->takers);
  wake_all(&p->putters);
  uv_mutex_unlock(&p->lock);
}

/* --- waiting --- */

static void wait_dropped(void *op) { free(op); }

/* A waiter that was already signalled is freed when the signal arrives. */
static void wait_cancel(Task *t, void *op) {
  (void)t;
  ProgressWait *wait = op;
  Progress *p = wait->progress;
  uv_mutex_lock(&p->lock);
  bool signalled = wait->signalled;
  ProgressWait **link = wait->to_put ? &p->putters : &p->takers;
  while (!signalled && *link != wait) link = &(*link)->next;
  if (!signalled) *link = wait->next;
  uv_mutex_unlock(&p->lock);
  if (signalled) return;
  ml_completion_discard(wait->completion);
  free(wait);
}

static int wait_finish(lua_State *L, Task *t, void *op) {
  int (*finish)(lua_State * L, Task * t) = ((ProgressWait *)op)->finish;
  free(op);
  return finish(L, t);
}

static const WaitType put_wait = {
    .name = "the caller to read a job's progress", .cancel = wait_cancel, .finish = wait_finish};
static const WaitType take_wait = {
    .name = "a job's progress", .cancel = wait_cancel, .finish = wait_finish};

int progress_suspend(lua_State *L, Task *t, Progress *p, bool to_put,
                     int (*finish)(lua_State *L, Task *t)) {
  ProgressWait *wait = calloc(1, sizeof *wait);
  if (wait) wait->completion = ml_completion_new(t, wait, wait_dropped);
  if (!wait || !wait->completion) {
    free(wait);
    return luaL_error(L, "not enough memory to wait for a job's progress");
  }
  wait->progress = p;
  wait->finish = finish;
  wait->to_put = to_put;
  uv_mutex_lock(&p->lock);
  bool now = is_over(p) || (to_put ? p->count < PROGRESS_MAX : p->count > 0);
  if (now) { /* it has changed since it was tried */
    wait->signalled = true;
    ml_completion_signal(wait->completion);
  } else {
    ProgressWait **link = to_put ? &p->putters : &p->takers;
    while (*link) link = &(*link)->next;
    *link = wait;
  }
  uv_mutex_unlock(&p->lock);
  return ml_wait_suspend(L, t, to_put ? &put_wait : &take_wait, wait);
}
