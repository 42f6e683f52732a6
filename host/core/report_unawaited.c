/* Failures that nobody awaits, for report.h. */
#include "core/origin.h"
#include "core/report.h"
#include "core/runtime.h"

#include <stdio.h>
#include <stdlib.h>

/* How long a failure waits for an awaiter before it is reported. */
#define UNAWAITED_NS 1000000000ull

typedef struct Unawaited {
  struct Unawaited *next;
  uint64_t due;
  int ref; /* keeps the userdata with `audience` */
  Audience *audience;
  LogKeptFields *context; /* of the place where it failed, or NULL */
  char headline[80], place[100];
} Unawaited;

static void on_due(Timer *timer) {
  Runtime *rt = container_of(timer, Runtime, reports.timer);
  rt->reports.due = true;
}

static void wait_until_due(Runtime *rt, uint64_t due) {
  if (timer_set(&rt->timers, &rt->reports.timer, due, on_due)) rt->reports.due = true;
}

static int l_report_failure(lua_State *L) {
  const Unawaited *u = lua_touserdata(L, 2);
  u->audience->heard = true;
  const char *place = *u->place ? u->place : NULL;
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) { /* there was no memory to keep what it raised */
    lua_pushliteral(L, "not enough memory");
    report_error_of(L, u->headline, -1, NULL, place, u->context);
    return 0;
  }
  lua_rawgeti(L, -1, 1);
  lua_rawgeti(L, -2, 2);
  origin_render(L);
  report_error_of(L, u->headline, -2, lua_tostring(L, -1), place, u->context);
  return 0;
}

/* The userdata is on the top of L (popped). */
static void report_now(lua_State *L, Unawaited *u) {
  lua_pushcfunction(L, l_report_failure);
  lua_insert(L, -2);
  lua_pushlightuserdata(L, u);
  if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

static int l_keep_unawaited(lua_State *L) {
  Unawaited *u = lua_touserdata(L, 2);
  lua_settop(L, 1);
  u->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* Appends it to the list. */
static void list(Runtime *rt, Unawaited *u) {
  Reports *reports = &rt->reports;
  u->next = NULL;
  if (!reports->unawaited) {
    reports->unawaited_tail = &reports->unawaited;
    wait_until_due(rt, u->due);
  }
  *reports->unawaited_tail = u;
  reports->unawaited_tail = &u->next;
}

void report_unawaited(lua_State *L, int index, Audience *audience, const char *headline,
                      const char *place) {
  Runtime *rt = runtime_of(L);
  Unawaited u = {.audience = audience, .due = runtime_now(rt) + UNAWAITED_NS};
  snprintf(u.headline, sizeof u.headline, "%s", headline);
  snprintf(u.place, sizeof u.place, "%s", place ? place : "");
  int top = lua_gettop(L);
  index = lua_absindex(L, index);
  Unawaited *kept = malloc(sizeof *kept);
  lua_pushcfunction(L, l_keep_unawaited);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, &u);
  if (!kept || lua_pcall(L, 2, 0, 0) != LUA_OK) { /* no memory to wait: report it now */
    free(kept);
    lua_settop(L, top);
    lua_pushvalue(L, index);
    report_now(L, &u);
    return;
  }
  *kept = u;
  kept->context = report_keep_context(rt);
  list(rt, kept);
}

/* Reports it, unless somebody has heard of it; frees it. */
static void end(lua_State *L, Unawaited *u) {
  bool heard = u->audience->heard;
  if (!heard) lua_rawgeti(L, LUA_REGISTRYINDEX, u->ref);
  luaL_unref(L, LUA_REGISTRYINDEX, u->ref);
  if (!heard) report_now(L, u);
  free(u->context);
  free(u);
}

void report_watch_over(Runtime *rt) {
  for (Unawaited **link = &rt->reports.watched, *u; (u = *link);) {
    if (u->audience->watchers > 0 && !u->audience->heard) {
      link = &u->next;
      continue;
    }
    *link = u->next;
    u->due = runtime_now(rt) + UNAWAITED_NS;
    list(rt, u);
  }
}

void report_flush(Runtime *rt, bool all) {
  Reports *reports = &rt->reports;
  uint64_t now = runtime_now(rt);
  reports->due = false;
  for (Unawaited *u; (u = reports->unawaited) && (all || u->due <= now);) {
    reports->unawaited = u->next;
    if (all || u->audience->heard || u->audience->watchers == 0) {
      end(rt->L, u);
    } else {
      u->next = reports->watched;
      reports->watched = u;
    }
  }
  for (Unawaited *u; all && (u = reports->watched);) {
    reports->watched = u->next;
    end(rt->L, u);
  }
  if (reports->unawaited) wait_until_due(rt, reports->unawaited->due);
}
