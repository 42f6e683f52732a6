#include "http/server/http_server.h"

#include "base/descriptor_limit.h"
#include "core/idle_files.h"
#include "core/observe.h"
#include "core/runtime.h"
#include "http/server/access_log.h"
#include "http/server/http2_session.h"
#include "http/server/http_body.h"
#include "http/server/http_preface.h"
#include "http/server/http_room.h"
#include "http/server/http_unsent.h"
#include "http/server/http_upgrade.h"
#include "net/listen.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define MAX_SWEEP_MS 2000
/* Between attempts while no descriptors are left; and for those who have room, before one that has
   none closes a connection. */
#define ACCEPT_PAUSE_SECONDS 0.1
#define ACCEPTS_A_PASS 64
#define STEP_BACK_SECONDS 0.001 /* of a worker with many clients, or without descriptors */
#define ACCEPTS_LEFT_BY_OTHERS 4
#define IN_BUFFER                                                                                  \
  BUFFER_POOL_SIZE(512) /* bytes: holds most heads; each waiting handler holds one */
#define OUT_BUFFER BUFFER_POOL_SIZE(2048)
#define BATCH_BUFFER BUFFER_POOL_SIZE(16384)
/* Spare buffers kept of each kind while there are clients; three quarters of the others are freed
   at each sweep. */
#define SPARE_BUFFERS 64

static void set_timer(HttpServer *s, Timer *timer, double seconds, void (*fire)(Timer *)) {
  timer_set(&s->rt->timers, timer, timer_due(runtime_now(s->rt), seconds), fire);
}

/* Frees spare buffers: all of them if there is no client. */
static void trim_pools(HttpServer *server) {
  size_t some = server->connections ? SPARE_BUFFERS : 0, share = server->connections ? 4 : SIZE_MAX;
  buffer_pool_trim(&server->in_pool, some + server->in_pool.count / share);
  buffer_pool_trim(&server->out_pool, some + server->out_pool.count / share);
  buffer_pool_trim(&server->batch_pool, server->batch_pool.count / share);
  buffer_pool_trim(&server->stream_pool, server->stream_pool.count / share);
}

/* --- the end of a pass --- */

static void check_stopped(HttpServer *server) {
  if (!server->stopping || server->open_listeners || server->connections || server->prefaces ||
      server->pass.listed || server->is_stopped)
    return;
  server->is_stopped = true;
  timer_clear(&server->rt->timers, &server->sweep);
  timer_clear(&server->rt->timers, &server->accept_pause);
  timer_clear(&server->rt->timers, &server->turn);
  timer_clear(&server->rt->timers, &server->grace);
  free(server->read_buffer);
  server->read_buffer = NULL;
  http_clients_free(&server->clients);
  trim_pools(server);
  tls_context_release(server->tls);
  server->tls = NULL;
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

static void turn_has_come(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, turn);
  HttpConnection *later = server->later;
  server->later = NULL;
  for (HttpConnection *c; (c = later);) {
    later = c->next_due;
    c->due = false;
    http_server_due(server, c);
  }
}

void http_server_due_later(HttpServer *server, HttpConnection *c) {
  if (c->due) return;
  if (!server->turn.place &&
      timer_set(&server->rt->timers, &server->turn, runtime_now(server->rt), turn_has_come)) {
    http_server_due(server, c); /* no memory for the timer */
    return;
  }
  c->due = true;
  c->next_due = server->later;
  server->later = c;
}

static void end_pass(PassHook *hook, Runtime *rt) {
  (void)rt;
  HttpServer *server = container_of(hook, HttpServer, pass);
  do {
    for (HttpConnection *c; (c = server->due);) {
      server->due = c->next_due;
      c->due = false;
      http_connection_pass(c);
    }
    Http2Session *session = server->http2_due;
    if (!session) break;
    server->http2_due = session->next_due;
    session->due = false;
    server->http2_calls->pass(session); /* after its streams, so that it writes once for all */
  } while (true);
  if (server->log && server->log->lines.len) server->log->flush(server->log);
  if (server->share) server->share->own->requests = server->n_requests;
  check_stopped(server);
}

/* --- the list of connections --- */

static void publish_connections(HttpServer *server) {
  if (server->share) server->share->own->connections = (uint32_t)server->n_connections;
}

static void sweep(Timer *timer);
static int resume_accepting(HttpServer *server);

/* Slow clients are noticed a little late, by a look at all connections now and then, so that no
   timer has to be set for each request. */
static void set_sweep(HttpServer *server) {
  const HttpLimits *l = &server->limits;
  uint64_t shortest = MAX_SWEEP_MS;
  uint64_t times[] = {server->tls ? l->handshake_timeout : MAX_SWEEP_MS,
                      l->header_timeout,
                      l->body_timeout,
                      l->body_total,
                      l->keep_alive,
                      l->write_timeout};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    if (times[i] < shortest) shortest = times[i];
  set_timer(server, &server->sweep, 1e-3 * (double)shortest, sweep);
}

/* It holds much, and moves little. */
static void cut(HttpConnection *c) {
  observe_limited(c->server->rt, "max_buffered");
  if (http_body_is_owed(c))
    http_body_refuse(c);
  else
    http_connection_abort(c);
}

static void sweep(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, sweep);
  /* Bytes that came while the loop was blocked or asleep may not have been read yet: clients are
     judged by what was known when events were last polled, and again after the next poll. */
  uint64_t polled_at = server->rt->polled_at, now = uv_now(&server->rt->loop);
  bool overdue = false;
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    http_connection_expire(c, polled_at);
    overdue |=
        (c->deadline && c->deadline <= now) || (c->write_deadline && c->write_deadline <= now);
  }
  http_preface_expire(server, polled_at);
  http_room_cut(server, cut);
  trim_pools(server);
  if (overdue)
    set_timer(server, &server->sweep, 1e-3, sweep);
  else if (server->connections || server->prefaces)
    set_sweep(server);
}

void http_server_left(HttpServer *server) {
  bool was_full = server->n_connections-- >= server->limits.max_connections;
  publish_connections(server);
  if (was_full || server->is_full) {
    server->is_full = false;
    resume_accepting(server);
  }
  check_stopped(server);
}

/* False: it is not in that list. */
static bool take_out(HttpConnection **list, const HttpConnection *c) {
  HttpConnection **link = list;
  while (*link && *link != c) link = &(*link)->next_due;
  if (!*link) return false;
  *link = c->next_due;
  return true;
}

void http_server_forget(HttpServer *server, HttpConnection *c) {
  *c->link = c->next;
  if (c->next) c->next->link = c->link;
  if (c->due && !take_out(&server->due, c)) take_out(&server->later, c);
  if (c->is_stream)
    check_stopped(server);
  else
    http_server_left(server);
}

/* --- accepting --- */

static void on_connectable(uv_poll_t *handle, int status, int events);

static int resume_accepting(HttpServer *server) {
  int rc = 0;
  for (HttpListener *l = server->listeners; l && !rc; l = l->next)
    rc = uv_poll_start(&l->poll, UV_READABLE, on_connectable);
  return rc;
}

static void pause_accepting(HttpServer *server) {
  for (HttpListener *l = server->listeners; l; l = l->next) uv_poll_stop(&l->poll);
}

static void pause_is_over(Timer *timer) {
  resume_accepting(container_of(timer, HttpServer, accept_pause));
}

static void others_had_their_turn(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, accept_pause);
  server->left_by_others = ACCEPTS_LEFT_BY_OTHERS;
  resume_accepting(server);
}

/* All workers that wait at a listening socket are woken at once. One that has more clients than its
   share, or no room, steps back for a moment, and then takes what is left. False: it is its turn.
 */
static bool leave_to_others(HttpServer *server, double seconds) {
  if (server->left_by_others) {
    server->left_by_others--;
    return false;
  }
  pause_accepting(server);
  set_timer(server, &server->accept_pause, seconds, others_had_their_turn);
  return true;
}

/* False: there is something to be read first. */
static bool leave(HttpConnection *c) {
  if (byte_stream_has_unread(&c->bytes)) return false;
  if (c->phase == PHASE_CARRYING)
    c->server->http2_calls->leave(c->http2);
  else if (c->phase == PHASE_IDLE)
    http_connection_retire(c);
  else
    http_connection_abort(c);
  return true;
}

/* A client waits, and no more may be accepted until a connection has gone; or for a moment: those
   that were found have bytes that are about to be read, or a descriptor may be that of a file. */
static void make_room(HttpServer *server, HttpRoomLack lack) {
  HttpConnection *found[HTTP_ROOM];
  HttpRoomKind kind;
  pause_accepting(server);
  unsigned n = http_room_find(server, lack, found, &kind), left = 0;
  for (unsigned i = 0; i < n; i++) {
    if (kind == HTTP_ROOM_WAITING) {
      left += leave(found[i]);
    } else {
      http_connection_abort(found[i]);
      left++;
    }
  }
  if (!n) left = http_preface_make_room(server, http_room_share(server));
  server->is_full = left || lack == HTTP_ROOM_CONNECTIONS;
  if (!left && (n || kind == HTTP_ROOM_LATER || lack == HTTP_ROOM_DESCRIPTORS))
    set_timer(server, &server->accept_pause, n ? STEP_BACK_SECONDS : ACCEPT_PAUSE_SECONDS,
              pause_is_over);
}

/* The same where the client may have gone to another worker, or have been the last one: accept4
   says that no descriptors are left before it looks whether anyone waits. */
static void make_room_if_waited(HttpListener *listener, HttpRoomLack lack) {
  struct pollfd waiting = {.fd = listener->socket.fd, .events = POLLIN};
  listener->server->left_by_others = 0;
  if (poll(&waiting, 1, 0) > 0) make_room(listener->server, lack);
}

/* A client got a descriptor that is kept from them: from about so many connections on, it is looked
   whether there is another one before a client is taken. */
static void note_shortage(HttpServer *server) {
  server->short_from = server->n_connections - server->n_connections / 8 + 1;
}

/* Have clients all descriptors that they may have? Files that only wait give theirs back first. */
static bool lacks_descriptors(HttpServer *server, int fd) {
  if (!server->short_from || server->n_connections < server->short_from) return false;
  while (!descriptor_limit_has_below(server->most_descriptors, fd))
    if (!idle_files_close(server->rt, http_room_share(server))) return true;
  return false;
}

static void step_back_or_make_room(HttpListener *listener) {
  const HttpServer *server = listener->server;
  if (!server->share || !leave_to_others(listener->server, STEP_BACK_SECONDS))
    make_room_if_waited(listener, HTTP_ROOM_DESCRIPTORS);
}

/* If no descriptors are left, libuv's own accept would take connections only to close them, or
   spin; here they wait in the backlog until there are descriptors again. */
static void on_connectable(uv_poll_t *handle, int status, int events) {
  (void)status;
  (void)events;
  HttpListener *listener = handle->data;
  HttpServer *server = listener->server;
  uint64_t most = server->limits.max_connections;
  for (int i = 0; i < ACCEPTS_A_PASS; i++) {
    bool is_full = server->n_connections >= most;
    if (server->share && child_board_is_over(server->share, most) &&
        leave_to_others(server, is_full ? ACCEPT_PAUSE_SECONDS : STEP_BACK_SECONDS))
      return;
    if (is_full) {
      make_room_if_waited(listener, HTTP_ROOM_CONNECTIONS);
      return;
    }
    if (lacks_descriptors(server, listener->socket.fd)) {
      step_back_or_make_room(listener);
      return;
    }
    int fd = accept4(listener->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EMFILE || errno == ENFILE) {
        if (idle_files_close(server->rt, http_room_share(server))) continue;
        step_back_or_make_room(listener);
        return;
      }
      server->left_by_others = 0;
      if (errno != EAGAIN) {
        pause_accepting(server);
        set_timer(server, &server->accept_pause, ACCEPT_PAUSE_SECONDS, pause_is_over);
      }
      return;
    }
    if (fd >= server->most_descriptors) note_shortage(server);
    HttpEntry entry = listener->socket.redirects ? HTTP_REDIRECTS
                      : listener->socket.tls     ? HTTP_SECURE
                                                 : HTTP_CLEAR;
    if (server->proxy_protocol)
      http_preface_open(server, fd, entry);
    else
      http_connection_open(server, fd, entry, NULL);
    publish_connections(server);
    if (!server->sweep.place) set_sweep(server);
  }
}

static void on_listener_closed(uv_handle_t *handle) {
  HttpListener *listener = handle->data;
  HttpServer *server = listener->server;
  free(listener);
  if (!server) return;
  server->open_listeners--;
  check_stopped(server);
}

/* Closes the sockets. `is_known`: the server waits until the handles are closed. */
static void close_listeners(HttpServer *server, bool is_known) {
  for (HttpListener *listener; (listener = server->listeners);) {
    server->listeners = listener->next;
    if (!is_known) listener->server = NULL;
    uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    listen_close(&listener->socket);
  }
}

void http_server_stop_accepting(HttpServer *server) {
  close_listeners(server, true);
  if (server->share) server->share->own->accepts = false;
}

/* Returns 0 or a libuv error. */
static int open_buffers(HttpServer *server) {
  server->date.clock = &server->rt->timers.clock;
  server->pass.run = end_pass;
  server->in_pool.size = IN_BUFFER;
  server->out_pool.size = OUT_BUFFER;
  server->batch_pool.size = BATCH_BUFFER;
  server->read_buffer = malloc(HTTP_READ_BUFFER);
  return server->read_buffer ? 0 : UV_ENOMEM;
}

/* Starts to listen on a socket, which is taken over. */
static int open_listener(HttpServer *server, ListenSocket *socket, HttpListener **end) {
  HttpListener *listener = calloc(1, sizeof *listener);
  int rc = listener ? listen_start(socket, 0) : UV_ENOMEM, port = listen_port(socket->fd);
  if (!rc) rc = uv_poll_init_socket(&server->rt->loop, &listener->poll, socket->fd);
  if (rc) {
    free(listener);
    listen_close(socket);
    return rc;
  }
  listener->server = server;
  listener->socket = *socket;
  listener->poll.data = listener;
  http_unsent_limit(socket->fd); /* the connections inherit it */
  if (!server->port && port > 0) server->port = (uint16_t)port;
  if (!server->https_port && port > 0 && socket->tls) server->https_port = (uint16_t)port;
  server->open_listeners++;
  *end = listener;
  return 0;
}

int http_server_accept_on(HttpServer *server, ListenSocket *sockets, unsigned n) {
  int rc = open_buffers(server);
  HttpListener **end = &server->listeners;
  server->most_descriptors = descriptor_limit_of_clients();
  for (unsigned i = 0; i < n; i++) {
    if (rc)
      listen_close(&sockets[i]);
    else if (!(rc = open_listener(server, &sockets[i], end)))
      end = &(*end)->next;
  }
  if (!rc) rc = resume_accepting(server);
  if (!rc && server->share) server->share->own->accepts = true;
  if (rc) {
    close_listeners(server, false);
    free(server->read_buffer);
  }
  return rc;
}

void http_server_use_tls(HttpServer *server, TlsContext *context) {
  TlsContext *before = server->tls;
  server->tls = tls_context_retain(context);
  tls_context_release(before);
}

/* --- without a socket --- */

static MemoryEnd *connect_in_memory(MemoryPort *port) {
  HttpServer *server = container_of(port, HttpServer, memory);
  MemoryEnd *ends[2];
  if (server->stopping) return NULL;
  if (!memory_end_pair(server->rt, ++server->memory_connections, ends)) return NULL;
  if (http_connection_open_memory(server, ends[0])) return ends[1];
  memory_end_close(ends[0], false);
  memory_end_close(ends[1], false);
  return NULL;
}

int http_server_accept_in_memory(HttpServer *server) {
  server->memory.connect = connect_in_memory;
  return open_buffers(server);
}

/* --- stopping --- */

static void force(Timer *timer) { http_server_abort(container_of(timer, HttpServer, grace)); }

static void cancel_running(Timer *timer) {
  HttpServer *server = container_of(timer, HttpServer, grace);
  CancelCause *cause = cause_new(server->rt, "the server is stopping");
  server->closes_idle = true;
  http_preface_close_all(server);
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (!c->task)
      http_connection_retire(c);
    else if (cause)
      task_cancel(c->task, cause);
  }
  if (cause) cause_drop(cause);
  /* Their clients still get an answer if they read it at once. */
  set_timer(server, &server->grace, 1.0, force);
}

static void start_stopping(HttpServer *server, double grace) {
  if (server->stopping) return;
  server->stopping = true;
  http_server_stop_accepting(server);
  if (server->connections || server->prefaces)
    set_timer(server, &server->grace, grace, cancel_running);
}

void http_server_retire(HttpServer *server, double grace) {
  bool was_stopping = server->stopping;
  start_stopping(server, grace);
  for (HttpConnection *c = server->connections; c; c = c->next) {
    if (c->phase == PHASE_UPGRADED && !was_stopping) c->upgrade->calls->retire(c);
    if (c->phase == PHASE_CARRYING) server->http2_calls->retire(c->http2);
  }
  check_stopped(server);
}

void http_server_stop(HttpServer *server, double grace) {
  if (server->closes_idle) return;
  server->closes_idle = true;
  start_stopping(server, grace);
  http_preface_close_all(server);
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    http_connection_retire(c);
  }
  check_stopped(server);
}

void http_server_abort(HttpServer *server) {
  server->stopping = server->closes_idle = true;
  http_server_stop_accepting(server);
  http_preface_close_all(server);
  for (HttpConnection *c = server->connections, *next; c; c = next) {
    next = c->next;
    http_connection_abort(c);
  }
  check_stopped(server);
}
