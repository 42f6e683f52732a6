/* The servers of moonloop.web.core: listening, stopping in order, waiting for the end. */
#include "web.h"

#include "access_log.h"
#include "http_listen.h"
#include "http_server.h"
#include "report.h"
#include "supervised.h"
#include "task_tally.h"
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Seconds that cancelled tasks have for their clean-up. */
#define CLEANUP 5.0

/* A task that waits for the server to stop. */
typedef struct StopWait {
  struct StopWait *next, **link;
  Waker waker;
} StopWait;

typedef struct WebServer {
  HttpServer http;                /* first: a connection's server is this one */
  struct WebServer *next, **link; /* in web->servers */
  TaskTally tasks;                /* handlers, and what they have started */
  Timer drain;                    /* the tasks may end by themselves until then */
  StopWait *waits;
  int self;   /* registry reference: the userdata, until all is over */
  int router; /* the same for its router */
  AccessLog log;
  TaskOwner taker;  /* of the task that gives entries to a script */
  int on_entries;   /* registry reference: its function */
  bool is_taken;    /* that task runs */
  bool is_given_up; /* what cannot be ended is not waited for */
  bool is_over;
} WebServer;

static WebServer *check_server(lua_State *L) {
  return *(WebServer **)luaL_checkudata(L, 1, WEB_SERVER);
}

/* The worker process that this is, or NULL. */
static Supervised *supervised_of(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, SUPERVISED_KEY);
  Supervised *supervised = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return supervised;
}

/* --- the end --- */

/* Is something to be waited for? */
static bool is_busy(const WebServer *server) {
  return server->tasks.count || server->is_taken || (server->on_entries && server->log.lines.len);
}

static void check_over(WebServer *server) {
  Runtime *rt = server->http.rt;
  if (!server->http.is_stopped || server->is_over) return;
  if (is_busy(server) && !server->is_given_up && !rt->closing) return;
  server->is_over = true;
  timer_clear(&rt->timers, &server->drain);
  *server->link = server->next;
  if (server->next) server->next->link = server->link;
  for (StopWait *wait = server->waits; wait; wait = wait->next) ml_wait_wake(wait->waker);
  if (rt->closing) return; /* the state is on its way out with all its references */
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->self);
  luaL_unref(rt->L, LUA_REGISTRYINDEX, server->router);
  if (server->on_entries) luaL_unref(rt->L, LUA_REGISTRYINDEX, server->on_entries);
}

static void http_stopped(HttpServer *http) { check_over((WebServer *)http); }

static void tasks_ended(TaskTally *tasks) { check_over(container_of(tasks, WebServer, tasks)); }

static bool start_handler(HttpConnection *c) {
  WebServer *server = (WebServer *)c->server;
  if (!web_start_request(c)) return false;
  task_tally_enter(&server->tasks, c->task);
  return true;
}

/* Some tasks cannot be ended: nobody waits for them any longer. */
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
  if (cause) {
    task_tally_cancel(rt, &server->tasks, cause);
    cause_drop(cause);
  }
  if (timer_set(&rt->timers, timer, timer_due(runtime_now(rt), CLEANUP), give_tasks_up))
    give_tasks_up(timer);
}

/* What handlers have started has as long to end as they have. */
static void drain_tasks(WebServer *server, double grace) {
  Runtime *rt = server->http.rt;
  uint64_t due = timer_due(runtime_now(rt), grace);
  if (server->http.stopping || due == TIMER_NEVER) return;
  if (timer_set(&rt->timers, &server->drain, due, cancel_tasks)) cancel_tasks(&server->drain);
}

static int server_gc(lua_State *L) {
  WebServer **server = lua_touserdata(L, 1);
  if (*server) buffer_free(&(*server)->log.lines);
  free(*server);
  *server = NULL;
  return 0;
}

/* --- the access log, given to a script --- */

static void taker_ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  WebServer *server = container_of(owner, WebServer, taker);
  server->is_taken = false;
  if (t->status == TASK_FAILED)
    report_error(L, "moonloop: the access log failed", -1, traceback, NULL);
  if (server->log.lines.len && t->status == TASK_DONE)
    runtime_at_pass_end(t->rt, &server->http.pass);
  else
    server->log.lines.len = 0; /* nobody wants them */
  check_over(server);
}

/* A flush: starts the task that takes the lines. */
static void give_lines(AccessLog *log) {
  WebServer *server = container_of(log, WebServer, log);
  Runtime *rt = server->http.rt;
  if (server->is_taken || server->is_over || rt->closing) return;
  lua_rawgeti(rt->L, LUA_REGISTRYINDEX, server->on_entries);
  lua_rawgeti(rt->L, LUA_REGISTRYINDEX, server->self);
  server->taker = (TaskOwner){taker_ended, NULL};
  Task *t = task_start(rt->L, rt, NULL, 1, &server->taker);
  t->name = "access log";
  server->is_taken = true;
}

/* server:take_entries() -> the lines of the access log that wait | nil */
static int l_server_take_entries(lua_State *L) {
  WebServer *server = check_server(L);
  AccessLog *log = &server->log;
  if (log->lost) {
    char text[80];
    snprintf(text, sizeof text, "moonloop: the access log is behind: %zu entries lost\n",
             log->lost);
    report_print(runtime_of(L), text);
    log->lost = 0;
  }
  if (!log->lines.len) return 0;
  lua_pushlstring(L, log->lines.data, log->lines.len);
  log->lines.len = 0;
  return 1;
}

/* server:log(format | function): keeps an access log: "common" or "json" on the standard output; or
   the function is called in a task of its own, with the server, when there are entries to take. */
static int l_server_log(lua_State *L) {
  WebServer *server = check_server(L);
  AccessLog *log = &server->log;
  const Supervised *supervised = supervised_of(L);
  log->worker = supervised ? supervised->number : 0;
  if (lua_isfunction(L, 2)) {
    lua_settop(L, 2);
    server->on_entries = luaL_ref(L, LUA_REGISTRYINDEX);
    log->format = access_log_json;
    log->flush = give_lines;
  } else {
    static const char *const names[] = {"common", "json", NULL};
    log->format = luaL_checkoption(L, 2, NULL, names) == 0 ? access_log_common : access_log_json;
    log->flush = access_log_to_stdout;
  }
  server->http.log = log;
  return 0;
}

/* --- listening --- */

/* Sets the limits that the table at `index` has. */
static void check_limits(lua_State *L, int index, HttpLimits *limits) {
  for (int i = 0; i < HTTP_LIMITS; i++) {
    lua_getfield(L, index, http_limits[i].name);
    if (!lua_isnil(L, -1))
      luaL_argcheck(L, http_limits_set(limits, &http_limits[i], luaL_checknumber(L, -1)), index,
                    http_limits[i].name);
    lua_pop(L, 1);
  }
}

/* limit(name, value) -> nil: it is a limit and the value is allowed; false: there is no such limit;
   a string: what is expected of the value. */
static int l_limit(lua_State *L) {
  size_t n;
  const char *name = luaL_checklstring(L, 1, &n);
  const HttpLimit *limit = memchr(name, '-', n) ? NULL : http_limits_find(name, n);
  HttpLimits scratch;
  char expected[120];
  if (!limit) return lua_pushboolean(L, 0), 1;
  if (lua_type(L, 2) == LUA_TNUMBER && http_limits_set(&scratch, limit, lua_tonumber(L, 2)))
    return 0;
  http_limits_describe(limit, expected, sizeof expected);
  lua_pushstring(L, expected);
  return 1;
}

/* Opens the socket of the server, or takes the one that worker processes share. Returns 0 or a
   libuv error. */
static int open_server(HttpServer *http, Supervised *supervised, const char *host, uint16_t port) {
  int fd = SUPERVISED_LISTENER;
  if (supervised) {
    if (supervised->is_listener_taken) return UV_EALREADY;
    supervised->is_listener_taken = true;
    http->share = &supervised->share;
  } else {
    fd = http_listen(&http->rt->loop, host, port);
  }
  return fd < 0 ? fd : http_server_accept_on(http, fd);
}

/* listen(router, host, port, limits [, shared]) -> server | nil, err: serves until it is stopped.
   `limits` is a table of those that are not the default, by their names in http_limits. `shared`:
   in a worker process, on the socket that it shares with the others instead of one of its own. */
static int l_listen(lua_State *L) {
  const HttpRouter *router = web_check_router(L, 1);
  const char *host = luaL_checkstring(L, 2);
  lua_Integer port = luaL_checkinteger(L, 3);
  luaL_argcheck(L, port >= 0 && port <= 65535, 3, "a port is 0 to 65535");
  luaL_checktype(L, 4, LUA_TTABLE);
  HttpLimits limits;
  http_limits_default(&limits);
  check_limits(L, 4, &limits);
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  Runtime *rt = runtime_of(L);
  Supervised *supervised = lua_toboolean(L, 5) ? supervised_of(L) : NULL;
  lua_settop(L, 3);
  WebServer **box = lua_newuserdatauv(L, sizeof *box, 0);
  *box = NULL;
  luaL_setmetatable(L, WEB_SERVER);
  WebServer *server = calloc(1, sizeof *server);
  if (!server) return luaL_error(L, "not enough memory");
  *box = server;
  server->http.rt = rt;
  server->http.router = router;
  server->http.start = start_handler;
  server->http.stopped = http_stopped;
  server->tasks.empty = tasks_ended;
  server->http.user = web;
  server->http.limits = limits;
  lua_pushvalue(L, 4);
  server->self = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushvalue(L, 1);
  server->router = luaL_ref(L, LUA_REGISTRYINDEX);
  int rc = open_server(&server->http, supervised, host, (uint16_t)port);
  if (rc) {
    luaL_unref(L, LUA_REGISTRYINDEX, server->self);
    luaL_unref(L, LUA_REGISTRYINDEX, server->router);
    return ml_error_return(L, "network", uv_err_name(rc), "cannot listen on %s port %d: %s", host,
                           (int)port, uv_strerror(rc));
  }
  server->next = web->servers;
  server->link = &web->servers;
  if (server->next) server->next->link = &server->next;
  web->servers = server;
  return 1;
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
  return wait_until_stopped(L, check_server(L), "server:wait");
}

/* The limit `drain` in seconds. */
static lua_Number drain_of(const WebServer *server) {
  uint64_t ms = server->http.limits.drain;
  return ms == HTTP_NO_LIMIT ? HUGE_VAL : 1e-3 * (double)ms;
}

/* server:stop([grace]): stops accepting, lets running requests, and the tasks that requests have
   left behind, end for `grace` seconds (by default the limit `drain`), then cancels them; suspends
   until all is over. A task of a request may call it: it is not waited for. */
static int l_server_stop(lua_State *L) {
  WebServer *server = check_server(L);
  lua_Number grace = luaL_optnumber(L, 2, drain_of(server));
  luaL_argcheck(L, grace >= 0, 2, "a time is not negative");
  Task *t = task_current(L);
  if (t && t->tally == &server->tasks) task_tally_leave(t);
  drain_tasks(server, grace);
  http_server_stop(&server->http, grace);
  return wait_until_stopped(L, server, "server:stop");
}

/* server.port; server.drain: that limit in seconds; server.connections, server.requests,
   server.tasks (handlers, and what they have started): counts. */
static int l_server_index(lua_State *L) {
  const WebServer *server = check_server(L);
  const char *key = luaL_checkstring(L, 2);
  if (!strcmp(key, "port")) {
    lua_pushinteger(L, server->http.port);
  } else if (!strcmp(key, "drain")) {
    lua_pushnumber(L, drain_of(server));
  } else if (!strcmp(key, "connections")) {
    lua_pushinteger(L, (lua_Integer)server->http.n_connections);
  } else if (!strcmp(key, "tasks")) {
    lua_pushinteger(L, (lua_Integer)server->tasks.count);
  } else if (!strcmp(key, "requests")) {
    lua_pushinteger(L, (lua_Integer)server->http.n_requests);
  } else {
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(1));
  }
  return 1;
}

/* server:retire([grace]): the same for a server whose clients have others to go to: idle
   connections are open until their next request is answered, or the time is over. */
static int l_server_retire(lua_State *L) {
  WebServer *server = check_server(L);
  lua_Number grace = luaL_optnumber(L, 2, drain_of(server));
  luaL_argcheck(L, grace >= 0, 2, "a time is not negative");
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

void web_server_open(lua_State *L, Web *web) {
  static const luaL_Reg methods[] = {{"wait", l_server_wait},
                                     {"stop", l_server_stop},
                                     {"retire", l_server_retire},
                                     {"log", l_server_log},
                                     {"take_entries", l_server_take_entries},
                                     {NULL, NULL}};
  luaL_newmetatable(L, WEB_SERVER);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushcclosure(L, l_server_index, 1);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, server_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  lua_pushlightuserdata(L, web);
  lua_pushcclosure(L, l_listen, 1);
  lua_setfield(L, -2, "listen");
  lua_pushcfunction(L, l_limit);
  lua_setfield(L, -2, "limit");
}
