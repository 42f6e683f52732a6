#include "http_server.h"

#include "access_log.h"
#include "http_listen.h"
#include "runtime.h"
#include <errno.h>
#include <stdlib.h>

#define MAX_SWEEP_MS 2000
#define ACCEPT_PAUSE_SECONDS 0.1 /* between tries while no descriptors are left */
#define ACCEPTS_A_PASS 64
#define STEP_BACK_SECONDS 0.001 /* for which a worker with many clients lets others go first */
#define ACCEPTS_LEFT_BY_OTHERS 4
#define IN_BUFFER 512 /* bytes: most heads; each handler that waits holds one */
#define OUT_BUFFER 2048
#define BATCH_BUFFER 16384
#define SPARE_BUFFERS                                                                              \
  64 /* that are kept of each kind; three quarters of the others go at each sweep */

static void set_timer(HttpServer *s, Timer *timer, double seconds, void (*fire)(Timer *)) {
  timer_set(&s->rt->timers, timer, timer_due(runtime_now(s->rt), seconds), fire);
}

/* --- the end of a pass --- */

static void check_stopped(HttpServer *server) {
  if (!server->stopping || server->listener_open || server->connections || server->pass.listed ||
      server->is_stopped)
    return;
  server->is_stopped = true;
  timer_clear(&server->rt->timers, &server->sweep);
  timer_clear(&server->rt->timers, &server->accept_pause);
  timer_clear(&server->rt->timers, &server->grace);
  free(server->read_buffer);
  server->read_buffer = NULL;
  buffer_pool_trim(&server->in_pool, 0);
  buffer_pool_trim(&server->out_pool, 0);
  buffer_pool_trim(&server->batch_pool, 0);
  server->stopped(server);
}

uint64_t http_server_now(HttpServer *server) {
  uv_update_time(&server->rt->loop);
  return uv_now(&server->rt->loop);
}

void http_server_due(HttpServer *server, HttpConnection *c) {
  if (c->due) return;
  c->due = true;
  c->next_due = server->due;
  server->due = c;
  runtime_at_pass_end(server->rt, &server->pass);
}

static void end_pass(PassHook *hook, Runtime *rt) {
  (void)rt;
  HttpServer *server = container_of(hook, HttpServer, pass);
  for (HttpConnection *c; (c = server->due);) {
    server->due = c->next_due;
    c->due = false;
    http_connection_pass(c);
  }
  if (server->log && server->log->lines.len) server->log->flush(server->log);
  if (server->share) server->share->own->requests = server->n_requests;
  check_stopped(server);
}

/* --- the list of connections --- */

static void publish_connections(HttpServer *server) {
  if (server->share) server->share->own->connections = (uint32_t)server->n_connections;
}

static void sweep(Timer *timer);
static void resume_accepting(HttpServer *server);

/* Clients are found out a little late, by one look at all connections now and then: no timer has to
   be set for each request. */
static void set_sweep(HttpServer *server) {
  const HttpLimits *l = &server->limits;
  uint64_t shortest = MAX_SWEEP_MS;
  uint64_t times[] = {l->header_timeout, l->body_timeout, l->keep_alive, l->write_timeout};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    if (times[i] < shortest) shortest = times[i];
  set_timer(server, &server->sweep, 1e-3 * (double)shortest, sweep);
}

static void sweep(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, sweep);
  /* What came while the loop was held up, or slept, may wait to be read: the clients are judged by
     what was known when events were last looked for, and again after the next look. */
  uint64_t polled_at = server->rt->polled_at, now = uv_now(&server->rt->loop);
  bool overdue = false;
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    http_connection_expire(c, polled_at);
    overdue |=
        (c->deadline && c->deadline <= now) || (c->write_deadline && c->write_deadline <= now);
  }
  buffer_pool_trim(&server->in_pool, SPARE_BUFFERS + server->in_pool.count / 4);
  buffer_pool_trim(&server->out_pool, SPARE_BUFFERS + server->out_pool.count / 4);
  buffer_pool_trim(&server->batch_pool, server->batch_pool.count / 4);
  if (overdue)
    set_timer(server, &server->sweep, 1e-3, sweep);
  else if (server->connections)
    set_sweep(server);
}

void http_server_forget(HttpServer *server, HttpConnection *c) {
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  server->n_connections--;
  publish_connections(server);
  if (server->is_full) {
    server->is_full = false;
    resume_accepting(server);
  }
  if (c->due) {
    HttpConnection **link = &server->due;
    while (*link != c) link = &(*link)->next_due;
    *link = c->next_due;
  }
  check_stopped(server);
}

/* --- accepting --- */

static void on_connectable(uv_poll_t *poll, int status, int events);

static void resume_accepting(HttpServer *server) {
  if (!server->stopping) uv_poll_start(&server->listener, UV_READABLE, on_connectable);
}

static void pause_is_over(Timer *timer) {
  resume_accepting(container_of(timer, HttpServer, accept_pause));
}

static void others_had_their_turn(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, accept_pause);
  server->left_by_others = ACCEPTS_LEFT_BY_OTHERS;
  resume_accepting(server);
}

/* May this process take the next client? Workers that wait at one listening socket are woken all at
   once; one with more than its share steps back for a moment, and takes what is left then. */
static bool has_turn(HttpServer *server) {
  if (!server->share || !worker_share_is_over(server->share)) return true;
  if (server->left_by_others) {
    server->left_by_others--;
    return true;
  }
  uv_poll_stop(&server->listener);
  set_timer(server, &server->accept_pause, STEP_BACK_SECONDS, others_had_their_turn);
  return false;
}

/* libuv's own accept would take connections only to close them, or spin, when no descriptors are
   left; here they wait in the backlog until there are some again. */
static void on_connectable(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  HttpServer *server = poll->data;
  for (int i = 0; i < ACCEPTS_A_PASS; i++) {
    if (server->n_connections >= server->limits.max_connections) {
      server->is_full = true;
      uv_poll_stop(poll);
      return;
    }
    if (!has_turn(server)) return;
    int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      server->left_by_others = 0;
      if (errno != EAGAIN) {
        uv_poll_stop(poll);
        set_timer(server, &server->accept_pause, ACCEPT_PAUSE_SECONDS, pause_is_over);
      }
      return;
    }
    http_connection_open(server, fd);
    publish_connections(server);
    if (!server->sweep.place) set_sweep(server);
  }
}

static void on_listener_closed(uv_handle_t *handle) {
  HttpServer *server = handle->data;
  server->listener_open = false;
  check_stopped(server);
}

static void stop_listening(HttpServer *server) {
  if (server->fd < 0) return;
  uv_close((uv_handle_t *)&server->listener, on_listener_closed);
  close(server->fd);
  server->fd = -1;
  if (server->share) server->share->own->accepts = false;
}

int http_server_accept_on(HttpServer *server, int fd) {
  server->fd = -1;
  server->pass.run = end_pass;
  server->in_pool.size = IN_BUFFER;
  server->out_pool.size = OUT_BUFFER;
  server->batch_pool.size = BATCH_BUFFER;
  int rc = http_listen_port(fd);
  if (rc > 0) {
    server->port = (uint16_t)rc;
    server->read_buffer = malloc(HTTP_READ_BUFFER);
    rc = server->read_buffer ? uv_poll_init_socket(&server->rt->loop, &server->listener, fd)
                             : UV_ENOMEM;
  }
  if (rc) {
    close(fd);
    free(server->read_buffer);
    return rc;
  }
  server->fd = fd;
  server->listener.data = server;
  server->listener_open = true;
  if (server->share) server->share->own->accepts = true;
  return uv_poll_start(&server->listener, UV_READABLE, on_connectable);
}

/* --- stopping --- */

static void force(Timer *timer) { http_server_abort(container_of(timer, HttpServer, grace)); }

static void cancel_running(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, grace);
  CancelCause *cause = cause_new(server->rt, "the server is stopping");
  server->closes_idle = true;
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (!c->task)
      http_connection_retire(c);
    else if (cause)
      task_cancel(c->task, cause);
  }
  if (cause) cause_drop(cause);
  /* Their clients still get an answer if they take it at once. */
  set_timer(server, &server->grace, 1.0, force);
}

static void start_stopping(HttpServer *server, double grace) {
  if (server->stopping) return;
  server->stopping = true;
  stop_listening(server);
  if (server->connections) set_timer(server, &server->grace, grace, cancel_running);
}

void http_server_retire(HttpServer *server, double grace) {
  start_stopping(server, grace);
  check_stopped(server);
}

void http_server_stop(HttpServer *server, double grace) {
  if (server->closes_idle) return;
  server->closes_idle = true;
  start_stopping(server, grace);
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    http_connection_retire(c);
  }
  check_stopped(server);
}

void http_server_abort(HttpServer *server) {
  server->stopping = server->closes_idle = true;
  stop_listening(server);
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    http_connection_abort(c);
  }
  check_stopped(server);
}
