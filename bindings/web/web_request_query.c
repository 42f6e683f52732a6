/* req.query: the table of a query's values. A plain field is the last value of its name;
   query:all(name) has all of them. */
#include "bindings/web/web_request.h"

#include "base/url.h"
#include "core/weak_keys.h"
#include "json/json.h"
#include <lauxlib.h>
#include <string.h>

#define WEB_QUERY "moonloop.web.core.query"

/* Registry key of a weak table from such tables to name -> list, used if a name came twice. */
static const char lists_key = 0;

static inline void push_piece(lua_State *L, const char *text, size_t n) {
  if (!memchr(text, '%', n) && !memchr(text, '+', n)) {
    lua_pushlstring(L, text, n);
    return;
  }
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, n);
  luaL_pushresultsize(&b, url_decode_query(out, text, n));
}

/* Pushes name and value of the next pair. False at the end. */
static inline bool push_pair(lua_State *L, const char **query, size_t *n) {
  UrlPair pair;
  if (!url_query_next(query, n, &pair)) return false;
  push_piece(L, pair.name, pair.name_len);
  push_piece(L, pair.value, pair.value_len);
  return true;
}

/* Is the string at `index` "all"? That is the name of a method, which a client must not replace. */
static bool is_method(lua_State *L, int index) {
  return lua_rawlen(L, index) == 3 && !memcmp(lua_tostring(L, index), "all", 3);
}

/* Keeps the lists of all values for the table at `table`. */
static void note_lists(lua_State *L, int table, const char *query, size_t n) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
  lua_pushvalue(L, table);
  lua_newtable(L);
  while (push_pair(L, &query, &n)) { /* lists, name, value */
    lua_pushvalue(L, -2);
    if (lua_rawget(L, -4) != LUA_TTABLE) {
      lua_pop(L, 1);
      lua_newtable(L);
      lua_pushvalue(L, -3);
      lua_pushvalue(L, -2);
      lua_rawset(L, -6);
    }
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 2);
  }
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

void web_request_set_query_class(lua_State *L, const char *query, size_t n) {
  if (n) note_lists(L, lua_gettop(L), query, n);
  luaL_setmetatable(L, WEB_QUERY);
}

void web_request_push_query(lua_State *L, const WebRequest *req) {
  const char *query = req->head + req->query.at, *rest = query;
  size_t n = req->query.len, count = 0;
  bool has_lists = false;
  lua_createtable(L, 0, n ? 2 : 0);
  while (push_pair(L, &rest, &n)) {
    if (count++) { /* the last of equal names is kept */
      lua_pushvalue(L, -2);
      if (lua_rawget(L, -4) != LUA_TNIL) has_lists = true;
      lua_pop(L, 1);
    }
    if (is_method(L, -2)) {
      has_lists = true;
      lua_pop(L, 2);
    } else {
      lua_rawset(L, -3);
    }
  }
  if (has_lists) note_lists(L, lua_gettop(L), query, req->query.len);
  lua_pushvalue(L, lua_upvalueindex(WEB_REQUEST_QUERY_CLASS));
  lua_setmetatable(L, -2);
}

/* Pushes the list of values of the name at 2 of the table at 1. False, with nothing pushed, if
   there is no list or a script has set the field since. */
static bool push_list(lua_State *L) {
  int top = lua_gettop(L);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &lists_key);
  lua_pushvalue(L, 1);
  if (lua_rawget(L, -2) == LUA_TTABLE) {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) == LUA_TTABLE) {
      lua_rawgeti(L, -1, (lua_Integer)lua_rawlen(L, -1));
      lua_pushvalue(L, 2);
      lua_rawget(L, 1);
      bool same = is_method(L, 2) || lua_rawequal(L, -1, -2);
      lua_pop(L, 2);
      if (same) return true;
    }
  }
  lua_settop(L, top);
  return false;
}

/* query:all(name) -> the list of all values of the name, in order; empty if there are none */
static int l_query_all(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_type(L, 2) != LUA_TSTRING)
    return luaL_error(L, "bad argument #1 to 'all' (string expected, got %s)", luaL_typename(L, 2));
  lua_settop(L, 2);
  lua_newtable(L);
  if (push_list(L)) {
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; i <= count; i++) {
      lua_rawgeti(L, -1, i);
      lua_rawseti(L, 3, i);
    }
  } else {
    lua_pushvalue(L, 2);
    if (lua_rawget(L, 1) != LUA_TNIL) lua_rawseti(L, 3, 1);
  }
  lua_settop(L, 3);
  json_set_mark(L, 3, JSON_ARRAY); /* an empty one is a list too */
  return 1;
}

void web_request_push_query_class(lua_State *L) {
  weak_keys_push(L, &lists_key);
  lua_pop(L, 1);
  luaL_newmetatable(L, WEB_QUERY);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, l_query_all);
  lua_setfield(L, -2, "all");
  lua_setfield(L, -2, "__index");
}
