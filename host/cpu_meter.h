/* How much CPU time each task has used (Task.cpu_ns), by sampling: a timer on the CPU time of the
   loop's thread interrupts it, and what has been used since the last time is the running task's.

   So a task switch costs nothing, nor does a process that waits. The figures are right on average,
   for many tasks together as for one that runs for long, and to about a sample: the period below,
   or the kernel's tick where that is longer (4 ms at 250 Hz). A task that ran for less in all may
   show nothing, or one sample. */
#ifndef ML_CPU_METER_H
#define ML_CPU_METER_H

#include "runtime.h"

#define CPU_METER_PERIOD_NS 2000000

/* Starts to measure the tasks of `rt`, on the thread that runs it, until the runtime closes: one
   runtime in a process, as a signal (SIGPROF) has no other way to find it. Without timers from the
   system it does nothing, and CPU times stay 0. */
void cpu_meter_start(Runtime *rt);

#endif
