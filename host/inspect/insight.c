#include "inspect/insight.h"

#include "core/pool_source.h"
#include "core/wait.h"
#include "core/watchdog.h"
#include "inspect/quoted.h"

#include <inttypes.h>
#include <stdlib.h>

/* How late the loop is, is measured this often, and no longer than that after the last question. */
#define LAG_MS 50
#define ASKED_NS 5000000000u

enum { TRACEBACK = 700, POOLS = 24 }; /* bytes of one that are shown; how many are */

static void on_lag(uv_timer_t *timer) {
  Insight *insight = timer->data;
  uint64_t now = uv_hrtime();
  uint64_t late = now > insight->due_at ? now - insight->due_at : 0;
  if (late > insight->lag_ns) insight->lag_ns = late;
  insight->has_lag = true;
  insight->due_at = now + LAG_MS * 1000000u;
  if (now - insight->asked_at <= ASKED_NS) return;
  uv_timer_stop(timer);
  insight->queues.len = 0; /* it is old when the next page comes */
  traffic_keep_spans(&insight->traffic, false);
}

Insight *insight_new(Runtime *rt) {
  Insight *insight = calloc(1, sizeof *insight);
  if (!insight) return NULL;
  if (!traffic_open(&insight->traffic, rt)) {
    free(insight);
    return NULL;
  }
  insight->rt = rt;
  uv_timer_init(&rt->loop, &insight->lag);
  insight->lag.data = insight;
  uv_unref((uv_handle_t *)&insight->lag);
  held_up_keep(rt, &insight->held_ups);
  rt->insight = insight;
  return insight;
}

static void on_closed(uv_handle_t *handle) {
  Insight *insight = handle->data;
  buffer_free(&insight->queues);
  free(insight);
}

void insight_close(Insight *insight) {
  insight->rt->insight = NULL;
  held_up_keep(insight->rt, NULL);
  traffic_close(&insight->traffic);
  uv_close((uv_handle_t *)&insight->lag, on_closed);
}

/* Somebody looks: goes on measuring. */
static void note_question(Insight *insight) {
  insight->asked_at = uv_hrtime();
  traffic_keep_spans(&insight->traffic, true);
  if (insight_is_watched(insight)) return;
  insight->due_at = insight->asked_at + LAG_MS * 1000000u;
  insight->lag_ns = 0;
  insight->has_lag = false;
  uv_timer_start(&insight->lag, on_lag, LAG_MS, LAG_MS);
  if (!insight->watcher.task) return;
  ml_wait_wake(insight->watcher);
  insight->watcher = (Waker){0};
}

static void write_lag(Insight *insight, Buffer *out) {
  if (insight->has_lag) buffer_printf(out, ",\"lag\":%.2f", (double)insight->lag_ns / 1e6);
  insight->lag_ns = 0;
  insight->has_lag = false;
}

static void write_held_up(const HeldUp *one, Buffer *out) {
  buffer_printf(out, "{\"n\":%" PRIu64 ",\"at\":%.3f,\"ms\":%.1f", one->number,
                (double)one->at / 1e9, (double)one->ns / 1e6);
  if (one->is_over) buffer_printf(out, ",\"over\":true");
  quoted_add_field(out, "label", one->label, sizeof one->label);
  if (*one->place) quoted_add_field(out, "place", one->place, sizeof one->place);
  quoted_add_field(out, "traceback", one->traceback, TRACEBACK);
  buffer_add_char(out, '}');
}

/* The reports after the one of that number. */
static void write_held_ups(const HeldUps *all, uint64_t since, Buffer *out) {
  uint64_t first = all->count > HELD_UPS ? all->count - HELD_UPS : 0;
  buffer_printf(out, ",\"held\":[");
  for (uint64_t n = since > first && since <= all->count ? since : first; n < all->count; n++) {
    write_held_up(&all->list[n % HELD_UPS], out);
    if (n + 1 < all->count) buffer_add_char(out, ',');
  }
  buffer_add_char(out, ']');
}

static void write_pools(Runtime *rt, Buffer *out) {
  unsigned n = 0;
  for (PoolSource *source = rt->pool_sources; source && n < POOLS; source = source->next) {
    PoolFigures f = {0};
    source->figures(source, &f);
    buffer_printf(out, "%s{\"idle\":%.0f,\"used\":%.0f,\"most\":%.0f,\"waiting\":%.0f",
                  n++ ? "," : ",\"pools\":[", f.idle, f.used, f.most, f.waiting);
    quoted_add_field(out, "system", f.system, 20);
    quoted_add_field(out, "name", f.name, 120);
    buffer_add_char(out, '}');
  }
  if (n) buffer_add_char(out, ']');
}

void insight_set_queues(Insight *insight, const char *json, size_t n) {
  insight->queues.len = 0;
  if (insight_is_watched(insight)) buffer_add(&insight->queues, json, n);
}

void insight_write(Insight *insight, const InsightSince *since, Buffer *out) {
  Runtime *rt = insight->rt;
  note_question(insight);
  write_lag(insight, out);
  buffer_printf(out, ",\"limit\":%.0f,\"lua_kb\":%d", watchdog_block_limit(rt) * 1e3,
                lua_gc(rt->L, LUA_GCCOUNT));
  write_held_ups(&insight->held_ups, since->held_up, out);
  write_pools(rt, out);
  if (insight->queues.len)
    buffer_printf(out, ",\"queues\":%.*s", (int)insight->queues.len, insight->queues.data);
  traffic_write(&insight->traffic, since->request, since->most, out);
}
