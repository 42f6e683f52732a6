#include "serve/metrics_listener.h"

#include "base/container_of.h"
#include "metrics/metric_text.h"
#include "net/own_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { HEAD_MAX = 16 * 1024, CLIENTS_MAX = 64, PATIENCE_MS = 10000 };

struct MetricsClient {
  MetricsListener *listener;
  MetricsClient *next, **link;
  uv_tcp_t stream;
  uv_timer_t deadline;
  uv_write_t write;
  int open_handles;
  bool is_answered;
  Buffer in, out;
};

/* --- the end of a client --- */

static void on_closed(uv_handle_t *handle) {
  MetricsClient *c = handle->data;
  if (--c->open_handles) return;
  buffer_free(&c->in);
  buffer_free(&c->out);
  free(c);
}

static void end(MetricsClient *c) {
  if (uv_is_closing((uv_handle_t *)&c->stream)) return;
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  c->listener->count--;
  uv_close((uv_handle_t *)&c->stream, on_closed);
  uv_close((uv_handle_t *)&c->deadline, on_closed);
}

static void on_late(uv_timer_t *timer) { end(timer->data); }

static void on_written(uv_write_t *write, int status) {
  (void)status;
  end(write->data);
}

/* --- a request --- */

/* The value of a header of the head, which ends in an empty line; NULL: there is none. */
static const char *header(const char *head, const char *name, size_t *len) {
  size_t n = strlen(name);
  for (const char *line = strstr(head, "\r\n"); line && strncmp(line + 2, "\r\n", 2) != 0;
       line = strstr(line + 2, "\r\n")) {
    const char *p = line + 2, *over = strstr(p, "\r\n");
    if (strncasecmp(p, name, n) != 0 || p[n] != ':') continue;
    for (p += n + 1; *p == ' ' || *p == '\t';) p++;
    while (over > p && (over[-1] == ' ' || over[-1] == '\t')) over--;
    *len = (size_t)(over - p);
    return p;
  }
  return NULL;
}

static void respond(MetricsClient *c, const char *status, const char *type, const Buffer *body,
                    bool is_head) {
  bool ok = buffer_printf(&c->out,
                          "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n"
                          "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
                          "Vary: Accept\r\nConnection: close\r\n\r\n",
                          status, type, body->len) &&
            (is_head || !body->len || buffer_add(&c->out, body->data, body->len));
  uv_buf_t bytes = uv_buf_init(c->out.data, (unsigned)c->out.len);
  c->is_answered = true;
  c->write.data = c;
  if (!ok || uv_write(&c->write, (uv_stream_t *)&c->stream, &bytes, 1, on_written)) end(c);
}

static void refuse(MetricsClient *c, const char *status, const char *why) {
  Buffer body = {0};
  buffer_printf(&body, "%s\n", why);
  respond(c, status, "text/plain; charset=utf-8", &body, false);
  buffer_free(&body);
}

static void show(MetricsClient *c, const char *head, bool is_head) {
  size_t n = 0;
  const char *accept = header(head, "Accept", &n);
  bool open = metric_text_wants_open(accept, n);
  Buffer body = {0};
  if (c->listener->write(c->listener->data, &body, open))
    respond(c, "200 OK", open ? METRIC_TEXT_OPEN_TYPE : METRIC_TEXT_TYPE, &body, is_head);
  else
    refuse(c, "503 Service Unavailable", "more than 64 MB, or out of memory");
  buffer_free(&body);
}

/* The head is complete, and has a 0 behind it. */
static void answer(MetricsClient *c, const char *head) {
  size_t n = 0, ignored;
  bool is_head = !strncmp(head, "HEAD ", 5);
  const char *host = header(head, "Host", &n);
  const char *target = strchr(head, ' ');
  if (!target || (strncmp(head, "GET ", 4) != 0 && !is_head)) {
    refuse(c, "405 Method Not Allowed", "only GET is answered here");
  } else if (header(head, "Origin", &ignored)) {
    refuse(c, "403 Forbidden", "a request of a page (Origin) is not answered here");
  } else if (!host || !(own_host_is(host, n) || own_host_is_named(host, n, c->listener->name))) {
    refuse(c, "421 Misdirected Request",
           "the Host is not known to be this machine: ask by its address, or by the name that "
           "--metrics has");
  } else {
    size_t path = strcspn(target + 1, " ?\r");
    if (path == 8 && !strncmp(target + 1, "/metrics", 8))
      show(c, head, is_head);
    else
      refuse(c, "404 Not Found", "metrics are at /metrics");
  }
}

static void alloc_read(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)suggested;
  MetricsClient *c = handle->data;
  bool ok = buffer_reserve(&c->in, 4097);
  *buffer = uv_buf_init(ok ? c->in.data + c->in.len : NULL, ok ? 4096 : 0);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer) {
  (void)buffer;
  MetricsClient *c = stream->data;
  if (n < 0) {
    bool shut_after_asking = n == UV_EOF && c->is_answered; /* and waits for the answer */
    if (!shut_after_asking) end(c);
    return;
  }
  if (c->is_answered) return; /* what follows is thrown away */
  c->in.len += (size_t)n;
  c->in.data[c->in.len] = 0;
  if (c->in.len > HEAD_MAX || memchr(c->in.data, 0, c->in.len))
    refuse(c, "400 Bad Request", "no head of a request");
  else if (strstr(c->in.data, "\r\n\r\n"))
    answer(c, c->in.data);
  if (c->is_answered) c->in.len = 0;
}

/* --- clients that come --- */

static void on_client(uv_stream_t *server, int status) {
  MetricsListener *l = server->data;
  if (status) return;
  MetricsClient *c = calloc(1, sizeof *c);
  if (!c) return;
  c->listener = l;
  c->stream.data = c->deadline.data = c;
  c->open_handles = 2;
  uv_tcp_init(server->loop, &c->stream);
  uv_timer_init(server->loop, &c->deadline);
  uv_unref((uv_handle_t *)&c->stream);
  uv_unref((uv_handle_t *)&c->deadline);
  c->next = l->first;
  c->link = &l->first;
  if (c->next) c->next->link = &c->next;
  l->first = c;
  l->count++;
  if (uv_accept(server, (uv_stream_t *)&c->stream) || l->count > CLIENTS_MAX ||
      uv_read_start((uv_stream_t *)&c->stream, alloc_read, on_read))
    end(c);
  else
    uv_timer_start(&c->deadline, on_late, PATIENCE_MS, 0);
}

bool metrics_listener_bind(MetricsListener *l, uv_loop_t *loop, const ListenAddress *address,
                           char *wrong, size_t size) {
  char where[LISTEN_NAME_MAX + 32];
  snprintf(l->name, sizeof l->name, "%s", address->name);
  int rc = listen_bind(loop, address, &l->socket);
  if (!rc) return true;
  l->socket.fd = -1;
  listen_address_show(address, where, sizeof where);
  snprintf(wrong, size, "--metrics: cannot listen on %s: %s", where, listen_strerror(rc));
  return false;
}

int metrics_listener_start(MetricsListener *l, uv_loop_t *loop) {
  char where[LISTEN_NAME_MAX + 32];
  listen_describe(&l->socket, where, sizeof where);
  int rc = uv_tcp_init(loop, &l->handle);
  if (rc) return rc;
  l->is_open = true;
  l->handle.data = l;
  rc = uv_tcp_open(&l->handle, l->socket.fd);
  if (rc) return rc;
  l->socket.fd = -1; /* the handle's */
  rc = uv_listen((uv_stream_t *)&l->handle, 128, on_client);
  if (rc) return rc;
  uv_unref((uv_handle_t *)&l->handle);
  snprintf(l->where, sizeof l->where, "%s/metrics", where);
  return 0;
}

void metrics_listener_stop(MetricsListener *l) {
  while (l->first) end(l->first);
  if (l->is_open) uv_close((uv_handle_t *)&l->handle, NULL);
  l->is_open = false;
  if (l->socket.fd >= 0) listen_close(&l->socket);
  l->socket.fd = -1;
}
