/* moonloop for C programs: modules whose functions suspend the calling task until a libuv callback
   completes them.

   The host's own bindings are written with what is declared here.

   Threads: a runtime belongs to one thread at a time, and so does every function here that does
   not say otherwise. */
#ifndef MOONLOOP_H
#define MOONLOOP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ml_Runtime
    ml_Runtime;                 /* one libuv loop, one Lua state, and all that lives on them */
typedef struct ml_Task ml_Task; /* a running piece of Lua; valid until it has ended */

/* --- modules --- */

/* The runtime that a Lua state, or a coroutine of it, belongs to. */
ml_Runtime *ml_runtime_of(lua_State *L);

/* The loop, for uv_*_init. It is the runtime's: do not run, stop or close it. */
uv_loop_t *ml_runtime_loop(ml_Runtime *rt);

/* What runs when the runtime closes: cancels and closes every handle that a module still has. No
   task is left then. It may call uv_close, whose callbacks still run; it must not enter Lua. */
typedef struct ml_CloseHook {
  struct ml_CloseHook *next; /* the runtime's */
  void (*close)(struct ml_CloseHook *hook, ml_Runtime *rt);
} ml_CloseHook;

/* Adds a hook; hooks run in the reverse order of adding. The caller owns `hook`, which has to live
   until it has been called. */
void ml_runtime_on_close(ml_Runtime *rt, ml_CloseHook *hook);

/* --- waiting: a function that suspends does these steps, in this order ---

     static int l_thing(lua_State *L) {
       const char *what = luaL_checkstring(L, 1);    arguments first
       ml_Task *t = ml_wait_enter(L, "thing");       1. may this call wait?
       Thing *op = start(what, ml_wait_waker(t));    2. the operation keeps the waker; its libuv
                                                        callback stores the result and calls
                                                        ml_wait_wake(op->waker)
       return ml_wait_suspend(L, t, &thing_wait, op); 3. `finish` or `cancel` frees op
     }

   Where an operation cannot be started, return or raise instead of step 3: nothing is to be undone
   for steps 1 and 2. libuv callbacks run between tasks: they must not enter Lua. */

/* A kind of waiting: how to break it off, and how to hand over what came. One of `cancel` and
   `finish` is called for each suspension, once, except where the comments say otherwise. */
typedef struct ml_WaitType {
  const char *name; /* for people: "sleep", "http request" */
  /* Breaks the operation off: frees its handle at once (uv_close) and makes sure that no wake-up
     follows. The suspended call then raises the cancel. It must not wake the task and must not
     enter Lua. */
  void (*cancel)(ml_Task *t, void *op);
  /* Runs in the task when it was woken by ml_wait_wake: pushes the results on L and returns their
     number, or raises. The stack of L is as it was when ml_wait_suspend was called. */
  int (*finish)(lua_State *L, ml_Task *t, void *op);
  /* Where this is true, `cancel` only asks: the operation still ends by itself and wakes the task,
     `finish` runs in any case, and raises the pending cancel if it is to be raised there. */
  bool cancel_is_deferred;
  /* Optional. Writes for people what the task waits for, in place of `name`: "sleep for 2.5 s
     more". Called at any time during the suspension, also by the host between two passes: it must
     not enter Lua, allocate or change anything. */
  void (*describe)(const ml_Task *t, const void *op, char *text, size_t size);
  /* Or NULL. The task has been woken and is cancelled before it goes on: takes the result back
     where it can (an item to the queue, a permit to the next) and returns true; then the wait
     raises, and neither `cancel` nor `finish` is called. Otherwise the result is delivered and the
     next wait raises. Must not enter Lua. */
  bool (*revoke)(ml_Task *t, void *op);
} ml_WaitType;

/* 1. May this call wait here? Raises the pending cancel, or an error that names `function` and the
   frame that cannot be suspended. Call it before anything is started. Returns the running task. */
ml_Task *ml_wait_enter(lua_State *L, const char *function);

/* The same for a clean-up's wait, which no pending cancel keeps from waiting: with a wait type
   whose cancel is deferred. */
ml_Task *ml_wait_enter_cleanup(lua_State *L, const char *function);

/* 2. Who is to be woken: taken between ml_wait_enter and ml_wait_suspend, kept by the operation. It
   stays valid, and harmless, after the suspension and the task have ended, until the runtime is
   closed. */
typedef struct ml_Waker {
  ml_Task *task; /* NULL: nobody */
  uint32_t generation;
} ml_Waker;
ml_Waker ml_wait_waker(ml_Task *t);

/* The operation is over: the task goes on in the next pass of the loop. For libuv callbacks of the
   same loop. False, and nothing happens, when that suspension is over already. */
bool ml_wait_wake(ml_Waker waker);

/* 3. Suspends: `return ml_wait_suspend(L, t, &type, op);` after the operation has been started.
   `op` is the caller's, handed to the functions of `type`, which lives as long as the program. */
int ml_wait_suspend(lua_State *L, ml_Task *t, const ml_WaitType *type, void *op);

/* --- errors: tables {kind=, message=, code=} that scripts know by ml.is_error --- */

#if defined(__GNUC__)
#define ML_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define ML_PRINTF(at, first)
#endif

/* Pushes an error object. `kind` is a short word ("network", "closed"), `code` the system's name
   for it ("ECONNREFUSED") or NULL; both are copied. Message: printf's rules, without a position,
   511 bytes at most. */
void ml_error_push(lua_State *L, const char *kind, const char *code, const char *format, ...)
    ML_PRINTF(4, 5);

/* Pushes nil and an error object, for what a caller is expected to handle; returns 2, so that a
   function can end with it. */
int ml_error_return(lua_State *L, const char *kind, const char *code, const char *format, ...)
    ML_PRINTF(4, 5);

/* Raises an error object, for a programmer's mistake. */
int ml_error_raise(lua_State *L, const char *kind, const char *code, const char *format, ...)
    ML_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif

#endif
