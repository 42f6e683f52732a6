/* Measures the CPU time of each task (Task.cpu_ns) by sampling: a timer on the CPU time of the
   loop's thread interrupts it, and the time used since the last interrupt is charged to the running
   task. So a task switch costs nothing, nor does a waiting process. The figures are right on
   average, both for many tasks together and for a single one that runs long, to about one sample:
   the period below, or the kernel's tick if that is longer (4 ms at 250 Hz). A task that ran for
   less than that in total may show nothing, or one sample. */
#ifndef ML_CPU_METER_H
#define ML_CPU_METER_H

#include "core/runtime.h"

#define CPU_METER_PERIOD_NS 2000000

/* Starts to measure the tasks of `rt`, on the thread that runs it, until the runtime closes. Only
   one runtime in a process can be measured, since a signal (SIGPROF) has no other way to find it.
   If the system has no timers left, it does nothing, and CPU times stay 0. */
void cpu_meter_start(Runtime *rt);

#endif
