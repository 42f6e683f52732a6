#include "core/cpu_meter.h"

#include "core/task.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

static struct {
  Runtime *rt;
  timer_t timer;
  uint64_t seen_ns; /* CPU time of the thread at the last sample */
  CloseHook close;
} meter;

static void on_sample(int signum) {
  (void)signum;
  Runtime *rt = meter.rt;
  if (!rt) return;
  uint64_t now = clock_thread_cpu();
  if (rt->scheduler.current) rt->scheduler.current->cpu_ns += now - meter.seen_ns;
  meter.seen_ns = now;
}

static void stop(CloseHook *hook, Runtime *rt) {
  (void)hook;
  (void)rt;
  timer_delete(meter.timer);
  meter.rt = NULL;
}

void cpu_meter_start(Runtime *rt) {
  struct sigaction action = {.sa_handler = on_sample, .sa_flags = SA_RESTART};
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF};
  struct itimerspec every = {{0, CPU_METER_PERIOD_NS}, {0, CPU_METER_PERIOD_NS}};
  event._sigev_un._tid = gettid();
  if (meter.rt || timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &meter.timer)) return;
  meter.rt = rt;
  meter.seen_ns = clock_thread_cpu();
  meter.close.close = stop;
  ml_runtime_on_close(rt, &meter.close);
  sigaction(SIGPROF, &action, NULL);
  timer_settime(meter.timer, 0, &every, NULL);
}
