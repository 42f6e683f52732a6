/* The end of a server: stopping cleanly, waiting for it. */
#include "bindings/web/web_server.h"

#include <lauxlib.h>
#include <stdlib.h>

/* A task that waits for the server to stop. */
typedef struct StopWait {
  struct StopWait *next, **link;
  Waker waker;
} StopWait;

/* Is there something to wait for? */
static bool is_busy(const WebServer *server) {
  return server->tasks.count || web_access_log_is_busy(&server->log);
}

static void check_over(WebServer *server) {
  Runtime *rt = server->http.rt;
  if (!server->http.is_stopped || server->is_over) return;
  if (is_busy(server) && !server->is_given_up && !rt->closing) return;
  server->is_over = true;
  web_access_log_close(&server->log);
  signals_remove_hook(&server->on_signal);
  timer_clear(&rt->timers, &server->drain);
  *server->link = server->next;
  if (server->next) server->next->link = server->link;
  for (StopWait *wait = server->waits; wait; wait = wait->next) ml_wait_wake(wait->waker);
  if (rt->closing) return; /* the state is being closed with all its references */
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->self);
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->router);
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->first_router);
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->tls);
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->failures);
  server->tls = LUA_NOREF;
  server->failures = LUA_NOREF;
}

static void http_stopped(HttpServer *http) {
  WebServer *server = (WebServer *)http;
  web_access_log_end(&server->log);
  check_over(server);
}

static void tasks_ended(TaskTally *tasks) { check_over(container_of(tasks, WebServer, tasks)); }

/* Some tasks cannot be ended: stops waiting for them. */
static void give_tasks_up(Timer *timer) {
  WebServer *server = container_of(timer, WebServer, drain);
  task_tally_disband(server->http.rt, &server->tasks);
  server->is_given_up = true;
  check_over(server);
}

static void cancel_tasks(Timer *timer) {
  WebServer *server = container_of(timer, WebServer, drain);
  Runtime *rt = server->http.rt;
  CancelCause *cause = cause_new(rt, "the server is stopping");
  if (server->has_waited && server->tasks.count)
    report_sayf(rt, LOG_WARN, "the time for stopping is over: %zu tasks of requests are cancelled",
                (size_t)server->tasks.count);
  if (cause) {
    task_tally_cancel(rt, &server->tasks, cause);
    cause_drop(cause);
  }
  if (timer_set(&rt->timers, timer, timer_due(runtime_now(rt), RUNTIME_CLEANUP_SECONDS),
                give_tasks_up))
    give_tasks_up(timer);
}

/* Tasks started by handlers have as long to end as the handlers. */
static void drain_tasks(WebServer *server, double grace) {
  Runtime *rt = server->http.rt;
  uint64_t due = timer_due(runtime_now(rt), grace);
  if (server->http.stopping || due == TIMER_NEVER) return;
  server->has_waited = grace > 0;
  if (timer_set(&rt->timers, &server->drain, due, cancel_tasks)) cancel_tasks(&server->drain);
}

static void close_listener(SignalHook *hook) {
  http_server_stop_accepting(&container_of(hook, WebServer, on_signal)->http);
}

/* server:ends_with_process(): a signal that ends the process closes the listening socket at once.
   Otherwise clients would queue there until the server is stopped, and nobody would accept them. */
static int l_server_ends_with_process(lua_State *L) {
  WebServer *server = web_server_check(L, 1);
  Signals *signals = signals_of(L);
  if (!signals || server->is_over || server->on_signal.link) return 0;
  server->on_signal.act = close_listener;
  signals_add_hook(signals, &server->on_signal);
  return 0;
}

static void log_settled(WebAccessLog *log) { check_over(container_of(log, WebServer, log)); }

void web_server_end_watch(WebServer *server) {
  server->http.stopped = http_stopped;
  server->tasks.empty = tasks_ended;
  server->log.settled = log_settled;
}

static void stop_wait_end(StopWait *wait) {
  *wait->link = wait->next;
  if (wait->next) wait->next->link = wait->link;
  free(wait);
}

static void stop_wait_cancel(Task *t, void *op) {
  (void)t;
  stop_wait_end(op);
}

static int stop_wait_finish(lua_State *L, Task *t, void *op) {
  (void)L;
  (void)t;
  stop_wait_end(op);
  return 0;
}

static const WaitType stop_wait = {
    .name = "server", .cancel = stop_wait_cancel, .finish = stop_wait_finish};

static int wait_until_stopped(lua_State *L, WebServer *server, const char *name) {
  if (server->is_over) return 0;
  Task *t = ml_wait_enter(L, name);
  StopWait *wait = calloc(1, sizeof *wait);
  if (!wait) return luaL_error(L, "not enough memory");
  wait->waker = ml_wait_waker(t);
  wait->next = server->waits;
  wait->link = &server->waits;
  if (wait->next) wait->next->link = &wait->next;
  server->waits = wait;
  return ml_wait_suspend(L, t, &stop_wait, wait);
}

/* server:wait(): suspends until the server has stopped, and the tasks of its requests have ended.
 */
static int l_server_wait(lua_State *L) {
  return wait_until_stopped(L, web_server_check(L, 1), "server:wait");
}

/* server:stop([grace]): stops accepting, gives running requests, and tasks that requests left
   behind, `grace` seconds to end (by default the limit `drain`), then cancels them; suspends until
   all is over. A task of a request may call it and is then not waited for. */
static int l_server_stop(lua_State *L) {
  WebServer *server = web_server_check(L, 1);
  lua_Number grace = luaL_optnumber(L, 2, web_server_drain(server));
  luaL_argcheck(L, grace >= 0, 2, "the time must not be negative");
  Task *t = task_current(L);
  if (t && t->tally == &server->tasks) task_tally_leave(t);
  drain_tasks(server, grace);
  http_server_stop(&server->http, grace);
  return wait_until_stopped(L, server, "server:stop");
}

/* server:retire([grace]): the same for a server whose clients have other servers to go to: idle
   connections stay open until their next request is answered or the time is over. */
static int l_server_retire(lua_State *L) {
  WebServer *server = web_server_check(L, 1);
  lua_Number grace = luaL_optnumber(L, 2, web_server_drain(server));
  luaL_argcheck(L, grace >= 0, 2, "the time must not be negative");
  drain_tasks(server, grace);
  http_server_retire(&server->http, grace);
  return wait_until_stopped(L, server, "server:retire");
}

void web_close_servers(CloseHook *hook, Runtime *rt) {
  (void)rt;
  Web *web = container_of(hook, Web, on_close);
  for (WebServer *server = web->servers, *next; server; server = next) {
    next = server->next;
    http_server_abort(&server->http);
  }
}

void web_server_end_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"wait", l_server_wait},
                                     {"stop", l_server_stop},
                                     {"retire", l_server_retire},
                                     {"ends_with_process", l_server_ends_with_process},
                                     {NULL, NULL}};
  luaL_setfuncs(L, methods, 0);
}
