#include "core/task.h"

#include "core/call_frame.h"
#include "core/origin.h"
#include "core/report.h"
#include "core/task_label.h"
#include "core/task_limits.h"
#include "core/task_pool.h"
#include "core/task_tally.h"
#include "core/task_vars.h"
#include "core/traceback.h"

#include <stdio.h>

void task_open(lua_State *L) {
  Tasks *part = &runtime_of(L)->tasks;
  lua_newtable(L);
  part->handles_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  part->vars_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

/* --- the tree --- */

static void link_to_parent(Task *t, Task *parent) {
  Task **head = parent ? &parent->children : &t->rt->tasks.roots;
  t->parent = parent;
  t->sibling = *head;
  t->sibling_link = head;
  if (*head) (*head)->sibling_link = &t->sibling;
  *head = t;
}

static void unlink_from_parent(Task *t) {
  *t->sibling_link = t->sibling;
  if (t->sibling) t->sibling->sibling_link = t->sibling_link;
}

/* --- handles --- */

void task_set_handle_class(lua_State *L) {
  Tasks *part = &runtime_of(L)->tasks;
  part->handle_meta = lua_topointer(L, -1);
  lua_pushvalue(L, -1);
  part->handle_meta_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

TaskHandle *task_test_handle(lua_State *L, int index) {
  if (!lua_getmetatable(L, index)) return NULL;
  bool is_handle = lua_topointer(L, -1) == runtime_of(L)->tasks.handle_meta;
  lua_pop(L, 1);
  return is_handle ? lua_touserdata(L, index) : NULL;
}

/* Pushes a handle that belongs to no task yet. */
static TaskHandle *new_handle(lua_State *L, Runtime *rt) {
  TaskHandle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = (TaskHandle){0};
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->tasks.handle_meta_ref);
  lua_setmetatable(L, -2);
  return handle;
}

static void bind_handle(TaskHandle *handle, Task *t) {
  handle->task = t;
  handle->id = t->id;
  handle->source = t->source;
  handle->line = t->line;
  t->handle = handle;
}

/* Stores the handle on the top of L in the runtime's table, where it outlives the thread's
   stack. */
static void keep_handle(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tasks.handles_ref);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->handle_kept = true;
}

static void drop_handle(lua_State *L, Task *t) {
  if (t->handle_kept) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tasks.handles_ref);
    lua_pushnil(L);
    lua_rawseti(L, -2, t->slot);
    lua_pop(L, 1);
  }
  t->handle = NULL;
  t->handle_kept = false;
}

/* Pushes, on the thread's own stack, the handle that is not in the runtime's table: the first
   argument of l_body_main, which is the outermost frame, or what fail_out_of_memory has left of it.
 */
static void push_handle_of_stack(Task *t) {
  CallFrame *frame = call_frame_at(t->co, 0);
  if (frame) {
    for (CallFrame *caller; (caller = call_frame_caller(frame));) frame = caller;
    lua_Debug outermost = {.i_ci = (struct CallInfo *)frame};
    lua_getlocal(t->co, &outermost, 1);
  } else {
    lua_pushvalue(t->co, t->status == TASK_PENDING ? 2 : 1);
  }
}

TaskHandle *task_push_handle(lua_State *L, Task *t) {
  if (!t->handle) {
    TaskHandle *handle = new_handle(L, t->rt);
    keep_handle(L, t);
    bind_handle(handle, t);
    return handle;
  }
  if (!t->handle_kept) {
    if (!lua_checkstack(t->co, 2)) luaL_error(L, "not enough memory");
    push_handle_of_stack(t);
    if (t->co != L) lua_xmove(t->co, L, 1);
    keep_handle(L, t); /* so that it is found at once next time */
    return t->handle;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->tasks.handles_ref);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
  return t->handle;
}

/* Runs in the task, where a memory error is caught: stores the results from `first` to the top of
   L, or the error on its top, in the handle at index 1. */
static void keep_outcome(lua_State *L, Task *t, int first) {
  TaskHandle *handle = t->handle;
  int n = lua_gettop(L) - first + 1;
  if (t->status != TASK_DONE) {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    traceback_push_origin(L, t, -2);
    lua_rawseti(L, -2, 2);
    handle->results = 1;
  } else {
    handle->results = n;
    if (n == 0) return;
    if (n == 1) {
      lua_pushvalue(L, first);
    } else {
      handle->returned_error = lua_isnil(L, first) && !lua_isnil(L, first + 1);
      lua_createtable(L, n, 0);
      for (int i = 0; i < n; i++) {
        lua_pushvalue(L, first + i);
        lua_rawseti(L, -2, i + 1);
      }
    }
  }
  lua_setiuservalue(L, 1, 1);
}

int task_push_outcome(lua_State *L, int index) {
  index = lua_absindex(L, index);
  TaskHandle *handle = lua_touserdata(L, index);
  handle->audience.heard = true;
  lua_getiuservalue(L, index, 1);
  if (handle->status == TASK_DONE) {
    if (handle->results <= 1) return handle->results;
    int n = handle->results, table = lua_gettop(L);
    luaL_checkstack(L, n, "too many results");
    for (int i = 1; i <= n; i++) lua_rawgeti(L, table, i);
    return n;
  }
  char site[80];
  if (!lua_istable(L, -1)) return luaL_error(L, "not enough memory");
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return lua_error(L);
  }
  lua_pushfstring(L, "in task %d, spawned at %s:", (int)handle->id,
                  task_site(handle->source, handle->line, site));
  origin_prepend(L);
  return traceback_raise(L);
}

/* --- the body --- */

/* The stack of l_body_main: the handle or nil, the message handler, then function and arguments,
   and after the body its results or its error. */
#define BODY_HANDLE 1
#define BODY_HANDLER 2
#define BODY_FIRST 3

/* Did it raise, or return nil and an error? */
static bool has_failed(lua_State *L, const Task *t) {
  return t->status != TASK_DONE ||
         (lua_isnil(L, BODY_FIRST) && !lua_isnoneornil(L, BODY_FIRST + 1));
}

/* The task is over and its status is set: stores what its handle has to keep. */
__attribute__((always_inline)) static inline void keep_end(lua_State *L, Task *t) {
  if (t->has_origin && t->owner) traceback_settle(L, t, -1);
  if (t->handle_on_failure && !t->handle && has_failed(L, t)) {
    task_push_handle(L, t);
    lua_pop(L, 1);
  }
  if (!t->handle) return;
  if (t->handle_kept) {
    task_push_handle(L, t);
    lua_replace(L, BODY_HANDLE);
  }
  keep_outcome(L, t, t->status == TASK_DONE ? BODY_FIRST : lua_gettop(L));
  /* Needed after this frame is gone: for a report, or while children end. */
  if (!t->handle_kept && (t->status != TASK_DONE || t->cancelled)) {
    lua_pushvalue(L, BODY_HANDLE);
    keep_handle(L, t);
    lua_pop(L, 1);
  }
}

static int body_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  Task *t = runtime_of(L)->scheduler.current;
  if (t->has_hook) user_hook_end(t);
  if (status == LUA_OK || status == LUA_YIELD)
    t->status = TASK_DONE;
  else if (traceback_uncover(L, t, false))
    t->status = TASK_FAILED;
  else
    t->status = scope_is_own_cancel(L, -1) ? TASK_CANCELLED : TASK_FAILED;
  keep_end(L, t);
  return t->status == TASK_DONE ? lua_gettop(L) - BODY_HANDLER : 1;
}

static int l_body_main(lua_State *L) {
  Runtime *rt = runtime_of(L);
  Task *t = rt->scheduler.current;
  if (t->cancel_pending) { /* cancelled before its first step: the body never runs */
    cause_push_error(L, scope_pending(t));
    return body_over(L, LUA_ERRRUN, 0);
  }
  int nargs = lua_gettop(L) - BODY_FIRST;
  if (rt->user_hooks.for_tasks) user_hook_begin(L, t);
  return body_over(L, lua_pcallk(L, nargs, LUA_MULTRET, BODY_HANDLER, 0, body_over), 0);
}

/* --- starting --- */

/* The record of a new task; its thread is empty and has room for the arguments. */
static Task *new_task(lua_State *L, Runtime *rt, Task *parent, int nargs, TaskOwner *owner) {
  Task *t = task_pool_take(L, rt);
  if (nargs > LUA_MINSTACK - 5 && !lua_checkstack(t->co, nargs + 5)) {
    task_pool_put(t);
    luaL_error(L, "too many arguments for a task");
  }
  t->wait = NULL;
  t->scope = t->shelter = NULL;
  t->cancelled = NULL;
  t->limits = NULL;
  t->cancel_pending = t->woken_by_cancel = t->ending = false;
  t->has_origin = t->in_flight = t->has_flight = t->handle_kept = t->has_vars = t->broken_off =
      t->is_host = t->is_background = false;
  t->is_main = t->has_hook = t->spared = false;
  t->handle_on_failure = false;
  t->tally = NULL;
  t->trace = NULL;
  t->label = NULL;
  if (parent) {
    task_label_inherit(t, parent);
    if (parent->tally) task_tally_enter(parent->tally, t);
    if (parent->scope) t->shelter = scope_shield_of(parent);
    if (parent->limits) t->limits = task_limits_hold(parent->limits);
    if (parent->cancelled && !t->shelter) {
      t->cancelled = cause_hold(parent->cancelled);
      t->cancel_pending = true;
    }
  }
  t->children = NULL;
  t->observers = NULL;
  t->owner = owner;
  t->handle = NULL;
  t->source = NULL;
  t->line = 0;
  t->name = NULL;
  t->status = TASK_PENDING;
  t->id = ++rt->tasks.last_id;
  t->started_at = rt->pass_at;
  t->cpu_ns = 0;
  return t;
}

/* The function to run is on the thread's stack. */
static inline Task *enlist(Task *t, Task *parent, int nargs, TaskList *list) {
  Runtime *rt = t->rt;
  t->nargs = nargs + BODY_FIRST;
  link_to_parent(t, parent);
  if (++rt->tasks.live > rt->pool.peak_now) task_pool_note_peak(rt);
  task_make_ready(list, t);
  return t;
}

/* Moves the function and its arguments from the top of L to the thread; a handle, if any, is the
   value below them. */
static Task *start(lua_State *L, Task *t, Task *parent, int nargs) {
  lua_State *co = t->co;
  lua_pushcfunction(co, l_body_main);
  if (t->handle) {
    lua_pushvalue(L, -(nargs + 2));
    lua_xmove(L, co, 1);
  } else {
    lua_pushnil(co);
  }
  lua_pushcfunction(co, traceback_handler);
  lua_xmove(L, co, nargs + 1);
  const Task *current = t->rt->scheduler.current;
  if (current && current->has_vars) task_vars_inherit(L, t);
  if (current && current->trace) t->trace = task_trace_hold(current->trace);
  return enlist(t, parent, nargs, &t->rt->scheduler.ready);
}

Task *task_start(lua_State *L, Runtime *rt, Task *parent, int nargs, TaskOwner *owner) {
  return start(L, new_task(L, rt, parent, nargs, owner), parent, nargs);
}

Task *task_start_soon(Runtime *rt, lua_CFunction body, TaskOwner *owner) {
  if (!task_pool_reserve(rt)) return NULL;
  Task *t = new_task(rt->L, rt, NULL, 0, owner);
  lua_pushcfunction(t->co, l_body_main);
  lua_pushnil(t->co); /* instead of a handle */
  lua_pushcfunction(t->co, traceback_handler);
  lua_pushcfunction(t->co, body);
  return enlist(t, NULL, 0, rt->scheduler.batch.tail ? &rt->scheduler.batch : &rt->scheduler.ready);
}

void task_to_background(Task *t) {
  t->is_host = t->is_background = true;
  t->rt->tasks.background++;
}

Task *task_spawn(lua_State *L, Runtime *rt, Task *parent, int nargs) {
  TaskHandle *handle = new_handle(L, rt); /* whatever can raise comes before a record is taken */
  lua_insert(L, -(nargs + 2));
  Task *t = new_task(L, rt, parent, nargs, NULL);
  bind_handle(handle, t);
  return start(L, t, parent, nargs);
}

/* --- ending --- */

void task_observe(Task *t, TaskObserver *observer) {
  observer->next = t->observers; /* last one first: tell_observers reverses them */
  observer->link = &t->observers;
  if (observer->next) observer->next->link = &observer->next;
  t->observers = observer;
}

void task_unobserve(TaskObserver *observer) {
  if (!observer->link) return;
  *observer->link = observer->next;
  if (observer->next) observer->next->link = observer->link;
  observer->link = NULL;
}

/* Tells them in the order they came. */
static void tell_observers(Task *t) {
  TaskObserver *first = NULL;
  for (TaskObserver *o = t->observers, *next; o; o = next) {
    next = o->next;
    o->next = first;
    if (first) first->link = &o->next;
    first = o;
  }
  t->observers = first;
  if (first) first->link = &t->observers;
  while (t->observers) {
    TaskObserver *observer = t->observers;
    task_unobserve(observer);
    observer->ended(observer, t);
  }
}

static void adopt_children(Task *t) {
  while (t->children) {
    Task *child = t->children;
    unlink_from_parent(child);
    link_to_parent(child, t->parent);
    if (!child->shelter) child->shelter = t->shelter;
  }
}

void task_report_unawaited(lua_State *L, int index) {
  TaskHandle *handle = lua_touserdata(L, index);
  char headline[80], place[100], site[80];
  if (handle->status != TASK_FAILED) return;
  handle->audience.heard = false;
  snprintf(headline, sizeof headline, "task %d failed and nobody awaited it", (int)handle->id);
  snprintf(place, sizeof place, "spawned at %s", task_site(handle->source, handle->line, site));
  report_unawaited(L, index, &handle->audience, headline, place);
}

/* Passes on what the body left, and returns the record to the pool. */
static void finish(Task *t) {
  Runtime *rt = t->rt;
  lua_State *co = t->co;
  adopt_children(t);
  unlink_from_parent(t);
  t->generation++;
  rt->tasks.live--;
  if (t->is_background) rt->tasks.background--;
  if (t->tally) task_tally_leave(t);
  if (t->handle) {
    t->handle->status = t->status;
    t->handle->task = NULL;
  }
  rt->scheduler.ending = true;
  if (t->status != TASK_DONE) rt->reports.about = t;
  if (t->observers) tell_observers(t);
  rt->scheduler.ending = false;
  if (t->owner) {
    const char *traceback = NULL;
    if (t->status != TASK_DONE) { /* below the error, where it outlives the call */
      traceback_push(co, t, -1);
      traceback = lua_tostring(co, -1);
      lua_insert(co, 1);
    }
    t->owner->ended(t->owner, t, co, traceback);
  } else if (t->status == TASK_FAILED && t->handle && !t->handle->audience.heard) {
    if (t->handle_kept)
      task_push_handle(co, t);
    else
      push_handle_of_stack(t);
    task_report_unawaited(co, -1);
  }
  rt->reports.about = NULL;
  if (t->label) task_label_set(t, 0, NULL);
  if (t->handle) drop_handle(co, t);
  if (t->has_origin || t->has_flight) traceback_task_ended(t);
  if (t->has_vars) task_vars_drop(co, t);
  if (t->limits) task_limits_drop(t->limits);
  if (t->trace) task_trace_replace(&t->trace, NULL);
  cause_drop(t->cancelled);
  cause_drop(t->left_cause);
  t->cancelled = t->left_cause = NULL;
  lua_settop(co, 0);
  if (t->has_hook) user_hook_end(t);
  task_pool_put(t);
}

static void end_body(Task *t) {
  while (t->scope) { /* a block entered without <close>, or in a generator */
    if (t->scope->abandoned) t->scope->abandoned(t->scope, t->co);
    scope_close(t->scope);
  }
  t->wait = NULL;
  if (t->cancelled && t->children) {
    t->ending = true; /* a cancel is complete when the children's clean-up is */
    return;
  }
  for (Task *parent; t; t = parent) {
    parent = t->parent;
    finish(t);
    if (!parent || !parent->ending || parent->children) break;
  }
}

/* Closes the thread of a task that cannot continue. The handle, if it was on the stack, and the
   error that ended the task, if any, stay there. */
static void close_thread(Task *t) {
  bool on_stack = t->handle && !t->handle_kept;
  if (on_stack) {
    push_handle_of_stack(t);
    lua_xmove(t->co, t->rt->L, 1);
  }
  t->status = TASK_FAILED;
  lua_resetthread(t->co);
  if (!on_stack) return;
  lua_xmove(t->rt->L, t->co, 1);
  lua_insert(t->co, 1);
}

/* Memory ran out outside the body, while its outcome was being stored. The handle has no value:
   awaiting it raises a memory error. */
static void fail_out_of_memory(Task *t) {
  close_thread(t);
  report_say(t->rt, LOG_ERROR, "not enough memory to keep the outcome of a task");
  if (t->handle) t->handle->audience.heard = true;
}

/* The name and line of the Lua code that has called the function which yielded, or "". */
static void push_place_of_yield(lua_State *L, lua_State *co) {
  lua_Debug ar;
  ar.currentline = -1;
  if (lua_getstack(co, 1, &ar)) lua_getinfo(co, "Sl", &ar);
  if (ar.currentline > 0)
    lua_pushfstring(L, "%s:%d: ", ar.short_src, ar.currentline);
  else
    lua_pushliteral(L, "");
}

/* Protected, with the task as light userdata: returns the error, when the task has ended with it.
 */
static int l_end_foreign_yield(lua_State *L) {
  Task *t = lua_touserdata(L, 1);
  push_place_of_yield(L, t->co);
  lua_pushliteral(L, "a C function yielded to moonloop's loop; only moonloop's own functions, or "
                     "coroutine.yield inside a coroutine, can suspend here");
  lua_concat(L, 2);
  close_thread(t);
  lua_pushnil(L); /* instead of the message handler */
  lua_insert(L, BODY_HANDLER);
  if (t->handle && !t->handle_kept) {
    lua_pushvalue(t->co, 1);
    lua_xmove(t->co, L, 1);
  } else {
    lua_pushnil(L);
  }
  lua_replace(L, BODY_HANDLE);
  keep_end(L, t);
  return 1;
}

/* A C module yielded by itself: no one would ever resume it. */
static void fail_foreign_yield(Task *t) {
  lua_State *L = t->rt->L;
  lua_pushcfunction(L, l_end_foreign_yield);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) {
    lua_settop(t->co, 0);
    lua_xmove(L, t->co, 1);
    return;
  }
  fail_out_of_memory(t);
  lua_xmove(L, t->co, 1); /* the error that says so */
}

void task_returned(Task *t, int rc) {
  if (rc == LUA_YIELD) {
    fail_foreign_yield(t);
  } else if (rc != LUA_OK) {
    fail_out_of_memory(t);
  }
  end_body(t);
}

/* --- cancelling --- */

void task_interrupt(Task *t) {
  t->cancel_pending = scope_pending(t) != NULL;
  if (!t->cancel_pending || !t->wait || t->woken_by_cancel || t->ending) return;
  if (t->ready) {
    if (t->wait->revoke && t->wait->revoke(t, t->op)) t->woken_by_cancel = true;
    return;
  }
  if (t->wait->cancel_is_deferred) {
    t->wait->cancel(t, t->op);
    return;
  }
  t->wait->cancel(t, t->op);
  t->generation++;
  t->woken_by_cancel = true;
  task_make_ready(&t->rt->scheduler.ready, t);
}

/* Tasks started inside a shield are left alone until the shield is closed. */
static Task *first_exposed(Task *child) {
  while (child && child->shelter) child = child->sibling;
  return child;
}

/* The task after `at` of those that a cancel of `top` reaches, parents first; NULL at the end. */
static Task *next_reached(const Task *top, Task *at) {
  Task *next = first_exposed(at->children);
  while (!next) {
    if (at == top) return NULL;
    next = first_exposed(at->sibling);
    at = at->parent;
  }
  return next;
}

bool task_cancel(Task *t, CancelCause *cause) {
  if (t->cancelled) return false;
  /* All are marked before any is interrupted: an interrupted join cancels its items and finds them
     already marked, so a deep tree of joins needs no deep C stack. */
  for (Task *at = t; at; at = next_reached(t, at))
    if (!at->cancelled) at->cancelled = cause_hold(cause);
  for (Task *at = t; at; at = next_reached(t, at))
    if (at->cancelled == cause) task_interrupt(at);
  return true;
}

bool task_is_broken_off(lua_State *L, int index) {
  return scope_is_own_cancel(L, index) || task_limits_is_own_error(L, index);
}

const char *task_status_name(TaskStatus status) {
  static const char *const names[] = {"pending", "running", "suspended",
                                      "done",    "failed",  "cancelled"};
  return names[status];
}
