/* Writing to streams. */
#include "bindings/check.h"
#include "bindings/stream/stream_object.h"
#include "core/task.h"
#include "core/wait.h"

#include <stdio.h>

/* The error on the top of L, below which is nil, gets `written`; returns 3: with it. */
static int with_written(lua_State *L, size_t written) {
  lua_pushinteger(L, (lua_Integer)written);
  lua_setfield(L, -2, "written");
  lua_pushinteger(L, (lua_Integer)written);
  return 3;
}

static int failed(lua_State *L, Stream *s, int status, size_t written) {
  stream_object_failed(L, s, "writing to", status);
  return with_written(L, written);
}

/* Raises the cancel of the running task, whose error then has `written`. */
static int raise_cancel(lua_State *L, Task *t, size_t written) {
  lua_pushnil(L);
  wait_push_cancel(L, t);
  with_written(L, written);
  lua_pop(L, 1);
  return lua_error(L);
}

/* Deferred, since the error says how much was written. */
static void write_cancel(Task *t, void *op) {
  (void)t;
  StreamWriter *w = op;
  if (w->is_done) return;
  stream_write_leaves(w);
  w->is_cancelled = true;
  ml_wait_wake(w->waker);
}

static int write_finish(lua_State *L, Task *t, void *op) {
  StreamWriter *w = op;
  if (w->is_cancelled) return raise_cancel(L, t, w->taken);
  if (w->status) return failed(L, w->stream, w->status, w->taken);
  lua_settop(L, 1);
  return 1;
}

static void write_describe(const Task *t, const void *op, char *text, size_t size) {
  const StreamWriter *w = op;
  char name[160];
  (void)t;
  w->stream->source->describe(w->stream, name, sizeof name);
  snprintf(text, size, "room to write to %s", name);
}

static const WaitType write_wait = {.name = "room to write to a stream",
                                    .cancel = write_cancel,
                                    .finish = write_finish,
                                    .cancel_is_deferred = true,
                                    .describe = write_describe};

/* Would a wait raise here? */
static bool cannot_wait(lua_State *L) {
  if (!wait_is_possible(L)) return true;
  Task *t = task_current(L);
  if (t->scope) scope_check_limits(t);
  return t->cancel_pending;
}

/* Waits until the rest of the text at index 2 is written. */
static int write_rest(lua_State *L, Stream *s, const char *bytes, size_t len, size_t taken) {
  if (cannot_wait(L)) {
    if (taken || s->is_bound) stream_cut(s);
    if (wait_is_possible(L)) return raise_cancel(L, task_current(L), taken);
  }
  Task *t = ml_wait_enter(L, "stream:write");
  StreamWriter *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (StreamWriter){.bytes = bytes, .len = len, .taken = taken, .waker = ml_wait_waker(t)};
  stream_write_begins(s, w);
  return ml_wait_suspend(L, t, &write_wait, w);
}

/* write(...) -> stream | nil, err, written. Writes strings and numbers in the order in which tasks
   call it; suspends while the other side is behind. `written`: how many bytes have left. */
int stream_object_write(lua_State *L) {
  Stream *s = stream_object_check(L);
  int top = lua_gettop(L);
  for (int i = 2; i <= top; i++) check_string(L, i);
  if (top > 2) lua_concat(L, top - 1);
  size_t len = 0;
  const char *bytes = top > 1 ? lua_tolstring(L, 2, &len) : "";
  if (s->is_closed) return failed(L, s, UV_ECANCELED, 0);
  if (s->is_shut) return failed(L, s, UV_EPIPE, 0);
  if (!s->can_write) return failed(L, s, UV_EBADF, 0);
  if (s->write_error) return failed(L, s, s->write_error, 0);
  ssize_t n = len ? stream_send(s, bytes, len) : 0;
  if (n < 0) {
    s->write_error = (int)n;
    return failed(L, s, (int)n, 0);
  }
  if ((size_t)n < len) return write_rest(L, s, bytes, len, (size_t)n);
  lua_settop(L, 1);
  return wait_spared(L, 1, wait_cost(len));
}
