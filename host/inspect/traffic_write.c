/* The traffic as JSON. */
#include "inspect/quoted.h"
#include "inspect/traffic.h"

#include <inttypes.h>

enum { IN_FLIGHT = 40 };

/* Members that requests in flight and those that are over have in common. */
static void write_request(const TrafficRequest *r, uint64_t number, Buffer *out) {
  buffer_printf(out, "{\"n\":%" PRIu64, number);
  quoted_add_field(out, "m", r->method, 20);
  quoted_add_field(out, "path", r->path, sizeof r->path);
  if (*r->route) quoted_add_field(out, "route", r->route, sizeof r->route);
}

/* The oldest ones. */
static void write_flying(const Traffic *traffic, Buffer *out) {
  const TrafficRequest *oldest[IN_FLIGHT];
  unsigned n = 0, written = 0;
  uint64_t now = runtime_now(traffic->rt);
  for (const Observation *o = observe_under_way(traffic->rt); o; o = o->next) { /* newest first */
    const TrafficRequest *r = o->slots[traffic->observer.slot];
    if (o->kind == OBSERVED_REQUEST && r) oldest[n++ % IN_FLIGHT] = r;
  }
  buffer_printf(out, "\"flying\":%u,\"live\":[", n);
  for (unsigned i = n; i-- > 0 && n - i <= IN_FLIGHT;) {
    const TrafficRequest *r = oldest[i % IN_FLIGHT];
    uint64_t age = now > r->started_ns ? now - r->started_ns : 0;
    if (written++) buffer_add_char(out, ',');
    write_request(r, r->begun, out);
    buffer_printf(out, ",\"age\":%.3f}", (double)age / 1e9);
  }
  buffer_add_char(out, ']');
}

static void write_over(const TrafficRequest *r, Buffer *out) {
  write_request(r, r->number, out);
  buffer_printf(out, ",\"at\":%.3f,\"ms\":%.3f,\"status\":%d,\"bytes\":%" PRIu64,
                (double)r->at / 1e9, (double)r->ns / 1e6, r->status, r->bytes);
  if (r->n_spans) buffer_printf(out, ",\"spans\":%u", r->n_spans);
  buffer_add_char(out, '}');
}

static void write_ended(const Traffic *traffic, uint64_t since, unsigned most, Buffer *out) {
  uint64_t first = since > traffic->ended ? 0 : since;
  if (most > TRAFFIC_KEPT) most = TRAFFIC_KEPT;
  if (traffic->ended - first > most) first = traffic->ended - most;
  buffer_printf(out, ",\"done\":[");
  for (uint64_t n = first + 1; n <= traffic->ended; n++) {
    if (n > first + 1) buffer_add_char(out, ',');
    write_over(traffic->kept[n % TRAFFIC_KEPT], out);
  }
  buffer_add_char(out, ']');
}

static void write_latencies(const Traffic *traffic, Buffer *out) {
  unsigned written = 0;
  buffer_printf(out, ",\"hist\":[");
  for (unsigned i = 0; i < TRAFFIC_LATENCIES; i++) {
    if (!traffic->latencies[i]) continue;
    buffer_printf(out, "%s[%u,%" PRIu64 "]", written++ ? "," : "", i, traffic->latencies[i]);
  }
  buffer_add_char(out, ']');
}

static void write_routes(Traffic *traffic, bool all, Buffer *out) {
  unsigned written = 0;
  buffer_printf(out, ",\"routes\":[");
  for (unsigned i = 0; i < traffic->n_routes; i++) {
    TrafficRoute *one = &traffic->routes[i];
    if (!one->has_changed && !all) continue;
    one->has_changed = false;
    buffer_printf(out, "%s{\"n\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"sum\":%.3f,\"most\":%.3f",
                  written++ ? "," : "", one->n, one->errors, (double)one->sum_ns / 1e6,
                  (double)one->most_ns / 1e6);
    quoted_add_field(out, "m", one->method, 20);
    if (*one->name) quoted_add_field(out, "route", one->name, sizeof one->name);
    buffer_add_char(out, '}');
  }
  buffer_add_char(out, ']');
}

static void write_jobs(const Traffic *traffic, Buffer *out) {
  if (!traffic->n_jobs) return;
  buffer_printf(out, ",\"jobs\":[");
  for (unsigned i = 0; i < traffic->n_jobs; i++) {
    const TrafficJob *job = &traffic->jobs[i];
    buffer_printf(out,
                  "%s{\"running\":%" PRIu64 ",\"done\":%" PRIu64 ",\"failed\":%" PRIu64
                  ",\"dead\":%" PRIu64 ",\"cancelled\":%" PRIu64 ",\"sum\":%.3f,\"most\":%.3f",
                  i ? "," : "", job->running, job->done, job->failed, job->dead, job->cancelled,
                  (double)job->sum_ns / 1e6, (double)job->most_ns / 1e6);
    quoted_add_field(out, "name", job->name, sizeof job->name);
    buffer_add_char(out, '}');
  }
  buffer_add_char(out, ']');
}

void traffic_write(Traffic *traffic, uint64_t since, unsigned most, Buffer *out) {
  buffer_printf(out, ",\"requests\":{\"total\":%" PRIu64 ",\"errors\":%" PRIu64 ",", traffic->ended,
                traffic->errors);
  write_flying(traffic, out);
  write_ended(traffic, since, most, out);
  write_latencies(traffic, out);
  buffer_add_char(out, '}');
  write_routes(traffic, since == 0, out);
  write_jobs(traffic, out);
}

static void write_span(const TrafficSpan *span, const TrafficRequest *r, uint64_t now,
                       Buffer *out) {
  static const char *const kinds[OBSERVED_KINDS] = {[OBSERVED_CALL] = "HTTP",
                                                    [OBSERVED_SQL] = "SQL",
                                                    [OBSERVED_REDIS] = "Redis",
                                                    [OBSERVED_EXECUTOR] = "executor",
                                                    [OBSERVED_SPAN] = "span"};
  uint64_t ns = !span->of ? span->ns : now > span->started_ns ? now - span->started_ns : 0;
  uint64_t start = span->started_ns > r->started_ns ? span->started_ns - r->started_ns : 0;
  buffer_printf(out, "{\"kind\":\"%s\",\"start\":%.3f,\"ms\":%.3f", kinds[span->kind],
                (double)start / 1e6, (double)ns / 1e6);
  quoted_add_field(out, "text", span->text, sizeof span->text);
  if (*span->error) quoted_add_field(out, "error", span->error, sizeof span->error);
  buffer_add_char(out, '}');
}

void traffic_write_spans(const Traffic *traffic, uint64_t number, Buffer *out) {
  const TrafficRequest *r = number ? traffic->kept[number % TRAFFIC_KEPT] : NULL;
  if (!r || r->number != number) {
    buffer_printf(out, "{\"gone\":true}");
    return;
  }
  uint64_t now = runtime_now(traffic->rt);
  buffer_printf(out, "{\"more\":%u,\"spans\":[", r->more_spans);
  for (unsigned i = 0; i < r->n_spans; i++) {
    if (i) buffer_add_char(out, ',');
    write_span(&r->spans[i], r, now, out);
  }
  buffer_printf(out, "]}");
}
