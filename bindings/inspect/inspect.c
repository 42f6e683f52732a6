/* moonloop.inspect: what is alive on this runtime, for ml.tasks, ml.dump and the test runner; and
   how the inspector's page asks processes. */
#include "bindings/check.h"
#include "bindings/inspect/open.h"
#include "bindings/options.h"
#include "bindings/stream/stream_object.h"
#include "core/script_place.h"
#include "core/task.h"
#include "core/wait.h"
#include "inspect/dump.h"
#include "inspect/insight.h"
#include "inspect/inspector_socket.h"

#include <errno.h>
#include <lauxlib.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void push_task(lua_State *L, Task *t) {
  char place[80];
  lua_createtable(L, 0, 7);
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  if (t->parent) {
    lua_pushinteger(L, (lua_Integer)t->parent->id);
    lua_setfield(L, -2, "parent");
  }
  set_string(L, "status", task_status_name((TaskStatus)t->status));
  if (t->name) set_string(L, "name", t->name);
  if (t->wait) set_string(L, "waiting_for", t->wait->name);
  if (t->source) set_string(L, "place", task_site(t->source, t->line, place));
  lua_pushboolean(L, t->cancelled != NULL);
  lua_setfield(L, -2, "cancelled");
  lua_pushboolean(L, t->is_host);
  lua_setfield(L, -2, "is_host");
}

/* Calls `visit` for each live task, parents first. */
static void each_task(Runtime *rt, void (*visit)(Task *t, void *data), void *data) {
  for (Task *t = rt->tasks.roots; t;) {
    visit(t, data);
    if (t->children) {
      t = t->children;
      continue;
    }
    while (t && !t->sibling) t = t->parent;
    if (t) t = t->sibling;
  }
}

static void add_task(Task *t, void *data) {
  lua_State *L = data;
  if (t == t->rt->scheduler.current) return;
  push_task(L, t);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
}

/* tasks() -> list of {id, parent, name, status, waiting_for, place, cancelled, is_host}: every live
   task except the caller, parents first */
static int l_tasks(lua_State *L) {
  lua_newtable(L);
  each_task(runtime_of(L), add_task, L);
  return 1;
}

/* --- ml.tasks, ml.dump --- */

static void push_live_task(lua_State *L, Task *t) {
  char text[200];
  lua_createtable(L, 0, 9);
  task_push_handle(L, t);
  lua_getfield(L, -1, "name");
  lua_setfield(L, -3, "name");
  lua_setfield(L, -2, "task");
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  set_string(L, "status", task_status_name(dump_status(t)));
  if (dump_waiting_for(t, text, sizeof text)) set_string(L, "waiting_for", text);
  uint64_t now = runtime_now(t->rt);
  lua_pushnumber(L, now > t->started_at ? (double)(now - t->started_at) / 1e9 : 0);
  lua_setfield(L, -2, "age");
  lua_pushnumber(L, (double)t->cpu_ns / 1e9);
  lua_setfield(L, -2, "cpu");
  const Task *parent = t->parent;
  while (parent && parent->is_host) parent = parent->parent;
  if (parent) {
    lua_pushinteger(L, (lua_Integer)parent->id);
    lua_setfield(L, -2, "parent");
  }
  if (t->source) set_string(L, "spawned_at", task_site(t->source, t->line, text));
}

static void add_live_task(Task *t, void *data) {
  lua_State *L = data;
  if (t->is_host) return;
  push_live_task(L, t);
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* live() -> list of {task, id, name, status, waiting_for, age, cpu, parent, spawned_at}: every live
   task except the host's own, parents first. `parent` is an id; ages and CPU times are seconds. */
static int l_live(lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  each_task(runtime_of(L), add_live_task, L);
  return 1;
}

/* dump([{traceback = true}]) -> text: the same as a tree (dump.h) */
static int l_dump(lua_State *L) {
  static const char *const option_names[] = {"traceback"};
  bool tracebacks = false;
  if (!lua_isnoneornil(L, 1)) {
    options_check(L, 1, "ml.dump", option_names, 1);
    lua_getfield(L, 1, "traceback");
    tracebacks = lua_toboolean(L, -1);
  }
  Buffer text = {0};
  bool whole = dump_tasks(runtime_of(L), tracebacks, &text);
  luaL_Buffer result;
  char *room = whole ? luaL_buffinitsize(L, &result, text.len) : NULL;
  if (room) {
    memcpy(room, text.data, text.len);
    luaL_pushresultsize(&result, text.len);
  }
  buffer_free(&text);
  return whole ? 1 : script_place_error(L, "ml.dump: not enough memory");
}

typedef struct Cancelling {
  lua_State *L; /* the set of ids is at 1 */
  CancelCause *cause;
} Cancelling;

static void cancel_listed(Task *t, void *data) {
  Cancelling *c = data;
  lua_rawgeti(c->L, 1, (lua_Integer)t->id);
  if (lua_toboolean(c->L, -1)) task_cancel(t, c->cause);
  lua_pop(c->L, 1);
}

/* cancel(ids, reason): cancels the live tasks whose ids are keys of the table */
static int l_cancel(lua_State *L) {
  check_type(L, 1, LUA_TTABLE);
  check_string(L, 2);
  lua_settop(L, 2);
  CancelCause *cause = cause_new_from(L);
  if (!cause) return script_place_error(L, "not enough memory");
  each_task(runtime_of(L), cancel_listed, &(Cancelling){L, cause});
  cause_drop(cause);
  return 0;
}

/* One address of a socket, such as "127.0.0.1:8000"; false if it has none. */
static bool address_text(int fd, bool peer, char *text, size_t size) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  int (*name_of)(int, struct sockaddr *, socklen_t *) = peer ? getpeername : getsockname;
  char host[64], port[16];
  if (name_of(fd, (struct sockaddr *)&address, &length) ||
      getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                  NI_NUMERICHOST | NI_NUMERICSERV))
    return false;
  snprintf(text, size, "%s:%s", host, port);
  return true;
}

/* Adds an entry to the list on the top of L. `fd` is a socket's, or -1. */
static void add_entry(lua_State *L, const void *key, const char *type, int fd) {
  char address[96];
  lua_createtable(L, 0, 4);
  lua_pushlightuserdata(L, (void *)key);
  lua_setfield(L, -2, "key");
  set_string(L, "type", type);
  if (fd >= 0 && address_text(fd, false, address, sizeof address))
    set_string(L, "address", address);
  if (fd >= 0 && address_text(fd, true, address, sizeof address)) set_string(L, "peer", address);
  lua_rawseti(L, -2, luaL_len(L, -2) + 1);
}

/* An open socket belongs to a script, except connections that do not keep the loop alive: the idle
   ones in the HTTP client's pools. Other handles count if they keep the loop alive; the rest are
   the host's own. */
static bool counts(const uv_handle_t *handle) {
  if (uv_is_closing(handle)) return false;
  switch (handle->type) {
  case UV_TCP:
    return uv_has_ref(handle) || !uv_is_readable((const uv_stream_t *)handle);
  case UV_UDP:
    return true;
  case UV_NAMED_PIPE:
    return uv_has_ref(handle); /* those of `moonloop ps` have no address */
  default:
    return uv_is_active(handle) && uv_has_ref(handle);
  }
}

static void add_handle(uv_handle_t *handle, void *data) {
  lua_State *L = data;
  const Runtime *rt = runtime_of(L);
  uv_os_fd_t fd = -1;
  if (!counts(handle) || socket_set_has_handle(rt, handle)) return;
  if (handle == (const uv_handle_t *)&rt->timers.handle) return; /* all tasks' timers */
  if (handle->type == UV_TCP || handle->type == UV_POLL)         /* the server polls its listener */
    if (uv_fileno(handle, &fd)) fd = -1;
  if (handle->type == UV_TCP && fd < 0) return; /* a pipe in memory */
  add_entry(L, handle, uv_handle_type_name(handle->type), fd);
}

/* A socket has no memory whose address could be its key, so its number is used. */
static void add_socket(void *data, int fd, bool waits) {
  if (waits) add_entry(data, (const void *)(intptr_t)fd, "tcp", fd);
}

/* handles() -> list of {key, type, address, peer}: the open handles that scripts may have made */
static int l_handles(lua_State *L) {
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  Runtime *rt = runtime_of(L);
  uv_walk(&rt->loop, add_handle, L);
  socket_set_each(rt, add_socket, L);
  return 1;
}

/* --- for the inspector's page --- */

/* connect(pid) -> stream | nil, err: to where the moonloop of that process takes one question. Its
   loop may be busy, but its kernel answers at once. */
static int l_connect(lua_State *L) {
  long pid = (long)luaL_checkinteger(L, 1);
  int fd = inspector_socket_connect(pid), error = fd < 0 ? uv_translate_sys_error(errno) : 0;
  if (!error) error = stream_object_push_pipe(L, fd, true, true, "the inspector of a process");
  if (!error) return 1;
  return ml_error_return(L, "process", uv_err_name(error), "process %d cannot be asked: %s",
                         (int)pid, uv_strerror(error));
}

/* hide(task): it is the host's own, which nobody is shown. */
static int l_hide(lua_State *L) {
  TaskHandle *handle = task_test_handle(L, 1);
  luaL_argcheck(L, handle, 1, "a task expected");
  if (handle->task) handle->task->is_host = true;
  return 0;
}

static void watched_cancel(Task *t, void *op) {
  (void)t;
  Insight *insight = op;
  insight->watcher = (Waker){0};
}

static int watched_finish(lua_State *L, Task *t, void *op) {
  (void)L, (void)t, (void)op;
  return 0;
}

static const WaitType watched_wait = {
    .name = "a page of the inspector", .cancel = watched_cancel, .finish = watched_finish};

/* watched(): returns while a page is open, of the inspector of this process, which it has. One task
   may wait. */
static int l_watched(lua_State *L) {
  Insight *insight = runtime_of(L)->insight;
  Task *t = ml_wait_enter(L, "watched");
  luaL_argcheck(L, insight && !insight->watcher.task, 1, "there is no inspector, or it has a task");
  if (insight_is_watched(insight)) return 0;
  insight->watcher = ml_wait_waker(t);
  return ml_wait_suspend(L, t, &watched_wait, insight);
}

/* set_queues(json): what pages are told of the queues of jobs (insight.h) */
static int l_set_queues(lua_State *L) {
  size_t n;
  const char *json = luaL_checklstring(L, 1, &n);
  Insight *insight = runtime_of(L)->insight;
  if (insight) insight_set_queues(insight, json, n);
  return 0;
}

/* processes() -> the numbers of this process and of its parent */
static int l_processes(lua_State *L) {
  lua_pushinteger(L, getpid());
  lua_pushinteger(L, getppid());
  return 2;
}

int luaopen_moonloop_inspect(lua_State *L) {
  static const luaL_Reg functions[] = {{"live", l_live},
                                       {"dump", l_dump},
                                       {"tasks", l_tasks},
                                       {"handles", l_handles},
                                       {"cancel", l_cancel},
                                       {"connect", l_connect},
                                       {"hide", l_hide},
                                       {"processes", l_processes},
                                       {"watched", l_watched},
                                       {"set_queues", l_set_queues},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
