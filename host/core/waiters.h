/* Tasks that wait in line at an object (a semaphore, a queue), first come first served. A task is
   in one line at a time; its place is part of its record, so joining, leaving from the middle and
   taking the first are all cheap. */
#ifndef ML_WAITERS_H
#define ML_WAITERS_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct Waiter {
  struct Waiter *prev, *next;
  lua_State *L; /* for lines that hand over values: the coroutine of the suspended call */
} Waiter;

/* The line of an object: a ring that includes the object's own end. */
typedef struct Waiters {
  Waiter end;
  size_t count;
} Waiters;

/* Makes an empty line. */
static inline void waiters_init(Waiters *line) {
  line->end.prev = line->end.next = &line->end;
  line->count = 0;
}

/* Joins at the end. The caller owns the waiter, which must not move while in the line. */
static inline void waiters_join(Waiters *line, Waiter *waiter) {
  waiter->next = &line->end;
  waiter->prev = line->end.prev;
  line->end.prev->next = waiter;
  line->end.prev = waiter;
  line->count++;
}

/* Leaves the line, from any place. */
static inline void waiters_leave(Waiters *line, Waiter *waiter) {
  waiter->prev->next = waiter->next;
  waiter->next->prev = waiter->prev;
  line->count--;
}

struct ml_Task;

/* The task at a place in a line. */
struct ml_Task *waiters_task(Waiter *waiter);

/* Removes the task at this place from the line, wakes and returns it. */
struct ml_Task *waiters_wake(Waiters *line, Waiter *waiter);

/* Removes the first task from the line, wakes it and returns it; NULL if nobody waits. */
struct ml_Task *waiters_wake_first(Waiters *line);

/* Wakes all, in order. */
void waiters_wake_all(Waiters *line);

#endif
