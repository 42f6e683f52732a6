#include "trace/trace_observer.h"

#include "trace/trace_observer_http.h"

#include <stdio.h>

/* --- statements, commands, jobs of executors: spans of traces that are recorded --- */

static Span *begin_inside(Tracer *tracer, const Observation *o, SpanKind kind, const char *name) {
  Span *parent = o->task && o->task->trace ? span_of(o->task->trace) : NULL;
  if (!parent || parent->is_silent || !span_takes_children(parent)) return NULL;
  return tracer_begin(tracer, parent, kind, name, strlen(name), o->started_ns);
}

static Span *begin_sql(Tracer *tracer, const Observation *o) {
  const ObservedSql *sql = &o->sql;
  Span *span = begin_inside(tracer, o, SPAN_CLIENT, *sql->operation ? sql->operation : sql->system);
  if (!span) return NULL;
  span_set_string(span, "db.system.name", sql->system);
  if (*sql->operation) span_set_string(span, "db.operation.name", sql->operation);
  if (sql->statement.at)
    span_set_text(span, "db.query.text", sql->statement.at, sql->statement.len);
  span_set_string(span, "moonloop.db.pool", sql->database);
  return span;
}

static void end_sql(Span *span, const ObservedSql *sql) {
  if (sql->rows >= 0) span_set_integer(span, "db.response.returned_rows", sql->rows);
  span_set_string(span, "db.response.status_code", sql->code);
  /* SQLSTATE says more than the kind of the error, but a cancel is none. */
  bool has_code = sql->error && sql->code && strcmp(sql->error, "cancelled") != 0;
  span_set_failure(span, has_code ? sql->code : sql->error);
}

static Span *begin_redis(Tracer *tracer, const Observation *o) {
  const ObservedRedis *redis = &o->redis;
  Span *span = begin_inside(tracer, o, SPAN_CLIENT, redis->command);
  if (!span) return NULL;
  span_set_string(span, "db.system.name", "redis");
  span_set_string(span, "db.operation.name", redis->command);
  if (redis->count > 1) span_set_integer(span, "db.operation.batch.size", redis->count);
  span_set_string(span, "moonloop.db.pool", redis->server);
  return span;
}

static void end_executor(Span *span, const ObservedExecutor *executor) {
  span_set_number(span, "moonloop.executor.wait", (double)executor->waited_ns / 1e9);
  span_set_failure(span, executor->error);
}

/* --- jobs --- */

static Span *begin_job(Tracer *tracer, const Observation *o) {
  const ObservedJob *job = &o->job;
  TraceContext context;
  char name[SPAN_NAME_MAX];
  Span *parent = NULL;
  if (job->parent && trace_context_read(job->parent, strlen(job->parent), &context))
    parent = span_remote(&context, NULL, 0);
  int n = snprintf(name, sizeof name, "process %s", job->name);
  Span *span = tracer_begin(tracer, parent, SPAN_CONSUMER, name,
                            n < (int)sizeof name ? (size_t)n : sizeof name - 1, o->started_ns);
  if (parent) span_drop(parent);
  if (!span) return NULL;
  span_set_string(span, "messaging.system", "moonloop");
  span_set_string(span, "messaging.operation.name", "process");
  span_set_string(span, "messaging.operation.type", "process");
  span_set_string(span, "messaging.destination.name", job->queue);
  span_set_string(span, "messaging.message.id", job->id);
  span_set_string(span, "moonloop.job.name", job->name);
  span_set_integer(span, "moonloop.job.attempt", job->attempt);
  span_set_number(span, "moonloop.job.wait", job->waited);
  if (o->task) {
    span->before = o->task->trace;
    o->task->trace = &span_hold(span)->trace;
  }
  return span;
}

static void end_job(Tracer *tracer, Span *span, const Observation *o) {
  const char *outcome = o->job.outcome;
  Task *t = o->task;
  span_set_string(span, "moonloop.job.outcome", outcome);
  bool has_failed = outcome && (strcmp(outcome, "failed") == 0 || strcmp(outcome, "dead") == 0);
  /* Where its error is known, that says more. */
  if (has_failed && span->status != SPAN_ERROR) span_set_failure(span, outcome);
  /* If it still runs, it goes on in what it ran in before. */
  TaskTrace *before = span->before;
  span->before = NULL;
  if (t && t == tracer->rt->scheduler.current && t->trace == &span->trace)
    task_trace_replace(&t->trace, before);
  else
    task_trace_drop(before);
}

/* --- the observer --- */

/* Of most requests nothing is recorded: they only get a context. */
static bool on_wants(Observer *observer, Task *task, ObservedText headers) {
  Tracer *tracer = container_of(observer, Tracer, observer);
  if (tracer->begun) span_drop(tracer->begun); /* there was no memory to observe its request */
  tracer->begun = trace_observer_http_begin(tracer, task, headers);
  if (tracer->begun && tracer->begun->is_recorded) return true;
  if (tracer->begun) span_drop(tracer->begun);
  tracer->begun = NULL;
  return false;
}

static Span *begin_request(Tracer *tracer, const Observation *o) {
  Span *span = tracer->begun;
  tracer->begun = NULL;
  if (!span) {
    ObservedText headers = o->request.has_traceparent ? o->request.headers : (ObservedText){0};
    span = trace_observer_http_begin(tracer, o->task, headers);
  }
  if (span) trace_observer_http_request(span, o);
  return span;
}

static Span *begin(Tracer *tracer, Observation *o) {
  switch (o->kind) {
  case OBSERVED_REQUEST:
    return begin_request(tracer, o);
  case OBSERVED_CALL:
    return trace_observer_http_call(tracer, o);
  case OBSERVED_SQL:
    return begin_sql(tracer, o);
  case OBSERVED_REDIS:
    return begin_redis(tracer, o);
  case OBSERVED_EXECUTOR:
    return begin_inside(tracer, o, SPAN_INTERNAL, "executor");
  case OBSERVED_JOB:
    return begin_job(tracer, o);
  default:
    return NULL;
  }
}

static void on_began(Observer *observer, Observation *o) {
  o->slots[observer->slot] = begin(container_of(observer, Tracer, observer), o);
}

static void on_ended(Observer *observer, Observation *o) {
  Tracer *tracer = container_of(observer, Tracer, observer);
  Span *span = o->slots[observer->slot];
  if (!span) return;
  if (o->kind == OBSERVED_REQUEST)
    trace_observer_http_answered(span, &o->request);
  else if (o->kind == OBSERVED_CALL)
    trace_observer_http_called(span, &o->call);
  else if (o->kind == OBSERVED_SQL)
    end_sql(span, &o->sql);
  else if (o->kind == OBSERVED_REDIS)
    span_set_failure(span, o->redis.error);
  else if (o->kind == OBSERVED_EXECUTOR)
    end_executor(span, &o->executor);
  else if (o->kind == OBSERVED_JOB)
    end_job(tracer, span, o);
  tracer_end(tracer, span, o->ended_ns);
  span_drop(span);
}

static void on_left(Observer *observer, Observation *o) {
  Span *span = o->slots[observer->slot];
  if (o->kind == OBSERVED_CALL) o->call.lines = (ObservedText){0};
  span_drop(span);
}

static bool on_trace(Observer *observer, const Task *t, ObservedTrace *trace) {
  (void)observer;
  const Span *span = t && t->trace ? span_of(t->trace) : NULL;
  return span && span->context.flags & TRACE_SAMPLED &&
         tracer_ids(t, trace->trace_id, trace->span_id);
}

void trace_observer_add(Tracer *tracer) {
  if (tracer->observes) return;
  tracer->observer = (Observer){
      .began = on_began, .ended = on_ended, .left = on_left, .wants = on_wants, .trace = on_trace};
  tracer->observes = observe_add(tracer->rt, &tracer->observer);
}

void trace_observer_remove(Tracer *tracer) {
  if (!tracer->observes) return;
  observe_remove(tracer->rt, &tracer->observer);
  tracer->observes = false;
}
