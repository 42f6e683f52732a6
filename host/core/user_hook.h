/* Hooks of debug.sethook. The host's own hook (interrupt.c) is set instead and calls them, so that
   the host can interrupt code being debugged without affecting the user's hook.

   A hook belongs to its thread, as in Lua. One that was set in the main task, or in the main state,
   applies to all tasks: the live ones, and those started while it is set. Coroutines have their
   own, as debuggers expect of Lua, unless UserHooks.in_coroutines says otherwise. */
#ifndef ML_USER_HOOK_H
#define ML_USER_HOOK_H

#include "core/names.h"

#include <lua.h>
#include <stdbool.h>

typedef struct UserHook {
  lua_Hook foreign;    /* a hook set by a C module with lua_sethook; NULL: a Lua function */
  int mask, count;     /* as they were given */
  int left;            /* instructions until the next count event */
  bool of_main;        /* inherited from the main task */
  bool repeats;        /* Lua will report a call again (interrupt_may_yield) */
  const void *entered; /* the last event was the call of this frame's function; NULL: another one */
} UserHook;

/* The runtime's part. */
typedef struct UserHooks {
  bool any;           /* there was one */
  bool for_tasks;     /* the main task's applies to all tasks */
  bool in_coroutines; /* and to new coroutines as well */
} UserHooks;

/* Most instructions between two checks of a count hook with a larger count. An interrupt loses
   those since the last check. */
#define USER_HOOK_CHUNK 1000

/* The count to set for it. */
static inline int user_hook_chunk(const UserHook *user) {
  if (!(user->mask & LUA_MASKCOUNT)) return 0;
  return user->left < USER_HOOK_CHUNK ? user->left : USER_HOOK_CHUNK;
}

/* Pushes the record of L's hook and returns it; NULL if there is none. Leaves up to three
   values. */
UserHook *user_hook_push(lua_State *L);

/* Calls it for the event; it was pushed by user_hook_push and is on the top of L. */
void user_hook_call(lua_State *L, lua_Debug *ar, UserHook *user);

/* Sets the function on the top of L (popped) as the hook of `of`, a thread of the same runtime.
   With the mask 0 takes its hook off. May raise a memory error in L. */
void user_hook_set(lua_State *L, lua_State *of, int mask, int count);

/* Pushes the Lua function that is the hook of `of`, or nil, and returns its mask and count. */
UserHook user_hook_get(lua_State *L, lua_State *of);

/* The running task starts: applies the main task's hook. May raise a memory error in L. */
void user_hook_begin(lua_State *L, Task *t);

/* A coroutine was made, and the main task's hook applies to coroutines, too. May raise a memory
   error in L. */
void user_hook_begin_coroutine(lua_State *L, lua_State *co);

/* The task ends, and its thread will be reused. Does not raise. */
void user_hook_end(Task *t);

#endif
