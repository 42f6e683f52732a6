/* Chains of middleware. A link of a chain is a closure: next(req) calls the next middleware, or the
   handler at the end, in the calling task. It always returns a response object, made from the
   results or rendered from an error. Only what ends the task, its cancel or the end of its CPU
   budget, passes through. next() passes on the request that the middleware was called with.

   All links are made once per route; a request allocates only its response here. */
#include "bindings/json/json_work.h"
#include "bindings/web/web.h"
#include "http/server/http_handler.h"

#include "core/error.h"
#include "core/report.h"
#include "core/states.h"
#include "core/traceback.h"
#include "http/server/http_body.h"
#include "json/json.h"
#include <lauxlib.h>
#include <stdio.h>

/* Upvalues of a link. NEXT is nil for the handler. RENDER is render(err, req, traceback, name,
   plainly) -> response, a Lua function that does not raise. */
enum { UP_CALLEE = 1, UP_NEXT, UP_NAME, UP_RENDER, UP_WEB, UPS = UP_WEB };

/* The layout of a link's stack: its arguments, then its work values. */
enum { AT_REQUEST = 1, AT_HANDLER, AT_RESULTS };

/* What a link waits for. */
typedef enum Stage {
  STAGE_CALLED,   /* what comes after it */
  STAGE_SETTLED,  /* the making of a response from its results */
  STAGE_FILE,     /* the status, headers and stream of a file */
  STAGE_RENDERED, /* the response for an error */
  STAGE_END,      /* the plain response for the error of a rendered response */
} Stage;

/* --- responses from results --- */

static bool has_field(lua_State *L, const Web *web, int index, WebField field) {
  bool has = web_get_field(L, web, index, field) != LUA_TNIL;
  lua_pop(L, 1);
  return has;
}

/* Sets the field to the value on the top (popped). */
static void set_field(lua_State *L, const Web *web, int index, WebField field) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->fields[field]);
  lua_insert(L, -2);
  lua_rawset(L, index);
}

static void push_new_response(lua_State *L, const Web *web, int status) {
  lua_createtable(L, 0, 4);
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->response_class);
  lua_setmetatable(L, -2);
  lua_pushinteger(L, status);
  set_field(L, web, lua_gettop(L) - 1, WEB_FIELD_STATUS);
}

static bool status_ok(lua_State *L, int index) {
  int is_integer;
  lua_Integer status = lua_tointegerx(L, index, &is_integer);
  return is_integer && status >= 200 && status <= 599 && lua_type(L, index) == LUA_TNUMBER;
}

/* Is it a response 101, whose function takes the connection over? It has no body. */
static bool is_upgrade(lua_State *L, const Web *web, int index) {
  web_get_field(L, web, index, WEB_FIELD_STATUS);
  bool is_101 = lua_type(L, -1) == LUA_TNUMBER && lua_tointeger(L, -1) == 101;
  lua_pop(L, 1);
  if (!is_101 || !has_field(L, web, index, WEB_FIELD_UPGRADE)) return false;
  static const WebField bodies[] = {WEB_FIELD_TEXT, WEB_FIELD_BODY, WEB_FIELD_JSON,
                                    WEB_FIELD_STREAM, WEB_FIELD_FILE};
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
    if (has_field(L, web, index, bodies[i]))
      luaL_error(L, "the response 101 of a WebSocket cannot have a body (change its status, too)");
  return true;
}

/* Gives the response at `index` the JSON value on the top (popped), with its text. */
static bool set_json(lua_State *L, Web *web, int index, JsonError *error) {
  Buffer *body = &web->body;
  body->len = 0;
  Runtime *rt = runtime_of(L);
  host_work_begin(rt, &json_work_response);
  bool ok = json_encode(L, -1, body, 0, error);
  host_work_end(rt);
  if (!ok) return false;
  lua_pushlstring(L, body->data, body->len);
  if (body->cap > HTTP_READ_BUFFER) buffer_free(body);
  set_field(L, web, index, WEB_FIELD_TEXT);
  set_field(L, web, index, WEB_FIELD_VALUE);
  return true;
}

static void set_checked(lua_State *L, const Web *web, int index) {
  lua_pushboolean(L, 1);
  set_field(L, web, index, WEB_FIELD_CHECKED);
}

/* The common results that cannot be wrong: a response that was checked and not changed since, a
   string, a table. True if the response is on the top. */
static bool settle_quickly(lua_State *L, Web *web, int first) {
  if (lua_gettop(L) != first) return false;
  if (web_is_response(L, web, first)) {
    bool ok = has_field(L, web, first, WEB_FIELD_CHECKED);
    if (ok) {
      web_get_field(L, web, first, WEB_FIELD_STATUS);
      ok = status_ok(L, -1);
      lua_pop(L, 1);
    }
    return ok;
  }
  int type = lua_type(L, first);
  if (type == LUA_TSTRING) {
    push_new_response(L, web, 200);
    lua_pushvalue(L, first);
    set_field(L, web, first + 1, WEB_FIELD_TEXT);
  } else if (type == LUA_TTABLE && !lua_getmetatable(L, first)) {
    JsonError error;
    push_new_response(L, web, 200);
    lua_pushvalue(L, first);
    if (!set_json(L, web, first + 1, &error)) {
      lua_settop(L, first);
      return false;
    }
  } else {
    lua_settop(L, first);
    return false;
  }
  set_checked(L, web, first + 1);
  return true;
}

/* The arguments of settle. */
enum { ARG_WEB = 1, ARG_NAME, ARG_IS_HANDLER, ARG_FIRST };

/* Raises the error for a function that returned nil, or nil and an error. */
static void check_nil(lua_State *L, const char *name) {
  int second = lua_type(L, ARG_FIRST + 1);
  if (second != LUA_TNIL && second != LUA_TNONE && second != LUA_TNUMBER) {
    lua_pushvalue(L, ARG_FIRST + 1);
    lua_error(L);
  }
  if (second != LUA_TNUMBER && !lua_toboolean(L, ARG_IS_HANDLER))
    luaL_error(L, "%s returned nothing (return what next(req) returned, or a response)", name);
}

/* Pushes a response made from the first result alone. */
static void push_response(lua_State *L, Web *web, const char *name) {
  int type = lua_type(L, ARG_FIRST);
  if (web_is_response(L, web, ARG_FIRST)) {
    lua_pushvalue(L, ARG_FIRST);
    return;
  }
  if (type == LUA_TTABLE && error_is(L, ARG_FIRST))
    luaL_error(L, "%s returned an error object (raise it, or return nil, err)", name);
  if (type == LUA_TNIL || type == LUA_TNONE) {
    check_nil(L, name);
    push_new_response(L, web, 204);
    return;
  }
  push_new_response(L, web, 200);
  lua_pushvalue(L, ARG_FIRST);
  if (type == LUA_TSTRING)
    set_field(L, web, lua_gettop(L) - 1, WEB_FIELD_BODY);
  else if (type == LUA_TTABLE || json_is_null(L, ARG_FIRST))
    set_field(L, web, lua_gettop(L) - 1, WEB_FIELD_JSON);
  else
    web_raise_bad_body(L, name, ARG_FIRST);
}

/* Moves the value of a field to where scripts' assignments to it are noticed; pushes it. */
static bool take_field(lua_State *L, Web *web, int index, WebField field) {
  if (web_get_field(L, web, index, field) == LUA_TNIL) return false;
  lua_pushnil(L);
  set_field(L, web, index, field);
  return true;
}

static void check_headers_type(lua_State *L, int index, const char *name) {
  if (!lua_istable(L, index))
    luaL_error(L, "%s returned headers that are a %s (expected a table)", name,
               luaL_typename(L, index));
}

/* Checks the fields that scripts may have written into the response at `index`. */
static void check_response(lua_State *L, Web *web, int index, const char *name) {
  JsonError error;
  web_get_field(L, web, index, WEB_FIELD_STATUS);
  if (!status_ok(L, -1) && !is_upgrade(L, web, index)) web_raise_bad_status(L, name, lua_gettop(L));
  if (take_field(L, web, index, WEB_FIELD_BODY)) {
    if (lua_type(L, -1) != LUA_TSTRING)
      luaL_error(L, "%s returned a body that is a %s (expected a string)", name,
                 luaL_typename(L, -1));
    set_field(L, web, index, WEB_FIELD_TEXT);
  }
  if (take_field(L, web, index, WEB_FIELD_JSON) && !set_json(L, web, index, &error))
    luaL_error(L, "the response of %s: %s", name, error.message);
  if (web_get_field(L, web, index, WEB_FIELD_HEADERS) != LUA_TNIL) {
    int headers = lua_gettop(L);
    bool streamed =
        has_field(L, web, index, WEB_FIELD_STREAM) || has_field(L, web, index, WEB_FIELD_FILE);
    check_headers_type(L, headers, name);
    web_check_headers(L, web, headers, streamed);
  }
  set_checked(L, web, index);
}

/* Notes the handler's own headers, in case its stream fails before anything was sent: see
   web/chain.lua. Asking a response for its headers does not change a script's table. */
static void keep_own_headers(lua_State *L, const Web *web, int response) {
  if (web_get_field(L, web, response, WEB_FIELD_HEADERS) == LUA_TNIL) return;
  web_headers_copy(L);
  set_field(L, web, response, WEB_FIELD_OWN_HEADERS);
}

/* settle(web, name, is_handler, results...) -> response: makes one response object, with its JSON
   encoded, from what a handler or a middleware returned. Raises what is wrong with it. */
static int settle(lua_State *L) {
  Web *web = lua_touserdata(L, ARG_WEB);
  const char *name = lua_tostring(L, ARG_NAME);
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_response(L, web, name);
  int response = lua_gettop(L);
  if (top > ARG_FIRST && !lua_isnil(L, ARG_FIRST + 1)) {
    lua_pushvalue(L, ARG_FIRST + 1);
    set_field(L, web, response, WEB_FIELD_STATUS);
  }
  if (top > ARG_FIRST + 1 && !lua_isnil(L, ARG_FIRST + 2)) {
    check_headers_type(L, ARG_FIRST + 2, name);
    if (has_field(L, web, response, WEB_FIELD_HEADERS)) {
      lua_getfield(L, response, "add_headers");
      lua_pushvalue(L, response);
      lua_pushvalue(L, ARG_FIRST + 2);
      lua_call(L, 2, 0);
    } else {
      lua_pushvalue(L, ARG_FIRST + 2);
      set_field(L, web, response, WEB_FIELD_HEADERS);
    }
  }
  check_response(L, web, response, name);
  if (lua_toboolean(L, ARG_IS_HANDLER) && has_field(L, web, response, WEB_FIELD_STREAM))
    keep_own_headers(L, web, response);
  lua_settop(L, response);
  return 1;
}

/* --- links --- */

static int link_over(lua_State *L, int status, lua_KContext ctx);

/* Calls settle with the results from AT_RESULTS on. */
static int settle_results(lua_State *L, Stage stage) {
  int n = lua_gettop(L) - AT_RESULTS + 1;
  luaL_checkstack(L, 4, NULL);
  lua_pushcfunction(L, settle);
  lua_pushvalue(L, lua_upvalueindex(UP_WEB));
  lua_pushvalue(L, lua_upvalueindex(UP_NAME));
  lua_pushboolean(L, lua_isnil(L, lua_upvalueindex(UP_NEXT)));
  lua_rotate(L, AT_RESULTS, 4);
  return link_over(L, lua_pcallk(L, n + 3, 1, AT_HANDLER, stage, link_over), stage);
}

/* Makes status, headers and a stream from the file of the response at AT_RESULTS. */
static int finish_file(lua_State *L, const Web *web, Stage stage) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->on_file);
  lua_insert(L, AT_RESULTS);
  lua_pushvalue(L, AT_REQUEST);
  lua_insert(L, AT_RESULTS + 1);
  return link_over(L, lua_pcallk(L, 2, 1, AT_HANDLER, stage, link_over), stage);
}

void web_chain_push_caught(lua_State *L, int index) {
  Task *t = task_current(L);
  if (!t) {
    lua_pushnil(L);
    return;
  }
  traceback_push(L, t, index);
  lua_pushvalue(L, index);
  traceback_caught_other(L, t);
  lua_pop(L, 1);
  traceback_forget(t);
}

bool web_chain_is_broken_off(lua_State *L) {
  Task *t = task_current(L);
  if (t) traceback_uncover(L, t, false);
  return task_is_broken_off(L, -1);
}

/* Calls render with the error on the top. */
static int render(lua_State *L, Stage stage) {
  lua_copy(L, -1, AT_RESULTS);
  lua_settop(L, AT_RESULTS);
  lua_pushvalue(L, lua_upvalueindex(UP_RENDER));
  lua_insert(L, AT_RESULTS);
  lua_pushvalue(L, AT_REQUEST);
  web_chain_push_caught(L, AT_RESULTS + 1);
  lua_pushvalue(L, lua_upvalueindex(UP_NAME));
  lua_pushboolean(L, stage == STAGE_END);
  lua_callk(L, 5, 1, stage, link_over);
  return link_over(L, LUA_OK, stage);
}

static int link_over(lua_State *L, int status, lua_KContext ctx) {
  Stage stage = (Stage)ctx;
  Web *web = lua_touserdata(L, lua_upvalueindex(UP_WEB));
  if (status != LUA_OK && status != LUA_YIELD) {
    if (web_chain_is_broken_off(L)) return lua_error(L);
    return render(L, stage >= STAGE_RENDERED ? STAGE_END : STAGE_RENDERED);
  }
  switch (stage) {
  case STAGE_CALLED:
    if (settle_quickly(L, web, AT_RESULTS)) return 1;
    return settle_results(L, STAGE_SETTLED);
  case STAGE_SETTLED:
    return has_field(L, web, AT_RESULTS, WEB_FIELD_FILE) ? finish_file(L, web, STAGE_FILE) : 1;
  case STAGE_FILE:
    return settle_results(L, STAGE_END);
  case STAGE_RENDERED:
    return has_field(L, web, AT_RESULTS, WEB_FIELD_FILE) ? finish_file(L, web, STAGE_END) : 1;
  case STAGE_END:
    break;
  }
  return 1;
}

/* Has the server refused the body of the running handler's request? */
static bool body_is_refused(lua_State *L) {
  const Task *t = task_current(L);
  const HttpConnection *c = t ? http_handler_connection(t) : NULL;
  return c && c->body && c->body->error_status == 413;
}

static int l_link_call(lua_State *L);

/* Finds the request of the middleware that calls this link without one, and leaves it as the only
   value. The link that called that middleware is on the stack with its request; links are shared by
   all requests of a route, so the request is nowhere else. */
static void find_request(lua_State *L) {
  lua_Debug ar;
  lua_getstack(L, 0, &ar);
  lua_getinfo(L, "f", &ar);
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_settop(L, 1);
    lua_getinfo(L, "f", &ar);
    if (lua_tocfunction(L, 2) != l_link_call || !lua_getupvalue(L, 2, UP_NEXT)) continue;
    if (!lua_rawequal(L, 1, 3) || !lua_getlocal(L, &ar, AT_REQUEST)) continue;
    lua_replace(L, AT_REQUEST);
    return;
  }
  luaL_error(L, "bad argument #1 to 'next' (the request expected: it may be left out only in the "
                "coroutine that the middleware was called in)");
}

/* next([req]) -> response */
static int l_link_call(lua_State *L) {
  int type = lua_type(L, AT_REQUEST);
  if (type == LUA_TNONE)
    find_request(L);
  else if (type != LUA_TUSERDATA && type != LUA_TTABLE) /* a table may replace the request */
    return luaL_error(L, "bad argument #1 to 'next' (the request expected, got %s)",
                      luaL_typename(L, AT_REQUEST));
  lua_settop(L, AT_REQUEST);
  lua_pushcfunction(L, traceback_handler);
  if (lua_isnil(L, lua_upvalueindex(UP_NEXT)) && body_is_refused(L)) {
    web_push_abort(L, 413,
                   http_response_reason(413)); /* for middleware; the handler does not see it */
    return render(L, STAGE_RENDERED);
  }
  lua_pushvalue(L, lua_upvalueindex(UP_CALLEE));
  lua_pushvalue(L, AT_REQUEST);
  lua_pushvalue(L, lua_upvalueindex(UP_NEXT));
  int nargs = lua_isnil(L, -1) ? 1 : 2;
  lua_settop(L, AT_RESULTS + nargs);
  return link_over(L, lua_pcallk(L, nargs, LUA_MULTRET, AT_HANDLER, STAGE_CALLED, link_over),
                   STAGE_CALLED);
}

/* link(callee, next | nil, name, render) -> next */
static int l_link(lua_State *L) {
  luaL_checkany(L, 1);
  luaL_checktype(L, 3, LUA_TSTRING);
  luaL_checktype(L, 4, LUA_TFUNCTION);
  lua_settop(L, 4);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, l_link_call, UPS);
  return 1;
}

/* report(req, err, traceback | nil, name [, briefly]): reports the error of a request, raised by
   what is called `name`. `briefly`: in one line. */
static int l_report(lua_State *L) {
  const char *name = luaL_checkstring(L, 4);
  char headline[200], target[140], place[240];
  snprintf(headline, sizeof headline, "%s failed",
           web_request_title(L, 1, target, sizeof target) ? target : name);
  /* A handler that ends in `return f()` is missing from the traceback of an error in f. */
  snprintf(place, sizeof place, "in %s", name);
  bool is_answer = lua_toboolean(L, 5);
  const Task *t = task_current(L);
  const HttpConnection *c = t ? http_handler_connection(t) : NULL;
  if (c && web_server_keep_failure(L, c, 2, place, lua_tostring(L, 3), is_answer)) return 0;
  report_error(L, headline, 2, lua_tostring(L, 3), is_answer ? NULL : place);
  return 0;
}

/* settle(name, results...) -> response: makes one response object from what the handler called
   `name` returned. Raises what is wrong with it. */
static int l_settle(lua_State *L) {
  luaL_checkstring(L, 1);
  if (settle_quickly(L, lua_touserdata(L, lua_upvalueindex(1)), 2)) return 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, ARG_WEB);
  lua_pushboolean(L, 1);
  lua_insert(L, ARG_IS_HANDLER);
  return settle(L);
}

bool web_chain_is_link(lua_State *L, int index) { return lua_tocfunction(L, index) == l_link_call; }

void web_chain_push_renderer(lua_State *L) {
  while (lua_getupvalue(L, -1, UP_NEXT) && !lua_isnil(L, -1)) lua_replace(L, -2);
  lua_pop(L, 1);
  lua_getupvalue(L, -1, UP_RENDER);
  lua_getupvalue(L, -2, UP_NAME);
  lua_remove(L, -3);
}

void web_chain_open(lua_State *L, Web *web) {
  static const luaL_Reg functions[] = {
      {"link", l_link}, {"settle", l_settle}, {"report", l_report}, {NULL, NULL}};
  states_note_transparent(L, l_link_call);
  lua_pushlightuserdata(L, web);
  luaL_setfuncs(L, functions, 1);
}
