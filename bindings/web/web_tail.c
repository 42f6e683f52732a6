/* What scripts put at the end of a response (http_tail.h): a table for each request, which
   scripts/moonloop/web/tail.lua fills and works off. */
#include "bindings/web/web.h"
#include "bindings/web/web_request.h"
#include "http/server/http_handler.h"
#include "http/server/http_tail.h"

#include <lauxlib.h>

static int work_is_over(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

int web_tail(lua_State *L) {
  HttpTail *tail = http_tail_current(task_current(L));
  const Web *web = tail->server->user;
  tail->has_begun = true;
  lua_rawgeti(L, LUA_REGISTRYINDEX, web->on_tail);
  lua_rawgeti(L, LUA_REGISTRYINDEX, tail->ref);
  lua_callk(L, 1, 0, 0, work_is_over);
  return 0;
}

HttpConnection *web_tail_connection(lua_State *L) {
  for (const Task *t = task_current(L); t; t = t->parent) {
    HttpConnection *c = http_handler_connection(t);
    if (c) return c;
  }
  return NULL;
}

/* tail([req]) -> the table of the current request, or nil if the running task does not work for a
   request, or for another one than `req` */
static int l_tail(lua_State *L) {
  HttpConnection *c = web_tail_connection(L);
  const WebRequest *req = luaL_testudata(L, 1, WEB_REQUEST);
  if (!c || (req && req->number != c->number)) return 0;
  lua_settop(L, 0);
  lua_newtable(L);
  HttpTail *tail = http_tail_get(c);
  if (!tail) return luaL_error(L, "not enough memory");
  if (tail->ref == LUA_NOREF) tail->ref = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_rawgeti(L, LUA_REGISTRYINDEX, tail->ref);
  return 1;
}

/* on_tail(f): f(table) is called in a task of its own when the response is over. */
static int l_on_tail(lua_State *L) {
  Web *web = lua_touserdata(L, lua_upvalueindex(1));
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  if (web->on_tail) luaL_unref(L, LUA_REGISTRYINDEX, web->on_tail);
  web->on_tail = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

void web_tail_open(lua_State *L, Web *web) {
  static const luaL_Reg functions[] = {{"tail", l_tail}, {"on_tail", l_on_tail}, {NULL, NULL}};
  lua_pushlightuserdata(L, web);
  luaL_setfuncs(L, functions, 1);
}
