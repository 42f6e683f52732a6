/* coroutine.*: like Lua's own, with two differences. A host suspension (a sleep inside a generator)
   goes through any number of nested coroutines and suspends the task, not the generator's caller.
   And the thread of a task belongs to the scheduler: scripts can neither resume nor close it. */
#include "modules.h"
#include "report.h"
#include "states.h"
#include "task.h"
#include "task_limits.h"

#include <lauxlib.h>
#include <lualib.h>

static lua_State *check_coroutine(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "coroutine");
  return co;
}

/* What coroutine.status says of `co`. One whose task waits inside it is "normal", not "suspended":
   it goes on when the task does. */
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
  lua_State *running = rt->running, *barrier = rt->barrier;
  if (!barrier && !lua_isyieldable(L)) rt->barrier = L;
  Resumer resumer = {L, rt->resumers};
  rt->resumers = &resumer;
  rt->running = co;
  STATE_WORD(co) &= ~(uintptr_t)STATE_BUSY;
  int rc = lua_resume(co, L, narg, nres);
  rt->resumers = resumer.outer;
  rt->running = running;
  rt->barrier = barrier;
  if (rc == LUA_YIELD && rt->suspending) {
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

static int resume_again(lua_State *L, int status, lua_KContext ctx);

/* Goes on in the coroutine at index 1, which has `narg` values to go on with. */
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
    return 2;
  }
}

static int resume_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return resume_on(L, 0);
}

/* coroutine.resume(co, ...) -> true, values | false, error */
static int coroutine_resume(lua_State *L) {
  lua_State *co = check_coroutine(L);
  int narg = lua_gettop(L) - 1;
  const char *problem = prepare(L, co, narg);
  if (!problem) return resume_on(L, narg);
  lua_pushboolean(L, 0);
  lua_pushstring(L, problem);
  return 2;
}

static int wrap_again(lua_State *L, int status, lua_KContext ctx);

/* Goes on in the coroutine of a function made by coroutine.wrap (upvalue 1). */
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
  if (limits_is_own_error(co, -1)) { /* its traceback is kept, and no more of its code runs */
    lua_xmove(co, L, 1);
    return lua_error(L);
  }
  /* The error goes on in the caller, which no longer sees the coroutine's stack: the traceback goes
     along as the error's origin. */
  lua_pushliteral(L, "in a coroutine:\n");
  luaL_traceback(L, co, NULL, 0);
  lua_concat(L, 2);
  lua_resetthread(co); /* runs its to-be-closed variables; an error of theirs takes the place */
  lua_xmove(co, L, 1);
  if (scope_is_own_cancel(L, -1)) return lua_error(L);
  if (lua_type(L, -1) == LUA_TSTRING) { /* as Lua's own does: where the generator was called */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  lua_insert(L, -2);
  return report_raise_with_origin(L);
}

static int wrap_again(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return wrap_on(L, 0);
}

static int wrap_call(lua_State *L) {
  int narg = lua_gettop(L);
  const char *problem = prepare(L, lua_tothread(L, lua_upvalueindex(1)), narg);
  return problem ? luaL_error(L, "%s", problem) : wrap_on(L, narg);
}

/* coroutine.create(f) -> coroutine */
static int coroutine_create(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  return 1;
}

/* coroutine.wrap(f) -> function */
static int coroutine_wrap(lua_State *L) {
  coroutine_create(L);
  lua_pushcclosure(L, wrap_call, 1);
  return 1;
}

/* coroutine.yield(...): to the resumer of this coroutine. A task itself has none. */
static int coroutine_yield(lua_State *L) {
  if (state_has(L, STATE_OF_TASK))
    return luaL_error(L, "coroutine.yield: this is a task, not a coroutine: nobody would resume it "
                         "(use ml.sleep(0) to let other tasks run)");
  return lua_yield(L, lua_gettop(L));
}

/* coroutine.isyieldable([co]) -> boolean: may coroutine.yield be called there? */
static int coroutine_isyieldable(lua_State *L) {
  lua_State *co = lua_isnone(L, 1) ? L : check_coroutine(L);
  lua_pushboolean(L, !state_has(co, STATE_OF_TASK) && lua_isyieldable(co));
  return 1;
}

/* coroutine.status(co) -> "running" | "suspended" | "normal" | "dead" */
static int coroutine_status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L)));
  return 1;
}

/* coroutine.close(co) -> true | false, error */
static int coroutine_close(lua_State *L) {
  lua_State *co = check_coroutine(L);
  if (state_has(co, STATE_OF_TASK)) {
    lua_pushboolean(L, 0);
    lua_pushliteral(L, "cannot close the thread of a task (use task:cancel())");
    return 2;
  }
  const char *status = status_of(L, co);
  if (*status == 'r' || *status == 'n') return luaL_error(L, "cannot close a %s coroutine", status);
  if (lua_resetthread(co) == LUA_OK) {
    lua_pushboolean(L, 1);
    return 1;
  }
  lua_pushboolean(L, 0);
  lua_xmove(co, L, 1);
  return 2;
}

void coroutine_open(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"create", coroutine_create}, {"resume", coroutine_resume},
      {"wrap", coroutine_wrap},     {"yield", coroutine_yield},
      {"status", coroutine_status}, {"isyieldable", coroutine_isyieldable},
      {"close", coroutine_close},   {NULL, NULL},
  };
  lua_getglobal(L, LUA_COLIBNAME);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
  states_note_transparent(L, coroutine_resume);
  states_note_transparent(L, wrap_call);
}
