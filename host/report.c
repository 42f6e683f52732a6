#include "report.h"

#include "buffer.h"
#include "error_text.h"
#include "scope.h"
#include "states.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long an awaiter may take to come before a failure is reported. */
#define UNAWAITED_NS 1000000000ull

typedef struct Unawaited {
  struct Unawaited *next;
  uint64_t due;
  int ref; /* keeps the userdata that `observed` is in */
  bool *observed;
  char headline[80], place[100];
} Unawaited;

/* --- origins: origins[slot] = {error, text, text is this task's own traceback} --- */

static void keep_origin(lua_State *L, Task *t, int error, int text, bool own) {
  error = lua_absindex(L, error);
  text = lua_absindex(L, text);
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->origins_ref);
  lua_createtable(L, 3, 0);
  lua_pushvalue(L, error);
  lua_rawseti(L, -2, 1);
  lua_pushvalue(L, text);
  lua_rawseti(L, -2, 2);
  lua_pushboolean(L, own);
  lua_rawseti(L, -2, 3);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->has_origin = true;
}

/* Pushes the text kept for the error at `index`, or nil. */
static void push_origin(lua_State *L, Task *t, int index, bool *own) {
  index = lua_absindex(L, index);
  int top = lua_gettop(L);
  if (t->has_origin) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->origins_ref);
    lua_rawgeti(L, -1, t->slot);
    lua_rawgeti(L, -1, 1);
    if (lua_rawequal(L, -1, index)) {
      lua_rawgeti(L, -2, 3);
      *own = lua_toboolean(L, -1);
      lua_rawgeti(L, top + 2, 2);
      lua_replace(L, top + 1);
      lua_settop(L, top + 1);
      return;
    }
  }
  lua_settop(L, top);
  lua_pushnil(L);
}

/* Notes the text on the top of L (popped) as the origin of the error value at `index`. */
static void note_origin(lua_State *L, int index) {
  Task *t = task_current(L);
  if (t) keep_origin(L, t, index, -1, false);
  lua_pop(L, 1);
}

/* The last line of a task's traceback is the host's own function under the body. */
static void drop_host_frame(lua_State *L) {
  static const char frame[] = "\n\t[C]: in ?";
  size_t n;
  const char *text = lua_tolstring(L, -1, &n);
  if (n < sizeof frame || strcmp(text + n - (sizeof frame - 1), frame) != 0) return;
  lua_pushlstring(L, text, n - (sizeof frame - 1));
  lua_replace(L, -2);
}

void report_note_traceback(lua_State *L, int index) {
  Task *t = task_current(L);
  index = lua_absindex(L, index);
  states_push_traceback(L, 0);
  drop_host_frame(L);
  if (t) keep_origin(L, t, index, -1, true);
  lua_pop(L, 1);
}

int report_raise_with_origin(lua_State *L) {
  note_origin(L, -2);
  return lua_error(L);
}

void report_forget_origin(Task *t) {
  lua_State *L = t->rt->L;
  if (!t->has_origin) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->rt->origins_ref);
  lua_pushnil(L);
  lua_rawseti(L, -2, t->slot);
  lua_pop(L, 1);
  t->has_origin = false;
}

int report_error_handler(lua_State *L) {
  Task *t = task_current(L);
  if (!t || scope_is_own_cancel(L, 1)) return 1;
  bool own = false;
  push_origin(L, t, 1, &own);
  if (own) { /* raised again on its way out: the first traceback says more */
    lua_settop(L, 1);
    return 1;
  }
  luaL_traceback(L, L, NULL, 1);
  drop_host_frame(L);
  if (!lua_isnil(L, 2)) {
    lua_pushfstring(L, "%s\n%s", lua_tostring(L, 3), lua_tostring(L, 2));
    lua_replace(L, 3);
  }
  keep_origin(L, t, 1, 3, true);
  lua_settop(L, 1);
  return 1;
}

void report_push_traceback(lua_State *L, Task *t, int index) {
  bool own;
  push_origin(L, t, index, &own);
}

/* --- printing --- */

void report_print(Runtime *rt, const char *text) {
  if (rt->print_report) {
    rt->print_report(rt->print_data, text);
    return;
  }
  fputs(text, stderr);
  fflush(stderr);
}

void report_error(lua_State *L, const char *headline, int index, const char *traceback,
                  const char *place) {
  const char *message = error_push_text(L, index);
  Buffer text = {0};
  bool whole = buffer_printf(&text, "%s: %s\n", headline, message) &&
               (!traceback || buffer_printf(&text, "%s\n", traceback)) &&
               (!place || buffer_printf(&text, "%s\n", place)) && buffer_add_char(&text, 0);
  report_print(runtime_of(L), whole ? text.data : message);
  if (!whole) report_print(runtime_of(L), "\n");
  buffer_free(&text);
  lua_pop(L, 1);
}

/* --- failures that nobody awaits --- */

static void on_due(Timer *timer) {
  Runtime *rt = container_of(timer, Runtime, unawaited_timer);
  rt->reports_due = true;
}

static void wait_until_due(Runtime *rt, uint64_t due) {
  if (timer_set(&rt->timers, &rt->unawaited_timer, due, on_due)) rt->reports_due = true;
}

static int report_failure(lua_State *L) {
  const Unawaited *u = lua_touserdata(L, 2);
  *u->observed = true;
  const char *place = *u->place ? u->place : NULL;
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) { /* there was no memory to keep what it raised */
    lua_pushliteral(L, "not enough memory");
    report_error(L, u->headline, -1, NULL, place);
    return 0;
  }
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  report_error(L, u->headline, -2, lua_tostring(L, -1), place);
  return 0;
}

/* The userdata is on the top of L (popped). */
static void report_now(lua_State *L, Unawaited *u) {
  lua_pushcfunction(L, report_failure);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, u);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static int keep_unawaited(lua_State *L) {
  Unawaited *u = lua_touserdata(L, 2);
  lua_settop(L, 1);
  u->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

void report_unawaited(lua_State *L, int index, bool *observed, const char *headline,
                      const char *place) {
  Runtime *rt = runtime_of(L);
  Unawaited u = {.observed = observed, .due = runtime_now(rt) + UNAWAITED_NS};
  snprintf(u.headline, sizeof u.headline, "%s", headline);
  snprintf(u.place, sizeof u.place, "%s", place ? place : "");
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  Unawaited *kept = malloc(sizeof *kept);
  lua_pushcfunction(L, keep_unawaited);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, &u);
  if (!kept || lua_pcall(L, 2, 0, 0) != LUA_OK) { /* no memory to wait with: say it now */
    free(kept);
    lua_settop(L, top);
    lua_pushvalue(L, index);
    report_now(L, &u);
    return;
  }
  *kept = u;
  if (!rt->unawaited) {
    rt->unawaited_tail = &rt->unawaited;
    wait_until_due(rt, u.due);
  }
  *rt->unawaited_tail = kept;
  rt->unawaited_tail = &kept->next;
}

void report_flush(Runtime *rt, bool all) {
  lua_State *L = rt->L;
  uint64_t now = runtime_now(rt);
  rt->reports_due = false;
  for (Unawaited *u; (u = rt->unawaited) && (all || u->due <= now);) {
    rt->unawaited = u->next;
    lua_rawgeti(L, LUA_REGISTRYINDEX, u->ref);
    luaL_unref(L, LUA_REGISTRYINDEX, u->ref);
    if (*u->observed)
      lua_pop(L, 1);
    else
      report_now(L, u);
    free(u);
  }
  if (rt->unawaited) wait_until_due(rt, rt->unawaited->due);
}
