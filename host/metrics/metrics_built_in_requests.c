/* Part of metrics_built_in.h: requests to the server. What a kind of request needs is looked up by
   texts once, and then kept. */
#include "metrics/metric_exemplar.h"
#include "metrics/metrics_built_in.h"

#include <stdio.h>

static const char *scheme_name(bool is_secure) { return is_secure ? "https" : "http"; }

/* Names of methods and versions are static texts: their addresses, of which only the low bits
   differ, stand for them. Two kinds with the same hash would be counted as one. */
static inline uint64_t kind_of(const ObservedRequest *r) {
  uint64_t version = (uintptr_t)r->version;
  uint64_t rest = (uintptr_t)r->method ^ (version << 28 | version >> 36);
  return r->route_hash +
         (rest ^ (uint64_t)(unsigned)r->status << 52 ^ (uint64_t)r->is_secure << 63);
}

static void look_up(MetricsBuiltIn *b, MetricsRequest *kept, const ObservedRequest *r) {
  char status[16] = "";
  if (r->status) snprintf(status, sizeof status, "%d", r->status);
  const char *error = !r->status ? "cancelled" : r->status >= 500 ? status : "";
  const char *method = observe_method(r->method), *route = r->route ? r->route : "";
  const char *values[] = {method, route, status, error, scheme_name(r->is_secure), r->version};
  kept->duration = metrics_built_in_series(b, b->request, values);
  kept->received = metrics_built_in_series(b, b->received, (const char *[]){method, route});
  kept->sent = metrics_built_in_series(b, b->sent, (const char *[]){method, route});
}

/* The series of a kind that is not among those kept. */
__attribute__((noinline)) static void keep(MetricsBuiltIn *b, MetricsRequest *kept, uint64_t kind,
                                           const ObservedRequest *r) {
  look_up(b, kept, r);
  /* What had no room in the region shares its memory with others. */
  kept->kind = metric_store_lost(b->metrics->store) ? ~kind : kind;
}

void metrics_built_in_ended(Observer *observer, Observation *o) {
  MetricsBuiltIn *b = container_of(observer, MetricsBuiltIn, observer);
  if (o->kind != OBSERVED_REQUEST) {
    metrics_built_in_count_other(b, o);
    return;
  }
  const ObservedRequest *r = &o->request;
  uint64_t kind = kind_of(r);
  MetricsRequest *kept = &b->requests[(kind ^ kind >> 17 ^ kind >> 52) % METRICS_REQUESTS_KEPT];
  if (kept->kind != kind || !kept->duration) keep(b, kept, kind, r);
  double seconds = 1e-9 * (double)(int64_t)(o->ended_ns - o->started_ns);
  metric_exemplar_observe(b->request->about, kept->duration, seconds, b->metrics->rt, o->task);
  if (r->received) metric_region_add(&kept->received->cells[0], (double)(int64_t)r->received);
  if (r->sent) metric_region_add(&kept->sent->cells[0], (double)(int64_t)r->sent);
}

void metrics_built_in_count_active(MetricsBuiltIn *b) {
  const Metric *m = b->active;
  for (unsigned i = 0; i < m->n_series; i++) metric_region_set(&m->series[i]->cells[0], 0);
  for (const Observation *o = observe_under_way(b->metrics->rt); o; o = o->next) {
    if (o->kind != OBSERVED_REQUEST) continue;
    const char *values[] = {observe_method(o->request.method), scheme_name(o->request.is_secure)};
    metric_region_add(&metrics_built_in_series(b, b->active, values)->cells[0], 1);
  }
}
