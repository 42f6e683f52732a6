/* Everything here only reads: lua_getstack and lua_getinfo without the options that push. The list
   of frames (CallInfo) is consistent at any moment, but a signal can come while the topmost frame
   is being filled in or the stack is being moved; then a frame's function is a stale pointer. What
   is read through it may be nonsense, which a report can tolerate, or unmapped: then the fault is
   caught. */
#include "core/frames.h"

#include "core/runtime.h"
#include "core/script_place.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static _Thread_local sigjmp_buf
    *reading; /* where execution continues after a fault in this thread */

static void on_fault(int number) {
  if (reading) siglongjmp(*reading, 1);
  signal(number, SIG_DFL); /* a fault of another thread: it happens again, and ends the process */
}

/* Runs `read` with faults caught. False if there was one. */
static bool guarded(void (*read)(lua_State *L, void *data), lua_State *L, void *data) {
  struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER}, before[2];
  sigjmp_buf back;
  sigemptyset(&action.sa_mask);
  sigaction(SIGSEGV, &action, &before[0]);
  sigaction(SIGBUS, &action, &before[1]);
  bool whole = false;
  if (sigsetjmp(back, 1) == 0) {
    reading = &back;
    read(L, data);
    whole = true;
  }
  reading = NULL;
  sigaction(SIGSEGV, &before[0], NULL);
  sigaction(SIGBUS, &before[1], NULL);
  return whole;
}

/* "app.lua:12", or "[C]" */
static void add_place(Text *text, const lua_Debug *ar) {
  text_add(text, ar->short_src);
  if (ar->currentline <= 0) return;
  text_add(text, ":");
  text_add_number(text, (uint64_t)ar->currentline);
}

static void add_function(Text *text, const lua_Debug *ar) {
  if (ar->name) {
    text_add(text, *ar->namewhat ? ar->namewhat : "function");
    text_add(text, " '");
    text_add(text, ar->name);
    text_add(text, "'");
  } else if (*ar->what == 'm') {
    text_add(text, "main chunk");
  } else if (*ar->what == 'C') {
    text_add(text, "a C function");
  } else {
    text_add(text, "function <");
    text_add(text, ar->short_src);
    text_add(text, ":");
    text_add_number(text, (uint64_t)ar->linedefined);
    text_add(text, ">");
  }
}

static bool get(lua_State *L, int level, lua_Debug *ar) {
  return lua_getstack(L, level, ar) && lua_getinfo(L, "Sln", ar);
}

static void read_is_c(lua_State *L, void *data) {
  lua_Debug ar;
  *(bool *)data = get(L, 0, &ar) && *ar.what == 'C';
}

bool frames_in_c_function(lua_State *L) {
  bool is_c = false;
  return guarded(read_is_c, L, &is_c) && is_c;
}

/* --- which C function --- */

/* What the stack of Lua 5.4 has of a function: the start of a TValue, and of a CClosure. */
typedef struct FunctionSlot {
  union {
    const struct CFunctionClosure *closure;
    lua_CFunction function;
    lua_Integer whole; /* for the size of the union */
  } value;
  unsigned char type;
} FunctionSlot;

typedef struct CFunctionClosure {
  void *next;
  unsigned char type, marked, n_upvalues;
  void *gc_list;
  lua_CFunction function;
} CFunctionClosure;

enum { TYPE_LIGHT = LUA_TFUNCTION | 1 << 4, TYPE_CLOSURE = LUA_TFUNCTION | 2 << 4 };

static void read_function(lua_State *L, void *data) {
  lua_CFunction *function = data;
  lua_Debug ar;
  if (!get(L, 0, &ar) || *ar.what != 'C') return;
  /* A frame begins with where its function is on the stack. */
  const FunctionSlot *slot = *(const FunctionSlot *const *)ar.i_ci;
  if (slot->type == TYPE_LIGHT)
    *function = slot->value.function;
  else if ((slot->type & 0x3f) == TYPE_CLOSURE)
    *function = slot->value.closure->function;
}

lua_CFunction frames_c_function(lua_State *L) {
  lua_CFunction function = NULL;
  return guarded(read_function, L, &function) ? function : NULL;
}

static int l_can_tell(lua_State *L) {
  lua_pushboolean(L, frames_c_function(L) == l_can_tell);
  return 1;
}

bool frames_can_tell_functions(lua_State *L) {
  bool can = true;
  for (int upvalues = 0; upvalues <= 1; upvalues++) {
    if (upvalues) lua_pushnil(L);
    lua_pushcclosure(L, l_can_tell, upvalues);
    lua_call(L, 0, 1);
    can = can && lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  return can;
}

/* --- text --- */

static void add_call(Text *text, const lua_Debug *function, const lua_Debug *caller) {
  text_add(text, "in ");
  add_function(text, function);
  if (!caller) return;
  text_add(text, ", called at ");
  add_place(text, caller);
}

/* What a script has called says more to its author than what the host's own Lua has called for it.
 */
static void read_top(lua_State *L, void *data) {
  lua_Debug top, called, first, ar;
  bool has_first = false;
  if (!get(L, 0, &top)) return;
  called = top;
  for (int level = 1; get(L, level, &ar); level++) {
    if (ar.currentline <= 0) continue;
    if (!script_place_is_host(&ar)) {
      add_call(data, &called, &ar);
      return;
    }
    if (!has_first) first = ar;
    has_first = true;
    called = ar;
  }
  add_call(data, &top, has_first ? &first : NULL);
}

void frames_add_top(Text *text, lua_State *L) { guarded(read_top, L, text); }

static void read_place(lua_State *L, void *data) {
  lua_Debug ar;
  for (int level = 0; get(L, level, &ar); level++) {
    if (ar.currentline <= 0 || script_place_is_host(&ar)) continue;
    add_place(data, &ar);
    return;
  }
}

void frames_add_place(Text *text, lua_State *L) { guarded(read_place, L, text); }

typedef struct Listing {
  Text *text;
  int max;
  bool all; /* the host's frames, too */
  int shown;
} Listing;

static void read_all(lua_State *L, void *data) {
  Listing *listing = data;
  lua_Debug ar;
  for (int level = 0; get(L, level, &ar); level++) {
    if (*ar.namewhat == 'h') continue; /* the host's hook, in which this may run */
    if (!listing->all && script_place_is_hidden(L, &ar)) continue;
    if (listing->shown++ == listing->max) {
      text_add(listing->text, "\n\t...");
      return;
    }
    text_add(listing->text, "\n\t");
    add_place(listing->text, &ar);
    text_add(listing->text, ": in ");
    add_function(listing->text, &ar);
  }
}

static void add_stack(Text *text, lua_State *L, int max) {
  Listing listing = {text, max, runtime_of(L)->tracebacks.all_frames, 0};
  bool whole = guarded(read_all, L, &listing);
  if (whole && !listing.shown) {
    listing.all = true;
    whole = guarded(read_all, L, &listing);
  }
  if (!whole) text_add(text, "\n\t(the stack is being changed)");
}

void frames_add_stacks(Text *text, const Runtime *rt, int max) {
  add_stack(text, rt->scheduler.running, max);
  for (const Resumer *r = rt->scheduler.resumers; r; r = r->outer) {
    text_add(text, "\nin the coroutine that resumed it:");
    add_stack(text, r->L, max);
  }
}
