/* pg_pool.h: the beginning and the end of pools. */
#include "sql/pg/pg_pool.h"

#include <stdlib.h>
#include <string.h>

struct PgPools {
  CloseHook close;
  Runtime *rt;
  PgPool *pools;
};

void pg_pool_free_list(PgConnection **list) {
  for (PgConnection *c; (c = *list);) {
    *list = c->next_dead;
    pg_connection_free(c);
  }
}

static void on_runtime_close(CloseHook *hook, Runtime *rt) {
  (void)rt;
  PgPools *all = container_of(hook, PgPools, close);
  for (PgPool *pool = all->pools; pool; pool = pool->next) pg_pool_close(pool);
}

PgPools *pg_pool_open_all(Runtime *rt) {
  PgPools *all = pg_thread_open(rt) ? calloc(1, sizeof *all) : NULL;
  if (!all) return NULL;
  all->rt = rt;
  all->close.close = on_runtime_close;
  ml_runtime_on_close(rt, &all->close);
  return all;
}

static void free_settings(PgSettings *settings) {
  free(settings->url);
  free(settings->label);
}

static void figures(PoolSource *source, PoolFigures *f) {
  const PgPool *pool = container_of(source, PgPool, source);
  unsigned idle = 0, open = 0;
  for (unsigned i = 0; i < pool->count; i++) {
    const PgConnection *c = pool->connections[i];
    open += c->state == PG_OPEN;
    idle += !c->is_leased && pg_connection_is_whole(c);
  }
  *f = (PoolFigures){.system = "postgresql",
                     .name = pool->settings.label,
                     .idle = idle,
                     .used = open - idle,
                     .most = pool->settings.size,
                     .waiting = pool->line.count};
}

PgPool *pg_pool_new(PgPools *all, const PgSettings *settings) {
  PgPool *pool = calloc(1, sizeof *pool);
  if (!pool) return NULL;
  pool->settings = *settings;
  pool->settings.url = strdup(settings->url);
  pool->settings.label = strdup(settings->label);
  if (!pool->settings.url || !pool->settings.label) {
    free_settings(&pool->settings);
    free(pool);
    return NULL;
  }
  pool->all = all;
  pool->rt = all->rt;
  pool->place = &all->pools;
  pool->next = all->pools;
  if (pool->next) pool->next->place = &pool->next;
  all->pools = pool;
  pool->source.figures = figures;
  pool_source_add(pool->rt, &pool->source);
  return pool;
}

void pg_pool_close(PgPool *pool) {
  if (pool->is_closed) return;
  pool->is_closed = true;
  pool_source_remove(&pool->source);
  pg_pool_fail_line(pool, "closed", NULL, "the database was closed");
  while (pool->count) pg_connection_lose(pool->connections[0], "closed", NULL, "it was closed");
  timer_clear(&pool->rt->timers, &pool->acquire);
  timer_clear(&pool->rt->timers, &pool->retry);
  pg_pool_hold_line(pool);
}

void pg_pool_free(PgPool *pool) {
  pg_pool_close(pool);
  *pool->place = pool->next;
  if (pool->next) pool->next->place = pool->place;
  runtime_not_at_pass_end(pool->rt, &pool->pass);
  pg_pool_free_list(&pool->older_dead);
  pg_pool_free_list(&pool->dead);
  pg_call_free_all(pool);
  free_settings(&pool->settings);
  free(pool->connections);
  free(pool);
}
