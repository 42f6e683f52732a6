#include "http/client/client_exchange.h"

#include "base/prefetch.h"
#include "core/observe.h"
#include "http/client/client_connection.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define MAX_FREE 1024 /* records that are kept for reuse: about as many as end in one pass */
#define NOT_IN_TIME "not finished within %g s"

/* --- the head of the request --- */

/* Headers that the request itself has. */
enum {
  HAS_HOST = 1,
  HAS_AGENT = 2,
  HAS_ACCEPT = 4,
  HAS_ENCODING = 8,
  HAS_AUTHORIZATION = 16,
  SAYS_CLOSE = 32,
  HAS_PROXY_AUTHORIZATION = 64,
  HAS_TRACEPARENT = 128,
};

static unsigned look_at_line(const char *line, size_t name_len, size_t len) {
  static const struct {
    const char *name;
    unsigned flag;
  } known[] = {{"Host", HAS_HOST},
               {"Accept", HAS_ACCEPT},
               {"User-Agent", HAS_AGENT},
               {"Authorization", HAS_AUTHORIZATION},
               {"Proxy-Authorization", HAS_PROXY_AUTHORIZATION},
               {"Accept-Encoding", HAS_ENCODING},
               {"Traceparent", HAS_TRACEPARENT}};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strlen(known[i].name) == name_len && !strncasecmp(line, known[i].name, name_len))
      return known[i].flag;
  if (name_len != 10 || strncasecmp(line, "Connection", 10)) return 0;
  for (size_t i = name_len; i + 5 <= len; i++)
    if (!strncasecmp(line + i, "close", 5)) return SAYS_CLOSE;
  return 0;
}

static unsigned look_at_lines(const char *lines, size_t n) {
  unsigned flags = 0;
  for (const char *end = lines + n; lines < end;) {
    const char *next = memchr(lines, '\n', (size_t)(end - lines));
    const char *colon = memchr(lines, ':', (size_t)(end - lines));
    if (!next || !colon) break;
    flags |= look_at_line(lines, (size_t)(colon - lines), (size_t)(next - lines));
    lines = next + 1;
  }
  return flags;
}

static bool add(Buffer *b, const char *text) { return buffer_add(b, text, strlen(text)); }

/* The origin's header lines that the request does not replace. */
static bool add_fields(Buffer *b, const ClientOrigin *o, unsigned flags) {
  if (!(flags & (HAS_HOST | HAS_AGENT | HAS_ACCEPT | HAS_ENCODING)))
    return buffer_add(b, o->fields, o->fields_len);
  return ((flags & HAS_HOST) || buffer_add(b, o->fields, o->host_len)) &&
         ((flags & HAS_AGENT) || add(b, CLIENT_USER_AGENT)) &&
         ((flags & HAS_ACCEPT) || add(b, CLIENT_ACCEPT)) &&
         ((flags & HAS_ENCODING) || add(b, CLIENT_ACCEPT_ENCODING));
}

/* Is a body likely with this method, so that an empty one must be declared? */
static bool expects_body(const char *method) {
  return *method == 'P' &&
         (!strcmp(method, "POST") || !strcmp(method, "PUT") || !strcmp(method, "PATCH"));
}

/* RFC 9110 section 8.6: declares the length of the body, or an empty body if the method makes one
   likely. */
static bool add_length(Buffer *b, const ClientRequest *r) {
  if (r->framing == CLIENT_BODY_CHUNKED) return add(b, "Transfer-Encoding: chunked\r\n");
  if (r->framing == CLIENT_BODY_WHOLE && !r->body && !expects_body(r->method)) return true;
  return buffer_printf(b, "Content-Length: %zu\r\n", r->body_len);
}

static bool is_idempotent(const char *method) {
  static const char *const known[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (!strcmp(method, known[i])) return true;
  return false;
}

/* Everything after the target. */
static bool add_rest(Buffer *b, const ClientRequest *r, const ClientOrigin *o, unsigned flags) {
  bool forwarding = client_pool_is_forwarding(o), ok = add(b, " HTTP/1.1\r\n");
  if (forwarding && !(flags & HAS_HOST))
    ok = ok && add(b, "Host: ") && client_pool_add_host(b, &r->url) && add(b, "\r\n");
  ok = ok && add_fields(b, o, flags) && add_length(b, r) && buffer_add(b, r->lines, r->lines_len);
  if (forwarding && o->credentials && !(flags & HAS_PROXY_AUTHORIZATION))
    ok = ok && add(b, "Proxy-Authorization: ") && add(b, o->credentials) && add(b, "\r\n");
  if (ok && r->credentials && !(flags & HAS_AUTHORIZATION))
    ok = add(b, "Authorization: ") && add(b, r->credentials) && add(b, "\r\n");
  return ok && add(b, "\r\n");
}

/* The same for a request that adds nothing but `lines`. Many requests have the same ones, so the
   last result is kept. */
static bool add_plain_rest(Buffer *b, const ClientRequest *r, ClientOrigin *o, unsigned *flags) {
  Buffer *rest = &o->rest;
  size_t n = r->lines_len;
  if (!rest->len || o->rest_lines != n ||
      (n && memcmp(rest->data + rest->len - 2 - n, r->lines, n))) {
    rest->len = 0;
    o->rest_flags = n ? look_at_lines(r->lines, n) : 0;
    o->rest_lines = n;
    if (!add_rest(rest, r, o, o->rest_flags)) {
      rest->len = 0;
      return false;
    }
  }
  *flags = o->rest_flags;
  return buffer_add(b, rest->data, rest->len);
}

/* In place of the empty line at the end, which follows them. */
static bool add_observers_lines(Buffer *b, const Observation *o) {
  b->len -= 2;
  return buffer_add(b, o->call.lines.at, o->call.lines.len) && add(b, "\r\n");
}

bool client_exchange_build(ClientExchange *x, ClientOrigin *origin, Buffer *b) {
  const ClientRequest *r = &x->request;
  unsigned flags = 0;
  size_t method = strlen(r->method);
  bool slash = r->url.target_len && *r->url.target == '/' && !r->path;
  bool forwarding = client_pool_is_forwarding(origin);
  bool ok = buffer_add(b, r->method, method) && buffer_add_char(b, ' ');
  if (forwarding) ok = ok && add(b, "http://") && client_pool_add_host(b, &r->url);
  ok = ok && buffer_add(b, r->path, r->path_len) && (slash || buffer_add_char(b, '/')) &&
       buffer_add(b, r->url.target, r->url.target_len);
  if (r->framing == CLIENT_BODY_WHOLE && !r->body && !r->credentials && !forwarding &&
      !expects_body(r->method)) {
    ok = ok && add_plain_rest(b, r, origin, &flags);
  } else {
    if (r->lines_len) flags = look_at_lines(r->lines, r->lines_len);
    ok = ok && add_rest(b, r, origin, flags);
  }
  x->says_close = flags & SAYS_CLOSE;
  bool has_more = x->observed && x->observed->call.lines.len && !(flags & HAS_TRACEPARENT);
  if (has_more) ok = ok && add_observers_lines(b, x->observed);
  return ok;
}

/* --- waiting --- */

bool client_exchange_has(const ClientExchange *x, ClientWant want) {
  const ClientResponse *r = &x->response;
  if (x->over) return true;
  switch (want) {
  case CLIENT_WANTS_CONNECTION:
    return x->stream.session || (x->connection && client_connection_is_made(x->connection));
  case CLIENT_WANTS_ROOM:
    if (!client_exchange_wants_body(x)) return true;
    return (x->stream.session ? client_session_unsent(&x->stream)
                              : client_connection_unsent(x->connection)) <= CLIENT_MAX_UNSENT;
  case CLIENT_WANTS_HEAD:
    return r->head_read;
  case CLIENT_WANTS_PIECE:
    return client_response_has_piece(r);
  case CLIENT_WANTS_END:
    return false;
  }
  return false;
}

/* --- time limits --- */

/* Most exchanges wait for the same time: those are in a list ordered by deadline, with one timer,
   set for the first one or for one that has gone. */

static void unlist(ClientExchange *x) {
  ClientDeadlines *d = &x->client->deadlines;
  *(x->due_prev ? &x->due_prev->due_next : &d->first) = x->due_next;
  *(x->due_next ? &x->due_next->due_prev : &d->last) = x->due_prev;
  x->listed = false;
  if (!d->first) timer_clear(&x->client->rt->timers, &d->timer);
}

static void stop_waiting(ClientExchange *x) {
  x->waits = false;
  if (x->listed)
    unlist(x);
  else
    timer_clear(&x->client->rt->timers, &x->timer);
}

static void fail_late(ClientExchange *x) {
  if (x->stream.session) client_connection_doubt(x->connection, x);
  client_exchange_fail(x, "timeout", "TIMED_OUT", NOT_IN_TIME, x->timeout);
}

static void on_timeout(Timer *timer) { fail_late(container_of(timer, ClientExchange, timer)); }

static void on_deadline(Timer *timer) {
  ClientDeadlines *d = container_of(timer, ClientDeadlines, timer);
  TimerHeap *timers = &container_of(d, ClientPools, deadlines)->rt->timers;
  uint64_t now = clock_now(&timers->clock);
  while (d->first && d->first->due <= now) fail_late(d->first);
  if (d->first) timer_set(timers, timer, d->first->due, on_deadline); /* there was room for it */
}

/* False when memory is out. */
static bool set_deadline(ClientExchange *x) {
  ClientDeadlines *d = &x->client->deadlines;
  TimerHeap *timers = &x->client->rt->timers;
  if (!d->first)
    d->seconds = x->timeout;
  else if (d->seconds != x->timeout || x->due < d->last->due)
    return !timer_set(timers, &x->timer, x->due, on_timeout);
  if (!d->timer.place && timer_set(timers, &d->timer, x->due, on_deadline)) return false;
  x->due_next = NULL;
  x->due_prev = d->last;
  *(d->last ? &d->last->due_next : &d->first) = x;
  d->last = x;
  x->listed = true;
  return true;
}

void client_exchange_notify(ClientExchange *x) {
  if (!x->waits || !client_exchange_has(x, x->want)) return;
  stop_waiting(x);
  ml_wait_wake(x->waker);
}

bool client_exchange_wait(ClientExchange *x, ClientWant want, Waker waker, double seconds) {
  x->due = timer_due(runtime_now(x->client->rt), seconds);
  x->timeout = seconds;
  if (x->due != TIMER_NEVER && !set_deadline(x)) return false;
  x->want = want;
  x->waker = waker;
  x->waits = true;
  return true;
}

/* --- the end --- */

void client_exchange_complete(ClientExchange *x) {
  x->over = true;
  x->pool = NULL;
  if (x->observed) client_exchange_observed(x, false);
  client_exchange_notify(x);
}

/* Removes it from its connection, or from the line. */
static void detach(ClientExchange *x) {
  ClientPool *pool = x->pool;
  x->over = true;
  x->pool = NULL;
  if (x->line) client_pool_leave(x);
  if (x->connection) client_connection_leave(x->connection, x);
  if (x->observed) client_exchange_observed(x, !x->error_kind);
  if (pool) client_pool_serve(pool);
}

void client_exchange_fail(ClientExchange *x, const char *kind, const char *code, const char *format,
                          ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(x->error, sizeof x->error, format, args);
  va_end(args);
  x->error_kind = kind;
  x->error_code = code;
  detach(x);
  client_exchange_notify(x);
}

void client_exchange_fail_with(ClientExchange *x, int error) {
  switch (error) {
  case UV_EAI_AGAIN:
  case UV_EAI_FAIL:
  case UV_EAI_NODATA:
  case UV_EAI_NONAME:
  case UV_EAI_FAMILY:
  case UV_EAI_ADDRFAMILY:
  case UV_EAI_SERVICE:
  case UV_EAI_BADFLAGS:
    client_exchange_fail(x, "dns", "UNKNOWN_HOST", "could not resolve the host: %s",
                         uv_strerror(error));
    return;
  case UV_ENOMEM:
  case UV_ENOBUFS:
  case UV_EAI_MEMORY:
    client_exchange_fail_memory(x);
    return;
  default:
    client_exchange_fail(x, "network", uv_err_name(error), "%s", uv_strerror(error));
  }
}

void client_exchange_fail_memory(ClientExchange *x) {
  client_exchange_fail(x, "http", "ENOMEM", "not enough memory");
}

/* --- life --- */

void client_exchange_free(ClientExchange *x) {
  client_response_close(&x->response);
  free(x);
}

static ClientExchange *take_record(ClientPools *client) {
  ClientExchange *x = client->free_exchanges;
  if (!x) return calloc(1, sizeof *x);
  client->free_exchanges = x->next;
  client->free_count--;
  prefetch(x->next,
           offsetof(ClientExchange, response.parser)); /* most clients send several in a row */
  return x;
}

ClientExchange *client_exchange_start(ClientPool *pool, const ClientRequest *request,
                                      size_t max_body, bool by_pieces) {
  ClientExchange *x = take_record(pool->client);
  if (!x) return NULL;
  x->client = pool->client;
  x->pool = pool;
  x->request = *request;
  x->idempotent = is_idempotent(request->method);
  x->body_ended = request->framing == CLIENT_BODY_WHOLE;
  client_response_open(&x->response, !strcmp(request->method, "HEAD"), max_body, by_pieces);
  if (x->client->rt->observers) client_exchange_observe(x);
  client_pool_submit(pool, x);
  return x;
}

bool client_exchange_repeat(ClientExchange *x) {
  enum { MOST_REPEATS = 5 };
  ClientResponse *r = &x->response;
  if (x->request.framing != CLIENT_BODY_WHOLE || r->head_read || x->repeats >= MOST_REPEATS)
    return false;
  x->repeats++;
  size_t max_body = r->max_body;
  bool answers_head = r->answers_head, by_pieces = r->by_pieces;
  client_response_reset(r);
  client_response_open(r, answers_head, max_body, by_pieces);
  client_pool_place(x->pool, x);
  return true;
}

void client_exchange_release(ClientExchange *x) {
  ClientPools *client = x->client;
  stop_waiting(x);
  if (!x->over) detach(x);
  if (client->free_count == MAX_FREE) {
    client_exchange_free(x);
    return;
  }
  client_response_reset(&x->response);
  memset(x, 0, offsetof(ClientExchange, request));
  x->next = client->free_exchanges;
  client->free_exchanges = x;
  client->free_count++;
}

/* --- bodies --- */

bool client_exchange_write(ClientExchange *x, const char *bytes, size_t n) {
  char size[20];
  struct iovec pieces[3] = {{0}, {(char *)bytes, n}, {"\r\n", 2}};
  x->written += n;
  if (!n) return true; /* an empty chunk would be the last one */
  if (x->stream.session) {
    client_connection_send_later(x->connection);
    return client_session_write(&x->stream, bytes, n);
  }
  if (x->request.framing != CLIENT_BODY_CHUNKED)
    return client_connection_write(x->connection, pieces + 1, 1);
  pieces[0].iov_len = (size_t)snprintf(size, sizeof size, "%zx\r\n", n);
  pieces[0].iov_base = size;
  return client_connection_write(x->connection, pieces, 3);
}

bool client_exchange_end_body(ClientExchange *x) {
  x->body_ended = true;
  if (x->stream.session) {
    client_connection_send_later(x->connection);
    client_session_end_body(&x->stream);
    return true;
  }
  struct iovec last = {"0\r\n\r\n", 5};
  return x->request.framing != CLIENT_BODY_CHUNKED ||
         client_connection_write(x->connection, &last, 1);
}

/* Fails the exchange with the error of its response. */
static bool check_response(ClientExchange *x, bool ok) {
  ClientResponse *r = &x->response;
  if (!ok) client_exchange_fail(x, r->error_kind, r->error_code, "%s", r->error);
  return ok;
}

/* `n` bytes of the body were taken: more may come. */
static void read_on(ClientExchange *x, size_t n) {
  if (x->stream.session) {
    client_session_taken(&x->stream, n);
    client_connection_send_later(x->connection);
  } else if (x->connection) {
    client_connection_read_on(x->connection);
  }
}

bool client_exchange_collect(ClientExchange *x, size_t max_body) {
  size_t waited = client_response_waiting(&x->response);
  if (!check_response(x, client_response_collect(&x->response, max_body))) return false;
  read_on(x, waited);
  return !x->error_kind;
}

bool client_exchange_decode(ClientExchange *x) {
  ClientResponse *r = &x->response;
  if (x->error_kind || !r->coder) return true;
  bool is_late = x->want == CLIENT_WANTS_END && runtime_now(x->client->rt) >= x->due;
  if (is_late) {
    x->error_kind = "timeout";
    x->error_code = "TIMED_OUT";
    snprintf(x->error, sizeof x->error, NOT_IN_TIME, x->timeout);
  } else if (client_response_decode(r)) {
    return !r->coder;
  } else {
    x->error_kind = r->error_kind;
    x->error_code = r->error_code;
    snprintf(x->error, sizeof x->error, "%s", r->error);
  }
  return true;
}

bool client_exchange_take(ClientExchange *x, Buffer *out, size_t max) {
  size_t waited = client_response_waiting(&x->response);
  if (!check_response(x, client_response_take(&x->response, out, max))) return false;
  size_t left = client_response_waiting(&x->response);
  if (x->stream.session || left <= CLIENT_MAX_UNREAD / 2) read_on(x, waited - left);
  return !x->error_kind;
}
