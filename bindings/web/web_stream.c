/* `out`, which the stream function of a response uses to write its body. Several tasks of a handler
   may write: each text stays in one piece, in the order in which the writes began. */
#include "bindings/check.h"
#include "bindings/class.h"
#include "bindings/hub/mailbox.h"
#include "bindings/web/web.h"

#include "core/observe.h"
#include "core/traceback.h"
#include "core/wait.h"
#include "http/server/http_buffered.h"
#include "http/server/http_stream.h"
#include <lauxlib.h>

#define WEB_OUT "moonloop.web.core.out"

/* How much of a long text is taken at once; 64 kB that did not get smaller when compressed still
   fit. */
enum { PIECE = HTTP_STREAM_HIGH_WATER + 1024 };

struct WebOut {
  HttpStream *stream; /* this userdata is its writer */
  Waiters line;       /* tasks that wait for their turn */
  size_t at;          /* how much of the current text is written */
  bool taken;         /* some task has the turn */
  bool torn;          /* a text was cut off in the middle: nothing may follow it */
};

static WebOut *check_out(lua_State *L) { return check_self(L, WEB_OUT); }

static int l_out_gc(lua_State *L) {
  WebOut *out = lua_touserdata(L, 1);
  if (out->stream) http_stream_drop(out->stream);
  out->stream = NULL;
  return 0;
}

/* Ends the turn of a task. */
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

/* While clients have not taken too much, one that has not taken what it was given gets no more of a
   file. */
static bool is_held_back(const HttpConnection *c) {
  return c->queued && http_buffered_is_crowded(c->server);
}

/* Writes the rest of the text at index 2, in the turn of its task. Who writes an empty one only
   waits. */
static int write_on(lua_State *L) {
  WebOut *out = lua_touserdata(L, 1);
  HttpStream *s = out->stream;
  size_t len;
  const char *text = lua_tolstring(L, 2, &len);
  for (;;) {
    if (!s->connection || out->torn) return raise_over(L, out);
    if (http_stream_is_full(s) || (!len && is_held_back(s->connection))) {
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
  return wait_spared(L, 1, wait_cost(len));
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

/* The caller has the turn: begins its text. */
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

/* Takes a turn with the text at index 2, or waits for one. */
static int begin_write(lua_State *L, WebOut *out) {
  if (out->taken) {
    Task *t = ml_wait_enter(L, "out:write");
    waiters_join(&out->line, &t->waiter);
    return ml_wait_suspend(L, t, &turn_wait, out);
  }
  const HttpStream *s = out->stream;
  size_t len = lua_rawlen(L, 2);
  if (s->connection && (!len || len > PIECE || http_stream_is_full(s)))
    ml_wait_enter(L, "out:write"); /* before writing anything that could not be finished */
  out->taken = true;
  return take_turn(L);
}

/* out:write(...) -> out. Adds strings and numbers to the body, like io.write. Suspends while the
   client is behind by more than 64 kB. Raises if the response is over ("closed"), or if its
   Content-Length would be exceeded; in that case nothing is written. */
static int l_write(lua_State *L) {
  WebOut *out = check_out(L);
  int top = lua_gettop(L);
  for (int i = 2; i <= top; i++) luaL_checkstring(L, i);
  if (top != 2) lua_concat(L, top - 1);
  if (lua_rawlen(L, 2) == 0) {
    lua_settop(L, 1);
    return wait_spared(L, 1, 1);
  }
  return begin_write(L, out);
}

/* Waits, if the client is behind, until a text would be written at once: an empty one is. */
int web_out_wait(lua_State *L) {
  WebOut *out = luaL_testudata(L, 1, WEB_OUT);
  const HttpConnection *c = out ? out->stream->connection : NULL;
  bool waits = c && (http_stream_is_full(out->stream) || is_held_back(c));
  if (!waits) {
    lua_pushboolean(L, false);
    return wait_spared(L, 1, 1);
  }
  lua_settop(L, 1);
  lua_pushliteral(L, "");
  return begin_write(L, out);
}

/* --- the response --- */

/* The stream function has returned: ends the response. False: pushes an error message. */
static bool end_response(lua_State *L, const WebOut *out, const HttpConnection *c) {
  HttpStream *s = out->stream;
  const char *route = c->match.route->name;
  if (!s->connection) return true; /* the client has gone */
  if (out->taken || out->torn)
    lua_pushfstring(L, "the stream of %s ended in the middle of a write", route);
  else if (s->left <= HTTP_LENGTH_MAX && s->left)
    lua_pushfstring(L, "the stream of %s ended %I bytes short of its Content-Length", route,
                    (lua_Integer)s->left);
  else if (!http_stream_end(s))
    lua_pushliteral(L, "not enough memory for the response");
  else
    return true;
  return false;
}

/* Its arguments were the connection and `out`, which is at index 1. */
static int function_returned(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return end_response(L, lua_touserdata(L, 1), (HttpConnection *)ctx) ? 0 : lua_error(L);
}

HttpStream *web_out_ready(lua_State *L, int index) {
  const WebOut *out = luaL_testudata(L, index, WEB_OUT);
  if (!out || out->taken || out->torn || !out->stream->connection) return NULL;
  return http_stream_is_full(out->stream) ? NULL : out->stream;
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

/* --- the response of a chain --- */

enum { AT_OUT = 1, AT_REQUEST, AT_RESPONSE, AT_HANDLER, AT_FUNCTION, AT_ARGUMENT };

/* The answer to the error is on the top. */
static int error_rendered(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  HttpConnection *c = (HttpConnection *)ctx;
  if (!http_connection_may_answer(c)) return 0;
  lua_replace(L, 1);
  lua_settop(L, 1);
  return web_respond(L, c->server->user, c, 1);
}

static int rendered_function_over(lua_State *L, int status, lua_KContext ctx) {
  HttpConnection *c = (HttpConnection *)ctx;
  WebOut *out = lua_touserdata(L, AT_OUT);
  bool failed = status != LUA_OK && status != LUA_YIELD;
  if (failed && web_chain_is_broken_off(L)) return lua_error(L);
  if (!failed && end_response(L, out, c)) return 0;
  const HttpStream *s = out->stream;
  if (!s->connection || s->sent) return lua_error(L);
  const Web *web = c->server->user;
  int error = lua_gettop(L);
  http_stream_fail(c); /* takes back what was written */
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->on_failed_stream);
  lua_pushvalue(L, AT_REQUEST);
  lua_pushvalue(L, error);
  web_chain_push_caught(L, error);
  lua_pushvalue(L, AT_RESPONSE);
  lua_rawgeti(L, LUA_REGISTRYINDEX, c->match.route->handler_ref);
  web_chain_push_renderer(L);
  lua_callk(L, 6, 1, ctx, error_rendered);
  return error_rendered(L, LUA_OK, ctx);
}

int web_out_run_rendered(lua_State *L, WebOut *out, HttpConnection *c, size_t head_at,
                         int function) {
  http_stream_begin(out->stream, c, head_at);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_pushcfunction(L, traceback_handler);
  lua_pushvalue(L, function);
  lua_pushvalue(L, -5);
  lua_rotate(L, 1, AT_ARGUMENT);
  lua_settop(L, AT_ARGUMENT);
  lua_KContext ctx = (lua_KContext)c;
  int status = lua_pcallk(L, 1, 0, AT_HANDLER, ctx, rendered_function_over);
  return rendered_function_over(L, status, ctx);
}

/* --- what hubs send --- */

/* Its client is too far behind: nobody is to take what it got for the whole. */
static void cut(void *data) {
  WebOut *out = data;
  HttpConnection *c = out && out->stream ? out->stream->connection : NULL;
  if (c) http_connection_abort(c);
}

/* Its letters count as what the connection keeps. */
static bool keeps(void *data, ptrdiff_t more) {
  const WebOut *out = data;
  HttpConnection *c = out && out->stream ? out->stream->connection : NULL;
  return !c || http_buffered_hold(c, more);
}

int web_out_mailbox(lua_State *L) {
  WebOut *out = luaL_testudata(L, 1, WEB_OUT);
  mailbox_push(L, cut, keeps, out);
  lua_pushvalue(L, 1); /* the stream stays as long as the mailbox */
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* may_keep(bytes) -> boolean: may what compresses the current response have that much memory until
   it is over? */
int web_out_may_keep(lua_State *L) {
  HttpConnection *c = web_tail_connection(L);
  size_t n = (size_t)luaL_checkinteger(L, 1);
  bool may = !c || http_buffered_hold_spare(c, n);
  if (!may) observe_limited(c->server->rt, "max_buffered");
  lua_pushboolean(L, may);
  return 1;
}

void web_out_open(lua_State *L) {
  static const luaL_Reg methods[] = {{"write", l_write}, {NULL, NULL}};
  class_make(L, WEB_OUT, methods, l_out_gc, NULL);
}
