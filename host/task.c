#include "task.h"

#include "report.h"
#include "task_limits.h"
#include "task_pool.h"
#include "task_tally.h"

#include <stdio.h>

/* --- the tree --- */

static void link_to_parent(Task *t, Task *parent) {
  Task **head = parent ? &parent->children : &t->rt->roots;
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

TaskHandle *task_check_handle(lua_State *L, int index) {
  if (lua_getmetatable(L, index)) {
    bool is_handle = lua_topointer(L, -1) == runtime_of(L)->handle_meta;
    lua_pop(L, 1);
    if (is_handle) return lua_touserdata(L, index);
  }
  return luaL_checkudata(L, index, TASK_HANDLE); /* for its message */
}

/* Pushes a handle that belongs to no task yet. */
static TaskHandle *new_handle(lua_State *L, Runtime *rt) {
  TaskHandle *handle = lua_newuserdatauv(L, sizeof *handle, 1);
  *handle = (TaskHandle){0};
  lua_rawgeti(L, LUA_REGISTRYINDEX, rt->handle_meta_ref);
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

/* Keeps the handle on the top of L in the runtime's table, where it outlives the thread's stack. */
static void keep_handle(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->handles_ref);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->handle_kept = true;
}

static void drop_handle(lua_State *L, Task *t) {
  if (t->handle_kept) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->handles_ref);
    lua_pushnil(L);
    lua_rawseti(L, -2, t->slot);
    lua_pop(L, 1);
  }
  t->handle = NULL;
  t->handle_kept = false;
}

/* Pushes, on the thread's own stack, the handle that is not in the runtime's table: the first
   argument of body_main, which is the outermost frame, or what fail_out_of_memory has left of it.
 */
static void push_handle_of_stack(Task *t) {
  lua_Debug ar, outermost;
  int level = 0;
  for (; lua_getstack(t->co, level, &ar); level++) outermost = ar;
  if (level > 0)
    lua_getlocal(t->co, &outermost, 1);
  else
    lua_pushvalue(t->co, t->status == TASK_PENDING ? 2 : 1);
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
    keep_handle(L, t); /* the next time it is found at once */
    return t->handle;
  }
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->handles_ref);
  lua_rawgeti(L, -1, t->slot);
  lua_remove(L, -2);
  return t->handle;
}

/* Runs in the task, where a memory error is caught: the results from `first` to the top of L, or
   the error on its top, become the handle's, which is at index 1. */
static void keep_outcome(lua_State *L, Task *t, int first) {
  TaskHandle *handle = t->handle;
  int n = lua_gettop(L) - first + 1;
  if (t->status != TASK_DONE) {
    lua_createtable(L, 2, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    report_push_traceback(L, t, -2);
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
  handle->observed = true;
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
  lua_pushfstring(L, "in task %d, spawned at %s:\n%s", (int)handle->id,
                  task_site(handle->source, handle->line, site), lua_tostring(L, -1));
  lua_remove(L, -2);
  return report_raise_with_origin(L);
}

/* --- the body --- */

/* The stack of body_main: the handle or nil, the message handler, then function and arguments, and
   when the body is over its results or its error. */
#define BODY_HANDLE 1
#define BODY_HANDLER 2
#define BODY_FIRST 3

/* Did it raise, or return nil and an error? */
static bool has_failed(lua_State *L, const Task *t) {
  return t->status != TASK_DONE ||
         (lua_isnil(L, BODY_FIRST) && !lua_isnoneornil(L, BODY_FIRST + 1));
}

static int body_over(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  Task *t = runtime_of(L)->current;
  if (status == LUA_OK || status == LUA_YIELD)
    t->status = TASK_DONE;
  else
    t->status = scope_is_own_cancel(L, -1) ? TASK_CANCELLED : TASK_FAILED;
  if (t->handle_on_failure && !t->handle && has_failed(L, t)) {
    task_push_handle(L, t);
    lua_pop(L, 1);
  }
  if (t->handle) {
    if (t->handle_kept) {
      task_push_handle(L, t);
      lua_replace(L, BODY_HANDLE);
    }
    keep_outcome(L, t, t->status == TASK_DONE ? BODY_FIRST : lua_gettop(L));
    /* Where it is needed after this frame is gone: to be reported, or while children end. */
    if (!t->handle_kept && (t->status != TASK_DONE || t->cancelled)) {
      lua_pushvalue(L, BODY_HANDLE);
      keep_handle(L, t);
      lua_pop(L, 1);
    }
  }
  return t->status == TASK_DONE ? lua_gettop(L) - BODY_HANDLER : 1;
}

static int body_main(lua_State *L) {
  Task *t = runtime_of(L)->current;
  if (t->cancel_pending) { /* cancelled before its first step: the body never runs */
    cause_push_error(L, scope_pending(t));
    return body_over(L, LUA_ERRRUN, 0);
  }
  int nargs = lua_gettop(L) - BODY_FIRST;
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
  t->has_origin = t->handle_kept = t->has_vars = t->broken_off = t->is_host = false;
  t->handle_on_failure = false;
  t->tally = NULL;
  if (parent) {
    if (parent->tally) task_tally_enter(parent->tally, t);
    if (parent->scope) t->shelter = scope_shield_of(parent);
    if (parent->limits) t->limits = limits_hold(parent->limits);
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
  t->id = ++rt->last_task_id;
  t->started_at = rt->pass_at;
  t->cpu_ns = 0;
  return t;
}

/* A child starts with the values of the task that starts it: the same table, which nobody changes.
 */
static void inherit_vars(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->vars_ref);
  lua_rawgeti(L, -1, t->rt->current->slot);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->has_vars = true;
}

static void drop_vars(lua_State *L, Task *t) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->vars_ref);
  lua_pushnil(L);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
}

/* What is to run is on the thread's stack. */
static inline Task *enlist(Task *t, Task *parent, int nargs, TaskList *list) {
  Runtime *rt = t->rt;
  t->nargs = nargs + BODY_FIRST;
  link_to_parent(t, parent);
  if (++rt->live > rt->pool.peak_now) task_pool_note_peak(rt);
  task_make_ready(list, t);
  return t;
}

/* Puts the function and its arguments, on the top of L, into the thread; the handle, where there is
   one, is the value below them. */
static Task *start(lua_State *L, Task *t, Task *parent, int nargs) {
  lua_State *co = t->co;
  lua_pushcfunction(co, body_main);
  if (t->handle) {
    lua_pushvalue(L, -(nargs + 2));
    lua_xmove(L, co, 1);
  } else {
    lua_pushnil(co);
  }
  lua_pushcfunction(co, report_error_handler);
  lua_xmove(L, co, nargs + 1);
  if (t->rt->current && t->rt->current->has_vars) inherit_vars(L, t);
  return enlist(t, parent, nargs, &t->rt->ready);
}

Task *task_start(lua_State *L, Runtime *rt, Task *parent, int nargs, TaskOwner *owner) {
  return start(L, new_task(L, rt, parent, nargs, owner), parent, nargs);
}

Task *task_start_soon(Runtime *rt, lua_CFunction body, TaskOwner *owner) {
  if (!task_pool_reserve(rt)) return NULL;
  Task *t = new_task(rt->L, rt, NULL, 0, owner);
  lua_pushcfunction(t->co, body_main);
  lua_pushnil(t->co); /* in the place of a handle */
  lua_pushcfunction(t->co, report_error_handler);
  lua_pushcfunction(t->co, body);
  return enlist(t, NULL, 0, rt->batch.tail ? &rt->batch : &rt->ready);
}

Task *task_spawn(lua_State *L, Runtime *rt, Task *parent, int nargs) {
  TaskHandle *handle = new_handle(L, rt); /* what can raise comes before a record is taken */
  lua_insert(L, -(nargs + 2));
  Task *t = new_task(L, rt, parent, nargs, NULL);
  bind_handle(handle, t);
  return start(L, t, parent, nargs);
}

/* --- ending --- */

void task_observe(Task *t, TaskObserver *observer) {
  observer->next = t->observers; /* the last one first: tell_observers turns them round */
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
  handle->observed = false;
  snprintf(headline, sizeof headline, "moonloop: task %d failed and nobody awaited it",
           (int)handle->id);
  snprintf(place, sizeof place, "spawned at %s", task_site(handle->source, handle->line, site));
  report_unawaited(L, index, &handle->observed, headline, place);
}

/* Everything that a body left is handed over; the record goes back to the pool. */
static void finish(Task *t) {
  Runtime *rt = t->rt;
  lua_State *co = t->co;
  adopt_children(t);
  unlink_from_parent(t);
  t->generation++;
  rt->live--;
  if (t->tally) task_tally_leave(t);
  if (t->handle) {
    t->handle->status = t->status;
    t->handle->task = NULL;
    if (t->observers) t->handle->observed = true;
  }
  rt->ending = true;
  if (t->observers) tell_observers(t);
  rt->ending = false;
  if (t->owner) {
    const char *traceback = NULL;
    if (t->status != TASK_DONE) { /* below the error, where it outlives the call */
      report_push_traceback(co, t, -1);
      traceback = lua_tostring(co, -1);
      lua_insert(co, 1);
    }
    t->owner->ended(t->owner, t, co, traceback);
  } else if (t->status == TASK_FAILED && t->handle && !t->handle->observed) {
    if (t->handle_kept)
      task_push_handle(co, t);
    else
      push_handle_of_stack(t);
    task_report_unawaited(co, -1);
  }
  if (t->handle) drop_handle(co, t);
  if (t->has_origin) report_forget_origin(t);
  if (t->has_vars) drop_vars(co, t);
  if (t->limits) limits_drop(t->limits);
  cause_drop(t->cancelled);
  cause_drop(t->left_cause);
  t->cancelled = t->left_cause = NULL;
  lua_settop(co, 0);
  task_pool_put(t);
}

static void end_body(Task *t) {
  while (t->scope) { /* a block entered without <close>, or in a generator */
    if (t->scope->abandoned) t->scope->abandoned(t->scope, t->co);
    scope_close(t->scope);
  }
  t->wait = NULL;
  if (t->cancelled && t->children) {
    t->ending = true; /* a cancel is over when the children's clean-up is */
    return;
  }
  for (Task *parent; t; t = parent) {
    parent = t->parent;
    finish(t);
    if (!parent || !parent->ending || parent->children) break;
  }
}

/* A C module yielded by itself: no one would ever resume it. */
static void fail_foreign_yield(Task *t) {
  lua_resetthread(t->co);
  lua_settop(t->co, 0);
  lua_pushliteral(t->co, "a C function yielded to moonloop's loop; only moonloop's own functions, "
                         "or coroutine.yield inside a coroutine, can suspend here");
  t->status = TASK_FAILED;
}

/* Memory ran out outside of the body, where its outcome was being kept. The handle stays without a
   value: whoever awaits it gets a memory error. */
static void fail_out_of_memory(Task *t) {
  bool on_stack = t->handle && !t->handle_kept;
  t->status = TASK_FAILED;
  if (on_stack) {
    push_handle_of_stack(t);
    lua_xmove(t->co, t->rt->L, 1);
  }
  lua_resetthread(t->co);
  if (on_stack) {
    lua_xmove(t->rt->L, t->co, 1);
    lua_insert(t->co, 1);
  }
  report_print(t->rt, "moonloop: not enough memory to keep the outcome of a task\n");
  if (t->handle) t->handle->observed = true;
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
  task_make_ready(&t->rt->ready, t);
}

/* What is started inside a shield is left alone until the shield is closed. */
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
  /* All are marked before any is interrupted: an interrupted join cancels its items, and finds them
     done; so a deep tree of joins needs no deep C stack. */
  for (Task *at = t; at; at = next_reached(t, at))
    if (!at->cancelled) at->cancelled = cause_hold(cause);
  for (Task *at = t; at; at = next_reached(t, at))
    if (at->cancelled == cause) task_interrupt(at);
  return true;
}

bool task_is_broken_off(lua_State *L, int index) {
  return scope_is_own_cancel(L, index) || limits_is_own_error(L, index);
}

const char *task_status_name(TaskStatus status) {
  static const char *const names[] = {"pending", "running", "suspended",
                                      "done",    "failed",  "cancelled"};
  return names[status];
}
