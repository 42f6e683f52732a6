/* How many threads a pool has, beyond those it always has.

   `threads` workers that compute use what they should have of the cores, so more would only slow
   each other down. Workers that are blocked (in a file, a program, a sleep) use none, so while jobs
   wait the pool starts others in their place, until `threads` of them compute or there are
   `max_threads`. When those compute, too, the pool does without them again.

   Everything here runs on the owner's thread. It looks at the workers from a timer, which is set
   only while there is more to do than `threads` workers can. */
#include "worker.h"

#include "container_of.h"

#include <math.h>

/* Nanoseconds from look to look: at first, and where looks find nothing to do. */
#define MIN_PERIOD_NS 5000000u
#define MAX_PERIOD_NS 40000000u
/* Of `threads` workers, more are needed where fewer than this part computes. */
#define TOO_FEW 0.75

/* What the workers that have jobs did since the last look. */
typedef struct Load {
  int busy;
  double computing; /* how many of them, on average */
} Load;

/* Looks at the workers. A worker that had no job at the last look seems to compute: nobody knows.
   The lock is held. */
static Load look(Pool *pool) {
  Load load = {0};
  for (int i = 0; i < pool->stats.workers; i++) {
    Worker *w = pool->workers[i];
    bool is_busy = w->state == WORKER_BUSY, knows = w->has_usage;
    w->has_usage = is_busy && (knows || w->has_clock);
    if (!is_busy) continue;
    load.busy++;
    double part = 1;
    if (w->has_clock) { /* else it is starting */
      ThreadUsage now = thread_usage_now(w->thread_id, w->clock);
      if (knows) part = thread_usage_between(&w->usage, &now, w->thread_id);
      w->usage = now;
    }
    load.computing += part;
  }
  return load;
}

/* Starts workers for waiting jobs in the place of those that are blocked: how many. Jobs that come
   and go faster than looks need none. The lock is held. */
static int grow(Pool *pool, Load load, uint64_t looked_at) {
  Job *job = pool->queue.head;
  if (!job || job->queued_at > looked_at) return 0; /* workers may have been idle meanwhile */
  pool->jobs_block = load.computing < TOO_FEW * pool->threads;
  if (!pool->jobs_block) return 0;
  int blocked = (int)ceil(load.busy - load.computing), started = 0;
  for (; started < blocked && (job = pool->queue.head); started++) {
    if (pool->stats.threads >= pool->max_threads || worker_start(pool, job) != 0) break;
    job_list_remove(&pool->queue, job);
    pool->stats.queued--;
  }
  return started;
}

static void on_growth_timer(Timer *timer) {
  Pool *pool = container_of(timer, Pool, growth_timer);
  uint64_t looked_at = pool->looked_at;
  int started = 0;
  uv_mutex_lock(&pool->lock);
  bool again = pool->queue.head || pool->stats.running > (size_t)pool->threads;
  if (again) {
    pool->looked_at = uv_hrtime();
    Load load = look(pool);
    if (looked_at) started = grow(pool, load, looked_at);
  }
  uv_mutex_unlock(&pool->lock);
  if (started)
    pool->growth_period = MIN_PERIOD_NS;
  else if (looked_at && pool->growth_period < MAX_PERIOD_NS)
    pool->growth_period *= 2;
  if (again)
    timer_set(&pool->rt->timers, timer, runtime_now(pool->rt) + pool->growth_period, timer->fire);
  pool_grant_room(pool);
}

void pool_watch_growth(Pool *pool) {
  Timer *timer = &pool->growth_timer;
  if (pool->max_threads == pool->threads || timer->place) return;
  pool->growth_period = MIN_PERIOD_NS;
  pool->looked_at = 0;
  timer_set(&pool->rt->timers, timer, runtime_now(pool->rt) + MIN_PERIOD_NS, on_growth_timer);
}
