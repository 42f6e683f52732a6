/* Tasks that stand in line at an object (a semaphore, a queue), first come first served. A task is
   in one line at a time; its place in it is part of its record, so that joining, leaving from the
   middle and taking the first all cost nothing. */
#ifndef ML_WAITERS_H
#define ML_WAITERS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Waiter {
  struct Waiter *prev, *next;
  lua_State *L; /* where a line hands values over: the coroutine of the suspended call */
} Waiter;

/* The line of an object: a ring through its own end. */
typedef struct Waiters {
  Waiter end;
  size_t count;
} Waiters;

/* Makes a line in which nobody stands. */
static inline void waiters_init(Waiters *line) {
  line->end.prev = line->end.next = &line->end;
  line->count = 0;
}

/* Takes the last place. The waiter is the caller's, and must stay where it is while in the line. */
static inline void waiters_join(Waiters *line, Waiter *waiter) {
  waiter->next = &line->end;
  waiter->prev = line->end.prev;
  line->end.prev->next = waiter;
  line->end.prev = waiter;
  line->count++;
}

/* Leaves the line, from any place of it. */
static inline void waiters_leave(Waiters *line, Waiter *waiter) {
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  line->count--;
}

struct ml_Task;

/* The task of a place in a line. */
struct ml_Task *waiters_task(Waiter *waiter);

/* Takes the first one out of the line, wakes it and returns it; NULL when nobody waits. */
struct ml_Task *waiters_wake_first(Waiters *line);

/* Wakes all, in order. */
void waiters_wake_all(Waiters *line);

#endif
