/* Part of metrics_built_in.h: what is done for requests: calls of other servers, statements,
   commands, jobs. */
#include "metrics/metric_exemplar.h"
#include "metrics/metrics_built_in.h"

#include <stdio.h>
#include <string.h>

#define MESSAGING_SYSTEM "moonloop" /* as in spans */

static double seconds(const Observation *o) { return 1e-9 * (double)(o->ended_ns - o->started_ns); }

static void count(MetricsBuiltIn *b, Metric *m, const char *const *values, const Observation *o) {
  MetricSeries *s = metrics_built_in_series(b, m, values);
  metric_exemplar_observe(m->about, s, seconds(o), b->metrics->rt, o->task);
}

static void count_call(MetricsBuiltIn *b, const Observation *o) {
  const ObservedCall *call = &o->call;
  char status[16] = "", port[8], host[METRIC_VALUE_MAX + 1];
  size_t n = call->host.len < METRIC_VALUE_MAX ? call->host.len : METRIC_VALUE_MAX;
  memcpy(host, call->host.at, n);
  host[n] = 0;
  snprintf(port, sizeof port, "%u", call->port);
  if (call->status) snprintf(status, sizeof status, "%d", call->status);
  const char *error = call->error ? call->error : call->status >= 400 ? status : "";
  count(b, b->call, (const char *[]){call->method, host, port, status, error}, o);
}

static void count_executor(MetricsBuiltIn *b, const Observation *o) {
  count(b, b->executor, (const char *[]){o->executor.error}, o);
  MetricSeries *wait = metrics_built_in_series(b, b->executor_wait, NULL);
  metric_region_observe(b->executor_wait->about, wait, 1e-9 * (double)o->executor.waited_ns);
}

static void count_job(MetricsBuiltIn *b, const Observation *o) {
  const ObservedJob *job = &o->job;
  const char *error = job->outcome && strcmp(job->outcome, "done") != 0 ? job->outcome : "";
  count(b, b->job, (const char *[]){MESSAGING_SYSTEM, "process", job->queue, job->name, error}, o);
  MetricSeries *wait =
      metrics_built_in_series(b, b->job_wait, (const char *[]){job->queue, job->name});
  metric_region_observe(b->job_wait->about, wait, job->waited);
}

void metrics_built_in_count_message(MetricsBuiltIn *b, bool is_sent, const char *queue,
                                    const char *name, const char *error) {
  const char *values[] = {MESSAGING_SYSTEM, is_sent ? "push" : "process", queue, name, error};
  metrics_built_in_add(b, is_sent ? b->sent_jobs : b->consumed_jobs, values, 1);
}

void metrics_built_in_count_other(MetricsBuiltIn *b, const Observation *o) {
  switch (o->kind) {
  case OBSERVED_CALL:
    count_call(b, o);
    break;
  case OBSERVED_SQL:
    count(
        b, b->database,
        (const char *[]){o->sql.system, o->sql.operation, o->sql.code ? o->sql.code : o->sql.error},
        o);
    break;
  case OBSERVED_REDIS:
    count(b, b->database, (const char *[]){"redis", o->redis.command, o->redis.error}, o);
    break;
  case OBSERVED_EXECUTOR:
    count_executor(b, o);
    break;
  case OBSERVED_JOB:
    count_job(b, o);
    break;
  default:
    break;
  }
}
