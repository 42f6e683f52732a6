/* pg_pool.h: which connection a statement goes to. */
#include "sql/pg/pg_pool.h"

enum { DEPTH = 32 /* statements behind each other on a connection */ };

#define OLD 5000000   /* nanoseconds without a word after which an idle one is looked at */
#define SLOW 10000000 /* nothing is sent behind what has been at work for so long */

static bool takes_statements(const PgConnection *c) {
  return c->state == PG_OPEN && !c->is_leased && !c->is_reserved && !c->cancel && !c->is_open_ended;
}

/* The connections take turns. */
static unsigned first_place(const PgPool *pool) {
  return pool->count ? pool->turn % pool->count : 0;
}
static unsigned next_place(const PgPool *pool, unsigned i) {
  return i + 1 < pool->count ? i + 1 : 0;
}

/* One that is whole, and known to be there. */
PgConnection *pg_pool_pick_idle(PgPool *pool, uint64_t now) {
  unsigned at = first_place(pool);
  for (unsigned i = 0; i < pool->count; i++, at = next_place(pool, at)) {
    PgConnection *c = pool->connections[at];
    if (!takes_statements(c) || c->flying.first) continue;
    if (now - c->heard_at > OLD) {
      pg_connection_look(c);
      if (!pool->count) return NULL;
      if (!takes_statements(c) || c->flying.first) {
        i = (unsigned)-1; /* the list may be another one now */
        at = 0;
        continue;
      }
      c->heard_at = pool->rt->pass_at;
    }
    return c;
  }
  return NULL;
}

/* May a statement go behind what is in flight there? */
static bool takes_more(const PgPool *pool, const PgConnection *c) {
  const PgCall *first = c->flying.first, *last = c->flying.last;
  if (!takes_statements(c) || c->flying.count >= DEPTH || last->is_alone) return false;
  uint64_t since = first->since > c->heard_at ? first->since : c->heard_at;
  return (int64_t)(pool->rt->pass_at - since) < SLOW; /* it may have come in this pass */
}

PgConnection *pg_pool_pick_behind(PgPool *pool) {
  PgConnection *best = NULL;
  unsigned at = first_place(pool);
  for (unsigned i = 0; i < pool->count; i++, at = next_place(pool, at)) {
    PgConnection *c = pool->connections[at];
    if (!c->flying.first || (best && c->flying.count >= best->flying.count)) continue;
    if (takes_more(pool, c)) best = c;
  }
  return best;
}

/* Keeps one free for who has to have it alone. */
void pg_pool_reserve(PgPool *pool) {
  PgConnection *best = NULL;
  for (unsigned i = 0; i < pool->count; i++) {
    PgConnection *c = pool->connections[i];
    if (c->state == PG_OPEN && !c->is_leased && !c->is_reserved &&
        (!best || c->flying.count < best->flying.count))
      best = c;
  }
  if (best) best->is_reserved = true;
}
