#include "core/waiters.h"

#include "core/task.h"

struct ml_Task *waiters_task(Waiter *waiter) {
  return container_of(waiter, Task, waiter);
}

struct ml_Task *waiters_wake(Waiters *line, Waiter *waiter) {
  waiters_leave(line, waiter);
  Task *t = waiters_task(waiter);
  ml_wait_wake(ml_wait_waker(t));
  return t;
}

struct ml_Task *waiters_wake_first(Waiters *line) {
  return line->count ? waiters_wake(line, line->end.next) : NULL;
}

void waiters_wake_all(Waiters *line) {
  while (waiters_wake_first(line)) {
  }
}
