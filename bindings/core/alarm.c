#include "bindings/core/alarm.h"

#include "bindings/check.h"
#include "core/script_place.h"
#include "core/task.h"

/* Seconds until it is tried again to start a task, where memory is out. */
#define AGAIN 1.0

typedef struct Alarm {
  Timer timer;
  TaskOwner owner;
  Runtime *rt;
} Alarm;

static void on_time(Timer *timer);

/* False: memory is out. */
static bool set(Alarm *a, double seconds) {
  uint64_t due = timer_due(runtime_now(a->rt), seconds);
  if (due != TIMER_NEVER) return timer_set(&a->rt->timers, &a->timer, due, on_time) == 0;
  timer_clear(&a->rt->timers, &a->timer);
  return true;
}

/* --- the task --- */

static int body_over(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 1;
}

static int l_body(lua_State *L) {
  const Task *t = task_current(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, container_of(t->owner, Alarm, owner));
  lua_getiuservalue(L, -1, 1);
  lua_callk(L, 0, 1, 0, body_over);
  return 1;
}

static void ended(TaskOwner *owner, Task *t, lua_State *L, const char *traceback) {
  const Alarm *a = container_of(owner, Alarm, owner);
  if (t->status == TASK_DONE) give_back_note_gone(a->rt, (size_t)lua_tointeger(L, -1));
  if (t->status == TASK_FAILED)
    report_error(L, "what the host does in the background failed", -1, traceback, NULL);
}

static void on_time(Timer *timer) {
  Alarm *a = container_of(timer, Alarm, timer);
  Task *t = task_start_soon(a->rt, l_body, &a->owner);
  if (t)
    task_to_background(t);
  else
    (void)set(a, AGAIN);
}

/* --- for Lua --- */

static int l_set(lua_State *L) {
  Alarm *a = lua_touserdata(L, lua_upvalueindex(1));
  if (!set(a, check_number(L, 1))) return script_place_error(L, "not enough memory");
  return 0;
}

int alarm_new(lua_State *L) {
  check_type(L, 1, LUA_TFUNCTION);
  Alarm *a = lua_newuserdatauv(L, sizeof *a, 1);
  *a = (Alarm){.owner = {.ended = ended}, .rt = runtime_of(L)};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, a);
  lua_pushcclosure(L, l_set, 1);
  return 1;
}
