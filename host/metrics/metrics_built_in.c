#include "metrics/metrics_built_in.h"

#include "metrics/metric_merge.h"

#include <stdlib.h>
#include <string.h>

typedef struct Definition {
  size_t place; /* of the Metric pointer in MetricsBuiltIn */
  MetricType type;
  MetricAcross across;
  const char *name, *help;
  const char *labels[METRIC_LABELS_MAX];
  const double *buckets;
  unsigned n_buckets;
} Definition;

/* Those of http.server.request.duration; those of db.client.operation.duration; and for what holds
   up the loop. */
static const double http_buckets[] = {.005, .01, .025, .05, .075, .1,  .25,
                                      .5,   .75, 1,    2.5, 5,    7.5, 10};
static const double db_buckets[] = {.001, .005, .01, .05, .1, .5, 1, 5, 10};
static const double long_buckets[] = {.1, .5, 1, 5, 10, 30, 60, 300, 600, 3600};

/* Those of messaging.process.duration, and longer ones: a job may take an hour. */
static const double job_buckets[] = {.005, .01, .025, .05, .075, .1, .25, .5,  .75, 1,
                                     2.5,  5,   7.5,  10,  30,   60, 300, 600, 3600};

/* What the three of jobs have; OpenTelemetry has no attribute for the name of a job. */
#define MESSAGE_LABELS                                                                             \
  "messaging_system", "messaging_operation_name", "messaging_destination_name",                    \
      "moonloop_job_name", "error_type"

#define PLACE(name) offsetof(MetricsBuiltIn, name)
#define BUCKETS(list) list, sizeof list / sizeof *list

static const Definition definitions[] = {
    {PLACE(request),
     METRIC_HISTOGRAM,
     0,
     "http_server_request_duration_seconds",
     "Duration of requests to this server.",
     {"http_request_method", "http_route", "http_response_status_code", "error_type", "url_scheme",
      "network_protocol_version"},
     BUCKETS(http_buckets)},
    {PLACE(active),
     METRIC_GAUGE,
     METRIC_SUM,
     "http_server_active_requests",
     "Requests to this server that are under way.",
     {"http_request_method", "url_scheme"},
     NULL,
     0},
    {PLACE(received),
     METRIC_COUNTER,
     0,
     "moonloop_http_server_received_bytes_total",
     "Bytes of the bodies of requests.",
     {"http_request_method", "http_route"},
     NULL,
     0},
    {PLACE(limited),
     METRIC_COUNTER,
     0,
     "moonloop_http_server_limited_total",
     "Times that a limit of the server was in the way of a client.",
     {"limit_name"},
     NULL,
     0},
    {PLACE(sent),
     METRIC_COUNTER,
     0,
     "moonloop_http_server_sent_bytes_total",
     "Bytes of the bodies of responses.",
     {"http_request_method", "http_route"},
     NULL,
     0},
    {PLACE(call),
     METRIC_HISTOGRAM,
     0,
     "http_client_request_duration_seconds",
     "Duration of requests to other servers.",
     {"http_request_method", "server_address", "server_port", "http_response_status_code",
      "error_type"},
     BUCKETS(http_buckets)},
    {PLACE(database),
     METRIC_HISTOGRAM,
     0,
     "db_client_operation_duration_seconds",
     "Duration of statements and commands.",
     {"db_system_name", "db_operation_name", "error_type"},
     BUCKETS(db_buckets)},
    {PLACE(executor),
     METRIC_HISTOGRAM,
     0,
     "moonloop_executor_job_duration_seconds",
     "Duration of jobs of the executor, with their time in its queue.",
     {"error_type"},
     BUCKETS(http_buckets)},
    {PLACE(executor_wait),
     METRIC_HISTOGRAM,
     0,
     "moonloop_executor_wait_duration_seconds",
     "Time of jobs in the executor's queue.",
     {NULL},
     BUCKETS(http_buckets)},
    {PLACE(job),
     METRIC_HISTOGRAM,
     0,
     "messaging_process_duration_seconds",
     "Duration of runs of jobs.",
     {MESSAGE_LABELS},
     BUCKETS(job_buckets)},
    {PLACE(sent_jobs),
     METRIC_COUNTER,
     0,
     "messaging_client_sent_messages_total",
     "Jobs that were pushed.",
     {MESSAGE_LABELS},
     NULL,
     0},
    {PLACE(consumed_jobs),
     METRIC_COUNTER,
     0,
     "messaging_client_consumed_messages_total",
     "Runs of jobs that have begun.",
     {MESSAGE_LABELS},
     NULL,
     0},
    {PLACE(job_wait),
     METRIC_HISTOGRAM,
     0,
     "moonloop_job_wait_duration_seconds",
     "Time from when a job was due to its run.",
     {"messaging_destination_name", "moonloop_job_name"},
     BUCKETS(long_buckets)},
    {PLACE(lag),
     METRIC_GAUGE,
     METRIC_MAX,
     METRIC_MERGE_LAG,
     "The longest time that a timer was late in the last seconds.",
     {NULL},
     NULL,
     0},
    {PLACE(blocked),
     METRIC_HISTOGRAM,
     0,
     "moonloop_loop_blocked_duration_seconds",
     "Times that a handler or another task has held up the loop for longer than --block-limit.",
     {"task_name"},
     BUCKETS(http_buckets)},
    {PLACE(tasks),
     METRIC_GAUGE,
     METRIC_SUM,
     "moonloop_tasks",
     "Live tasks.",
     {"task_state"},
     NULL,
     0},
    {PLACE(lua_memory),
     METRIC_GAUGE,
     METRIC_SUM,
     "moonloop_lua_memory_bytes",
     "Memory of the main Lua state.",
     {NULL},
     NULL,
     0},
    {PLACE(memory),
     METRIC_GAUGE,
     METRIC_SUM,
     "process_memory_usage_bytes",
     "Physical memory in use.",
     {NULL},
     NULL,
     0},
    {PLACE(descriptors),
     METRIC_GAUGE,
     METRIC_SUM,
     "process_unix_file_descriptor_count",
     "Open file descriptors.",
     {NULL},
     NULL,
     0},
    {PLACE(cpu),
     METRIC_COUNTER,
     0,
     "process_cpu_time_seconds_total",
     "CPU time.",
     {"cpu_mode"},
     NULL,
     0},
    {PLACE(connections),
     METRIC_GAUGE,
     METRIC_SUM,
     "db_client_connection_count",
     "Connections of pools to databases.",
     {"db_system_name", "db_client_connection_pool_name", "db_client_connection_state"},
     NULL,
     0},
    {PLACE(connections_max),
     METRIC_GAUGE,
     METRIC_SUM,
     "db_client_connection_limit",
     "Connections that pools may have at most.",
     {"db_system_name", "db_client_connection_pool_name"},
     NULL,
     0},
    {PLACE(pending),
     METRIC_GAUGE,
     METRIC_SUM,
     "db_client_connection_pending_requests",
     "Those that wait for a connection of a pool.",
     {"db_system_name", "db_client_connection_pool_name"},
     NULL,
     0},
    {PLACE(pool_jobs),
     METRIC_GAUGE,
     METRIC_SUM,
     "moonloop_executor_jobs",
     "Jobs of executors that wait or run.",
     {"job_state"},
     NULL,
     0},
    {PLACE(pool_threads),
     METRIC_GAUGE,
     METRIC_SUM,
     "moonloop_executor_threads",
     "Threads of executors.",
     {NULL},
     NULL,
     0},
};

/* False: memory is out, or a script has defined something else by that name. */
static bool define(MetricsBuiltIn *b, const Definition *d) {
  MetricSpec spec = {.type = d->type,
                     .across = d->across,
                     .name = d->name,
                     .help = d->help,
                     .n_buckets = d->n_buckets,
                     .buckets = d->buckets};
  while (spec.n_labels < METRIC_LABELS_MAX && d->labels[spec.n_labels]) {
    spec.labels[spec.n_labels] = d->labels[spec.n_labels];
    spec.n_labels++;
  }
  const Metric *other;
  Metric *m = metric_store_define(b->metrics->store, &spec, &other);
  memcpy((char *)b + d->place, &m, sizeof m);
  return m != NULL;
}

MetricSeries *metrics_built_in_series(MetricsBuiltIn *b, Metric *m, const char *const *values) {
  MetricText texts[METRIC_LABELS_MAX];
  for (unsigned i = 0; i < m->about->n_labels; i++)
    texts[i] = (MetricText){values[i] ? values[i] : "", values[i] ? strlen(values[i]) : 0};
  return metric_store_series(b->metrics->store, m, texts, observe_has_traces(b->metrics->rt));
}

static void blocked(Observer *observer, const char *name, uint64_t ns) {
  MetricsBuiltIn *b = container_of(observer, MetricsBuiltIn, observer);
  MetricSeries *s = metrics_built_in_series(b, b->blocked, (const char *[]){name});
  metric_region_observe(b->blocked->about, s, 1e-9 * (double)ns);
}

static void limited(Observer *observer, const char *limit) {
  MetricsBuiltIn *b = container_of(observer, MetricsBuiltIn, observer);
  metrics_built_in_add(b, b->limited, (const char *[]){limit}, 1);
}

MetricsBuiltIn *metrics_built_in_new(Metrics *metrics) {
  MetricsBuiltIn *b = calloc(1, sizeof *b);
  if (!b) return NULL;
  b->metrics = metrics;
  b->observer = (Observer){.ended = metrics_built_in_ended, .blocked = blocked, .limited = limited};
  bool ok = true;
  for (size_t i = 0; ok && i < sizeof definitions / sizeof *definitions; i++)
    ok = define(b, &definitions[i]);
  if (ok && observe_add(metrics->rt, &b->observer)) return b;
  free(b);
  return NULL;
}

void metrics_built_in_free(MetricsBuiltIn *b) {
  observe_remove(b->metrics->rt, &b->observer);
  free(b);
}
