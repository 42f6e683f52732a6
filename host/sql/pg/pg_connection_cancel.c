/* pg_connection.h: the end of a call that nobody waits for any more. The server is asked to end it,
   again and again until it has; after a while the connection is closed. */
#include "sql/pg/pg_cancel.h"
#include "sql/pg/pg_pool.h"

#define FIRST_WAIT 0.05 /* seconds before it is asked again, then twice as many */
#define PATIENCE 5.0    /* seconds until the connection is closed */

/* Those behind it may be hit in its place. */
static void put_at_risk(PgConnection *c) {
  for (PgCall *call = c->flying.first; call; call = call->next) call->at_risk = true;
}

static void on_drain(Timer *timer) {
  PgConnection *c = container_of(timer, PgConnection, drain);
  uint64_t now = runtime_now(c->pool->rt);
  PgCall *call = c->flying.first;
  bool unwanted = call && pg_connection_is_unwanted(call);
  if (!unwanted && !c->cancel) return;
  if (call && !unwanted) /* the next one is at work; the end of the cancel is still to come */
    timer_set(&c->pool->rt->timers, &c->drain, timer_due(now, PATIENCE), on_drain);
  else if (now >= timer_due(c->drain_since, PATIENCE))
    pg_connection_lose(c, "timeout", "ETIMEDOUT",
                       "a statement that nobody waits for did not end within %g s", PATIENCE);
  else if (!c->cancel)
    pg_connection_cancel_first(c);
}

/* Looks again after a while, which grows. */
static void look_again(PgConnection *c) {
  double seconds = FIRST_WAIT;
  for (unsigned i = 1; i < c->cancels && seconds < PATIENCE; i++) seconds *= 2;
  Runtime *rt = c->pool->rt;
  uint64_t at = timer_due(runtime_now(rt), seconds);
  uint64_t last = timer_due(c->drain_since, PATIENCE);
  timer_set(&rt->timers, &c->drain, at < last ? at : last, on_drain);
}

static void cancel_over(void *data) {
  PgConnection *c = data;
  c->cancel = NULL;
  pg_connection_cancel_over(c);
}

void pg_connection_cancel_first(PgConnection *c) {
  Runtime *rt = c->pool->rt;
  if (c->cancel) return;
  if (!c->cancels++) c->drain_since = runtime_now(rt);
  pg_connection_flush(c); /* what is to be cancelled has to be there */
  if (c->state == PG_CLOSED || c->cancel) return;
  if (!c->flying.first || !pg_connection_is_unwanted(c->flying.first)) return;
  put_at_risk(c);
  c->pool->cancels++;
  c->cancel = pg_cancel_start(rt, c->login.cancel, cancel_over, c);
  if (!c->cancel) {
    pg_connection_lose(c, "network", "ENOMEM", "no thread to cancel a statement");
    return;
  }
  timer_set(&rt->timers, &c->drain, timer_due(c->drain_since, PATIENCE), on_drain);
}

void pg_connection_cancel_over(PgConnection *c) {
  put_at_risk(c);
  PgCall *call = c->flying.first;
  if (!call || !pg_connection_is_unwanted(call)) {
    timer_clear(&c->pool->rt->timers, &c->drain);
    if (pg_connection_is_whole(c) && (!c->is_leased || c->is_releasing)) pg_pool_settled(c);
    pg_pool_wake(c->pool);
  } else if (!c->cancels) { /* another one */
    pg_connection_cancel_first(c);
  } else {
    look_again(c);
  }
}
