/* Part of metrics_built_in.h: requests to the server. What a kind of request needs is looked up by
   texts once, and then kept. */
#include "metrics/metric_exemplar.h"
#include "metrics/metrics_built_in.h"

#include <stdio.h>

static const char *scheme_name(bool is_secure) { return is_secure ? "https" : "http"; }

/* Never 0. Names of methods and versions are static texts: their addresses, of which only the low
   bits differ, stand for them. Two kinds with the same hash would be counted as one. */
static inline uint64_t kind_of(const ObservedRequest *r) {
  uint64_t version = (uintptr_t)r->version;
  uint64_t rest = (uintptr_t)r->method ^ (version << 28 | version >> 36);
  return (r->route_hash +
          (rest ^ (uint64_t)(unsigned)r->status << 52 ^ (uint64_t)r->is_secure << 63)) |
         1;
}

static inline MetricsRequest *place_of(MetricsBuiltIn *b, uint64_t kind) {
  return &b->requests[kind * 0x9E3779B97F4A7C15u / (UINT64_MAX / METRICS_REQUESTS_KEPT + 1)];
}

/* At the end, so that whoever calls this may end there, is what may call others. */
static inline void count(MetricsBuiltIn *b, const MetricsRequest *of, const Observation *o) {
  const ObservedRequest *r = &o->request;
  double seconds = 1e-9 * (double)(int64_t)(o->ended_ns - o->started_ns);
  if (r->received) metric_region_add(&of->received->cells[0], (double)(int64_t)r->received);
  if (r->sent) metric_region_add(&of->sent->cells[0], (double)(int64_t)r->sent);
  metric_exemplar_observe(b->request->about, of->duration, seconds, b->metrics->rt, o->task);
}

/* Counts a request of a kind that is not among those kept. */
__attribute__((noinline)) static void look_up(MetricsBuiltIn *b, const Observation *o) {
  const ObservedRequest *r = &o->request;
  uint64_t kind = kind_of(r);
  MetricsRequest *kept = place_of(b, kind);
  char status[16] = "";
  if (r->status) snprintf(status, sizeof status, "%d", r->status);
  const char *error = !r->status ? "cancelled" : r->status >= 500 ? status : "";
  const char *method = observe_method(r->method), *route = r->route ? r->route : "";
  const char *scheme = scheme_name(r->is_secure);
  const char *values[] = {method, route, status, error, scheme, r->version};
  kept->duration = metrics_built_in_series(b, b->request, values);
  kept->received = metrics_built_in_series(b, b->received, (const char *[]){method, route});
  kept->sent = metrics_built_in_series(b, b->sent, (const char *[]){method, route});
  /* It is there as 0, too, while no request is seen under way. */
  metrics_built_in_series(b, b->active, (const char *[]){method, scheme});
  /* What had no room in the region shares its memory with others. */
  kept->kind = metric_store_lost(b->metrics->store) ? 0 : kind;
  count(b, kept, o);
}

void metrics_built_in_ended(Observer *observer, Observation *o) {
  MetricsBuiltIn *b = container_of(observer, MetricsBuiltIn, observer);
  if (o->kind != OBSERVED_REQUEST) {
    metrics_built_in_count_other(b, o);
    return;
  }
  uint64_t kind = kind_of(&o->request);
  const MetricsRequest *kept = place_of(b, kind);
  if (kept->kind == kind)
    count(b, kept, o);
  else
    look_up(b, o);
}

void metrics_built_in_count_active(MetricsBuiltIn *b) {
  metrics_built_in_sum_begin(b->active);
  for (const Observation *o = observe_under_way(b->metrics->rt); o; o = o->next) {
    if (o->kind != OBSERVED_REQUEST) continue;
    const char *values[] = {observe_method(o->request.method), scheme_name(o->request.is_secure)};
    metrics_built_in_sum_add(b, b->active, values, 1);
  }
  metrics_built_in_sum_end(b->active);
}
