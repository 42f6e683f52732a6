/* pg_pool.h: the line of those who wait for a connection, and how long they do. */
#include "sql/pg/pg_pool.h"

#include <stdio.h>

void pg_pool_hold_line(PgPool *pool) {
  bool hold = pool->line.first;
  if (hold == pool->is_held) return;
  pool->is_held = hold;
  pg_thread_hold(pool->rt, hold ? 1 : -1);
}

void pg_pool_fail_line(PgPool *pool, const char *kind, const char *code, const char *text) {
  while (pool->line.first) {
    PgCall *call = pg_call_shift(&pool->line);
    call->in_line = false;
    pg_call_fail(call, kind, code, "%s", text);
    pg_call_drop(call);
  }
}

#define ONE_TURN 1000000 /* nanoseconds: what is due then is not due before the loop has polled */

/* "a transaction of task 12 for 3.2 s, and 2 statements" */
static void describe_holders(const PgPool *pool, char *text, size_t size) {
  uint64_t now = runtime_now(pool->rt);
  size_t n = 0;
  unsigned statements = 0;
  text[0] = 0;
  for (unsigned i = 0; i < pool->count; i++) {
    const PgConnection *c = pool->connections[i];
    if (c->is_leased && n < size)
      n +=
          (size_t)snprintf(text + n, size - n, "%s%s for %.1f s", n ? ", " : "",
                           c->holder[0] ? c->holder : "a task", (double)(now - c->leased_at) / 1e9);
    else if (c->flying.first)
      statements++;
  }
  if (statements && n < size)
    snprintf(text + n, size - n, "%s%u by statements", n ? ", " : "", statements);
}

static void expire(PgPool *pool, PgCall *call) {
  double seconds = pool->settings.acquire;
  unsigned open = pg_pool_count(pool) - pg_pool_connecting(pool);
  if (!open) {
    pg_call_fail(call, "network", "ETIMEDOUT", "no connection to %s within %g s",
                 pool->settings.label, seconds);
    return;
  }
  char holders[400];
  describe_holders(pool, holders, sizeof holders);
  pg_call_fail(call, "pool", NULL,
               "no connection of the pool became free within %g s: %u of %u are in use: %s",
               seconds, open, pool->settings.size, holders);
}

static void on_acquire(Timer *timer);

void pg_pool_watch_line(PgPool *pool) {
  PgCall *first = pool->line.first;
  uint64_t due = first ? timer_due(first->since, pool->settings.acquire) : TIMER_NEVER;
  if (due == TIMER_NEVER)
    timer_clear(&pool->rt->timers, &pool->acquire);
  else if (timer_due_at(&pool->rt->timers, &pool->acquire) != due)
    timer_set(&pool->rt->timers, &pool->acquire, due, on_acquire);
}

static void on_acquire(Timer *timer) {
  PgPool *pool = container_of(timer, PgPool, acquire);
  uint64_t now = runtime_now(pool->rt);
  uint64_t due = pool->line.first ? timer_due(pool->line.first->since, pool->settings.acquire) : 0;
  if (due && due != pool->overdue) {
    /* The loop looks at its timers first. After a pass that took long, a connection may be there.
     */
    pool->overdue = due;
    timer_set(&pool->rt->timers, timer, now + ONE_TURN, on_acquire);
    return;
  }
  for (PgCall *call; (call = pool->line.first);) {
    if (timer_due(call->since, pool->settings.acquire) > now) break;
    pg_call_shift(&pool->line);
    call->in_line = false;
    expire(pool, call);
    pg_call_drop(call);
  }
  pg_pool_watch_line(pool);
  pg_pool_hold_line(pool);
}
