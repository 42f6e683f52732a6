#include "sql/pg/pg_pool.h"

#include "sql/sql_observed.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_SECONDS 1.0 /* before another connection is tried, where there are some */

/* --- giving --- */

static bool is_growing(const PgPool *pool) {
  return pg_pool_count(pool) < pool->settings.size && !pool->retry.place;
}

static void lend(PgConnection *c, PgCall *call) {
  snprintf(c->holder, sizeof c->holder, "%s", call->data ? (const char *)call->data : "a task");
  call->in_line = false;
  call->connection = c;
  call->awaited = false;
  c->is_leased = true;
  c->leased_at = runtime_now(c->pool->rt);
  ml_wait_wake(call->waker);
}

/* Gives the call a connection, or says that it has to wait. `*idle`: there may be an idle one. */
static bool place(PgPool *pool, PgCall *call, bool *idle, uint64_t now) {
  PgConnection *c = *idle ? pg_pool_pick_idle(pool, now) : NULL;
  *idle = c;
  bool alone = call->is_lease || call->is_alone;
  if (!c && !alone && pool->settings.pipeline && !is_growing(pool)) c = pg_pool_pick_behind(pool);
  if (!c) {
    if (alone) pg_pool_reserve(pool);
    return false;
  }
  pool->turn++;
  if (call->is_lease)
    lend(c, call);
  else
    pg_connection_submit(c, call, now);
  return true;
}

static void give(PgPool *pool, uint64_t now) {
  PgCall *before = NULL, *next;
  bool idle = true;
  for (unsigned i = 0; i < pool->count; i++) pool->connections[i]->is_reserved = false;
  for (PgCall *call = pool->line.first; call && pool->count; call = next) {
    next = call->next;
    bool alone = call->is_lease || call->is_alone;
    if (before)
      before->next = next;
    else
      pool->line.first = next;
    if (!next) pool->line.last = before;
    pool->line.count--;
    if (place(pool, call, &idle, now)) continue;
    call->next = next; /* back where it was */
    if (before)
      before->next = call;
    else
      pool->line.first = call;
    if (!next) pool->line.last = call;
    pool->line.count++;
    before = call;
    if (!alone) break; /* nor is there one for those behind it */
  }
}

static void give_to_holders(PgPool *pool, uint64_t now) {
  for (unsigned i = 0; i < pool->count; i++) {
    PgConnection *c = pool->connections[i];
    PgCall *call = c->line.first;
    if (call && call->is_lease && c->state == PG_OPEN) {
      lend(c, pg_call_shift(&c->line));
      call = c->line.first;
    }
    if (!call || c->flying.first || c->cancel || c->state != PG_OPEN) continue;
    if (c->is_open_ended && !call->continues) continue;
    pg_connection_submit(c, pg_call_shift(&c->line), now);
  }
}

static void fail_unconnected(PgPool *pool) {
  char text[800];
  snprintf(text, sizeof text, "no connection to %s: %s", pool->settings.label, pool->why);
  pg_pool_fail_line(pool, pool->why_kind, pool->why_code[0] ? pool->why_code : NULL, text);
}

/* A new one, among the others; or NULL. */
static PgConnection *connect_one(PgPool *pool) {
  if (pool->count == pool->cap) {
    unsigned cap = pool->cap ? 2 * pool->cap : 8;
    PgConnection **more = realloc(pool->connections, cap * sizeof(PgConnection *));
    if (!more) return NULL;
    pool->connections = more;
    pool->cap = cap;
  }
  PgConnection *c = pg_connection_new(pool);
  if (!c) return NULL;
  pool->connections[pool->count++] = c;
  pool->connecting++;
  return c;
}

/* As many more as there are calls waiting, up to the size of the pool. */
static void grow(PgPool *pool) {
  if (pool->is_closed || pool->retry.place) return;
  while (pool->line.count > pg_pool_connecting(pool) && is_growing(pool)) {
    if (connect_one(pool)) continue;
    snprintf(pool->why_kind, sizeof pool->why_kind, "network");
    snprintf(pool->why, sizeof pool->why, "no thread to connect on");
    if (!pg_pool_count(pool)) fail_unconnected(pool);
    return;
  }
}

/* A connection for this call alone. */
static void connect_extra(PgPool *pool, PgCall *call) {
  PgConnection *c = connect_one(pool);
  if (!c) {
    pg_call_fail(call, "network", NULL, "no thread to connect on");
    return;
  }
  c->is_extra = c->is_leased = true;
  pool->extra++;
  pool->extra_connecting++;
  pg_thread_hold(pool->rt, 1);
  call->connection = c;
  call->in_line = true;
  pg_call_append(&c->line, call);
}

/* Those that were there at the end of the last pass: what they have woken has run since. */
static void free_dead(PgPool *pool) {
  pg_pool_free_list(&pool->older_dead);
  pool->older_dead = pool->dead;
  pool->dead = NULL;
}

static void pass(PassHook *hook, Runtime *rt) {
  PgPool *pool = container_of(hook, PgPool, pass);
  free_dead(pool);
  uint64_t now = runtime_now(rt);
  give_to_holders(pool, now);
  if (pool->line.first) {
    give(pool, now);
    grow(pool);
  }
  for (unsigned i = 0; i < pool->count; i++) {
    PgConnection *c = pool->connections[i];
    if (pg_connection_unsent(c)) {
      pg_connection_flush(c);
      if (i >= pool->count || pool->connections[i] != c) i = (unsigned)-1; /* it was lost */
    }
  }
  pg_pool_watch_line(pool);
  pg_pool_hold_line(pool);
  if (pool->older_dead) pg_pool_wake(pool);
}

void pg_pool_wake(PgPool *pool) {
  pool->pass.run = pass;
  runtime_at_pass_end(pool->rt, &pool->pass);
}

/* --- the line --- */

void pg_pool_call(PgPool *pool, PgCall *call, Waker waker) {
  call->waker = waker;
  call->awaited = true;
  call->since = runtime_now(pool->rt); /* the pass may have taken long already */
  pg_pool_wake(pool);
  if (call->is_extra) {
    connect_extra(pool, call);
    return;
  }
  PgConnection *c = call->connection;
  if (c && c->state == PG_CLOSED) { /* it was lost while its holder did something else */
    pg_call_fail(call, c->why_kind, c->why_code[0] ? c->why_code : NULL,
                 "the connection to %s was lost: %s", pool->settings.label, c->why);
    return;
  }
  call->in_line = true;
  pg_call_append(call->connection ? &call->connection->line : &pool->line, call);
  if (call->connection) pg_connection_hold_for(call->connection, call, true);
}

void pg_pool_again(PgPool *pool, PgCall *call) {
  call->in_line = true;
  call->connection = NULL;
  pg_call_unshift(&pool->line, call);
  pg_pool_wake(pool);
}

void pg_pool_abandon(PgCall *call) {
  PgPool *pool = call->pool;
  sql_observed_cancel(&call->observed);
  if (call->in_flight) {
    pg_connection_abandon(call->connection, call);
    return;
  }
  if (call->in_line) {
    PgConnection *c = call->connection;
    pg_call_remove(c ? &c->line : &pool->line, call);
    call->in_line = false;
    if (c) pg_connection_hold_for(c, call, false);
    pg_pool_wake(pool);
    if (call->is_extra) {
      c->is_releasing = true;
      pg_connection_lose(c, "closed", NULL, "nobody waits for it any more");
    }
  }
  call->awaited = call->owned = call->kept = false;
  pg_call_drop(call);
}

void pg_pool_release(PgCall *call) {
  sql_observed_cancel(&call->observed);
  call->owned = false;
  pg_call_drop(call);
}

/* --- connections come and go --- */

/* One that has been waited for is there, or is not going to be. */
static void end_extra(PgPool *pool, const PgConnection *c) {
  if (!c->is_extra) return;
  pool->extra_connecting--;
  pg_thread_hold(pool->rt, -1);
}

void pg_pool_opened(PgConnection *c) {
  PgPool *pool = c->pool;
  pool->connecting--;
  end_extra(pool, c);
  pool->connected++;
  pool->why[0] = 0;
  timer_clear(&pool->rt->timers, &pool->retry);
  pg_pool_wake(pool);
}

static void on_retry(Timer *timer) { pg_pool_wake(container_of(timer, PgPool, retry)); }

static void bury(PgConnection *c) {
  PgPool *pool = c->pool;
  c->next_dead = pool->dead;
  pool->dead = c;
  pg_pool_wake(pool);
}

/* It could not be made. */
static void refused(PgPool *pool, const PgConnection *c) {
  memcpy(pool->why_kind, c->why_kind, sizeof pool->why_kind);
  memcpy(pool->why_code, c->why_code, sizeof pool->why_code);
  snprintf(pool->why, sizeof pool->why, "%s", c->why);
  if (c->is_extra) return;
  if (!pg_pool_count(pool))
    fail_unconnected(pool);
  else
    timer_set(&pool->rt->timers, &pool->retry, timer_due(runtime_now(pool->rt), RETRY_SECONDS),
              on_retry);
}

void pg_pool_lost(PgConnection *c, PgState was) {
  PgPool *pool = c->pool;
  for (unsigned i = 0; i < pool->count; i++) {
    if (pool->connections[i] != c) continue;
    pool->connections[i] = pool->connections[--pool->count];
    break;
  }
  pool->extra -= c->is_extra;
  if (was == PG_OPEN) {
    pool->lost++;
  } else {
    pool->connecting--;
    end_extra(pool, c);
    if (!pool->is_closed) refused(pool, c);
    if (c->is_extra) c->is_releasing = true; /* nobody has got it */
  }
  if (!c->is_leased || c->is_releasing) bury(c);
  pg_pool_wake(pool);
}

void pg_pool_settled(PgConnection *c) {
  if (c->is_extra) {
    pg_connection_lose(c, "closed", NULL, "its holder has gone");
    return;
  }
  if (c->status != 'I') {
    pg_connection_lose(c, "closed", NULL, "it was left in a transaction");
    return;
  }
  c->is_leased = c->is_releasing = false;
  c->holder[0] = 0;
  pg_pool_wake(c->pool);
}

void pg_pool_give_back(PgConnection *c) {
  c->is_releasing = true;
  c->is_copying_out = false;
  while (c->line.first) {
    PgCall *call = pg_call_shift(&c->line);
    call->in_line = false;
    pg_connection_hold_for(c, call, false);
    pg_call_fail(call, "closed", NULL, "the connection was given back");
    pg_call_drop(call);
  }
  if (c->state == PG_CLOSED)
    bury(c);
  else if (pg_connection_is_whole(c))
    pg_pool_settled(c);
  else if (!c->flying.first && !c->cancel)
    pg_connection_lose(c, "closed", NULL, "it was given back in the middle of something");
}
