/* Decides how many threads a pool has beyond its basic ones.

   `threads` workers that compute use their share of the cores, so more would only slow each other
   down. Workers that are blocked (in a file, a program, a sleep) use no core, so while jobs wait
   the pool starts others, until `threads` of them compute or there are `max_threads`. If those
   compute, too, the pool drops them again.

   Everything here runs on the owner's thread. It looks at the workers from a timer, which is set
   only while there is more to do than `threads` workers can. */
#include "executor/worker.h"

#include "base/container_of.h"

#include <math.h>

/* Nanoseconds between looks: at first, and while looks find nothing to do. */
#define MIN_PERIOD_NS 5000000u
#define MAX_PERIOD_NS 40000000u
/* More workers are needed if fewer than this many times `threads` compute, and fewer if more than
   that compute for this long. */
#define TOO_FEW 0.75
#define TOO_MANY 1.5
#define TOO_MANY_FOR_NS 500000000u

/* The workers' activity since the last look. */
typedef struct Load {
  int busy;         /* have jobs now */
  double computing; /* how many of those, on average */
  bool had_idle;    /* some worker had nothing to do for a while */
} Load;

/* Looks at the workers. One that is just starting counts as computing. The lock is held. */
static Load look(Pool *pool) {
  Load load = {.had_idle = pool->had_idle};
  pool->had_idle = pool->idle != NULL;
  for (int i = 0; i < pool->stats.workers; i++) {
    Worker *w = pool->workers[i];
    double part = 1;
    if (w->has_clock) {
      ThreadUsage since = w->usage;
      w->usage = thread_usage_now(w->thread_id, w->clock);
      if (w->state == WORKER_BUSY) part = thread_usage_between(&since, &w->usage, w->thread_id);
    }
    if (w->state != WORKER_BUSY) continue;
    load.busy++;
    load.computing += part;
  }
  return load;
}

/* Starts workers for waiting jobs to replace blocked ones, and returns how many. None if workers
   were idle at times. The lock is held. */
static int grow(Pool *pool, Load load) {
  Job *job = pool->queue.head;
  if (!job || load.had_idle) return 0;
  pool->jobs_block = load.computing < TOO_FEW * pool->threads;
  if (!pool->jobs_block) return 0;
  int blocked = (int)ceil(load.busy - load.computing), started = 0;
  for (; started < blocked && (job = pool->queue.head); started++) {
    if (pool->stats.threads >= pool->max_threads || worker_start(pool, job) != 0) break;
    pool_job_list_remove(&pool->queue, job);
    pool->stats.queued--;
  }
  return started;
}

/* Drops extra threads if too many compute: first idle ones, then those whose job ends next. As many
   stay as are blocked. The lock is held. */
static void shrink(Pool *pool, Load load) {
  uint64_t now = pool->looked_at;
  pool->surplus = 0;
  if (load.computing < TOO_MANY * pool->threads) {
    pool->crowded_since = 0;
    return;
  }
  if (!pool->crowded_since) pool->crowded_since = now;
  if (now - pool->crowded_since < TOO_MANY_FOR_NS) return;
  int blocked = (int)(load.busy - load.computing);
  pool->surplus = pool->stats.threads - pool->threads - blocked;
  for (Worker *w = pool->idle, *next; w && pool->surplus > 0; w = next) {
    next = w->next_idle;
    if (w->state != WORKER_SLEEPING) continue;
    worker_dismiss(w);
    pool->surplus--;
  }
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
    if (looked_at) { /* otherwise the look would cover all the time before */
      started = grow(pool, load);
      shrink(pool, load);
    }
  } else {
    pool->surplus = 0;
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
  pool->looked_at = pool->crowded_since = 0;
  timer_set(&pool->rt->timers, timer, runtime_now(pool->rt) + MIN_PERIOD_NS, on_growth_timer);
}
