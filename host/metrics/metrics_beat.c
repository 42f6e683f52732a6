/* Part of metrics.h: what is not counted as it happens, but looked at from time to time. */
#include "core/task.h"
#include "metrics/metrics_built_in.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { BEAT_MS = 250, EVERY = 4 /* beats: gauges are written down */ };
#define LAG_PERIOD_NS 10000000000u

/* Linux 6.2 and later say how many there are; a process with many would take long to list them. */
static double count_descriptors(void) {
  struct stat about;
  double n = 0;
  if (stat("/proc/self/fd", &about) == 0 && about.st_size > 0) return (double)about.st_size;
  DIR *folder = opendir("/proc/self/fd");
  if (!folder) return 0;
  while (readdir(folder)) n++;
  closedir(folder);
  return n - 3; /* itself, "." and ".." */
}

static double resident_bytes(void) {
  size_t resident = 0;
  return uv_resident_set_memory(&resident) ? 0 : (double)resident;
}

static double seconds_of(struct timeval t) { return (double)t.tv_sec + 1e-6 * (double)t.tv_usec; }

static void sample_tasks(MetricsBuiltIn *b, Runtime *rt) {
  size_t ready = rt->scheduler.current != NULL;
  for (const Task *t = rt->scheduler.ready.head; t; t = t->next) ready++;
  for (const Task *t = rt->scheduler.batch.head; t; t = t->next) ready++;
  for (const Task *t = rt->scheduler.preempted.head; t; t = t->next) ready++;
  size_t live = rt->tasks.live > ready ? rt->tasks.live : ready;
  metrics_built_in_set(b, b->tasks, (const char *[]){"ready"}, (double)ready);
  metrics_built_in_set(b, b->tasks, (const char *[]){"waiting"}, (double)(live - ready));
}

static void sample_process(MetricsBuiltIn *b, Runtime *rt) {
  struct rusage used;
  metrics_built_in_set(b, b->lua_memory, NULL, 1024.0 * lua_gc(rt->L, LUA_GCCOUNT, 0));
  metrics_built_in_set(b, b->memory, NULL, resident_bytes());
  metrics_built_in_set(b, b->descriptors, NULL, count_descriptors());
  if (getrusage(RUSAGE_SELF, &used)) return;
  metrics_built_in_set(b, b->cpu, (const char *[]){"user"}, seconds_of(used.ru_utime));
  metrics_built_in_set(b, b->cpu, (const char *[]){"system"}, seconds_of(used.ru_stime));
}

void metrics_beat_sample(Metrics *metrics) {
  MetricsBuiltIn *b = metrics->built_in;
  sample_tasks(b, metrics->rt);
  sample_process(b, metrics->rt);
  metrics_built_in_count_active(b);
  metrics_built_in_look_at_pools(b);
  double lag = metrics->lag > metrics->lag_before ? metrics->lag : metrics->lag_before;
  metrics_built_in_set(b, b->lag, NULL, lag);
}

/* The longest lag of this period and the one before is kept: those who look seldom see it, too. */
static void note_lag(Metrics *metrics, uint64_t now) {
  double lag = now > metrics->beat_due ? 1e-9 * (double)(now - metrics->beat_due) : 0;
  if (now - metrics->period_began > LAG_PERIOD_NS) {
    metrics->lag_before = metrics->lag;
    metrics->lag = 0;
    metrics->period_began = now;
  }
  if (lag > metrics->lag) metrics->lag = lag;
}

static void on_beat(uv_timer_t *timer) {
  Metrics *metrics = timer->data;
  MetricRegion *region = metric_store_region(metrics->store);
  uint64_t now = uv_hrtime();
  note_lag(metrics, now);
  metrics->beat_due = now + BEAT_MS * 1000000ull + 1000000; /* libuv counts in milliseconds */
  metric_region_store(&region->beat, now);
  if (++metrics->n_beats % EVERY == 0) metrics_beat_sample(metrics);
}

int metrics_beat_start(Metrics *metrics) {
  if (metrics->beats || !metrics->built_in) return 0;
  int rc = uv_timer_init(&metrics->rt->loop, &metrics->beat);
  if (rc) return rc;
  MetricRegion *region = metric_store_region(metrics->store);
  metrics->beats = true;
  metrics->beat.data = metrics;
  metrics->period_began = uv_hrtime();
  metrics->beat_due = metrics->period_began + BEAT_MS * 1000000ull + 1000000;
  metric_region_store(&region->beats, BEAT_MS * 1000000ull);
  metric_region_store(&region->beat, metrics->period_began);
  uv_unref((uv_handle_t *)&metrics->beat);
  metrics_beat_sample(metrics);
  return uv_timer_start(&metrics->beat, on_beat, BEAT_MS, BEAT_MS);
}

void metrics_beat_stop(Metrics *metrics) {
  if (!metrics->beats) return;
  metrics->beats = false;
  metric_region_store(&metric_store_region(metrics->store)->beat, 0);
  uv_close((uv_handle_t *)&metrics->beat, NULL);
}
