#include "waiters.h"

#include "task.h"

struct Task *waiters_task(Waiter *waiter) {
  return (Task *)(void *)((char *)waiter - offsetof(Task, waiter));
}

struct Task *waiters_wake_first(Waiters *line) {
  if (line->count == 0) return NULL;
  Waiter *first = line->end.next;
  waiters_leave(line, first);
  Task *t = waiters_task(first);
  wait_wake(wait_waker(t));
  return t;
}

void waiters_wake_all(Waiters *line) {
  while (waiters_wake_first(line)) {
  }
}
