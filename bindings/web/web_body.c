/* req.body, req:json() and req:chunks(): the body of a request, which may still be arriving. The
   request's user value WEB_REQUEST_BODY is nil for no body, the whole body as a string, or an
   object that reads it. */
#include "bindings/web/forms.h"
#include "bindings/web/web.h"

#include "core/observe.h"
#include "core/wait.h"
#include "http/server/http_body.h"
#include "http/server/http_buffered.h"
#include "http/server/http_server.h"
#include "json/json.h"
#include <lauxlib.h>

#define WEB_BODY "moonloop.web.core.body"

/* Reads a body. If `rest` is NULL, its user value is a body that came in one piece. */
typedef struct WebBody {
  HttpBody *rest;
  bool in_chunks; /* req:chunks() has begun */
  bool ended;     /* and has reached the end */
  bool is_held;   /* whoever reads them keeps them */
} WebBody;

static int l_body_gc(lua_State *L) {
  WebBody *b = lua_touserdata(L, 1);
  if (b->rest) http_body_drop(b->rest);
  b->rest = NULL;
  return 0;
}

static WebBody *push_body(lua_State *L) {
  WebBody *b = lua_newuserdatauv(L, sizeof *b, 1);
  *b = (WebBody){0};
  luaL_setmetatable(L, WEB_BODY);
  return b;
}

void web_body_push(lua_State *L, HttpConnection *c) {
  WebBody *b = push_body(L);
  b->rest = http_body_hold(c->body);
}

void web_body_cancel(Task *t, void *op) {
  (void)t;
  ((WebBody *)op)->rest->reader.task = NULL;
}

/* What has arrived stays there for another reader. */
bool web_body_revoke(Task *t, void *op) {
  (void)t;
  (void)op;
  return true;
}

/* Raises unless `b` can be read. */
static void check_readable(lua_State *L, const WebBody *b, const char *function) {
  const HttpBody *rest = b->rest;
  if (!rest->connection) ml_wait_check_cancel(L); /* because the client has gone */
  if (!rest->connection)
    ml_error_raise(L, "closed", NULL, "%s: the request is over, and its body was not read",
                   function);
  if (rest->reader.task) luaL_error(L, "%s: another task is reading the body", function);
}

/* The rest will not come. */
static void check_sound(lua_State *L, const HttpBody *rest) {
  if (!rest->error_status) return;
  web_push_abort(L, rest->error_status, rest->error_detail);
  lua_error(L);
}

static int wait_for_more(lua_State *L, WebBody *b, const char *function, const WaitType *wait) {
  Task *t = ml_wait_enter(L, function);
  http_body_ask(b->rest, !b->in_chunks);
  check_sound(L, b->rest);
  b->rest->reader = ml_wait_waker(t);
  return ml_wait_suspend(L, t, wait, b);
}

/* --- in one piece --- */

/* The whole body is wanted. If that is more than the server may keep, it is refused, before it
   arrives if its length is known. */
static void limit_whole(HttpBody *rest) {
  HttpConnection *c = rest->connection;
  HttpRequest *r = &c->request;
  const Route *route = c->match.route;
  uint64_t max =
      route->max_body == ROUTE_MAX_BODY_UNSET ? c->server->max_whole_body : HTTP_NO_LIMIT;
  if (r->max_body > max) r->max_body = max;
  if (rest->error_status || rest->complete) return;
  if (r->body_total > max || (!r->chunked && r->content_length > max))
    http_body_fail(c, 413, http_response_reason(413));
}

void web_body_check_size(lua_State *L) {
  WebBody *b = NULL;
  if (lua_getiuservalue(L, 1, WEB_REQUEST_BODY) == LUA_TUSERDATA) b = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!b || !b->rest || !b->rest->connection) return;
  limit_whole(b->rest);
  check_sound(L, b->rest);
}

void web_body_push_whole(lua_State *L, const char *function, const WaitType *wait) {
  int type = lua_getiuservalue(L, 1, WEB_REQUEST_BODY);
  if (type == LUA_TSTRING) return;
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushliteral(L, "");
    return;
  }
  WebBody *b = lua_touserdata(L, -1);
  if (b->in_chunks) luaL_error(L, "%s: the body was already taken by req:chunks()", function);
  check_readable(L, b, function);
  limit_whole(b->rest);
  check_sound(L, b->rest);
  if (!b->rest->complete) wait_for_more(L, b, function, wait);
  const Buffer *bytes = http_body_bytes(b->rest);
  lua_pushlstring(L, bytes->data, bytes->len);
  b->rest->connection->held += bytes->len; /* the request has it until then */
  http_body_taken(b->rest);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, 1, WEB_REQUEST_BODY);
}

/* --- as JSON --- */

/* Bytes that a value takes as a rule: 17 in a list of numbers, 105 at most. */
#define JSON_VALUE_BYTES 64
/* The values of shorter texts are no more than what each handler has. */
#define JSON_COUNTED (4 << 10)

bool web_json_hold(lua_State *L, uint64_t values) {
  HttpConnection *c = web_tail_connection(L);
  if (!c) return true; /* a request of web.test, or one that is over */
  if (http_buffered_hold(c, (ptrdiff_t)(values * JSON_VALUE_BYTES))) return true;
  observe_limited(c->server->rt, "max_buffered");
  web_push_abort(L, 503, HTTP_BUFFERED_DETAIL);
  return false;
}

bool web_json_admit(lua_State *L, const char *text, size_t size, uint64_t max_values,
                    JsonError *error) {
  if (size < JSON_COUNTED && !json_may_exceed(size, max_values)) return true;
  JsonCount count;
  json_count_begin(&count, text, size, max_values);
  if (!json_count_go(&count, size, error)) return false;
  if (!web_json_hold(L, count.count)) lua_error(L);
  return true;
}

/* --- in pieces --- */

static int l_next_chunk(lua_State *L);
static int feed_form(lua_State *L);

static int chunk_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  lua_settop(L, 1);
  return l_next_chunk(L);
}

static int feed_finish(lua_State *L, Task *t, void *op) {
  (void)t;
  (void)op;
  lua_settop(L, 2);
  return feed_form(L);
}

static const WaitType chunk_wait = {.name = "more of a request's body",
                                    .cancel = web_body_cancel,
                                    .finish = chunk_finish,
                                    .revoke = web_body_revoke};
static const WaitType feed_wait = {.name = "more of a form",
                                   .cancel = web_body_cancel,
                                   .finish = feed_finish,
                                   .revoke = web_body_revoke};

/* The next bytes of a body, until chunk_taken. NULL: there are none yet, or it has ended. */
static const Buffer *next_bytes(lua_State *L, WebBody *b, const char *function) {
  check_readable(L, b, function);
  const Buffer *bytes = http_body_bytes(b->rest);
  if (bytes->len) return bytes;
  check_sound(L, b->rest);
  if (b->rest->complete) b->ended = true;
  return NULL;
}

static int chunk_taken(lua_State *L, const WebBody *b, size_t n) {
  if (b->is_held) b->rest->connection->held += n;
  http_body_taken(b->rest);
  return wait_spared(L, 1, wait_cost(n));
}

/* The iterator of req:chunks(): l_next_chunk(body) -> string | nil */
static int l_next_chunk(lua_State *L) {
  static const char function[] = "req:chunks";
  WebBody *b = luaL_checkudata(L, 1, WEB_BODY);
  if (!b->rest) {
    lua_getiuservalue(L, 1, 1);
    lua_pushnil(L);
    lua_setiuservalue(L, 1, 1);
    return 1;
  }
  if (b->ended) return 0;
  const Buffer *bytes = next_bytes(L, b, function);
  if (b->ended) return 0;
  if (!bytes) return wait_for_more(L, b, function, &chunk_wait);
  lua_pushlstring(L, bytes->data, bytes->len);
  return chunk_taken(L, b, bytes->len);
}

static int feed_form(lua_State *L) {
  static const char function[] = "req:form or req:parts";
  WebBody *b = luaL_checkudata(L, 1, WEB_BODY);
  if (!b->rest) {
    l_next_chunk(L);
    if (lua_isnil(L, -1)) return 1;
    size_t n;
    const char *text = lua_tolstring(L, -1, &n);
    forms_feed(L, 2, text, n);
    return 1;
  }
  if (b->ended) return 0;
  const Buffer *bytes = next_bytes(L, b, function);
  if (b->ended) return 0;
  if (!bytes) return wait_for_more(L, b, function, &feed_wait);
  forms_feed(L, 2, bytes->data, bytes->len);
  lua_pushboolean(L, true);
  return chunk_taken(L, b, bytes->len);
}

int web_body_hold(lua_State *L) {
  WebBody *b = luaL_checkudata(L, 1, WEB_BODY);
  b->is_held = true;
  return 0;
}

int web_body_feed(lua_State *L) {
  lua_settop(L, 2);
  return feed_form(L);
}

int web_body_chunks(lua_State *L) {
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) {
    lua_pop(L, 1);
    lua_getiuservalue(L, 1, WEB_REQUEST_BODY);
  }
  if (!lua_isuserdata(L, 2)) { /* all of it is there: it is one chunk, or none */
    push_body(L);
    lua_insert(L, 2);
    if (lua_isstring(L, 3) && lua_rawlen(L, 3)) lua_setiuservalue(L, 2, 1);
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, 1, WEB_REQUEST_BODY);
  }
  WebBody *b = lua_touserdata(L, 2);
  b->in_chunks = true;
  lua_pushcfunction(L, l_next_chunk);
  lua_insert(L, 2);
  return 2;
}

void web_body_open(lua_State *L) {
  luaL_newmetatable(L, WEB_BODY);
  lua_pushcfunction(L, l_body_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
