#include "core/waiters.h"

#include "core/task.h"

struct ml_Task *waiters_task(Waiter *waiter) {
  return container_of(waiter, Task, waiter);
}

struct ml_Task *waiters_wake_first(Waiters *line) {
  if (line->count == 0) return NULL;
  Waiter *first = line->end.next;
  waiters_leave(line, first);
  Task *t = waiters_task(first);
  ml_wait_wake(ml_wait_waker(t));
  return t;
}

void waiters_wake_all(Waiters *line) {
  while (waiters_wake_first(line)) {
  }
}
