/* coroutine.*: like Lua's own, with two differences. A host suspension (a sleep inside a generator)
   goes through any number of nested coroutines and suspends the task, not the generator's caller.
   And the thread of a task belongs to the scheduler: scripts can neither resume nor close it. */
#include "bindings/core/coroutine.h"

#include "core/stack_text.h"
#include "core/states.h"
#include "core/task.h"
#include "core/task_limits.h"
#include "core/traceback.h"

#include <lauxlib.h>
#include <lualib.h>

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* What coroutine.status returns for `co`. If its task is waiting inside it, that is "normal", not
   "suspended": it continues when the task does. */
static const char *status_of(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (co == L) return "running";
  if (state_has(co, STATE_OF_TASK | STATE_BUSY)) return "normal";
  if (lua_status(co) == LUA_YIELD) return "suspended";
  if (lua_status(co) != LUA_OK) return "dead";
  if (lua_getstack(co, 0, &ar)) return "normal";
  return lua_gettop(co) > 0 ? "suspended" : "dead"; /* not started yet */
}

/* Moves `narg` arguments to `co`. Returns why it cannot be resumed, or NULL. */
static const char *prepare(lua_State *L, lua_State *co, int narg) {
  if (state_has(co, STATE_OF_TASK))
    return "cannot resume the thread of a task: only moonloop's loop does (use task:await())";
  const char *status = status_of(L, co);
  if (*status == 'd') return "cannot resume dead coroutine";
  if (*status != 's') return "cannot resume non-suspended coroutine";
  if (!lua_checkstack(co, narg)) return "too many arguments to resume";
  lua_xmove(L, co, narg);
  return NULL;
}

typedef enum Outcome { RETURNED, RAISED, SUSPENDED } Outcome;

/* Resumes `co` with the `narg` values on its stack. RETURNED: its *nres results are on L. RAISED:
   the error is on its top. SUSPENDED: the task is; the caller must yield outward. */
static Outcome resume(lua_State *L, lua_State *co, int narg, int *nres) {
  Runtime *rt = runtime_of(L);
  Resumer resumer;
  scheduler_enter_coroutine(&rt->scheduler, &resumer, L, co);
  STATE_WORD(co) &= ~(uintptr_t)STATE_BUSY;
  int rc = lua_resume(co, L, narg, nres);
  scheduler_leave_coroutine(&rt->scheduler, &resumer);
  if (rc == LUA_YIELD && rt->scheduler.suspending) {
    STATE_WORD(co) |= STATE_BUSY;
    return SUSPENDED;
  }
  if (rc != LUA_OK && rc != LUA_YIELD) return RAISED;
  if (!lua_checkstack(L, *nres + 1)) {
    lua_pop(co, *nres);
    lua_pushliteral(co, "too many results to resume");
    return RAISED;
  }
  lua_xmove(co, L, *nres);
  return RETURNED;
}

static void note_caught(lua_State *L) {
  Task *t = task_current(L);
  if (t) traceback_caught_other(L, t);
}

static int resume_again(lua_State *L, int status, lua_KContext ctx);

/* Continues the coroutine at index 1, which has `narg` values on its stack. */
static int resume_on(lua_State *L, int narg) {
  lua_State *co = lua_tothread(L, 1);
  int nres;
  switch (resume(L, co, narg, &nres)) {
  case SUSPENDED:
    return lua_yieldk(L, 0, 0, resume_again);
  case RETURNED:
    lua_pushboolean(L, 1);
    lua_insert(L, -(nres + 1));
    return nres + 1;
  default:
    lua_pushboolean(L, 0);
    lua_xmove(co, L, 1);
    if (task_is_broken_off(L, -1)) return lua_error(L); /* as pcall does */
    note_caught(L);
    return 2;
  }
}

static int resume_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return resume_on(L, 0);
}

/* coroutine.resume(co, ...) -> true, values | false, error */
static int l_coroutine_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  int narg = lua_gettop(L) - 1;
  const char *problem = prepare(L, co, narg);
  if (!problem) return resume_on(L, narg);
  lua_pushboolean(L, 0);
  lua_pushstring(L, problem);
  return 2;
}

static int wrap_again(lua_State *L, int status, lua_KContext ctx);

/* Continues the coroutine of a function made by coroutine.wrap (upvalue 1). */
static int wrap_on(lua_State *L, int narg) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int nres;
  switch (resume(L, co, narg, &nres)) {
  case SUSPENDED:
    return lua_yieldk(L, 0, 0, wrap_again);
  case RETURNED:
    return nres;
  default:
    break;
  }
  if (task_limits_is_own_error(co, -1)) { /* its traceback is kept, and no more of its code runs */
    lua_xmove(co, L, 1);
    return lua_error(L);
  }
  /* The error continues in the caller, where the coroutine's stack is no longer visible: its
     traceback is kept as the error's origin. */
  lua_pushliteral(L, "in a coroutine:\n");
  stack_text_push(L, co, 0);
  lua_concat(L, 2);
  lua_resetthread(co); /* closes its to-be-closed variables; an error of theirs replaces this one */
  lua_xmove(co, L, 1);
  if (scope_is_own_cancel(L, -1)) return lua_error(L);
  lua_insert(L, -2);
  traceback_extend(L, -2);
  lua_insert(L, -2);
  if (lua_type(L, -1) ==
      LUA_TSTRING) { /* the place where the generator was called, as in Lua's own */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  lua_insert(L, -2);
  return traceback_raise(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return wrap_on(L, 0);
}

static int l_wrap_call(lua_State *L) {
  int narg = lua_gettop(L);
  const char *problem = prepare(L, lua_tothread(L, lua_upvalueindex(1)), narg);
  return problem ? luaL_error(L, "%s", problem) : wrap_on(L, narg);
}

/* coroutine.create(f) -> coroutine */
static int l_coroutine_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  if (runtime_of(L)->user_hooks.in_coroutines) user_hook_begin_coroutine(L, co);
  return 1;
}

/* coroutine.wrap(f) -> function */
static int l_coroutine_wrap(lua_State *L) {
  l_coroutine_create(L);
  lua_pushcclosure(L, l_wrap_call, 1);
  return 1;
}

/* coroutine.yield(...): yields to the resumer of this coroutine. A task itself has none. */
static int l_coroutine_yield(lua_State *L) {
  if (state_has(L, STATE_OF_TASK))
    return luaL_error(L, "coroutine.yield: this is a task, not a coroutine: nobody would resume it "
                         "(use ml.sleep(0) to let other tasks run)");
  return lua_yield(L, lua_gettop(L));
}

/* coroutine.isyieldable([co]) -> boolean: may coroutine.yield be called there? */
static int l_coroutine_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  lua_pushboolean(L, !state_has(co, STATE_OF_TASK) && lua_isyieldable(co));
  return 1;
}

/* coroutine.status(co) -> "running" | "suspended" | "normal" | "dead" */
static int l_coroutine_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

/* coroutine.close(co) -> true | false, error. Raises if `co` is running or has resumed another one,
   as Lua's own does; a task's thread is always one of the two. */
static int l_coroutine_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  const char *status = status_of(L, co);
  if (*status == 'r' || *status == 'n')
    return luaL_error(L, "cannot close a %s coroutine%s", status,
                      state_has(co, STATE_OF_TASK) ? ": it is a task's (use task:cancel())" : "");
  if (lua_resetthread(co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  note_caught(L);
  return 2;
}

void coroutine_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create", l_coroutine_create}, {"resume", l_coroutine_resume},
      {"wrap", l_coroutine_wrap},     {"yield", l_coroutine_yield},
      {"status", l_coroutine_status}, {"isyieldable", l_coroutine_isyieldable},
      {"close", l_coroutine_close},   {NULL, NULL},
  };
  lua_getglobal(L, LUA_COLIBNAME);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  states_note_transparent(L, l_coroutine_resume);
  states_note_transparent(L, l_wrap_call);
}
