/* Says to the watchdog what the host does in one stretch. What raises in between need not end it:
   it is of the step in which it began. */
#ifndef ML_HOST_WORK_H
#define ML_HOST_WORK_H

#include "core/runtime.h"

static inline void host_work_begin(Runtime *rt, const HostWork *work) {
  rt->watched.work_step = atomic_load_explicit(&rt->scheduler.step, memory_order_relaxed);
  rt->watched.work = work;
}

static inline void host_work_end(Runtime *rt) { rt->watched.work = NULL; }

#endif
