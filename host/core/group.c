#include "core/group.h"

#include "core/group_error.h"
#include "core/origin.h"
#include "core/traceback.h"
#include "core/wait.h"

#include <stdlib.h>

static void group_abandoned(Scope *scope, lua_State *L);

/* One child, from its start until the block has been left (failed) or it has ended (the others). */
typedef struct GroupMember {
  TaskObserver observer;
  struct GroupMember *next, **link;
  Group *group;
  Task *task; /* while it lives */
  int index;
} GroupMember;

void group_open(lua_State *L, Group *group, Task *t) {
  *group = (Group){.table_ref = LUA_NOREF};
  group->failed_tail = &group->failed;
  lua_newtable(L);
  group->table_ref = luaL_ref(L, LUA_REGISTRYINDEX);
  scope_open(&group->scope, t);
  group->scope.abandoned = group_abandoned;
}

static GroupMember *take_member(Group *group) {
  GroupMember *m = group->spare;
  if (m) {
    group->spare = m->next;
    return m;
  }
  m = calloc(1, sizeof *m);
  if (!m) return NULL;
  m->group = group;
  m->index = ++group->last_index;
  return m;
}

static void put_member(GroupMember *m) {
  m->next = m->group->spare;
  m->group->spare = m;
}

void group_cancel(Group *group, CancelCause *cause) {
  if (!group->scope.task) return;
  scope_cancel(&group->scope, cause_hold(cause));
  for (GroupMember *m = group->live; m; m = m->next) task_cancel(m->task, cause);
}

/* Cancels the remaining children of a group that failed, or whose block cannot be left normally. */
static void cancel_for_failure(Group *group) {
  CancelCause *cause = cause_new(group->scope.task->rt, "another task of its group failed");
  if (!cause) return; /* out of memory: they are waited for without a cancel */
  group_cancel(group, cause);
  cause_drop(cause);
}

static void member_ended(TaskObserver *observer, Task *t) {
  GroupMember *m = (GroupMember *)(void *)observer;
  Group *group = m->group;
  *m->link = m->next;
  if (m->next) m->next->link = m->link;
  group->live_count--;
  m->task = NULL;
  bool failed = t->status == TASK_FAILED || (t->status == TASK_DONE && t->handle->returned_error);
  if (failed && !group->scope.task) { /* the block ended without it: it is reported like any task */
    m->next = group->spare;
    group->spare = m;
  } else if (failed) {
    t->handle->audience.heard = true; /* the end of the block raises it */
    m->next = NULL;
    *group->failed_tail = m;
    group->failed_tail = &m->next;
    if (!group->scope.cause) cancel_for_failure(group);
  } else {
    lua_State *L = t->co; /* assigning nil to a field that exists cannot fail */
    lua_rawgeti(L, LUA_REGISTRYINDEX, group->table_ref);
    lua_pushnil(L);
    lua_rawseti(L, -2, m->index);
    lua_pop(L, 1);
    put_member(m);
  }
  if (group->waiting && group->live_count == 0) ml_wait_wake(group->waker);
}

Task *group_spawn(lua_State *L, Group *group, int nargs) {
  if (!group->scope.task) luaL_error(L, "group:spawn: the group's block has been left");
  if (group->scope.cause) luaL_error(L, "group:spawn: the group is being cancelled");
  GroupMember *m = take_member(group);
  if (!m) luaL_error(L, "group:spawn: not enough memory");
  /* Makes room for the handle first: nothing may fail once the child exists. */
  lua_rawgeti(L, LUA_REGISTRYINDEX, group->table_ref);
  lua_pushboolean(L, true);
  lua_rawseti(L, -2, m->index);
  lua_insert(L, -(nargs + 2));
  Task *owner = group->scope.task;
  Task *t = task_spawn(L, owner->rt, owner, nargs);
  lua_pushvalue(L, -1);
  lua_rawseti(L, -3, m->index);
  lua_remove(L, -2);
  m->task = t;
  m->next = group->live;
  m->link = &group->live;
  if (m->next) m->next->link = &m->next;
  group->live = m;
  group->live_count++;
  m->observer.ended = member_ended;
  task_observe(t, &m->observer);
  return t;
}

/* --- the end of the block --- */

/* Pushes what the failed child raised or returned, and its origin (traceback.h) or nil. */
static void push_failure(lua_State *L, const Group *group, const GroupMember *m) {
  int top = lua_gettop(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, group->table_ref);
  lua_rawgeti(L, -1, m->index);
  const TaskHandle *handle = lua_touserdata(L, -1);
  lua_getiuservalue(L, -1, 1);
  bool returned = handle->status == TASK_DONE;
  lua_rawgeti(L, -1, returned ? 2 : 1);
  if (returned) {
    lua_pushnil(L);
  } else {
    char site[80];
    lua_rawgeti(L, -2, 2);
    if (!lua_isnil(L, -1)) {
      lua_pushfstring(L, "in task %d, spawned at %s:", (int)handle->id,
                      task_site(handle->source, handle->line, site));
      origin_prepend(L);
    }
  }
  lua_replace(L, top + 2);
  lua_replace(L, top + 1);
  lua_settop(L, top + 2);
}

/* Raises one error that holds them all. */
static int raise_all(lua_State *L, Task *t, Group *group, int count) {
  int body = group->body_failed ? lua_absindex(L, group->error) : 0;
  lua_createtable(L, count, 0);
  lua_createtable(L, count, 0);
  int origins = lua_gettop(L), errors = origins - 1;
  GroupMember *m = group->failed;
  for (int i = 0, n = 1; n <= count; i++, n++) {
    if (body && i == group->failed_before) {
      lua_pushvalue(L, body);
      traceback_push_origin(L, t, body);
    } else {
      push_failure(L, group, m);
      m = m->next;
    }
    if (lua_isnil(L, -1)) { /* a list has no holes */
      lua_pop(L, 1);
      lua_pushboolean(L, false);
    }
    lua_rawseti(L, origins, n);
    lua_rawseti(L, errors, n);
  }
  return group_error_raise(L, errors, origins, count);
}

static void drop_members(GroupMember *m) {
  for (GroupMember *next; m; m = next) {
    next = m->next;
    free(m);
  }
}

/* The body's task or generator is over, and nobody will raise the failures of children. */
static void group_abandoned(Scope *scope, lua_State *L) {
  Group *group = (Group *)(void *)scope;
  if (!group->failed || !lua_checkstack(L, 4)) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, group->table_ref);
  for (GroupMember *m = group->failed; m; m = m->next) {
    lua_rawgeti(L, -1, m->index);
    task_report_unawaited(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  drop_members(group->failed);
  group->failed = NULL;
  group->failed_tail = &group->failed;
}

void group_free(lua_State *L, Group *group) {
  if (group->scope.task) group_abandoned(&group->scope, L);
  scope_close(&group->scope);
  for (GroupMember *m = group->live, *next; m; m = next) {
    next = m->next;
    task_unobserve(&m->observer);
    free(m);
  }
  drop_members(group->failed);
  drop_members(group->spare);
  luaL_unref(L, LUA_REGISTRYINDEX, group->table_ref);
  group->live = group->failed = group->spare = NULL;
  group->table_ref = LUA_NOREF;
}

/* All children have ended. */
static int end_block(lua_State *L, Group *group) {
  Task *t = group->scope.task;
  int count = group->body_failed;
  for (GroupMember *m = group->failed; m; m = m->next) count++;
  scope_close(&group->scope);
  if (count > 1) return raise_all(L, t, group, count);
  if (group->failed) {
    push_failure(L, group, group->failed);
    if (!lua_isnil(L, -1)) return traceback_raise(L);
    lua_pop(L, 1);
    return lua_error(L);
  }
  if (!group->body_failed && (group->interrupted || group->body_stopped) && t->cancel_pending)
    return wait_raise_cancel(L, t);
  return group->after(L, group);
}

static void wait_cancel(Task *t, void *op) {
  Group *group = op;
  group->interrupted = true;
  CancelCause *cause = cause_for_others(scope_pending(t));
  group_cancel(group, cause);
  cause_drop(cause);
}

static int wait_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  return end_block(L, op);
}

static const WaitType leave_wait = {
    .name = "its group", .cancel = wait_cancel, .finish = wait_finish, .cancel_is_deferred = true};

/* Is the error this group's own cancel? */
static bool is_cancel_of(lua_State *L, Group *group, int error) {
  if (!group->scope.cause) return false;
  cause_push_error(L, group->scope.cause);
  bool same = lua_rawequal(L, -1, error);
  lua_pop(L, 1);
  return same;
}

int group_leave(lua_State *L, Group *group, int error, int (*after)(lua_State *L, Group *group)) {
  Task *t = task_current(L);
  if (!group->scope.task) return luaL_error(L, "the block of this group has been left before");
  if (group->scope.task != t) return luaL_error(L, "a group is left by the task that opened it");
  group->error = error;
  group->after = after;
  if (error) {
    group->uncovered = traceback_uncover(L, t, group->scope.opened_in_flight);
    group->body_stopped = is_cancel_of(L, group, error);
    group->body_failed = !group->body_stopped && !scope_is_cut(L, error);
    for (GroupMember *m = group->failed; m; m = m->next) group->failed_before++;
    if (!group->scope.cause) cancel_for_failure(group);
  }
  if (group->live_count == 0) return end_block(L, group);
  if (!wait_is_possible(L)) {
    /* They cannot be waited for here, but at least they will end. */
    if (!group->scope.cause) cancel_for_failure(group);
    group_abandoned(&group->scope, L);
    scope_close(&group->scope);
    if (error) return after(L, group); /* otherwise the next line raises */
  }
  ml_wait_enter_cleanup(L, "leaving ml.group");
  group->waiting = true;
  group->waker = ml_wait_waker(t);
  if (t->cancel_pending) wait_cancel(t, group);
  return ml_wait_suspend(L, t, &leave_wait, group);
}
