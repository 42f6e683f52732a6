#include "trace/trace_observer_http.h"

#include "base/redact.h"

#include <stdio.h>
#include <strings.h>

/* --- headers of a request --- */

typedef struct Carried {
  ObservedText parent;
  Buffer state; /* the lines of tracestate, joined by commas */
  bool parents; /* there are several */
} Carried;

/* The value of the line if it is the header `name`, which has a colon at its end. */
static bool is_header(const char *line, size_t n, const char *name, ObservedText *value) {
  size_t size = strlen(name);
  if (n < size || strncasecmp(line, name, size) != 0) return false;
  const char *from = line + size, *to = line + n;
  while (from < to && (*from == ' ' || *from == '\t')) from++;
  while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r')) to--;
  *value = (ObservedText){from, (size_t)(to - from)};
  return true;
}

static void note_context(const char *line, size_t n, Carried *carried) {
  ObservedText value;
  if (is_header(line, n, "traceparent:", &value)) {
    carried->parents = carried->parent.at;
    carried->parent = value;
  } else if (is_header(line, n, "tracestate:", &value)) {
    if (carried->state.len) buffer_add_char(&carried->state, ',');
    buffer_add(&carried->state, value.at, value.len);
  }
}

/* The end of the line, at its line feed. */
static const char *end_of(const char *line, const char *end) {
  const char *feed = memchr(line, '\n', (size_t)(end - line));
  return feed ? feed : end;
}

static void look_for_context(ObservedText headers, Carried *carried) {
  for (const char *line = headers.at, *end = line + headers.len, *next; line < end;
       line = next + 1) {
    next = end_of(line, end);
    if ((*line | 0x20) == 't') note_context(line, (size_t)(next - line), carried);
  }
}

/* The value of the header; `len` is 0 if there is none. */
static ObservedText header(ObservedText headers, const char *name) {
  ObservedText value = {0};
  for (const char *line = headers.at, *end = line + headers.len, *next; line < end;
       line = next + 1) {
    next = end_of(line, end);
    if (is_header(line, (size_t)(next - line), name, &value)) break;
  }
  return value;
}

/* The span of the caller, or NULL. */
static Span *caller_of(const Carried *carried) {
  TraceContext context;
  if (!carried->parent.at || carried->parents ||
      !trace_context_read(carried->parent.at, carried->parent.len, &context))
    return NULL;
  Buffer state = {0};
  if (carried->state.len) trace_context_read_state(carried->state.data, carried->state.len, &state);
  Span *span = span_remote(&context, state.data, state.len);
  buffer_free(&state);
  return span;
}

/* --- attributes of both --- */

static void set_method(Span *span, const char *method) {
  const char *name = observe_method(method);
  span_set_string(span, "http.request.method", name);
  if (strcmp(name, method) != 0) span_set_string(span, "http.request.method_original", method);
}

/* A status from `error_from` on is an error. */
static void set_status(Span *span, int status, int error_from) {
  char text[16];
  span_set_integer(span, "http.response.status_code", status);
  if (status < error_from) return;
  snprintf(text, sizeof text, "%d", status);
  span_set_failure(span, text);
}

/* --- requests --- */

/* "example.org:8080" */
static void set_server(Span *span, ObservedText host) {
  const char *colon = host.len ? memrchr(host.at, ':', host.len) : NULL;
  if (colon && memchr(colon, ']', (size_t)(host.at + host.len - colon))) colon = NULL;
  size_t n = colon ? (size_t)(colon - host.at) : host.len;
  if (n) span_set_text(span, "server.address", host.at, n);
  int64_t port = 0;
  for (const char *p = colon ? colon + 1 : NULL; p && p < host.at + host.len; p++)
    port = *p >= '0' && *p <= '9' && port < 65536 ? port * 10 + *p - '0' : 65536;
  if (port > 0 && port < 65536) span_set_integer(span, "server.port", port);
}

static void set_target(Span *span, ObservedText target) {
  const char *query = memchr(target.at, '?', target.len);
  size_t path = query ? (size_t)(query - target.at) : target.len;
  span_set_text(span, "url.path", target.at, path);
  if (!query) return;
  Buffer shown = {0};
  if (redact_query(&shown, query + 1, target.len - path - 1))
    span_set_text(span, "url.query", shown.data ? shown.data : "", shown.len);
  buffer_free(&shown);
}

static void describe_request(Span *span, const ObservedRequest *r) {
  if (r->headers.at) {
    ObservedText agent = header(r->headers, "user-agent:");
    set_server(span, header(r->headers, "host:"));
    if (agent.len) span_set_text(span, "user_agent.original", agent.at, agent.len);
  }
  if (r->method) set_method(span, r->method);
  if (r->target.at) set_target(span, r->target);
  span_set_string(span, "url.scheme", r->is_secure ? "https" : "http");
  span_set_string(span, "http.route", r->route);
  span_set_string(span, "network.protocol.version", r->version);
}

/* "GET /users/{id}" */
static size_t name_request(const ObservedRequest *r, char *name, size_t size) {
  int n = snprintf(name, size, "%s%s%s", r->method ? r->method : "HTTP", r->route ? " " : "",
                   r->route ? r->route : "");
  return n < (int)size ? (size_t)n : size - 1;
}

/* The span of a request with a context of its caller. Kept apart: most have none. */
__attribute__((noinline)) static Span *begin_continued(Tracer *tracer, ObservedText headers) {
  Carried carried = {0};
  look_for_context(headers, &carried);
  Span *caller = carried.parent.at ? caller_of(&carried) : NULL;
  Span *span = tracer_begin(tracer, caller, SPAN_SERVER, NULL, 0, 0);
  if (caller) span_drop(caller);
  buffer_free(&carried.state);
  return span;
}

Span *trace_observer_http_begin(Tracer *tracer, Task *task, ObservedText headers) {
  Span *span = headers.at ? begin_continued(tracer, headers)
                          : tracer_begin(tracer, NULL, SPAN_SERVER, NULL, 0, 0);
  if (span && task) task_trace_replace(&task->trace, &span_hold(span)->trace);
  return span;
}

void trace_observer_http_request(Span *span, const Observation *o) {
  const ObservedRequest *r = &o->request;
  char name[SPAN_NAME_MAX];
  if (!span->is_recorded) return;
  span->started_ns = o->started_ns;
  span_set_name(span, name, name_request(r, name, sizeof name));
  describe_request(span, r);
}

void trace_observer_http_answered(Span *span, const ObservedRequest *request) {
  if (!span->is_recorded) return;
  if (request->status)
    set_status(span, request->status, 500);
  else
    span_set_boolean(span, "moonloop.cancelled", true); /* the client had gone */
}

/* --- calls --- */

static void describe_call(Span *span, const ObservedCall *c) {
  Buffer url = {0}, shown = {0};
  set_method(span, c->method);
  if (c->host.len) span_set_text(span, "server.address", c->host.at, c->host.len);
  span_set_integer(span, "server.port", c->port);
  bool ok = c->shown.at ? buffer_add(&url, c->shown.at, c->shown.len)
                        : buffer_add(&url, c->base.at, c->base.len) && buffer_add_char(&url, '/') &&
                              buffer_add(&url, c->target.at, c->target.len);
  if (ok && redact_url(&shown, url.data, url.len))
    span_set_text(span, "url.full", shown.data, shown.len);
  buffer_free(&url);
  buffer_free(&shown);
}

/* The header lines by which the other program continues the trace; the span keeps them. */
static ObservedText lines_of(Span *span) {
  Buffer *b = &span->lines;
  char parent[TRACE_PARENT_LENGTH];
  if (!b->len) {
    trace_context_write(&span->context, parent);
    bool ok = buffer_printf(b, "traceparent: %.*s\r\n", TRACE_PARENT_LENGTH, parent) &&
              (!span->state ||
               buffer_printf(b, "tracestate: %.*s\r\n", (int)span->state->size, span->state->text));
    if (!ok) b->len = 0;
  }
  return (ObservedText){b->data, b->len};
}

Span *trace_observer_http_call(Tracer *tracer, Observation *o) {
  Span *parent = o->task && o->task->trace ? span_of(o->task->trace) : NULL;
  if (parent && parent->is_silent) return NULL;
  Span *span;
  if (parent && !span_takes_children(parent)) {
    span = span_hold(parent);
  } else {
    const char *method = o->call.method;
    span = tracer_begin(tracer, parent, SPAN_CLIENT, method, strlen(method), o->started_ns);
    if (!span) return NULL;
    if (span->is_recorded) describe_call(span, &o->call);
  }
  o->call.lines = lines_of(span);
  return span;
}

void trace_observer_http_called(Span *span, const ObservedCall *call) {
  if (!span->is_recorded || span->kind != SPAN_CLIENT) return;
  if (call->status) {
    set_status(span, call->status, 400);
    span_set_string(span, "network.protocol.version", call->is_http2 ? "2" : "1.1");
  }
  if (call->resent) span_set_integer(span, "http.request.resend_count", call->resent);
  span_set_failure(span, call->error);
}
