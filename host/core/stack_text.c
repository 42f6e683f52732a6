#include "core/stack_text.h"

#include "core/call_frame.h"
#include "core/function_name.h"
#include "core/runtime.h"
#include "core/script_place.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Frames examined at each end of a deep stack, and lines shown of them. */
enum { FRAMES = 22, FIRST_LINES = 10, LAST_LINES = 11 };

/* What lines show of a frame, for lua_getinfo. */
#define WHAT "Slnt"

/* Stack slots of L needed for the names of functions and the lines. */
#define SLOTS 40

bool stack_text_wants_all(void) {
  const char *value = getenv("MOONLOOP_TRACEBACK");
  return value && strcmp(value, "full") == 0;
}

typedef struct Listing {
  lua_State *L, *of;
  int lines; /* where the list of lines is in L */
  int count;
  /* About the frames since the last one of a script: the number of lines before them, and whether
     one of them is a Lua part of the host. */
  int before_run;
  bool run_has_host;
  bool all_is_host; /* so its frames are shown */
} Listing;

static bool is_host_lua(const lua_Debug *ar) {
  return *ar->what != 'C' && script_place_is_host(ar);
}

/* Returns how many frames there are from `frame` on, and puts the first of those at the far end
 * into `last`. */
static int count_frames(CallFrame *frame, CallFrame **last) {
  CallFrame *latest[FRAMES] = {0};
  int n = 0;
  for (; frame; frame = call_frame_caller(frame)) latest[n++ % FRAMES] = frame;
  *last = latest[n % FRAMES];
  return n;
}

/* Pushes the public name of the frame's function, or nil. */
static void push_public_name(lua_State *L, lua_State *of, lua_Debug *ar) {
  lua_getinfo(of, "f", ar);
  if (of != L) lua_xmove(of, L, 1);
  function_name_push(L, -1);
  lua_remove(L, -2);
}

/* Pushes "function 'ml.sleep'", "method 'await'" and the like; nil if there is no name. `by_host`:
   the caller is the host, whose name for the function means nothing to users. */
static void push_function(const Listing *list, lua_Debug *ar, bool by_host) {
  lua_State *L = list->L;
  push_public_name(L, list->of, ar);
  if (!lua_isnil(L, -1)) {
    const char *name = lua_tostring(L, -1);
    lua_pushfstring(L, "%s '%s'", strchr(name, ':') ? "method" : "function", name);
  } else if (*ar->namewhat && !by_host) {
    lua_pushfstring(L, "%s '%s'", ar->namewhat, ar->name);
  } else if (*ar->what == 'm') {
    lua_pushliteral(L, "main chunk");
  } else if (*ar->what != 'C' && (list->all_is_host || !is_host_lua(ar))) {
    lua_pushfstring(L, "function <%s:%d>", ar->short_src, ar->linedefined);
  } else if (list->all_is_host) {
    lua_pushliteral(L, "?");
  } else {
    return;
  }
  lua_remove(L, -2);
}

/* Adds the line of a frame, or nothing for one that is not shown. */
static void add_frame(Listing *list, lua_Debug *ar, bool by_host) {
  lua_State *L = list->L;
  push_function(list, ar, by_host && !list->all_is_host);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  const char *tail = ar->istailcall ? "\n\t(...tail calls...)" : "";
  if (is_host_lua(ar) && !list->all_is_host)
    lua_pushfstring(L, "\n\t[moonloop]: in %s%s", lua_tostring(L, -1), tail);
  else if (ar->currentline > 0)
    lua_pushfstring(L, "\n\t%s:%d: in %s%s", ar->short_src, ar->currentline, lua_tostring(L, -1),
                    tail);
  else
    lua_pushfstring(L, "\n\t%s: in %s%s", ar->short_src, lua_tostring(L, -1), tail);
  lua_rawseti(L, list->lines, ++list->count);
  lua_pop(L, 1);
}

/* Adds at most `max` frames. A Lua part of the host replaces everything that it has called; the
   callers of the outermost script are not shown. */
static void add_frames(Listing *list, CallFrame *frame, int max) {
  lua_Debug ar, caller;
  bool there = call_frame_describe(list->of, frame, WHAT, &ar);
  for (; there && max > 0; max--, ar = caller) {
    frame = call_frame_caller(frame);
    there = call_frame_describe(list->of, frame, WHAT, &caller);
    bool is_script = *ar.what != 'C' && !is_host_lua(&ar);
    if (is_host_lua(&ar) && !list->all_is_host) {
      list->count = list->before_run;
      list->run_has_host = true;
    }
    add_frame(list, &ar, there && is_host_lua(&caller));
    if (!is_script) continue;
    list->before_run = list->count;
    list->run_has_host = false;
  }
}

/* Replaces the list of lines by the text. */
static void join(Listing *list, int skipped) {
  lua_State *L = list->L;
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addstring(&text, "stack traceback:");
  for (int i = 1; i <= list->count; i++) {
    int left_out = list->count - FIRST_LINES - LAST_LINES;
    if (i == FIRST_LINES + 1 && (left_out > 0 || skipped)) {
      lua_pushfstring(L, "\n\t...\t(skipping %d levels)", (left_out > 0 ? left_out : 0) + skipped);
      luaL_addvalue(&text);
      if (left_out > 0) i += left_out;
    }
    lua_rawgeti(L, list->lines, i);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  lua_replace(L, list->lines);
  lua_settop(L, list->lines);
}

/* Adds the frames from `first` on, of a deep stack those at both ends; returns how many were
 * skipped. */
static int add_ends(Listing *list, CallFrame *first) {
  CallFrame *last;
  int total = count_frames(first, &last), skipped = total - 2 * FRAMES;
  if (skipped <= 0) {
    add_frames(list, first, total);
    return 0;
  }
  add_frames(list, first, FRAMES);
  list->before_run = list->count;
  add_frames(list, last, FRAMES);
  return skipped;
}

bool stack_text_push(lua_State *L, lua_State *of, int level) {
  if (runtime_of(L)->tracebacks.all_frames || !lua_checkstack(L, SLOTS) || !lua_checkstack(of, 2)) {
    luaL_traceback(L, of, NULL, level);
    return true;
  }
  lua_newtable(L);
  Listing list = {.L = L, .of = of, .lines = lua_gettop(L)};
  CallFrame *first = call_frame_at(of, level);
  int skipped = add_ends(&list, first);
  bool has_host = list.run_has_host;
  if (has_host) list.count = list.before_run; /* it called the script */
  if (list.count == 0 && has_host) {
    list.all_is_host = true;
    add_ends(&list, first);
  }
  join(&list, skipped);
  return list.count > 0;
}
