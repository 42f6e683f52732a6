/* `out`, with which the stream function of a response writes its body. Several tasks of a handler
   may write: each text stays in one piece, in the order in which the writes began. */
#include "modules.h"
#include "web.h"

#include "http_stream.h"
#include <lauxlib.h>

#define WEB_OUT "moonloop.web.core.out"

/* How much of a long text is taken at once: also 64 kB that a compressor made no smaller. */
enum { PIECE = HTTP_STREAM_HIGH_WATER + 1024 };

struct WebOut {
  HttpStream *stream; /* this userdata is its writer */
  Waiters line;       /* tasks that wait for their turn */
  size_t at;          /* how much of the current text is written */
  bool taken;         /* it is some task's turn */
  bool torn;          /* a text was broken off in the middle: nothing may follow it */
};

static WebOut *check_out(lua_State *L) { return luaL_checkudata(L, 1, WEB_OUT); }

static int out_gc(lua_State *L) {
  WebOut *out = lua_touserdata(L, 1);
  if (out->stream) http_stream_drop(out->stream);
  out->stream = NULL;
  return 0;
}

/* The turn of a task is over. */
static void pass_on(WebOut *out) {
  if (out->at) out->torn = true;
  out->taken = waiters_wake_first(&out->line) != NULL;
}

static int raise_over(lua_State *L, WebOut *out) {
  bool torn = out->torn && out->stream->connection;
  pass_on(out);
  if (!torn) ml_wait_check_cancel(L); /* because the client has gone */
  return ml_error_raise(L, "closed", NULL, "out:write: %s",
                        torn ? "an earlier write was broken off in the middle"
                             : "the response is over");
}

/* --- waiting for room, in the middle of a turn --- */

static int write_on(lua_State *L);

static void room_cancel(Task *t, void *op) {
  (void)t;
  WebOut *out = op;
  out->stream->writer.task = NULL;
  pass_on(out);
}

static bool room_revoke(Task *t, void *op) {
  (void)t;
  pass_on(op);
  return true;
}

static int room_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return write_on(L);
}

static const WaitType room_wait = {.name = "a client that is behind",
                                   .cancel = room_cancel,
                                   .finish = room_finish,
                                   .revoke = room_revoke};

/* Writes what is left of the text at index 2, as its task's turn. */
static int write_on(lua_State *L) {
  WebOut *out = lua_touserdata(L, 1);
  HttpStream *s = out->stream;
  size_t len;
  const char *text = lua_tolstring(L, 2, &len);
  for (;;) {
    if (!s->connection || out->torn) return raise_over(L, out);
    if (http_stream_is_full(s)) {
      Task *t = task_current(L); /* it may wait: l_write has asked */
      s->writer = ml_wait_waker(t);
      return ml_wait_suspend(L, t, &room_wait, out);
    }
    size_t n = len - out->at < PIECE ? len - out->at : PIECE;
    if (!http_stream_write(s, text + out->at, n)) {
      pass_on(out);
      return luaL_error(L, "not enough memory for the response");
    }
    out->at += n;
    if (out->at == len) break;
  }
  out->at = 0;
  pass_on(out);
  lua_settop(L, 1);
  return 1;
}

/* --- waiting for a turn --- */

static void turn_cancel(Task *t, void *op) { waiters_leave(&((WebOut *)op)->line, &t->waiter); }

static bool turn_revoke(Task *t, void *op) {
  (void)t;
  pass_on(op);
  return true;
}

static int take_turn(lua_State *L);

static int turn_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  return take_turn(L);
}

static const WaitType turn_wait = {
    .name = "a turn to write", .cancel = turn_cancel, .finish = turn_finish, .revoke = turn_revoke};

/* The caller's turn has come: begins with its text. */
static int take_turn(lua_State *L) {
  WebOut *out = lua_touserdata(L, 1);
  HttpStream *s = out->stream;
  size_t len;
  lua_tolstring(L, 2, &len);
  if (s->connection && s->left <= HTTP_LENGTH_MAX && len > s->left) {
    lua_Integer left = (lua_Integer)s->left;
    pass_on(out);
    return luaL_error(L, "out:write: %I bytes, but only %I are left of the Content-Length",
                      (lua_Integer)len, left);
  }
  return write_on(L);
}

/* out:write(...) -> out. Adds strings and numbers to the body, like io.write. Suspends while the
   client is behind by more than 64 kB. Raises when the response is over ("closed"), and when the
   response's Content-Length would be exceeded: then nothing of it is written. */
static int l_write(lua_State *L) {
  WebOut *out = check_out(L);
  int top = lua_gettop(L);
  for (int i = 2; i <= top; i++) luaL_checkstring(L, i);
  if (top != 2) lua_concat(L, top - 1);
  if (lua_rawlen(L, 2) == 0) {
    lua_settop(L, 1);
    return 1;
  }
  if (out->taken) {
    Task *t = ml_wait_enter(L, "out:write");
    waiters_join(&out->line, &t->waiter);
    return ml_wait_suspend(L, t, &turn_wait, out);
  }
  HttpStream *s = out->stream;
  if (s->connection && (lua_rawlen(L, 2) > PIECE || http_stream_is_full(s)))
    ml_wait_enter(L, "out:write"); /* before anything is written that could not be ended */
  out->taken = true;
  return take_turn(L);
}

/* --- the response --- */

/* The stream function has returned: its arguments were the connection and `out`. */
static int function_returned(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  HttpConnection *c = (HttpConnection *)ctx;
  WebOut *out = lua_touserdata(L, 1);
  HttpStream *s = out->stream;
  if (!s->connection) return 0; /* the client has gone */
  if (out->taken || out->torn)
    return luaL_error(L, "the stream of %s ended in the middle of a write", c->match.route->name);
  if (s->left <= HTTP_LENGTH_MAX && s->left)
    return luaL_error(L, "the stream of %s ended %I bytes short of its Content-Length",
                      c->match.route->name, (lua_Integer)s->left);
  if (!http_stream_end(s)) return luaL_error(L, "not enough memory for the response");
  return 0;
}

WebOut *web_out_new(lua_State *L, uint64_t length) {
  WebOut *out = lua_newuserdatauv(L, sizeof *out, 0);
  *out = (WebOut){0};
  waiters_init(&out->line);
  luaL_setmetatable(L, WEB_OUT);
  out->stream = http_stream_new(length);
  if (!out->stream) luaL_error(L, "not enough memory for the response");
  return out;
}

int web_out_run(lua_State *L, WebOut *out, HttpConnection *c, size_t head_at, int function) {
  http_stream_begin(out->stream, c, head_at);
  lua_pushvalue(L, function);
  lua_replace(L, 2);
  lua_replace(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 0, (lua_KContext)c, function_returned);
  return function_returned(L, LUA_OK, (lua_KContext)c);
}

void web_out_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"write", l_write}, {NULL, NULL}};
  modules_make_class(L, WEB_OUT, methods, out_gc, NULL);
}
