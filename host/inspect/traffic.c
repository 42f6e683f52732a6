#include "inspect/traffic.h"

#include "core/task.h"

#include <stdio.h>
#include <stdlib.h>

/* --- records --- */

static void put_text(char *to, size_t size, const char *text, size_t n) {
  if (n >= size) n = size - 1;
  if (n) memcpy(to, text, n);
  to[n] = '\0';
}

static TrafficRequest *take(Traffic *traffic) {
  TrafficRequest *r = traffic->free;
  if (r) {
    traffic->free = r->next_free;
  } else {
    r = calloc(1, sizeof *r);
    if (!r) return NULL;
    r->next_of_all = traffic->all;
    traffic->all = r;
  }
  r->n_spans = r->more_spans = 0;
  return r;
}

static void give(Traffic *traffic, TrafficRequest *r) {
  r->n_spans = 0;
  r->next_free = traffic->free;
  traffic->free = r;
}

static TrafficRequest **place_of(Traffic *traffic, const Task *t) {
  uint64_t hash = (uint64_t)(uintptr_t)t * 0x9E3779B97F4A7C15u;
  return &traffic->table[hash >> 54];
}

_Static_assert(TRAFFIC_TABLE == 1 << 10, "place_of takes ten bits");

static void list(Traffic *traffic, TrafficRequest *r, const Task *t) {
  r->task = t;
  r->link = NULL;
  if (!t) return;
  r->link = place_of(traffic, t);
  r->next = *r->link;
  if (r->next) r->next->link = &r->next;
  *r->link = r;
}

static void unlist(TrafficRequest *r) {
  if (!r->link) return;
  *r->link = r->next;
  if (r->next) r->next->link = r->link;
  r->link = NULL;
}

/* The request for which the task, or the one that has started it, runs; or NULL. */
static TrafficRequest *request_of(Traffic *traffic, const Task *t) {
  for (; t; t = t->parent)
    for (TrafficRequest *r = *place_of(traffic, t); r; r = r->next)
      if (r->task == t) return r;
  return NULL;
}

/* --- figures --- */

static unsigned latency_place(uint64_t ns) {
  uint64_t us = ns / 1000;
  if (us < 2) return (unsigned)us;
  unsigned top = 63 - (unsigned)__builtin_clzll(us), place = top * 2 + (us >> (top - 1) & 1);
  return place < TRAFFIC_LATENCIES ? place : TRAFFIC_LATENCIES - 1;
}

static void count_route(Traffic *traffic, const char *route, const TrafficRequest *r) {
  unsigned i = 0;
  while (i < traffic->n_routes &&
         (traffic->routes[i].route != route || traffic->routes[i].method != r->method))
    i++;
  if (i == TRAFFIC_ROUTES) return;
  TrafficRoute *one = &traffic->routes[i];
  if (i == traffic->n_routes) {
    traffic->n_routes++;
    *one = (TrafficRoute){.method = r->method, .route = route};
    put_text(one->name, sizeof one->name, r->route, strlen(r->route));
  }
  one->n++;
  one->errors += r->status >= 500;
  one->sum_ns += r->ns;
  if (r->ns > one->most_ns) one->most_ns = r->ns;
  one->has_changed = true;
}

/* --- requests --- */

static void request_began(Traffic *traffic, Observation *o) {
  const ObservedRequest *request = &o->request;
  TrafficRequest *r = take(traffic);
  if (!r) return;
  r->number = 0;
  r->begun = ++traffic->begun;
  r->at = clock_day_time(&traffic->rt->timers.clock);
  r->started_ns = o->started_ns;
  r->method = request->method;
  put_text(r->route, sizeof r->route, request->route, request->route ? strlen(request->route) : 0);
  const char *path = request->target.at;
  size_t n = path ? request->target.len : 0;
  const char *query = n ? memchr(path, '?', n) : NULL;
  put_text(r->path, sizeof r->path, path, query ? (size_t)(query - path) : n);
  list(traffic, r, o->task);
  o->slots[traffic->observer.slot] = r;
}

static void request_ended(Traffic *traffic, const Observation *o) {
  TrafficRequest *r = o->slots[traffic->observer.slot];
  if (!r) return;
  r->number = ++traffic->ended;
  r->ns = o->ended_ns > r->started_ns ? o->ended_ns - r->started_ns : 0;
  r->status = o->request.status;
  r->bytes = o->request.sent;
  unlist(r);
  traffic->errors += r->status >= 500;
  traffic->latencies[latency_place(r->ns)]++;
  count_route(traffic, o->request.route, r);
  TrafficRequest **place = &traffic->kept[r->number % TRAFFIC_KEPT];
  if (*place) give(traffic, *place);
  *place = r;
}

/* --- what they waited for --- */

/* Appends as much of `more` as has room. */
static size_t add_text(char *text, size_t size, size_t n, ObservedText more) {
  put_text(text + n, size - n, more.at, more.at ? more.len : 0);
  return n + strlen(text + n);
}

/* A URL without its query. */
static void describe_call(const ObservedCall *call, char *text, size_t size) {
  const char *method = call->method ? call->method : "";
  size_t n = add_text(text, size, 0, (ObservedText){method, strlen(method)});
  n = add_text(text, size, n, (ObservedText){" ", 1});
  n = add_text(text, size, n, call->shown.at ? call->shown : call->base);
  if (!call->shown.at) {
    n = add_text(text, size, n, (ObservedText){"/", 1});
    add_text(text, size, n, call->target);
  }
  text[strcspn(text, "?#")] = '\0';
}

static void describe(const Observation *o, char *text, size_t size) {
  switch (o->kind) {
  case OBSERVED_CALL:
    describe_call(&o->call, text, size);
    break;
  case OBSERVED_SQL:
    put_text(text, size, o->sql.statement.at, o->sql.statement.at ? o->sql.statement.len : 0);
    break;
  case OBSERVED_SPAN:
    put_text(text, size, o->span.name.at, o->span.name.len);
    break;
  case OBSERVED_REDIS:
    snprintf(text, size, o->redis.count > 1 ? "%s of %u" : "%s", o->redis.command, o->redis.count);
    break;
  default:
    *text = '\0';
  }
}

static const char *error_of(const Observation *o) {
  switch (o->kind) {
  case OBSERVED_CALL:
    return o->call.error;
  case OBSERVED_SQL:
    return o->sql.error;
  case OBSERVED_REDIS:
    return o->redis.error;
  case OBSERVED_EXECUTOR:
    return o->executor.error;
  case OBSERVED_SPAN:
    return o->span.error;
  default:
    return NULL;
  }
}

static void span_began(Traffic *traffic, Observation *o) {
  TrafficRequest *r = request_of(traffic, o->task);
  if (!r) return;
  if (!r->spans) r->spans = calloc(TRAFFIC_SPANS, sizeof *r->spans);
  if (!r->spans || r->n_spans == TRAFFIC_SPANS) {
    r->more_spans++;
    return;
  }
  TrafficSpan *span = &r->spans[r->n_spans++];
  *span = (TrafficSpan){.of = o, .kind = o->kind, .started_ns = o->started_ns};
  describe(o, span->text, sizeof span->text);
  o->slots[traffic->observer.slot] = r;
}

/* The request may be over by then, and its memory another's: then it has no such span. */
static void span_ended(Traffic *traffic, const Observation *o) {
  TrafficRequest *r = o->slots[traffic->observer.slot];
  for (unsigned i = 0; r && i < r->n_spans; i++) {
    TrafficSpan *span = &r->spans[i];
    if (span->of != o) continue;
    const char *error = error_of(o);
    size_t n = strlen(span->text);
    span->of = NULL;
    span->ns = o->ended_ns > span->started_ns ? o->ended_ns - span->started_ns : 0;
    if (error) put_text(span->error, sizeof span->error, error, strlen(error));
    if (o->kind == OBSERVED_CALL && o->call.status)
      snprintf(span->text + n, sizeof span->text - n, ": %d", o->call.status);
    if (o->kind == OBSERVED_EXECUTOR)
      snprintf(span->text, sizeof span->text, "%.1f ms in the queue",
               (double)o->executor.waited_ns / 1e6);
  }
}

/* --- jobs --- */

static void job_began(Traffic *traffic, Observation *o) {
  char name[sizeof traffic->jobs->name];
  unsigned i = 0;
  put_text(name, sizeof name, o->job.name, strlen(o->job.name));
  while (i < traffic->n_jobs && strcmp(traffic->jobs[i].name, name) != 0) i++;
  if (i == TRAFFIC_JOBS) return;
  TrafficJob *job = &traffic->jobs[i];
  if (i == traffic->n_jobs) {
    traffic->n_jobs++;
    memcpy(job->name, name, sizeof name);
  }
  job->running++;
  o->slots[traffic->observer.slot] = job;
}

static void job_ended(Traffic *traffic, const Observation *o) {
  TrafficJob *job = o->slots[traffic->observer.slot];
  const char *outcome = o->job.outcome ? o->job.outcome : "";
  if (!job) return;
  uint64_t ns = o->ended_ns > o->started_ns ? o->ended_ns - o->started_ns : 0;
  job->running--;
  job->done += !strcmp(outcome, "done");
  job->failed += !strcmp(outcome, "failed");
  job->dead += !strcmp(outcome, "dead");
  job->cancelled += !strcmp(outcome, "cancelled");
  job->sum_ns += ns;
  if (ns > job->most_ns) job->most_ns = ns;
}

/* --- observing --- */

static void on_began(Observer *observer, Observation *o) {
  Traffic *traffic = container_of(observer, Traffic, observer);
  if (o->kind == OBSERVED_REQUEST)
    request_began(traffic, o);
  else if (o->kind == OBSERVED_JOB)
    job_began(traffic, o);
  else if (observer->reads_spans && o->task)
    span_began(traffic, o);
}

static void on_ended(Observer *observer, Observation *o) {
  Traffic *traffic = container_of(observer, Traffic, observer);
  if (o->kind == OBSERVED_REQUEST)
    request_ended(traffic, o);
  else if (o->kind == OBSERVED_JOB)
    job_ended(traffic, o);
  else
    span_ended(traffic, o);
}

bool traffic_open(Traffic *traffic, Runtime *rt) {
  traffic->rt = rt;
  traffic->observer = (Observer){.began = on_began, .ended = on_ended};
  return observe_add(rt, &traffic->observer);
}

void traffic_keep_spans(Traffic *traffic, bool keeps) {
  observe_read_spans(traffic->rt, &traffic->observer, keeps);
}

void traffic_close(Traffic *traffic) {
  observe_remove(traffic->rt, &traffic->observer);
  for (TrafficRequest *r = traffic->all, *next; r; r = next) {
    next = r->next_of_all;
    free(r->spans);
    free(r);
  }
}
