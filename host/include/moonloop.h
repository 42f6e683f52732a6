/* moonloop for C programs: running scripts, and modules whose functions suspend the calling task
   until a libuv callback or another thread completes them. The host's own bindings use the same
   functions.

   Threads: a runtime belongs to the thread that made it. Call its functions on that thread only;
   any thread may call ml_stop and ml_completion_signal. Several runtimes can live in one process,
   each on its own thread; they share nothing. */
#ifndef MOONLOOP_H
#define MOONLOOP_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Marks what the library exports; everything else is hidden. */
#if defined(__GNUC__)
#define ML_API __attribute__((__visibility__("default")))
#else
#define ML_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ml_Runtime
    ml_Runtime;                 /* one libuv loop, one Lua state, and all that lives on them */
typedef struct ml_Task ml_Task; /* a running piece of Lua; valid until it has ended */

/* --- running scripts --- */

/* Makes a runtime: Lua's standard library, and `require "moonloop"`. NULL if memory or
   descriptors have run out. The caller closes it. It belongs to this thread. The host takes SIGURG,
   with which it interrupts Lua code, and leaves the process's other signals alone; a program whose
   scripts write to sockets or pipes should ignore SIGPIPE. */
ML_API ml_Runtime *ml_runtime_new(void);

/* Cancels the remaining tasks, waits at most 5 seconds for their clean-up, closes every handle, the
   Lua state and the loop, and frees `rt`. Must not be called inside a run. Returns 0, or UV_EBUSY
   if a module has left a handle open (the loop is then leaked, and the handle named on stderr). */
ML_API int ml_runtime_close(ml_Runtime *rt);

/* Makes `require(name)` call `open`, as package.preload does. `open` must outlive the runtime;
   `name` is copied. The workers of executor pools that scripts make afterwards find the module too:
   when a job requires it, `open` runs on the worker's thread for the worker's state, perhaps on
   several threads at once. So the module must keep its data in the Lua state (upvalues, the
   registry), not in C variables, and its loop is that of ml_runtime_of(L).
   Returns 0 or UV_ENOMEM. */
ML_API int ml_add_module(ml_Runtime *rt, const char *name, lua_CFunction open);

/* What ml_run_file and ml_run_string return when ml_stop ended the run. */
#define ML_STOPPED (-1)

/* Runs a Lua file as the main task, with the loop, until the last task has ended. The script's
   `...` and `arg` are the `argc` strings of `argv` (NULL if argc is 0); arg[0] is `path`. A
   failure is reported to stderr (see ml_on_report) with its traceback; then, as after os.exit, the
   other tasks are cancelled, with 5 seconds for their clean-up. Returns the exit status: 0, or what
   os.exit was given; 1 if the main task failed, the file could not be loaded, or `rt` is already
   running; or ML_STOPPED. Can be called again. */
ML_API int ml_run_file(ml_Runtime *rt, const char *path, int argc, char *const *argv);

/* The same for a piece of Lua code, which messages call `name`. The run has no arguments. */
ML_API int ml_run_string(ml_Runtime *rt, const char *code, const char *name);

/* Ends the run: cancels its tasks and waits for their clean-up; the run returns ML_STOPPED. Lua
   code that computes is interrupted, and again each time it has continued for 0.1 s without a wait;
   a C function that computes is not. A stop that comes while nothing runs ends the next run. Any
   thread, and a signal handler, may call this until `rt` is being closed; closing waits for a call
   in progress. */
ML_API void ml_stop(ml_Runtime *rt);

/* Entries of the log (errors nobody awaited, a failed main task, warnings, ml.log) go to `print` as
   text, one a call, instead of to stderr; NULL means stderr again. It must not enter Lua. */
ML_API void ml_on_report(ml_Runtime *rt, void (*print)(void *data, const char *text), void *data);

/* The main state, to prepare globals while nothing runs. Its code is not a task: it cannot wait. */
ML_API lua_State *ml_runtime_state(ml_Runtime *rt);

/* --- modules --- */

/* The runtime that a Lua state, or a coroutine of it, belongs to. */
ML_API ml_Runtime *ml_runtime_of(lua_State *L);

/* The loop, for uv_*_init. The runtime owns it: do not run, stop or close it. */
ML_API uv_loop_t *ml_runtime_loop(ml_Runtime *rt);

/* Runs when the runtime closes: cancels and closes every handle that a module still has. No task is
   left then. It may call uv_close, whose callbacks still run; it must not enter Lua. */
typedef struct ml_CloseHook {
  struct ml_CloseHook *next; /* the runtime's */
  void (*close)(struct ml_CloseHook *hook, ml_Runtime *rt);
} ml_CloseHook;

/* Adds a hook; hooks run in the reverse order of adding. The caller owns `hook`, which must live
   until it has been called. */
ML_API void ml_runtime_on_close(ml_Runtime *rt, ml_CloseHook *hook);

/* --- waiting: a function that suspends takes these steps, in this order ---

     static int l_thing(lua_State *L) {
       const char *what = luaL_checkstring(L, 1);    arguments first
       ml_Task *t = ml_wait_enter(L, "thing");       1. may this call wait?
       Thing *op = start(what, ml_wait_waker(t));    2. the operation keeps the waker; its libuv
                                                        callback stores the result and calls
                                                        ml_wait_wake(op->waker)
       return ml_wait_suspend(L, t, &thing_wait, op); 3. `finish` or `cancel` frees op
     }

   If an operation cannot be started, return or raise instead of step 3: steps 1 and 2 need no
   undoing. libuv callbacks run between tasks: they must not enter Lua. */

/* A kind of waiting: how to cancel it, and how to deliver its result. One of `cancel` and
   `finish` is called for each suspension, once, except where the comments say otherwise. */
typedef struct ml_WaitType {
  const char *name; /* for people: "sleep", "http request" */
  /* Cancels the operation: frees its handle at once (uv_close) and makes sure that no wake-up
     follows. The suspended call then raises the cancel. It must not wake the task and must not
     enter Lua. */
  void (*cancel)(ml_Task *t, void *op);
  /* Runs in the task after ml_wait_wake has woken it: pushes the results on L and returns their
     number, or raises. The stack of L is as it was when ml_wait_suspend was called. */
  int (*finish)(lua_State *L, ml_Task *t, void *op);
  /* If this is true, `cancel` only asks: the operation still ends by itself and wakes the task;
     `finish` always runs, and raises the pending cancel if that should be raised there
     (ml_wait_check_cancel). */
  bool cancel_is_deferred;
  /* Optional. Writes for people what the task waits for, in place of `name`: "sleep for 2.5 s
     more". May be called at any time during the suspension, also by the host between two passes: it
     must not enter Lua, allocate or change anything. */
  void (*describe)(const ml_Task *t, const void *op, char *text, size_t size);
  /* Optional. The task has been woken, but is cancelled before it continues: takes the result back
     if it can (an item to the queue, a permit to the next) and returns true; then the wait
     raises, and neither `cancel` nor `finish` is called. Otherwise the result is delivered and the
     next wait raises. Must not enter Lua. */
  bool (*revoke)(ml_Task *t, void *op);
} ml_WaitType;

/* 1. May this call wait here? Raises the pending cancel, or an error that names `function` and the
   frame that cannot be suspended. Call it before anything is started. Returns the running task. */
ML_API ml_Task *ml_wait_enter(lua_State *L, const char *function);

/* The same for a wait during clean-up, which a pending cancel does not prevent. Use it with a wait
   type whose cancel is deferred. */
ML_API ml_Task *ml_wait_enter_cleanup(lua_State *L, const char *function);

/* 2. Which task to wake: taken between ml_wait_enter and ml_wait_suspend, and kept by the
   operation. It stays valid, and harmless, after the suspension and the task have ended, until the
   runtime is closed. */
typedef struct ml_Waker {
  ml_Task *task; /* NULL: nobody */
  uint32_t generation;
} ml_Waker;
ML_API ml_Waker ml_wait_waker(ml_Task *t);

/* The operation is over: the task continues in the next pass of the loop. For libuv callbacks of
   the same loop. Does nothing and returns false if that suspension is already over. */
ML_API bool ml_wait_wake(ml_Waker waker);

/* The same for an operation that another thread completes. */
typedef struct ml_Completion ml_Completion;

/* Makes the ticket with which another thread wakes `t`; taken like a waker, between ml_wait_enter
   and ml_wait_suspend. The loop stays alive until it is signalled. When it is, the task's `finish`
   gets its operation; or, if that suspension was cancelled, `dropped(op)` is called once instead,
   to free `op`. So `cancel` must leave `op` alone; it may tell the other thread to hurry. `dropped`
   runs on the runtime's thread, or on the signalling one if the runtime has been closed meanwhile:
   it must use neither the runtime nor Lua. NULL if memory or descriptors have run out. */
ML_API ml_Completion *ml_completion_new(ml_Task *t, void *op, void (*dropped)(void *op));

/* The operation is over. Any thread may call this, once: it frees `c`. `finish` sees what the
   thread wrote before. The runtime may have been closed. */
ML_API void ml_completion_signal(ml_Completion *c);

/* The operation could not be started: frees `c`, instead of a signal. The caller keeps `op`. */
ML_API void ml_completion_discard(ml_Completion *c);

/* 3. Suspends: `return ml_wait_suspend(L, t, &type, op);` after the operation has been started.
   `op` belongs to the caller and is passed to the functions of `type`, which must live as long as
   the program. */
ML_API int ml_wait_suspend(lua_State *L, ml_Task *t, const ml_WaitType *type, void *op);

/* Raises the running task's pending cancel, if it has one. */
ML_API void ml_wait_check_cancel(lua_State *L);

/* --- errors: tables {kind=, message=, code=} that ml.is_error recognizes --- */

#if defined(__GNUC__)
#define ML_PRINTF(at, first) __attribute__((__format__(__printf__, at, first)))
#else
#define ML_PRINTF(at, first)
#endif

/* Pushes an error object. `kind` is a short word ("network", "closed"), `code` the system's name
   for it ("ECONNREFUSED") or NULL; both are copied. The message follows printf's rules, has no
   position, and is cut at 511 bytes. */
ML_API void ml_error_push(lua_State *L, const char *kind, const char *code, const char *format, ...)
    ML_PRINTF(4, 5);

/* Pushes nil and an error object, for what a caller is expected to handle; returns 2, so that a
   function can end with it. */
ML_API int ml_error_return(lua_State *L, const char *kind, const char *code, const char *format,
                           ...) ML_PRINTF(4, 5);

/* Raises an error object, for a programmer's mistake. */
ML_API int ml_error_raise(lua_State *L, const char *kind, const char *code, const char *format, ...)
    ML_PRINTF(4, 5);

#ifdef __cplusplus
}
#endif

#endif
